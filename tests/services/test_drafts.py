"""Drafts: private, bounded, and never in the way of a database."""

import pytest
from django.utils import timezone

from scheduler.domain.errors import NotPermitted
from scheduler.models import Draft, Event, User
from scheduler.services.drafts import MOST_DRAFTS, drafts_of, drop_draft, save_draft, usable

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]


def saved(user: User, key: str = "", **typed: object) -> Draft:
    given = {"why_not_train": "Users cannot save.", **typed}
    draft = save_draft(user=user, typed={name: [value] for name, value in given.items()}, key=key)
    assert draft is not None
    return draft


def test_a_draft_is_kept_and_written_over_and_no_event_tells_of_it(ada: User) -> None:
    first = saved(ada, change="12", why_not_train="Users")

    again = saved(ada, str(first.pk), change="1218340", why_not_train="Users cannot save.")

    assert again.pk == first.pk
    assert [(one.change, one.typed) for one in drafts_of(ada)] == [
        ("1218340", {"change": ["1218340"], "why_not_train": ["Users cannot save."]})
    ]
    assert not Event.objects.exists()


def test_another_draft_about_the_same_change_loses_nothing(ada: User) -> None:
    saved(ada, change="1218340", why_not_train="The first one.")
    saved(ada, change="1218340", why_not_train="The second one.")

    assert [one.change for one in drafts_of(ada)] == ["1218340 (2)", "1218340"]
    assert {one.typed["why_not_train"][0] for one in drafts_of(ada)} == {
        "The first one.",
        "The second one.",
    }


def test_a_draft_begins_with_the_first_answer(ada: User) -> None:
    looked_up = {"change": ["1218340"], "window": ["1"], "tester": ["ada"], "kind": ["bug"]}
    assert save_draft(user=ada, typed=looked_up) is None
    assert not Draft.objects.exists()

    assert save_draft(user=ada, typed={**looked_up, "marks": ["low-risk"]}) is not None


def test_a_draft_whose_answers_were_emptied_again_is_written_over(ada: User) -> None:
    draft = saved(ada, change="1218340")

    assert saved(ada, str(draft.pk), change="1218340", why_not_train="") == draft
    assert [one.typed["why_not_train"] for one in drafts_of(ada)] == [[""]]


def test_who_may_not_book_has_no_drafts(sam: User) -> None:
    with pytest.raises(NotPermitted):
        save_draft(user=sam, typed={"change": ["1218340"]})


def test_the_oldest_makes_room(ada: User, rae: User) -> None:
    saved(rae, change="1")
    for number in range(1, MOST_DRAFTS + 4):
        saved(ada, change=str(number))

    kept = drafts_of(ada)

    assert len(kept) == MOST_DRAFTS
    assert kept[0].change == str(MOST_DRAFTS + 3)
    assert kept[-1].change == "4"
    assert len(drafts_of(rae)) == 1


def test_hostile_fields_are_left_out_and_long_ones_cut(ada: User) -> None:
    draft = save_draft(
        user=ada,
        typed={
            "change": ["1" * 5000],
            "why_not_train": ["\x00\ud800 it fails", 7, None],
            "csrfmiddlewaretoken": ["secret"],
            "key": ["secret"],
            "__proto__": ["x"],
            "marks": ["low-risk"] * 500,
        },
    )

    assert draft is not None
    draft.refresh_from_db()
    assert set(draft.typed) == {"change", "why_not_train", "marks"}
    assert len(draft.change) <= 300
    assert len(draft.typed["change"][0]) == 2000
    assert draft.typed["why_not_train"] == ["<U+0000><U+D800> it fails"]
    assert len(draft.typed["marks"]) == 40


@pytest.mark.parametrize(
    "typed", [[], "text", {"change": "text"}, {"change": [1, {}]}, {"unknown": ["x"]}, None]
)
def test_what_cannot_be_shown_again_is_ignored(typed: object) -> None:
    assert usable(typed) == {}


@pytest.mark.parametrize("key", ["", "x", "-1", "٣", "9" * 40, "1; DROP TABLE"])
def test_a_key_that_is_none_starts_a_new_draft(ada: User, key: str) -> None:
    assert saved(ada, key, change="1218340").change == "1218340"
    drop_draft(user=ada, key=key)
    assert len(drafts_of(ada)) == 1


def test_nobody_writes_over_or_drops_the_draft_of_somebody_else(ada: User, rae: User) -> None:
    hers = saved(ada, change="1218340")

    saved(rae, str(hers.pk), change="1")
    drop_draft(user=rae, key=str(hers.pk))

    assert [one.pk for one in drafts_of(ada)] == [hers.pk]
    assert drafts_of(ada)[0].change == "1218340"
    drop_draft(user=ada, key=str(hers.pk))
    assert drafts_of(ada) == []


def test_a_draft_is_dated(ada: User) -> None:
    before = timezone.now()

    assert before <= saved(ada, change="1").saved_at <= timezone.now()
