"""What is done for each step, and the commands: numbers only, nothing that people wrote."""

import shlex
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.changes import Change, ChangedFile, ChangeSet
from scheduler.domain.checklist.commands import (
    NOTHING,
    spiderpig_link,
    to_deploy,
    to_log,
    to_take_back,
)
from scheduler.domain.checklist.steps import Answers, Item, ItemKind, checklist_of, way_back_of
from scheduler.domain.planning.plan import Step

PIG = "https://spiderpig.example/"


def test_commands_are_made_of_numbers() -> None:
    assert to_deploy([1, 22]).command == "scap backport 1 22"
    assert to_take_back([1, 22]).command == "scap backport --revert 1 22"


@pytest.mark.parametrize("numbers", [[], [0], [-1], [True], ["1; reboot"], [1, "--yes"], [1.5]])
def test_what_is_no_number_of_a_change_has_no_command(numbers: list[Any]) -> None:
    assert to_deploy(numbers, spiderpig=PIG) == NOTHING
    assert to_take_back(numbers) == NOTHING
    assert to_log("deployed", numbers, []) == NOTHING
    assert not spiderpig_link(PIG, numbers)


@given(st.lists(st.integers(min_value=1, max_value=10**9), min_size=1, max_size=8))
def test_a_shell_reads_exactly_what_was_meant(numbers: list[int]) -> None:
    told = [*map(str, numbers)]

    assert shlex.split(to_deploy(numbers).command) == ["scap", "backport", *told]
    assert shlex.split(to_take_back(numbers).command) == ["scap", "backport", "--revert", *told]


@given(st.lists(st.text()))
def test_a_log_line_is_one_printable_line_whatever_people_wrote(tasks: list[str]) -> None:
    line = to_log("deployed", [7], tasks).log

    assert line.startswith("!log SWAT: deployed [[gerrit:7]]")
    assert all(" " <= sign <= "~" for sign in line)


def test_a_link_is_offered_only_for_plain_https() -> None:
    link = "https://spiderpig.example/mediawiki/backport?backport=1&backport=22"
    assert spiderpig_link(PIG, [1, 22]) == link
    assert to_deploy([1, 22], spiderpig=PIG).link == link
    for base in (
        "http://spiderpig.example/",
        "javascript:alert(1)//",
        "https://a@b/",
        "",
        f"{PIG}\n",
    ):
        assert not spiderpig_link(base, [1])


def test_only_what_looks_like_a_task_is_logged() -> None:
    assert to_log("deployed", [1], []).log == "!log SWAT: deployed [[gerrit:1]]"
    line = to_log("reverted", [1, 2], ["T1", "T2; rm -rf /", "t3", "T0", "T9\n"]).log
    assert line == "!log SWAT: reverted [[gerrit:1]], [[gerrit:2]] (T1)"


def change(number: int, path: str, project: str = "mediawiki/core") -> Change:
    """Return a change of one file that is about a task."""
    message = f"Fix\n\nBug: T{number}\nBug: T9"
    files = (ChangedFile(path),)
    return Change(number, project, "wmf/1", f"I{number:040}", message=message, files=files)


def items_of(changes: list[Change], answers: dict[int, Answers] | None = None) -> tuple[Item, ...]:
    """Return what is done for these changes in one step."""
    numbers = tuple(change.number for change in changes)
    step = Step(1, numbers, datetime(2026, 8, 26, tzinfo=UTC), 10, ())
    return checklist_of(step, ChangeSet(changes), answers or {}, spiderpig=PIG)


def test_a_step_is_merged_verified_synced_and_watched() -> None:
    answers = {
        1: Answers(tester="Ada", nick="ada", steps_before="Stop the job", steps_after="Start it"),
        2: Answers(requester="bob", verify_how="Look"),
    }
    items = items_of([change(1, "a.php"), change(2, "b.php"), change(3, "c.php")], answers)

    assert [item.title for item in items] == [
        "Before 1",
        "Start the backport: merge, and wait for CI",
        "Wait until it is on the test servers",
        "Ada (ada) verifies 1 on the test servers",
        "bob verifies 2 on the test servers",
        "the requester verifies 3 on the test servers",
        "Continue at the prompt: sync to production",
        "Watch the logs: 2 minutes without new errors",
        "After 1",
        "Log it",
    ]
    assert [item.kind.rank for item in items] == sorted(item.kind.rank for item in items)
    assert items[1].commands.command == "scap backport 1 2 3"
    assert items[-1].commands.log.endswith("(T1, T9, T2, T3)")
    assert items[4].note == "Look"


def test_the_minutes_of_one_patch_are_those_of_the_policy() -> None:
    assert sum(item.minutes for item in items_of([change(1, "a.php")])) == 10


def test_the_long_build_is_announced_and_reckoned_with() -> None:
    items = items_of([change(1, "i18n/en.json")])

    assert items[1].title.endswith("the localisation build takes about 20 minutes")
    assert items[3].title.endswith("a long sync")
    assert sum(item.minutes for item in items) == 30


def test_what_only_beta_sees_is_merged_and_logged() -> None:
    beta = change(1, "wmf-config/x-labs.php", "operations/mediawiki-config")

    assert [item.kind for item in items_of([beta])] == [ItemKind.MERGE, ItemKind.LOG]


def test_where_the_test_plan_is_enough_the_deployer_verifies() -> None:
    verify = items_of([change(1, "a.php")], {1: Answers(requester="ada", by_plan=True)})[2]

    assert verify.title == "The deployer, by its test plan, verifies 1 on the test servers"


def test_somebody_without_a_name_is_called_by_their_nick() -> None:
    assert Answers(nick="ada_l").tester_name == "ada_l"


def test_a_step_is_taken_back_by_one_command_then_watched_and_logged() -> None:
    members = ChangeSet([change(1, "a.php"), change(2, "i18n/en.json")])

    items = way_back_of((1, 2), members, watch_minutes=1)

    assert [item.kind for item in items] == [
        ItemKind.TAKE_BACK,
        ItemKind.WATCH_BACK,
        ItemKind.LOG_BACK,
    ]
    assert all(item.kind.is_way_back for item in items)
    assert items[0].commands.command == "scap backport --revert 1 2"
    assert items[0].minutes == 26
    assert items[1].kind.is_watching
    assert items[2].commands.log.startswith("!log SWAT: reverted [[gerrit:1]], [[gerrit:2]]")
