"""Every written rule, in the order of `policy.md`. Rules do not know of each other."""

from collections.abc import Mapping
from types import MappingProxyType

from scheduler.domain.policy.rules import dedicated, dependencies, readiness, train, window
from scheduler.domain.policy.rules.rule import Rule

GROUPS: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("Readiness", readiness.RULES),
    ("Dependencies", dependencies.RULES),
    ("Train or window", train.RULES),
    ("Dedicated window", dedicated.RULES),
    ("The window", window.RULES),
)

RULES: tuple[Rule, ...] = tuple(rule for _, rules in GROUPS for rule in rules)

RULES_BY_ID: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in RULES})

ORDER: Mapping[str, int] = MappingProxyType({rule.id: i for i, rule in enumerate(RULES)})
