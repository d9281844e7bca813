"""The weekly release: versions, when each group is to move to them, and when it did."""

from typing import ClassVar

from django.db import models

from scheduler.domain import train as domain
from scheduler.models.choices import choices_of, values_of
from scheduler.models.users import User


class TrainVersion(models.Model):
    """A version of the train.

    Attributes:
        position: the order of versions, oldest first.
        cut_at: when its branch is cut; None where that is not known.
        checked_out_from: since when it is on the deploy host; None if it is not yet.
        checked_out_until: when it left the deploy host; None if it has not.
        held_at: since when the train is held at it; None if it is not. hold_reason: why.
    """

    name = models.CharField(max_length=64, unique=True)
    position = models.PositiveIntegerField(unique=True)
    cut_at = models.DateTimeField(null=True, blank=True)
    checked_out_from = models.DateTimeField(null=True, blank=True)
    checked_out_until = models.DateTimeField(null=True, blank=True)
    held_at = models.DateTimeField(null=True, blank=True)
    hold_reason = models.CharField(max_length=300, blank=True)

    objects: ClassVar[models.Manager["TrainVersion"]] = models.Manager()

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name

    def to_domain(self) -> domain.Version:
        """Return it as the rules see it, with its promotions, which should be loaded."""
        planned = sorted(self.promotions.all(), key=lambda one: (one.at, one.pk))
        return domain.Version(
            self.name,
            self.cut_at,
            self.checked_out_from,
            self.checked_out_until,
            self.held_at,
            tuple(domain.Promotion(one.group, one.at, one.done_at) for one in planned),
        )


class Promotion(models.Model):
    """A group of wikis is to move to a version.

    Attributes:
        at: when that is planned.
        done_at: when it was done; None while it was not.
        sequence: how often its time changed: for calendars that had it.
    """

    version = models.ForeignKey(TrainVersion, models.CASCADE, related_name="promotions")
    group = models.CharField(max_length=32)
    at = models.DateTimeField(db_index=True)
    done_at = models.DateTimeField(null=True, blank=True)
    sequence = models.PositiveIntegerField(default=0)

    objects: ClassVar[models.Manager["Promotion"]] = models.Manager()

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(name="promotion_once", fields=["version", "group"]),
        ]

    def __str__(self) -> str:
        return f"{self.group} to {self.version.name}"


class GroupMove(models.Model):
    """A group of wikis began to be served by a version; the newest of a group is what is live.

    Attributes:
        by: who did it; None for the clock and for files.
    """

    version = models.ForeignKey(TrainVersion, models.PROTECT, related_name="moves")
    group = models.CharField(max_length=32)
    at = models.DateTimeField(db_index=True)
    kind = models.CharField(
        max_length=12,
        choices=choices_of(domain.MoveKind),
        default=domain.MoveKind.PROMOTE.value,
    )
    by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="moves")
    reason = models.CharField(max_length=300, blank=True)

    objects: ClassVar[models.Manager["GroupMove"]] = models.Manager()

    class Meta:
        ordering = ["at", "pk"]
        constraints = [
            models.UniqueConstraint(name="groupmove_one_at_a_time", fields=["group", "at"]),
            models.CheckConstraint(
                name="groupmove_kind_known",
                condition=models.Q(kind__in=values_of(domain.MoveKind)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.group} to {self.version.name} at {self.at:%Y-%m-%d %H:%M} UTC"

    def to_domain(self) -> domain.Move:
        """Return it as the rules see it."""
        return domain.Move(self.group, self.version.name, self.at, domain.MoveKind(self.kind))
