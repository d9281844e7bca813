"""Asking for a backport, changing what was said about it, and taking it back."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from unicodedata import normalize

from django.db import IntegrityError, transaction
from django.utils import timezone

from scheduler.actors import actor_of, relations_to
from scheduler.domain.backports import Kind, Mark, Urgency
from scheduler.domain.changes import ChangeStatus
from scheduler.domain.errors import OutOfDate, Refused
from scheduler.domain.lifecycle import Action, Status
from scheduler.domain.permissions import Act, Relation, may, require
from scheduler.models import Backport, Change, Review, Run, User, Watch, Window
from scheduler.queries import OPEN_STATUSES
from scheduler.services.events import record
from scheduler.services.failing import miss_what_left
from scheduler.services.plans import (
    end_all_lifting,
    end_lifting,
    replan_window,
    take_turn,
    void_approval,
)

_EMPTY_WORDS = frozenset(
    {"a", "an", "any", "are", "be", "can", "could", "expected", "expect", "here", "i", "is", "it"}
    | {"issue", "issues", "known", "likely", "low", "minimal", "n", "na", "no", "none", "not"}
    | {"nothing", "nowhere", "occur", "of", "particular", "problem", "problems", "really", "risk"}
    | {"risks", "should", "special", "that", "there", "think", "unlikely", "very", "applicable"}
    | {"keine", "keines", "kein", "nichts", "nirgends", "aucun", "aucune", "rien", "ninguno"}
    | {"at", "all", "whatsoever", "impact", "impacts", "nope", "nil", "zero", "0", "null", "side"}
    | {"effect", "effects", "real", "major", "see", "found", "was", "were", "has", "have", "so"}
    | {"anything", "anywhere", "dont", "know", "about", "to", "my", "knowledge", "in", "this"}
)


@dataclass(frozen=True, slots=True)
class BackportAnswers:
    """What a requester says about a backport; each field as the column of its name.

    Attributes:
        what_differs: what is different from last time, for a patch set that was reverted.
    """

    why_not_train: str
    user_impact: str
    tested_where: str
    verify_how: str
    problems_where: str
    rollback_how: str
    kind: Kind = Kind.BUG
    urgency: Urgency = Urgency.NORMAL
    present: bool = True
    tester: str = ""
    nick: str = ""
    marks: frozenset[Mark] = field(default=frozenset())
    criteria: frozenset[str] = field(default=frozenset())
    steps_before: str = ""
    steps_after: str = ""
    what_differs: str = ""

    def columns(self) -> dict[str, object]:
        """Return the values as the row of a backport stores them."""
        told = asdict(self)
        if not self.what_differs:
            del told["what_differs"]  # what was said when it was booked stays
        return {
            **told,
            "kind": self.kind.value,
            "urgency": self.urgency.value,
            "marks": sorted(mark.value for mark in self.marks),
            "criteria": sorted(self.criteria),
        }


@transaction.atomic
def submit_backports(
    *, changes: Sequence[Change], window: Window, requester: User, answers: BackportAnswers
) -> list[Backport]:
    """Ask for changes to be deployed in a window: all of them, or none.

    A change that the review system has not told about yet may be booked; it is held until then.

    Args:
        changes: one, or several that belong together and have the same answers, such as the
            cherry-picks of one fix to two branches.
        window: where.
        requester: who asks.
        answers: what they say, about each of them.

    Returns:
        The backports, planned into their window, in the order given. One event each is logged.

    Raises:
        NotPermitted: the requester has no role.
        Refused: the window is locked or over, the answers say nothing, a change is already booked
            somewhere, or it was reverted and nobody said what is different.
    """
    take_to_book(window, changes)
    now = timezone.now()
    require_bookable(requester, window, now)
    _require_answers(answers)
    backports = []
    for change in changes:
        require_difference(change, answers.what_differs)
        backport = _create(change, window, requester, answers, now)
        change.refresh_from_db(fields=["patch_set"])  # Gerrit may just have told
        record(
            kind="backport.submit",
            actor=requester,
            window=window,
            backport=backport,
            payload={"change": change.number, "patch_set": change.patch_set},
            at=now,
        )
        supersede_ride(backport, requester, now)
        backports.append(backport)
    replan_window(window=window, now=now)
    for backport in backports:
        read_again(backport)
    return backports


def submit_backport(
    *, change: Change, window: Window, requester: User, answers: BackportAnswers
) -> Backport:
    """Ask for one change to be deployed in a window, as `submit_backports`."""
    (backport,) = submit_backports(
        changes=[change], window=window, requester=requester, answers=answers
    )
    return backport


def was_reverted(change: Change) -> bool:
    """Return whether this patch set of a change went out before and was taken back.

    What is merged gets no further patch set.
    """
    reverted = Backport.objects.filter(change=change, status=Status.REVERTED.value)
    if change.status != ChangeStatus.MERGED.value:
        reverted = reverted.filter(started_patch_set=change.patch_set)
    return reverted.exists()


def require_difference(change: Change, what_differs: str) -> None:
    """Let pass what was not reverted, or of which somebody says what is different this time.

    Raises:
        Refused: it was, and nobody does.
    """
    if was_reverted(change) and says_nothing(what_differs):
        raise Refused(
            f"Patch set {change.patch_set} of {change.number} went out and was reverted. Say what "
            "is different this time, or upload another one."
        )


def take_to_book(window: Window, changes: Iterable[Change]) -> None:
    """Take a window for the rest of the transaction, to book changes in it.

    With it, in the order in which everybody takes them, the windows from which one of them was left
    to the train.
    """
    left = Backport.objects.filter(change__in=changes, status=Status.TRAIN.value)
    windows = {window, *Window.objects.filter(backports__in=left)}
    for place in sorted(windows, key=lambda one: one.pk):
        take_turn(place)


def supersede_ride(booked: Backport, by: User, at: datetime) -> None:
    """End the request by which the change was left to the train; one event if there is one."""
    rows = Backport.objects.filter(change=booked.change, status=Status.TRAIN.value)
    for left in rows.select_related("change", "window", "requester").order_by("pk"):
        left.apply(Action.SUPERSEDE)
        record(
            kind="backport.supersede",
            actor=by,
            window=left.window,
            backport=left,
            payload={"to": str(booked.window), "by": booked.pk},
            at=at,
        )


def _create(
    change: Change, window: Window, requester: User, answers: BackportAnswers, at: datetime
) -> Backport:
    try:
        with transaction.atomic():
            return Backport.objects.create(
                change=change,
                window=window,
                requester=requester,
                submitted_at=at,
                **answers.columns(),
            )
    except IntegrityError:
        booked = Backport.objects.filter(change=change, status__in=OPEN_STATUSES)
        elsewhere = booked.select_related("window").first()
        if elsewhere is None:
            raise
        raise Refused(f"Change {change} is already booked in {elsewhere.window}.") from None


@transaction.atomic
def amend_backport(
    *, backport: Backport, by: User, fingerprint: str, answers: BackportAnswers
) -> Backport:
    """Change what was said about a backport, or answer what a reviewer asked.

    An approval becomes void. One event is logged.

    Raises:
        NotPermitted: somebody else requested it.
        OutOfDate: it is not what the page showed any more.
        IllegalTransition: it is over or being deployed.
        Refused: the answers say nothing, or the window is over.
    """
    take_as_shown(backport, by, Act.AMEND, fingerprint)
    if backport.window.is_over(timezone.now()):
        raise Refused("The window is over; book the change in another one.")
    _require_answers(answers)
    now = timezone.now()
    backport.apply(Action.AMEND, approved_content="")
    Backport.objects.filter(pk=backport.pk).update(edited_by=by, **answers.columns())
    Review.objects.filter(backport=backport, decision="ask", replied_at__isnull=True).update(
        replied_at=now
    )
    void_approval(backport, now)
    record(kind="backport.amend", actor=by, window=backport.window, backport=backport, at=now)
    replan_window(window=backport.window, now=now)
    read_again(backport)
    return backport


@transaction.atomic
def withdraw_backport(
    *, backport: Backport, by: User, fingerprint: str, reason: str = ""
) -> Backport:
    """Take a backport out of its window. One event is logged.

    Args:
        backport: which.
        by: who.
        fingerprint: of what the page showed.
        reason: why; whoever withdraws what somebody else requested has to say it.

    Raises:
        NotPermitted: neither the requester nor a reviewer.
        OutOfDate: it is not what the page showed any more.
        IllegalTransition: it is over or being deployed.
        Refused: it is somebody else's, and there is no reason.
    """
    take_as_shown(backport, by, Act.WITHDRAW, fingerprint)
    if Relation.REQUESTER not in relations_to(actor_of(by), backport) and not reason.strip():
        raise Refused(f"Say why: {backport.requester.username} requested it, and reads it.")
    now = timezone.now()
    backport.apply(Action.WITHDRAW, approved_content="")
    void_approval(backport, now)
    record(
        kind="backport.withdraw",
        actor=by,
        window=backport.window,
        backport=backport,
        payload={"reason": reason.strip()} if reason.strip() else {},
        at=now,
    )
    end_all_lifting(backport, now)
    miss_what_left(backport=backport, by=by, reason=f"{by.username} withdrew it")
    replan_window(window=backport.window, now=now)
    return backport


def refusal_to_book(*, by: User, window: Window | None = None) -> str:
    """Return why somebody cannot book, in this window or at all; empty if they can."""
    try:
        require_bookable(by, window, timezone.now())
    except Refused as refusal:
        return refusal.sentence
    return ""


def require_bookable(by: User, window: Window | None, now: datetime) -> None:
    """Let pass who may book, in a window that takes bookings; None is any window.

    Raises:
        NotPermitted: they may not book at all.
        Refused: the window takes no bookings, or none of theirs any more.
    """
    require(actor_of(by), Act.BOOK)
    if window is None:
        return
    if not window.is_bookable:
        raise Refused("Backports are not booked in this kind of window.")
    if not window.takes_place or window.is_over(now):
        raise Refused("This window is over; choose a coming one.")
    if window.is_closed(now) and not may(actor_of(by), Act.BOOK_LATE):
        raise Refused("Booking in this window has closed; choose a later one, or ask a deployer.")
    if window.is_locked and Run.objects.filter(window=window).exists():
        raise Refused("This window is being deployed, or was; choose a coming one.")
    if window.is_locked:
        raise Refused(
            f"This window is locked; choose another one, or {_way_to_unlock(by, window)}."
        )


def _way_to_unlock(by: User, window: Window) -> str:
    """Return what this person can do about a lock."""
    if may(actor_of(by), Act.UNLOCK_WINDOW):
        return "unlock it first"
    names = window.deployers.order_by("username").values_list("username", flat=True)
    return f"ask who deploys it: {', '.join(names)}" if names else "ask a deployer"


@transaction.atomic
def hand_over_backport(*, backport: Backport, by: User, to: User, fingerprint: str) -> Backport:
    """Make somebody else the requester of a backport. One event is logged.

    Whoever hands it over counts as its last editor, so that nobody approves their own work by
    giving it away; an approval by the new requester becomes void.

    Raises:
        NotPermitted: neither the requester nor a release engineer; or the other one may not book.
        OutOfDate: it is not what the page showed any more.
        IllegalTransition: it is over or being deployed.
        Refused: it is theirs already.
    """
    take_as_shown(backport, by, Act.HAND_OVER, fingerprint)
    if to == backport.requester:
        raise Refused(f"It is {to.username}'s already.")
    receiver = actor_of(to)
    if not may(receiver, Act.BOOK):
        raise Refused(f"{to.username} may not book backports, so cannot have this one.")
    now = timezone.now()
    before = backport.requester
    backport.apply(Action.HAND_OVER)
    asked_by = sorted({*backport.asked_by, before.username})
    Backport.objects.filter(pk=backport.pk).update(
        requester=to, edited_by=before, asked_by=asked_by
    )
    read_again(backport)
    record(
        kind="backport.hand-over",
        actor=by,
        window=backport.window,
        backport=backport,
        payload={"from": before.username, "to": to.username},
        at=now,
    )
    end_what_they_decided(backport, now, why="the approver is its requester now")
    replan_window(window=backport.window, now=now)
    read_again(backport)
    return backport


def end_what_they_decided(backport: Backport, at: datetime, *, why: str) -> None:
    """End what people decided about a backport that is their own now; `why` it is, for the log.

    Whoever calls this holds its window.
    """

    def is_theirs(person: User | None) -> bool:
        return person is not None and bool(relations_to(actor_of(person), backport))

    approval = (
        Review.objects.filter(backport=backport, decision="approve", voided_at__isnull=True)
        .select_related("reviewer")
        .first()
    )
    if approval is not None and is_theirs(approval.reviewer):
        backport.apply(Action.VOID_APPROVAL, approved_content="")
        void_approval(backport, at)
        record(
            kind="backport.void-approval",
            actor=None,
            window=backport.window,
            backport=backport,
            payload={"why": why},
            at=at,
        )
    acknowledged = backport.acknowledgements.filter(ended_at__isnull=True).select_related("by")
    overridden = backport.overrides.filter(ended_at__isnull=True).select_related(
        "proposed_by", "confirmed_by"
    )
    end_lifting(
        backport,
        [
            *(one for one in acknowledged if is_theirs(one.by)),
            *(
                one
                for one in overridden
                if is_theirs(one.proposed_by) or is_theirs(one.confirmed_by)
            ),
        ],
        at,
    )


@transaction.atomic
def watch_backport(*, backport: Backport, by: User, watching: bool) -> None:
    """Have somebody hear, or no longer hear, what becomes of a backport.

    Raises:
        NotPermitted: no role.
    """
    require(actor_of(by), Act.WATCH)
    if watching:
        if not backport.is_open:
            raise Refused("This backport is over: nothing more happens to it.")
        Watch.objects.get_or_create(backport=backport, user=by)
    else:
        Watch.objects.filter(backport=backport, user=by).delete()


def says_nothing(answer: str) -> bool:
    """Tell whether an answer names no place: whether it has no word but those of saying no."""
    words = re.findall(r"\w+", normalize("NFKC", answer).replace("'", "").casefold())
    return all(word in _EMPTY_WORDS for word in words)


def take_as_shown(backport: Backport, by: User, act: Act, fingerprint: str) -> None:
    """Take a backport for the rest of the transaction, for what somebody does to what they saw.

    Raises:
        NotPermitted: they may not do this to it.
        OutOfDate: it is something else now.
    """
    take_turn(backport.window)
    read_again(backport)
    actor = actor_of(by)
    require(actor, act, relations_to(actor, backport))
    require_current(backport, fingerprint)


def read_again(backport: Backport) -> None:
    """Read a backport, its change, window and requester as they are now."""
    rows = Backport.objects.select_related("change", "window", "requester", "edited_by")
    backport.refresh_from_db(from_queryset=rows)


def require_current(backport: Backport, fingerprint: str) -> None:
    """Let pass what the person saw.

    Raises:
        OutOfDate: it is something else now.
    """
    if not fingerprint or fingerprint != backport.fingerprint:
        raise OutOfDate("This backport changed since you opened it; read it again.")


def _require_answers(answers: BackportAnswers) -> None:
    if says_nothing(answers.problems_where):
        raise Refused("Say where problems could occur; there is always somewhere to look.")
