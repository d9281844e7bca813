"""`python -m tests.faults.due MINUTES`: something for the clock to do, exactly once.

A window that nobody claimed and that began so many minutes ago, with a backport of Ada's; and a
series of windows, of which none is made yet. The last line printed is the window.
"""

import sys
from datetime import time, timedelta

import django

django.setup()

from django.utils import timezone  # noqa: E402 - Django reads settings first

from scheduler.models import Change, User, Window, WindowSeries  # noqa: E402
from tests.factories import fetched, make_backport, make_window  # noqa: E402

FIRST_NUMBER = 4_000_001  # of changes that nobody else books


def main(minutes: int) -> int:
    """Make both; return the window."""
    now = timezone.now()
    count = WindowSeries.objects.count()
    window = make_window(in_hours=9_000 + count)
    ada = User.objects.get(username="ada")
    make_backport(window, ada, fetched(FIRST_NUMBER + Change.objects.count()))
    start = now - timedelta(minutes=minutes)
    Window.objects.filter(pk=window.pk).update(start=start, end=start + timedelta(hours=1))
    WindowSeries.objects.create(
        title=f"Series {count}",
        zone="America/Los_Angeles",
        weekdays=[count % 7],
        at=time(13),
        minutes=30,
        starts_on=now.date(),
    )
    return window.pk


if __name__ == "__main__":
    print(main(int(sys.argv[1])))  # noqa: T201 - for whoever started us
