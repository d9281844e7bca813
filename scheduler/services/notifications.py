"""The outbox: each event is handed on, and whom it concerns gets a mail, at least once.

The database is the queue. A sweep looks for what is left to do, so that nothing is lost whatever
Redis, a worker or the mail server does, and any number of sweeps may run at once.
"""

import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import formataddr
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from scheduler.actors import actor_of, relations_to
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.checklist.turns import Now, now_for
from scheduler.domain.errors import OutOfDate
from scheduler.domain.notices import Why
from scheduler.domain.permissions import Act, Relation, require
from scheduler.domain.sentences import sentence_of, summary_of, words_of
from scheduler.models import Backport, Delivery, Event, Notification, Question, User
from scheduler.services.clock import database_now
from scheduler.services.concern import concerned_by, reason_for
from scheduler.services.runs import Course, course_of

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 60.0  # a sweep begins no further mail after this time
LEASE = timedelta(minutes=3)  # longer than a sweep and its last mail (EMAIL_TIMEOUT) together
FIRST_PAUSE = timedelta(seconds=30)  # after a failure; twice as long after each further one, …
LONGEST_PAUSE = timedelta(hours=1)  # … up to this
LONGEST_SUBJECT = 180  # characters
CLOSE, TICK, ASK = "window.close", "step.tick", "question.ask"


def deliver_events(*, at: datetime, limit: int = 500) -> int:
    """Hand on the events that were not handed on yet, oldest first; return how many.

    For each, what it owes to people is written with the note that it was handed on, or neither is:
    one notification for everybody whom it concerns.

    Args:
        at: the clock, UTC; mails are due from then on.
        limit: how many events at most; the next sweep takes the rest.
    """
    undelivered = (
        Event.objects.filter(delivery__isnull=True)
        .select_related("actor", "window")
        .order_by("seq")
    )
    return sum(_deliver(event, at) for event in undelivered[:limit])


@transaction.atomic
def _deliver(event: Event, at: datetime) -> bool:
    """Hand on one event; return False if another sweep did."""
    _, is_ours = Delivery.objects.get_or_create(event=event, defaults={"delivered_at": at})
    if is_ours:
        Notification.objects.bulk_create(
            Notification(event=event, recipient=person, why=why.value, due_at=at)
            for person, why in concerned_by(event).items()
        )
        logger.info("event %d: %s by %s", event.seq, event.kind, event.actor_name or "clock")
    return is_ours


def send_notifications(*, at: datetime, limit: int = 200) -> int:
    """Send the mails that are due, oldest first; return how many were sent.

    Each is claimed for `LEASE`, sent, then marked as sent. Who dies in between leaves a claim that
    runs out, and the mail is sent again, with the same Message-ID: at least once. A failure is
    written down, and tried again after a pause that grows to an hour; the others do not wait.

    Args:
        at: the clock when the sweep begins, UTC.
        limit: how many mails at most; the next sweep takes the rest.
    """
    begun = time.monotonic()
    due = _unclaimed(at).filter(due_at__lte=at).order_by("due_at", "pk")
    sent = 0
    for pk in list(due.values_list("pk", flat=True)[:limit]):
        if time.monotonic() - begun > SWEEP_SECONDS:
            break
        claim = _unclaimed(at).filter(pk=pk)
        if claim.update(claimed_until=at + LEASE, attempts=F("attempts") + 1) == 1:
            sent += _send(pk, at)
    return sent


def unsent() -> QuerySet[Notification]:
    """Return the mails that still have to go out."""
    return Notification.objects.filter(sent_at__isnull=True)


def send_sooner(*, notification: Notification, by: User) -> None:
    """Have a mail tried by the next sweep, however long the pause after its failure still lasts.

    No event: nothing that people decided or were told changes by it.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: it was sent already, or a sweep has it in hand.
    """
    require(actor_of(by), Act.LOOK_AFTER_MAIL)
    now = timezone.now()
    if not _unclaimed(now).filter(pk=notification.pk).update(due_at=now):
        raise OutOfDate("This mail was sent meanwhile, or is being sent now.")


def _unclaimed(at: datetime) -> QuerySet[Notification]:
    return unsent().filter(Q(claimed_until__isnull=True) | Q(claimed_until__lte=at))


def _send(pk: int, at: datetime) -> bool:
    """Send a mail that we have claimed, and write down how that went; return whether it went."""
    notification = Notification.objects.select_related(
        "recipient", "event__window", "event__backport__change", "event__backport__window"
    ).get(pk=pk)
    if not notification.recipient.is_active or not notification.recipient.email:
        notification.delete()  # nobody reads it any more
        return False
    if notification.event.kind == ASK and not _is_asked(notification.event):
        notification.delete()  # somebody answered meanwhile, and that has a mail of its own
        return False
    course = _course_for(notification.event)
    if course and notification.event.kind == TICK and not _waits_for(notification, course):
        notification.delete()  # they did it meanwhile, or it failed: it asks for nothing any more
        return False
    try:
        _mail_of(notification, course).send()
    except (OSError, ValueError) as failure:  # the server's troubles; an address that is none
        what = one_line(f"{type(failure).__name__}: {failure}")
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(notification.attempts - 1, 10))
        Notification.objects.filter(pk=pk).update(
            claimed_until=None, due_at=at + pause, failure=what[:300]
        )
        logger.warning("%s stays to be sent: %s", notification, what)
        return False
    Notification.objects.filter(pk=pk).update(
        claimed_until=None, sent_at=timezone.now(), failure=""
    )
    return True


def mail_of(notification: Notification) -> EmailMessage:
    """Return the mail about one event to one person.

    Its Message-ID is the same each time, so that whoever receives it twice can tell.
    """
    return _mail_of(notification, _course_for(notification.event))


