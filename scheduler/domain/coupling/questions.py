"""Which two changes somebody is asked about: each pair with enough evidence, and the advice."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from scheduler.domain.changes import Change
from scheduler.domain.coupling.advice import advice_on
from scheduler.domain.coupling.evidence import (
    ASK_FROM,
    MOST_SHARING,
    UNCOMMON,
    UNCOMMON_WORD,
    Evidence,
    Pair,
    Sides,
    evidence_of,
    mentions,
    same_bug,
)
from scheduler.domain.coupling.rarity import NOTHING_SEEN, Rarity
from scheduler.domain.coupling.traits import Traits, traits_of


@dataclass(frozen=True, slots=True)
class Question:
    """A suspected coupling that somebody must answer.

    Attributes:
        changes: the two numbers, the smaller first.
        points: all its evidence together.
        advice: `first`, `together` or `ask`.
        first: the change advised to go first; None unless the advice is `first`.
        evidence: what speaks for it.
    """

    changes: Pair
    points: int
    advice: str
    first: int | None
    evidence: tuple[Evidence, ...]


def questions(
    changes: Iterable[Change],
    traits: Mapping[int, Traits] | None = None,
    rarity: Rarity = NOTHING_SEEN,
) -> Iterator[Question]:
    """Yield a question for every pair of changes of different repositories with enough evidence.

    Pairs of siblings are left out, and so is what only touches tests, documentation or the build:
    production never runs it. The questions come ordered by the two numbers.

    Args:
        changes: those that may belong together.
        traits: what was worked out of them before, by number; the others are read now.
        rarity: how rare names and words are.
    """
    by_number = {change.number: change for change in changes}
    known = {number: its for number, its in (traits or {}).items() if number in by_number}
    for change in by_number.values():
        if change.number not in known and change.diff:
            known[change.number] = traits_of(change)
    found: dict[Pair, list[Evidence]] = {}
    for pair, one_more in (*same_bug(by_number), *mentions(by_number)):
        found.setdefault(pair, []).append(one_more)
    for pair in sorted({*found, *_sharing(known, rarity)}):
        one, other = by_number[pair[0]], by_number[pair[1]]
        if one.project == other.project or one.key == other.key:
            continue
        ones, others = known.get(one.number, _UNKNOWN), known.get(other.number, _UNKNOWN)
        if ones.is_aside or others.is_aside:
            continue
        sides = Sides(one, other, ones, others)
        evidence = (*found.get(pair, ()), *evidence_of(sides, rarity))
        points = sum(piece.points for piece in evidence)
        if points >= ASK_FROM:
            advice = advice_on(sides, rarity)
            yield Question(pair, points, advice.word, advice.first, evidence)


_UNKNOWN = Traits()


def _sharing(traits: Mapping[int, Traits], rarity: Rarity) -> Iterator[Pair]:
    """Yield the pairs that share anything that says something."""
    having: dict[Hashable, list[int]] = {}
    for number in sorted(traits):
        its = traits[number]
        if its.is_aside:
            continue
        names = {name for name in its.names.anywhere if rarity.of_name(name) >= UNCOMMON}
        words = {word for word in its.words if rarity.of_word(word) >= UNCOMMON_WORD}
        lines = its.added.keys() | its.removed.keys()
        for shared in (*names, *(words - names), *lines):
            having.setdefault(shared, []).append(number)
    for numbers in having.values():
        if 1 < len(numbers) <= MOST_SHARING:
            yield from combinations(numbers, 2)
