"""Answering how two changes belong together, and contesting what somebody answered."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from scheduler.actors import actor_of, relations_to
from scheduler.adapters.plan_document import evidence_in
from scheduler.couplings import family_of, fixed_windows
from scheduler.domain.coupling.background import names_to_dismiss, projects_of
from scheduler.domain.errors import Refused
from scheduler.domain.permissions import Act, Actor, Relation, may, require
from scheduler.domain.statements import OnlyFirst, StatementKind, pair_of
from scheduler.models import Backport, Change, DismissedName, Question, Statement, User, Window
from scheduler.queries import OPEN_STATUSES, newest_plan
from scheduler.services.events import record
from scheduler.services.plans import out_of_date, replan_window, take_turn


@dataclass(frozen=True, slots=True)
class OnPair:
    """Two changes of which somebody says something, as the page of a window showed them.

    Attributes:
        first: the change that goes first, where that is said.
        then: the other one.
        by: who says it.
        window: in which at least one of them is booked.
        plan_fingerprint: digest of the plan that the page showed.
    """

    first: Change
    then: Change
    by: User
    window: Window
    plan_fingerprint: str

    @property
    def numbers(self) -> tuple[int, int]:
        """Their numbers, the smaller one first."""
        return pair_of(self.first.number, self.then.number)


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody said of two changes before one of them was booked.

    Attributes:
        first, then: numbers of the changes; which is first matters for an order only.
    """

    first: int
    then: int
    kind: StatementKind
    only_first: OnlyFirst = OnlyFirst.NOTHING
    reason: str = ""


def answer_what_is_asked(*, window: Window, by: User, answers: Iterable[Answer]) -> list[str]:
    """Answer what a window asks now that something was booked in it, as it was said before.

    Only of changes that are both booked in it: the turn of this window was taken, and of no other.

    Returns:
        A sentence for each answer that was not taken. What was booked stays booked.
    """
    not_taken = []
    here = _booked_in(window)
    for answer in answers:
        low, high = pair_of(answer.first, answer.then)
        asked = Question.objects.filter(window=window, low=low, high=high, closed_at__isnull=True)
        named = f"What you said of {low} and {high} was not taken"
        if not asked.exists() or not here.keys() >= {low, high}:
            not_taken.append(f"{named}: the window does not ask about them now.")
            continue
        plan = newest_plan(window)
        on = OnPair(
            here[answer.first].change,
            here[answer.then].change,
            by,
            window,
            plan.fingerprint if plan else "",
        )
        try:
            answer_question(
                on=on, kind=answer.kind, only_first=answer.only_first, reason=answer.reason
            )
        except Refused as refusal:
            not_taken.append(f"{named}. {refusal.sentence}")
    return not_taken


@transaction.atomic
def answer_question(
    *, on: OnPair, kind: StatementKind, only_first: OnlyFirst, reason: str = ""
) -> Statement:
    """Say how two changes belong together. One event is logged for each pair of which it is said.

    The same is said of each pair of cherry-picks of the two that the window asks about, too, as
    far as the person may answer about those.

    An earlier answer about the two is superseded; approvals given without this one become void.
    Where they are unrelated, and it is said how one can know, the names that spoke for a coupling
    say nothing any more between the two projects, as long as this counts.

    Args:
        on: which, and who says it.
        kind: how they belong together.
        only_first: what happens while only the first of them is live.
        reason: how one can know; shown to everybody.

    Raises:
        NotPermitted: neither the requester of one of them nor a reviewer.
        OutOfDate: the plan is not what the page showed any more.
        Refused: a window of theirs is locked, or this one is over; they are not both booked in
            it, and nobody asks.
    """
    others, now = _take(on)
    pairs = (on, *_asked_of_cherry_picks(on))
    statements = [_state(pair, kind, only_first, reason.strip(), now) for pair in pairs]
    for window in (on.window, *others):
        replan_window(window=window, now=now)
    return statements[0]


def _state(
    on: OnPair, kind: StatementKind, only_first: OnlyFirst, reason: str, now: datetime
) -> Statement:
    """Write down what is said of one pair, and log it."""
    low, high = on.numbers
    Statement.objects.filter(low=low, high=high, superseded_at__isnull=True).update(
        superseded_at=now
    )
    statement = Statement.objects.create(
        first=on.first,
        then=on.then,
        low=low,
        high=high,
        kind=kind.value,
        only_first=only_first.value,
        by=on.by,
        reason=reason,
        made_at=now,
    )
    if kind is StatementKind.UNRELATED and reason:
        _dismiss(on, statement)
    record(
        kind="question.answer",
        actor=on.by,
        window=on.window,
        payload={
            "first": on.first.number,
            "then": on.then.number,
            "kind": kind.value,
            "only_first": only_first.value,
            "reason": reason,
        },
        at=now,
    )
    return statement


def _given_with(about: Statement, on: OnPair) -> list[Statement]:
    """Return what was said of cherry-picks in one go with something, of which both are here."""
    given = (
        Statement.objects.filter(superseded_at__isnull=True, by=about.by, made_at=about.made_at)
        .exclude(pk=about.pk)
        .select_related("first", "then")
        .defer("first__diff", "then__diff")
        .order_by("low", "high")
    )
    here = _booked_in(on.window).keys()
    families = {family_of(on.first), family_of(on.then)}
    return [
        one
        for one in given
        if here >= {one.low, one.high} and {family_of(one.first), family_of(one.then)} == families
    ]


