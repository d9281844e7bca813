"""Moving on and booking again: with everything that needs it, and nothing else."""

from datetime import timedelta

import pytest
from django.utils import timezone

from scheduler.domain.backports import Urgency
from scheduler.domain.errors import IllegalTransition, NotPermitted, OutOfDate, Refused
from scheduler.domain.lifecycle import Status
from scheduler.domain.statements import OnlyFirst, StatementKind
from scheduler.domain.windows import FreezeScope
from scheduler.models import (
    Acknowledgement,
    Backport,
    Event,
    Freeze,
    Notification,
    Review,
    User,
    Watch,
    Window,
)
from scheduler.queries import newest_plan
from scheduler.services.backports import withdraw_backport
from scheduler.services.moving import book_again, move_on, next_window_with_room
from scheduler.services.notifications import deliver_events
from scheduler.services.statements import OnPair, answer_question
from scheduler.services.windows import LEFT_FOR, lock_window, miss_what_is_left, unlock_window
from tests.factories import answers, approve, fetched, make_backport, make_change, make_window
from tests.services.checks import kinds, wrongs


@pytest.fixture
def later(db: None) -> Window:
    """A window a day after the other one."""
    return make_window(in_hours=48, title="Evening SWAT")


def declares(*numbers: int) -> str:
    return "Fix\n\n" + "\n".join(f"Depends-On: I{number:040x}" for number in numbers)


def book(window: Window, by: User, number: int, *needs: int) -> Backport:
    """Book a change that declares what it needs."""
    return make_backport(window, by, fetched(number, message=declares(*needs)))


def say(window: Window, by: User, first: Backport, then: Backport, kind: StatementKind) -> None:
    """Say how two belong together."""
    plan = newest_plan(window)
    assert plan is not None
    answer_question(
        on=OnPair(first.change, then.change, by, window, plan.fingerprint),
        kind=kind,
        only_first=OnlyFirst.NOTHING,
    )


def moved(backport: Backport, by: User, to: Window) -> list[int]:
    """Move a backport on as it is now; return the numbers of what was moved."""
    backport.refresh_from_db()
    result = move_on(backport=backport, by=by, to=to, fingerprint=backport.fingerprint)
    return [one.change.number for one in result]


def booked_in(window: Window) -> list[int]:
    rows = window.backports.filter(status="submitted").order_by("change__number")
    return list(rows.values_list("change__number", flat=True))


def lock(window: Window, by: User) -> None:
    plan = newest_plan(window)
    assert plan is not None
    lock_window(window=window, by=by, plan_fingerprint=plan.fingerprint)


# --- Moving on ----------------------------------------------------------------------------------


def test_it_moves_with_all_that_needs_it_and_nothing_else(
    window: Window, later: Window, ada: User, rae: User
) -> None:
    first = book(window, ada, 1)
    book(window, ada, 2, 1)
    book(window, ada, 3, 2)
    alone = book(window, ada, 4)
    together, stated = book(window, ada, 5), book(window, ada, 6)
    say(window, rae, first, together, StatementKind.TOGETHER)
    say(window, rae, together, stated, StatementKind.BEFORE)
    approve(alone, rae)
    assert moved(first, ada, later) == [1, 2, 3, 5, 6]
    assert booked_in(later) == [1, 2, 3, 5, 6]
    alone.refresh_from_db()
    assert (alone.window, alone.status) == (window, Status.APPROVED)
    assert kinds().count("backport.move-on") == 5
    for place in (window, later):
        plan = newest_plan(place)
        assert plan is not None
        asked = sorted(one["change"] for one in plan.document["backports"])
        assert asked == ([4] if place == window else [1, 2, 3, 5, 6])
    assert wrongs() == []


def test_the_last_of_a_chain_moves_alone(window: Window, later: Window, ada: User) -> None:
    book(window, ada, 1)
    last = book(window, ada, 2, 1)
    assert moved(last, ada, later) == [2]
    assert booked_in(window) == [1]


def test_an_approval_was_for_the_other_window(
    window: Window, later: Window, ada: User, rae: User
) -> None:
    needed, needs = book(window, ada, 1), book(window, ada, 2, 1)
    for one in (needed, needs):
        approve(one, rae)
    moved(needed, rae, later)
    for one in (needed, needs):
        one.refresh_from_db()
        assert (one.status, one.approved_content, one.window) == (Status.SUBMITTED, "", later)
    assert not Review.objects.filter(voided_at__isnull=True).exists()
    approve(needed, rae)
    assert wrongs() == []


