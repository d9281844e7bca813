"""The outside world, in memory."""

from collections.abc import Iterable

from django.db import connection

from scheduler.adapters.ports import AdapterError, FetchedChange, Unreadable


class FakeReviewSystem:
    """A review system that knows what it is given.

    Attributes:
        answers: change number to what a fetch of it returns; a missing one is trouble.
        asked: the references that were fetched, in order.
        was_in_transaction: whether somebody fetched inside a transaction, which is forbidden.
    """

    def __init__(self, changes: Iterable[FetchedChange] = ()) -> None:
        self.answers = {one.change.number: (one,) for one in changes}
        self.asked: list[str] = []
        self.outer_blocks = len(connection.savepoint_ids) + int(connection.in_atomic_block)
        self.was_in_transaction = False

    def fetch_change(self, reference: str) -> tuple[FetchedChange, ...]:
        """Return what it was given.

        Raises:
            AdapterError: it was given nothing.
        """
        blocks = len(connection.savepoint_ids) + int(connection.in_atomic_block)
        self.was_in_transaction = self.was_in_transaction or blocks > self.outer_blocks
        self.asked.append(reference)
        try:
            return self.answers[int(reference)]
        except KeyError:
            raise AdapterError("The review system does not answer.", retryable=True) from None

    def reference_of(self, pasted: str) -> str:
        """Return a number.

        Raises:
            Unreadable: it is none.
        """
        if not pasted.isdecimal():
            raise Unreadable("That is not a change number.")
        return pasted

    def references_of(self, pasted: str) -> tuple[str, ...]:
        """Return numbers, each once.

        Raises:
            Unreadable: one is none, or there are none.
        """
        names = pasted.replace(",", " ").split() or [""]
        return tuple(dict.fromkeys(self.reference_of(name) for name in names))
