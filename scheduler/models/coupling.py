"""What the detector of couplings worked out of changes, and the names that it has seen."""

from typing import ClassVar

from django.db import models

from scheduler.models.changes import Change
from scheduler.models.statements import Statement


class ChangeTraits(models.Model):
    """What the detector looks at of a change, worked out once for each patch set.

    Attributes:
        sha: the commit that it was worked out of; version: by which form of the detector.
        content: names, lines and words (`scheduler.adapters.stored_traits`).
        is_learned: whether its names were counted.
    """

    change = models.OneToOneField(Change, models.CASCADE, related_name="traits")
    sha = models.CharField(max_length=64)
    version = models.PositiveSmallIntegerField()
    content = models.JSONField()
    is_learned = models.BooleanField(default=False)

    objects: ClassVar[models.Manager["ChangeTraits"]] = models.Manager()

    class Meta:
        indexes = [
            models.Index(
                name="traits_to_learn", fields=["id"], condition=models.Q(is_learned=False)
            ),
        ]

    def __str__(self) -> str:
        return f"traits of {self.change_id}"


class SeenName(models.Model):
    """In how many changes a name, or a word of a message, was seen here.

    Attributes:
        text: the name, folded, or the word.
        changes: each change counts once, whatever becomes of it.
    """

    text = models.CharField(max_length=80)
    is_word = models.BooleanField()
    changes = models.PositiveIntegerField(default=0)

    objects: ClassVar[models.Manager["SeenName"]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(name="seenname_once", fields=["text", "is_word"]),
        ]

    def __str__(self) -> str:
        return f"{self.text}: {self.changes}"


class DismissedName(models.Model):
    """A name of which somebody said that it says nothing between two projects.

    It counts as long as the statement is in force that two changes which share it are unrelated.

    Attributes:
        low_project, high_project: in the order of the alphabet.
        name: folded, or a word of messages.
    """

    statement = models.ForeignKey(Statement, models.CASCADE, related_name="dismissed")
    low_project = models.CharField(max_length=255)
    high_project = models.CharField(max_length=255)
    name = models.CharField(max_length=80)

    objects: ClassVar[models.Manager["DismissedName"]] = models.Manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="dismissedname_once",
                fields=["low_project", "high_project", "name", "statement"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}, between {self.low_project} and {self.high_project}"
