"""What happened to a backport, in sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.models import Backport, Event
from scheduler.views.plan_pages import belonging
from scheduler.views.reading import ANSWER, LOCK, UNLOCK, events_about

_VERBS = {
    "backport.submit": "asked for this backport",
    "backport.amend": "changed the answers",
    "backport.withdraw": "withdrew it",
    "backport.approve": "approved it",
    "backport.ask": "asked the requester something",
    "backport.decline": "declined it",
    "backport.send-to-train": "sent it to the train",
    "backport.void-approval": "voided its approval: what was approved has changed",
    UNLOCK: "unlocked the queue of its window",
}


@dataclass(frozen=True, slots=True)
class Said:
    """One event as a sentence.

    Attributes:
        is_superseded: whether somebody answered otherwise later.
    """

    at: datetime
    who: str
    what: str
    reason: str
    is_superseded: bool = False


def history_of(backport: Backport) -> list[Said]:
    """Return what happened to a backport, to its window's lock, and what was answered about it."""
    events = events_about(backport)
    standing = {_pair(event.payload): event.pk for event in events if event.kind == ANSWER}
    return [
        Said(
            at=event.at,
            who=event.actor_name or "The clock",
            what=_deed(event, backport.change.number),
            reason=str(event.payload.get("reason", "")),
            is_superseded=event.kind == ANSWER and standing[_pair(event.payload)] != event.pk,
        )
        for event in events
    ]


def _pair(answer: Mapping[str, Any]) -> frozenset[int]:
    return frozenset((answer["first"], answer["then"]))


def _deed(event: Event, number: int) -> str:
    if event.kind == ANSWER:
        return f"answered: {belonging(event.payload)}"
    if event.kind == LOCK:
        inside = "with" if number in event.payload.get("queued", ()) else "without"
        return f"locked the queue of its window, {inside} this backport in it"
    noun, _, verb = event.kind.partition(".")
    return _VERBS.get(event.kind, f"{verb} ({noun})".replace("-", " "))