def test_what_was_taken_on_ends_with_the_move(
    window: Window, later: Window, ada: User, rae: User
) -> None:
    backport = book(window, ada, 1)
    Acknowledgement.objects.create(
        backport=backport,
        rule="l10n",
        digest="d",
        by=rae,
        requester=ada,
        reason="It is small, and needed now.",
        made_at=timezone.now(),
    )
    moved(backport, ada, later)
    assert not Acknowledgement.objects.filter(ended_at__isnull=True).exists()
    assert kinds()[-2:] in (
        ["backport.end-lifting", "backport.move-on"],
        ["backport.move-on", "backport.end-lifting"],
    )


def test_what_was_asked_stays_asked(window: Window, later: Window, ada: User) -> None:
    backport = book(window, ada, 1)
    Backport.objects.filter(pk=backport.pk).update(status=Status.NEEDS_INFO.value)
    moved(backport, ada, later)
    backport.refresh_from_db()
    assert backport.status == Status.NEEDS_INFO


def test_everybody_is_told_once_of_each(
    window: Window, later: Window, ada: User, rae: User, dev: User
) -> None:
    for person in (ada, rae, dev):
        User.objects.filter(pk=person.pk).update(email=f"{person.username}@example.org")
    first, second = book(window, ada, 1), book(window, ada, 2, 1)
    approve(first, rae)
    Watch.objects.create(backport=second, user=rae)
    deliver_events(at=timezone.now())
    Notification.objects.all().delete()
    moved(first, dev, later)
    deliver_events(at=timezone.now())
    deliver_events(at=timezone.now())
    told = Notification.objects.order_by("event__backport__change__number", "recipient__username")
    assert list(told.values_list("event__backport", "recipient__username")) == [
        (first.pk, "ada"),
        (first.pk, "rae"),  # whose approval became void
        (second.pk, "ada"),
        (second.pk, "rae"),  # who watches it
    ]
    Notification.objects.all().delete()
    first.refresh_from_db()
    withdraw_backport(backport=first, by=ada, fingerprint=first.fingerprint)
    deliver_events(at=timezone.now())
    assert not Notification.objects.exists()  # the approval had become void before


def test_only_people_concerned_move_it(  # noqa: PLR0913, PLR0917 - the whole cast
    window: Window, later: Window, ada: User, rae: User, dev: User, rel: User, sam: User
) -> None:
    backport = book(window, ada, 1)
    other = User.objects.create_user("other")
    for person in (sam, other):
        with pytest.raises(NotPermitted):
            moved(backport, person, later)
    for person, to in ((rae, later), (dev, window), (rel, later), (ada, window)):
        assert moved(backport, person, to) == [1]


def test_a_stale_page_moves_nothing(window: Window, later: Window, ada: User) -> None:
    backport = book(window, ada, 1)
    shown = backport.fingerprint
    moved(backport, ada, later)
    before = kinds()
    with pytest.raises(OutOfDate):
        move_on(backport=backport, by=ada, to=window, fingerprint=shown)
    assert kinds() == before


def test_it_moves_to_where_it_can_be_booked_only(
    window: Window, later: Window, ada: User, dev: User, rae: User
) -> None:
    backport = book(window, ada, 1)
    over = make_window(in_hours=-2)
    closed = make_window(in_hours=3, closes_at=timezone.now())
    kept = make_window(in_hours=5)
    approve(book(kept, ada, 9), rae)
    lock(kept, dev)
    for to, sentence in (
        (window, "It is in this window already."),
        (over, "This window is over"),
        (make_window(in_hours=7, kind="train"), "not booked in this kind of window"),
        (make_window(in_hours=9, cancelled_at=timezone.now()), "This window is over"),
        (closed, "Booking in this window has closed"),
        (kept, "This window is locked"),
    ):
        with pytest.raises(Refused, match=sentence):
            moved(backport, ada, to)
    assert moved(backport, dev, closed) == [1]


def test_what_is_queued_or_over_does_not_move(
    window: Window, later: Window, ada: User, dev: User, rae: User
) -> None:
    backport = book(window, ada, 1)
    approve(backport, rae)
    lock(window, dev)
    with pytest.raises(IllegalTransition):
        moved(backport, ada, later)
    unlock_window(window=window, by=dev, reason="It moves.")
    assert moved(backport, ada, later) == [1]
    backport.refresh_from_db()
    withdraw_backport(backport=backport, by=ada, fingerprint=backport.fingerprint)
    with pytest.raises(IllegalTransition):
        moved(backport, ada, window)


def test_what_cannot_move_keeps_all_where_it_is(window: Window, later: Window, ada: User) -> None:
    first, second = book(window, ada, 1), book(window, ada, 2, 1)
    Backport.objects.filter(pk=second.pk).update(status=Status.DEPLOYING.value)
    before = kinds()
    with pytest.raises(IllegalTransition):
        moved(first, ada, later)
    first.refresh_from_db()
    assert (first.window, kinds()) == (window, before)


