"""Deploying a window: what its driver, its testers and a second person do, in the one order.

Every act takes the window first, looks at how far it is, asks the rules of the checklist, writes,
and logs. Nobody gets past them: pages, the API and tests call the same functions.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from scheduler.actors import actor_of, is_same_person, relations_to
from scheduler.adapters.plan_document import time_text
from scheduler.adapters.ports import AdapterError, ReviewSystem
from scheduler.domain.checklist.run import Outcome, Phase, StepState
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.errors import NotPermitted, OutOfDate, Refused
from scheduler.domain.lifecycle import Action, Status
from scheduler.domain.permissions import Act, Relation, require
from scheduler.domain.safety import Judge
from scheduler.models import (
    Backport,
    Change,
    EventHead,
    Presence,
    Question,
    Run,
    RunItem,
    RunStep,
    User,
    Window,
)
from scheduler.queries import approval_of, open_backports, related_changes, statements_about
from scheduler.services.changes import store_changes
from scheduler.services.clock import database_now
from scheduler.services.events import record
from scheduler.services.fingerprints import digest
from scheduler.services.leases import end_lease, require_lease
from scheduler.services.plans import replan_window, take_turn
from scheduler.services.runs import (
    CHECK_IN_OPENS,
    Course,
    course_of,
    is_vouched,
    unfinished_elsewhere,
)
from scheduler.services.windows import miss_backport

LEFT_FOR = timedelta(minutes=30)  # windows overrun; then what nobody drives any more is closed
MOST_EXTRA = 60  # minutes that a driver may let steps start later than planned
LONGEST_PROOF = 4000  # characters of an output line, an address or a report


@dataclass(frozen=True, slots=True)
class OnStep:
    """A step as somebody saw it who does something about it.

    Attributes:
        position: which step of the window.
        by: who does it.
        seen: the step's `turn` as the page showed it.
        lease: the number under which they drive; None for who does not.
    """

    window: Window
    position: int
    by: User
    seen: int
    lease: int | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """What becomes of a step.

    Attributes:
        by: whose doing it is; None is the clock.
        reason: why, where that needs saying.
        is_broken: it failed, and is left as it is.
    """

    outcome: Outcome
    by: User | None
    reason: str = ""
    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What Gerrit said about the changes of a step, a moment before it was to start.

    Attributes:
        trouble: why it said nothing; "" if it answered about all of them.
    """

    trouble: str = ""


def read_before_start(*, window: Window, position: int, system: ReviewSystem | None) -> Reading:
    """Ask Gerrit about the changes of a step once more, and store what it says.

    A new patch set voids the approval, so that the step does not start. Never call this inside a
    transaction: it waits for the network.

    Args:
        window: which.
        position: which step.
        system: whom to ask; None is nobody.
    """
    course = course_of(window, database_now())
    if system is None:
        return Reading("no review system is set up here")
    for backport in course.members.get(position, ()):
        try:
            fetched = system.fetch_change(str(backport.change.number))
        except AdapterError as trouble:
            return Reading(str(trouble).removesuffix("."))
        store_changes(fetched=fetched, at=timezone.now())
    return Reading()


