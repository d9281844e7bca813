"""What reviewers and deployers decide about exactly what they were shown."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from scheduler.actors import actor_of, relations_to
from scheduler.domain.changes import CONFIG_PROJECT
from scheduler.domain.errors import OutOfDate, Refused
from scheduler.domain.lifecycle import Action, Status
from scheduler.domain.permissions import Act, require
from scheduler.domain.planning.plan import PlanInput
from scheduler.domain.planning.taken_on import NEVER_OVERRIDDEN, digest_of
from scheduler.domain.policy.findings import Finding, Level
from scheduler.models import Acknowledgement, Backport, Override, Review, User
from scheduler.models.reviews import SHORTEST_REASON, Decision
from scheduler.queries import planned_now
from scheduler.services.backports import read_again, require_current, take_as_shown
from scheduler.services.events import record
from scheduler.services.failing import miss_what_left
from scheduler.services.fingerprints import (
    content_of,
    fingerprint_of,
    patch_set_of,
    told_content_of,
)
from scheduler.services.plans import end_all_lifting, replan_window, take_turn, void_approval
from scheduler.services.train import note_ride

SHORTEST_ACKNOWLEDGEMENT = 10  # characters


@dataclass(frozen=True, slots=True)
class _Shown:
    """What was shown of a backport, and is still so."""

    at: datetime
    given: PlanInput
    findings: tuple[Finding, ...]

    def content(self, backport: Backport) -> str:
        return content_of(backport, self.given)

    def told_content(self, backport: Backport) -> dict[str, object]:
        number = backport.change.number
        return told_content_of(backport, self.given.changes[number], self.given.statements)

    def objecting(self, level: Level) -> dict[str, Finding]:
        """Return the findings of a level that nobody took on, by rule."""
        return {f.rule: f for f in self.findings if f.level is level and not f.lifted}


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
        NotPermitted: the reviewer lacks the role, or owns, uploaded, requested or last edited it.
        OutOfDate: something changed since the page was shown.
        IllegalTransition: it does not wait for review.
        Refused: Gerrit has not told about the change yet, or not exactly the rules that object
            were acknowledged, or without a reason.
    """
    take_as_shown(backport, reviewer, Act.APPROVE, fingerprint)
    if acknowledged:
        actor = actor_of(reviewer)
        require(actor, Act.ACKNOWLEDGE, relations_to(actor, backport))
    if not backport.is_open:
        backport.apply(Action.APPROVE)
    shown = _shown(backport, fingerprint)
    objecting = shown.objecting(Level.SHOULD)
    _require_acknowledged(objecting, acknowledged, reason)
    content = shown.content(backport)
    backport.apply(Action.APPROVE, approved_content=content)
    _acknowledge(backport, reviewer, objecting.values(), reason, shown.at)
    told = {"acknowledged": sorted(acknowledged), "content": shown.told_content(backport)}
    _write(backport, reviewer, Decision.APPROVE, reason, shown.at, content=content, told=told)
    return _replanned(backport, shown.at, shown.given)


@transaction.atomic
def withdraw_approval(*, backport: Backport, by: User, fingerprint: str, reason: str) -> Backport:
    """Take back the approval in force, whoever gave it. One event is logged.

    Raises:
        NotPermitted: not a reviewer.
        OutOfDate: something changed since the page was shown.
        IllegalTransition: it is not approved, or being deployed.
        Refused: no reason.
    """
    take_as_shown(backport, by, Act.WITHDRAW_APPROVAL, fingerprint)
    _require_words(reason)
    now = timezone.now()
    backport.apply(Action.VOID_APPROVAL, approved_content="")
    void_approval(backport, now)
    record(
        kind="backport.withdraw-approval",
        actor=by,
        window=backport.window,
        backport=backport,
        payload={"patch_set": backport.change.patch_set, "reason": reason.strip()},
        at=now,
    )
    return _replanned(backport, now)


