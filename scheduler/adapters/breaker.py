"""A circuit breaker: who does not answer is left alone for a while, and nobody waits in vain.

Our own, as no library fits a web process with threads (read in November 2026): pybreaker 1.4 holds
its lock while it calls, so that every page waits for every other; circuitbreaker 2.1 has no lock
and lets all callers in for the trial; fluxgate 0.9 says that it is not made for threads. None of
them takes a clock from its tests.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from scheduler.adapters.ports import AdapterError, Unreachable

FAILURES = 5  # in a row, until it opens
PAUSE = 30.0  # seconds; longer than any call may take

Result = TypeVar("Result")


class Breaker:
    """Counts the calls in a row that reached nobody, for all threads of this process.

    After `failures` of them it is open: it refuses at once. When `pause` seconds have passed since
    the last one, it lets one caller try. That caller has the trial for `pause` seconds: should its
    thread die, somebody else may try then, and nothing has to be given back.

    Any answer closes it, also one that refuses or cannot be used: it came in time, and it may be
    the trouble of one change only, which must not cut off all the others.

    Args:
        name: of what is called, for sentences.
        failures: how many in a row open it.
        pause: seconds; longer than a call may take, or two try at once.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = FAILURES,
        pause: float = PAUSE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._limit = failures
        self._pause = pause
        self._clock = clock
        self._lock = threading.Lock()  # never held while calling
        self._failures = 0
        self._next_try = 0.0

    def call(self, ask: Callable[[], Result]) -> Result:
        """Return what `ask` returns.

        Raises:
            AdapterError: `ask` raised it, or the breaker is open (which is retryable).
        """
        self._admit()
        try:
            result = ask()
        except Unreachable:
            self._note_failure()
            raise
        except AdapterError:
            self._note_answer()
            raise
        self._note_answer()
        return result

    def _admit(self) -> None:
        with self._lock:
            if self._failures < self._limit:
                return
            now = self._clock()
            if now < self._next_try:
                raise AdapterError(
                    f"{self._name} did not answer the last {self._failures} times; "
                    f"trying again in {math.ceil(self._next_try - now)} s.",
                    retryable=True,
                )
            self._next_try = now + self._pause

    def _note_failure(self) -> None:
        with self._lock:
            self._failures += 1
            self._next_try = self._clock() + self._pause

    def _note_answer(self) -> None:
        with self._lock:
            self._failures = 0
