"""`manage.py verify`: every forgery of the log is named, every broken invariant is found."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from scheduler.domain.statements import OnlyFirst, StatementKind
from scheduler.models import (
    Acknowledgement,
    Backport,
    Delivery,
    Event,
    EventHead,
    Notification,
    OtherName,
    Override,
    Plan,
    PlanStepMember,
    Review,
    Statement,
    User,
    Window,
)
from scheduler.models.events import GENESIS
from scheduler.queries import newest_plan
from scheduler.services import events, plans
from scheduler.services.backports import amend_backport, hand_over_backport
from scheduler.services.events import Head, hash_of, read_log, record
from scheduler.services.invariants import INVARIANTS
from scheduler.services.notifications import deliver_events
from scheduler.services.statements import OnPair, answer_question
from scheduler.services.windows import lock_window, unlock_window
from tests.factories import answers, approve, fetched, make_backport, make_change, make_window

REASON = "The site is down and this brings it back."


class Ran:
    """What one run of the command printed, and its exit status."""

    def __init__(self, *arguments: str) -> None:
        out = StringIO()
        self.status: object = 0
        try:
            call_command("verify", *arguments, stdout=out)
        except SystemExit as done:
            self.status = done.code
        self.lines = out.getvalue().splitlines()
        self.text = out.getvalue()


def sql(*statements: str) -> None:
    """Alter tables as somebody could who owns the database: without triggers and constraints."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER IF EXISTS scheduler_event_no_update")
            cursor.execute("DROP TRIGGER IF EXISTS scheduler_event_no_delete")
            cursor.execute("DROP TRIGGER IF EXISTS scheduler_event_no_replace")
            cursor.execute("PRAGMA ignore_check_constraints = ON")
        else:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE scheduler_event DISABLE TRIGGER USER")
        for statement in statements:
            cursor.execute(statement)
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = OFF")
        else:
            cursor.execute("ALTER TABLE scheduler_event ENABLE TRIGGER USER")


@contextmanager
def without(constraint: str, table: str) -> Iterator[None]:
    """Drop a constraint for as long as the test lasts; what SQLite checks is left out by `sql`."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
    yield


@contextmanager
def undone() -> Iterator[None]:
    """Undo what happens in a `with` block, so that the next one finds the same rows."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


# --- The log ------------------------------------------------------------------------------------


@pytest.fixture
def log(ada: User, backport: Backport, rae: User) -> list[Event]:
    """Nine events of different kinds, the first one Ada's booking."""
    approve(backport, rae)
    for n in range(7):
        record(kind="note", actor=ada, window=backport.window, payload={"n": n, "text": "für"})
    return list(Event.objects.order_by("seq"))


@pytest.mark.both_databases
def test_what_was_written_is_whole(log: list[Event]) -> None:
    assert read_log() == (Head(9, log[-1].hash), None)
    ran = Ran("--head", f"5:{log[4].hash}", "--head", f"0:{GENESIS}")
    assert ran.lines[0].startswith("log  holds           9 events, each as it was written; head 9:")


FORGED = {
    "kind": "'window.unlock'",
    "actor_name": "'sam'",
    "window_id": "NULL",
    "payload": "'{}'",
    "at": "'2020-01-01 00:00:00+00:00'",
    "previous_hash": f"'{'1' * 64}'",
    "hash": f"'{'2' * 64}'",
    "seq": "seq + 1000",
}


@pytest.mark.both_databases
def test_any_altered_column_is_named(
    log: list[Event], backport: Backport, subtests: pytest.Subtests
) -> None:
    forged = FORGED | {
        "backport_id": f"(CASE WHEN backport_id IS NULL THEN {backport.pk} END)",
        "actor_id": f"(SELECT MAX(id) FROM scheduler_user WHERE id <> {log[0].actor_id})",  # noqa: S608
    }
    for column, value in forged.items():
        for seq in random.sample([1, *range(3, 9)], 3):  # the second one is Rae's
            with subtests.test(column=column, seq=seq), undone():
                sql(f'UPDATE scheduler_event SET "{column}" = {value} WHERE seq = {seq}')  # noqa: S608
                _, found = read_log()
                assert found is not None
                assert found.seq == seq
        assert read_log()[1] is None


