"""Four people who book at once, each again until they are answered, while workers are killed."""

import os
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack

from tests.faults.site import Site, children_of
from tests.faults.visitor import Visitor, backport_in

PEOPLE = ("ada", "ada", "rae", "dev")
LONGEST = 0.3  # seconds from when all begin to book until a worker dies, at first; then …
SHORTEST = 0.005  # … at most as long as the last bookings took, so that kills hit somebody


class Crowd:
    """The people, and what they were answered.

    Attributes:
        answered: change and backport of each booking that was answered.
        deaths: how many requests ended without an answer.
    """

    def __init__(self, site: Site, *, seed: int) -> None:
        """Have them book in all windows of a site, whose web server runs."""
        self.site = site
        self.answered: list[tuple[int, int]] = []
        self.deaths = 0
        self._longest = LONGEST
        self._chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._windows = site.windows()

    def book_under(self, *, kills: int) -> None:
        """Have everybody book one change for each worker that is killed meanwhile."""
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(len(PEOPLE)))
            people = [stack.enter_context(self.site.visitor(name)) for name in PEOPLE]
            for _ in range(kills):
                wishes = [
                    (self.site.new_change(), self._chance.choice(self._windows)) for _ in people
                ]
                begun = time.perf_counter()
                booked = [pool.submit(_book, *one) for one in zip(people, wishes, strict=True)]
                wait(booked, timeout=self._chance.uniform(0, self._longest))
                if all(one.done() for one in booked):
                    self._longest = max(time.perf_counter() - begun, SHORTEST)
                self._kill_one()
                for (change, _), one in zip(wishes, booked, strict=True):
                    backport, deaths = one.result()
                    self.answered.append((change, backport))
                    self.deaths += deaths

    def _kill_one(self) -> None:
        """Kill a worker, whatever it is doing; gunicorn starts another one."""
        workers = children_of(self.site.program("web").process.pid)
        if workers:
            os.kill(self._chance.choice(workers), signal.SIGKILL)

    def wrong(self) -> list[str]:
        """Return what was lost or done twice, a sentence each."""
        stored = Counter(
            self.site.rows(
                "SELECT c.number, b.id FROM scheduler_event e"
                " JOIN scheduler_backport b ON b.id = e.backport_id"
                " JOIN scheduler_change c ON c.id = b.change_id WHERE e.kind = 'backport.submit'"
            )
        )
        mine = {change for change, _ in self.answered}
        stored = Counter({pair: times for pair, times in stored.items() if pair[0] in mine})
        lost = set(self.answered) - set(stored)
        return [
            *(
                f"{change} was answered with backport {pk}, and is not stored"
                for change, pk in lost
            ),
            *(f"{pair} is stored {times} times" for pair, times in stored.items() if times > 1),
            *(f"{pair} was never answered" for pair in set(stored) - set(self.answered)),
        ]


def _book(visitor: Visitor, wish: tuple[int, int]) -> tuple[int, int]:
    """Book a change in a window; return the backport, and how often no answer came."""
    answer, deaths = visitor.send_until_answered(visitor.booking(*wish))
    return backport_in(answer), deaths
