"""The written rules."""

from dataclasses import dataclass, fields

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from scheduler.domain.policy.numbers import HISTORY, Numbers
from scheduler.domain.policy.rules import GROUPS, RULES_BY_ID
from scheduler.domain.policy.rules.rule import Rule
from scheduler.views.http import PageRequest, page
from scheduler.views.overrides import RuleCount, counts_by_rule

_TRAIN = "Train or window"
_IN_WORDS = {
    "max_patches": ("Most patches in a window", "{} patches"),
    "multi_sync_ban": ("A commit that needs several syncs is banned", "{}"),
    "minutes_per_patch": ("Planned for one patch", "{} minutes"),
    "l10n_extra_minutes": ("More, where messages change", "{} minutes"),
    "beta_only_minutes": ("Planned for what only the Beta Cluster sees", "{} minutes"),
    "last_start_minute": ("Last start", "minute {}"),
    "train_horizon_hours": ("What the train brings within this time waits for it", "{} hours"),
    "coupled_train_horizon_hours": ("The same, coupled to another repository", "{} hours"),
}


@dataclass(frozen=True, slots=True)
class Group:
    """The rules under one heading, each with how often it was overridden.

    Attributes:
        is_train: whether the rules are about the train, which configuration has none of.
    """

    title: str
    rules: tuple[tuple[Rule, RuleCount | None], ...]
    is_train: bool


@require_safe
def policy(request: PageRequest) -> HttpResponse:
    """Show every rule with its level, place, remedy and source, and the numbers in force."""
    numbers = [
        (
            _IN_WORDS[field.name][0],
            [(day, _shown(field.name, getattr(values, field.name))) for day, values in HISTORY],
        )
        for field in fields(Numbers)
    ]
    overridden = {count.rule: count for count in counts_by_rule()}
    context: dict[str, object] = {
        "section": "policy",
        "count": len(RULES_BY_ID),
        "groups": [
            Group(title, tuple((rule, overridden.get(rule.id)) for rule in rules), title == _TRAIN)
            for title, rules in GROUPS
        ],
        "numbers": numbers,
        "days": [day for day, _ in HISTORY],
    }
    return page(request, "scheduler/policy/policy.html", context)


def _shown(name: str, value: bool | int) -> str:  # noqa: FBT001 - a number of the policy, of either type
    said = ("no", "yes")[value] if isinstance(value, bool) else str(value)
    return _IN_WORDS[name][1].format(said)