@pytest.mark.both_databases
def test_what_was_forged_with_a_right_hash_breaks_the_chain_behind_it(log: list[Event]) -> None:
    forged = log[3]
    forged.kind = "window.unlock"
    columns = f"kind = '{forged.kind}', hash = '{hash_of(forged)}'"
    sql(f"UPDATE scheduler_event SET {columns} WHERE seq = 4")  # noqa: S608
    _, found = read_log()
    assert found is not None
    assert found.what == "Event 5 does not follow event 4: altered, or put in another's place."
    _, found = read_log(exported=[Head(4, log[3].hash)])
    assert found is not None
    assert found.what.startswith("Event 4 is not the one that was exported")


MISSING_OR_MOVED = [
    (["DELETE FROM scheduler_event WHERE seq = 4"], 4, "Event 4 is missing; the next one is 5"),
    (["DELETE FROM scheduler_event WHERE seq = 9"], 9, "its head says 9: cut off"),
    (["DELETE FROM scheduler_event WHERE seq > 3"], 4, "The log ends with event 3, and its"),
    (["DELETE FROM scheduler_event WHERE seq = 1"], 1, "Event 1 is missing"),
    (
        [
            "UPDATE scheduler_event SET seq = 99 WHERE seq = 4",
            "UPDATE scheduler_event SET seq = 4 WHERE seq = 5",
            "UPDATE scheduler_event SET seq = 5 WHERE seq = 99",
        ],
        4,
        "Event 4 does not follow event 3",
    ),
    (["UPDATE scheduler_eventhead SET seq = 7"], 8, "its head says 7: put back"),
    (["UPDATE scheduler_eventhead SET hash = ''"], 9, "does not have the hash of event 9"),
    (["DELETE FROM scheduler_eventhead"], 1, "its head says 0"),
    (["UPDATE scheduler_eventhead SET seq = 12"], 10, "its head says 12: cut off"),
]


@pytest.mark.both_databases
def test_what_is_missing_or_moved_is_named(log: list[Event], subtests: pytest.Subtests) -> None:
    for statements, seq, what in MISSING_OR_MOVED:
        with subtests.test(what), undone():
            sql(*statements)
            _, found = read_log()
            assert found is not None
            assert found.seq == seq
            assert what in found.what
            ran = Ran()
            assert ran.status == 1
            assert ran.lines[0].startswith("log  broken")
            assert what in ran.lines[0]


@pytest.mark.both_databases
def test_an_end_cut_off_with_its_head_is_found_by_the_exported_head(
    log: list[Event], tmp_path: Path
) -> None:
    file = tmp_path / "heads"
    Ran("--export-head", str(file))
    sql(
        "DELETE FROM scheduler_event WHERE seq > 6",
        f"UPDATE scheduler_eventhead SET seq = 6, hash = '{log[5].hash}'",  # noqa: S608
    )
    assert read_log() == (Head(6, log[5].hash), None)
    for arguments in (("--head-file", str(file)), ("--head", f"9:{log[8].hash}")):
        ran = Ran(*arguments)
        assert ran.status == 1
        assert "The log ends with event 6, and event 9 was exported: cut off." in ran.lines[0]


@pytest.mark.both_databases
def test_a_log_that_was_written_anew_is_found_by_the_exported_head(
    log: list[Event], tmp_path: Path
) -> None:
    file = tmp_path / "heads"
    Ran("--export-head", str(file))
    previous = log[1].hash
    for event in log[2:]:
        event.previous_hash, event.actor_name = previous, "sam"
        previous = hash_of(event)
        columns = f"hash = '{previous}', previous_hash = '{event.previous_hash}'"
        sql(f"UPDATE scheduler_event SET actor_name = 'sam', {columns} WHERE seq = {event.seq}")  # noqa: S608
    sql(f"UPDATE scheduler_eventhead SET hash = '{previous}'")  # noqa: S608
    assert read_log()[1] is None
    ran = Ran("--head-file", str(file))
    assert "Event 9 is not the one that was exported: rewritten there or before." in ran.lines[0]


