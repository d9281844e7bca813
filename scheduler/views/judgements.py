"""What the rules say about one backport, who took on what of it, and what may be done about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from scheduler.actors import relations_to
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import Act, Actor, may
from scheduler.domain.planning.taken_on import NEVER_OVERRIDDEN, digest_of
from scheduler.domain.policy.findings import Finding, Level, Place
from scheduler.domain.policy.rules import RULES_BY_ID
from scheduler.domain.policy.rules.rule import Rule
from scheduler.models import Acknowledgement, Backport, Override
from scheduler.views.plan_pages import Objection
from scheduler.views.reviewing import why_not


@dataclass(frozen=True, slots=True)
class Lifting:
    """Who took on what a rule says, or lets the backport go all the same."""

    who: tuple[str, ...]
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """One finding with its rule, and everything people did and may do about it.

    Attributes:
        rule: the written rule; None for one that the policy had once.
        lifted: who took it on; None while nobody did.
        before: who took it on when it, or the backport, was something else.
        override: the override proposed or in force; the reader may confirm or end it.
        is_stale: whether the override was proposed for other words than the rule's now.
        why_not: why the reader may not confirm it, as a sentence; "" where that is no news.
    """

    objection: Objection
    rule: Rule | None
    lifted: Lifting | None
    before: Lifting | None
    override: Override | None
    is_stale: bool
    may_propose: bool
    may_confirm: bool
    may_end: bool
    why_not: str

    @property
    def place(self) -> str:
        """Where the rule leads; "" where it moves nothing."""
        moves = self.rule is not None and self.rule.place is not Place.QUEUE
        return self.rule.place.slug if self.rule and moves else ""


def judgements_of(
    backport: Backport, objections: Iterable[Objection], actor: Actor
) -> tuple[Judgement, ...]:
    """Return what the rules say about a backport, for one reader.

    Args:
        backport: with its change, requester and editor.
        objections: what a plan says about it, in the order to show.
        actor: who reads it.
    """
    acknowledged: dict[str, Acknowledgement] = {}
    for one in backport.acknowledgements.select_related("by").order_by("made_at", "pk"):
        acknowledged[one.rule] = one
    rows = backport.overrides.filter(ended_at__isnull=True)
    overrides = {one.rule: one for one in rows.select_related("proposed_by", "confirmed_by")}
    return tuple(
        _judgement(
            backport,
            objection,
            actor,
            acknowledged.get(objection.rule),
            overrides.get(objection.rule),
        )
        for objection in objections
    )


def _judgement(
    backport: Backport,
    objection: Objection,
    actor: Actor,
    acknowledged: Acknowledgement | None,
    override: Override | None,
) -> Judgement:
    status, relations = Status(backport.status), relations_to(actor, backport)
    is_must, lifted = objection.level == Level.MUST, objection.lifted
    can_be_overridden = is_must and not lifted and objection.rule not in NEVER_OVERRIDDEN
    is_stale = override is not None and override.digest != _digest_of(objection)
    waits = (
        can_be_overridden and override is not None and not override.confirmed_at and not is_stale
    )
    may_confirm = waits and may(
        actor, Act.CONFIRM_OVERRIDE, relations_to(actor, backport, override), status
    )
    taken_on = _acknowledged(acknowledged)
    return Judgement(
        objection=objection,
        rule=RULES_BY_ID.get(objection.rule),
        lifted=(_overridden(override) if is_must else taken_on) if lifted else None,
        before=taken_on if objection.can_be_acknowledged else None,
        override=override if is_must else None,
        is_stale=is_stale,
        may_propose=can_be_overridden
        and not waits
        and may(actor, Act.PROPOSE_OVERRIDE, relations, status),
        may_confirm=may_confirm,
        may_end=override is not None and may(actor, Act.PROPOSE_OVERRIDE, relations, status),
        why_not=why_not(actor, Act.CONFIRM_OVERRIDE, relations_to(actor, backport, override))
        if waits and not may_confirm
        else "",
    )


def _acknowledged(one: Acknowledgement | None) -> Lifting | None:
    return Lifting((one.by.username,), one.made_at, one.reason) if one else None


def _overridden(one: Override | None) -> Lifting | None:
    if one is None or one.confirmed_by is None or one.confirmed_at is None:
        return None
    return Lifting(
        (one.proposed_by.username, one.confirmed_by.username), one.confirmed_at, one.reason
    )


def _digest_of(objection: Objection) -> str:
    """Return the digest that what people took on of these words carries."""
    return digest_of(
        Finding(
            change=objection.change,
            rule=objection.rule,
            level=Level(objection.level),
            place=Place.QUEUE,
            message=objection.message,
            changes=objection.changes,
        )
    )
