"""How often somebody may try."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.models import Bucket
from scheduler.services.limits import (
    Limit,
    TooManyAttempts,
    attempt,
    forget_full_buckets,
    give_back,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DEV = Limit("from 192.0.2.1 as dev", at_once=3, every=60)
ADDRESS = Limit("from 192.0.2.1", at_once=5, every=30)


def allowed(*limits: Limit, after: int = 0) -> int:
    """Try until it is refused; return how often it was allowed."""
    count = 0
    try:
        while True:
            attempt(limits, at=NOW + timedelta(seconds=after))
            count += 1
    except TooManyAttempts:
        return count


def test_a_bucket_holds_so_many_and_fills_one_by_one() -> None:
    assert allowed(DEV) == 3
    assert allowed(DEV, after=59) == 0
    assert allowed(DEV, after=60) == 1
    assert allowed(DEV, after=60 + 120) == 2
    assert allowed(DEV, after=10_000) == 3


def test_the_wait_is_told_and_does_not_grow_by_trying() -> None:
    assert allowed(DEV) == 3
    for _ in range(5):
        with pytest.raises(TooManyAttempts, match="Try again in 40 seconds"):
            attempt([DEV], at=NOW + timedelta(seconds=20))
    with pytest.raises(TooManyAttempts, match="in 1 second\\.") as refusal:
        attempt([DEV], at=NOW + timedelta(seconds=59.5))
    assert refusal.value.seconds == 1


def test_an_attempt_counts_against_all_limits_or_none() -> None:
    assert allowed(DEV, ADDRESS) == 3
    assert allowed(Limit("from 192.0.2.1 as rae", 3, 60), ADDRESS) == 2
    assert allowed(ADDRESS) == 0
    assert allowed(Limit("from 192.0.2.1 as rae", 3, 60)) == 1


def test_what_was_right_is_given_back() -> None:
    for _ in range(20):
        attempt([DEV], at=NOW)
        give_back([DEV])
    assert allowed(DEV) == 3


def test_full_buckets_are_forgotten_and_nobody_is_named() -> None:
    attempt([DEV, ADDRESS], at=NOW)
    assert "dev" not in str(list(Bucket.objects.values_list("key", flat=True)))
    assert forget_full_buckets(at=NOW + timedelta(seconds=30)) == 1
    assert forget_full_buckets(at=NOW + timedelta(seconds=60)) == 1
    assert not Bucket.objects.exists()
