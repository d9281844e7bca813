"""What one person may decide about one backport, as buttons."""

from dataclasses import dataclass

from scheduler.actors import relations_to
from scheduler.domain.errors import NotPermitted
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import Act, Actor, may, require
from scheduler.models import Backport, User
from scheduler.views.plan_pages import Objection


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
    Other("review-decline", "Decline", Act.DECLINE, danger=True),
)


@dataclass(frozen=True, slots=True)
class Reviewing:
    """What one person may decide about one backport."""

    may_approve: bool
    why_not: str
    acknowledgeable: tuple[Objection, ...]
    others: tuple[Other, ...]

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
    waits = status is Status.SUBMITTED
    allowed = may(actor, Act.APPROVE, relations)
    why_not = ""
    if waits and not allowed and relations:
        try:
            require(actor, Act.APPROVE, relations)
        except NotPermitted as refusal:
            why_not = refusal.sentence
    others = tuple(
        other
        for other in OTHERS
        if may(actor, other.act, relations) and (waits or other.act is not Act.ASK)
    )
    if not (waits and allowed) and not others and not why_not:
        return None
    return Reviewing(
        may_approve=waits and allowed,
        why_not=why_not,
        acknowledgeable=tuple(one for one in objections if one.can_be_acknowledged),
        others=others,
    )
