"""The calendar: series and what the clock makes of them, single windows, freezes, emergencies."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from scheduler.actors import actor_of, is_same_person, relations_to
from scheduler.domain import train
from scheduler.domain import windows as domain
from scheduler.domain.backports import Urgency
from scheduler.domain.errors import OutOfDate, Refused
from scheduler.domain.permissions import EMERGENCY_ROLES, Act, require
from scheduler.models import (
    Backport,
    EmergencyConfirmation,
    EventHead,
    Freeze,
    User,
    Window,
    WindowSeries,
)
from scheduler.queries import OPEN_STATUSES, is_confirmed_emergency, moves_in_force, versions
from scheduler.services.events import record
from scheduler.services.plans import replan_window, take_turn

WEEKS_AHEAD = 4  # how far the clock makes the windows of a series
_LOOKED_AHEAD = timedelta(days=400)  # for days on which clocks change: more than a year
LONGEST_MINUTES = 24 * 60
LONGEST_TURN = {domain.Recurrence.WEEKLY: (7, "week"), domain.Recurrence.YEARLY: (365, "year")}


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What a series is made of; see `WindowSeries` for each."""

    title: str
    zone: str
    weekdays: frozenset[int]
    at: time
    minutes: int
    starts_on: date
    kind: domain.WindowKind = domain.WindowKind.BACKPORT
    ends_on: date | None = None
    second: bool | None = None
    closes_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class WindowFacts:
    """What a single window is made of; `start` in UTC. See `Window` for each."""

    title: str
    start: datetime
    minutes: int
    kind: domain.WindowKind = domain.WindowKind.BACKPORT
    closes_minutes: int | None = None
    is_emergency: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FreezeFacts:
    """What a freeze is made of; `starts` and `ends` in UTC. See `Freeze` for each."""

    starts: datetime
    ends: datetime
    reason: str
    scope: domain.FreezeScope = domain.FreezeScope.ALL
    kinds: frozenset[domain.WindowKind] = frozenset()
    recurrence: domain.Recurrence = domain.Recurrence.ONCE
    zone: str = "UTC"
    until: date | None = None

    def to_domain(self) -> domain.FreezeRule:
        """Return it as the rules see it.

        Raises:
            Refused: no such zone.
        """
        return domain.FreezeRule(
            domain.Freeze(self.starts, self.ends, self.scope, self.reason),
            zone_named(self.zone),
            self.recurrence,
            self.until,
            self.kinds,
        )


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        Refused: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(
            f"{name or 'That'} is no time zone; take one such as Europe/Berlin."
        ) from None


@transaction.atomic
def make_series(*, facts: SeriesFacts, by: User) -> WindowSeries:
    """Begin a series of windows, and make those of the coming weeks. One event is logged.

    Raises:
        NotPermitted: not a release engineer.
        NoSuchLocalTime: on one of its days within a year the clocks skip its start.
        AmbiguousLocalTime: on one they show it twice, and it does not say which is meant.
        Refused: no title, weekday, zone or length; or one of its windows would overlap another.
    """
    require(actor_of(by), Act.MANAGE_CALENDAR)
    _require_length(facts.title, facts.minutes)
    if not facts.weekdays:
        raise Refused("Say on which days of the week.")
    if facts.ends_on is not None and facts.ends_on < facts.starts_on:
        raise Refused("It would end before it starts.")
    series = domain.Series(
        zone_named(facts.zone),
        facts.weekdays,
        facts.at,
        facts.minutes,
        facts.starts_on,
        facts.ends_on,
        bool(facts.second),
    )
    _require_local_times(series, facts)
    take_calendar()
    row = WindowSeries.objects.create(
        kind=facts.kind.value,
        title=_title(facts.title),
        zone=facts.zone,
        weekdays=sorted(facts.weekdays),
        at=facts.at,
        minutes=facts.minutes,
        second=bool(facts.second),
        starts_on=facts.starts_on,
        ends_on=facts.ends_on,
        closes_minutes=facts.closes_minutes,
    )
    now = timezone.now()
    made = _make_windows(row, now, strictly=True)
    record(kind="series.make", actor=by, payload=_told(row, made), at=now)
    return row