@transaction.atomic
def begin_window(*, window: Window, by: User, lease: int, seen: str) -> Run:
    """Begin to deploy a window: from now on its steps and items are fixed. One event is logged.

    Args:
        window: locked, and begun by the clock; a replay begins whenever somebody wants.
        by: who drives it.
        lease: the number under which they do.
        seen: digest of what the page showed that changed since the lock (`seen_of`).

    Raises:
        NotPermitted: not a deployer.
        OutOfDate: somebody else drives it, it was begun already, or more changed meanwhile.
        Refused: it is not locked or not time, a question is open, something was left merged, or a
            step of another window is under way.
    """
    take_turn(window)
    now = database_now()
    require_lease(window, by, lease, now)
    course = course_of(window, now)
    if course.run is not None:
        raise OutOfDate("This window was begun already.")
    _require_time(course)
    _require_nothing_open(course)
    if seen != seen_of(course):
        raise OutOfDate("Something changed since you read it; look at it again.")
    if course.plan is None or not course.state.steps:
        raise Refused("The queue is empty: there is nothing to begin.")
    run = Run.objects.create(window=window, plan=course.plan, begun_at=now, begun_by=by)
    for plan_step in course.plan.steps.order_by("position"):
        row = RunStep.objects.create(run=run, plan_step=plan_step, position=plan_step.position)
        state = course.state.at(plan_step.position)
        made = [course.items[item.key] for item in state.items]
        for item in made:
            item.pk, item.step = None, row
        RunItem.objects.bulk_create(made)
    record(
        kind="window.begin",
        actor=by,
        window=window,
        payload={
            "plan": course.plan.version,
            "lease": lease,
            "queued": [number for s in course.state.steps for number in s.step.changes],
            "blocked": {str(place): why for place, why in course.state.blocked.items()},
        },
        at=now,
    )
    return run


def seen_of(course: Course) -> str:
    """Return what a page has to send back: which queue it showed, and what of it is blocked."""
    blocked = {str(place): why for place, why in course.state.blocked.items()}
    return digest({"plan": course.plan.fingerprint if course.plan else "", "blocked": blocked})


def _require_time(course: Course) -> None:
    window = course.window
    if not window.is_locked:
        raise Refused("Lock the queue first.")
    if not window.takes_place:
        raise Refused("This window does not take place.")
    if course.clock < window.start and window.as_of is None:
        raise Refused(f"The window begins at {window.start:%H:%M} UTC.")
    if window.as_of is None and course.at >= window.end:
        raise Refused("This window is over: book what is in it again.")


def _require_nothing_open(course: Course, numbers: Collection[int] = ()) -> None:
    """Let pass a window that nothing outside its steps holds up, for a step of these changes."""
    window = course.window
    EventHead.objects.filter(id=1).update(seq=F("seq"))  # two windows do not start at once
    question = Question.objects.filter(window=window, closed_at__isnull=True).first()
    if question is not None:
        raise Refused(
            f"Somebody has to say first how {question.low} and {question.high} belong together."
        )
    if course.leftovers:
        named = " and ".join(map(str, course.leftovers))
        raise Refused(
            f"Deal with {named} first: merged, known not to be deployed, and in nobody's queue. "
            "The next sync would carry it along. Where it was left it can be reverted."
        )
    again = [number for number in course.queued_leftovers if number not in numbers]
    if again and numbers:
        raise Refused(
            f"{' and '.join(map(str, again))} is merged and not live, and in this queue again: it "
            "goes first, or is reverted where it was left. The next sync would carry it along."
        )
    other = unfinished_elsewhere(window) if window.as_of is None else None
    if other is not None:
        raise Refused(f"A step of {other} is still under way: it has to be finished first.")


@transaction.atomic
def start_step(*, on: OnStep, reading: Reading) -> RunStep:
    """Start a step: its backports are being deployed from now on. One event for each is logged.

    Where Gerrit did not answer, the step waits for a second person instead, once; with their word
    it starts with what was approved.

    Args:
        on: which, and who drives.
        reading: what `read_before_start` returned a moment ago.

    Raises:
        NotPermitted: not a deployer.
        OutOfDate: somebody else drives, or the step is not what the page showed.
        Refused: it is not its turn, what it needs is not live, it is too late, or production
            would not be safe after it.
    """
    course, row = take_step(on)
    window, position, by = on.window, on.position, on.by
    state = course.state.require_start(position)
    _require_time_to_start(course)
    _require_nothing_open(course, state.step.changes)
    members = course.members[position]
    _require_approved(members, window)
    _require_safe(course, state)
    unverified = ""
    if reading.trouble:
        if not _is_vouched_by_another(row, on.by, course.at):
            return _wait_for_word(course, row, state, by, reading.trouble)
        unverified = reading.trouble
    change_step(
        row,
        phase=Phase.GOING.value,
        started_at=course.at,
        unverified=unverified[:300],
    )
    for backport in members:
        change = backport.change
        backport.apply(Action.START)
        Backport.objects.filter(pk=backport.pk).update(
            started_patch_set=change.patch_set, started_sha=change.sha
        )
        record(
            kind="backport.start",
            actor=by,
            window=window,
            backport=backport,
            payload={
                "step": position,
                "lease": on.lease,
                "patch_set": change.patch_set,
                "sha": change.sha,
                "needs": sorted({because.first for because in state.step.because}),
                "live": list(course.state.live),
                **(
                    {"unverified": unverified, "vouched_by": str(row.vouched_by)}
                    if unverified
                    else {}
                ),
            },
            at=course.at,
        )
    return row


