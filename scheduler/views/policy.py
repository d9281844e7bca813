"""The written rules."""

from dataclasses import fields

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from scheduler.domain.policy.numbers import HISTORY, Numbers
from scheduler.domain.policy.rules import RULES_BY_ID
from scheduler.views.http import PageRequest, page
from scheduler.views.overrides import counts_by_rule


@require_safe
def policy(request: PageRequest) -> HttpResponse:
    """Show every rule with its level, place, remedy and source, and the numbers in force."""
    numbers = [
        (field.name, [(day, _shown(getattr(values, field.name))) for day, values in HISTORY])
        for field in fields(Numbers)
    ]
    overridden = {count.rule: count for count in counts_by_rule()}
    context: dict[str, object] = {
        "section": "policy",
        "rules": [(rule, overridden.get(rule.id)) for rule in RULES_BY_ID.values()],
        "numbers": numbers,
        "days": [day for day, _ in HISTORY],
    }
    return page(request, "scheduler/policy/policy.html", context)


def _shown(value: bool | int) -> str:  # noqa: FBT001 - a number of the policy, of either type
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
