"""Somebody whose page follows a window, and comes back whenever its stream has ended."""

import asyncio
from contextlib import suppress
from threading import Thread
from types import TracebackType
from typing import Self

import httpx

from tests.listening import Listener, told_by

AGAIN = 0.1  # seconds until a stream is asked for again; a browser takes two to five


class Watcher:
    """Their page, for the length of a `with` block.

    Attributes:
        board: the newest that it was sent; "" before.
        streams: how often a stream began.
    """

    def __init__(self, port: int, window: int, session: str) -> None:
        """Follow a window at the events process of a port, with the key of a session."""
        self._place = port, window, session
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run)
        self._task: asyncio.Task[None] | None = None
        self.board = ""
        self.streams = 0

    def __enter__(self) -> Self:
        self._task = self._loop.create_task(self._follow())
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        assert self._task is not None
        self._loop.run_until_complete(asyncio.wait({self._task}))

    async def _follow(self) -> None:
        is_closed = False
        while not is_closed:
            with suppress(OSError, EOFError):  # nobody is there, or leaves before the answer
                is_closed = await self._listen()
            await asyncio.sleep(AGAIN)

    async def _listen(self) -> bool:
        """Follow a stream to its end; return whether that is because the window is closed."""
        listener = await Listener.at(*self._place)
        self.streams += listener.status == httpx.codes.OK
        try:
            while block := await listener.block():
                told = told_by(block)
                if told.name == "board":
                    self.board = told.text
                if told.name == "closed":
                    return True
        finally:
            await listener.close()
        return False
