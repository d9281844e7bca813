"""Which two changes somebody is asked about: each pair with enough evidence, and the advice."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, product
from typing import Generic, TypeVar

from scheduler.domain.changes import Change
from scheduler.domain.coupling.advice import advice_on
from scheduler.domain.coupling.background import NOTHING_BESIDES, Background
from scheduler.domain.coupling.evidence import (
    ASK_ACROSS_FROM,
    ASK_FROM,
    MOST_OF_AUTHOR,
    MOST_SHARING,
    UNCOMMON,
    UNCOMMON_WORD,
    Evidence,
    Pair,
    Sides,
    author_of,
    evidence_of,
    mentions,
    same_bug,
    same_topic,
)
from scheduler.domain.coupling.rarity import Rarity
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
        because: what speaks for that advice, what weighs most first.
    """

    changes: Pair
    points: int
    advice: str
    first: int | None
    evidence: tuple[Evidence, ...]
    because: tuple[str, ...] = ()

    def beside(self, found: "Question") -> "Question":
        """Return the same pair with what else was found of it, and its advice."""
        return replace(
            found,
            points=self.points + found.points,
            evidence=(*self.evidence, *found.evidence),
        )


Key = TypeVar("Key", bound=Hashable)

PairsOf = Callable[[Sequence[int]], Iterable[Pair]]


def questions(
    changes: Iterable[Change], background: Background = NOTHING_BESIDES
) -> Iterator[Question]:
    """Yield a question for every pair of changes of different repositories with enough evidence.

    Pairs of siblings are left out, and so is what only touches tests, documentation or the build:
    production never runs it. The questions come ordered by the two numbers.

    Args:
        changes: those that may belong together.
        background: what is known besides.
    """
    by_number = {change.number: change for change in changes}
    return _asked(by_number, background, ASK_FROM, _every_pair, by_messages=True)


def _every_pair(numbers: Sequence[int]) -> Iterator[Pair]:
    return combinations(numbers, 2)


def questions_across(
    changes: Iterable[Change], others: Iterable[Change], background: Background = NOTHING_BESIDES
) -> Iterator[Question]:
    """Yield a question for each pair of one change and one of others with a lot of evidence.

    Many more pairs are looked at than in one window, so that more is asked of the evidence: more
    points, and a task, a topic, a mention, or something that stands in both diffs.

    Args:
        changes: those of a window.
        others: those of other windows, or that ride the train; none of the window.
        background: what is known besides.
    """
    here = {change.number: change for change in changes}
    there = {other.number: other for other in others}

    def across(numbers: Sequence[int]) -> Iterator[Pair]:
        ours = [number for number in numbers if number in here]
        for one, other in product(ours, [number for number in numbers if number in there]):
            yield min(one, other), max(one, other)

    asked = _asked(here | there, background, ASK_ACROSS_FROM, across, by_messages=False)
    for question in asked:
        if (question.changes[0] in here) != (question.changes[1] in here):
            yield question


def _asked(
    by_number: Mapping[int, Change],
    background: Background,
    least: int,
    pairs_of: PairsOf,
    *,
    by_messages: bool,
) -> Iterator[Question]:
    """Yield the questions about pairs with at least so many points.

    Args:
        by_number: the changes.
        background: what is known besides.
        least: points.
        pairs_of: which pairs of some changes that share something are looked at.
        by_messages: whether a word of both messages, or one author, makes them share something.
    """
    known = _known(by_number, background)
    found: dict[Pair, list[Evidence]] = {}
    said = (
        *same_bug(by_number),
        *same_topic(by_number),
        *mentions(by_number, background.landings),
    )
    for pair, one_more in said:
        found.setdefault(pair, []).append(one_more)
    sharing = _having(known, background.rarity, by_words=by_messages)
    alike = [pairs_of(numbers) for numbers in sharing if 1 < len(numbers) <= MOST_SHARING]
    if by_messages:
        having = _written_by_one(by_number.values())
        alike += [pairs_of(numbers) for numbers in having if 1 < len(numbers) <= MOST_OF_AUTHOR]
    for pair in sorted({*found, *chain.from_iterable(alike)}):
        one, other = by_number[pair[0]], by_number[pair[1]]
        if one.project == other.project or one.key == other.key:
            continue
        ones, others = known.get(one.number, _UNKNOWN), known.get(other.number, _UNKNOWN)
        if ones.is_aside or others.is_aside:
            continue
        sides, rarity = Sides(one, other, ones, others), background.rarity_between(one, other)
        evidence = (*found.get(pair, ()), *evidence_of(sides, rarity))
        points = sum(piece.points for piece in evidence)
        if points >= least:
            advice = advice_on(sides, rarity)
            yield Question(pair, points, advice.word, advice.first, evidence, advice.because)


_UNKNOWN = Traits()


def _known(by_number: Mapping[int, Change], background: Background) -> Mapping[int, Traits]:
    """Return the traits of changes; those that were not worked out before are now."""
    known = {number: its for number, its in background.traits.items() if number in by_number}
    for change in by_number.values():
        if change.number not in known and change.diff:
            known[change.number] = traits_of(change)
    return known


def _having(traits: Mapping[int, Traits], rarity: Rarity, *, by_words: bool) -> list[list[int]]:
    """Return the changes that share each thing that says something.

    How rare a thing is, is asked only of what two have.

    Args:
        traits: what was worked out of the changes, by number.
        rarity: how rare names and words are.
        by_words: whether words of messages are such things.
    """
    lines = _Having[int]()
    names, words = _Having[str](), _Having[str]()
    for number in sorted(traits):
        its = traits[number]
        if its.is_aside:
            continue
        lines.note(its.added.keys() | its.removed.keys(), number)
        names.note(its.names.anywhere, number)
        if by_words:
            words.note(its.words, number)
    having = list(lines.several.values())
    said = words.first.keys() & names.first.keys()
    for text in names.several.keys() | words.several.keys() | said:
        rare = names.of(text) if rarity.of_name(text) >= UNCOMMON else []
        rare_words = words.of(text) if rarity.of_word(text) >= UNCOMMON_WORD else []
        having.append(sorted({*rare, *rare_words}))
    return having


class _Having(Generic[Key]):
    """Which changes have each thing; most things are of one alone, and cost next to nothing."""

    def __init__(self) -> None:
        self.first: dict[Key, int] = {}
        self.several: dict[Key, list[int]] = {}

    def note(self, things: Iterable[Key], number: int) -> None:
        first = self.first
        for thing in things:
            if (one := first.setdefault(thing, number)) != number:
                self.several.setdefault(thing, [one]).append(number)

    def of(self, thing: Key) -> list[int]:
        return self.several.get(thing) or ([self.first[thing]] if thing in self.first else [])


def _written_by_one(changes: Iterable[Change]) -> list[list[int]]:
    """Return the changes of each author."""
    having: dict[str, list[int]] = {}
    for change in sorted(changes, key=lambda change: change.number):
        if author := author_of(change):
            having.setdefault(author, []).append(change.number)
    return list(having.values())
