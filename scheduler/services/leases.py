"""Who drives a window: one person at a time, under a number that only grows.

An older number is refused for ever, so whoever comes back to a page that is out of date does
nothing with it (`reference/trust.md` A17, B-4).
"""

from datetime import datetime, timedelta

from django.db import models, transaction
from django.db.models import Max

from scheduler.actors import actor_of, is_same_person
from scheduler.domain.errors import NotPermitted, OutOfDate, Refused
from scheduler.domain.permissions import Act, may, require
from scheduler.models import Lease, User, Window
from scheduler.services.clock import database_now
from scheduler.services.events import record
from scheduler.services.plans import take_turn
from scheduler.services.runs import course_of

LEASE_FOR = timedelta(minutes=5)  # since the driver was last heard of; then another may take over
LONGEST_NOTE = 500  # characters


@transaction.atomic
def take_wheel(*, window: Window, by: User, reason: str = "") -> Lease:
    """Begin to drive a window: nobody does, or who did was not heard of for a while.

    One event is logged.

    Args:
        window: one that is locked.
        by: who.
        reason: why it is taken over from another; not needed where nobody drives.

    Raises:
        NotPermitted: not a deployer.
        OutOfDate: they drive it already.
        Refused: somebody else drives it and was heard of; no reason; or it is not locked, or over.
    """
    require(actor_of(by), Act.DRIVE)
    take_turn(window)
    now = database_now()
    _require_drivable(window, now)
    before = lease_in_force(window)
    if before is not None:
        _require_over(before, by, now, reason)
        end_lease(before, now)
    return _begin(
        window,
        by,
        now,
        kind="lease.take",
        told={"from": before.holder.username, "reason": reason.strip()} if before else {},
    )


def _require_over(before: Lease, by: User, now: datetime, reason: str) -> None:
    if before.holder_id == by.pk:
        raise OutOfDate(f"You drive this window already, since {before.taken_at:%H:%M} UTC.")
    if now < before.until and may(actor_of(before.holder), Act.DRIVE):
        raise Refused(
            f"{before.holder.username} drives this window since {before.taken_at:%H:%M} UTC. They "
            f"can hand it over; if they are not heard of, it can be taken over from "
            f"{before.until:%H:%M:%S} UTC on."
        )
    if not reason.strip():
        raise Refused(
            f"Say why you take it over from {before.holder.username}, who was not heard of since "
            f"{before.until - LEASE_FOR:%H:%M} UTC."
        )


def _require_drivable(window: Window, now: datetime) -> None:
    course = course_of(window, now)
    if course.is_closed:
        raise Refused("This window is closed.")
    if not window.is_locked:
        raise Refused("Lock the queue first: nobody drives what may still change.")
    if not window.takes_place or (course.run is None and window.is_over(now)):
        raise Refused("This window is over.")


@transaction.atomic
def offer_wheel(*, window: Window, by: User, lease: int, to: User, note: str) -> Lease:
    """Hand a window to another deployer, who has to accept it. One event is logged.

    Raises:
        NotPermitted: they do not deploy, or the other one does not.
        OutOfDate: somebody else drives it.
        Refused: it is their own, or nothing was written for the other one to read.
    """
    take_turn(window)
    now = database_now()
    held = _required_lease(window, by, lease, now)
    if is_same_person(by, to):
        raise Refused("Hand it to somebody else.")
    if not may(actor_of(to), Act.DRIVE):
        raise NotPermitted(f"{to.username} may not drive a window.")
    if not note.strip():
        raise Refused(
            "Write what the other one has to know: what is open, and the last safe point."
        )
    note = note.strip()[:LONGEST_NOTE]
    Lease.objects.filter(pk=held.pk).update(offered_to=to, offer_note=note)
    record(
        kind="lease.offer",
        actor=by,
        window=window,
        payload={"to": to.username, "number": held.number, "reason": note},
        at=now,
    )
    held.refresh_from_db()
    return held


@transaction.atomic
def withdraw_offer(*, window: Window, by: User, lease: int) -> Lease:
    """Drive a window on that was handed to another, who had not accepted it. One event is logged.

    Raises:
        NotPermitted: they do not deploy.
        OutOfDate: somebody else drives it by now, or it is handed to nobody.
    """
    take_turn(window)
    now = database_now()
    held = _required_lease(window, by, lease, now)
    if held.offered_to is None:
        raise OutOfDate("The wheel is handed to nobody: you drive this window.")
    to = held.offered_to.username
    Lease.objects.filter(pk=held.pk).update(offered_to=None, offer_note="")
    record(
        kind="lease.withdraw",
        actor=by,
        window=window,
        payload={"to": to, "number": held.number},
        at=now,
    )
    held.refresh_from_db()
    return held


