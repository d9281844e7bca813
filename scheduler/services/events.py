"""The audit log: one event for every change of state, in its transaction; is the log whole?"""

import hashlib
import json
import json.encoder
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from scheduler.models import Backport, Event, EventHead, User, Window
from scheduler.models.events import GENESIS

# What an event's hash is made of, in the order in which `hash_of_columns` takes it.
_HASHED = (
    "previous_hash",
    "seq",
    "kind",
    "actor_name",
    "actor_id",
    "window_id",
    "backport_id",
    "payload",
    "at",
)
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_text = json.encoder.encode_basestring_ascii
BEFORE_ALL = -1  # a number that no event may have, as none has 0
_PAGE = 1_000  # events read at once: no query is long, and no cursor stays open

_Row = tuple[str, int, str, str, int | None, int | None, int | None, object, datetime | None, str]


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the log at some moment.

    Attributes:
        seq: the number of the last event; 0 for an empty log.
        hash: that event's.
    """

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


EMPTY = Head(0, GENESIS)


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the log is not what was written.

    Attributes:
        seq: the number of the event that is wrong, or missing.
        what: the sentence that says so.
    """

    seq: int
    what: str


@transaction.atomic
def record(  # noqa: PLR0913 - what an event is made of
    *,
    kind: str,
    actor: User | None,
    window: Window | None = None,
    backport: Backport | None = None,
    payload: Mapping[str, object] | None = None,
    at: datetime | None = None,
) -> Event:
    """Append an event to the audit log.

    The head of the chain is taken first, and stays taken until the transaction ends (one of SQLite
    takes the whole database when it begins), so events are numbered in the order in which they come
    to be. Whoever needs other rows takes
    them before.

    Args:
        kind: noun and verb, such as `backport.submit`.
        actor: who did it; None means the clock.
        window: which window it is about, if any.
        backport: which backport it is about, if any.
        payload: what is worth knowing later; only what JSON can say, no fractions.
        at: when, UTC; None means now.
    """
    head, _ = EventHead.objects.select_for_update().get_or_create(id=1)
    event = Event(
        seq=head.seq + 1,
        kind=kind,
        actor=actor,
        actor_name=actor.username if actor else "",
        window=window,
        backport=backport,
        payload=dict(payload or {}),
        previous_hash=head.hash,
        at=at or timezone.now(),
    )
    event.hash = hash_of(event)
    event.save()
    EventHead.objects.filter(id=1).update(seq=event.seq, hash=event.hash)
    return event


def hash_of(event: Event) -> str:
    """Return the hash that an event has to have, from the one before and its own content."""
    return hash_of_columns(
        event.previous_hash,
        event.seq,
        event.kind,
        event.actor_name,
        event.actor_id,
        event.window_id,
        event.backport_id,
        event.payload,
        event.at,
    )


def hash_of_columns(  # noqa: PLR0913, PLR0917 - the columns of a row, as `_HASHED` names them
    previous_hash: str,
    seq: int,
    kind: str,
    actor_name: str,
    actor: int | None,
    window: int | None,
    backport: int | None,
    payload: object,
    at: datetime,
) -> str:
    """Return the hash of an event: SHA-256 of the hash before and its content in canonical JSON."""
    # Canonical JSON: keys sorted, no blanks. Each value by itself is a third faster than them all.
    content = (
        f'{{"actor":{_text(actor_name)},"actor_id":{_number(actor)},'
        f'"at":"{at.astimezone(UTC).isoformat()}","backport":{_number(backport)},'
        f'"kind":{_text(kind)},"payload":{_CANONICAL.encode(payload)},'
        f'"seq":{seq},"window":{_number(window)}}}'
    )
    return hashlib.sha256((previous_hash + content).encode()).hexdigest()


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def read_log(*, exported: Sequence[Head] = ()) -> tuple[Head, Break | None]:
    """Read the whole log, and return how far it is as it was written.

    Others may append meanwhile: what is newer than when the reading began is not looked at.

    Args:
        exported: heads that were kept elsewhere, which the log has to contain. Only they show
            that the end was cut off by somebody who put the head back, too.

    Returns:
        The last event that is fine, and what is wrong after it; None if nothing is.
    """
    try:
        top = Event.objects.aggregate(top=Max("seq"))["top"] or 0
    except ValueError as error:  # SQLite stores anything anywhere
        return EMPTY, Break(0, f"An event was put in under a number that is none: {error}.")
    stored = EventHead.objects.filter(id=1).first()
    head = Head(stored.seq, stored.hash) if stored else EMPTY
    told = {kept.seq: kept.hash for kept in (EMPTY, *exported)}
    last = EMPTY
    for row in _rows(max(head.seq, top)):
        found = row if isinstance(row, Break) else _break_at(row, last, told)
        if isinstance(row, Break) or found is not None:
            return last, found
        last = Head(row[1], row[-1])
    disagreeing = [kept for kept in exported if told[kept.seq] != kept.hash]
    if disagreeing:
        seq = disagreeing[0].seq
        return last, Break(seq, f"Two of the exported heads disagree about event {seq}.")
    return last, _break_at_end(last, head, max(told))


