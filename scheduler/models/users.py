"""People with an account."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models


class User(AbstractUser):
    """Somebody who can sign in. Roles are groups named by `permissions.Role`."""

    nick = models.CharField(max_length=100, blank=True, help_text="Where to ping them in chat.")
    time_zone = models.CharField(max_length=64, default="UTC", help_text="An IANA zone name.")

    objects: ClassVar[UserManager["User"]] = UserManager()

    def __str__(self) -> str:
        return self.username
