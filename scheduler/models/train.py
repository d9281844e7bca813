"""The weekly release: versions, and when each group moves to them."""

from typing import ClassVar

from django.db import models


class TrainVersion(models.Model):
    """A version of the train.

    Attributes:
        position: the order of versions, oldest first.
        cut_at: when its branch is cut; None where that is not known.
        checked_out_from: since when it is on the deploy host; None if it is not yet.
        checked_out_until: when it left the deploy host; None if it has not.
    """

    name = models.CharField(max_length=64, unique=True)
    position = models.PositiveIntegerField(unique=True)
    cut_at = models.DateTimeField(null=True, blank=True)
    checked_out_from = models.DateTimeField(null=True, blank=True)
    checked_out_until = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["TrainVersion"]] = models.Manager()

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return self.name


class Promotion(models.Model):
    """A group of wikis moves to a version at a moment, past or to come."""

    version = models.ForeignKey(TrainVersion, models.CASCADE, related_name="promotions")
    group = models.CharField(max_length=32)
    at = models.DateTimeField(db_index=True)

    objects: ClassVar[models.Manager["Promotion"]] = models.Manager()

    class Meta:
        ordering = ["at"]
        constraints = [
            models.UniqueConstraint(name="promotion_once", fields=["version", "group"]),
        ]

    def __str__(self) -> str:
        return f"{self.group} to {self.version.name}"
