"""Keys to personal calendar feeds: only their digests are stored, and they can be revoked."""

import hashlib
import secrets

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from scheduler.domain.errors import Refused
from scheduler.models import FeedKey, User
from scheduler.services.events import record

KEY_BYTES = 32


@transaction.atomic
def make_feed_key(*, user: User) -> str:
    """Return a new key to somebody's own feed; an earlier one opens nothing any more.

    It is shown once: only its digest is stored. One event is logged.
    """
    key = secrets.token_urlsafe(KEY_BYTES)
    now = timezone.now()
    _take(user)
    FeedKey.objects.filter(user=user, revoked_at__isnull=True).update(revoked_at=now)
    FeedKey.objects.create(user=user, digest=_digest(key), made_at=now)
    record(kind="person.make-feed", actor=user, payload={"person": user.username}, at=now)
    return key


@transaction.atomic
def revoke_feed_key(*, user: User) -> None:
    """Let somebody's key open nothing any more. One event is logged.

    Raises:
        Refused: there is none in force.
    """
    now = timezone.now()
    _take(user)
    in_force = FeedKey.objects.filter(user=user, revoked_at__isnull=True)
    if in_force.update(revoked_at=now) == 0:
        raise Refused("There is no feed address to revoke.")
    record(kind="person.revoke-feed", actor=user, payload={"person": user.username}, at=now)


def _take(user: User) -> None:
    """Take an account for the rest of the transaction: of two keys made at once one is in force."""
    User.objects.filter(pk=user.pk).update(username=F("username"))


def has_feed_key(user: User) -> bool:
    """Return whether some key opens somebody's feed."""
    return FeedKey.objects.filter(user=user, revoked_at__isnull=True).exists()


def owner_of_feed_key(key: str) -> User | None:
    """Return whose feed a key opens; None for one that is unknown, revoked or of a closed account.

    What is looked up is a digest, so the time that takes says nothing about the key.
    """
    found = FeedKey.objects.filter(digest=_digest(key), revoked_at__isnull=True)
    row = found.select_related("user").first()
    return row.user if row is not None and row.user.is_active else None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
