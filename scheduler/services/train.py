"""The train: what people, bots and files say of it, and what follows for what was left to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Max, QuerySet
from django.utils import timezone

from scheduler.actors import actor_of
from scheduler.domain import train as domain
from scheduler.domain.errors import OutOfDate, Refused
from scheduler.domain.lifecycle import Action, Status
from scheduler.domain.permissions import Act, require
from scheduler.domain.policy.findings import Place
from scheduler.domain.production import Production
from scheduler.models import (
    Backport,
    Event,
    EventHead,
    GroupMove,
    Plan,
    Promotion,
    TrainVersion,
    User,
    Window,
)
from scheduler.queries import (
    OPEN_STATUSES,
    moves_in_force,
    newest_plan,
    production_at,
    related_changes,
)
from scheduler.services.events import record
from scheduler.services.fingerprints import digest
from scheduler.services.plans import replan_window, take_turn

# An arrival that moves back by less than this is not worth a mail.
WORTH_TELLING = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What is planned for a version: when it is cut, and when each group moves to it; UTC."""

    name: str
    cut: datetime | None = None
    promotions: Mapping[str, datetime] = field(default_factory=dict)


def state_of_train() -> str:
    """Return what a page of the train was made from: a form that posts another state is stale."""
    newest = GroupMove.objects.aggregate(Max("pk"))["pk__max"] or 0
    versions = TrainVersion.objects.order_by("pk").values_list(
        "pk", "cut_at", "checked_out_from", "checked_out_until", "held_at", "hold_reason"
    )
    planned = Promotion.objects.order_by("pk").values_list("version", "group", "at", "done_at")
    rows = {"versions": versions, "planned": planned}
    told = {name: [[str(value) for value in row] for row in some] for name, some in rows.items()}
    return digest({"newest": newest, **told})


@transaction.atomic
def plan_version(*, facts: VersionFacts, by: User, state: str | None = None) -> TrainVersion:
    """Add a version of the train, or change what is planned for it. One event is logged.

    What was done already stays as it is.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: the train moved since the page was shown, whose `state` this is.
        Refused: its name is none, or a group moves before the branch is cut.
    """
    require(actor_of(by), Act.MANAGE_TRAIN)
    if not domain.VERSION.fullmatch(facts.name):
        raise Refused("A version is named like 1.47.0-wmf.31.")
    late = [group for group, at in facts.promotions.items() if facts.cut and at < facts.cut]
    if late:
        raise Refused(f"{late[0]} would move to it before its branch is cut.")
    _take_train()
    _require_state(state)
    now = timezone.now()
    version = _version_named(facts.name)
    TrainVersion.objects.filter(pk=version.pk).update(cut_at=facts.cut)
    for group, at in facts.promotions.items():
        row, is_new = Promotion.objects.get_or_create(
            version=version, group=group, defaults={"at": at, "sequence": _sequence()}
        )
        if not is_new and row.done_at is None and row.at != at:
            Promotion.objects.filter(pk=row.pk).update(at=at, sequence=F("sequence") + 1)
    Promotion.objects.filter(version=version, done_at__isnull=True).exclude(
        group__in=list(facts.promotions)
    ).delete()
    record(kind="train.plan", actor=by, payload={"version": facts.name}, at=now)
    _follow(now)
    version.refresh_from_db()
    return version


@transaction.atomic
def check_out(*, version: TrainVersion, by: User, state: str | None = None) -> TrainVersion:
    """Note that a version is on the deploy host. One event is logged.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: the train moved since the page was shown, whose `state` this is.
        Refused: it is there already.
    """
    _take_as_shown(by, state)
    version.refresh_from_db()
    now = timezone.now()
    if version.to_domain().is_checked_out(now):
        raise Refused(f"{version} is checked out already.")
    _check_out(version, now)
    record(kind="train.check-out", actor=by, payload={"version": version.name}, at=now)
    _follow(now)
    return version


def _check_out(version: TrainVersion, at: datetime) -> None:
    version.checked_out_from, version.checked_out_until = at, None
    version.save(update_fields=["checked_out_from", "checked_out_until"])


