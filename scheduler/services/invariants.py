"""What must be true of the stored state whatever happens, each as a check that names the rows.

The numbers are those of the threat model. A check reads and yields a sentence for each thing that
is wrong; it knows no other check.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery

from scheduler.actors import actor_of, is_same_person, relations_to
from scheduler.adapters.plan_document import UnusableDocument, parse, render, time_text
from scheduler.domain.backports import Urgency
from scheduler.domain.errors import UnsafeQueue
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import PERMITS, Act
from scheduler.domain.planning.plan import PlanInput, plan_window
from scheduler.domain.safety import Judge
from scheduler.models import (
    Backport,
    Delivery,
    EmergencyConfirmation,
    Event,
    Notification,
    Override,
    Plan,
    PlanStepMember,
    User,
    Window,
)
from scheduler.models.reviews import SHORTEST_REASON
from scheduler.queries import OPEN_STATUSES, approval_of, open_backports, plan_input_of
from scheduler.services import histories, lease_histories, live_histories, run_histories
from scheduler.services.fingerprints import content_of
from scheduler.services.plans import plan_fingerprint

OVERDUE = timedelta(minutes=10)  # an event that was not handed on for so long was forgotten

_GOING = frozenset({Status.APPROVED, Status.QUEUED, Status.DEPLOYING})


@dataclass(frozen=True, slots=True)
class Invariant:
    """One thing that must be true.

    Attributes:
        name: its number in the threat model.
        sentence: what is true while nothing is wrong.
        breaches: yields a sentence for each thing that is wrong; takes the clock, UTC.
    """

    name: str
    sentence: str
    breaches: Callable[[datetime], Iterator[str]]

    def broken(self, now: datetime) -> list[str]:
        """Return what is wrong.

        Others may be writing while it is looked at, so what is wrong has to be so twice.
        """
        found = list(self.breaches(now))
        if not found:
            return []
        again = set(self.breaches(now))
        return [one for one in found if one in again]


def approvals_that_do_not_count(now: datetime) -> Iterator[str]:
    """I1: yield what is going on an approval of something else, or by somebody who may not."""
    going = Backport.objects.filter(status__in=[status.value for status in _GOING])
    known = set()
    for window in Window.objects.filter(backports__in=going).distinct().order_by("pk"):
        backports = open_backports(window)
        given = plan_input_of(window, backports, now)
        for backport in backports:
            if Status(backport.status) in _GOING:
                known.add(backport.pk)
                yield from _wrong_approval(backport, given)
    for backport in going.exclude(pk__in=known).order_by("pk"):
        yield f"Backport {backport.pk} is {backport.status}, and Gerrit never told of its change."


def _wrong_approval(backport: Backport, given: PlanInput) -> Iterator[str]:
    approval, change = approval_of(backport), backport.change
    what = f"Backport {backport.pk} (change {change.number}) is {backport.status}"
    if approval is None:
        yield f"{what} without an approval."
        return
    if backport.status == Status.DEPLOYING.value:
        # What it was started with counts: Gerrit makes a new patch set when it merges by rebasing.
        if (approval.patch_set, approval.sha) != (backport.started_patch_set, backport.started_sha):
            yield f"{what}, and was not started with what was approved."
    elif (approval.patch_set, approval.sha) != (change.patch_set, change.sha):
        yield f"{what}, approved at patch set {approval.patch_set}; it is at {change.patch_set}."
    elif {approval.content, backport.approved_content} != {content_of(backport, given)}:
        yield f"{what}, and what was approved is not what it says now."
    relations = relations_to(actor_of(approval.reviewer), backport)
    if own := sorted(PERMITS[Act.APPROVE].unless & relations):
        yield f"{what}, approved by {approval.reviewer.username}, who is its {' and '.join(own)}."


def unsafe_steps(now: datetime) -> Iterator[str]:
    """I2: yield each step after which production would be broken, or that was started too early."""
    return chain(_unsafe_plans(now), live_histories.started_too_early())


def _unsafe_plans(now: datetime) -> Iterator[str]:
    """Yield each queue in force after some step of which production would be broken."""
    for plan in _plans_in_force(now):
        queue = [tuple(step["changes"]) for step in plan.result["queue"]]
        rows = [tuple(sorted(numbers)) for numbers in _rows_of_queue(plan)]
        if rows != queue:
            yield f"{_name(plan)}: its steps are not those of its result."
        given = _given(plan)
        if isinstance(given, str):
            yield f"{_name(plan)} {given}"
            continue
        asked = {one.change: one for one in given.backports}
        if strange := sorted({number for step in queue for number in step} - asked.keys()):
            yield f"{_name(plan)}: nobody booked {', '.join(map(str, strange))}."
            continue
        judge = Judge(
            given.changes,
            asked,
            given.production,
            given.statements,
            {number: one.overridden for number, one in asked.items() if one.overridden},
        )
        for state in judge.states(queue):
            for breach in state.broken:
                if not breach.accepted:
                    yield f"{_name(plan)}, after step {state.after}: {breach.text}."


def _plans_in_force(now: datetime) -> Iterator[Plan]:
    """Yield the newest plan of each window that is not over, one after the other."""
    newest = Plan.objects.filter(window=OuterRef("window")).order_by("-version").values("pk")[:1]
    coming = Q(window__end__gt=now) | Q(window__as_of__isnull=False)
    plans = Plan.objects.filter(coming, pk=Subquery(newest)).order_by("window__start")
    for pk in list(plans.values_list("pk", flat=True)):
        yield Plan.objects.select_related("window").get(pk=pk)


def _rows_of_queue(plan: Plan) -> list[list[int]]:
    members = PlanStepMember.objects.filter(plan=plan).order_by("step__position")
    steps: dict[int, list[int]] = {}
    for position, number in members.values_list("step__position", "backport__change__number"):
        steps.setdefault(position, []).append(number)
    return list(steps.values())


def _given(plan: Plan) -> PlanInput | str:
    """Return what a plan was made from, or what is wrong with that."""
    try:
        return parse(json.dumps(plan.document))
    except UnusableDocument as problem:
        return f"was made from a document that cannot be read: {problem}."


def _name(plan: Plan) -> str:
    return f"Plan {plan.version} of window {plan.window_id}"


def overfull_windows(_now: datetime) -> Iterator[str]:
    """I3: yield each locked window with more queued patches than it has slots.

    What people let go although the window is full, by an override in force, takes none.
    """
    over = Override.objects.filter(
        rule="over-capacity", confirmed_by__isnull=False, ended_at__isnull=True
    )
    queued = (
        Backport.objects.filter(status__in=[Status.QUEUED.value, Status.DEPLOYING.value])
        .exclude(overrides__in=over)
        .select_related("change", "window")
        .defer("change__diff", "change__message")
    )
    taken: Counter[Window] = Counter()
    for backport in queued:
        if not backport.change.to_domain(with_diff=False).is_beta_only:
            taken[backport.window] += 1
    for window, slots in sorted(taken.items(), key=lambda pair: pair[0].pk):
        if not window.is_locked:
            yield f"Window {window.pk} is not locked, and {slots} backports are queued in it."
        elif slots > window.numbers.max_patches:
            has = window.numbers.max_patches
            yield f"Window {window.pk} has {has} slots, and {slots} queued patches take one."


def leases_that_do_not_count(_now: datetime) -> Iterator[str]:
    """I4: yield each lease that is in force beside another, and what was done without one."""
    return lease_histories.leases_that_do_not_count()


def states_without_events(_now: datetime) -> Iterator[str]:
    """I5: yield each state that the log does not account for."""
    return chain(
        histories.wrong_statuses(),
        histories.wrong_locks(),
        histories.wrong_decisions(),
        histories.overrides_ended_only_in_the_log(),
        histories.wrong_ends_of_lifting(),
        histories.wrong_ends_of_windows(),
        histories.wrong_times_of_windows(),
        histories.wrong_series(),
        lease_histories.wrong_leases(),
        run_histories.wrong_runs(),
    )


def decisions_of_too_few(_now: datetime) -> Iterator[str]:
    """I6: yield what takes two people and was decided by fewer."""
    return chain(_overrides_of_too_few(), _emergencies_of_too_few())


def _emergencies_of_too_few() -> Iterator[str]:
    """Yield each emergency window that one person, or one role, confirmed twice."""
    given: dict[int, list[EmergencyConfirmation]] = {}
    rows = EmergencyConfirmation.objects.select_related("by").order_by("window", "pk")
    for row in rows:
        given.setdefault(row.window_id, []).append(row)
    for window, confirmations in given.items():
        what = f"Window {window} is an emergency"
        if len({one.role for one in confirmations}) < len(confirmations):
            yield f"{what}, confirmed twice for one role."
        for place, one in enumerate(confirmations):
            if any(is_same_person(one.by, other.by) for other in confirmations[place + 1 :]):
                yield f"{what}, confirmed twice by {one.by.username}."
    for other in Window.objects.filter(pk__in=given, is_emergency=False).order_by("pk"):
        yield f"Window {other.pk} is no emergency, and was confirmed."


def _overrides_of_too_few() -> Iterator[str]:
    """Yield each override without a reason, or of people who are not two others."""
    rows = Override.objects.select_related(
        "proposed_by", "confirmed_by", "requester", "backport__requester"
    )
    for override in rows.order_by("pk"):
        what = f"Override {override.pk} of {override.rule}"
        if len(override.reason.strip()) < SHORTEST_REASON:
            yield f"{what} gives no reason of {SHORTEST_REASON} characters."
        people = {
            "the proposer": override.proposed_by,
            "the confirmer": override.confirmed_by,
            "the requester": override.requester,
        }
        if override.ended_at is None:
            people["the present requester"] = override.backport.requester
        yield from (f"{what}: {pair} are one person." for pair in _same(people))
        if (override.confirmed_by is None) != (override.confirmed_at is None):
            yield f"{what} is confirmed by nobody, or at no time."


def _same(people: Mapping[str, User | None]) -> Iterator[str]:
    """Yield the pairs that are one person, by whatever name; whose request it is may coincide."""
    names = {
        role: {name.casefold() for name in (person.username, *actor_of(person).names)}
        for role, person in people.items()
        if person is not None
    }
    roles = list(names)
    for place, role in enumerate(roles):
        for other in roles[place + 1 :]:
            if names[role] & names[other] and not role.endswith("requester"):
                yield f"{role} and {other}"


def changes_booked_twice(_now: datetime) -> Iterator[str]:
    """I7: yield each change that is in two open backports."""
    still_open = Backport.objects.filter(status__in=OPEN_STATUSES)
    twice = still_open.values("change__number").annotate(times=Count("pk")).filter(times__gt=1)
    for row in twice.order_by("change__number"):
        yield f"Change {row['change__number']} is in {row['times']} open backports."


def plans_that_do_not_repeat(now: datetime) -> Iterator[str]:
    """I8: yield each plan that was altered, or that its own document does not lead to again.

    Plans of windows that are over are not made again: the policy may have moved on since.
    """
    for pk in list(Plan.objects.order_by("pk").values_list("pk", flat=True)):
        plan = Plan.objects.get(pk=pk)
        if not _has_its_fingerprint(plan):
            yield f"{_name(plan)} does not have its fingerprint: it was altered."
    for plan in _plans_in_force(now):
        given = _given(plan)
        if isinstance(given, str):
            yield f"{_name(plan)} {given}"
            continue
        try:
            again = render(plan_window(given))
        except UnsafeQueue as defect:
            yield f"{_name(plan)} cannot be made again: {defect}."
            continue
        if _canonical(again) != _canonical(plan.result):
            yield f"{_name(plan)} is not what its document leads to."
    yield from _locked_with_another_plan()


def _has_its_fingerprint(plan: Plan) -> bool:
    try:
        return plan.fingerprint == plan_fingerprint(plan.document, plan.result)
    except (KeyError, TypeError, ValueError):
        return False  # what there is cannot be read as a plan


def _canonical(result: object) -> str:
    return json.dumps(result, sort_keys=True, separators=(",", ":"))


def _locked_with_another_plan() -> Iterator[str]:
    locks = Event.objects.filter(kind="window.lock", window=OuterRef("pk")).order_by("-seq")
    windows = Window.objects.filter(locked_at__isnull=False)
    told = windows.annotate(lock=Subquery(locks.values("seq")[:1])).order_by("pk")
    for window in told:
        event = Event.objects.filter(seq=window.lock).first()
        plan = Plan.objects.filter(window=window).order_by("-version").first()
        if event and (plan is None or plan.fingerprint != event.payload.get("fingerprint")):
            yield f"Window {window.pk} does not have the plan that it was locked with."


def forgotten_events(now: datetime) -> Iterator[str]:
    """I9: yield each event that was not handed on in time, and who was told of one twice."""
    late = Event.objects.filter(delivery__isnull=True, at__lt=now - OVERDUE).order_by("seq")
    for seq, kind in late.values_list("seq", "kind")[:1_000]:
        minutes = int(OVERDUE.total_seconds() / 60)
        yield f"Event {seq} ({kind}) was not handed on within {minutes} minutes."
    pairs = Notification.objects.values("event__seq", "recipient__username")
    for row in pairs.annotate(times=Count("pk")).filter(times__gt=1):
        who, seq = row["recipient__username"], row["event__seq"]
        yield f"{who} is told {row['times']} times of event {seq}."
    twice = Delivery.objects.values("event__seq").annotate(times=Count("pk")).filter(times__gt=1)
    for row in twice:
        yield f"Event {row['event__seq']} was handed on {row['times']} times."
    orphans = Notification.objects.filter(event__delivery__isnull=True).order_by("pk")
    for notification in orphans.select_related("event")[:1_000]:
        yield f"Somebody is told of event {notification.event.seq}, which was not handed on."


def closed_windows_changed(now: datetime) -> Iterator[str]:
    """I10: yield each backport of a window that is over which differs from its last plan.

    What an event changed since that plan is fine.
    """
    newest = Plan.objects.filter(window=OuterRef("window")).order_by("-version").values("pk")[:1]
    over = Plan.objects.filter(
        window__end__lte=now, window__as_of__isnull=True, pk=Subquery(newest)
    ).order_by("window__start")
    columns = over.values_list("window", "document__window", "document__backports")
    for pk, hours, asked in columns.iterator():
        window = Window.objects.get(pk=pk)
        if hours != {"start": time_text(window.start), "end": time_text(window.end)}:
            yield f"Window {pk} is over, and its hours are not those that it was planned for."
        planned = {one["change"]: one for one in asked}
        for backport in _as_planned(window).filter(change__number__in=planned):
            told = planned[backport.change.number]
            if changed := [name for name, value in _facts(backport).items() if told[name] != value]:
                yield (
                    f"Backport {backport.pk} of window {pk}, which is over, was changed "
                    f"without an event: {', '.join(changed)}."
                )


def _as_planned(window: Window) -> QuerySet[Backport]:
    """Return the open backports of a window that are as its newest plan has them.

    What happens makes a new plan, but for a window that is locked.
    """
    backports = Backport.objects.filter(window=window, status__in=OPEN_STATUSES)
    backports = backports.select_related("change", "requester").defer("change__diff")
    if not window.is_locked:
        return backports.order_by("pk")
    events = Event.objects.filter(window=window)
    lock = events.filter(kind="window.lock").aggregate(seq=Max("seq"))["seq"] or 0
    since = events.filter(seq__gt=lock, backport__isnull=False)
    return backports.exclude(pk__in=since.values("backport")).order_by("pk")


def _facts(backport: Backport) -> dict[str, Any]:
    """Return what a plan document tells of a backport that only an event may change."""
    return {
        "requester": backport.requester.username,
        "submitted_at": time_text(backport.submitted_at),
        "kind": backport.kind,
        "urgency": Urgency(backport.urgency).slug,
        "present": backport.present,
        "marks": sorted(backport.marks),
        "criteria": sorted(backport.criteria),
    }


INVARIANTS = (
    Invariant(
        "I1",
        "Nothing goes without an approval of exactly what it is now, by somebody else.",
        approvals_that_do_not_count,
    ),
    Invariant(
        "I2",
        "After every step of every plan in force, what goes has what it needs; "
        "no step was started before that was live.",
        unsafe_steps,
    ),
    Invariant("I3", "No window has more queued patches than slots.", overfull_windows),
    Invariant(
        "I4",
        "At most one lease of a window is in force, numbers only grow, "
        "and what its driver does is done under it.",
        leases_that_do_not_count,
    ),
    Invariant("I5", "Every state is what the events in the log led to.", states_without_events),
    Invariant(
        "I6",
        "Every override has a reason and two people, neither of them the requester; "
        "every emergency two people, one for each role.",
        decisions_of_too_few,
    ),
    Invariant("I7", "No change is in two open backports.", changes_booked_twice),
    Invariant(
        "I8", "Every plan in force comes out again, byte for byte.", plans_that_do_not_repeat
    ),
    Invariant(
        "I9", "Every event was handed on, and nobody is told of one twice.", forgotten_events
    ),
    Invariant(
        "I10",
        "What is in a window that is over changes only by an event.",
        closed_windows_changed,
    ),
)