def take_step(on: OnStep) -> tuple[Course, RunStep]:
    """Take a step for the rest of the transaction, for what its driver does to what they saw.

    Raises:
        NotPermitted: not a deployer.
        OutOfDate: somebody else drives, the window is closed, or the step changed since.
        Refused: the window has not begun, or has no such step.
    """
    take_turn(on.window)
    now = database_now()
    require_lease(on.window, on.by, on.lease, now)
    return step_as_shown(on, now)


def step_as_shown(on: OnStep, now: datetime) -> tuple[Course, RunStep]:
    """Return how far a window is, and a step of it that is still what the page showed.

    Whoever calls this holds the window.

    Raises:
        OutOfDate: the window is closed, or the step changed since.
        Refused: the window has not begun, or has no such step.
    """
    course = course_of(on.window, now)
    require_open(course)
    row = course.rows.get(on.position)
    if row is None:
        raise Refused(f"There is no step {on.position} in this window.")
    if row.turn != on.seen:
        raise OutOfDate(f"Step {on.position} changed since you opened the page; look at it again.")
    return course, row


def require_open(course: Course) -> Run:
    """Let pass a window that has begun and is not closed; return its run.

    Raises:
        OutOfDate: it is closed.
        Refused: it has not begun.
    """
    if course.run is None:
        raise Refused("This window has not begun.")
    if course.is_closed:
        raise OutOfDate("This window is closed.")
    return course.run


def change_step(row: RunStep, **columns: object) -> None:
    """Change a step, unless it changed since it was read.

    Raises:
        OutOfDate: it did.
    """
    as_read = RunStep.objects.filter(pk=row.pk, turn=row.turn, phase=row.phase)
    if as_read.update(turn=F("turn") + 1, **columns) != 1:
        raise OutOfDate(f"Step {row.position} just changed; look at it again.")
    for name, value in {**columns, "turn": row.turn + 1}.items():
        setattr(row, name, value)


def _require_time_to_start(course: Course) -> None:
    if course.clock < course.window.start:
        raise Refused(f"The window begins at {course.window.start:%H:%M} UTC.")
    if course.clock >= course.last_start:
        raise Refused(
            f"No step starts after {course.last_start:%H:%M} UTC. Let it be missed and book it "
            "again, or extend the window, with a reason."
        )


def _require_approved(members: Iterable[Backport], window: Window) -> None:
    """Let pass what is approved exactly as it is now (`trust.md` I1)."""
    approvals = {one.pk: approval_of(one) for one in open_backports(window)}
    for backport in members:
        change, approval = backport.change, approvals.get(backport.pk)
        if approval is None or (approval.patch_set, approval.sha) != (change.patch_set, change.sha):
            raise Refused(
                f"Patch set {change.patch_set} of {change.number} is not what was approved."
            )


def _require_safe(course: Course, state: StepState) -> None:
    """Let pass a step after which production is safe, as the independent checker judges."""
    plan = course.plan
    asked = plan.document["backports"] if plan else []
    queued = [one.change for members in course.members.values() for one in members]
    statements = statements_about(one.pk for one in queued)
    judge = Judge(
        related_changes(queued, statements, with_diff=False),
        [one["change"] for one in asked],
        course.production,
        statements,
        {one["change"]: frozenset(one["overridden"]) for one in asked if one.get("overridden")},
    )
    live = [s.step.changes for s in course.state.steps if s.is_live]
    *_, before, after = judge.states([*live, state.step.changes])
    for breach in after.broken:  # what is broken already is not of this step's making
        if not breach.accepted and breach not in before.broken:
            raise Refused(f"Production would not be safe after it: {breach.text}.")


