"""What reviewers decided, about exactly what they saw."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Length
from django.db.models.lookups import GreaterThanOrEqual

from scheduler.models.backports import Backport
from scheduler.models.users import User

SHORTEST_REASON = 20  # characters, for an override


class Decision(models.TextChoices):
    """What a reviewer decided."""

    APPROVE = "approve", "Approved"
    ASK = "ask", "Asked"
    DECLINE = "decline", "Declined"
    SEND_TO_TRAIN = "send-to-train", "Sent to the train"
    SEND_TO_DEDICATED = "send-to-dedicated", "Sent to a dedicated window"
    VETO = "veto", "Vetoed"


class Review(models.Model):
    """One decision on one backport.

    Attributes:
        requester: who had requested it, so that the database can refuse self-approval.
        patch_set, sha, fingerprint: what the reviewer was shown.
        content: digest of what the approval is for; another content voids it.
        voided_at: when the approval ceased to count; None while it does.
        reply: what the requester answered to a question, "" while they have not.
    """

    backport = models.ForeignKey(Backport, models.PROTECT, related_name="reviews")
    reviewer = models.ForeignKey(User, models.PROTECT, related_name="reviews")
    requester = models.ForeignKey(User, models.PROTECT, related_name="+")
    decision = models.CharField(max_length=20, choices=Decision.choices)
    reason = models.TextField(blank=True)
    patch_set = models.PositiveIntegerField()
    sha = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64)
    content = models.CharField(max_length=64)
    made_at = models.DateTimeField()
    voided_at = models.DateTimeField(null=True, blank=True)
    reply = models.TextField(blank=True)
    replied_at = models.DateTimeField(null=True, blank=True)

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


class Acknowledgement(models.Model):
    """That a reviewer took on what a SHOULD rule says, as it was shown.

    Attributes:
        requester: who had requested it, so that the database can refuse that it is the same person.
        digest: of the finding that was shown (`taken_on.digest_of`); another one asks again.
        content: digest of what the backport was then; another content ends it.
        ended_at: when it ceased to count; None while it does.
    """

    backport = models.ForeignKey(Backport, models.PROTECT, related_name="acknowledgements")
    rule = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    content = models.CharField(max_length=64)
    by = models.ForeignKey(User, models.PROTECT, related_name="acknowledgements")
    requester = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.TextField()
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["Acknowledgement"]] = models.Manager()

    class Meta:
        ordering = ["made_at", "pk"]
        constraints = [
            models.CheckConstraint(
                name="acknowledgement_not_own_request",
                condition=~models.Q(by=models.F("requester")),
            ),
            models.UniqueConstraint(
                name="acknowledgement_one_in_force",
                fields=["backport", "rule"],
                condition=models.Q(ended_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule} acknowledged for backport {self.backport_id}"


class Override(models.Model):
    """That two people let a backport go although a MUST rule objects.

    Attributes:
        requester: who had requested it; neither of the two may be that person.
        digest, content: as for an acknowledgement.
        confirmed_by: the second person; None while it is only proposed and lifts nothing.
        ended_at: when it ceased to count, or was turned down; None while it does or may.
    """

    backport = models.ForeignKey(Backport, models.PROTECT, related_name="overrides")
    rule = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    content = models.CharField(max_length=64)
    proposed_by = models.ForeignKey(User, models.PROTECT, related_name="proposed_overrides")
    confirmed_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="confirmed_overrides"
    )
    requester = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.TextField()
    proposed_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["Override"]] = models.Manager()

    class Meta:
        ordering = ["proposed_at", "pk"]
        constraints = [
            models.CheckConstraint(
                name="override_takes_two_others",
                condition=~models.Q(proposed_by=models.F("requester"))
                & (
                    models.Q(confirmed_by__isnull=True, confirmed_at__isnull=True)
                    | (
                        models.Q(confirmed_by__isnull=False, confirmed_at__isnull=False)
                        & ~models.Q(confirmed_by=models.F("requester"))
                        & ~models.Q(confirmed_by=models.F("proposed_by"))
                    )
                ),
            ),
            models.CheckConstraint(
                name="override_has_a_reason",
                condition=GreaterThanOrEqual(Length("reason"), SHORTEST_REASON),
            ),
            models.UniqueConstraint(
                name="override_one_in_force",
                fields=["backport", "rule"],
                condition=models.Q(ended_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule} overridden for backport {self.backport_id}"