@transaction.atomic
def acknowledge_findings(
    *, backport: Backport, by: User, fingerprint: str, rules: frozenset[str], reason: str
) -> Backport:
    """Take on what the SHOULD rules say that nobody took on yet. One event is logged.

    Raises:
        NotPermitted: the reviewer lacks the role, or owns, uploaded, requested or last edited it.
        OutOfDate: something changed since the page was shown.
        Refused: no rule, not exactly those that object, or no reason.
    """
    take_as_shown(backport, by, Act.ACKNOWLEDGE, fingerprint)
    shown = _shown(backport, fingerprint)
    objecting = shown.objecting(Level.SHOULD)
    if not objecting:
        raise Refused("No rule asks to be acknowledged here.")
    _require_acknowledged(objecting, rules, reason)
    _acknowledge(backport, by, objecting.values(), reason, shown.at)
    record(
        kind="backport.acknowledge",
        actor=by,
        window=backport.window,
        backport=backport,
        payload={"rules": sorted(rules), "reason": reason.strip()},
        at=shown.at,
    )
    return _replanned(backport, shown.at, shown.given)


@transaction.atomic
def propose_override(
    *, backport: Backport, by: User, fingerprint: str, rule: str, reason: str
) -> Override:
    """Propose to let a backport go although a MUST rule objects; it takes a second person.

    Whoever calls this has made sure that `by` signed in a moment ago. One event is logged.

    Raises:
        NotPermitted: no role for it, or own work.
        OutOfDate: something changed since the page was shown.
        Refused: the rule does not object or is never overridden, the reason is too short, or an
            override of it is proposed or in force.
    """
    take_as_shown(backport, by, Act.PROPOSE_OVERRIDE, fingerprint)
    shown = _shown(backport, fingerprint)
    found = shown.objecting(Level.MUST).get(rule)
    if rule in NEVER_OVERRIDDEN:
        raise Refused(f"{rule} is never overridden; do what the rule asks for.")
    if found is None:
        raise Refused(f"{rule} does not object to this backport.")
    if len(reason.strip()) < SHORTEST_REASON:
        raise Refused(f"Say in {SHORTEST_REASON} characters or more why it must go all the same.")
    in_force = Override.objects.filter(backport=backport, rule=rule, ended_at__isnull=True)
    if in_force.filter(confirmed_at__isnull=True, digest=digest_of(found)).exists():
        raise Refused(f"An override of {rule} is proposed already; a second person confirms it.")
    in_force.update(ended_at=shown.at)
    override = Override.objects.create(
        backport=backport,
        rule=rule,
        digest=digest_of(found),
        content=shown.content(backport),
        proposed_by=by,
        requester=backport.requester,
        reason=reason.strip(),
        proposed_at=shown.at,
    )
    _record_override("propose-override", override, by, shown.at)
    _replanned(backport, shown.at, shown.given)
    return override


@transaction.atomic
def confirm_override(*, override: Override, by: User, fingerprint: str) -> Override:
    """Let a backport go although a MUST rule objects, as the second person.

    Whoever calls this has made sure that `by` signed in a moment ago. One event is logged.

    Raises:
        NotPermitted: no role for it, own work, or they proposed it.
        OutOfDate: something changed since the page was shown, or since it was proposed.
    """
    backport = override.backport
    _take(backport)
    override.refresh_from_db()
    actor = actor_of(by)
    require(actor, Act.CONFIRM_OVERRIDE, relations_to(actor, backport, override))
    require_current(backport, fingerprint)
    shown = _shown(backport, fingerprint)
    found = shown.objecting(Level.MUST).get(override.rule)
    waits = Override.objects.filter(
        pk=override.pk, confirmed_by__isnull=True, ended_at__isnull=True
    )
    if (
        found is None
        or override.digest != digest_of(found)
        or override.content != shown.content(backport)
        or waits.update(confirmed_by=by, confirmed_at=shown.at) != 1
    ):
        raise OutOfDate("What was to be overridden is not the same any more; read it again.")
    _record_override("confirm-override", override, by, shown.at)
    _replanned(backport, shown.at, shown.given)
    override.refresh_from_db()
    return override


