"""Have three hundred people watch a window while it is driven, by streams and by asking.

`make bench` runs it; `--watchers`, `--ticks` and `--sqlite` choose another load or database. Dev
and Ada deploy a window through the real web server, on PostgreSQL. First nobody watches; then
everybody listens to the events process, which is killed once besides; then, as the peer, everybody
asks for the page every ten seconds, as pages do without it. A screen is late by the seconds from
the click to when it shows what was done; `last` is the last of all screens for each click. A click
takes the milliseconds until its page is there. Processor time is seconds of the whole round; memory
MB at its end, all that the processes hold (rss) and their share of it (pss).
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from swat.embedded import postgres, run
from swat.embedded.ports import HOST
from tests.faults.driver import DONE, Driver, Ticked
from tests.faults.site import Site, children_of, running
from tests.listening import Listener

WATCHERS, TICKS = 300, 20
STEPS = 6  # as many as fit a window: more items than anybody ticks here
PAUSE = 1.5  # seconds between two clicks
ASKS = 10.0  # seconds between two questions of a page
GOAL, BACK, CLICK = 1.0, 10.0, 0.05  # seconds: for 95 of 100 screens; after a restart; for a click
MEGABYTE = 1024  # in the unit of /proc
LONG = 120  # seconds, for what takes one on a server that keeps up
A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class Screen:
    """What somebody sees, and since when.

    Attributes:
        since: by how many items were done, when it first showed so many.
        shown: when it showed anything.
    """

    since: dict[int, float] = field(default_factory=dict)
    shown: list[float] = field(default_factory=list)

    def show(self, html: bytes) -> None:
        """Show a page or board."""
        done, now = html.count(DONE.encode()), time.monotonic()
        self.shown.append(now)
        for number in range(len(self.since), done + 1):
            self.since[number] = now


@dataclass(frozen=True)
class Window:
    """A window that is being deployed, and the sessions of those who watch it."""

    pk: int
    sessions: Sequence[str]


@dataclass(frozen=True)
class Used:
    """What processes used: seconds of a processor; MB at the end."""

    cpu: float
    rss: float
    pss: float

    def __str__(self) -> str:
        return f"{self.cpu:>8.1f}{self.rss:>6.0f}{self.pss:>6.0f}"


@dataclass
class Round:
    """What came of one round."""

    screens: list[Screen]
    ticks: list[Ticked] = field(default_factory=list)
    used: list[Used] = field(default_factory=list)

    @property
    def late(self) -> list[list[float]]:
        """For each click, how late each screen was, seconds."""
        return [
            [screen.since[tick.done] - tick.sent for screen in self.screens] for tick in self.ticks
        ]

    def __str__(self) -> str:
        clicks = [tick.took * 1000 for tick in self.ticks]
        told = f"{statistics.median(clicks):>8.0f}{p95(clicks):>6.0f}"
        told += "".join(map(str, self.used))
        if not self.screens:
            return f"{'-':>8}{'-':>6}{'-':>8}{'-':>6}{told}"
        every, last = [one for some in self.late for one in some], [max(one) for one in self.late]
        return (
            f"{statistics.median(every):>8.2f}{p95(every):>6.2f}"
            f"{statistics.median(last):>8.2f}{p95(last):>6.2f}{told}"
        )


HEADS = (
    f"{'':<10}{'screen, s':>14}{'last, s':>14}{'click, ms':>14}{'web':>20}{'events':>20}\n"
    f"{'':<10}{'p50   p95':>14}{'p50   p95':>14}{'p50   p95':>14}"
    f"{'cpu   rss   pss':>20}{'cpu   rss   pss':>20}"
)


def p95(numbers: Sequence[float]) -> float:
    """Return what 95 of 100 do not exceed."""
    return statistics.quantiles(numbers, n=20)[-1]


def window_of(site: Site, watchers: int) -> Window:
    """Make a window whose first step can be started, and people who watch it."""
    made = [sys.executable, "-m", "tests.watched", str(STEPS), str(watchers)]
    program = site.supervisor.start("watched", made, ends=True)
    site.supervisor.finish(program)
    told = json.loads(program.tail())
    sessions = [key for name, key in told["sessions"].items() if name.startswith("watcher")]
    return Window(told["window"], sessions)


# Processes.


def cpu_of(pids: Sequence[int]) -> float:
    """Return the seconds that processes have worked."""
    total = 0
    for pid in pids:
        columns = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(columns[11]) + int(columns[12])  # in user and in system mode
    return total / A_SECOND


def memory_of(pids: Sequence[int], what: str) -> float:
    """Return `Rss` or `Pss` of processes, MB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{what}:"):
                total += int(line.split()[1])
    return total / MEGABYTE


@contextmanager
def measured(site: Site, one: Round) -> Iterator[None]:
    """Note what the processes of web and events use meanwhile."""
    groups = []
    for name in ("web", "events"):
        pid = site.program(name).process.pid
        groups.append([pid, *children_of(pid)])
    before = list(map(cpu_of, groups))
    yield
    one.used = [
        Used(cpu_of(pids) - began, memory_of(pids, "Rss"), memory_of(pids, "Pss"))
        for pids, began in zip(groups, before, strict=True)
    ]


# Rounds.

Watch = Callable[[Site, Window, str, Screen], Coroutine[None, None, None]]