def test_what_moved_can_be_queued_and_the_log_accounts_for_it(
    window: Window, later: Window, ada: User, rae: User, dev: User
) -> None:
    backport = book(window, ada, 1)
    moved(backport, ada, later)
    approve(backport, rae)
    lock(later, dev)
    backport.refresh_from_db()
    assert backport.status == Status.QUEUED
    assert wrongs() == []
    unlock_window(window=later, by=dev, reason="Once more.")
    assert wrongs() == []


# --- Booking again ------------------------------------------------------------------------------


@pytest.fixture
def missed(window: Window, ada: User, rae: User) -> list[Backport]:
    """Three of a chain and one alone, all missed in a window that is over."""
    rows = [
        book(window, ada, 1),
        book(window, ada, 2, 1),
        book(window, ada, 3, 2),
        book(window, ada, 4),
    ]
    approve(rows[0], rae)
    assert miss_what_is_left(now=window.end + LEFT_FOR) == 4
    for row in rows:
        row.refresh_from_db()
    return rows


def test_what_was_missed_is_booked_again_with_what_needs_it(
    missed: list[Backport], later: Window, dev: User, ada: User
) -> None:
    before = len(kinds())
    again = book_again(backport=missed[0], by=dev, window=later)
    assert [one.change.number for one in again] == [1, 2, 3]
    assert {(one.requester, one.status, one.window) for one in again} == {
        (ada, Status.SUBMITTED, later)
    }
    assert {one.problems_where for one in again} == {"The editor."}
    assert kinds()[before:] == ["backport.submit"] * 3
    assert {one.status for one in Backport.objects.filter(window=missed[0].window)} == {"missed"}
    assert wrongs() == []


def test_the_next_window_has_room_for_a_patch_of_this_urgency(
    window: Window, ada: User, rae: User
) -> None:
    short = make_window(in_hours=30)
    Window.objects.filter(pk=short.pk).update(end=short.start + timedelta(minutes=30))
    short.refresh_from_db()
    for number in range(3):
        approve(make_backport(short, ada, fetched(7000 + number)), rae)
    urgent, free = make_window(in_hours=34), make_window(in_hours=38)
    Freeze.objects.create(
        starts=urgent.start, ends=urgent.end, scope=FreezeScope.NORMAL.value, reason="Holidays"
    )
    now = timezone.now()

    assert next_window_with_room(after=window, now=now) == free
    assert next_window_with_room(after=window, now=now, urgency=Urgency.HIGH) == urgent


def test_it_is_booked_again_once(missed: list[Backport], later: Window, ada: User) -> None:
    book_again(backport=missed[1], by=ada, window=later)
    with pytest.raises(Refused, match="is booked already"):
        book_again(backport=missed[1], by=ada, window=make_window(in_hours=72))
    # What needs it is there already; only it is new.
    again = book_again(backport=missed[0], by=ada, window=later)
    assert [one.change.number for one in again] == [1]
    assert Backport.objects.filter(window=later).count() == 3


def test_what_was_withdrawn_comes_back_alone(window: Window, later: Window, ada: User) -> None:
    first = book(window, ada, 1)
    book(window, ada, 2, 1)
    withdraw_backport(backport=first, by=ada, fingerprint=first.fingerprint)
    (again,) = book_again(backport=first, by=ada, window=later)
    assert (again.change.number, again.window) == (1, later)


def test_what_has_not_ended_or_is_deployed_is_not_booked_again(
    backport: Backport, later: Window, ada: User
) -> None:
    for status in (Status.SUBMITTED, Status.DEPLOYING, Status.DEPLOYED):
        Backport.objects.filter(pk=backport.pk).update(status=status.value)
        with pytest.raises(Refused, match="there is nothing to book again"):
            book_again(backport=backport, by=ada, window=later)


def test_it_is_booked_again_by_people_concerned_where_it_can_be(
    missed: list[Backport], rae: User, sam: User, ada: User
) -> None:
    for person in (rae, sam):
        with pytest.raises(NotPermitted):
            book_again(backport=missed[0], by=person, window=make_window(in_hours=3))
    with pytest.raises(Refused, match="This window is over"):
        book_again(backport=missed[0], by=ada, window=make_window(in_hours=-3))
    assert Event.objects.filter(kind="backport.submit").count() == 4


def test_a_change_that_is_booked_by_another_meanwhile_is_left_out(
    missed: list[Backport], later: Window, ada: User
) -> None:
    other = make_window(in_hours=90)
    Backport.objects.create(
        change=make_change(fetched(2, message=declares(1))),
        window=other,
        requester=ada,
        submitted_at=timezone.now(),
        **answers().columns(),
    )
    again = book_again(backport=missed[0], by=ada, window=later)
    assert [one.change.number for one in again] == [1, 3]
