"""What the log says that things have become, compared with what they are (invariant I5)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db.models import Count, QuerySet
from django.db.models.fields.json import KeyTextTransform

from scheduler.domain.errors import IllegalTransition
from scheduler.domain.lifecycle import Action, Status, status_after
from scheduler.models import (
    Acknowledgement,
    Backport,
    EmergencyConfirmation,
    Event,
    GroupMove,
    Override,
    Review,
    Statement,
    User,
    Window,
    WindowSeries,
)
from scheduler.models.reviews import Decision
from scheduler.services.events import BEFORE_ALL, is_number

_PAGE = 2_000  # events read at once
_PART = 100  # windows looked at at once

SUBMIT, MOVE_ON = "backport.submit", "backport.move-on"
FINISH, TAKE_BACK, MISS = "backport.finish", "backport.take-back", "backport.miss"
LOCK, UNLOCK = "window.lock", "window.unlock"
MOVE, CANCEL, SKIP = "window.move", "window.cancel", "window.skip"
CONFIRM = "window.confirm-emergency"

# What each kind of event does to its backport. The lock of a window queues those that it names.
MOVES: Mapping[str, Action] = {
    **{
        f"backport.{action.value}": action
        for action in Action
        if action not in {Action.QUEUE, Action.UNQUEUE}
    },
    "backport.withdraw-approval": Action.VOID_APPROVAL,
}


class Told(NamedTuple):
    """One event, as far as it tells what has become of something."""

    seq: int
    kind: str
    actor: int | None
    actor_name: str
    window: int | None
    backport: int | None
    at: datetime
    payload: Mapping[str, Any]

    def __str__(self) -> str:
        return f"Event {self.seq} ({self.kind})"

    def number(self, name: str) -> int:
        """Return a number that it carries; 0 if it carries none under this name."""
        value = self.payload.get(name)
        return value if type(value) is int else 0

    def numbers(self, name: str) -> list[int]:
        """Return the numbers that it carries under a name."""
        values = self.payload.get(name)
        return [one for one in values if type(one) is int] if isinstance(values, list) else []

    def text(self, name: str, longest: int | None = None) -> str:
        """Return a text that it carries, cut off as its column is; "" if it carries none."""
        value = self.payload.get(name)
        return value[:longest] if isinstance(value, str) else ""


def told_by(events: QuerySet[Event]) -> Iterator[Told]:
    """Yield some events in their order."""
    columns = ("seq", "kind", "actor", "actor_name", "window", "backport", "at", "payload")
    in_order = events.order_by("seq").values_list(*columns)
    after = BEFORE_ALL
    while page := [Told(*row) for row in in_order.filter(seq__gt=after)[:_PAGE]]:
        for told in page:
            yield told if isinstance(told.payload, dict) else told._replace(payload={})
        after = page[-1].seq
        if not is_number(after):
            return  # reading the log itself says what is wrong with it


def in_parts(keys: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield keys a hundred at a time, so that not all that is told of them is in memory at once."""
    return (keys[first : first + _PART] for first in range(0, len(keys), _PART))


class _Move(NamedTuple):
    seq: int
    kind: str
    backport: int | None
    window: int | None


def wrong_statuses() -> Iterator[str]:
    """Yield each backport whose status or requester is not what its events led to."""
    replay = _Replay()
    kinds = [*MOVES, SUBMIT, LOCK, UNLOCK]
    events = Event.objects.filter(kind__in=kinds).order_by("seq")
    columns = events.values_list("seq", "kind", "backport", "window")
    after = 0
    while page := [_Move(*row) for row in columns.filter(seq__gt=after)[:_PAGE]]:
        for move in page:
            replay.take(move)
        after = page[-1].seq
        if not is_number(after):
            break  # reading the log itself says what is wrong with it
    yield from replay.impossible
    requesters = _requesters()
    rows = Backport.objects.order_by("pk").values_list("pk", "status", "requester__username")
    for pk, status, requester in rows.iterator():
        led_to = replay.statuses.get(pk)
        if led_to is None:
            yield f"Backport {pk} is {status}, and no event says that it was submitted."
        elif led_to.value != status:
            yield f"Backport {pk} is {status}; its events led to {led_to.value}."
        if led_to is not None and requesters.get(pk) not in {None, requester}:
            yield f"Backport {pk} is {requester}'s; its events gave it to {requesters[pk]}."


