"""`manage.py verify` of windows that are deployed: what no event accounts for is named, alone."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from django.utils import timezone

from scheduler.domain.checklist.run import Choice
from scheduler.domain.checklist.steps import ItemKind
from scheduler.models import (
    Backport,
    Event,
    Lease,
    Plan,
    Presence,
    Run,
    RunItem,
    RunStep,
    User,
    Window,
)
from scheduler.services.backports import withdraw_backport
from scheduler.services.changes import store_changes
from scheduler.services.deploying import check_in, extend_window, vouch_for_step
from scheduler.services.events import record
from scheduler.services.invariants import INVARIANTS
from scheduler.services.leases import accept_wheel, give_back_wheel, offer_wheel
from scheduler.services.moving import move_on
from tests.driving import SILENT, Drive, lock
from tests.factories import approve, fetched, make_backport, make_window
from tests.management.test_verify import broken, undone

MINUTE = timedelta(minutes=1)


@pytest.fixture
def begun(db: None) -> Window:
    """A window of an hour that began five minutes ago."""
    start = timezone.now() - 5 * MINUTE
    return make_window(start=start, end=start + 60 * MINUTE)


@pytest.fixture
def queue(begun: Window, ada: User, rae: User) -> Mapping[int, Backport]:
    """Four approved changes of Ada's; 2 needs 1."""
    made = {}
    for number in (1, 2, 3, 4):
        needs = f"\n\nDepends-On: I{1:040x}" if number == 2 else ""
        change = fetched(number, message=f"Change\n{needs}\nChange-Id: I{number:040x}")
        made[number] = approve(make_backport(begun, ada, change), rae)
    return made


@pytest.fixture
def drive(begun: Window, queue: Mapping[int, Backport], dev: User) -> Drive:
    """Dev drives the window, which has begun."""
    lock(begun, dev)
    return Drive(begun, dev).take().begin()


@pytest.fixture
def driven(drive: Drive, queue: Mapping[int, Backport], ada: User, rel: User, rae: User) -> Drive:
    """Dev deployed 1 and handed over to Rel, who deployed 2; 3 is on the test servers, 4 waits.

    Ada is there to test 3, for which Rae vouched; steps may start ten minutes later.
    """
    window, dev = drive.window, drive.by
    drive.deploy(1)
    offer_wheel(window=window, by=dev, lease=1, to=rel, note="Step 2 is next.")
    lease = accept_wheel(window=window, by=rel, lease=1).number
    drive = Drive(window, rel, lease).deploy(2)
    extend_window(window=window, by=rel, lease=lease, minutes=10, reason="One more fix.")
    check_in(backport=queue[3], by=ada)
    drive.start(3, SILENT)
    vouch_for_step(on=drive.on(3, rae), reason="The commit is the same.")
    drive.start(3, SILENT)
    drive.until(3, ItemKind.VERIFY)
    return drive


def nothing_is_broken() -> None:
    now = timezone.now()
    assert [said for one in INVARIANTS for said in one.broken(now)] == []


def test_all_holds_while_a_window_is_driven_and_after_it(driven: Drive, rel: User) -> None:
    nothing_is_broken()
    with undone():
        driven.miss(3)  # it is merged: it goes back first
        nothing_is_broken()
        step(3, ends_as="reverted")
        assert broken("I5") == [
            f"Step 3 of window {driven.window.pk} is not what its events led to: ends_as."
        ]
        step(3, ends_as="missed")
        driven.finish(3)
        nothing_is_broken()
    driven.fail(3)
    nothing_is_broken()
    driven.choose(3, Choice.REVERT)
    driven.tick(3, ItemKind.TAKE_BACK)
    nothing_is_broken()
    driven.finish(3)
    driven.fail(1, "The logs are full.")
    driven.choose(1, Choice.REVERT)
    nothing_is_broken()
    driven.finish(2)
    driven.finish(1)
    driven.close("It was enough.")
    nothing_is_broken()
    assert [row.outcome for row in RunStep.objects.order_by("position")] == [
        "reverted",
        "reverted",
        "reverted",
        "missed",
    ]


def step(position: int, **columns: object) -> None:
    """Alter a step as somebody could who owns the database."""
    assert RunStep.objects.filter(position=position).update(**columns) == 1


def item(position: int, kind: ItemKind, **columns: object) -> None:
    """Alter an item alike."""
    rows = RunItem.objects.filter(step__position=position, kind=kind.value)
    assert rows.update(**columns) == 1


