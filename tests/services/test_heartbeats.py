"""When the clock was last heard of."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduler.models import Heartbeat
from scheduler.services.heartbeats import SILENT_AFTER, beat, silent_since

NOON = datetime(2026, 8, 26, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.django_db
def test_a_job_that_never_ran_is_not_missed() -> None:
    assert silent_since(job="keep-the-calendar", now=NOON) is None


@pytest.mark.django_db
def test_a_job_is_silent_when_it_has_not_run_for_a_while() -> None:
    beat(job="keep-the-calendar", at=NOON)
    assert silent_since(job="keep-the-calendar", now=NOON + SILENT_AFTER) is None
    assert silent_since(job="keep-the-calendar", now=NOON + SILENT_AFTER + MINUTE) == NOON
    assert silent_since(job="another", now=NOON + 10 * MINUTE) is None


@pytest.mark.django_db
def test_a_late_tick_never_sets_the_time_back() -> None:
    for at in (NOON, NOON - MINUTE, NOON):
        beat(job="keep-the-calendar", at=at)
    assert Heartbeat.objects.get().at == NOON
    beat(job="keep-the-calendar", at=NOON + MINUTE)
    assert Heartbeat.objects.get().at == NOON + MINUTE
