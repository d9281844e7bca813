"""Gerrit changes as the rules see them: projects and their kinds, branches, footers, references."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from scheduler.domain.lazily import lazily

MAIN_BRANCHES = frozenset({"master", "main"})
RELEASE_BRANCH_PREFIX = "wmf/"
CONFIG_PROJECT = "operations/mediawiki-config"

_UNREAD = '"'
_LONGEST_UNREAD = 60  # characters of a footer that nobody can read

CHANGE_ID = re.compile(r"I[0-9a-f]{40}\Z", re.IGNORECASE)
_CHANGE_ID_LENGTH = 41
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")
_FOOTER = re.compile(r"([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*\S)[ \t]*\Z")
_CHERRY_PICK = re.compile(r"\(cherry picked from commit [0-9a-f]{7,40}\)\s*\Z", re.IGNORECASE)
_DEPENDS_ON = "depends-on:"
_DEPENDS_ON_ID = re.compile(r"(?i:I)[0-9A-Fa-f]{7,40}\Z")
_DEPENDS_ON_URL = re.compile(
    r"https?://[^\s/,]+/(?:[^\s,]+/\+/|r/(?:#/)?(?:c/)?)(\d{1,9})(?:/\d+)?/?\Z", re.ASCII
)
_BUG = re.compile(
    r"^[ \t]*Bug:[ \t]*(T[1-9][0-9]{0,9}(?:[ \t]*,[ \t]*T[1-9][0-9]{0,9}){0,99})[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
# What comes before it is looked at last: so the search leaps from one letter I to the next.
_MENTIONED = re.compile(r"[Ii](?<![0-9A-Za-z].)([0-9A-Fa-f]{7,40})(?![0-9A-Za-z])")
_L10N_PATH = re.compile(r"(?:\A|/)(?:i18n|languages)/")
_BETA_ONLY_PATH = re.compile(r"\Atests/|-labs\.php\Z")


class ProjectKind(StrEnum):
    """What a project means for production (`policy.md`, "Kinds of project")."""

    CODE = "code"
    CONFIG = "config"
    OTHER = "other"


class ChangeStatus(StrEnum):
    """Gerrit's own statuses."""

    NEW = "NEW"
    MERGED = "MERGED"
    ABANDONED = "ABANDONED"


