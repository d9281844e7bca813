"""Amending what was said about a backport: also how a requester answers a reviewer."""

from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from scheduler.actors import actor_of, relations_to
from scheduler.domain.backports import Urgency
from scheduler.domain.errors import IllegalTransition
from scheduler.domain.lifecycle import Action, Status, status_after
from scheduler.domain.permissions import Act, require
from scheduler.forms import BackportAnswersForm
from scheduler.models import Backport
from scheduler.services.backports import amend_backport
from scheduler.services.fingerprints import ANSWERS
from scheduler.views.backports import can_be_amended
from scheduler.views.backports import show as show_backport
from scheduler.views.booking import answers_of
from scheduler.views.http import OUT_OF_DATE, UNUSABLE, PageRequest, Refusal, act, page
from scheduler.views.reading import question_to_requester, reviews_of

PAGE = "scheduler/backports/amend.html"


@require_http_methods(["GET", "HEAD", "POST"])
def amend(request: PageRequest, pk: int) -> HttpResponse:
    """Show the answers of a backport to its requester, and store what they changed."""
    backport = _backport(pk)
    actor = actor_of(request.user)
    require(actor, Act.AMEND, relations_to(actor, backport))
    if request.method != "POST":
        try:
            status_after(Status(backport.status), Action.AMEND)
        except IllegalTransition as refusal:
            return show_backport(request, pk, refusal=Refusal(refusal.sentence))
        form = BackportAnswersForm(initial=_answers_now(backport))
        return _show(request, backport, form, fingerprint=backport.fingerprint)
    form = BackportAnswersForm(request.POST, initial=_answers_now(backport))
    seen = request.POST.get("fingerprint", "")
    if not form.is_valid():
        return _show(request, backport, form, fingerprint=seen, status=UNUSABLE)

    def effect() -> str:
        amend_backport(
            backport=backport, by=request.user, fingerprint=seen, answers=answers_of(form)
        )
        return reverse("backport", args=[pk])

    result = act(request, effect)
    if isinstance(result, str):
        messages.success(request, f"The answers of {backport.change.number} are saved.")
        return redirect(result)
    # Whoever is out of date keeps what they typed, sees what there is now, and may then send it.
    backport = _backport(pk)
    form = BackportAnswersForm(request.POST, initial=_answers_now(backport))
    if result.status == OUT_OF_DATE:
        seen = backport.fingerprint
    return _show(request, backport, form, fingerprint=seen, refusal=result)


def _backport(pk: int) -> Backport:
    rows = Backport.objects.select_related("change", "window", "requester")
    return get_object_or_404(rows, pk=pk)


def _answers_now(backport: Backport) -> dict[str, object]:
    return {name: getattr(backport, name) for name in (*ANSWERS, "what_differs")}


def _show(  # noqa: PLR0913 - what the page is made of
    request: PageRequest,
    backport: Backport,
    form: BackportAnswersForm,
    *,
    fingerprint: str,
    refusal: Refusal | None = None,
    status: int = 200,
) -> HttpResponse:
    context: dict[str, object] = {
        "section": "calendar",
        "backport": backport,
        "form": form,
        "fingerprint": fingerprint,
        "can_be_amended": can_be_amended(backport),
        "is_approved": Status(backport.status) in {Status.APPROVED, Status.QUEUED},
        "asked": question_to_requester(backport, reviews_of(backport)),
        "stored": _stored(form) if refusal else (),
    }
    answer = page(request, PAGE, context, refusal=refusal)
    if refusal is None:
        answer.status_code = status
    return answer


def _stored(form: BackportAnswersForm) -> Sequence[tuple[str, str]]:
    """Return label and stored answer wherever something else was typed."""
    return [(str(form[name].label), _spoken(form.initial[name])) for name in form.changed_data]


def _spoken(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        value = ", ".join(value)
    elif isinstance(value, int):
        value = Urgency(value).slug
    return str(value) or "nothing"
