"""What happened to a backport, in sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.domain.sentences import CLOCK, what_of, words_of
from scheduler.models import Event
from scheduler.views.reading import ANSWER, LOCK


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


def history_of(events: Sequence[Event], number: int) -> list[Said]:
    """Return what happened to a backport, to its window's lock, and what was answered about it.

    Args:
        events: what `events_about` found, oldest first.
        number: of its change.
    """
    standing = {_pair(event.payload): event.pk for event in events if event.kind == ANSWER}
    return [
        Said(
            at=event.at,
            who=event.actor_name or CLOCK,
            what=_deed(event, number),
            reason=words_of(event.payload),
            is_superseded=event.kind == ANSWER and standing[_pair(event.payload)] != event.pk,
        )
        for event in events
    ]


def _pair(answer: Mapping[str, Any]) -> frozenset[int]:
    return frozenset((answer["first"], answer["then"]))


def _deed(event: Event, number: int) -> str:
    if event.kind == LOCK:  # told for this backport, not for the window
        inside = "with" if number in event.payload.get("queued", ()) else "without"
        return f"locked the queue of its window, {inside} this backport in it"
    return what_of(event.kind, event.payload)
