"""A real process of streams on a real file, beside a real web server: how soon, and to whom."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from swat.embedded.run import is_healthy
from tests.faults.driver import DONE, Driver, Ticked
from tests.faults.site import Site, running
from tests.listening import Listener
from tests.loops import run

# From Python 3.12 on, a fork beside another test's live server is warned of.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
    pytest.mark.timeout(120),  # the first one starts the servers
]

GOAL = 1.0  # seconds from the driver's click to a watcher's screen
LET_GO = 15.0  # seconds in which whoever may not any more is let go
STOPS = 4.0  # seconds: it waits for one that streams end by themselves
CLOSE_AN_ACCOUNT = "UPDATE scheduler_user SET is_active = 0 WHERE username = 'watcher3'"


@dataclass
class Watched:
    """A site, and a window of it that is being deployed."""

    site: Site
    window: int
    sessions: dict[str, str]

    async def listener(self, stack: AsyncExitStack, name: str = "", origin: str = "") -> Listener:
        """Ask for the stream as somebody, until the stack is left."""
        session = self.sessions.get(name, "")
        one = await Listener.at(self.site.events_port, self.window, session, origin)
        stack.push_async_callback(one.close)
        return one


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with (
        pytest.MonkeyPatch.context() as environment,
        running(tmp_path_factory.mktemp("site"), "", bookable=5, windows=1) as site,
    ):
        environment.setenv("SWAT_WATCH_MINUTES", "0")
        made = [sys.executable, "-m", "tests.watched", "1", "3"]
        program = site.supervisor.start("watched", made, ends=True)
        site.start_events()
        site.start_web()
        site.supervisor.finish(program)
        yield Watched(site, **json.loads(program.tail()))


async def shown(listener: Listener, ticked: Ticked) -> float:
    """Return how long after the click a screen showed what was done, seconds."""
    while (await listener.next("board")).text.count(DONE) < ticked.done:
        pass
    return time.monotonic() - ticked.sent


def test_watchers_follow_within_a_second(watched: Watched) -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            watchers = [await watched.listener(stack, f"watcher{n}") for n in (1, 2)]
            for one in watchers:
                await one.next("board")
            dev = stack.enter_context(watched.site.visitor("dev"))
            ada = stack.enter_context(watched.site.visitor("ada"))
            driver = Driver(dev, ada, watched.window)
            for _ in range(4):
                ticked = await asyncio.to_thread(driver.tick)
                took = await asyncio.gather(*(shown(one, ticked) for one in watchers))
                assert max(took) < GOAL

    run(story())


def test_only_those_who_may_listen_and_only_as_long_as_they_may(watched: Watched) -> None:
    origin = watched.site.url.rstrip("/")

    async def story() -> None:
        async with AsyncExitStack() as stack:
            assert (await watched.listener(stack)).status == 401
            foreign = await watched.listener(stack, "watcher3", "http://127.0.0.1:1")
            assert "access-control-allow-origin" not in foreign.headers
            ours = await watched.listener(stack, "watcher3", origin)
            assert ours.headers["access-control-allow-origin"] == origin

            five = [await watched.listener(stack, "watcher1") for _ in range(5)]
            assert [one.status for one in five] == [200] * 5
            assert (await watched.listener(stack, "watcher1")).status == 429

            closed = time.monotonic()
            watched.site.rows(CLOSE_AN_ACCOUNT)
            with pytest.raises(EOFError):
                await ours.next("closed")
            assert time.monotonic() - closed < LET_GO
            assert (await watched.listener(stack, "watcher3")).status == 401
            await five[0].next("board")  # others go on

    run(story())


def test_it_stops_though_somebody_listens_and_nothing_else_does(watched: Watched) -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            listener = await watched.listener(stack, "watcher1")
            await listener.next("board")
            events = watched.site.program("events")
            asked = time.monotonic()
            events.process.terminate()
            with pytest.raises(EOFError):
                await listener.next("closed")
            await asyncio.to_thread(events.process.wait, 10)
            assert time.monotonic() - asked < STOPS
            assert "Traceback" not in events.tail()
            watched.site.supervisor.look()
            assert is_healthy(watched.site.url)
            watched.site.supervisor.children.remove(events)

    run(story())
    watched.site.start_events()