class FileStatus(StrEnum):
    """What a change does to a file, in git's letters."""

    ADDED = "A"
    MODIFIED = "M"
    DELETED = "D"
    RENAMED = "R"


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One file of a change; `old_path` only where it was renamed."""

    path: str
    status: FileStatus = FileStatus.MODIFIED
    old_path: str | None = None
    lines_inserted: int = 0
    lines_deleted: int = 0


@dataclass(frozen=True, eq=False)
class Change:
    """A Gerrit change at one patch set.

    Attributes:
        number: unique on the review server.
        change_id: shared by the cherry-picks of one change.
        message: the whole commit message, footers included.
        parent: number of the change below it in its relation chain, None if there is none.
        included_in: branches that contain it; a merged change is always in its own.
        deployed: whether production runs it; None where that is not known.
        labels: review label to its decisive vote.
        diff: unified diff, empty where it is not known.
        topic: by which Gerrit groups changes of any projects; "" if by nothing.
        author: who wrote it, as its commit says; "" if it is not known. Whoever made a cherry-pick
            owns that, and did not write it.
        authored_at: when its author made it, UTC; it stays through cherry-picks and later landings.
    """

    number: int
    project: str
    branch: str
    change_id: str
    subject: str = ""
    message: str = ""
    status: ChangeStatus = ChangeStatus.NEW
    work_in_progress: bool = False
    owner: str = ""
    uploader: str = ""
    parent: int | None = None
    included_in: frozenset[str] = frozenset()
    deployed: bool | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    files: tuple[ChangedFile, ...] = ()
    diff: str = ""
    topic: str = ""
    author: str = ""
    authored_at: datetime | None = None

    @property
    def kind(self) -> ProjectKind:
        """The kind of its project."""
        return project_kind(self.project)

    @lazily
    def key(self) -> str:
        """Its Change-Id in the one spelling that may be compared."""
        return folded_change_id(self.change_id)

    @property
    def is_code(self) -> bool:
        """Whether it is MediaWiki code, which rides the train."""
        return project_kind(self.project) is ProjectKind.CODE

    @property
    def is_config(self) -> bool:
        """Whether it is production configuration, which never rides the train."""
        return self.project == CONFIG_PROJECT

    @property
    def is_merged(self) -> bool:
        """Whether it is merged on its branch (which is not the same as deployed)."""
        return self.status is ChangeStatus.MERGED

    @property
    def is_on_main(self) -> bool:
        """Whether its branch is the main branch of its project."""
        return self.branch in MAIN_BRANCHES

    @property
    def is_on_release(self) -> bool:
        """Whether its branch is a release branch."""
        return self.branch.startswith(RELEASE_BRANCH_PREFIX)

    @lazily
    def branches(self) -> frozenset[str]:
        """The branches that contain it."""
        if self.status is ChangeStatus.MERGED:
            return self.included_in | {self.branch}
        return self.included_in

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that it touches, and the old names of renamed files."""
        paths = [file.path for file in self.files]
        paths += [file.old_path for file in self.files if file.old_path is not None]
        return tuple(paths)

    @lazily
    def depends_on(self) -> tuple[str, ...]:
        """What its `Depends-On` footers name, each once, in order: Change-Ids or numbers.

        A Change-Id is folded and may be abbreviated to seven digits or more; an address of the
        review server is reduced to its change number. A footer in which nothing can be read is
        kept as it is, in quotation marks: it names a change, and nobody knows which.
        """
        if _DEPENDS_ON not in self.message.lower():
            return ()
        named: list[str] = []
        for line in _footer_lines(self.message):
            if line[: len(_DEPENDS_ON)].lower() == _DEPENDS_ON:
                named += _depends_on_references(line[len(_DEPENDS_ON) :].strip())
        return tuple(dict.fromkeys(named))

    @lazily
    def bugs(self) -> tuple[str, ...]:
        """The tasks that it is about, each once."""
        if "bug:" not in self.message.lower():
            return ()
        named = [task for tasks in _BUG.findall(self.message) for task in tasks.split(",")]
        return tuple(dict.fromkeys(task.strip().upper() for task in named))

    @lazily
    def mentions(self) -> tuple[str, ...]:
        """The Change-Ids that its message names otherwise, folded, perhaps abbreviated.

        Also in what was meant as a footer and is none, for it does not stand in the last paragraph.
        """
        named = dict.fromkeys("I" + digits.lower() for digits in _MENTIONED.findall(self.message))
        known = {self.key, *self.depends_on}
        return tuple(key for key in named if key not in known)

    @property
    def touches_l10n(self) -> bool:
        """Whether it makes the localisation cache be built again (as `scap backport` warns)."""
        return not self.is_config and any(map(_L10N_PATH.search, self.paths))

    @lazily
    def is_beta_only(self) -> bool:
        """Whether only the Beta Cluster sees it: merged, never synced, takes no slot."""
        if not self.files or not self.is_config:
            return False
        first = self.files[0].path  # most often this alone decides
        return bool(_BETA_ONLY_PATH.search(first) and all(map(_BETA_ONLY_PATH.search, self.paths)))

    @lazily
    def name(self) -> str:
        """Its name in a sentence: number and the last part of its project."""
        return f"{self.number} ({short_project(self.project)})"

    def __str__(self) -> str:
        return self.name


def short_project(project: str) -> str:
    """Return the last part of a project's path, by which people call it."""
    return project.rpartition("/")[2]


@lru_cache(maxsize=4096)
def project_kind(project: str) -> ProjectKind:
    """Return the kind of a project by its path on the review server."""
    if project == CONFIG_PROJECT:
        return ProjectKind.CONFIG
    if project in {"mediawiki/core", "mediawiki/vendor"}:
        return ProjectKind.CODE
    if re.match(r"mediawiki/(extensions|skins)/.", project):
        return ProjectKind.CODE
    return ProjectKind.OTHER


