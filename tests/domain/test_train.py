"""The train: moves, promotions, holds; what rides, what arrives, and what it would undo."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.domain.changes import Change, ChangeStatus
from scheduler.domain.production import Production, ScheduledVersion
from scheduler.domain.train import (
    HalfWay,
    Move,
    MoveKind,
    Promotion,
    Ride,
    Span,
    Undoing,
    Version,
    carried,
    groups_retired,
    is_later,
    left_half_way,
    place_of,
    production_at,
    ride_of,
    spans,
    undone_by_the_train,
    versions_served,
)
from scheduler.domain.windows import Freeze, FreezeScope

TUESDAY = datetime(2026, 11, 3, 20, tzinfo=UTC)
DAY = timedelta(days=1)
OLD, NEW, NEXT = "1.47.0-wmf.30", "1.47.0-wmf.31", "1.47.0-wmf.32"
GROUPS = ("group0", "group1", "group2")


def version(name: str, *, week: int = 0, **differing: Any) -> Version:  # noqa: ANN401
    """Return a version that is cut on a Tuesday morning and moves a group a day."""
    cut = TUESDAY + week * 7 * DAY - timedelta(hours=18)
    at = [TUESDAY + (week * 7 + day) * DAY for day in range(3)]
    given: dict[str, Any] = {
        "cut": cut,
        "checked_out_from": cut,
        "promotions": tuple(Promotion(*one) for one in zip(GROUPS, at, strict=True)),
        **differing,
    }
    return Version(name, **given)


def moves(name: str, *, week: int = 0, groups: tuple[str, ...] = GROUPS) -> list[Move]:
    return [Move(group, name, TUESDAY + (week * 7 + day) * DAY) for day, group in enumerate(groups)]


VERSIONS = (version(OLD, week=-1), version(NEW), version(NEXT, week=1))
MOVES = (*moves(OLD, week=-1), *moves(NEW, groups=("group0",)))
WEDNESDAY_NOON = TUESDAY + timedelta(hours=16)


def change(number: int, **facts: object) -> Change:
    given: dict[str, object] = {
        "project": "mediawiki/extensions/Echo",
        "branch": f"wmf/{OLD}",
        "change_id": f"I{number % 100:040x}",
        "status": ChangeStatus.MERGED,
        **facts,
    }
    return Change(number, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.26wmf24", "1.27.0-wmf.1"),
        ("1.47.0-wmf.9", "1.47.0-wmf.10"),
        ("1.47.0-wmf.31", "1.48.0-wmf.1"),
        ("next", "1.26wmf1"),
    ],
)
def test_names_are_in_the_order_of_the_versions(older: str, newer: str) -> None:
    assert place_of(older) < place_of(newer)


def test_production_is_what_was_moved_and_what_is_planned() -> None:
    production = production_at(WEDNESDAY_NOON, VERSIONS, MOVES)

    assert production.checked_out == (OLD, NEW)
    assert production.live == {"group0": NEW, "group1": OLD, "group2": OLD}
    assert [one.version for one in production.schedule] == [NEW, NEXT]
    assert list(production.schedule[0].promotions) == ["group1", "group2"]


def test_nothing_is_done_because_its_time_has_passed() -> None:
    thursday = TUESDAY + 2 * DAY + timedelta(hours=1)
    production = production_at(thursday, VERSIONS, MOVES)

    assert production.live["group1"] == OLD
    assert [one.version for one in production.schedule] == [NEXT]
    assert VERSIONS[1].promotions[1].is_overdue(thursday)
    assert not VERSIONS[1].promotions[1].is_overdue(TUESDAY)
    assert not Promotion("group1", TUESDAY, TUESDAY).is_overdue(thursday)
    assert Promotion("group1", TUESDAY, thursday + DAY).is_overdue(thursday)


def test_a_held_version_and_a_freeze_bring_nothing() -> None:
    held = version(NEW, held_since=WEDNESDAY_NOON)
    everything = Freeze(TUESDAY + 6 * DAY, TUESDAY + 12 * DAY)
    urgent = Freeze(TUESDAY, TUESDAY + 12 * DAY, FreezeScope.NORMAL)

    schedule = production_at(WEDNESDAY_NOON, (VERSIONS[0], held, VERSIONS[2]), MOVES).schedule
    assert [one.version for one in schedule] == [NEXT]
    schedule = production_at(WEDNESDAY_NOON, VERSIONS, MOVES, [everything]).schedule
    assert [one.version for one in schedule] == [NEW]
    schedule = production_at(WEDNESDAY_NOON, VERSIONS, MOVES, [urgent]).schedule
    assert [one.version for one in schedule] == [NEW, NEXT]
    assert not held.is_held(TUESDAY)


def test_what_left_the_deploy_host_serves_nothing() -> None:
    gone = version(OLD, week=-1, checked_out_until=WEDNESDAY_NOON)

    assert production_at(WEDNESDAY_NOON, (gone, VERSIONS[1]), MOVES).live == {"group0": NEW}
    assert not version(NEW, checked_out_from=None).is_checked_out(WEDNESDAY_NOON)


def test_the_newest_move_of_a_group_counts_whatever_their_order() -> None:
    back = Move("group0", OLD, WEDNESDAY_NOON, MoveKind.ROLL_BACK)

    assert versions_served([back, *MOVES], WEDNESDAY_NOON)["group0"] == OLD
    assert versions_served([back, *MOVES], WEDNESDAY_NOON - DAY / 24)["group0"] == NEW


@pytest.mark.parametrize(
    ("differing", "at", "expected"),
    [
        ({}, TUESDAY - 2 * DAY, True),
        ({}, TUESDAY, False),
        ({"checked_out_from": None}, TUESDAY, False),
        ({"checked_out_from": None, "cut": None}, TUESDAY, True),
    ],
)
def test_a_version_is_to_be_cut_until_it_is(
    differing: dict[str, Any], at: datetime, *, expected: bool
) -> None:
    assert version(NEW, **differing).is_to_be_cut(at) is expected


def test_a_freeze_leaves_a_train_half_way() -> None:
    monday, freeze = TUESDAY - DAY, Freeze(TUESDAY + DAY, TUESDAY + 5 * DAY)
    on_old = versions_served(MOVES, monday)
    half_way = (HalfWay(NEW, ("group0",), ("group1", "group2")),)

    assert left_half_way(freeze, VERSIONS, on_old, monday) == half_way
    assert left_half_way(freeze, VERSIONS, {}, monday) == half_way
    before = Freeze(TUESDAY - DAY / 2, TUESDAY + 5 * DAY)
    assert left_half_way(before, VERSIONS, on_old, monday) == ()
    after = Freeze(TUESDAY + 4 * DAY, TUESDAY + 5 * DAY)
    assert left_half_way(after, VERSIONS, on_old, monday) == ()


@pytest.mark.parametrize(
    "differing",
    [
        {},  # its other promotions are overdue by then
        {"held_since": TUESDAY},
        {"promotions": (Promotion("group0", TUESDAY, TUESDAY),)},
        {"promotions": tuple(Promotion(group, TUESDAY + 9 * DAY) for group in GROUPS)},
    ],
)
def test_it_is_left_there_too_where_nobody_can_say_when_it_goes_on(
    differing: dict[str, Any],
) -> None:
    now, freeze = TUESDAY + 3 * DAY, Freeze(TUESDAY + 4 * DAY, TUESDAY + 8 * DAY)
    live = versions_served(MOVES, now)

    found = left_half_way(freeze, [version(OLD, week=-1), version(NEW, **differing)], live, now)

    assert found == (HalfWay(NEW, ("group0",), ("group1", "group2")),)


def test_a_group_that_was_retired_is_none_until_it_moves_again() -> None:
    retired = Move("group0", NEW, TUESDAY + DAY, MoveKind.RETIRE)
    back = Move("group0", NEXT, TUESDAY + 2 * DAY)
    later = TUESDAY + 3 * DAY

    assert "group0" in versions_served([*MOVES, retired], TUESDAY)
    assert versions_served([*MOVES, retired], later).keys() == {"group1", "group2"}
    assert groups_retired([*MOVES, retired], later) == {"group0"}
    assert groups_retired([*MOVES, retired, back], later) == frozenset()
    nothing = Production()
    told = spans("group0", [*MOVES, retired, back], nothing, (TUESDAY, later))
    assert [(one.version, one.until) for one in told] == [(NEW, TUESDAY + DAY), (NEXT, later)]


def test_what_is_overdue_is_expected_for_a_while() -> None:
    patience, at = timedelta(hours=2), TUESDAY + DAY
    for late, expected in ((timedelta(), True), (patience, False)):
        coming = production_at(at + late, VERSIONS, MOVES, patience=patience).schedule
        assert any(one.promotions.get("group1") == at for one in coming) is expected


def test_a_week_of_a_group_is_what_it_was_and_what_is_planned() -> None:
    production = production_at(WEDNESDAY_NOON, VERSIONS, MOVES)
    start, end = TUESDAY - DAY, TUESDAY + 6 * DAY

    week = spans("group1", MOVES, production, (start, end))
    assert week == (
        Span(OLD, start, TUESDAY + DAY, is_planned=False),
        Span(NEW, TUESDAY + DAY, end, is_planned=True),
    )
    assert spans("group1", MOVES, production, (end + DAY, end + 2 * DAY))[0].version == NEW
    assert spans("group0", MOVES, production, (start - 30 * DAY, start - 20 * DAY)) == ()


def test_what_the_branch_of_every_group_has_has_arrived() -> None:
    fix = change(1, branch="master", included_in=frozenset({f"wmf/{NEW}"}))
    production = production_at(WEDNESDAY_NOON, VERSIONS, MOVES)
    everywhere = Production((OLD, NEW), dict.fromkeys(GROUPS, NEW))

    coming = ride_of(fix, [fix], production, WEDNESDAY_NOON)
    assert not coming.has_arrived
    assert coming.arrival is not None
    assert list(coming.arrival.groups) == ["group1", "group2"]
    assert ride_of(fix, [fix], everywhere, WEDNESDAY_NOON) == Ride(None, has_arrived=True)
    assert ride_of(fix, [fix], Production(), WEDNESDAY_NOON) == Ride(None, has_arrived=False)


@pytest.mark.parametrize(
    ("before", "after", "later"),
    [
        (None, TUESDAY, False),
        (TUESDAY, None, True),
        (TUESDAY, TUESDAY + DAY, True),
        (TUESDAY, TUESDAY + DAY / 2, False),
        (TUESDAY + DAY, TUESDAY, False),
    ],
)
def test_it_comes_later_if_it_does_by_so_much_or_if_nobody_can_say(
    before: datetime | None, after: datetime | None, *, later: bool
) -> None:
    assert is_later(before, after, DAY) is later


def test_the_train_undoes_what_its_next_versions_lack() -> None:
    production = production_at(WEDNESDAY_NOON, VERSIONS, MOVES)
    only_here = change(1)
    in_master = change(2)
    picked = change(3)
    rows = [
        only_here,
        in_master,
        picked,
        change(4, branch=f"wmf/{NEXT}"),
        change(5, status=ChangeStatus.NEW),
        change(6, project="operations/mediawiki-config"),
    ]
    siblings = {one.number: [one] for one in rows}
    siblings[2].append(change(102, branch="master"))
    siblings[3] += [change(103, branch="master"), change(203, branch=f"wmf/{NEW}")]

    assert undone_by_the_train(rows, siblings, production) == (
        Undoing(1, (f"wmf/{NEW}", f"wmf/{NEXT}")),
        Undoing(2, (f"wmf/{NEW}",)),
    )


def test_a_change_rides_the_oldest_version_that_has_it() -> None:
    rows = [
        change(1, branch="master", included_in=frozenset({f"wmf/{NEW}", f"wmf/{OLD}"})),
        change(2, branch="master", included_in=frozenset({f"wmf/{NEW}"})),
        change(3, branch="master"),
        change(4, branch="master", status=ChangeStatus.NEW),
        change(5, branch="wmf/other"),
    ]

    assert carried(rows, VERSIONS, WEDNESDAY_NOON) == {OLD: (1,), NEW: (2,), NEXT: (3,)}
    assert carried(rows[2:], VERSIONS[:1], WEDNESDAY_NOON) == {}


def test_production_later_is_as_scheduled() -> None:
    production = production_at(WEDNESDAY_NOON, VERSIONS, MOVES)

    assert production.at(WEDNESDAY_NOON).live == production.live
    assert production.at(TUESDAY + DAY).live == {"group0": NEW, "group1": NEW, "group2": OLD}
    later = production.at(TUESDAY + 7 * DAY)
    assert later.live["group0"] == NEXT
    assert later.checked_out == (OLD, NEW, NEXT)
    assert production.with_group("group0", OLD).live["group0"] == OLD


def test_a_change_arrives_with_no_version_that_misses_a_group() -> None:
    fix = change(1, branch="master", included_in=frozenset({f"wmf/{NEW}"}))
    schedule = (ScheduledVersion(NEW, TUESDAY, {"group0": TUESDAY}),)
    production = Production((OLD,), {"group0": OLD, "group1": OLD}, schedule)

    assert production.arrival_in(("group0", "group1"), [fix], TUESDAY) is None
    assert production.arrival_in((), [fix], TUESDAY) is None
