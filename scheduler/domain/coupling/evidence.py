"""What speaks for a coupling between two changes, in points (`reference/ordering.md`, part B).

This is the detector's first form: the same Bug, and one message that names the other change. The
evidence in diffs comes with the detector proper.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, product

from scheduler.domain.changes import Change

SAME_BUG_POINTS = 3
MENTION_POINTS = 4
ASK_FROM = 3

_SHORTEST_MENTION = 8


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that speaks for a coupling.

    Attributes:
        kind: such as `same-bug`.
        points: its weight.
        text: the sentence a person can check.
        names: what the two have in common.
    """

    kind: str
    points: int
    text: str
    names: tuple[str, ...]


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

    changes: tuple[int, int]
    points: int
    advice: str
    first: int | None
    evidence: tuple[Evidence, ...]


def questions(changes: Iterable[Change]) -> Iterator[Question]:
    """Yield a question for every pair of changes of different repositories with enough evidence.

    Pairs of siblings are left out. The questions come ordered by the two numbers.
    """
    by_number = {change.number: change for change in changes}
    found: dict[tuple[int, int], list[Evidence]] = {}
    for pair, one_more in (*_same_bug(by_number), *_mentions(by_number)):
        one, other = by_number[pair[0]], by_number[pair[1]]
        if one.project != other.project and one.key != other.key:
            found.setdefault(pair, []).append(one_more)
    points = {pair: sum(one.points for one in evidence) for pair, evidence in found.items()}
    for pair in sorted(pair for pair in found if points[pair] >= ASK_FROM):
        yield Question(pair, points[pair], "ask", None, tuple(found[pair]))


def _same_bug(by_number: dict[int, Change]) -> Iterator[tuple[tuple[int, int], Evidence]]:
    about: dict[str, list[int]] = {}
    for number in sorted(by_number):
        for task in by_number[number].bugs:
            about.setdefault(task, []).append(number)
    shared: dict[tuple[int, int], list[str]] = {}
    for task in sorted(about):
        of_project: dict[str, list[int]] = {}
        for number in about[task]:
            of_project.setdefault(by_number[number].project, []).append(number)
        for some, others in combinations(of_project.values(), 2):
            for one, other in product(some, others):
                shared.setdefault((min(one, other), max(one, other)), []).append(task)
    for pair, tasks in shared.items():
        text = f"both are about {' and '.join(tasks)}"
        yield pair, Evidence("same-bug", SAME_BUG_POINTS, text, tuple(tasks))


def _mentions(by_number: dict[int, Change]) -> Iterator[tuple[tuple[int, int], Evidence]]:
    mentions = {n: ids for n in sorted(by_number) if (ids := by_number[n].mentions)}
    if not mentions:
        return
    starting: dict[str, list[Change]] = {}
    for number in sorted(by_number):
        change = by_number[number]
        starting.setdefault(change.key[:_SHORTEST_MENTION], []).append(change)
    told = set()
    for number, ids in mentions.items():
        for mentioned in ids:
            for other in starting.get(mentioned[:_SHORTEST_MENTION], ()):
                low, high = sorted((number, other.number))
                if other.key.startswith(mentioned) and low != high and (low, high) not in told:
                    told.add((low, high))
                    text = f"the message of {number} names {mentioned[:10]}, which is {other}"
                    yield (low, high), Evidence("mention", MENTION_POINTS, text, (mentioned,))
