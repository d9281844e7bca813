"""Series, single windows, freezes and emergencies: who may, one event each, and nothing lost."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from scheduler.actors import grant_roles
from scheduler.adapters.plan_document import time_text
from scheduler.domain.backports import Urgency
from scheduler.domain.errors import AmbiguousLocalTime, NoSuchLocalTime, NotPermitted, Refused
from scheduler.domain.notices import Why
from scheduler.domain.permissions import Role
from scheduler.domain.windows import FreezeScope, Recurrence, WindowKind
from scheduler.models import (
    Backport,
    EmergencyConfirmation,
    Event,
    Freeze,
    OtherName,
    Plan,
    Promotion,
    TrainVersion,
    User,
    Window,
    WindowSeries,
)
from scheduler.queries import freezes_during, newest_plan
from scheduler.services.calendar import (
    WEEKS_AHEAD,
    FreezeFacts,
    SeriesFacts,
    WindowFacts,
    add_freeze,
    add_window,
    add_windows,
    cancel_freeze,
    cancel_window,
    confirm_emergency,
    end_series,
    make_coming_windows,
    make_series,
    move_window,
    stranded_by,
)
from scheduler.services.concern import concerned_by, reason_for
from scheduler.services.moving import next_window_with_room
from scheduler.services.windows import lock_window, sign_up
from tests.factories import approve, fetched, make_backport, make_window
from tests.services.checks import kinds, wrongs

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
LOS_ANGELES = ZoneInfo("America/Los_Angeles")
WHY = "The data centre moves."


def today() -> date:
    """Return the day where the series of `series_facts` is: by UTC it may be a day later."""
    return timezone.now().astimezone(LOS_ANGELES).date()


def series_facts(**differing: object) -> SeriesFacts:
    """Return what makes a window on every day at 13:00 in Los Angeles, from tomorrow on."""
    given: dict[str, object] = {
        "title": "Evening SWAT",
        "zone": LOS_ANGELES.key,
        "weekdays": frozenset(range(7)),
        "at": time(13),
        "minutes": 60,
        "starts_on": today() + DAY,
        **differing,
    }
    return SeriesFacts(**given)  # type: ignore[arg-type]


def window_facts(*, in_hours: float = 24, **differing: Any) -> WindowFacts:  # noqa: ANN401
    """Return what makes a window of an hour, so many hours from now."""
    given: dict[str, object] = {
        "title": "Extra SWAT",
        "start": timezone.now() + in_hours * HOUR,
        "minutes": 60,
        **differing,
    }
    return WindowFacts(**given)  # type: ignore[arg-type]


def freeze_facts(*, from_hours: float = 20, hours: float = 8, **differing: Any) -> FreezeFacts:  # noqa: ANN401
    """Return what freezes everything around the window that starts in a day."""
    start = timezone.now() + from_hours * HOUR
    given: dict[str, object] = {
        "starts": start,
        "ends": start + hours * HOUR,
        "reason": WHY,
        **differing,
    }
    return FreezeFacts(**given)  # type: ignore[arg-type]


# --- Series -------------------------------------------------------------------------------------


def test_a_series_has_the_windows_of_the_coming_weeks(rel: User) -> None:
    series = make_series(facts=series_facts(closes_minutes=30), by=rel)
    windows = list(series.windows.order_by("start"))
    assert len(windows) == 7 * WEEKS_AHEAD
    for window in windows:
        assert window.start.astimezone(series.to_domain().zone).time() == time(13)
        assert window.end - window.start == HOUR
        assert window.closes_at == window.start - timedelta(minutes=30)
    assert kinds() == ["series.make"]
    assert Event.objects.get().payload["windows"] == len(windows)
    assert wrongs() == []


def test_the_clock_makes_what_is_not_there_and_nothing_twice(rel: User) -> None:
    series = make_series(facts=series_facts(), by=rel)
    now = timezone.now()
    before = series.windows.count()
    assert make_coming_windows(now=now) == 0
    assert make_coming_windows(now=now + WEEK) == 7
    assert make_coming_windows(now=now + WEEK) == 0
    assert make_coming_windows(now=now + WEEK + timedelta(minutes=10)) == 0
    assert series.windows.count() == before + 7
    assert kinds() == ["series.make", "series.extend"]
    assert wrongs() == []


def test_a_clock_that_was_off_for_weeks_makes_no_windows_of_the_past(rel: User) -> None:
    series = make_series(facts=series_facts(), by=rel)
    later = timezone.now() + 10 * WEEK
    assert make_coming_windows(now=later) in {7 * WEEKS_AHEAD, 7 * WEEKS_AHEAD + 1}
    latest_of_old = timezone.now() + WEEKS_AHEAD * WEEK + 2 * DAY
    assert not series.windows.filter(start__gt=latest_of_old, start__lte=later).exists()


def test_a_window_that_was_moved_or_called_off_is_not_made_again(rel: User) -> None:
    series = make_series(facts=series_facts(), by=rel)
    first, second = series.windows.order_by("start")[:2]
    move_window(window=first, by=rel, start=first.start + 2 * HOUR, minutes=60, reason=WHY)
    cancel_window(window=second, by=rel, reason=WHY)
    assert make_coming_windows(now=timezone.now()) == 0
    assert series.windows.filter(cancelled_at__isnull=True).count() == series.windows.count() - 1


def test_what_would_overlap_is_left_out_by_the_clock_and_refused_to_people(rel: User) -> None:
    series = make_series(facts=series_facts(), by=rel)
    last = series.windows.latest("start")
    add_window(facts=window_facts(start=last.start + DAY + HOUR / 2), by=rel)
    assert make_coming_windows(now=timezone.now() + 2 * DAY) == 1
    with pytest.raises(Refused, match="it would overlap Evening SWAT"):
        make_series(facts=series_facts(title="Other", at=time(12, 30)), by=rel)
    assert WindowSeries.objects.count() == 1
    # What nobody books in may lie over it.
    make_series(facts=series_facts(kind=WindowKind.NO_DEPLOY, at=time(12, 30)), by=rel)


@pytest.mark.parametrize(
    ("differing", "sentence"),
    [
        ({"title": "  "}, "Give it a title."),
        ({"minutes": 0}, "A window takes between a minute and a day."),
        ({"minutes": 24 * 60 + 1}, "A window takes between a minute and a day."),
        ({"weekdays": frozenset()}, "Say on which days of the week."),
        ({"zone": "Europe/Atlantis"}, "Europe/Atlantis is no time zone"),
        ({"zone": ""}, "That is no time zone"),
        ({"zone": "../../etc/passwd"}, "is no time zone"),
        ({"starts_on": date(2030, 1, 2), "ends_on": date(2030, 1, 1)}, "end before it starts"),
    ],
)
def test_a_series_that_makes_no_sense_is_refused(
    rel: User, differing: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        make_series(facts=series_facts(**differing), by=rel)
    assert kinds() == []


def test_a_series_on_a_day_that_lacks_its_time_is_refused(rel: User) -> None:
    with pytest.raises(NoSuchLocalTime, match=r"The clocks skip 02:30 on Sun .* Take 03:30\."):
        make_series(facts=series_facts(at=time(2, 30)), by=rel)
    make_series(facts=series_facts(at=time(2, 30), weekdays=frozenset(range(4))), by=rel)


def test_a_series_on_a_day_that_has_its_time_twice_says_which(rel: User) -> None:
    with pytest.raises(AmbiguousLocalTime, match=r"show 01:30 twice on Sun .* Say which\."):
        make_series(facts=series_facts(at=time(1, 30)), by=rel)
    assert make_series(facts=series_facts(at=time(1, 30), second=True), by=rel).second


def test_a_series_ends_and_its_later_windows_are_called_off(rel: User) -> None:
    series = make_series(facts=series_facts(), by=rel)
    last_day = today() + timedelta(days=5)
    later = series.windows.filter(series_day__gt=last_day).count()
    end_series(series=series, by=rel, last_day=last_day)
    off = series.windows.filter(cancelled_at__isnull=False)
    assert off.count() == later
    assert set(off.values_list("sequence", flat=True)) == {1}
    assert make_coming_windows(now=timezone.now() + 2 * WEEK) == 0
    assert kinds() == ["series.make", "series.end"]
    with pytest.raises(Refused, match="already"):
        end_series(series=series, by=rel, last_day=last_day)
    assert wrongs() == []


def test_a_series_does_not_end_before_what_is_booked(rel: User, ada: User) -> None:
    series = make_series(facts=series_facts(), by=rel)
    make_backport(series.windows.latest("start"), ada)
    with pytest.raises(Refused, match=r"Backports are booked in Evening SWAT.*move them first"):
        end_series(series=series, by=rel, last_day=today() + 2 * DAY)
    assert not series.windows.filter(cancelled_at__isnull=False).exists()


# --- Windows ------------------------------------------------------------------------------------


def test_a_window_is_added_moved_and_called_off(rel: User) -> None:
    window = add_window(facts=window_facts(closes_minutes=60), by=rel)
    start = window.start + 3 * HOUR
    move_window(window=window, by=rel, start=start, minutes=30, reason=WHY)
    assert (window.start, window.end) == (start, start + HOUR / 2)
    assert (window.closes_at, window.sequence) == (start - HOUR, 1)
    cancel_window(window=window, by=rel, reason=WHY)
    assert (window.takes_place, window.sequence) == (False, 2)
    assert kinds() == ["window.add", "window.move", "window.cancel"]
    assert wrongs() == []


def test_what_is_booked_moves_along_with_its_window(rel: User, ada: User, rae: User) -> None:
    window = add_window(facts=window_facts(), by=rel)
    backport = approve(make_backport(window, ada), rae)
    move_window(window=window, by=rel, start=window.start + 3 * HOUR, minutes=60, reason=WHY)
    backport.refresh_from_db()
    assert (backport.status, backport.window_id) == ("approved", window.pk)
    plan = newest_plan(window)
    assert plan is not None
    assert plan.document["window"]["start"] == time_text(window.start)
    assert wrongs() == []


def test_times_that_overlap_are_refused(rel: User) -> None:
    window = add_window(facts=window_facts(), by=rel)
    other = add_window(facts=window_facts(in_hours=30), by=rel)
    with pytest.raises(Refused, match="It would overlap Extra SWAT"):
        add_window(facts=window_facts(in_hours=24.5), by=rel)
    with pytest.raises(Refused, match="It would overlap Extra SWAT"):
        move_window(window=other, by=rel, start=window.start + HOUR / 2, minutes=60, reason=WHY)
    add_window(facts=window_facts(start=window.end), by=rel)
    add_window(facts=window_facts(in_hours=24.5, kind=WindowKind.TRAIN), by=rel)
    # It may overlap itself, and what does not take place.
    move_window(window=other, by=rel, start=other.start + HOUR / 2, minutes=60, reason=WHY)
    cancel_window(window=other, by=rel, reason=WHY)
    add_window(facts=window_facts(start=other.start), by=rel)


@pytest.mark.both_databases
def test_the_database_keeps_two_windows_from_beginning_at_once(window: Window) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make_window(start=window.start)
    Window.objects.filter(pk=window.pk).update(cancelled_at=timezone.now())
    make_window(start=window.start)


@pytest.mark.both_databases
def test_the_database_keeps_a_series_from_having_a_day_twice(rel: User) -> None:
    series = make_series(facts=series_facts(), by=rel)
    window = series.windows.earliest("start")
    with pytest.raises(IntegrityError), transaction.atomic():
        make_window(in_hours=1, series=series, series_day=window.series_day)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_window(in_hours=1, series=series)


@pytest.mark.parametrize(
    ("differing", "sentence"),
    [
        ({"title": ""}, "Give it a title."),
        ({"in_hours": -2}, "That time has passed."),
        ({"minutes": -1}, "A window takes between a minute and a day."),
        ({"is_emergency": True}, "Say what the emergency is; two people have to confirm it."),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(
    rel: User, differing: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        add_window(facts=window_facts(**differing), by=rel)
    assert kinds() == []


Change = Callable[[Window, User], object]
CHANGES: dict[str, Change] = {
    "move": lambda window, by: move_window(
        window=window, by=by, start=window.start + HOUR, minutes=60, reason=WHY
    ),
    "cancel": lambda window, by: cancel_window(window=window, by=by, reason=WHY),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_over_locked_or_called_off_stays(
    change: Change, rel: User, dev: User, ada: User, rae: User
) -> None:
    over = make_window(in_hours=-2)
    with pytest.raises(Refused, match="This window is over"):
        change(over, rel)
    off = make_window(in_hours=5, cancelled_at=timezone.now())
    with pytest.raises(Refused, match="does not take place any more"):
        change(off, rel)
    window = make_window()
    approve(make_backport(window, ada), rae)
    plan = newest_plan(window)
    assert plan is not None
    lock_window(window=window, by=dev, plan_fingerprint=plan.fingerprint)
    with pytest.raises(Refused, match="This window is locked; its deployers unlock it first"):
        change(window, rel)


def test_a_change_of_a_window_says_why(rel: User, window: Window) -> None:
    with pytest.raises(Refused, match="Say why"):
        move_window(window=window, by=rel, start=window.start, minutes=60, reason=" ")
    with pytest.raises(Refused, match="Say why"):
        cancel_window(window=window, by=rel, reason="")
    with pytest.raises(Refused, match="That time has passed"):
        move_window(window=window, by=rel, start=window.start - 2 * DAY, minutes=60, reason=WHY)


def test_a_window_with_bookings_is_not_called_off(rel: User, backport: Backport) -> None:
    with pytest.raises(Refused, match="Backports are booked in it"):
        cancel_window(window=backport.window, by=rel, reason=WHY)
    assert backport.window.takes_place


def test_a_calendar_is_imported_whole_or_not_at_all(rel: User) -> None:
    several = [window_facts(in_hours=hours) for hours in (24, 26, 28)]
    with pytest.raises(Refused, match="overlap"):
        add_windows(several=[*several, window_facts(in_hours=26.5)], by=rel, source="a page")
    assert not Window.objects.exists()
    assert len(add_windows(several=several, by=rel, source="a page")) == 3
    assert kinds() == ["calendar.import"]
    with pytest.raises(Refused, match="overlap"):
        add_windows(several=several, by=rel, source="a page")
    assert Window.objects.count() == 3


# --- Freezes ------------------------------------------------------------------------------------


def test_a_freeze_first_shows_what_it_would_strand(
    window: Window, backport: Backport, ada: User
) -> None:
    urgent = make_backport(window, ada, fetched(1001), urgency=Urgency.HIGH)
    free = make_window(in_hours=48)
    make_window(in_hours=22, cancelled_at=timezone.now())
    stranded = stranded_by(freeze_facts(), now=timezone.now())
    assert stranded.windows == (window,)
    assert stranded.backports == (backport, urgent)
    normal = stranded_by(freeze_facts(scope=FreezeScope.NORMAL), now=timezone.now())
    assert (normal.windows, normal.backports) == ((window,), (backport,))
    for passed_over in (
        {"scope": FreezeScope.TRAIN},
        {"kinds": frozenset({WindowKind.TRAINING})},
        {"from_hours": -20},
    ):
        assert stranded_by(freeze_facts(**passed_over), now=timezone.now()).windows == ()
    daily = freeze_facts(recurrence=Recurrence.WEEKLY, hours=7 * 24)
    assert stranded_by(daily, now=timezone.now()).windows == (window, free)
    assert kinds().count("freeze.add") == 0


def test_a_freeze_shows_the_train_that_it_would_leave_half_way(window: Window) -> None:
    version = TrainVersion.objects.create(name="1.47.0-wmf.31", position=1)
    for group, hours in (("group0", 10), ("group1", 24)):
        at = timezone.now() + hours * HOUR
        Promotion.objects.create(version=version, group=group, at=at)
    for scope in (FreezeScope.ALL, FreezeScope.TRAIN):
        (one,) = stranded_by(freeze_facts(scope=scope), now=timezone.now()).trains
        assert (one.version, one.reached, one.stranded) == (
            "1.47.0-wmf.31",
            ("group0",),
            ("group1",),
        )
    only_people = freeze_facts(kinds=frozenset({WindowKind.BACKPORT}))
    assert stranded_by(only_people, now=timezone.now()).trains == ()


def test_a_freeze_blocks_what_is_booked_until_it_is_called_off(
    rel: User, backport: Backport, rae: User
) -> None:
    approve(backport, rae)
    empty = make_window(in_hours=26)
    before = rules_of(backport)
    freeze = add_freeze(facts=freeze_facts(), by=rel)
    assert "frozen" in rules_of(backport) - before
    assert not Plan.objects.filter(window=empty).exists()  # nothing is booked there to plan
    cancel_freeze(freeze=freeze, by=rel, reason="It is over early.")
    assert rules_of(backport) == before
    assert kinds()[-2:] == ["freeze.add", "freeze.cancel"]
    with pytest.raises(Refused, match="It was called off already"):
        cancel_freeze(freeze=freeze, by=rel, reason=WHY)
    assert wrongs() == []


def rules_of(backport: Backport) -> set[str]:
    """Return the rules that object to a backport by the newest plan of its window."""
    plan = newest_plan(backport.window)
    assert plan is not None
    return {str(one["rule"]) for one in plan.result["findings"]}


@pytest.mark.parametrize(
    ("differing", "sentence"),
    [
        ({"hours": 0}, "It would end before it starts."),
        ({"reason": " "}, "Say why"),
        ({"zone": "Mars/Base"}, "Mars/Base is no time zone"),
        (
            {"recurrence": Recurrence.WEEKLY, "hours": 7 * 24 + 1},
            "What comes again every week takes no more than a week.",
        ),
        (
            {"recurrence": Recurrence.YEARLY, "hours": 366 * 24},
            "What comes again every year takes no more than a year.",
        ),
    ],
)
def test_a_freeze_that_makes_no_sense_is_refused(
    rel: User, differing: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(Refused, match=sentence):
        add_freeze(facts=freeze_facts(**differing), by=rel)
    assert not Freeze.objects.exists()


def test_a_freeze_is_called_off_with_a_reason(rel: User) -> None:
    freeze = add_freeze(facts=freeze_facts(), by=rel)
    with pytest.raises(Refused, match="Say why"):
        cancel_freeze(freeze=freeze, by=rel, reason=" ")


def test_a_no_deploy_window_stops_what_it_lies_over(
    rel: User, backport: Backport, rae: User, window: Window
) -> None:
    approve(backport, rae)
    facts = window_facts(kind=WindowKind.NO_DEPLOY, start=window.start - HOUR, minutes=300)
    banned = add_window(facts=facts, by=rel)
    later = make_window(in_hours=72)

    assert "frozen" in rules_of(backport)
    assert freezes_during(later) == freezes_during(banned) == ()
    assert next_window_with_room(after=make_window(in_hours=2), now=timezone.now()) == later
    away = banned.start + 20 * HOUR
    move_window(window=banned, by=rel, start=away, minutes=60, reason=WHY)
    assert "frozen" not in rules_of(backport)
    move_window(window=banned, by=rel, start=window.start, minutes=60, reason=WHY)
    assert "frozen" in rules_of(backport)
    cancel_window(window=banned, by=rel, reason=WHY)
    assert "frozen" not in rules_of(backport)
    assert wrongs() == []


def test_whose_backport_a_freeze_stops_is_told(rel: User, backport: Backport, ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(email="ada@example.org")
    add_freeze(facts=freeze_facts(), by=rel)

    event = Event.objects.get(kind="freeze.add")
    assert concerned_by(event) == {ada: Why.OWN}
    assert reason_for(event, ada, Why.OWN) == "you requested something that it stops"


def test_whoever_signed_up_for_a_window_of_a_series_is_told_that_it_ends(
    rel: User, dev: User
) -> None:
    User.objects.filter(pk=dev.pk).update(email="dev@example.org")
    series = make_series(facts=series_facts(), by=rel)
    last = series.windows.latest("start")
    sign_up(window=last, by=dev)

    end_series(series=series, by=rel, last_day=today())

    assert concerned_by(Event.objects.get(kind="series.end")) == {dev: Why.WINDOW}


# --- Emergencies --------------------------------------------------------------------------------


@pytest.fixture
def emergency(rel: User) -> Window:
    """An emergency window in a freeze, tomorrow."""
    add_freeze(facts=freeze_facts(), by=rel)
    return add_window(facts=window_facts(is_emergency=True, reason="Nobody can log in."), by=rel)


@pytest.fixture
def ops(dev: User) -> User:
    """Dev, who is of operations, too."""
    grant_roles(dev, Role.DEPLOYER, Role.OPERATIONS)
    return dev


def test_an_emergency_goes_in_a_freeze_when_two_have_confirmed_it(
    emergency: Window, rel: User, ops: User, ada: User
) -> None:
    backport = make_backport(emergency, ada)
    confirm_emergency(window=emergency, by=rel)
    assert freezes_during(emergency) != ()
    assert "frozen" in rules_of(backport)
    confirm_emergency(window=emergency, by=ops)
    assert freezes_during(emergency) == ()
    assert "frozen" not in rules_of(backport)
    roles = emergency.confirmations.order_by("pk").values_list("role", flat=True)
    assert list(roles) == ["release-engineer", "operations"]
    assert kinds().count("window.confirm-emergency") == 2
    assert wrongs() == []


def test_an_emergency_is_locked_only_when_it_is_confirmed(
    rel: User, ops: User, ada: User, rae: User
) -> None:
    facts = window_facts(is_emergency=True, reason="Nobody can log in.")
    emergency = add_window(facts=facts, by=rel)  # no freeze lies over it
    approve(make_backport(emergency, ada), rae)

    def lock() -> None:
        plan = newest_plan(emergency)
        assert plan is not None
        lock_window(window=emergency, by=ops, plan_fingerprint=plan.fingerprint)

    with pytest.raises(Refused, match="have to confirm this emergency"):
        lock()
    confirm_emergency(window=emergency, by=rel)
    confirm_emergency(window=emergency, by=ops)
    lock()
    assert wrongs() == []


def test_an_emergency_is_in_nobodys_way(rel: User, window: Window) -> None:
    facts = window_facts(is_emergency=True, reason=WHY, start=window.start, minutes=60)
    add_window(facts=facts, by=rel)
    beside = window_facts(start=window.start + 2 * HOUR, minutes=60)
    moved = add_window(facts=replace(beside, is_emergency=True, reason=WHY), by=rel)
    assert add_window(facts=beside, by=rel).start == moved.start
    with pytest.raises(Refused, match="It would overlap"):
        add_window(facts=window_facts(start=window.start, minutes=60), by=rel)


def test_a_confirmed_emergency_is_not_stranded_and_a_train_window_is(
    emergency: Window, rel: User, ops: User, ada: User
) -> None:
    make_backport(emergency, ada)
    train = make_window(in_hours=25, kind=WindowKind.TRAIN.value)
    only_train = stranded_by(freeze_facts(scope=FreezeScope.TRAIN), now=timezone.now())
    assert only_train.windows == (train,)
    for who in (rel, ops):
        assert emergency in stranded_by(freeze_facts(), now=timezone.now()).windows
        confirm_emergency(window=emergency, by=who)
    assert emergency not in stranded_by(freeze_facts(), now=timezone.now()).windows


def test_one_person_does_not_confirm_for_both(emergency: Window, rel: User, ops: User) -> None:
    grant_roles(rel, Role.RELEASE_ENGINEER, Role.OPERATIONS)
    confirm_emergency(window=emergency, by=rel)
    with pytest.raises(Refused, match="somebody else has to do it, too"):
        confirm_emergency(window=emergency, by=rel)
    OtherName.objects.create(user=rel, name="DEV")
    with pytest.raises(Refused, match="somebody else has to do it, too"):
        confirm_emergency(window=emergency, by=ops)
    assert emergency.confirmations.count() == 1


def test_two_of_one_role_do_not_confirm(emergency: Window, rel: User, rae: User) -> None:
    grant_roles(rae, Role.RELEASE_ENGINEER)
    confirm_emergency(window=emergency, by=rel)
    with pytest.raises(Refused, match="confirmed for your role; the other one still has to"):
        confirm_emergency(window=emergency, by=rae)


def test_nobody_confirms_for_their_own_work(emergency: Window, rel: User) -> None:
    make_backport(emergency, rel)
    with pytest.raises(NotPermitted, match="you requested it"):
        confirm_emergency(window=emergency, by=rel)


def test_only_an_emergency_to_come_is_confirmed(rel: User, window: Window) -> None:
    for other in (
        window,
        make_window(in_hours=-2, is_emergency=True),
        make_window(in_hours=5, is_emergency=True, cancelled_at=timezone.now()),
    ):
        with pytest.raises(Refused, match="This is no emergency window to come"):
            confirm_emergency(window=other, by=rel)


def test_an_emergency_that_moves_is_confirmed_again(
    emergency: Window, rel: User, ops: User
) -> None:
    for person in (rel, ops):
        confirm_emergency(window=emergency, by=person)
    start = emergency.start + HOUR
    move_window(window=emergency, by=rel, start=start, minutes=60, reason=WHY)
    assert freezes_during(emergency) != ()
    assert wrongs() == []
    for person in (ops, rel):
        confirm_emergency(window=emergency, by=person)
    assert freezes_during(emergency) == ()
    assert wrongs() == []


@pytest.mark.both_databases
def test_the_database_keeps_emergencies_to_two_people_and_roles(
    emergency: Window, rel: User, ops: User
) -> None:
    now = timezone.now()
    confirm_emergency(window=emergency, by=rel)
    for by, role in ((rel, Role.OPERATIONS), (ops, Role.RELEASE_ENGINEER), (ops, Role.REVIEWER)):
        with pytest.raises(IntegrityError), transaction.atomic():
            EmergencyConfirmation.objects.create(window=emergency, by=by, role=role.value, at=now)


# --- Who may ------------------------------------------------------------------------------------


def test_only_release_engineers_change_the_calendar(
    rel: User, ada: User, rae: User, dev: User, sam: User
) -> None:
    series = make_series(facts=series_facts(), by=rel)
    freeze = add_freeze(facts=freeze_facts(from_hours=2000), by=rel)
    window = make_window(in_hours=5)
    before = kinds()
    acts: list[Callable[[User], object]] = [
        lambda by: make_series(facts=series_facts(at=time(20)), by=by),
        lambda by: end_series(series=series, by=by, last_day=today()),
        lambda by: add_window(facts=window_facts(in_hours=3), by=by),
        lambda by: add_windows(several=[], by=by, source="a page"),
        lambda by: move_window(
            window=window, by=by, start=window.start + HOUR, minutes=60, reason=WHY
        ),
        lambda by: cancel_window(window=window, by=by, reason=WHY),
        lambda by: add_freeze(facts=freeze_facts(), by=by),
        lambda by: cancel_freeze(freeze=freeze, by=by, reason=WHY),
        lambda by: confirm_emergency(window=window, by=by),
    ]
    for act in acts:
        for person in (ada, rae, dev, sam):
            with pytest.raises(NotPermitted):
                act(person)
    assert kinds() == before


def test_a_series_stays_at_its_local_time_when_the_clocks_change(rel: User) -> None:
    weekly = series_facts(starts_on=date(2026, 10, 26), weekdays=frozenset({3}))
    series = make_series(facts=weekly, by=rel)
    rule = series.to_domain()
    starts = [rule.window_on(date(2026, *day)).start for day in ((10, 29), (11, 5))]
    assert starts == [
        datetime(2026, 10, 29, 20, tzinfo=UTC),
        datetime(2026, 11, 5, 21, tzinfo=UTC),
    ]
