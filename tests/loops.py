"""A loop for tests of what is asynchronous: the browser's own runs in the thread of the tests."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor

from django.db import connections

PATIENCE = 50  # seconds a story may take, on a machine with other work


def run(story: Coroutine[None, None, None], *, to_the_end: bool = False) -> None:
    """Run a story.

    Args:
        story: what happens.
        to_the_end: whether what it began goes on until it ends by itself; else it is cancelled.

    Raises:
        TimeoutError: it took longer than anybody waits.
    """

    async def in_time() -> None:
        mine = asyncio.all_tasks()
        async with asyncio.timeout(PATIENCE):
            await story
            while to_the_end and asyncio.all_tasks() - mine:
                await asyncio.sleep(0.01)

    def in_a_thread() -> None:
        try:
            asyncio.run(in_time())
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(in_a_thread).result()
