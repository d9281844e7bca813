"""Who drove which window by the log, compared with the stored leases and with what was done."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from scheduler.domain.checklist.steps import ItemKind
from scheduler.models import Event, Lease, RunItem, User, Window
from scheduler.services.histories import Told, in_parts, told_by

TAKE, ACCEPT, OFFER, GIVE_BACK = "lease.take", "lease.accept", "lease.offer", "lease.give-back"
WITHDRAW = "lease.withdraw"
CLOSE, TICK = "window.close", "step.tick"
_OF_LEASES = (TAKE, ACCEPT, OFFER, WITHDRAW, GIVE_BACK, CLOSE)
# What only who drives does, under the number that the event carries; the last ones carry none.
_BY_NUMBER = ("window.begin", "window.extend", "backport.start", "step.choose")
_BY_DRIVER = (CLOSE, "step.unverified")


@dataclass
class _Held:
    """A lease, as the log tells of it; the names are those of its columns."""

    holder: int | None
    taken_at: datetime
    reason: str
    offered_to: str = ""
    offer_note: str = ""
    ended_at: datetime | None = None


class _Driver(NamedTuple):
    number: int
    holder: int | None


_NOBODY = _Driver(0, None)


@dataclass
class _Log:
    """Goes through events in their order.

    Attributes:
        held: each lease, by window and number.
        driver: under which number who drives each window so far.
        impossible: sentences about events that cannot have happened.
        falling: sentences about numbers that did not grow.
    """

    held: dict[tuple[int, int], _Held] = field(default_factory=dict)
    driver: dict[int, _Driver] = field(default_factory=dict)
    impossible: list[str] = field(default_factory=list)
    falling: list[str] = field(default_factory=list)
    _last: dict[int, int] = field(default_factory=dict)

    def take(self, told: Told) -> None:
        """Take in the next event."""
        window = told.window or 0
        if told.kind in {TAKE, ACCEPT}:
            self._begin(told, window)
        elif told.kind == OFFER:
            self._offer(told, window)
        elif told.kind == WITHDRAW:
            self._withdraw(told, window)
        elif told.kind == GIVE_BACK:
            self._require_driver(told, window)
            self._end(told, window)
        elif told.kind == CLOSE:
            self._end(told, window)

    def in_force(self, window: int) -> _Held | None:
        """Return under what a window is driven so far."""
        return self.held.get((window, self.driver.get(window, _NOBODY).number))

    def _begin(self, told: Told, window: int) -> None:
        number, last = told.number("number"), self._last.get(window, 0)
        if number <= last:
            self.falling.append(
                f"{told} gave lease {number} of window {window}; there was lease {last} before."
            )
        before = self.in_force(window)
        if told.kind == ACCEPT and (before is None or before.offered_to != told.actor_name):
            who = told.actor_name
            self.impossible.append(
                f"{told} cannot be: the wheel of window {window} was not offered to {who}."
            )
        self._end(told, window)
        self.held[window, number] = _Held(told.actor, told.at, told.text("reason", 300))
        self.driver[window] = _Driver(number, told.actor)
        self._last[window] = max(number, last)

    def _offer(self, told: Told, window: int) -> None:
        self._require_driver(told, window)
        held = self.in_force(window)
        if held is not None:
            held.offered_to, held.offer_note = told.text("to"), told.text("reason", 500)

    def _withdraw(self, told: Told, window: int) -> None:
        self._require_driver(told, window)
        held = self.in_force(window)
        if held is None or held.offered_to != told.text("to"):
            self.impossible.append(f"{told} cannot be: the wheel was handed to nobody like that.")
        if held is not None:
            held.offered_to = held.offer_note = ""

    def _end(self, told: Told, window: int) -> None:
        held = self.in_force(window)
        if held is not None:
            held.ended_at = told.at
        self.driver.pop(window, None)

    def _require_driver(self, told: Told, window: int) -> None:
        if self.driver.get(window, _NOBODY).holder != told.actor:
            self.impossible.append(
                f"{told} cannot be: {told.actor_name} did not drive window {window}."
            )


def wrong_leases() -> Iterator[str]:
    """Yield each lease that is other than its events say, or that only one of both knows (I5)."""
    log = _Log()
    for told in told_by(Event.objects.filter(kind__in=_OF_LEASES)):
        log.take(told)
    yield from log.impossible
    for row in Lease.objects.select_related("offered_to").order_by("window", "number").iterator():
        name = f"Lease {row.number} of window {row.window_id}"
        held = log.held.pop((row.window_id, row.number), None)
        if held is None:
            yield f"{name} is there, and no event says that it was taken."
            continue
        stored = _Held(
            row.holder_id,
            row.taken_at,
            row.reason,
            row.offered_to.username if row.offered_to else "",
            row.offer_note,
            row.ended_at,
        )
        if other := [key for key, value in vars(held).items() if getattr(stored, key) != value]:
            yield f"{name} is not what its events led to: {', '.join(other)}."
    for window, number in sorted(log.held):
        yield f"Lease {number} of window {window} was taken by an event, and is not there."


def leases_that_do_not_count() -> Iterator[str]:
    """Yield what is wrong with who drove: two at once, an older number, or nobody who did (I4)."""
    yield from _older_in_force()
    windows = Window.objects.filter(Q(leases__isnull=False) | Q(run__isnull=False))
    for part in in_parts(list(windows.distinct().order_by("pk").values_list("pk", flat=True))):
        yield from _undriven(part)


def _undriven(windows: Sequence[int]) -> Iterator[str]:
    """Yield what was done in some windows under a lease that was not in force, or not theirs."""
    log, done, strange = _read_with_deeds(windows)
    yield from log.falling
    yield from strange
    names = dict(User.objects.values_list("pk", "username"))
    items = RunItem.objects.filter(step__run__window__in=windows, done_at__isnull=False)
    columns = (
        "step__run__window",
        "step__position",
        "place",
        "kind",
        "lease",
        "done_by",
        "done_at",
    )
    for row in items.order_by("step", "place").values_list(*columns).iterator():
        item = _Item(*row)
        if item.lease is None:
            if item.kind != ItemKind.VERIFY.value:
                yield f"{item} under no lease."
            continue
        driver = done.get(item[:3]) or _driver_at(item, log)
        if driver.number != item.lease:
            yield f"{item} under lease {item.lease}, which was not in force."
        elif driver.holder != item.done_by:
            yield f"{item} by {names.get(item.done_by)}, who did not hold lease {item.lease}."


class _Item(NamedTuple):
    """An item that is done, as it is stored."""

    window: int
    step: int
    place: int
    kind: str
    lease: int | None
    done_by: int
    done_at: datetime

    def __str__(self) -> str:
        return (
            f"Item {self.place} ({self.kind}) of step {self.step} of window {self.window} was done"
        )


def _driver_at(item: _Item, log: _Log) -> _Driver:
    """Return who drove by its lease when an item was done of which there is no event."""
    held = log.held.get((item.window, item.lease or 0))
    if held is None or not held.taken_at <= item.done_at <= (held.ended_at or item.done_at):
        return _NOBODY
    return _Driver(item.lease or 0, held.holder)


def _older_in_force() -> Iterator[str]:
    """Yield each lease that is in force beside a newer one."""
    newest: dict[int, int] = {}
    rows = Lease.objects.order_by("window", "-number").values_list("window", "number", "ended_at")
    for window, number, ended_at in rows.iterator():
        last = newest.setdefault(window, number)
        if ended_at is None and number != last:
            yield f"Lease {number} of window {window} is in force; there was lease {last} after it."


def _read_with_deeds(
    windows: Sequence[int],
) -> tuple[_Log, dict[tuple[int, int, int], _Driver], list[str]]:
    """Return who drove, who did when each item was done, and what others did instead."""
    log, done, strange = _Log(), {}, []
    kinds = [*_OF_LEASES, *_BY_NUMBER, *_BY_DRIVER, TICK]
    for told in told_by(Event.objects.filter(window__in=windows, kind__in=kinds)):
        window = told.window or 0
        driver = log.driver.get(window, _NOBODY)
        if told.kind == TICK:
            done[window, told.number("step"), told.number("place")] = driver
        elif told.kind in _BY_NUMBER and driver != _Driver(told.number("lease"), told.actor):
            number = told.number("lease")
            strange.append(
                f"{told} was done by {told.actor_name} under lease {number} of window {window}, "
                "which was not theirs then."
            )
        elif told.kind in _BY_DRIVER and told.actor not in {None, driver.holder}:
            strange.append(
                f"{told} was done by {told.actor_name}, who did not drive window {window} then."
            )
        log.take(told)
    return log, done, strange