def test_heads_are_added_to_the_file_and_a_broken_log_exports_none(
    log: list[Event], ada: User, tmp_path: Path
) -> None:
    file = tmp_path / "heads"
    Ran("--export-head", str(file))
    record(kind="note", actor=ada)
    Ran("--export-head", str(file), "--head-file", str(file))
    exported = file.read_text().splitlines()
    assert [line.partition(":")[0] for line in exported] == ["9", "10"]
    sql("UPDATE scheduler_event SET kind = 'x' WHERE seq = 9")
    assert Ran("--export-head", str(file)).status == 1
    assert file.read_text().splitlines() == exported


def test_two_heads_that_disagree_are_named(log: list[Event]) -> None:
    ran = Ran("--head", f"9:{'0' * 64}", "--head", f"9:{log[8].hash}")
    assert "Two of the exported heads disagree about event 9." in ran.lines[0]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's columns have types")
@pytest.mark.both_databases
@pytest.mark.parametrize(("column", "value"), [("at", "'soon'"), ("at", "'2026-13-45'")])
def test_what_cannot_be_read_is_named(log: list[Event], column: str, value: str) -> None:
    sql(f'UPDATE scheduler_event SET "{column}" = {value} WHERE seq = 5')  # noqa: S608
    head, found = read_log()
    assert head.seq == 4
    assert found is not None
    assert found.what == "Event 5 was altered: it cannot be read any more."


def test_a_log_of_several_pages_is_read_whole(
    log: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (1, 3, 9):
        monkeypatch.setattr(events, "_PAGE", size)
        assert read_log() == (Head(9, log[-1].hash), None)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--head", "9"),
        ("--head", f"9:{'G' * 64}"),
        ("--head-file", "/nowhere/at/all"),
        ("--head-file", "/dev/null"),
        ("--export-head", "/nowhere/at/all"),
    ],
)
def test_what_cannot_be_used_is_refused_with_2(db: None, arguments: tuple[str, str]) -> None:
    with pytest.raises(CommandError) as refused:
        Ran(*arguments)
    assert refused.value.returncode == 2


# --- The invariants -----------------------------------------------------------------------------


def broken(name: str) -> list[str]:
    """Return what is wrong with one invariant."""
    (found,) = (one for one in INVARIANTS if one.name == name)
    return found.broken(timezone.now())


@pytest.fixture
def busy(ada: User, rae: User, dev: User, rel: User, window: Window) -> Backport:
    """Three backports in a locked window, two of them approved and in an order; one is open.

    Ada's first one is returned. Everything that happened was handed on.
    """
    first = make_backport(window, ada)
    second = make_backport(window, ada, fetched(1001))
    make_backport(window, ada, fetched(1002))
    elsewhere = make_backport(make_window(in_hours=48), ada, fetched(1003))
    approve(elsewhere, rae)
    plan = newest_plan(window)
    assert plan is not None
    answer_question(
        on=OnPair(second.change, first.change, rae, window, plan.fingerprint),
        kind=StatementKind.BEFORE,
        only_first=OnlyFirst.NOTHING,
        reason="It reads what the other one sets.",
    )
    approve(first, rae)
    approve(second, rel)
    plan = newest_plan(window)
    assert plan is not None
    lock_window(window=window, by=dev, plan_fingerprint=plan.fingerprint)
    deliver_events(at=timezone.now())
    first.refresh_from_db()
    return first


def override_of(backport: Backport, by: User, confirmed_by: User | None) -> Override:
    """Write an override with its events, of a rule that objects to nothing."""
    now = timezone.now()
    override = Override.objects.create(
        backport=backport,
        rule="over-capacity",
        digest="d",
        content="c",
        proposed_by=by,
        confirmed_by=confirmed_by,
        confirmed_at=now if confirmed_by else None,
        requester=backport.requester,
        reason=REASON,
        proposed_at=now,
    )
    for verb, person in (("propose", by), ("confirm", confirmed_by)):
        if person is not None:
            record(
                kind=f"backport.{verb}-override",
                actor=person,
                window=backport.window,
                backport=backport,
                payload={"override": override.pk, "rule": override.rule, "reason": REASON},
            )
    return override


