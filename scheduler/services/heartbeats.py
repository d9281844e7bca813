"""Whether the clock still ticks: each job of the scheduler says when it last ran to its end."""

from datetime import datetime, timedelta

from scheduler.models import Heartbeat

SILENT_AFTER = timedelta(minutes=3)  # three times the longest pause between two important jobs


def beat(*, job: str, at: datetime) -> None:
    """Note that a job ran; a late tick never sets the time back."""
    if not Heartbeat.objects.filter(job=job, at__lt=at).update(at=at):
        Heartbeat.objects.get_or_create(job=job, defaults={"at": at})


def silent_since(*, job: str, now: datetime) -> datetime | None:
    """Return when a job last ran, if that is too long ago; None while all is well.

    A job that never ran is not missed: nothing was promised yet.
    """
    last = Heartbeat.objects.filter(job=job).values_list("at", flat=True).first()
    return last if last is not None and now - last > SILENT_AFTER else None