class _Replay:
    """Goes through events in their order.

    Attributes:
        statuses: what each backport has become so far.
        impossible: sentences about events that cannot have happened.
    """

    def __init__(self) -> None:
        self.statuses: dict[int, Status] = {}
        self.impossible: list[str] = []
        self._queued: dict[int, list[int]] = {}
        self._named = _queued_by_lock()

    def take(self, move: _Move) -> None:
        if move.kind in {LOCK, UNLOCK} and move.window is not None:
            self._take_lock(move, move.window)
        elif move.backport is not None and move.kind == SUBMIT:
            self.statuses[move.backport] = Status.SUBMITTED
        elif move.backport is not None:
            self._apply(move, move.backport, MOVES[move.kind])

    def _take_lock(self, move: _Move, window: int) -> None:
        if move.kind == LOCK:
            self._queued[window] = self._named.get(move.seq, [])
            for backport in self._queued[window]:
                self._apply(move, backport, Action.QUEUE)
            return
        for backport in self._queued.pop(window, []):
            if self.statuses.get(backport) is Status.QUEUED:
                self._apply(move, backport, Action.UNQUEUE)

    def _apply(self, move: _Move, backport: int, action: Action) -> None:
        before = self.statuses.get(backport)
        try:
            if before is not None:
                self.statuses[backport] = status_after(before, action)
                return
            why = "was not submitted before"
        except IllegalTransition:
            why = f"was {before}"
        self.impossible.append(
            f"Event {move.seq} ({move.kind}) cannot be: backport {backport} {why}."
        )


def _queued_by_lock() -> dict[int, list[int]]:
    """Return which backports each lock queued, by the number of its event.

    The event names changes, and a change may be booked in a window again: it is the last booking
    that was made before.
    """
    locks = list(Event.objects.filter(kind=LOCK).values_list("seq", "window", "payload"))
    booked: dict[tuple[int, int], list[tuple[int, int]]] = {}
    into = [SUBMIT, "backport.move-on"]
    submits = Event.objects.filter(kind__in=into, window__in={window for _, window, _ in locks})
    named = submits.order_by("seq").values_list(
        "seq", "window", "backport", "backport__change__number"
    )
    for seq, window, backport, number in named:
        booked.setdefault((window or 0, number), []).append((seq, backport or 0))
    found: dict[int, list[int]] = {}
    for seq, window, payload in locks:
        numbers = payload.get("queued", [])
        bookings = [booked.get((window or 0, number), []) for number in numbers]
        found[seq] = [
            [backport for at, backport in booking if at < seq][-1]
            for booking in bookings
            if booking and booking[0][0] < seq
        ]
    return found


def _requesters() -> dict[int, str]:
    """Return whose each backport is by its events: who submitted it, or to whom it was handed."""
    given: dict[int, str] = {}
    events = Event.objects.filter(kind__in=[SUBMIT, "backport.hand-over"], backport__isnull=False)
    columns = events.order_by("seq").values_list(
        "backport", "kind", "actor_name", "payload__requester", "payload__to"
    )
    for backport, kind, actor, requester, to in columns.iterator():
        if backport is not None:
            # Who deploys may book again what somebody else had requested: it stays theirs.
            given[backport] = str(requester or actor) if kind == SUBMIT else str(to)
    return given