@pytest.mark.both_databases
def test_all_holds_where_nothing_is_wrong(busy: Backport, rae: User, rel: User, dev: User) -> None:
    override_of(busy, rae, rel)
    override_of(Backport.objects.get(change__number=1002), dev, None)
    assert {one.name: one.broken(timezone.now()) for one in INVARIANTS} == {
        f"I{n}": [] for n in range(1, 11)
    }
    ran = Ran()
    assert ran.status == 0
    assert len(ran.lines) == 11
    assert [line.split()[:2] for line in ran.lines[:3]] == [
        ["log", "holds"],
        ["I1", "holds"],
        ["I2", "holds"],
    ]
    assert ran.lines[4].startswith("I4   holds           At most one lease of a window is in force")


def test_all_holds_after_everything_that_people_do(
    busy: Backport, ada: User, rae: User, dev: User, rel: User
) -> None:
    unlock_window(window=busy.window, by=dev, reason="Late news.")
    busy.refresh_from_db()
    hand_over_backport(backport=busy, by=ada, to=dev, fingerprint=busy.fingerprint)
    busy.refresh_from_db()
    amend_backport(
        backport=busy, by=dev, fingerprint=busy.fingerprint, answers=answers(tester="dev")
    )
    approve(busy, rel)
    make_change(fetched(1001, patch_set=2))
    assert all(not one.broken(timezone.now()) for one in INVARIANTS)


Wreck = Callable[[Backport], object]


def as_second_account(backport: Backport) -> None:
    OtherName.objects.create(user=backport.requester, name="rae")


def alter_result(backport: Backport) -> None:
    plan = newest_plan(backport.window)
    assert plan is not None
    plan.result["queue"].reverse()
    plan.save()


def alter_document(backport: Backport) -> None:
    plan = newest_plan(backport.window)
    assert plan is not None
    plan.document["format"] = "other"
    plan.save()


def empty_result(backport: Backport) -> None:
    plan = Plan.objects.filter(window__locked_at__isnull=True).latest("pk")
    plan.result["leftovers"] = [1]
    plan.fingerprint = plans.plan_fingerprint(plan.document, plan.result)
    plan.save()


def fill_window(backport: Backport) -> None:
    Window.objects.filter(pk=backport.window_id).update(
        locked_numbers={**(backport.window.locked_numbers or {}), "max_patches": 1}
    )


WRECKED: list[tuple[str, Wreck, str]] = [
    ("I1", lambda b: Review.objects.filter(backport=b).update(sha="f" * 40), "patch set 1"),
    ("I1", lambda b: Review.objects.filter(backport=b).delete(), "without an approval"),
    (
        "I1",
        lambda b: Backport.objects.filter(pk=b.pk).update(nick="x"),
        "what was approved is not what it says now",
    ),
    ("I1", as_second_account, "approved by rae, who is its owner and requester and uploader"),
    (
        "I1",
        lambda b: Backport.objects.filter(change__number=1002).update(status="approved"),
        "without an approval",
    ),
    ("I2", alter_result, "1000 (mediawiki-config) is live, and 1001 (mediawiki-config)"),
    ("I2", lambda b: PlanStepMember.objects.filter(backport=b).delete(), "not those of its"),
    ("I2", alter_document, "cannot be read: /format"),
    ("I3", fill_window, "has 1 slots, and 2 queued patches take one"),
    (
        "I3",
        lambda _b: Window.objects.update(locked_at=None, locked_by=None, locked_numbers=None),
        "is not locked, and 2 backports are queued",
    ),
    (
        "I5",
        lambda b: Backport.objects.filter(pk=b.pk).update(status="withdrawn"),
        "is withdrawn; its events led to queued",
    ),
    (
        "I5",
        lambda b: Backport.objects.create(
            change=make_change(fetched(7)),
            window=b.window,
            requester=b.requester,
            submitted_at=timezone.now(),
        ),
        "no event says that it was submitted",
    ),
    (
        "I5",
        lambda b: Backport.objects.filter(pk=b.pk).update(
            requester=User.objects.get(username="dev")
        ),
        "is dev's; its events gave it to ada",
    ),
    ("I5", lambda b: record(kind="backport.reply", actor=None, backport=b), "was queued"),
    (
        "I5",
        lambda _b: Window.objects.filter(locked_at__isnull=True).update(
            locked_at=timezone.now(),
            locked_by=User.objects.latest("pk"),
            locked_numbers={},
        ),
        "is locked, and its last event does not say so",
    ),
    (
        "I5",
        lambda _b: Window.objects.filter(locked_at__isnull=False).update(
            locked_by=User.objects.get(username="ada")
        ),
        "was locked by another",
    ),
    (
        "I5",
        lambda b: Review.objects.filter(backport=b).delete(),
        "Review by rae (",
    ),
    ("I5", lambda _b: Statement.objects.update(kind="together"), "together"),
    (
        "I5",
        lambda b: Acknowledgement.objects.create(
            backport=b,
            rule="train-soon",
            by=User.objects.get(username="rae"),
            requester=b.requester,
            made_at=timezone.now(),
        ),
        "Acknowledgement by rae (train-soon, backport",
    ),
    (
        "I5",
        lambda b: Override.objects.create(
            backport=b,
            rule="over-capacity",
            proposed_by=User.objects.get(username="rae"),
            requester=b.requester,
            reason=REASON,
            proposed_at=timezone.now(),
        ),
        "Override by rae (backport.propose-override",
    ),
    ("I8", alter_result, "it was altered"),
    ("I8", empty_result, "is not what its document leads to"),
    (
        "I8",
        lambda b: Plan.objects.filter(window=b.window).latest("version").delete(),
        "does not have the plan that it was locked with",
    ),
    ("I9", lambda _b: Delivery.objects.all().delete(), "was not handed on within 10 minutes"),
]


