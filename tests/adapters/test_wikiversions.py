"""`wikiversions.json` and group lists: what they say, and one line about what is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from scheduler.adapters.wikiversions import (
    Mixed,
    UnusableFile,
    group_named,
    groups_of_json,
    served_by,
    versions_of_wikis,
    wikis_of_group,
)
from scheduler.models import GroupMove
from scheduler.queries import production_at

OLD, NEW = "1.47.0-wmf.30", "1.47.0-wmf.31"
VERSIONS = f'{{"testwiki": "php-{NEW}", "enwiki": "{OLD}", "dewiki": "php-{OLD}"}}'


def test_versions_are_read_with_and_without_their_folder() -> None:
    assert versions_of_wikis(VERSIONS) == {"testwiki": NEW, "enwiki": OLD, "dewiki": OLD}


def test_a_list_has_one_wiki_a_line_and_comments() -> None:
    text = "\ufeff# group0\ntestwiki\n\n  mediawikiwiki  # the site\r\ntestwiki\n"
    assert wikis_of_group(text, name="group0.dblist") == ("testwiki", "mediawikiwiki")


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (lambda: versions_of_wikis("{"), "wikiversions.json is not JSON"),
        (lambda: versions_of_wikis("[" * 100_000), "nested too deeply"),
        (lambda: versions_of_wikis("[]"), "must be an object"),
        (lambda: versions_of_wikis("{}"), "must be an object"),
        (lambda: versions_of_wikis('{"en wiki": "x"}'), "en wiki is not the name of a wiki"),
        (lambda: versions_of_wikis('{"enwiki": "php-master"}'), "php-master, which is no version"),
        (lambda: versions_of_wikis('{"enwiki": 1}'), "enwiki is on 1, which is no version"),
        (lambda: versions_of_wikis('{"a": "1.47.0-wmf.1", "a": "x"}'), "a stands there twice"),
        (lambda: versions_of_wikis('{"\\u202e": "x"}'), "<U+202E> is not the name"),
        (lambda: wikis_of_group("%% all - group0", name="g"), "this list is an expression"),
        (lambda: wikis_of_group("en wiki", name="g"), "g, line 1: en wiki is not"),
        (lambda: wikis_of_group("# nothing", name="g"), "g names no wiki"),
        (lambda: groups_of_json("x"), "groups is not JSON"),
        (lambda: groups_of_json("{}"), "must be an object"),
        (lambda: groups_of_json('{"group0": "a"}'), "group0 must be a list"),
        (lambda: groups_of_json('{"Group 0": ["a"]}'), "Group 0 is not the name of a group"),
        (lambda: groups_of_json('{"group0": []}'), "group0 names no wiki"),
        (lambda: group_named("../etc.dblist"), "../etc is not the name of a group"),
        (lambda: served_by({"a": OLD}, {"group0": ("b",)}), "No wiki of group0 has a version"),
    ],
)
def test_what_is_wrong_is_one_line(read: Callable[[], object], why: str) -> None:
    with pytest.raises(UnusableFile) as problem:
        read()
    assert why in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_group_on_several_versions_is_told_and_not_taken() -> None:
    groups = {"group0": ("testwiki",), "group2": ("enwiki", "dewiki", "testwiki", "closedwiki")}

    found = served_by(versions_of_wikis(VERSIONS), groups)

    assert found.versions == {"group0": NEW}
    assert found.mixed == (Mixed("group2", ((OLD, 2), (NEW, 1))),)
    assert found.missing == {"group2": 1}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "wikiversions.json").write_text(VERSIONS)
    (tmp_path / "group0.dblist").write_text("testwiki\n")
    (tmp_path / "group2.dblist").write_text("enwiki\ndewiki\nclosedwiki\n")
    (tmp_path / "mixed.dblist").write_text("enwiki\ntestwiki\n")
    return tmp_path


@pytest.mark.django_db
def test_the_command_imports_once(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ("import_wikiversions", str(files / "wikiversions.json"), "--groups", str(files))

    call_command(*call, "--dry-run")
    assert not GroupMove.objects.exists()
    call_command(*call)
    call_command(*call)

    assert production_at(timezone.now()).live == {"group0": NEW, "group2": OLD}
    told = capsys.readouterr()
    assert "mixed is left as it is: its wikis differ (1 on" in told.err
    assert "group2: 1 of its wikis have no version" in told.err
    assert [line for line in told.out.splitlines() if "moved" in line] == [
        "2 groups moved.",
        "0 groups moved.",
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("versions", "groups"),
    [("missing.json", "."), ("wikiversions.json", "empty"), ("latin1.json", "."), (".", ".")],
)
def test_the_command_exits_with_two_and_one_line(versions: str, groups: str, files: Path) -> None:
    (files / "empty").mkdir()
    (files / "latin1.json").write_bytes(b'{"\xe4": 1}')

    with pytest.raises(CommandError) as refused:
        call_command("import_wikiversions", str(files / versions), "--groups", str(files / groups))

    assert refused.value.returncode == 2
    assert "\n" not in str(refused.value)
    assert not GroupMove.objects.exists()


@pytest.mark.django_db
def test_groups_may_be_one_json_file(files: Path) -> None:
    (files / "groups.json").write_text('{"group0": ["testwiki"]}')

    call_command(
        "import_wikiversions",
        str(files / "wikiversions.json"),
        "--groups",
        str(files / "groups.json"),
    )

    assert production_at(timezone.now()).live == {"group0": NEW}
