"""A window step by step, as it was: what was done, by whom, and what production had after it."""

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from scheduler.domain.checklist.run import OnVersion, on_versions
from scheduler.domain.sentences import CLOCK, what_of, words_of
from scheduler.models import Event, Run
from scheduler.queries import production_at
from scheduler.services.clock import database_now
from scheduler.services.runs import course_of
from scheduler.views.course_cards import Board
from scheduler.views.http import PageRequest, page

LONGEST_NUMBER = 6  # digits
_OF_STEPS = ("backport.start", "backport.finish", "backport.take-back", "backport.miss")


@dataclass(frozen=True, slots=True)
class Frame:
    """One moment of a window.

    Attributes:
        number: from 1.
        changed: whether production is another one since.
        live: the changes of the window that production ran after it.
    """

    number: int
    at: datetime
    who: str
    what: str
    words: str
    proof: str
    changed: bool
    live: tuple[int, ...]


@require_safe
def replay(request: PageRequest, pk: int) -> HttpResponse:
    """Show a window moment by moment; `?at=N` is the N-th."""
    run = get_object_or_404(Run.objects.select_related("window"), window=pk)
    frames = frames_of(run)
    chosen = _chosen(request.GET.get("at", ""), len(frames))
    course = course_of(run.window, database_now())
    frame = frames[chosen - 1]
    production = production_at(run.window.planned_at(frame.at))
    versions: tuple[OnVersion, ...] = on_versions(frame.live, course.changes, production)
    context: dict[str, object] = {
        "section": "calendar",
        "window": run.window,
        "course": course,
        "board": Board(course),
        "frames": frames,
        "frame": frame,
        "versions": versions,
        "before": chosen - 1,
        "after": chosen + 1 if chosen < len(frames) else 0,
    }
    return page(request, "scheduler/deploy/replay.html", context, partial="replay")


def _chosen(text: str, count: int) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER
    return max(1, min(int(text) if is_number else count, count))


def frames_of(run: Run) -> list[Frame]:
    """Return the moments of a window since it was begun, oldest first."""
    events = Event.objects.filter(window=run.window_id, at__gte=run.begun_at).select_related(
        "backport__change"
    )
    frames: list[Frame] = []
    live: tuple[int, ...] = ()
    for event in events.defer("backport__change__diff").order_by("seq"):
        is_of_run = event.kind in _OF_STEPS or event.kind.partition(".")[0] in {"step", "lease"}
        if not is_of_run and event.kind not in {"window.begin", "window.extend", "window.close"}:
            continue
        told = event.payload.get("live")
        now = tuple(told) if isinstance(told, list) else live
        about = f" ({event.backport.change.number})" if event.backport else ""
        frames.append(
            Frame(
                number=len(frames) + 1,
                at=event.at,
                who=event.actor_name or CLOCK,
                what=what_of(event.kind, event.payload) + about,
                words=words_of(event.payload),
                proof=str(event.payload.get("proof", "")),
                changed=now != live,
                live=now,
            )
        )
        live = now
    return frames
