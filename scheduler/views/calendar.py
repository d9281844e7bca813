"""The front page: the windows of two weeks, and what to do now."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from scheduler.actors import actor_of
from scheduler.domain.backports import Mark
from scheduler.domain.checklist.turns import now_for
from scheduler.domain.permissions import EMERGENCY_ROLES, Act, Actor, may
from scheduler.domain.windows import Freeze, FreezeRule, FreezeScope, WindowKind
from scheduler.forms import grade_of
from scheduler.models import Backport, Lease, Promotion, User, Window
from scheduler.queries import freeze_rules, production_at, stopping_rules
from scheduler.services.backports import refusal_to_book
from scheduler.services.clock import database_now
from scheduler.services.deploying import LEFT_FOR
from scheduler.services.heartbeats import silent_since
from scheduler.services.runs import CHECK_IN_OPENS, course_of
from scheduler.views.capacity import grade_over, minutes_gone, minutes_left
from scheduler.views.http import PageRequest, page
from scheduler.views.inbox_rows import rows_for
from scheduler.views.plan_pages import Entry, PlanPage
from scheduler.views.reading import (
    backports_of,
    freezes_between,
    plan_pages,
    promotions_between,
    windows_between,
)
from scheduler.views.waiting import Rows, waiting_for

WEEKS = 2
CLOCK = "keep-the-calendar"
_WEEK = re.compile(r"(20[0-9]{2})-W([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Row:
    """One window in the list.

    Attributes:
        item: its id on the page, by its start in UTC as on the wiki; "" if bots do not look at it.
        overridden: how many backports a MUST rule objects to.
        deployers, requesters: their nicks.
        freeze: the grade of the freezes that lie over it; "" if none does.
    """

    window: Window
    item: str
    max_patches: int
    slots_left: int
    minutes_left: int
    queued: int
    overridden: int
    elsewhere: tuple[tuple[str, int], ...]
    questions: int
    deployers: tuple[str, ...]
    requesters: tuple[str, ...]
    is_over: bool
    has_begun: bool
    is_closed: bool
    freeze: str
    awaits: tuple[str, ...]
    mine: bool

    @property
    def takes_bookings(self) -> bool:
        """Whether backports are booked in it, full or not."""
        return (
            self.window.is_bookable
            and self.window.takes_place
            and not (self.is_over or self.is_closed or self.is_frozen or self.window.locked_at)
        )

    @property
    def is_frozen(self) -> bool:
        """Whether nothing is deployed in it."""
        return self.freeze == FreezeScope.ALL

    @property
    def can_be_booked(self) -> bool:
        """Whether a slot is left for somebody."""
        return self.takes_bookings and self.slots_left > 0

    @property
    def wants_deployers(self) -> bool:
        """Whether somebody can still sign up for it."""
        return (
            self.window.kind != WindowKind.NO_DEPLOY.value
            and self.window.takes_place
            and self.window.as_of is None
            and not self.is_over
        )


@dataclass(frozen=True, slots=True)
class Band:
    """Something that lies over a day: a promotion of the train, or a freeze.

    Attributes:
        start: when; end: until when, for a freeze.
    """

    kind: str
    text: str
    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """A day with its bands and windows; or some days on which nothing else is.

    Attributes:
        last: the last of several days.
    """

    first: date
    last: date
    is_today: bool
    bands: tuple[Band, ...]
    rows: tuple[Row, ...]

    def goes_on_with(self, day: "Day") -> bool:
        """Return whether the next day is just like this one, and nothing but its bands is on it."""
        return (
            day.first - self.last == timedelta(days=1)
            and not (self.rows or day.rows or self.is_today or day.is_today)
            and self.bands == day.bands
        )


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
        address: of this page; this, before, after: the weeks, as `?week=` names them.
        heading: which weeks these are.
        is_now: whether the first of them is this week.
        days: of this week, from today on, without the windows that are over; else all.
        past: the windows of this week that are over, newest first.
        silent_since: when the scheduler was last heard of, if that is too long ago.
        next_room: the next window with a free slot, one that has begun only if there is no other.
        why_not_book: why this person cannot book at all; empty if they can.
    """

    address: str
    heading: str
    is_now: bool
    before: str
    after: str
    silent_since: datetime | None
    may_manage: bool
    may_sign_up: bool
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
        "page": _calendar_page(request.user, timezone.now(), request.GET.get("week", "")),
    }
    return page(request, "scheduler/calendar/calendar.html", context, partial="calendar")


