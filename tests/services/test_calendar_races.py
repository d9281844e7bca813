"""The calendar and the train with many at once: clocks that tick twice, and people who click twice.

What guards each is shown by a control: the same done by looking first, and then writing.
"""

import threading
from collections.abc import Callable
from datetime import time, timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from scheduler.actors import grant_roles
from scheduler.domain.errors import Refused
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import Role
from scheduler.domain.windows import WindowKind
from scheduler.models import (
    Backport,
    Event,
    FeedKey,
    GroupMove,
    Notification,
    TrainVersion,
    User,
    Window,
    WindowSeries,
)
from scheduler.queries import is_confirmed_emergency, newest_plan
from scheduler.services.backports import submit_backport, submit_backports
from scheduler.services.calendar import (
    SeriesFacts,
    WindowFacts,
    add_window,
    confirm_emergency,
    end_series,
    make_coming_windows,
    make_series,
)
from scheduler.services.feeds import make_feed_key
from scheduler.services.moving import book_again
from scheduler.services.notifications import deliver_events
from scheduler.services.reviews import approve_backport, send_to_train
from scheduler.services.train import follow_the_train
from scheduler.services.windows import (
    LEFT_FOR,
    UNCLAIMED_FOR,
    miss_what_is_left,
    sign_up,
    skip_unclaimed_windows,
)
from tests.factories import (
    BRANCH,
    answers,
    approve,
    fetched,
    fetched_fix,
    make_backport,
    make_change,
    make_person,
    make_window,
)
from tests.services.checks import kinds, wrongs
from tests.services.test_races import refusals, together

pytestmark = [
    pytest.mark.both_databases,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("events_can_be_cleared"),
]

CROWD = 4
NEXT = "1.47.0-wmf.31"


@pytest.fixture(autouse=True)
def _connections_share_a_database(transactional_db: None) -> None:
    if "memory" in str(connection.settings_dict["NAME"]):
        pytest.skip("Threads need a database of their own: PostgreSQL, or SQLite in a file.")


def again(window: Window) -> Window:
    """Return a window as another process reads it."""
    return Window.objects.get(pk=window.pk)


def series_facts(title: str = "Evening SWAT") -> SeriesFacts:
    tomorrow = timezone.now().date() + timedelta(days=1)
    return SeriesFacts(title, "Europe/Berlin", frozenset(range(5)), time(14), 60, tomorrow)


# --- People -------------------------------------------------------------------------------------


def test_the_last_slot_goes_to_one() -> None:
    ada, rae, window = make_person("ada"), make_person("rae"), make_window()
    slots = window.numbers.max_patches
    changes = [make_change(fetched(1000 + n)) for n in range(slots - 1 + CROWD)]
    booked = submit_backports(changes=changes, window=window, requester=ada, answers=answers())
    for backport in booked[: slots - 1]:
        approve(backport, rae)

    def take(backport: Backport) -> Callable[[], object]:
        current = Backport.objects.get(pk=backport.pk)
        return lambda: approve_backport(
            backport=current, reviewer=rae, fingerprint=current.fingerprint
        )

    together([take(backport) for backport in booked[slots - 1 :]])
    plan = newest_plan(window)
    assert plan is not None
    assert sum(len(step["changes"]) for step in plan.result["queue"]) == slots
    assert wrongs() == []


def test_control_a_slot_that_is_only_looked_for_goes_to_two() -> None:
    free, all_looked = 1, threading.Barrier(2)
    taken: list[int] = []

    def look_then_take() -> None:
        is_free = len(taken) < free
        all_looked.wait(timeout=20)
        if is_free:
            taken.append(1)

    refusals(together([look_then_take, look_then_take]))
    assert len(taken) == 2


def test_a_window_added_by_two_at_once_is_there_once() -> None:
    rel, start = make_person("rel"), timezone.now() + timedelta(days=1)

    def add(minutes: int) -> Callable[[], object]:
        facts = WindowFacts("Extra SWAT", start + timedelta(minutes=minutes), 60)
        return lambda: add_window(facts=facts, by=User.objects.get(pk=rel.pk))

    results = together([add(minutes) for minutes in range(CROWD)])
    assert len(refusals(results)) == CROWD - 1
    assert Window.objects.count() == 1
    assert kinds() == ["window.add"]


