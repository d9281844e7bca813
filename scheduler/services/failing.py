"""When it goes wrong: a step fails, is reverted or left; or it is missed with what needs it."""

from django.conf import settings
from django.db import transaction

from scheduler.actors import actor_of, relations_to
from scheduler.domain.checklist.run import (
    Choice,
    Consequences,
    Outcome,
    Phase,
    failed_on_the_way_back,
)
from scheduler.domain.checklist.steps import way_back_of
from scheduler.domain.errors import OutOfDate, Refused
from scheduler.domain.permissions import Act, may
from scheduler.models import Backport, RunItem, RunStep, User
from scheduler.services.clock import database_now
from scheduler.services.deploying import (
    LONGEST_PROOF,
    Ending,
    OnStep,
    change_step,
    end_step,
    step_as_shown,
    take_step,
)
from scheduler.services.events import record
from scheduler.services.leases import require_lease
from scheduler.services.plans import take_turn
from scheduler.services.runs import Course, course_of, stored_items

# Why a step does not go, as the driver says it.
WHY_MISSED = {
    "absent": "nobody was there to test it",
    "time": "there was no time left",
    "veto": "the deployer vetoed it",
    "dropped": "its requester dropped it",
}


@transaction.atomic
def fail_step(*, on: OnStep, output: str, by_api: bool = False) -> RunStep:
    """Say that a step failed, or broke after it was done: nothing else starts before a choice.

    One event is logged. Where a revert itself failed, its item stays to be done.

    Args:
        on: which, and who says so: the driver, or, while it is under way, who tests it.
        output: what was seen.
        by_api: whether a program reports it.

    Raises:
        NotPermitted: neither.
        OutOfDate: somebody else drives, it failed already, or the step changed since.
        Refused: it has not started, nothing of it is live, or nothing was written.
    """
    course, row = _take(on)
    state = course.state.require_failure(on.position)
    if not output.strip():
        raise Refused("Say what was seen: everybody else has to understand it.")
    at = state.turn[0].kind if state.turn else None
    output = output.strip()[:LONGEST_PROOF]
    if state.phase is Phase.GOING_BACK:
        change_step(row, output=failed_on_the_way_back(row.output, output)[-LONGEST_PROOF:])
    else:
        change_step(
            row,
            phase=Phase.FAILED.value,
            outcome="",
            ended_at=None,
            failed_item=at.value if at else "",
            output=output,
        )
    record(
        kind="step.fail",
        actor=on.by,
        window=on.window,
        payload={
            "step": on.position,
            "item": at.value if at else "",
            "changes": list(state.step.changes),
            "reason": output,
            **({"lease": on.lease} if on.lease else {}),
            **({"api": True} if by_api else {}),
        },
        at=course.at,
    )
    return row


def _take(on: OnStep) -> tuple[Course, RunStep]:
    """Take a step for its driver, or, while it is under way, for who requested or tests it."""
    if on.lease is not None:
        return take_step(on)
    take_turn(on.window)
    now = database_now()
    course, row = step_as_shown(on, now)
    is_going = course.progress.at(on.position).phase is Phase.GOING
    actor = actor_of(on.by)
    for backport in course.members[on.position]:
        if is_going and may(actor, Act.VERIFY, relations_to(actor, backport)):
            return course, row
    require_lease(on.window, on.by, on.lease, now)
    return course, row


def shown_of(told: Consequences) -> str:
    """Return what a page has to send back: which steps it said go back, fall and stay."""
    parts = (told.back, told.falls, told.stays)
    return "/".join(",".join(map(str, part)) for part in parts) + ("!" if told.halts else "")


