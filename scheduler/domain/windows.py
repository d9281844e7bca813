"""Windows, freezes, and how they overlap."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import ceil


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


class FreezeScope(StrEnum):
    """What a freeze stops: everything, or everything below urgency high."""

    ALL = "all"
    NORMAL = "normal"


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
