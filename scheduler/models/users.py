"""People with an account, and the other names that they are known by."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac


class User(AbstractUser):
    """Somebody who can sign in. Roles are groups named by `permissions.Role`.

    Attributes:
        mail_own: mail about what they requested, own or uploaded.
        mail_watched: mail about what they watch.
        mail_reviews: mail when something waits for their review.
        mail_windows: mail about the windows that they deploy.
        generation: counts how often all their sessions were ended.
    """

    nick = models.CharField(max_length=100, blank=True, help_text="Where to ping them in chat.")
    time_zone = models.CharField(max_length=64, default="UTC", help_text="An IANA zone name.")
    mail_own = models.BooleanField(default=True)
    mail_watched = models.BooleanField(default=True)
    mail_reviews = models.BooleanField(default=True)
    mail_windows = models.BooleanField(default=True)
    generation = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = "user"
        verbose_name_plural = "users"
        constraints = [
            # Rights hang on names, whatever their case: "Ada" must not pass for "ada".
            models.UniqueConstraint(Lower("username"), name="user_username_once_in_any_case"),
        ]

    def __str__(self) -> str:
        return self.username

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return what a session has to carry; another password or generation ends it for good."""
        return salted_hmac(
            "scheduler.models.User.session",
            f"{self.generation}:{self.password}",
            secret=secret,
            algorithm="sha256",
        ).hexdigest()


class OtherName(models.Model):
    """Another account name of the same person, here or in the review system.

    Nobody approves their own work through a second account (`reference/trust.md` B-2): whoever is
    known by a name is related to everything that the name is.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="other_names")
    name = models.CharField(max_length=150, unique=True)

    objects: ClassVar[models.Manager["OtherName"]] = models.Manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
