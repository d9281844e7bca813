"""Calendar feeds: the key in a feed's address, of which only a digest is stored."""

from typing import ClassVar

from django.db import models

from scheduler.models.users import User


class FeedKey(models.Model):
    """A read-only key to one person's calendar feed.

    Calendar programs can only send an address, so the key stands in it: it opens nothing else, and
    can be revoked.

    Attributes:
        digest: SHA-256 of the key, hexadecimal.
        revoked_at: since when it opens nothing; None while it does.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="feed_keys")
    digest = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["FeedKey"]] = models.Manager()

    class Meta:
        ordering = ["-made_at"]
        constraints = [
            models.UniqueConstraint(
                name="feedkey_one_in_force",
                fields=["user"],
                condition=models.Q(revoked_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"feed key of {self.user_id}"