@transaction.atomic
def remove_version(*, version: TrainVersion, by: User, state: str | None = None) -> TrainVersion:
    """Note that a version has left the deploy host. One event is logged.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: the train moved since the page was shown, whose `state` this is.
        Refused: it is not there, or serves a group.
    """
    _take_as_shown(by, state)
    version.refresh_from_db()
    now = timezone.now()
    if not version.to_domain().is_checked_out(now):
        raise Refused(f"{version} is not checked out.")
    if version.name in production_at(now).live.values():
        raise Refused(f"{version} serves wikis: move them to another version first.")
    version.checked_out_until = now
    version.save(update_fields=["checked_out_until"])
    record(kind="train.remove", actor=by, payload={"version": version.name}, at=now)
    _follow(now)
    return version


@transaction.atomic
def promote_group(*, version: TrainVersion, group: str, by: User, state: str) -> GroupMove:
    """Note that a group moved to a version. One event is logged.

    Args:
        version: what serves the group from now on.
        group: which group of wikis.
        by: who says so.
        state: `state_of_train` when the page was shown.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: the train moved since.
        Refused: the version is held or not checked out, or serves the group already, or a newer
            one does; or nobody ever planned for such a group.
    """
    require(actor_of(by), Act.MANAGE_TRAIN)
    _take_train()
    version.refresh_from_db()
    now = timezone.now()
    _require_state(state)
    if version.held_at is not None:
        raise Refused(f"The train is held at {version}: {version.hold_reason} Resume it first.")
    served = domain.versions_served(moves_in_force(now), now).get(group, "")
    if served and domain.place_of(version.name) < domain.place_of(served):
        raise Refused(f"{version} is older than {served}, which serves {group}: roll it back.")
    _require_group(group)
    move, before = _move(version, group, domain.MoveKind.PROMOTE, by, now)
    record(kind="train.promote", actor=by, payload=_told(move, before), at=now)
    _follow(now)
    return move


@transaction.atomic
def roll_back_group(
    *, version: TrainVersion, group: str, by: User, state: str, reason: str
) -> GroupMove:
    """Note that a group moved back to an older version. One event is logged.

    Args:
        version: what the group moves back to.
        group: which group of wikis.
        by: who says so.
        state: `state_of_train` when the page was shown.
        reason: why, for everybody to read.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: the train moved since.
        Refused: no reason, or the version is not checked out, or not older than what serves the
            group.
    """
    require(actor_of(by), Act.MANAGE_TRAIN)
    _take_train()
    version.refresh_from_db()
    now = timezone.now()
    _require_state(state)
    if not reason.strip():
        raise Refused("Say why, in a sentence.")
    served = domain.versions_served(moves_in_force(now), now).get(group, "")
    if not served or domain.place_of(version.name) > domain.place_of(served):
        raise Refused(f"{version} is not older than what serves {group}.")
    move, before = _move(version, group, domain.MoveKind.ROLL_BACK, by, now, reason.strip())
    record(kind="train.roll-back", actor=by, payload=_told(move, before), at=now)
    _follow(now)
    return move


def _require_group(group: str) -> None:
    """Refuse the name of a group that nobody planned for, and no file named: a slip of the pen."""
    if not (
        Promotion.objects.filter(group=group).exists()
        or GroupMove.objects.filter(group=group).exists()
    ):
        raise Refused(f"Nobody has planned anything for {group}: plan its promotion first.")


@transaction.atomic
def retire_group(*, group: str, by: User, reason: str, state: str | None = None) -> GroupMove:
    """Note that there is no such group of wikis any more. One event is logged.

    What is planned for it is dropped. It comes back with its next move.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: the train moved since the page was shown, whose `state` this is.
        Refused: no version serves it, or no reason.
    """
    _take_as_shown(by, state)
    if not reason.strip():
        raise Refused("Say why, in a sentence.")
    now = timezone.now()
    last = GroupMove.objects.filter(group=group, at__lte=now).order_by("-at", "-pk").first()
    if last is None or last.kind == domain.MoveKind.RETIRE.value:
        raise Refused(f"No version serves {group}.")
    move = GroupMove.objects.create(
        version=last.version,
        group=group,
        at=now,
        kind=domain.MoveKind.RETIRE.value,
        by=by,
        reason=reason.strip()[:300],
    )
    Promotion.objects.filter(group=group, done_at__isnull=True).delete()
    record(
        kind="train.retire",
        actor=by,
        payload={"group": group, "version": last.version.name, "reason": reason.strip()},
        at=now,
    )
    _follow(now)
    return move


