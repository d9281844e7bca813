"""`manage.py plan`: files in, one result each out, and never a traceback."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from scheduler.domain.errors import UnsafeQueue
from tests.domain.casebook import base_document

GOOD = json.dumps(base_document())


class Ran:
    """What one run of the command printed, and its exit status."""

    def __init__(self, *args: str) -> None:
        out, err = io.StringIO(), io.StringIO()
        self.status: object = 0
        try:
            call_command("plan", *args, stdout=out, stderr=err)
        except SystemExit as done:
            self.status = done.code
        self.out = out.getvalue()
        self.err = err.getvalue().splitlines()

    @property
    def results(self) -> list[Any]:
        """The lines of the output, read as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def written(folder: Path, content: str | bytes, name: str = "plan.json") -> str:
    """Write a file and return its path."""
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(file)


def test_one_file_gives_one_result(tmp_path: Path) -> None:
    ran = Ran(written(tmp_path, GOOD))
    assert (ran.status, ran.err) == (0, [])
    assert json.loads(ran.out)["format"] == "swat-plan-result/1"


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert Ran(written(tmp_path, b"\xef\xbb\xbf" + GOOD.encode())).status == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe{}", "is not UTF-8"),
        (b'{"format": "swat-plan/\xe9"}', "is not UTF-8"),
        (b"[", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"[" * 50_000, "nested too deeply"),
        (b'{"format": "swat-plan/1"}', "/window: is required"),
        (b'{"format": "\\ud800"}', "/format"),
        (b'{"\\ud800": 1, "format": "swat-plan/1"}', ""),
    ],
)
def test_an_unusable_file_gives_one_line_and_status_2(
    tmp_path: Path, content: bytes, said: str
) -> None:
    ran = Ran(written(tmp_path, content))
    assert (ran.status, ran.out, len(ran.err)) == (2, "", 1)
    assert said in ran.err[0]
    assert "Traceback" not in ran.err[0]


@pytest.mark.parametrize("name", ["missing.json", ".", "a\x00b"])
def test_a_file_that_cannot_be_read_gives_one_line_and_status_2(tmp_path: Path, name: str) -> None:
    ran = Ran(str(tmp_path / name))
    assert (ran.status, ran.out, len(ran.err)) == (2, "", 1)
    assert "cannot be read" in ran.err[0]


def test_several_files_give_one_line_each_in_their_order(tmp_path: Path) -> None:
    good = written(tmp_path, GOOD)
    bad = written(tmp_path, '{"format": "swat-plan/1", "x/y": 1}', "bad.json")
    ran = Ran(bad, good, str(tmp_path / "missing"), good)
    assert ran.status == 2
    assert [row["format"] for row in ran.results] == [
        "swat-plan-error/1",
        "swat-plan-result/1",
        "swat-plan-error/1",
        "swat-plan-result/1",
    ]
    assert all(set(row) == {"format", "pointer", "message"} for row in ran.results[::2])
    assert len(ran.err) == 2


def test_several_good_files_end_with_status_0(tmp_path: Path) -> None:
    good = written(tmp_path, GOOD)
    ran = Ran(good, good)
    assert (ran.status, len(ran.results), ran.err) == (0, 2, [])


class StandardInput:
    """Standard input with these bytes."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StandardInput(GOOD.encode()))
    assert Ran("-").status == 0
    monkeypatch.setattr("sys.stdin", StandardInput(b"\xff"))
    assert Ran("-").status == 2


def test_text_is_for_people(tmp_path: Path) -> None:
    ran = Ran("--text", written(tmp_path, GOOD), written(tmp_path, "{", "bad.json"))
    assert ran.out.startswith("Window 26 Aug 2026 13:00")
    assert (ran.status, len(ran.err)) == (2, 1)
    assert "swat-plan" not in ran.out


def test_a_queue_that_the_checker_refuses_is_never_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(_: object) -> None:
        raise UnsafeQueue(("after step 1: 1 is live without 2",))

    monkeypatch.setattr("scheduler.management.commands.plan.plan_window", defect)
    ran = Ran(written(tmp_path, GOOD))
    assert (ran.status, ran.out, len(ran.err)) == (2, "", 1)
    assert "1 is live without 2" in ran.err[0]


def test_a_lone_surrogate_is_printed_as_something_else(tmp_path: Path) -> None:
    change = {
        "number": 1,
        "project": "mediawiki/core",
        "branch": "master",
        "change_id": "I" + "0" * 40,
        "subject": "\ud800",
    }
    document = base_document() | {"changes": [change], "backports": [{"change": 1}]}
    file = written(tmp_path, json.dumps(document))
    assert Ran(file).status == 0
    assert Ran("--text", file).status == 0
