"""`manage.py seed_demo`: the cast, the train, windows and bookings that the demo shows."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from scheduler.actors import actor_of, grant_roles, relations_to
from scheduler.adapters.ports import AdapterError
from scheduler.domain.backports import Kind, Urgency
from scheduler.domain.changes import short_project
from scheduler.domain.errors import Refused
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import Act, may
from scheduler.domain.statements import OnlyFirst, StatementKind
from scheduler.domain.windows import FreezeScope, Recurrence, WindowKind, moment_of
from scheduler.models import (
    Backport,
    Change,
    Freeze,
    GroupMove,
    Promotion,
    Statement,
    TrainVersion,
    User,
    Window,
    WindowSeries,
)
from scheduler.queries import OPEN_STATUSES, newest_plan
from scheduler.services.backports import (
    BackportAnswers,
    read_again,
    submit_backport,
    withdraw_backport,
)
from scheduler.services.calendar import make_coming_windows
from scheduler.services.changes import fetch, store_changes
from scheduler.services.plans import replan_window
from scheduler.services.reviews import approve_backport
from scheduler.services.statements import OnPair, answer_question
from scheduler.services.windows import lock_window
from swat.embedded.cast import CAST
from swat.embedded.gerrit_changes import NEW, OLD, SITUATIONS

HOME = "America/Los_Angeles"  # whose clocks the windows keep to (`reference/wikimedia.md` 1.2)
MON, TUE, WED, THU, FRI = range(5)
GROUPS = ("group0", "group1", "group2")
REHEARSAL = "Rehearsal: drive this one"
CLAIMED = 6  # how many of the next windows have their deployers; nobody has signed up for others


@dataclass(frozen=True, slots=True)
class Weekly:
    """A series of the demo: its title, its days, its start in Los Angeles, and how long it is."""

    title: str
    days: tuple[int, ...]
    hour: int
    kind: WindowKind = WindowKind.BACKPORT
    minutes: int = 60
    closes_minutes: int | None = None


SERIES = (
    Weekly("UTC morning backport window", (MON, TUE, WED, THU), 0),
    Weekly("UTC afternoon backport window", (MON, TUE, WED, THU), 6),
    Weekly("UTC late backport window", (MON, TUE, WED, THU), 13),
    Weekly("MediaWiki train", (TUE, WED, THU), 11, WindowKind.TRAIN, 120),
    Weekly("Weekly security window", (MON,), 14, WindowKind.SECURITY, 120),
    Weekly("Backport training", (THU,), 9, WindowKind.TRAINING, 60, closes_minutes=60),
)


@dataclass(frozen=True, slots=True)
class Booking:
    """Who asks for the change of a situation, how urgently, and whether it is approved.

    Attributes:
        later: 0 is the next window to start, 1 the one after.
    """

    situation: str
    requester: str = "ada"
    kind: Kind = Kind.REGRESSION
    urgency: Urgency = Urgency.NORMAL
    approved: bool = True
    present: bool = True
    later: int = 0


BOOKINGS = (
    Booking("regression_old", urgency=Urgency.UNBREAK_NOW),
    Booking("regression_new", urgency=Urgency.UNBREAK_NOW),
    Booking("declared_config", kind=Kind.CONFIG, urgency=Urgency.HIGH),
    Booking("declared_skin_old", urgency=Urgency.HIGH),
    Booking("declared_skin_new", urgency=Urgency.HIGH),
    Booking("config", kind=Kind.CONFIG, urgency=Urgency.HIGH),
    Booking("beta_config", kind=Kind.CONFIG, urgency=Urgency.LOW),
    Booking("config_two", kind=Kind.CONFIG, urgency=Urgency.LOW),
    Booking("pair_add", urgency=Urgency.HIGH),
    Booking("pair_remove", urgency=Urgency.HIGH),
    Booking("l10n", kind=Kind.BUG, approved=False),
    Booking("train_soon", kind=Kind.BUG, approved=False),
    Booking("schema_change", kind=Kind.MAINTENANCE, approved=False),
    Booking("ci_failed", kind=Kind.CONFIG, approved=False),
    Booking("train_would_undo", approved=False),
    Booking("config_three", kind=Kind.CONFIG, approved=False),
    Booking("second_regression_old", requester="dev", urgency=Urgency.HIGH, later=1),
    Booking("second_regression_new", requester="dev", urgency=Urgency.HIGH, later=1),
    Booking("chain_lower", kind=Kind.CONFIG, later=1),
    Booking("chain_upper", kind=Kind.CONFIG, later=1),
    Booking("long_title", kind=Kind.CONFIG, approved=False, later=2),
    Booking("not_reviewed", kind=Kind.BUG, approved=False, later=2),
)

STATED = ("config", "config_two")  # in this order; the pair above is left for people to answer


class Command(BaseCommand):
    """Fill the demo. It may be run again at any time: what is there already stays."""

    help = "Load the demo's people, train, windows and bookings (only where SWAT_DEMO is set)."

    def handle(self, *_args: Any, **_options: Any) -> None:  # noqa: ANN401 - as Django's own
        """Load everything.

        Raises:
            CommandError: this is not a demo.
        """
        if not settings.SWAT_DEMO:
            raise CommandError("Not a demo: set SWAT_DEMO to load made-up people and bookings.")
        now = timezone.now()
        cast = seed_cast()
        seed_october(cast)
        seed_freezes(now)
        coming = seed_windows(now, cast)
        seed_train(now, coming[0].start.date())
        if not settings.GERRIT_URL:
            self.stderr.write("GERRIT_URL is not set: nothing is booked.")
        else:
            self.book(coming, cast)
        for window in [*Window.objects.filter(as_of__isnull=False), *coming]:
            replan_window(window=window, now=timezone.now())
        self.stdout.write(f"The demo has {Backport.objects.count()} backports.")

    def book(self, coming: list[Window], cast: dict[str, User]) -> None:
        """Book, answer and approve as the demo's people would, through the real services."""
        approvable = []
        for booking in BOOKINGS:
            number = SITUATIONS.get(booking.situation)
            if number is None:
                continue
            try:
                backport = book_one(number, booking, coming, cast)
            except (AdapterError, Refused) as trouble:
                self.stderr.write(f"{booking.situation}: {trouble}")
                continue
            if backport is not None and booking.approved:
                approvable.append(backport)
        state_order(coming[0], cast["rel"])
        for backport in approvable:
            approve_current(backport, (cast["rae"], cast["rel"]))
        try:
            seed_rehearsal(timezone.now(), cast)
        except (AdapterError, Refused) as trouble:
            self.stderr.write(f"{REHEARSAL}: {trouble}")


