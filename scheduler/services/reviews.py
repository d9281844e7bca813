"""What reviewers decide about exactly what they were shown."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from scheduler.actors import actor_of, relations_to
from scheduler.domain.changes import CONFIG_PROJECT
from scheduler.domain.errors import OutOfDate, Refused
from scheduler.domain.lifecycle import Action
from scheduler.domain.permissions import Act, require
from scheduler.domain.planning.plan import plan_window
from scheduler.domain.policy.findings import Level
from scheduler.models import Backport, Review, User
from scheduler.models.reviews import Decision
from scheduler.queries import plan_input
from scheduler.services.backports import read_again, require_current
from scheduler.services.events import record
from scheduler.services.fingerprints import content_of, fingerprint_of
from scheduler.services.plans import replan_window, take_turn, void_approval

SHORTEST_REASON = 10


@transaction.atomic
def approve_backport(
    *,
    backport: Backport,
    reviewer: User,
    fingerprint: str,
    acknowledged: frozenset[str] = frozenset(),
    reason: str = "",
) -> Backport:
    """Approve the content of a backport for its window.

    What the rules say is judged now, not when the page was made. A MUST finding does not forbid
    it: the plan keeps such a backport out of the queue, whoever approves it.

    Args:
        backport: the request under review.
        reviewer: who approves.
        fingerprint: digest of what the reviewer was shown.
        acknowledged: ids of the SHOULD rules that the reviewer takes on: all that object to it.
        reason: why they are taken on; shown to everybody.

    Returns:
        The same backport, now approved. One event is logged.

    Raises:
        NotPermitted: the reviewer lacks the role, or owns, uploaded or requested it.
        OutOfDate: something changed since the page was shown.
        IllegalTransition: it does not wait for review.
        Refused: not exactly the rules that object were acknowledged, or without a reason.
    """
    take_turn(backport.window)
    read_again(backport)
    actor, relations = actor_of(reviewer), relations_to(reviewer, backport)
    require(actor, Act.APPROVE, relations)
    if acknowledged:
        require(actor, Act.ACKNOWLEDGE, relations)
    require_current(backport, fingerprint)
    now = timezone.now()
    given = plan_input(backport.window, now)
    number = backport.change.number
    if backport.is_open:
        planned = plan_window(given)
        if fingerprint_of(backport, given, planned) != fingerprint:
            raise OutOfDate("This backport changed since you opened it; read it again.")
        objecting = (
            found.rule
            for found in planned.findings
            if found.change == number and found.level is Level.SHOULD and not found.lifted
        )
        _require_acknowledged(objecting, acknowledged, reason)
        content = content_of(backport, given)
    else:
        content = ""
    backport.apply(Action.APPROVE, approved_content=content)
    _write(backport, reviewer, Decision.APPROVE, reason, acknowledged, content)
    replan_window(window=backport.window, now=now)
    read_again(backport)
    return backport


@transaction.atomic
def decline_backport(
    *, backport: Backport, reviewer: User, fingerprint: str, reason: str
) -> Backport:
    """Say no to a backport, with the reason. One event is logged.

    Raises:
        NotPermitted: the reviewer lacks the role.
        OutOfDate: something changed since the page was shown.
        IllegalTransition: it is over or being deployed.
        Refused: no reason.
    """
    return _decide(backport, reviewer, fingerprint, reason, Decision.DECLINE)


@transaction.atomic
def send_to_train(*, backport: Backport, by: User, fingerprint: str, reason: str) -> Backport:
    """Leave a backport to the train, with the reason. One event is logged.

    Raises:
        NotPermitted: neither the requester nor a reviewer.
        OutOfDate: something changed since the page was shown.
        IllegalTransition: it is over or being deployed.
        Refused: no reason, or it is configuration, which never rides the train.
    """
    return _decide(backport, by, fingerprint, reason, Decision.SEND_TO_TRAIN)


@transaction.atomic
def ask_requester(*, backport: Backport, by: User, fingerprint: str, reason: str) -> Backport:
    """Send a backport back to its requester with a question. One event is logged.

    Raises:
        NotPermitted: neither a reviewer nor a deployer.
        OutOfDate: something changed since the page was shown.
        IllegalTransition: it does not wait for review.
        Refused: no question.
    """
    return _decide(backport, by, fingerprint, reason, Decision.ASK)


_MEANING = {
    Decision.DECLINE: (Act.DECLINE, Action.DECLINE),
    Decision.SEND_TO_TRAIN: (Act.SEND_TO_TRAIN, Action.SEND_TO_TRAIN),
    Decision.ASK: (Act.ASK, Action.ASK),
}


def _decide(
    backport: Backport, by: User, fingerprint: str, reason: str, decision: Decision
) -> Backport:
    act, action = _MEANING[decision]
    take_turn(backport.window)
    read_again(backport)
    require(actor_of(by), act, relations_to(by, backport))
    require_current(backport, fingerprint)
    if not reason.strip():
        raise Refused("Say why, in a sentence; the requester reads it.")
    if decision is Decision.SEND_TO_TRAIN and backport.change.project == CONFIG_PROJECT:
        raise Refused("Configuration never rides the train; decline it, or leave it in a window.")
    now = timezone.now()
    backport.apply(action, approved_content="")
    void_approval(backport, now)
    _write(backport, by, decision, reason)
    replan_window(window=backport.window, now=now)
    read_again(backport)
    return backport


def _require_acknowledged(
    objecting: Iterable[str], acknowledged: frozenset[str], reason: str
) -> None:
    objections = frozenset(objecting)
    if missing := sorted(objections - acknowledged):
        raise Refused(f"Tick {', '.join(missing)} and say why, or send the backport there.")
    if unknown := sorted(acknowledged - objections):
        raise Refused(f"Nothing to acknowledge: {', '.join(unknown)} does not object.")
    if acknowledged and len(reason.strip()) < SHORTEST_REASON:
        raise Refused(f"Say in {SHORTEST_REASON} characters or more why this is taken on.")


def _write(  # noqa: PLR0913, PLR0917 - what a review row is made of
    backport: Backport,
    by: User,
    decision: Decision,
    reason: str,
    acknowledged: frozenset[str] = frozenset(),
    content: str = "",
) -> None:
    at = timezone.now()
    Review.objects.create(
        backport=backport,
        reviewer=by,
        requester=backport.requester,
        decision=decision.value,
        acknowledged=sorted(acknowledged),
        reason=reason.strip(),
        patch_set=backport.change.patch_set,
        sha=backport.change.sha,
        fingerprint=backport.fingerprint,
        content=content,
        made_at=at,
    )
    record(
        kind=f"backport.{decision.value}",
        actor=by,
        window=backport.window,
        backport=backport,
        payload={
            "patch_set": backport.change.patch_set,
            "sha": backport.change.sha,
            "fingerprint": backport.fingerprint,
            "acknowledged": sorted(acknowledged),
            "reason": reason.strip(),
        },
        at=at,
    )
