"""What reviewers decided, about exactly what they saw."""

from typing import ClassVar

from django.db import models

from scheduler.models.backports import Backport
from scheduler.models.users import User


class Decision(models.TextChoices):
    """What a reviewer decided."""

    APPROVE = "approve", "Approved"
    ASK = "ask", "Asked"
    DECLINE = "decline", "Declined"
    SEND_TO_TRAIN = "send-to-train", "Sent to the train"


class Review(models.Model):
    """One decision on one backport.

    Attributes:
        requester: who had requested it, so that the database can refuse self-approval.
        acknowledged: ids of the SHOULD rules that were taken on, sorted.
        patch_set, sha, fingerprint: what the reviewer was shown.
        content: digest of what the approval is for; another content voids it.
        voided_at: when the approval ceased to count; None while it does.
    """

    backport = models.ForeignKey(Backport, models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(User, models.PROTECT, related_name="reviews")
    requester = models.ForeignKey(User, models.PROTECT, related_name="+")
    decision = models.CharField(max_length=13, choices=Decision.choices)
    acknowledged = models.JSONField(default=list, blank=True)
    reason = models.TextField(blank=True)
    patch_set = models.PositiveIntegerField()
    sha = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    content = models.CharField(max_length=64)
    made_at = models.DateTimeField()
    voided_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["Review"]] = models.Manager()

    class Meta:
        ordering = ["made_at", "pk"]
        constraints = [
            models.CheckConstraint(
                name="review_decision_known",
                condition=models.Q(decision__in=Decision.values),
            ),
            models.CheckConstraint(
                name="review_not_own_request",
                condition=~models.Q(decision="approve", reviewer=models.F("requester")),
            ),
            models.UniqueConstraint(
                name="review_one_approval_in_force",
                fields=["backport"],
                condition=models.Q(decision="approve", voided_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.decision} by {self.reviewer_id} on backport {self.backport_id}"
