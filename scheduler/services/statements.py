"""Answering how two changes belong together."""

from django.db import transaction
from django.utils import timezone

from scheduler.actors import actor_of, relations_to
from scheduler.domain.errors import OutOfDate, Refused
from scheduler.domain.permissions import Act, Relation, require
from scheduler.domain.statements import OnlyFirst, StatementKind
from scheduler.models import Backport, Change, Statement, User, Window
from scheduler.queries import OPEN_STATUSES, newest_plan
from scheduler.services.events import record
from scheduler.services.plans import replan_window, take_turn

BOTH = 2


@transaction.atomic
def answer_question(  # noqa: PLR0913 - what an answer is made of
    *,
    first: Change,
    then: Change,
    kind: StatementKind,
    only_first: OnlyFirst,
    by: User,
    window: Window,
    plan_fingerprint: str,
    reason: str = "",
) -> Statement:
    """Say how two changes of a window belong together. One event is logged.

    An earlier answer about the two is superseded; approvals given without this one become void.

    Args:
        first: the change that goes first, where the answer is an order.
        then: the other one.
        kind: how they belong together.
        only_first: what happens while only `first` is live.
        by: who says so.
        window: the window that both are booked in.
        plan_fingerprint: digest of the plan that the page showed.
        reason: how one can know; shown to everybody.

    Raises:
        NotPermitted: neither the requester of one of them nor a reviewer.
        OutOfDate: the plan is not what the page showed any more.
        Refused: the window is locked or over, or they are not both booked in it.
    """
    take_turn(window)
    now = timezone.now()
    backports = list(
        Backport.objects.filter(
            window=window, change__in=[first, then], status__in=OPEN_STATUSES
        ).select_related("change", "requester", "edited_by")
    )
    actor = actor_of(by)
    relations: frozenset[Relation] = frozenset().union(
        *(relations_to(actor, backport) for backport in backports)
    )
    require(actor, Act.ANSWER_QUESTION, relations)
    plan = newest_plan(window)
    if plan is None or plan.fingerprint != plan_fingerprint:
        raise OutOfDate("The plan changed since you opened it; read it again.")
    if window.is_locked or window.is_over(now):
        raise Refused("The queue of this window is fixed; unlock it first.")
    if len(backports) != BOTH:
        raise Refused("Both changes have to be booked in this window.")
    low, high = sorted((first.number, then.number))
    Statement.objects.filter(low=low, high=high, superseded_at__isnull=True).update(
        superseded_at=now
    )
    statement = Statement.objects.create(
        first=first,
        then=then,
        low=low,
        high=high,
        kind=kind.value,
        only_first=only_first.value,
        by=by,
        reason=reason.strip(),
        made_at=now,
    )
    record(
        kind="question.answer",
        actor=by,
        window=window,
        payload={
            "first": first.number,
            "then": then.number,
            "kind": kind.value,
            "only_first": only_first.value,
            "reason": reason.strip(),
        },
        at=now,
    )
    replan_window(window=window, now=now)
    return statement
