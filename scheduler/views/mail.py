"""Mail that still has to go out: to whom, about what, and why it does not."""

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from scheduler.actors import actor_of
from scheduler.domain.permissions import Act, require
from scheduler.domain.sentences import sentence_of
from scheduler.models import Notification
from scheduler.services.notifications import path_to, send_sooner, unsent
from scheduler.views.http import PageRequest, Refusal, act, page

MOST = 200  # rows on the page; those that failed most come first
PAGE = "scheduler/people/mail.html"

# What the text of a failure begins with, in the words of who looks after the site.
_WORDS = {
    "SMTPRecipientsRefused": "The mail server does not take mail for this address.",
    "SMTPSenderRefused": "The mail server does not take mail from us.",
    "SMTPAuthenticationError": "The mail server refused our name or password.",
    "ConnectionRefusedError": "The mail server cannot be reached.",
    "TimeoutError": "The mail server did not answer in time.",
    "gaierror": "The mail server's name is not known.",
    "ValueError": "The mail cannot be written: its address or its text is not usable.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One mail that waits.

    Attributes:
        about: what happened, as a sentence; link: where that is shown.
        failure: why the last attempt failed, in words; "" if there was none.
        raw: the same as the mail server or the system says it.
        next_try: when it is tried next, UTC; None while somebody is at it.
    """

    notification: Notification
    about: str
    link: str
    failure: str
    raw: str
    next_try: datetime | None


@require_safe
def mail(request: PageRequest) -> HttpResponse:
    """List the mail that was not sent, for release engineers."""
    return _show(request)


@require_POST
def try_now(request: PageRequest, pk: int) -> HttpResponse:
    """Have one mail tried again by the next sweep, however long its pause still lasts."""
    require(actor_of(request.user), Act.LOOK_AFTER_MAIL)
    notification = get_object_or_404(Notification, pk=pk)

    def effect() -> str:
        send_sooner(notification=notification, by=request.user)
        return f"{reverse('mail')}?done=1"

    result = act(request, effect)
    return _show(request, result) if isinstance(result, Refusal) else redirect(result)


def _show(request: PageRequest, refusal: Refusal | None = None) -> HttpResponse:
    require(actor_of(request.user), Act.LOOK_AFTER_MAIL)
    now = timezone.now()
    waiting = unsent().select_related("recipient", "event__backport__change", "event__window")
    rows = waiting.defer("event__backport__change__diff").order_by("-attempts", "due_at", "pk")
    context: dict[str, object] = {
        "section": "people",
        "rows": [_row(one, now) for one in rows[:MOST]],
        "count": waiting.count(),
        "most": MOST,
        "done": "done" in request.GET,
    }
    return page(request, PAGE, context, refusal=refusal)


def _row(notification: Notification, now: datetime) -> Row:
    event = notification.event
    claimed = notification.claimed_until
    return Row(
        notification=notification,
        about=sentence_of(event.kind, event.payload, event.actor_name),
        link=_link_to(notification),
        failure=_in_words(notification.failure),
        raw=notification.failure,
        next_try=None if claimed and claimed > now else max(notification.due_at, now),
    )


def _link_to(notification: Notification) -> str:
    """Return where a release engineer reads what a mail is about."""
    if notification.event.kind.startswith("person."):
        return reverse("person", args=[notification.recipient_id])
    return path_to(notification.event)


def _in_words(failure: str) -> str:
    if not failure:
        return ""
    return _WORDS.get(failure.partition(":")[0], "The mail server, or the way to it, has trouble.")
