"""The plan document: a window as JSON, in and out (`swat-plan/1`, `swat-plan-result/1`).

Bots, CI, tests and the web app's "download" and "replay" use it. Unknown keys, wrong types and
contradictions are refused with the place in the document, so that typing errors show.
"""

import json
import re
from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from scheduler.adapters.name_table import shipped_rarity
from scheduler.domain.backports import Backport, Kind, Mark, Urgency
from scheduler.domain.changes import (
    CHANGE_ID,
    Change,
    ChangedFile,
    ChangeSet,
    ChangeStatus,
    FileStatus,
)
from scheduler.domain.coupling.background import Background, projects_of
from scheduler.domain.coupling.evidence import Evidence, Sighting
from scheduler.domain.coupling.questions import Question
from scheduler.domain.planning.plan import Plan, PlanInput
from scheduler.domain.policy.numbers import Numbers, numbers_in_force
from scheduler.domain.policy.rules import RULES_BY_ID
from scheduler.domain.production import Arrival, Production, ScheduledVersion
from scheduler.domain.statements import OnlyFirst, Statement, StatementKind
from scheduler.domain.windows import Freeze, FreezeScope, Window

FORMAT = "swat-plan/1"
RESULT_FORMAT = "swat-plan-result/1"
ERROR_FORMAT = "swat-plan-error/1"

NOT_A_FINDING = "config-never-on-train"  # a rule of the policy that never objects

# Calendar, week and ordinal dates, extended or basic, to the minute at least, with a zone. What
# is finer than a microsecond (Gerrit writes nine digits) is cut off.
_TIME = re.compile(
    r"(\d{4}-(?:\d{2}-\d{2}|W\d{2}-\d)|\d{4}(?:\d{4}|W\d{3}))"
    r"T(\d{2}:?\d{2}(?::?\d{2})?)(?:[.,](\d+))?(Z|[+-]\d{2}(?::?\d{2})?)\Z",
    re.ASCII | re.IGNORECASE,
)
_FIRST_YEAR, _LAST_YEAR = 1970, 9999
_LAST_WINDOW_YEAR = 9998  # what is reckoned from its end still has to be a time
_LARGEST_NUMBER = 2**53
_LARGEST_POLICY_NUMBER = 1_000_000


class UnusableDocument(ValueError):
    """The document cannot be planned.

    Attributes:
        pointer: where in the document, as a JSON pointer; empty for the whole.
        message: what is wrong, in one line.
    """

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer}: {message}" if pointer else message)
        self.pointer = pointer
        self.message = message


def _time(value: object) -> datetime:
    match = _TIME.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is not an ISO 8601 time with a zone, such as 2015-10-26T23:00:00Z")
    day, clock, fraction, zone = match.groups()
    fraction = f".{fraction[:6]}" if fraction and len(clock.replace(":", "")) > len("hhmm") else ""
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{fraction}{zone}".upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("is not a time of the calendar") from error
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"lies outside the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return moment


def _change_id(value: object) -> object:
    if isinstance(value, str) and not (value.startswith("I") and CHANGE_ID.match(value)):
        raise ValueError("is not a Change-Id: I and 40 hexadecimal digits")
    return value


def _rule_id(value: object) -> object:
    if isinstance(value, str) and value not in RULES_BY_ID and value != NOT_A_FINDING:
        raise ValueError("is not the id of a rule")
    return value


