"""Another window: for what has no room in its own, and for what was missed in it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from scheduler.actors import actor_of, relations_to
from scheduler.adapters.plan_document import parse
from scheduler.domain.backports import Urgency
from scheduler.domain.errors import Refused
from scheduler.domain.lifecycle import OPEN, Action, Status
from scheduler.domain.permissions import Act, require
from scheduler.domain.planning.needing import needing
from scheduler.domain.windows import BOOKABLE, FreezeRule, FreezeScope
from scheduler.models import Backport, Change, Plan, User, Window
from scheduler.queries import (
    OPEN_STATUSES,
    freezes_over,
    is_confirmed_emergency,
    newest_plans,
    stopping_rules,
)
from scheduler.services.backports import (
    read_again,
    require_bookable,
    require_current,
    require_difference,
    supersede_ride,
    take_to_book,
    was_reverted,
)
from scheduler.services.events import record
from scheduler.services.fingerprints import ANSWERS
from scheduler.services.plans import end_all_lifting, replan_window, take_turn, void_approval

MOST_LOOKED_AT = 60  # windows: more than there are in the weeks that the clock makes them ahead

# What can be booked again: it was not deployed, or it was and had to be taken back.
ENDED_WITHOUT = frozenset(Status) - OPEN - {Status.DEPLOYED}


def next_window_with_room(
    *, after: Window, now: datetime, urgency: Urgency = Urgency.NORMAL
) -> Window | None:
    """Return the next window in which one more patch has room; None if none is planned.

    That is a slot and the minutes of a patch, after all that is in its queue. One that a freeze
    stops is passed over, and one for urgent patches only if this is none. A constant number of
    queries.

    Args:
        after: look at those that begin later than this one.
        now: the clock, UTC.
        urgency: of what looks for room.
    """
    coming = [
        window
        for window in Window.objects.filter(
            kind__in=[kind.value for kind in BOOKABLE],
            start__gt=max(now, after.start),
            as_of__isnull=True,
            cancelled_at__isnull=True,
            skipped_at__isnull=True,
            locked_at__isnull=True,
        )
        .prefetch_related("confirmations")
        .order_by("start")[:MOST_LOOKED_AT]
        if not window.is_closed(now)
    ]
    rules = stopping_rules()
    taken = taken_in(coming)
    return next(
        (
            one
            for one in coming
            if taken[one.pk].has_room(one) and not _is_stopped(one, rules, urgency)
        ),
        None,
    )


def _is_stopped(window: Window, rules: Iterable[FreezeRule], urgency: Urgency) -> bool:
    over = () if is_confirmed_emergency(window) else freezes_over(window, rules)
    return any(freeze.scope is FreezeScope.ALL or urgency > Urgency.HIGH for freeze in over)


@dataclass(frozen=True, slots=True)
class Taken:
    """What the queue of a window takes up: slots, and minutes from its start."""

    slots: int = 0
    minutes: int = 0

    def has_room(self, window: Window) -> bool:
        """Return whether one more patch fits behind it."""
        numbers = window.numbers
        return (
            self.slots < numbers.max_patches
            and self.minutes <= numbers.last_start_minute
            and self.minutes + numbers.minutes_per_patch <= window.to_domain().minutes
        )


def taken_in(windows: Iterable[Window]) -> dict[int, Taken]:
    """Return what the newest plan of each window takes up, by the window's key.

    Beta-only changes take no slot.
    """
    windows = list(windows)
    plans = newest_plans(windows)
    queues = {key: plan.result["queue"] for key, plan in plans.items()}
    queued = {
        key: [number for step in queue for number in step["changes"]]
        for key, queue in queues.items()
    }
    rows = Change.objects.filter(number__in={n for some in queued.values() for n in some})
    taking = {
        change.number
        for change in rows.defer("diff")
        if not change.to_domain(with_diff=False).is_beta_only
    }
    return {
        window.pk: Taken(
            len(taking.intersection(queued.get(window.pk, ()))),
            sum(step["minutes"] for step in queues.get(window.pk, ())),
        )
        for window in windows
    }


@transaction.atomic
def move_on(*, backport: Backport, by: User, to: Window, fingerprint: str) -> list[Backport]:
    """Move a backport to another window, with everything that needs it and goes with it.

    In another window it is another request: an approval was for the first one, and becomes void.
    One event is logged for each.

    Args:
        backport: what has no room where it is.
        by: who.
        to: another window.
        fingerprint: digest of what the page showed of the backport.

    Returns:
        What was moved, the given one first.

    Raises:
        NotPermitted: neither the requester nor a reviewer, deployer or release engineer.
        OutOfDate: it is not what the page showed any more.
        IllegalTransition: one of them is over, queued or being deployed.
        Refused: the same window, or nobody can book in that one any more.
    """
    window = backport.window
    for place in sorted({window, to}, key=lambda place: place.pk):
        take_turn(place)
    read_again(backport)
    actor = actor_of(by)
    require(actor, Act.MOVE_ON, relations_to(actor, backport))
    require_current(backport, fingerprint)
    if to == window:
        raise Refused("It is in this window already.")
    now = timezone.now()
    require_bookable(by, to, now)
    moved = [backport, *_needing(backport, OPEN_STATUSES)]
    for one in moved:
        _move(one, by, to, now)
    replan_window(window=window, now=now)
    replan_window(window=to, now=now)
    for one in moved:
        read_again(one)
    return moved


def _move(backport: Backport, by: User, to: Window, at: datetime) -> None:
    before = backport.window
    backport.apply(Action.MOVE_ON, approved_content="")
    void_approval(backport, at)
    end_all_lifting(backport, at)
    Backport.objects.filter(pk=backport.pk).update(window=to)
    record(
        kind="backport.move-on",
        actor=by,
        window=to,
        backport=backport,
        payload={"from": str(before), "to": str(to)},
        at=at,
    )


@transaction.atomic
def book_again(
    *, backport: Backport, by: User, window: Window, what_differs: str = ""
) -> list[Backport]:
    """Book again what ended without being deployed, with everything that needs it and ended too.

    The answers are those of before; each waits for review again. One event is logged for each.

    Args:
        backport: one that was missed, or left to the train, or to a dedicated window, or reverted,
            or withdrawn or declined.
        by: who does it; its requester stays its requester.
        window: where.
        what_differs: what is different this time, where the same patch set was reverted.

    Returns:
        The new backports, that of the given one first.

    Raises:
        NotPermitted: neither the requester nor a deployer or release engineer.
        Refused: it is open or deployed, its change is booked already, nobody can book there, or it
            was reverted and nobody said what is different.
    """
    take_to_book(window, [backport.change])
    read_again(backport)
    actor = actor_of(by)
    require(actor, Act.BOOK_AGAIN, relations_to(actor, backport))
    now = timezone.now()
    if Status(backport.status) not in ENDED_WITHOUT:
        raise Refused("It has not ended, or it is deployed: there is nothing to book again.")
    require_bookable(by, window, now)
    again = [backport]
    if backport.status == Status.MISSED.value:
        again += _needing(backport, [Status.MISSED.value])
    for one in again:
        require_difference(one.change, what_differs)
    made = []
    for one in again:
        new = _book(one, by, window, now, what_differs)
        if new is not None:
            made.append(new)
        elif one == backport:
            raise Refused(f"Change {one.change} is booked already.")
    replan_window(window=window, now=now)
    for one in made:
        read_again(one)
    return made


def _book(
    ended: Backport, by: User, window: Window, at: datetime, what_differs: str
) -> Backport | None:
    """Book again what ended; return None if its change is booked already, in whichever window."""
    booked = Backport.objects.filter(change=ended.change, status__in=OPEN_STATUSES)
    try:
        with transaction.atomic():
            made = Backport.objects.create(
                change=ended.change,
                window=window,
                requester=ended.requester,
                edited_by=ended.edited_by,
                asked_by=sorted({*ended.asked_by, by.username} - {ended.requester.username}),
                submitted_at=at,
                what_differs=what_differs if was_reverted(ended.change) else "",
                **{name: getattr(ended, name) for name in ANSWERS},
            )
    except IntegrityError:
        if not booked.exists():
            raise
        return None
    record(
        kind="backport.submit",
        actor=by,
        window=window,
        backport=made,
        payload={
            "change": ended.change.number,
            "patch_set": ended.change.patch_set,
            "again": ended.pk,
            "requester": ended.requester.username,
        },
        at=at,
    )
    supersede_ride(made, by, at)
    return made


def _needing(backport: Backport, statuses: Iterable[str]) -> list[Backport]:
    """Return what needs a backport or goes with it, directly or not, in its window; by number.

    What needs what is taken from the newest plan of the window that knows the backport.
    """
    number = backport.change.number
    plans = Plan.objects.filter(window=backport.window).order_by("-version").iterator()
    document = next((plan.document for plan in plans if number in _asked_in(plan)), None)
    if document is None:
        return []
    rows = Backport.objects.filter(
        window=backport.window,
        change__number__in=needing(parse(json.dumps(document)), number),
        status__in=list(statuses),
    )
    return list(
        rows.select_related("change", "window", "requester", "edited_by").order_by("change__number")
    )


def _asked_in(plan: Plan) -> set[int]:
    return {asked["change"] for asked in plan.document["backports"]}