def _is_vouched_by_another(row: RunStep, driver: User, at: datetime) -> bool:
    """Return whether a second person said that a step may start: the wheel may be theirs by now."""
    vouched_by = row.vouched_by
    return vouched_by is not None and is_vouched(row, at) and not is_same_person(vouched_by, driver)


def _wait_for_word(
    course: Course, row: RunStep, state: StepState, by: User, trouble: str
) -> RunStep:
    """Note that Gerrit did not answer: a second person has to say that the step may start.

    While nobody has, it is noted and told once.
    """
    if row.unverified and row.vouched_by is None:
        return row
    change_step(row, unverified=trouble[:300], vouched_by=None, vouched_at=None)
    record(
        kind="step.unverified",
        actor=by,
        window=course.window,
        payload={
            "step": row.position,
            "changes": list(state.step.changes),
            "reason": trouble,
        },
        at=course.at,
    )
    return row


@transaction.atomic
def vouch_for_step(*, on: OnStep, reason: str) -> RunStep:
    """Say, as the second person, that a step may start although Gerrit does not answer.

    It holds for a quarter of an hour. One event is logged.

    Raises:
        NotPermitted: they drive, it is their own work, or they have no role for it.
        OutOfDate: nothing waits for that any more.
        Refused: no reason.
    """
    take_turn(on.window)
    now = database_now()
    course, row = step_as_shown(on, now)
    by, position = on.by, on.position
    actor = actor_of(by)
    for backport in course.members[position]:
        require(actor, Act.VOUCH, relations_to(actor, backport))
    if course.lease is not None and is_same_person(course.lease.holder, by):
        raise NotPermitted("You drive this window: the second person is somebody else.")
    if not row.unverified or row.phase != Phase.WAITING.value:
        raise OutOfDate("Nothing waits for a second person any more.")
    if not reason.strip():
        raise Refused("Say how you know that it is what was approved.")
    change_step(row, vouched_by=by, vouched_at=now)
    record(
        kind="step.vouch",
        actor=by,
        window=on.window,
        payload={
            "step": position,
            "changes": [one.change.number for one in course.members[position]],
            "reason": reason.strip(),
        },
        at=now,
    )
    return row


@transaction.atomic
def tick_item(*, on: OnStep, item: int, proof: str = "", by_api: bool = False) -> Course:
    """Note that an item is done. One event is logged, and more where a step is over with it.

    Args:
        on: which step, and who did it: the driver, or to verify the requester or the tester.
        item: its key.
        proof: an address, a line of output, what was seen; shown to everybody.
        by_api: whether a program reports it.

    Returns:
        How far the window is then, which need not be read again.

    Raises:
        NotPermitted: only the tester says what they saw, or not a deployer.
        OutOfDate: it was done already, somebody else drives, or the step changed since.
        Refused: its turn has not come, or its minutes are not over.
    """
    take_turn(on.window)
    now = database_now()
    course, row = step_as_shown(on, now)
    stored = course.items.get(item)
    if stored is None or stored.step_id != row.pk:
        raise Refused(f"There is no such item in step {on.position}.")
    kind = ItemKind(stored.kind)
    by_plan = kind is ItemKind.VERIFY and _require_tester(course, stored, on)
    is_driven = kind is not ItemKind.VERIFY or by_plan
    if is_driven:
        until = require_lease(on.window, on.by, on.lease, now)
        if course.lease is not None:  # nobody else writes while this holds the window
            course.lease.until = until
    course.progress.require_tick(on.position, item, now)
    done: dict[str, object] = {
        "done_at": now,
        "done_by": on.by,
        "lease": on.lease if is_driven else None,
        "proof": proof.strip()[:LONGEST_PROOF],
        "by_api": by_api,
    }
    if RunItem.objects.filter(pk=item, done_at__isnull=True).update(**done) != 1:
        raise OutOfDate("That was done already; the page shows by whom and when.")
    for name, value in done.items():
        setattr(stored, name, value)
    if kind is not ItemKind.VERIFY:  # testers of one step do not stand in each other's way
        change_step(row)
    _note_in_production(kind, course, on.position)
    course = course.once_more()
    _record_tick(course, on, stored, by_plan=by_plan)
    _end_if_done(course, on)
    return course.once_more()