def _booked_in(window: Window) -> dict[int, Backport]:
    """Return the open backports of a window, by the number of their change."""
    rows = Backport.objects.filter(window=window, status__in=OPEN_STATUSES)
    related = rows.select_related("change", "requester", "edited_by").defer("change__diff")
    return {one.change.number: one for one in related}


def _asked_of_cherry_picks(on: OnPair) -> list[OnPair]:
    """Return the pairs of cherry-picks of two, both in their window, that it asks about, too.

    Those are left out of which the person may not say anything.
    """
    here = _booked_in(on.window)
    families = (family_of(on.first), family_of(on.then))
    asked = Question.objects.filter(window=on.window, closed_at__isnull=True)
    actor, found = actor_of(on.by), []
    for pair in asked.order_by("low", "high").values_list("low", "high"):
        if pair == on.numbers or not here.keys() >= {*pair}:
            continue
        ends = [here[number] for number in pair]
        of_family = {family_of(end.change): end.change for end in ends}
        if of_family.keys() == {*families} and may(actor, Act.ANSWER_QUESTION, _part(actor, ends)):
            first, then = (of_family[family] for family in families)
            found.append(replace(on, first=first, then=then))
    return found


def _part(actor: Actor, backports: Iterable[Backport]) -> frozenset[Relation]:
    """Return what a person is to any of some backports."""
    return frozenset().union(*(relations_to(actor, backport) for backport in backports))


@transaction.atomic
def contest_answer(*, on: OnPair, reason: str) -> None:
    """Say that an answer is wrong: nobody goes by it, and both are held until it is given anew.

    What was said of cherry-picks with it ends with it, where both are booked in the window. One
    event is logged for each pair. Names that it had dismissed speak again.

    Raises:
        NotPermitted: neither the requester of one of them nor a reviewer.
        OutOfDate: the plan is not what the page showed any more.
        Refused: the window is locked or over, nobody answered, or no reason.
    """
    others, now = _take(on)
    if not reason.strip():
        raise Refused("Say what is wrong about it.")
    low, high = on.numbers
    in_force = Statement.objects.filter(superseded_at__isnull=True).select_related("by")
    about = in_force.filter(low=low, high=high).first()
    if about is None:
        raise Refused("Nobody has answered that, or somebody contested it before.")
    for one in (about, *_given_with(about, on)):
        Statement.objects.filter(pk=one.pk).update(
            superseded_at=now, contested_at=now, contested_by=on.by, contest_reason=reason.strip()
        )
        record(
            kind="question.contest",
            actor=on.by,
            window=on.window,
            payload={
                "first": one.low,
                "then": one.high,
                "of": about.by.username,
                "reason": reason.strip(),
            },
            at=now,
        )
    for window in (on.window, *others):
        replan_window(window=window, now=now)


def _take(on: OnPair) -> tuple[list[Window], datetime]:
    """Take the windows of two changes; let pass who may say how they belong together.

    Returns:
        The other windows that have to be planned again, and the clock.
    """
    booked = Backport.objects.filter(change__in=[on.first, on.then], status__in=OPEN_STATUSES)
    windows = {one.window_id: one.window for one in booked.select_related("window")}
    windows[on.window.pk] = on.window
    for _, window in sorted(windows.items()):
        take_turn(window)
    now = timezone.now()
    backports = list(booked.select_related("change", "requester", "edited_by"))
    actor = actor_of(on.by)
    require(actor, Act.ANSWER_QUESTION, _part(actor, backports))
    plan = newest_plan(on.window)
    if plan is None or plan.fingerprint != on.plan_fingerprint:
        raise out_of_date(on.window, on.plan_fingerprint)
    if on.window.is_locked or on.window.is_over(now):
        raise Refused("The queue of this window is fixed; unlock it first.")
    fixed = fixed_windows(now).filter(backports__change__in=[on.first, on.then]).first()
    if fixed is not None:
        raise Refused(
            f"The other one is in {fixed}, whose queue is fixed; close or unlock it first."
        )
    here = {one.change_id for one in backports if one.window_id == on.window.pk}
    low, high = on.numbers
    is_known = (
        Question.objects.filter(window=on.window, low=low, high=high, closed_at__isnull=True),
        Statement.objects.filter(low=low, high=high, superseded_at__isnull=True),
    )
    if not here or (len(here) == 1 and not any(rows.exists() for rows in is_known)):
        raise Refused("Both changes have to be booked in this window.")
    others = [
        window
        for key, window in sorted(windows.items())
        if key != on.window.pk and not window.is_over(now)
    ]
    return others, now


def _dismiss(on: OnPair, statement: Statement) -> None:
    """Note which names say nothing any more between two projects: those that spoke last."""
    low, high = on.numbers
    asked = Question.objects.filter(low=low, high=high).order_by("-pk").first()
    evidence = evidence_in(asked.evidence if asked else ())
    projects = projects_of(on.first.project, on.then.project)
    DismissedName.objects.bulk_create(
        DismissedName(
            statement=statement, low_project=projects[0], high_project=projects[1], name=name
        )
        for name in sorted(names_to_dismiss(evidence))
    )
