"""Every rule with a check is pinned by the cases: a broken check breaks at least one of them."""

from dataclasses import replace

import pytest

from scheduler.domain.errors import UnsafeQueue
from scheduler.domain.planning.plan import PlanInput
from scheduler.domain.policy import verdict
from scheduler.domain.policy.facts import Facts, Objection
from scheduler.domain.policy.rules import RULES
from scheduler.domain.policy.rules.rule import Check, Concern
from tests.domain.casebook import Case, cases, differences, parsed, result_of

CHECKED = [rule.id for rule in RULES if rule.check is not None]
CASES = [(case, parsed(case.document)) for case in cases() if not case.expect.get("invalid")]


def never(_: Facts) -> Objection | None:
    """Object to nothing."""
    return None


def always(_: Facts) -> Objection | None:
    """Object to everything."""
    return Objection("Always.")


def fails(case: Case, given: PlanInput | None) -> bool:
    """Return whether a case does not hold, or the independent checker stops the queue."""
    try:
        return bool(differences(result_of(given), case.expect))
    except UnsafeQueue:
        return True


@pytest.mark.parametrize("broken", [never, always], ids=["never", "always"])
@pytest.mark.parametrize("rule", CHECKED)
def test_a_check_that_is_broken_fails_a_case(
    rule: str, broken: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = [replace(one, check=broken) if one.id == rule else one for one in RULES]
    monkeypatch.setattr(verdict, "_CHECKS", verdict.checks_of(rules))
    about = sorted(CASES, key=lambda pair: rule not in pair[0].name)
    assert any(fails(case, given) for case, given in about)


def test_every_rule_has_a_case_that_fires_and_a_near_miss() -> None:
    told = [case.name.partition(": ")[2] for case, _ in CASES]
    for rule in RULES:
        assert any(name.startswith(f"{rule.id}:") for name in told) or rule.id in _WITHOUT_OWN_NAME
        assert any(name.startswith(f"not {rule.id}:") for name in told)


_WITHOUT_OWN_NAME = {"dependency-not-in-queue"}  # its cases say what is needed


def test_the_order_of_the_rules_does_not_change_what_they_find(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    results = [result_of(given) for _, given in CASES]
    monkeypatch.setattr(verdict, "_CHECKS", verdict.checks_of(reversed(RULES)))
    assert [result_of(given) for _, given in CASES] == results


def test_a_rule_finds_nothing_where_it_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [result_of(given) for _, given in CASES]
    everywhere = [replace(rule, concern=Concern.ALL) for rule in RULES]
    monkeypatch.setattr(verdict, "_CHECKS", verdict.checks_of(everywhere))
    assert [result_of(given) for _, given in CASES] == results
