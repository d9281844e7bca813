"""The shapes of Gerrit's answers, and what the rules see of them.

Wrong types and missing facts are refused. A fact that is missing is never read as "no dependency",
"no objection" or "merged".
"""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from scheduler.adapters.cleaning import (
    shortened,
    shortened_inside,
    shortened_lines,
    visible,
    visible_line,
)
from scheduler.adapters.ports import AdapterError
from scheduler.domain.changes import Change, ChangedFile, ChangeStatus, FileStatus, footers

# Before every JSON body, so that no browser runs it as a script.
PREFIX = b")]}'\n"

PLACE_LIMIT = 255  # characters of a project or a branch, as its column
PERSON_LIMIT = 150  # characters of who somebody is, as the column
SUBJECT_LIMIT = 300  # characters, as the next two
MESSAGE_LIMIT = 64_000
DIFF_LIMIT = 400_000

Shape = TypeVar("Shape")


def _line(value: object) -> object:
    return visible_line(value) if isinstance(value, str) else value


def _text(value: object) -> object:
    return visible(value) if isinstance(value, str) else value


def _time(value: object) -> object:
    """Read a time as Gerrit writes it: UTC, to the nanosecond, of which we keep the second."""
    match = _TIME.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is no time")
    return datetime.fromisoformat(f"{match[1]}+00:00")


_TIME = re.compile(r"(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})(?:\.\d{1,9})?\Z", re.ASCII)