def seed_rehearsal(now: datetime, cast: dict[str, User]) -> None:
    """Make a window of last week that is locked, so that anybody can rehearse to deploy it."""
    day = now.date() - timedelta(days=(now.weekday() - WED) % 7 or 7)
    start = datetime.combine(day, time(14), UTC)
    window, is_new = Window.objects.get_or_create(
        title=REHEARSAL,
        defaults={
            "start": start,
            "end": start + timedelta(hours=1),
            "as_of": start - timedelta(minutes=30),
        },
    )
    if not is_new:
        return
    booking = Booking("", kind=Kind.CONFIG, urgency=Urgency.HIGH)
    for name in ("rehearsal_first", "rehearsal_then", "rehearsal_other"):
        backport = book_one(SITUATIONS[name], booking, [window], cast)
        if backport is not None:
            approve_current(backport, (cast["rae"], cast["rel"]))
    plan = replan_window(window=window, now=now, to_the_minute=True)
    lock_window(window=window, by=cast["dev"], plan_fingerprint=plan.fingerprint)
    window.deployers.set([cast["dev"]])


def seed_cast() -> dict[str, User]:
    """Return the people of the demo; nobody has a password."""
    cast = {}
    for person in CAST:
        user, is_new = User.objects.get_or_create(
            username=person.username,
            defaults={"nick": person.username, "email": f"{person.username}@example.org"},
        )
        if is_new:
            user.set_unusable_password()
            user.save(update_fields=["password"])
            grant_roles(user, *person.roles)
        cast[person.username] = user
    return cast