def lease(number: int, **columns: object) -> None:
    """Alter a lease alike."""
    assert Lease.objects.filter(number=number).update(**columns) == 1


def person(name: str) -> User:
    return User.objects.get(username=name)


def remove_step_4() -> None:
    RunItem.objects.filter(step__position=4).delete()
    RunStep.objects.filter(position=4).delete()


def take_without_a_word() -> None:
    Lease.objects.create(
        window=Window.objects.get(),
        number=7,
        holder=person("dev"),
        taken_at=NOW,
        until=NOW + MINUTE,
        ended_at=NOW,
    )


def begin_nothing() -> None:
    window = make_window()
    plan = Plan.objects.create(
        window=window, version=1, fingerprint="", document={}, result={"queue": []}, made_at=NOW
    )
    Run.objects.create(window=window, plan=plan, begun_at=NOW, begun_by=person("dev"))


NOW = timezone.now()
GOING, SYNC, MERGE, VERIFY, LOG = (
    "going",
    *(ItemKind(kind) for kind in ("sync", "merge", "verify", "log")),
)
Wreck = Callable[[], object]

# What is altered, and the one sentence that names it; `{}` stands for the window.
WITHOUT_EVENT: list[tuple[Wreck, str]] = [
    (
        lambda: lease(1, holder=person("rae")),
        "Lease 1 of window {} is not what its events led to: holder.",
    ),
    (
        lambda: lease(1, ended_at=NOW),
        "Lease 1 of window {} is not what its events led to: ended_at.",
    ),
    (
        lambda: lease(2, offered_to=person("dev"), offer_note="Take it."),
        "Lease 2 of window {} is not what its events led to: offered_to, offer_note.",
    ),
    (
        take_without_a_word,
        "Lease 7 of window {} is there, and no event says that it was taken.",
    ),
    (
        lambda: Lease.objects.filter(number=1).delete(),
        "Lease 1 of window {} was taken by an event, and is not there.",
    ),
    (
        lambda: Run.objects.update(extra_minutes=60),
        "The run of window {} is not what its events led to: extra_minutes.",
    ),
    (
        lambda: Run.objects.update(begun_by=person("rae")),
        "The run of window {} is not what its events led to: begun_by.",
    ),
    (
        lambda: Run.objects.update(closed_at=NOW, closed_by=person("rel")),
        "The run of window {} is not what its events led to: closed_at, closed_by.",
    ),
    (
        lambda: Run.objects.update(begun_at=NOW - timedelta(days=1)),
        "The run of window {} is not what its events led to: begun_at.",
    ),
    (
        lambda: step(4, phase="ended", outcome="missed", ended_at=NOW),
        "Step 4 of window {} is missed; its events led to waiting.",
    ),
    (
        lambda: step(1, outcome="reverted"),
        "Step 1 of window {} is reverted; its events led to deployed.",
    ),
    (
        lambda: step(3, phase="waiting"),
        "Step 3 of window {} is waiting; its events led to going.",
    ),
    (
        lambda: step(2, is_broken=True),
        "Step 2 of window {} is not what its events led to: is_broken.",
    ),
    (
        lambda: step(2, reason="It was slow.", started_at=NOW),
        "Step 2 of window {} is not what its events led to: reason, started_at.",
    ),
    (
        lambda: step(3, vouched_by=person("dev")),
        "Step 3 of window {} is not what its events led to: vouched_by.",
    ),
    (
        lambda: item(3, SYNC, done_at=NOW, done_by=person("rel"), lease=2),
        "Item 4 (sync) of step 3 of window {} is done, and no event says so.",
    ),
    (
        lambda: item(1, LOG, done_at=None, done_by=None, lease=None),
        "Item 6 (log) of step 1 of window {} was done by event {log}, and is not done.",
    ),
    (
        lambda: item(1, MERGE, done_by=person("rae")),
        "Item 1 (merge) of step 1 of window {} was done otherwise than its event says: done_by.",
    ),
    (
        lambda: item(1, MERGE, lease=2, proof="https://gerrit.example/1"),
        "Item 1 (merge) of step 1 of window {} was done otherwise than its event says: lease,",
    ),
    (
        lambda: RunItem.objects.filter(step__position=4, kind="verify").delete(),
        "Step 4 of window {} does not have all of its items.",
    ),
    (
        lambda: RunItem.objects.filter(step__position=4, kind="log").delete(),
        "Step 4 of window {} does not have all of its items.",
    ),
    (remove_step_4, "Step 4 of the plan of window {} is not in its run."),
    (
        lambda: Backport.objects.filter(change__number=3).update(started_sha="f" * 40),
        "Backport {3} was not started with the commit of which its event tells.",
    ),
    (
        lambda: Presence.objects.create(
            window=Window.objects.get(),
            backport=Backport.objects.get(change__number=4),
            person=person("ada"),
            at=NOW,
        ),
        "ada is there for backport {4} since",
    ),
    (lambda: Presence.objects.all().delete(), "ada is there for backport {3} since"),
    (begin_nothing, "was begun, and no event says so."),
    (
        lambda: Plan.objects.filter(pk__in=Run.objects.values("plan")).update(version=99),
        "The run of window {} is not what its events led to: plan.",
    ),
]