@transaction.atomic
def accept_wheel(*, window: Window, by: User, lease: int) -> Lease:
    """Accept a window that was handed over. One event is logged.

    Args:
        window: which.
        by: to whom it was handed.
        lease: the number under which the other one drives it, as the page showed it.

    Raises:
        NotPermitted: not a deployer.
        OutOfDate: it is not offered to them any more.
    """
    require(actor_of(by), Act.DRIVE)
    take_turn(window)
    now = database_now()
    before = lease_in_force(window)
    if before is None or before.number != lease or before.offered_to_id != by.pk:
        raise OutOfDate("The wheel is not offered to you any more; the page shows who drives.")
    end_lease(before, now)
    return _begin(window, by, now, kind="lease.accept", told={"from": before.holder.username})


@transaction.atomic
def give_back_wheel(*, window: Window, by: User, lease: int) -> None:
    """Drive a window no more, without another who does; who may not any more can do this, too.

    One event is logged.

    Raises:
        OutOfDate: somebody else drives it.
    """
    take_turn(window)
    now = database_now()
    held = lease_in_force(window)
    if held is None or held.number != lease or held.holder_id != by.pk:
        raise OutOfDate(_who_drives(window, by))
    end_lease(held, now)
    record(
        kind="lease.give-back",
        actor=by,
        window=window,
        payload={"number": held.number},
        at=now,
    )


def keep_wheel(*, window: Window, by: User, lease: int) -> datetime | None:
    """Note that the driver was heard of; return until when the lease lasts now.

    No event: nothing changes by it but how soon another may take over. None means that somebody
    else drives by now.
    """
    if not may(actor_of(by), Act.DRIVE):
        return None
    until = database_now() + LEASE_FOR
    held = Lease.objects.filter(window=window, number=lease, holder=by, ended_at__isnull=True)
    return until if held.update(until=until) == 1 else None


def lease_in_force(window: Window) -> Lease | None:
    """Return under what a window is driven; None if nobody drives it."""
    return _in_force(window).first()


def _in_force(window: Window) -> models.QuerySet[Lease]:
    rows = Lease.objects.filter(window=window, ended_at__isnull=True)
    return rows.select_related("holder", "offered_to")


def require_lease(window: Window, by: User, number: int | None, now: datetime) -> datetime:
    """Let pass who drives a window, under the number that their page showed; it lasts longer then.

    Whoever calls this holds the window.

    Returns:
        Until when it lasts now.

    Raises:
        NotPermitted: not a deployer any more.
        OutOfDate: somebody else drives it, nobody, or it was taken over and handed back since.
    """
    require(actor_of(by), Act.DRIVE)
    held = Lease.objects.filter(window=window, number=number or 0, holder=by, ended_at__isnull=True)
    until = now + LEASE_FOR
    if held.update(until=until) != 1:
        raise OutOfDate(_who_drives(window, by))
    return until


def _required_lease(window: Window, by: User, number: int, now: datetime) -> Lease:
    """Let pass who drives a window, as `require_lease` does; return under what."""
    require_lease(window, by, number, now)
    return _in_force(window).get()


def _who_drives(window: Window, by: User) -> str:
    lease = lease_in_force(window)
    if lease is None:
        return "Nobody drives this window: take the wheel first."
    if lease.holder_id == by.pk:
        return (
            "This page is from before you took the wheel again; it shows now what there is. "
            "Nothing was done."
        )
    return (
        f"{lease.holder.username} drives this window since {lease.taken_at:%H:%M} UTC, not you. "
        "Nothing was done."
    )


def _begin(window: Window, by: User, now: datetime, *, kind: str, told: dict[str, str]) -> Lease:
    last = Lease.objects.filter(window=window).aggregate(last=Max("number"))["last"] or 0
    lease = Lease.objects.create(
        window=window,
        number=last + 1,
        holder=by,
        taken_at=now,
        until=now + LEASE_FOR,
        reason=told.get("reason", "")[:300],
    )
    window.deployers.add(by)
    record(kind=kind, actor=by, window=window, payload={"number": lease.number, **told}, at=now)
    return lease


def end_lease(lease: Lease, now: datetime) -> None:
    """End a lease, unless somebody was quicker.

    Raises:
        OutOfDate: it has ended already.
    """
    if Lease.objects.filter(pk=lease.pk, ended_at__isnull=True).update(ended_at=now) != 1:
        raise OutOfDate("Somebody else was quicker; the page shows who drives.")