def wrong_locks() -> Iterator[str]:
    """Yield each window that is locked or not, by whom or when, other than its events say."""
    events = Event.objects.filter(kind__in=[LOCK, UNLOCK], window__isnull=False).order_by("seq")
    last = {event.window_id: event for event in events.iterator()}
    for row in Window.objects.order_by("pk").iterator():
        told = last.get(row.pk)
        lock = told if told is not None and told.kind == LOCK else None
        if row.is_locked != (lock is not None):
            is_now = "locked" if row.is_locked else "not locked"
            yield f"Window {row.pk} is {is_now}, and its last event does not say so."
        elif lock is not None and (row.locked_by_id, row.locked_at) != (lock.actor_id, lock.at):
            yield f"Window {row.pk} was locked by another, or at another time, than it says."


def wrong_decisions() -> Iterator[str]:
    """Yield each review, answer or rule taken on without its event, and the other way round."""
    names = dict(User.objects.values_list("pk", "username"))
    yield from _difference("Review", _reviews(), _reviews_logged(), names)
    yield from _difference("Acknowledgement", _taken_on(), _taken_on_logged(), names)
    yield from _difference("Answer", _answers(), _answers_logged(), names)
    yield from _difference("Contest", _contests(), _contests_logged(), names)
    yield from _difference("Override", _overrides(), _overrides_logged(), names)
    yield from _difference("Confirmation", _confirmed(), _confirmed_logged(), names)
    yield from _difference("Move of the train", _moved(), _moved_logged(), names)


_Key = tuple[int | None, str, int | None]  # by whom, what, and about which backport


def _difference(
    what: str, rows: Counter[_Key], logged: Counter[_Key], names: Mapping[int, str]
) -> Iterator[str]:
    for more, word in ((rows - logged, "more"), (logged - rows, "fewer")):
        for (by, about, backport), count in sorted(more.items(), key=str):
            where = f"{about}, backport {backport}" if backport else about
            yield f"{what} by {names.get(by or 0)} ({where}): {count} {word} than events."


def _reviews() -> Counter[_Key]:
    columns = ("reviewer", "decision", "reason", "backport")
    return Counter(
        (by, _worded(f"backport.{decision}", reason), backport)
        for by, decision, reason, backport in Review.objects.values_list(*columns).iterator()
    )


def _reviews_logged() -> Counter[_Key]:
    kinds = [f"backport.{decision}" for decision in Decision.values]
    reason = KeyTextTransform("reason", "payload")  # as text: a third faster than as JSON
    rows = Event.objects.filter(kind__in=kinds).values_list("actor", "kind", reason, "backport")
    return Counter(
        (by, _worded(kind, reason), backport) for by, kind, reason, backport in rows.iterator()
    )


def _worded(what: str, reason: object) -> str:
    return f"{what}, {reason!r}" if reason else what


def _taken_on() -> Counter[_Key]:
    rows = Acknowledgement.objects.values_list("by", "rule", "reason", "backport")
    return Counter(
        (by, _worded(rule, reason), backport) for by, rule, reason, backport in rows.iterator()
    )


def _taken_on_logged() -> Counter[_Key]:
    found: Counter[_Key] = Counter()
    for kind, name in (("backport.approve", "acknowledged"), ("backport.acknowledge", "rules")):
        events = Event.objects.filter(kind=kind, **{f"payload__{name}__0__isnull": False})
        for by, backport, payload in events.values_list("actor", "backport", "payload").iterator():
            reason = payload.get("reason")
            rules = payload.get(name) or ()
            found.update((by, _worded(str(rule), reason), backport) for rule in rules)
    return found


def _answers() -> Counter[_Key]:
    columns = ("by", "first__number", "then__number", "kind", "only_first", "reason")
    rows = Statement.objects.values_list(*columns)
    return Counter((by, _said(*about), None) for by, *about in rows.iterator())


def _answers_logged() -> Counter[_Key]:
    events = Event.objects.filter(kind="question.answer").values_list("actor", "payload")
    names = ("first", "then", "kind", "only_first", "reason")
    return Counter(
        (by, _said(*(payload.get(name) for name in names)), None)
        for by, payload in events.iterator()
    )


