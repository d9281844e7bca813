"""The demo's review system as a server, its client, and a watch on who is connected to."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from scheduler.adapters.gerrit import Gerrit
from scheduler.adapters.gerrit_answers import PREFIX
from scheduler.adapters.ports import FetchedChange
from swat.embedded.gerrit import DemoGerrit
from swat.embedded.gerrit_changes import CHANGES

PUBLIC = "https://gerrit.wikimedia.org/r/"

Watch = Callable[[], AbstractContextManager[list[object]]]


@pytest.fixture
def server() -> Iterator[DemoGerrit]:
    with DemoGerrit(CHANGES) as demo:
        yield demo


@pytest.fixture
def gerrit(server: DemoGerrit) -> Gerrit:
    return Gerrit(server.url, PUBLIC)


def numbers(fetched: tuple[FetchedChange, ...]) -> list[int]:
    return [row.change.number for row in fetched]


def said(body: bytes) -> Any:  # noqa: ANN401
    return json.loads(body.removeprefix(PREFIX))


def told(answer: object) -> bytes:
    return PREFIX + json.dumps(answer).encode()


@pytest.fixture(scope="session")
def network() -> Watch:
    """Return a way to watch every name looked up and every connection made, by anybody at all.

    An audit hook sees them wherever they are made; once added, it stays until the process ends.
    """
    watches: list[list[object]] = []

    def note(event: str, details: tuple[Any, ...]) -> None:
        if watches and event in {"socket.connect", "socket.getaddrinfo"}:
            host_and_port = details[1] if event == "socket.connect" else details[:2]
            watches[-1].append(host_and_port)

    sys.addaudithook(note)

    @contextmanager
    def watching() -> Iterator[list[object]]:
        watches.append([])
        try:
            yield watches[-1]
        finally:
            watches.pop()

    return watching
