"""A loop for tests of what is asynchronous: the browser's own runs in the thread of the tests."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor

from django.db import connections

PATIENCE = 60  # seconds a story may take, on a machine with other work


def run(story: Coroutine[None, None, None], patience: float = PATIENCE) -> None:
    """Run a story to its end, and what goes on after it: tables may be emptied then.

    Raises:
        TimeoutError: it took longer.
    """

    async def in_time() -> None:
        mine = asyncio.all_tasks()
        async with asyncio.timeout(patience):
            await story
            while asyncio.all_tasks() - mine:
                await asyncio.sleep(0.01)

    def in_a_thread() -> None:
        try:
            asyncio.run(in_time())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(in_a_thread).result()
