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


@contextmanager
def dying_after(begins: str) -> Iterator[None]:
    """Die once a statement that begins so was executed: its transaction is not committed yet."""

    def execute(run: _Execute, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: ANN401
        result = run(sql, params, many, context)
        if sql.startswith(begins):
            die()
        return result

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