def test_each_broken_invariant_is_found(busy: Backport, subtests: pytest.Subtests) -> None:
    for name, wreck, said in WRECKED:
        with subtests.test(f"{name} {said}"), undone():
            assert broken(name) == []
            wreck(Backport.objects.get(change=busy.change))
            (invariant,) = (one for one in INVARIANTS if one.name == name)
            later = timezone.now() + (timedelta(minutes=11) if name == "I9" else timedelta())
            found = invariant.broken(later)
            assert any(said in one for one in found), found


def test_an_override_ended_in_the_log_alone_is_found(busy: Backport, rae: User) -> None:
    override = override_of(busy, rae, None)
    event = record(
        kind="backport.end-override",
        actor=rae,
        backport=override.backport,
        payload={"override": override.pk},
    )
    assert any("and counts all the same" in one for one in broken("I5"))
    Override.objects.update(ended_at=event.at)
    assert broken("I5") == []


def test_what_was_taken_on_and_ended_without_an_event_is_found(busy: Backport, rae: User) -> None:
    override = override_of(busy, rae, None)
    Override.objects.update(ended_at=timezone.now())
    assert any("has ended, and no event says so" in one for one in broken("I5"))
    event = record(
        kind="backport.end-lifting",
        actor=None,
        backport=override.backport,
        payload={"rules": [override.rule]},
    )
    Override.objects.update(ended_at=event.at)
    assert broken("I5") == []
    Override.objects.update(ended_at=None)
    assert any("was ended by an event and counts" in one for one in broken("I5"))


def test_another_reason_than_the_one_that_was_given_is_found(busy: Backport) -> None:
    Review.objects.filter(decision="approve").update(reason="It was urgent.")
    assert any("1 more than events" in one for one in broken("I5"))


@pytest.mark.both_databases
def test_an_override_by_too_few_is_found(busy: Backport, rae: User, rel: User, ada: User) -> None:
    override = override_of(busy, rae, rel)
    assert broken("I6") == []
    table = "scheduler_override"
    with without("override_has_a_reason", table), without("override_takes_two_others", table):
        for column, value, said in (
            ("reason", "'No.'", "gives no reason of 20 characters"),
            ("confirmed_by_id", rae.pk, "the proposer and the confirmer are one person"),
            ("confirmed_by_id", ada.pk, "the confirmer and the requester are one person"),
            ("proposed_by_id", ada.pk, "the proposer and the requester are one person"),
            ("confirmed_at", "NULL", "is confirmed by nobody, or at no time"),
        ):
            with transaction.atomic():
                sql(f"UPDATE {table} SET {column} = {value} WHERE id = {override.pk}")  # noqa: S608
                assert any(said in one for one in broken("I6")), broken("I6")
                transaction.set_rollback(True)
        assert broken("I6") == []


