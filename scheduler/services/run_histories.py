"""Windows that were begun: what is stored of them, compared with what their events led to (I5)."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from typing import NamedTuple

from django.db.models import F, Q

from scheduler.domain.checklist.steps import ItemKind
from scheduler.models import (
    Backport,
    Event,
    PlanStep,
    PlanStepMember,
    Presence,
    Run,
    RunItem,
    RunStep,
    User,
)
from scheduler.services.histories import Told, in_parts, told_by
from scheduler.services.replays import (
    BEGIN,
    CLOSE,
    EXTEND,
    OF_BACKPORTS,
    OF_STEPS,
    Replay,
    ReplayedStep,
    Shape,
)

CHECK_IN = "backport.check-in"
_OF_WINDOWS = (BEGIN, CLOSE, EXTEND, *OF_STEPS)
_COMPARED = tuple(one.name for one in fields(ReplayedStep) if one.name not in {"unsaid", "ticks"})
_ENDS = (ItemKind.LOG, ItemKind.LOG_BACK)


def wrong_runs() -> Iterator[str]:
    """Yield each run, step, item and word of a tester that is other than events say."""
    begun = Run.objects.values("window")
    strange = Event.objects.filter(kind__in=_OF_WINDOWS).exclude(window__in=begun)
    for told in told_by(strange):
        yield f"{told} is about window {told.window}, of which no run is stored."
    windows = list(Run.objects.order_by("window").values_list("window", flat=True))
    for part in in_parts(windows):
        yield from _wrong_runs(part)
    yield from _wrong_presences()


def _wrong_runs(windows: Sequence[int]) -> Iterator[str]:
    """Yield what is wrong with some windows; all that is known of them is in memory at once."""
    shapes = _shapes(windows)
    replays = {window: Replay(window, shapes[window]) for window in windows}
    _go_through(replays, shapes)
    for replay in replays.values():
        yield from replay.impossible
    yield from _wrong_begins(replays)
    yield from _wrong_steps(replays)
    yield from _wrong_items(replays)
    yield from _misshapen(windows, shapes)
    yield from _wrong_starts(replays, shapes)


def _shapes(windows: Sequence[int]) -> dict[int, Shape]:
    """Return what was fixed of some windows when they were begun."""
    plans = dict(Run.objects.filter(window__in=windows).values_list("plan", "window"))
    found: dict[int, tuple[dict[int, int], dict[int, dict[int, ItemKind]]]]
    found = {window: ({}, {}) for window in windows}
    members = PlanStepMember.objects.filter(plan__in=plans)
    for plan, backport, step in members.values_list("plan", "backport", "step__position"):
        found[plans[plan]][0][backport] = step
    steps = RunStep.objects.filter(run__window__in=windows).order_by("position")
    items = steps.order_by("position", "items__place")
    columns = ("run__window", "position", "items__place", "items__kind")
    for window, step, place, kind in items.values_list(*columns):
        kinds = found[window][1].setdefault(step, {})
        if place is not None:
            kinds[place] = ItemKind(kind)
    return {window: Shape(*shape) for window, shape in found.items()}


def _go_through(replays: dict[int, Replay], shapes: dict[int, Shape]) -> None:
    """Have each replay take in the events of its window, and of the backports of its queue."""
    queues: dict[int, list[int]] = {}
    for window, shape in shapes.items():
        for backport in shape.steps:
            queues.setdefault(backport, []).append(window)
    of_windows = Q(kind__in=_OF_WINDOWS, window__in=list(replays))
    of_backports = Q(kind__in=OF_BACKPORTS, backport__in=list(queues))
    for told in told_by(Event.objects.filter(of_windows | of_backports)):
        is_of_backport = told.kind in OF_BACKPORTS
        about = queues.get(told.backport or 0, []) if is_of_backport else [told.window or 0]
        for window in about:
            replays[window].take(told)


def _wrong_begins(replays: dict[int, Replay]) -> Iterator[str]:
    rows = Run.objects.filter(window__in=replays).select_related("plan").order_by("window")
    for row in rows.defer("plan__document", "plan__result"):
        replay = replays[row.window_id]
        if replay.begun is None:
            yield f"Window {row.window_id} was begun, and no event says so."
            continue
        begun, closed = replay.begun, replay.closed
        led_to = {
            "begun_at": (row.begun_at, begun.at),
            "begun_by": (row.begun_by_id, begun.actor),
            "plan": (row.plan.version, begun.number("plan")),
            "extra_minutes": (row.extra_minutes, replay.extra),
            "closed_at": (row.closed_at, closed.at if closed else None),
            "closed_by": (row.closed_by_id, closed.actor if closed else None),
        }
        other = [name for name, (stored, told) in led_to.items() if stored != told]
        if other:
            what = f"The run of window {row.window_id}"
            yield f"{what} is not what its events led to: {', '.join(other)}."


def _wrong_steps(replays: dict[int, Replay]) -> Iterator[str]:
    rows = RunStep.objects.filter(run__window__in=replays).annotate(window=F("run__window"))
    for row in rows.order_by("window", "position"):
        window: int = row.window
        step = replays[window].steps[row.position]
        stored, told = vars(row), vars(step)
        other = [
            name for name in _COMPARED if name not in step.unsaid and stored[name] != told[name]
        ]
        if not other:
            continue
        name = f"Step {row.position} of window {window}"
        if _state(row) == _state(step):
            columns = ", ".join(column.removesuffix("_id") for column in other)
            yield f"{name} is not what its events led to: {columns}."
        else:
            yield f"{name} is {_state(row)}; its events led to {_state(step)}."


def _state(step: RunStep | ReplayedStep) -> str:
    return step.outcome or step.phase


class _Done(NamedTuple):
    """What is compared of an item; the names are those of its columns."""

    done_at: datetime | None
    done_by: int | None
    lease: int | None
    proof: str
    by_api: bool


_UNDONE = _Done(None, None, None, "", by_api=False)


def _done_by(told: Told) -> _Done:
    """Return how an item was done by the event of it."""
    is_by_api = told.payload.get("api") is True
    return _Done(told.at, told.actor, told.number("lease") or None, told.text("proof"), is_by_api)


def _wrong_items(replays: dict[int, Replay]) -> Iterator[str]:
    items = RunItem.objects.filter(step__run__window__in=replays).order_by("step", "place")
    columns = ("step__run__window", "step__position", "place", "kind", *_Done._fields)
    for window, position, place, kind, *done in items.values_list(*columns):
        told = replays[window].steps[position].ticks.get(place)
        stored, logged = _Done(*done), _done_by(told) if told else _UNDONE
        name = f"Item {place} ({kind}) of step {position} of window {window}"
        if stored.done_at is not None and told is None:
            yield f"{name} is done, and no event says so."
        elif stored.done_at is None and told is not None:
            yield f"{name} was done by event {told.seq}, and is not done."
        elif stored != logged:
            pairs = zip(_Done._fields, stored, logged, strict=True)
            other = ", ".join(column for column, one, another in pairs if one != another)
            yield f"{name} was done otherwise than its event says: {other}."


def _misshapen(windows: Sequence[int], shapes: dict[int, Shape]) -> Iterator[str]:
    """Yield each step that is not one of its plan, and each that lacks items."""
    runs = Run.objects.filter(window__in=windows)
    planned = PlanStep.objects.filter(plan__in=runs.values("plan"))
    stored = RunStep.objects.filter(run__in=runs)
    by_plan = dict(runs.values_list("plan", "window"))
    steps = {
        (by_plan[p], place, pk) for p, place, pk in planned.values_list("plan", "position", "pk")
    }
    rows = set(stored.values_list("run__window", "position", "plan_step"))
    for window, position, _ in sorted(steps - rows):
        yield f"Step {position} of the plan of window {window} is not in its run."
    for window, position, _ in sorted(rows - steps):
        yield f"Step {position} of window {window} is not one of its plan."
    for window, shape in shapes.items():
        for position, kinds in shape.kinds.items():
            if [*kinds] != [*range(1, len(kinds) + 1)] or [*kinds.values()][-1:] not in _WHOLE:
                yield f"Step {position} of window {window} does not have all of its items."


_WHOLE = tuple([kind] for kind in _ENDS)


def _wrong_starts(replays: dict[int, Replay], shapes: dict[int, Shape]) -> Iterator[str]:
    """Yield each backport that was not started with the commit of which its event tells."""
    queued = [pk for shape in shapes.values() for pk in shape.steps]
    rows = Backport.objects.filter(pk__in=queued, window__in=replays).order_by("pk")
    columns = ("window", "pk", "started_patch_set", "started_sha")
    for window, pk, patch_set, sha in rows.values_list(*columns):
        told = replays[window].starts.get(pk)
        logged = (told.number("patch_set"), told.text("sha")) if told else (None, "")
        if (patch_set, sha) != logged:
            yield f"Backport {pk} was not started with the commit of which its event tells."


def _wrong_presences() -> Iterator[str]:
    """Yield who is there to test a backport by the log or by what is stored, and not by both."""
    names = dict(User.objects.values_list("pk", "username"))
    events = Event.objects.filter(kind=CHECK_IN).values_list("backport", "actor", "at")
    rows = Presence.objects.values_list("backport", "person", "at")
    logged, stored = set(events.iterator()), set(rows.iterator())
    for word, more in (("by what is stored", stored - logged), ("by an event", logged - stored)):
        for backport, person, at in sorted(more, key=str):
            who = names.get(person or 0)
            yield f"{who} is there for backport {backport} since {at} {word} alone."
