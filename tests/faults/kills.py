"""Dying by SIGKILL at a point of one's own choice: no handler runs, nothing is tidied up."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from django.db import connection

FOLDER = "SWAT_FAULTS"  # names the folder, in the environment, in which points are armed
POLL = 0.02  # seconds
_REACHED = "-reached"

_Execute = Callable[..., Any]


def die() -> NoReturn:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit("unreachable")


def arm(folder: Path, point: str) -> None:
    """Have whoever first comes to a point die there."""
    (folder / point).touch()


def is_armed(folder: Path, point: str) -> bool:
    """Tell whether somebody still has to die at a point."""
    return (folder / point).exists()


def disarmed(point: str) -> bool:
    """Return whether it is us who have to die at a point; from then on nobody else has to."""
    try:
        (Path(os.environ[FOLDER]) / point).unlink()
    except FileNotFoundError:
        return False
    return True


def wait_at(point: str) -> None:
    """Wait at a point while it is armed."""
    while is_armed(Path(os.environ[FOLDER]), point):
        time.sleep(POLL)


def hold_at(point: str) -> None:
    """Say that we are at a point, and wait there while it is armed."""
    (Path(os.environ[FOLDER]) / f"{point}{_REACHED}").touch()
    wait_at(point)


def is_held(folder: Path, point: str) -> bool:
    """Return whether somebody has come to a point, and said so; it is forgotten then."""
    try:
        (folder / f"{point}{_REACHED}").unlink()
    except FileNotFoundError:
        return False
    return True


@contextmanager
def once_written(begins: str, act: Callable[[], None]) -> Iterator[None]:
    """Act once a statement that begins so was executed: its transaction is not committed yet."""

    def execute(run: _Execute, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: ANN401
        result = run(sql, params, many, context)
        if sql.startswith(begins):
            act()
        return result

    with connection.execute_wrapper(execute):
        yield


@contextmanager
def once_committed(begins: str, act: Callable[[], None]) -> Iterator[None]:
    """Act before the first statement after the transaction of one that begins so."""
    is_written = False

    def execute(run: _Execute, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: ANN401
        nonlocal is_written
        if is_written and not connection.in_atomic_block:
            is_written = False
            act()
        is_written = is_written or sql.startswith(begins)
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield


@contextmanager
def dying_at(step: int) -> Iterator[None]:
    """Die before or after some statement: steps 0 and 1 are around the first one, and so on."""
    taken = -1

    def pass_step() -> None:
        nonlocal taken
        taken += 1
        if taken == step:
            die()

    def execute(run: _Execute, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: ANN401
        pass_step()
        result = run(sql, params, many, context)
        pass_step()
        return result

    with connection.execute_wrapper(execute):
        yield
