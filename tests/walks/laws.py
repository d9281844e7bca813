"""What must be true while a window is deployed, read from the rows and from nothing else.

Nothing of `scheduler.domain.checklist` is asked: what is tested is not its own judge.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from django.db.models import Max

from scheduler.models import (
    Backport,
    Event,
    IdempotencyKey,
    Lease,
    Run,
    RunItem,
    RunStep,
    Window,
)

ORDER = ("before", "merge", "test", "verify", "sync", "watch", "after", "log")
WAY_BACK = ("take-back", "watch-back", "log-back")
UNDER_WAY = frozenset({"going", "failed"})
# From each phase of a step to those that may follow.
AFTER: Mapping[str, frozenset[str]] = {
    "waiting": frozenset({"going", "ended"}),
    "going": frozenset({"failed", "going-back", "ended"}),
    "failed": frozenset({"going-back", "ended"}),
    "going-back": frozenset({"ended"}),
    "ended": frozenset({"failed", "going-back"}),  # it broke, or was left merged
}
# What only who drives may do, by the kind of its event.
DRIVING = frozenset(
    {
        *("window.begin", "window.extend", "backport.start", "step.unverified", "step.choose"),
        *("lease.offer", "lease.give-back"),
    }
)


@dataclass(frozen=True)
class Step:
    """A step as it is stored."""

    changes: tuple[int, ...]
    phase: str
    outcome: str
    is_broken: bool


@dataclass(frozen=True)
class Item:
    """An item as it is stored; `done` is by whom, when, under which lease and with what proof."""

    step: int
    place: int
    kind: str
    done: tuple[object, ...] | None


@dataclass(frozen=True)
class Held:
    """A lease as it is stored."""

    number: int
    holder: str
    is_over: bool


@dataclass(frozen=True)
class Told:
    """An event of the log."""

    seq: int
    kind: str
    by: str
    payload: Mapping[str, object] = field(hash=False)


@dataclass(frozen=True)
class Sight:
    """All that is stored of a window that is deployed.

    Attributes:
        steps: by position. items: by key. leases: in the order of their numbers.
        statuses: of its backports, by change. deployed: what is noted of each change.
        is_closed: whether its run is. keys: how many forms were answered.
        events: the number of the last one; news: those since the last look.
    """

    steps: Mapping[int, Step]
    items: Mapping[int, Item]
    leases: tuple[Held, ...]
    statuses: Mapping[int, str]
    deployed: Mapping[int, bool | None]
    is_closed: bool
    keys: int
    events: int
    news: tuple[Told, ...] = field(default=(), compare=False)

    def is_live(self, position: int) -> bool:
        """Tell whether production runs a step: synced, or merged where that is all."""
        kinds = {item.kind for item in self.items.values() if item.step == position}
        last = "sync" if "sync" in kinds else "merge"
        return self.is_done(position, last) and not self.is_done(position, "take-back")

    def is_done(self, position: int, kind: str) -> bool:
        """Tell whether a step has items of a kind, and all are done."""
        found = [item for item in self.items.values() if (item.step, item.kind) == (position, kind)]
        return bool(found) and all(item.done for item in found)

    @property
    def live(self) -> frozenset[int]:
        """The changes of this window that production runs."""
        return frozenset(
            number
            for position, step in self.steps.items()
            if self.is_live(position)
            for number in step.changes
        )

    @property
    def driver(self) -> str:
        """Who drives; "" is nobody."""
        return next((held.holder for held in self.leases if not held.is_over), "")

    @property
    def is_to_break(self) -> bool:
        """Whether a step is under way, or live."""
        return any(
            step.phase.startswith("going") or step.outcome == "deployed"
            for step in self.steps.values()
        )

    @property
    def is_to_choose(self) -> bool:
        """Whether something has to be chosen about a step that failed, or was left merged."""
        return any(
            step.phase == "failed" or step.outcome == "skipped" for step in self.steps.values()
        )

    @property
    def ticks(self) -> Iterator[tuple[object, object]]:
        """Step and place of each item of which a new event says that it is done."""
        for told in self.news:
            if told.kind == "step.tick":
                yield told.payload["step"], told.payload["place"]


def look(window: Window, since: int = 0) -> Sight:
    """Read what is stored of a window, and the events after one."""
    members: dict[int, list[int]] = {}
    steps = RunStep.objects.filter(run__window=window).order_by("position")
    phases: dict[int, tuple[str, str, bool]] = {}
    member = "plan_step__members__backport__change__number"
    for position, number, *row in steps.values_list("position", member, *_STEP):
        members.setdefault(position, []).append(number)
        phases[position] = tuple(row)
    items = RunItem.objects.filter(step__run__window=window).order_by("pk")
    leases = Lease.objects.filter(window=window).order_by("number")
    backports = Backport.objects.filter(window=window).order_by("pk")
    told = list(backports.values_list("change__number", "status", "change__deployed"))
    last = Event.objects.aggregate(last=Max("seq"))["last"] or 0
    news = Event.objects.filter(seq__gt=since).order_by("seq") if last > since else ()
    return Sight(
        steps={place: Step(tuple(sorted(members[place])), *phases[place]) for place in phases},
        items={
            pk: Item(step, place, kind, tuple(done) if done[0] else None)
            for pk, step, place, kind, *done in items.values_list(*_ITEM)
        },
        leases=tuple(
            Held(number, holder, ended is not None)
            for number, holder, ended in leases.values_list(
                "number", "holder__username", "ended_at"
            )
        ),
        statuses={number: status for number, status, _ in told},
        deployed={number: deployed for number, _, deployed in told},
        is_closed=Run.objects.filter(window=window, closed_at__isnull=False).exists(),
        keys=IdempotencyKey.objects.count(),
        events=last,
        news=tuple(Told(one.seq, one.kind, one.actor_name, one.payload) for one in news),
    )


_STEP = ("phase", "outcome", "is_broken")
_ITEM = (
    *("pk", "step__position", "place", "kind"),
    *("done_at", "done_by__username", "lease", "proof"),
)


@dataclass(frozen=True)
class Turn:
    """What one click led from and to.

    Attributes:
        needs: what has to be live before each change, or to become so with it.
        ticks: step and place of every item of which an event says that it is done.
    """

    before: Sight
    after: Sight
    needs: Mapping[int, frozenset[int]]
    ticks: Counter[tuple[object, object]]


def started_too_early(turn: Turn) -> Iterator[str]:
    """Yield each step that started before what it needs was live, and well."""
    before = turn.before
    well = {
        number
        for position, step in before.steps.items()
        if before.is_live(position) and step.outcome == "deployed" and not step.is_broken
        for number in step.changes
    }
    for position, step in turn.after.steps.items():
        was = before.steps.get(position)
        if step.phase == "waiting" or was is None or was.phase != "waiting":
            continue
        if step.phase == "ended" and step.outcome == "missed":
            continue
        for number in step.changes:
            for needed in sorted(turn.needs[number] - well - {*step.changes}):
                yield f"{number} was started before {needed}, which it needs, was live."


def more_than_one_at_once(turn: Turn) -> Iterator[str]:
    """Yield where more than one step is under way, or one while others are taken back."""
    phases = Counter(step.phase for step in turn.after.steps.values())
    going = sum(phases[phase] for phase in UNDER_WAY)
    if going > 1 or (going and phases["going-back"]):
        yield f"More than one step is under way: {dict(phases)}."


def impossible_phases(turn: Turn) -> Iterator[str]:
    """Yield each step that went where none goes, and outcomes that do not fit."""
    for position, step in turn.after.steps.items():
        was = turn.before.steps.get(position)
        if was and was.phase != step.phase and step.phase not in AFTER[was.phase]:
            yield f"Step {position} went from {was.phase} to {step.phase}."
        if bool(step.outcome) != (step.phase == "ended"):
            yield f"Step {position} is {step.phase}, with the outcome “{step.outcome}”."
        expected = {"deployed": {"deployed"}, "reverted": {"reverted"}}.get(step.outcome)
        found = {turn.after.statuses[number] for number in step.changes}
        if expected and found != expected:
            yield f"Step {position} is {step.outcome}; its backports are {found}."
        if step.phase == "going" and found != {"deploying"}:
            yield f"Step {position} is under way; its backports are {found}."
    if turn.before.steps and turn.before.steps.keys() != turn.after.steps.keys():
        yield "There are other steps than before."


def items_out_of_order(turn: Turn) -> Iterator[str]:
    """Yield each item that is done before one that comes earlier."""
    for order in (ORDER, WAY_BACK):
        steps: dict[int, list[Item]] = {}
        for item in turn.after.items.values():
            if item.kind in order:
                steps.setdefault(item.step, []).append(item)
        for position, items in steps.items():
            open_ranks = [order.index(item.kind) for item in items if not item.done]
            first = min(open_ranks, default=len(order))
            for item in items:
                if item.done and order.index(item.kind) > first:
                    yield f"{item.kind} of step {position} was done before {order[first]}."


def items_lost_or_done_twice(turn: Turn) -> Iterator[str]:
    """Yield each item that is gone, or done otherwise than it was, or not told exactly once."""
    for key, item in turn.before.items.items():
        now = turn.after.items.get(key)
        if now is None:
            yield f"{item.kind} of step {item.step} is gone."
        elif item.done and item.done != now.done:
            yield f"{item.kind} of step {item.step} was done once more: {item.done}, {now.done}."
    done: Counter[tuple[object, object]] = Counter(
        (item.step, item.place) for item in turn.after.items.values() if item.done is not None
    )
    for place in {*done, *turn.ticks}:
        if done[place] != turn.ticks[place]:
            yield f"{place} is done {done[place]} times, and told {turn.ticks[place]} times."


def leases_that_go_wrong(turn: Turn) -> Iterator[str]:
    """Yield where more than one drives, or a number was given twice or came down."""
    numbers = [held.number for held in turn.after.leases]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"The numbers of the leases are {numbers}."
    in_force = [held.number for held in turn.after.leases if not held.is_over]
    if len(in_force) > 1 or in_force not in ([], numbers[-1:]):
        yield f"The leases {in_force} are in force, of {numbers}."
    for was, now in zip(turn.before.leases, turn.after.leases, strict=False):
        if was.holder != now.holder or (was.is_over and not now.is_over):
            yield f"Lease {was.number} of {was.holder} came back as {now}."
    if len(turn.after.leases) < len(turn.before.leases):
        yield "A lease is gone."


def driven_by_others(turn: Turn) -> Iterator[str]:
    """Yield each act of a driver that somebody did who did not drive."""
    for event in turn.after.news:
        is_drivers = event.kind in DRIVING or (
            event.kind == "step.tick" and "lease" in event.payload
        )
        if is_drivers and event.by != turn.before.driver:
            yield f"{event.by} did {event.kind} while {turn.before.driver or 'nobody'} drove."
    for item in turn.after.items.values():
        if item.done and (item.kind == "verify") == (item.done[1] in {"dev", "rel"}):
            _, by, lease, _ = item.done
            if item.kind != "verify" or lease is None:
                yield f"{item.kind} of step {item.step} was done by {by}."


def unsafe_production(turn: Turn) -> Iterator[str]:
    """Yield what is live without what it needs, and what is noted wrongly of production."""
    live = turn.after.live
    for number in sorted(live):
        for needed in sorted(turn.needs[number] - live):
            yield f"{number} is live without {needed}."
    for position, step in turn.after.steps.items():
        if turn.after.is_done(position, "merge") or turn.after.is_done(position, "take-back"):
            for number in step.changes:
                if turn.after.deployed[number] != (number in live):
                    yield f"{number} is noted as deployed: {turn.after.deployed[number]}."
        elif {turn.after.deployed[number] for number in step.changes} != {None}:
            yield f"Something is noted of step {position}, which is not merged."


LAWS: tuple[Callable[[Turn], Iterator[str]], ...] = (
    started_too_early,
    more_than_one_at_once,
    impossible_phases,
    items_out_of_order,
    items_lost_or_done_twice,
    leases_that_go_wrong,
    driven_by_others,
    unsafe_production,
)


def broken_by(turn: Turn) -> list[str]:
    """Return what is wrong after a click, a sentence each."""
    return [sentence for law in LAWS for sentence in law(turn)]
