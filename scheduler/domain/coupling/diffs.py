"""A unified diff as the lines that it adds and removes, file by file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

LONGEST_LINE = 1_000  # characters; what is longer was made by a program
MOST_LINES = 60_000  # of one change: what follows is not looked at

_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")

_FILE = "diff --git "
_INDEX = re.compile(r"index ([0-9a-f]{7,40})\.\.([0-9a-f]{7,40})\b")
_DIGITS = 7  # as few as git ever prints
_NO_FILE, _EMPTY = "0" * _DIGITS, "e69de29"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a unified diff.

    Attributes:
        number: where it stands, in the new file or, if it is removed, in the old one.
        sign: `+`, `-`, or a blank for one that stays.
    """

    path: str
    number: int
    text: str
    sign: str

    @property
    def is_added(self) -> bool:
        """Whether the change adds it."""
        return self.sign == "+"


def changed_lines(diff: str) -> Iterator[Line]:
    """Yield the lines that a unified diff adds or removes, in its order."""
    return (line for line in lines_of(diff) if line.sign != " ")


def lines_of(diff: str) -> Iterator[Line]:
    """Yield the lines of a unified diff, in its order.

    What is no diff has none. Lines that are too long to be read by anybody are left out, and so is
    what comes after a bounded number of lines.
    """
    old_path = new_path = ""
    hunk = _Hunk()
    for text in islice(diff.split("\n"), MOST_LINES):
        if hunk.goes_on:
            sign, number = hunk.take(text)
            if sign and len(text) <= LONGEST_LINE:
                yield Line(old_path if sign == "-" else new_path, number, text[1:], sign)
        elif match := _HUNK.match(text):
            hunk = _Hunk(*(1 if told is None else int(told) for told in match.groups()))
        elif text.startswith("--- "):
            old_path = _path(text[4:])
        elif text.startswith("+++ "):
            new_path = _path(text[4:])
            old_path, new_path = old_path or new_path, new_path or old_path


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A file that a change adds or deletes as a whole.

    Attributes:
        content: the start of the digest by which git knows what is in it.
        is_added: else it is deleted.
    """

    path: str
    content: str
    is_added: bool


def whole_files(diff: str) -> Iterator[WholeFile]:
    """Yield the files that a diff of git adds or deletes as a whole, but for empty ones."""
    path, hunk = "", _Hunk()
    for text in islice(diff.split("\n"), MOST_LINES):
        if hunk.goes_on:
            hunk.take(text)
        elif match := _HUNK.match(text):
            hunk = _Hunk(*(1 if told is None else int(told) for told in match.groups()))
        elif text.startswith(_FILE):
            names = text[len(_FILE) :]  # the same name twice: a/path b/path
            path = names[2 : len(names) // 2]
        elif found := _INDEX.match(text):
            old, new = found[1][:_DIGITS], found[2][:_DIGITS]
            content = old if new == _NO_FILE else new
            if _NO_FILE in {old, new} and content != _EMPTY:
                yield WholeFile(path, content, old == _NO_FILE)


@dataclass(slots=True)
class _Hunk:
    """Where the next line of a hunk stands on both sides, and how many are left."""

    old: int = 0
    old_left: int = 0
    new: int = 0
    new_left: int = 0

    @property
    def goes_on(self) -> bool:
        return self.old_left > 0 or self.new_left > 0

    def take(self, text: str) -> tuple[str, int]:
        """Return the sign of the next line and its number; "" of what is no line of the file."""
        sign = text[:1]
        if sign == "\\":
            return "", 0
        number = self.old if sign == "-" else self.new
        if sign != "+":
            self.old, self.old_left = self.old + 1, self.old_left - 1
        if sign != "-":
            self.new, self.new_left = self.new + 1, self.new_left - 1
        return (sign if sign in {"+", "-"} else " "), number


def _path(text: str) -> str:
    """Return the path of a line such as `--- a/path`; "" of no file."""
    name = text.split("\t", 1)[0].strip().strip('"')
    if name == "/dev/null":
        return ""
    return name[2:] if name[:2] in {"a/", "b/"} else name