def _mail_of(notification: Notification, course: Course | None) -> EmailMessage:
    """Return the same; what its reader does now, as their page says it, stands in it, too.

    Args:
        notification: which.
        course: how far the window is that is being deployed; None where it is about none.
    """
    event, person = notification.event, notification.recipient
    host = urlsplit(settings.PUBLIC_URL).hostname or "localhost"
    what = sentence_of(event.kind, event.payload, event.actor_name)
    now = now_for(course.person(actor_of(person)), course.hour) if course else None
    about = f"backport-{event.backport_id}" if event.backport else f"window-{event.window_id or 0}"
    return EmailMessage(
        subject=_subject(event, now.sentence if now and now.is_mine else what),
        body=render_to_string("scheduler/mail/event.txt", _facts(notification, what, now)),
        to=[formataddr((one_line(person.get_full_name()), person.email))],
        headers={
            "Message-ID": f"<event-{event.seq}.{event.hash[:16]}.{person.pk}@{host}>",
            "References": f"<{about}@{host}>",  # what is about one thing stands together
            "Auto-Submitted": "auto-generated",  # no absence is answered
        },
    )


def _course_for(event: Event) -> Course | None:
    """Return how far the window of an event is, if it tells of one that is still being deployed."""
    if event.window is None or not _is_of_the_hour(event.kind) or event.kind == CLOSE:
        return None
    return course_of(event.window, database_now())


def _is_of_the_hour(kind: str) -> bool:
    """Return whether events of a kind tell how a window is being deployed."""
    return kind in {CLOSE, "window.call", "window.begin", "window.extend"} or kind.startswith(
        ("lease.", "step.")
    )


def _waits_for(notification: Notification, course: Course) -> bool:
    """Return whether what a mail asks somebody to verify still waits for them."""
    event, actor = notification.event, actor_of(notification.recipient)
    asked = event.payload.get("verify") or []
    current = course.state.current
    turn = current.turn if current and not course.is_closed else ()
    waiting = {one.number for one in turn if one.kind is ItemKind.VERIFY and one.number in asked}
    return any(
        backport.change.number in waiting
        and relations_to(actor, backport) & {Relation.REQUESTER, Relation.TESTER}
        for backports in course.members.values()
        for backport in backports
    )


def _is_asked(event: Event) -> bool:
    """Return whether what an event says that it is asked still is, in any window."""
    pair = {"low": event.payload.get("first"), "high": event.payload.get("then")}
    return Question.objects.filter(**pair, closed_at__isnull=True).exists()


def link_to(event: Event) -> str:
    """Return the absolute address of exactly what an event is about, for who is told of it."""
    return _absolute(path_to(event))


def path_to(event: Event) -> str:
    """Return the same without the site."""
    if event.backport_id is not None:
        return reverse("backport", args=[event.backport_id])
    if event.window_id is not None:
        page = "deploy" if _is_of_the_hour(event.kind) else "window"
        return reverse(page, args=[event.window_id])
    return reverse("profile" if event.kind.startswith("person.") else "calendar")


def _absolute(path: str) -> str:
    return settings.PUBLIC_URL.rstrip("/") + path


def one_line(text: str) -> str:
    """Return a text as one line that shows what it says: no control characters of any kind."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _subject(event: Event, what: str) -> str:
    thing = _thing(event)
    subject = one_line(f"[SWAT] {thing}: {what.removesuffix('.')}")
    if len(subject) <= LONGEST_SUBJECT:
        return subject
    return subject[: LONGEST_SUBJECT - 1] + "…"


def _thing(event: Event) -> str:
    if event.backport is not None:
        return str(event.backport.change)
    if event.window is not None:
        return str(event.window)
    return "Your account" if event.kind.startswith("person.") else "Calendar"


def _facts(notification: Notification, what: str, now: Now | None) -> dict[str, object]:
    """Return what the template of a mail shows; each value a line, or a list of such."""
    event, person = notification.event, notification.recipient
    window = event.window or (event.backport.window if event.backport else None)
    said = [one_line(line) for line in words_of(event.payload).splitlines()]
    return {
        "sentence": one_line(what),
        "now": one_line(now.sentence) if now else "",
        "is_mine": now is not None and now.is_mine,
        "said": said,
        "summary": _summary_of(event),
        "change": _change_line(event.backport),
        "window": one_line(str(window)) if window else "",
        "at": _moment(event.at, person),
        "link": link_to(event),
        "because": reason_for(event, person, Why(notification.why)),
        "choice": _CHOICES[Why(notification.why)],
        "profile": _absolute(reverse("profile")),
    }


def _summary_of(event: Event) -> list[str]:
    """Return how each step of a closed window went, a line each; their indents stay."""
    lines = summary_of(event.payload) if event.kind == CLOSE else ()
    return ["  " * line.startswith(" ") + one_line(line) for line in lines]


_CHOICES = {
    Why.OWN: "what is yours",
    Why.REVIEW: "what waits for your review",
    Why.WATCHED: "what you watch",
    Why.WINDOW: "windows that you deploy",
}


def _change_line(backport: Backport | None) -> str:
    if backport is None:
        return ""
    change = backport.change
    return one_line(f"{change}: {change.subject}" if change.subject else str(change))


def _moment(at: datetime, person: User) -> str:
    """Return a moment in UTC and, where it differs, in the reader's zone."""
    utc = at.astimezone(UTC)
    shown = f"{utc:%a} {utc.day} {utc:%b %Y, %H:%M} UTC"
    try:
        local = utc.astimezone(ZoneInfo(person.time_zone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError):  # a zone that this machine does not know
        return shown
    if local.utcoffset() == utc.utcoffset():
        return shown
    return f"{shown} ({local:%a %H:%M} {local.tzname()}, {person.time_zone})"
