"""The layout of the dependency picture."""

from scheduler.views.pictures import Link, layers_of, picture_of


def test_what_is_needed_stands_left_of_what_needs_it() -> None:
    layers = layers_of({1, 2, 3}, [Link(1, 2, "x"), Link(2, 3, "x"), Link(1, 3, "x")])

    assert layers == {1: 0, 2: 1, 3: 2}


def test_a_circle_is_drawn_all_the_same() -> None:
    picture = picture_of(1, [Link(1, 2, "x"), Link(2, 1, "x")], {})

    assert picture is not None
    assert {box.number for box in picture.boxes} == {1, 2}


def test_what_is_linked_with_nothing_has_no_picture() -> None:
    assert picture_of(1, [], {}) is None
