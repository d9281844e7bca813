"""What is live where at a later moment, if all goes as planned; and what the train brings then."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.domain.changes import Change, ChangeStatus
from scheduler.domain.production import Production, ScheduledVersion

NOON = datetime(2026, 8, 26, 12, tzinfo=UTC)
GROUPS = ("group0", "group1", "group2")


def hours(count: float) -> datetime:
    """Return the moment so many hours after noon."""
    return NOON + timedelta(hours=count)


NEXT = ScheduledVersion("10", hours(-24), {"group0": hours(1), "group1": hours(25)})
AFTER = ScheduledVersion("11", hours(140), {"group0": hours(168)})
NOW = Production(("8", "9"), {"group0": "9", "group1": "9", "group2": "8"}, (NEXT, AFTER))


@pytest.mark.parametrize(
    ("after", "live", "checked_out", "coming"),
    [
        (0, "9 9 8", "8 9", "10 11"),
        (0.9, "9 9 8", "8 9", "10 11"),
        (1, "10 9 8", "8 9 10", "10 11"),
        (25, "10 10 8", "8 9 10", "11"),
        (168, "11 10 8", "8 9 10 11", ""),
    ],
)
def test_production_later_is_as_the_train_is_planned(
    after: float, live: str, checked_out: str, coming: str
) -> None:
    later = NOW.at(hours(after))
    assert [later.live[group] for group in GROUPS] == live.split()
    assert later.checked_out == tuple(checked_out.split())
    assert [one.version for one in later.schedule] == coming.split()


def test_what_was_promoted_is_not_to_come_any_more() -> None:
    (later, _) = NOW.at(hours(1)).schedule
    assert later == ScheduledVersion("10", NEXT.cut, {"group1": hours(25)})


def test_of_two_promotions_the_later_one_counts() -> None:
    hurried = ScheduledVersion("10", None, {"group0": hours(3)})
    overtaken = ScheduledVersion("11", None, {"group0": hours(2)})
    later = Production(("9",), {"group0": "9"}, (hurried, overtaken)).at(hours(4))
    assert later.live == {"group0": "10"}
    assert later.checked_out == ("9", "10", "11")  # in the order of the train, not of the clock


def test_now_is_not_changed_by_looking_ahead() -> None:
    NOW.at(hours(500))
    assert NOW.live["group0"] == "9"
    assert NOW.checked_out == ("8", "9")


def change(number: int = 1, **more: object) -> Change:
    """Return a change of core."""
    facts: dict[str, object] = {
        "project": "mediawiki/core",
        "branch": "wmf/9",
        "change_id": "I" + "0" * 40,
        **more,
    }
    return Change(number, **facts)  # type: ignore[arg-type]


MERGED = change(2, branch="master", status=ChangeStatus.MERGED)


@pytest.mark.parametrize(
    ("groups", "siblings", "version"),
    [
        (("group0", "group1"), [change(included_in=frozenset({"wmf/10"}))], "10"),
        (("group0",), [change(), MERGED], "10"),  # not checked out, and its cut to come: it rides
        (("group2",), [change(), MERGED], ""),  # no version is planned for the group
        (("group0",), [change()], ""),
        ((), [change(), MERGED], ""),
    ],
)
def test_the_first_version_that_reaches_all_of_some_groups_brings_it(
    groups: tuple[str, ...], siblings: list[Change], version: str
) -> None:
    uncut = ScheduledVersion("10", hours(0.5), NEXT.promotions)
    production = Production(NOW.checked_out, NOW.live, (uncut, AFTER))
    arrival = production.arrival_in(groups, siblings, NOON)
    assert (arrival.version if arrival else "") == version
    if arrival is not None:
        assert arrival.complete_at == max(uncut.promotions[group] for group in groups)


def test_a_version_that_is_cut_waits_for_the_next_one() -> None:
    arrival = NOW.arrival_in(["group0"], [change(), MERGED], NOON)
    assert arrival is not None
    assert (arrival.version, arrival.complete_at) == ("11", hours(168))
    assert NOW.arrival_in(["group0"], [MERGED], hours(140)) is None


def test_the_branch_that_a_change_is_on_brings_nothing_new() -> None:
    riding = change(included_in=frozenset({"wmf/10"}))
    assert NOW.arrival_in(["group0"], [riding], NOON, apart_from="wmf/10") is None
    assert Production().arrival_in(["group0"], [riding], NOON) is None
