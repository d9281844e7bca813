"""A window: its queue, production after every step, what went elsewhere, the lock, the exports."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from scheduler.actors import actor_of
from scheduler.adapters.plan_document import document_of
from scheduler.domain.permissions import Act, may
from scheduler.domain.planning.ways import Way
from scheduler.domain.statements import pair_of
from scheduler.forms import MoveWindowForm, ReasonForm
from scheduler.models import Plan, User, Window
from scheduler.queries import (
    is_confirmed_emergency,
    names_trusted_with,
    newest_plan,
    planned_now,
    unchecked_backports,
)
from scheduler.services import windows as services
from scheduler.services.backports import refusal_to_book
from scheduler.services.clock import database_now
from scheduler.services.plans import replan_window
from scheduler.services.runs import Course, course_of
from scheduler.views.course_cards import Board
from scheduler.views.http import OUT_OF_DATE, UNUSABLE, PageRequest, Refusal, act, page
from scheduler.views.plan_pages import PlanPage, numbers_in
from scheduler.views.reading import (
    answers_in_force,
    backports_in,
    booked_elsewhere,
    changes_named,
    diffs_asked_about,
    last_asked,
)
from scheduler.views.signing_in import recently_authenticated
from scheduler.views.ways import ways_in
from scheduler.views.window_parts import window_parts

PAGE = "scheduler/windows/detail.html"
SAME_TIME = timedelta(minutes=5)  # what Gerrit said within it counts as said at once


@require_safe
def detail(request: PageRequest, pk: int) -> HttpResponse:
    """Show a window; htmx asks for it again every 15 seconds while something can change."""
    rows = Window.objects.select_related("locked_by", "series")
    return show(request, get_object_or_404(rows, pk=pk))


def show(
    request: PageRequest,
    window: Window,
    *,
    refusal: Refusal | None = None,
    done: str = "",
    move_form: MoveWindowForm | None = None,
) -> HttpResponse:
    """Answer with the window as it is now, whole or as the partial that htmx swaps in."""
    now = timezone.now()
    plan = newest_plan(window)
    ways = ways_in(window, plan, now)
    shown = plan_page(window, plan, reader=request.user.username, ways=ways)
    actor = actor_of(request.user)
    numbers = window.numbers
    is_over = window.is_over(now)
    unchecked = unchecked_backports(window)
    course = course_of(window, database_now()) if window.is_locked else None
    context: dict[str, object] = {
        "section": "calendar",
        "window": window,
        "page": shown,
        "fallen": course.state.blocked if course else {},
        "sentence": _sentence(window, shown, len(unchecked)),
        **_of_course(course),
        "plan_fingerprint": plan.fingerprint if plan else "",
        "numbers": numbers,
        "window_minutes": int(window.to_domain().minutes),
        "slot_boxes": [slot < shown.slots for slot in range(numbers.max_patches)],
        "unchecked": unchecked,
        **_told_by_gerrit(shown),
        "is_over": is_over,
        "polls": not is_over,
        "why_not_book": refusal_to_book(by=request.user, window=window),
        "may_lock": _can_be_locked(window, shown, now) and may(actor, Act.LOCK_WINDOW),
        "may_unlock": may(actor, Act.UNLOCK_WINDOW) and not (course and course.run),
        "may_answer": may(actor, Act.ANSWER_QUESTION),
        "reviewers": names_trusted_with(Act.ANSWER_QUESTION) if shown.questions else (),
        "done": done,
        "recently_authenticated": recently_authenticated(request),
        **window_parts(window, plan, shown, request.user, now),
    }
    if move_form is not None:
        context["move_form"] = move_form
    return page(request, PAGE, context, partial="window", refusal=refusal)


def _of_course(course: Course | None) -> dict[str, object]:
    """Return what a window's page shows of how far it is deployed."""
    if course is None or course.run is None:
        return {"course": course}
    board = Board(course)
    return {
        "course": course,
        "state_line": board.state_line,
        "sentence": board.state_line,
        "looks": {card.state.position: card.look for card in board.steps},
    }


def _can_be_locked(window: Window, shown: PlanPage, now: datetime) -> bool:
    """Return whether a queue stands ready: what keeps it from that is told on the page."""
    waits = bool(shown.questions) or (window.is_emergency and not is_confirmed_emergency(window))
    return bool(shown.steps) and not waits and not window.is_over(now)


def _told_by_gerrit(shown: PlanPage) -> dict[str, object]:
    """Return when Gerrit last told about what is booked, and of what it told longest ago."""
    told = sorted(filter(None, (one.change.fetched_at for one in shown.backports.values())))
    if not told:
        return {}
    return {
        "told_at": told[-1],
        "told_first": told[0],
        "told_apart": told[-1] - told[0] > SAME_TIME,
    }


