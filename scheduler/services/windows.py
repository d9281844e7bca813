"""Fixing the queue of a window, and letting it follow the facts again."""

from dataclasses import asdict

from django.db import transaction
from django.utils import timezone

from scheduler.actors import actor_of
from scheduler.domain.errors import OutOfDate, Refused
from scheduler.domain.lifecycle import Action, Status
from scheduler.domain.permissions import Act, require
from scheduler.models import Backport, PlanStepMember, Question, User, Window
from scheduler.queries import OPEN_STATUSES, names_trusted_with
from scheduler.services.events import record
from scheduler.services.plans import replan_window, take_turn


@transaction.atomic
def lock_window(*, window: Window, by: User, plan_fingerprint: str) -> Window:
    """Fix the queue of a window as the page showed it, and pin the policy's numbers.

    In a window that has begun its steps start from now on, wherever they stood on the page.
    Every approved backport in the queue is now queued. One event is logged.

    Raises:
        NotPermitted: not a deployer.
        OutOfDate: the plan is not what the page showed any more.
        Refused: it is locked or over, a question is open, or the queue is empty.
    """
    require(actor_of(by), Act.LOCK_WINDOW)
    take_turn(window)
    now = timezone.now()
    if window.is_locked:
        raise Refused("This window is locked already.")
    if window.is_over(now):
        raise Refused("This window is over.")
    plan = replan_window(window=window, now=now, to_the_minute=True)
    if plan.fingerprint != plan_fingerprint:
        raise OutOfDate("The plan changed since you opened it; read it again.")
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
        Refused: it is not locked, or no reason.
    """
    require(actor_of(by), Act.UNLOCK_WINDOW)
    take_turn(window)
    now = timezone.now()
    if not window.is_locked:
        raise Refused("This window is not locked.")
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
