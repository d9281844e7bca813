"""The cast: Ada requests, Rae reviews, Dev deploys, Rel engineers releases, Sam may nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage
from django.db import connection
from pytest_django import DjangoDbBlocker

from scheduler.couplings import READ
from scheduler.models import Backport, User, Window
from tests.factories import make_backport, make_person, make_window

CORE = Path(__file__).parent / "domain"


def pytest_configure(config: pytest.Config) -> None:
    """Leave a worker one measurement of coverage, so that `no_cover` pauses all of it.

    pytest-cov starts one when it is loaded, and a second, which it reports, with the session.
    """
    if hasattr(config, "workerinput") and (first := Coverage.current()):
        first.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure coverage by the core's own tests alone: it must not lean on those of its users."""
    for item in items:
        if CORE not in item.path.parents:
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(autouse=True)
def nothing_was_read() -> None:
    """Keys and commits come again in each test, with other diffs; in production they never do."""
    READ.clear()


@pytest.fixture
def ada(db: None) -> User:
    return make_person("ada")


@pytest.fixture
def rae(db: None) -> User:
    return make_person("rae")


@pytest.fixture
def dev(db: None) -> User:
    return make_person("dev")


@pytest.fixture
def rel(db: None) -> User:
    return make_person("rel")


@pytest.fixture
def sam(db: None) -> User:
    return make_person("sam")


@pytest.fixture
def window(db: None) -> Window:
    """A window that starts in a day."""
    return make_window()


@pytest.fixture
def backport(window: Window, ada: User) -> Backport:
    """Ada's backport of change 1000, to which nothing objects but that nobody approved it."""
    return make_backport(window, ada)


@pytest.fixture(scope="module")
def events_can_be_cleared(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Let the tables be emptied after each test: SQLite deletes rows, which the log refuses.

    Of the module, so that it is put back only after the last emptying. PostgreSQL truncates.
    """
    triggers: list[tuple[str, str]] = []
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                "SELECT name, sql FROM sqlite_master "
                "WHERE type = 'trigger' AND tbl_name = 'scheduler_event'"
            )
            triggers = cursor.fetchall()
            for name, _ in triggers:
                cursor.execute(f"DROP TRIGGER {name}")
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for _, sql in triggers:
            cursor.execute(sql)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let PostgreSQL empty the log between tests; end the sessions that threads still hold.

    Such a thread of the live server ends when its browser closes the connection, at a time of its
    own; the database is dropped before.
    """
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "ALTER TABLE scheduler_event DISABLE TRIGGER scheduler_event_no_truncate"
            )
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
