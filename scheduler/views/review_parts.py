"""What a backport's page shows to whoever decides about it, and to whoever asked for it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.urls import reverse

from scheduler.actors import relations_to
from scheduler.domain.approved import Difference, differences
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import Act, Actor, Role, may
from scheduler.models import Backport, Event, User, Watch
from scheduler.queries import statements_about
from scheduler.services.fingerprints import told_content_of
from scheduler.views.files import diff_summary_of, patch_set_url
from scheduler.views.http import PageRequest
from scheduler.views.judgements import judgements_of
from scheduler.views.plan_pages import Objection
from scheduler.views.reauthentication import typed_before
from scheduler.views.reviewing import reviewing_of
from scheduler.views.signing_in import shown_who

APPROVE = "backport.approve"
MOST_RECEIVERS = 500


@dataclass(frozen=True, slots=True)
class SinceApproval:
    """What is not as it was when somebody approved it.

    Attributes:
        compared: where the two patch sets are compared, "" if no address can be made of it.
    """

    approver: str
    at: datetime
    differences: tuple[Difference, ...]
    patch_set: int
    compared: str


def review_parts(
    request: PageRequest,
    backport: Backport,
    actor: Actor,
    objections: tuple[Objection, ...],
    events: Sequence[Event],
) -> dict[str, object]:
    """Return what the page shows for deciding, in a constant number of queries.

    Args:
        request: of the reader.
        backport: with its change, window, requester and editor.
        actor: the reader.
        objections: what the rules say about it now.
        events: what happened to it, oldest first.
    """
    status, relations = Status(backport.status), relations_to(actor, backport)
    may_hand_over = may(actor, Act.HAND_OVER, relations, status)
    may_watch = may(actor, Act.WATCH, relations, status)
    return {
        "summary": diff_summary_of(backport.change, settings.GERRIT_PUBLIC_URL),
        "judgements": judgements_of(backport, objections, actor),
        "reviewing": reviewing_of(request.user, actor, backport, objections),
        "since_approval": since_approval(backport, events),
        "may_reply": may(actor, Act.REPLY, relations, status),
        "receivers": receivers_of(backport) if may_hand_over else None,
        "may_watch": may_watch,
        "is_watching": may_watch
        and Watch.objects.filter(backport=backport, user=request.user).exists(),
        "shown_who": shown_who(request),
        "typed_before": typed_before(request, reverse("override-propose", args=[backport.pk])),
    }


def since_approval(backport: Backport, events: Iterable[Event]) -> SinceApproval | None:
    """Return what changed since the last approval; None where one is in force, or none ever was.

    Args:
        backport: with its change and window.
        events: what happened to it, oldest first.
    """
    can_be_approved = backport.status in {Status.SUBMITTED.value, Status.NEEDS_INFO.value}
    approvals = [one for one in events if one.kind == APPROVE and one.backport_id == backport.pk]
    if not can_be_approved or not approvals or not backport.change.is_known:
        return None
    last, change = approvals[-1], backport.change
    patch_set = last.payload.get("patch_set", 0)
    before = last.payload.get("content") or {
        name: last.payload.get(name) for name in ("patch_set", "sha")
    }
    now = told_content_of(
        backport, change.to_domain(with_diff=False), statements_about([change.pk])
    )
    base = patch_set_url(change, settings.GERRIT_PUBLIC_URL)
    is_newer = isinstance(patch_set, int) and 0 < patch_set < change.patch_set
    address, _, newest = base.rpartition("/")
    return SinceApproval(
        approver=last.actor_name,
        at=last.at,
        differences=differences(before, now),
        patch_set=patch_set,
        compared=f"{address}/{patch_set}..{newest}" if base and is_newer else "",
    )


def receivers_of(backport: Backport) -> list[str]:
    """Return to whom a backport can be handed over, by name."""
    people = User.objects.filter(
        is_active=True, groups__name__in=[role.value for role in Role]
    ).exclude(pk=backport.requester_id)
    names = people.order_by("username").values_list("username", flat=True)
    return list(names.distinct()[:MOST_RECEIVERS])
