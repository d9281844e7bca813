"""A window while it is deployed: for its driver, its testers, and for everybody who watches."""

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe

from scheduler.actors import actor_of, relations_to
from scheduler.domain.permissions import Act
from scheduler.models import Window
from scheduler.queries import names_trusted_with
from scheduler.services.clock import database_now
from scheduler.services.deploying import seen_of
from scheduler.services.failing import WHY_MISSED
from scheduler.services.runs import Course, course_of
from scheduler.views.course_cards import Board, Mine
from scheduler.views.http import PageRequest, Refusal, page

PAGE = "scheduler/deploy/page.html"


@require_safe
def deploy(request: PageRequest, pk: int) -> HttpResponse:
    """Show how far a window is, and what the reader does now."""
    return show(request, window_of(pk))


def window_of(pk: int) -> Window:
    """Return a window in which backports are deployed; there is no such page of any other."""
    return get_object_or_404(Window.objects.select_related("locked_by"), pk=pk)


def show(
    request: PageRequest, window: Window, *, refusal: Refusal | None = None, done: str = ""
) -> HttpResponse:
    """Answer with the window as it is now, whole or as the part that htmx swaps in."""
    course = course_of(window, database_now())
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
        "section": "calendar",
        "window": window,
        "course": course,
        "board": board,
        "mine": mine,
        "seen": seen_of(course),
        "whys": WHY_MISSED,
        "done": done,
        "polls": not course.is_closed,
        "events_url": settings.EVENTS_URL,
    }
    part = "mine" if request.GET.get("part") == "mine" else "deploy"
    return page(request, PAGE, context, partial=part, refusal=refusal)


def _other_drivers(request: PageRequest, course: Course) -> tuple[str, ...]:
    if course.lease is None or course.lease.holder_id != request.user.pk:
        return ()
    return tuple(n for n in names_trusted_with(Act.DRIVE) if n != request.user.username)


def board_html(window: Window) -> str:
    """Return the board of a window, as everybody sees it: the same as on the page."""
    board = Board(course_of(window, database_now()))
    context = {"window": window, "course": board.course, "board": board}
    return render_to_string(f"{PAGE}#board", context)
