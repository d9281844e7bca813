"""What the review system said about a change when it was last asked."""

from typing import ClassVar

from django.db import models

from scheduler.domain import changes as domain
from scheduler.models.choices import choices_of, values_of


class Change(models.Model):
    """A change of the review system at its current patch set.

    A change that the review system has not told about yet has its number only: it may be booked,
    and is left out of plans until it is known.

    Attributes:
        fetched_at: when the review system last told about it; None if it never did.
        kind: what its project means for production; "" while nothing is known.
        declares: whether its message names what it depends on.
        submittable: whether the review system would merge it as it is; None if it did not say.
        submitted_together: numbers that the review system would submit with it, sorted.
        parent: number of the change below it in its relation chain.
        included_in: branches that contain it, sorted.
        deployed: whether production runs it; None where that is not known.
        labels: review label to its decisive vote.
        files: one object per file: path, status, old_path, lines_inserted, lines_deleted.
        sha: the commit of the patch set.
        topic: by which the review system groups it with others; "" if it does not.
        author: who wrote it, as its commit says; "" where the review system did not say.
        authored_at: when its author made it; None where the review system did not say.
    """

    number = models.PositiveIntegerField(unique=True)
    kind = models.CharField(max_length=6, choices=choices_of(domain.ProjectKind), blank=True)
    declares = models.BooleanField(default=False)
    project = models.CharField(max_length=255, blank=True)
    branch = models.CharField(max_length=255, blank=True)
    change_id = models.CharField(max_length=41, blank=True, db_index=True)
    subject = models.TextField(blank=True)
    message = models.TextField(blank=True)
    status = models.CharField(
        max_length=9, choices=choices_of(domain.ChangeStatus), default=domain.ChangeStatus.NEW.value
    )
    work_in_progress = models.BooleanField(default=False)
    owner = models.CharField(max_length=150, blank=True)
    uploader = models.CharField(max_length=150, blank=True)
    parent = models.PositiveIntegerField(null=True, blank=True)
    included_in = models.JSONField(default=list, blank=True)
    deployed = models.BooleanField(null=True, blank=True)
    labels = models.JSONField(default=dict, blank=True)
    files = models.JSONField(default=list, blank=True)
    diff = models.TextField(blank=True)
    submitted_together = models.JSONField(default=list, blank=True)
    submittable = models.BooleanField(null=True, blank=True)
    patch_set = models.PositiveIntegerField(default=0)
    sha = models.CharField(max_length=64, blank=True)
    topic = models.CharField(max_length=255, blank=True)
    author = models.CharField(max_length=150, blank=True)
    authored_at = models.DateTimeField(null=True, blank=True)
    fetched_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["Change"]] = models.Manager()

    class Meta:
        ordering = ["number"]
        indexes = [
            # What the board of the train looks at: a few of very many.
            models.Index(name="change_of_branch", fields=["branch", "status", "-number"]),
            models.Index(name="change_of_kind", fields=["kind", "status", "-number"]),
            models.Index(
                name="change_declares",
                fields=["kind", "-number"],
                condition=models.Q(declares=True),
            ),
            # Every plan asks for what is merged and known not to be deployed: a few of all changes.
            models.Index(
                name="change_not_deployed", fields=["status"], condition=models.Q(deployed=False)
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="change_status_known",
                condition=models.Q(status__in=values_of(domain.ChangeStatus)),
            ),
            models.CheckConstraint(
                name="change_known_is_whole",
                condition=models.Q(fetched_at__isnull=True, patch_set=0, sha="")
                | (
                    models.Q(fetched_at__isnull=False, patch_set__gt=0)
                    & ~models.Q(sha="")
                    & ~models.Q(project="")
                ),
            ),
        ]

    def __str__(self) -> str:
        return (
            f"{self.number} ({domain.short_project(self.project)})"
            if self.project
            else str(self.number)
        )

    @property
    def is_known(self) -> bool:
        """Whether the review system has told about it."""
        return self.fetched_at is not None

    def to_domain(self, *, with_diff: bool = True) -> domain.Change:
        """Return it as the rules see it; without its diff where nobody will look at that."""
        return domain.Change(
            number=self.number,
            project=self.project,
            branch=self.branch,
            change_id=self.change_id,
            subject=self.subject,
            message=self.message,
            status=domain.ChangeStatus(self.status),
            work_in_progress=self.work_in_progress,
            owner=self.owner,
            uploader=self.uploader,
            parent=self.parent,
            included_in=frozenset(self.included_in),
            deployed=self.deployed,
            labels=dict(self.labels),
            files=tuple(
                domain.ChangedFile(
                    path=file["path"],
                    status=domain.FileStatus(file["status"]),
                    old_path=file["old_path"],
                    lines_inserted=file["lines_inserted"],
                    lines_deleted=file["lines_deleted"],
                )
                for file in self.files
            ),
            diff=self.diff if with_diff else "",
            topic=self.topic,
            author=self.author,
            authored_at=self.authored_at,
        )