def _require_local_times(series: domain.Series, facts: SeriesFacts) -> None:
    until = facts.starts_on + _LOOKED_AHEAD
    for day in series.skipped_days(facts.starts_on, until):
        domain.moment_of(day, facts.at, series.zone)
    for day in series.doubled_days(facts.starts_on, until):
        domain.moment_of(day, facts.at, series.zone, second=facts.second)


@transaction.atomic
def end_series(*, series: WindowSeries, by: User, last_day: date) -> WindowSeries:
    """End a series after a local day; later windows in which nothing is booked are called off.

    One event is logged.

    Raises:
        NotPermitted: not a release engineer.
        Refused: something is booked in one of the later windows, or it ended before.
    """
    require(actor_of(by), Act.MANAGE_CALENDAR)
    now = timezone.now()
    later = Window.objects.filter(series=series, series_day__gt=last_day, start__gt=now)
    _take_windows(later)  # nobody books in one meanwhile
    take_calendar()
    series.refresh_from_db()
    if series.ends_on is not None and series.ends_on <= last_day:
        raise Refused(f"It ends on {domain.told_day(series.ends_on)} already.")
    booked = later.filter(backports__status__in=OPEN_STATUSES).order_by("start").first()
    if booked is not None:
        raise Refused(f"Backports are booked in {booked}; move them first.")
    off = list(later.filter(cancelled_at__isnull=True).values_list("pk", flat=True))
    Window.objects.filter(pk__in=off).update(cancelled_at=now, sequence=F("sequence") + 1)
    series.ends_on = last_day
    series.save(update_fields=["ends_on"])
    record(
        kind="series.end",
        actor=by,
        payload={
            "series": series.pk,
            "title": str(series),
            "called_off": len(off),
            "windows": sorted(off),
        },
        at=now,
    )
    return series


@transaction.atomic
def make_coming_windows(*, now: datetime) -> int:
    """Make the windows of every series for the coming weeks; return how many are new.

    Any number of clocks may do this at once: a series has one window a day, whoever makes it. A
    window that was moved or called off is not made again. One event is logged for each series
    that has new ones.
    """
    take_calendar()
    count = 0
    for series in WindowSeries.objects.all():
        made = _make_windows(series, now)
        if made:
            record(kind="series.extend", actor=None, payload=_told(series, made), at=now)
        count += len(made)
    return count


def _told(series: WindowSeries, made: list[Window]) -> dict[str, object]:
    return {"series": series.pk, "title": str(series), "windows": len(made)}


def _make_windows(series: WindowSeries, now: datetime, *, strictly: bool = False) -> list[Window]:
    """Make the windows of a series that are not there.

    Those that would overlap another are left out; `strictly` refuses an overlap instead.
    """
    rule = series.to_domain()
    today = now.astimezone(rule.zone).date()
    days = list(rule.days(today, today + timedelta(weeks=WEEKS_AHEAD)))
    there = set(
        Window.objects.filter(series=series, series_day__in=days).values_list(
            "series_day", flat=True
        )
    )
    made = []
    for day in days:
        window = rule.window_on(day)
        if day in there or window.start <= now:
            continue
        other = _overlapping(series.kind, window)
        if other is not None:
            if strictly:
                raise Refused(f"On {domain.told_day(day)} it would overlap {other}.")
            continue
        made.append(
            Window(
                kind=series.kind,
                series=series,
                series_day=day,
                start=window.start,
                end=window.end,
                title=series.title,
                closes_at=_closing(window.start, series.closes_minutes),
            )
        )
    return Window.objects.bulk_create(made)


def _closing(start: datetime, minutes: int | None) -> datetime | None:
    return None if minutes is None else start - timedelta(minutes=minutes)