def _move(  # noqa: PLR0913, PLR0917 - what a move is made of
    version: TrainVersion,
    group: str,
    kind: domain.MoveKind,
    by: User | None,
    at: datetime,
    reason: str = "",
) -> tuple[GroupMove, str]:
    """Write a move down; return it, and the version that served the group before."""
    before = domain.versions_served(moves_in_force(at), at).get(group, "")
    if before == version.name:
        raise Refused(f"{group} is on {version} already.")
    if not version.to_domain().is_checked_out(at):
        raise Refused(f"{version} is not checked out.")
    move = GroupMove.objects.create(
        version=version, group=group, at=at, kind=kind.value, by=by, reason=reason[:300]
    )
    if before and domain.place_of(version.name) < domain.place_of(before):
        # What was left has to be promoted again: at a time that somebody still has to plan.
        _promotion(before, group).update(done_at=None, sequence=F("sequence") + 1)
    if kind is not domain.MoveKind.ROLL_BACK and not _promotion(version.name, group).update(
        done_at=at, sequence=F("sequence") + 1
    ):
        Promotion.objects.create(
            version=version, group=group, at=at, done_at=at, sequence=_sequence()
        )
    return move, before


def _sequence() -> int:
    """Return what a new promotion begins with: more than one that was dropped before ever had.

    Each event of the train raises a sequence by one at most.
    """
    return Event.objects.filter(kind__startswith="train.").count()


def _promotion(version: str, group: str) -> QuerySet[Promotion]:
    return Promotion.objects.filter(version__name=version, group=group)


def _told(move: GroupMove, before: str) -> dict[str, object]:
    return {
        "group": move.group,
        "from": before,
        "version": move.version.name,
        "reason": move.reason,
    }


@transaction.atomic
def hold_train(
    *, version: TrainVersion, by: User, reason: str, state: str | None = None
) -> TrainVersion:
    """Hold the train at a version: nobody can say when it goes on. One event is logged.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: the train moved since the page was shown, whose `state` this is.
        Refused: it is held already, or no reason.
    """
    require(actor_of(by), Act.MANAGE_TRAIN)
    if not reason.strip():
        raise Refused("Say what blocks it, in a sentence.")
    _take_train()
    _require_state(state)
    now = timezone.now()
    running = TrainVersion.objects.filter(pk=version.pk, held_at__isnull=True)
    if running.update(held_at=now, hold_reason=reason.strip()[:300]) != 1:
        raise Refused(f"The train is held at {version} already.")
    record(
        kind="train.hold",
        actor=by,
        payload={"version": version.name, "reason": reason.strip()},
        at=now,
    )
    _follow(now)
    version.refresh_from_db()
    return version


@transaction.atomic
def resume_train(*, version: TrainVersion, by: User, state: str | None = None) -> TrainVersion:
    """Let the train go on from a version. One event is logged.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: the train moved since the page was shown, whose `state` this is.
        Refused: it is not held.
    """
    _take_as_shown(by, state)
    now = timezone.now()
    held = TrainVersion.objects.filter(pk=version.pk, held_at__isnull=False)
    if held.update(held_at=None, hold_reason="") != 1:
        raise Refused(f"The train is not held at {version}.")
    record(kind="train.resume", actor=by, payload={"version": version.name}, at=now)
    _follow(now)
    version.refresh_from_db()
    return version


