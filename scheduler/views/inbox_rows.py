"""What the inbox reads: a constant number of queries, however much waits."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from django.db.models import Max, Q

from scheduler.models import (
    Acknowledgement,
    Backport,
    Event,
    Override,
    Question,
    Review,
    User,
    Window,
)
from scheduler.queries import OPEN_STATUSES, newest_plans
from scheduler.views.plan_pages import PlanPage
from scheduler.views.waiting import Rows

AMEND = "backport.amend"
Row = TypeVar("Row")


def rows_for(user: User, now: datetime) -> Rows:
    """Return what is stored about everything that may wait for a person."""
    backports = _open_backports(now)
    keys = [one.pk for one in backports]
    windows = {one.window_id: one.window for one in backports}
    plans = newest_plans(windows.values())
    changes = {one.change.number: one.change for one in backports}
    return Rows(
        backports=backports,
        plans={
            key: PlanPage(
                result=plans[key].result if key in plans else {},
                changes=changes,
                backports={one.change.number: one for one in backports if one.window_id == key},
                reader=user.username,
            )
            for key in windows
        },
        planned={key: plan.made_at for key, plan in plans.items()},
        reviews=_grouped(
            (one.backport_id, one)
            for one in Review.objects.filter(backport__in=keys).select_related("reviewer")
        ),
        overrides=_grouped(
            (one.backport_id, one)
            for one in Override.objects.filter(
                backport__in=keys, ended_at__isnull=True
            ).select_related("proposed_by", "confirmed_by")
        ),
        acknowledgements=_grouped(
            (one.backport_id, one)
            for one in Acknowledgement.objects.filter(
                backport__in=keys, ended_at__isnull=True
            ).select_related("by")
        ),
        amended=dict(
            Event.objects.filter(backport__in=keys, kind=AMEND)
            .order_by()
            .values_list("backport")
            .annotate(Max("at"))
        ),
        questions=_grouped(
            (one.window_id, one)
            for one in Question.objects.filter(window__in=windows, closed_at__isnull=True)
        ),
        deploying=frozenset(
            Window.objects.filter(deployers=user, pk__in=windows).values_list("pk", flat=True)
        ),
    )


def _open_backports(now: datetime) -> list[Backport]:
    """Return the open backports of windows that are not over, oldest first."""
    not_over = Q(window__end__gt=now) | Q(window__as_of__isnull=False)
    return list(
        Backport.objects.filter(not_over, status__in=OPEN_STATUSES)
        .select_related("change", "requester", "edited_by", "window")
        .defer("change__diff")
        .order_by("submitted_at", "pk")
    )


def _grouped(pairs: Iterable[tuple[int, Row]]) -> dict[int, list[Row]]:
    """Return rows by the key that stands before each, in their order."""
    found: dict[int, list[Row]] = {}
    for key, row in pairs:
        found.setdefault(key, []).append(row)
    return found