def _require_tester(course: Course, item: RunItem, on: OnStep) -> bool:
    """Let pass who may say what is seen on the test servers; return whether by the test plan alone.

    That is the requester and the named tester. The driver may by the test plan, where nobody will
    be there and the change is of low risk (`policy.md`, `requester-absent`); never for an absent
    tester.

    Raises:
        NotPermitted: somebody else.
    """
    backport = next(
        one
        for members in course.members.values()
        for one in members
        if one.change.number == item.number
    )
    actor, lease = actor_of(on.by), on.lease
    relations = relations_to(actor, backport)
    if relations & {Relation.REQUESTER, Relation.TESTER}:
        require(actor, Act.VERIFY, relations)
        return False
    answer = course.answers[backport.change.number]
    if answer.by_plan and lease is not None:
        return True
    if lease is not None:
        raise NotPermitted(
            f"Only {answer.tester or answer.requester} says what is seen on the test servers. "
            "If they are not here, say so: it is missed, and can be booked again."
        )
    require(actor, Act.VERIFY, relations)
    return False


_DEPLOYED_AFTER: Mapping[ItemKind, bool] = {
    ItemKind.MERGE: False,
    ItemKind.SYNC: True,
    ItemKind.TAKE_BACK: False,
}


def _note_in_production(kind: ItemKind, course: Course, position: int) -> None:
    """Note what production runs of a step now; what only Beta sees was never to be synced."""
    runs = _DEPLOYED_AFTER.get(kind)
    if runs is None:
        return
    state = course.progress.at(position)
    if not any(item.kind is ItemKind.SYNC for item in state.items):
        runs = kind is ItemKind.MERGE
    _note_deployed(course, position, runs=runs)


def _note_deployed(course: Course, position: int, *, runs: bool) -> None:
    changes = [one.change for one in course.members[position]]
    Change.objects.filter(number__in=[one.number for one in changes]).update(deployed=runs)
    for change in changes:
        change.deployed = runs


def _record_tick(course: Course, on: OnStep, item: RunItem, *, by_plan: bool) -> None:
    state = course.progress.at(on.position)
    turn = [one for one in state.turn if one.kind is ItemKind.VERIFY]
    newly = turn if item.kind != ItemKind.VERIFY.value else []
    record(
        kind="step.tick",
        actor=on.by,
        window=on.window,
        payload={
            "step": on.position,
            "item": item.kind,
            "place": item.place,
            "changes": [item.number] if item.number else list(state.step.changes),
            "live": list(course.progress.live),
            "verify": sorted(one.number or 0 for one in newly),
            **({"proof": item.proof} if item.proof else {}),
            **({"lease": item.lease} if item.lease else {}),
            **({"by_plan": True} if by_plan else {}),
            **({"api": True} if item.by_api else {}),
        },
        at=course.at,
    )


def _end_if_done(course: Course, on: OnStep) -> None:
    """End a step of which everything is done: it is deployed, or what it was taken back for."""
    state, row = course.progress.at(on.position), course.rows[on.position]
    if state.turn:
        return
    if state.phase is Phase.GOING_BACK:
        end_step(course, row, Ending(Outcome(row.ends_as), on.by, row.reason))
    elif state.phase is Phase.GOING:
        end_step(course, row, Ending(Outcome.DEPLOYED, on.by))