def test_what_no_event_accounts_for_is_named(driven: Drive, subtests: pytest.Subtests) -> None:
    log = Event.objects.get(kind="step.tick", payload__step=1, payload__item="log").seq
    keys = {f"{{{b.change.number}}}": b.pk for b in Backport.objects.select_related("change")}
    assert broken("I5") == []
    for wreck, said in WITHOUT_EVENT:
        named = said.replace("{}", str(driven.window.pk)).replace("{log}", str(log))
        for sign, key in keys.items():
            named = named.replace(sign, str(key))
        with subtests.test(named), undone():
            wreck()
            (found,) = broken("I5")
            assert named in found


# What somebody adds to the log, with a right hash, and what gives it away.
FORGED: list[tuple[str, str, Mapping[str, object], str]] = [
    ("window.begin", "rel", {"lease": 2}, "it was begun before"),
    ("step.tick", "rel", {"step": 4, "item": "merge", "place": 1}, "step 4 was waiting"),
    ("step.tick", "rel", {"step": 3, "item": "sync", "place": 4}, "item 3 of step 3 comes first"),
    ("step.tick", "rel", {"step": 3, "item": "log", "place": 1}, "item 1 of step 3 is another"),
    ("step.tick", "rel", {"step": 3, "item": "merge", "place": 1}, "item 1 of step 3 was done be"),
    ("step.tick", "rel", {"step": 9, "item": "merge", "place": 1}, "item 1 of step 9 is another"),
    ("step.fail", "rel", {"step": 4, "reason": "x"}, "step 4 was waiting"),
    ("step.choose", "rel", {"step": 4, "choice": "leave"}, "step 4 was waiting"),
    ("step.choose", "rel", {"step": 3, "choice": "revert", "back": [3]}, "step 3 was going"),
    ("step.miss", "rel", {"step": 1, "reason": "x"}, "step 1 was ended"),
    ("step.miss", "rel", {"step": 3, "reason": "x"}, "step 3 was merged"),
    ("step.miss", "rel", {"step": 4, "reason": "x", "falls": [3]}, "step 3 was going"),
    ("step.unverified", "rel", {"step": 1, "reason": "x"}, "step 1 was ended"),
    ("step.vouch", "rae", {"step": 4}, "step 4 waited for nobody"),
    ("window.close", "rel", {"steps": []}, "step 3 has no outcome"),
    ("lease.accept", "dev", {"number": 3}, "the wheel of window {} was not offered to dev"),
    ("lease.withdraw", "rel", {"to": "dev", "number": 2}, "was handed to nobody like that"),
    ("lease.give-back", "dev", {"number": 1}, "dev did not drive window {}"),
]


def test_what_cannot_have_happened_is_named(driven: Drive, subtests: pytest.Subtests) -> None:
    for kind, who, payload, said in FORGED:
        with subtests.test(f"{kind}: {said}"), undone():
            event = record(kind=kind, actor=person(who), window=driven.window, payload=payload)
            found = [one for one in broken("I5") if f"Event {event.seq} ({kind})" in one]
            assert any(said.replace("{}", str(driven.window.pk)) in one for one in found), found


def test_an_end_of_a_backport_that_cannot_be_is_named(
    driven: Drive, queue: Mapping[int, Backport]
) -> None:
    for kind, number, said in (
        ("backport.finish", 3, "item 3 of step 3 was not done"),
        ("backport.finish", 4, "step 4 was waiting"),
        ("backport.take-back", 2, "step 2 was ended"),
        ("backport.miss", 3, "step 3 was going"),
        ("backport.miss", 1, "step 1 was ended"),
        ("backport.start", 4, "step 3 was under way"),
    ):
        with undone():
            payload = {"step": number, "patch_set": 1, "sha": "", "live": [1, 2], "lease": 2}
            window, backport = driven.window, queue[number]
            record(kind=kind, actor=driven.by, window=window, backport=backport, payload=payload)
            assert any(said in one for one in broken("I5")), broken("I5")