@transaction.atomic
def end_override(*, override: Override, by: User, reason: str) -> Override:
    """Turn down a proposed override, or take back one in force. One event is logged.

    What was queued because of it does not go any more, though the window stays locked.

    Raises:
        NotPermitted: no role for it.
        OutOfDate: it has ended already.
        Refused: no reason.
    """
    backport = override.backport
    _take(backport)
    actor = actor_of(by)
    require(actor, Act.PROPOSE_OVERRIDE, relations_to(actor, backport))
    _require_words(reason)
    now = timezone.now()
    in_force = Override.objects.filter(pk=override.pk, ended_at__isnull=True)
    if in_force.update(ended_at=now) != 1:
        raise OutOfDate("This override has ended already.")
    if override.confirmed_at and backport.status == Status.QUEUED.value:
        backport.apply(Action.UNQUEUE)
    _record_override("end-override", override, by, now, reason=reason.strip())
    _replanned(backport, now)
    override.refresh_from_db()
    return override


@transaction.atomic
def decline_backport(*, backport: Backport, by: User, fingerprint: str, reason: str) -> Backport:
    """Say no to a backport, with the reason. One event is logged.

    Raises:
        NotPermitted: the reviewer lacks the role.
        OutOfDate: something changed since the page was shown.
        IllegalTransition: it is over or being deployed.
        Refused: no reason.
    """
    return _decide(backport, by, fingerprint, reason, Decision.DECLINE)


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
def send_to_dedicated(*, backport: Backport, by: User, fingerprint: str, reason: str) -> Backport:
    """Leave a backport to a window of its own, with the reason. One event is logged.

    Raises:
        NotPermitted: neither the requester nor a reviewer.
        OutOfDate: something changed since the page was shown.
        IllegalTransition: it is over or being deployed.
        Refused: no reason.
    """
    return _decide(backport, by, fingerprint, reason, Decision.SEND_TO_DEDICATED)


@transaction.atomic
def veto_backport(*, backport: Backport, by: User, fingerprint: str, reason: str) -> Backport:
    """Keep a backport out of its window, as a deployer, until its step starts.

    It is `missed`, with the reason, and can be booked again. One event is logged.

    Raises:
        NotPermitted: not a deployer.
        OutOfDate: something changed since the page was shown.
        IllegalTransition: it is over or being deployed.
        Refused: no reason.
    """
    return _decide(backport, by, fingerprint, reason, Decision.VETO)


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


@transaction.atomic
def reply_to_question(*, backport: Backport, by: User, fingerprint: str, reply: str) -> Backport:
    """Answer what a reviewer asked; it goes back to that reviewer. One event is logged.

    Raises:
        NotPermitted: somebody else requested it.
        OutOfDate: something changed since the page was shown.
        IllegalTransition: nobody asked.
        Refused: no answer, or the window is over.
    """
    take_as_shown(backport, by, Act.REPLY, fingerprint)
    now = timezone.now()
    if backport.window.is_over(now):
        raise Refused("The window is over; book the change in another one.")
    if not reply.strip():
        raise Refused("Write the answer; the reviewer reads it.")
    backport.apply(Action.REPLY)
    asked = Review.objects.filter(backport=backport, decision=Decision.ASK.value)
    question = asked.select_related("reviewer").latest("made_at", "pk")
    question.reply, question.replied_at = reply.strip(), now
    question.save(update_fields=["reply", "replied_at"])
    record(
        kind="backport.reply",
        actor=by,
        window=backport.window,
        backport=backport,
        payload={"to": question.reviewer.username, "reply": reply.strip()},
        at=now,
    )
    return _replanned(backport, now)


_MEANING = {
    Decision.DECLINE: (Act.DECLINE, Action.DECLINE),
    Decision.SEND_TO_TRAIN: (Act.SEND_TO_TRAIN, Action.SEND_TO_TRAIN),
    Decision.SEND_TO_DEDICATED: (Act.SEND_TO_DEDICATED, Action.SEND_TO_DEDICATED),
    Decision.VETO: (Act.VETO, Action.VETO),
    Decision.ASK: (Act.ASK, Action.ASK),
}