def release_branch(version: str) -> str:
    """Return the branch of a version."""
    return RELEASE_BRANCH_PREFIX + version


def folded_change_id(change_id: str) -> str:
    """Return a Change-Id in the one spelling that may be compared."""
    return "I" + change_id[1:].lower()


def footers(message: str) -> Iterator[tuple[str, str]]:
    """Yield name (lower case) and value of each footer."""
    for line in _footer_lines(message):
        if match := _FOOTER.match(line):
            yield match[1].lower(), match[2]


def _footer_lines(message: str) -> list[str]:
    """Return the lines of the last paragraph.

    A paragraph that only says where the change was cherry-picked from does not count as the last.
    """
    paragraphs = _BLANK_LINES.split(message.strip())
    while True:
        lines = [line.strip() for line in paragraphs.pop().split("\n")]
        if not paragraphs or not all(map(_CHERRY_PICK.match, lines)):
            return lines


def _depends_on_references(value: str) -> list[str]:
    """Return what the value of one footer names."""
    if only := _depends_on_reference(value):
        return [only]
    read = [_depends_on_reference(word) for word in value.replace(",", " ").split()]
    found = [reference for reference in read if reference]
    return found if found or not value else [f"{_UNREAD}{value[:_LONGEST_UNREAD]}{_UNREAD}"]


def _depends_on_reference(word: str) -> str | None:
    if _DEPENDS_ON_ID.match(word):
        return folded_change_id(word)
    if match := _DEPENDS_ON_URL.match(word):
        return str(int(match[1]))
    return None


def is_unread(reference: str) -> bool:
    """Return whether a reference of a `Depends-On` footer names nothing that can be looked up."""
    return reference.startswith(_UNREAD)


class ChangeSet:
    """All changes that are known, requested or not, with the look-ups the rules need."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self._by_number = {change.number: change for change in changes}
        families: dict[str, list[Change]] = {}
        for change in sorted(self._by_number.values(), key=lambda change: change.number):
            families.setdefault(change.key, []).append(change)
        self._families = {key: tuple(family) for key, family in families.items()}

    def __getitem__(self, number: int) -> Change:
        return self._by_number[number]

    def __contains__(self, number: int) -> bool:
        return number in self._by_number

    def __iter__(self) -> Iterator[Change]:
        return iter(self._by_number.values())

    def __len__(self) -> int:
        return len(self._by_number)

    def other_landings(self, change: Change) -> tuple[str, ...]:
        """Return the other Change-Ids under which the same change landed, before or after.

        That is one of the same project, author's time and subject (`reference/ordering.md`, "The
        incident, as the git data has it").
        """
        if change.authored_at is None:
            return ()
        same = (
            other.key
            for other in self
            if other.authored_at == change.authored_at
            and other.subject == change.subject
            and other.project == change.project
            and other.key != change.key
        )
        return tuple(sorted(set(same)))

    def get(self, number: int) -> Change | None:
        """Return the change with this number, None if it is not known."""
        return self._by_number.get(number)

    def named(self, reference: str) -> tuple[Change, ...]:
        """Return every change that a `Depends-On` value names, by number; empty if none is."""
        if reference in self._families:
            return self._families[reference]
        if is_unread(reference) or len(reference) == _CHANGE_ID_LENGTH:
            return ()
        if not reference.startswith("I"):
            change = self._by_number.get(int(reference))
            return (change,) if change is not None else ()
        matching = sorted(key for key in self._families if key.startswith(reference))
        return self._families[matching[0]] if len(matching) == 1 else ()

    def siblings(self, change: Change) -> tuple[Change, ...]:
        """Return the cherry-picks of a change, itself included: same Change-Id and project."""
        family = self._families[change.key]
        if len(family) == 1:
            return family
        return tuple(other for other in family if other.project == change.project)