async def listen(site: Site, window: Window, session: str, screen: Screen) -> None:
    """Listen, and come back after as long as the stream said, as a browser does."""
    retry = 3.0
    while True:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            stream = await Listener.at(site.events_port, window.pk, session)
            while block := await stream.block():
                if block.startswith(b"retry: "):
                    retry = int(block.split()[1]) / 1000
                elif block.startswith(b"event: board"):
                    screen.show(block)
            await stream.close()
        await asyncio.sleep(retry)


async def ask(site: Site, window: Window, session: str, screen: Screen) -> None:
    """Ask for the page every ten seconds, as htmx does."""
    lines = [
        f"GET /windows/{window.pk}/deploy HTTP/1.0",
        f"Host: {HOST}:{site.port}",
        f"Cookie: session={session}",
        "HX-Request: true",
    ]
    asked = "\r\n".join([*lines, "", ""]).encode()
    await asyncio.sleep(random.uniform(0, ASKS))  # noqa: S311 - for nothing secret
    while True:
        begun = time.monotonic()
        reader, writer = await asyncio.open_connection(HOST, site.port)
        writer.write(asked)
        screen.show(await reader.read(-1))
        writer.close()
        await asyncio.sleep(max(0.0, begun + ASKS - time.monotonic()))


async def all_show(screens: Sequence[Screen], holds: Callable[[Screen], bool]) -> None:
    """Wait until something holds of every screen."""
    async with asyncio.timeout(LONG):
        while not all(map(holds, screens)):
            await asyncio.sleep(0.05)


async def driven(site: Site, window: Window, ticks: int, watch: Watch | None) -> Round:
    """Have a window driven while everybody watches in one way; None is that nobody does."""
    one = Round([Screen() for _ in window.sessions] if watch else [])
    watching: list[asyncio.Task[None]] = []
    with site.visitor("dev") as dev, site.visitor("ada") as ada:
        dev.http.timeout = ada.http.timeout = httpx.Timeout(LONG)
        driver = Driver(dev, ada, window.pk)
        await asyncio.to_thread(driver.tick)  # the web server's first answers are not counted
        if watch is not None:
            for session, screen in zip(window.sessions, one.screens, strict=True):
                watching.append(asyncio.create_task(watch(site, window, session, screen)))
        await all_show(one.screens, lambda screen: bool(screen.shown))
        with measured(site, one):
            for _ in range(ticks):
                await asyncio.sleep(PAUSE)
                one.ticks.append(await asyncio.to_thread(driver.tick))
            await all_show(one.screens, lambda screen: one.ticks[-1].done in screen.since)
    if watch is listen:
        await kill(site, one.screens)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    return one


async def kill(site: Site, screens: Sequence[Screen]) -> None:
    """Kill the events process, start it again, and tell when the screens are back."""
    site.kill("events")
    killed = time.monotonic()
    run.start_events(site.supervisor, site.events_port)  # by this thread, with which it ends
    while not await asyncio.to_thread(run.is_healthy, f"http://{HOST}:{site.events_port}/"):
        await asyncio.sleep(0.05)
    answered = time.monotonic()
    await all_show(screens, lambda screen: screen.shown[-1] > killed)
    back = max(next(at for at in screen.shown if at > killed) for screen in screens)
    print(
        f"events process killed: it answers after {answered - killed:.1f} s, "
        f"and {back - answered:.1f} s later the last of {len(screens)} screens is back"
        f" (goal {BACK:.0f} s: {'reached' if back - answered <= BACK else 'missed'})"
    )


def main() -> int:
    """Drive a window in each round; return 1 where streams are too late."""
    parser = argparse.ArgumentParser(description="Watch a window that is driven.")
    parser.add_argument("--watchers", type=int, default=WATCHERS)
    parser.add_argument("--ticks", type=int, default=TICKS)
    parser.add_argument("--sqlite", action="store_true")
    given = parser.parse_args()
    os.environ["SWAT_WATCH_MINUTES"] = "0"  # nobody waits for logs
    with tempfile.TemporaryDirectory(prefix="swat-bench-") as name:
        Path(name).chmod(0o755)  # the server may have to run as another user
        folder = Path(name) / "postgres"
        folder.mkdir(mode=0o755)
        with (
            nullcontext("") if given.sqlite else postgres.running(folder) as server,
            running(Path(name) / "site", server, bookable=4 * STEPS, windows=1) as site,
        ):
            site.start_events()
            site.start_web()
            database = "SQLite" if given.sqlite else "PostgreSQL"
            print(f"{given.watchers} watchers, {given.ticks} clicks, {database}\n{HEADS}")
            rounds = {}
            for label, watch, ticks in (
                ("nobody", None, given.ticks),
                ("stream", listen, given.ticks),
                ("asking", ask, max(given.ticks // 4, 2)),  # each takes its time
            ):
                window = window_of(site, given.watchers)
                rounds[label] = asyncio.run(driven(site, window, ticks, watch))
                print(f"{label:<10}{rounds[label]}", flush=True)
    late = p95([seconds for some in rounds["stream"].late for seconds in some])
    click = statistics.median(tick.took for tick in rounds["nobody"].ticks)
    print(f"goal: 95 of 100 screens within {GOAL:.0f} s: {'reached' if late <= GOAL else 'missed'}")
    print(f"goal: a click in {CLICK * 1000:.0f} ms: {'reached' if click <= CLICK else 'missed'}")
    return int(late > GOAL)


if __name__ == "__main__":
    sys.exit(main())
