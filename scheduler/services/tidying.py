"""Forgetting what nobody will ask about again."""

from datetime import datetime, timedelta

from django.contrib.sessions.models import Session
from django.db import transaction

from scheduler.models import IdempotencyKey
from scheduler.services.limits import forget_full_buckets

KEYS_KEPT = timedelta(days=7)  # nobody sends a form again that old


@transaction.atomic
def forget_what_has_passed(*, at: datetime) -> None:
    """Delete sessions that ended, limits that nobody is near to, and the keys of old forms."""
    Session.objects.filter(expire_date__lt=at).delete()
    IdempotencyKey.objects.filter(made_at__lt=at - KEYS_KEPT).delete()
    forget_full_buckets(at=at)
