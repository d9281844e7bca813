"""Names that may be registered only once: while two have them, every page may fail.

The list is short, dated, and grows from incidents (`reference/ordering.md`, "Which one first?").
Whoever moves such a name gives it up first; for every other name that is the wrong way round.
"""

import re
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class UniqueNames:
    """One kind of names that may be registered only once.

    Attributes:
        pattern: matches such a name, folded.
        what: what it names, with its article.
        since: the day of the incident that put it here.
        why: what happens while two register it.
    """

    pattern: re.Pattern[str]
    what: str
    since: date
    why: str


UNIQUE_NAMES = (
    UniqueNames(
        re.compile(r"schema\.\w+\Z"),
        "an event schema's module",
        date(2015, 10, 5),
        "ResourceLoader refuses a module that is registered twice, on every page of every wiki",
    ),
)


def unique_name(name: str) -> UniqueNames | None:
    """Return what makes a folded name one that may be registered only once; None if nothing."""
    return next((one for one in UNIQUE_NAMES if one.pattern.match(name)), None)
