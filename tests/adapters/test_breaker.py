"""The circuit breaker: when it opens, who may try again, and what counts."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from pytest_django.fixtures import Settings

from scheduler.adapters.breaker import FAILURES, PAUSE, Breaker
from scheduler.adapters.gerrit import Gerrit
from scheduler.adapters.ports import AdapterError, Unreachable
from scheduler.adapters.registry import PAGE_SECONDS, review_system
from scheduler.tasks import TASK_SECONDS
from swat.embedded.gerrit import DemoGerrit
from tests.adapters.conftest import PUBLIC


class Clock:
    """A clock that stands still until it is put forward."""

    def __init__(self) -> None:
        self.now = 1000.0

    def read(self) -> float:
        """Return the seconds that it shows."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("Gerrit", clock=clock.read)


def answer() -> str:
    return "answer"


def silence() -> str:
    raise Unreachable("Gerrit cannot be reached.")


def refusal() -> str:
    raise AdapterError("Gerrit knows no change 1.", retryable=False)


def defect() -> str:
    raise ZeroDivisionError


def fail(breaker: Breaker, times: int = FAILURES, how: Callable[[], str] = silence) -> None:
    for _ in range(times):
        with pytest.raises((Unreachable, ZeroDivisionError)):
            breaker.call(how)


def is_refused(breaker: Breaker) -> bool:
    asked = []
    with suppress(AdapterError):
        breaker.call(lambda: asked.append(1))
    return not asked


def test_it_opens_after_five_failures_in_a_row(breaker: Breaker) -> None:
    fail(breaker, FAILURES - 1)
    assert breaker.call(answer) == "answer"
    fail(breaker, FAILURES - 1)
    fail(breaker, 1)
    assert is_refused(breaker)


def test_the_sentence_says_for_how_long(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += 12.5
    with pytest.raises(
        AdapterError, match=r"^Gerrit did not answer the last 5 times; trying again in 18 s\.$"
    ) as trouble:
        breaker.call(answer)
    assert trouble.value.retryable
    assert not isinstance(trouble.value, Unreachable)  # nobody was asked


def test_a_refusal_is_an_answer(breaker: Breaker) -> None:
    fail(breaker, FAILURES - 1)
    with pytest.raises(AdapterError, match="knows no change"):
        breaker.call(refusal)
    fail(breaker, FAILURES - 1)
    assert not is_refused(breaker)


def test_a_defect_of_our_own_counts_neither_way(breaker: Breaker) -> None:
    fail(breaker, FAILURES - 1)
    fail(breaker, 3, defect)
    assert not is_refused(breaker)
    fail(breaker, FAILURES - 1)
    fail(breaker, 1, defect)
    fail(breaker, 1)
    assert is_refused(breaker)


@pytest.mark.parametrize("last", [answer, refusal])
def test_a_trial_that_is_answered_closes_it(
    breaker: Breaker, clock: Clock, last: Callable[[], str]
) -> None:
    fail(breaker)
    clock.now += PAUSE
    with suppress(AdapterError):
        breaker.call(last)
    fail(breaker, FAILURES - 1)
    assert not is_refused(breaker)


def test_a_trial_that_fails_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += PAUSE - 0.01
    assert is_refused(breaker)
    clock.now += 0.01
    fail(breaker, 1)
    assert is_refused(breaker)
    clock.now += PAUSE
    assert not is_refused(breaker)


def test_a_trial_that_dies_is_not_waited_for_for_ever(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += PAUSE
    fail(breaker, 1, defect)
    assert is_refused(breaker)
    clock.now += PAUSE
    assert not is_refused(breaker)


def test_one_caller_tries_while_the_others_are_refused(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += PAUSE
    inside, done = threading.Event(), threading.Event()

    def slow() -> str:
        inside.set()
        assert done.wait(10)
        return "answer"

    with ThreadPoolExecutor() as pool:
        trial = pool.submit(breaker.call, slow)
        assert inside.wait(10)
        assert all(pool.map(lambda _: is_refused(breaker), range(50)))
        done.set()
        assert trial.result(10) == "answer"
    assert not is_refused(breaker)


def test_of_many_at_once_exactly_one_tries(breaker: Breaker, clock: Clock) -> None:
    callers = 16
    for _ in range(20):
        fail(breaker)
        clock.now += PAUSE
        start = threading.Barrier(callers)
        tried: list[int] = []

        def come(start: threading.Barrier = start, tried: list[int] = tried) -> None:
            def ask() -> str:
                tried.append(1)
                return silence()

            start.wait(10)
            with pytest.raises(AdapterError):
                breaker.call(ask)

        with ThreadPoolExecutor(callers) as pool:
            for caller in [pool.submit(come) for _ in range(callers)]:
                caller.result(10)
        assert len(tried) == 1
        clock.now += PAUSE
        assert breaker.call(answer) == "answer"


def test_failures_of_many_threads_are_all_counted(clock: Clock) -> None:
    breaker = Breaker("Gerrit", failures=2000, clock=clock.read)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: fail(breaker, 1), range(1999)))
    fail(breaker, 1)
    assert is_refused(breaker)


def test_calls_do_not_wait_for_each_other(breaker: Breaker) -> None:
    together = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: breaker.call(lambda: together.wait(10)), range(4)))


