"""What pages read: a constant number of queries for any number of backports."""

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Prefetch, Q, QuerySet

from scheduler.domain.lifecycle import Status
from scheduler.domain.windows import BOOKABLE, Freeze, FreezeRule
from scheduler.models import (
    Backport,
    Change,
    EmergencyConfirmation,
    Event,
    Promotion,
    Question,
    Review,
    Statement,
    User,
    Window,
)
from scheduler.queries import OPEN_STATUSES, newest_plans
from scheduler.views.plan_pages import PlanPage, numbers_in

ANSWER, CONTEST = "question.answer", "question.contest"
LOCK, UNLOCK = "window.lock", "window.unlock"


def windows_between(start: datetime, end: datetime) -> list[Window]:
    """Return the windows that overlap a time, and every replay, oldest first, with people."""
    return list(
        Window.objects.filter(Q(end__gt=start, start__lt=end) | Q(as_of__isnull=False))
        .prefetch_related(
            Prefetch("deployers", User.objects.order_by("username")),
            Prefetch("confirmations", EmergencyConfirmation.objects.select_related("by")),
        )
        .order_by("start")
    )


def bookable_windows(now: datetime, *, late: bool) -> QuerySet[Window]:
    """Return the windows that somebody can still book in: not locked, not over, or a replay.

    Args:
        now: the clock, UTC.
        late: whether they may after booking has closed.
    """
    not_over = Q(end__gt=now) | Q(as_of__isnull=False)
    not_closed = Q() if late else Q(closes_at__isnull=True) | Q(closes_at__gt=now)
    return Window.objects.filter(
        not_over,
        not_closed,
        locked_at__isnull=True,
        kind__in=[kind.value for kind in BOOKABLE],
        cancelled_at__isnull=True,
        skipped_at__isnull=True,
    ).order_by("start")


def changes_named(numbers: Iterable[int]) -> dict[int, Change]:
    """Return the changes with these numbers, by number."""
    found = Change.objects.filter(number__in=set(numbers)).defer("diff")
    return {change.number: change for change in found}


def diffs_asked_about(result: Mapping[str, Any]) -> dict[int, str]:
    """Return the diffs of the changes that a plan result asks about, by number."""
    numbers = {
        place["change"]
        for question in result.get("questions", ())
        for one in question["evidence"]
        for place in one.get("places", ())
    }
    if not numbers:
        return {}
    return dict(Change.objects.filter(number__in=numbers).values_list("number", "diff"))


def booked_elsewhere(numbers: Iterable[int], here: Container[int]) -> dict[int, Backport]:
    """Return the open backports of some changes that are in another window, by change number.

    Args:
        numbers: of the changes.
        here: the numbers of those that are booked in the window.
    """
    others = {number for number in numbers if number not in here}
    if not others:
        return {}
    rows = Backport.objects.filter(change__number__in=others, status__in=OPEN_STATUSES)
    related = rows.select_related("change", "requester", "window").defer("change__diff")
    return {row.change.number: row for row in related}


def answers_in_force(numbers: Iterable[int]) -> dict[tuple[int, int], Statement]:
    """Return what was said of some changes and still counts, by the two numbers."""
    several = set(numbers)
    rows = Statement.objects.filter(low__in=several, high__in=several, superseded_at__isnull=True)
    return {(row.low, row.high): row for row in rows} if several else {}


def last_asked(pairs: Collection[tuple[int, int]]) -> dict[tuple[int, int], Question]:
    """Return what was asked last about pairs of changes, by the two numbers."""
    if not pairs:
        return {}
    rows = Question.objects.filter(low__in={low for low, _ in pairs}).order_by("pk")
    return {(row.low, row.high): row for row in rows if (row.low, row.high) in pairs}


