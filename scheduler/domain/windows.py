"""Windows: their kinds, their times on local clocks, their series; freezes; and what overlaps."""

from calendar import isleap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from math import ceil

from scheduler.domain.errors import AmbiguousLocalTime, NoSuchLocalTime

_DAY = timedelta(days=1)
_WEEK = 7  # days
_LONGEST_YEAR = 366  # days


class WindowKind(StrEnum):
    """What a window of the calendar is for (`reference/wikimedia.md` 1.2)."""

    BACKPORT = "backport"
    TRAINING = "training"
    TRAIN = "train"
    SECURITY = "security"
    DEDICATED = "dedicated"
    INFRASTRUCTURE = "infrastructure"
    NO_DEPLOY = "no-deploy"

    @property
    def is_bookable(self) -> bool:
        """Whether backports are booked in windows of this kind."""
        return self in BOOKABLE


BOOKABLE = frozenset({WindowKind.BACKPORT, WindowKind.TRAINING})

# What a no-deploy window stops; whoever secures or repairs something has reasons of their own.
NO_DEPLOY_STOPS = BOOKABLE | {WindowKind.TRAIN, WindowKind.DEDICATED}


@dataclass(frozen=True, slots=True)
class Window:
    """A SWAT (backport) window, from start to end, UTC."""

    start: datetime
    end: datetime

    @property
    def minutes(self) -> float:
        """Its length in minutes."""
        return (self.end - self.start) / timedelta(minutes=1)

    def at(self, minute: int) -> datetime:
        """Return the moment this many minutes after the start; the last there is if that is later.

        A step that people keep in whatever it takes may be reckoned to end after all time.
        """
        try:
            return self.start + timedelta(minutes=minute)
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)

    def minutes_gone(self, now: datetime) -> int:
        """Return how many of its minutes are over, a begun one counting whole; 0 before it."""
        return max(ceil((now - self.start) / timedelta(minutes=1)), 0)


def moments_of(day: date, at: time, zone: tzinfo) -> tuple[datetime, ...]:
    """Return when the clocks of a zone show this, UTC: never, once, or twice, earlier first."""
    shown = datetime.combine(day, at)
    moments = sorted(set(_readings(day, at, zone)))
    return tuple(one for one in moments if one.astimezone(zone).replace(tzinfo=None) == shown)


def moment_of(day: date, at: time, zone: tzinfo, *, second: bool | None = None) -> datetime:
    """Return the moment at which the clocks of a zone show this, UTC.

    Args:
        day: the local day.
        at: the local time.
        zone: whose clocks.
        second: which one, where they show it twice; None where nobody was asked.

    Raises:
        NoSuchLocalTime: the clocks skip it; the sentence suggests what they show instead.
        AmbiguousLocalTime: they show it twice, and `second` is None.
    """
    moments = moments_of(day, at, zone)
    if not moments:
        instead = after_the_gap(day, at, zone).astimezone(zone)
        # A zone that changes its side of the date line skips whole days.
        on = "" if instead.date() == day else f" on {told_day(instead.date())}"
        raise NoSuchLocalTime(
            f"The clocks skip {at:%H:%M} on {told_day(day)}: they go forward then. "
            f"Take {instead:%H:%M}{on}.",
            instead.time(),
        )
    if len(moments) > 1 and second is None:
        first, other = moments
        raise AmbiguousLocalTime(
            f"The clocks show {at:%H:%M} twice on {told_day(day)}: at {first:%H:%M} UTC and at "
            f"{other:%H:%M} UTC. Say which.",
            moments,
        )
    return moments[-1 if second else 0]


def after_the_gap(day: date, at: time, zone: tzinfo) -> datetime:
    """Return the moment that a skipped local time comes to, UTC: as long after the change."""
    return datetime.combine(day, at).replace(tzinfo=zone).astimezone(UTC)


def told_day(day: date) -> str:
    """Return a day in words."""
    return f"{day:%a} {day.day} {day:%b %Y}"


@dataclass(frozen=True, slots=True)
class Series:
    """Windows that come again every week at the same local time.

    Attributes:
        zone: whose clocks.
        weekdays: on which local days, 0 for Monday.
        at: the local start.
        minutes: how long each is, in real minutes.
        starts_on: the first local day that may have one.
        ends_on: the last one; None while nobody ended it.
        second: which start, on a day on which the clocks show it twice.
    """

    zone: tzinfo
    weekdays: frozenset[int]
    at: time
    minutes: int
    starts_on: date
    ends_on: date | None = None
    second: bool = False

    def days(self, first: date, last: date) -> Iterator[date]:
        """Yield the local days of the series from `first` to `last`, both included."""
        day = max(first, self.starts_on)
        end = last if self.ends_on is None else min(last, self.ends_on)
        while day <= end:
            if day.weekday() in self.weekdays:
                yield day
            day += _DAY

    def window_on(self, day: date) -> Window:
        """Return the window of a local day.

        The series stays at its local time. Where a change of the law has made that a time which
        the clocks skip, it is as long after the change: a day without its window would be worse.
        """
        moments = moments_of(day, self.at, self.zone)
        if not moments:
            start = after_the_gap(day, self.at, self.zone)
        else:
            start = moments[-1 if self.second else 0]
        return Window(start, start + timedelta(minutes=self.minutes))

    def skipped_days(self, first: date, last: date) -> tuple[date, ...]:
        """Return the days on which the clocks skip its start: such a series is refused."""
        return tuple(
            day for day in self.days(first, last) if not moments_of(day, self.at, self.zone)
        )

    def doubled_days(self, first: date, last: date) -> tuple[date, ...]:
        """Return the days on which the clocks show its start twice: somebody says which."""
        return tuple(
            day for day in self.days(first, last) if len(moments_of(day, self.at, self.zone)) > 1
        )


