"""A window that is deployed, with two hands on everything: one of them wins, the other is told why.

What guards each is shown by a control: the same done by looking first, and then writing.
"""

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.errors import OutOfDate
from scheduler.domain.lifecycle import Status
from scheduler.models import Backport, Event, Lease, RunItem, RunStep, User, Window
from scheduler.services.backports import withdraw_backport
from scheduler.services.deploying import OnStep, begin_window, seen_of, start_step, tick_item
from scheduler.services.events import record
from scheduler.services.failing import fail_step
from scheduler.services.leases import accept_wheel, offer_wheel, take_wheel
from tests.driving import ANSWERED, Drive, lock
from tests.factories import approve, fetched, make_backport, make_person, make_window
from tests.services.checks import kinds, wrongs
from tests.services.test_races import refusals, together

pytestmark = [
    pytest.mark.both_databases,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("events_can_be_cleared"),
]

ROUNDS = 3
Job = Callable[[], object]


@pytest.fixture(autouse=True)
def _connections_share_a_database(transactional_db: None) -> None:
    if "memory" in str(connection.settings_dict["NAME"]):
        pytest.skip("Threads need a database of their own: PostgreSQL, or SQLite in a file.")


@pytest.fixture
def window(transactional_db: None) -> Window:
    """A locked window that began five minutes ago: 1, then 2 which needs it."""
    ada, rae, dev = make_person("ada"), make_person("rae"), make_person("dev")
    make_person("rel")
    start = timezone.now() - timedelta(minutes=5)
    made = make_window(start=start, end=start + timedelta(hours=1))
    for number in (1, 2):
        needs = f"\n\nDepends-On: I{1:040x}" if number == 2 else ""
        change = fetched(number, message=f"Change\n{needs}\nChange-Id: I{number:040x}")
        approve(make_backport(made, ada, change, tester="rae"), rae)
    return lock(made, dev)


@pytest.fixture
def drive(window: Window) -> Drive:
    """Dev drives it, and has begun it."""
    return Drive(window, person("dev")).take().begin()


def person(name: str) -> User:
    """Return somebody as another process reads them."""
    return User.objects.get(username=name)


def again(window: Window) -> Window:
    """Return a window as another process reads it."""
    return Window.objects.get(pk=window.pk)


def on(drive: Drive, position: int, by: str = "dev") -> OnStep:
    """Return a step as a page shows it, for another process."""
    shown = drive.on(position, person(by))
    return OnStep(again(drive.window), position, person(by), shown.seen, shown.lease)


def tick(drive: Drive, position: int, kind: ItemKind, by: str = "dev") -> Job:
    """Return a click on an item, as the page shows it now."""
    item = RunItem.objects.filter(step__position=position, kind=kind.value).earliest("place")
    return partial(tick_item, on=on(drive, position, by), item=item.pk)


def fail(drive: Drive, position: int) -> Job:
    """Return the report that a step failed, as the page shows it now."""
    return partial(fail_step, on=on(drive, position), output="Every page is a 500.")


def is_done(kind: str) -> bool:
    """Tell whether the one item of a kind is done in the first step."""
    return RunItem.objects.get(step__position=1, kind=kind).done_at is not None


def seqs(kind: str) -> list[int]:
    """Return the numbers of the events of a kind."""
    return list(Event.objects.filter(kind=kind).order_by("seq").values_list("seq", flat=True))


# --- The wheel ----------------------------------------------------------------------------------


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_of_two_who_take_the_wheel_one_drives_and_the_other_is_told_who(
    window: Window, _round: int
) -> None:
    people = [person("dev"), person("rel")]
    results = together([partial(take_wheel, window=again(window), by=one) for one in people])

    (refused,) = refusals(results)
    held = Lease.objects.get()
    loser = people[results.index(refused)]
    assert held.holder != loser
    since = f"{held.holder.username} drives this window since {held.taken_at:%H:%M} UTC"
    assert refused.sentence.startswith(since)
    assert kinds().count("lease.take") == 1
    assert wrongs() == []