def plan_page(
    window: Window,
    plan: Plan | None,
    *,
    reader: str = "",
    ways: Mapping[int, tuple[Way, ...]] | None = None,
) -> PlanPage:
    """Return the plan of a window, ready to be shown."""
    result = plan.result if plan else {}
    now = timezone.now()
    backports = backports_in([window]).get(window.pk, {})
    said = plan.document.get("statements", ()) if plan else ()
    pairs = {pair_of(one["first"], one["then"]) for one in said}
    spoken_of = {number for pair in pairs for number in pair}
    shown = numbers_in(result) | spoken_of
    return PlanPage(
        result=result,
        changes=changes_named(shown),
        backports=backports,
        reader=reader,
        said=said,
        begins=window.queue_begins(now),
        gone=window.minutes_gone(now),
        schedule=plan.document["train"]["schedule"] if plan else (),
        ways=ways or {},
        diffs=diffs_asked_about(result),
        elsewhere=booked_elsewhere(shown, backports),
        answers_kept=answers_in_force(spoken_of),
        asked_last=last_asked(pairs),
    )


@require_POST
def lock(request: PageRequest, pk: int) -> HttpResponse:
    """Fix the queue that the page showed."""
    window = get_object_or_404(Window, pk=pk)

    def effect() -> str:
        services.lock_window(
            window=window,
            by=request.user,
            plan_fingerprint=request.POST.get("plan_fingerprint", ""),
        )
        return reverse("window", args=[pk])

    result = act(request, effect)
    if isinstance(result, Refusal) and result.status == OUT_OF_DATE:
        _plan_again(window, request.user)  # the page shows what it would fix
    return _answer(request, pk, result, "The queue is locked.")


def _plan_again(window: Window, by: User) -> None:
    """Plan a window again whose lock came too late, for who may lock it."""
    now = timezone.now()
    window.refresh_from_db()
    is_open = window.is_bookable and not window.is_locked and not window.is_over(now)
    if is_open and may(actor_of(by), Act.LOCK_WINDOW):
        replan_window(window=window, now=now)


@require_POST
def unlock(request: PageRequest, pk: int) -> HttpResponse:
    """Let the queue follow the facts again."""
    window = get_object_or_404(Window, pk=pk)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return show(request, window, refusal=Refusal("Say why, in a sentence.", UNUSABLE))
    reason = form.cleaned_data["reason"]

    def effect() -> str:
        services.unlock_window(window=window, by=request.user, reason=reason)
        return reverse("window", args=[pk])

    return _answer(request, pk, act(request, effect), "The queue is no longer locked.")


def _answer(request: PageRequest, pk: int, result: str | Refusal, done: str) -> HttpResponse:
    window = get_object_or_404(Window.objects.select_related("locked_by"), pk=pk)
    if isinstance(result, Refusal):
        return show(request, window, refusal=result)
    return show(request, window, done=done) if request.htmx else redirect(result)


@require_safe
def checklist(request: PageRequest, pk: int) -> HttpResponse:
    """Show what is done in each step, to be printed for the worst day."""
    window = get_object_or_404(Window.objects.select_related("locked_by"), pk=pk)
    course = course_of(window, database_now())
    context: dict[str, object] = {
        "section": "calendar",
        "window": window,
        "course": course,
        "board": Board(course),
        "rollback": course.plan.result["rollback"] if course.plan else (),
        "deployers": list(window.deployers.order_by("username").values_list("username", flat=True)),
    }
    return page(request, "scheduler/windows/checklist.html", context)


@require_safe
def document(_request: PageRequest, pk: int) -> HttpResponse:
    """Download the facts that the window was planned from, as a plan document."""
    window = get_object_or_404(Window, pk=pk)
    plan = newest_plan(window)
    facts = plan.document if plan else document_of(planned_now(window, timezone.now())[0])
    answer = JsonResponse(facts, json_dumps_params={"indent": 2, "ensure_ascii": False})
    answer["Content-Disposition"] = f'attachment; filename="plan-{window.start:%Y-%m-%d-%H%M}.json"'
    return answer


_GONE_TO = {"train": "to the train", "dedicated": "to a dedicated window"}


def _sentence(window: Window, shown: PlanPage, unchecked: int) -> str:
    """Return the state of a window in one line."""
    steps = len(shown.steps)
    parts = [
        f"{steps} {'step' if steps == 1 else 'steps'} in the queue",
        *(
            f"{len(entries)} {_GONE_TO.get(place, place)}"
            for place, entries, _ in shown.places
            if entries
        ),
    ]
    if unchecked:
        parts.append(f"{unchecked} {'waits' if unchecked == 1 else 'wait'} for Gerrit")
    asked = len(shown.questions)
    if asked:
        parts.append(f"{asked} {'question is' if asked == 1 else 'questions are'} open")
    if shown.steps:
        safe = all(state.safe for state in shown.states)
        parts.append("every step leaves production safe" if safe else "a step breaks production")
    locked = "Locked: " if window.locked_at else ""
    return f"{locked}{', '.join(parts)}."
