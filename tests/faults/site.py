"""The whole product with servers, a database and a folder of its own, and what it has stored."""

import itertools
import json
import os
import re
import secrets
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from swat.embedded import run, valkey
from swat.embedded.gerrit import DemoGerrit
from swat.embedded.gerrit_changes import CONFIG, DemoChange, DemoFile, change_id_of
from swat.embedded.ports import HOST, free_port
from swat.embedded.supervisor import Program, Supervisor
from tests.faults import kills
from tests.faults.visitor import Visitor

FIRST_CHANGE = 2_000_001
REVIEWERS = ("rae", "rel")  # who hears of a booking by Ada
LONG = 60  # seconds, for what takes two on a machine that has nothing else to do
SWEEP_SECONDS = "1"  # ten times as often as the product's; the worker knows no difference
_MESSAGE = re.compile(r"^Message-ID: (<.+>)$", re.MULTILINE)


def changes(count: int) -> list[DemoChange]:
    """Return changes to which no rule objects, each of a file of its own."""
    return [
        DemoChange(
            number,
            CONFIG,
            "master",
            change_id_of(f"fault {number}"),
            f"Setting {number}\n\nChange-Id: {change_id_of(f'fault {number}')}\n",
            {f"wmf-config/Setting{number}.php": DemoFile(added=("<?php",))},
        )
        for number in range(FIRST_CHANGE, FIRST_CHANGE + count)
    ]


@dataclass(frozen=True)
class Kept:
    """What the database holds of one change.

    Attributes:
        backports: their keys.
        events: kinds of the events about them, and how often.
    """

    backports: list[int]
    events: Counter[str]