def test_events_of_a_window_of_which_no_run_is_stored_are_named(
    driven: Drive, queue: Mapping[int, Backport]
) -> None:
    RunItem.objects.all().delete()
    RunStep.objects.all().delete()
    Run.objects.all().delete()
    begin = Event.objects.get(kind="window.begin").seq
    assert (
        f"Event {begin} (window.begin) is about window {driven.window.pk}, of which no run is "
        "stored." in broken("I5")
    )


def test_a_start_without_an_answer_of_gerrit_takes_a_second_person_in_the_log(
    drive: Drive, queue: Mapping[int, Backport], rae: User
) -> None:
    window, dev = drive.window, drive.by
    payload = {"step": 1, "unverified": "Gerrit is silent.", "lease": 1, "needs": [], "live": []}
    for person_there, wrong in ((None, True), (dev, True), (rae, False)):
        with undone():
            drive.start(1, SILENT)
            if person_there is not None:
                record(kind="step.vouch", actor=person_there, window=window, payload={"step": 1})
            booked = queue[1]
            record(
                kind="backport.start", actor=dev, window=window, backport=booked, payload=payload
            )
            told = "no second person vouched for step 1"
            assert any(told in one for one in broken("I5")) is wrong


# --- Leases -------------------------------------------------------------------------------------


def in_force_beside_a_newer_one() -> None:
    lease(2, ended_at=NOW)
    lease(1, ended_at=None)


UNDRIVEN: list[tuple[Wreck, str]] = [
    (
        in_force_beside_a_newer_one,
        "Lease 1 of window {} is in force; there was lease 2 after it.",
    ),
    (
        lambda: item(2, MERGE, lease=1),
        "Item 1 (merge) of step 2 of window {} was done under lease 1, which was not in force.",
    ),
    (
        lambda: item(2, SYNC, lease=9),
        "Item 4 (sync) of step 2 of window {} was done under lease 9, which was not in force.",
    ),
    (
        lambda: item(2, MERGE, done_by=person("dev")),
        "Item 1 (merge) of step 2 of window {} was done by dev, who did not hold lease 2.",
    ),
    (
        lambda: item(2, SYNC, lease=None),
        "Item 4 (sync) of step 2 of window {} was done under no lease.",
    ),
    (
        lambda: item(3, SYNC, lease=1, done_at=NOW + timedelta(days=1), done_by=person("dev")),
        "Item 4 (sync) of step 3 of window {} was done under lease 1, which was not in force.",
    ),
]


def test_what_was_done_without_driving_is_named(driven: Drive, subtests: pytest.Subtests) -> None:
    assert broken("I4") == []
    for wreck, said in UNDRIVEN:
        with subtests.test(said), undone():
            wreck()
            assert broken("I4") == [said.replace("{}", str(driven.window.pk))]


FORGED_DRIVING: list[tuple[str, str, Mapping[str, object], str]] = [
    ("lease.take", "rae", {"number": 2}, "gave lease 2 of window {}; there was lease 2 before."),
    (
        "window.extend",
        "dev",
        {"lease": 1, "minutes": 5},
        "was done by dev under lease 1 of window {}, which was not theirs then.",
    ),
    (
        "window.extend",
        "rel",
        {"lease": 1, "minutes": 5},
        "was done by rel under lease 1 of window {}, which was not theirs then.",
    ),
    ("step.choose", "rel", {}, "was done by rel under lease 0 of window {}, which was not theirs"),
    ("window.close", "dev", {}, "was done by dev, who did not drive window {} then."),
]


def test_who_says_that_they_drove_and_did_not_is_named(
    driven: Drive, subtests: pytest.Subtests
) -> None:
    for kind, who, payload, said in FORGED_DRIVING:
        with subtests.test(f"{kind}: {said}"), undone():
            record(kind=kind, actor=person(who), window=driven.window, payload=payload)
            (found,) = broken("I4")
            assert said.replace("{}", str(driven.window.pk)) in found


