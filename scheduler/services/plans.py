"""Planning a window again: the plan, the questions, the fingerprints, and what became void."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F

from scheduler.adapters.plan_document import document_of, evidence_document, render, time_text
from scheduler.couplings import CONTESTED
from scheduler.domain.coupling.questions import Question as Asked
from scheduler.domain.errors import OutOfDate
from scheduler.domain.lifecycle import Action, Status
from scheduler.domain.planning.plan import Plan as Planned
from scheduler.domain.planning.plan import PlanInput
from scheduler.domain.planning.taken_on import plan_taking_on
from scheduler.domain.statements import pair_of
from scheduler.models import (
    Acknowledgement,
    Backport,
    Override,
    Plan,
    PlanStep,
    PlanStepMember,
    Question,
    Review,
    Window,
)
from scheduler.queries import (
    acknowledgements_of,
    approval_of,
    asked_again,
    newest_plan,
    open_backports,
    overrides_of,
    plan_input_of,
    taken_on_in,
    unchecked_backports,
)
from scheduler.services.events import record
from scheduler.services.fingerprints import (
    content_of,
    digest,
    fingerprint_of,
    patch_set_of,
    unchecked_fingerprint_of,
)

MOST_NEWS = 3  # that a refusal tells of


def take_turn(window: Window) -> None:
    """Take a window for the rest of the transaction, and read it again.

    What changes a window or its backports does this first: then what it reads is current, and
    rows are always taken in the order window, backports, head of the audit log.
    """
    Window.objects.filter(pk=window.pk).update(turn=F("turn") + 1)
    window.refresh_from_db()


@transaction.atomic
def replan_window(
    *,
    window: Window,
    now: datetime,
    to_the_minute: bool = False,
    given: PlanInput | None = None,
) -> Plan:
    """Plan a window from what is stored now, and bring everything up to date that follows.

    Approvals of what has changed since become void (one event each), and so does what people took
    on; questions are asked and closed, fingerprints follow. A new plan is stored if it, or a fact
    it was made from, differs from the newest one; a locked window keeps the plan that it was
    locked with, and nothing is asked in it.

    Args:
        window: which.
        now: the clock, UTC; a replay is planned at its own moment instead.
        to_the_minute: store a new one also if only the time moved on at which the steps start.
        given: what it was planned from a moment ago in this transaction, if since then nothing
            happened but to approvals and to what people took on.

    Returns:
        The newest plan.

    Raises:
        UnsafeQueue: the checker found fault with the queue; nothing is stored.
    """
    take_turn(window)
    backports = open_backports(window)
    given = asked_again(given, backports) if given else plan_input_of(window, backports, now)
    if _void_outdated_approvals(backports, given, now):
        given = asked_again(given, backports)
    _end_outdated_lifting(backports, given, now)
    given, planned = plan_taking_on(given, taken_on_in(backports))
    for backport in backports:
        _update_fingerprint(backport, fingerprint_of(backport, given, planned))
    for backport in unchecked_backports(window):
        _update_fingerprint(backport, unchecked_fingerprint_of(backport))
    newest = newest_plan(window)
    if not window.is_locked:  # its queue is fixed, and nobody could answer
        _update_questions(window, planned, now)
    if newest is not None and window.is_locked:
        return newest
    made = _Made(given, planned)
    if (
        newest is not None
        and newest.fingerprint == made.fingerprint
        and (not to_the_minute or newest.result == made.result)
    ):
        return newest
    return _store_plan(window, backports, made, newest, now)


def _void_outdated_approvals(backports: Sequence[Backport], given: PlanInput, at: datetime) -> bool:
    """Take back the approvals of what has changed; return whether there were any."""
    any_voided = False
    for backport in backports:
        approval = approval_of(backport)
        if (
            approval is None
            or Status(backport.status) not in {Status.APPROVED, Status.QUEUED}
            or backport.approved_content == content_of(backport, given)
        ):
            continue
        any_voided = True
        backport.apply(Action.VOID_APPROVAL, approved_content="")
        void_approval(backport, at)
        record(
            kind="backport.void-approval",
            actor=None,
            window=backport.window,
            backport=backport,
            payload={"review": approval.pk, "patch_set": backport.change.patch_set},
            at=at,
        )
    return any_voided


def _end_outdated_lifting(backports: Sequence[Backport], given: PlanInput, at: datetime) -> None:
    """End what people took on about something else than what a backport is now.

    An acknowledgement is for a patch set, an override for all that is said about it too.
    """
    for backport in backports:
        acknowledged, overridden = acknowledgements_of(backport), overrides_of(backport)
        if not acknowledged and not overridden:
            continue
        shown, content = patch_set_of(backport), content_of(backport, given)
        outdated: list[Acknowledgement | Override] = [
            *(one for one in acknowledged if one.content != shown),
            *(one for one in overridden if one.content != content),
        ]
        end_lifting(backport, outdated, at)
        setattr(backport, "acknowledged", [one for one in acknowledged if not one.ended_at])  # noqa: B010 - what `open_backports` loaded
        setattr(backport, "overridden", [one for one in overridden if not one.ended_at])  # noqa: B010


def end_lifting(
    backport: Backport, taken_on: Sequence[Acknowledgement | Override], at: datetime
) -> None:
    """End what people took on of what the rules say about a backport; one event if there is any."""
    if not taken_on:
        return
    for one in taken_on:
        one.ended_at = at
        one.save(update_fields=["ended_at"])
    record(
        kind="backport.end-lifting",
        actor=None,
        window=backport.window,
        backport=backport,
        payload={"rules": sorted({one.rule for one in taken_on})},
        at=at,
    )


def out_of_date(window: Window, fingerprint: str) -> OutOfDate:
    """Return the refusal of what was sent from a plan that is not the newest: what is new in it."""
    shown = Plan.objects.filter(window=window, fingerprint=fingerprint).order_by("-version").first()
    newest = newest_plan(window)
    news = _news(shown.document, newest.document) if shown and newest else []
    told = f": {'; '.join(news)}. Read it again." if news else "; read it again."
    return OutOfDate(f"The plan changed since you opened it{told}")


def _news(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what somebody did between two plan documents of a window, a few words each."""

    def said(document: Mapping[str, Any]) -> dict[tuple[int, int], Mapping[str, Any]]:
        return {pair_of(one["first"], one["then"]): one for one in document["statements"]}

    def booked(document: Mapping[str, Any]) -> set[int]:
        return {one["change"] for one in document["backports"]}

    old, new = said(before), said(now)
    answered = [(new[pair]["by"], *pair) for pair in new if new[pair] != old.get(pair)]
    return [
        *(f"{by} said how {a} and {b} belong together" for by, a, b in answered),
        *(
            f"what was said of {a} and {b} does not count any more"
            for a, b in sorted(old.keys() - new)
        ),
        *(f"{number} was booked" for number in sorted(booked(now) - booked(before))),
        *(f"{number} left" for number in sorted(booked(before) - booked(now))),
    ][:MOST_NEWS]


