"""Who deploys in a window; fixing its queue, and letting it follow the facts again; skipping it."""

from dataclasses import asdict
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from scheduler.actors import actor_of
from scheduler.adapters.plan_document import time_text
from scheduler.domain.errors import Refused
from scheduler.domain.lifecycle import OPEN, Action, Status
from scheduler.domain.permissions import Act, require
from scheduler.domain.windows import BOOKABLE
from scheduler.models import Backport, Event, Lease, PlanStepMember, Question, Run, User, Window
from scheduler.queries import (
    OPEN_STATUSES,
    is_confirmed_emergency,
    names_trusted_with,
    newest_plan,
)
from scheduler.services.events import record
from scheduler.services.plans import (
    end_all_lifting,
    out_of_date,
    replan_window,
    take_turn,
    void_approval,
)
from scheduler.services.runs import CHECK_IN_OPENS

# A window that nobody has claimed by then is skipped (`reference/wikimedia.md` 1.1, "2021 on").
UNCLAIMED_FOR = timedelta(minutes=15)
LEFT_FOR = timedelta(minutes=30)  # windows overrun; then what is left is missed
BEFORE_START = sorted(status.value for status in OPEN - {Status.DEPLOYING})


@transaction.atomic
def sign_up(*, window: Window, by: User) -> Window:
    """Say that one deploys in a window. One event is logged, unless they had said so.

    Raises:
        NotPermitted: not a deployer.
        Refused: it does not take place, or is over.
    """
    require(actor_of(by), Act.SIGN_UP)
    take_turn(window)
    now = timezone.now()
    if not window.takes_place:
        raise Refused("This window does not take place any more.")
    if window.is_over(now):
        raise Refused("This window is over.")
    if not window.deployers.filter(pk=by.pk).exists():
        window.deployers.add(by)
        record(kind="window.sign-up", actor=by, window=window, at=now)
    return window


@transaction.atomic
def step_down(*, window: Window, by: User) -> Window:
    """Say that one does not deploy in a window after all. One event is logged.

    Raises:
        NotPermitted: not a deployer.
        Refused: they had not signed up, it is over, they drive it, or they are the last of a locked
            window.
    """
    require(actor_of(by), Act.SIGN_UP)
    take_turn(window)
    now = timezone.now()
    if window.is_over(now):
        raise Refused("This window is over.")
    if not window.deployers.filter(pk=by.pk).exists():
        raise Refused("You have not signed up for this window.")
    if Lease.objects.filter(window=window, holder=by, ended_at__isnull=True).exists():
        raise Refused("You drive this window: hand it over, or give the wheel back first.")
    if window.is_locked and window.deployers.count() == 1:
        raise Refused(
            "The queue is locked and nobody else deploys it: unlock it, or find somebody first."
        )
    window.deployers.remove(by)
    record(kind="window.step-down", actor=by, window=window, at=now)
    return window


def call_testers(*, now: datetime) -> int:
    """Tell who tests in a window, and who deploys it, that it begins in a quarter of an hour.

    From then on they can say that they are there. One event is logged for each window that has a
    queue; another one for what comes into it later, or if it was moved. Any number of clocks may do
    this at once.

    Returns:
        For how many windows.
    """
    soon = Window.objects.filter(
        kind__in=[kind.value for kind in BOOKABLE],
        start__gt=now,
        start__lte=now + CHECK_IN_OPENS,
        as_of__isnull=True,
        cancelled_at__isnull=True,
    )
    return sum(_call(window, now) for window in soon.order_by("pk"))


@transaction.atomic
def _call(window: Window, now: datetime) -> bool:
    take_turn(window)
    if not window.takes_place or not now < window.start <= now + CHECK_IN_OPENS:
        return False  # somebody moved it
    plan, starts = newest_plan(window), time_text(window.start)
    queued = [number for step in plan.result["queue"] for number in step["changes"]] if plan else []
    calls = Event.objects.filter(kind="window.call", window=window, payload__starts=starts)
    called = {number for some in calls.values_list("payload__queued", flat=True) for number in some}
    new = [number for number in queued if number not in called]
    if not new:
        return False
    record(
        kind="window.call",
        actor=None,
        window=window,
        payload={"starts": starts, "queued": new},
        at=now,
    )
    return True


def skip_unclaimed_windows(*, now: datetime) -> list[Window]:
    """Skip the windows that nobody claimed a quarter of an hour after their start.

    Whoever locked one has claimed it; whose account is closed has not. The open backports of a
    skipped one are `missed`. One event is logged for each window and each backport. Any number of
    clocks may do this at once, and late: a window is skipped once.
    """
    unclaimed = Window.objects.filter(
        kind__in=[kind.value for kind in BOOKABLE],
        start__lte=now - UNCLAIMED_FOR,
        as_of__isnull=True,
        cancelled_at__isnull=True,
        skipped_at__isnull=True,
        locked_at__isnull=True,
    ).exclude(deployers__is_active=True)
    return [window for window in unclaimed.order_by("pk") if _skip_if_unclaimed(window, now)]


@transaction.atomic
def _skip_if_unclaimed(window: Window, now: datetime) -> bool:
    take_turn(window)
    is_claimed = window.is_locked or window.deployers.filter(is_active=True).exists()
    if not window.takes_place or is_claimed or window.start > now - UNCLAIMED_FOR:
        return False  # somebody was quicker, or moved it
    Window.objects.filter(pk=window.pk).update(skipped_at=now, sequence=F("sequence") + 1)
    record(kind="window.skip", actor=None, window=window, at=now)
    window.refresh_from_db()
    _miss_open(window, why="nobody deployed in its window", at=now)
    return True


