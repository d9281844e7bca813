"""What is merged and not live halts everything, whoever says so and wherever it was left."""

from datetime import timedelta

import pytest
from django.utils import timezone

from scheduler.actors import grant_roles
from scheduler.domain.changes import ChangeStatus
from scheduler.domain.checklist.run import Choice
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.errors import NotPermitted, OutOfDate, Refused
from scheduler.models import Backport, Change, Event, Lease, RunStep, User, Window
from scheduler.services.deploying import OnStep, begin_window, check_in, seen_of
from scheduler.services.failing import fail_step
from scheduler.services.invariants import INVARIANTS
from scheduler.services.leases import give_back_wheel, keep_wheel, take_wheel
from scheduler.services.moving import book_again
from scheduler.services.windows import unlock_window
from tests.driving import SILENT, Drive, lock
from tests.factories import approve, fetched, make_backport, make_change, make_window

HOUR = timedelta(hours=1)


def begun_window(ago: int = 5) -> Window:
    start = timezone.now() - timedelta(minutes=ago)
    return make_window(start=start, end=start + HOUR)


@pytest.fixture
def drive(ada: User, rae: User, dev: User) -> Drive:
    """Dev drives a window of 1 and 3, which has begun."""
    window = begun_window()
    for number in (1, 3):
        approve(make_backport(window, ada, fetched(number)), rae)
    lock(window, dev)
    return Drive(window, dev).take().begin()


def merged_in_gerrit(number: int) -> None:
    make_change(fetched(number, status=ChangeStatus.MERGED))


def nothing_is_broken() -> None:
    now = timezone.now()
    assert [broken for one in INVARIANTS for broken in one.broken(now)] == []


def test_gerrits_word_counts_where_nobody_ticked(drive: Drive) -> None:
    drive.start(1)
    drive.fail(1, "CI says no.")
    merged_in_gerrit(1)
    drive.choose(1, Choice.LEAVE)

    with pytest.raises(Refused, match="the next sync would carry it along"):
        drive.start(2)
    assert Change.objects.get(number=1).deployed is False
    nothing_is_broken()


def test_what_gerrit_merged_is_reverted_before_it_is_missed(drive: Drive) -> None:
    drive.start(1)
    merged_in_gerrit(1)
    drive.miss(1)

    assert RunStep.objects.get(position=1).phase == "going-back"


def left_merged(drive: Drive) -> None:
    """Leave step 1 merged and not live, and close the window; Gerrit is not heard of again."""
    drive.start(1)
    drive.until(1, ItemKind.VERIFY)
    drive.fail(1)
    drive.choose(1, Choice.LEAVE)
    drive.close("We go home.")
    assert Change.objects.get(number=1).status == "NEW"


def next_window(ada: User, rae: User, dev: User, *numbers: int) -> Drive:
    window = begun_window(4)
    for number in numbers:
        approve(make_backport(window, ada, fetched(number)), rae)
    lock(window, dev)
    return Drive(window, dev).take()


def test_the_next_window_does_not_begin_before_it_is_dealt_with(
    drive: Drive, ada: User, rae: User, dev: User
) -> None:
    left_merged(drive)
    later = next_window(ada, rae, dev, 9)
    with pytest.raises(Refused, match="Deal with 1 first"):
        later.begin()

    drive.take()
    with pytest.raises(OutOfDate, match="what was left merged is still to be reverted"):
        drive.close()
    drive.choose(1, Choice.REVERT)
    drive.finish(1)

    later.begin().deploy(1)
    with pytest.raises(Refused, match="This window is closed"):
        take_wheel(window=drive.window, by=drive.by)
    nothing_is_broken()


def test_what_was_left_and_is_booked_again_goes_first(
    drive: Drive, ada: User, rae: User, dev: User
) -> None:
    left_merged(drive)
    again = next_window(ada, rae, dev, 9)
    give_back_wheel(window=again.window, by=dev, lease=again.lease)
    unlock_window(window=again.window, by=dev, reason="One more.")
    ended = Backport.objects.get(change__number=1, status="missed")
    (made,) = book_again(backport=ended, by=ada, window=again.window)
    approve(made, rae)
    lock(again.window, dev)
    again.take().begin()
    positions = {state.step.changes[0]: state.position for state in again.course.state.steps}
    if positions[9] == 1:
        with pytest.raises(Refused, match="1 is merged and not live, and in this queue again"):
            again.start(1)
        again.miss(1, "time")
    again.deploy(positions[1])
    assert Change.objects.get(number=1).deployed


def test_what_is_begun_is_the_queue_that_was_shown(ada: User, rae: User, dev: User) -> None:
    shown = next_window(ada, rae, dev, 1)
    seen = seen_of(shown.course)
    unlock_window(window=shown.window, by=dev, reason="Another one.")
    approve(make_backport(shown.window, ada, fetched(8)), rae)
    lock(shown.window, dev)
    with pytest.raises(OutOfDate, match="Something changed since you read it"):
        begin_window(window=shown.window, by=dev, lease=shown.lease, seen=seen)


def test_who_may_not_drive_any_more_does_not_keep_the_wheel(
    drive: Drive, rel: User, dev: User
) -> None:
    grant_roles(dev)
    assert keep_wheel(window=drive.window, by=dev, lease=drive.lease) is None
    with pytest.raises(Refused, match="Say why you take it over"):
        take_wheel(window=drive.window, by=rel)
    assert take_wheel(window=drive.window, by=rel, reason="Dev may not any more.").number == 2


def test_who_may_not_drive_any_more_gives_it_back(drive: Drive, dev: User) -> None:
    grant_roles(dev)
    give_back_wheel(window=drive.window, by=dev, lease=drive.lease)
    assert not Lease.objects.filter(ended_at__isnull=True).exists()


def test_a_closed_account_fails_nothing(drive: Drive, ada: User) -> None:
    drive.start(1)
    drive.until(1, ItemKind.VERIFY)
    ada.is_active = False
    ada.save()
    row = RunStep.objects.get(position=1)
    with pytest.raises(NotPermitted, match="This account is closed"):
        fail_step(on=OnStep(drive.window, 1, ada, row.turn), output="No.")


def test_that_gerrit_is_silent_is_told_once(drive: Drive) -> None:
    turns = {drive.start(1, SILENT).turn for _ in range(4)}
    assert len(turns) == 1
    assert Event.objects.filter(kind="step.unverified").count() == 1


def test_who_is_there_is_there_for_one_window(drive: Drive, ada: User, window: Window) -> None:
    backport = Backport.objects.get(change__number=1)
    check_in(backport=backport, by=ada)
    assert drive.course.here
    Backport.objects.filter(pk=backport.pk).update(window=window)
    assert not Drive(window, drive.by).course.here