def _overlapping(kind: str, window: domain.Window, *, apart_from: int = 0) -> Window | None:
    """Return a window in which people book too and that overlaps; None for other kinds.

    An emergency is in nobody's way: it takes place whatever else does.
    """
    if not domain.WindowKind(kind).is_bookable:
        return None
    others = Window.objects.filter(
        kind__in=[one.value for one in domain.BOOKABLE],
        cancelled_at__isnull=True,
        as_of__isnull=True,
        is_emergency=False,
        start__lt=window.end,
        end__gt=window.start,
    )
    return others.exclude(pk=apart_from).order_by("start").first()


def take_calendar() -> None:
    """Take the calendar for the rest of the transaction: whether windows overlap is then settled.

    That is the head of the audit log, which every change of the calendar appends to in the end.
    """
    EventHead.objects.get_or_create(pk=1)
    EventHead.objects.filter(pk=1).update(seq=F("seq"))


def _title(text: str) -> str:
    """Return a title as it comes back from a wiki page, where several blanks are one."""
    return " ".join(text.split())


def _require_length(title: str, minutes: int) -> None:
    if not title.strip():
        raise Refused("Give it a title.")
    if not 0 < minutes <= LONGEST_MINUTES:
        raise Refused("A window takes between a minute and a day.")


@transaction.atomic
def add_window(*, facts: WindowFacts, by: User) -> Window:
    """Add a single window to the calendar. One event is logged.

    Raises:
        NotPermitted: not a release engineer.
        Refused: no title or length, in the past, an emergency without a reason, or no emergency
            and it overlaps a window in which people book.
    """
    require(actor_of(by), Act.MANAGE_CALENDAR)
    _require_length(facts.title, facts.minutes)
    now = timezone.now()
    if facts.is_emergency and not facts.reason.strip():
        raise Refused("Say what the emergency is; two people have to confirm it.")
    span = domain.Window(facts.start, facts.start + timedelta(minutes=facts.minutes))
    covered = _stopped_by(facts.kind.value, [span], now)
    _take_windows(covered)
    take_calendar()
    window = _add(facts, now)
    record(
        kind="window.add",
        actor=by,
        window=window,
        payload={"title": window.title, "emergency": window.is_emergency, "reason": window.reason},
        at=now,
    )
    _replan(covered, now)
    return window


def _stopped_by(kind: str, spans: Sequence[domain.Window], now: datetime) -> list[Window]:
    """Return the coming windows with bookings that a no-deploy window stops, here or there."""
    if kind != domain.WindowKind.NO_DEPLOY.value:
        return []
    return [
        window
        for window in _coming_bookable(now)
        if any(one.start < window.end and window.start < one.end for one in spans)
    ]


def _add(facts: WindowFacts, now: datetime) -> Window:
    span = domain.Window(facts.start, facts.start + timedelta(minutes=facts.minutes))
    if span.end <= now:
        raise Refused("That time has passed.")
    if not facts.is_emergency:
        _require_free(facts.kind.value, span)
    return Window.objects.create(
        kind=facts.kind.value,
        start=span.start,
        end=span.end,
        title=_title(facts.title),
        closes_at=_closing(span.start, facts.closes_minutes),
        is_emergency=facts.is_emergency,
        reason=facts.reason.strip(),
    )


def _require_free(kind: str, span: domain.Window, *, apart_from: int = 0) -> None:
    other = _overlapping(kind, span, apart_from=apart_from)
    if other is not None:
        raise Refused(f"It would overlap {other}.")


@transaction.atomic
def add_windows(*, several: Iterable[WindowFacts], by: User, source: str) -> list[Window]:
    """Add the windows of an imported calendar: all of them, or none. One event is logged.

    Raises:
        NotPermitted: not a release engineer.
        Refused: one of them is in the past, has no length or overlaps another.
    """
    require(actor_of(by), Act.MANAGE_CALENDAR)
    now = timezone.now()
    take_calendar()
    windows = []
    for facts in several:
        _require_length(facts.title, facts.minutes)
        windows.append(_add(facts, now))
    record(
        kind="calendar.import",
        actor=by,
        payload={"source": source, "windows": [str(window) for window in windows]},
        at=now,
    )
    return windows


