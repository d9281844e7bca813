"""A week of the calendar as wikitext, as the wiki's generator writes it.

Source: `reference/wikimedia.md` 3.1 and 3.2. `when` is San Francisco's time, whose mark is `SF`.
No text of ours is markup there: whatever could be is written as a character reference.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from scheduler.adapters.calendars.entries import Entry, Person, Request, one_line
from scheduler.domain.windows import WindowKind, moments_of

PACIFIC = ZoneInfo("America/Los_Angeles")
# The page that a window links to; it tells the kind when a page is read.
PAGES = {
    WindowKind.BACKPORT: "Backport windows",
    WindowKind.TRAINING: "Deployments/Training",
    WindowKind.TRAIN: "Deployments/Train",
    WindowKind.SECURITY: "How to perform security fixes",
    WindowKind.DEDICATED: "Deployments/Inclusion criteria",
    WindowKind.INFRASTRUCTURE: "Deployments/Infrastructure",
    WindowKind.NO_DEPLOY: "Deployments/Emergencies",
}
_MARKUP = re.compile("[^0-9A-Za-z ,.()+\N{NO-BREAK SPACE}-\U0010ffff-]")
_MAGIC_LINK = re.compile(r"\b(RFC|PMID|ISBN) ")


def encoded(text: str) -> str:
    """Return a text of one line as wikitext that shows it, and nothing else."""
    plain = _MARKUP.sub(lambda found: f"&#{ord(found[0])};", one_line(text))
    return _MAGIC_LINK.sub(r"\1&#32;", plain)


def week_of(monday: date, entries: Iterable[Entry]) -> str:
    """Return a week as wikitext.

    Args:
        monday: its first day, in San Francisco.
        entries: its windows, in any order.
    """
    blocks = [f"==Week of {monday:%B} {monday.day}=="]
    ordered = sorted(entries, key=lambda one: (one.start, one.kind, one.title))
    for day, of_day in groupby(ordered, key=local_day):
        blocks.append(f"==={{{{Deployment_day|date={day.isoformat()}}}}}===")
        blocks += [_card(entry) for entry in of_day]
    return "\n".join(blocks) + "\n"


def local_day(entry: Entry) -> date:
    """Return the day of a window in San Francisco."""
    return entry.start.astimezone(PACIFIC).date()


def week_span(monday: date) -> tuple[datetime, datetime]:
    """Return from when to when a week lasts in San Francisco, UTC."""
    first, last = (
        datetime.combine(day, datetime.min.time(), PACIFIC).astimezone(UTC)
        for day in (monday, monday + timedelta(days=7))
    )
    return first, last


def _card(entry: Entry) -> str:
    limit = "" if entry.max_patches is None else f" (Max {entry.max_patches} patches)"
    small = f"<br/><small>'''{limit.strip()}'''</small>" if limit else ""
    lines = [
        "{{Deployment calendar event card",
        f"    |when={_when(entry.start)}",
        *_which(entry.start),
        f"    |length={_hours(entry.minutes)}",
        f"    |window=[[{PAGES[entry.kind]}|{encoded(entry.title)}]]{small}",
        f"    |who={', '.join(_person(one) for one in entry.deployers)}",
        "    |what=",
        *_what(entry.requests),
        "}}",
    ]
    return "\n".join(lines)


def _when(start: datetime) -> str:
    return f"{start.astimezone(PACIFIC):%Y-%m-%d %H:%M} SF"


def _which(start: datetime) -> Iterator[str]:
    """Yield a parameter that says which hour is meant, where the clocks show it twice.

    The wiki's template has no such parameter, and passes over it.
    """
    local = start.astimezone(PACIFIC)
    if len(moments_of(local.date(), local.time(), PACIFIC)) > 1:
        yield f"    |utcstart={start.astimezone(UTC):%Y-%m-%d %H:%M}"


def _hours(minutes: int) -> str:
    return f"{minutes / 60:.4f}".rstrip("0").rstrip(".")


def _person(person: Person) -> str:
    return f"{{{{ircnick|{encoded(person.nick)}|{encoded(person.name or person.nick)}}}}}"


def _what(requests: Iterable[Request]) -> Iterator[str]:
    """Yield the requests in their order, each run of one person's below their name."""
    for person, of_person in groupby(requests, key=lambda one: one.by):
        if person.nick:
            yield _person(person)
        for one in of_person:
            yield f"* {_request(one)}"


def _request(one: Request) -> str:
    if one.number is None:
        return encoded(one.text)
    return (
        f"{{{{deploy|type={encoded(one.type)}|gerrit={one.number}"
        f"|title={encoded(one.text)}|status={encoded(one.status)}}}}}"
    )
