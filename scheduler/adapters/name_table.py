"""The table of names that ships with the product: in how many changes each was seen, if in many."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from scheduler.domain.coupling.rarity import Rarity

TABLE = Path(__file__).with_name("names.txt")
_WIDTH = 100  # characters of a line
_PARTS = ("names", "words")


@lru_cache(maxsize=1)
def shipped_rarity() -> Rarity:
    """Return the table that ships with the product."""
    return read_table(TABLE.read_text("utf-8"))


def read_table(text: str) -> Rarity:
    """Return the rarity that a table tells.

    Raises:
        ValueError: it is none.
    """
    found: dict[str, dict[str, int]] = {part: {} for part in _PARTS}
    told: dict[str, int] = {}
    part: dict[str, int] = {}
    for line in text.splitlines():
        first, *rest = line.split()
        if first in found:
            part = found[first]
        elif first in {"changes", "floor"}:
            told[first] = int(rest[0])
        else:
            part.update(dict.fromkeys(rest, int(first)))
    try:
        return Rarity(told["changes"], found["names"], found["words"], told["floor"])
    except KeyError as missing:
        raise ValueError(f"The table does not say {missing}.") from missing


def write_table(rarity: Rarity) -> str:
    """Return a table as text: a count and the names that have it, the most frequent first."""
    lines = [f"changes {rarity.changes}", f"floor {rarity.floor}"]
    for part, counts in zip(_PARTS, (rarity.names, rarity.words), strict=True):
        lines += [part, *_lines(counts)]
    return "\n".join(lines) + "\n"


def _lines(counts: Mapping[str, int]) -> Iterator[str]:
    in_order = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    for count, pairs in groupby(in_order, key=lambda pair: pair[1]):
        line = str(count)
        for name, _ in pairs:
            if len(line) + len(name) >= _WIDTH:
                yield line
                line = str(count)
            line += f" {name}"
        yield line
