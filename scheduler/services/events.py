"""The audit log and the outbox: one event for every change of state, in its transaction."""

import hashlib
import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from scheduler.models import Backport, Delivery, Event, EventHead, User, Window
from scheduler.models.events import GENESIS

logger = logging.getLogger(__name__)


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

    The head of the chain is updated first: its row stays taken until the transaction ends, so
    events are numbered in the order in which they come to be. Whoever needs other rows takes
    them before.

    Args:
        kind: noun and verb, such as `backport.submit`.
        actor: who did it; None means the clock.
        window: which window it is about, if any.
        backport: which backport it is about, if any.
        payload: what is worth knowing later; only what JSON can say, no fractions.
        at: when, UTC; None means now.
    """
    EventHead.objects.bulk_create([EventHead(id=1)], ignore_conflicts=True)
    EventHead.objects.filter(id=1).update(seq=F("seq") + 1)
    head = EventHead.objects.get(id=1)
    event = Event(
        seq=head.seq,
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
    EventHead.objects.filter(id=1).update(hash=event.hash)
    return event


def hash_of(event: Event) -> str:
    """Return the hash that an event has to have, from the one before and its own content."""
    content = json.dumps(
        {
            "seq": event.seq,
            "kind": event.kind,
            "actor": event.actor_name,
            "actor_id": event.actor_id,
            "window": event.window_id,
            "backport": event.backport_id,
            "payload": event.payload,
            "at": event.at.astimezone(UTC).isoformat(),
        },
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256((event.previous_hash + content).encode()).hexdigest()


def first_break() -> int | None:
    """Return the number of the first event that is altered, missing or out of order.

    Returns:
        None if the chain is whole, up to the head; the number after the last event if the end of
        the chain was cut off.
    """
    previous, seq = GENESIS, 0
    for event in Event.objects.order_by("seq").iterator():
        seq += 1
        if (event.seq, event.previous_hash, event.hash) != (seq, previous, hash_of(event)):
            return seq
        previous = event.hash
    head = EventHead.objects.filter(id=1).first()
    told = (head.seq, head.hash) if head else (0, GENESIS)
    return None if told == (seq, previous) else seq + 1


def deliver_events(*, at: datetime, limit: int = 500) -> int:
    """Hand on the events that were not handed on yet, oldest first; return how many.

    An event may be handed on twice if the process dies in between, never not at all. What
    receives it knows it by its number.
    """
    undelivered = Event.objects.filter(delivery__isnull=True).order_by("seq")[:limit]
    delivered = 0
    for event in undelivered:
        _, is_ours = Delivery.objects.get_or_create(event=event, defaults={"delivered_at": at})
        if is_ours:
            delivered += 1
            logger.info("event %d: %s by %s", event.seq, event.kind, event.actor_name or "clock")
    return delivered