@transaction.atomic
def move_window(  # noqa: PLR0913 - where to, why, and what was seen
    *,
    window: Window,
    by: User,
    start: datetime,
    minutes: int,
    reason: str,
    seen: int | None = None,
) -> Window:
    """Move a window to another time; what is booked in it moves along. One event is logged.

    That it takes place in spite of a freeze was confirmed for its time, and has to be again.

    Args:
        window: which.
        by: who.
        start: when it begins from now on, UTC.
        minutes: how long it takes.
        reason: why, in a sentence.
        seen: the window's `sequence` as a page showed it; None where none did.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: it was moved or called off since it was shown.
        Refused: it is locked, over or called off, no reason, or it would overlap another.
    """
    require(actor_of(by), Act.MANAGE_CALENDAR)
    now = timezone.now()
    span = domain.Window(start, start + timedelta(minutes=minutes))
    covered = _stopped_by(window.kind, [window.to_domain(), span], now)
    _take_windows([window, *covered])
    _require_as_seen(window, seen)
    _require_movable(window, now, reason)
    _require_length(window.title, minutes)
    take_calendar()
    if span.end <= now:
        raise Refused("That time has passed.")
    if not window.is_emergency:
        _require_free(window.kind, span, apart_from=window.pk)
    window.confirmations.all().delete()
    before, ahead = window.start, window.closes_at and window.start - window.closes_at
    Window.objects.filter(pk=window.pk).update(
        start=span.start,
        end=span.end,
        closes_at=span.start - ahead if ahead is not None else None,
        sequence=F("sequence") + 1,
    )
    record(
        kind="window.move",
        actor=by,
        window=window,
        payload={
            "from": before.astimezone(UTC).isoformat(),
            "to": span.start.astimezone(UTC).isoformat(),
            "reason": reason.strip(),
            "booked": _booked_in(window),
        },
        at=now,
    )
    window.refresh_from_db()
    _replan([window, *covered], now)
    return window


def _booked_in(window: Window) -> list[int]:
    """Return the numbers of the changes that are booked in a window, for those to be told."""
    booked = window.backports.filter(status__in=OPEN_STATUSES)
    return sorted(booked.values_list("change__number", flat=True))


@transaction.atomic
def cancel_window(*, window: Window, by: User, reason: str, seen: int | None = None) -> Window:
    """Call a window off. One event is logged.

    Args:
        window: which.
        by: who.
        reason: why, in a sentence.
        seen: the window's `sequence` as a page showed it; None where none did.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: it was moved or called off since it was shown.
        Refused: it is locked, over or called off, backports are booked in it, or no reason.
    """
    require(actor_of(by), Act.MANAGE_CALENDAR)
    now = timezone.now()
    covered = _stopped_by(window.kind, [window.to_domain()], now)
    _take_windows([window, *covered])
    _require_as_seen(window, seen)
    _require_movable(window, now, reason)
    if window.backports.filter(status__in=OPEN_STATUSES).exists():
        raise Refused("Backports are booked in it; move them to another window first.")
    take_calendar()
    Window.objects.filter(pk=window.pk).update(cancelled_at=now, sequence=F("sequence") + 1)
    record(
        kind="window.cancel", actor=by, window=window, payload={"reason": reason.strip()}, at=now
    )
    _replan(covered, now)
    window.refresh_from_db()
    return window


def _require_as_seen(window: Window, seen: int | None) -> None:
    if seen is not None and seen != window.sequence:
        raise OutOfDate("This window was moved or called off since you opened the page.")


def _require_movable(window: Window, now: datetime, reason: str) -> None:
    if not window.takes_place:
        raise Refused("This window does not take place any more.")
    if window.is_locked:
        raise Refused("This window is locked; its deployers unlock it first.")
    if window.as_of is not None or window.is_over(now):
        raise Refused("This window is over.")
    if not reason.strip():
        raise Refused("Say why, in a sentence.")