# --- Round the client ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "knob", [{"status": 503}, {"status": 500}, {"status": 429}, {"truncate": 10}, {"delay": 9.0}]
)
def test_a_server_that_does_not_answer_is_left_alone(
    server: DemoGerrit, breaker: Breaker, clock: Clock, knob: dict[str, float]
) -> None:
    gerrit = Gerrit(server.url, PUBLIC, seconds=0.1 if "delay" in knob else 5, breaker=breaker)
    before = {name: getattr(server, name) for name in knob}
    for name, value in knob.items():
        setattr(server, name, value)
    for _ in range(FAILURES):
        with pytest.raises(Unreachable):
            gerrit.fetch_change("247888")
    for name, value in before.items():
        setattr(server, name, value)
    asked = len(server.requests)
    with pytest.raises(AdapterError, match="did not answer the last 5 times"):
        gerrit.fetch_change("247888")
    assert len(server.requests) == asked
    clock.now += PAUSE
    assert Gerrit(server.url, PUBLIC, breaker=breaker).fetch_change("247888")


@pytest.mark.parametrize(
    "knob", [{"status": 404}, {"status": 403}, {"status": 302}, {"html": True}]
)
def test_a_server_that_refuses_or_talks_nonsense_is_asked_on(
    server: DemoGerrit, breaker: Breaker, knob: dict[str, float]
) -> None:
    gerrit = Gerrit(server.url, PUBLIC, breaker=breaker)
    for name, value in knob.items():
        setattr(server, name, value)
    for _ in range(FAILURES + 2):
        asked = len(server.requests)
        with pytest.raises(AdapterError):
            gerrit.fetch_change("247888")
        assert len(server.requests) == asked + 1


def test_everybody_in_the_process_shares_one_for_each_address(settings: Settings) -> None:
    with DemoGerrit(()) as gone:
        settings.GERRIT_URL = gone.url
    for _ in range(FAILURES):
        with pytest.raises(AdapterError, match="cannot be reached"):
            review_system().fetch_change("1")
    with pytest.raises(AdapterError, match="did not answer the last 5 times"):
        review_system(seconds=TASK_SECONDS).fetch_change("1")
    with DemoGerrit(()) as other:
        settings.GERRIT_URL = other.url
        with pytest.raises(AdapterError, match="knows no change"):
            review_system().fetch_change("1")


def test_a_trial_is_over_before_the_next_may_begin() -> None:
    assert max(PAGE_SECONDS, TASK_SECONDS) + 1 < PAUSE
