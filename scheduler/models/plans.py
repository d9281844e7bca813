"""Stored plans: what was planned, from what, and which backport got which step."""

from typing import ClassVar

from django.db import models

from scheduler.models.backports import Backport
from scheduler.models.windows import Window


class Plan(models.Model):
    """One plan of a window; the newest version counts.

    Attributes:
        fingerprint: digest of document and result.
        document: the facts it was made from, as a plan document.
        result: the plan, as a plan result.
    """

    window = models.ForeignKey(Window, models.PROTECT, related_name="plans")
    version = models.PositiveIntegerField()
    fingerprint = models.CharField(max_length=64)
    document = models.JSONField()
    result = models.JSONField()
    made_at = models.DateTimeField()

    objects: ClassVar[models.Manager["Plan"]] = models.Manager()

    class Meta:
        ordering = ["window", "version"]
        constraints = [
            models.UniqueConstraint(name="plan_version_once", fields=["window", "version"]),
        ]

    def __str__(self) -> str:
        return f"plan {self.version} of window {self.window_id}"


class PlanStep(models.Model):
    """One step of a plan; `position` from 1, `minutes` planned."""

    plan = models.ForeignKey(Plan, models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    starts = models.DateTimeField()
    minutes = models.PositiveSmallIntegerField()

    objects: ClassVar[models.Manager["PlanStep"]] = models.Manager()

    class Meta:
        ordering = ["plan", "position"]
        constraints = [
            models.UniqueConstraint(name="planstep_position_once", fields=["plan", "position"]),
        ]

    def __str__(self) -> str:
        return f"step {self.position} of plan {self.plan_id}"


class PlanStepMember(models.Model):
    """A backport that goes out in a step; several in one step are a bundle."""

    step = models.ForeignKey(PlanStep, models.CASCADE, related_name="members")
    plan = models.ForeignKey(Plan, models.CASCADE, related_name="members")
    backport = models.ForeignKey(Backport, models.PROTECT, related_name="steps")

    objects: ClassVar[models.Manager["PlanStepMember"]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="planstepmember_once", fields=["plan", "backport"]),
        ]

    def __str__(self) -> str:
        return f"backport {self.backport_id} in step {self.step_id}"
