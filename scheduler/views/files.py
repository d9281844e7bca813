"""What a change does to which files, and where in the review system one reads it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from scheduler.models import Change

FEW = 6  # files that a list shows of a change
MOST_SHOWN = 30  # files of the code; the others are folded

# Addresses are made of these only: what does not look like one stays plain text.
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*", re.ASCII)
_PATH = re.compile(r"[A-Za-z0-9._@+=,~ -]+(?:/[A-Za-z0-9._@+=,~ -]+)*", re.ASCII)
_WAY_UP = re.compile(r"(?:^|/)\.{1,2}(?:/|$)")

_TEST_FOLDERS = frozenset({"tests", "test", "phpunit", "qunit", "jest", "cypress", "spec"})
_DOC_FOLDERS = frozenset({"docs", "doc"})
_DOC_NAMES = ("README", "RELEASE-NOTES", "HISTORY", "CHANGELOG", "UPGRADE")
_DOC_ENDINGS = (".md", ".rst")


@dataclass(frozen=True, slots=True)
class FileRow:
    """One file of a change.

    Attributes:
        status: git's letter; word: the same in a word.
        old_path: where it was before, "" unless it was renamed.
        url: where its part of the change is read, "" if no address can be made of it.
    """

    path: str
    old_path: str
    status: str
    word: str
    inserted: int
    deleted: int
    url: str


@dataclass(frozen=True, slots=True)
class Fold:
    """Files that are shown on demand: `what` they are, in words, and their lines in all."""

    what: str
    rows: tuple[FileRow, ...]
    inserted: int
    deleted: int


@dataclass(frozen=True, slots=True)
class DiffSummary:
    """The files of a change with their lines, the code first.

    Attributes:
        url: where the whole patch set is read, "" if no address can be made of it.
    """

    rows: tuple[FileRow, ...]
    folds: tuple[Fold, ...]
    count: int
    inserted: int
    deleted: int
    url: str

    @property
    def more(self) -> int:
        """How many files stand behind the first few."""
        return max(self.count - min(len(self.rows), FEW), 0)


def diff_summary_of(change: Change, public_url: str) -> DiffSummary:
    """Return what a change does to which files.

    Args:
        change: what the review system said about it.
        public_url: where people find the review system.
    """
    base = patch_set_url(change, public_url)
    rows = [_row(file, base) for file in change.files]
    kinds: dict[str, list[FileRow]] = {"": [], "tests": [], "documentation": []}
    for row in rows:
        kinds[_kind_of(row.path)].append(row)
    shown, more = kinds[""][:MOST_SHOWN], kinds[""][MOST_SHOWN:]
    folds = (
        (_named(more, "more"), more),
        (_named(kinds["tests"], "of tests"), kinds["tests"]),
        (_named(kinds["documentation"], "of documentation"), kinds["documentation"]),
    )
    inserted, deleted = _lines(rows)
    return DiffSummary(
        rows=tuple(shown),
        folds=tuple(Fold(what, tuple(some), *_lines(some)) for what, some in folds if some),
        count=len(rows),
        inserted=inserted,
        deleted=deleted,
        url=base,
    )


def patch_set_url(change: Change, public_url: str) -> str:
    """Return where people read the patch set of a change; "" if no address can be made of it."""
    is_web = urlsplit(public_url).scheme in {"https", "http"}
    if not is_web or not change.patch_set or not _PROJECT.fullmatch(change.project):
        return ""
    return f"{public_url}c/{change.project}/+/{change.number:d}/{change.patch_set:d}"


def _row(file: Mapping[str, Any], base: str) -> FileRow:
    path, status = str(file["path"]), str(file["status"])
    can_be_linked = base and _PATH.fullmatch(path) and not _WAY_UP.search(path)
    return FileRow(
        path=path,
        old_path=str(file["old_path"] or ""),
        status=status,
        word=_WORDS.get(status, "changed"),
        inserted=file["lines_inserted"],
        deleted=file["lines_deleted"],
        url=f"{base}/{quote(path)}" if can_be_linked else "",
    )


_WORDS = {"A": "added", "M": "modified", "D": "deleted", "R": "renamed"}


def _named(rows: Sequence[FileRow], of_what: str) -> str:
    return f"{len(rows)} {'file' if len(rows) == 1 else 'files'} {of_what}"


def _lines(rows: Iterable[FileRow]) -> tuple[int, int]:
    rows = tuple(rows)
    return sum(row.inserted for row in rows), sum(row.deleted for row in rows)


def _kind_of(path: str) -> str:
    """Return "tests", "documentation", or "" for the code."""
    *folders, name = path.split("/")
    if _TEST_FOLDERS.intersection(folder.lower() for folder in folders):
        return "tests"
    is_doc = name.startswith(_DOC_NAMES) or name.endswith(_DOC_ENDINGS)
    if is_doc or _DOC_FOLDERS.intersection(folder.lower() for folder in folders):
        return "documentation"
    return ""
