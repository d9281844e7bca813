"""Which steps may still go: what falls with a change that is no longer to be deployed."""

from collections.abc import Iterable

from scheduler.domain.planning.plan import Step


def falling(steps: Iterable[Step], lost: frozenset[int]) -> frozenset[int]:
    """Return the positions of the steps that cannot go once some changes are out.

    A step falls with any of its members, and with whatever has to go before it.

    Args:
        steps: a queue in its order.
        lost: numbers of the changes that must not be deployed any more.
    """
    out = set(lost)
    positions = set()
    for step in steps:
        needs = {because.first for because in step.because}
        if not out.isdisjoint({*step.changes, *needs}):
            positions.add(step.position)
            out.update(step.changes)
    return frozenset(positions)
