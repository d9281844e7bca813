"""The pieces that every form of the wiki page has: titles, nicks, requests, times."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, time, timedelta, timezone, tzinfo

import mwparserfromhell
from mwparserfromhell.nodes import Text, Wikilink
from mwparserfromhell.nodes.template import Template
from mwparserfromhell.wikicode import Wikicode

from scheduler.adapters.calendars.entries import Person, Request, Unreadable, one_line
from scheduler.adapters.calendars.wikitext import PACIFIC, PAGES
from scheduler.adapters.cleaning import shortened
from scheduler.domain.windows import WindowKind

BREAK = "\x1e"  # stands for <br> and the like; no text from outside has it any more
LONGEST_TITLE, LONGEST_TEXT, LONGEST_LINE = 100, 300, 2_000  # characters
MOST_REQUESTS, MOST_LINES = 50, 200
ZONES: Mapping[str, tzinfo] = {
    "SF": PACIFIC,
    "PT": PACIFIC,
    "PDT": timezone(timedelta(hours=-7)),
    "PST": timezone(timedelta(hours=-8)),
    "UTC": UTC,
}
_YEARS = range(2000, 2101)
_BRACES = re.compile(r"\{\{|\}\}|\[\[|\]\]")
_SLOW = re.compile(r"\{\{|\}\}|\[\[|\]\]|[{}\[\]]|^[*#:;]+", re.MULTILINE)
_PARTNERS = {"{{": "}}", "[[": "]]"}
DEEPEST = 8  # how many templates and links may be inside each other
_QUOTES = re.compile("'{2,}")
_LIMIT = re.compile(r"\(?\bMax \d{1,3} patches\)?", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,9}")
_REFERENCE = re.compile(
    r"(?:\bgerrit(?:\.wikimedia\.org/r)?[:/|]"
    r"|\bgerrit\.wikimedia\.org/r/(?:#/)?c/(?:[^\s|\]}]{0,200}/)??)"
    r"([0-9]{1,9})(?![0-9])",
    re.IGNORECASE,
)
_ASKED_BY = re.compile(r"[ ][-\N{EN DASH}\N{EM DASH}][ ]([^()]{1,100})\(([^()\s]{1,100})\)\Z")
_PLACEHOLDERS = frozenset({"irc-nickname", "gerrit link to backport or config change"})

# Which page or word of a title tells which kind; the first that fits does.
_KIND_OF_PAGE: Mapping[str, WindowKind] = {
    **{page.casefold(): kind for kind, page in PAGES.items()},
    "swat deploys": WindowKind.BACKPORT,
    "swat": WindowKind.BACKPORT,
    "lightning deployments": WindowKind.BACKPORT,
    "heterogeneous deployment": WindowKind.TRAIN,
}
_KIND_OF_WORD = (
    ("no deploy", WindowKind.NO_DEPLOY),
    ("training", WindowKind.TRAINING),
    ("security", WindowKind.SECURITY),
    ("train", WindowKind.TRAIN),
    ("backport", WindowKind.BACKPORT),
    ("swat", WindowKind.BACKPORT),
    ("lightning", WindowKind.BACKPORT),
    ("infra", WindowKind.INFRASTRUCTURE),
    ("puppet", WindowKind.INFRASTRUCTURE),
    ("switchover", WindowKind.INFRASTRUCTURE),
)


def parsed(text: str) -> Wikicode:
    """Return the tree of a short piece of wikitext; quotes stay text."""
    return mwparserfromhell.parse(balanced(text), skip_style_tags=True)


def balanced(text: str) -> str:
    """Return wikitext in which every brace and bracket that has no partner is written out.

    The parser tries each of those as a beginning, and again inside of each other, so that a few
    lines of them would take it minutes. The marks of lists, and what is nested deeper than people
    do, go for the same reason.
    """
    open_ones: list[re.Match[str]] = []
    partners: set[int] = set()
    for brace in _BRACES.finditer(text):
        if brace[0] in _PARTNERS:
            open_ones.append(brace)
            continue
        wanted = [n for n, one in enumerate(open_ones[-DEEPEST:]) if _PARTNERS[one[0]] == brace[0]]
        if wanted:
            at = max(len(open_ones) - DEEPEST, 0) + wanted[-1]
            if at < DEEPEST:
                partners |= {open_ones[at].start(), brace.start()}
            del open_ones[at:]
    return _SLOW.sub(
        lambda found: found[0] if found.start() in partners else written_out(found[0]), text
    )


def written_out(text: str) -> str:
    """Return characters as references, so that they are no markup."""
    return "".join(f"&#{ord(sign)};" for sign in text)


def plain(text: str) -> str:
    """Return what a reader of the wiki sees of a piece of wikitext, as one clean line."""
    tree = parsed(_QUOTES.sub("", text.replace(BREAK, " ")))
    return one_line(tree.strip_code(normalize=True, collapse=False))


def kind_told(page: str, title: str) -> WindowKind:
    """Return the kind of a window: as its page tells, else as its title does, else dedicated."""
    name = page.partition("#")[0].replace("_", " ").strip().casefold()
    told = _KIND_OF_PAGE.get(name)
    if told is not None:
        return told
    words = title.casefold()
    return next((kind for word, kind in _KIND_OF_WORD if word in words), WindowKind.DEDICATED)


def title_and_kind(source: str) -> tuple[str, WindowKind, list[str]]:
    """Return the title of a window, its kind, and what was changed, in words.

    The title is what stands before the first break, without how many patches fit.

    Raises:
        Unreadable: there is none.
    """
    head = next((part for part in source.split(BREAK) if part.strip()), "")
    nodes = parsed(head).nodes
    page = next((str(node.title) for node in nodes if isinstance(node, Wikilink)), "")
    title = plain(
        "".join(
            _LIMIT.sub("", str(node)) if isinstance(node, Text) else str(node) for node in nodes
        )
    )
    if not title:
        raise Unreadable("It has no title.")
    kind = kind_told(page, title)
    if len(title) > LONGEST_TITLE:
        return (
            shortened(title, LONGEST_TITLE),
            kind,
            [f"Its title was cut to {LONGEST_TITLE} characters."],
        )
    return title, kind, []


def day_of(year: str, month: str | int, day: str) -> date:
    """Return a day.

    Raises:
        Unreadable: there is no such day, or it is far from the present.
    """
    try:
        found = date(int(year), int(month), int(day))
    except ValueError:
        raise Unreadable(f"{year}-{month}-{day} is no day.") from None
    if found.year not in _YEARS:
        raise Unreadable(f"The year {found.year} is not one of ours.")
    return found


def time_of(hour: str, minute: str) -> time:
    """Return a time of the day.

    Raises:
        Unreadable: there is no such time.
    """
    try:
        return time(int(hour), int(minute))
    except ValueError:
        raise Unreadable(f"{hour}:{minute} is no time of the day.") from None


def people_in(source: str) -> tuple[Person, ...]:
    """Return whom a text names: by the template for nicks, else by words between commas."""
    nicks = [
        person
        for template in parsed(source).filter_templates()
        if (person := person_in(template)) is not None
    ]
    if nicks:
        return tuple(dict.fromkeys(nicks))
    words = (plain(part).strip(" ()") for part in source.split(","))
    return tuple(
        Person(shortened(word, LONGEST_TITLE), shortened(word, LONGEST_TITLE))
        for word in dict.fromkeys(words)
        if word and word.casefold() not in _PLACEHOLDERS
    )


def person_in(template: Template) -> Person | None:
    """Return whom a template for nicks names; None for another template or the placeholder."""
    if plain(str(template.name)).casefold() != "ircnick":
        return None
    nick = _parameter(template, "1")
    if not nick or nick.casefold() in _PLACEHOLDERS:
        return None
    return Person(
        shortened(nick, LONGEST_TITLE), shortened(_parameter(template, "2") or nick, LONGEST_TITLE)
    )


def requests_in(lines: Iterable[tuple[int, str]]) -> tuple[tuple[Request, ...], list[str]]:
    """Return the requests in numbered lines, and what could not be read, in words."""
    requests: list[Request] = []
    notes: list[str] = []
    by = Person("")
    for count, (number, line) in enumerate(lines):
        if len(requests) >= MOST_REQUESTS or count >= MOST_LINES:
            notes.append(f"Line {number}: more requests than a window has; the rest is left out.")
            break
        found, by, note = request_in(line, by)
        requests += found
        if note:
            notes.append(f"Line {number}: {note}")
    return tuple(requests), notes


def request_in(line: str, by: Person) -> tuple[list[Request], Person, str]:
    """Return the requests of a line, who asks from here on, and what could not be read.

    Args:
        line: of wikitext.
        by: who asked for what stood above.
    """
    if not line.strip():
        return [], by, ""
    if len(line) > LONGEST_LINE:
        return [], by, "it is too long to be a request."
    templates = parsed(line).filter_templates()
    deploys = [one for one in templates if plain(str(one.name)).casefold() == "deploy"]
    if deploys:
        read = [_deploy(one, by) for one in deploys]
        lacking = any(one.number is None for one in read)
        return read, by, "its change has no number." if lacking else ""
    people = [person for one in templates if (person := person_in(one)) is not None]
    reference = _REFERENCE.search(line)
    text = plain(_without(line, reference[0]) if reference else line).lstrip("*#:; ")
    asked = _ASKED_BY.search(text)
    if asked:
        text, people = text[: asked.start()], [Person(asked[2], asked[1].strip())]
    if reference is None and (not text or text.casefold() in _PLACEHOLDERS):
        return [], people[0] if people else by, ""
    number = int(reference[1]) if reference else None
    own = people[0] if people else by
    return [Request(number, shortened(text, LONGEST_TEXT), by=own)], by, ""


def has_reference(line: str) -> bool:
    """Return whether a line names a change."""
    return _REFERENCE.search(line) is not None


def _without(line: str, reference: str) -> str:
    """Return a line without what names its change, nor the template around that."""
    return line.replace(f"{{{{{reference}}}}}", " ", 1).replace(reference, " ", 1)


def _deploy(template: Template, by: Person) -> Request:
    number = _parameter(template, "gerrit")
    return Request(
        int(number) if _NUMBER.fullmatch(number) else None,
        shortened(_parameter(template, "title"), LONGEST_TEXT),
        shortened(_parameter(template, "type"), LONGEST_TITLE),
        shortened(_parameter(template, "status"), LONGEST_TITLE),
        by,
    )


def _parameter(template: Template, name: str) -> str:
    return plain(source_of(template, name))


def source_of(template: Template, name: str) -> str:
    """Return the wikitext of a parameter; "" where it is not given."""
    found = template.get(name, None)
    return "" if found is None else str(found.value)
