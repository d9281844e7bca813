"""What happened to a backport, in sentences."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scheduler.domain.sentences import CLOCK, what_of, words_of
from scheduler.models import Event, Question
from scheduler.views.reading import ANSWER, CONTEST, LOCK


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


def history_of(
    events: Sequence[Event], number: int, questions: Sequence[Question] = ()
) -> list[Said]:
    """Return what happened to a backport, to its window's lock, and what was asked and answered.

    Args:
        events: what `events_about` found, oldest first.
        number: of its change.
        questions: what `questions_asked_about` found.
    """
    answers = [event for event in events if event.kind == ANSWER]
    said = [event for event in events if event.kind in {ANSWER, CONTEST}]
    standing = {_pair(event.payload): event.pk for event in said}
    told = [
        Said(
            at=event.at,
            who=event.actor_name or CLOCK,
            what=_deed(event, number, answers),
            reason=words_of(event.payload),
            is_superseded=event.kind == ANSWER and standing[_pair(event.payload)] != event.pk,
        )
        for event in events
    ]
    answered = {(event.at, _pair(event.payload)) for event in answers}
    told += [said for one in questions for said in _asked(one, answered)]
    return sorted(told, key=lambda said: said.at)


def _asked(
    question: Question, answered: Container[tuple[datetime, frozenset[int]]]
) -> Iterator[Said]:
    """Yield when a question came up, and when it went away though nobody answered it."""
    pair = f"whether {question.low} and {question.high} belong together"
    yield Said(question.asked_at, CLOCK, f"asked {pair}", "")
    closed = question.closed_at
    if closed and (closed, frozenset((question.low, question.high))) not in answered:
        yield Said(closed, CLOCK, f"asks no longer {pair}: their order does not matter now", "")


def _pair(answer: Mapping[str, Any]) -> frozenset[int]:
    return frozenset((answer["first"], answer["then"]))


def _deed(event: Event, number: int, answers: Sequence[Event]) -> str:
    if event.kind == ANSWER:
        pair = _pair(event.payload)
        before = [one for one in answers if one.seq < event.seq and _pair(one.payload) == pair]
        what = what_of(event.kind, event.payload)
        return f"{what}, in place of what {before[-1].actor_name} said" if before else what
    if event.kind == LOCK:  # told for this backport, not for the window
        inside = "with" if number in event.payload.get("queued", ()) else "without"
        return f"locked the queue of its window, {inside} this backport in it"
    return what_of(event.kind, event.payload)