def _break_at(row: _Row, last: Head, told: Mapping[int, str]) -> Break | None:
    """Return what is wrong with an event, after the one that is fine.

    Args:
        row: its columns.
        last: the event before.
        told: the hashes of some events as they were exported, by number.
    """
    seq, previous_hash, own_hash = row[1], row[0], row[-1]
    if seq != last.seq + 1:
        return Break(last.seq + 1, f"Event {last.seq + 1} is missing; the next one is {seq}.")
    if previous_hash != last.hash:
        what = f"Event {seq} does not follow event {last.seq}: altered, or put in another's place."
        return Break(seq, what if last.seq else f"Event {seq} does not begin the log.")
    at = row[-2]
    if at is None:
        return _unreadable(seq)
    if own_hash != hash_of_columns(*row[:-2], at):
        return Break(seq, f"Event {seq} was altered: its content and its hash disagree.")
    if told.get(seq, own_hash) != own_hash:
        what = f"Event {seq} is not the one that was exported: rewritten there or before."
        return Break(seq, what)
    return None


def _unreadable(seq: int) -> Break:
    return Break(seq, f"Event {seq} was altered: it cannot be read any more.")


def _break_at_end(last: Head, head: Head, exported: int) -> Break | None:
    """Return what is wrong with the end of a log that is fine up to its last event."""
    if last.seq < exported:
        what = f"The log ends with event {last.seq}, and event {exported} was exported: cut off."
        return Break(last.seq + 1, what)
    if last.seq < head.seq:
        what = f"The log ends with event {last.seq}, and its head says {head.seq}: cut off."
        return Break(last.seq + 1, what)
    if last.seq > head.seq:
        what = f"The log goes on to event {last.seq}, and its head says {head.seq}: put back."
        return Break(head.seq + 1, what)
    if last.hash != head.hash:
        return Break(last.seq, f"The head of the log does not have the hash of event {last.seq}.")
    return None


def is_number(seq: object) -> bool:
    """Return whether the number of an event is one."""
    return type(seq) is int


def _rows(until: int) -> Iterator[_Row | Break]:
    """Yield the columns of each event in order; a Break where one cannot even be read."""
    columns = Event.objects.order_by("seq").values_list(*_HASHED, "hash")
    after = BEFORE_ALL
    while True:
        page = columns.filter(seq__gt=after, seq__lte=until)
        try:
            rows: list[_Row] = list(page[:_PAGE])
        except ValueError:  # a time that is none, which SQLite stores like any text
            yield from _rows_one_by_one(after, until)
            return
        for row in rows:
            if not is_number(row[1]):  # SQLite stores anything anywhere
                yield Break(0, f"An event was put in as number {row[1]!r}, which is none.")
                return
            yield row
        if len(rows) < _PAGE:
            return
        after = rows[-1][1]


def _rows_one_by_one(after: int, until: int) -> Iterator[_Row | Break]:
    columns = Event.objects.values_list(*_HASHED, "hash")
    numbers = Event.objects.filter(seq__gt=after, seq__lte=until).order_by("seq")
    for seq in numbers.values_list("seq", flat=True):
        try:
            row: _Row = columns.get(seq=seq)
        except ValueError:
            yield _unreadable(seq)
            return
        yield row


def first_break() -> int | None:
    """Return the number of the first event that is altered, missing or out of order, if any."""
    _, found = read_log()
    return found.seq if found else None
