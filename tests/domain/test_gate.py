"""What falls with a change that must not be deployed any more."""

from datetime import UTC, datetime

import pytest

from scheduler.domain.changes import Change, ChangeSet, ChangeStatus
from scheduler.domain.checklist.gate import falling, stopped_by_the_train
from scheduler.domain.planning.edges import Because
from scheduler.domain.planning.plan import Step
from scheduler.domain.production import Production

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


OLD, NEW = "wmf/1.47.0-wmf.30", "wmf/1.47.0-wmf.31"


def fix(number: int, branch: str) -> Change:
    return Change(number, "mediawiki/extensions/Echo", branch, f"I{number:040x}")


def production(**live: str) -> Production:
    names = {group: branch.removeprefix("wmf/") for group, branch in live.items()}
    return Production(("1.47.0-wmf.30", "1.47.0-wmf.31", "1.47.0-wmf.32"), names)


def test_code_of_a_version_that_serves_no_wikis_any_more_does_not_go() -> None:
    changes = ChangeSet([fix(1, OLD), fix(2, NEW), fix(3, "wmf/1.47.0-wmf.32")])

    stopped = stopped_by_the_train([1, 2, 3], changes, production(group0=NEW, group1=NEW))

    assert stopped == {
        1: f"{OLD} serves no wikis any more: book the cherry-pick to {NEW}, or leave it out."
    }
    assert stopped_by_the_train([1, 2], changes, production(group0=NEW, group1=OLD)) == {}
    assert stopped_by_the_train([1, 2], changes, Production()) == {}


def test_code_of_a_version_that_was_rolled_back_does_not_go() -> None:
    changes, planned = ChangeSet([fix(1, OLD), fix(2, NEW)]), production(group0=NEW, group1=OLD)

    stopped = stopped_by_the_train([1, 2], changes, production(group0=OLD, group1=OLD), planned)

    assert stopped.keys() == {2}
    assert "book the cherry-pick to" in stopped[2]


def test_configuration_does_not_go_once_a_live_version_lacks_what_it_needs() -> None:
    needed = Change(
        7,
        "mediawiki/extensions/Echo",
        "master",
        f"I{7:040x}",
        status=ChangeStatus.MERGED,
        included_in=frozenset({NEW, "wmf/1.47.0-wmf.32"}),
    )
    config = Change(
        8,
        "operations/mediawiki-config",
        "master",
        f"I{8:040x}",
        message=f"Switch it on\n\nDepends-On: {needed.change_id}",
    )
    changes = ChangeSet([needed, config])

    rolled_back = stopped_by_the_train([8], changes, production(group0=NEW, group1=OLD))

    assert rolled_back[8].startswith(f"8 → 7: that is not in {OLD} (which serves group1).")
    assert stopped_by_the_train([8], changes, production(group0=NEW, group1=NEW)) == {}


def test_each_step_that_falls_says_why() -> None:
    fallen = falling(QUEUE, {11: "It was withdrawn.", 15: "Its version is gone."})

    assert fallen == {
        1: "It was withdrawn.",
        2: "It needs 11, which does not go.",
        4: "Its version is gone.",
    }
