"""The layout of the dependency picture."""

from scheduler.views.pictures import WIDTH, Link, layers_of, links_of, picture_of


def test_what_is_needed_stands_left_of_what_needs_it() -> None:
    layers = layers_of({1, 2, 3}, [Link(1, 2, "x"), Link(2, 3, "x"), Link(1, 3, "x")])

    assert layers == {1: 0, 2: 1, 3: 2}


def test_a_circle_is_drawn_all_the_same() -> None:
    picture = picture_of({1}, [Link(1, 2, "x"), Link(2, 1, "x")], {})

    assert picture is not None
    assert {box.number for box in picture.boxes} == {1, 2}


def test_what_is_linked_with_nothing_has_no_picture() -> None:
    assert picture_of({1}, [], {}) is None


def test_links_lead_to_all_that_is_needed_and_to_what_needs_it() -> None:
    links = [Link(1, 2, "x"), Link(2, 3, "x"), Link(3, 4, "x"), Link(8, 9, "x")]
    asked = [Link(3, 7, "x", asked=True), Link(1, 6, "x", asked=True)]

    assert links_of(3, [*links, *asked]) == (*links[:3], asked[0])


def test_what_goes_together_stands_in_one_layer() -> None:
    layers = layers_of({1, 2, 3}, [Link(1, 2, "x", together=True), Link(2, 3, "x")])

    assert layers == {1: 0, 2: 0, 3: 1}


def test_each_link_of_one_column_is_a_line_of_its_own_around_what_is_between() -> None:
    links = [Link(1, other, "x", asked=True) for other in (2, 3, 4)]
    picture = picture_of((), links, {})

    assert picture is not None
    assert len({arrow.path for arrow in picture.arrows}) == 3
    right = {box.x for box in picture.boxes}.pop() + WIDTH
    reach = [int(arrow.path.split("C")[1].split()[0]) for arrow in picture.arrows]
    assert right < reach[0] < reach[1] < reach[2] <= picture.width
