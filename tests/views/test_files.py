"""The summary of what a change does to which files, and the addresses that are made of it."""

from typing import Any

import pytest

from scheduler.models import Change
from scheduler.views.files import MOST_SHOWN, diff_summary_of

GERRIT = "https://gerrit.example.org/r/"
PROJECT = "mediawiki/extensions/Echo"


def change(*paths: str, **columns: Any) -> Change:  # noqa: ANN401
    files = [
        {
            "path": path,
            "status": "M",
            "old_path": None,
            "lines_inserted": 3,
            "lines_deleted": 1,
        }
        for path in paths
    ]
    return Change(**{"number": 7, "project": PROJECT, "patch_set": 2, "files": files, **columns})


def test_the_code_comes_first_and_the_rest_is_folded() -> None:
    summary = diff_summary_of(
        change("includes/A.php", "tests/phpunit/ATest.php", "docs/a.txt", "README.md"), GERRIT
    )

    assert [row.path for row in summary.rows] == ["includes/A.php"]
    assert [(fold.what, len(fold.rows), fold.inserted) for fold in summary.folds] == [
        ("1 file of tests", 1, 3),
        ("2 files of documentation", 2, 6),
    ]
    assert (summary.count, summary.inserted, summary.deleted) == (4, 12, 4)


def test_many_files_are_folded() -> None:
    summary = diff_summary_of(change(*(f"a/{n}.php" for n in range(MOST_SHOWN + 5))), GERRIT)

    assert len(summary.rows) == MOST_SHOWN
    assert [(fold.what, len(fold.rows)) for fold in summary.folds] == [("5 files more", 5)]


def test_a_file_leads_to_gerrit_at_the_patch_set() -> None:
    summary = diff_summary_of(change("modules/a b.js"), GERRIT)

    assert summary.url == f"{GERRIT}c/{PROJECT}/+/7/2"
    assert summary.rows[0].url == f"{GERRIT}c/{PROJECT}/+/7/2/modules/a%20b.js"


@pytest.mark.parametrize(
    "path",
    ["../../../logout", "a/../b", "a//b", "/etc", 'a"onclick=x', "a?b", "a#b", "a\\b", "ä.php"],
)
def test_what_is_no_plain_path_stays_text(path: str) -> None:
    (row,) = diff_summary_of(change(path), GERRIT).rows

    assert (row.path, row.url) == (path, "")


@pytest.mark.parametrize(
    ("columns", "public_url"),
    [
        ({"project": "../evil"}, GERRIT),
        ({"project": "a b"}, GERRIT),
        ({"project": "a/../../logout"}, GERRIT),
        ({"project": "", "patch_set": 0}, GERRIT),
        ({}, "javascript:alert(1)//"),
        ({}, ""),
    ],
)
def test_no_address_is_made_of_what_does_not_look_like_one(
    columns: dict[str, Any], public_url: str
) -> None:
    summary = diff_summary_of(change("a.php", **columns), public_url)

    assert summary.url == ""
    assert summary.rows[0].url == ""
