"""Tokens of the API: what programs act with, of which only a digest is stored."""

from typing import ClassVar

from django.db import models

from scheduler.domain.permissions import Scope
from scheduler.models.choices import choices_of, values_of
from scheduler.models.users import User


class ApiToken(models.Model):
    """A secret that lets a program act as its owner, within one scope.

    Attributes:
        name: what people call it.
        digest: SHA-256 of the secret, hexadecimal.
        made_by: the release engineer who made it.
        revoked_at: since when it opens nothing; None while it does.
        last_used_at: when something was last asked with it; None if nothing was.
    """

    owner = models.ForeignKey(User, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60)
    scope = models.CharField(max_length=16, choices=choices_of(Scope))
    digest = models.CharField(max_length=64, unique=True)
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    made_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["ApiToken"]] = models.Manager()

    class Meta:
        ordering = ["-made_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                name="apitoken_name_once_in_force",
                fields=["owner", "name"],
                condition=models.Q(revoked_at__isnull=True),
            ),
            models.CheckConstraint(
                name="apitoken_scope_known", condition=models.Q(scope__in=values_of(Scope))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.scope}"

    @property
    def purpose(self) -> str:
        """What it is for, in words."""
        return Scope(self.scope).spoken
