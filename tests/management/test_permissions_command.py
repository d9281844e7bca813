"""The permission table in the docs is the one in the code."""

import re
from pathlib import Path

import pytest
from django.core.management import call_command

from scheduler.domain.permissions import PERMITS, Act, Role
from scheduler.management.commands import permissions


def test_the_document_is_the_table_of_the_code() -> None:
    written = permissions.FILE.read_text(encoding="utf-8")
    assert written == permissions.document(), "run manage.py permissions"


def test_the_command_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permissions, "FILE", tmp_path / "permissions.md")
    call_command("permissions", verbosity=0)
    assert (tmp_path / "permissions.md").read_text(encoding="utf-8") == permissions.document()


def test_every_act_has_a_section_with_a_row_for_every_role() -> None:
    sections = re.split(r"^## ", permissions.document(), flags=re.MULTILINE)[1:]
    assert len(sections) == len(Act)
    for section in sections:
        rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
        assert len(rows) == len(Role) + 1


def test_every_status_that_matters_has_a_letter() -> None:
    named = {status for permit in PERMITS.values() for status in permit.statuses}
    assert named <= permissions.LETTERS.keys()


def test_nobody_approves_their_own_and_a_reviewer_the_submitted_one() -> None:
    approve = permissions.document().split("## Approve\n")[1].split("## ")[0]
    row = next(line for line in approve.splitlines() if line.startswith("| reviewer |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == ["reviewer", "S", *["**never**"] * 5, "S", "S"]
