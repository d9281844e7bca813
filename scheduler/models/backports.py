"""Requests to deploy one change in one window."""

from typing import ClassVar

from django.db import models

from scheduler.domain import backports as domain
from scheduler.domain.errors import OutOfDate
from scheduler.domain.lifecycle import OPEN, Action, Status, status_after
from scheduler.models.changes import Change
from scheduler.models.choices import choices_of, values_of
from scheduler.models.users import User
from scheduler.models.windows import Window

_URGENCIES = [
    (urgency.value, urgency.slug.replace("-", " ").capitalize()) for urgency in domain.Urgency
]


class Backport(models.Model):
    """A request to deploy one change in a window, with its requester's answers.

    Attributes:
        edited_by: who last changed what is said about it; None while only its requester spoke.
        asked_by: names of who requested it before, or booked it for its requester.
        present: whether somebody will be there to test it.
        tester: who that is; nick: where to ping them.
        marks: values of `backports.Mark`, sorted.
        criteria: inclusion criteria for a dedicated window that were ticked, sorted.
        fingerprint: digest of everything that its page shows, "" until it was planned once.
        approved_content: digest of what was approved, "" while it is not.
        rides: the version that brings it, for one that was left to the train; "" if unknown.
        arrives_at: when that version reaches the last group; None where nobody can say.
        arrival_told: the same as its people know it.
        what_differs: what is different from last time, where the same patch set was reverted.
        started_patch_set: what its step was started with; None before. started_sha: its commit.
    """

    change = models.ForeignKey(Change, models.PROTECT, related_name="backports")
    window = models.ForeignKey(Window, models.PROTECT, related_name="backports")
    requester = models.ForeignKey(User, models.PROTECT, related_name="backports")
    edited_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="edited_backports"
    )
    asked_by = models.JSONField(default=list, blank=True)
    status = models.CharField(
        max_length=12, choices=choices_of(Status), default=Status.SUBMITTED.value, db_index=True
    )
    kind = models.CharField(
        max_length=12, choices=choices_of(domain.Kind), default=domain.Kind.BUG.value
    )
    urgency = models.PositiveSmallIntegerField(
        choices=_URGENCIES, default=domain.Urgency.NORMAL.value
    )
    submitted_at = models.DateTimeField()
    present = models.BooleanField(default=True)
    tester = models.CharField(max_length=150, blank=True)
    nick = models.CharField(max_length=100, blank=True)
    marks = models.JSONField(default=list, blank=True)
    criteria = models.JSONField(default=list, blank=True)
    why_not_train = models.TextField(blank=True)
    user_impact = models.TextField(blank=True)
    tested_where = models.TextField(blank=True)
    verify_how = models.TextField(blank=True)
    problems_where = models.TextField(blank=True)
    rollback_how = models.TextField(blank=True)
    steps_before = models.TextField(blank=True)
    steps_after = models.TextField(blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    approved_content = models.CharField(max_length=64, blank=True)
    rides = models.CharField(max_length=64, blank=True)
    arrives_at = models.DateTimeField(null=True, blank=True)
    arrival_told = models.DateTimeField(null=True, blank=True)
    what_differs = models.TextField(blank=True)
    started_patch_set = models.PositiveIntegerField(null=True, blank=True)
    started_sha = models.CharField(max_length=64, blank=True)

    objects: ClassVar[models.Manager["Backport"]] = models.Manager()

    class Meta:
        ordering = ["submitted_at", "pk"]
        indexes = [
            # What is open of one person: most of what they ever asked for is not.
            models.Index(name="backport_of_requester", fields=["requester", "status"]),
        ]
        constraints = [
            models.UniqueConstraint(
                name="backport_one_open_per_change",
                fields=["change"],
                condition=models.Q(status__in=sorted(status.value for status in OPEN)),
            ),
            models.CheckConstraint(
                name="backport_status_known", condition=models.Q(status__in=values_of(Status))
            ),
            models.CheckConstraint(
                name="backport_kind_known", condition=models.Q(kind__in=values_of(domain.Kind))
            ),
            models.CheckConstraint(
                name="backport_urgency_known",
                condition=models.Q(urgency__in=values_of(domain.Urgency)),
            ),
        ]

    def __str__(self) -> str:
        return f"backport {self.pk}"

    @property
    def is_open(self) -> bool:
        """Whether it still asks for its place in a window."""
        return Status(self.status).is_open

    def apply(self, action: Action, *, approved_content: str | None = None) -> None:
        """Move to the status that an action leads to, unless the row changed since it was read.

        Args:
            action: what happens to it.
            approved_content: what is approved from now on; None leaves that as it is.

        Raises:
            IllegalTransition: the action is not defined from this status.
            OutOfDate: the row's status or fingerprint is no longer the one read.
        """
        after = status_after(Status(self.status), action)
        content = self.approved_content if approved_content is None else approved_content
        as_read = Backport.objects.filter(
            pk=self.pk, status=self.status, fingerprint=self.fingerprint
        )
        if as_read.update(status=after.value, approved_content=content) != 1:
            raise OutOfDate("This backport just changed; read it again.")
        self.status = after.value
        self.approved_content = content


class Watch(models.Model):
    """That somebody wants to hear what becomes of a backport."""

    backport = models.ForeignKey(Backport, models.CASCADE, related_name="watches")
    user = models.ForeignKey(User, models.CASCADE, related_name="watches")

    objects: ClassVar[models.Manager["Watch"]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="watch_once", fields=["backport", "user"]),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} watches backport {self.backport_id}"


class Draft(models.Model):
    """What somebody has typed of a request that they have not booked yet.

    Attributes:
        change: what they typed to name the change; "" while nothing.
        typed: field name to the values typed, as a form sends them.
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="drafts")
    change = models.CharField(max_length=300, blank=True)
    typed = models.JSONField(default=dict)
    saved_at = models.DateTimeField()

    objects: ClassVar[models.Manager["Draft"]] = models.Manager()

    class Meta:
        ordering = ["-saved_at"]
        constraints = [
            models.UniqueConstraint(name="draft_once_per_change", fields=["user", "change"]),
        ]

    def __str__(self) -> str:
        return f"draft of {self.user_id}: {self.change}"