def _contests() -> Counter[_Key]:
    rows = Statement.objects.filter(contested_at__isnull=False)
    columns = ("contested_by", "low", "high", "by__username", "contest_reason")
    return Counter(
        (by, _disputed(*about), None) for by, *about in rows.values_list(*columns).iterator()
    )


def _contests_logged() -> Counter[_Key]:
    events = Event.objects.filter(kind="question.contest").values_list("actor", "payload")
    names = ("first", "then", "of", "reason")
    return Counter(
        (by, _disputed(*(payload.get(name) for name in names)), None)
        for by, payload in events.iterator()
    )


def _disputed(low: object, high: object, whose: object, reason: object) -> str:
    return f"{low} and {high}, of {whose}: {reason!r}"


def _said(first: object, then: object, kind: object, only_first: object, reason: object) -> str:
    return f"{first} and {then}: {kind}, only the first: {only_first}, {reason!r}"


def _overrides() -> Counter[_Key]:
    found: Counter[_Key] = Counter()
    columns = ("pk", "rule", "reason", "backport", "proposed_by", "confirmed_by")
    rows = Override.objects.values_list(*columns)
    for pk, rule, reason, backport, proposer, confirmer in rows:
        about = _worded(f"{pk} of {rule}", reason)
        found[proposer, f"backport.propose-override {about}", backport] += 1
        if confirmer is not None:
            found[confirmer, f"backport.confirm-override {about}", backport] += 1
    return found


def _overrides_logged() -> Counter[_Key]:
    found: Counter[_Key] = Counter()
    kinds = ["backport.propose-override", "backport.confirm-override"]
    events = Event.objects.filter(kind__in=kinds)
    for by, kind, backport, payload in events.values_list("actor", "kind", "backport", "payload"):
        which = f"{payload.get('override')} of {payload.get('rule')}"
        found[by, f"{kind} {_worded(which, payload.get('reason'))}", backport] += 1
    return found


def _confirmed() -> Counter[_Key]:
    rows = EmergencyConfirmation.objects.values_list("by", "role", "window")
    return Counter((by, f"{role} of window {window}", None) for by, role, window in rows)


def _confirmed_logged() -> Counter[_Key]:
    """Return what was confirmed of each window since it was last moved: it was for its time."""
    since: dict[int | None, list[_Key]] = {}
    events = Event.objects.filter(kind__in=[CONFIRM, MOVE]).order_by("seq")
    for by, kind, window, payload in events.values_list("actor", "kind", "window", "payload"):
        if kind == MOVE:
            since.pop(window, None)
        else:
            about = f"{payload.get('role')} of window {window}"
            since.setdefault(window, []).append((by, about, None))
    return Counter(key for keys in since.values() for key in keys)


def _moved() -> Counter[_Key]:
    """Return the moves of groups, without those that are older than this log: nobody's."""
    rows = GroupMove.objects.exclude(by__isnull=True, kind="promote")
    columns = rows.values_list("by", "group", "version__name", "at")
    return Counter((by, _move_of(*about), None) for by, *about in columns.iterator())


def _moved_logged() -> Counter[_Key]:
    kinds = ["train.promote", "train.roll-back", "train.import", "train.retire"]
    events = Event.objects.filter(kind__in=kinds)
    rows = events.values_list("actor", "payload", "at")
    return Counter(
        (by, _move_of(payload.get("group"), payload.get("version"), at), None)
        for by, payload, at in rows.iterator()
    )


def _move_of(group: object, version: object, at: object) -> str:
    return f"{group} to {version} at {at}"


