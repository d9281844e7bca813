"""Several approvals with one form: each on its own, and a retry has one effect."""

from uuid import uuid4

import pytest

from scheduler.models import Backport, Event, IdempotencyKey, Review, User, Window
from scheduler.services.bulk import Outcome, Tick, approve_each, outcomes_of
from scheduler.services.idempotency import KeyReused
from tests.factories import approve, fetched, make_backport


@pytest.fixture
def three(window: Window, ada: User) -> list[Backport]:
    """Three requests of Ada's to which nothing objects."""
    made = [make_backport(window, ada, fetched(number)) for number in (1, 2, 3)]
    for one in made:
        one.refresh_from_db()
    return made


def ticks(backports: list[Backport]) -> list[Tick]:
    return [Tick(one.pk, one.fingerprint) for one in backports]


def statuses(backports: list[Backport]) -> list[str]:
    return [Backport.objects.get(pk=one.pk).status for one in backports]


def test_each_is_approved_with_what_was_shown_of_it(three: list[Backport], rae: User) -> None:
    outcomes = approve_each(reviewer=rae, key=str(uuid4()), ticks=ticks(three))

    assert outcomes == [Outcome(one.pk, "") for one in three]
    assert statuses(three) == ["approved"] * 3
    assert [one.fingerprint for one in Review.objects.all()] == [one.fingerprint for one in three]
    assert Event.objects.filter(kind="backport.approve").count() == 3


def test_what_changed_meanwhile_is_refused_and_stops_no_other(
    three: list[Backport], rae: User
) -> None:
    shown = [*ticks(three[:1]), Tick(three[1].pk, "0" * 64), *ticks(three[2:])]

    outcomes = approve_each(reviewer=rae, key=str(uuid4()), ticks=shown)

    assert [bool(one.refusal) for one in outcomes] == [False, True, False]
    assert statuses(three) == ["approved", "submitted", "approved"]


def test_a_retry_answers_the_same_and_does_nothing(three: list[Backport], rae: User) -> None:
    key, shown = str(uuid4()), [*ticks(three[:2]), Tick(three[2].pk, "0" * 64)]
    first = approve_each(reviewer=rae, key=key, ticks=shown)
    events = Event.objects.count()

    assert approve_each(reviewer=rae, key=key, ticks=shown) == first
    assert outcomes_of(reviewer=rae, key=key) == first
    assert Event.objects.count() == events


def test_a_refusal_is_remembered_though_it_would_pass_now(three: list[Backport], rae: User) -> None:
    key, refused = str(uuid4()), Tick(three[0].pk, three[0].fingerprint, "Read it first.")
    approve_each(reviewer=rae, key=key, ticks=[refused])

    again = approve_each(reviewer=rae, key=key, ticks=ticks(three[:1]))

    assert again == [Outcome(three[0].pk, "Read it first.")]
    assert statuses(three) == ["submitted"] * 3


def test_it_goes_on_where_the_first_sending_broke_off(three: list[Backport], rae: User) -> None:
    key = str(uuid4())
    approve_each(reviewer=rae, key=key, ticks=ticks(three[:1]))

    outcomes = approve_each(reviewer=rae, key=key, ticks=ticks(three))

    assert outcomes == [Outcome(one.pk, "") for one in three]
    assert Review.objects.count() == 3


def test_a_key_is_not_used_for_something_else_shown(three: list[Backport], rae: User) -> None:
    key = str(uuid4())
    approve_each(reviewer=rae, key=key, ticks=ticks(three[:1]))

    with pytest.raises(KeyReused):
        approve_each(reviewer=rae, key=key, ticks=[Tick(three[0].pk, "0" * 64)])


@pytest.mark.parametrize("name", ["ada", "dev"])
def test_whoever_may_not_is_told_for_each(
    three: list[Backport], name: str, request: pytest.FixtureRequest
) -> None:
    person: User = request.getfixturevalue(name)

    outcomes = approve_each(reviewer=person, key=str(uuid4()), ticks=ticks(three))

    assert all("may" in one.refusal for one in outcomes)
    assert not Review.objects.exists()


def test_what_is_approved_already_or_does_not_exist_is_told(
    three: list[Backport], rae: User, rel: User
) -> None:
    shown = [*ticks(three[:1]), Tick(999_999, "0" * 64)]
    approve(three[0], rel)

    outcomes = approve_each(reviewer=rae, key=str(uuid4()), ticks=shown)

    assert all(one.refusal for one in outcomes)
    assert Review.objects.get().reviewer == rel


def test_another_persons_answers_are_not_shown(three: list[Backport], rae: User, rel: User) -> None:
    key = str(uuid4())
    approve_each(reviewer=rae, key=key, ticks=ticks(three))

    assert outcomes_of(reviewer=rel, key=key) == []
    assert IdempotencyKey.objects.filter(user=rae).count() == 3