def seed_october(cast: dict[str, User]) -> None:
    """The train of October 2015, and the window of the 26th, in which nothing is booked yet."""
    version(
        "1.27.0-wmf.3",
        1,
        cut=datetime(2015, 10, 13, tzinfo=UTC),
        until=datetime(2015, 11, 3, tzinfo=UTC),
        promotions=(
            datetime(2015, 10, 20, 20, tzinfo=UTC),
            datetime(2015, 10, 21, 19, tzinfo=UTC),
            datetime(2015, 10, 22, 19, tzinfo=UTC),
        ),
    )
    version(
        "1.27.0-wmf.4",
        2,
        cut=datetime(2015, 10, 27, 19, 10, tzinfo=UTC),
        until=datetime(2015, 11, 10, tzinfo=UTC),
        promotions=(
            datetime(2015, 10, 27, 21, 26, tzinfo=UTC),
            datetime(2015, 10, 28, 19, tzinfo=UTC),
            datetime(2015, 10, 29, 20, 46, tzinfo=UTC),
        ),
    )
    window, is_new = Window.objects.get_or_create(
        start=datetime(2015, 10, 26, 23, tzinfo=UTC),
        defaults={
            "end": datetime(2015, 10, 27, tzinfo=UTC),
            "title": "Evening SWAT, 26 October 2015",
            "as_of": datetime(2015, 10, 26, 22, tzinfo=UTC),
        },
    )
    if is_new:
        window.deployers.set([cast["dev"]])


def seed_train(now: datetime, booked: date) -> None:
    """The train of now: the older version serves group1 and group2 while the demo is booked.

    Args:
        now: the clock, UTC.
        booked: the day of the next window; the train goes on after it, on days without a freeze.
    """
    week, day = timedelta(days=7), timedelta(days=1)
    group0 = datetime.combine(now.date(), time(13), UTC)
    group0 -= ((now.weekday() - TUE) % 7) * day
    if group0 > now:
        group0 -= week
    group1 = datetime.combine(next_day(booked), time(13), UTC)
    group2 = datetime.combine(next_day(group1.date()), time(13), UTC)
    older = group0 - week
    version(
        OLD, 1029, cut=older - timedelta(hours=11), promotions=(older, older + day, older + 2 * day)
    )
    version(
        NEW,
        1030,
        cut=group0 - timedelta(hours=11),
        promotions=(group0, group1, group2),
    )
    later = group0 + week
    while later <= group2:
        later += week
    version(
        "1.47.0-wmf.31",
        1031,
        cut=later - timedelta(hours=11),
        promotions=(later, later + day, later + 2 * day),
    )


def version(
    name: str,
    position: int,
    *,
    cut: datetime,
    promotions: tuple[datetime, datetime, datetime],
    until: datetime | None = None,
) -> None:
    """Write a version of the train: checked out as soon as it is cut, then group after group."""
    now = timezone.now()
    row, _ = TrainVersion.objects.update_or_create(
        name=name,
        defaults={
            "position": position,
            "cut_at": cut,
            "checked_out_from": cut,
            "checked_out_until": until,
        },
    )
    for group, at in zip(GROUPS, promotions, strict=True):
        done_at = at if at <= now else None
        Promotion.objects.update_or_create(
            version=row, group=group, defaults={"at": at, "done_at": done_at}
        )
        if done_at is not None:
            GroupMove.objects.get_or_create(group=group, at=at, defaults={"version": row})


def next_day(day: date) -> date:
    """Return the next day on which something is deployed."""
    day += timedelta(days=1)
    return day if day.weekday() < FRI else day + timedelta(days=7 - day.weekday())


def seed_freezes(now: datetime) -> None:
    """Nothing from Friday to Sunday; and the end of the year, unless it would freeze the demo."""
    zone = ZoneInfo(HOME)
    friday = date(2026, 1, 2)
    Freeze.objects.get_or_create(
        reason="No deploys from Friday to Sunday",
        defaults={
            "starts": moment_of(friday, time(0), zone),
            "ends": moment_of(friday + timedelta(days=3), time(0), zone),
            "scope": FreezeScope.ALL.value,
            "recurrence": Recurrence.WEEKLY.value,
            "zone": HOME,
        },
    )
    year = now.year
    if now + timedelta(days=21) >= datetime(year, 12, 21, tzinfo=UTC):
        year += 1
    Freeze.objects.get_or_create(
        reason="End of the year",
        defaults={
            "starts": datetime(year, 12, 21, tzinfo=UTC),
            "ends": datetime(year + 1, 1, 4, tzinfo=UTC),
            "scope": FreezeScope.ALL.value,
            "recurrence": Recurrence.YEARLY.value,
        },
    )


