"""What one person may decide about one backport, as buttons."""

from dataclasses import dataclass

from scheduler.actors import relations_to
from scheduler.domain.changes import CONFIG_PROJECT
from scheduler.domain.errors import NotPermitted
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import Act, Actor, Relation, Role, may, require
from scheduler.models import Backport, User
from scheduler.views.plan_pages import Objection

NOT_KNOWN = "Gerrit has not told about this change yet; until it does, nobody can approve it."


@dataclass(frozen=True, slots=True)
class Other:
    """A decision other than to approve: its address, its words, and whether it ends the request."""

    url: str
    label: str
    act: Act
    danger: bool = False


OTHERS = (
    Other("review-ask", "Ask the requester", Act.ASK),
    Other("review-train", "Send to the train", Act.SEND_TO_TRAIN),
    Other("review-dedicated", "Send to a dedicated window", Act.SEND_TO_DEDICATED),
    Other("review-decline", "Decline", Act.DECLINE, danger=True),
    Other("review-veto", "Veto", Act.VETO, danger=True),
)


@dataclass(frozen=True, slots=True)
class Reviewing:
    """What one person may decide about one backport.

    Attributes:
        why_not: why they may not approve it, as a sentence; "" where that is no news.
        acknowledgeable: the SHOULD findings that nobody took on.
        may_acknowledge: whether they may take those on without approving.
    """

    may_approve: bool
    why_not: str
    acknowledgeable: tuple[Objection, ...]
    others: tuple[Other, ...]
    may_acknowledge: bool = False
    may_withdraw_approval: bool = False

    @property
    def first_other(self) -> str:
        """The address of the first of the other decisions."""
        return self.others[0].url

    @property
    def others_label(self) -> str:
        """The other decisions in a few words."""
        return ", or ".join(
            [
                ", ".join(other.label.lower() for other in self.others[:-1]),
                self.others[-1].label.lower(),
            ]
            if len(self.others) > 1
            else [self.others[0].label]
        ).capitalize()


def reviewing_of(
    user: User, actor: Actor, backport: Backport, objections: tuple[Objection, ...]
) -> Reviewing | None:
    """Return what a person may decide about a backport; None if nothing (any more)."""
    status = Status(backport.status)
    if not status.is_open or status is Status.DEPLOYING:
        return None
    relations = relations_to(actor, backport)
    acknowledgeable = tuple(one for one in objections if one.can_be_acknowledged)
    may_approve = may(actor, Act.APPROVE, relations, status) and backport.change.is_known
    reviewing = Reviewing(
        may_approve=may_approve,
        why_not=_why_not_approve(actor, backport, relations),
        acknowledgeable=acknowledgeable,
        others=tuple(other for other in OTHERS if _is_offered(other, actor, backport, relations)),
        may_acknowledge=bool(acknowledgeable)
        and not may_approve
        and may(actor, Act.ACKNOWLEDGE, relations, status),
        may_withdraw_approval=may(actor, Act.WITHDRAW_APPROVAL, relations, status),
    )
    has_any = (
        reviewing.may_approve,
        reviewing.why_not,
        reviewing.others,
        reviewing.may_acknowledge,
        reviewing.may_withdraw_approval,
    )
    return reviewing if any(has_any) else None


def why_not(actor: Actor, act: Act, relations: frozenset[Relation]) -> str:
    """Return why somebody may not do what others of their role may; "" where that is no news."""
    if not relations and not actor.roles & {Role.REVIEWER, Role.RELEASE_ENGINEER}:
        return ""
    try:
        require(actor, act, relations)
    except NotPermitted as refusal:
        return refusal.sentence
    return ""


def _why_not_approve(actor: Actor, backport: Backport, relations: frozenset[Relation]) -> str:
    if backport.status != Status.SUBMITTED.value:
        return ""
    if not backport.change.is_known:
        return NOT_KNOWN
    return why_not(actor, Act.APPROVE, relations)


def _is_offered(
    other: Other, actor: Actor, backport: Backport, relations: frozenset[Relation]
) -> bool:
    if other.act is Act.SEND_TO_TRAIN and backport.change.project in {"", CONFIG_PROJECT}:
        return False  # configuration never rides it, and what it is may not be known yet
    return may(actor, other.act, relations, Status(backport.status))
