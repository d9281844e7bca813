"""`import_calendar` and `export_calendar`: what cannot be read is one clear line, exit 2."""

import io
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone

from scheduler.models import User, Window
from tests.factories import make_window

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
PAGE = (
    "{{Deployment calendar event card\n|when=2026-12-01 13:00 SF\n|length=1\n"
    "|window=[[Backport windows|Late\u202e \x1b[31m]]\n|who=\n|what=\n}}\n"
    "{{Deployment calendar event card\n|when=tomorrow\n}}\n"
)

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture
def run() -> Run:
    """Run a command; return its exit status and what it printed and complained about."""

    def ran(*words: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command(*words, stdout=out, stderr=err)
        except SystemExit as ended:
            return int(ended.code or 0), out.getvalue(), err.getvalue()
        return 0, out.getvalue(), err.getvalue()

    return ran


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.wiki"
    file.write_text(PAGE, encoding="utf-8")
    return file


def test_a_dry_run_prints_what_would_be_made(run: Run, page: Path) -> None:
    status, out, err = run("import_calendar", str(page))

    assert (status, err, Window.objects.count()) == (0, "", 0)
    assert out.splitlines()[0] == (
        "new: line 1: 2026-12-01 21:00 UTC backport: Late<U+202E> <U+001B>[31m"
    )
    assert out.splitlines()[1].startswith("not read: line 8: `when` is “tomorrow”")


def test_apply_makes_them_as_somebody(run: Run, page: Path, rel: User, ada: User) -> None:
    assert run("import_calendar", str(page), "--apply")[0] == 2
    status, _, err = run("import_calendar", str(page), "--apply", "--user", "ada")
    assert (status, err.count("\n"), Window.objects.count()) == (2, 1, 0)
    assert "may change the calendar" in err

    status, out, _ = run("import_calendar", str(page), "--apply", "--user", "rel")

    assert (status, out.splitlines()[-1]) == (0, "1 made.")
    assert run("import_calendar", str(page), "--apply", "--user", "rel")[0] == 2


def test_a_week_is_printed(run: Run) -> None:
    start = datetime(2026, 12, 1, 21, tzinfo=UTC)
    make_window(start=start, end=start + timedelta(hours=1), title="Late")

    status, out, _ = run("export_calendar", "--week", "2026-W49")

    assert status == 0
    assert out.startswith("==Week of November 30==\n")
    assert "|when=2026-12-01 13:00 SF" in out


@pytest.mark.parametrize("week", ["2026-W60", "", "\x00", "49", "-1"])
def test_no_such_week_is_one_line(run: Run, week: str) -> None:
    status, out, err = run("export_calendar", f"--week={week}")

    assert (status, out, err) == (2, "", "That is no week; it should be such as 2026-W49.\n")


def test_whatever_the_file_holds_ends_in_one_line(run: Run, tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - repeatable rubbish
    good = PAGE.encode()
    contents = [b"", b"\xff\xfe", b"x" * 300_000, b"\x00" * 2_000_001]
    for _ in range(40):
        cut = bytearray(good)
        for _ in range(chance.randint(1, 20)):
            cut[chance.randrange(len(cut))] = chance.randrange(256)
        contents.append(bytes(cut))
    file = tmp_path / "page"
    for content in contents:
        file.write_bytes(content)
        status, _, err = run("import_calendar", str(file))
        assert (status, err.count("\n")) in {(0, 0), (2, 1)}, content
    for name in (str(tmp_path), str(tmp_path / "none"), "a\x00b"):
        status, out, err = run("import_calendar", name)
        assert (status, out, err.count("\n")) == (2, "", 1)