def test_control_a_window_that_is_only_looked_for_is_there_twice() -> None:
    start, all_looked = timezone.now() + timedelta(days=1), threading.Barrier(2)

    def look_then_add(minutes: int) -> None:
        begins = start + timedelta(minutes=minutes)
        is_free = not Window.objects.filter(end__gt=begins).exists()
        all_looked.wait(timeout=20)
        if is_free:
            make_window(start=begins, end=begins + timedelta(hours=1))

    refusals(together([lambda: look_then_add(0), lambda: look_then_add(1)]))
    assert Window.objects.count() == 2


def test_a_series_begun_by_two_at_once_is_there_once() -> None:
    rel = make_person("rel")
    results = together([partial(make_series, facts=series_facts(), by=rel)] * 3)
    assert len(refusals(results)) == 2
    assert WindowSeries.objects.count() == 1
    assert wrongs() == []


def test_signing_up_in_many_tabs_at_once_is_once() -> None:
    dev, window = make_person("dev"), make_window()
    refusals(together([lambda: sign_up(window=again(window), by=dev)] * CROWD))
    assert list(window.deployers.all()) == [dev]
    assert kinds() == ["window.sign-up"]


def test_one_person_in_two_tabs_confirms_once() -> None:
    rel = make_person("rel")
    grant_roles(rel, Role.RELEASE_ENGINEER, Role.OPERATIONS)
    window = make_window(is_emergency=True, reason="Nobody can log in.")
    results = together([lambda: confirm_emergency(window=again(window), by=rel)] * 2)
    assert len(refusals(results)) == 1
    assert not is_confirmed_emergency(window)
    assert wrongs() == []


def test_two_people_at_once_confirm_for_each_role() -> None:
    rel, dev = make_person("rel"), make_person("dev")
    grant_roles(dev, Role.OPERATIONS)
    window = make_window(is_emergency=True, reason="Nobody can log in.")

    def confirm(person: User) -> Callable[[], object]:
        return lambda: confirm_emergency(window=again(window), by=person)

    assert refusals(together([confirm(rel), confirm(dev)])) == []
    assert is_confirmed_emergency(window)
    assert wrongs() == []


def test_keys_made_at_once_leave_one_in_force() -> None:
    ada = make_person("ada")
    results = together([lambda: make_feed_key(user=User.objects.get(pk=ada.pk))] * CROWD)
    assert refusals(results) == []
    assert FeedKey.objects.filter(revoked_at__isnull=True).count() == 1


def test_what_is_booked_again_in_many_windows_at_once_is_in_one() -> None:
    ada, window = make_person("ada"), make_window()
    backport = make_backport(window, ada)
    miss_what_is_left(now=window.end + LEFT_FOR)
    others = [make_window(in_hours=48 + n) for n in range(3)]

    def book(other: Window) -> Callable[[], object]:
        return lambda: book_again(
            backport=Backport.objects.get(pk=backport.pk), by=ada, window=again(other)
        )

    results = together([book(other) for other in others])
    assert len(refusals(results)) == 2
    assert Backport.objects.filter(status=Status.SUBMITTED.value).count() == 1
    assert wrongs() == []


@pytest.mark.parametrize("_round", range(2))
def test_a_series_never_ends_before_what_somebody_books_meanwhile(_round: int) -> None:
    rel, ada, dev = make_person("rel"), make_person("ada"), make_person("dev")
    series = make_series(facts=series_facts(), by=rel)
    window, change = series.windows.latest("start"), make_change(fetched(1000))
    others = list(series.windows.order_by("-start")[1:5])
    jobs: list[Callable[[], object]] = [
        lambda: end_series(
            series=WindowSeries.objects.get(), by=rel, last_day=timezone.now().date()
        ),
        lambda: submit_backport(
            change=change, window=again(window), requester=ada, answers=answers()
        ),
        # These take windows, then the head of the log: in another order they would stop each other.
        *(partial(sign_up, window=other, by=dev) for other in others),
    ]
    refusals(together(jobs))
    window.refresh_from_db()
    is_booked = window.backports.exists()
    assert is_booked == (window.cancelled_at is None)
    assert wrongs() == []


# --- The clock ----------------------------------------------------------------------------------


def test_two_clocks_skip_a_window_once() -> None:
    ada, rae, window = make_person("ada"), make_person("rae"), make_window()
    User.objects.filter(pk=ada.pk).update(email="ada@example.org")
    approve(make_backport(window, ada), rae)
    make_backport(window, ada, fetched(1001))
    deliver_events(at=timezone.now())
    Notification.objects.all().delete()
    now = window.start + UNCLAIMED_FOR

    def tick() -> None:
        skip_unclaimed_windows(now=now)
        miss_what_is_left(now=window.end + LEFT_FOR)
        deliver_events(at=now)

    assert refusals(together([tick] * 3)) == []
    assert kinds().count("window.skip") == 1
    assert kinds().count("backport.miss") == 2
    assert Notification.objects.count() == 2
    assert wrongs() == []


