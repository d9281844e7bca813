"""A PostgreSQL server of one's own, to be stopped as a crash stops it."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from swat.embedded import postgres
from swat.embedded.supervisor import Supervisor

LONG = 30  # seconds, for what takes less than one on a machine that has nothing else to do


class Postgres:
    """The server.

    Attributes:
        url: its address, the same each time.
    """

    def __init__(self, supervisor: Supervisor, folder: Path) -> None:
        """Start it in a folder that is new and that every user may enter."""
        self._supervisor = supervisor
        self._folder = folder
        self.url = postgres.start(supervisor, folder, settings=postgres.KEEPING)
        self._await()

    def stop(self) -> None:
        """Stop it at once, as `pg_ctl stop -m immediate` does: nothing is tidied up."""
        program = next(one for one in self._supervisor.children if one.name == "postgres")
        program.process.send_signal(signal.SIGQUIT)
        self._supervisor.wait_for_end(program)

    def start(self) -> None:
        """Start it again, and wait until it has recovered."""
        port = urlsplit(self.url).port or 0
        postgres.serve(self._supervisor, self._folder, port, settings=postgres.KEEPING)
        self._await()

    def _await(self) -> None:
        self._supervisor.wait_until(self._answers, what="PostgreSQL answers", seconds=LONG)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Have one for the length of a `with` block."""
    # Where root starts it, it runs as another user, who may not enter pytest's folders.
    with tempfile.TemporaryDirectory(prefix="swat-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Supervisor(folder / "log") as supervisor:
            yield Postgres(supervisor, folder)