def test_nothing_is_done_once_the_wheel_was_given_back(driven: Drive, ada: User) -> None:
    give_back_wheel(window=driven.window, by=driven.by, lease=driven.lease)
    driven.take()
    assert (driven.lease, broken("I4")) == (3, [])
    item(3, MERGE, lease=3)
    (found,) = broken("I4")
    assert "under lease 3, which was not in force" in found


# --- What has to be live ------------------------------------------------------------------------


def started(drive: Drive, backport: Backport, **payload: object) -> Event:
    """Log that step 2 was started, as somebody could who owns the database."""
    return record(
        kind="backport.start",
        actor=drive.by,
        window=drive.window,
        backport=backport,
        payload={"step": 2, "lease": 1, "needs": [1], "live": [], **payload},
    )


def test_a_step_that_was_started_before_what_it_needs_was_live_is_named(
    drive: Drive, queue: Mapping[int, Backport]
) -> None:
    window = drive.window.pk
    assert broken("I2") == []
    early = f"step 2 of window {window} was started before 1 was live, which it needs."
    with undone():
        event = started(drive, queue[2])
        assert broken("I2") == [f"Event {event.seq} (backport.start): {early}"]
    with undone():
        event = started(drive, queue[2], live=[1])
        said = f"Event {event.seq} (backport.start)"
        assert broken("I2") == [
            f"{said}: {early}",
            f"{said} says that 1 was live; by the ticks it was nothing.",
        ]
    with undone():
        event = started(drive, queue[2], needs=[])
        said = f"Event {event.seq} (backport.start)"
        assert broken("I2") == [
            f"{said}: {early}",
            f"{said} says that step 2 of window {window} needs nothing; by its plan it needs 1.",
        ]
    drive.deploy(1, 2)
    assert broken("I2") == []


def test_what_was_taken_back_is_not_live(drive: Drive, queue: Mapping[int, Backport]) -> None:
    drive.deploy(1)
    with undone():
        started(drive, queue[2], live=[1])
        assert broken("I2") == []
    drive.fail(1)
    drive.choose(1, Choice.REVERT)
    drive.finish(1)
    event = started(drive, queue[2], live=[1])
    early, lie = broken("I2")
    assert "was started before 1 was live" in early
    assert lie.startswith(f"Event {event.seq} (backport.start) says that 1 was live")


def test_a_tick_that_lies_about_what_is_live_is_named(driven: Drive) -> None:
    payload = {"step": 3, "item": "verify", "place": 3, "live": [1, 2, 3]}
    event = record(kind="step.tick", actor=driven.by, window=driven.window, payload=payload)
    said = f"Event {event.seq} (step.tick) says that 1 and 2 and 3 was live"
    assert broken("I2") == [f"{said}; by the ticks it was 1 and 2."]


# --- What left the queue ------------------------------------------------------------------------


def test_what_is_queued_in_another_window_by_now_does_not_hold_up_the_old_one(
    drive: Drive, queue: Mapping[int, Backport], ada: User, rae: User, dev: User
) -> None:
    later = make_window()
    store_changes(fetched=[fetched(3, patch_set=2)], at=timezone.now())
    backport = Backport.objects.get(pk=queue[3].pk)
    move_on(backport=backport, by=ada, to=later, fingerprint=backport.fingerprint)
    approve(backport, rae)
    lock(later, dev)
    assert drive.course.state.blocked == {3: "It was moved to another window since the lock."}
    drive.deploy(1, 2, 4)
    drive.close()
    backport.refresh_from_db()
    assert (backport.status, backport.window) == ("queued", later)
    assert RunStep.objects.get(position=3).outcome == "missed"
    nothing_is_broken()


def test_a_step_of_which_everything_had_left_is_missed_when_the_window_is_closed(
    begun: Window, queue: Mapping[int, Backport], ada: User, dev: User
) -> None:
    lock(begun, dev)
    backport = Backport.objects.get(pk=queue[3].pk)
    withdraw_backport(backport=backport, by=ada, fingerprint=backport.fingerprint)
    drive = Drive(begun, dev).take().begin()
    drive.miss(4)
    nothing_is_broken()
    drive.deploy(1, 2)
    drive.close()
    nothing_is_broken()
    for columns, said in (
        ({"reason": "It was slow."}, "is not what its events led to: reason."),
        ({"outcome": "deployed"}, "is deployed; its events led to missed."),
    ):
        with undone():
            step(3, **columns)
            assert broken("I5") == [f"Step 3 of window {begun.pk} {said}"]
