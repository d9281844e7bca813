"""Which forms a person has already sent, and what they were answered."""

from typing import ClassVar

from django.db import models

from scheduler.models.users import User


class IdempotencyKey(models.Model):
    """One sending of one form.

    Attributes:
        request_hash: digest of what was sent.
        location: where the answer led to.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    key = models.CharField(max_length=64)
    request_hash = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=303)
    location = models.CharField(max_length=500, blank=True)
    made_at = models.DateTimeField()

    objects: ClassVar[models.Manager["IdempotencyKey"]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="idempotencykey_once_per_user", fields=["user", "key"]),
        ]

    def __str__(self) -> str:
        return self.key
