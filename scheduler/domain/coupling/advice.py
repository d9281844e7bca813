"""Which of two coupled changes should go first, as far as their diffs tell.

Advice, never an edge: somebody confirms it (`reference/ordering.md`, "Which one first?"). A name
that moves is the trap of October 2015: for most names the new place comes first, and for one that
may be registered only once that is fatal.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta

from scheduler.domain.coupling.evidence import (
    AT_ONCE,
    FEWEST_MOVED,
    RARE,
    UNCOMMON,
    Sides,
    author_of_both,
    names_project,
    shared_by,
)
from scheduler.domain.coupling.rarity import Rarity
from scheduler.domain.coupling.traits import Traits
from scheduler.domain.coupling.unique import unique_name

FIRST, TOGETHER, ASK = "first", "together", "ask"
SPEAK_FROM = 3  # votes more than the other side has
ONE_DAY = timedelta(days=1)
SAYS_MORE = 1.5  # times as many words as the other message


@dataclass(frozen=True, slots=True)
class Advice:
    """What the evidence advises.

    Attributes:
        word: `first`, `together` or `ask`.
        first: the change that should go first; None unless the word is `first`.
        because: what speaks for either, what weighs most first; nothing where the word is `ask`.
    """

    word: str
    first: int | None = None
    because: tuple[str, ...] = ()


def advice_on(sides: Sides, rarity: Rarity) -> Advice:
    """Return which of two changes should go first, that they go together, or to ask."""
    for here in sides.both_ways():
        if _gives_up_unique(here):
            return Advice(FIRST, here.one.number, (_gives_up_before(here),))
    if any(_moves(here, rarity) for here in sides.both_ways()):
        return Advice(TOGETHER, because=("what leaves the one comes in the other",))
    if _changes_alike(sides, rarity):
        return Advice(TOGETHER, because=("both change what one name is",))
    if any(_meets_nothing(here, rarity) for here in sides.both_ways()):
        return Advice(ASK)
    ones, others = (list(_votes(here, rarity)) for here in sides.both_ways())
    ahead = sum(votes for votes, _ in ones) - sum(votes for votes, _ in others)
    if abs(ahead) < SPEAK_FROM:
        return Advice(ASK)
    speaking, first = (ones, sides.one) if ahead > 0 else (others, sides.other)
    told = sorted(speaking, key=lambda vote: -vote[0])
    return Advice(FIRST, first.number, tuple(why for _, why in told))


def _gives_up_unique(here: Sides) -> bool:
    """Return whether one gives up a name that the other takes, and only one may have at a time."""
    moved = here.ones.names.given_up.keys() & here.others.names.defined.keys()
    return any(map(unique_name, moved))


def _gives_up_before(here: Sides) -> str:
    return f"it gives up a name that only one may have, and {here.other.number} takes it"


def _moves(here: Sides, rarity: Rarity) -> bool:
    """Return whether what one gives up comes in the other."""
    if len(here.ones.removed.keys() & here.others.added.keys()) >= FEWEST_MOVED:
        return True
    if here.ones.left.keys() & here.others.came.keys():
        return True
    moved = here.ones.names.given_up.keys() & here.others.names.defined.keys()
    return any(_counts(name, rarity) for name in moved)


def _changes_alike(sides: Sides, rarity: Rarity) -> bool:
    """Return whether both change what a name is: the two ends of an interface."""
    both = sides.ones.names.changed.keys() & sides.others.names.changed
    return any(_counts(name, rarity) for name in both)


def _meets_nothing(here: Sides, rarity: Rarity) -> bool:
    """Return whether one starts to use what the other gives up: neither order ends well."""
    gone = here.ones.names.used.keys() & here.others.names.given_up.keys()
    return any(rarity.of_name(n) >= RARE and n not in here.ones.names.defined for n in gone)


Vote = tuple[int, str]  # how much it weighs, and why


def _votes(here: Sides, rarity: Rarity) -> Iterator[Vote]:
    """Yield what speaks for one before the other."""
    yield from _votes_of_diffs(here, rarity)
    yield from _votes_of_messages(here)
    if votes := _was_written_before(here):
        yield votes, f"its author wrote {here.one.number} first"


def _votes_of_diffs(here: Sides, rarity: Rarity) -> Iterator[Vote]:
    one, other = here.one.number, here.other.number
    ones, others = here.ones.names, here.others.names
    shared = [n for n in shared_by(ones.anywhere, others.anywhere) if _counts(n, rarity)]
    if defined := sum(name in ones.defined and name in others.used for name in shared):
        yield min(defined, 2), f"{one} defines what {other} uses"
    if sum(n in others.dropped for n in shared) > sum(n in ones.dropped for n in shared):
        yield 2, f"{other} stops using more of what both name"
    if _only_cleans_up(here, shared) and not _only_cleans_up(here.turned(), shared):
        yield 5, f"{one} stops using what {other} gives up"
    if _takes_away(here.others) and not _takes_away(here.ones):
        yield 3, f"{other} takes away more than it adds, and {one} does not"
    if here.other.is_config and not here.one.is_config:
        yield 1, f"{other} is configuration, and {one} is not"


def _votes_of_messages(here: Sides) -> Iterator[Vote]:
    one, other = here.one.number, here.other.number
    if _PREPARES.search(here.one.message):
        yield 1, f"the message of {one} says that something waits for it"
    if _BEGINS.match(here.one.subject):
        yield 1, f"the subject of {one} begins something"
    if _FOLLOWS.match(here.other.subject):
        yield 1, f"the subject of {other} follows something"
    if here.ones.words & here.others.names.anywhere.keys():
        yield 1, f"the message of {one} says a name that stands in {other}"
    if len(here.ones.words) > SAYS_MORE * len(here.others.words):
        yield 1, f"the message of {one} says more"
    if names_project(here.turned()):
        yield 1, f"the message of {other} names the project of {one}"


def _only_cleans_up(here: Sides, shared: Collection[str]) -> bool:
    """Return whether one stops using what the other gives up, and neither defines what both name.

    Where something is defined as well, both follow a new name, and this says nothing of an order.
    """
    ones, others = here.ones.names, here.others.names
    if any(name in ones.defined or name in others.defined for name in shared):
        return False
    return any(
        name in ones.dropped and name not in ones.given_up and name in others.given_up
        for name in shared
    )


def _was_written_before(here: Sides) -> int:
    """Return the votes for what one person wrote first; who writes both begins with what is needed.

    Between two people, or over days, it says nothing (`reference/ordering.md`: "older change first"
    is right in .53 to .68).
    """
    apart = here.apart()
    if apart is None or apart <= timedelta() or not author_of_both(here):
        return 0
    return 2 if apart <= AT_ONCE else int(apart <= ONE_DAY)


def _counts(name: str, rarity: Rarity) -> bool:
    return rarity.of_name(name) >= UNCOMMON


def _takes_away(traits: Traits) -> bool:
    """Return whether a change removes more than it adds."""
    return len(traits.removed) > len(traits.added)


# What a message says of a change that others wait for.
_PREPARES = re.compile(
    r"(?i)\b(?:so that|will be (?:used|removed|needed)|needed (?:by|for|in)|to be used|prepar\w+"
    r"|for use (?:by|in)|used by|in order to|allows?)\b"
)
_AREA = r"(?i)(?:[\w/. \[\]()-]{1,40}:\s*)?"
_BEGINS = re.compile(
    _AREA + r"(?:add|introduce|allow|support|expose|create|provide|implement|make|define|register"
    r"|export|pass|declare|emit|extract|prepare|deprecate)\b"
)
_FOLLOWS = re.compile(
    _AREA + r"(?:use|remove|drop|replace|switch|stop|update|adapt|follow|rename|migrate|convert|fix"
    r"|enable|adjust|consume|call|delete|clean|move)\b"
)
