"""The table of names: read, written, and learned from a git repository."""

import subprocess
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from scheduler.adapters.git_history import commits_of
from scheduler.adapters.name_table import read_table, shipped_rarity, write_table
from scheduler.domain.coupling.rarity import Rarity


def test_a_table_is_read_as_it_was_written() -> None:
    names = {f"some-name-{n}": 20 + n // 40 for n in range(100)}
    rarity = Rarity(1_000, names, {"word": 30}, 16)
    again = read_table(write_table(rarity))
    assert (again.changes, again.floor) == (1_000, 16)
    assert (again.names, again.words) == (names, {"word": 30})
    assert max(map(len, write_table(rarity).splitlines())) <= 100


def test_a_table_without_its_size_is_refused() -> None:
    with pytest.raises(ValueError, match="changes"):
        read_table("floor 3\nnames\n5 one\n")


def test_the_shipped_table_knows_what_is_common() -> None:
    rarity = shipped_rarity()
    assert rarity.of_name("getuser") < rarity.of_name("schema.search") + 5
    assert rarity.of_name("function") < 3
    assert rarity.of_name("nobodyhaswrittenthis") > 8.7


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Three commits: two that name the same, and translations by a program."""

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)  # noqa: S603, S607

    git("init", "-q")
    for number, message in enumerate(
        ("Add plumage", "Use plumage", "Localisation updates from elsewhere.")
    ):
        (tmp_path / f"{number}.js").write_text(f"mw.fancy.openPlumage( {number} );\n")
        git("add", "-A")
        git("commit", "-q", "-m", message)
    return tmp_path


def test_names_are_counted_once_a_change_and_not_for_bots(repository: Path, tmp_path: Path) -> None:
    assert [one.message.strip() for one in commits_of(repository)] == ["Use plumage", "Add plumage"]
    out = tmp_path / "names.txt"
    call_command("learn_names", str(repository), "--floor", "1", "--out", str(out), verbosity=0)
    learned = read_table(out.read_text())
    assert learned.changes == 2
    assert learned.names["openplumage"] == 2
    assert learned.words["plumage"] == 2


def test_what_is_no_repository_teaches_nothing(repository: Path, tmp_path: Path) -> None:
    out, nowhere, empty = (tmp_path / name for name in ("names.txt", "nowhere", "empty"))
    empty.mkdir()
    (empty / ".git").write_text("gitdir: /nonexistent\n")  # the folder above is a repository
    with pytest.raises(CommandError, match="Nothing was read"):
        call_command("learn_names", str(empty), "--out", str(out))
    with pytest.raises(CommandError, match=r"no folder .*nowhere"):
        call_command("learn_names", str(repository), str(nowhere), "--out", str(out))
    assert not out.exists()
    with pytest.raises(CommandError, match=r"no folder .*nowhere"):
        call_command("learn_names", str(repository), "--out", str(nowhere / "names.txt"))
