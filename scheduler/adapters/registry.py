"""The adapters that the settings choose."""

from django.conf import settings

from scheduler.adapters.gerrit import Gerrit
from scheduler.adapters.ports import ReviewSystem

PAGE_SECONDS = 5.0


def review_system(*, seconds: float = PAGE_SECONDS) -> ReviewSystem:
    """Return the review system of the settings.

    Args:
        seconds: how long one fetch may take in all; a page cannot wait longer than the default,
            a background task can.
    """
    return Gerrit(settings.GERRIT_URL, settings.GERRIT_PUBLIC_URL, seconds=seconds)
