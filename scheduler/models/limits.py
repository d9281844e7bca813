"""How many attempts somebody has left."""

from typing import ClassVar

from django.db import models


class Bucket(models.Model):
    """A bucket of attempts that fills up again, one by one.

    No row means a full bucket, so rows whose time has passed may be deleted.

    Attributes:
        key: keyed digest of what is counted; nobody reads a name or an address from it.
        full_at: when it is full again, in milliseconds since 1970.
    """

    key = models.CharField(max_length=64, primary_key=True)
    full_at = models.BigIntegerField(default=0, db_index=True)

    objects: ClassVar[models.Manager["Bucket"]] = models.Manager()

    def __str__(self) -> str:
        return f"{self.key} full at {self.full_at}"
