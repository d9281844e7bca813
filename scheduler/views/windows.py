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
from scheduler.domain.changes import ChangeSet
from scheduler.domain.checklist.gate import falling, stopped_by_the_train
from scheduler.domain.checklist.steps import Answers, checklist_of
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import Act, may
from scheduler.domain.planning.edges import Because
from scheduler.domain.planning.plan import Step
from scheduler.domain.planning.ways import Way
from scheduler.domain.production import Production
from scheduler.forms import MoveWindowForm, ReasonForm
from scheduler.models import Change, Plan, Window
from scheduler.queries import (
    is_confirmed_emergency,
    names_trusted_with,
    newest_plan,
    planned_now,
    production_at,
    related_changes,
    unchecked_backports,
)
from scheduler.services import windows as services
from scheduler.services.backports import refusal_to_book
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act, page
from scheduler.views.plan_pages import PlanPage, StepRow, numbers_in
from scheduler.views.reading import backports_in, changes_named
from scheduler.views.signing_in import recently_authenticated
from scheduler.views.ways import ways_in
from scheduler.views.window_parts import window_parts

PAGE = "scheduler/windows/detail.html"
SAME_TIME = timedelta(minutes=5)  # what Gerrit said within it counts as said at once
_LEFT_THE_QUEUE = "Since the lock it lost its approval or left the window."


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
    context: dict[str, object] = {
        "section": "calendar",
        "window": window,
        "page": shown,
        "fallen": fallen_since_lock(window, plan, shown, now),
        "plan_fingerprint": plan.fingerprint if plan else "",
        "numbers": numbers,
        "window_minutes": int(window.to_domain().minutes),
        "slot_boxes": [slot < shown.slots for slot in range(numbers.max_patches)],
        "sentence": _sentence(window, shown, len(unchecked)),
        "unchecked": unchecked,
        **_told_by_gerrit(shown),
        "is_over": is_over,
        "polls": not is_over,
        "why_not_book": refusal_to_book(by=request.user, window=window),
        "may_lock": _can_be_locked(window, shown, now) and may(actor, Act.LOCK_WINDOW),
        "may_unlock": may(actor, Act.UNLOCK_WINDOW),
        "may_answer": may(actor, Act.ANSWER_QUESTION),
        "reviewers": names_trusted_with(Act.ANSWER_QUESTION) if shown.questions else (),
        "done": done,
        "recently_authenticated": recently_authenticated(request),
        **window_parts(window, plan, shown, request.user, now),
    }
    if move_form is not None:
        context["move_form"] = move_form
    return page(request, PAGE, context, partial="window", refusal=refusal)


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
    return PlanPage(
        result=result,
        changes=changes_named(numbers_in(result)),
        backports=backports_in([window]).get(window.pk, {}),
        reader=reader,
        said=plan.document.get("statements", ()) if plan else (),
        begins=window.queue_begins(now),
        gone=window.minutes_gone(now),
        schedule=plan.document["train"]["schedule"] if plan else (),
        ways=ways or {},
    )


def fallen_since_lock(
    window: Window, plan: Plan | None, shown: PlanPage, now: datetime
) -> dict[int, str]:
    """Return the steps of a locked queue that must not be deployed: position to the reason.

    A backport whose approval ended, that was withdrawn, declined or sent elsewhere after the lock,
    or that the train has left behind, takes along what needs it. Nothing is put in another order.
    """
    if not window.is_locked or plan is None:
        return {}
    entries = [entry for row in shown.steps for entry in row.entries]
    lost = {
        entry.number: _LEFT_THE_QUEUE
        for entry in entries
        if entry.backport is None or entry.backport.status != Status.QUEUED.value
    }
    rows = [entry.backport.change for entry in entries if entry.backport is not None]
    left_behind = stopped_by_the_train(
        [row.number for row in rows],
        related_changes(rows, (), with_diff=False),
        production_at(window.planned_at(now)),
        _planned_for(plan),
    )
    return falling((_step(row) for row in shown.steps), left_behind | lost)


def _planned_for(plan: Plan) -> Production:
    """Return what was where when a queue was planned."""
    train = plan.document["train"]
    return Production(tuple(train["checked_out"]), train["live"])


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

    return _answer(request, pk, act(request, effect), "The queue is locked.")


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
    """Show what is done in each step, to print or to follow."""
    window = get_object_or_404(Window.objects.select_related("locked_by"), pk=pk)
    now, plan = timezone.now(), newest_plan(window)
    shown = plan_page(window, plan, reader=request.user.username)
    changes = ChangeSet(
        change.to_domain(with_diff=False)
        for change in shown.changes.values()
        if isinstance(change, Change)
    )
    answers = {
        number: Answers(
            tester=backport.tester,
            nick=backport.nick,
            verify_how=backport.verify_how,
            rollback_how=backport.rollback_how,
            steps_before=backport.steps_before,
            steps_after=backport.steps_after,
        )
        for number, backport in shown.backports.items()
    }
    fallen = fallen_since_lock(window, plan, shown, now)
    steps = [
        {
            "row": row,
            "fallen": fallen.get(row.position, ""),
            "items": checklist_of(_step(row), changes, answers)
            if row.position not in fallen
            else (),
        }
        for row in shown.steps
    ]
    context: dict[str, object] = {
        "section": "calendar",
        "window": window,
        "steps": steps,
        "rollback": shown.rollback,
        "deployers": list(window.deployers.order_by("username").values_list("username", flat=True)),
        "now": now,
        "polls": not window.is_over(now),
    }
    return page(request, "scheduler/windows/checklist.html", context, partial="checklist")


def _step(row: StepRow) -> Step:
    return Step(
        position=row.position,
        changes=tuple(entry.number for entry in row.entries),
        starts=row.starts,
        minutes=row.minutes,
        because=tuple(Because(one.reason, one.first, one.text) for one in row.because),
    )


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
