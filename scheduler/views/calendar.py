"""The front page: the windows of this week and the next, and what to do now."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from scheduler.actors import actor_of
from scheduler.domain.windows import Freeze, FreezeScope
from scheduler.models import Backport, Promotion, User, Window
from scheduler.queries import production_at
from scheduler.services.backports import refusal_to_book
from scheduler.views.http import PageRequest, page
from scheduler.views.inbox_rows import rows_for
from scheduler.views.plan_pages import Entry, PlanPage
from scheduler.views.reading import (
    backports_of,
    freezes_between,
    plan_pages,
    promotions_before,
    windows_between,
)
from scheduler.views.waiting import waiting_for

WEEKS = 2
_FROZEN = {
    FreezeScope.ALL: "everything",
    FreezeScope.NORMAL: "all but what is urgent",
    FreezeScope.TRAIN: "the train",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One window in the list; `overridden` counts the backports that a MUST rule objects to."""

    window: Window
    max_patches: int
    slots_left: int
    minutes_left: int
    queued: int
    overridden: int
    elsewhere: tuple[tuple[str, int], ...]
    questions: int
    deployers: tuple[str, ...]
    is_over: bool
    has_begun: bool
    is_frozen: bool
    mine: bool

    @property
    def can_be_booked(self) -> bool:
        """Whether a slot is left for somebody."""
        return not (self.is_over or self.is_frozen or self.window.locked_at) and self.slots_left > 0


