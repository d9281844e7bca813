"""What falls with a change that must not be deployed any more."""

from datetime import UTC, datetime

import pytest

from scheduler.domain.checklist.gate import falling
from scheduler.domain.planning.edges import Because
from scheduler.domain.planning.plan import Step

START = datetime(2026, 8, 26, 13, tzinfo=UTC)


def step(position: int, *changes: int, after: tuple[int, ...] = ()) -> Step:
    """Return a step that others must precede."""
    because = tuple(Because("dependency", first, "") for first in after)
    return Step(position, changes, START, 10, because)


QUEUE = (step(1, 11), step(2, 12, 13, after=(11,)), step(3, 14), step(4, 15, after=(13,)))


@pytest.mark.parametrize(
    ("lost", "positions"),
    [(set(), set()), ({11}, {1, 2, 4}), ({12}, {2, 4}), ({14}, {3}), ({15}, {4}), ({99}, set())],
)
def test_a_step_falls_with_its_members_and_with_what_it_needs(
    lost: set[int], positions: set[int]
) -> None:
    fallen = falling(QUEUE, dict.fromkeys(lost, "It was withdrawn."))

    assert fallen.keys() == positions