@dataclass(frozen=True, slots=True)
class Stranded:
    """What a freeze would strand.

    Attributes:
        windows: those that it overlaps, oldest first.
        backports: the open requests in them that it would block, in the windows' order.
        trains: the versions that it would leave half-way.
    """

    windows: tuple[Window, ...]
    backports: tuple[Backport, ...]
    trains: tuple[train.HalfWay, ...]

    @property
    def digest(self) -> str:
        """What tells whether somebody was shown exactly this."""
        shown = [
            [window.pk for window in self.windows],
            [backport.pk for backport in self.backports],
            [[one.version, one.reached, one.stranded] for one in self.trains],
        ]
        return hashlib.sha256(json.dumps(shown).encode()).hexdigest()


def stranded_by(facts: FreezeFacts, *, now: datetime) -> Stranded:
    """Return what a freeze would strand in the coming year if it were added now.

    Raises:
        Refused: no such zone, or it ends before it starts.
    """
    _require_freeze(facts)
    rule = facts.to_domain()
    freezes = tuple(rule.between(now, now + _LOOKED_AHEAD))
    windows = [
        window
        for window in _windows_around(freezes)
        if window.end > now
        and rule.covers(domain.WindowKind(window.kind))
        and (facts.scope is not domain.FreezeScope.TRAIN or window.kind == domain.WindowKind.TRAIN)
        and any(freeze.overlaps(window.to_domain()) for freeze in freezes)
        and not is_confirmed_emergency(window)
    ]
    booked = Backport.objects.filter(
        window__in=[window.pk for window in windows], status__in=OPEN_STATUSES
    )
    if facts.scope is domain.FreezeScope.NORMAL:
        booked = booked.filter(urgency__gt=Urgency.HIGH.value)
    stopping = freezes if rule.covers(domain.WindowKind.TRAIN) else ()
    live = train.versions_served(moves_in_force(now), now)
    known = versions(at=now)
    half_way = {
        one.version: one
        for freeze in reversed(stopping)  # of those that come again, the first one counts
        for one in train.left_half_way(freeze, known, live, now)
    }
    return Stranded(
        tuple(windows),
        tuple(
            booked.select_related("change", "window", "requester")
            .defer("change__diff")
            .order_by("window__start", "submitted_at", "pk")
        ),
        tuple(half_way[one.name] for one in known if one.name in half_way),
    )


def _windows_around(freezes: Sequence[domain.Freeze]) -> Iterable[Window]:
    """Return the windows that take place between the first of some freezes and the last."""
    if not freezes:
        return ()
    return Window.objects.filter(
        end__gt=freezes[0].start,
        start__lt=freezes[-1].end,
        cancelled_at__isnull=True,
        skipped_at__isnull=True,
        as_of__isnull=True,
    ).order_by("start")


def _require_freeze(facts: FreezeFacts) -> None:
    zone_named(facts.zone)
    if facts.ends <= facts.starts:
        raise Refused("It would end before it starts.")
    longest = LONGEST_TURN.get(facts.recurrence)
    if longest is not None and facts.ends - facts.starts > timedelta(days=longest[0]):
        raise Refused(f"What comes again every {longest[1]} takes no more than a {longest[1]}.")
    if not facts.reason.strip():
        raise Refused("Say why, in a sentence; everybody reads it.")


@transaction.atomic
def add_freeze(*, facts: FreezeFacts, by: User, seen: str | None = None) -> Freeze:
    """Freeze deployments for a time; every window that it touches, and has bookings, is replanned.

    One event is logged.

    Args:
        facts: what it is made of.
        by: who.
        seen: digest of what they were shown that it strands; None where nobody was asked.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: by now it would strand something else.
        Refused: it ends before it starts, no such zone, or no reason.
    """
    require(actor_of(by), Act.MANAGE_CALENDAR)
    now = timezone.now()
    stranded = stranded_by(facts, now=now)
    _take_windows(stranded.windows)
    if seen is not None and seen != stranded_by(facts, now=now).digest:
        raise OutOfDate("What it would strand has changed since you were shown; read it again.")
    freeze = Freeze.objects.create(
        starts=facts.starts,
        ends=facts.ends,
        scope=facts.scope.value,
        kinds=sorted(kind.value for kind in facts.kinds),
        recurrence=facts.recurrence.value,
        zone=facts.zone,
        until=facts.until,
        reason=facts.reason.strip(),
    )
    record(
        kind="freeze.add",
        actor=by,
        payload={
            "freeze": freeze.pk,
            "reason": freeze.reason,
            "stranded": [one.change.number for one in stranded.backports],
        },
        at=now,
    )
    booked = _coming_bookable(now)
    _replan([window for window in stranded.windows if window in booked], now)
    return freeze


