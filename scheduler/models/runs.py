"""A window while it is deployed: who drives, its steps and their items, who is there to test."""

from typing import ClassVar

from django.db import models

from scheduler.domain.checklist import run as domain
from scheduler.domain.checklist.steps import ItemKind
from scheduler.models.backports import Backport
from scheduler.models.choices import choices_of, values_of
from scheduler.models.plans import Plan, PlanStep
from scheduler.models.users import User
from scheduler.models.windows import Window


class Lease(models.Model):
    """That somebody drives a window: one person at a time, under a number that only grows.

    Attributes:
        until: when it runs out; what the driver does prolongs it. It is theirs until somebody
            takes over.
        ended_at: when another took over, it was handed on or given back; None while it is in force.
        reason: why it was taken from another; "" where nobody had it.
        offered_to: whom it was handed to, who has not accepted yet; offer_note: what they read.
    """

    window = models.ForeignKey(Window, models.PROTECT, related_name="leases")
    number = models.PositiveIntegerField()
    holder = models.ForeignKey(User, models.PROTECT, related_name="leases")
    taken_at = models.DateTimeField()
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    offered_to = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="offered_leases"
    )
    offer_note = models.CharField(max_length=500, blank=True)

    objects: ClassVar[models.Manager["Lease"]] = models.Manager()

    class Meta:
        ordering = ["window", "number"]
        constraints = [
            models.UniqueConstraint(name="lease_number_once", fields=["window", "number"]),
            models.UniqueConstraint(
                name="lease_one_in_force",
                fields=["window"],
                condition=models.Q(ended_at__isnull=True),
            ),
            models.CheckConstraint(
                name="lease_runs_out_later", condition=models.Q(until__gt=models.F("taken_at"))
            ),
        ]

    def __str__(self) -> str:
        return f"lease {self.number} of window {self.window_id}"


class Run(models.Model):
    """A window that its driver began to deploy.

    Attributes:
        plan: the one that it was locked with.
        extra_minutes: how much later than the policy says a step may start: the driver's decision.
        closed_at: when every step had its outcome; None while it goes on.
    """

    window = models.OneToOneField(Window, models.PROTECT, related_name="run")
    plan = models.ForeignKey(Plan, models.PROTECT, related_name="+")
    begun_at = models.DateTimeField()
    begun_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    extra_minutes = models.PositiveSmallIntegerField(default=0)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")

    objects: ClassVar[models.Manager["Run"]] = models.Manager()

    def __str__(self) -> str:
        return f"run of window {self.window_id}"


class RunStep(models.Model):
    """One step of a run.

    Attributes:
        outcome: what became of it; "" until it is over. reason: why, where that needs saying.
        failed_item: the kind of item at which it failed; "" if it has not, or was done by then.
        output: what was seen when it failed.
        is_broken: it failed and was left as it was.
        back: its place in the way back; 0 where it is not taken back.
        back_at: when that was decided; None where it is not.
        ends_as: what becomes of it once it is taken back; "" while it is not.
        unverified: why Gerrit could not be asked when it was to start; "" if it could.
        vouched_by: the second person who said that it may start all the same.
        turn: counts its changes, so that nobody ticks on a stale page.
    """

    run = models.ForeignKey(Run, models.PROTECT, related_name="steps")
    plan_step = models.OneToOneField(PlanStep, models.PROTECT, related_name="run_step")
    position = models.PositiveSmallIntegerField()
    phase = models.CharField(
        max_length=10, choices=choices_of(domain.Phase), default=domain.Phase.WAITING.value
    )
    outcome = models.CharField(max_length=8, choices=choices_of(domain.Outcome), blank=True)
    reason = models.CharField(max_length=500, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    failed_item = models.CharField(max_length=10, choices=choices_of(ItemKind), blank=True)
    output = models.TextField(blank=True)
    is_broken = models.BooleanField(default=False)
    back = models.PositiveSmallIntegerField(default=0)
    back_at = models.DateTimeField(null=True, blank=True)
    ends_as = models.CharField(max_length=8, choices=choices_of(domain.Outcome), blank=True)
    unverified = models.CharField(max_length=300, blank=True)
    vouched_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    vouched_at = models.DateTimeField(null=True, blank=True)
    turn = models.PositiveIntegerField(default=0)

    objects: ClassVar[models.Manager["RunStep"]] = models.Manager()

    class Meta:
        ordering = ["run", "position"]
        constraints = [
            models.UniqueConstraint(name="runstep_position_once", fields=["run", "position"]),
            models.CheckConstraint(
                name="runstep_phase_known", condition=models.Q(phase__in=values_of(domain.Phase))
            ),
            models.CheckConstraint(
                name="runstep_over_has_outcome",
                condition=models.Q(
                    phase=domain.Phase.ENDED.value,
                    outcome__in=values_of(domain.Outcome),
                    ended_at__isnull=False,
                )
                | (~models.Q(phase=domain.Phase.ENDED.value) & models.Q(ended_at__isnull=True)),
            ),
            models.UniqueConstraint(
                name="runstep_one_at_a_time",
                fields=["run"],
                condition=models.Q(phase__in=[domain.Phase.FAILED.value, domain.Phase.GOING.value]),
            ),
        ]

    def __str__(self) -> str:
        return f"step {self.position} of run {self.run_id}"


class RunItem(models.Model):
    """One item of a step, as it was when the window began.

    Attributes:
        place: its place in the step, from 1.
        number: the one change that it is about; None for all of the step.
        minutes: how long it should take; 0 where nobody can say.
        lease: the number that it was done under; None for what a tester did.
        proof: an address, a line of output, or what was seen.
        by_api: whether a program reported it.
    """

    step = models.ForeignKey(RunStep, models.PROTECT, related_name="items")
    place = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=10, choices=choices_of(ItemKind))
    number = models.PositiveIntegerField(null=True, blank=True)
    title = models.CharField(max_length=300)
    command = models.CharField(max_length=500, blank=True)
    link = models.CharField(max_length=500, blank=True)
    log = models.TextField(blank=True)
    note = models.TextField(blank=True)
    minutes = models.PositiveSmallIntegerField(default=0)
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    lease = models.PositiveIntegerField(null=True, blank=True)
    proof = models.TextField(blank=True)
    by_api = models.BooleanField(default=False)

    objects: ClassVar[models.Manager["RunItem"]] = models.Manager()

    class Meta:
        ordering = ["step", "place"]
        constraints = [
            models.UniqueConstraint(name="runitem_place_once", fields=["step", "place"]),
            models.CheckConstraint(
                name="runitem_kind_known", condition=models.Q(kind__in=values_of(ItemKind))
            ),
            models.CheckConstraint(
                name="runitem_done_is_whole",
                condition=models.Q(done_at__isnull=True, done_by__isnull=True)
                | models.Q(done_at__isnull=False, done_by__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of step {self.step_id}"


class Presence(models.Model):
    """That somebody is there to test a backport in a window."""

    window = models.ForeignKey(Window, models.PROTECT, related_name="presences")
    backport = models.ForeignKey(Backport, models.PROTECT, related_name="presences")
    person = models.ForeignKey(User, models.PROTECT, related_name="presences")
    at = models.DateTimeField()

    objects: ClassVar[models.Manager["Presence"]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="presence_once", fields=["window", "backport", "person"]),
        ]

    def __str__(self) -> str:
        return f"{self.person_id} is there for backport {self.backport_id}"
