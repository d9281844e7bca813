"""From facts to findings, and from findings to the place they lead to."""

from collections.abc import Iterable, Mapping
from itertools import product

from scheduler.domain.backports import Backport
from scheduler.domain.policy.facts import Facts, Objection
from scheduler.domain.policy.findings import Finding, Level, Place
from scheduler.domain.policy.rules import ORDER, RULES, RULES_BY_ID
from scheduler.domain.policy.rules.rule import Check, Concern, Rule


def checks_of(rules: Iterable[Rule]) -> Mapping[tuple[bool, bool], tuple[tuple[str, Check], ...]]:
    """Return what to ask of a backport, by whether it rides the train and whether it has needs."""
    asked = [(rule.concern, rule.id, rule.check) for rule in rules if rule.check is not None]
    return {
        (rides, needs): tuple(
            (rule_id, check)
            for concern, rule_id, check in asked
            if (rides or concern is not Concern.TRAIN) and (needs or concern is not Concern.NEEDS)
        )
        for rides, needs in product((False, True), repeat=2)
    }


_CHECKS = checks_of(RULES)


def findings_of(facts: Facts) -> list[Finding]:
    """Return every rule's objection to a backport, in the order of the policy."""
    return [
        finding(facts.backport, rule_id, objection)
        for rule_id, check in _CHECKS[not facts.change.is_config, facts.needs]
        if (objection := check(facts)) is not None
    ]


def finding(
    backport: Backport, rule_id: str, objection: Objection, place: Place | None = None
) -> Finding:
    """Return an objection as a finding: its level and place, and whether people lifted it.

    Args:
        backport: the one objected to.
        rule_id: the rule that objects.
        objection: what it says.
        place: where it leads; the rule's own place if None.
    """
    rule = RULES_BY_ID[rule_id]
    level = Level.MAY if objection.warns_only else rule.level
    if level is Level.MAY:
        place = Place.QUEUE
    elif place is None:
        place = rule.place
    number = backport.change
    return Finding(
        change=number,
        rule=rule_id,
        level=level,
        place=place,
        message=objection.message,
        changes=(number, *(other for other in objection.changes if other != number)),
        lifted=is_lifted(backport, rule_id, level),
    )


def is_lifted(backport: Backport, rule_id: str, level: Level) -> bool:
    """Return whether people took a rule on: SHOULD by acknowledging, MUST by overriding."""
    if level is Level.MUST:
        return rule_id in backport.overridden
    return level is Level.SHOULD and rule_id in backport.acknowledged


def leading(findings: Iterable[Finding]) -> Finding | None:
    """Return the finding that decides the place: the worst place, the earliest rule of it.

    None where nothing keeps the backport out of the queue.
    """
    keeping = [finding for finding in findings if finding.keeps_out]
    return min(keeping, key=lambda f: (f.place, ORDER[f.rule]), default=None)
