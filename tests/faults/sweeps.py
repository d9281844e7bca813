"""`python -m tests.faults.sweeps`: the outbox swept by processes that are killed on the way.

Django is loaded once; whoever dies is forked. Each sweep is told a later time than the one
before, so that the claims of the dead have run out. The last line printed is JSON.
"""

import argparse
import json
import os
import random
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import NoReturn

import django

django.setup()

from django.db import connection  # noqa: E402 - Django reads settings first
from django.utils import timezone  # noqa: E402

from scheduler.models import Backport, Change, User, Window  # noqa: E402
from scheduler.services.backports import submit_backport  # noqa: E402
from scheduler.services.notifications import (  # noqa: E402
    LEASE,
    deliver_events,
    send_notifications,
)
from tests.factories import answers, fetched, make_change  # noqa: E402
from tests.faults.kills import dying_at  # noqa: E402

FIRST_NUMBER = 3_000_001  # of changes that nobody else books
HALF = 0.5
LATER = LEASE + timedelta(minutes=1)


def here(work: Callable[[], object]) -> None:
    """Do some work in this process, which keeps no connection that a fork would share."""
    work()
    connection.close()


def forked(work: Callable[[], object]) -> int:
    """Begin some work in a process of its own; return its number."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _do(work)
    return pid


def _do(work: Callable[[], object]) -> NoReturn:
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def ended_well(pid: int) -> bool:
    """Wait for a process; return whether it came to its end rather than was killed.

    Raises:
        SystemExit: it failed.
    """
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise SystemExit("a sweep failed; its trace is above")
    return os.WIFEXITED(status)


def book() -> Backport:
    """Have Ada book a change that nobody has booked: one event, two mails."""
    before = Change.objects.count()
    return submit_backport(
        change=make_change(fetched(FIRST_NUMBER + before)),
        window=Window.objects.order_by("start")[before % Window.objects.count()],
        requester=User.objects.get(username="ada"),
        answers=answers(),
    )


def sweep(turn: int, *, dying: int | None = None, mail_first: bool = False) -> Callable[[], None]:
    """Return what sweeps once, at a time that is the later the higher the turn.

    Args:
        turn: counts the sweeps.
        dying: at which step around the statements it dies.
        mail_first: send what is due before events are handed on, so that it dies among mails.
    """
    halves: list[Callable[..., int]] = [deliver_events, send_notifications]

    def work() -> None:
        at = timezone.now() + turn * LATER
        with nullcontext() if dying is None else dying_at(dying):
            for half in reversed(halves) if mail_first else halves:
                half(at=at)

    return work


def kill_at_every_step() -> dict[str, int]:
    """Book, have a sweep die at a step and another one finish; then at the next step."""
    killed = 0
    while True:
        here(book)
        came_to_its_end = ended_well(forked(sweep(2 * killed, dying=killed)))
        here(sweep(2 * killed + 1))
        if came_to_its_end:
            return {"kills": killed, "bookings": killed + 1}
        killed += 1


def kill_two_at_a_time(bookings: int, kills: int, seed: int) -> dict[str, int]:
    """Have two sweeps at a time die at random steps until so many have, then one finish."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    for _ in range(bookings):
        here(book)
    killed = turn = 0
    while killed < kills and turn < 2 * kills:
        turn += 1
        pair = [
            forked(sweep(turn, dying=chance.randrange(30), mail_first=chance.random() < HALF))
            for _ in range(2)
        ]
        killed += sum(not ended_well(pid) for pid in pair)
    here(sweep(turn + 1))
    return {"kills": killed, "bookings": bookings}


def main() -> None:
    """Do one or the other, and say how often somebody died."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bookings", type=int, default=0, help="two at a time, over so many")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    done = (
        kill_two_at_a_time(given.bookings, given.kills, given.seed)
        if given.bookings
        else kill_at_every_step()
    )
    print(json.dumps(done))  # noqa: T201 - for whoever started us


if __name__ == "__main__":
    main()