def end_all_lifting(backport: Backport, at: datetime) -> None:
    """End all that people took on of what the rules say about a backport that is over."""
    end_lifting(
        backport,
        [
            *backport.acknowledgements.filter(ended_at__isnull=True),
            *backport.overrides.filter(ended_at__isnull=True),
        ],
        at,
    )


def void_approval(backport: Backport, at: datetime) -> None:
    """End the approval in force of a backport, if there is one."""
    Review.objects.filter(backport=backport, decision="approve", voided_at__isnull=True).update(
        voided_at=at
    )
    setattr(backport, "approvals", [])  # noqa: B010 - what `open_backports` loaded


def _update_fingerprint(backport: Backport, fingerprint: str) -> None:
    if backport.fingerprint != fingerprint:
        Backport.objects.filter(pk=backport.pk).update(fingerprint=fingerprint)
        backport.fingerprint = fingerprint


def _update_questions(window: Window, planned: Planned, at: datetime) -> None:
    asked = {question.changes: question for question in planned.questions}
    stored = Question.objects.filter(window=window, closed_at__isnull=True)
    for row in stored:
        question = asked.pop((row.low, row.high), None)
        if question is None:
            row.closed_at = at
            row.save(update_fields=["closed_at"])
        else:
            now = (
                question.points,
                question.advice,
                question.first,
                evidence_document(question.evidence),
            )
            if (row.points, row.advice, row.first, row.evidence) != now:
                row.points, row.advice, row.first, row.evidence = now
                row.save(update_fields=["points", "advice", "first", "evidence"])
    booked = {step.change for step in planned.elsewhere}
    booked.update(number for step in planned.queue for number in step.changes)
    for (low, high), question in asked.items():
        if booked.issuperset({low, high}):  # both are here now, so that nobody is asked elsewhere
            elsewhere = Question.objects.filter(low=low, high=high, closed_at__isnull=True)
            elsewhere.update(closed_at=at)
        is_told = _is_told_of(low, high, question)
        Question.objects.create(
            window=window,
            low=low,
            high=high,
            points=question.points,
            advice=question.advice,
            first=question.first,
            evidence=evidence_document(question.evidence),
            asked_at=at,
        )
        if window.as_of is None and not is_told:  # a replay asks nobody
            record(
                kind="question.ask",
                actor=None,
                window=window,
                payload={"first": low, "then": high},
                at=at,
            )