def backports_in(windows: Iterable[Window]) -> dict[int, dict[int, Backport]]:
    """Return the open backports of windows: by the window's key, then by change number."""
    found: dict[int, dict[int, Backport]] = {}
    rows = Backport.objects.filter(
        window__in=[window.pk for window in windows], status__in=OPEN_STATUSES
    )
    related = rows.select_related("change", "requester", "edited_by", "window")
    for backport in related.defer("change__diff"):
        found.setdefault(backport.window_id, {})[backport.change.number] = backport
    return found


def plan_pages(windows: Iterable[Window], reader: User) -> dict[int, PlanPage]:
    """Return the newest plan of each window, ready to be shown, by the window's key."""
    windows = tuple(windows)
    plans = newest_plans(windows)
    backports = backports_in(windows)
    changes = changes_named(number for plan in plans.values() for number in numbers_in(plan.result))
    return {
        window.pk: PlanPage(
            result=plans[window.pk].result if window.pk in plans else {},
            changes=changes,
            backports=backports.get(window.pk, {}),
            reader=reader.username,
        )
        for window in windows
    }


def backports_of(user: User) -> list[Backport]:
    """Return what a person asked for and is still open, the next window first."""
    return list(
        Backport.objects.filter(requester=user, status__in=OPEN_STATUSES)
        .select_related("change", "window", "requester")
        .defer("change__diff")
        .order_by("window__start", "pk")
    )


def promotions_between(start: datetime, end: datetime) -> list[Promotion]:
    """Return the promotions that are planned for a time, oldest first."""
    rows = Promotion.objects.filter(at__gte=start, at__lt=end)
    return list(rows.select_related("version").order_by("at"))


def freezes_between(rules: Iterable[FreezeRule], start: datetime, end: datetime) -> list[Freeze]:
    """Return the freezes that overlap a time, oldest first; one that comes again, each time."""
    found = [freeze for rule in rules for freeze in rule.between(start, end)]
    return sorted(found, key=lambda freeze: (freeze.start, freeze.end))


def reviews_of(backport: Backport) -> list[Review]:
    """Return the reviews of a backport, newest first."""
    return list(backport.reviews.select_related("reviewer").order_by("-made_at", "-pk"))


def question_to_requester(backport: Backport, reviews: Iterable[Review]) -> Review | None:
    """Return what a reviewer asked and waits for, from the reviews of a backport, newest first."""
    if backport.status != Status.NEEDS_INFO.value:
        return None
    return next((one for one in reviews if one.decision == "ask"), None)


def events_about(backport: Backport) -> list[Event]:
    """Return what happened to a backport, what was answered about it, and when it was locked.

    An answer may have been given in the window of the other change. Oldest first. Once it is over,
    what happens to its window and its change is not about it.
    """
    number = backport.change.number
    booked_in = Backport.objects.filter(change=backport.change).values_list("window", flat=True)
    asked = Question.objects.filter(Q(low=number) | Q(high=number))
    pairs = [end for pair in asked.values_list("low", "high") for end in pair]
    theirs = Backport.objects.filter(change__number__in=pairs).values_list("window", flat=True)
    windows = {*booked_in, *theirs}
    answered = Q(payload__first=number) | Q(payload__then=number)
    locked = Q(kind__in=(LOCK, UNLOCK), window=backport.window, at__gte=backport.submitted_at)
    events = list(
        Event.objects.filter(
            Q(backport=backport)
            | Q(answered, kind__in=(ANSWER, CONTEST), window__in=windows)
            | locked
        ).order_by("seq")
    )
    while not backport.is_open and events and events[-1].backport_id != backport.pk:
        events.pop()
    return events


def questions_asked_about(backport: Backport, events: Sequence[Event]) -> list[Question]:
    """Return the questions about a backport in its window, oldest first.

    Args:
        backport: once it is over, what is asked about its change later is not about it.
        events: what `events_about` found.
    """
    number = backport.change.number
    asked = Question.objects.filter(
        Q(low=number) | Q(high=number),
        window=backport.window,
        asked_at__gte=backport.submitted_at,
    )
    if not backport.is_open and events:
        asked = asked.filter(asked_at__lte=events[-1].at)
    return list(asked.order_by("asked_at", "pk"))
