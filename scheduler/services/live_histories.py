"""What was live of each window when a step was started, by the ticks in the log (invariant I2)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from scheduler.domain.checklist.steps import ItemKind
from scheduler.models import Event, Run, RunItem
from scheduler.services.histories import Told, told_by

START, TICK = "backport.start", "step.tick"


@dataclass
class _Queue:
    """The steps of a window that was begun, and which of them are live so far.

    Attributes:
        changes: of each step, by position, in their order.
        needs: what each step needs, by its plan.
        synced: the steps that are synced; what only the Beta Cluster sees is merged.
    """

    changes: Mapping[int, list[int]]
    needs: Mapping[int, list[int]]
    synced: frozenset[int]
    live: set[int] = field(default_factory=set)

    def take_tick(self, told: Told) -> None:
        """Take in that an item was done."""
        step, kind = told.number("step"), told.text("item")
        goes_live = ItemKind.SYNC if step in self.synced else ItemKind.MERGE
        if kind == goes_live.value:
            self.live.add(step)
        elif kind == ItemKind.TAKE_BACK.value:
            self.live.discard(step)

    def live_changes(self) -> list[int]:
        """Return what is live, in the order of the queue."""
        return [one for step in sorted(self.live) for one in self.changes.get(step, ())]

    def lacking(self, step: int) -> list[int]:
        """Return what a step needs of its window that is not live."""
        here = {one for changes in self.changes.values() for one in changes}
        there = {*self.live_changes(), *self.changes.get(step, ())}
        return [one for one in self.needs.get(step, ()) if one in here and one not in there]


def started_too_early() -> Iterator[str]:
    """Yield each step that was started before what it needs was live, and each event that lies.

    What was live is judged by the ticks before; what an event says of it has to be the same.
    """
    queues = _queues()
    if not queues:
        return
    events = Event.objects.filter(kind__in=[START, TICK], window__in=Run.objects.values("window"))
    for told in told_by(events):
        queue = queues.get(told.window or 0)
        if queue is None:
            continue
        if told.kind == TICK:
            queue.take_tick(told)
        else:
            yield from _wrong_start(told, queue)
        live = queue.live_changes()
        if told.payload.get("live") != live:
            said = _named(told.numbers("live"))
            yield f"{told} says that {said} was live; by the ticks it was {_named(live)}."


def _wrong_start(told: Told, queue: _Queue) -> Iterator[str]:
    step = told.number("step")
    what = f"step {step} of window {told.window}"
    if lacking := queue.lacking(step):
        yield f"{told}: {what} was started before {_named(lacking)} was live, which it needs."
    needs = queue.needs.get(step, [])
    if told.payload.get("needs") != needs:
        said = _named(told.numbers("needs"))
        yield f"{told} says that {what} needs {said}; by its plan it needs {_named(needs)}."


def _queues() -> dict[int, _Queue]:
    """Return the queue of each window that was begun, by its plan."""
    items = RunItem.objects.filter(kind=ItemKind.SYNC.value)
    synced: dict[int, set[int]] = {}
    for window, step in items.values_list("step__run__window", "step__position").iterator():
        synced.setdefault(window, set()).add(step)
    rows = Run.objects.order_by("window").values_list("window", "plan__result__queue")
    return {
        window: _Queue(
            changes={step["position"]: step["changes"] for step in queue},
            needs={
                step["position"]: sorted({one["first"] for one in step["because"]})
                for step in queue
            },
            synced=frozenset(synced.get(window, ())),
        )
        for window, queue in rows.iterator()
    }


def _named(numbers: Iterable[int]) -> str:
    return " and ".join(map(str, numbers)) or "nothing"
