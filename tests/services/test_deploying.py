"""Driving a window: one order, one driver, and nothing that is not approved, needed and safe."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from django.utils import timezone

from scheduler.domain.backports import Mark, Urgency
from scheduler.domain.changes import ChangeStatus
from scheduler.domain.checklist.run import Choice, Outcome
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.errors import NotPermitted, OutOfDate, Refused
from scheduler.domain.lifecycle import Status
from scheduler.domain.statements import OnlyFirst, StatementKind
from scheduler.models import (
    Backport,
    Change,
    Event,
    Freeze,
    Lease,
    PlanStepMember,
    Presence,
    Question,
    Run,
    RunItem,
    RunStep,
    Statement,
    User,
    Window,
)
from scheduler.services.backports import withdraw_backport
from scheduler.services.deploying import (
    OnStep,
    begin_window,
    check_in,
    close_what_was_left,
    close_window,
    extend_window,
    read_before_start,
    seen_of,
    start_step,
    tick_item,
    vouch_for_step,
)
from scheduler.services.failing import choose_for_step, miss_step
from scheduler.services.invariants import INVARIANTS
from scheduler.services.leases import accept_wheel, offer_wheel, take_wheel
from scheduler.services.moving import move_on
from scheduler.services.reviews import veto_backport, withdraw_approval
from scheduler.services.windows import miss_what_is_left, step_down, unlock_window
from tests.driving import ANSWERED, SILENT, Drive, lock
from tests.factories import approve, fetched, make_backport, make_window
from tests.fakes import FakeReviewSystem

MINUTE = timedelta(minutes=1)


@pytest.fixture
def begun(db: None) -> Window:
    """A window of an hour that began five minutes ago."""
    start = timezone.now() - 5 * MINUTE
    return make_window(start=start, end=start + 60 * MINUTE)


@pytest.fixture
def queue(begun: Window, ada: User, rae: User) -> Mapping[int, Backport]:
    """Three approved changes: 1, then 2 which needs it, then 3 which needs nothing."""
    made = {}
    for number in (1, 2, 3):
        needs = f"\n\nDepends-On: I{1:040x}" if number == 2 else ""
        change = fetched(number, message=f"Change\n{needs}\nChange-Id: I{number:040x}")
        made[number] = approve(make_backport(begun, ada, change), rae)
    return made


@pytest.fixture
def drive(begun: Window, queue: Mapping[int, Backport], dev: User) -> Drive:
    """Dev drives the window, which has begun."""
    lock(begun, dev)
    return Drive(begun, dev).take().begin()


def status(backport: Backport) -> str:
    return Backport.objects.get(pk=backport.pk).status


def statuses(queue: Mapping[int, Backport]) -> list[str]:
    return [status(one) for one in queue.values()]


def nothing_is_broken() -> None:
    now = timezone.now()
    assert [broken for one in INVARIANTS for broken in one.broken(now)] == []


def test_a_window_is_driven_to_its_end(drive: Drive, queue: Mapping[int, Backport]) -> None:
    assert [state.step.changes for state in drive.course.state.steps] == [(1,), (2,), (3,)]
    drive.start(1)
    assert status(queue[1]) == Status.DEPLOYING.value
    drive.until(1, ItemKind.SYNC)
    assert drive.course.state.live == ()
    drive.finish(1)
    assert Change.objects.get(number=1).deployed
    drive.deploy(2, 3)
    drive.close()

    assert statuses(queue) == ["deployed"] * 3
    assert drive.course.is_closed
    assert drive.course.lease is None
    told = Event.objects.get(kind="window.close").payload
    assert told["outcomes"] == {"deployed": 3, "reverted": 0, "skipped": 0, "missed": 0}
    assert [step["outcome"] for step in told["steps"]] == ["deployed"] * 3
    nothing_is_broken()


def test_steps_come_in_their_order_wherever_the_database_keeps_them(drive: Drive) -> None:
    stored = list(PlanStepMember.objects.order_by("-step__position"))
    PlanStepMember.objects.all().delete()
    for member in stored:
        member.pk = None
    PlanStepMember.objects.bulk_create(stored)

    assert list(drive.course.members) == [1, 2, 3]


def test_evidence_tells_who_when_under_which_lease_and_the_proof(drive: Drive) -> None:
    drive.start(1)
    item = drive.tick(1, ItemKind.MERGE, proof="  https://gerrit.example/1  ")

    assert (item.done_by, item.lease, item.proof) == (drive.by, 1, "https://gerrit.example/1")
    drive.until(1, ItemKind.SYNC)
    tested = RunItem.objects.get(step__position=1, kind="verify")
    assert tested.done_by is not None
    assert (tested.done_by.username, tested.lease) == ("ada", None)
    event = Event.objects.filter(kind="step.tick").order_by("seq")[0]
    assert event.payload["proof"] == "https://gerrit.example/1"
    assert event.at == RunItem.objects.get(pk=item.pk).done_at


def test_no_step_starts_before_its_turn_and_no_item_before_its_predecessors(drive: Drive) -> None:
    with pytest.raises(Refused, match="Step 1 goes first"):
        drive.start(3)
    drive.start(1)
    with pytest.raises(Refused, match="Step 1 is under way"):
        drive.start(2)
    with pytest.raises(Refused, match="That comes later"):
        drive.tick(1, ItemKind.SYNC)
    with pytest.raises(Refused, match="Step 2 has not started"):
        drive.tick(2, ItemKind.MERGE)


def test_a_second_click_does_nothing(drive: Drive) -> None:
    on = drive.on(1)
    start_step(on=on, reading=ANSWERED)
    with pytest.raises(OutOfDate, match="changed since you opened"):
        start_step(on=on, reading=ANSWERED)
    on = drive.on(1)
    item = RunItem.objects.filter(step__position=1).earliest("place")
    tick_item(on=on, item=item.pk)
    with pytest.raises(OutOfDate):
        tick_item(on=on, item=item.pk)
    with pytest.raises(OutOfDate, match="done already"):
        tick_item(on=drive.on(1), item=item.pk)
    assert Event.objects.filter(kind="step.tick").count() == 1


def test_a_tick_of_another_window_or_step_is_refused(drive: Drive) -> None:
    drive.start(1)
    other = RunItem.objects.filter(step__position=2).earliest("place")
    with pytest.raises(Refused, match="no such item"):
        tick_item(on=drive.on(1), item=other.pk)
    with pytest.raises(Refused, match="no such item"):
        tick_item(on=drive.on(1), item=987654)
    with pytest.raises(Refused, match="no step 9"):
        start_step(on=OnStep(drive.window, 9, drive.by, 0, drive.lease), reading=ANSWERED)


def test_only_the_driver_drives(drive: Drive, rel: User, ada: User, sam: User) -> None:
    for stranger, refusal in ((rel, OutOfDate), (ada, NotPermitted), (sam, NotPermitted)):
        other = OnStep(drive.window, 1, stranger, 0, drive.lease)
        with pytest.raises(refusal):
            start_step(on=other, reading=ANSWERED)
    assert not RunStep.objects.exclude(phase="waiting").exists()


def test_only_the_tester_verifies(drive: Drive, rel: User) -> None:
    drive.start(1)
    drive.until(1, ItemKind.VERIFY)
    item = RunItem.objects.get(step__position=1, kind="verify")
    with pytest.raises(NotPermitted, match="Only ada says what is seen on the test servers"):
        tick_item(on=drive.on(1), item=item.pk)
    with pytest.raises(NotPermitted, match="Only the requester or the tester may verify"):
        tick_item(on=drive.on(1, rel), item=item.pk)
    assert drive.tick(1, ItemKind.VERIFY).done_by != drive.by


def test_the_driver_verifies_by_the_test_plan_where_the_policy_lets_them(
    begun: Window, ada: User, rae: User, dev: User
) -> None:
    approve(
        make_backport(
            begun,
            ada,
            fetched(1),
            present=False,
            marks=frozenset({Mark.LOW_RISK, Mark.TEST_PLAN}),
        ),
        rae,
    )
    lock(begun, dev)
    drive = Drive(begun, dev).take().begin()
    drive.start(1)
    drive.until(1, ItemKind.SYNC)

    item = RunItem.objects.get(kind="verify")
    assert (item.done_by, item.lease) == (dev, 1)
    assert item.title.startswith("The deployer, by its test plan,")
    assert Event.objects.get(kind="step.tick", payload__item="verify").payload["by_plan"]


def test_a_named_tester_verifies_and_fails_it_too(
    begun: Window, ada: User, rae: User, dev: User, sam: User
) -> None:
    approve(make_backport(begun, ada, fetched(1), tester="Sam"), rae)
    lock(begun, dev)
    drive = Drive(begun, dev).take().begin()
    drive.start(1)
    drive.until(1, ItemKind.VERIFY)
    item = RunItem.objects.get(kind="verify")
    assert tick_item(on=drive.on(1, sam), item=item.pk).items[item.pk].done_by == sam


def test_what_is_not_there_cannot_be_begun(begun: Window, dev: User, ada: User, rae: User) -> None:
    approve(make_backport(begun, ada), rae)
    with pytest.raises(Refused, match="Lock the queue first"):
        take_wheel(window=begun, by=dev)
    lock(begun, dev)
    with pytest.raises(OutOfDate, match="Nobody drives this window"):
        begin_window(window=begun, by=dev, lease=1, seen="")
    drive = Drive(begun, dev).take()
    with pytest.raises(Refused, match="has not begun"):
        start_step(on=OnStep(begun, 1, dev, 0, drive.lease), reading=ANSWERED)
    drive.begin()
    with pytest.raises(OutOfDate, match="begun already"):
        drive.begin()


def test_a_window_begins_when_the_clock_says_so(
    window: Window, dev: User, ada: User, rae: User
) -> None:
    approve(make_backport(window, ada), rae)
    lock(window, dev)
    drive = Drive(window, dev).take()
    with pytest.raises(Refused, match="The window begins at"):
        drive.begin()
    move = timedelta(hours=30)
    Window.objects.filter(pk=window.pk).update(start=window.start - move, end=window.end - move)
    with pytest.raises(Refused, match="This window is over"):
        drive.begin()


def test_a_replay_begins_whenever_somebody_wants(
    window: Window, dev: User, ada: User, rae: User
) -> None:
    approve(make_backport(window, ada), rae)
    Window.objects.filter(pk=window.pk).update(as_of=window.start - timedelta(hours=1))
    window.refresh_from_db()
    lock(window, dev)
    drive = Drive(window, dev).take().begin().deploy(1)
    drive.close()
    assert drive.course.state.live == (1000,)


def test_an_open_question_holds_everything_up(drive: Drive) -> None:
    asked = Question.objects.create(
        window=drive.window, low=1, high=3, points=3, advice="ask", asked_at=timezone.now()
    )
    with pytest.raises(Refused, match="how 1 and 3 belong together"):
        drive.start(1)
    asked.delete()
    drive.start(1)


def test_what_was_left_merged_is_dealt_with_first(drive: Drive) -> None:
    Change.objects.create(
        number=77,
        project="operations/mediawiki-config",
        branch="master",
        change_id=f"I{77:040x}",
        status=ChangeStatus.MERGED.value,
        deployed=False,
        patch_set=1,
        sha="a" * 40,
        fetched_at=timezone.now(),
    )
    with pytest.raises(Refused, match="Deal with 77 first: merged, known not to be deployed"):
        drive.start(1)


def test_a_step_that_is_under_way_elsewhere_holds_everything_up(
    drive: Drive, ada: User, rae: User, rel: User
) -> None:
    drive.start(1)
    start = timezone.now() - MINUTE
    later = make_window(start=start, end=start + 60 * MINUTE)
    approve(make_backport(later, ada, fetched(9)), rae)
    lock(later, rel)
    with pytest.raises(Refused, match=r"A step of Morning SWAT, .* is still under way"):
        Drive(later, rel).take().begin()
    drive.finish(1)
    Drive(later, rel, lease=1).begin()


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"patch_set": 2}, "It has a new patch set since the lock: 2 now, and 1 was approved"),
        ({"status": ChangeStatus.ABANDONED}, "It was abandoned in Gerrit"),
        ({"work_in_progress": True}, "It became a work in progress"),
        ({"labels": {"Verified": -1, "Code-Review": 2}}, "CI failed since the lock"),
        ({"labels": {"Verified": 2}}, "It lost its code review"),
    ],
)
def test_gerrit_is_read_again_at_each_start(
    drive: Drive, queue: Mapping[int, Backport], facts: dict[str, object], told: str
) -> None:
    system = FakeReviewSystem([fetched(1, **facts)])  # type: ignore[arg-type]
    reading = read_before_start(window=drive.window, position=1, system=system)
    assert not system.was_in_transaction
    assert reading == ANSWERED
    with pytest.raises(Refused, match=told):
        drive.start(1, reading)
    with pytest.raises(Refused, match=r"Step 3 goes first|It needs 1, which does not go"):
        drive.start(2)
    drive.deploy(3)
    assert status(queue[1]) != Status.DEPLOYING.value
    drive.close()
    assert [status(queue[2]), status(queue[3])] == ["missed", "deployed"]
    nothing_is_broken()


def test_what_was_approved_starts_with_its_commit(
    drive: Drive, queue: Mapping[int, Backport]
) -> None:
    system = FakeReviewSystem([fetched(1)])
    drive.start(1, read_before_start(window=drive.window, position=1, system=system))
    row = Backport.objects.get(pk=queue[1].pk)
    assert (row.started_patch_set, row.started_sha) == (1, fetched(1).sha)
    assert system.asked == ["1"]


def test_a_step_that_has_started_is_not_changed_by_a_new_patch_set(
    drive: Drive, queue: Mapping[int, Backport]
) -> None:
    """Gerrit makes one when it merges by rebasing."""
    drive.start(1)
    system = FakeReviewSystem([fetched(1, patch_set=2, status=ChangeStatus.MERGED)])
    read_before_start(window=drive.window, position=1, system=system)
    assert status(queue[1]) == Status.DEPLOYING.value
    nothing_is_broken()
    drive.finish(1)
    assert status(queue[1]) == Status.DEPLOYED.value


def test_without_an_answer_of_gerrit_a_second_person_has_to_say_so(
    drive: Drive, rae: User, ada: User, dev: User, rel: User
) -> None:
    assert read_before_start(window=drive.window, position=1, system=None).trouble
    silent = read_before_start(window=drive.window, position=1, system=FakeReviewSystem())
    assert silent.trouble == "The review system does not answer"
    assert drive.start(1, SILENT).phase == "waiting"
    assert drive.course.hour.unverified == 1
    for person, refusal in ((dev, "You drive this window"), (ada, "you requested it")):
        with pytest.raises(NotPermitted, match=refusal):
            vouch_for_step(on=drive.on(1, person), reason="I read it there.")
    with pytest.raises(Refused, match="Say how you know"):
        vouch_for_step(on=drive.on(1, rel), reason=" ")
    vouch_for_step(on=drive.on(1, rel), reason="The commit is the same on the deploy host.")
    assert drive.start(1, SILENT).phase == "going"
    told = Event.objects.get(kind="backport.start").payload
    assert (told["unverified"], told["vouched_by"]) == (SILENT.trouble, "rel")
    with pytest.raises(OutOfDate, match="Nothing waits"):
        vouch_for_step(on=drive.on(1, rel), reason="Again.")


def test_the_word_of_a_second_person_does_not_last(drive: Drive, rel: User) -> None:
    drive.start(1, SILENT)
    vouch_for_step(on=drive.on(1, rel), reason="The commit is the same.")
    RunStep.objects.filter(position=1).update(vouched_at=timezone.now() - 16 * MINUTE)
    assert drive.start(1, SILENT).phase == "waiting"


def test_the_second_person_is_not_the_one_who_drives_by_now(drive: Drive, rel: User) -> None:
    drive.start(1, SILENT)
    vouch_for_step(on=drive.on(1, rel), reason="The commit is the same.")
    offer_wheel(window=drive.window, by=drive.by, lease=drive.lease, to=rel, note="Yours.")
    taken = Drive(drive.window, rel, accept_wheel(window=drive.window, by=rel, lease=1).number)
    assert taken.start(1, SILENT).phase == "waiting"
    assert taken.start(1).phase == "going"


def test_what_was_moved_to_another_window_stays_there(
    drive: Drive, queue: Mapping[int, Backport], window: Window, rae: User, ada: User
) -> None:
    backport = Backport.objects.get(pk=queue[3].pk)
    withdraw_approval(
        backport=backport, by=rae, fingerprint=backport.fingerprint, reason="Not sure."
    )
    backport.refresh_from_db()
    move_on(backport=backport, by=ada, to=window, fingerprint=backport.fingerprint)
    assert drive.course.state.blocked[3] == "It was moved to another window since the lock."
    drive.deploy(1, 2)
    drive.close()
    assert statuses(queue) == ["deployed", "deployed", "submitted"]
    nothing_is_broken()


def test_a_freeze_that_came_after_the_lock_blocks_what_it_stops(
    drive: Drive, queue: Mapping[int, Backport]
) -> None:
    now = timezone.now()
    freeze = Freeze.objects.create(
        starts=now - MINUTE, ends=now + 60 * MINUTE, reason="an election", scope="normal"
    )
    with pytest.raises(Refused, match="A freeze stops it: an election"):
        drive.start(1)
    Backport.objects.filter(pk=queue[1].pk).update(urgency=Urgency.HIGH.value)
    assert drive.course.state.blocked.keys() == {2, 3}
    freeze.delete()
    assert drive.course.state.blocked == {}


def test_no_step_starts_after_the_last_start_unless_the_driver_extends(drive: Drive) -> None:
    ago = timezone.now() - 52 * MINUTE
    Window.objects.filter(pk=drive.window.pk).update(start=ago, end=ago + 60 * MINUTE)
    drive.window.refresh_from_db()
    with pytest.raises(Refused, match="No step starts after"):
        drive.start(1)
    extend = {"window": drive.window, "by": drive.by, "lease": drive.lease}
    for minutes, reason, told in ((5, " ", "Say why"), (61, "x", "at most 60"), (0, "x", "most")):
        with pytest.raises(Refused, match=told):
            extend_window(**extend, minutes=minutes, reason=reason)  # type: ignore[arg-type]
    extend_window(**extend, minutes=10, reason="One more fix.")  # type: ignore[arg-type]
    drive.start(1)
    assert Event.objects.get(kind="window.extend").payload["minutes"] == 10


def test_production_has_to_be_safe_after_the_step_by_the_checker_of_its_own(
    drive: Drive, ada: User
) -> None:
    """Also where the plan that was locked did not know yet."""
    changes = {number: Change.objects.get(number=number) for number in (1, 3)}
    Statement.objects.create(
        first=changes[3],
        then=changes[1],
        low=1,
        high=3,
        kind=StatementKind.BEFORE.value,
        only_first=OnlyFirst.NOTHING.value,
        by=ada,
        made_at=timezone.now(),
    )
    with pytest.raises(Refused, match="Production would not be safe after it"):
        drive.start(1)


def test_a_failure_before_the_sync_is_reverted_and_the_rest_goes_on(
    drive: Drive, queue: Mapping[int, Backport]
) -> None:
    drive.start(1)
    drive.until(1, ItemKind.SYNC)
    drive.fail(1)
    with pytest.raises(Refused, match="Step 1 is failed"):
        drive.start(3)
    with pytest.raises(OutOfDate):
        drive.fail(1)
    drive.choose(1, Choice.REVERT)
    assert [i.kind for i in RunItem.objects.filter(step__position=1)][-3:] == [
        "take-back",
        "watch-back",
        "log-back",
    ]
    with pytest.raises(Refused, match="Step 1 is being reverted"):
        drive.start(3)
    drive.finish(1)
    assert drive.course.state.blocked == {2: "It needs 1, which was reverted."}
    drive.deploy(3)
    drive.close()
    assert statuses(queue) == ["reverted", "missed", "deployed"]
    assert drive.course.state.live == (3,)
    assert drive.course.leftovers == ()
    nothing_is_broken()


def test_what_went_live_and_broke_is_taken_back_after_what_needs_it(
    drive: Drive, queue: Mapping[int, Backport]
) -> None:
    drive.deploy(1, 2)
    drive.fail(1, "The logs are full.")
    drive.choose(1, Choice.REVERT)
    assert drive.course.state.current is not None
    assert drive.course.state.current.position == 2
    with pytest.raises(Refused, match="Step 2 is taken back first"):
        drive.tick(1, ItemKind.TAKE_BACK)
    drive.finish(2)
    assert drive.course.state.live == (1,)
    drive.finish(1)
    assert statuses(queue) == ["reverted", "reverted", "queued"]
    assert [Change.objects.get(number=n).deployed for n in (1, 2)] == [False, False]
    nothing_is_broken()


def test_what_was_never_merged_is_left(drive: Drive, queue: Mapping[int, Backport]) -> None:
    drive.start(1)
    drive.fail(1, "CI does not pass.")
    drive.choose(1, Choice.LEAVE, "CI is broken.")
    assert RunStep.objects.get(position=1).outcome == Outcome.SKIPPED.value
    assert status(queue[1]) == "missed"
    assert drive.course.state.blocked.keys() == {2}
    drive.deploy(3)
    drive.close()
    assert statuses(queue) == ["missed", "missed", "deployed"]
    nothing_is_broken()


def test_what_is_merged_and_left_halts_everything_until_it_is_reverted(
    drive: Drive, queue: Mapping[int, Backport]
) -> None:
    drive.start(1)
    drive.until(1, ItemKind.VERIFY)
    drive.fail(1)
    drive.choose(1, Choice.LEAVE)
    with pytest.raises(Refused, match="the next sync would carry it along"):
        drive.start(3)
    drive.choose(1, Choice.REVERT)
    drive.finish(1)
    assert status(queue[1]) == "reverted"
    drive.deploy(3)
    nothing_is_broken()


def test_what_is_live_and_left_stays_and_nothing_is_built_on_it(
    drive: Drive, queue: Mapping[int, Backport]
) -> None:
    drive.start(1)
    drive.until(1, ItemKind.WATCH)
    drive.fail(1, "A little slower.")
    drive.choose(1, Choice.LEAVE)
    assert status(queue[1]) == "deployed"
    assert drive.course.state.blocked == {2: "It needs 1, which failed."}
    nothing_is_broken()


def test_a_revert_that_fails_stays_to_be_done(drive: Drive) -> None:
    drive.start(1)
    drive.until(1, ItemKind.SYNC)
    drive.fail(1)
    drive.choose(1, Choice.REVERT)
    drive.fail(1, "CI is slow.")
    step = RunStep.objects.get(position=1)
    assert step.phase == "going-back"
    assert step.output == "Every page is a 500.\n\nThe way back failed, too: CI is slow."
    nothing_is_broken()
    drive.finish(1)
    nothing_is_broken()


def test_a_choice_is_about_what_was_shown(drive: Drive) -> None:
    drive.start(1)
    drive.fail(1)
    with pytest.raises(OutOfDate, match="lead to something else"):
        choose_for_step(on=drive.on(1), choice=Choice.LEAVE, shown="/1/", reason="So.")
    with pytest.raises(Refused, match="Say why"):
        drive.choose(1, Choice.LEAVE, " ")
    with pytest.raises(OutOfDate, match="lead to something else"):
        miss_step(on=drive.on(2), why="time", shown="")
    drive.choose(1, Choice.LEAVE)
    drive.start(3)
    with pytest.raises(Refused, match="Say what was seen"):
        drive.fail(3, " ")


def test_an_absent_tester_makes_the_step_missed_and_what_needs_it(
    drive: Drive, queue: Mapping[int, Backport]
) -> None:
    drive.miss(1)
    assert statuses(queue) == ["missed", "missed", "queued"]
    events = Event.objects.filter(kind="backport.miss").order_by("seq")
    assert [event.payload["reason"] for event in events] == [
        "nobody was there to test it",
        "it needs 1, which was missed: nobody was there to test it",
    ]
    with pytest.raises(Refused, match="Say why it does not go"):
        drive.miss(3, "boredom")
    drive.deploy(3)
    with pytest.raises(Refused, match="Step 3 is over"):
        drive.miss(3)
    nothing_is_broken()


def test_what_waits_on_the_test_servers_for_nobody_is_taken_back_and_missed(
    drive: Drive, queue: Mapping[int, Backport]
) -> None:
    drive.start(1)
    drive.until(1, ItemKind.VERIFY)
    drive.miss(1)
    assert statuses(queue) == ["deploying", "missed", "queued"]
    with pytest.raises(Refused, match="Step 1 is being reverted"):
        drive.start(3)
    drive.finish(1)
    assert statuses(queue) == ["missed", "missed", "queued"]
    assert RunStep.objects.get(position=1).reason == "nobody was there to test it"
    Change.objects.filter(number=1).update(status=ChangeStatus.MERGED.value)
    assert drive.course.leftovers == ()
    drive.deploy(3)
    nothing_is_broken()


def test_what_is_live_is_not_missed(drive: Drive) -> None:
    drive.start(1)
    drive.until(1, ItemKind.WATCH)
    with pytest.raises(Refused, match="and live"):
        drive.miss(1)


@pytest.mark.parametrize("deed", ["veto", "withdraw"])
def test_a_veto_or_a_withdrawal_takes_along_what_needs_it(
    drive: Drive, queue: Mapping[int, Backport], ada: User, deed: str
) -> None:
    backport = Backport.objects.get(pk=queue[1].pk)
    said = {"backport": backport, "fingerprint": backport.fingerprint}
    if deed == "veto":
        veto_backport(**said, by=drive.by, reason="Not today.")  # type: ignore[arg-type]
    else:
        withdraw_backport(**said, by=ada)  # type: ignore[arg-type]
    assert statuses(queue)[1:] == ["missed", "queued"]
    assert [step.outcome for step in RunStep.objects.order_by("position")] == [
        "missed",
        "missed",
        "",
    ]
    drive.deploy(3)
    drive.close()
    nothing_is_broken()


def test_closing_gives_every_step_its_outcome(drive: Drive, queue: Mapping[int, Backport]) -> None:
    drive.deploy(1)
    with pytest.raises(Refused, match="Say why the steps that could still start"):
        drive.close()
    with pytest.raises(OutOfDate, match="what will be missed"):
        close_window(window=drive.window, by=drive.by, lease=drive.lease, seen="3", reason="Late.")
    drive.start(2)
    with pytest.raises(Refused, match="Step 2 is under way: finish it first"):
        drive.close("Late.")
    drive.finish(2)
    drive.close("Late.")
    assert statuses(queue) == ["deployed", "deployed", "missed"]
    assert RunStep.objects.get(position=3).reason == "Late."
    with pytest.raises(OutOfDate):
        drive.start(3)
    with pytest.raises(Refused, match="This window is closed"):
        take_wheel(window=drive.window, by=drive.by)


def test_a_window_that_nobody_drives_any_more_is_closed_by_the_clock(
    drive: Drive, queue: Mapping[int, Backport]
) -> None:
    drive.deploy(1)
    now = timezone.now()
    ago = timedelta(hours=2)
    Window.objects.filter(pk=drive.window.pk).update(start=now - ago, end=now - ago / 2)
    Run.objects.update(extra_minutes=60)
    assert miss_what_is_left(now=now) == 0
    assert close_what_was_left(now=now) == 0  # somebody drives
    Lease.objects.update(until=now - MINUTE, taken_at=now - ago)
    assert close_what_was_left(now=now) == 1
    assert close_what_was_left(now=now) == 0
    assert statuses(queue) == ["deployed", "missed", "missed"]
    assert Run.objects.get().closed_by is None


def test_the_clock_leaves_a_step_that_is_under_way(drive: Drive) -> None:
    drive.start(1)
    now, ago = timezone.now(), timedelta(hours=2)
    Window.objects.filter(pk=drive.window.pk).update(start=now - ago, end=now - ago / 2)
    Lease.objects.update(until=now - MINUTE, taken_at=now - ago)
    assert close_what_was_left(now=now) == 0


def test_once_begun_the_queue_is_fixed_for_good(drive: Drive) -> None:
    with pytest.raises(Refused, match="its queue is fixed for good"):
        unlock_window(window=drive.window, by=drive.by, reason="Again.")
    with pytest.raises(Refused, match="You drive this window"):
        step_down(window=drive.window, by=drive.by)


def test_testers_say_that_they_are_there(
    drive: Drive, queue: Mapping[int, Backport], ada: User, sam: User
) -> None:
    check_in(backport=queue[1], by=ada)
    check_in(backport=queue[1], by=ada)
    assert Presence.objects.count() == Event.objects.filter(kind="backport.check-in").count() == 1
    assert drive.course.hour.here == {"ada"}
    with pytest.raises(NotPermitted, match="Only the requester or the tester"):
        check_in(backport=queue[1], by=sam)
    drive.miss(3)
    with pytest.raises(Refused, match="not in a queue"):
        check_in(backport=queue[3], by=ada)


def test_nobody_is_there_hours_before(window: Window, ada: User, rae: User, dev: User) -> None:
    backport = approve(make_backport(window, ada), rae)
    lock(window, dev)
    with pytest.raises(Refused, match="a quarter of an hour before the start"):
        check_in(backport=backport, by=ada)


def test_what_changed_since_the_lock_has_to_be_read_before_it_begins(
    begun: Window, queue: Mapping[int, Backport], dev: User
) -> None:
    lock(begun, dev)
    drive = Drive(begun, dev).take()
    seen = seen_of(drive.course)
    system = FakeReviewSystem([fetched(3, patch_set=2)])
    read_before_start(window=begun, position=3, system=system)
    with pytest.raises(OutOfDate, match="Something changed since you read it"):
        begin_window(window=begun, by=dev, lease=drive.lease, seen=seen)
    drive.begin()
    assert Event.objects.get(kind="window.begin").payload["blocked"].keys() == {"3"}
