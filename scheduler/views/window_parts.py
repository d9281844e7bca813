"""What a window's page shows beside its queue: people, waiting list, missed, emergency, moves."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from scheduler.actors import actor_of, relations_to
from scheduler.adapters.plan_document import parse
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import EMERGENCY_ROLES, Act, Actor, Relation, may
from scheduler.domain.planning.needing import needing_each
from scheduler.domain.policy.findings import Place
from scheduler.domain.windows import WindowKind
from scheduler.forms import MoveWindowForm, local_initial
from scheduler.models import Backport, EmergencyConfirmation, Plan, User, Window
from scheduler.queries import OPEN_STATUSES, is_confirmed_emergency, production_at
from scheduler.services.heartbeats import silent_since
from scheduler.services.moving import next_window_with_room
from scheduler.views.calendar import CLOCK
from scheduler.views.pictures import Picture, links_of_plan, picture_of
from scheduler.views.plan_pages import Entry, PlanPage


@dataclass(frozen=True, slots=True)
class Waiting:
    """A backport that has no room where it is.

    Attributes:
        position: its place on the waiting list, from 1.
        along: the numbers of what would be moved with it.
        may_move: whether the reader may move it.
    """

    position: int
    entry: Entry
    along: tuple[int, ...]
    may_move: bool


@dataclass(frozen=True, slots=True)
class Missed:
    """A backport that was missed; `again` is where its change is booked by now."""

    backport: Backport
    again: Backport | None
    may_book: bool


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What one of the two roles has said about an emergency, if anything."""

    role: str
    given: EmergencyConfirmation | None


def window_parts(
    window: Window, plan: Plan | None, shown: PlanPage, reader: User, now: datetime
) -> dict[str, object]:
    """Return what a window's page shows beside its queue; a constant number of queries."""
    actor = actor_of(reader)
    deployers = list(window.deployers.order_by("username"))
    comes = window.takes_place and window.as_of is None and not window.is_over(now)
    has_people = window.kind != WindowKind.NO_DEPLOY.value
    waiting = _waiting(plan, shown, actor) if comes else ()
    missed = _missed(window, actor)
    is_full = comes and window.is_bookable and shown.slots >= window.numbers.max_patches
    wants_room = is_full or bool(waiting) or any(one.may_book and not one.again for one in missed)
    return {
        "deployers": deployers,
        "is_deployer": reader in deployers,
        "may_sign_up": comes and has_people and may(actor, Act.SIGN_UP),
        "has_people": has_people,
        "comes": comes,
        "is_closed": window.is_closed(now),
        "silent_since": silent_since(job=CLOCK, now=now),
        "versions_then": _versions_at_start(window, now) if comes else (),
        "waiting": waiting,
        "picture": _picture(plan, shown),
        "missed": missed,
        "is_full": is_full,
        "next_room": next_window_with_room(after=window, now=now) if wants_room else None,
        **_emergency(window, actor, comes=comes),
        **_moving(window, actor, reader, comes=comes),
    }


def _versions_at_start(window: Window, now: datetime) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(production_at(now).at(window.start).live.items()))


def _picture(plan: Plan | None, shown: PlanPage) -> Picture | None:
    """Return what the changes of a window are linked with: declared, stated or asked about."""
    found = links_of_plan(plan)
    return picture_of(shown.backports.keys(), found.links, found.labels)


def _waiting(plan: Plan | None, shown: PlanPage, actor: Actor) -> tuple[Waiting, ...]:
    entries = next(found for place, found, _ in shown.places if place == Place.OVERFLOW.slug)
    if not entries or plan is None:
        return ()
    along = needing_each(parse(json.dumps(plan.document)), [one.number for one in entries])
    return tuple(
        Waiting(
            position,
            entry,
            tuple(sorted(along[entry.number].intersection(shown.backports))),
            entry.backport is not None and may_do(actor, Act.MOVE_ON, entry.backport),
        )
        for position, entry in enumerate(entries, start=1)
    )


def _missed(window: Window, actor: Actor) -> tuple[Missed, ...]:
    rows = list(
        window.backports.filter(status=Status.MISSED.value)
        .select_related("change", "requester", "edited_by", "window")
        .defer("change__diff")
        .order_by("submitted_at", "pk")
    )
    again = _booked_again(rows)
    return tuple(
        Missed(row, again.get(row.change_id), may_do(actor, Act.BOOK_AGAIN, row)) for row in rows
    )


def _booked_again(rows: Iterable[Backport]) -> Mapping[int, Backport]:
    """Return where the changes of ended backports are booked by now, by the change's key."""
    changes = [row.change_id for row in rows]
    found = Backport.objects.filter(change__in=changes, status__in=OPEN_STATUSES)
    return {one.change_id: one for one in found.select_related("window")}


def may_do(actor: Actor, act: Act, backport: Backport) -> bool:
    """Return whether somebody may do this about a backport as it is."""
    return may(actor, act, relations_to(actor, backport), Status(backport.status))


def own_work_in(window: Window, actor: Actor) -> frozenset[Relation]:
    """Return what somebody is to the open backports of a window."""
    rows = window.backports.filter(status__in=OPEN_STATUSES)
    return frozenset(
        relation
        for backport in rows.select_related("change", "requester", "edited_by").defer(
            "change__diff"
        )
        for relation in relations_to(actor, backport)
    )


def _emergency(window: Window, actor: Actor, *, comes: bool) -> dict[str, object]:
    """Return who confirmed an emergency, and whether the reader can do so."""
    if not window.is_emergency:
        return {"confirmations": ()}
    given = {one.role: one for one in window.confirmations.select_related("by")}
    rows: Sequence[Confirmation] = [
        Confirmation(role.spoken, given.get(role.value)) for role in EMERGENCY_ROLES
    ]
    missing = [role for role in EMERGENCY_ROLES if role.value not in given]
    has_given = any(one.by.username == actor.username for one in given.values())
    return {
        "confirmations": rows,
        "is_confirmed": is_confirmed_emergency(window),
        "has_confirmed": has_given,
        "may_confirm": comes
        and not has_given
        and any(role in actor.roles for role in missing)
        and may(actor, Act.CONFIRM_EMERGENCY, own_work_in(window, actor)),
    }


def _moving(window: Window, actor: Actor, reader: User, *, comes: bool) -> dict[str, object]:
    """Return the form that moves a window, for those who may."""
    if not comes or window.is_locked or not may(actor, Act.MANAGE_CALENDAR):
        return {"may_manage": False}
    zones = zones_for(window, reader)
    return {
        "may_manage": True,
        "move_form": MoveWindowForm(
            zones=zones,
            initial={
                **local_initial("starts", window.start, zones[0]),
                "minutes": int(window.to_domain().minutes),
                "seen": window.sequence,
            },
        ),
    }


def zones_for(window: Window, reader: User) -> tuple[str, ...]:
    """Return on whose clocks a window may be moved: its series', the reader's, or UTC."""
    of_series = window.series.zone if window.series else ""
    return tuple(dict.fromkeys(filter(None, (of_series, reader.time_zone, "UTC"))))
