"""The small parts of the domain: messages, versions, windows, numbers, lifecycle, checklist."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.domain.changes import (
    Change,
    ChangedFile,
    ChangeSet,
    ChangeStatus,
    FileStatus,
    ProjectKind,
    footers,
    project_kind,
)
from scheduler.domain.errors import IllegalTransition, UnsafeQueue
from scheduler.domain.lifecycle import OPEN, Action, Status, status_after
from scheduler.domain.policy.numbers import numbers_in_force
from scheduler.domain.production import Production, ScheduledVersion
from scheduler.domain.windows import Freeze, Window

ID = "I46d3784514155af27b407d78be567c291042fa86"
NOON = datetime(2026, 8, 26, 12, tzinfo=UTC)


def hours(count: float) -> datetime:
    """Return the moment so many hours after noon."""
    return NOON + timedelta(hours=count)


def change(message: str = "", number: int = 1, **more: Any) -> Change:  # noqa: ANN401
    """Return a change of core."""
    fields = {"project": "mediawiki/core", "branch": "wmf/1", "change_id": ID, **more}
    return Change(number, message=message, **fields)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Subject\n\nDepends-On: " + ID, [ID]),
        ("Subject\n\nDepends-On: " + ID.upper(), [ID]),
        ("Subject\n\ndepends-on:" + ID, [ID]),
        ("Subject\n\nDEPENDS-ON: " + ID, [ID]),
        ("Subject\n\nDepends-on: " + ID, [ID]),
        ("Subject\n\nDePeNdS-oN: " + ID, [ID]),
        ("Subject\r\n\r\nDepends-On: " + ID + "\r\n", [ID]),
        ("Subject\n\nDepends-On: " + ID + "\nDepends-On: " + ID + "\nChange-Id: x", [ID]),
        ("Subject\n\nDepends-On: " + ID + "\n\nBug: T1", []),
        ("Subject\n\nDepends-On: " + ID + "\n\n(cherry picked from commit 0123456789)", [ID]),
        ("Subject\n\nDepends-On: " + ID + "\n(cherry picked from commit 0123456789)", [ID]),
        ("Subject\n\nDepends-On: " + ID + "\n \n\t\n(cherry picked from commit abcdef0)\n\n", [ID]),
        ("Subject\n\nThis has no Depends-On: " + ID, []),
        ("Subject\n\nDepends-On: I46d3784", ["I46d3784"]),
        ("Subject\n\nDepends-On: I46d378", ['"I46d378"']),
        ("Subject\n\nDepends-On: yesterday", ['"yesterday"']),
        ("Subject\n\nDepends-On: " + "x" * 99, ['"' + "x" * 60 + '"']),
        ("Subject\n\nDepends-On: both, " + ID, [ID]),
        ("Subject\n\nDepends-On: https://gerrit.wikimedia.org/r/c/mediawiki/core/+/123", ["123"]),
        ("Subject\n\nDepends-On: https://gerrit.wikimedia.org/r/123", ["123"]),
        ("Depends-On: " + ID, [ID]),
        ("", []),
        (" \n \n", []),
    ],
)
def test_a_dependency_is_read_from_the_footers(message: str, expected: list[str]) -> None:
    assert list(change(message).depends_on) == expected


def test_a_message_that_is_only_a_cherry_pick_line_has_no_footers() -> None:
    assert list(footers("(cherry picked from commit 0123456789)")) == []


def test_footers_are_named_lines_of_the_last_paragraph() -> None:
    message = "Subject\n\nNot: this\n\nBug: T1\nand this\n Change-Id:  I1 \n"
    assert list(footers(message)) == [("bug", "T1"), ("change-id", "I1")]


def test_a_reference_names_changes_by_number_id_and_abbreviation() -> None:
    one, other = change(number=1), change(number=2, branch="master")
    far = change(number=3, change_id="I46d3784" + "0" * 33)
    known = ChangeSet([other, one])
    assert known.named(ID) == known.named("I46d3784") == (one, other)
    assert known.named("2") == (other,)
    assert known.named("4") == known.named("I" + "0" * 40) == known.named("I0000000") == ()
    assert ChangeSet([one, far]).named("I46d3784") == ()
    assert (len(known), 1 in known, 3 in known, known.get(3)) == (2, True, False, None)


def test_siblings_share_the_change_id_in_any_case() -> None:
    one = change(number=1)
    other = change(number=2, change_id=ID.upper(), branch="master")
    assert ChangeSet([one, other]).siblings(one) == (one, other)
    assert ChangeSet([one]).siblings(one) == (one,)


@pytest.mark.parametrize(
    ("project", "kind"),
    [
        ("mediawiki/core", ProjectKind.CODE),
        ("mediawiki/vendor", ProjectKind.CODE),
        ("mediawiki/extensions/A", ProjectKind.CODE),
        ("mediawiki/extensions/A/B", ProjectKind.CODE),
        ("mediawiki/skins/Vector", ProjectKind.CODE),
        ("mediawiki/extensions", ProjectKind.OTHER),
        ("mediawiki/extensions/", ProjectKind.OTHER),
        ("mediawiki/core2", ProjectKind.OTHER),
        ("a/mediawiki/core", ProjectKind.OTHER),
        ("operations/mediawiki-config", ProjectKind.CONFIG),
        ("operations/puppet", ProjectKind.OTHER),
    ],
)
def test_a_project_has_a_kind(project: str, kind: ProjectKind) -> None:
    project_kind.cache_clear()  # another test may have asked before
    assert project_kind(project) is kind


def test_a_renamed_file_touches_both_paths() -> None:
    files = (ChangedFile("a/b.php", FileStatus.RENAMED, "i18n/b.php"),)
    renamed = change(files=files)
    assert renamed.paths == ("a/b.php", "i18n/b.php")
    assert renamed.touches_l10n
    assert renamed.touches_l10n


def test_a_merged_change_is_in_its_own_branch() -> None:
    assert change(status=ChangeStatus.MERGED).branches == {"wmf/1"}
    assert change().branches == frozenset()
    assert str(change()) == "1 (core)"


def test_branches_are_told_by_what_they_serve() -> None:
    production = Production(("1", "2", "3", "4"), {"g0": "3", "g1": "2"})
    assert production.live_branches == ("wmf/2", "wmf/3")
    assert production.upcoming_branches == ("wmf/4",)
    assert production.rollback_branch is None
    assert production.newer_branches("wmf/2") == ("wmf/3", "wmf/4")
    assert production.newer_branches("wmf/9") == ()
    assert production.groups_served("wmf/3") == ("g0",)
    assert Production(("1", "2"), {"g0": "2"}).rollback_branch == "wmf/1"
    assert Production(("1", "2"), {"g0": "1"}).rollback_branch is None
    assert Production(("1", "2")).upcoming_branches == ()


def test_where_nothing_is_known_every_release_branch_counts() -> None:
    assert Production().is_deployable_branch("wmf/1")
    assert not Production().is_deployable_branch("master")
    assert not Production(("1",)).is_deployable_branch("wmf/2")


def arrival_version(scheduled: ScheduledVersion, sibling: Change, now: datetime = NOON) -> str:
    """Return the version that brings a change of wmf/1, live in two groups; empty if none does."""
    production = Production(("1", "2"), {"g0": "1", "g1": "1"}, (scheduled,))
    arrival = production.arrival(change(), [change(), sibling], now)
    return arrival.version if arrival else ""


BOTH = {"g1": hours(2), "g0": hours(1)}


@pytest.mark.parametrize(
    ("scheduled", "sibling", "expected"),
    [
        (ScheduledVersion("2", None, BOTH), {"included_in": frozenset({"wmf/2"})}, "2"),
        (ScheduledVersion("2", None, BOTH), {"status": ChangeStatus.MERGED}, ""),
        (ScheduledVersion("3", None, BOTH), {"status": ChangeStatus.MERGED}, "3"),
        (ScheduledVersion("3", hours(1), BOTH), {"status": ChangeStatus.MERGED}, "3"),
        (ScheduledVersion("3", hours(0), BOTH), {"status": ChangeStatus.MERGED}, ""),
        (ScheduledVersion("3", hours(1), BOTH), {}, ""),
        (ScheduledVersion("3", hours(1), {"g0": NOON}), {"status": ChangeStatus.MERGED}, ""),
        (ScheduledVersion("1", None, BOTH), {"status": ChangeStatus.MERGED}, ""),
    ],
)
def test_the_train_brings_what_rides_it(
    scheduled: ScheduledVersion, sibling: dict[str, Any], expected: str
) -> None:
    in_master = change(number=2, branch="master", **sibling)
    assert arrival_version(scheduled, in_master) == expected


def test_an_arrival_is_complete_when_the_last_group_has_it() -> None:
    scheduled = ScheduledVersion("2", None, BOTH)
    production = Production(("1", "2"), {"g0": "1", "g1": "1"}, (scheduled,))
    riding = change(included_in=frozenset({"wmf/2"}))
    arrival = production.arrival(riding, [riding], NOON)
    assert arrival is not None
    assert (list(arrival.groups), arrival.complete_at) == (["g0", "g1"], hours(2))
    elsewhere = change(branch="wmf/2")
    assert production.arrival(elsewhere, [elsewhere], NOON) is None


@pytest.mark.parametrize(
    ("start", "end", "overlaps"),
    [(-2, -1, False), (-1, 0, False), (-1, 0.1, True), (0.2, 0.3, True), (0.9, 2, True),
     (1, 2, False), (-1, 2, True), (0, 1, True)],
)  # fmt: skip
def test_a_freeze_overlaps_a_window_that_it_shares_a_moment_with(
    start: float, end: float, *, overlaps: bool
) -> None:
    assert Freeze(hours(start), hours(end)).overlaps(Window(NOON, hours(1))) is overlaps


def test_a_window_is_measured_in_minutes() -> None:
    window = Window(NOON, hours(1.5))
    assert (window.minutes, window.at(30)) == (90, hours(0.5))


@pytest.mark.parametrize(
    ("day", "patches", "ban", "last_start"),
    [
        ("1999-01-01", 8, False, 60),
        ("2013-12-31", 8, False, 60),
        ("2014-01-01", 8, False, 60),
        ("2018-04-29", 8, False, 60),
        ("2018-04-30", 4, True, 50),
        ("2019-07-31", 4, True, 50),
        ("2019-08-01", 6, True, 50),
        ("2022-01-31", 6, True, 50),
        ("2022-02-01", 6, False, 50),
        ("2030-01-01", 6, False, 50),
    ],
)
def test_the_numbers_are_those_of_the_day(
    day: str, patches: int, *, ban: bool, last_start: int
) -> None:
    numbers = numbers_in_force(datetime.fromisoformat(day).replace(tzinfo=UTC))
    assert numbers.max_patches == patches
    assert numbers.multi_sync_ban is ban
    assert numbers.last_start_minute == last_start
    assert (numbers.minutes_per_patch, numbers.l10n_extra_minutes) == (10, 20)
    assert (numbers.beta_only_minutes, numbers.train_horizon_hours) == (2, 24)
    assert numbers.coupled_train_horizon_hours == 168


ENDS = {
    Action.DECLINE: "declined",
    Action.SEND_TO_TRAIN: "train",
    Action.SEND_TO_DEDICATED: "dedicated",
    Action.WITHDRAW: "withdrawn",
    Action.VETO: "missed",
    Action.MISS: "missed",
}
LIFECYCLE = {
    "submitted": {
        Action.ASK: "needs-info",
        Action.APPROVE: "approved",
        Action.AMEND: "submitted",
        Action.MOVE_ON: "submitted",
    },
    "needs-info": {
        Action.REPLY: "submitted",
        Action.AMEND: "submitted",
        Action.MOVE_ON: "needs-info",
    },
    "approved": {
        Action.MOVE_ON: "submitted",
        Action.QUEUE: "queued",
        Action.VOID_APPROVAL: "submitted",
        Action.AMEND: "submitted",
    },
    "queued": {
        Action.UNQUEUE: "approved",
        Action.START: "deploying",
        Action.VOID_APPROVAL: "submitted",
        Action.AMEND: "submitted",
    },
}
# What ends, or goes on, otherwise than by the table above.
ELSEWHERE = {
    ("train", Action.ARRIVE): "deployed",
    ("train", Action.SUPERSEDE): "withdrawn",
    ("deploying", Action.FINISH): "deployed",
    ("deploying", Action.MISS): "missed",
    ("deploying", Action.TAKE_BACK): "reverted",
    ("deployed", Action.TAKE_BACK): "reverted",
    ("missed", Action.TAKE_BACK): "reverted",
}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("action", Action)
def test_a_backport_moves_only_as_the_table_says(status: Status, action: Action) -> None:
    row = LIFECYCLE.get(status.value, {})
    stays = {Action.HAND_OVER: status.value}
    after = (row | ENDS | stays if row else {}).get(action)
    after = ELSEWHERE.get((status.value, action), after)
    if after is None:
        with pytest.raises(IllegalTransition, match=status.value):
            status_after(status, action)
    else:
        assert status_after(status, action).value == after


def test_five_statuses_are_open() -> None:
    names = {"submitted", "needs-info", "approved", "queued", "deploying"}
    assert {status.value for status in Status if status.is_open} == names
    assert {status.value for status in OPEN} == names


def test_an_unsafe_queue_tells_every_breach() -> None:
    defect = UnsafeQueue(("one", "two"))
    assert (str(defect), defect.breaches) == ("one; two", ("one", "two"))


def test_addresses_that_only_a_comma_parts_are_two_dependencies() -> None:
    host = "https://gerrit.example.org/r/c/mediawiki/core/+"
    message = f"Then\n\nDepends-On: {host}/111111,{host}/222222/3\nDepends-On: I1234567,I89abcde"
    change = Change(1, "mediawiki/core", "master", "I" + "1" * 40, message=message)
    assert change.depends_on == ("111111", "222222", "I1234567", "I89abcde")
