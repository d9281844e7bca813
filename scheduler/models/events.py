"""The audit log, which is also the outbox: append-only, each row chained to the one before."""

from typing import ClassVar, NoReturn

from django.db import models

from scheduler.models.backports import Backport
from scheduler.models.users import User
from scheduler.models.windows import Window

GENESIS = "0" * 64


class AppendOnly(TypeError):
    """Somebody tried to alter or delete a row of the audit log: a defect."""


class Event(models.Model):
    """One change of state. Triggers of the database refuse to alter or delete it, too.

    Attributes:
        kind: noun and verb, such as `backport.submit`.
        actor: who did it; None means the clock.
        actor_name: the account name at that time.
        hash: SHA-256 of `previous_hash` and of this row in canonical JSON.
    """

    seq = models.PositiveBigIntegerField(unique=True)
    kind = models.CharField(max_length=50)
    actor = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="events")
    actor_name = models.CharField(max_length=150, blank=True)
    window = models.ForeignKey(Window, models.PROTECT, null=True, blank=True, related_name="events")
    backport = models.ForeignKey(
        Backport, models.PROTECT, null=True, blank=True, related_name="events"
    )
    payload = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField()

    objects: ClassVar[models.Manager["Event"]] = models.Manager()

    class Meta:
        ordering = ["seq"]

    def __str__(self) -> str:
        return f"{self.seq} {self.kind}"

    def save(
        self,
        *,
        force_insert: bool | tuple[models.base.ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: object = None,
    ) -> None:
        """Insert it.

        Raises:
            AppendOnly: it is stored already.
        """
        if not self._state.adding or force_update or update_fields is not None:
            raise AppendOnly("An event is never altered.")
        super().save(force_insert=force_insert or True, using=using)

    def delete(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Refuse.

        Raises:
            AppendOnly: always.
        """
        raise AppendOnly("An event is never deleted.")


class EventHead(models.Model):
    """The end of the chain: one row, updated first by whoever appends."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    seq = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, default=GENESIS)

    objects: ClassVar[models.Manager["EventHead"]] = models.Manager()

    class Meta:
        constraints = [
            models.CheckConstraint(name="eventhead_single_row", condition=models.Q(id=1)),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.hash}"


class Delivery(models.Model):
    """That an event was handed on; no row means that it still has to be."""

    event = models.OneToOneField(Event, models.PROTECT, related_name="delivery")
    delivered_at = models.DateTimeField()

    objects: ClassVar[models.Manager["Delivery"]] = models.Manager()

    def __str__(self) -> str:
        return f"delivery of {self.event_id}"


class Notification(models.Model):
    """One mail to one person about one event; sent at least once.

    Attributes:
        why: why it concerns them, such as `own`, `watched`, `review` or `window`.
        claimed_until: until when a worker has it in hand; None while nobody does.
        sent_at: when it went out; None while it has to.
        attempts: how often that was tried; failure: what went wrong the last time.
    """

    event = models.ForeignKey(Event, models.PROTECT, related_name="notifications")
    recipient = models.ForeignKey(User, models.CASCADE, related_name="notifications")
    why = models.CharField(max_length=20)
    due_at = models.DateTimeField(db_index=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    failure = models.CharField(max_length=300, blank=True)

    objects: ClassVar[models.Manager["Notification"]] = models.Manager()

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(name="notification_once", fields=["event", "recipient"]),
        ]

    def __str__(self) -> str:
        return f"event {self.event_id} to {self.recipient_id}"
