"""Who deploys a window; and what becomes of one that nobody claims: each tick has one effect."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from scheduler.domain.errors import NotPermitted, Refused
from scheduler.domain.lifecycle import Status
from scheduler.models import Backport, Event, Heartbeat, Notification, Review, User, Window
from scheduler.queries import newest_plan, planned_between
from scheduler.services import windows as services
from scheduler.services.notifications import deliver_events
from scheduler.services.windows import (
    LEFT_FOR,
    UNCLAIMED_FOR,
    lock_window,
    miss_what_is_left,
    sign_up,
    skip_unclaimed_windows,
    step_down,
)
from scheduler.tasks import keep_the_calendar
from tests.factories import approve, fetched, make_backport, make_window
from tests.services.checks import kinds, wrongs

MINUTE = timedelta(minutes=1)


def lock(window: Window, by: User) -> None:
    plan = newest_plan(window)
    assert plan is not None
    lock_window(window=window, by=by, plan_fingerprint=plan.fingerprint)


# --- Signing up ---------------------------------------------------------------------------------


def test_a_deployer_signs_up_once_and_steps_down_once(window: Window, dev: User) -> None:
    for _ in range(2):
        sign_up(window=window, by=dev)
    assert list(window.deployers.all()) == [dev]
    step_down(window=window, by=dev)
    with pytest.raises(Refused, match="You have not signed up for this window"):
        step_down(window=window, by=dev)
    assert not window.deployers.exists()
    assert kinds() == ["window.sign-up", "window.step-down"]
    assert wrongs() == []


@pytest.mark.parametrize("act", [sign_up, step_down])
def test_only_deployers_sign_up(
    act: Callable[..., Window], window: Window, ada: User, rae: User, sam: User
) -> None:
    for person in (ada, rae, sam):
        with pytest.raises(NotPermitted):
            act(window=window, by=person)


def test_nobody_signs_up_for_what_does_not_take_place(dev: User) -> None:
    off = make_window(in_hours=5, cancelled_at=timezone.now())
    with pytest.raises(Refused, match="does not take place any more"):
        sign_up(window=off, by=dev)
    for act in (sign_up, step_down):
        with pytest.raises(Refused, match="This window is over"):
            act(window=make_window(in_hours=-2 if act is sign_up else -4), by=dev)


def test_the_last_of_a_locked_window_stays(
    window: Window, backport: Backport, rae: User, dev: User, rel: User
) -> None:
    approve(backport, rae)
    for person in (dev, rel):
        sign_up(window=window, by=person)
    lock(window, dev)
    step_down(window=window, by=rel)
    with pytest.raises(Refused, match="nobody else deploys it: unlock it"):
        step_down(window=window, by=dev)


# --- Skipping and missing -----------------------------------------------------------------------


@pytest.fixture
def booked(window: Window, backport: Backport, ada: User, rae: User) -> Window:
    """A window with something approved and something that waits."""
    approve(backport, rae)
    make_backport(window, ada, fetched(1001))
    return window


def statuses(window: Window) -> set[str]:
    return set(window.backports.values_list("status", flat=True))


def test_a_window_that_nobody_claims_is_skipped_and_what_is_in_it_missed(booked: Window) -> None:
    at = booked.start + UNCLAIMED_FOR
    before = len(kinds())
    assert skip_unclaimed_windows(now=at - MINUTE) == []
    assert skip_unclaimed_windows(now=at) == [booked]
    booked.refresh_from_db()
    assert (booked.skipped_at, booked.sequence, booked.takes_place) == (at, 1, False)
    assert statuses(booked) == {Status.MISSED}
    assert not Review.objects.filter(voided_at__isnull=True).exists()
    assert kinds()[before:] == ["window.skip", "backport.miss", "backport.miss"]
    reason = Event.objects.filter(kind="backport.miss").first()
    assert reason is not None
    assert reason.payload == {"reason": "nobody deployed in its window"}
    assert wrongs() == []


@pytest.mark.parametrize("late", [timedelta(), 10 * MINUTE, timedelta(days=3)])
def test_a_clock_that_ticks_twice_or_late_skips_and_misses_once(
    booked: Window, late: timedelta
) -> None:
    before = len(kinds())
    for tick in (late, late + MINUTE, late + 10 * MINUTE):
        now = booked.start + UNCLAIMED_FOR + tick
        skip_unclaimed_windows(now=now)
        miss_what_is_left(now=now)
    assert kinds()[before:] == ["window.skip", "backport.miss", "backport.miss"]
    assert wrongs() == []


def test_whose_account_is_closed_claims_nothing(booked: Window, dev: User) -> None:
    sign_up(window=booked, by=dev)
    User.objects.filter(pk=dev.pk).update(is_active=False)

    assert skip_unclaimed_windows(now=booked.start + UNCLAIMED_FOR) == [booked]
    (planned,) = planned_between(booked.start, booked.end)
    assert planned.deployers == ()


@pytest.mark.parametrize("claim", ["signs up", "locks"])
def test_a_window_that_somebody_claims_takes_place(booked: Window, dev: User, claim: str) -> None:
    if claim == "signs up":
        sign_up(window=booked, by=dev)
    else:
        lock(booked, dev)
    assert skip_unclaimed_windows(now=booked.end) == []
    assert Status.MISSED not in statuses(booked)


@pytest.mark.parametrize(
    "columns",
    [
        {"kind": "train"},
        {"cancelled_at": timezone.now()},
        {"skipped_at": timezone.now()},
        {"as_of": timezone.now()},
    ],
)
def test_other_windows_are_not_skipped(db: None, columns: dict[str, object]) -> None:
    window = make_window(in_hours=-3, **columns)
    assert skip_unclaimed_windows(now=window.end) == []
    assert kinds() == []


def test_a_window_that_moved_or_was_claimed_since_it_was_looked_for_stays(
    booked: Window, dev: User
) -> None:
    at = booked.start + UNCLAIMED_FOR
    as_found = Window.objects.get(pk=booked.pk)
    sign_up(window=booked, by=dev)
    assert not services._skip_if_unclaimed(as_found, at)  # noqa: SLF001 - a clock that was slower
    step_down(window=booked, by=dev)
    later = {"start": booked.start + timedelta(days=1), "end": booked.end + timedelta(days=1)}
    Window.objects.filter(pk=booked.pk).update(**later)
    assert not services._skip_if_unclaimed(as_found, at)  # noqa: SLF001
    assert services._miss_in(as_found, booked.end + LEFT_FOR) == 0  # noqa: SLF001
    assert Status.MISSED not in statuses(booked)


def test_what_is_left_half_an_hour_after_the_end_is_missed(booked: Window, dev: User) -> None:
    sign_up(window=booked, by=dev)
    lock(booked, dev)
    deploying = booked.backports.get(status=Status.QUEUED.value)
    queued_too = Backport.objects.exclude(pk=deploying.pk).get()
    Backport.objects.filter(pk=deploying.pk).update(status=Status.DEPLOYING.value)
    assert miss_what_is_left(now=booked.end + LEFT_FOR - MINUTE) == 0
    assert miss_what_is_left(now=booked.end + LEFT_FOR) == 1
    assert miss_what_is_left(now=booked.end + LEFT_FOR) == 0
    queued_too.refresh_from_db()
    assert queued_too.status == Status.MISSED
    assert kinds().count("backport.miss") == 1


def test_what_is_queued_is_missed_and_the_log_accounts_for_it(booked: Window, dev: User) -> None:
    lock(booked, dev)
    assert miss_what_is_left(now=booked.end + LEFT_FOR) == 2
    assert statuses(booked) == {Status.MISSED}
    assert wrongs() == []


def test_people_are_told_once_of_what_was_missed(booked: Window, ada: User, rae: User) -> None:
    for person in (ada, rae):
        User.objects.filter(pk=person.pk).update(email=f"{person.username}@example.org")
    deliver_events(at=timezone.now())
    Notification.objects.all().delete()
    for minutes in (0, 0, 1, 10):
        now = booked.start + UNCLAIMED_FOR + minutes * MINUTE
        skip_unclaimed_windows(now=now)
        miss_what_is_left(now=now)
        deliver_events(at=now)
    told = Notification.objects.values_list(
        "recipient__username", "event__backport__change__number"
    )
    assert sorted(told) == [("ada", 1000), ("ada", 1001), ("rae", 1000)]  # her approval is void


def test_the_beat_keeps_the_calendar(db: None) -> None:
    window = make_window(in_hours=-1)
    for _ in range(2):
        keep_the_calendar()
    assert kinds() == ["window.skip"]
    window.refresh_from_db()
    assert window.skipped_at is not None
    assert Heartbeat.objects.get().job == "keep-the-calendar"