@transaction.atomic
def choose_for_step(*, on: OnStep, choice: Choice, shown: str, reason: str) -> RunStep:
    """Choose what is done about a step that failed: revert it, or leave it as it is.

    A revert takes back first what is live and needs it; each step has its command and its items.
    One event is logged.

    Args:
        on: which, and who drives.
        choice: what is done.
        shown: digest of the consequences that the page showed (`shown_of`).
        reason: why.

    Raises:
        NotPermitted: not a deployer.
        OutOfDate: somebody else drives, it was chosen already, or it would lead to something else.
        Refused: nothing was merged, so there is nothing to revert; or no reason.
    """
    course, row = take_step(on)
    position, by = on.position, on.by
    told = course.state.require_choice(position, choice)
    if shown != shown_of(told):
        raise OutOfDate("It would lead to something else by now; look at it again.")
    if not reason.strip():
        raise Refused("Say why, in a sentence.")
    reason = reason.strip()
    record(
        kind="step.choose",
        actor=by,
        window=on.window,
        payload={
            "step": position,
            "changes": list(course.state.at(position).step.changes),
            "choice": choice.value,
            "back": list(told.back),
            "falls": list(told.falls),
            "reason": reason,
            "lease": on.lease,
        },
        at=course.at,
    )
    if choice is Choice.LEAVE:
        is_live = course.state.at(position).is_live
        outcome = Outcome.DEPLOYED if is_live else Outcome.SKIPPED
        end_step(course, row, Ending(outcome, by, reason, is_broken=True))
    else:
        _take_back(course, told, Outcome.REVERTED, reason)
    row.refresh_from_db()
    return row


def _take_back(course: Course, told: Consequences, ends_as: Outcome, reason: str) -> None:
    """Give each step that is taken back its items, in the order in which they go back."""
    about = course.state.at(told.back[-1])
    named = " and ".join(map(str, about.step.changes))
    for place, position in enumerate(told.back, start=1):
        row, state = course.rows[position], course.state.at(position)
        why = reason if position == about.position else f"It needs {named}, which is reverted."
        change_step(
            row,
            phase=Phase.GOING_BACK.value,
            back_at=course.at,
            outcome="",
            ended_at=None,
            back=place,
            ends_as=ends_as.value,
            reason=why[:500],
        )
        made = stored_items(
            way_back_of(
                state.step.changes, course.changes, watch_minutes=settings.SWAT_WATCH_MINUTES
            ),
            first=len(state.items) + 1,
        )
        for item in made:
            item.step = row
        RunItem.objects.bulk_create(made)


@transaction.atomic
def miss_step(*, on: OnStep, why: str, shown: str, reason: str = "") -> RunStep:
    """Let a step be missed, and with it what needs it; each can be booked again with one click.

    One event is logged for each backport.

    Args:
        on: which, and who drives. What is merged is taken back before it is over.
        why: a key of `WHY_MISSED`.
        shown: digest of the consequences that the page showed (`shown_of`).
        reason: more about it.

    Raises:
        NotPermitted: not a deployer.
        OutOfDate: somebody else drives, it is over, or it would take along something else.
        Refused: it may be live, or there is no such reason.
    """
    course, row = take_step(on)
    told = course.state.require_missing(on.position)
    if shown != shown_of(told):
        raise OutOfDate("It would lead to something else by now; look at it again.")
    if why not in WHY_MISSED:
        raise Refused("Say why it does not go.")
    said = WHY_MISSED[why] + (f": {reason.strip()}" if reason.strip() else "")
    _miss(course, on.position, told, on.by, said)
    row.refresh_from_db()
    return row


def _miss(course: Course, position: int, told: Consequences, by: User | None, reason: str) -> None:
    numbers = course.state.at(position).step.changes
    named = " and ".join(map(str, numbers))
    record(
        kind="step.miss",
        actor=by,
        window=course.window,
        payload={
            "step": position,
            "changes": list(numbers),
            "back": list(told.back),
            "falls": list(told.falls),
            "reason": reason,
            **(
                {"lease": course.lease.number} if course.lease and course.lease.holder == by else {}
            ),
        },
        at=course.at,
    )
    if told.back:
        _take_back(course, told, Outcome.MISSED, reason)
    else:
        end_step(course, course.rows[position], Ending(Outcome.MISSED, by, reason))
    for other in told.falls:
        along = f"it needs {named}, which was missed: {reason}"
        end_step(course, course.rows[other], Ending(Outcome.MISSED, by, along))


def miss_what_left(*, backport: Backport, by: User | None, reason: str) -> None:
    """Let the step of a backport that left its queue be missed, and what needs it.

    Nothing happens if its window is not being deployed, or its step has started. Whoever calls
    this holds the window.
    """
    now = database_now()
    course = course_of(backport.window, now)
    if course.run is None or course.is_closed:
        return
    position = course.position_of(backport)
    if position is not None and course.state.at(position).phase is Phase.WAITING:
        _miss(course, position, course.state.after_missing(position), by, reason)
