"""Booking a backport, and everything there is to know about one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from scheduler.actors import actor_of, relations_to
from scheduler.adapters.plan_document import parse, render
from scheduler.adapters.ports import AdapterError, FetchedChange, Unreadable
from scheduler.adapters.registry import review_system
from scheduler.domain import backports as domain
from scheduler.domain.changes import ChangeSet
from scheduler.domain.dependencies import Dependencies
from scheduler.domain.lifecycle import TRANSITIONS, Action, Status
from scheduler.domain.permissions import Act, may, require
from scheduler.domain.planning.plan import plan_window
from scheduler.domain.statements import StatementKind
from scheduler.forms import BackportAnswersForm, BackportForm, PreviewForm
from scheduler.models import Backport, Change, Plan, Window
from scheduler.queries import newest_plan, planned_now
from scheduler.services.backports import (
    BackportAnswers,
    refusal_to_book,
    submit_backport,
    withdraw_backport,
)
from scheduler.services.changes import store_changes
from scheduler.views.history import history_of
from scheduler.views.http import PageRequest, Refusal, act, answered_before, page
from scheduler.views.pictures import Link, Picture, picture_of
from scheduler.views.plan_pages import Entry, Objection, PlanPage, QuestionCard, StepRow
from scheduler.views.reading import bookable_windows, question_to_requester, reviews_of
from scheduler.views.reviewing import reviewing_of
from scheduler.views.windows import plan_page

NEW = "scheduler/backports/new.html"
PAGE = "scheduler/backports/detail.html"

ELSEWHERE = "The window you came from is locked or over, so the next one is chosen here."
ASK_LATER = "The review system does not answer; nothing was booked. Try again in a minute."


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen with a change if it were booked now."""

    entry: Entry
    patch_set: int
    place: str
    step: StepRow | None
    questions: tuple[QuestionCard, ...]


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: PageRequest) -> HttpResponse:
    """Book a backport; "Look it up" only shows what would happen."""
    windows = bookable_windows(timezone.now())
    preview_url = reverse("backport-preview")
    if request.method != "POST":
        return _opened(request, windows, preview_url)
    require(actor_of(request.user), Act.BOOK)
    if "look-up" in request.POST:
        form = BackportForm(windows=windows, preview_url=preview_url, initial=_typed(request))
        return page(request, NEW, {"section": "new", "form": form, **_previewed(request)})
    if earlier := answered_before(request):  # whatever Gerrit or the window says by now
        return redirect(earlier)
    form = BackportForm(request.POST, windows=windows, preview_url=preview_url)
    result = _book(request, form) if form.is_valid() else None
    if isinstance(result, str):
        return redirect(result)
    answer = page(
        request, NEW, {"section": "new", "form": form, **_previewed(request)}, refusal=result
    )
    if result is None:
        answer.status_code = 422
    return answer


def _opened(request: PageRequest, windows: QuerySet[Window], preview_url: str) -> HttpResponse:
    """Show the form to whoever may book, with what the address says; others see who may."""
    wanted = request.GET.get("window", "")
    chosen = next((one.pk for one in windows if str(one.pk) == wanted), None)
    initial = {
        "tester": request.user.username,
        "nick": request.user.nick,
        "change": request.GET.get("change", ""),
        "window": chosen or _first(windows),
        "present": True,
    }
    form = BackportForm(windows=windows, preview_url=preview_url, initial=initial)
    context: dict[str, object] = {
        "section": "new",
        "form": form,
        "why_not_book": refusal_to_book(by=request.user),
        "preview_error": ELSEWHERE if wanted and not chosen else "",
        **(_previewed(request, initial) if initial["change"] else {}),
    }
    return page(request, NEW, context)


def _first(windows: QuerySet[Window]) -> int | None:
    """Return the key of the next window that is not a replay."""
    return windows.filter(as_of__isnull=True).values_list("pk", flat=True).first()


def _typed(request: PageRequest) -> dict[str, object]:
    """Return what was typed so far, to be shown again without complaints."""
    lists = {"marks", "criteria"}
    typed: dict[str, object] = {
        name: values if name in lists else values[-1] for name, values in request.POST.lists()
    }
    return {"present": False, **typed}


def _book(request: PageRequest, form: BackportForm) -> str | Refusal | None:
    """Fetch the change and book it; None where the form is to be shown with its errors."""
    try:
        fetched = _fetch(form.cleaned_data["change"])
    except Unreadable as unreadable:
        form.add_error("change", str(unreadable))
        return None
    except AdapterError as trouble:
        return Refusal(str(trouble) or ASK_LATER, 422)
    given = form.cleaned_data

    def effect() -> str:
        now = timezone.now()
        stored = store_changes(fetched=fetched, at=now)
        number = fetched[0].change.number
        change = next((one for one in stored if one.number == number), None)
        backport = submit_backport(
            change=change or Change.objects.get(number=number),
            window=given["window"],
            requester=request.user,
            answers=answers_of(form),
        )
        return reverse("backport", args=[backport.pk])

    return act(request, effect)


