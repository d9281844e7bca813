"""Which of two coupled changes should go first, as far as their diffs tell.

Advice, never an edge: somebody confirms it (`reference/ordering.md`, "Which one first?"). A name
that moves is the trap of October 2015: for most names the new place comes first, and for one that
may be registered only once that is fatal.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from scheduler.domain.coupling.evidence import (
    AT_ONCE,
    FEWEST_MOVED,
    UNCOMMON,
    Sides,
    author_of_both,
    names_project,
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
    """

    word: str
    first: int | None = None


def advice_on(sides: Sides, rarity: Rarity) -> Advice:
    """Return which of two changes should go first, that they go together, or to ask."""
    for here in sides.both_ways():
        if _gives_up_unique(here):
            return Advice(FIRST, here.one.number)
    if any(_moves(here, rarity) for here in sides.both_ways()):
        return Advice(TOGETHER)
    ones, others = (_votes(here, rarity) for here in sides.both_ways())
    if abs(ones - others) < SPEAK_FROM:
        return Advice(ASK)
    return Advice(FIRST, (sides.one if ones > others else sides.other).number)


def _gives_up_unique(here: Sides) -> bool:
    """Return whether one gives up a name that the other takes, and only one may have at a time."""
    moved = here.ones.names.given_up.keys() & here.others.names.defined.keys()
    return any(map(unique_name, moved))


def _moves(here: Sides, rarity: Rarity) -> bool:
    """Return whether what one gives up comes in the other."""
    if len(here.ones.removed.keys() & here.others.added.keys()) >= FEWEST_MOVED:
        return True
    moved = here.ones.names.given_up.keys() & here.others.names.defined.keys()
    return sum(rarity.of_name(name) >= UNCOMMON for name in moved) > 1


def _votes(here: Sides, rarity: Rarity) -> int:
    """Return what speaks for one before the other; weights set as those of the evidence."""
    ones, others = here.ones.names, here.others.names
    shared = [n for n in ones.anywhere.keys() & others.anywhere.keys() if _counts(n, rarity)]
    defined = sum(name in ones.defined and name in others.used for name in shared)
    votes = min(defined, 2)
    votes += sum(n in others.dropped for n in shared) > sum(n in ones.dropped for n in shared)
    votes += 4 * (_only_cleans_up(here, shared) and not _only_cleans_up(here.turned(), shared))
    votes += 3 * (_takes_away(here.others) and not _takes_away(here.ones))
    votes += bool(_PREPARES.search(here.one.message))
    votes += bool(_BEGINS.match(here.one.subject))
    votes += bool(_FOLLOWS.match(here.other.subject))
    votes += here.other.is_config and not here.one.is_config
    votes += bool(here.ones.words & others.anywhere.keys())
    votes += len(here.ones.words) > SAYS_MORE * len(here.others.words)
    votes += names_project(here.turned())
    votes += _was_written_before(here)
    return votes


def _only_cleans_up(here: Sides, shared: Collection[str]) -> bool:
    """Return whether one stops using what the other gives up, and neither defines what both name.

    Where something is defined as well, both follow a new name, and this says nothing of an order.
    """
    ones, others = here.ones.names, here.others.names
    if any(name in ones.defined or name in others.defined for name in shared):
        return False
    return any(name in ones.dropped and name in others.given_up for name in shared)


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
