"""The train for programs: what is live where, and what bots say that it does."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.csrf import csrf_exempt
from pydantic import BeforeValidator, Field, WithJsonSchema

from scheduler.adapters.cleaning import visible_line
from scheduler.adapters.wikiversions import UnusableFile, group_named, served_by, versions_of_wikis
from scheduler.adapters.wikiversions import groups_of_json as groups_of
from scheduler.api.http import AnySent, Moment, NotUsable, Sent, Text, Told, act, only_read
from scheduler.domain import train as domain
from scheduler.domain.permissions import Act
from scheduler.models import GroupMove, TrainVersion, User
from scheduler.queries import moves_before, train_freezes
from scheduler.services import train as services

YEARS = range(2000, 2101)
LONGEST_REASON = 300  # characters
View = Callable[[HttpRequest], HttpResponse]
_NAME_TOLD = 40  # characters of what is no version
_MIXED_TOLD = 8  # groups: what is kept of an answer, to give it again, is short


def _time(value: object) -> datetime:
    try:
        moment = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("must be a time with its zone, such as 2026-11-03T20:00:00Z")
    if moment.year not in YEARS:
        raise ValueError("is too far from the present")
    return moment


Time = Annotated[
    datetime,
    BeforeValidator(_time),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


Version = Annotated[Text, Field(examples=["1.47.0-wmf.31"])]
Group = Annotated[Text, Field(examples=["group1"])]


class Planned(Sent):
    """A version, and when each group moves to it."""

    version: Version
    cut: Time | None = None
    promotions: dict[str, Time] = {}
    state: str | None = None
    """That of GET /api/train, if it was read before."""


class Promoted(Sent):
    """A group that moved to a version."""

    version: Version
    group: Group
    state: Text


class RolledBack(Promoted):
    """A group that moved back to an older version, and why."""

    reason: Text


class Retired(Sent):
    """A group of wikis that there is no more."""

    group: Group
    reason: Text
    state: Text


class OfVersion(Sent):
    """A version to which something happened."""

    version: Version
    state: str | None = None
    """That of GET /api/train, if it was read before."""


class Held(OfVersion):
    """A version at which the train stops, and why."""

    reason: Text


class Files(Sent):
    """The files of the deploy host."""

    wikiversions: dict[str, str]
    """Wiki to version."""
    groups: dict[str, list[str]]
    """Group to its wikis."""


class PromotionTold(Told):
    """A move of a group: when it is planned, and when it was done."""

    group: str
    planned: Moment
    done: Moment | None
    overdue: bool


class VersionTold(Told):
    """A version of now, or one to come."""

    version: str
    cut: Moment | None
    checked_out: bool
    held: bool
    promotions: list[PromotionTold]


class ComingTold(Told):
    """A version to come, as plan documents tell it."""

    version: str
    cut: Moment | None
    promotions: dict[str, Moment]


class HoldTold(Told):
    """Where the train is held, and why."""

    version: str
    since: Moment
    reason: str


class TrainTold(Told):
    """What is live where, what is to come and what is held."""

    format: Literal["swat-train/1"] = "swat-train/1"
    now: Moment
    state: str
    checked_out: list[str]
    live: dict[str, str]
    schedule: list[ComingTold]
    versions: list[VersionTold]
    holds: list[HoldTold]


class Noted(Told):
    """What was done with a version."""

    done: Literal["plan", "hold", "resume", "check-out", "remove"]
    version: str


class Moved(Told):
    """What was done with a group."""

    done: domain.MoveKind
    group: str
    version: str
    at: Moment


class Imported(Told):
    """How many groups moved by files, and which are on several versions and were left."""

    done: Literal["import"] = "import"
    moved: int
    mixed: list[str]


@only_read
def state(_request: HttpRequest) -> HttpResponse:
    """Tell what is live where, what is to come and what is held: to everybody, signed in or not."""
    now = timezone.now()
    rows = list(TrainVersion.objects.prefetch_related("promotions").order_by("position"))
    versions = [row.to_domain() for row in rows]
    production = domain.production_at(
        now, versions, moves_before(now), train_freezes(now, now + domain.KNOWN_FOR)
    )
    reasons = {row.name: row.hold_reason for row in rows}
    told = TrainTold(
        now=now,
        state=services.state_of_train(),
        checked_out=list(production.checked_out),
        live=dict(production.live),
        schedule=[
            ComingTold(
                version=one.version, cut=one.cut, promotions=dict(sorted(one.promotions.items()))
            )
            for one in production.schedule
        ],
        versions=[_told(one, now) for one in versions if _is_of_now(one, now)],
        holds=[
            HoldTold(version=one.name, since=one.held_since, reason=reasons[one.name])
            for one in versions
            if one.held_since is not None
        ],
    )
    return JsonResponse(told.model_dump())


def _is_of_now(version: domain.Version, now: datetime) -> bool:
    coming = any(one.is_to_come(now) or one.is_overdue(now) for one in version.promotions)
    gone = version.checked_out_until is not None and version.checked_out_until <= now
    return version.is_checked_out(now) or (coming and not gone)


def _told(version: domain.Version, now: datetime) -> VersionTold:
    return VersionTold(
        version=version.name,
        cut=version.cut,
        checked_out=version.is_checked_out(now),
        held=version.is_held(now),
        promotions=[
            PromotionTold(
                group=one.group, planned=one.at, done=one.done_at, overdue=one.is_overdue(now)
            )
            for one in version.promotions
        ],
    )


def _acts(model: type[AnySent], effect: Callable[[User, AnySent], Told]) -> View:
    """Return the view of an address at which a program moves the train, with its owner's rights."""

    @csrf_exempt
    @login_not_required
    def view(request: HttpRequest) -> HttpResponse:
        return act(request, Act.MANAGE_TRAIN, model, effect)

    return view


