"""A window that has begun: its steps start from now on, and time alone makes no new plan."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from scheduler.domain.errors import OutOfDate
from scheduler.models import Plan, PlanStep, User, Window
from scheduler.queries import newest_plan
from scheduler.services.invariants import INVARIANTS
from scheduler.services.plans import plan_fingerprint, replan_window
from scheduler.services.windows import lock_window, unlock_window
from scheduler.views.windows import plan_page
from tests.factories import approve, fetched, make_backport, make_window

MINUTE = timedelta(minutes=1)


@pytest.fixture
def begun(db: None) -> Window:
    """A window of an hour that began twenty minutes ago."""
    start = timezone.now() - 20 * MINUTE
    return make_window(start=start, end=start + 60 * MINUTE)


def booked(window: Window, ada: User, rae: User, *numbers: int) -> Window:
    """Book and approve backports in a window, of which no plan is left then."""
    for number in numbers:
        approve(make_backport(window, ada, fetched(number)), rae)
    Plan.objects.all().delete()
    return window


def planned(window: Window, now: datetime) -> Plan:
    return replan_window(window=window, now=now)


def starts(plan: Plan) -> list[timedelta]:
    steps = PlanStep.objects.filter(plan=plan).values_list("starts", flat=True)
    return [at - plan.window.start for at in steps]


def test_no_step_starts_in_the_past(begun: Window, ada: User, rae: User) -> None:
    booked(begun, ada, rae, 1, 2)
    plan = planned(begun, begun.start + 20.5 * MINUTE)
    assert starts(plan) == [21 * MINUTE, 31 * MINUTE]


def test_time_that_passes_makes_no_new_plan(begun: Window, ada: User, rae: User) -> None:
    booked(begun, ada, rae, *range(1, 7))
    first = planned(begun, begun.start + 3 * MINUTE)
    assert [row["rule"] for row in first.result["elsewhere"]] == ["out-of-time"]
    assert planned(begun, begun.start + 9.5 * MINUTE) == first
    assert planned(begun, begun.start + 11 * MINUTE).version == first.version + 1


def test_a_fingerprint_tells_how_far_steps_are_apart(begun: Window, ada: User, rae: User) -> None:
    booked(begun, ada, rae, 1, 2)
    plan = planned(begun, begun.start - MINUTE)
    second = plan.result["queue"][1]
    assert plan_fingerprint(plan.document, plan.result) == plan.fingerprint
    second["starts"] = plan.result["queue"][0]["starts"]
    assert plan_fingerprint(plan.document, plan.result) != plan.fingerprint


def test_a_page_shows_the_queue_from_now_on(begun: Window, ada: User, rae: User) -> None:
    booked(begun, ada, rae, 1)
    plan = planned(begun, begun.start + 5 * MINUTE)
    row = plan_page(begun, plan).steps[0]
    assert row.starts >= timezone.now() - MINUTE
    assert (row.starts - begun.start, row.offset) == (21 * MINUTE, 21)


def test_a_page_opened_a_while_ago_can_be_locked_and_the_lock_says_when(
    begun: Window, ada: User, rae: User, dev: User
) -> None:
    booked(begun, ada, rae, 1)
    page = planned(begun, begun.start + 5 * MINUTE)
    window = lock_window(window=begun, by=dev, plan_fingerprint=page.fingerprint)
    plan = newest_plan(window)
    assert plan is not None
    assert (plan.version, plan.fingerprint) == (page.version + 1, page.fingerprint)
    assert starts(plan) == [21 * MINUTE]
    assert [one.name for one in INVARIANTS if one.broken(timezone.now())] == []


def test_a_page_whose_queue_does_not_fit_any_more_is_not_locked(
    begun: Window, ada: User, rae: User, dev: User
) -> None:
    booked(begun, ada, rae, *range(1, 6))
    page = planned(begun, begun.start - MINUTE)
    with pytest.raises(OutOfDate):
        lock_window(window=begun, by=dev, plan_fingerprint=page.fingerprint)


def test_a_lock_stops_the_clock_of_the_queue(
    begun: Window, ada: User, rae: User, dev: User
) -> None:
    booked(begun, ada, rae, 1)
    page = planned(begun, begun.start - MINUTE)
    lock_window(window=begun, by=dev, plan_fingerprint=page.fingerprint)
    Window.objects.filter(pk=begun.pk).update(locked_at=begun.start - MINUTE)
    begun.refresh_from_db()
    assert begun.minutes_gone(timezone.now()) == 0
    unlock_window(window=begun, by=dev, reason="Another fix comes first.")
    begun.refresh_from_db()
    assert begun.minutes_gone(timezone.now()) == 21


def test_a_replay_is_planned_at_its_own_moment(begun: Window) -> None:
    begun.as_of = begun.start - MINUTE
    assert begun.minutes_gone(timezone.now()) == 0
