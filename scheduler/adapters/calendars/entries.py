"""What a calendar of text is made of: windows with their deployers and requests, both ways."""

from dataclasses import dataclass, field
from datetime import datetime

from scheduler.adapters.cleaning import visible_line
from scheduler.domain.windows import WindowKind


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in chat: the nick that a bot pings, and the name that is shown."""

    nick: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to deploy.

    Attributes:
        number: the change in the review system; None where only text names it.
        text: its title.
        type: `config`, or the version that it is for; "" where that is not said.
        status: what became of it: "", `done`, `not done` or `unknown`.
        by: who asked for it.
    """

    number: int | None
    text: str = ""
    type: str = ""
    status: str = ""
    by: Person = field(default_factory=lambda: Person(""))


@dataclass(frozen=True, slots=True)
class Entry:
    """One window; `start` in UTC."""

    start: datetime
    minutes: int
    kind: WindowKind
    title: str
    deployers: tuple[Person, ...] = ()
    requests: tuple[Request, ...] = ()
    max_patches: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A window that was read.

    Attributes:
        line: where it begins, from 1.
        notes: what of it could not be read, or was changed, in words.
    """

    line: int
    entry: Entry
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that looks like a window or a request and could not be read.

    Attributes:
        line: where it begins, from 1.
        excerpt: how it begins.
        why: in words.
    """

    line: int
    excerpt: str
    why: str


class UnusablePage(Exception):
    """A page that cannot be read at all; the first argument says why, in a sentence."""


class Unreadable(Exception):
    """Why one window cannot be read, in a sentence."""


def one_line(text: str) -> str:
    """Return a text as one clean line, with one space wherever there was some."""
    return visible_line(" ".join(text.split()))
