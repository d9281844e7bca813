"""Each process is killed at each kind of item, PostgreSQL and Redis restarted: the hour goes on."""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path

import httpx
import pytest
import redis

from scheduler.domain.checklist.steps import ItemKind
from swat.embedded.ports import HOST
from swat.embedded.supervisor import Program, ProgramFailed
from tests.faults.driver import done
from tests.faults.hour import Hour, under_way
from tests.faults.servers import Postgres, running_postgres
from tests.faults.site import Site, running
from tests.faults.wsgi import (
    AFTER_COMMIT,
    HELD_IN_TRANSACTION,
    HELD_UNANSWERED,
    IN_TRANSACTION,
)

pytestmark = pytest.mark.timeout(240)  # the first one starts everything

STEPS, BOOKABLE = 5, 6  # in one window, which has no room for more; and in all
UNKNOWN = "It may not have been saved: the database does not answer"
READY: Mapping[str, str] = {"worker": "ready.", "beat": "Sending due task"}


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with running_postgres() as one:
        yield one


@pytest.fixture(scope="module")
def site(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        pytest.MonkeyPatch.context() as environment,
        running(tmp_path_factory.mktemp("site"), database.url, bookable=BOOKABLE, windows=1) as one,
    ):
        environment.setenv("SWAT_WATCH_MINUTES", "0")
        environment.setenv("GUNICORN_CMD_ARGS", "--preload")  # who is killed is replaced at once
        one.start_valkey()
        one.start_worker()
        one.start_beat()
        one.begin_events()
        one.start_web()
        yield one
        one.verify()


@pytest.fixture(scope="module")
def hour(site: Site) -> Iterator[Hour]:
    """Have a window deployed in which each test has a step; in the end it is closed."""
    with under_way(site, STEPS) as one:
        yield one
        see_closed(one)


def see_closed(hour: Hour) -> None:
    """Close a window, and see that everybody hears of it."""
    hour.close()
    hour.await_board()
    hour.await_mails()


def log_of(program: Program) -> str:
    """Return what a program has said so far."""
    return program.log.read_text(errors="replace") if program.log else ""


def await_ready(site: Site, name: str) -> None:
    """Wait until a process does what it is there for."""
    if name == "events":
        site.wait(site.has_events, "events are there")
    else:
        program = site.program(name)
        site.wait(lambda: READY[name] in log_of(program), f"{name} is there", program)


@contextmanager
def frozen(program: Program) -> Iterator[None]:
    """Have a program and all that it forked stand still for the length of a `with` block."""
    os.killpg(program.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(program.process.pid, signal.SIGCONT)


def begin_again(site: Site, name: str) -> None:
    """Start a process that was killed."""
    begin: dict[str, Callable[[], object]] = {
        "worker": site.start_worker,
        "beat": site.start_beat,
        "events": site.begin_events,
    }
    begin[name]()


def test_a_web_server_killed_while_a_form_is_sent_does_everything_once(hour: Hour) -> None:
    site = hour.site
    for kind, everything in zip(hour.items(), cycle((False, False, True)), strict=False):
        hour.die_at(IN_TRANSACTION)
        assert not hour.has_stored()
        hour.send_during(lambda: site.kill_children("web"))
        if everything:
            hour.send_during(lambda: site.kill("web"))
            site.start_web()
        hour.die_at(AFTER_COMMIT)
        assert hour.has_stored()
        if kind is ItemKind.BEFORE:  # the control: without the key, nobody knows
            refused = hour.turn.by.send(hour.turn.sending.with_new_key())
            assert refused.status_code == httpx.codes.CONFLICT
        done(hour.send_again())
    hour.await_board()


@pytest.mark.parametrize("first", range(3))
def test_worker_beat_and_events_are_killed_in_turn_and_hold_up_nothing(
    hour: Hour, first: int
) -> None:
    site = hour.site
    others = ("worker", "beat", "events")
    for _, name in zip(hour.items(), cycle(others[first:] + others[:first]), strict=False):
        await_ready(site, name)
        if name == "events":
            hour.await_board()
        answer = hour.send_during(partial(site.kill, name))
        assert answer is not None
        done(answer)
        hour.site.let_claims_run_out()
        begin_again(site, name)
    hour.await_board()
    hour.await_mails()


def test_postgresql_restarted_while_a_form_is_sent_loses_nothing_that_was_confirmed(
    hour: Hour, database: Postgres
) -> None:
    streams = hour.watcher.streams
    moments = ("away", "any", HELD_IN_TRANSACTION, HELD_UNANSWERED)
    for _, moment in zip(hour.items(), cycle(moments), strict=False):
        if moment == "away":
            database.stop()
            answer = hour.send()
        elif moment == "any":
            answer = hour.send_during(database.stop)
        else:
            answer = hour.send_during(database.stop, fault=moment)
        database.start()
        assert answer is not None
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            assert UNKNOWN in answer.text  # it was stored where only the answer was to be read
            assert hour.has_stored() is (moment == HELD_UNANSWERED) or moment == "any"
            answer = hour.send_again()
        done(answer)
        hour.site.let_claims_run_out()
        hour.await_board()
    assert hour.watcher.streams > streams
    hour.await_mails()


def test_redis_emptied_or_restarted_empty_holds_up_mail_and_nothing_else(site: Site) -> None:
    with under_way(site, 1) as hour, redis.Redis(host=HOST, port=site.redis_port) as queue:
        for _, how in zip(hour.items(), cycle(("emptied", "restarted")), strict=False):
            if how == "emptied":
                with frozen(site.program("worker")):
                    site.wait(lambda: queue.llen("celery") > 0, "something is queued")
                    answer = hour.send_during(queue.flushall)
            else:
                answer = hour.send_during(lambda: site.kill("valkey"))
            assert answer is not None
            done(answer)
            hour.await_board()
            if how == "restarted":
                site.start_valkey()
        hour.site.let_claims_run_out()
        see_closed(hour)


def test_what_is_done_twice_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a commit that is forgotten, and a form that comes again with another key."""
    monkeypatch.setenv("SWAT_WATCH_MINUTES", "0")
    with running(tmp_path / "site", "", bookable=1, windows=1) as site:
        site.start_web()
        with under_way(site, 1) as hour:
            items = hour.items()
            next(items)
            hour.die_at(AFTER_COMMIT)
            site.rows(
                "UPDATE scheduler_runitem SET done_at = NULL, done_by_id = NULL, lease = NULL"
            )
            site.rows("UPDATE scheduler_runstep SET turn = turn - 1")
            done(hour.turn.by.send(hour.turn.sending.with_new_key()))
            with pytest.raises(AssertionError, match="was done 2 times"):
                next(items)
            assert hour.wrong_with_mails() != []
        with pytest.raises(ProgramFailed, match="I5"):
            site.verify()