Line = Annotated[str, BeforeValidator(_line)]
Text = Annotated[str, BeforeValidator(_text)]
Name = Annotated[str, BeforeValidator(_line), Field(min_length=1, max_length=1000)]
Place = Annotated[str, BeforeValidator(_line), Field(min_length=1, max_length=PLACE_LIMIT)]
Path = Annotated[str, BeforeValidator(_line), Field(min_length=1, max_length=4000)]
Number = Annotated[int, Field(ge=1, le=999_999_999)]
Lines = Annotated[int, Field(ge=0, le=2**31)]
Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{40}(?:[0-9a-f]{24})?$")]
ChangeId = Annotated[str, Field(pattern=r"^I[0-9a-f]{40}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class Account(_Part):
    """Who did something."""

    username: Line = ""
    name: Line = ""
    account_id: Annotated[int | None, Field(alias="_account_id")] = None

    @model_validator(mode="after")
    def _is_somebody(self) -> Self:
        if not self.known_as:
            raise ValueError("names nobody")
        return self

    @property
    def known_as(self) -> str:
        """The account name, or the best there is to tell people apart."""
        number = "" if self.account_id is None else f"account {self.account_id}"
        return shortened(self.username or self.name or number, PERSON_LIMIT)


class _Vote(_Part):
    value: int = 0  # absent where somebody was added, and may not vote


class Label(_Part):
    """A label with its votes; the four accounts say it in short where votes are not listed."""

    votes: Annotated[list[_Vote] | None, Field(alias="all")] = None
    rejected: Account | None = None
    disliked: Account | None = None
    recommended: Account | None = None
    approved: Account | None = None

    @property
    def decisive(self) -> int:
        """The vote that counts: the lowest where one is negative, else the highest; 0 for none.

        Whoever is said to be against it is against it, also where no such vote is listed.
        """
        said = ((-2, self.rejected), (-1, self.disliked), (1, self.recommended), (2, self.approved))
        in_short = [value for value, account in said if account]
        listed = [vote.value for vote in self.votes or ()]
        lowest = min(listed, default=0)
        if lowest >= 0:
            lowest = min(in_short, default=0)
        if lowest < 0:
            return lowest
        return max(in_short if self.votes is None else listed, default=0)


class File(_Part):
    """What a patch set does to one file; modified where nothing is said, as Gerrit has it."""

    status: Literal["M", "A", "D", "R", "C", "W"] = "M"
    old_path: Path | None = None
    lines_inserted: Lines = 0
    lines_deleted: Lines = 0


_FILE_STATUS = {
    "A": FileStatus.ADDED,
    "C": FileStatus.ADDED,  # a copy is a new file; its source stays as it was
    "D": FileStatus.DELETED,
    "R": FileStatus.RENAMED,
}


class _CommitName(_Part):
    commit: Sha


class _Author(_Part):
    name: Line = ""
    date: Annotated[datetime, BeforeValidator(_time)]


class _Commit(_Part):
    message: Annotated[Text, Field(min_length=1)]
    parents: list[_CommitName]
    author: _Author | None = None


class Revision(_Part):
    """One patch set."""

    number: Annotated[Number, Field(alias="_number")]
    uploader: Account
    commit: _Commit
    files: dict[Path, File]


def _cut_topic(topic: str) -> str:
    return topic[:PLACE_LIMIT]


class ChangeAnswer(_Part):
    """A change with its current patch set."""

    number: Annotated[Number, Field(alias="_number")]
    project: Place
    branch: Place
    change_id: ChangeId
    subject: Line
    topic: Annotated[Line, AfterValidator(_cut_topic)] = ""
    status: Literal["NEW", "MERGED", "ABANDONED"]
    work_in_progress: bool = False  # left out unless true
    owner: Account
    labels: dict[Name, Label]
    current_revision: Sha
    revisions: dict[Sha, Revision]
    submittable: bool | None = None
    more_changes: Annotated[bool, Field(alias="_more_changes")] = False

    @model_validator(mode="after")
    def _has_its_current_revision(self) -> Self:
        if self.current_revision not in self.revisions:
            raise ValueError("lacks its current revision")
        return self

    @property
    def revision(self) -> Revision:
        """The current patch set."""
        return self.revisions[self.current_revision]

    def to_change(self) -> Change:
        """Return what the rules see of it, as far as this answer tells.

        Raises:
            AdapterError: the footers of its message do not fit into what is kept of it.
        """
        revision = self.revision
        author = revision.commit.author
        return Change(
            number=self.number,
            project=self.project,
            branch=self.branch,
            change_id=self.change_id,
            subject=shortened(self.subject, SUBJECT_LIMIT),
            message=_kept_message(revision.commit.message, self.number),
            status=ChangeStatus(self.status),
            work_in_progress=self.work_in_progress,
            owner=self.owner.known_as,
            uploader=revision.uploader.known_as,
            labels={name: label.decisive for name, label in self.labels.items()},
            files=tuple(
                ChangedFile(
                    path=path,
                    status=_FILE_STATUS.get(file.status, FileStatus.MODIFIED),
                    old_path=file.old_path if file.status == "R" else None,
                    lines_inserted=file.lines_inserted,
                    lines_deleted=file.lines_deleted,
                )
                for path, file in sorted(revision.files.items())
                if not path.startswith("/")  # Gerrit's own, such as /COMMIT_MSG
            ),
            topic=self.topic,
            author=shortened(author.name, PERSON_LIMIT) if author else "",
            authored_at=author.date if author else None,
        )


class IncludedIn(_Part):
    """The branches that contain a merged change."""

    branches: list[Name]


class _RelatedCommit(_Part):
    commit: Sha
    parents: list[_CommitName]


class _Related(_Part):
    number: Annotated[Number | None, Field(alias="_change_number")] = None
    commit: _RelatedCommit


class RelatedAnswer(_Part):
    """The relation chain of a patch set, newest first; empty where it stands alone."""

    changes: list[_Related]

    def parent_of(self, number: int, sha: str) -> int | None:
        """Return the number of the change just below in the chain, None if there is none.

        Args:
            number: the change that the chain was asked for.
            sha: the commit of its patch set.

        Raises:
            AdapterError: the chain is not that of this patch set, or it lacks the change below.
        """
        if not self.changes:
            return None
        own = [row for row in self.changes if row.number == number and row.commit.commit == sha]
        if not own or len(self.changes) == 1:
            raise untrusted(f"the relation chain of change {number} is not its own")
        below = [name.commit for name in own[0].commit.parents]
        for row in self.changes:
            if row.commit.commit in below and row.number not in {None, number}:
                return row.number
        if self.changes[-1] is not own[0]:  # newest first: what comes after it is below it
            raise untrusted(f"the relation chain of change {number} lacks the one below")
        return None


class _Companion(_Part):
    number: Annotated[Number, Field(alias="_number")]


class SubmittedTogether(_Part):
    """What would be merged at once with an open change; no change at all where it goes alone."""

    changes: list[_Companion]
    unseen: Annotated[int, Field(alias="non_visible_changes", ge=0)]

    def others(self, number: int) -> tuple[int, ...]:
        """Return the other changes that would be merged with this one, sorted.

        Raises:
            AdapterError: it goes along with what nobody outside may see, so that nothing can be
                said about it; or this is about other changes.
        """
        if self.unseen:
            raise AdapterError(
                f"Change {number} would be merged together with {self.unseen} that cannot be seen: "
                "what it depends on cannot be told.",
                retryable=False,
            )
        numbers = {companion.number for companion in self.changes}
        if numbers and number not in numbers:
            raise untrusted(f"what is merged together with change {number} lacks it")
        return tuple(sorted(numbers - {number}))


CHANGE: TypeAdapter[ChangeAnswer] = TypeAdapter(ChangeAnswer)
CHANGES: TypeAdapter[list[ChangeAnswer]] = TypeAdapter(list[ChangeAnswer])
INCLUDED_IN: TypeAdapter[IncludedIn] = TypeAdapter(IncludedIn)
RELATED: TypeAdapter[RelatedAnswer] = TypeAdapter(RelatedAnswer)
SUBMITTED_TOGETHER: TypeAdapter[SubmittedTogether] = TypeAdapter(SubmittedTogether)


def untrusted(what: str) -> AdapterError:
    """Return the error for an answer that cannot be believed; the next one perhaps can."""
    return AdapterError(f"Gerrit's answer cannot be used: {what}.", retryable=True)


def read(body: bytes, shape: TypeAdapter[Shape]) -> Shape:
    """Return what a JSON body of Gerrit says.

    Raises:
        AdapterError: it is not Gerrit's JSON, or not of this shape.
    """
    if not body.startswith(PREFIX):
        raise untrusted("it is not Gerrit's JSON")
    try:
        told = json.loads(
            body[len(PREFIX) :].decode("utf-8"),
            object_pairs_hook=_without_repetition,
            parse_constant=_no_constant,
        )
        return shape.validate_python(told)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = "/".join(visible_line(str(part)) for part in first["loc"])
        raise untrusted(shortened(f"{first['type']} at /{place}", SUBJECT_LIMIT)) from error
    except RecursionError as error:
        raise untrusted("it is nested too deeply") from error
    except ValueError as error:
        raise untrusted("it is not JSON") from error


def read_patch(body: bytes, sha: str, *, cut: bool) -> str:
    """Return the unified diff in a base64 patch, cleaned and cut to size.

    Args:
        body: the answer.
        sha: the commit that was asked for.
        cut: whether the answer was longer, and this is its beginning.

    Raises:
        AdapterError: it is not base64, not of this commit, or there is no diff in it.
    """
    whole = b"".join(body.split())
    if cut:
        whole = whole[: len(whole) // 4 * 4]
    try:
        raw = base64.b64decode(whole, validate=True)
    except binascii.Error as error:
        raise untrusted("the patch is not base64") from error
    patch = visible(raw.decode("utf-8", errors="replace"))
    if not patch.startswith(f"From {sha} "):
        raise untrusted("the patch is not that of the patch set")
    start = patch.find("\ndiff --git ") + 1
    if not start:
        return ""  # a commit that changes nothing
    diff = patch[start:].rpartition("\n-- \n")[0] or patch[start:]
    return shortened_lines(diff.rstrip("\n") + "\n", DIFF_LIMIT)


def _kept_message(message: str, number: int) -> str:
    kept = shortened_inside(message, MESSAGE_LIMIT)
    if kept is not message and list(footers(kept)) != list(footers(message)):
        raise untrusted(f"the footers of change {number} are too long to keep")
    return kept


def _without_repetition(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON value")
