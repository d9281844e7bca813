"""What calendar feeds hold: windows, the train's promotions and freezes; for all, or for one."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import Max, Prefetch, Q, QuerySet
from django.urls import reverse

from scheduler.adapters.calendars.ical import Happening
from scheduler.domain.backports import Mark
from scheduler.domain.lifecycle import Status
from scheduler.domain.windows import Freeze as Frozen
from scheduler.domain.windows import FreezeScope
from scheduler.models import Backport, Event, Freeze, Promotion, User, Window

BEFORE, AHEAD = timedelta(weeks=4), timedelta(weeks=8)
_STOPS = {
    FreezeScope.ALL: "no deployments",
    FreezeScope.NORMAL: "only what is urgent",
    FreezeScope.TRAIN: "no train",
}
_GONE = (Status.WITHDRAWN, Status.DECLINED, Status.TRAIN, Status.DEDICATED)
_DAY = timedelta(days=1)


def happenings_for_all(now: datetime) -> list[Happening]:
    """Return the windows, promotions and freezes of the last four and the next eight weeks."""
    start, end = now - BEFORE, now + AHEAD
    windows = [_window(one, _told(one)) for one in _windows(start, end)]
    return [*windows, *_promotions(start, end), *_freezes(start, end)]


def happenings_for(user: User, now: datetime) -> list[Happening]:
    """Return the windows that somebody deploys, or that their backports are in, of that time."""
    mine = (
        Backport.objects.filter(requester=user)
        .exclude(status__in=[status.value for status in _GONE])
        .select_related("change")
        .defer("change__diff")
        .order_by("submitted_at", "pk")
    )
    windows = _windows(now - BEFORE, now + AHEAD)
    windows = windows.prefetch_related(Prefetch("backports", mine, to_attr="mine"))
    found = []
    for window in windows:
        backports: list[Backport] = getattr(window, "mine", [])
        deploys = user in window.deployers.all()
        if deploys or backports:
            told = "\n".join((*_my_part(backports, deploys=deploys), _told(window)))
            found.append(_window(window, told))
    return found


def _windows(start: datetime, end: datetime) -> QuerySet[Window]:
    """Return windows with their deployers, and when each last changed by somebody's act."""
    own = Q(events__kind__startswith="window.")
    return (
        Window.objects.filter(start__gte=start, start__lt=end, as_of__isnull=True)
        .annotate(acted_at=Max("events__at", filter=own))
        .prefetch_related(Prefetch("deployers", User.objects.order_by("username")))
        .order_by("start", "pk")
    )


def _window(window: Window, description: str) -> Happening:
    # One that nobody has touched counts as made when it first came in sight of a feed.
    known = (getattr(window, "acted_at", None), window.cancelled_at, window.skipped_at)
    changed_at = max((one for one in known if one is not None), default=window.start - AHEAD)
    return Happening(
        uid=_uid("window", window.pk),
        summary=window.title,
        start=window.start,
        end=window.end,
        changed_at=changed_at,
        sequence=window.sequence,
        is_cancelled=not window.takes_place,
        description=description,
        url=_address(reverse("window", args=[window.pk])),
    )


def _told(window: Window) -> str:
    names = ", ".join(person.nick or person.username for person in window.deployers.all())
    kind = window.kind.replace("-", " ")
    return f"Kind: {kind}.\nDeployers: {names or 'nobody yet'}."


def _my_part(backports: Iterable[Backport], *, deploys: bool) -> Iterator[str]:
    if deploys:
        yield "You deploy in this window."
    for backport in backports:
        if Mark.SECURITY.value in backport.marks:
            yield f"Your backport {backport.pk}: {backport.status.replace('-', ' ')}."
        else:
            change = backport.change
            yield f"Your backport of {change.number}: {backport.status}. {change.subject}"


def _promotions(start: datetime, end: datetime) -> Iterator[Happening]:
    """Yield the promotions; the last time that anybody said something of the version counts."""
    rows = Promotion.objects.filter(at__gte=start, at__lt=end).select_related("version")
    told = {
        row["payload__version"]: row["last"]
        for row in Event.objects.filter(kind__startswith="train.")
        .order_by()
        .values("payload__version")
        .annotate(last=Max("at"))
    }
    for one in rows.order_by("at", "pk"):
        last = told.get(one.version.name)
        yield Happening(
            uid=_uid("promotion", f"{one.version.name}-{one.group}"),
            summary=f"Train: {one.group} to {one.version.name}",
            start=one.done_at or one.at,
            end=None,
            changed_at=max(filter(None, (last, one.done_at)), default=one.at - AHEAD),
            sequence=one.sequence,
            is_busy=False,
            description="The train is held." if one.version.held_at and not one.done_at else "",
        )


def _freezes(start: datetime, end: datetime) -> Iterator[Happening]:
    """Yield each time of the freezes, in whole days on the clocks of its zone."""
    for row in Freeze.objects.order_by("starts", "pk"):
        rule = row.to_domain()
        for freeze in rule.between(start, end):
            begins = freeze.start.astimezone(rule.zone)
            ends = freeze.end.astimezone(rule.zone)
            first, after = begins.date(), _first_day_after(ends)
            yield Happening(
                uid=_uid("freeze", f"{row.pk}-{first:%Y%m%d}"),
                summary=f"Freeze ({_STOPS[freeze.scope]}): {freeze.reason or 'no reason given'}",
                start=first,
                end=after,
                changed_at=row.cancelled_at or freeze.start - AHEAD,
                sequence=0 if row.cancelled_at is None else 1,
                is_cancelled=row.cancelled_at is not None,
                is_busy=False,
                description=_exactly(freeze),
            )


def _first_day_after(ends: datetime) -> date:
    is_midnight = ends.time().replace(tzinfo=None) == datetime.min.time()
    return ends.date() if is_midnight else ends.date() + _DAY


def _exactly(freeze: Frozen) -> str:
    begins, ends = (one.astimezone(UTC) for one in (freeze.start, freeze.end))
    return f"From {begins:%Y-%m-%d %H:%M} UTC to {ends:%Y-%m-%d %H:%M} UTC."


def _uid(noun: str, key: object) -> str:
    return f"{noun}-{key}@{urlsplit(settings.PUBLIC_URL).hostname}"


def _address(path: str) -> str:
    return settings.PUBLIC_URL.rstrip("/") + path
