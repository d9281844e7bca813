"""How often somebody may try: buckets of attempts in the database, alike for every process.

Attempts are counted by address, and by account and address together; never by account alone, so
nobody keeps a person out by guessing at their account from elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils.crypto import salted_hmac

from scheduler.domain.errors import Refused
from scheduler.models import Bucket

_MILLISECONDS = 1000


@dataclass(frozen=True, slots=True)
class Limit:
    """How many attempts there are.

    Attributes:
        key: what is counted; stored as a keyed digest only.
        at_once: how many a full bucket holds.
        every: seconds until there is one more.
    """

    key: str
    at_once: int
    every: int


class TooManyAttempts(Refused):
    """Somebody has to wait; views answer it with 429.

    Attributes:
        seconds: until the next attempt is allowed, at least 1.
    """

    def __init__(self, seconds: int) -> None:
        unit = "second" if seconds == 1 else "seconds"
        super().__init__(f"Too many attempts. Try again in {seconds} {unit}.")
        self.seconds = seconds


def attempt(limits: Iterable[Limit], *, at: datetime) -> None:
    """Count one attempt against each limit, or against none of them.

    Raises:
        TooManyAttempts: a bucket is empty. Trying again does not make the wait longer.
    """
    with transaction.atomic():
        for limit in sorted(limits, key=lambda limit: limit.key):  # one order: no deadlock
            _take(limit, _milliseconds(at))


def give_back(limits: Iterable[Limit]) -> None:
    """Take an attempt back that was right: only wrong ones count."""
    for limit in limits:
        Bucket.objects.filter(key=_digest(limit.key)).update(
            full_at=F("full_at") - limit.every * _MILLISECONDS
        )


def forget_full_buckets(*, at: datetime) -> int:
    """Delete the buckets that have filled up again; return how many."""
    return Bucket.objects.filter(full_at__lte=_milliseconds(at)).delete()[0]


def _take(limit: Limit, now: int) -> None:
    """Take one attempt in a single conditional UPDATE, which only one of two at once can win."""
    key, interval = _digest(limit.key), limit.every * _MILLISECONDS
    latest = now + (limit.at_once - 1) * interval
    Bucket.objects.bulk_create([Bucket(key=key)], ignore_conflicts=True)
    taken = Bucket.objects.filter(key=key, full_at__lte=latest).update(
        full_at=Greatest(F("full_at"), now) + interval
    )
    if not taken:
        full_at = Bucket.objects.values_list("full_at", flat=True).get(key=key)
        raise TooManyAttempts(max(1, -(-(full_at - latest) // _MILLISECONDS)))


def _digest(key: str) -> str:
    return salted_hmac("scheduler.services.limits", key, algorithm="sha256").hexdigest()


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * _MILLISECONDS)
