"""The train for programs: what is live where, and what bots say that it does."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from scheduler.adapters.cleaning import visible_line
from scheduler.adapters.plan_document import schedule_document, time_text
from scheduler.adapters.wikiversions import UnusableFile, group_named, served_by, versions_of_wikis
from scheduler.adapters.wikiversions import groups_of_json as groups_of
from scheduler.api.http import Answer, NotUsable, act, text_in
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


@login_not_required
@require_safe
def state(_request: HttpRequest) -> HttpResponse:
    """Tell what is live where, what is to come and what is held: to everybody, signed in or not."""
    now = timezone.now()
    rows = list(TrainVersion.objects.prefetch_related("promotions").order_by("position"))
    versions = [row.to_domain() for row in rows]
    production = domain.production_at(
        now, versions, moves_before(now), train_freezes(now, now + domain.KNOWN_FOR)
    )
    reasons = {row.name: row.hold_reason for row in rows}
    return JsonResponse(
        {
            "format": "swat-train/1",
            "now": time_text(now),
            "state": services.state_of_train(),
            "checked_out": list(production.checked_out),
            "live": dict(production.live),
            "schedule": schedule_document(production),
            "versions": [_told(one, now) for one in versions if _is_of_now(one, now)],
            "holds": [
                {
                    "version": one.name,
                    "since": time_text(one.held_since),
                    "reason": reasons[one.name],
                }
                for one in versions
                if one.held_since is not None
            ],
        }
    )


def _is_of_now(version: domain.Version, now: datetime) -> bool:
    coming = any(one.is_to_come(now) or one.is_overdue(now) for one in version.promotions)
    gone = version.checked_out_until is not None and version.checked_out_until <= now
    return version.is_checked_out(now) or (coming and not gone)


def _told(version: domain.Version, now: datetime) -> Answer:
    return {
        "version": version.name,
        "cut": time_text(version.cut) if version.cut else None,
        "checked_out": version.is_checked_out(now),
        "held": version.is_held(now),
        "promotions": [
            {
                "group": one.group,
                "planned": time_text(one.at),
                "done": time_text(one.done_at) if one.done_at else None,
                "overdue": one.is_overdue(now),
            }
            for one in version.promotions
        ],
    }


def _acts(effect: Callable[[User, Mapping[str, Any]], Answer]) -> View:
    """Return the view of an address at which a program moves the train, with its owner's rights."""

    @csrf_exempt
    @login_not_required
    @wraps(effect)
    def view(request: HttpRequest) -> HttpResponse:
        return act(request, Act.MANAGE_TRAIN, effect)

    return view


@_acts
def plan(owner: User, given: Mapping[str, Any]) -> Answer:
    """Add a version, or change what is planned for it."""
    promotions = given.get("promotions", {})
    if not isinstance(promotions, dict):
        raise NotUsable("promotions must be an object that maps groups to times.")
    facts = services.VersionFacts(
        name=text_in(given, "version"),
        cut=_moment(given["cut"], "cut") if given.get("cut") is not None else None,
        promotions={
            _group(group): _moment(at, f"the promotion of {visible_line(group)[:32]}")
            for group, at in promotions.items()
        },
    )
    version = services.plan_version(facts=facts, by=owner, state=_state(given))
    return _noted("plan", version)


@_acts
def promote(owner: User, given: Mapping[str, Any]) -> Answer:
    """Note that a group moved to a version."""
    move = services.promote_group(
        version=_version(given),
        group=_group(text_in(given, "group")),
        by=owner,
        state=text_in(given, "state"),
    )
    return _moved(move)


@_acts
def roll_back(owner: User, given: Mapping[str, Any]) -> Answer:
    """Note that a group moved back to an older version."""
    move = services.roll_back_group(
        version=_version(given),
        group=_group(text_in(given, "group")),
        by=owner,
        state=text_in(given, "state"),
        reason=_reason(given),
    )
    return _moved(move)


@_acts
def retire(owner: User, given: Mapping[str, Any]) -> Answer:
    """Note that there is no such group of wikis any more."""
    move = services.retire_group(
        group=_group(text_in(given, "group")),
        by=owner,
        reason=_reason(given),
        state=text_in(given, "state"),
    )
    return _moved(move)


@_acts
def hold(owner: User, given: Mapping[str, Any]) -> Answer:
    """Hold the train at a version."""
    version = services.hold_train(
        version=_version(given), by=owner, reason=_reason(given), state=_state(given)
    )
    return _noted("hold", version)


@_acts
def resume(owner: User, given: Mapping[str, Any]) -> Answer:
    """Let the train go on from a version."""
    version = services.resume_train(version=_version(given), by=owner, state=_state(given))
    return _noted("resume", version)


@_acts
def check_out(owner: User, given: Mapping[str, Any]) -> Answer:
    """Note that a version is on the deploy host."""
    version = services.check_out(version=_version(given), by=owner, state=_state(given))
    return _noted("check-out", version)


@_acts
def remove(owner: User, given: Mapping[str, Any]) -> Answer:
    """Note that a version has left the deploy host."""
    version = services.remove_version(version=_version(given), by=owner, state=_state(given))
    return _noted("remove", version)


@_acts
def wikiversions(owner: User, given: Mapping[str, Any]) -> Answer:
    """Note which version serves each group, from `wikiversions` and `groups` as files have them."""
    try:
        versions = versions_of_wikis(_json_of(given, "wikiversions"))
        served = served_by(versions, groups_of(_json_of(given, "groups")))
    except UnusableFile as problem:
        raise NotUsable(str(problem)) from None
    moved = services.import_versions(
        served=served.versions, by=owner, source="wikiversions.json, by the API"
    )
    mixed = [one.group for one in served.mixed]
    return {"done": "import", "moved": moved, "mixed": mixed[:_MIXED_TOLD]}


def _noted(done: str, version: TrainVersion) -> Answer:
    return {"done": done, "version": version.name}


def _moved(move: GroupMove) -> Answer:
    return {
        "done": move.kind,
        "group": move.group,
        "version": move.version.name,
        "at": time_text(move.at),
    }


def _state(given: Mapping[str, Any]) -> str | None:
    """Return the `state` that a program read before; None where it does not say."""
    return text_in(given, "state", required=False) or None


def _version(given: Mapping[str, Any]) -> TrainVersion:
    name = text_in(given, "version").removeprefix("php-")
    version = TrainVersion.objects.filter(name=name).first()
    if version is None:
        raise NotUsable(f"No version is known as {visible_line(name)[:_NAME_TOLD]}.")
    return version


def _group(name: object) -> str:
    try:
        return group_named(str(name))
    except UnusableFile as problem:
        raise NotUsable(str(problem)) from None


def _reason(given: Mapping[str, Any]) -> str:
    return visible_line(text_in(given, "reason"))[:LONGEST_REASON]


def _moment(value: object, name: str) -> datetime:
    try:
        moment = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise NotUsable(f"{name} must be a time with its zone, such as 2026-11-03T20:00:00Z.")
    if moment.year not in YEARS:
        raise NotUsable(f"{name} is too far from the present.")
    return moment


def _json_of(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, dict):
        raise NotUsable(f"{name} must be an object.")
    return json.dumps(value)
