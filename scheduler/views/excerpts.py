"""The lines of a diff that a question is about, with what is shared marked."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from scheduler.domain.coupling.diffs import Line, lines_of
from scheduler.domain.coupling.evidence import Sighting

AROUND = 2  # lines before and after one that is shown
MOST_LINES = 24  # of one change
LONGEST = 240  # characters of a line


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a line: shared with the other change, or not."""

    text: str
    is_marked: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A line as it is shown.

    Attributes:
        sign: `+`, `-`, or a blank for one that stays.
        is_told: whether the evidence is about this very line.
    """

    number: int
    sign: str
    parts: tuple[Part, ...]
    is_told: bool


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines of one file that stand together."""

    path: str
    lines: tuple[Shown, ...]


def excerpts_of(diff: str, places: Iterable[Sighting], names: Iterable[str]) -> tuple[Excerpt, ...]:
    """Return what to show of a diff.

    Args:
        diff: a unified diff.
        places: files and lines that the evidence is about.
        names: what is shared; marked wherever it stands in the lines shown.
    """
    told = {(place.path, place.line, sign) for place in places for sign in place.sign or "+-"}
    paths = {path for path, _, _ in told}
    lines = [line for line in lines_of(diff) if line.path in paths]
    hits = [at for at, line in enumerate(lines) if (line.path, line.number, line.sign) in told]
    near = sorted({n for at in hits for n in range(at - AROUND, at + AROUND + 1)})
    chosen = [n for n in near if 0 <= n < len(lines)][:MOST_LINES]
    words = sorted({name.strip("$@.#") for name in names} - {""}, key=len, reverse=True)
    marked = re.compile(f"({'|'.join(map(re.escape, words)) or '(?!)'})", re.IGNORECASE)
    found: list[tuple[str, list[Shown]]] = []
    before = -1
    for n in chosen:
        line = lines[n]
        if not found or line.path != found[-1][0] or n != before + 1:
            found.append((line.path, []))
        found[-1][1].append(_shown(line, marked, is_told=n in hits))
        before = n
    return tuple(Excerpt(path, tuple(shown)) for path, shown in found)


def _shown(line: Line, marked: re.Pattern[str], *, is_told: bool) -> Shown:
    text = line.text.expandtabs(4)[:LONGEST]
    return Shown(line.number, line.sign, tuple(_parts(text, marked)), is_told)


def _parts(text: str, marked: re.Pattern[str]) -> Iterator[Part]:
    for place, part in enumerate(marked.split(text)):
        if part:
            yield Part(part, is_marked=place % 2 == 1)
