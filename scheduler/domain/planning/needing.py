"""What a backport takes along: all that needs it, or goes together with it."""

from collections import deque
from collections.abc import Iterable

from scheduler.domain.dependencies import Dependencies
from scheduler.domain.planning.edges import Edges
from scheduler.domain.planning.plan import PlanInput


def needing(given: PlanInput, number: int) -> frozenset[int]:
    """Return the requested changes that need one, or go together with it, directly or not.

    Args:
        given: the window and what is known.
        number: a requested change; it is not in the result itself.
    """
    return needing_each(given, [number])[number]


def needing_each(given: PlanInput, numbers: Iterable[int]) -> dict[int, frozenset[int]]:
    """Return the same for several requested changes, by number; what is known is read once."""
    requested = sorted(backport.change for backport in given.backports)
    dependencies = Dependencies(given.changes, requested, given.production, given.statements)
    edges = Edges(given.changes, requested, dependencies, given.statements)
    return {number: _needing(edges, number) for number in numbers}


def _needing(edges: Edges, number: int) -> frozenset[int]:
    found = {number}
    waiting = deque(found)
    while waiting:
        one = waiting.popleft()
        for other in (*edges.thens.get(one, ()), *edges.members[edges.bundle[one]]):
            if other not in found:
                found.add(other)
                waiting.append(other)
    return frozenset(found - {number})
