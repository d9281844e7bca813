"""The changes of git repositories on this machine: messages and diffs, the newest first."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO

LONGEST_DIFF = 400_000  # characters; what follows is left out
_RECORD, _FIELD = b"\x1e", b"\x1d"
_BY_BOTS = "^Localisation updates from"


class NoRepository(Exception):
    """What was named is no git repository."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the main line."""

    message: str
    diff: str


def commits_of(repository: Path, *, until: date | None = None) -> Iterator[Commit]:
    """Yield the commits that lead to HEAD, without merges and without translations by programs.

    Args:
        repository: a work tree, or a bare repository.
        until: leave out those committed on this day or later.

    Raises:
        NoRepository: git cannot read it, or not to its end; what it could was yielded before.
    """
    command = [
        *("git", "-C", str(repository), "log", "--no-merges", "-p", "-U0", "-M", "--no-color"),
        *("--no-ext-diff", "--no-textconv", "--invert-grep", f"--grep={_BY_BOTS}"),
        "--format=%x1e%B%x1d",
        *([f"--until={until:%Y-%m-%d}T00:00:00Z"] if until else []),
        *("HEAD", "--"),
    ]
    with subprocess.Popen(  # noqa: S603 - no shell, and the path is no option
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as git:
        for record in _records(git.stdout) if git.stdout else ():
            message, _, diff = record.partition(_FIELD)
            yield Commit(
                message.decode("utf-8", "replace"),
                diff[:LONGEST_DIFF].decode("utf-8", "replace"),
            )
    if git.returncode:
        raise NoRepository(f"git cannot read all of {repository}.")


def _records(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield what stands between the marks, without holding all of it."""
    begun: list[bytes] = []
    while part := stream.read(1 << 20):
        first, *others = part.split(_RECORD)
        begun.append(first)
        for other in others:
            if whole := b"".join(begun):
                yield whole
            begun = [other]
    if whole := b"".join(begun):
        yield whole