class FreezeScope(StrEnum):
    """What a freeze stops: everything; everything below urgency high; or the train alone."""

    ALL = "all"
    NORMAL = "normal"
    TRAIN = "train"


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which nothing, or only what is urgent, is deployed; UTC."""

    start: datetime
    end: datetime
    scope: FreezeScope = FreezeScope.ALL
    reason: str = ""

    def overlaps(self, window: Window) -> bool:
        """Return whether some moment of the window is frozen."""
        return self.start < window.end and self.end > window.start


class Recurrence(StrEnum):
    """How often a freeze comes again."""

    ONCE = "once"
    WEEKLY = "weekly"
    YEARLY = "yearly"


@dataclass(frozen=True, slots=True)
class FreezeRule:
    """A freeze as it was written down: once, every week or every year.

    Attributes:
        first: its first time, UTC.
        zone: whose clocks it keeps to, when it comes again.
        recurrence: how often it does.
        until: the last local day on which one may begin; None for always.
        kinds: the windows that it stops; empty for all.
    """

    first: Freeze
    zone: tzinfo = UTC
    recurrence: Recurrence = Recurrence.ONCE
    until: date | None = None
    kinds: frozenset[WindowKind] = frozenset()

    def covers(self, kind: WindowKind) -> bool:
        """Return whether it stops windows of a kind."""
        return not self.kinds or kind in self.kinds

    def between(self, start: datetime, end: datetime) -> Iterator[Freeze]:
        """Yield each of its times that overlaps the time from `start` to `end`, oldest first."""
        for freeze in self._since(start):
            if freeze.start >= end:
                return
            if freeze.end > start:
                yield freeze

    def _since(self, start: datetime) -> Iterator[Freeze]:
        """Yield its times, beginning with one that is over at `start`, or with the first."""
        turn = self._turns_over(start)
        if turn == 0:
            yield self.first  # as it was written, whatever the clocks of its zone do
            turn = 1
        begins = self.first.start.astimezone(self.zone)
        ends = self.first.end.astimezone(self.zone)
        while self.recurrence is not Recurrence.ONCE:
            first, last = self._days(begins.date(), ends.date(), turn)
            if self.until is not None and first > self.until:
                return
            # Where a change of the clocks leaves a choice it is never shorter than it says.
            freeze = Freeze(
                min(_readings(first, begins.time(), self.zone)),
                max(_readings(last, ends.time(), self.zone)),
                self.first.scope,
                self.first.reason,
            )
            if freeze.start < freeze.end:  # it may lie between the two times that clocks show
                yield freeze
            turn += 1

    def _turns_over(self, start: datetime) -> int:
        """Return how many turns are over at a moment for certain: nobody walks over centuries."""
        if self.recurrence is Recurrence.ONCE:
            return 0
        longest = _WEEK if self.recurrence is Recurrence.WEEKLY else _LONGEST_YEAR
        return max((start - self.first.end) // timedelta(days=longest) - 1, 0)

    def _days(self, first: date, last: date, turn: int) -> tuple[date, date]:
        """Return the local days on which it begins and ends, so many turns after these."""
        if self.recurrence is Recurrence.WEEKLY:
            later = timedelta(days=_WEEK * turn)
            return first + later, last + later
        begins = _same_day(first, first.year + turn)
        if _is_leap_day(last) and not isleap(last.year + turn):
            return begins, begins + (last - first)
        return begins, last.replace(year=last.year + turn)


def _readings(day: date, at: time, zone: tzinfo) -> tuple[datetime, datetime]:
    """Return what a local time can mean, UTC: the same twice, but when the clocks change."""
    shown = datetime.combine(day, at)
    first, second = (shown.replace(fold=fold, tzinfo=zone) for fold in (0, 1))
    return first.astimezone(UTC), second.astimezone(UTC)


def _same_day(day: date, year: int) -> date:
    """Return the same day of another year; 28 February where it lacks the 29th."""
    return date(year, 2, 28) if _is_leap_day(day) and not isleap(year) else day.replace(year=year)


def _is_leap_day(day: date) -> bool:
    """Return whether a day is a 29 February."""
    return (day.month, day.day) == (2, 29)
