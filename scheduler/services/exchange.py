"""The calendar as a wiki page: a week written out, and windows made of a page, after a dry run."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from django.db import transaction
from django.db.models import Exists, OuterRef, Prefetch, Q
from django.utils import timezone

from scheduler.actors import actor_of
from scheduler.adapters.calendars.entries import Entry, Found, Person, Request, Unread
from scheduler.adapters.calendars.reading_wikitext import read_page
from scheduler.adapters.calendars.wikitext import week_of, week_span
from scheduler.domain.backports import Mark
from scheduler.domain.changes import RELEASE_BRANCH_PREFIX, ProjectKind, project_kind
from scheduler.domain.errors import OutOfDate, Refused
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import Act, require
from scheduler.domain.windows import Window as Span
from scheduler.domain.windows import WindowKind
from scheduler.models import Backport, Change, Plan, PlanStepMember, User, Window
from scheduler.services.calendar import WindowFacts, add_windows, take_calendar

_WEEK = re.compile(r"(20[0-9]{2})-W([0-9]{2})")
_DONE = (Status.DEPLOYED.value, Status.REVERTED.value)


# --- Out -----------------------------------------------------------------------------------------


def monday_of(week: str) -> date:
    """Return the first day of a week such as `2026-W49`.

    Raises:
        Refused: there is no such week.
    """
    refusal = Refused("That is no week; it should be such as 2026-W49.")
    named = _WEEK.fullmatch(week)
    if named is None:
        raise refusal
    try:
        return date.fromisocalendar(int(named[1]), int(named[2]), 1)
    except ValueError:
        raise refusal from None


def week_as_wikitext(monday: date) -> str:
    """Return the windows of a week in San Francisco as wikitext, requests in the queue's order.

    What was called off or skipped is left out, and so is every request marked as security.
    """
    start, end = week_span(monday)
    windows = list(
        Window.objects.filter(
            start__gte=start,
            start__lt=end,
            as_of__isnull=True,
            cancelled_at__isnull=True,
            skipped_at__isnull=True,
        ).prefetch_related(Prefetch("deployers", User.objects.order_by("username")))
    )
    requests = _requests_in(windows)
    return week_of(monday, [_entry(one, requests.get(one.pk, [])) for one in windows])


def _requests_in(windows: Sequence[Window]) -> dict[int, list[Request]]:
    """Return what is done and what is queued in each window, in that order, by the window's key."""
    newer = Plan.objects.filter(window=OuterRef("window"), version__gt=OuterRef("version"))
    plans = Plan.objects.filter(~Exists(newer), window__in=windows).values("pk")
    members = PlanStepMember.objects.filter(plan__in=plans)
    places = dict(members.values_list("backport", "step__position"))
    rows = (
        Backport.objects.filter(Q(pk__in=places) | Q(status__in=_DONE), window__in=windows)
        .select_related("change", "requester")
        .defer("change__diff")
    )
    ordered = sorted(
        (row for row in rows if Mark.SECURITY.value not in row.marks),
        key=lambda row: (row.status not in _DONE, places.get(row.pk, 0), row.submitted_at, row.pk),
    )
    found: dict[int, list[Request]] = {}
    for row in ordered:
        found.setdefault(row.window_id, []).append(_request(row))
    return found


def _request(backport: Backport) -> Request:
    change, requester = backport.change, backport.requester
    nick = backport.nick or requester.nick or requester.username
    return Request(
        change.number,
        change.subject,
        _type_of(change),
        "done" if backport.status == Status.DEPLOYED.value else "",
        Person(nick, requester.username),
    )


def _type_of(change: Change) -> str:
    if project_kind(change.project) is ProjectKind.CONFIG:
        return "config"
    return change.branch.removeprefix(RELEASE_BRANCH_PREFIX)


def _entry(window: Window, requests: Iterable[Request]) -> Entry:
    return Entry(
        window.start,
        round(window.to_domain().minutes),
        WindowKind(window.kind),
        window.title,
        tuple(Person(one.nick or one.username, one.username) for one in window.deployers.all()),
        tuple(requests),
        window.numbers.max_patches if window.is_bookable else None,
    )


# --- In ------------------------------------------------------------------------------------------


