"""What people decide about a backport: each form posts the fingerprint of what it showed."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from scheduler.actors import actor_of, relations_to
from scheduler.domain.permissions import Act, Relation, may
from scheduler.domain.policy.findings import Level
from scheduler.domain.policy.rules import RULES_BY_ID
from scheduler.forms import HandOverForm, ReplyForm, ReviewForm
from scheduler.models import Backport
from scheduler.services import backports as requests
from scheduler.services import reviews as services
from scheduler.services.plans import replan_window
from scheduler.views.backports import show as show_backport
from scheduler.views.http import OUT_OF_DATE, UNUSABLE, PageRequest, Refusal, act
from scheduler.views.reviews import show_inbox

Given = Mapping[str, Any]  # what a valid form gives, by field

SHOULD_RULES = tuple(rule.id for rule in RULES_BY_ID.values() if rule.level is Level.SHOULD)


@require_POST
def approve(request: PageRequest, pk: int) -> HttpResponse:
    """Approve what the page showed, taking on the SHOULD findings that were ticked."""

    def approving(backport: Backport, given: Given) -> object:
        return services.approve_backport(
            backport=backport,
            reviewer=request.user,
            fingerprint=given["fingerprint"],
            acknowledged=frozenset(given["acknowledged"]),
            reason=given["reason"],
        )

    form = ReviewForm(request.POST, rules=SHOULD_RULES)
    return _decide(request, pk, form, approving, "was approved")


@require_POST
def acknowledge(request: PageRequest, pk: int) -> HttpResponse:
    """Take on what SHOULD rules say, and nobody took on yet."""

    def acknowledging(backport: Backport, given: Given) -> object:
        return services.acknowledge_findings(
            backport=backport,
            by=request.user,
            fingerprint=given["fingerprint"],
            rules=frozenset(given["acknowledged"]),
            reason=given["reason"],
        )

    form = ReviewForm(request.POST, rules=SHOULD_RULES)
    return _decide(request, pk, form, acknowledging, "has nothing left to take on")


@require_POST
def decline(request: PageRequest, pk: int) -> HttpResponse:
    """Decline, with the reason."""
    return _with_reason(request, pk, services.decline_backport, "was declined")


@require_POST
def train(request: PageRequest, pk: int) -> HttpResponse:
    """Send it to the train, with the reason."""
    return _with_reason(request, pk, services.send_to_train, "was sent to the train")


@require_POST
def dedicated(request: PageRequest, pk: int) -> HttpResponse:
    """Send it to a window of its own, with the reason."""
    return _with_reason(request, pk, services.send_to_dedicated, "was sent to a dedicated window")


@require_POST
def ask(request: PageRequest, pk: int) -> HttpResponse:
    """Ask the requester something."""
    return _with_reason(request, pk, services.ask_requester, "was sent back with your question")


@require_POST
def veto(request: PageRequest, pk: int) -> HttpResponse:
    """Keep it out of its window, as a deployer."""
    return _with_reason(request, pk, services.veto_backport, "was vetoed")


@require_POST
def withdraw_approval(request: PageRequest, pk: int) -> HttpResponse:
    """Take back the approval in force, with the reason."""
    return _with_reason(request, pk, services.withdraw_approval, "is not approved any more")


@require_POST
def reply(request: PageRequest, pk: int) -> HttpResponse:
    """Answer what a reviewer asked; it goes back to that reviewer."""

    def replying(backport: Backport, given: Given) -> object:
        return services.reply_to_question(
            backport=backport,
            by=request.user,
            fingerprint=given["fingerprint"],
            reply=given["reply"],
        )

    done = "went back to the reviewer with your answer"
    return _decide(request, pk, ReplyForm(request.POST), replying, done)


@require_POST
def hand_over(request: PageRequest, pk: int) -> HttpResponse:
    """Make somebody else its requester."""

    def handing_over(backport: Backport, given: Given) -> object:
        return requests.hand_over_backport(
            backport=backport,
            by=request.user,
            to=given["to"],
            fingerprint=given["fingerprint"],
        )

    form = HandOverForm(request.POST)
    to = form.cleaned_data["to"].username if form.is_valid() else ""
    return _decide(request, pk, form, handing_over, f"is {to}'s now")


@require_POST
def withdraw(request: PageRequest, pk: int) -> HttpResponse:
    """Take it out of its window; whoever did not request it says why."""
    backport, actor = backport_of(pk), actor_of(request.user)
    relations = relations_to(actor, backport)
    of_another = Relation.REQUESTER not in relations and may(actor, Act.WITHDRAW, relations)
    form = ReviewForm(request.POST, needs_reason=of_another)

    def effect() -> None:
        requests.withdraw_backport(
            backport=backport,
            by=request.user,
            fingerprint=form.cleaned_data["fingerprint"],
            reason=form.cleaned_data["reason"],
        )

    return decide(request, backport, form, effect, "was withdrawn")


@require_POST
def watch(request: PageRequest, pk: int) -> HttpResponse:
    """Hear, or no longer hear, what becomes of it."""
    watching = request.POST.get("watching") == "yes"

    def beginning_or_ending(backport: Backport, _given: Given) -> object:
        return requests.watch_backport(backport=backport, by=request.user, watching=watching)

    done = "is watched by you" if watching else "is not watched by you any more"
    return _decide(request, pk, Form(request.POST), beginning_or_ending, done)


def _with_reason(
    request: PageRequest, pk: int, service: Callable[..., Backport], done: str
) -> HttpResponse:
    """Do what takes a reason, through a service with the usual arguments."""

    def deciding(backport: Backport, given: Given) -> object:
        return service(
            backport=backport,
            by=request.user,
            fingerprint=given["fingerprint"],
            reason=given["reason"],
        )

    return _decide(request, pk, ReviewForm(request.POST, needs_reason=True), deciding, done)


def _decide(
    request: PageRequest,
    pk: int,
    form: Form,
    deed: Callable[[Backport, Given], object],
    done: str,
) -> HttpResponse:
    """Do something to a backport with what a form gives, as `decide`."""
    backport = backport_of(pk)
    return decide(request, backport, form, lambda: deed(backport, form.cleaned_data), done)


def backport_of(pk: int) -> Backport:
    """Return a backport with everything that permissions look at."""
    rows = Backport.objects.select_related("change", "window", "requester", "edited_by")
    return get_object_or_404(rows.defer("change__diff"), pk=pk)


def decide(
    request: PageRequest,
    backport: Backport,
    form: Form,
    effect: Callable[[], object],
    done: str,
) -> HttpResponse:
    """Do what a form asks, and show the backport, or the inbox, as it is then.

    Args:
        request: what was sent.
        backport: what it is about.
        form: what was sent, to be checked first.
        effect: the one service to call.
        done: what to say afterwards, behind the number of the change.
    """

    def act_on_it() -> str:
        effect()
        return reverse("backport", args=[backport.pk])

    result: str | Refusal
    if form.is_valid():
        result = act(request, act_on_it)
    else:
        result = Refusal(str(next(iter(form.errors.values()))[0]), UNUSABLE)
    return _answer(request, backport, result, f"{backport.change.number} {done}.")


def _answer(
    request: PageRequest, backport: Backport, result: str | Refusal, done: str
) -> HttpResponse:
    refusal = result if isinstance(result, Refusal) else None
    if refusal and refusal.status == OUT_OF_DATE:
        # What a rule says may have changed with the clock: show what it says now, or whoever
        # reads the page again is refused again.
        replan_window(window=backport.window, now=timezone.now())
    if refusal:
        done = ""
    if request.htmx and request.htmx.target == "inbox":
        return show_inbox(request, refusal=refusal, done=done)
    if request.htmx or refusal:
        return show_backport(request, backport.pk, refusal=refusal, done=done)
    messages.success(request, done)
    return redirect(str(result))