@dataclass(frozen=True, slots=True)
class Band:
    """Something that lies over a day: a promotion of the train, or a freeze."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Day:
    """A day with its bands and windows."""

    date: date
    is_today: bool
    bands: tuple[Band, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """What the reader does now: one sentence, and where.

    Attributes:
        inbox: where everything else is that waits; "" if nothing does.
        more: how much that is.
    """

    sentence: str
    link: str = ""
    link_text: str = ""
    inbox: str = ""
    more: int = 0


@dataclass(frozen=True, slots=True)
class CalendarPage:
    """Everything on the page.

    Attributes:
        days: from today on, without the windows that are over.
        past: the windows of this week that are over, newest first.
        next_room: the next window with a free slot, one that has begun only if there is no other.
        why_not_book: why this person cannot book at all; empty if they can.
    """

    days: tuple[Day, ...]
    past: tuple[Row, ...]
    replays: tuple[Row, ...]
    next_room: Row | None
    why_not_book: str
    mine: tuple[Entry, ...]
    live: tuple[tuple[str, str], ...]
    state: str
    advice: Advice


@require_safe
def calendar(request: PageRequest) -> HttpResponse:
    """Show the calendar; htmx asks for it again every 15 seconds."""
    context: dict[str, object] = {
        "section": "calendar",
        "page": _calendar_page(request.user, timezone.now()),
    }
    return page(request, "scheduler/calendar/calendar.html", context, partial="calendar")


def _calendar_page(user: User, now: datetime) -> CalendarPage:
    today = now.astimezone(UTC).date()
    monday = datetime.combine(today - timedelta(days=today.weekday()), datetime.min.time(), UTC)
    end = monday + timedelta(weeks=WEEKS)
    windows = windows_between(monday, end)
    plans = plan_pages(windows, user)
    freezes = freezes_between(monday, end)
    promotions = promotions_before(end)
    mine = backports_of(user)
    rows = [_row(window, plans[window.pk], freezes, user, now) for window in windows]
    current = [row for row in rows if row.window.as_of is None]
    return CalendarPage(
        days=_days([row for row in current if not row.is_over], promotions, freezes, monday, today),
        past=tuple(row for row in reversed(current) if row.is_over),
        replays=tuple(row for row in rows if row.window.as_of is not None),
        next_room=_next_room(current, now),
        why_not_book=refusal_to_book(by=user),
        mine=tuple(_entry(backport, plans.get(backport.window_id)) for backport in mine),
        live=tuple(sorted(production_at(now).live.items())),
        state=_state(current),
        advice=_advice(user, now),
    )


def _row(
    window: Window, plan: PlanPage, freezes: Sequence[Freeze], user: User, now: datetime
) -> Row:
    numbers = window.numbers
    places = Counter(placement.place for placement in plan.placements.values())
    # What Gerrit has not told about yet is in no plan.
    places["held"] += sum(not one.change.is_known for one in plan.backports.values())
    length = int(window.to_domain().minutes)
    gone = _gone(window, now)
    return Row(
        window=window,
        max_patches=numbers.max_patches,
        slots_left=max(numbers.max_patches - plan.slots, 0),
        minutes_left=max(length - max(window.minutes_gone(now) + plan.minutes, gone), 0),
        queued=len(plan.step_of),
        overridden=sum(any(one.is_overridden for one in some) for some in plan.objections.values()),
        elsewhere=tuple(sorted((+places).items())),
        questions=len(plan.questions),
        deployers=tuple(person.username for person in window.deployers.all()),
        is_over=window.is_over(now),
        has_begun=gone > 0,
        is_frozen=window.as_of is None
        and any(
            freeze.scope == FreezeScope.ALL and freeze.overlaps(window.to_domain())
            for freeze in freezes
        ),
        mine=any(
            backport.requester.username == user.username for backport in plan.backports.values()
        ),
    )


def _gone(window: Window, now: datetime) -> int:
    """Return how many minutes of a window are over by the clock, also of a locked one."""
    return 0 if window.as_of else window.to_domain().minutes_gone(now)


def _next_room(rows: Sequence[Row], now: datetime) -> Row | None:
    """Return the next window with a free slot; one that has begun only if there is no other."""
    free = [row for row in rows if row.can_be_booked]
    coming = [row for row in free if row.window.start > now]
    return next(iter(coming or free), None)


def _entry(backport: Backport, plan: PlanPage | None) -> Entry:
    """Return a backport with what the rules say of it, where its window is on the page."""
    number = backport.change.number
    entry = plan.entry(number) if plan else Entry(number, backport.change, backport)
    return replace(entry, backport=backport)


def _days(
    rows: Sequence[Row],
    promotions: Sequence[Promotion],
    freezes: Sequence[Freeze],
    monday: datetime,
    today: date,
) -> tuple[Day, ...]:
    days = []
    for offset in range(7 * WEEKS):
        start = monday + timedelta(days=offset)
        end = start + timedelta(days=1)
        bands = [
            Band(
                "freeze",
                f"Freeze ({_FROZEN[freeze.scope]}): "
                f"{freeze.reason or 'no reason given'}, until {_day_and_time(freeze.end)}",
            )
            for freeze in freezes
            if freeze.start < end and freeze.end > start
        ]
        bands += [
            Band(
                "train",
                f"Train, {one.at.astimezone(UTC):%H:%M} UTC: "
                f"{one.group} moves to {one.version.name}",
            )
            for one in promotions
            if start <= one.at < end
        ]
        of_day = tuple(row for row in rows if start <= row.window.start < end)
        if of_day or (bands and start.date() >= today):
            days.append(Day(start.date(), start.date() == today, tuple(bands), of_day))
    return tuple(days)


def _state(rows: Sequence[Row]) -> str:
    """Return the next window in one line."""
    coming = next((row for row in rows if not row.is_over), None)
    if coming is None:
        return "No window is planned this week or the next."
    which = "This window began" if coming.has_begun else "Next window:"
    return (
        f"{which} {_day_and_time(coming.window.start)}, "
        f"{coming.queued} in the queue, {coming.slots_left} of {coming.max_patches} slots left."
    )


def _day_and_time(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment:%a} {moment.day} {moment:%b}, {moment:%H:%M} UTC"


def _advice(user: User, now: datetime) -> Advice:
    """Return the first thing that waits for this person, as their inbox knows it."""
    waiting = waiting_for(actor_of(user), rows_for(user, now), now)
    if not waiting:
        return Advice("Nothing waits for you.")
    inbox, first = reverse("review-inbox"), waiting[0]
    if first.is_decided_here:
        count = sum(one.is_decided_here for one in waiting)
        waits = "backport waits" if count == 1 else "backports wait"
        advice = Advice(f"{count} {waits} for your review.", inbox, "Review")
    else:
        count, link = 1, reverse("backport", args=[first.backport.pk])
        if first.first.is_about_window:
            link = reverse("window", args=[first.backport.window_id]) + "#questions"
        number, sentence = str(first.backport.change.number), first.first.sentence
        if number not in sentence:
            sentence = f"{number}: {sentence}"
        advice = Advice(sentence, link, first.first.way)
    more = len(waiting) - count
    return replace(advice, inbox=inbox if more else "", more=more)
