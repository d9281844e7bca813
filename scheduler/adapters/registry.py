"""The adapters that the settings choose."""

from django.conf import settings

from scheduler.adapters.breaker import Breaker
from scheduler.adapters.gerrit import Gerrit
from scheduler.adapters.ports import ReviewSystem

PAGE_SECONDS = 5.0
START_SECONDS = 3.0  # for a step that is to start: a whole hour waits (`trust.md` A8)

_BREAKERS: dict[str, Breaker] = {}  # by address: everybody in this process who asks shares one


def review_system(*, seconds: float = PAGE_SECONDS) -> ReviewSystem:
    """Return the review system of the settings.

    Args:
        seconds: how long one fetch may take in all; a page cannot wait longer than the default,
            a background task can.
    """
    url = settings.GERRIT_URL
    breaker = _BREAKERS.setdefault(url, Breaker("Gerrit"))
    return Gerrit(url, settings.GERRIT_PUBLIC_URL, seconds=seconds, breaker=breaker)