def test_control_a_wheel_that_is_only_looked_for_is_taken_by_two(window: Window) -> None:
    one_in_force = next(
        one
        for one in Lease._meta.constraints  # noqa: SLF001 - Django's own way in
        if one.name == "lease_one_in_force"
    )
    all_looked = threading.Barrier(2)

    def look_then_take(number: int, by: User) -> None:
        is_free = not Lease.objects.filter(window=window, ended_at__isnull=True).exists()
        all_looked.wait(timeout=20)
        if is_free:
            now = timezone.now()
            until = now + timedelta(minutes=5)
            Lease.objects.create(window=window, number=number, holder=by, taken_at=now, until=until)

    with connection.schema_editor() as editor:
        editor.remove_constraint(Lease, one_in_force)
    try:
        jobs = enumerate((person("dev"), person("rel")), start=1)
        refusals(together([partial(look_then_take, *pair) for pair in jobs]))
        assert Lease.objects.filter(ended_at__isnull=True).count() == 2
    finally:
        Lease.objects.all().delete()
        with connection.schema_editor() as editor:
            editor.add_constraint(Lease, one_in_force)


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_who_accepts_and_who_takes_over_at_once_do_not_both_drive(
    drive: Drive, _round: int
) -> None:
    ops, rel = User.objects.create_user("ops"), person("rel")
    ops.groups.set(rel.groups.all())
    offer_wheel(window=drive.window, by=drive.by, lease=1, to=rel, note="Nothing is open.")
    Lease.objects.update(until=timezone.now())
    take_over = partial(take_wheel, window=again(drive.window), by=ops, reason="They left.")
    accept = partial(accept_wheel, window=again(drive.window), by=rel, lease=1)

    assert len(refusals(together([take_over, accept]))) == 1
    held = Lease.objects.order_by("number")
    assert [one.number for one in held] == [1, 2]
    assert [one.ended_at is None for one in held] == [False, True]
    assert wrongs() == []


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_what_the_old_driver_does_meanwhile_is_done_before_or_not_at_all(
    drive: Drive, _round: int
) -> None:
    drive.start(1)
    Lease.objects.update(until=timezone.now())
    take_over = partial(
        take_wheel, window=again(drive.window), by=person("rel"), reason="They left."
    )
    results = together([tick(drive, 1, ItemKind.MERGE), take_over])

    # The tick came first and kept the lease, or the other came first and has it.
    assert len(refusals(results)) == 1
    assert is_done("merge") == (Lease.objects.count() == 1)
    assert wrongs() == []


# --- Items --------------------------------------------------------------------------------------


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_of_two_clicks_on_an_item_one_does_it(drive: Drive, _round: int) -> None:
    drive.start(1)
    (refused,) = refusals(together([tick(drive, 1, ItemKind.MERGE)] * 2))

    assert isinstance(refused, OutOfDate)
    assert kinds().count("step.tick") == 1
    assert RunStep.objects.get(position=1).turn == 2
    assert wrongs() == []


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_of_two_testers_of_one_change_one_has_verified_it(drive: Drive, _round: int) -> None:
    """Their clicks do not change the turn of the step: the item itself decides."""
    drive.start(1)
    drive.until(1, ItemKind.VERIFY)
    before = kinds().count("step.tick")
    jobs = [tick(drive, 1, ItemKind.VERIFY, name) for name in ("ada", "rae")]
    (refused,) = refusals(together(jobs))

    assert "done already" in refused.sentence
    assert kinds().count("step.tick") == before + 1
    assert wrongs() == []


def test_control_an_item_that_is_only_looked_for_is_done_twice(drive: Drive) -> None:
    drive.start(1)
    all_looked = threading.Barrier(2)

    def look_then_tick() -> None:
        item = RunItem.objects.get(step__position=1, kind="merge")
        all_looked.wait(timeout=20)
        if item.done_at is None:
            RunItem.objects.filter(pk=item.pk).update(done_at=timezone.now(), done_by=drive.by)
            record(kind="step.tick", actor=drive.by, window=drive.window)

    refusals(together([look_then_tick, look_then_tick]))
    assert kinds().count("step.tick") == 2