Time = Annotated[datetime, BeforeValidator(_time)]
Number = Annotated[int, Field(ge=0, le=_LARGEST_NUMBER)]
PolicyNumber = Annotated[int, Field(ge=0, le=_LARGEST_POLICY_NUMBER)]
Name = Annotated[str, Field(min_length=1)]
RuleId = Annotated[str, BeforeValidator(_rule_id)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Policy(_Part):
    max_patches: PolicyNumber | None = None
    multi_sync_ban: bool | None = None
    minutes_per_patch: PolicyNumber | None = None
    l10n_extra_minutes: PolicyNumber | None = None
    beta_only_minutes: PolicyNumber | None = None
    last_start_minute: PolicyNumber | None = None
    train_horizon_hours: PolicyNumber | None = None
    coupled_train_horizon_hours: PolicyNumber | None = None


class _Window(_Part):
    start: Time
    end: Time


class _Scheduled(_Part):
    version: Name
    cut: Time | None = None
    promotions: dict[str, Time] = {}


class _Train(_Part):
    checked_out: list[Name] = []
    live: dict[str, Name] = {}
    schedule: list[_Scheduled] = []


class _Freeze(_Part):
    from_: Time = Field(alias="from")
    to: Time
    scope: Literal["all", "normal"] = "all"
    reason: str = ""


class _File(_Part):
    path: Name
    status: Literal["A", "M", "D", "R"] = "M"
    old_path: str | None = None
    lines_inserted: Number = 0
    lines_deleted: Number = 0


class _Change(_Part):
    number: Number
    project: Name
    branch: Name
    change_id: Annotated[str, BeforeValidator(_change_id)]
    subject: str = ""
    message: str | None = None
    status: Literal["NEW", "MERGED", "ABANDONED"] = "NEW"
    work_in_progress: bool = False
    owner: str = ""
    uploader: str = ""
    parent: Number | None = None
    included_in: list[str] = []
    deployed: bool | None = None
    labels: dict[str, int] = {}
    files: list[_File] = []
    diff: str = ""
    topic: str = ""
    author: str = ""
    authored_at: Time | None = None


class _Backport(_Part):
    change: Number
    requester: str = ""
    approved: bool = False
    submitted_at: Time | None = None
    kind: Literal["regression", "bug", "config", "maintenance"] = "bug"
    urgency: Literal["unbreak-now", "high", "normal", "low"] = "normal"
    present: bool = True
    place: Number | None = None
    marks: list[
        Literal["security", "new-extension", "schema-change", "revert", "low-risk", "test-plan"]
    ] = []
    criteria: list[str] = []
    acknowledged: list[RuleId] = []
    overridden: list[RuleId] = []


class _Statement(_Part):
    first: Number
    then: Number
    kind: Literal["before", "together", "unrelated"] = "before"
    only_first: Literal["nothing", "degraded", "outage"] = "nothing"
    by: str = ""


class _Sighting(_Part):
    change: Number
    path: Name
    line: int = Field(ge=0)
    sign: Literal["+", "-", ""] = ""


class _Evidence(_Part):
    kind: Name
    points: Number
    text: str
    names: list[str] = []
    places: list[_Sighting] = []


class _Asked(_Part):
    changes: Annotated[list[Number], Field(min_length=2, max_length=2)]
    points: Number
    advice: Literal["first", "together", "ask"]
    first: Number | None = None
    because: list[str] = []
    evidence: list[_Evidence]


class _Dismissed(_Part):
    projects: Annotated[list[Name], Field(min_length=2, max_length=2)]
    names: list[Name]


class _Document(_Part):
    format: Literal["swat-plan/1"]
    now: Time | None = None
    policy: _Policy = _Policy()
    window: _Window
    train: _Train = _Train()
    freezes: list[_Freeze] = []
    changes: list[_Change]
    backports: list[_Backport]
    statements: list[_Statement] = []
    asked: list[_Asked] = []
    dismissed: list[_Dismissed] = []
    order: list[list[Number]] | None = None


def parse(text: str) -> PlanInput:
    """Read a plan document.

    Raises:
        UnusableDocument: it is not JSON, not a plan document, or contradicts itself.
    """
    try:
        raw = json.loads(text, object_pairs_hook=_object, parse_constant=_Flaw.constant)
        _refuse_flaws(raw)
    except RecursionError as error:
        raise UnusableDocument("", "is nested too deeply") from error
    except ValueError as error:
        if isinstance(error, UnusableDocument):
            raise
        raise UnusableDocument("", f"is not JSON: {_one_line(str(error))}") from error
    if not isinstance(raw, dict):
        raise UnusableDocument("", "is not a JSON object")
    try:
        document = _Document.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise UnusableDocument(_pointer(first["loc"]), _said(first)) from error
    except RecursionError as error:
        raise UnusableDocument("", "is nested too deeply") from error
    _check(document)
    return _plan_input(document)


@dataclass(frozen=True, slots=True)
class _Flaw:
    """Stands where JSON is not what it should be, until it is known where that is."""

    message: str

    @classmethod
    def constant(cls, name: str) -> "_Flaw":
        """Return what stands for NaN and the infinities, which Python would let pass."""
        return cls(f"{name} is not a JSON value")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        found[twice] = _Flaw("stands twice in one object")
    return found


def _refuse_flaws(raw: object) -> None:
    """Refuse the first flaw of a document, level by level.

    Raises:
        UnusableDocument: there is one.
    """
    level: list[tuple[tuple[str | int, ...], object]] = [((), raw)]
    while level:
        below: list[tuple[tuple[str | int, ...], object]] = []
        for place, value in level:
            if isinstance(value, _Flaw):
                raise UnusableDocument(_pointer(place), value.message)
            if isinstance(value, dict):
                below += [((*place, name), one) for name, one in value.items()]
            elif isinstance(value, list):
                below += [((*place, index), one) for index, one in enumerate(value)]
        level = below


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _pointer(parts: Iterable[str | int]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def _said(error: Mapping[str, Any]) -> str:
    kinds = {
        "missing": "is required",
        "extra_forbidden": "is not a key of the plan document",
    }
    message = kinds.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    return _one_line(message[0].lower() + message[1:])


def _check(document: _Document) -> None:
    """Refuse what the shape alone cannot see."""
    _check_times(document)
    _check_train(document.train)
    known = _numbers(document)
    _check_backports(document, known)
    _check_statements(document, known)
    _check_asked(document, known)
    _check_order(document, known)


def _check_times(document: _Document) -> None:
    if document.window.end < document.window.start:
        raise UnusableDocument("/window/end", "lies before the window's start")
    if document.window.end.year > _LAST_WINDOW_YEAR:
        raise UnusableDocument("/window/end", f"lies after the year {_LAST_WINDOW_YEAR}")
    for place, freeze in enumerate(document.freezes):
        if freeze.to < freeze.from_:
            raise UnusableDocument(f"/freezes/{place}/to", "lies before the freeze's start")


def _check_train(train: _Train) -> None:
    checked_out = set(train.checked_out)
    if len(checked_out) != len(train.checked_out):
        raise UnusableDocument("/train/checked_out", "names a version twice")
    for group, version in train.live.items():
        if version not in checked_out:
            pointer = _pointer(("train", "live", group))
            raise UnusableDocument(pointer, f"{version} is live but not checked out")


def _numbers(document: _Document) -> set[int]:
    known: set[int] = set()
    for place, change in enumerate(document.changes):
        if change.number in known:
            raise UnusableDocument(f"/changes/{place}/number", f"{change.number} stands twice")
        known.add(change.number)
    return known


def _check_backports(document: _Document, known: set[int]) -> None:
    booked: set[int] = set()
    for place, backport in enumerate(document.backports):
        pointer = f"/backports/{place}/change"
        _must_know(backport.change, known, pointer)
        if backport.change in booked:
            raise UnusableDocument(pointer, f"{backport.change} is booked twice")
        booked.add(backport.change)


def _check_statements(document: _Document, known: set[int]) -> None:
    for place, statement in enumerate(document.statements):
        _must_know(statement.first, known, f"/statements/{place}/first")
        _must_know(statement.then, known, f"/statements/{place}/then")
        if statement.first == statement.then:
            raise UnusableDocument(f"/statements/{place}", "is about one change and itself")


def _check_asked(document: _Document, known: set[int]) -> None:
    for place, asked in enumerate(document.asked):
        for member, number in enumerate(asked.changes):
            _must_know(number, known, f"/asked/{place}/changes/{member}")
        if asked.changes[0] == asked.changes[1]:
            raise UnusableDocument(f"/asked/{place}", "is about one change and itself")


def _check_order(document: _Document, known: set[int]) -> None:
    ordered: set[int] = set()
    for place, step in enumerate(document.order or ()):
        for member, number in enumerate(step):
            pointer = f"/order/{place}/{member}"
            _must_know(number, known, pointer)
            if number in ordered:
                raise UnusableDocument(pointer, f"{number} stands twice in the order")
            ordered.add(number)


def _must_know(number: int, known: set[int], pointer: str) -> None:
    if number not in known:
        raise UnusableDocument(pointer, f"names change {number}, which is not among the changes")


def _plan_input(document: _Document) -> PlanInput:
    window = Window(document.window.start, document.window.end)
    now = document.now or window.start
    given = document.policy.model_dump(exclude_none=True)
    return PlanInput(
        now=now,
        window=window,
        numbers=replace(numbers_in_force(window.start), **given),
        changes=ChangeSet(_change(change) for change in document.changes),
        backports=tuple(_backport(backport, now) for backport in document.backports),
        production=Production(
            checked_out=tuple(document.train.checked_out),
            live=document.train.live,
            schedule=tuple(
                ScheduledVersion(scheduled.version, scheduled.cut, scheduled.promotions)
                for scheduled in document.train.schedule
            ),
        ),
        freezes=tuple(
            Freeze(freeze.from_, freeze.to, FreezeScope(freeze.scope), freeze.reason)
            for freeze in document.freezes
        ),
        statements=tuple(
            Statement(s.first, s.then, StatementKind(s.kind), OnlyFirst(s.only_first), s.by)
            for s in document.statements
        ),
        order=tuple(tuple(step) for step in document.order) if document.order else None,
        gone=window.minutes_gone(now),
        background=Background(
            rarity=shipped_rarity(),
            dismissed={
                projects_of(*one.projects): frozenset(one.names) for one in document.dismissed
            },
        ),
        asked=tuple(map(_question, document.asked)),
    )


def _question(given: _Asked) -> Question:
    low, high = sorted(given.changes)
    return Question(
        (low, high),
        given.points,
        given.advice,
        given.first,
        evidence_in(one.model_dump() for one in given.evidence),
        tuple(given.because),
    )


def _change(given: _Change) -> Change:
    return Change(
        number=given.number,
        project=given.project,
        branch=given.branch,
        change_id=given.change_id,
        subject=given.subject,
        message=given.subject if given.message is None else given.message,
        status=ChangeStatus(given.status),
        work_in_progress=given.work_in_progress,
        owner=given.owner,
        uploader=given.uploader,
        parent=given.parent,
        included_in=frozenset(given.included_in),
        deployed=given.deployed,
        labels=given.labels,
        files=tuple(
            ChangedFile(
                file.path,
                FileStatus(file.status),
                file.old_path,
                file.lines_inserted,
                file.lines_deleted,
            )
            for file in given.files
        ),
        diff=given.diff,
        topic=given.topic,
        author=given.author,
        authored_at=given.authored_at,
    )


def _backport(given: _Backport, now: datetime) -> Backport:
    return Backport(
        change=given.change,
        requester=given.requester,
        submitted_at=given.submitted_at or now,
        approved=given.approved,
        kind=Kind(given.kind),
        urgency=Urgency.of(given.urgency),
        present=given.present,
        place=given.place,
        marks=frozenset(Mark(mark) for mark in given.marks),
        criteria=frozenset(given.criteria),
        acknowledged=frozenset(given.acknowledged),
        overridden=frozenset(given.overridden),
    )


def time_text(moment: datetime) -> str:
    """Return a moment as the document writes it: UTC, ending in Z."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def render(plan: Plan) -> dict[str, Any]:
    """Return a plan as the result document, ready for JSON."""
    return {
        "format": RESULT_FORMAT,
        "queue": [
            {
                "position": step.position,
                "changes": list(step.changes),
                "starts": time_text(step.starts),
                "minutes": step.minutes,
                "because": [because._asdict() for because in step.because],
            }
            for step in plan.queue
        ],
        "elsewhere": [
            {
                "change": row.change,
                "place": row.place.slug,
                "rule": row.rule,
                "version": row.arrival.version if row.arrival else None,
                "arrives": _arrives(row.arrival),
            }
            for row in plan.elsewhere
        ],
        "findings": [
            {
                "change": found.change,
                "rule": found.rule,
                "level": found.level.value,
                "lifted": found.lifted,
                "message": found.message,
                "changes": list(found.changes),
            }
            for found in plan.findings
        ],
        "questions": list(map(_asked, plan.questions)),
        "states": _states(plan),
        "rollback": [list(members) for members in plan.rollback],
        "leftovers": list(plan.leftovers),
    }


def _asked(question: Question) -> dict[str, Any]:
    return {
        "changes": list(question.changes),
        "points": question.points,
        "advice": question.advice,
        "first": question.first,
        "because": list(question.because),
        "evidence": evidence_document(question.evidence),
    }


def evidence_document(evidence: Iterable[Evidence]) -> list[dict[str, Any]]:
    """Return the evidence of a question as documents, plans and stored questions write it."""
    return [
        {
            **asdict(piece),
            "names": list(piece.names),
            "places": [asdict(place) for place in piece.places],
        }
        for piece in evidence
    ]


def evidence_in(written: Iterable[Mapping[str, Any]]) -> tuple[Evidence, ...]:
    """Return evidence from how it was written; before places were kept it had none."""
    return tuple(
        Evidence(
            one["kind"],
            one["points"],
            one["text"],
            tuple(one["names"]),
            tuple(Sighting(**place) for place in one.get("places", ())),
        )
        for one in written
    )


def _arrives(arrival: Arrival | None) -> dict[str, str] | None:
    if arrival is None:
        return None
    return {group: time_text(at) for group, at in arrival.groups.items()}


def _states(plan: Plan) -> list[dict[str, Any]]:
    live: list[int] = []
    states = []
    for state in plan.states:
        for number in state.added:
            insort(live, number)
        states.append(
            {
                "after": state.after,
                "live": list(live),
                "safe": state.safe,
                "broken": [
                    {"rule": breach.rule, "change": breach.change, "text": breach.text}
                    for breach in state.broken
                ],
            }
        )
    return states


def document_of(given: PlanInput) -> dict[str, Any]:
    """Return a window as a plan document that `parse` reads back to the same plan."""
    return {
        "format": FORMAT,
        "now": time_text(given.now),
        "policy": {field.name: getattr(given.numbers, field.name) for field in fields(Numbers)},
        "window": {"start": time_text(given.window.start), "end": time_text(given.window.end)},
        "train": {
            "checked_out": list(given.production.checked_out),
            "live": dict(sorted(given.production.live.items())),
            "schedule": schedule_document(given.production),
        },
        "freezes": [
            {
                "from": time_text(freeze.start),
                "to": time_text(freeze.end),
                "scope": freeze.scope.value,
                "reason": freeze.reason,
            }
            for freeze in given.freezes
        ],
        "changes": [
            _change_document(change) for change in sorted(given.changes, key=lambda c: c.number)
        ],
        "backports": [
            {
                "change": asked.change,
                "requester": asked.requester,
                "approved": asked.approved,
                "submitted_at": time_text(asked.submitted_at),
                "kind": asked.kind.value,
                "urgency": asked.urgency.slug,
                "present": asked.present,
                "place": asked.place,
                "marks": sorted(mark.value for mark in asked.marks),
                "criteria": sorted(asked.criteria),
                "acknowledged": sorted(asked.acknowledged),
                "overridden": sorted(asked.overridden),
            }
            for asked in given.backports
        ],
        "statements": [
            {
                "first": said.first,
                "then": said.then,
                "kind": said.kind.value,
                "only_first": said.only_first.value,
                "by": said.by,
            }
            for said in sorted(given.statements)
        ],
        **({"asked": list(map(_asked, given.asked))} if given.asked else {}),
        **(
            {
                "dismissed": [
                    {"projects": list(projects), "names": sorted(names)}
                    for projects, names in sorted(given.background.dismissed.items())
                ]
            }
            if given.background.dismissed
            else {}
        ),
        **({"order": [list(step) for step in given.order]} if given.order else {}),
    }


def schedule_document(production: Production) -> list[dict[str, Any]]:
    """Return the versions to come, in order, as plan documents tell them."""
    return [
        {
            "version": scheduled.version,
            "cut": time_text(scheduled.cut) if scheduled.cut else None,
            "promotions": {
                group: time_text(at) for group, at in sorted(scheduled.promotions.items())
            },
        }
        for scheduled in production.schedule
    ]


def _change_document(change: Change) -> dict[str, Any]:
    return {
        "number": change.number,
        "project": change.project,
        "branch": change.branch,
        "change_id": change.change_id,
        "subject": change.subject,
        "message": change.message,
        "status": change.status.value,
        "work_in_progress": change.work_in_progress,
        "owner": change.owner,
        "uploader": change.uploader,
        "parent": change.parent,
        "included_in": sorted(change.included_in),
        "deployed": change.deployed,
        "labels": dict(sorted(change.labels.items())),
        "files": [file_document(file) for file in change.files],
        "diff": change.diff,
        **({"topic": change.topic} if change.topic else {}),
        **({"author": change.author} if change.author else {}),
        **({"authored_at": time_text(change.authored_at)} if change.authored_at else {}),
    }


def file_document(file: ChangedFile) -> dict[str, Any]:
    """Return a changed file as the document, and the database, write it."""
    return {
        "path": file.path,
        "status": file.status.value,
        "old_path": file.old_path,
        "lines_inserted": file.lines_inserted,
        "lines_deleted": file.lines_deleted,
    }
