"""What of an order fits into the window, in minutes and slots."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from scheduler.domain.backports import Backport
from scheduler.domain.changes import Change, ChangeSet
from scheduler.domain.planning.edges import Edges
from scheduler.domain.policy.facts import Objection
from scheduler.domain.policy.findings import Finding, Level, Place
from scheduler.domain.policy.numbers import Numbers
from scheduler.domain.policy.verdict import finding, is_lifted
from scheduler.domain.windows import Window

NOT_IN_QUEUE = "dependency-not-in-queue"


@dataclass(slots=True)
class Fit:
    """What fits.

    Attributes:
        steps: (members, first minute, minutes) of each step that fits, in order.
        findings: why the others do not, and what was taken on.
        overflow: numbers that do not fit.
    """

    steps: list[tuple[tuple[int, ...], int, int]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    overflow: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Room:
    """How much a window holds: its own length, what is over of it, and the policy's numbers."""

    numbers: Numbers
    window: Window
    gone: int = 0


def cost_of(members: Iterable[Change], numbers: Numbers) -> tuple[int, int]:
    """Return the slots and minutes of a step: the sum of its members, and the long build once."""
    slots = minutes = 0
    l10n = False
    for change in members:
        if change.is_beta_only:
            minutes += numbers.beta_only_minutes
        else:
            slots += 1
            minutes += numbers.minutes_per_patch
            l10n = l10n or change.touches_l10n
    return slots, minutes + numbers.l10n_extra_minutes if l10n else minutes


def fit(
    order: Iterable[tuple[int, ...]],
    edges: Edges,
    backports: Mapping[int, Backport],
    changes: ChangeSet,
    room: Room,
) -> Fit:
    """Walk an order once, keeping each step that fits.

    A step that does not fit goes to overflow with everything that needs it, and the walk goes on:
    no bundle is split, and every prefix of what is kept stays safe.
    """
    result = Fit()
    used_slots = 0
    minute = room.gone
    numbers = room.numbers
    length = room.window.minutes

    def cost(step: tuple[int, ...]) -> tuple[int, int]:
        return cost_of([changes[number] for number in step], numbers)

    def lacks(slots: int, minutes: int) -> dict[str, Objection]:
        found = {}
        if slots and used_slots + slots > numbers.max_patches:
            found["over-capacity"] = Objection(
                f"The window has {numbers.max_patches} slots, {used_slots} are taken before it "
                f"and it takes {slots}: book the next window."
            )
        if minute > numbers.last_start_minute or minute + minutes > length:
            # Once the window has begun the minute moves on, and only news are said in new words.
            would = (
                f"The window has begun, and it would start too late to take {minutes} minutes"
                if room.gone
                else f"It would start {minute} minutes into the window and take {minutes}"
            )
            found["out-of-time"] = Objection(
                f"{would}; no step "
                f"starts after minute {numbers.last_start_minute} or ends after minute {length:g}."
            )
        return found

    for bundle in order:
        step = bundle
        slots, minutes = cost(step)
        if result.overflow or lacks(slots, minutes):
            step = _without_overflow(
                bundle, edges, backports, result, lambda staying: lacks(*cost(staying))
            )
            if not step:
                continue
            slots, minutes = cost(step)
        result.steps.append((step, minute, minutes))
        used_slots += slots
        minute += minutes
    return result


def _without_overflow(
    bundle: tuple[int, ...],
    edges: Edges,
    backports: Mapping[int, Backport],
    result: Fit,
    lacks: Callable[[tuple[int, ...]], Mapping[str, Objection]],
) -> tuple[int, ...]:
    """Return the members that stay, and record why the others overflow."""
    staying = list(bundle)
    out: list[int] = []
    told: set[tuple[int, str]] = set()

    def remove(number: int, rule: str, objection: Objection) -> None:
        found = finding(backports[number], rule, objection, Place.OVERFLOW)
        result.findings.append(found)
        told.add((number, rule))
        if not found.lifted and number in staying:
            staying.remove(number)
            out.append(number)
            result.overflow.add(number)

    for number in bundle:
        needs = [first for first in edges.needed_by(number) if first in result.overflow]
        if needs:
            remove(number, NOT_IN_QUEUE, waits_for(needs, changes_word="does not fit"))
    _with_mates(staying, out, told, remove)
    if staying:
        objections = lacks(tuple(staying))
        for number in tuple(staying):
            for rule, objection in objections.items():
                remove(number, rule, objection)
        _with_mates(staying, out, told, remove)
    return tuple(staying)


def _with_mates(
    staying: list[int],
    out: list[int],
    told: set[tuple[int, str]],
    remove: Callable[[int, str, Objection], None],
) -> None:
    """Take out what goes together with something that is out: a bundle goes whole or not at all."""
    if out and staying:
        kept_out = sorted(out)
        for number in tuple(staying):
            if (number, NOT_IN_QUEUE) not in told:
                remove(number, NOT_IN_QUEUE, waits_for(kept_out, changes_word="does not fit"))


def waits_for(numbers: Iterable[int], changes_word: str) -> Objection:
    """Return the objection that what is needed first does not go itself."""
    ordered = tuple(sorted(numbers))
    named = " and ".join(str(number) for number in ordered[:5])
    return Objection(f"It needs {named}, which {changes_word}.", ordered[:5])


def is_waived(backport: Backport) -> bool:
    """Return whether people let a backport go without what it needs."""
    return is_lifted(backport, NOT_IN_QUEUE, Level.MUST)
