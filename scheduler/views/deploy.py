"""A window while it is deployed: for its driver, its testers, and for everybody who watches."""

from collections.abc import Iterable

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_safe

from scheduler.actors import actor_of, relations_to
from scheduler.domain.checklist.turns import Person, now_for
from scheduler.domain.permissions import Act, Actor, Relation, may
from scheduler.domain.windows import BOOKABLE
from scheduler.models import Window
from scheduler.queries import names_trusted_with
from scheduler.services.clock import database_now
from scheduler.services.deploying import seen_of
from scheduler.services.failing import WHY_MISSED
from scheduler.services.runs import Course, course_of
from scheduler.views.course_cards import Board, Mine
from scheduler.views.http import PageRequest, Refusal, page
from scheduler.views.watching import Sight

PAGE = "scheduler/deploy/page.html"
MOST_SKEW = 5  # seconds by which this machine's clock may differ from the database's
BYSTANDER = Person()  # who has no name in the window and no role: they only watch


@require_safe
def deploy(request: PageRequest, pk: int) -> HttpResponse:
    """Show how far a window is, and what the reader does now."""
    return show(request, window_of(pk))


def window_of(pk: int) -> Window:
    """Return a window in which backports are deployed; there is no such page of any other."""
    rows = Window.objects.filter(kind__in=[kind.value for kind in BOOKABLE])
    return get_object_or_404(rows.select_related("locked_by"), pk=pk)


def show(
    request: PageRequest,
    window: Window,
    course: Course | None = None,
    *,
    refusal: Refusal | None = None,
    done: str = "",
) -> HttpResponse:
    """Answer with the window as it is now, whole or as the part that htmx swaps in.

    Args:
        request: who asks.
        window: which.
        course: how far it is, where that was just read.
        refusal: why nothing was done.
        done: what was.
    """
    course = course or course_of(window, database_now())
    board = Board(course)
    actor = actor_of(request.user)
    mine = Mine(
        board,
        request.user,
        actor,
        relations={
            one.pk: relations_to(actor, one) for some in course.members.values() for one in some
        },
        others=_other_drivers(request, course),
    )
    context: dict[str, object] = {
        **_shared(board),
        "section": "calendar",
        "mine": mine,
        "has_a_part": _has_a_part(actor, mine.relations.values()),
        "seen": seen_of(course),
        "whys": WHY_MISSED,
        "done": done,
        "skew": skew
        if (skew := abs((timezone.now() - course.at).total_seconds())) > MOST_SKEW
        else 0,
        "polls": not course.is_closed,
        "events_url": settings.EVENTS_URL,
    }
    part = "mine" if request.GET.get("part") == "mine" else "deploy"
    return page(request, PAGE, context, partial=part, refusal=refusal)


def _other_drivers(request: PageRequest, course: Course) -> tuple[str, ...]:
    if course.lease is None or course.lease.holder_id != request.user.pk:
        return ()
    return tuple(n for n in names_trusted_with(Act.DRIVE) if n != request.user.username)


def sight_of(course: Course) -> Sight:
    """Return a window as everybody sees it, read once: the same as on the page."""
    board = Board(course)
    context = _shared(board)
    return Sight(
        board=render_to_string(f"{PAGE}#board", context),
        bystander=render_to_string(f"{PAGE}#bystander", context),
        is_closed=board.course.is_closed,
    )


def _shared(board: Board) -> dict[str, object]:
    """Return what the parts of the page are made of that are the same for everybody."""
    course = board.course
    return {
        "window": course.window,
        "course": course,
        "board": board,
        "bystander": now_for(BYSTANDER, course.hour),
    }


def _has_a_part(actor: Actor, relations: Iterable[frozenset[Relation]]) -> bool:
    """Return whether somebody may ever have more to do in a window than to watch."""
    return may(actor, Act.DRIVE) or any(one or may(actor, Act.VOUCH, one) for one in relations)
