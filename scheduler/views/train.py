"""The board of the train, and what release engineers do on it: each shown first, then confirmed."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from scheduler.actors import actor_of
from scheduler.adapters.cleaning import visible_line
from scheduler.adapters.wikiversions import (
    Served,
    UnusableFile,
    group_named,
    groups_of_json,
    served_by,
    versions_of_wikis,
    wikis_of_group,
)
from scheduler.domain.changes import release_branch
from scheduler.domain.permissions import Act, may, require
from scheduler.domain.production import Production
from scheduler.domain.train import ride_of
from scheduler.forms import TrainFilesForm, VersionForm
from scheduler.models import Backport, TrainVersion, User
from scheduler.queries import related_changes
from scheduler.services import train as services
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act, page
from scheduler.views.train_board import USUAL_GROUPS, Board, Broken, board_at

PAGE, DEED = "scheduler/train/board.html", "scheduler/train/deed.html"
PLAN, FILES = "scheduler/train/plan.html", "scheduler/train/files.html"
LONGEST_REASON = 300  # characters
READ = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
def board(request: PageRequest) -> HttpResponse:
    """Show which version serves which group, what rides, what waits, and what has to be undone."""
    return show(request)


def show(request: PageRequest, *, refusal: Refusal | None = None) -> HttpResponse:
    """Answer with the board as it is now."""
    shown = board_at(timezone.now())
    context: dict[str, object] = {
        "section": "train",
        "board": shown,
        "may_act": may(actor_of(request.user), Act.MANAGE_TRAIN),
        "sentence": _sentence(shown),
    }
    return page(request, PAGE, context, refusal=refusal)


def _sentence(shown: Board) -> str:
    """Return the state of the train in one line."""
    served = ", ".join(f"{row.name} is on {row.version or 'nothing'}" for row in shown.week)
    held = [card.row.name for card in shown.cards if card.row.held_at]
    return ". ".join(
        [
            served or "Nothing is known to be live",
            *(f"The train is held at {name}" for name in held),
            *(["Something live must be reverted"] if shown.broken else []),
        ]
    )


@dataclass(frozen=True, slots=True)
class Deed:
    """Something a release engineer does to a version.

    Attributes:
        title: what it is, with {version} and {group}.
        happens: what that means, in a sentence.
        does: does it: version, group, by, reason, state.
        done: what is said afterwards.
    """

    title: str
    happens: str
    done: str
    does: Callable[[TrainVersion, str, User, str, str], object]
    of_group: bool = False
    wants_reason: bool = False


DEEDS: Mapping[str, Deed] = {
    "promote": Deed(
        "Move {group} to {version}",
        "From now on {group} counts as served by {version}. This notes it; scap does it.",
        "{group} is on {version}.",
        lambda version, group, by, _reason, state: services.promote_group(
            version=version, group=group, by=by, state=state
        ),
        of_group=True,
    ),
    "roll-back": Deed(
        "Roll {group} back to {version}",
        "From now on {group} counts as served by {version} again. This notes it; scap does it.",
        "{group} is on {version} again.",
        lambda version, group, by, reason, state: services.roll_back_group(
            version=version, group=group, by=by, reason=reason, state=state
        ),
        of_group=True,
        wants_reason=True,
    ),
    "retire": Deed(
        "Retire {group}",
        "No version counts as serving {group} from now on, and what is planned for it is dropped: "
        "rules and arrivals do not wait for it. It comes back with its next move.",
        "{group} is retired.",
        lambda _version, group, by, reason, state: services.retire_group(
            group=group, by=by, reason=reason, state=state
        ),
        of_group=True,
        wants_reason=True,
    ),
    "hold": Deed(
        "Hold the train at {version}",
        "Nobody can say then when a group moves to {version}: verdicts no longer rely on it, and "
        "whoever waits for it is told.",
        "The train is held at {version}.",
        lambda version, _group, by, reason, state: services.hold_train(
            version=version, by=by, reason=reason, state=state
        ),
        wants_reason=True,
    ),
    "resume": Deed(
        "Let the train go on from {version}",
        "Verdicts rely on what is planned for {version} again.",
        "The train goes on from {version}.",
        lambda version, _group, by, _reason, state: services.resume_train(
            version=version, by=by, state=state
        ),
    ),
    "check-out": Deed(
        "Note that {version} is checked out",
        "Its branch counts as present on the deploy host: backports to it can be deployed, and "
        "what it lacks would be undone by it.",
        "{version} is checked out.",
        lambda version, _group, by, _reason, state: services.check_out(
            version=version, by=by, state=state
        ),
    ),
    "remove": Deed(
        "Note that {version} left the deploy host",
        "Backports to its branch cannot be deployed any more.",
        "{version} has left the deploy host.",
        lambda version, _group, by, _reason, state: services.remove_version(
            version=version, by=by, state=state
        ),
    ),
}


@READ
def deed(request: PageRequest, pk: int, slug: str) -> HttpResponse:
    """Show exactly what an act on a version would do, and do it when that is confirmed."""
    found = DEEDS[slug]
    require(actor_of(request.user), Act.MANAGE_TRAIN)
    version = get_object_or_404(TrainVersion, pk=pk)
    sent = request.POST if request.method == "POST" else request.GET
    group = visible_line(sent.get("group", ""))
    if found.of_group and not _is_group(group):
        raise Http404
    if request.method != "POST":
        return _ask(request, version, slug, group)
    reason = visible_line(request.POST.get("reason", "")).strip()
    if found.wants_reason and not 0 < len(reason) <= LONGEST_REASON:
        return _ask(request, version, slug, group, Refusal("Say why, in a sentence.", UNUSABLE))

    def effect() -> str:
        found.does(version, group, request.user, reason, request.POST.get("state", ""))
        return reverse("train")

    done = found.done.format(version=version, group=group)
    return _answer(request, act(request, effect), done)


def _is_group(name: str) -> bool:
    try:
        return group_named(name) == name
    except UnusableFile:
        return False


def _answer(request: PageRequest, result: str | Refusal, done: str) -> HttpResponse:
    if isinstance(result, Refusal):
        return show(request, refusal=result)
    messages.success(request, done)
    return redirect(result)


def _ask(
    request: PageRequest,
    version: TrainVersion,
    slug: str,
    group: str,
    refusal: Refusal | None = None,
) -> HttpResponse:
    shown = board_at(timezone.now())
    found = DEEDS[slug]
    context: dict[str, object] = {
        "section": "train",
        "action": reverse(f"train-{slug}", args=[version.pk]),
        "version": version,
        "group": group,
        "title": found.title.format(version=version, group=group),
        "happens": found.happens.format(version=version, group=group),
        "wants_reason": found.wants_reason,
        "is_danger": slug in {"roll-back", "hold", "remove", "retire"},
        "reason": visible_line(request.POST.get("reason", "")),
        "served": shown.production.live.get(group, ""),
        "consequences": consequences_of(slug, version, group, shown),
        "state": services.state_of_train(),
    }
    return page(request, DEED, context, refusal=refusal)


@dataclass(frozen=True, slots=True)
class Consequences:
    """What an act on the train means for what is live, booked and waiting.

    Attributes:
        arrives: what was left to the train, and is deployed by it then.
        reverts: live configuration that must be reverted then, and need not be now.
        stops: what is booked in windows to come and cannot go then, each with the reason.
        waits: what waits for the version, whose arrival moves.
    """

    arrives: tuple[Backport, ...] = ()
    reverts: tuple[Broken, ...] = ()
    stops: tuple[tuple[Backport, str], ...] = ()
    waits: tuple[Backport, ...] = ()


def consequences_of(slug: str, version: TrainVersion, group: str, shown: Board) -> Consequences:
    """Return what an act would mean, as things are on the board."""
    before = shown.production
    after = _production_after(slug, version, group, before)
    waits = tuple(
        one.backport
        for one in shown.waits.get(version.name, ())
        if slug in {"hold", "resume", "roll-back"}
    )
    if slug == "roll-back":
        served = before.live.get(group, "")
        waits = tuple(one.backport for one in shown.waits.get(served, ()))
    if after == before:
        return Consequences(waits=waits)
    known = related_changes((one.change for one in shown.left), (), with_diff=False)
    arrives = tuple(
        one
        for one in shown.left
        if one.change.is_known
        and ride_of(
            known[one.change.number],
            known.siblings(known[one.change.number]),
            after,
            shown.now,
        ).has_arrived
    )
    now_lacking = shown.lacking(before)
    then = {
        number: problem
        for number, problem in shown.lacking(after).items()
        if number not in now_lacking
    }
    stopped_now, stopped_then = shown.stopped(before), shown.stopped(after)
    stops = tuple(
        (one, stopped_then[one.change.number])
        for one in shown.booked
        if one.change.number in stopped_then and one.change.number not in stopped_now
    )
    return Consequences(arrives, shown.told(then, after), stops, waits)


def _production_after(
    slug: str, version: TrainVersion, group: str, before: Production
) -> Production:
    """Return what is where after an act, but for the schedule."""
    if slug in {"promote", "roll-back"} and version.name in before.checked_out:
        return before.with_group(group, version.name)
    if slug == "retire":
        live = {name: served for name, served in before.live.items() if name != group}
        return Production(before.checked_out, live, before.schedule)
    if slug == "remove" and release_branch(version.name) not in before.live_branches:
        kept = tuple(name for name in before.checked_out if name != version.name)
        return Production(kept, before.live, before.schedule)
    return before


@READ
def plan(request: PageRequest, pk: int | None = None) -> HttpResponse:
    """Plan a version, or change what is planned for it."""
    require(actor_of(request.user), Act.MANAGE_TRAIN)
    version = get_object_or_404(TrainVersion, pk=pk) if pk else None
    groups = board_at(timezone.now()).groups or USUAL_GROUPS
    if request.method != "POST":
        form = VersionForm(initial=_planned(version, groups), groups=groups)
        return _show_plan(request, version, form)
    form = VersionForm(request.POST, groups=groups)
    if not form.is_valid():
        refusal = Refusal("Something below needs a second look.", UNUSABLE)
        return _show_plan(request, version, form, refusal)
    facts = services.VersionFacts(
        form.cleaned_data["name"], form.cleaned_data["cut"], form.promotions
    )

    def effect() -> str:
        services.plan_version(facts=facts, by=request.user, state=request.POST.get("state", ""))
        return reverse("train")

    return _answer(request, act(request, effect), f"{facts.name} is planned.")


def _planned(version: TrainVersion | None, groups: tuple[str, ...]) -> dict[str, object]:
    if version is None:
        return {}
    planned = {one.group: one.at for one in version.promotions.all()}
    promotions = {f"group_{n}": planned.get(group) for n, group in enumerate(groups)}
    return {"name": version.name, "cut": version.cut_at, **promotions}


def _show_plan(
    request: PageRequest,
    version: TrainVersion | None,
    form: VersionForm,
    refusal: Refusal | None = None,
) -> HttpResponse:
    context: dict[str, object] = {
        "section": "train",
        "version": version,
        "form": form,
        "state": services.state_of_train(),
    }
    return page(request, PLAN, context, refusal=refusal)


@READ
def read_files(request: PageRequest) -> HttpResponse:
    """Read `wikiversions.json` and group lists: first what they say, then what moves by it."""
    require(actor_of(request.user), Act.MANAGE_TRAIN)
    if request.method != "POST":
        return _show_files(request, TrainFilesForm())
    if "served" in request.POST:
        return _import(request)
    form = TrainFilesForm(request.POST, request.FILES)
    if not form.is_valid():
        wrong = next(error for errors in form.errors.values() for error in errors)
        return _show_files(request, form, refusal=Refusal(str(wrong), UNUSABLE))
    try:
        return _show_files(request, form, served=_served(form))
    except UnusableFile as problem:
        return _show_files(request, form, refusal=Refusal(str(problem), UNUSABLE))


def _import(request: PageRequest) -> HttpResponse:
    try:
        served = json.loads(request.POST["served"])
        served = {group_named(str(group)): str(name) for group, name in served.items()}
    except (ValueError, AttributeError, RecursionError):
        refusal = Refusal("Read the files again; nothing was imported.", UNUSABLE)
        return _show_files(request, TrainFilesForm(), refusal=refusal)

    def effect() -> str:
        services.import_versions(
            served=served,
            by=request.user,
            source="wikiversions.json",
            state=request.POST.get("state", ""),
        )
        return reverse("train")

    return _answer(request, act(request, effect), "The train is as the files say.")


def _served(form: TrainFilesForm) -> Served:
    """Return what the files of a form say.

    Raises:
        UnusableFile: one of them is missing, or is not what it should be.
    """
    given = form.cleaned_data
    versions, lists = given["wikiversions_file"], given["lists"]
    text = _text(versions) if versions else given["wikiversions"]
    if lists:
        groups = {
            group_named(file.name or ""): wikis_of_group(_text(file), name=file.name or "a list")
            for file in lists
        }
    else:
        groups = groups_of_json(given["groups"])
    return served_by(versions_of_wikis(text), groups)


def _text(file: UploadedFile) -> str:
    try:
        content: bytes = file.read()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnusableFile(f"{file.name} is not UTF-8: {error.reason}.") from None


def _show_files(
    request: PageRequest,
    form: TrainFilesForm,
    *,
    served: Served | None = None,
    refusal: Refusal | None = None,
) -> HttpResponse:
    live = board_at(timezone.now()).production.live
    rows = [
        (group, live.get(group, ""), version)
        for group, version in (served.versions if served else {}).items()
    ]
    context: dict[str, object] = {
        "section": "train",
        "form": form,
        "found": served,
        "rows": rows,
        "moves": sum(before != version for _, before, version in rows),
        "served": json.dumps(dict(served.versions)) if served else "",
        "state": services.state_of_train(),
    }
    return page(request, FILES, context, refusal=refusal)
