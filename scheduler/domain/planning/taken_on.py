"""What people take on: a rule that objects is lifted only while it says what they were shown."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from scheduler.domain.planning.plan import Plan, PlanInput, plan_window
from scheduler.domain.policy.findings import Finding, Level

# An override takes two people, and these take something else: the private process, another order
# of things, a review.
NEVER_OVERRIDDEN = frozenset({"security-sensitive", "dependency-cycle", "not-approved"})


@dataclass(frozen=True, slots=True)
class TakenOn:
    """That people took on one rule's objection to a backport: acknowledged, or overrode it.

    Attributes:
        change: the number of its change.
        rule: id of the rule.
        level: SHOULD for an acknowledgement, MUST for an override.
        digest: `digest_of` the finding that they were shown.
    """

    change: int
    rule: str
    level: Level
    digest: str


def digest_of(finding: Finding) -> str:
    """Return the digest of what a finding says, whether it is lifted or not."""
    said = [finding.change, finding.rule, finding.level.value, finding.message, finding.changes]
    text = json.dumps(said, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def plan_taking_on(given: PlanInput, taken_on: Iterable[TakenOn]) -> tuple[PlanInput, Plan]:
    """Plan a window with what people took on, as far as it still says the same.

    What a rule says may hang on what else is lifted. So all is lifted at first, then what turns
    out to say something else is not, until the rest holds.

    Returns:
        The input with what is lifted in its backports, and its plan.

    Raises:
        UnsafeQueue: as `plan_window`.
    """
    holding = {(one.change, one.rule, one.level): one.digest for one in taken_on}
    while True:
        lifted = _lifting(given, holding)
        plan = plan_window(lifted)
        lapsed = {
            (found.change, found.rule, found.level)
            for found in plan.findings
            if found.lifted
            and holding.get((found.change, found.rule, found.level)) != digest_of(found)
        }
        if not lapsed:
            return lifted, plan
        holding = {key: digest for key, digest in holding.items() if key not in lapsed}


def _lifting(given: PlanInput, holding: Iterable[tuple[int, str, Level]]) -> PlanInput:
    rules: dict[tuple[int, Level], set[str]] = {}
    for change, rule, level in holding:
        rules.setdefault((change, level), set()).add(rule)
    return replace(
        given,
        backports=tuple(
            replace(
                one,
                acknowledged=frozenset(rules.get((one.change, Level.SHOULD), ())),
                overridden=frozenset(rules.get((one.change, Level.MUST), ())),
            )
            for one in given.backports
        ),
    )
