"""What the rest of the product may ask of the outside world, and how trouble out there is told."""

from dataclasses import dataclass
from typing import Protocol

from scheduler.domain.changes import Change, ChangeStatus


class AdapterError(Exception):
    """Something outside is unreachable, refuses, or answers what cannot be trusted.

    The text is one sentence for people. It says nothing about the thing asked for: what was known
    before stays as it is, and gets older.

    Attributes:
        retryable: whether the same question may well be answered a little later.
    """

    def __init__(self, sentence: str, *, retryable: bool) -> None:
        super().__init__(sentence)
        self.retryable = retryable


class Unreachable(AdapterError):
    """What is outside did not answer in time, or only that it cannot now; the next may be luckier.

    The text says nothing about the thing asked for, so others count how often it happens.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, retryable=True)


class Unreadable(ValueError):
    """What a person pasted names no change here; the text is a sentence that says why."""


@dataclass(frozen=True)
class FetchedChange:
    """A change as the review system told it.

    Attributes:
        change: what the rules see of it, its text cleaned.
        patch_set: number of its current patch set, from 1.
        sha: the commit of that patch set.
        submitted_together: the other changes that would be merged along with it, sorted; none
            where it is merged or abandoned already.
        submittable: whether it may be merged as it is; None where that was not said.
    """

    change: Change
    patch_set: int
    sha: str
    submitted_together: tuple[int, ...] = ()
    submittable: bool | None = None


def preference(change: Change) -> tuple[bool, bool, int]:
    """Return a sort key for changes that share a Change-Id: which of them is meant, best first.

    Open before closed, on a release branch before any other, newest first.
    """
    return (change.status is not ChangeStatus.NEW, not change.is_on_release, -change.number)


class ReviewSystem(Protocol):
    """Where changes are reviewed."""

    def fetch_change(self, reference: str) -> tuple[FetchedChange, ...]:
        """Return a change and everything that judging it takes, the change itself first.

        The rest is ordered by number: its siblings on other branches, what its `Depends-On`
        footers name (recursively, with siblings), and its relation chain below it. What a footer
        names and the review system does not know is missing.

        A Change-Id stands for several changes: the best by `preference` comes first, and
        all others are among the rest.

        Args:
            reference: what `reference_of` returned: a number or a Change-Id.

        Raises:
            AdapterError: nothing can be said about the change now.
        """
        ...

    def reference_of(self, pasted: str) -> str:
        """Return the number or Change-Id that a pasted text names; asks nobody.

        Raises:
            Unreadable: it names no change of this review system.
        """
        ...

    def references_of(self, pasted: str) -> tuple[str, ...]:
        """Return what a pasted list of changes names, each once, in order; asks nobody.

        Args:
            pasted: what `reference_of` reads, between white space, commas or semicolons.

        Raises:
            Unreadable: there is nothing, too much, or something that names no change here; then
                the text says which.
        """
        ...
