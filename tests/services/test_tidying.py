"""What has passed is forgotten, and nothing else."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from scheduler.models import Bucket, IdempotencyKey, User
from scheduler.services.limits import Limit, attempt
from scheduler.services.tidying import KEYS_KEPT, forget_what_has_passed

pytestmark = pytest.mark.both_databases


def test_what_has_passed_is_forgotten_and_nothing_else(ada: User) -> None:
    now = timezone.now()
    for name, age in (("old", KEYS_KEPT + timedelta(hours=1)), ("new", KEYS_KEPT / 2)):
        IdempotencyKey.objects.create(user=ada, key=name, request_hash="h", made_at=now - age)
        Session.objects.create(session_key=name, expire_date=now - age + KEYS_KEPT)
    attempt([Limit("guesses of long ago", at_once=5, every=60)], at=now - timedelta(days=1))
    attempt([Limit("guesses just now", at_once=5, every=60)], at=now)

    for _ in range(2):
        forget_what_has_passed(at=now)

    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["new"]
    assert list(Session.objects.values_list("session_key", flat=True)) == ["new"]
    assert Bucket.objects.count() == 1