def _decide(
    backport: Backport, by: User, fingerprint: str, reason: str, decision: Decision
) -> Backport:
    act, action = _MEANING[decision]
    take_as_shown(backport, by, act, fingerprint)
    _require_words(reason)
    if decision is Decision.SEND_TO_TRAIN and backport.change.project == CONFIG_PROJECT:
        raise Refused("Configuration never rides the train; decline it, or leave it in a window.")
    now = timezone.now()
    backport.apply(action, approved_content="")
    void_approval(backport, now)
    _write(backport, by, decision, reason, now)
    if decision is Decision.SEND_TO_TRAIN:
        note_ride(backport=backport, now=now)
    if not backport.is_open:
        end_all_lifting(backport, now)
        said = f"{by.username} {_DID[decision]}: {reason.strip()}"
        miss_what_left(backport=backport, by=by, reason=said)
    return _replanned(backport, now)


_DID = {
    Decision.DECLINE: "declined it",
    Decision.SEND_TO_TRAIN: "left it to the train",
    Decision.SEND_TO_DEDICATED: "left it to a dedicated window",
    Decision.VETO: "vetoed it",
}


def _take(backport: Backport) -> None:
    take_turn(backport.window)
    read_again(backport)


def _shown(backport: Backport, fingerprint: str) -> _Shown:
    """Return what the rules say now, if it is what the person was shown.

    Raises:
        OutOfDate: something changed since.
        Refused: Gerrit has not told about the change yet.
    """
    if not backport.change.is_known:
        raise Refused("Gerrit has not told about this change yet; nobody can have seen it.")
    if not backport.is_open:
        raise OutOfDate("This backport is over; read it again.")
    now = timezone.now()
    given, planned = planned_now(backport.window, now)
    if fingerprint_of(backport, given, planned) != fingerprint:
        raise OutOfDate("This backport changed since you opened it; read it again.")
    number = backport.change.number
    return _Shown(now, given, tuple(f for f in planned.findings if f.change == number))


def _replanned(backport: Backport, at: datetime, given: PlanInput | None = None) -> Backport:
    replan_window(window=backport.window, now=at, given=given)
    read_again(backport)
    return backport


def _require_words(reason: str) -> None:
    if not reason.strip():
        raise Refused("Say why, in a sentence; the requester reads it.")


def _require_acknowledged(
    objecting: Collection[str], acknowledged: frozenset[str], reason: str
) -> None:
    objections = frozenset(objecting)
    if missing := sorted(objections - acknowledged):
        raise Refused(f"Tick {', '.join(missing)} and say why, or send the backport there.")
    if unknown := sorted(acknowledged - objections):
        raise Refused(f"Nothing to acknowledge: {', '.join(unknown)} does not object.")
    if acknowledged and len(reason.strip()) < SHORTEST_ACKNOWLEDGEMENT:
        raise Refused(f"Say in {SHORTEST_ACKNOWLEDGEMENT} characters or more why this is taken on.")


def _acknowledge(
    backport: Backport, by: User, findings: Iterable[Finding], reason: str, at: datetime
) -> None:
    for found in findings:
        Acknowledgement.objects.filter(
            backport=backport, rule=found.rule, ended_at__isnull=True
        ).update(ended_at=at)
        Acknowledgement.objects.create(
            backport=backport,
            rule=found.rule,
            digest=digest_of(found),
            content=patch_set_of(backport),
            by=by,
            requester=backport.requester,
            reason=reason.strip(),
            made_at=at,
        )


def _record_override(
    verb: str, override: Override, by: User, at: datetime, *, reason: str = ""
) -> None:
    record(
        kind=f"backport.{verb}",
        actor=by,
        window=override.backport.window,
        backport=override.backport,
        payload={
            "override": override.pk,
            "rule": override.rule,
            "reason": reason or override.reason,
        },
        at=at,
    )


def _write(  # noqa: PLR0913 - what a review row is made of
    backport: Backport,
    by: User,
    decision: Decision,
    reason: str,
    at: datetime,
    *,
    content: str = "",
    told: Mapping[str, object] | None = None,
) -> None:
    Review.objects.create(
        backport=backport,
        reviewer=by,
        requester=backport.requester,
        decision=decision.value,
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
            "reason": reason.strip(),
            **(told or {}),
        },
        at=at,
    )
