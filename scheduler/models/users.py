"""People with an account."""

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """Somebody who can sign in. Roles are groups named by `permissions.Role`."""

    nick = models.CharField(max_length=100, blank=True, help_text="Where to ping them in chat.")
    time_zone = models.CharField(max_length=64, default="UTC", help_text="An IANA zone name.")

    def __str__(self) -> str:
        return self.username
