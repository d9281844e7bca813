"""How much room a window has, and whether a freeze lies over it: for lists of windows."""

from collections.abc import Sequence
from datetime import datetime

from scheduler.domain.windows import FreezeRule, FreezeScope, WindowKind
from scheduler.models import Window
from scheduler.queries import freezes_over, is_confirmed_emergency
from scheduler.views.plan_pages import PlanPage


def minutes_left(window: Window, plan: PlanPage, now: datetime) -> int:
    """Return how many minutes of a window are free and still to come."""
    length = int(window.to_domain().minutes)
    taken = window.minutes_gone(now) + plan.minutes
    return max(length - max(taken, minutes_gone(window, now)), 0)


def minutes_gone(window: Window, now: datetime) -> int:
    """Return how many minutes of a window are over by the clock, also of a locked one."""
    return 0 if window.as_of else window.to_domain().minutes_gone(now)


def grade_over(window: Window, rules: Sequence[FreezeRule]) -> str:
    """Return the strictest grade of the freezes that stop a window; "" if none does."""
    if window.as_of is not None or is_confirmed_emergency(window):
        return ""
    if window.kind == WindowKind.TRAIN.value:
        if any(_stops_the_train(rule, window) for rule in rules):
            return FreezeScope.ALL.value
        return ""
    scopes = {freeze.scope for freeze in freezes_over(window, rules)}
    return next((scope.value for scope in FreezeScope if scope in scopes), "")


def _stops_the_train(rule: FreezeRule, window: Window) -> bool:
    return rule.covers(WindowKind.TRAIN) and any(
        freeze.scope is not FreezeScope.NORMAL for freeze in rule.between(window.start, window.end)
    )
