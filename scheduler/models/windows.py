"""Windows and their series, who deploys in them, and the freezes."""

from datetime import UTC, datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from django.db import models

from scheduler.domain import windows as domain
from scheduler.domain.permissions import EMERGENCY_ROLES
from scheduler.domain.policy.numbers import Numbers, numbers_in_force
from scheduler.models.choices import choices_of, values_of
from scheduler.models.users import User


class Freeze(models.Model):
    """A time in which nothing, only what is urgent, or no train is deployed.

    Attributes:
        starts: the first time it begins; ends: the first time it ends.
        kinds: the kinds of windows that it stops, sorted; empty for all.
        recurrence: how often it comes again, on the clocks of `zone`.
        until: the last local day on which one may begin; None for always.
        cancelled_at: since when it does not hold any more; None while it does.
    """

    starts = models.DateTimeField()
    ends = models.DateTimeField()
    kinds = models.JSONField(default=list, blank=True)
    recurrence = models.CharField(
        max_length=8,
        choices=choices_of(domain.Recurrence),
        default=domain.Recurrence.ONCE.value,
    )
    zone = models.CharField(max_length=64, default="UTC")
    until = models.DateField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    scope = models.CharField(
        max_length=8,
        choices=choices_of(domain.FreezeScope),
        default=domain.FreezeScope.ALL.value,
    )
    reason = models.CharField(max_length=200, blank=True)

    objects: ClassVar[models.Manager["Freeze"]] = models.Manager()

    class Meta:
        ordering = ["starts"]
        constraints = [
            models.CheckConstraint(
                name="freeze_ends_after_start",
                condition=models.Q(ends__gt=models.F("starts")),
            ),
            models.CheckConstraint(
                name="freeze_scope_known",
                condition=models.Q(scope__in=values_of(domain.FreezeScope)),
            ),
            models.CheckConstraint(
                name="freeze_recurrence_known",
                condition=models.Q(recurrence__in=values_of(domain.Recurrence)),
            ),
        ]

    def __str__(self) -> str:
        return self.reason or f"freeze from {self.starts:%Y-%m-%d}"

    def to_domain(self) -> domain.FreezeRule:
        """Return it as the rules see it, with all the times that it comes again."""
        first = domain.Freeze(
            self.starts.astimezone(UTC),
            self.ends.astimezone(UTC),
            domain.FreezeScope(self.scope),
            self.reason,
        )
        return domain.FreezeRule(
            first,
            ZoneInfo(self.zone),
            domain.Recurrence(self.recurrence),
            self.until,
            frozenset(domain.WindowKind(kind) for kind in self.kinds),
        )