@login_not_required
@require_safe
def public(request: HttpRequest) -> HttpResponse:
    """Show the windows to everybody, bots included: when, what, who deploys and who asked.

    That is what the wiki page of the calendar told the world; of changes it tells nothing.
    """
    now = timezone.now()
    today = now.astimezone(UTC).date()
    monday = _start_of(today - timedelta(days=today.weekday()))
    between = windows_between(monday, monday + timedelta(weeks=WEEKS))
    windows = [window for window in between if window.as_of is None]
    nobody = User()
    plans, rules = plan_pages(windows, nobody), stopping_rules()
    rows = [_row(window, plans[window.pk], rules, nobody, now) for window in windows]
    context = {"rows": [row for row in _with_items(rows) if not row.is_over], "section": ""}
    return render(request, "scheduler/calendar/public.html", context)


def _calendar_page(user: User, now: datetime, week: str) -> CalendarPage:
    today = now.astimezone(UTC).date()
    this = today - timedelta(days=today.weekday())
    first = _monday_of(week) or this
    is_now = first == this
    monday = _start_of(first)
    end = monday + timedelta(weeks=WEEKS)
    windows = windows_between(monday, end)
    plans = plan_pages(windows, user)
    rules = stopping_rules()
    bands = _bands(
        monday, freezes_between(freeze_rules(), monday, end), promotions_between(monday, end)
    )
    mine = backports_of(user)
    actor = actor_of(user)
    rows = [_row(window, plans[window.pk], rules, user, now) for window in windows if window.as_of]
    current = [
        _row(window, plans[window.pk], rules, user, now) for window in windows if not window.as_of
    ]
    current = _with_items(current)
    return CalendarPage(
        address=reverse("calendar") + ("" if is_now else f"?week={_named(first)}"),
        heading=_heading(first, is_now=is_now),
        is_now=is_now,
        before=_named(first - timedelta(weeks=1)),
        after=_named(first + timedelta(weeks=1)),
        silent_since=silent_since(job=CLOCK, now=now),
        may_manage=may(actor, Act.MANAGE_CALENDAR),
        may_sign_up=may(actor, Act.SIGN_UP),
        days=_days(
            [row for row in current if not (is_now and row.is_over)],
            bands,
            today,
            today if is_now else first,
        ),
        past=tuple(row for row in reversed(current) if is_now and row.is_over),
        replays=tuple(rows) if is_now else (),
        next_room=_next_room(current, now),
        why_not_book=refusal_to_book(by=user),
        mine=tuple(_entry(backport, plans.get(backport.window_id)) for backport in mine),
        live=tuple(sorted(production_at(now).live.items())),
        state=_state(current),
        advice=_driving(actor, [*current, *rows]) or _advice(actor, rows_for(user, now), now),
    )


def _start_of(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)


def _monday_of(week: str) -> date | None:
    """Return the first day of a week such as 2026-W49; None where that names no week of ours."""
    match = _WEEK.fullmatch(week)
    if match is None:
        return None
    try:
        return date.fromisocalendar(int(match[1]), int(match[2]), 1)
    except ValueError:
        return None


def _named(monday: date) -> str:
    year, week, _ = monday.isocalendar()
    return f"{year}-W{week:02}"


def _heading(monday: date, *, is_now: bool) -> str:
    if is_now:
        return "This week and the next"
    last = monday + timedelta(days=7 * WEEKS - 1)
    return f"{monday.day} {monday:%b} to {last.day} {last:%b %Y}"


def _with_items(rows: Iterable[Row]) -> list[Row]:
    """Return the rows with the ids by which bots know them, each once on the page.

    One that was called off or skipped has none: nobody is called to it.
    """
    used = Counter[str]()
    found = []
    for row in rows:
        item = f"deploycal-item-{row.window.start.astimezone(UTC):%Y%m%dT%H%M}"
        if not row.window.takes_place:
            found.append(row)
            continue
        used[item] += 1
        found.append(replace(row, item=item if used[item] == 1 else f"{item}-{used[item]}"))
    return found


