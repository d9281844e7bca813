"""Windows, who deploys in them, and the freezes."""

from datetime import datetime
from typing import ClassVar

from django.db import models

from scheduler.domain import windows as domain
from scheduler.domain.policy.numbers import Numbers, numbers_in_force
from scheduler.models.choices import choices_of, values_of
from scheduler.models.users import User


class Freeze(models.Model):
    """A time in which nothing, or only what is urgent, is deployed."""

    starts = models.DateTimeField()
    ends = models.DateTimeField()
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
        ]

    def __str__(self) -> str:
        return self.reason or f"freeze from {self.starts:%Y-%m-%d}"

    def to_domain(self) -> domain.Freeze:
        """Return it as the rules see it."""
        return domain.Freeze(self.starts, self.ends, domain.FreezeScope(self.scope), self.reason)


class Window(models.Model):
    """A SWAT window.

    Attributes:
        as_of: the moment it is planned at, for a replay; None means the clock.
        locked_at: since when its queue is fixed; None while it is not.
        locked_numbers: the policy's numbers pinned by the lock.
        turn: counts the changes to the window; adding to it takes the window's row for the rest
            of the transaction, on every database.
    """

    start = models.DateTimeField(unique=True)
    end = models.DateTimeField()
    title = models.CharField(max_length=100)
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

    def minutes_gone(self, now: datetime) -> int:
        """Return how many of its minutes are over for its queue: a lock stops that clock."""
        return self.to_domain().minutes_gone(self.as_of or self.locked_at or now)

    def queue_begins(self, now: datetime) -> datetime:
        """Return when the first step of its queue can start."""
        return self.to_domain().at(self.minutes_gone(now))

    def is_over(self, now: datetime) -> bool:
        """Return whether it has ended, by the time it is planned at."""
        return self.end <= self.planned_at(now)

    def to_domain(self) -> domain.Window:
        """Return it as the rules see it."""
        return domain.Window(self.start, self.end)