def miss_what_is_left(*, now: datetime) -> int:
    """Let be `missed` what was not deployed half an hour after the end of its window.

    One event is logged for each; return how many there were. Any number of clocks may do this at
    once.
    """
    over = Window.objects.filter(
        end__lte=now - LEFT_FOR,
        as_of__isnull=True,
        backports__status__in=BEFORE_START,
        run__isnull=True,  # a window that was begun is closed, by its driver or by the clock
    )
    return sum(_miss_in(window, now) for window in over.distinct().order_by("pk"))


@transaction.atomic
def _miss_in(window: Window, now: datetime) -> int:
    take_turn(window)
    if window.end > now - LEFT_FOR or Run.objects.filter(window=window).exists():
        return 0  # somebody moved it, or began it
    return _miss_open(window, why="its window is over", at=now)


def _miss_open(window: Window, *, why: str, at: datetime) -> int:
    booked = window.backports.filter(status__in=BEFORE_START).order_by("pk")
    missed = list(booked.select_related("change", "window", "requester"))
    for backport in missed:
        miss_backport(backport, why=why, at=at)
    if missed:
        replan_window(window=window, now=at)
    return len(missed)


def miss_backport(backport: Backport, *, why: str, at: datetime, by: User | None = None) -> None:
    """Let a backport be missed: what was approved and taken on about it ends. One event is logged.

    Whoever calls this holds its window.

    Args:
        backport: which.
        why: the reason.
        at: when, UTC.
        by: who decided it; None is the clock.

    Raises:
        IllegalTransition: it is over.
    """
    backport.apply(Action.MISS, approved_content="")
    void_approval(backport, at)
    end_all_lifting(backport, at)
    record(
        kind="backport.miss",
        actor=by,
        window=backport.window,
        backport=backport,
        payload={"reason": why},
        at=at,
    )


@transaction.atomic
def lock_window(*, window: Window, by: User, plan_fingerprint: str) -> Window:
    """Fix the queue of a window as the page showed it, and pin the policy's numbers.

    In a window that has begun its steps start from now on, wherever they stood on the page.
    Every approved backport in the queue is now queued. One event is logged.

    Raises:
        NotPermitted: not a deployer.
        OutOfDate: the plan is not what the page showed any more.
        Refused: it is locked or over, an emergency that two people have not confirmed, a question
            is open, or the queue is empty.
    """
    require(actor_of(by), Act.LOCK_WINDOW)
    take_turn(window)
    now = timezone.now()
    if window.is_locked:
        raise Refused("This window is locked already.")
    if window.is_over(now) or not window.takes_place:
        raise Refused("This window is over.")
    if window.is_emergency and not is_confirmed_emergency(window):
        raise Refused(
            "Somebody of release engineering and somebody of operations have to confirm this "
            "emergency first."
        )
    plan = replan_window(window=window, now=now, to_the_minute=True)
    if plan.fingerprint != plan_fingerprint:
        raise out_of_date(window, plan_fingerprint)
    question = Question.objects.filter(window=window, closed_at__isnull=True).first()
    if question is not None:
        raise Refused(
            f"Somebody has to say first how {question.low} and {question.high} belong together: "
            f"{_who_answers(question)}."
        )
    if not plan.result["queue"]:
        raise Refused("The queue is empty: there is nothing to lock yet.")
    Window.objects.filter(pk=window.pk).update(
        locked_at=now, locked_by=by, locked_numbers=asdict(window.numbers)
    )
    members = PlanStepMember.objects.filter(plan=plan, backport__status=Status.APPROVED.value)
    queued = [member.backport for member in members.select_related("backport__change")]
    for backport in queued:
        backport.apply(Action.QUEUE)
    record(
        kind="window.lock",
        actor=by,
        window=window,
        payload={
            "plan": plan.version,
            "fingerprint": plan.fingerprint,
            "queued": sorted(backport.change.number for backport in queued),
        },
        at=now,
    )
    replan_window(window=window, now=now)
    return window


@transaction.atomic
def unlock_window(*, window: Window, by: User, reason: str) -> Window:
    """Let the queue of a window follow the facts, and the policy of its day, again.

    What was queued is approved again. One event is logged.

    Raises:
        NotPermitted: not a deployer.
        Refused: it is not locked, was begun, or no reason.
    """
    require(actor_of(by), Act.UNLOCK_WINDOW)
    take_turn(window)
    now = timezone.now()
    if not window.is_locked:
        raise Refused("This window is not locked.")
    if Run.objects.filter(window=window).exists():
        raise Refused("It was begun: its queue is fixed for good. What does not go can be missed.")
    if not reason.strip():
        raise Refused("Say why, in a sentence.")
    Window.objects.filter(pk=window.pk).update(locked_at=None, locked_by=None, locked_numbers=None)
    for backport in Backport.objects.filter(window=window, status=Status.QUEUED.value):
        backport.apply(Action.UNQUEUE)
    record(
        kind="window.unlock",
        actor=by,
        window=window,
        payload={"reason": reason.strip()},
        at=now,
    )
    replan_window(window=window, now=now)
    return window


def _who_answers(question: Question) -> str:
    """Return who may answer a question, by name."""
    pair = Backport.objects.filter(
        window=question.window,
        change__number__in=(question.low, question.high),
        status__in=OPEN_STATUSES,
    )
    names = pair.order_by("change__number").values_list("requester__username", flat=True)
    requesters = " or ".join(dict.fromkeys(names))
    reviewers = ", ".join(names_trusted_with(Act.ANSWER_QUESTION))
    return f"{requesters} can, and so can any reviewer ({reviewers or 'nobody is one yet'})"