@transaction.atomic
def import_versions(
    *, served: Mapping[str, str], by: User | None, source: str, state: str | None = None
) -> int:
    """Note which version serves each group, as a file of the deploy host says.

    A version that is not known yet is added, and counts as checked out. What is as it was is left
    out, so a file may be read again and again. One event is logged for each group that moved.

    Args:
        served: group to version.
        by: who; None for the clock.
        source: where that is from, for the log.
        state: `state_of_train` when the page was shown; None where there was no page.

    Returns:
        How many groups moved.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: the train moved since the page was shown.
        Refused: something is not the name of a version.
    """
    if by is not None:
        require(actor_of(by), Act.MANAGE_TRAIN)
    wrong = next((name for name in served.values() if not domain.VERSION.fullmatch(name)), None)
    if wrong is not None:
        raise Refused(f"{wrong[:40]} is not the name of a version.")
    _take_train()
    _require_state(state)
    now = timezone.now()
    before = domain.versions_served(moves_in_force(now), now)
    moved = 0
    for group, name in sorted(served.items()):
        if before.get(group) == name:
            continue
        version = _version_named(name)
        if not version.to_domain().is_checked_out(now):
            _check_out(version, now)
        move, left = _move(version, group, domain.MoveKind.IMPORT, by, now, source)
        record(kind="train.import", actor=by, payload=_told(move, left), at=now)
        moved += 1
    if moved:
        _follow(now)
    return moved


def _version_named(name: str) -> TrainVersion:
    """Return a version; a new one takes its place in the order of the versions."""
    found = TrainVersion.objects.filter(name=name).first()
    if found is not None:
        return found
    newer = [
        row.pk
        for row in TrainVersion.objects.all()
        if domain.place_of(row.name) > domain.place_of(name)
    ]
    last = TrainVersion.objects.exclude(pk__in=newer).aggregate(Max("position"))["position__max"]
    position = (last or 0) + 1
    if TrainVersion.objects.filter(position=position).exists():
        for row in TrainVersion.objects.filter(pk__in=newer).order_by("-position"):
            TrainVersion.objects.filter(pk=row.pk).update(position=F("position") + 1)
    return TrainVersion.objects.create(name=name, position=position)


def _take_as_shown(by: User, state: str | None) -> None:
    """Take the train for the rest of the transaction, for what somebody does to what they saw.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: the train moved since.
    """
    require(actor_of(by), Act.MANAGE_TRAIN)
    _take_train()
    _require_state(state)


def _take_train() -> None:
    """Take the train, and every window that it may matter to, for the rest of the transaction.

    In the order in which everybody takes them: windows, then the head of the audit log. Whoever
    has the head may take no further window, so where somebody books in one meanwhile all is let
    go and taken again.
    """
    while not _took_all(_concerned_windows()):
        pass


def _took_all(windows: Sequence[Window]) -> bool:
    """Take windows and the head of the log; if there are others by then, take nothing."""
    with transaction.atomic():
        for window in windows:
            take_turn(window)
        EventHead.objects.get_or_create(pk=1)
        EventHead.objects.filter(pk=1).update(seq=F("seq"))
        has_all = set(windows).issuperset(_concerned_windows())
        transaction.set_rollback(not has_all)
    return has_all


def _concerned_windows() -> Sequence[Window]:
    """Return the windows to come with bookings, and those of what was left to the train."""
    now = timezone.now()
    coming = Window.objects.filter(
        end__gt=now, as_of__isnull=True, backports__status__in=OPEN_STATUSES
    )
    left = Window.objects.filter(backports__status=Status.TRAIN.value, as_of__isnull=True)
    return list((coming | left).distinct().order_by("pk"))


def _require_state(state: str | None) -> None:
    """Refuse what was decided on a page that is out of date; None: there was no page."""
    if state is not None and state != state_of_train():
        raise OutOfDate("The train moved since you opened this page; read it again.")


@transaction.atomic
def follow_the_train(*, now: datetime) -> None:
    """Bring up to date what hangs on the train: what it carried, who waits longer, every verdict.

    Any number of clocks may do this at once: what was left to the train is `deployed` once, and
    its people are told once that it comes later. One event is logged for each.
    """
    _take_train()
    _follow(now)


