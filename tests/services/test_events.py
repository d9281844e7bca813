"""The audit log, the outbox, and forms that are sent twice."""

import pytest
from django.db import IntegrityError, connection, transaction

from scheduler.domain.errors import Refused
from scheduler.models import Backport, Event, EventHead, IdempotencyKey, User
from scheduler.models.events import AppendOnly
from scheduler.services.events import first_break, record
from scheduler.services.histories import wrong_statuses
from scheduler.services.idempotency import KeyReused, once
from tests.factories import approve


@pytest.fixture
def log(ada: User) -> list[Event]:
    """Five events."""
    return [
        record(kind="window.lock", actor=ada, payload={"n": n, "text": "für alle"})
        for n in range(5)
    ]


@pytest.mark.both_databases
def test_the_chain_verifies(log: list[Event], backport: Backport, rae: User) -> None:
    approve(backport, rae)
    assert first_break() is None
    assert [event.seq for event in Event.objects.all()] == [1, 2, 3, 4, 5, 6, 7]


FIRST_OF_ALL = (
    "INSERT INTO scheduler_event (seq, kind, actor_name, payload, previous_hash, hash, at) "
    "VALUES (0, 'note', '', '{}', '', 'x', '2026-01-01')"
)


def forge(sql: str) -> None:
    """Alter the log as somebody could who owns the database: without its triggers."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER scheduler_event_no_update")
            cursor.execute("DROP TRIGGER scheduler_event_no_delete")
            cursor.execute("DROP TRIGGER scheduler_event_no_replace")
        else:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE scheduler_event DISABLE TRIGGER USER")
        cursor.execute(sql)
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE scheduler_event ENABLE TRIGGER USER")


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("UPDATE scheduler_event SET kind = 'window.unlock' WHERE seq = 3", 3),
        ("UPDATE scheduler_event SET actor_name = 'sam' WHERE seq = 1", 1),
        ("UPDATE scheduler_event SET payload = '{}' WHERE seq = 2", 2),
        ("DELETE FROM scheduler_event WHERE seq = 2", 2),
        ("DELETE FROM scheduler_event WHERE seq = 5", 5),
        ("UPDATE scheduler_event SET seq = 9 WHERE seq = 4", 4),
        (FIRST_OF_ALL, 1),
    ],
)
def test_every_forgery_is_found(log: list[Event], sql: str, found: int) -> None:
    forge(sql)
    assert first_break() == found


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "sql",
    ["UPDATE scheduler_event SET kind = 'x'", "DELETE FROM scheduler_event WHERE seq = 5"],
)
def test_the_database_refuses_to_alter_the_log(log: list[Event], sql: str) -> None:
    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
    assert first_break() is None


@pytest.mark.skipif(connection.vendor != "sqlite", reason="Only SQLite stores anything anywhere.")
@pytest.mark.parametrize("number", ["2.5", "'abc'"])
def test_a_number_that_is_none_is_found(log: list[Event], number: str) -> None:
    forge(f"UPDATE scheduler_event SET seq = {number} WHERE seq = 3")  # noqa: S608 - ours
    assert first_break() is not None
    list(wrong_statuses())  # comes to its end


@pytest.mark.both_databases
def test_the_database_refuses_to_replace_or_empty_the_log(log: list[Event]) -> None:
    refused = "INSERT OR REPLACE INTO scheduler_event SELECT * FROM scheduler_event LIMIT 1"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            refused = "TRUNCATE scheduler_event CASCADE"
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE scheduler_event ENABLE TRIGGER scheduler_event_no_truncate")
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            cursor.execute(refused)
    assert first_break() is None


def test_an_event_is_neither_saved_again_nor_deleted(log: list[Event]) -> None:
    with pytest.raises(AppendOnly):
        log[0].save()
    with pytest.raises(AppendOnly):
        log[0].delete()


def test_a_refused_effect_leaves_no_event(ada: User) -> None:
    def effect() -> str:
        record(kind="window.lock", actor=ada)
        raise Refused("No.")

    with pytest.raises(Refused):
        once(user=ada, key="k", request_hash="h", effect=effect)
    assert not Event.objects.exists()
    assert not IdempotencyKey.objects.exists()
    assert first_break() is None


@pytest.mark.both_databases
def test_the_log_has_one_head(log: list[Event]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        EventHead.objects.create(id=2)


@pytest.mark.both_databases
def test_a_form_sent_twice_has_one_effect(ada: User, rae: User) -> None:
    done: list[str] = []

    def effect() -> str:
        done.append("done")
        return "/windows/1"

    for _ in range(2):
        assert once(user=ada, key="k", request_hash="h", effect=effect) == "/windows/1"
    assert len(done) == 1
    with pytest.raises(KeyReused):
        once(user=ada, key="k", request_hash="other", effect=effect)
    once(user=rae, key="k", request_hash="h", effect=effect)
    assert len(done) == 2