def _row(
    window: Window, plan: PlanPage, rules: Sequence[FreezeRule], user: User, now: datetime
) -> Row:
    numbers = window.numbers
    places = Counter(placement.place for placement in plan.placements.values())
    # What Gerrit has not told about yet is in no plan.
    places["held"] += sum(not one.change.is_known for one in plan.backports.values())
    given = {one.role for one in window.confirmations.all()}
    return Row(
        window=window,
        item="",
        max_patches=numbers.max_patches,
        slots_left=max(numbers.max_patches - plan.slots, 0),
        minutes_left=minutes_left(window, plan, now),
        queued=len(plan.step_of),
        overridden=sum(any(one.is_overridden for one in some) for some in plan.objections.values()),
        elsewhere=tuple(sorted((+places).items())),
        questions=len(plan.questions),
        deployers=tuple(person.nick or person.username for person in window.deployers.all()),
        requesters=tuple(
            dict.fromkeys(
                one.nick or one.requester.nick or one.requester.username
                for one in plan.backports.values()
                if Mark.SECURITY.value not in one.marks
            )
        ),
        is_over=window.is_over(now),
        has_begun=minutes_gone(window, now) > 0,
        is_closed=window.is_closed(now),
        freeze=grade_over(window, rules),
        awaits=tuple(role.spoken for role in EMERGENCY_ROLES if role.value not in given)
        if window.is_emergency
        else (),
        mine=any(
            backport.requester.username == user.username for backport in plan.backports.values()
        ),
    )


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


def _bands(
    monday: datetime, freezes: Sequence[Freeze], promotions: Sequence[Promotion]
) -> dict[date, tuple[Band, ...]]:
    """Return what lies over each day of these weeks."""
    bands = {}
    for offset in range(7 * WEEKS):
        start = monday + timedelta(days=offset)
        end = start + timedelta(days=1)
        over = [
            Band(
                "freeze",
                f"Freeze ({grade_of(freeze.scope)}): {freeze.reason or 'no reason given'}",
                freeze.start,
                freeze.end,
            )
            for freeze in freezes
            if freeze.start < end and freeze.end > start
        ]
        over += [
            Band("train", f"Train: {one.group} moves to {one.version.name}", one.at)
            for one in promotions
            if start <= one.at < end
        ]
        bands[start.date()] = tuple(over)
    return bands


def _days(
    rows: Sequence[Row], bands: dict[date, tuple[Band, ...]], today: date, first: date
) -> tuple[Day, ...]:
    """Return the days on which something is, those without a window only from the first on."""
    of_day: dict[date, list[Row]] = {}
    earliest = min(bands)
    for row in rows:
        day = row.window.start.astimezone(UTC).date()  # one that began before stands on the first
        of_day.setdefault(max(day, earliest), []).append(row)
    days: list[Day] = []
    for day, over in bands.items():
        if day not in of_day and (not over or day < first):
            continue
        shown = Day(day, day, day == today, over, tuple(of_day.get(day, ())))
        if days and days[-1].goes_on_with(shown):
            days[-1] = replace(days[-1], last=day)
        else:
            days.append(shown)
    return tuple(days)


def _state(rows: Sequence[Row]) -> str:
    """Return the next window in one line."""
    bookable = (row for row in rows if row.window.is_bookable and row.window.takes_place)
    coming = next((row for row in bookable if not (row.is_over or row.is_frozen)), None)
    if coming is None:
        return "No SWAT window is planned in these two weeks."
    which = "This window began" if coming.has_begun else "Next window:"
    return (
        f"{which} {_day_and_time(coming.window.start)}, "
        f"{coming.queued} in the queue, {coming.slots_left} of {coming.max_patches} slots left."
    )


def _day_and_time(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    return f"{moment:%a} {moment.day} {moment:%b}, {moment:%H:%M} UTC"


def _driving(actor: Actor, rows: Sequence[Row]) -> Advice | None:
    """Return what somebody does in a window that is deployed now; None if it waits for others."""
    at = database_now()
    keys = [row.window.pk for row in rows]
    leases = Lease.objects.filter(window__in=keys, ended_at__isnull=True)
    driven = set(leases.values_list("window", flat=True))  # replays have hours of their own
    for row in rows:
        window = row.window
        is_near = window.start - CHECK_IN_OPENS <= at < window.end + LEFT_FOR
        if not window.is_locked or not (is_near or window.pk in driven):
            continue
        course = course_of(window, at)
        now = now_for(course.person(actor), course.hour)
        if now.is_mine and not course.is_closed:
            link = reverse("deploy", args=[window.pk])
            return Advice(f"{now.sentence}.", link, f"Deploy {window.title}")
    return None


def _advice(actor: Actor, rows: Rows, now: datetime) -> Advice:
    """Return the first thing that waits for this person, as their inbox knows it."""
    waiting = waiting_for(actor, rows, now)
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
