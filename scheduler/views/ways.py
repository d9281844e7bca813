"""The cheapest way into a window, as pages tell it: found once for each plan."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from scheduler.adapters.plan_document import parse
from scheduler.domain.planning.ways import Later, Way, ways_into_queue
from scheduler.domain.windows import BOOKABLE, FreezeScope, WindowKind
from scheduler.models import Plan, Window
from scheduler.queries import stopping_rules
from scheduler.services.moving import taken_in

LOOKED_AHEAD = 12  # windows: three days of the usual week


def ways_in(window: Window, plan: Plan | None, now: datetime) -> Mapping[int, tuple[Way, ...]]:
    """Return the cheapest way of everything that does not go in a window, by change number.

    A constant number of queries; none where everything goes, or nothing can change any more.

    Args:
        window: which.
        plan: its newest plan, with its document.
        now: the clock, UTC.
    """
    if plan is None or not plan.result["elsewhere"] or window.is_locked or window.is_over(now):
        return {}
    later = () if window.as_of is not None else _later(window, now)
    return _found(plan.pk, plan.fingerprint, later)


@lru_cache(maxsize=256)
def _found(pk: int, fingerprint: str, later: tuple[Later, ...]) -> Mapping[int, tuple[Way, ...]]:
    """Return what is found by planning again and again; a plan is never another than it was.

    The fingerprint is part of what is remembered: it says what the plan was made from.
    """
    document = Plan.objects.values_list("document", flat=True).get(pk=pk, fingerprint=fingerprint)
    return ways_into_queue(parse(json.dumps(document)), later)


def _later(window: Window, now: datetime) -> tuple[Later, ...]:
    """Return the next windows after one that have room, with the freezes that stop them."""
    coming = Window.objects.filter(
        kind__in=[kind.value for kind in BOOKABLE],
        start__gt=max(now, window.start),
        as_of__isnull=True,
        cancelled_at__isnull=True,
        skipped_at__isnull=True,
        locked_at__isnull=True,
        is_emergency=False,
    )
    rows = [row for row in coming.order_by("start")[:LOOKED_AHEAD] if not row.is_closed(now)]
    taken = taken_in(rows)
    rules = [rule for rule in stopping_rules() if rule.first.scope is not FreezeScope.TRAIN]
    return tuple(
        Later(
            row.to_domain(),
            replace(row.numbers, max_patches=row.numbers.max_patches - taken[row.pk].slots),
            tuple(
                freeze
                for rule in rules
                if rule.covers(WindowKind(row.kind))
                for freeze in rule.between(row.start, row.end)
            ),
            taken[row.pk].minutes,
        )
        for row in rows
        if taken[row.pk].has_room(row)
    )
