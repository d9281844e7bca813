"""What is done for each step, and the commands: numbers only, nothing that people wrote."""

from datetime import UTC, datetime

from scheduler.domain.changes import Change, ChangedFile, ChangeSet
from scheduler.domain.checklist.commands import log_line, scap_backport, scap_revert, spiderpig_link
from scheduler.domain.checklist.steps import Answers, checklist_of
from scheduler.domain.planning.plan import Step


def test_commands_are_made_of_numbers() -> None:
    assert scap_backport([1, 22]) == "scap backport 1 22"
    assert scap_revert([1, 22]) == "scap backport --revert 1 22"


def test_a_link_is_offered_only_for_https() -> None:
    link = spiderpig_link("https://spiderpig.example/", [1, 22])
    assert link == "https://spiderpig.example/mediawiki/backport?backport=1&backport=22"
    assert spiderpig_link("http://spiderpig.example/", [1]) is None
    assert spiderpig_link("javascript:alert(1)//", [1]) is None


def test_only_what_looks_like_a_task_is_logged() -> None:
    assert log_line([1], []) == "!log SWAT: deployed [[gerrit:1]]"
    line = log_line([1, 2], ["T1", "T2; rm -rf /", "t3", "T0", "T9\n"])
    assert line == "!log SWAT: deployed [[gerrit:1]], [[gerrit:2]] (T1)"


def change(number: int, path: str, project: str = "mediawiki/core") -> Change:
    """Return a change of one file that is about a task."""
    message = f"Fix\n\nBug: T{number}\nBug: T9"
    files = (ChangedFile(path),)
    return Change(number, project, "wmf/1", f"I{number:040}", message=message, files=files)


def titles(changes: list[Change], answers: dict[int, Answers] | None = None) -> list[str]:
    """Return what is done for these changes in one step."""
    numbers = tuple(change.number for change in changes)
    step = Step(1, numbers, datetime(2026, 8, 26, tzinfo=UTC), 10, ())
    items = checklist_of(step, ChangeSet(changes), answers or {})
    assert items[-1].command == log_line(numbers, [f"T{numbers[0]}", "T9", *_rest(numbers)])
    return [item.title for item in items]


def _rest(numbers: tuple[int, ...]) -> list[str]:
    return [f"T{number}" for number in numbers[1:]]


def test_a_step_is_merged_verified_synced_and_watched() -> None:
    answers = {
        1: Answers(tester="Ada", nick="ada", steps_before="Stop the job", steps_after="Start it"),
        2: Answers(nick="bob"),
    }
    assert titles([change(1, "a.php"), change(2, "b.php"), change(3, "c.php")], answers) == [
        "Before: 1",
        "Merge, wait for CI, sync to the test servers",
        "Ada (ada) verifies 1 on the test servers",
        "bob verifies 2 on the test servers",
        "The requester verifies 3 on the test servers",
        "Continue the sync to production at the prompt",
        "Watch the logs",
        "After: 1",
        "Log it",
    ]


def test_the_long_build_is_announced() -> None:
    assert titles([change(1, "i18n/en.json")])[0].endswith("the localisation build takes long")


def test_what_only_beta_sees_is_merged_and_logged() -> None:
    beta = change(1, "wmf-config/x-labs.php", "operations/mediawiki-config")
    assert titles([beta])[1:] == ["Log it"]