def answers_of(form: BackportAnswersForm) -> BackportAnswers:
    """Return what was said in a form that is valid."""
    given = form.cleaned_data
    return BackportAnswers(
        kind=domain.Kind(given["kind"]),
        urgency=domain.Urgency(given["urgency"]),
        present=given["present"],
        tester=given["tester"],
        nick=given["nick"],
        marks=frozenset(domain.Mark(mark) for mark in given["marks"]),
        criteria=frozenset(given["criteria"]),
        why_not_train=given["why_not_train"],
        user_impact=given["user_impact"],
        tested_where=given["tested_where"],
        verify_how=given["verify_how"],
        problems_where=given["problems_where"],
        rollback_how=given["rollback_how"],
        steps_before=given["steps_before"],
        steps_after=given["steps_after"],
    )


def _fetch(pasted: str) -> tuple[FetchedChange, ...]:
    system = review_system()
    return system.fetch_change(system.reference_of(pasted))


@require_safe
def preview(request: PageRequest) -> HttpResponse:
    """Show facts, verdict, place and suspected couplings of a change that is being typed."""
    answer = page(
        request,
        NEW,
        {
            "section": "new",
            "form": BackportForm(windows=bookable_windows(timezone.now())),
            **(_previewed(request, request.GET) if request.GET.get("change", "").strip() else {}),
        },
        partial="preview",
    )
    answer["Cache-Control"] = "no-store"
    return answer


def _previewed(request: PageRequest, given: Mapping[str, Any] | None = None) -> dict[str, object]:
    """Return what the page shows beside the form: the preview, or why there is none."""
    form = PreviewForm(
        given if given is not None else request.POST,
        windows=bookable_windows(timezone.now()),
    )
    if not form.is_valid():
        wanting = next(iter(form.errors))
        return {"preview_error": f"Choose the {wanting} first; then the verdict appears here."}
    try:
        fetched = _fetch(form.cleaned_data["change"])
    except (Unreadable, AdapterError) as trouble:
        return {"preview_error": str(trouble)}
    return {"preview": _preview_of(request, form, fetched)}


def _preview_of(
    request: PageRequest, form: PreviewForm, fetched: tuple[FetchedChange, ...]
) -> Preview:
    """Plan the window as if the change were booked now, last of all."""
    given = form.cleaned_data
    window: Window = given["window"]
    now = window.planned_at(timezone.now())
    facts, _ = planned_now(window, now)
    number = fetched[0].change.number
    wished = domain.Backport(
        change=number,
        requester=request.user.username,
        submitted_at=now,
        kind=domain.Kind(given["kind"] or domain.Kind.BUG),
        urgency=domain.Urgency.NORMAL
        if given["urgency"] == ""
        else domain.Urgency(given["urgency"]),
        present=given["present"],
        marks=frozenset(domain.Mark(mark) for mark in given["marks"]),
        criteria=frozenset(given["criteria"]),
    )
    changes = ChangeSet((*facts.changes, *(one.change for one in fetched)))
    booked = tuple(one for one in facts.backports if one.change != number)
    plan = plan_window(replace(facts, changes=changes, backports=(*booked, wished)))
    shown = PlanPage(
        result=render(plan),
        changes={change.number: change for change in changes},
        reader=request.user.username,
    )
    return Preview(
        entry=shown.entry(number),
        patch_set=fetched[0].patch_set,
        place=shown.place_of(number),
        step=shown.step_of.get(number),
        questions=shown.questions_about(number),
    )


@require_safe
def detail(request: PageRequest, pk: int) -> HttpResponse:
    """Show everything there is to know about a backport."""
    return show(request, pk)


def show(request: PageRequest, pk: int, *, refusal: Refusal | None = None) -> HttpResponse:
    """Answer with the backport as it is now, whole or as the partial that htmx swaps in."""
    rows = Backport.objects.select_related("change", "window", "requester")
    backport = get_object_or_404(rows, pk=pk)
    number = backport.change.number
    plan = newest_plan(backport.window)
    shown = plan_page(backport.window, plan, reader=request.user.username)
    entry = shown.entry(number)
    if entry.change is None or not backport.is_open:
        entry = Entry(number, backport.change, backport)
    actor = actor_of(request.user)
    place = shown.place_of(number) if backport.is_open else ""
    reviews = reviews_of(backport)
    questions = shown.questions_about(number) if backport.is_open else ()
    context: dict[str, object] = {
        "section": "calendar",
        "backport": backport,
        "entry": entry,
        "place": place,
        "step": shown.step_of.get(number) if backport.is_open else None,
        "moving": entry.blocking,
        "urgency": domain.Urgency(backport.urgency).slug,
        "questions": questions,
        "plan_fingerprint": plan.fingerprint if plan else "",
        "may_answer": may(actor, Act.ANSWER_QUESTION),
        "picture": _picture(number, plan, shown, questions),
        "reviews": reviews,
        "approval": next(
            (one for one in reviews if one.decision == "approve" and one.voided_at is None), None
        ),
        "reviewing": reviewing_of(request.user, actor, backport, entry.objections),
        "asked": question_to_requester(backport, reviews),
        "may_amend": can_be_amended(backport)
        and may(actor, Act.AMEND, relations_to(actor, backport)),
        "may_withdraw": backport.is_open
        and backport.status != Status.DEPLOYING.value
        and may(actor, Act.WITHDRAW, relations_to(actor, backport)),
        "history": history_of(backport),
        "next_sentence": _next_sentence(backport, place, entry, questions, shown),
    }
    return page(request, PAGE, context, partial="backport", refusal=refusal)


