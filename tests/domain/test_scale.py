"""Thousands of changes in one chain or circle: no recursion, no endless sentence."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.domain.backports import Backport, Mark
from scheduler.domain.changes import Change, ChangeSet, ChangeStatus
from scheduler.domain.graphs import Groups, circles, strong_components
from scheduler.domain.planning.plan import Plan, PlanInput, plan_window
from scheduler.domain.policy.numbers import Numbers
from scheduler.domain.statements import Statement, StatementKind
from scheduler.domain.windows import Window

MANY = 10_000
DEEP = 3_000  # three times as deep as Python recurses
START = datetime(2026, 8, 26, 13, tzinfo=UTC)
AMPLE = Numbers(max_patches=MANY, last_start_minute=10**6)


def change(number: int, needed: int | None = None, **more: Any) -> Change:  # noqa: ANN401
    """Return code on a branch that declares one dependency."""
    footer = f"Depends-On: I{needed:040x}" if needed else "Change-Id: I0"
    return Change(
        number,
        "mediawiki/core",
        "wmf/1",
        f"I{number:040x}",
        message=f"Fix\n\n{footer}",
        labels={"Code-Review": 2},
        **more,
    )


def plan(
    changes: Iterable[Change], booked: Iterable[int], statements: Iterable[Statement] = ()
) -> Plan:
    """Plan with room for all."""
    backports = (
        Backport(number, "ada", START, approved=True, marks=frozenset({Mark.REVERT}))
        for number in booked
    )
    window = Window(START, START + timedelta(minutes=20 * MANY))
    return plan_window(
        PlanInput(
            START, window, AMPLE, ChangeSet(changes), tuple(backports), statements=tuple(statements)
        )
    )


def numbers(many: int = MANY) -> range:
    """Return the numbers of the changes."""
    return range(1, many + 1)


def chain(**more: Any) -> list[Change]:  # noqa: ANN401
    """Return a chain in which each change needs the next."""
    return [change(n, n + 1 if n < MANY else None, **more) for n in numbers()]


@pytest.mark.no_cover  # the tracer would make it take ten times as long
def test_a_chain_goes_from_its_end() -> None:
    steps = [step.changes[0] for step in plan(chain(), numbers()).queue]
    assert steps == list(reversed(numbers()))


def test_a_chain_of_merged_changes_keeps_nobody_out() -> None:
    assert [s.changes for s in plan(chain(status=ChangeStatus.MERGED), [1]).queue] == [(1,)]


@pytest.mark.parametrize("booked", [[1], range(1, 500)], ids=["only its top", "some of it"])
def test_what_is_wrong_at_the_end_of_a_chain_is_told_shortly(booked: Iterable[int]) -> None:
    changes = chain(status=ChangeStatus.MERGED)
    changes[-1] = change(MANY, MANY + 1)
    found = [f for f in plan(changes, booked).findings if f.change == 1 and f.place == 0]
    assert [f.rule for f in found if f.rule == "dependency-unknown"]
    assert all(len(f.message) < 1_500 and len(f.changes) <= 11 for f in found)


@pytest.mark.no_cover  # the tracer would make it take ten times as long
@pytest.mark.parametrize("booked", [[1], numbers(DEEP)], ids=["only one", "all of it"])
def test_a_circle_names_ten_members_at_most(booked: Iterable[int]) -> None:
    changes = [change(n, n % DEEP + 1, status=ChangeStatus.MERGED) for n in numbers(DEEP)]
    found = next(f for f in plan(changes, booked).findings if f.rule == "dependency-cycle")
    assert found.changes == tuple(range(1, 11))
    assert "1 → 2 → 3 → 4 → 5 → 6 → 7 → 8 → 9 → 10 → … 2990 more … → 1." in found.message


def test_a_stated_circle_of_many_is_blocked() -> None:
    some = range(1, 2_001)
    said = [Statement(n, n % some[-1] + 1, StatementKind.BEFORE) for n in some]
    planned = plan(map(change, some), some, said)
    assert planned.queue == ()
    assert all(len(found.changes) <= 11 for found in planned.findings)


@pytest.mark.no_cover  # the tracer would make it take ten times as long
def test_a_relation_chain_goes_from_below() -> None:
    changes = [change(n, parent=n + 1 if n < DEEP else None) for n in numbers(DEEP)]
    steps = [step.changes[0] for step in plan(changes, numbers(DEEP)).queue]
    assert steps == list(reversed(numbers(DEEP)))
    only_top = plan(changes, [1])
    assert only_top.elsewhere[0].rule == "dependency-not-scheduled"


def test_one_bundle_of_many_goes_in_one_step() -> None:
    said = [Statement(n, n + 1, StatementKind.TOGETHER) for n in range(1, 1000)]
    assert len(plan(map(change, range(1, 1001)), range(1, 1001), said).queue) == 1


def test_components_come_after_what_they_lead_to() -> None:
    after = {1: [2], 2: [3], 3: [2, 4], 4: []}
    assert [sorted(c) for c in strong_components([1, 2, 3, 4], after.__getitem__)] == [
        [4],
        [2, 3],
        [1],
    ]


def test_the_shortest_circle_is_named_from_its_smallest_member() -> None:
    after = {5: [3], 3: [4, 9], 4: [5], 9: [8], 8: [7], 7: [5]}
    assert [circle for _, circle in circles(sorted(after), after)] == [(3, 4, 5)]
    diamond = {1: [2, 3], 2: [4], 3: [4], 4: [1]}
    assert [circle for _, circle in circles(sorted(diamond), diamond)] == [(1, 2, 4)]
    assert circles([1], {1: [1]}) == [(frozenset({1}), (1,))]
    assert circles([1, 2], {1: [2]}) == []


def test_groups_are_named_by_their_smallest_number() -> None:
    groups = Groups()
    groups.join(7, 5)
    groups.join(9, 7)
    groups.join(3, 9)
    assert {groups.of(n) for n in (3, 5, 7, 9)} == {3}
    assert groups.of(4) == 4


def test_many_problems_of_a_kind_are_told_in_part_and_counted() -> None:
    below = [change(number, parent=number + 1) for number in range(1, 9)]
    found = next(
        f for f in plan([*below, change(9)], [1]).findings if f.rule == "dependency-not-scheduled"
    )
    assert found.message.count("neither merged nor booked") == 5
    assert found.message.endswith("and 3 more of the kind.")