class WindowSeries(models.Model):
    """Windows that come again every week at the same local time; the clock makes them ahead.

    Attributes:
        weekdays: on which local days, 0 for Monday, sorted.
        at: the local start; minutes: how long each is.
        second: which start, on a day on which the clocks show it twice.
        closes_minutes: how long before the start booking closes; None while the window is open.
    """

    kind = models.CharField(
        max_length=16,
        choices=choices_of(domain.WindowKind),
        default=domain.WindowKind.BACKPORT.value,
    )
    title = models.CharField(max_length=100)
    zone = models.CharField(max_length=64)
    weekdays = models.JSONField()
    at = models.TimeField()
    minutes = models.PositiveSmallIntegerField()
    second = models.BooleanField(default=False)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)
    closes_minutes = models.PositiveSmallIntegerField(null=True, blank=True)

    objects: ClassVar[models.Manager["WindowSeries"]] = models.Manager()

    class Meta:
        ordering = ["at", "pk"]
        constraints = [
            models.CheckConstraint(
                name="windowseries_kind_known",
                condition=models.Q(kind__in=values_of(domain.WindowKind)),
            ),
            models.CheckConstraint(
                name="windowseries_has_length", condition=models.Q(minutes__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title}, {self.at:%H:%M} {self.zone}"

    def to_domain(self) -> domain.Series:
        """Return it as the calendar reckons with it."""
        return domain.Series(
            ZoneInfo(self.zone),
            frozenset(self.weekdays),
            self.at,
            self.minutes,
            self.starts_on,
            self.ends_on,
            self.second,
        )


class Window(models.Model):
    """A window of the calendar; backports are booked in some kinds of them.

    Attributes:
        series: what made it; None for a single window. series_day: for which local day.
        closes_at: from when on only deployers book in it; None while everybody may.
        cancelled_at: since when it does not take place; None while it does.
        skipped_at: when the clock found that nobody had claimed it; None otherwise.
        is_emergency: whether it lies in a freeze, and two people have to confirm it first.
        sequence: how often its time, title or state changed: calendars need it.
        as_of: the moment it is planned at, for a replay; None means the clock.
        locked_at: since when its queue is fixed; None while it is not.
        locked_numbers: the policy's numbers pinned by the lock.
        turn: counts the changes to the window; adding to it takes the window's row for the rest
            of the transaction, on every database.
    """

    kind = models.CharField(
        max_length=16,
        choices=choices_of(domain.WindowKind),
        default=domain.WindowKind.BACKPORT.value,
    )
    start = models.DateTimeField(db_index=True)
    end = models.DateTimeField()
    title = models.CharField(max_length=100)
    series = models.ForeignKey(
        WindowSeries, models.PROTECT, null=True, blank=True, related_name="windows"
    )
    series_day = models.DateField(null=True, blank=True)
    closes_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    skipped_at = models.DateTimeField(null=True, blank=True)
    is_emergency = models.BooleanField(default=False)
    reason = models.CharField(max_length=300, blank=True)
    sequence = models.PositiveIntegerField(default=0)
    as_of = models.DateTimeField(null=True, blank=True)
    locked_at = models.DateTimeField(null=True, blank=True)
    locked_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="locked_windows"
    )
    locked_numbers = models.JSONField(null=True, blank=True)
    deployers = models.ManyToManyField(User, blank=True, related_name="deploying_windows")
    turn = models.PositiveIntegerField(default=0)

    objects: ClassVar[models.Manager["Window"]] = models.Manager()

    class Meta:
        ordering = ["start"]
        constraints = [
            models.CheckConstraint(
                name="window_ends_after_start",
                condition=models.Q(end__gt=models.F("start")),
            ),
            models.CheckConstraint(
                name="window_lock_is_whole",
                condition=models.Q(
                    locked_at__isnull=True, locked_by__isnull=True, locked_numbers__isnull=True
                )
                | models.Q(
                    locked_at__isnull=False, locked_by__isnull=False, locked_numbers__isnull=False
                ),
            ),
            models.CheckConstraint(
                name="window_kind_known",
                condition=models.Q(kind__in=values_of(domain.WindowKind)),
            ),
            # Two windows in which people book never begin at once. One that was called off counts
            # no more, nor does a replay of the past, and an emergency is in nobody's way.
            models.UniqueConstraint(
                name="window_one_at_a_time",
                fields=["start"],
                condition=models.Q(
                    kind__in=sorted(kind.value for kind in domain.BOOKABLE),
                    cancelled_at__isnull=True,
                    as_of__isnull=True,
                    is_emergency=False,
                ),
            ),
            models.UniqueConstraint(name="window_once_a_day", fields=["series", "series_day"]),
            models.CheckConstraint(
                name="window_series_day_is_whole",
                condition=models.Q(series__isnull=True, series_day__isnull=True)
                | models.Q(series__isnull=False, series_day__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title}, {self.start:%Y-%m-%d %H:%M} UTC"

    @property
    def is_locked(self) -> bool:
        """Whether its queue is fixed."""
        return self.locked_at is not None

    @property
    def numbers(self) -> Numbers:
        """The policy's numbers: those pinned by the lock, else those in force when it starts."""
        if self.locked_numbers is not None:
            return Numbers(**self.locked_numbers)
        return numbers_in_force(self.start)

    def planned_at(self, now: datetime) -> datetime:
        """Return the moment it is planned at: the replay's, else the clock's."""
        return self.as_of or now

    @property
    def is_bookable(self) -> bool:
        """Whether backports are booked in windows of its kind."""
        return domain.WindowKind(self.kind).is_bookable

    @property
    def takes_place(self) -> bool:
        """Whether it was neither called off nor skipped."""
        return self.cancelled_at is None and self.skipped_at is None

    def minutes_gone(self, now: datetime) -> int:
        """Return how many of its minutes are over for its queue: a lock stops that clock."""
        return self.to_domain().minutes_gone(self.as_of or self.locked_at or now)

    def queue_begins(self, now: datetime) -> datetime:
        """Return when the first step of its queue can start."""
        return self.to_domain().at(self.minutes_gone(now))

    def is_over(self, now: datetime) -> bool:
        """Return whether it has ended, by the time it is planned at."""
        return self.end <= self.planned_at(now)

    def is_closed(self, now: datetime) -> bool:
        """Return whether only deployers book in it any more."""
        return self.closes_at is not None and self.closes_at <= self.planned_at(now)

    def to_domain(self) -> domain.Window:
        """Return it as the rules see it."""
        return domain.Window(self.start, self.end)


class EmergencyConfirmation(models.Model):
    """One of the two who say that a window may take place in spite of a freeze."""

    window = models.ForeignKey(Window, models.PROTECT, related_name="confirmations")
    role = models.CharField(max_length=20, choices=choices_of(EMERGENCY_ROLES))
    by = models.ForeignKey(User, models.PROTECT, related_name="confirmed_windows")
    at = models.DateTimeField()

    objects: ClassVar[models.Manager["EmergencyConfirmation"]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="confirmation_one_per_role", fields=["window", "role"]),
            models.UniqueConstraint(name="confirmation_two_people", fields=["window", "by"]),
            models.CheckConstraint(
                name="confirmation_role_known",
                condition=models.Q(role__in=values_of(EMERGENCY_ROLES)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.by_id} for {self.role} of window {self.window_id}"
