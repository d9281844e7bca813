"""Booking backports: what somebody pasted is looked up, judged in the next windows, and booked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from scheduler.actors import actor_of
from scheduler.adapters.ports import Unreadable
from scheduler.domain import backports as domain
from scheduler.domain.permissions import Act, may, require
from scheduler.forms import (
    BackportAnswersForm,
    BackportForm,
    PreviewForm,
    early_answers,
    early_reasons,
)
from scheduler.models import Backport, Change, Draft, User, Window
from scheduler.queries import names_trusted_with
from scheduler.services.backports import BackportAnswers, refusal_to_book, was_reverted
from scheduler.services.drafts import drafts_of, usable
from scheduler.services.fingerprints import ANSWERS
from scheduler.services.intake import Named, book_named, look_up
from scheduler.services.statements import Answer, answer_what_is_asked
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act, answered_before, page
from scheduler.views.previewing import WindowRow, Wish, choice_of, preview_of
from scheduler.views.reading import bookable_windows
from scheduler.views.sessions import typist_token

Row = TypeVar("Row", Draft, Backport)

NEW = "scheduler/backports/new.html"
LISTS = frozenset({"marks", "criteria", "along", "offered"})
WHO_IS_THERE = frozenset({"present", "tester", "nick"})

ELSEWHERE = "The window you came from is locked or over, so the next one is chosen here."
FULL = "The window you came from is full, so the next one with room is chosen here."
GIVE_NUMBER = "A Change-Id can be looked up in Gerrit only: give the number of the change."
LOOK_AGAIN = "Cherry-picks that you ticked can no longer be booked along with it; look it up again."


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: PageRequest) -> HttpResponse:
    """Book backports; "Look it up" only shows what would happen."""
    windows = _windows(request, timezone.now())
    if request.method != "POST":
        return _opened(request, windows)
    require(actor_of(request.user), Act.BOOK)
    if "look-up" in request.POST:
        return _shown(request, _form(windows, initial=_as_initial(dict(request.POST.lists()))))
    if earlier := answered_before(request):  # whatever Gerrit or the window says by now
        return redirect(earlier)
    form = BackportForm(request.POST, windows=windows, preview_url=reverse("backport-preview"))
    result = _book(request, form) if form.is_valid() else None
    if isinstance(result, str):
        return redirect(result)
    form.focus_first_error()
    asks = isinstance(result, Refusal) and _were_reverted(form)
    return _shown(request, form, refusal=result, status=UNUSABLE, asks_what_differs=asks)


def _were_reverted(form: BackportForm) -> bool:
    """Return whether one of the changes that were named was reverted as it is now."""
    given = form.cleaned_data
    named = look_up(given["change"], now=timezone.now(), just_looking=True)
    numbers = [one.number for one in named if one.number]
    rows = Change.objects.filter(number__in=[*numbers, *given["along"]]).defer("diff")
    return any(map(was_reverted, rows))


def _windows(request: PageRequest, now: datetime) -> QuerySet[Window]:
    """Return the windows that whoever asks can still book in."""
    return bookable_windows(now, late=may(actor_of(request.user), Act.BOOK_LATE))


def _book(request: PageRequest, form: BackportForm) -> str | Refusal | None:
    """Look the changes up and book them; None where the form is to be shown with its errors."""
    given = form.cleaned_data
    try:
        named = look_up(given["change"], now=timezone.now())
    except Unreadable as unreadable:
        form.add_error("change", str(unreadable))
        return None
    for sentence in _reasons_against(named, given["along"]):
        form.add_error("change", sentence)
    answers = _said_of_pairs(request, form)
    if form.errors:
        return None
    not_taken: list[str] = []

    def effect() -> str:
        backports = book_named(
            named=named,
            along=given["along"],
            window=given["window"],
            requester=request.user,
            answers=answers_of(form),
            draft=request.POST.get("draft", ""),
            at=timezone.now(),
        )
        not_taken[:] = answer_what_is_asked(
            window=given["window"], by=request.user, answers=answers
        )
        if len(backports) == 1:
            return reverse("backport", args=[backports[0].pk])
        return reverse("window", args=[given["window"].pk])

    result = act(request, effect)
    if isinstance(result, str):
        _say_booked(request, [*(one.number or 0 for one in named), *given["along"]])
        for sentence in not_taken:
            messages.warning(request, sentence)
    return result


def _said_of_pairs(request: PageRequest, form: BackportForm) -> list[Answer]:
    """Return what was said of pairs of changes; what cannot be read is an error of the form."""
    try:
        return early_answers(request.POST)
    except ValidationError as unusable:
        form.add_error("change", unusable)
        return []


def _reasons_against(named: tuple[Named, ...], along: tuple[int, ...]) -> list[str]:
    """Return why these changes cannot be booked as they were named; empty if they can."""
    reasons = []
    for one in named:
        if one.number is None and one.may_be_late:
            reasons.append(f"{one.reference}: {one.trouble} {GIVE_NUMBER}")
        elif not one.can_be_booked:
            reasons.append(one.trouble)
    offered = {pick.number for one in named for pick in one.open_siblings}
    offered |= {one.number for one in named if one.number}
    if not offered.issuperset(along):
        reasons.append(LOOK_AGAIN)
    return reasons


def _say_booked(request: PageRequest, numbers: list[int]) -> None:
    """Say what was booked, and what is held until the review system has told about it."""
    named = ", ".join(map(str, dict.fromkeys(numbers)))
    unknown = Change.objects.filter(number__in=numbers, fetched_at__isnull=True)
    late = [str(number) for number in unknown.values_list("number", flat=True)]
    if late:
        messages.warning(
            request,
            f"Booked: {named}. Gerrit has not told about {', '.join(late)} yet: it is held until "
            "then, and checked as soon as Gerrit answers.",
        )
    else:
        messages.success(request, f"Booked: {named}.")


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
        what_differs=given["what_differs"],
    )


def _opened(request: PageRequest, windows: QuerySet[Window]) -> HttpResponse:
    """Show the form to whoever may book, with what the address says; others see who may."""
    if why_not := refusal_to_book(by=request.user):
        givers = names_trusted_with(Act.MANAGE_PEOPLE)
        return page(request, NEW, {"section": "new", "why_not_book": why_not, "givers": givers})
    draft = _named_in_address(request, Draft.objects.filter(user=request.user), "draft")
    source = _named_in_address(
        request, Backport.objects.select_related("change", "requester"), "from"
    )
    initial: dict[str, object] = {
        "tester": request.user.username,
        "nick": request.user.nick,
        "present": True,
    }
    if source is not None:
        initial |= _copied(source, request)
    if draft is not None:
        initial |= _as_initial(usable(draft.typed))
    if request.GET.get("change"):
        initial["change"] = request.GET["change"]
    wanted = request.GET.get("window") or initial.get("window", "")
    initial["window"] = next((one.pk for one in windows if str(one.pk) == wanted), None)
    sentence = ELSEWHERE if wanted and initial["window"] is None else ""
    if request.GET.get("window") and _is_full(initial["window"], windows, request.user):
        sentence, initial["window"] = FULL, None
    initial["window"] = initial["window"] or _first(windows, request.user)
    form = _form(windows, initial=initial)
    return _shown(
        request,
        form,
        preview_error=sentence,
        source=source,
        draft=draft,
        asks_what_differs=source is not None and not source.is_open and was_reverted(source.change),
    )


def _named_in_address(request: PageRequest, rows: QuerySet[Row], parameter: str) -> Row | None:
    """Return the row whose key the address gives; None where it gives none of these."""
    key = request.GET.get(parameter, "")
    usual = key.isascii() and key.isdecimal() and len(key) < 19  # noqa: PLR2004 - of 64 bits
    return rows.filter(pk=key).first() if usual else None


def _copied(source: Backport, request: PageRequest) -> dict[str, object]:
    """Return the answers of a backport for another one; one that is over is booked again.

    Who will be there is copied for its own requester only.
    """
    own = source.requester_id == request.user.pk
    names = [name for name in ANSWERS if own or name not in WHO_IS_THERE]
    again = {} if source.is_open else {"change": str(source.change.number)}
    return {name: getattr(source, name) for name in names} | again


def _is_full(key: object, windows: QuerySet[Window], reader: User) -> bool:
    """Return whether a window, named by its key, has no slot left."""
    rows = choice_of(windows.filter(pk=str(key)), None, reader).rows if key else ()
    return any(row.slots_left == 0 for row in rows)


def _first(windows: QuerySet[Window], reader: User) -> int | None:
    """Return the key of the next window that has room and has not begun, else of the best other."""
    now = timezone.now()

    def is_worse(row: WindowRow) -> tuple[bool, bool, bool]:
        return row.window.as_of is not None, not row.has_room, row.window.start <= now

    rows = sorted(choice_of(windows, None, reader).rows, key=is_worse)
    return rows[0].window.pk if rows else None


def _as_initial(typed: Mapping[str, list[str]]) -> dict[str, object]:
    """Return what was typed so far, to be shown again without complaints."""
    values = {name: given if name in LISTS else given[-1] for name, given in typed.items() if given}
    return {"present": False, **values}


def _form(windows: QuerySet[Window], *, initial: Mapping[str, object]) -> BackportForm:
    preview_url = reverse("backport-preview")
    return BackportForm(windows=windows, preview_url=preview_url, initial=dict(initial))


@require_safe
def preview(request: PageRequest) -> HttpResponse:
    """Show what would happen with the changes that are being typed, in each of the next windows."""
    form = BackportForm(windows=_windows(request, timezone.now()))
    context = {"section": "new", "form": form, **_previewed(request, request.GET)}
    answer = page(request, NEW, context, partial="preview")
    answer["Cache-Control"] = "no-store"
    return answer


def _shown(
    request: PageRequest,
    form: BackportForm,
    *,
    refusal: Refusal | None = None,
    status: int = 200,
    **context: object,
) -> HttpResponse:
    """Show the form as it is, with what would happen beside it."""
    given = request.POST if form.is_bound or "look-up" in request.POST else form.initial
    whole: dict[str, object] = {
        "section": "new",
        "said": set(request.POST.getlist("coupling")),
        "reasons": early_reasons(request.POST),
        "form": form,
        "drafts": drafts_of(request.user),
        "draft_key": request.POST.get("draft", ""),
        "typist": typist_token(request.user),
        **_previewed(request, given),
        **{name: value for name, value in context.items() if value},
    }
    answer = page(request, NEW, whole, refusal=refusal)
    if refusal is None:
        answer.status_code = status
    return answer


def _previewed(request: PageRequest, given: Mapping[str, Any]) -> dict[str, object]:
    """Return what the page shows beside the form: the windows, the preview, or why it has none."""
    now = timezone.now()
    windows = _windows(request, now)
    form = PreviewForm(given, windows=windows)
    form.is_valid()
    chosen = form.cleaned_data.get("window")
    choice = choice_of(windows, chosen.pk if chosen else None, request.user)
    shown: dict[str, object] = {"choice": choice}
    pasted = form.cleaned_data.get("change", "")
    if not pasted:
        return shown
    if form.errors:
        sentence = f"Choose the {next(iter(form.errors))} first; then the verdict appears here."
        return {**shown, "preview_error": sentence}
    try:
        named = look_up(pasted, now=now, just_looking=True)
    except Unreadable as unreadable:
        return {**shown, "preview_error": str(unreadable)}
    result, choice = preview_of(named, _wish(form), choice, reader=request.user, now=now)
    return {"choice": choice, "preview": result}


def _wish(form: PreviewForm) -> Wish:
    given = form.cleaned_data
    urgency = given["urgency"]
    return Wish(
        kind=domain.Kind(given["kind"] or domain.Kind.BUG),
        urgency=domain.Urgency.NORMAL if urgency == "" else domain.Urgency(urgency),
        present=given["present"],
        marks=frozenset(domain.Mark(mark) for mark in given["marks"]),
        criteria=frozenset(given["criteria"]),
        along=frozenset(given["along"]),
        offered=frozenset(given["offered"]),
    )
