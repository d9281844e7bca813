"""Asking for a backport, changing what was said about it, and taking it back."""

from dataclasses import asdict, dataclass, field
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from scheduler.actors import actor_of, relations_to
from scheduler.domain.backports import Kind, Mark, Urgency
from scheduler.domain.errors import OutOfDate, Refused
from scheduler.domain.lifecycle import Action
from scheduler.domain.permissions import Act, require
from scheduler.models import Backport, Change, User, Window
from scheduler.queries import OPEN_STATUSES
from scheduler.services.events import record
from scheduler.services.plans import replan_window, take_turn, void_approval

_SAYS_NOTHING = frozenset({"", "none", "no", "n/a", "nothing", "nowhere", "-"})


@dataclass(frozen=True, slots=True)
class BackportAnswers:
    """What a requester says about a backport; each field as the column of its name."""

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

    def columns(self) -> dict[str, object]:
        """Return the values as the row of a backport stores them."""
        return {
            **asdict(self),
            "kind": self.kind.value,
            "urgency": self.urgency.value,
            "marks": sorted(mark.value for mark in self.marks),
            "criteria": sorted(self.criteria),
        }


@transaction.atomic
def submit_backport(
    *, change: Change, window: Window, requester: User, answers: BackportAnswers
) -> Backport:
    """Ask for a change to be deployed in a window.

    Returns:
        The backport, planned into its window. One event is logged.

    Raises:
        NotPermitted: the requester has no role.
        Refused: the window is locked or over, the answers say nothing, or the change is already
            booked somewhere.
    """
    take_turn(window)
    now = timezone.now()
    _require_bookable(requester, window, now)
    _require_answers(answers)
    try:
        with transaction.atomic():
            backport = Backport.objects.create(
                change=change,
                window=window,
                requester=requester,
                submitted_at=now,
                **answers.columns(),
            )
    except IntegrityError:
        booked = Backport.objects.filter(change=change, status__in=OPEN_STATUSES)
        elsewhere = booked.select_related("window").first()
        if elsewhere is None:
            raise
        raise Refused(f"Change {change} is already booked in {elsewhere.window}.") from None
    record(
        kind="backport.submit",
        actor=requester,
        window=window,
        backport=backport,
        payload={"change": change.number, "patch_set": change.patch_set},
        at=now,
    )
    replan_window(window=window, now=now)
    read_again(backport)
    return backport


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
    take_turn(backport.window)
    read_again(backport)
    require(actor_of(by), Act.AMEND, relations_to(by, backport))
    require_current(backport, fingerprint)
    if backport.window.is_over(timezone.now()):
        raise Refused("The window is over; book the change in another one.")
    _require_answers(answers)
    now = timezone.now()
    backport.apply(Action.AMEND, approved_content="")
    Backport.objects.filter(pk=backport.pk).update(**answers.columns())
    void_approval(backport, now)
    record(kind="backport.amend", actor=by, window=backport.window, backport=backport, at=now)
    replan_window(window=backport.window, now=now)
    read_again(backport)
    return backport


@transaction.atomic
def withdraw_backport(*, backport: Backport, by: User, fingerprint: str) -> Backport:
    """Take a backport out of its window. One event is logged.

    Raises:
        NotPermitted: neither the requester nor a reviewer.
        OutOfDate: it is not what the page showed any more.
        IllegalTransition: it is over or being deployed.
    """
    take_turn(backport.window)
    read_again(backport)
    require(actor_of(by), Act.WITHDRAW, relations_to(by, backport))
    require_current(backport, fingerprint)
    now = timezone.now()
    backport.apply(Action.WITHDRAW, approved_content="")
    void_approval(backport, now)
    record(kind="backport.withdraw", actor=by, window=backport.window, backport=backport, at=now)
    replan_window(window=backport.window, now=now)
    return backport


def refusal_to_book(*, by: User, window: Window | None = None) -> str:
    """Return why somebody cannot book, in this window or at all; empty if they can."""
    try:
        _require_bookable(by, window, timezone.now())
    except Refused as refusal:
        return refusal.sentence
    return ""


def _require_bookable(by: User, window: Window | None, now: datetime) -> None:
    require(actor_of(by), Act.BOOK)
    if window is not None and window.is_over(now):
        raise Refused("This window is over; choose a coming one.")
    if window is not None and window.is_locked:
        raise Refused("This window is locked; choose another one, or ask its deployers.")


def read_again(backport: Backport) -> None:
    """Read a backport, its change, window and requester as they are now."""
    rows = Backport.objects.select_related("change", "window", "requester")
    backport.refresh_from_db(from_queryset=rows)


def require_current(backport: Backport, fingerprint: str) -> None:
    """Let pass what the person saw.

    Raises:
        OutOfDate: it is something else now.
    """
    if not fingerprint or fingerprint != backport.fingerprint:
        raise OutOfDate("This backport changed since you opened it; read it again.")


def _require_answers(answers: BackportAnswers) -> None:
    if answers.problems_where.strip().strip(".!").lower() in _SAYS_NOTHING:
        raise Refused("Say where problems could occur; there is always somewhere to look.")
