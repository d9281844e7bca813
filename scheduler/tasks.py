"""What the clock does, in the background. Every task may run any number of times."""

import redis
from celery import shared_task
from django.conf import settings
from django.utils import timezone

from scheduler.adapters.registry import review_system
from scheduler.services import (
    calendar,
    changes,
    coupling,
    deploying,
    heartbeats,
    notifications,
    tidying,
    train,
    windows,
)

TASK_SECONDS = 15.0  # for one fetch: nobody is waiting
PROBE_SECONDS = 60  # how long the trace of a probe is kept


@shared_task
def probe(token: str) -> None:
    """Leave a trace in Redis: whoever sent it then knows that broker and worker work."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.set(f"swat:probe:{token}", "1", ex=PROBE_SECONDS)


@shared_task
def refresh_open_windows() -> None:
    """Ask the review system about what is booked, and plan the coming windows again."""
    system = review_system(seconds=TASK_SECONDS) if settings.GERRIT_URL else None
    changes.refresh_open_windows(system=system, now=timezone.now())


@shared_task
def keep_the_calendar() -> None:
    """Make the windows of the coming weeks, call who tests, and miss what nobody deployed."""
    now = timezone.now()
    calendar.make_coming_windows(now=now)
    windows.call_testers(now=now)
    windows.skip_unclaimed_windows(now=now)
    windows.miss_what_is_left(now=now)
    deploying.close_what_was_left(now=now)
    heartbeats.beat(job="keep-the-calendar", at=now)


@shared_task
def follow_the_train() -> None:
    """Bring up to date what hangs on the train."""
    train.follow_the_train(now=timezone.now())


@shared_task
def deliver_events() -> None:
    """Hand on the events that were not handed on yet."""
    notifications.deliver_events(at=timezone.now())


@shared_task
def send_notifications() -> None:
    """Send the mails that are due."""
    notifications.send_notifications(at=timezone.now())


@shared_task
def learn_names() -> None:
    """Work out again what another form of the detector stored; count the names of what is new."""
    coupling.work_out_again()
    coupling.learn_from_what_is_new()


@shared_task
def forget_what_has_passed() -> None:
    """Delete sessions that ended and keys that nobody will send again."""
    tidying.forget_what_has_passed(at=timezone.now())