class Outcome(StrEnum):
    """What an import would do about a window of a page."""

    NEW = "new"
    THERE = "there already"
    OVERLAPS = "overlaps"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Row:
    """A window of a page with what would become of it; `because` says why it is not made."""

    found: Found
    outcome: Outcome
    because: str = ""

    @property
    def end(self) -> datetime:
        """When it ends, UTC."""
        return self.found.entry.start + timedelta(minutes=self.found.entry.minutes)


@dataclass(frozen=True, slots=True)
class DryRun:
    """What an import would do.

    Attributes:
        digest: changes with the page and with whatever would be done about it.
    """

    rows: tuple[Row, ...]
    unread: tuple[Unread, ...]
    digest: str

    @property
    def new(self) -> tuple[Row, ...]:
        """The windows that would be made."""
        return tuple(row for row in self.rows if row.outcome is Outcome.NEW)


def dry_run(text: str, *, now: datetime) -> DryRun:
    """Return what an import of a wiki page would do. Nothing is written.

    Raises:
        UnusablePage: it cannot be read at all.
    """
    page = read_page(text)
    spans = [_span(one.entry) for one in page.found]
    there = _windows_during(spans)
    rows: list[Row] = []
    for found in page.found:
        rows.append(_row(found, there, [row for row in rows if row.outcome is Outcome.NEW], now))
    told = json.dumps([text, [[row.found.line, row.outcome, row.because] for row in rows]])
    digest = hashlib.sha256(told.encode("utf-8", "backslashreplace")).hexdigest()
    return DryRun(tuple(rows), page.unread, digest)


def _windows_during(spans: Sequence[Span]) -> list[Window]:
    if not spans:
        return []
    return list(
        Window.objects.filter(
            start__lt=max(span.end for span in spans),
            end__gt=min(span.start for span in spans),
            as_of__isnull=True,
            cancelled_at__isnull=True,
        ).order_by("start", "pk")
    )


def _row(found: Found, there: Iterable[Window], made: Sequence[Row], now: datetime) -> Row:
    entry, span = found.entry, _span(found.entry)
    rest = list(there)
    if any(
        (one.kind, one.start) == (entry.kind.value, entry.start)
        and (one.is_bookable or one.title == entry.title)
        for one in rest
    ):
        return Row(found, Outcome.THERE, "A window of this kind begins at this time.")
    before = [row.found for row in made]
    if any(
        (one.entry.kind, one.entry.start) == (entry.kind, entry.start)
        and (entry.kind.is_bookable or one.entry.title == entry.title)
        for one in before
    ):
        return Row(found, Outcome.THERE, "It stands on this page twice.")
    if span.end <= now:
        return Row(found, Outcome.OVER, "That time has passed.")
    if entry.kind.is_bookable:
        in_the_way = [
            *(str(one) for one in rest if one.is_bookable and _overlap(one.to_domain(), span)),
            *(
                f"line {one.line} of this page"
                for one in before
                if one.entry.kind.is_bookable and _overlap(_span(one.entry), span)
            ),
        ]
        if in_the_way:
            return Row(found, Outcome.OVERLAPS, f"It would overlap {in_the_way[0]}.")
    return Row(found, Outcome.NEW)


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def _span(entry: Entry) -> Span:
    return Span(entry.start, entry.start + timedelta(minutes=entry.minutes))


@transaction.atomic
def import_page(*, text: str, digest: str, by: User, source: str) -> list[Window]:
    """Make the windows of a wiki page that a dry run showed as new. One event is logged.

    Requests are not booked, and nobody is signed up: people do both themselves.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: the dry run would show something else now.
        Refused: there is nothing to make.
        UnusablePage: it cannot be read at all.
    """
    require(actor_of(by), Act.MANAGE_CALENDAR)
    take_calendar()
    run = dry_run(text, now=timezone.now())
    if run.digest != digest:
        raise OutOfDate("The calendar changed since this was shown; look at it again.")
    if not run.new:
        raise Refused("There is nothing to make: no window of this page is new.")
    several = [
        WindowFacts(one.title, one.start.astimezone(UTC), one.minutes, one.kind)
        for one in (row.found.entry for row in run.new)
    ]
    return add_windows(several=several, by=by, source=source)
