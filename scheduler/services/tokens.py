"""Tokens of the API: made and revoked by release engineers, shown once, stored as digests."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from scheduler.actors import actor_of
from scheduler.domain.errors import OutOfDate, Refused
from scheduler.domain.permissions import Act, Scope, require
from scheduler.models import ApiToken, User
from scheduler.services.events import record

SECRET_BYTES = 32  # 256 bits: nobody guesses it, so its digest needs neither salt nor stretching
PREFIX = "swat_"  # by which scanners for leaked secrets know one
LONGEST_NAME = 60
_NOTED = timedelta(minutes=1)  # how exactly it is noted when a token was last used


@transaction.atomic
def make_token(*, owner: User, by: User, name: str, scope: Scope) -> str:
    """Make a token of the API and return its secret, which is shown once. One event is logged.

    Args:
        owner: whom a program acts as with it; it opens nothing that they may not do.
        by: who makes it.
        name: what people call it.
        scope: what it is for.

    Raises:
        NotPermitted: not a release engineer.
        Refused: no name, or the owner has a token of that name already.
    """
    require(actor_of(by), Act.MANAGE_TOKENS)
    name = name.strip()
    if not name or len(name) > LONGEST_NAME:
        raise Refused(f"A token has a name of 1 to {LONGEST_NAME} characters.")
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    now = timezone.now()
    try:
        with transaction.atomic():
            ApiToken.objects.create(
                owner=owner,
                name=name,
                scope=scope.value,
                digest=_digest(secret),
                made_by=by,
                made_at=now,
            )
    except IntegrityError:
        raise Refused(f"{owner.username} has a token named {name} already.") from None
    payload = {"person": owner.username, "name": name, "scope": scope.value}
    record(kind="person.make-token", actor=by, payload=payload, at=now)
    return secret


@transaction.atomic
def revoke_token(*, token: ApiToken, by: User) -> None:
    """Let a token open nothing any more. One event is logged.

    Raises:
        NotPermitted: not a release engineer.
        OutOfDate: it is revoked already.
    """
    require(actor_of(by), Act.MANAGE_TOKENS)
    now = timezone.now()
    if ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=now) != 1:
        raise OutOfDate("This token is revoked already.")
    payload = {"person": token.owner.username, "name": token.name, "scope": token.scope}
    record(kind="person.revoke-token", actor=by, payload=payload, at=now)


def token_of(secret: str, *, now: datetime) -> ApiToken | None:
    """Return the token with this secret, and note that it is used; None where it opens nothing.

    That is one that is unknown or revoked, or of a closed account. What is looked up is a digest,
    so the time that takes says nothing about the secret.
    """
    in_force = ApiToken.objects.filter(digest=_digest(secret), revoked_at__isnull=True)
    token = in_force.select_related("owner").first()
    if token is None or not token.owner.is_active:
        return None
    unnoted = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - _NOTED)
    ApiToken.objects.filter(unnoted, pk=token.pk).update(last_used_at=now)
    return token


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
