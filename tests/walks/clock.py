"""A clock that stands still until somebody puts it forward: walks with one seed are the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self
from unittest.mock import patch

from django.utils import timezone

from scheduler.services import clock
from tests.factories import MOMENT


@dataclass
class Clock:
    """What the server and the database show."""

    at: datetime = MOMENT

    def put_forward(self, by: timedelta) -> None:
        """Let time go by."""
        self.at += by


@contextmanager
def standing_still() -> Iterator[Clock]:
    """Have the server and the database go by a clock of its own."""
    made = Clock()
    with (
        patch.object(timezone, "now", lambda: made.at),
        patch.object(clock, "connection", _Database(made)),
    ):
        yield made


@dataclass
class _Database:
    """A connection to a database that answers whatever it is asked with the time."""

    clock: Clock
    vendor: str = "postgresql"

    def cursor(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def execute(self, _: str) -> None:
        pass

    def fetchone(self) -> tuple[datetime]:
        return (self.clock.at,)