def end_step(course: Course, row: RunStep, ending: Ending) -> None:
    """End a step, and with it what is said of its backports. One event for each is logged.

    What is missed or skipped can be booked again. Whoever calls this holds the window.
    """
    change_step(
        row,
        phase=Phase.ENDED.value,
        outcome=ending.outcome.value,
        ended_at=course.at,
        reason=ending.reason[:500],
        is_broken=ending.is_broken,
    )
    state = course.progress.at(row.position)
    if state.is_merged and not state.is_live:  # whatever was ticked
        _note_deployed(course, row.position, runs=False)
    for backport in course.members[row.position]:
        if backport.window_id == course.window.pk:  # else it was moved to another one
            _end_backport(backport, ending, course.at)


_ENDS: Mapping[Outcome, Action] = {
    Outcome.DEPLOYED: Action.FINISH,
    Outcome.REVERTED: Action.TAKE_BACK,
    Outcome.SKIPPED: Action.MISS,
    Outcome.MISSED: Action.MISS,
}
_STAYS: Mapping[Outcome, Status] = {Outcome.DEPLOYED: Status.DEPLOYED}


def _end_backport(backport: Backport, ending: Ending, at: datetime) -> None:
    status, action = Status(backport.status), _ENDS[ending.outcome]
    if status is _STAYS.get(ending.outcome):
        return  # it went live, broke and was left
    if action is Action.MISS:
        if status.is_open:  # it may have left the window before
            skipped = ending.outcome is Outcome.SKIPPED
            why = f"it failed, and was skipped: {ending.reason}" if skipped else ending.reason
            miss_backport(backport, why=why, at=at, by=ending.by)
        return
    backport.apply(action)
    record(
        kind=f"backport.{action.value}",
        actor=ending.by,
        window=backport.window,
        backport=backport,
        payload={
            **({"reason": ending.reason} if ending.reason else {}),
            **({"broken": True} if ending.is_broken else {}),
        },
        at=at,
    )


@transaction.atomic
def extend_window(*, window: Window, by: User, lease: int, minutes: int, reason: str) -> Run:
    """Let steps start later than the policy says, as its driver decides. One event is logged.

    Args:
        window: which.
        by: who drives.
        lease: the number under which they do.
        minutes: how many more, on top of what was decided before.
        reason: why.

    Raises:
        NotPermitted: not a deployer.
        OutOfDate: somebody else drives, or it is closed.
        Refused: it has not begun, no reason, or too many minutes.
    """
    take_turn(window)
    now = database_now()
    require_lease(window, by, lease, now)
    run = require_open(course_of(window, now))
    if not reason.strip():
        raise Refused("Say why steps may start later.")
    if not 0 < minutes <= MOST_EXTRA - run.extra_minutes:
        raise Refused(
            f"In all, at most {MOST_EXTRA} minutes more; {run.extra_minutes} were given already."
        )
    Run.objects.filter(pk=run.pk).update(extra_minutes=F("extra_minutes") + minutes)
    record(
        kind="window.extend",
        actor=by,
        window=window,
        payload={"minutes": minutes, "lease": lease, "reason": reason.strip()},
        at=now,
    )
    run.refresh_from_db()
    return run


@transaction.atomic
def close_window(*, window: Window, by: User, lease: int, seen: str, reason: str) -> Run:
    """Close a window: what has no outcome is missed, and a summary goes out. One event is logged.

    Args:
        window: which.
        by: who drives.
        lease: the number under which they do.
        seen: the steps that the page said will be missed, such as "2,3"; "" for none.
        reason: why they are; not needed where there is none, or where each has a reason of its own.

    Raises:
        NotPermitted: not a deployer.
        OutOfDate: somebody else drives, it is closed, or other steps would be missed.
        Refused: a step is under way, or no reason.
    """
    take_turn(window)
    now = database_now()
    require_lease(window, by, lease, now)
    course = course_of(window, now)
    if require_open(course).closed_at is not None:
        raise OutOfDate("This window is closed; what was left merged is still to be reverted.")
    left = course.state.require_close()
    if seen != ",".join(map(str, left)):
        raise OutOfDate("Something changed since you read what will be missed; look at it again.")
    unsaid = [place for place in left if place not in course.state.blocked]
    if unsaid and not reason.strip():
        raise Refused("Say why the steps that could still start are missed.")
    close(course, by=by, reason=reason.strip())
    return Run.objects.get(window=window)


