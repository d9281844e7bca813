"""Windows read from a wiki page, in each of the forms that the page has had.

Forms: the template of today, `{{Deployment calendar event card|when=…}}`; the rows before it,
`{{#invoke:Deployment schedule|row|when=…}}`; and lines of free text as in 2014 and 2015, below a
heading with the day. Source: `reference/wikimedia.md` 3.1 and 3.2.

The kind of a window is told by the page that it links to, else by words of its title, else it is
`dedicated`. Nothing is guessed of times: what the clocks show twice or never is told.

A template is looked for by its braces and only then given to the parser: on a page that was made
to be slow, the parser's time grows with the square of the length.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

from mwparserfromhell.nodes.template import Template

from scheduler.adapters.calendars.entries import (
    Entry,
    Found,
    Unread,
    Unreadable,
    UnusablePage,
    one_line,
)
from scheduler.adapters.calendars.pieces import (
    BREAK,
    LONGEST_LINE,
    ZONES,
    balanced,
    day_of,
    has_reference,
    parsed,
    people_in,
    requests_in,
    source_of,
    time_of,
    title_and_kind,
    written_out,
)
from scheduler.adapters.cleaning import shortened, visible
from scheduler.domain.errors import AmbiguousLocalTime, Refused
from scheduler.domain.windows import moment_of

LONGEST_PAGE, LONGEST_CARD, LONGEST_EXCERPT = 200_000, 6_000, 80  # characters
LONGEST_MINUTES = 24 * 60
MOST_PARAMETERS = 400  # of a window's template and of those inside
MOST_WINDOWS = 500

_CARD = re.compile(
    r"\{\{[ \n]{0,9}(?:(?:Template:[ _]{0,9})?Deployment[ _]calendar[ _]event[ _]card"
    r"|#invoke:[ ]{0,9}Deployment[ _]schedule[ \n]{0,9}\|[ \n]{0,9}row)(?=[ \n]{0,9}\|)",
    re.IGNORECASE,
)
_BRACES = re.compile(r"\{\{|\}\}")
_HIDDEN = re.compile(r"<!--|<nowiki>", re.IGNORECASE)
_ENDS = {"<!--": re.compile("-->"), "<nowiki>": re.compile("</nowiki>", re.IGNORECASE)}
# What only says how a text looks is left out, and the text stays.
_LOOKS = re.compile(
    r"</?(?:nowiki|s|del|strike|ins|u|b|i|em|strong|code|tt)\s{0,9}/?>", re.IGNORECASE
)
_BREAKS = re.compile(r"</?(?:br|small|big|p|div|span)\b[^<>\n]{0,200}>", re.IGNORECASE)
_SYNTAX = re.compile(r"[\[\]{}|<>=']")
_WHEN = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2}),? ([0-9]{1,2}):([0-9]{2})(?::00)?(?: ?([A-Za-z]{1,9}))?"
)
_LENGTH = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,6})?|\.[0-9]{1,6}")
_SPAN = re.compile(
    r"([0-9]{1,2}):([0-9]{2}) ?(?:-|\N{EN DASH}|\N{EM DASH}|to) ?([0-9]{1,2}):([0-9]{2}) ?"
    r"(UTC|SF|PT|PST|PDT)\b"
)
# A time of the day, of which no span is made: "4pm-5pm PDT", "23:00 UTC".
_TIME = re.compile(
    r"\b[0-9]{1,2}(?::[0-9]{2})? ?[ap]m\b"
    r"|\A[*#:; ]{0,9}[0-9]{1,2}:[0-9]{2} ?(?:UTC|SF|PT|PST|PDT)\b",
    re.IGNORECASE,
)
_HEADING = re.compile(r"(={2,6})([^=].{0,300}?)\1\s*\Z")
_YEAR = re.compile(r"\b(20[0-9]{2})\b")
_ISO_DAY = re.compile(r"\b(20[0-9]{2})-([0-9]{2})-([0-9]{2})\b")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_DAY = re.compile(rf"\b({'|'.join(_MONTHS)}) ([0-9]{{1,2}})(?:st|nd|rd|th)?\b", re.IGNORECASE)
_NAMES = re.compile(r"\(([^()]{1,200})\)\s*\Z")
_MARKS = "*#:; \t'|-\N{EN DASH}\N{EM DASH}/"


@dataclass(frozen=True, slots=True)
class ReadPage:
    """What a page holds, both in the order of the page."""

    found: tuple[Found, ...]
    unread: tuple[Unread, ...]


def read_page(text: str) -> ReadPage:
    """Return the windows of a wiki page, and what could not be read.

    Raises:
        UnusablePage: it is too long, or holds nothing that looks like a window.
    """
    if len(text) > LONGEST_PAGE:
        raise UnusablePage(f"This page has more than {LONGEST_PAGE:,} characters; cut it up.")
    page = _defused(visible(text.replace("\r\n", "\n").replace("\r", "\n")))
    cards, rest = _cut_out(page)
    read = [_read(line, card, partial(_of_card, line, card)) for line, card in cards[:MOST_WINDOWS]]
    read += _FreeText().read(rest)
    if not read:
        raise UnusablePage("No window was found: neither a template, nor a row, nor a line of one.")
    if len(read) > MOST_WINDOWS or len(cards) > MOST_WINDOWS:
        raise UnusablePage(f"This page holds more than {MOST_WINDOWS} windows; cut it up.")
    read.sort(key=lambda one: one.line)
    return ReadPage(
        tuple(one for one in read if isinstance(one, Found)),
        tuple(one for one in read if isinstance(one, Unread)),
    )


def _read(line: int, source: str, entry: Callable[[], Found]) -> Found | Unread:
    try:
        return entry()
    except (Unreadable, Refused) as why:
        excerpt = one_line(source.replace(BREAK, " "))
        return Unread(line, shortened(excerpt, LONGEST_EXCERPT), str(why))


# --- The page, cut into templates and the rest ---------------------------------------------------


def _defused(text: str) -> str:
    """Return a page without comments, with what is no markup written out, line by line as it was.

    Tags that break a line become one character; no other tag is left.
    """
    parts, at = [], 0
    while (begins := _HIDDEN.search(text, at)) is not None:
        ends = _ENDS[begins[0].lower()].search(text, begins.end())
        if ends is None:
            break
        inside = text[begins.end() : ends.start()]
        parts.append(text[at : begins.start()])
        if begins[0] == "<!--":
            parts.append("\n" * inside.count("\n"))
        else:
            parts.append(_SYNTAX.sub(lambda found: written_out(found[0]), inside))
        at = ends.end()
    shown = _LOOKS.sub("", "".join((*parts, text[at:])))
    return _BREAKS.sub(BREAK, shown).replace("<", "&lt;")


def _cut_out(text: str) -> tuple[list[tuple[int, str]], str]:
    """Return each template of a window with its line, and the page without them."""
    cards: list[tuple[int, str]] = []
    rest, at, line = [], 0, 1
    while (begins := _CARD.search(text, at)) is not None:
        before, end = text[at : begins.start()], _end_of(text, begins.start())
        card = text[begins.start() : end]
        cards.append((line + before.count("\n"), card))
        rest += [before, "\n" * card.count("\n")]
        line += before.count("\n") + card.count("\n")
        at = end
    return cards, "".join((*rest, text[at:]))


def _end_of(text: str, start: int) -> int:
    """Return where the template that begins at `start` ends; the end of its line if nowhere."""
    depth = 0
    for braces in _BRACES.finditer(text, start, start + LONGEST_CARD):
        depth += 1 if braces[0] == "{{" else -1
        if depth == 0:
            return braces.end()
    end = text.find("\n", start, start + LONGEST_CARD)
    return min(len(text), start + LONGEST_CARD) if end < 0 else end


# --- Templates and rows --------------------------------------------------------------------------


def _of_card(line: int, card: str) -> Found:
    card = balanced(card)
    is_short = card.count("|") <= MOST_PARAMETERS
    template = next(iter(parsed(card).nodes), None) if is_short else None
    if not isinstance(template, Template):
        raise Unreadable("It has no end, or is too long to be a window.")
    start = _start(source_of(template, "when"), source_of(template, "utcstart"))
    minutes = _minutes(source_of(template, "length"))
    title, kind, notes = title_and_kind(source_of(template, "window"))
    what = source_of(template, "what")
    first = line + card.count("\n", 0, max(card.find(what), 0))
    requests, unread = requests_in(enumerate(what.split("\n"), first))
    deployers = people_in(source_of(template, "who"))
    return Found(line, Entry(start, minutes, kind, title, deployers, requests), (*notes, *unread))


def _start(when: str, which: str) -> datetime:
    when = one_line(when)
    found = _WHEN.fullmatch(when)
    if found is None:
        raise Unreadable(f"`when` is {_quoted(when)}; it should be such as 2026-12-01 13:00 SF.")
    zone = ZONES.get((found[6] or "").upper())
    if zone is None:
        raise Unreadable(f"`when` is {_quoted(when)}, which does not name the zone, such as SF.")
    day, at = day_of(found[1], found[2], found[3]), time_of(found[4], found[5])
    try:
        return moment_of(day, at, zone)
    except AmbiguousLocalTime as twice:
        meant = [one for one in twice.moments if f"{one:%Y-%m-%d %H:%M}" == one_line(which)]
        if not meant:
            raise
        return meant[0]


def _minutes(length: str) -> int:
    length = one_line(length)
    minutes = round(float(length) * 60) if _LENGTH.fullmatch(length) else 0
    if not 0 < minutes <= LONGEST_MINUTES:
        raise Unreadable(f"`length` is {_quoted(length)}; it should be hours, such as 1 or 0.5.")
    return minutes


def _quoted(text: str) -> str:
    return f"“{shortened(text, LONGEST_EXCERPT)}”" if text else "missing"


# --- Lines of free text --------------------------------------------------------------------------


class _FreeText:
    """Reads lines from the top: a heading tells the day, a line a window, lines below requests."""

    def __init__(self) -> None:
        self.year = ""
        self.day: date | None = None
        self.why_no_day = "No heading above it names the day."

    def read(self, text: str) -> Iterator[Found | Unread]:
        """Yield what the lines hold."""
        window: tuple[int, str] | None = None
        below: list[tuple[int, str]] = []
        for number, whole in enumerate(text.split("\n"), 1):
            line = whole[:LONGEST_LINE]
            heading = _HEADING.match(line)
            begins = heading is None and _SPAN.search(line) is not None
            unclear = heading is None and not begins and _TIME.search(line) is not None
            if window is not None and (heading or begins or unclear or not line.strip()):
                yield self._window(window, below)
                window, below = None, []
            if heading:
                self._look_at(heading[2])
            elif begins:
                window = (number, line)
            elif window is not None:
                below.append((number, line))
            else:
                yield from self._stray(number, line, unclear=unclear)
        if window is not None:
            yield self._window(window, below)

    def _stray(self, number: int, line: str, *, unclear: bool) -> Iterator[Unread]:
        """Yield what a line is about that belongs to no window, if it is about one."""
        if unclear and self.day is not None:
            why = "It names a time, but not from when to when, such as 23:00-00:00 UTC."
        elif has_reference(line):
            why = "It names a change, but no window stands above it."
        else:
            return
        yield Unread(number, shortened(one_line(line), LONGEST_EXCERPT), why)

    def _look_at(self, heading: str) -> None:
        """Take the day, or the year, from a heading."""
        iso, day, year = _ISO_DAY.search(heading), _DAY.search(heading), _YEAR.search(heading)
        self.day, self.why_no_day = None, "The heading above it names no day."
        if heading.strip().lower().startswith("week of"):
            self.year = year[1] if year else ""
            return
        try:
            if iso:
                self.day = day_of(iso[1], iso[2], iso[3])
            elif day and (year or self.year):
                month = _MONTHS.index(day[1].lower()) + 1
                self.day = day_of(year[1] if year else self.year, month, day[2])
            elif day:
                self.why_no_day = "No heading above it names the year."
        except Unreadable as why:
            self.why_no_day = str(why)

    def _window(self, window: tuple[int, str], below: list[tuple[int, str]]) -> Found | Unread:
        number, line = window
        return _read(number, line, partial(self._entry, number, line, below))

    def _entry(self, number: int, line: str, below: list[tuple[int, str]]) -> Found:
        spans = list(_SPAN.finditer(line))
        span = next((one for one in spans if one[5] == "UTC"), spans[0])
        if self.day is None:
            raise Unreadable(self.why_no_day)
        start = moment_of(self.day, time_of(span[1], span[2]), ZONES[span[5]])
        minutes = self._length(span, start)
        rest = _SPAN.sub("", line).strip(_MARKS)
        names = _NAMES.search(rest)
        title, kind, notes = title_and_kind(
            (rest[: names.start()] if names else rest).strip(_MARKS)
        )
        requests, unread = requests_in(below)
        return Found(
            number,
            Entry(start, minutes, kind, title, people_in(names[1] if names else ""), requests),
            (*notes, *unread),
        )

    def _length(self, span: re.Match[str], start: datetime) -> int:
        begins, ends = (int(span[n]) * 60 + int(span[n + 1]) for n in (1, 3))
        minutes = ends - begins if ends > begins else ends - begins + LONGEST_MINUTES
        if not 0 < minutes <= LONGEST_MINUTES or ends > LONGEST_MINUTES:
            raise Unreadable(f"{span[3]}:{span[4]} is no time of the day.")
        return minutes