def wrong_ends_of_windows() -> Iterator[str]:
    """Yield each window that was called off or skipped, or was not, other than its events say."""
    off = set(Event.objects.filter(kind=CANCEL).values_list("window", flat=True))
    for payload in Event.objects.filter(kind="series.end").values_list("payload", flat=True):
        off.update(payload.get("windows", ()))
    skipped = set(Event.objects.filter(kind=SKIP).values_list("window", flat=True))
    rows = Window.objects.order_by("pk").values_list("pk", "cancelled_at", "skipped_at")
    for pk, cancelled_at, skipped_at in rows.iterator():
        for what, at, told in (("called off", cancelled_at, off), ("skipped", skipped_at, skipped)):
            if (at is not None) != (pk in told):
                yield (
                    f"Window {pk} was {what}, and no event says so."
                    if at is not None
                    else f"Window {pk} was {what} by an event, and takes place all the same."
                )


def wrong_times_of_windows() -> Iterator[str]:
    """Yield each window that does not begin when the last event that moved it says."""
    moves = Event.objects.filter(kind=MOVE).order_by("seq").values_list("window", "payload")
    last = {window: str(payload.get("to")) for window, payload in moves.iterator()}
    for window in Window.objects.filter(pk__in=list(last)).order_by("pk"):
        begins = window.start.astimezone(UTC).isoformat()
        if begins != last[window.pk]:
            yield f"Window {window.pk} begins at {begins}; an event moved it to {last[window.pk]}."


def wrong_series() -> Iterator[str]:
    """Yield each series that has more or fewer windows than events say were made."""
    made: Counter[object] = Counter()
    events = Event.objects.filter(kind__in=["series.make", "series.extend"])
    for payload in events.values_list("payload", flat=True).iterator():
        made[payload.get("series")] += payload.get("windows", 0)
    series = WindowSeries.objects.annotate(count=Count("windows")).order_by("pk")
    for pk, count in series.values_list("pk", "count"):
        if count != made[pk]:
            yield f"Series {pk} has {count} windows; its events made {made[pk]}."


def overrides_ended_only_in_the_log() -> Iterator[str]:
    """Yield each override that an event ended and that counts all the same."""
    ended = Event.objects.filter(kind="backport.end-override").values_list("seq", "payload")
    by_override = {payload.get("override"): seq for seq, payload in ended}
    counting = Override.objects.filter(pk__in=list(by_override), ended_at__isnull=True)
    for override in counting.order_by("pk"):
        seq = by_override[override.pk]
        yield f"Override {override.pk} was ended by event {seq} and counts all the same."


# What ends something that was taken on, or takes its place.
_ENDS_LIFTING = (
    "backport.end-lifting",
    "backport.end-override",
    "backport.propose-override",
    "backport.acknowledge",
    "backport.approve",
)


def wrong_ends_of_lifting() -> Iterator[str]:
    """Yield each rule taken on that ended without an event, or counts though one ended it."""
    ended: dict[tuple[int | None, str], datetime] = {}
    events = Event.objects.filter(kind="backport.end-lifting").order_by("seq")
    for backport, at, rules in events.values_list("backport", "at", "payload__rules"):
        ended |= {(backport, str(rule)): at for rule in rules or ()}
    taken_on = (
        ("Acknowledgement", Acknowledgement.objects, "made_at"),
        ("Override", Override.objects, "proposed_at"),
    )
    for what, manager, begun in taken_on:
        over = manager.filter(ended_at__isnull=False).values("backport")
        told = Event.objects.filter(kind__in=_ENDS_LIFTING, backport__in=over)
        moments = set(told.values_list("backport", "at").iterator())
        for pk, backport, rule, ended_at, since in manager.order_by("pk").values_list(
            "pk", "backport", "rule", "ended_at", begun
        ):
            last = ended.get((backport, rule))
            if ended_at is None and last is not None and last > since:
                yield f"{what} {pk} of {rule} was ended by an event and counts all the same."
            if ended_at is not None and (backport, ended_at) not in moments:
                yield f"{what} {pk} of {rule} has ended, and no event says so."