def _plan(owner: User, given: Planned) -> Noted:
    facts = services.VersionFacts(
        name=given.version,
        cut=given.cut,
        promotions={_group(group): at for group, at in given.promotions.items()},
    )
    version = services.plan_version(facts=facts, by=owner, state=_state(given.state))
    return Noted(done="plan", version=version.name)


def _promote(owner: User, given: Promoted) -> Moved:
    move = services.promote_group(
        version=_version(given.version), group=_group(given.group), by=owner, state=given.state
    )
    return _moved(move)


def _roll_back(owner: User, given: RolledBack) -> Moved:
    move = services.roll_back_group(
        version=_version(given.version),
        group=_group(given.group),
        by=owner,
        state=given.state,
        reason=_reason(given.reason),
    )
    return _moved(move)


def _retire(owner: User, given: Retired) -> Moved:
    move = services.retire_group(
        group=_group(given.group), by=owner, reason=_reason(given.reason), state=given.state
    )
    return _moved(move)


def _hold(owner: User, given: Held) -> Noted:
    version = services.hold_train(
        version=_version(given.version),
        by=owner,
        reason=_reason(given.reason),
        state=_state(given.state),
    )
    return Noted(done="hold", version=version.name)


def _resume(owner: User, given: OfVersion) -> Noted:
    version = services.resume_train(
        version=_version(given.version), by=owner, state=_state(given.state)
    )
    return Noted(done="resume", version=version.name)


def _check_out(owner: User, given: OfVersion) -> Noted:
    version = services.check_out(
        version=_version(given.version), by=owner, state=_state(given.state)
    )
    return Noted(done="check-out", version=version.name)


def _remove(owner: User, given: OfVersion) -> Noted:
    version = services.remove_version(
        version=_version(given.version), by=owner, state=_state(given.state)
    )
    return Noted(done="remove", version=version.name)


def _import(owner: User, given: Files) -> Imported:
    try:
        versions = versions_of_wikis(json.dumps(given.wikiversions))
        served = served_by(versions, groups_of(json.dumps(given.groups)))
    except UnusableFile as problem:
        raise NotUsable(str(problem)) from None
    moved = services.import_versions(
        served=served.versions, by=owner, source="wikiversions.json, by the API"
    )
    mixed = [one.group for one in served.mixed]
    return Imported(moved=moved, mixed=mixed[:_MIXED_TOLD])


plan = _acts(Planned, _plan)
promote = _acts(Promoted, _promote)
roll_back = _acts(RolledBack, _roll_back)
retire = _acts(Retired, _retire)
hold = _acts(Held, _hold)
resume = _acts(OfVersion, _resume)
check_out = _acts(OfVersion, _check_out)
remove = _acts(OfVersion, _remove)
wikiversions = _acts(Files, _import)


def _moved(move: GroupMove) -> Moved:
    return Moved(
        done=domain.MoveKind(move.kind), group=move.group, version=move.version.name, at=move.at
    )


def _state(given: str | None) -> str | None:
    """Return the `state` that a program read before; None where it does not say."""
    return (given or "").strip() or None


def _version(given: str) -> TrainVersion:
    name = given.removeprefix("php-")
    version = TrainVersion.objects.filter(name=name).first()
    if version is None:
        raise NotUsable(f"No version is known as {visible_line(name)[:_NAME_TOLD]}.")
    return version


def _group(name: str) -> str:
    try:
        return group_named(name)
    except UnusableFile as problem:
        raise NotUsable(str(problem)) from None


def _reason(given: str) -> str:
    return visible_line(given)[:LONGEST_REASON]
