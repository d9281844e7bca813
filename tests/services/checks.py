"""What every test of a service may ask at its end: is the log whole, and does it tell all?"""

from django.utils import timezone

from scheduler.models import Event
from scheduler.services.events import read_log
from scheduler.services.invariants import INVARIANTS


def kinds() -> list[str]:
    """Return the kinds of all events, oldest first."""
    return list(Event.objects.order_by("seq").values_list("kind", flat=True))


def wrongs() -> list[str]:
    """Return what `manage.py verify` would find."""
    _, found = read_log()
    broken = [one for invariant in INVARIANTS for one in invariant.broken(timezone.now())]
    return [found.what, *broken] if found else broken