def _follow(now: datetime) -> None:
    left = Backport.objects.filter(status=Status.TRAIN.value, change__fetched_at__isnull=False)
    rows = left.select_related("change", "window", "requester").defer("change__diff")
    waiting = list(rows.order_by("pk"))
    production = production_at(now)
    known = related_changes((one.change for one in waiting), (), with_diff=False)
    for backport in waiting:
        change = known[backport.change.number]
        ride = domain.ride_of(change, known.siblings(change), production, now)
        if ride.has_arrived:
            _arrive(backport, production, now)
        else:
            _note_arrival(backport, ride, now)
    coming = Window.objects.filter(
        end__gt=now, as_of__isnull=True, backports__status__in=OPEN_STATUSES
    )
    for window in coming.distinct().order_by("pk"):
        follow_in(window=window, now=now)


@transaction.atomic
def follow_in(*, window: Window, now: datetime) -> None:
    """Plan a window again, as the train is now; whoever a window serves better now is told once."""
    take_turn(window)
    riding = _riding(newest_plan(window))
    kept = _riding(replan_window(window=window, now=now))
    freed = {number: ride for number, ride in riding.items() if number not in kept}
    _tell_better_served(window, freed, now)


def note_ride(*, backport: Backport, now: datetime) -> None:
    """Write down when the train brings what was just left to it, if anybody can say."""
    if not backport.change.is_known:
        return
    known = related_changes([backport.change], (), with_diff=False)
    change = known[backport.change.number]
    ride = domain.ride_of(change, known.siblings(change), production_at(now), now)
    _note_arrival(backport, ride, now)


def _riding(plan: Plan | None) -> dict[int, tuple[str, str]]:
    """Return what a plan leaves to the train: number to the version, and when it is there."""
    rows = plan.result["elsewhere"] if plan is not None else ()
    return {
        row["change"]: (row["version"] or "", max((row["arrives"] or {}).values(), default=""))
        for row in rows
        if row["place"] == Place.TRAIN.slug
    }


def _tell_better_served(
    window: Window, riding: Mapping[int, tuple[str, str]], at: datetime
) -> None:
    """Tell the people of what a rule sent to the train, and does not any more: a window is open."""
    asked = window.backports.filter(status__in=OPEN_STATUSES, change__number__in=list(riding))
    for backport in asked.select_related("change", "requester").order_by("pk"):
        version, before = riding[backport.change.number]
        record(
            kind="backport.train-late",
            actor=None,
            window=window,
            backport=backport,
            payload={"version": version, "before": before, "after": ""},
            at=at,
        )


def _arrive(backport: Backport, production: Production, at: datetime) -> None:
    backport.apply(Action.ARRIVE)
    newest = max(production.live.values(), key=domain.place_of)
    record(
        kind="backport.arrive",
        actor=None,
        window=backport.window,
        backport=backport,
        payload={"version": backport.rides or newest},
        at=at,
    )


def _note_arrival(backport: Backport, ride: domain.Ride, at: datetime) -> None:
    """Write down when the train brings it; tell its people if that is later than they know."""
    arrival = ride.arrival
    complete = arrival.complete_at if arrival is not None else None
    rides = arrival.version if arrival is not None else backport.rides
    if (backport.rides, backport.arrives_at) == (rides, complete):
        return
    known = backport.arrival_told
    is_late = domain.is_later(known, complete, WORTH_TELLING)
    told = complete if is_late or known is None or (complete and complete < known) else known
    as_read = Backport.objects.filter(
        pk=backport.pk,
        status=Status.TRAIN.value,
        rides=backport.rides,
        arrives_at=backport.arrives_at,
    )
    if as_read.update(rides=rides, arrives_at=complete, arrival_told=told) != 1 or not is_late:
        return
    record(
        kind="backport.train-late",
        actor=None,
        window=backport.window,
        backport=backport,
        payload={
            "version": rides,
            "before": known.isoformat() if known else "",
            "after": complete.isoformat() if complete else "",
        },
        at=at,
    )