def test_an_override_by_other_names_is_found(busy: Backport, rae: User, rel: User) -> None:
    override_of(busy, rae, rel)
    OtherName.objects.create(user=rae, name="REL")
    assert "the proposer and the confirmer are one person" in broken("I6")[0]
    OtherName.objects.update(user=busy.requester, name="rel")
    assert "the confirmer and the requester are one person" in broken("I6")[0]


@pytest.mark.both_databases
def test_a_change_booked_twice_is_found(busy: Backport) -> None:
    assert broken("I7") == []
    sql("DROP INDEX backport_one_open_per_change")
    Backport.objects.filter(change__number=1001).update(change=busy.change)
    assert broken("I7") == ["Change 1000 is in 2 open backports."]


@pytest.mark.both_databases
def test_who_is_told_twice_is_found(busy: Backport, ada: User) -> None:
    assert broken("I9") == []
    with without("notification_once", "scheduler_notification"):
        event = Event.objects.earliest("seq")
        if connection.vendor == "sqlite":
            sql(
                "CREATE TABLE told AS SELECT * FROM scheduler_notification",
                "DROP TABLE scheduler_notification",
                "ALTER TABLE told RENAME TO scheduler_notification",
            )
        for pk in (1, 2):
            Notification.objects.create(
                pk=pk, event=event, recipient=ada, why="own", due_at=timezone.now()
            )
        assert broken("I9") == ["ada is told 2 times of event 1."]


def test_who_is_told_of_what_was_not_handed_on_is_found(busy: Backport, ada: User) -> None:
    event = record(kind="note", actor=None)
    Notification.objects.create(event=event, recipient=ada, why="own", due_at=timezone.now())
    assert broken("I9") == [f"Somebody is told of event {event.seq}, which was not handed on."]


@pytest.fixture
def over(ada: User, rae: User) -> Backport:
    """A backport in a window that ended an hour ago."""
    window = make_window(in_hours=1)
    backport = make_backport(window, ada, nick="a")
    approve(backport, rae)
    return backport


def after_it(backport: Backport, name: str = "I10") -> list[str]:
    """Return what is wrong with an invariant once the window is over."""
    (invariant,) = (one for one in INVARIANTS if one.name == name)
    return invariant.broken(backport.window.end)


@pytest.mark.parametrize(
    ("column", "value"),
    [("urgency", 0), ("kind", "config"), ("marks", ["security"]), ("present", False)],
)
def test_a_closed_window_that_changed_is_found(over: Backport, column: str, value: object) -> None:
    assert after_it(over) == []
    Backport.objects.filter(pk=over.pk).update(**{column: value})
    (found,) = after_it(over)
    assert found.endswith(f"which is over, was changed without an event: {column}.")


def test_a_closed_window_that_was_moved_is_found(over: Backport) -> None:
    end = over.window.end - timedelta(minutes=5)
    Window.objects.filter(pk=over.window_id).update(end=end)
    assert "its hours are not those" in after_it(over)[0]


def test_a_closed_window_changed_by_an_event_is_fine(over: Backport, ada: User, dev: User) -> None:
    plan = newest_plan(over.window)
    assert plan is not None
    lock_window(window=over.window, by=dev, plan_fingerprint=plan.fingerprint)
    over.refresh_from_db()
    amend_backport(
        backport=over, by=ada, fingerprint=over.fingerprint, answers=answers(present=False)
    )
    assert after_it(over) == []


def test_json_tells_it_to_programs(busy: Backport) -> None:
    told = json.loads(Ran("--json").text)
    assert (told["format"], told["ok"], told["log"]) == ("swat-verify/1", True, None)
    assert told["head"]["seq"] == EventHead.objects.get().seq
    assert [one["state"] for one in told["invariants"]].count("holds") == 10
    Backport.objects.filter(pk=busy.pk).update(status="withdrawn")
    ran = Ran("--json")
    told = json.loads(ran.text)
    assert (ran.status, told["ok"]) == (1, False)
    assert told["invariants"][4]["state"] == "broken"
    assert "led to queued" in told["invariants"][4]["breaches"][0]
