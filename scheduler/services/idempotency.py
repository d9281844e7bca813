"""A retry has one effect: the second sending of a form is answered as the first one was."""

from collections.abc import Callable

from django.db import IntegrityError, transaction
from django.utils import timezone

from scheduler.domain.errors import Refused
from scheduler.models import IdempotencyKey, User
from scheduler.services.patience import patiently


class KeyReused(Refused):
    """The same key came with another body; views answer it with 422."""


def once(*, user: User, key: str, request_hash: str, effect: Callable[[], str]) -> str:
    """Do something unless this person's key says that it was done.

    The key is written in the transaction of the effect: a refused effect leaves no key, so the
    corrected form may be sent with it.

    Args:
        user: whose key it is.
        key: made for the form when it was shown.
        request_hash: digest of what was sent.
        effect: what to do; returns the address to go to.

    Returns:
        The address that the first sending led to.

    Raises:
        KeyReused: the key was used for something else.
        Refused: the effect was refused.
        Busy: too many others changed the same thing at the same time.
    """
    return patiently(lambda: _once(user, key, request_hash, effect))


def led_to(*, user: User, key: str, request_hash: str) -> str:
    """Return the address that this very form led to when it was sent before; "" if it was not.

    For what has to be asked of others before `once` begins: a retry needs nobody else.
    """
    earlier = IdempotencyKey.objects.filter(user=user, key=key, request_hash=request_hash)
    return earlier.values_list("location", flat=True).first() or ""


@transaction.atomic
def _once(user: User, key: str, request_hash: str, effect: Callable[[], str]) -> str:
    try:
        with transaction.atomic():
            stored = IdempotencyKey.objects.create(
                user=user, key=key, request_hash=request_hash, made_at=timezone.now()
            )
    except IntegrityError:
        earlier = IdempotencyKey.objects.get(user=user, key=key)
        if earlier.request_hash != request_hash:
            raise KeyReused(
                "This form was already sent with other content; open it again."
            ) from None
        return earlier.location
    stored.location = effect()
    stored.save(update_fields=["location"])
    return stored.location
