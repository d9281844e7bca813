"""People with an account, and the other names that they are known by."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """Somebody who can sign in. Roles are groups named by `permissions.Role`.

    Attributes:
        mail_own: mail about what they requested, own or uploaded.
        mail_watched: mail about what they watch.
        mail_reviews: mail when something waits for their review.
        mail_windows: mail about the windows that they deploy.
    """

    nick = models.CharField(max_length=100, blank=True, help_text="Where to ping them in chat.")
    time_zone = models.CharField(max_length=64, default="UTC", help_text="An IANA zone name.")
    mail_own = models.BooleanField(default=True)
    mail_watched = models.BooleanField(default=True)
    mail_reviews = models.BooleanField(default=True)
    mail_windows = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.username


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
