"""Every written rule, in the order of `policy.md`. Rules do not know of each other."""

from collections.abc import Mapping
from types import MappingProxyType

from scheduler.domain.policy.rules import dedicated, dependencies, readiness, train, window
from scheduler.domain.policy.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    *readiness.RULES,
    *dependencies.RULES,
    *train.RULES,
    *dedicated.RULES,
    *window.RULES,
)

RULES_BY_ID: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in RULES})

ORDER: Mapping[str, int] = MappingProxyType({rule.id: i for i, rule in enumerate(RULES)})