def close(course: Course, *, by: User | None, reason: str) -> None:
    """Close a window of which nothing is under way, and have nobody drive it any more.

    One event is logged, and one for what is missed. Whoever calls this holds the window.
    """
    blocked = course.state.blocked
    for place in course.state.require_close():
        why = blocked.get(place) or reason
        end_step(course, course.rows[place], Ending(Outcome.MISSED, by, why))
    Run.objects.filter(window=course.window).update(closed_at=course.at, closed_by=by)
    course = course_of(course.window, course.at)
    record(
        kind="window.close",
        actor=by,
        window=course.window,
        payload=summary_of(course, reason),
        at=course.at,
    )
    if course.lease is not None:
        end_lease(course.lease, course.at)
    replan_window(window=course.window, now=course.at)


def close_what_was_left(*, now: datetime) -> int:
    """Close the windows that ended a while ago and that nobody drives any more; return how many.

    Any number of clocks may do this at once. One of which a step is under way stays as it is:
    somebody has to say what became of that.
    """
    left = Window.objects.filter(
        run__isnull=False, run__closed_at__isnull=True, as_of__isnull=True, end__lte=now - LEFT_FOR
    )
    return sum(_close_if_left(window) for window in left.order_by("pk"))


@transaction.atomic
def _close_if_left(window: Window) -> bool:
    take_turn(window)
    now = database_now()
    course = course_of(window, now)
    is_driven = course.lease is not None and course.lease.until > now
    is_closed = course.run is None or course.run.closed_at is not None
    if is_closed or is_driven or window.end > now - LEFT_FOR or course.state.current is not None:
        return False
    close(course, by=None, reason="its window is over, and nobody closed it")
    return True


def summary_of(course: Course, reason: str) -> dict[str, object]:
    """Return the queue as it was planned and as it was done, for the log and for mail."""
    outcomes = [row.outcome for row in course.rows.values()]
    return {
        **({"lease": course.lease.number} if course.lease else {}),
        "outcomes": {one.value: outcomes.count(one.value) for one in Outcome},
        "live": list(course.state.live),
        "steps": [
            {
                "step": state.position,
                "changes": list(state.step.changes),
                "planned": time_text(state.step.starts),
                "minutes": state.step.minutes,
                "started": _text(course.rows[state.position].started_at),
                "ended": _text(course.rows[state.position].ended_at),
                "outcome": course.rows[state.position].outcome,
                "reason": course.rows[state.position].reason,
            }
            for state in course.state.steps
        ],
        **({"reason": reason} if reason else {}),
    }


def _text(at: datetime | None) -> str | None:
    return time_text(at) if at else None


@transaction.atomic
def check_in(*, backport: Backport, by: User) -> Presence:
    """Say that one is there to test a backport. One event is logged, unless they had said so.

    Raises:
        NotPermitted: neither its requester nor its tester.
        Refused: it is not in a queue, or it is too early.
    """
    window = backport.window
    take_turn(window)
    backport = Backport.objects.select_related("change", "window", "requester", "edited_by").get(
        pk=backport.pk
    )
    if backport.window != window:
        raise OutOfDate("It was moved to another window; that is where you are asked.")
    actor = actor_of(by)
    require(actor, Act.CHECK_IN, relations_to(actor, backport))
    if Status(backport.status) not in {Status.QUEUED, Status.DEPLOYING}:
        raise Refused("It is not in a queue: nobody has to be there for it.")
    now = database_now()
    opens = window.start - CHECK_IN_OPENS
    if window.as_of is None and now < opens:
        raise Refused(f"Say so from {opens:%H:%M} UTC on, a quarter of an hour before the start.")
    made, is_new = Presence.objects.get_or_create(
        window=window, backport=backport, person=by, defaults={"at": now}
    )
    if is_new:
        record(kind="backport.check-in", actor=by, window=window, backport=backport, at=now)
    return made