def test_control_a_window_that_is_only_looked_for_is_skipped_twice() -> None:
    window, all_looked = make_window(), threading.Barrier(2)
    skipped = []

    def look_then_skip() -> None:
        found = list(Window.objects.filter(skipped_at__isnull=True, deployers__isnull=True))
        all_looked.wait(timeout=20)
        for one in found:
            Window.objects.filter(pk=one.pk).update(skipped_at=timezone.now())
            skipped.append(one.pk)

    refusals(together([look_then_skip, look_then_skip]))
    assert skipped == [window.pk, window.pk]


def test_two_clocks_make_the_windows_of_a_series_once() -> None:
    make_series(facts=series_facts(), by=make_person("rel"))
    before = Window.objects.count()
    later = timezone.now() + timedelta(weeks=1)
    results = together([lambda: make_coming_windows(now=later)] * 3)
    assert refusals(results) == []
    assert sorted(results, key=str) == [0, 0, 5]
    assert Window.objects.count() == before + 5
    assert wrongs() == []


def test_control_windows_that_are_only_looked_for_are_made_twice() -> None:
    all_looked = threading.Barrier(2)

    def look_then_make() -> None:
        is_there = Window.objects.filter(kind=WindowKind.TRAIN.value).exists()
        all_looked.wait(timeout=20)
        if not is_there:
            make_window(kind=WindowKind.TRAIN.value)

    refusals(together([look_then_make, look_then_make]))
    assert Window.objects.count() == 2


@pytest.fixture
def left_to_the_train(transactional_db: None) -> Backport:
    """A fix that rides the next version, which serves every group since a moment ago."""
    ada, rae = make_person("ada"), make_person("rae")
    now = timezone.now()
    versions = [
        TrainVersion.objects.create(name=name, position=n, checked_out_from=now)
        for n, name in enumerate((BRANCH.removeprefix("wmf/"), NEXT))
    ]
    for group in ("group0", "group1"):
        GroupMove.objects.create(group=group, at=now - timedelta(days=7), version=versions[0])
    backport = make_backport(
        make_window(), ada, *fetched_fix(1000, included_in=frozenset({f"wmf/{NEXT}"}))
    )
    backport.refresh_from_db()
    send_to_train(
        backport=backport, by=rae, fingerprint=backport.fingerprint, reason="It can wait."
    )
    for group in ("group0", "group1"):
        GroupMove.objects.create(group=group, at=now, version=versions[1])
    return backport


def test_two_clocks_find_once_that_the_train_arrived(left_to_the_train: Backport) -> None:
    assert refusals(together([partial(follow_the_train, now=timezone.now())] * 3)) == []
    follow_the_train(now=timezone.now())
    left_to_the_train.refresh_from_db()
    assert left_to_the_train.status == Status.DEPLOYED
    assert kinds().count("backport.arrive") == 1
    assert wrongs() == []


def test_control_an_arrival_that_is_only_looked_for_is_told_twice(
    left_to_the_train: Backport,
) -> None:
    told, all_looked = [], threading.Barrier(2)

    def look_then_tell() -> None:
        found = list(Backport.objects.filter(status=Status.TRAIN.value))
        all_looked.wait(timeout=20)
        for one in found:
            Backport.objects.filter(pk=one.pk).update(status=Status.DEPLOYED.value)
            told.append(one.pk)

    refusals(together([look_then_tell, look_then_tell]))
    assert told == [left_to_the_train.pk] * 2


@pytest.mark.parametrize("_round", range(2))
def test_the_train_and_people_who_book_do_not_stop_each_other(
    left_to_the_train: Backport, _round: int
) -> None:
    ada = User.objects.get(username="ada")
    windows = [make_window(in_hours=30 + n) for n in range(3)]
    changes = [make_change(fetched(2000 + n)) for n in range(3)]

    def book(n: int) -> Callable[[], object]:
        return lambda: submit_backport(
            change=changes[n], window=again(windows[n]), requester=ada, answers=answers()
        )

    def tick() -> None:
        for _ in range(3):
            follow_the_train(now=timezone.now())

    results = together([tick, tick, *(book(n) for n in range(3))])
    assert [one for one in results if isinstance(one, Refused)] == []
    assert refusals(results) == []
    assert Event.objects.filter(kind="backport.submit").count() == 4
    assert wrongs() == []
