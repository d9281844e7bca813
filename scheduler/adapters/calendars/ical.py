"""Calendar feeds (RFC 5545): times in UTC, so that no zone has to be told."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from icalendar import Calendar, Event

from scheduler.adapters.calendars.entries import one_line
from scheduler.adapters.cleaning import visible_prose

REFRESH = timedelta(minutes=30)  # how often a program may ask again


@dataclass(frozen=True, slots=True)
class Happening:
    """Something in a calendar.

    Attributes:
        uid: the same for good, whatever becomes of it.
        start: UTC; a date for something of whole days.
        end: the same, the first day after it for whole days; None for a moment.
        changed_at: when it last changed, UTC; the same until it changes again.
        sequence: how often its time, title or state changed.
        is_busy: whether it takes time of whoever has it in a calendar.
        url: where it is told in full; "" if nowhere.
    """

    uid: str
    summary: str
    start: datetime | date
    end: datetime | date | None
    changed_at: datetime
    sequence: int = 0
    is_cancelled: bool = False
    is_busy: bool = True
    description: str = ""
    url: str = ""


def feed_of(name: str, happenings: Iterable[Happening]) -> bytes:
    """Return a feed, in the order given: the same happenings give the same bytes."""
    calendar = Calendar()
    calendar.add("prodid", "-//SWAT windows//Calendar//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", one_line(name))
    calendar.add("refresh-interval", REFRESH, parameters={"value": "DURATION"})
    for happening in happenings:
        calendar.add_component(_event(happening))
    feed: bytes = calendar.to_ical()
    return feed


def _event(one: Happening) -> Event:
    event = Event()
    event.add("uid", one.uid)
    event.add("dtstamp", one.changed_at.astimezone(UTC))
    event.add("last-modified", one.changed_at.astimezone(UTC))
    event.add("sequence", one.sequence)
    event.add("summary", one_line(one.summary))
    event.add("dtstart", _utc(one.start))
    if one.end is not None:
        event.add("dtend", _utc(one.end))
    event.add("status", "CANCELLED" if one.is_cancelled else "CONFIRMED")
    event.add("transp", "OPAQUE" if one.is_busy and not one.is_cancelled else "TRANSPARENT")
    if one.description:
        event.add("description", visible_prose(one.description))
    if one.url:
        event.add("url", one.url)
    return event


def _utc(value: datetime | date) -> datetime | date:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
