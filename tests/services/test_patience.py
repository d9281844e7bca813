"""A transaction that lost a race for a lock is done again; anything else is not."""

from collections.abc import Callable

import pytest
from django.db import OperationalError, transaction

from scheduler.services.patience import TRIES, Busy, patiently

pytestmark = pytest.mark.django_db(transaction=True)


class LockNotAvailable(Exception):
    """As psycopg tells it."""

    sqlstate = "55P03"


def busy(times: int, cause: Exception | None = None, text: str = "") -> Callable[[], int]:
    """Return work that fails so many times, then tells how often it was done."""
    done = 0

    def work() -> int:
        nonlocal done
        done += 1
        if done <= times:
            raise OperationalError(text) from cause
        return done

    return work


@pytest.mark.parametrize("times", [0, 1, TRIES - 1])
def test_what_waited_in_vain_is_done_again(times: int) -> None:
    assert patiently(busy(times, LockNotAvailable())) == times + 1
    assert patiently(busy(times, text="database is locked")) == times + 1


def test_in_the_end_it_says_that_nothing_was_saved() -> None:
    with pytest.raises(Busy, match="Nothing was saved"):
        patiently(busy(TRIES, LockNotAvailable()))


def test_other_trouble_is_told_at_once() -> None:
    with pytest.raises(OperationalError):
        patiently(busy(1, text="the disk is full"))


def test_inside_a_transaction_it_is_done_once() -> None:
    with pytest.raises(OperationalError), transaction.atomic():
        patiently(busy(1, LockNotAvailable()))