@transaction.atomic
def cancel_freeze(*, freeze: Freeze, by: User, reason: str) -> Freeze:
    """End a freeze for good; every window that it touched is planned again. One event is logged.

    Raises:
        NotPermitted: not a release engineer.
        Refused: it holds no more, or no reason.
    """
    require(actor_of(by), Act.MANAGE_CALENDAR)
    if not reason.strip():
        raise Refused("Say why, in a sentence.")
    now = timezone.now()
    rule = freeze.to_domain()
    touched = [
        window for window in _coming_bookable(now) if any(rule.between(window.start, window.end))
    ]
    _take_windows(touched)
    holding = Freeze.objects.filter(pk=freeze.pk, cancelled_at__isnull=True)
    if holding.update(cancelled_at=now) != 1:
        raise Refused("It was called off already.")
    record(
        kind="freeze.cancel",
        actor=by,
        payload={"freeze": freeze.pk, "what": str(freeze), "reason": reason.strip()},
        at=now,
    )
    _replan(touched, now)
    freeze.refresh_from_db()
    return freeze


def _coming_bookable(now: datetime) -> list[Window]:
    """Return the coming windows that backports are booked in."""
    return list(
        Window.objects.filter(end__gt=now, as_of__isnull=True, backports__status__in=OPEN_STATUSES)
        .distinct()
        .order_by("pk")
    )


def _take_windows(windows: Iterable[Window]) -> None:
    """Take windows in the one order in which everybody takes them."""
    for window in sorted(windows, key=lambda one: one.pk):
        take_turn(window)


def _replan(windows: Iterable[Window], now: datetime) -> None:
    for window in sorted(windows, key=lambda one: one.pk):
        if window.is_bookable:
            replan_window(window=window, now=now)


@transaction.atomic
def confirm_emergency(*, window: Window, by: User, seen: int | None = None) -> Window:
    """Confirm, as one of two, that an emergency window takes place in spite of a freeze.

    One confirms for release engineering and another one for operations; nobody for what they
    requested, own or uploaded. Whoever calls this has made sure that `by` signed in a moment ago.
    One event is logged; with the second the window is planned without the freeze.

    Args:
        window: which.
        by: who.
        seen: the window's `sequence` as a page showed it; None where none did.

    Raises:
        OutOfDate: it was moved or called off since it was shown.
        NotPermitted: neither role, or own work is booked in it.
        Refused: no emergency window, over, or both roles of theirs are taken.
    """
    take_turn(window)
    actor = actor_of(by)
    booked = window.backports.filter(status__in=OPEN_STATUSES)
    relations = frozenset(
        relation
        for backport in booked.select_related("change", "requester", "edited_by")
        for relation in relations_to(actor, backport)
    )
    require(actor, Act.CONFIRM_EMERGENCY, relations)
    now = timezone.now()
    _require_as_seen(window, seen)
    if not window.is_emergency or not window.takes_place or window.is_over(now):
        raise Refused("This is no emergency window to come.")
    given = list(window.confirmations.select_related("by"))
    if any(is_same_person(one.by, by) for one in given):
        raise Refused("You have confirmed it; somebody else has to do it, too.")
    missing = [
        role
        for role in EMERGENCY_ROLES
        if role in actor.roles and role.value not in {one.role for one in given}
    ]
    if not missing:
        raise Refused("It is confirmed for your role; the other one still has to.")
    EmergencyConfirmation.objects.create(window=window, role=missing[0].value, by=by, at=now)
    record(
        kind="window.confirm-emergency",
        actor=by,
        window=window,
        payload={
            "role": missing[0].value,
            "reason": window.reason,
            "booked": _booked_in(window),
        },
        at=now,
    )
    if is_confirmed_emergency(window):
        replan_window(window=window, now=now)
    return window
