"""When the clock was last heard of."""

from typing import ClassVar

from django.db import models


class Heartbeat(models.Model):
    """The last time that a job of the scheduler ran to its end."""

    job = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField()

    objects: ClassVar[models.Manager["Heartbeat"]] = models.Manager()

    class Meta:
        ordering = ["job"]

    def __str__(self) -> str:
        return f"{self.job} at {self.at:%Y-%m-%d %H:%M:%S} UTC"
