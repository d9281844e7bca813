"""The review inbox, and what reviewers decide about exactly what they were shown."""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from scheduler.actors import actor_of
from scheduler.domain.backports import Urgency
from scheduler.domain.permissions import Act, may
from scheduler.domain.policy.rules import RULES_BY_ID
from scheduler.forms import ReviewForm
from scheduler.models import Backport
from scheduler.services import reviews as services
from scheduler.views.backports import show as show_backport
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act, page
from scheduler.views.plan_pages import Entry
from scheduler.views.reading import plan_pages, waiting_for_review
from scheduler.views.reviewing import Reviewing, reviewing_of

INBOX = "scheduler/reviews/inbox.html"


@dataclass(frozen=True, slots=True)
class Item:
    """One backport that waits."""

    entry: Entry
    place: str
    urgency: str
    reviewing: Reviewing


@require_safe
def inbox(request: PageRequest) -> HttpResponse:
    """Show what waits for this person."""
    return show_inbox(request)


def show_inbox(
    request: PageRequest, *, refusal: Refusal | None = None, done: str = ""
) -> HttpResponse:
    """Answer with the inbox as it is now, whole or as the partial that htmx swaps in."""
    actor = actor_of(request.user)
    is_reviewer = may(actor, Act.APPROVE)
    waiting = waiting_for_review(request.user, timezone.now()) if is_reviewer else []
    plans = plan_pages({one.window.pk: one.window for one in waiting}.values(), request.user)
    items = []
    for backport in waiting:
        plan = plans[backport.window_id]
        entry = plan.entry(backport.change.number)
        if entry.backport is None:
            continue
        reviewing = reviewing_of(request.user, actor, backport, entry.objections)
        place = plan.place_of(backport.change.number)
        items.append(
            Item(entry, place, Urgency(backport.urgency).slug, reviewing) if reviewing else None
        )
    context: dict[str, object] = {
        "section": "reviews",
        "items": [item for item in items if item],
        "is_reviewer": is_reviewer,
        "done": done,
    }
    return page(request, INBOX, context, partial="inbox", refusal=refusal)


@require_POST
def approve(request: PageRequest, pk: int) -> HttpResponse:
    """Approve what the page showed, taking on the SHOULD findings that were ticked."""

    def decide(backport: Backport, form: ReviewForm) -> None:
        services.approve_backport(
            backport=backport,
            reviewer=request.user,
            fingerprint=form.cleaned_data["fingerprint"],
            acknowledged=frozenset(form.cleaned_data["acknowledged"]),
            reason=form.cleaned_data["reason"],
        )

    return _decide(request, pk, decide, "approved", needs_reason=False)


@require_POST
def decline(request: PageRequest, pk: int) -> HttpResponse:
    """Decline, with the reason."""

    def decide(backport: Backport, form: ReviewForm) -> None:
        services.decline_backport(
            backport=backport,
            reviewer=request.user,
            fingerprint=form.cleaned_data["fingerprint"],
            reason=form.cleaned_data["reason"],
        )

    return _decide(request, pk, decide, "declined")


@require_POST
def train(request: PageRequest, pk: int) -> HttpResponse:
    """Send it to the train, with the reason."""

    def decide(backport: Backport, form: ReviewForm) -> None:
        services.send_to_train(
            backport=backport,
            by=request.user,
            fingerprint=form.cleaned_data["fingerprint"],
            reason=form.cleaned_data["reason"],
        )

    return _decide(request, pk, decide, "sent to the train")


@require_POST
def ask(request: PageRequest, pk: int) -> HttpResponse:
    """Ask the requester something."""

    def decide(backport: Backport, form: ReviewForm) -> None:
        services.ask_requester(
            backport=backport,
            by=request.user,
            fingerprint=form.cleaned_data["fingerprint"],
            reason=form.cleaned_data["reason"],
        )

    return _decide(request, pk, decide, "sent back with your question")


def _decide(
    request: PageRequest,
    pk: int,
    decide: Callable[[Backport, ReviewForm], None],
    done: str,
    *,
    needs_reason: bool = True,
) -> HttpResponse:
    rows = Backport.objects.select_related("change", "window", "requester")
    backport = get_object_or_404(rows, pk=pk)
    rules = [rule.id for rule in RULES_BY_ID.values() if rule.level == "SHOULD"]
    form = ReviewForm(request.POST, rules=rules, needs_reason=needs_reason)

    def effect() -> str:
        decide(backport, form)
        return reverse("backport", args=[pk])

    result: str | Refusal
    if form.is_valid():
        result = act(request, effect)
    else:
        result = Refusal(str(next(iter(form.errors.values()))[0]), UNUSABLE)
    return _answer(request, pk, result, f"{backport.change.number} was {done}.")


def _answer(request: PageRequest, pk: int, result: str | Refusal, done: str) -> HttpResponse:
    refusal = result if isinstance(result, Refusal) else None
    if request.htmx and request.htmx.target == "inbox":
        return show_inbox(request, refusal=refusal, done="" if refusal else done)
    if request.htmx or refusal:
        return show_backport(request, pk, refusal=refusal)
    return redirect(str(result))
