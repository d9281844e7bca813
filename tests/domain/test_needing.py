"""What a backport takes along when it moves: all that needs it, and nothing else."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.domain.backports import Backport
from scheduler.domain.changes import Change, ChangeSet
from scheduler.domain.planning.needing import needing
from scheduler.domain.planning.plan import PlanInput
from scheduler.domain.policy.numbers import numbers_in_force
from scheduler.domain.statements import Statement, StatementKind
from scheduler.domain.windows import Window

START = datetime(2026, 8, 26, 20, tzinfo=UTC)
BEFORE, TOGETHER = StatementKind.BEFORE, StatementKind.TOGETHER


def change(number: int, *needs: int, parent: int | None = None) -> Change:
    """Return a change of configuration that declares that it needs others."""
    footers = "\n".join(f"Depends-On: I{other:040x}" for other in needs)
    return Change(
        number,
        project="operations/mediawiki-config",
        branch="master",
        change_id=f"I{number:040x}",
        message=f"Fix\n\n{footers}",
        parent=parent,
    )


def taken_along(
    number: int,
    changes: Iterable[Change],
    *said: tuple[int, int, StatementKind],
    booked: Iterable[int] = (),
) -> set[int]:
    """Return what a change takes along, out of a window in which all are booked, or some."""
    known = ChangeSet(changes)
    numbers = list(booked) or [one.number for one in known]
    given = PlanInput(
        START,
        Window(START, START + timedelta(hours=1)),
        numbers_in_force(START),
        known,
        tuple(Backport(one, "ada", START) for one in numbers),
        statements=tuple(Statement(*one) for one in said),
    )
    return set(needing(given, number))


def test_what_nothing_needs_goes_alone() -> None:
    assert taken_along(1, [change(1), change(2)]) == set()


def test_what_declares_that_it_needs_it_goes_along_and_not_the_other_way_round() -> None:
    changes = [change(1), change(2, 1), change(3)]
    assert taken_along(1, changes) == {2}
    assert taken_along(2, changes) == set()


def test_a_chain_goes_along_from_there_on() -> None:
    changes = [change(1), change(2, 1), change(3, 2), change(4, 3), change(5, parent=4)]
    assert taken_along(1, changes) == {2, 3, 4, 5}
    assert taken_along(3, changes) == {4, 5}


def test_a_change_that_is_not_requested_is_gone_through() -> None:
    changes = [change(1), change(2, 1), change(3, 2)]
    assert taken_along(1, changes, booked=[1, 3]) == {3}


@pytest.mark.parametrize(
    ("kind", "of_first", "of_then"),
    [(BEFORE, {2}, set()), (TOGETHER, {2}, {1}), (StatementKind.UNRELATED, set(), set())],
)
def test_what_people_said_counts(
    kind: StatementKind, of_first: set[int], of_then: set[int]
) -> None:
    changes = [change(1), change(2)]
    assert taken_along(1, changes, (1, 2, kind)) == of_first
    assert taken_along(2, changes, (1, 2, kind)) == of_then


def test_what_goes_together_takes_along_what_needs_either() -> None:
    changes = [change(1), change(2), change(3, 2), change(4, 1), change(5)]
    assert taken_along(1, changes, (1, 2, TOGETHER)) == {2, 3, 4}


def test_a_circle_goes_along_whole() -> None:
    assert taken_along(1, [change(1, 3), change(2, 1), change(3, 2), change(4)]) == {2, 3}
