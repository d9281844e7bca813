"""What the detector looks at of a change, as JSON that is stored."""

from collections.abc import Iterable, Mapping
from typing import Any

from scheduler.domain.coupling.identifiers import Names, Place
from scheduler.domain.coupling.traits import Spot, Traits

VERSION = 2  # of what is worked out; what was stored by another one is worked out again

# Each with the sign of the lines in which it stands.
_NAMES = {"defined": "+", "given_up": "-", "changed": "+", "used": "+", "dropped": "-"}
_LINES = {"added": "+", "removed": "-"}
_FILES = ("came", "left")
_WORDS = ("words", "subject")


def to_json(traits: Traits) -> dict[str, Any]:
    """Return traits as what JSON can say; each path stands in it once."""
    paths = _Paths()
    return {
        **{part: paths.of_names(getattr(traits.names, part)) for part in _NAMES},
        **{part: paths.of_lines(getattr(traits, part)) for part in _LINES},
        **{part: getattr(traits, part) for part in _FILES},
        **{part: sorted(getattr(traits, part)) for part in _WORDS},
        "is_aside": traits.is_aside,
        "paths": list(paths.places),
    }


class _Paths:
    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def of_names(self, names: Mapping[str, Place]) -> list[list[object]]:
        return [
            [name, self._place(place.path), place.line, place.written]
            for name, place in names.items()
        ]

    def of_lines(self, lines: Mapping[int, Spot]) -> list[list[int]]:
        return [[digest, self._place(spot.path), spot.line] for digest, spot in lines.items()]

    def _place(self, path: str) -> int:
        return self.places.setdefault(path, len(self.places))


def from_json(told: Mapping[str, Any]) -> Traits:
    """Return the traits that were stored."""
    paths: list[str] = told["paths"]
    added, removed = (_lines(told[part], paths, sign) for part, sign in _LINES.items())
    came, left = (dict(told[part]) for part in _FILES)
    words, subject = (frozenset(told[part]) for part in _WORDS)
    names = Names(**{part: dict(_names(told[part], paths, sign)) for part, sign in _NAMES.items()})
    return Traits(names, added, removed, came, left, words, subject, bool(told["is_aside"]))


def _lines(rows: Iterable[Any], paths: list[str], sign: str) -> dict[int, Spot]:
    return {digest: Spot(paths[at], line, sign) for digest, at, line in rows}


def _names(rows: Iterable[Any], paths: list[str], sign: str) -> Iterable[tuple[str, Place]]:
    return ((name, Place(paths[at], line, written, sign)) for name, at, line, written in rows)
