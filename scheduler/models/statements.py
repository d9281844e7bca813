"""Suspected couplings of two changes, and what people answered."""

from typing import ClassVar

from django.db import models

from scheduler.domain import statements as domain
from scheduler.models.changes import Change
from scheduler.models.choices import choices_of, values_of
from scheduler.models.users import User
from scheduler.models.windows import Window


class Statement(models.Model):
    """One person's word on two changes.

    Attributes:
        low, high: the two change numbers, the smaller one first.
        superseded_at: when somebody answered otherwise, or contested it; None while it counts.
        contested_by: who said that it is wrong, and why; nobody where it was answered otherwise.
    """

    first = models.ForeignKey(Change, models.PROTECT, related_name="+")
    then = models.ForeignKey(Change, models.PROTECT, related_name="+")
    low = models.PositiveIntegerField()
    high = models.PositiveIntegerField()
    kind = models.CharField(max_length=9, choices=choices_of(domain.StatementKind))
    only_first = models.CharField(
        max_length=8, choices=choices_of(domain.OnlyFirst), default=domain.OnlyFirst.NOTHING.value
    )
    by = models.ForeignKey(User, models.PROTECT, related_name="statements")
    reason = models.TextField(blank=True)
    made_at = models.DateTimeField()
    superseded_at = models.DateTimeField(null=True, blank=True)
    contested_at = models.DateTimeField(null=True, blank=True)
    contested_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="contested_statements"
    )
    contest_reason = models.TextField(blank=True)

    objects: ClassVar[models.Manager["Statement"]] = models.Manager()

    class Meta:
        ordering = ["made_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                name="statement_one_in_force_per_pair",
                fields=["low", "high"],
                condition=models.Q(superseded_at__isnull=True),
            ),
            models.CheckConstraint(
                name="statement_about_two_changes",
                condition=~models.Q(first=models.F("then")) & models.Q(low__lt=models.F("high")),
            ),
            models.CheckConstraint(
                name="statement_kind_known",
                condition=models.Q(kind__in=values_of(domain.StatementKind))
                & models.Q(only_first__in=values_of(domain.OnlyFirst)),
            ),
            models.CheckConstraint(
                name="statement_contested_is_over",
                condition=models.Q(contested_at__isnull=True, contested_by__isnull=True)
                | models.Q(contested_at=models.F("superseded_at"), contested_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.low} and {self.high}: {self.kind}"

    def to_domain(self) -> domain.Statement:
        """Return it as the rules see it; its changes and its author have to be loaded."""
        return domain.Statement(
            first=self.first.number,
            then=self.then.number,
            kind=domain.StatementKind(self.kind),
            only_first=domain.OnlyFirst(self.only_first),
            by=self.by.username,
        )


class Question(models.Model):
    """A suspected coupling of two changes that nobody declared.

    Attributes:
        window: the window that both are booked in, or one of them.
        low, high: the two change numbers, the smaller one first.
        advice: first, together, or ask; `first` names the change that should go first.
        evidence: one object per piece: kind, points, text, names.
        closed_at: when it was answered or ceased to matter; None while it is open.
    """

    window = models.ForeignKey(Window, models.PROTECT, related_name="questions")
    low = models.PositiveIntegerField()
    high = models.PositiveIntegerField()
    points = models.PositiveIntegerField()
    advice = models.CharField(max_length=8)
    first = models.PositiveIntegerField(null=True, blank=True)
    evidence = models.JSONField(default=list)
    asked_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["Question"]] = models.Manager()

    class Meta:
        ordering = ["-points", "low", "high"]
        constraints = [
            models.UniqueConstraint(
                name="question_one_open_in_a_window",
                fields=["low", "high", "window"],
                condition=models.Q(closed_at__isnull=True),
            ),
            models.CheckConstraint(
                name="question_about_two_changes",
                condition=models.Q(low__lt=models.F("high")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.low} and {self.high}"