class Site:
    """The product, and hands on its processes.

    Attributes:
        gerrit: the review system that it asks.
        deaths: how many mails somebody had in hand who died, or lost database or Redis.
    """

    def __init__(
        self, supervisor: Supervisor, folder: Path, database: str, gerrit: DemoGerrit
    ) -> None:
        """Take what `running` has made ready."""
        self.supervisor = supervisor
        self.gerrit = gerrit
        self.deaths = 0
        self.folder = folder
        self.database = database
        self.port = free_port()
        self.events_port = free_port()
        self.redis_port = int(supervisor.environment["REDIS_URL"].rpartition(":")[2].split("/")[0])
        self._unused = iter(sorted(gerrit.changes))
        self._beats = itertools.count(1)

    @property
    def url(self) -> str:
        """Where its pages are."""
        return f"http://{HOST}:{self.port}/"

    @property
    def on_server(self) -> bool:
        """Whether its database is on a PostgreSQL server."""
        return self.database.startswith("postgres")

    def new_change(self) -> int:
        """Return a change that nobody has booked; never the same one twice."""
        return next(self._unused)

    # Its processes.

    def start_web(self) -> Program:
        """Start the web server as `make run` does, and wait until it serves."""
        web = run.start_web(self.supervisor, self.port, "tests.faults.wsgi")
        self.wait(lambda: run.is_healthy(self.url), "the web server answers", web)
        return web

    def start_events(self) -> Program:
        """Start the events process as `make run` does; a web server that starts later names it."""
        events = self.begin_events()
        self.wait(self.has_events, "the events process answers")
        return events

    def begin_events(self) -> Program:
        """Begin to start the events process."""
        told = self.supervisor.environment
        told["PUBLIC_URL"] = self.url  # whose pages may listen
        told["EVENTS_URL"] = run.start_events(self.supervisor, self.events_port)
        return self.program("events")

    def has_events(self) -> bool:
        """Tell whether the events process answers."""
        return run.is_healthy(f"http://{HOST}:{self.events_port}/")

    def start_valkey(self) -> Program:
        """Start an empty Valkey, at the same address each time."""
        valkey.start(self.supervisor, self.folder / "valkey", keep=False, port=self.redis_port)
        return self.program("valkey")

    def start_worker(self) -> None:
        """Start the worker as `make run` does."""
        run.start_worker(self.supervisor)

    def start_beat(self) -> Program:
        """Start beat as `make run` does, beside others or alone."""
        folder = self.folder / f"beat-{next(self._beats)}"
        folder.mkdir()
        return run.start_beat(self.supervisor, folder)

    def manage(self, *command: str) -> str:
        """Run a management command, which has to end well; return what it printed."""
        program = run.manage(self.supervisor, *command)
        self.supervisor.finish(program)
        return program.tail()

    def make_due(self, minutes: int) -> int:
        """Have a window that nobody claimed begin so many minutes ago, with a backport.

        There is a series besides whose windows nobody has made. Returns the window.
        """
        program = self.supervisor.start(
            "due", [sys.executable, "-m", "tests.faults.due", str(minutes)], ends=True
        )
        self.supervisor.finish(program)
        return int(program.tail().splitlines()[-1])

    def sweep(self, *arguments: str) -> dict[str, int]:
        """Have the outbox swept by processes that are killed; return what was done, in figures."""
        command = [sys.executable, "-m", "tests.faults.sweeps", *arguments]
        program = self.supervisor.start("sweeps", command, ends=True)
        self.supervisor.finish(program)
        done: dict[str, int] = json.loads(program.tail().splitlines()[-1])
        return done

    def deliver(self) -> None:
        """Have the outbox swept as it is without Redis, until nothing is left to do."""
        while "0 events handed on, 0 mails sent" not in self.manage("deliver"):
            pass

    def program(self, name: str) -> Program:
        """Return a running program."""
        return next(child for child in self.supervisor.children if child.name == name)

    def kill(self, name: str) -> None:
        """Kill a program and all that it forked, and bury it."""
        program = self.program(name)
        os.kill(program.process.pid, signal.SIGKILL)
        assert self.supervisor.wait_for_end(program) == -signal.SIGKILL

    def kill_children(self, name: str) -> None:
        """Kill what a program has forked, and not the program itself."""
        for child in children_of(self.program(name).process.pid):
            with suppress(ProcessLookupError):  # it has just died by itself
                os.kill(child, signal.SIGKILL)

    def wait(self, ready: Callable[[], bool], what: str, watched: Program | None = None) -> float:
        """Look until something is so, for a long time; return how many seconds it took.

        Raises:
            ProgramFailed: it never was, or a program ended.
        """
        begun = time.monotonic()
        self.supervisor.wait_until(ready, what=what, seconds=LONG, watched=watched)
        return time.monotonic() - begun

    def visitor(self, name: str) -> Visitor:
        """Sign in as one of the cast."""
        return Visitor(self.url, name)

    # Points at which somebody dies or waits.

    def arm(self, point: str) -> None:
        """Have whoever comes to a point die or wait there, as the point has it."""
        kills.arm(self.folder, point)

    def disarm(self, point: str) -> None:
        """Have nobody die or wait at a point any more."""
        (self.folder / point).unlink()

    def await_held(self, point: str) -> None:
        """Wait until a request waits at a point that was armed."""
        self.wait(lambda: kills.is_held(self.folder, point), f"a request waits at {point}")

    def is_armed(self, point: str) -> bool:
        """Tell whether somebody still has to die at a point."""
        return kills.is_armed(self.folder, point)

    # What is stored, read without the product.

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on its database."""
        if not self.on_server:
            file = self.database.removeprefix("sqlite:///")
            with closing(sqlite3.connect(file, timeout=20)) as lite, lite:
                return lite.execute(query).fetchall()
        with psycopg.connect(self.database, autocommit=True) as postgres:
            cursor = postgres.execute(query)
            return cursor.fetchall() if cursor.description else []

    def windows(self) -> list[int]:
        """Return the windows, the next one first."""
        return [pk for (pk,) in self.rows("SELECT id FROM scheduler_window ORDER BY start")]

    def kept(self, change: int) -> Kept:
        """Return what is stored of a change."""
        backports = self.rows(
            "SELECT c.number, b.id FROM scheduler_backport b"
            " JOIN scheduler_change c ON c.id = b.change_id ORDER BY b.id"
        )
        events = self.rows(
            "SELECT c.number, e.kind FROM scheduler_event e"
            " JOIN scheduler_backport b ON b.id = e.backport_id"
            " JOIN scheduler_change c ON c.id = b.change_id"
        )
        return Kept(
            [pk for number, pk in backports if number == change],
            Counter(kind for number, kind in events if number == change),
        )

    def owed_mails(self) -> set[str]:
        """Return the Message-ID of every mail that is owed: each booking, to other reviewers."""
        people = self.rows("SELECT id, username FROM scheduler_user")
        booked = self.rows(
            "SELECT seq, hash, actor_name FROM scheduler_event WHERE kind = 'backport.submit'"
        )
        return {
            f"<event-{seq}.{digest[:16]}.{person}@{HOST}>"
            for seq, digest, actor in booked
            for person, name in people
            if name in REVIEWERS and name != actor
        }

    def mails(self) -> Counter[str]:
        """Return the Message-ID of every mail that was sent, and how often it was."""
        files = (self.folder / "mail").glob("*")
        return Counter(found for file in files for found in _MESSAGE.findall(file.read_text()))

    def wrong_with_mails(self, *, deaths: int) -> list[str]:
        """Return what is missing or done twice in mail, a sentence each.

        Args:
            deaths: how often somebody died who might have had a mail in hand: each of them may
                have sent one that is sent again.
        """
        owed, mails, noted = self.owed_mails(), self.mails(), self.notifications()
        told = Counter((event, person) for event, person, _ in noted)
        again = mails.total() - len(mails)
        return [
            *(f"{mail} was not sent" for mail in owed - set(mails)),
            *(f"{mail} is about nothing that happened" for mail in set(mails) - owed),
            *(
                f"event {event} waits for its mail to {person}"
                for event, person, sent in noted
                if not sent
            ),
            *(f"{pair} is noted {times} times" for pair, times in told.items() if times > 1),
            *([f"{again} mails were sent again for {deaths} deaths"] if again > deaths else []),
        ]

    def notifications(self) -> list[tuple[Any, ...]]:
        """Return event and reader of each notification, and whether it went out."""
        return self.rows(
            "SELECT event_id, recipient_id, sent_at IS NOT NULL FROM scheduler_notification"
        )

    def in_hand(self) -> int:
        """Return how many mails somebody has claimed and not sent, dead or alive."""
        return len(
            self.rows(
                "SELECT id FROM scheduler_notification"
                " WHERE claimed_until IS NOT NULL AND sent_at IS NULL"
            )
        )

    def let_claims_run_out(self) -> None:
        """Be three minutes later: whoever died with a mail in hand may have sent it."""
        claims = self.rows(
            "UPDATE scheduler_notification SET claimed_until = NULL"
            " WHERE claimed_until IS NOT NULL RETURNING id"
        )
        self.deaths += len(claims)

    def verify(self) -> None:
        """Have the product verify its record: `ProgramFailed` tells what is wrong."""
        self.manage("verify")


@contextmanager
def running(  # noqa: PLR0913 - what a site may differ in
    folder: Path,
    server: str,
    *,
    bookable: int = 2_000,
    windows: int = 16,
    sweep_seconds: str = SWEEP_SECONDS,
    tick_seconds: str = "",
) -> Iterator[Site]:
    """Have a site of one's own, with tables and cast, for the length of a `with` block.

    Nothing of it runs yet. What was started ends with the block, whatever happens in it.

    Args:
        folder: where all of it lies.
        server: a PostgreSQL server in which it gets a database of its own; "" is a SQLite file.
        bookable: how many changes the review system knows.
        windows: how many windows there are.
        sweep_seconds: how often beat has the outbox swept; "" is as the product has it.
        tick_seconds: how often it has the calendar kept and the train followed; the same.
    """
    (folder / "mail").mkdir(parents=True)
    with (
        _database(folder, server) as database,
        DemoGerrit(changes(bookable)) as gerrit,
        Supervisor(
            folder / "log",
            environment={
                **environment(folder, database, gerrit.url),
                "SWAT_FAULTS_SWEEP_SECONDS": sweep_seconds,
                "SWAT_FAULTS_TICK_SECONDS": tick_seconds,
            },
        ) as supervisor,
    ):
        seed = [sys.executable, "-m", "tests.faults.seed", str(windows)]
        supervisor.finish(supervisor.start("seed", seed, ends=True))
        yield Site(supervisor, folder, database, gerrit)


def environment(folder: Path, database: str, gerrit: str) -> Mapping[str, str]:
    """Return what tells a site's processes where everything is."""
    return {
        "DJANGO_SETTINGS_MODULE": "tests.faults.settings",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "SWAT_DATA_DIR": str(folder),
        "SWAT_INSECURE_HTTP": "1",
        "SWAT_DEMO": "1",
        "DEBUG": "0",
        "ALLOWED_HOSTS": HOST,
        "PUBLIC_URL": f"http://{HOST}/",
        "DATABASE_URL": database,
        "REDIS_URL": f"redis://{HOST}:{free_port()}/0",
        "GERRIT_URL": gerrit,
        "EMAIL_URL": f"filemail:///{folder / 'mail'}",
        kills.FOLDER: str(folder),
    }


@contextmanager
def _database(folder: Path, server: str) -> Iterator[str]:
    if not server:
        yield f"sqlite:///{folder / 'site.sqlite3'}"
        return
    name = f"faults_{secrets.token_hex(8)}"
    with psycopg.connect(server, autocommit=True) as postgres:
        postgres.execute(f"CREATE DATABASE {name}")
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server, autocommit=True) as postgres:
            postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def children_of(pid: int) -> list[int]:
    """Return the living processes that a process has forked."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = file.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended meanwhile
            continue
        if int(parent) == pid and state not in {"Z", "X"}:
            found.append(int(file.parent.name))
    return found