class _Made:
    """A plan that was just made, as it is stored."""

    def __init__(self, given: PlanInput, planned: Planned) -> None:
        self.queue = planned.queue
        self.document, self.result = document_of(given), render(planned)
        self.fingerprint = plan_fingerprint(self.document, self.result)


def _store_plan(
    window: Window,
    backports: Sequence[Backport],
    made: _Made,
    newest: Plan | None,
    at: datetime,
) -> Plan:
    plan = Plan.objects.create(
        window=window,
        version=newest.version + 1 if newest else 1,
        fingerprint=made.fingerprint,
        document=made.document,
        result=made.result,
        made_at=at,
    )
    by_number = {backport.change.number: backport for backport in backports}
    steps = PlanStep.objects.bulk_create(
        PlanStep(plan=plan, position=step.position, starts=step.starts, minutes=step.minutes)
        for step in made.queue
    )
    PlanStepMember.objects.bulk_create(
        PlanStepMember(step=row, plan=plan, backport=by_number[number])
        for row, step in zip(steps, made.queue, strict=True)
        for number in step.changes
    )
    return plan


def plan_fingerprint(document: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """Return the digest of a plan, without what differs each time although nothing happened.

    That is the clock, and the places of the plan before: both show in the result if they matter.
    Nor does it tell how long the window has begun: the steps count from its start.
    """
    facts = {name: value for name, value in document.items() if name not in {"now", "backports"}}
    asked = [
        {name: value for name, value in one.items() if name != "place"}
        for one in document["backports"]
    ]
    start = datetime.fromisoformat(document["window"]["start"])
    told = {**result, "queue": _starting_at(start, result["queue"])}
    return digest({"facts": facts, "asked": asked, "result": told})


def _starting_at(start: datetime, queue: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the steps of a queue, all moved alike so that the first one starts then."""
    starts = [datetime.fromisoformat(step["starts"]) for step in queue]
    return [
        {**step, "starts": time_text(start + (at - starts[0]))}
        for step, at in zip(queue, starts, strict=True)
    ]


def _is_told_of(low: int, high: int, question: Asked) -> bool:
    """Return whether people hear of a question: it is open in another window, or was contested."""
    is_contested = any(piece.kind == CONTESTED for piece in question.evidence)
    is_open = Question.objects.filter(low=low, high=high, closed_at__isnull=True)
    return is_contested or is_open.exists()