def seed_windows(now: datetime, cast: dict[str, User]) -> list[Window]:
    """Make the series and their coming windows; return those to be booked in, in order."""
    for one in SERIES:
        WindowSeries.objects.get_or_create(
            title=one.title,
            defaults={
                "kind": one.kind.value,
                "zone": HOME,
                "weekdays": list(one.days),
                "at": time(one.hour),
                "minutes": one.minutes,
                "starts_on": now.astimezone(ZoneInfo(HOME)).date(),
                "closes_minutes": one.closes_minutes,
            },
        )
    make_coming_windows(now=now)
    coming = Window.objects.filter(start__gt=now, cancelled_at__isnull=True, locked_at__isnull=True)
    for window in coming.order_by("start")[:CLAIMED]:
        if window.kind != WindowKind.SECURITY.value and not window.deployers.exists():
            afternoon = window.title == SERIES[1].title
            window.deployers.set([cast["rel" if afternoon else "dev"]])
    return list(coming.filter(kind=WindowKind.BACKPORT.value).order_by("start")[:12])


def book_one(
    number: int, booking: Booking, coming: list[Window], cast: dict[str, User]
) -> Backport | None:
    """Book a change; None if it is booked already. What is left from an old window is withdrawn."""
    open_one = Backport.objects.filter(change__number=number, status__in=OPEN_STATUSES)
    earlier = open_one.select_related("change", "window", "requester").first()
    if earlier is not None:
        if not earlier.window.is_over(timezone.now()):
            return None
        withdraw_backport(backport=earlier, by=earlier.requester, fingerprint=earlier.fingerprint)
    fetched = fetch(str(number))
    stored = store_changes(fetched=fetched, at=timezone.now())
    return submit_backport(
        change=stored[0],
        window=coming[booking.later],
        requester=cast[booking.requester],
        answers=answers_for(stored[0], booking),
    )


def answers_for(change: Change, booking: Booking) -> BackportAnswers:
    """Return what the requester says."""
    where = "wmf-config" if booking.kind is Kind.CONFIG else short_project(change.project)
    return BackportAnswers(
        kind=booking.kind,
        urgency=booking.urgency,
        present=booking.present,
        tester=booking.requester,
        nick=booking.requester,
        why_not_train="Users meet it now, and the train brings it days from now.",
        user_impact="Those who run into it lose work or see an error page.",
        tested_where="CI and the Beta Cluster; not with real traffic.",
        verify_how="Repeat the steps of the task on a test server; no error in the log.",
        problems_where=f"Wherever {where} is used: watch the error log of the first minutes.",
        rollback_how="Revert and sync; no data is changed.",
    )


def state_order(window: Window, by: User) -> None:
    """Say which of two changes goes first, so that the demo has an answer beside its question."""
    numbers = [SITUATIONS[name] for name in STATED if name in SITUATIONS]
    plan = newest_plan(window)
    booked = Backport.objects.filter(
        window=window, change__number__in=numbers, status=Status.SUBMITTED.value
    )
    if plan is None or booked.count() != len(STATED):
        return
    if Statement.objects.filter(first__number__in=numbers, then__number__in=numbers).exists():
        return
    first, then = (Change.objects.get(number=number) for number in numbers)
    answer_question(
        on=OnPair(first, then, by, window, plan.fingerprint),
        kind=StatementKind.BEFORE,
        only_first=OnlyFirst.NOTHING,
        reason="The second reads a setting that the first one adds.",
    )


def approve_current(backport: Backport, reviewers: tuple[User, ...]) -> None:
    """Let whoever may approve a backport do so, taking on whatever only SHOULD keep it out."""
    read_again(backport)
    plan = newest_plan(backport.window)
    number = backport.change.number
    objecting = frozenset(
        found["rule"]
        for found in (plan.result["findings"] if plan else ())
        if found["change"] == number and found["level"] == "SHOULD" and not found["lifted"]
    )
    for reviewer in reviewers:
        actor = actor_of(reviewer)
        if may(actor, Act.APPROVE, relations_to(actor, backport)):
            approve_backport(
                backport=backport,
                reviewer=reviewer,
                fingerprint=backport.fingerprint,
                acknowledged=objecting,
                reason="Read and tried; it is small and it is needed now." if objecting else "",
            )
            return
