"""A window that is being deployed on a site, what was done of it, and whether all is as it should.

What is stored is read without the product, and compared with what its driver has done.
"""

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager

import httpx

from scheduler.domain.checklist.steps import ItemKind
from swat.embedded.ports import HOST
from tests.faults.driver import DONE, Driver
from tests.faults.site import Site
from tests.faults.watcher import Watcher

AROUND = "Run the script."  # before and after each step, so that there are items of every kind
USUAL = 0.2  # seconds that a form takes, before one was measured


class Hour:
    """The window, and who is in it.

    Attributes:
        site: whose window it is.
        driver: who deploys it.
        watcher: who follows it.
        done: step and kind of each item that was done, in that order.
        turn: the item that is next.
    """

    def __init__(self, site: Site, window: int, driver: Driver, watcher: Watcher) -> None:
        """Take a window that was begun."""
        self.site = site
        self.driver = driver
        self.watcher = watcher
        self.done: list[tuple[int, str]] = []
        self._window = window
        self._chance = random.Random(7)  # noqa: S311 - to be repeated, not to be secret
        self._usual = USUAL

    # What is done.

    def items(self) -> Iterator[ItemKind]:
        """Yield each kind of item of a new step, when it is next; whoever takes it does it.

        After its last item the step is taken back. After each one is seen that it was done once,
        that nothing else was, and that who drives still does.
        """
        position = 0
        for kind in ItemKind:
            if kind is ItemKind.TAKE_BACK:
                self.driver.revert(position)
            self.turn = self.driver.turn()
            position = self.turn.position
            assert self.is_next(kind), f"It is not the turn of {kind} in step {position}."
            yield kind
            self.done.append((position, kind.value))
            see_nothing(self.wrong_with_items())

    def is_next(self, kind: ItemKind) -> bool:
        """Return whether the next item is the first of its step that is not done, of a kind."""
        rows = self.site.rows(
            "SELECT i.id, i.kind FROM scheduler_runitem i"  # noqa: S608 - a number of ours
            f" JOIN scheduler_runstep s ON s.id = i.step_id WHERE s.position = {self.turn.position}"
            f" AND {self._of_window} AND i.done_at IS NULL ORDER BY i.place"
        )
        return rows[0] == (self.turn.item, kind.value)

    def send(self, *, fault: str = "") -> httpx.Response | None:
        """Say that the next item is done; return what was answered, None if nothing was."""
        begun = time.monotonic()
        try:
            answer = self.turn.by.send(self.turn.sending, fault=fault)
        except httpx.TransportError:
            return None
        if answer.status_code == httpx.codes.OK:
            self._usual = time.monotonic() - begun
        return answer

    def send_during(self, deed: Callable[[], object], *, fault: str = "") -> httpx.Response | None:
        """Say it, and do something meanwhile, at any moment; return what was answered.

        Args:
            deed: what to do.
            fault: a point at which the request waits until that is done.
        """
        if fault:
            self.site.arm(fault)
        with ThreadPoolExecutor(1) as pool:
            sent = pool.submit(self.send, fault=fault)
            if fault:
                self.site.await_held(fault)
            else:
                wait([sent], timeout=self._chance.uniform(0, self._usual))
            deed()
            if fault:
                self.site.disarm(fault)
            return sent.result()

    def die_at(self, point: str) -> None:
        """Say it to somebody who dies at a point; that nobody answers is seen."""
        self.site.arm(point)
        answer = None
        while self.site.is_armed(point):  # who was killed before may not have left yet
            answer = self.send(fault=point)
        assert answer is None, f"Somebody answered: {answer}"

    def send_again(self) -> httpx.Response:
        """Send the same form, as often as it takes until something is answered."""
        answer, _ = self.turn.by.send_until_answered(self.turn.sending)
        return answer

    def close(self) -> None:
        """Close the window."""
        page = self.driver.close()
        assert "The window is closed" in page, page

    # Whether all is well.

    @property
    def _of_window(self) -> str:
        return (
            "s.run_id = (SELECT id FROM scheduler_run"  # noqa: S608 - a number of ours
            f" WHERE window_id = {self._window})"
        )

    def has_stored(self) -> bool:
        """Whether the log says that the next item was done, which nobody was told yet."""
        return len(self.ticks()) > len(self.done)

    def ticks(self) -> list[tuple[int, str]]:
        """Return step and kind of each item that the log says was done, in its order."""
        told = self.site.rows(
            "SELECT payload FROM scheduler_event"  # noqa: S608 - a number of ours
            f" WHERE kind = 'step.tick' AND window_id = {self._window} ORDER BY seq"
        )
        payloads = [json.loads(one) if isinstance(one, str) else one for (one,) in told]
        return [(one["step"], one["item"]) for one in payloads]

    def wrong_with_items(self) -> list[str]:
        """Return what was done twice, not at all, or by nobody who drives, a sentence each."""
        stored = self.site.rows(
            "SELECT s.position, i.kind, i.lease FROM scheduler_runitem i"  # noqa: S608 - as above
            " JOIN scheduler_runstep s ON s.id = i.step_id"
            f" WHERE {self._of_window} AND i.done_at IS NOT NULL"
        )
        leases = self.site.rows(
            "SELECT l.number, u.username, l.ended_at FROM scheduler_lease l"  # noqa: S608 - as above
            f" JOIN scheduler_user u ON u.id = l.holder_id WHERE window_id = {self._window}"
        )
        told, kept = Counter(self.ticks()), Counter((step, kind) for step, kind, _ in stored)
        return [
            *(f"{one} was done {times} times" for one, times in told.items() if times > 1),
            *(f"{one} is stored as done {times} times" for one, times in kept.items() if times > 1),
            *(
                f"{one} was said to be done, and is not stored"
                for one in self.done
                if not kept[one]
            ),
            *(f"{one} is stored, and nobody said so" for one in kept if one not in self.done),
            *([] if self.ticks() == self.done else ["the log has another order"]),
            *([] if leases == [(1, "dev", None)] else [f"these have driven: {leases}"]),
            *(
                f"{kind} of step {step} was done under lease {lease}"
                for step, kind, lease in stored
                if lease != (None if kind == ItemKind.VERIFY.value else 1)
            ),
        ]

    def await_board(self) -> None:
        """Wait until a page that follows the window, and one that asks, show all that was done."""
        count = len(self.ticks())
        self.site.wait(
            lambda: self.watcher.board.count(DONE) == count, f"the watcher sees {count} items"
        )
        asked = self.driver.people[1].read(self.driver.address).text.count(DONE)
        assert asked == count, f"A page that asks shows {asked} of {count} items."

    def await_mails(self) -> None:
        """Wait until everything was handed on and every mail sent; see that nothing was twice."""
        self.site.wait(lambda: not self.still_owed(), "all mail is sent")
        see_nothing(self.wrong_with_mails())

    def still_owed(self) -> list[str]:
        """Return what still has to be handed on or sent, a sentence each."""
        events = self.site.rows(
            "SELECT e.seq, e.kind FROM scheduler_event e"
            " LEFT JOIN scheduler_delivery d ON d.event_id = e.id WHERE d.id IS NULL"
        )
        return [
            *(f"event {seq} ({kind}) was not handed on" for seq, kind in events),
            *(f"{mail} was not sent" for mail, is_sent in self._owed_mails() if not is_sent),
        ]

    def wrong_with_mails(self) -> list[str]:
        """Return what of the site was handed on or sent twice, or is missing, a sentence each."""
        owed, mails, deaths = self._owed_mails(), self.site.mails(), self.site.deaths
        noted = Counter(mail for mail, _ in owed)
        again = mails.total() - len(mails)
        # What nobody waits for any more is forgotten, also if who had sent it has died.
        strange = set(mails) - set(noted)
        return [
            *self.still_owed(),
            *(f"{mail} is owed {times} times" for mail, times in noted.items() if times > 1),
            *(f"{mail} is not there" for mail in noted if mail not in mails),
            *(
                [f"{again} mails again and {strange} for {deaths} deaths"]
                if again + len(strange) > deaths
                else []
            ),
        ]

    def _owed_mails(self) -> list[tuple[str, bool]]:
        """Return the Message-ID of each mail that somebody is owed, and whether it was sent."""
        rows = self.site.rows(
            "SELECT e.seq, e.hash, n.recipient_id, n.sent_at IS NOT NULL"
            " FROM scheduler_notification n JOIN scheduler_event e ON e.id = n.event_id"
        )
        return [
            (f"<event-{seq}.{digest[:16]}.{person}@{HOST}>", bool(is_sent))
            for seq, digest, person, is_sent in rows
        ]


def see_nothing(wrong: list[str]) -> None:
    """See that nothing is wrong.

    Raises:
        AssertionError: what is, a line each.
    """
    assert not wrong, "\n".join(wrong)


@contextmanager
def under_way(site: Site, steps: int) -> Iterator[Hour]:
    """Have a window of a site deployed, whose web server runs, for the length of a `with` block."""
    made = [sys.executable, "-m", "tests.watched", str(steps), "1", AROUND]
    program = site.supervisor.start("watched", made, ends=True)
    site.supervisor.finish(program)
    window, sessions = json.loads(program.tail()).values()
    with ExitStack() as stack:
        dev, ada = (stack.enter_context(site.visitor(name)) for name in ("dev", "ada"))
        watcher = Watcher(site.events_port, window, sessions["watcher1"])
        yield Hour(site, window, Driver(dev, ada, window), stack.enter_context(watcher))
