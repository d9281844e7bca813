"""Trying a transaction again where all that happened is that it waited for a lock in vain."""

from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError, connection

from scheduler.domain.errors import Refused

TRIES = 3
# PostgreSQL's lock_not_available, deadlock_detected and query_canceled (a row that many queue for
# is waited for more than once, so the limit of the statement comes first); SQLite has words.
_WAITED_IN_VAIN = frozenset({"55P03", "40P01", "57014"})

Result = TypeVar("Result")


class Busy(Refused):
    """Too many others change the same thing at the moment."""


def patiently(work: Callable[[], Result]) -> Result:
    """Do a whole transaction, again where the database gave up waiting for somebody else's lock.

    Inside another transaction it is done once: only the whole can be done again.

    Raises:
        Busy: it was tried three times; nothing was saved.
    """
    if connection.in_atomic_block:
        return work()
    for _ in range(TRIES):
        try:
            return work()
        except OperationalError as error:
            if not _waited_in_vain(error):
                raise
    raise Busy("Many people are changing this window right now. Nothing was saved; try again.")


def _waited_in_vain(error: OperationalError) -> bool:
    state = getattr(error.__cause__, "sqlstate", None)
    return state in _WAITED_IN_VAIN or "database is locked" in str(error)
