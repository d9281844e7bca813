"""What the review system said about a change when it was last asked."""

from typing import ClassVar

from django.db import models

from scheduler.domain import changes as domain
from scheduler.models.choices import choices_of, values_of


class Change(models.Model):
    """A change of the review system at its current patch set.

    Attributes:
        parent: number of the change below it in its relation chain.
        included_in: branches that contain it, sorted.
        deployed: whether production runs it; None where that is not known.
        labels: review label to its decisive vote.
        files: one object per file: path, status, old_path, lines_inserted, lines_deleted.
        sha: the commit of the patch set.
    """

    number = models.PositiveIntegerField(unique=True)
    project = models.CharField(max_length=255)
    branch = models.CharField(max_length=255)
    change_id = models.CharField(max_length=41, db_index=True)
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
    patch_set = models.PositiveIntegerField()
    sha = models.CharField(max_length=64)
    fetched_at = models.DateTimeField()

    objects: ClassVar[models.Manager["Change"]] = models.Manager()

    class Meta:
        ordering = ["number"]
        constraints = [
            models.CheckConstraint(
                name="change_status_known",
                condition=models.Q(status__in=values_of(domain.ChangeStatus)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} ({self.project.rpartition('/')[2]})"

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
        )