def can_be_amended(backport: Backport) -> bool:
    """Return whether the status of a backport still allows its answers to change."""
    return (Status(backport.status), Action.AMEND) in TRANSITIONS


@require_POST
def withdraw(request: PageRequest, pk: int) -> HttpResponse:
    """Take a backport out of its window."""
    rows = Backport.objects.select_related("change", "window", "requester")
    backport = get_object_or_404(rows, pk=pk)

    def effect() -> str:
        withdraw_backport(
            backport=backport,
            by=request.user,
            fingerprint=request.POST.get("fingerprint", ""),
        )
        return reverse("backport", args=[pk])

    result = act(request, effect)
    if isinstance(result, Refusal):
        return show(request, pk, refusal=result)
    return show(request, pk) if request.htmx else redirect(result)


def _picture(
    number: int, plan: Plan | None, shown: PlanPage, questions: tuple[QuestionCard, ...]
) -> Picture | None:
    """Return what a change is linked with: declared, stated, or asked about."""
    if plan is None:
        return None
    facts = parse(json.dumps(plan.document))
    booked = [one.change for one in facts.backports]
    known = Dependencies(facts.changes, booked, facts.production, facts.statements)
    every = [
        Link(link.to.number, one.number, "open parent" if link.is_parent else "Depends-On")
        for one in facts.changes
        for link in known.links(one.number)
    ]
    every += [
        Link(
            said.first,
            said.then,
            f"{said.by or 'somebody'} said"
            + (" together" if said.kind is StatementKind.TOGETHER else ""),
        )
        for said in facts.statements
        if said.kind is not StatementKind.UNRELATED
    ]
    linked = {number}
    for _ in range(len(every)):
        more = {
            end
            for link in every
            if link.then in linked or link.first == number
            for end in (link.first, link.then)
        }
        if more <= linked:
            break
        linked |= more
    links = [link for link in every if link.first in linked and link.then in linked]
    links += [
        Link(card.low.number, card.high.number, "question open", asked=True) for card in questions
    ]
    labels = {change.number: change.project.rpartition("/")[2] for change in facts.changes}
    return picture_of(number, links, labels)


_AFTERWARDS = {
    Status.NEEDS_INFO: "A reviewer asked something; the requester has to reply.",
    Status.DEPLOYING: "It is being deployed.",
    Status.TRAIN: "It rides the train; nothing more to do here.",
    Status.DECLINED: "It was declined; the history says why.",
    Status.WITHDRAWN: "It was withdrawn; the change can be booked again.",
    Status.MISSED: "Its window is over; the change can be booked again.",
}


def _next_sentence(
    backport: Backport,
    place: str,
    entry: Entry,
    questions: tuple[QuestionCard, ...],
    shown: PlanPage,
) -> str:
    """Return what happens next, in one sentence."""
    status = Status(backport.status)
    if status not in {Status.SUBMITTED, Status.APPROVED, Status.QUEUED}:
        return _AFTERWARDS.get(status, "Nothing more to do here.")
    if questions:
        other = questions[0].high if questions[0].low.number == entry.number else questions[0].low
        return f"Somebody has to say how it belongs together with {other.number}."
    if place == "queue" and backport.window.is_locked and status is not Status.QUEUED:
        return (
            "It changed after the queue was locked and is not to be deployed: unlock to plan again."
        )
    if place == "queue":
        return "It is in the queue; be there when its step starts."
    blocking = list(entry.blocking)
    if status is Status.SUBMITTED:  # an approval can take the others along
        blocking = [
            one for one in blocking if one.rule != "not-approved" and not one.can_be_acknowledged
        ]
    if blocking:
        return _way_out(blocking[0], shown)
    return "Somebody other than its requester and author has to approve it."


def _way_out(objection: Objection, shown: PlanPage) -> str:
    """Return what would change it, and for each change that it waits for what that one needs."""
    others = [shown.entry(number) for number in objection.waits_for]
    return " ".join(
        [
            objection.remedy or objection.message,
            *(f"{one.number}: {one.blocking[0].remedy}" for one in others if one.blocking),
        ]
    )