# --- A tick and a failure -----------------------------------------------------------------------


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_of_a_tick_and_a_failure_one_happens(drive: Drive, _round: int) -> None:
    drive.start(1)
    drive.until(1, ItemKind.SYNC)
    before = kinds().count("step.tick")
    (refused,) = refusals(together([tick(drive, 1, ItemKind.SYNC), fail(drive, 1)]))

    assert isinstance(refused, OutOfDate)
    has_failed = RunStep.objects.get(position=1).phase == "failed"
    is_synced = is_done("sync")
    assert has_failed != is_synced
    assert kinds().count("step.fail") == has_failed
    assert kinds().count("step.tick") == before + is_synced
    assert wrongs() == []


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_what_is_verified_while_the_driver_says_it_failed_was_verified_before(
    drive: Drive, _round: int
) -> None:
    drive.start(1)
    drive.until(1, ItemKind.VERIFY)
    results = together([tick(drive, 1, ItemKind.VERIFY, "ada"), fail(drive, 1)])

    assert RunStep.objects.get(position=1).phase == "failed"
    is_verified = is_done("verify")
    assert len(refusals(results)) == (not is_verified)
    if is_verified:
        assert seqs("step.tick")[-1] < seqs("step.fail")[0]
    assert wrongs() == []


def test_control_a_tick_that_only_looks_is_done_in_a_step_that_failed(drive: Drive) -> None:
    drive.start(1)
    all_looked = threading.Barrier(2)

    def look_then(write: Job) -> None:
        step = RunStep.objects.get(position=1)
        all_looked.wait(timeout=20)
        if step.phase == "going":
            write()

    item = RunItem.objects.filter(step__position=1, kind="merge")
    do = partial(item.update, done_at=timezone.now(), done_by=drive.by)
    say_it_failed = partial(RunStep.objects.filter(position=1).update, phase="failed")
    refusals(together([partial(look_then, do), partial(look_then, say_it_failed)]))
    assert is_done("merge")
    assert RunStep.objects.get(position=1).phase == "failed"


# --- A start and a withdrawal -------------------------------------------------------------------


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_of_a_start_and_a_withdrawal_one_happens(drive: Drive, _round: int) -> None:
    backport = Backport.objects.get(change__number=1)
    start = partial(start_step, on=on(drive, 1), reading=ANSWERED)
    withdraw = partial(
        withdraw_backport,
        backport=Backport.objects.select_related("window").get(pk=backport.pk),
        by=person("ada"),
        fingerprint=backport.fingerprint,
    )
    (refused,) = refusals(together([start, withdraw]))

    backport.refresh_from_db()
    step = RunStep.objects.get(position=1)
    expected = {
        Status.DEPLOYING.value: ("going", "", ["backport.start"]),
        Status.WITHDRAWN.value: ("ended", "missed", ["backport.withdraw"]),
    }
    phase, outcome, told = expected[backport.status]
    assert (step.phase, step.outcome) == (phase, outcome)
    about = Event.objects.filter(backport=backport).order_by("seq")
    assert list(about.values_list("kind", flat=True))[2:] == told
    assert refused.sentence
    assert wrongs() == []


def test_control_a_start_that_only_looks_starts_what_was_withdrawn(drive: Drive) -> None:
    all_looked = threading.Barrier(2)
    happened = []

    def look_then(status: Status) -> None:
        backport = Backport.objects.get(change__number=1)
        all_looked.wait(timeout=20)
        if backport.status == Status.QUEUED.value:
            Backport.objects.filter(pk=backport.pk).update(status=status.value)
            happened.append(status)

    both = (Status.DEPLOYING, Status.WITHDRAWN)
    refusals(together([partial(look_then, status) for status in both]))
    assert sorted(happened) == sorted(both)


# --- Begin --------------------------------------------------------------------------------------


def test_of_two_clicks_a_window_is_begun_once(window: Window) -> None:
    drive = Drive(window, person("dev")).take()
    seen = seen_of(drive.course)
    begin = partial(begin_window, by=drive.by, lease=1, seen=seen)
    results = together([partial(begin, window=again(window)) for _ in range(2)])

    assert len(refusals(results)) == 1
    assert kinds().count("window.begin") == 1
    assert RunStep.objects.count() == 2
    assert wrongs() == []
