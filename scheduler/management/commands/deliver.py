"""Do what the sweeps of the worker do, once: for a system without Redis, or while it is down."""

from django.core.management.base import BaseCommand
from django.utils import timezone

from scheduler.services.notifications import deliver_events, send_notifications


class Command(BaseCommand):
    """Hand on events and send mail; it may run any number of times, beside any worker."""

    help = "Hand on the events of the log and send the mails that are due, once; needs no Redis."

    def handle(self, *_args: object, **_options: object) -> None:
        """Sweep once, and say what was done."""
        delivered = deliver_events(at=timezone.now())
        sent = send_notifications(at=timezone.now())
        self.stdout.write(f"{delivered} events handed on, {sent} mails sent.")
