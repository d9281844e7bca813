"""What people took on is lifted while it says the same, and asks again when it does not."""

from dataclasses import replace

from scheduler.domain.planning.plan import Plan, PlanInput
from scheduler.domain.planning.taken_on import TakenOn, digest_of, plan_taking_on
from scheduler.domain.policy.findings import Finding, Level
from tests.domain.casebook import expanded, parsed


def given(*changes: dict[str, object], **document: object) -> PlanInput:
    """Return the input of a window with these changes, short as in the case files."""
    found = parsed(expanded({"changes": list(changes), "document": document}))
    assert found is not None
    return found


def found_in(plan: Plan, change: int, rule: str) -> Finding:
    """Return what a rule says about a change."""
    return next(f for f in plan.findings if (f.change, f.rule) == (change, rule))


def taken_on(finding: Finding) -> TakenOn:
    """Return that people took this on."""
    return TakenOn(finding.change, finding.rule, finding.level, digest_of(finding))


def queued(plan: Plan) -> list[tuple[int, ...]]:
    """Return the queue as numbers."""
    return [step.changes for step in plan.queue]


def test_nothing_taken_on_is_the_plain_plan() -> None:
    facts = given({"n": 1}, {"n": 2, "touches": ["i18n/en.json"]})
    lifted, plan = plan_taking_on(facts, [])
    assert lifted == facts
    assert queued(plan) == [(1,)]


def test_an_acknowledgement_of_the_same_words_lifts_a_should() -> None:
    facts = given({"n": 2, "touches": ["i18n/en.json"]})
    _, before = plan_taking_on(facts, [])
    finding = found_in(before, 2, "l10n")
    lifted, plan = plan_taking_on(facts, [taken_on(finding)])
    assert queued(plan) == [(2,)]
    assert lifted.backports[0].acknowledged == {"l10n"}
    assert digest_of(found_in(plan, 2, "l10n")) == digest_of(finding)


def test_other_words_ask_again() -> None:
    facts = given({"n": 2, "touches": ["i18n/en.json"]})
    _, before = plan_taking_on(facts, [])
    acknowledged = taken_on(found_in(before, 2, "l10n"))
    longer = replace(facts, numbers=replace(facts.numbers, l10n_extra_minutes=25))
    lifted, plan = plan_taking_on(longer, [acknowledged])
    assert not queued(plan)
    assert not found_in(plan, 2, "l10n").lifted
    assert lifted.backports[0].acknowledged == frozenset()


def test_only_what_is_new_asks_again() -> None:
    both = {"n": 2, "in": "mediawiki/vendor", "touches": ["i18n/en.json"]}
    facts = given(both)
    _, before = plan_taking_on(facts, [])
    acknowledged = [taken_on(found_in(before, 2, rule)) for rule in ("l10n", "vendor")]
    longer = replace(facts, numbers=replace(facts.numbers, l10n_extra_minutes=25))
    lifted, plan = plan_taking_on(longer, acknowledged)
    assert lifted.backports[0].acknowledged == {"vendor"}
    assert found_in(plan, 2, "vendor").lifted
    assert not found_in(plan, 2, "l10n").lifted


def test_an_override_lifts_a_must_and_no_should() -> None:
    facts = given({"n": 1, "asked": {"criteria": ["long-task"]}})
    _, before = plan_taking_on(facts, [])
    finding = found_in(before, 1, "needs-own-window")
    assert finding.level is Level.MUST
    _, plan = plan_taking_on(facts, [taken_on(finding)])
    assert queued(plan) == [(1,)]
    wrong_level = replace(taken_on(finding), level=Level.SHOULD)
    assert not queued(plan_taking_on(facts, [wrong_level])[1])


def test_what_one_lifting_hid_is_judged_by_its_own_words() -> None:
    """An override of what shows only when others are lifted holds, or lapses, with those."""
    first = {"n": 1, "asked": {"criteria": ["long-task"]}}
    facts = given(first, {"n": 2, "needs": [1]})
    _, before = plan_taking_on(facts, [])
    waits = found_in(before, 2, "dependency-not-in-queue")
    _, plan = plan_taking_on(facts, [taken_on(waits)])
    assert queued(plan) == [(2,)]
    _, plan = plan_taking_on(
        facts, [taken_on(waits), taken_on(found_in(before, 1, "needs-own-window"))]
    )
    assert queued(plan) == [(1,), (2,)]
