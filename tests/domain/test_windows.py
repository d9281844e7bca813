"""Local times on the days on which clocks change, series over them, and freezes that come again."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.errors import AmbiguousLocalTime, NoSuchLocalTime
from scheduler.domain.windows import (
    BOOKABLE,
    Freeze,
    FreezeRule,
    FreezeScope,
    Recurrence,
    Series,
    Window,
    WindowKind,
    moment_of,
    moments_of,
)

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
APIA = ZoneInfo("Pacific/Apia")
SYDNEY = ZoneInfo("Australia/Sydney")
ZONES = (LOS_ANGELES, BERLIN, LORD_HOWE, APIA, SYDNEY, ZoneInfo("UTC"))

HALF_PAST_TWO = time(2, 30)


def utc(text: str) -> datetime:
    """Return a moment from `2026-03-08 09:30`, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def day(text: str) -> date:
    """Return a day from `2026-03-08`."""
    return date.fromisoformat(text)


# --- Local times --------------------------------------------------------------------------------

ONCE = [
    (LOS_ANGELES, "2026-10-29 13:00", "2026-10-29 20:00"),
    (LOS_ANGELES, "2026-11-05 13:00", "2026-11-05 21:00"),
    (LOS_ANGELES, "2026-03-08 01:59", "2026-03-08 09:59"),
    (LOS_ANGELES, "2026-03-08 03:00", "2026-03-08 10:00"),
    (LOS_ANGELES, "2026-11-01 00:59", "2026-11-01 07:59"),
    (LOS_ANGELES, "2026-11-01 02:00", "2026-11-01 10:00"),
    (LOS_ANGELES, "2026-12-31 23:30", "2027-01-01 07:30"),
    (LOS_ANGELES, "2028-02-29 00:00", "2028-02-29 08:00"),
    (BERLIN, "2026-03-29 01:59", "2026-03-29 00:59"),
    (BERLIN, "2026-03-29 03:00", "2026-03-29 01:00"),
    (BERLIN, "2026-10-25 03:00", "2026-10-25 02:00"),
    (BERLIN, "2027-01-01 00:00", "2026-12-31 23:00"),
    (LORD_HOWE, "2026-10-04 02:30", "2026-10-03 15:30"),  # half an hour forward
    (LORD_HOWE, "2026-04-05 01:29", "2026-04-04 14:29"),
    (LORD_HOWE, "2026-04-05 02:00", "2026-04-04 15:30"),
    (APIA, "2011-12-29 23:59", "2011-12-30 09:59"),
    (APIA, "2011-12-31 00:00", "2011-12-30 10:00"),
]

NEVER = [
    (LOS_ANGELES, "2026-03-08 02:30", "Take 03:30.", "2026-03-08 10:30"),
    (LOS_ANGELES, "2026-03-08 02:00", "Take 03:00.", "2026-03-08 10:00"),
    (BERLIN, "2026-03-29 02:30", "Take 03:30.", "2026-03-29 01:30"),
    (LORD_HOWE, "2026-10-04 02:15", "Take 02:45.", "2026-10-03 15:45"),
    (APIA, "2011-12-30 12:00", "Take 12:00 on Sat 31 Dec 2011.", "2011-12-30 22:00"),
]

TWICE = [
    (LOS_ANGELES, "2026-11-01 01:30", "2026-11-01 08:30", "2026-11-01 09:30"),
    (LOS_ANGELES, "2026-11-01 01:00", "2026-11-01 08:00", "2026-11-01 09:00"),
    (BERLIN, "2026-10-25 02:30", "2026-10-25 00:30", "2026-10-25 01:30"),
    (LORD_HOWE, "2026-04-05 01:45", "2026-04-04 14:45", "2026-04-04 15:15"),
]


def shown(text: str) -> tuple[date, time]:
    """Return the local day and time of `2026-03-08 02:30`."""
    local = datetime.fromisoformat(text)
    return local.date(), local.time()


@pytest.mark.parametrize(("zone", "local", "moment"), ONCE)
def test_a_local_time_that_is_shown_once_is_that_moment(
    zone: ZoneInfo, local: str, moment: str
) -> None:
    assert moments_of(*shown(local), zone) == (utc(moment),)
    for second in (None, False, True):
        assert moment_of(*shown(local), zone, second=second) == utc(moment)


@pytest.mark.parametrize(("zone", "local", "advice", "instead"), NEVER)
def test_a_local_time_that_clocks_skip_is_refused_with_a_suggestion(
    zone: ZoneInfo, local: str, advice: str, instead: str
) -> None:
    assert moments_of(*shown(local), zone) == ()
    with pytest.raises(NoSuchLocalTime) as refusal:
        moment_of(*shown(local), zone, second=False)
    assert refusal.value.sentence.endswith(f"they go forward then. {advice}")
    suggested = utc(instead).astimezone(zone)
    assert refusal.value.instead == suggested.time()
    assert moments_of(suggested.date(), suggested.time(), zone) == (utc(instead),)


@pytest.mark.parametrize(("zone", "local", "first", "second"), TWICE)
def test_a_local_time_that_clocks_show_twice_asks_which(
    zone: ZoneInfo, local: str, first: str, second: str
) -> None:
    both = (utc(first), utc(second))
    assert moments_of(*shown(local), zone) == both
    with pytest.raises(AmbiguousLocalTime) as refusal:
        moment_of(*shown(local), zone)
    assert refusal.value.moments == both
    assert refusal.value.sentence.endswith(
        f"at {both[0]:%H:%M} UTC and at {both[1]:%H:%M} UTC. Say which."
    )
    assert moment_of(*shown(local), zone, second=False) == both[0]
    assert moment_of(*shown(local), zone, second=True) == both[1]


# What `datetime` can tell of other zones comes from files that end somewhere; these years do.
MOMENTS = st.integers(0, 36 * 365 * 24 * 3600).map(
    lambda seconds: utc("2000-01-01 00:00") + timedelta(seconds=seconds)
)


@given(MOMENTS, st.sampled_from(ZONES))
def test_every_moment_is_found_again_by_what_clocks_show(moment: datetime, zone: ZoneInfo) -> None:
    local = moment.astimezone(zone)
    assert moment in moments_of(local.date(), local.time(), zone)


# --- Series -------------------------------------------------------------------------------------

MONDAY_TO_THURSDAY = frozenset(range(4))
EVERY_DAY = frozenset(range(7))


def series(**differing: object) -> Series:
    """Return the evening window of Los Angeles: Monday to Thursday, 13:00, an hour."""
    given: dict[str, object] = {
        "zone": LOS_ANGELES,
        "weekdays": MONDAY_TO_THURSDAY,
        "at": time(13),
        "minutes": 60,
        "starts_on": day("2026-10-26"),
        **differing,
    }
    return Series(**given)  # type: ignore[arg-type]


def test_a_series_has_its_weekdays_only() -> None:
    days = list(series().days(day("2026-10-20"), day("2026-11-03")))
    assert days == [day(f"2026-10-{one}") for one in (26, 27, 28, 29)] + [
        day("2026-11-02"),
        day("2026-11-03"),
    ]


def test_a_series_ends_with_its_last_day() -> None:
    ending = series(ends_on=day("2026-10-27"))
    assert list(ending.days(day("2026-10-27"), day("2027-10-20"))) == [day("2026-10-27")]
    assert list(ending.days(day("2026-10-28"), day("2027-10-20"))) == []


def test_a_series_goes_over_the_end_of_a_year_and_a_leap_day() -> None:
    new_year = list(series(weekdays=EVERY_DAY).days(day("2027-12-31"), day("2028-01-01")))
    assert new_year == [day("2027-12-31"), day("2028-01-01")]
    leap = list(series(weekdays=EVERY_DAY).days(day("2028-02-28"), day("2028-03-01")))
    assert leap == [day("2028-02-28"), day("2028-02-29"), day("2028-03-01")]


@pytest.mark.parametrize(
    ("zone", "at", "on", "start"),
    [
        (LOS_ANGELES, "13:00", "2026-10-29", "2026-10-29 20:00"),
        (LOS_ANGELES, "13:00", "2026-11-05", "2026-11-05 21:00"),
        (LOS_ANGELES, "13:00", "2026-03-05", "2026-03-05 21:00"),
        (LOS_ANGELES, "13:00", "2026-03-09", "2026-03-09 20:00"),
        (LOS_ANGELES, "00:00", "2026-11-02", "2026-11-02 08:00"),
        (BERLIN, "13:00", "2026-03-26", "2026-03-26 12:00"),
        (BERLIN, "13:00", "2026-03-30", "2026-03-30 11:00"),
        (BERLIN, "13:00", "2026-10-26", "2026-10-26 12:00"),
        (LORD_HOWE, "13:00", "2026-10-01", "2026-10-01 02:30"),
        (LORD_HOWE, "13:00", "2026-10-05", "2026-10-05 02:00"),
    ],
)
def test_a_series_stays_at_its_local_time(zone: ZoneInfo, at: str, on: str, start: str) -> None:
    window = series(zone=zone, at=time.fromisoformat(at)).window_on(day(on))
    assert window == Window(utc(start), utc(start) + timedelta(hours=1))


@pytest.mark.parametrize(
    ("zone", "on", "at", "minutes", "ends"),
    [
        # 00:30 to 03:30 on the clocks are two hours when they go forward, four when they go back.
        (LOS_ANGELES, "2026-03-08", "00:30", 120, "03:30"),
        (LOS_ANGELES, "2026-11-01", "00:30", 240, "03:30"),
        (BERLIN, "2026-03-29", "01:30", 60, "03:30"),
        (BERLIN, "2026-10-25", "01:30", 60, "02:30"),
        (LORD_HOWE, "2026-10-04", "01:30", 60, "03:00"),
        (LORD_HOWE, "2026-04-05", "01:00", 60, "01:30"),
    ],
)
def test_a_window_over_the_change_takes_its_real_minutes(
    zone: ZoneInfo, on: str, at: str, minutes: int, ends: str
) -> None:
    window = series(zone=zone, at=time.fromisoformat(at), minutes=minutes).window_on(day(on))
    assert window.minutes == minutes
    assert window.end.astimezone(zone).time() == time.fromisoformat(ends)


def test_a_day_that_lost_the_start_of_a_series_keeps_its_window() -> None:
    nightly = series(weekdays=EVERY_DAY, at=HALF_PAST_TWO)
    assert nightly.window_on(day("2026-03-08")).start == utc("2026-03-08 10:30")
    assert nightly.window_on(day("2026-03-09")).start == utc("2026-03-09 09:30")


def test_a_day_that_has_the_start_twice_has_one_window() -> None:
    early = series(weekdays=EVERY_DAY, at=time(1, 30))
    late = series(weekdays=EVERY_DAY, at=time(1, 30), second=True)
    assert early.window_on(day("2026-11-01")).start == utc("2026-11-01 08:30")
    assert late.window_on(day("2026-11-01")).start == utc("2026-11-01 09:30")
    assert late.window_on(day("2026-11-02")).start == utc("2026-11-02 09:30")


@pytest.mark.parametrize(
    ("zone", "at", "skipped", "doubled"),
    [
        (LOS_ANGELES, "02:30", ["2026-03-08"], []),
        (LOS_ANGELES, "01:30", [], ["2026-11-01"]),
        (BERLIN, "02:30", ["2026-03-29"], ["2026-10-25"]),
        (LORD_HOWE, "02:15", ["2026-10-04"], []),
        (LORD_HOWE, "01:45", [], ["2026-04-05"]),
        (LOS_ANGELES, "13:00", [], []),
    ],
)
def test_a_series_knows_the_days_on_which_its_start_is_skipped_or_doubled(
    zone: ZoneInfo, at: str, skipped: list[str], doubled: list[str]
) -> None:
    year = day("2026-01-01"), day("2026-12-31")
    nightly = series(
        zone=zone, weekdays=EVERY_DAY, at=time.fromisoformat(at), starts_on=day("2025-01-01")
    )
    assert nightly.skipped_days(*year) == tuple(map(day, skipped))
    assert nightly.doubled_days(*year) == tuple(map(day, doubled))
    on_weekdays = series(
        zone=zone, at=time.fromisoformat(at), starts_on=day("2025-01-01")
    )  # clocks change on Sundays
    assert on_weekdays.skipped_days(*year) == on_weekdays.doubled_days(*year) == ()


def test_a_series_may_lie_on_a_day_that_a_zone_skipped() -> None:
    daily = series(zone=APIA, weekdays=EVERY_DAY, starts_on=day("2011-12-01"))
    assert daily.skipped_days(day("2011-12-01"), day("2011-12-31")) == (day("2011-12-30"),)


# --- Freezes that come again --------------------------------------------------------------------


def rule(start: str, end: str, **differing: object) -> FreezeRule:
    """Return a weekly freeze of Los Angeles, whose first time is from `start` to `end`, UTC."""
    first = Freeze(utc(start), utc(end), FreezeScope.ALL, "The weekend.")
    given: dict[str, object] = {
        "zone": LOS_ANGELES,
        "recurrence": Recurrence.WEEKLY,
        **differing,
    }
    return FreezeRule(first, **given)  # type: ignore[arg-type]


def told(freezes: Iterable[Freeze]) -> list[tuple[str, str]]:
    """Return when freezes begin and end on the clocks of Los Angeles."""
    return [(local(freeze.start), local(freeze.end)) for freeze in freezes]


def local(moment: datetime) -> str:
    """Return what the clocks of Los Angeles show."""
    return f"{moment.astimezone(LOS_ANGELES):%Y-%m-%d %H:%M}"


# Friday 00:00 to Monday 00:00 in Los Angeles, before the clocks go forward.
WEEKEND = rule("2026-02-27 08:00", "2026-03-02 08:00")


def test_a_weekly_freeze_stays_at_its_local_times() -> None:
    weekends = list(WEEKEND.between(utc("2026-03-01 00:00"), utc("2026-03-14 00:00")))
    assert told(weekends) == [
        ("2026-02-27 00:00", "2026-03-02 00:00"),
        ("2026-03-06 00:00", "2026-03-09 00:00"),
        ("2026-03-13 00:00", "2026-03-16 00:00"),
    ]
    assert [one.end - one.start for one in weekends] == [timedelta(hours=h) for h in (72, 71, 72)]
    assert {one.reason for one in weekends} == {"The weekend."}
    (back,) = WEEKEND.between(utc("2026-10-30 12:00"), utc("2026-10-30 13:00"))
    assert back.end - back.start == timedelta(hours=73)


def test_what_only_touches_a_freeze_is_not_in_it() -> None:
    assert list(WEEKEND.between(utc("2026-03-02 08:00"), utc("2026-03-06 08:00"))) == []
    assert list(WEEKEND.between(utc("2026-02-01 08:00"), utc("2026-02-27 08:00"))) == []
    one = Freeze(utc("2026-03-06 08:00"), utc("2026-03-09 07:00"))
    assert one.overlaps(Window(utc("2026-03-09 06:30"), utc("2026-03-09 07:30")))
    assert not one.overlaps(Window(utc("2026-03-09 07:00"), utc("2026-03-09 08:00")))
    assert not one.overlaps(Window(utc("2026-03-06 07:00"), utc("2026-03-06 08:00")))


def test_a_freeze_that_comes_once_comes_once() -> None:
    once = rule("2026-02-27 08:00", "2026-03-02 08:00", recurrence=Recurrence.ONCE)
    assert list(once.between(utc("2020-01-01 00:00"), utc("2999-01-01 00:00"))) == [once.first]
    assert list(once.between(utc("2026-03-02 08:00"), utc("2999-01-01 00:00"))) == []


def test_a_freeze_ends_with_its_last_day() -> None:
    ending = rule("2026-02-27 08:00", "2026-03-02 08:00", until=day("2026-03-06"))
    found = list(ending.between(utc("2026-01-01 00:00"), utc("2999-01-01 00:00")))
    assert [begin for begin, _ in told(found)] == ["2026-02-27 00:00", "2026-03-06 00:00"]


def test_a_yearly_freeze_lies_over_the_end_of_the_year() -> None:
    holidays = rule("2026-12-21 08:00", "2027-01-04 08:00", recurrence=Recurrence.YEARLY)
    (found,) = holidays.between(utc("2029-01-01 00:00"), utc("2029-01-02 00:00"))
    assert told([found]) == [("2028-12-21 00:00", "2029-01-04 00:00")]


@pytest.mark.parametrize(
    ("start", "end", "year", "expected"),
    [
        # On the leap day itself: the day before in a year without one.
        ("2028-02-29 08:00", "2028-03-01 08:00", 2029, ("02-28 00:00", "03-01 00:00")),
        ("2028-02-29 08:00", "2028-03-01 08:00", 2032, ("02-29 00:00", "03-01 00:00")),
        ("2028-02-29 16:00", "2028-03-01 00:00", 2029, ("02-28 08:00", "02-28 16:00")),
        # Over it: the same days, however many lie between.
        ("2028-02-20 08:00", "2028-03-05 08:00", 2029, ("02-20 00:00", "03-05 00:00")),
        ("2027-02-20 08:00", "2027-03-05 08:00", 2028, ("02-20 00:00", "03-05 00:00")),
        # Up to it: as many days.
        ("2028-02-28 20:00", "2028-02-29 20:00", 2029, ("02-28 12:00", "03-01 12:00")),
    ],
)
def test_a_yearly_freeze_and_the_leap_day(
    start: str, end: str, year: int, expected: tuple[str, str]
) -> None:
    yearly = rule(start, end, recurrence=Recurrence.YEARLY)
    (found,) = yearly.between(utc(f"{year}-01-10 00:00"), utc(f"{year}-12-01 00:00"))
    assert told([found]) == [tuple(f"{year}-{one}" for one in expected)]


def test_a_freeze_is_never_shorter_than_it_says_when_clocks_change() -> None:
    nights = rule("2026-03-01 10:30", "2026-03-01 11:15")  # Sundays, 02:30 to 03:15
    (skipped,) = nights.between(utc("2026-03-08 00:00"), utc("2026-03-09 00:00"))
    assert told([skipped]) == [("2026-03-08 01:30", "2026-03-08 03:15")]
    early = rule("2026-10-25 07:00", "2026-10-25 08:30")  # Sundays, 00:00 to 01:30
    (doubled,) = early.between(utc("2026-11-01 00:00"), utc("2026-11-02 00:00"))
    assert (doubled.start, doubled.end) == (utc("2026-11-01 07:00"), utc("2026-11-01 09:30"))


def test_the_first_time_is_as_it_was_written() -> None:
    # From the first to the second 01:30 on the day on which clocks show it twice.
    between = rule("2026-11-01 08:45", "2026-11-01 09:15")
    found = list(between.between(utc("2026-10-01 00:00"), utc("2027-12-01 00:00")))
    # Other weeks have nothing between the two; the Sunday in autumn has it again.
    assert found[0] == between.first
    assert [one.start for one in found[1:]] == [utc("2027-11-07 08:45")]


def test_a_freeze_covers_the_kinds_that_it_names() -> None:
    assert all(WEEKEND.covers(kind) for kind in WindowKind)
    for_people = rule("2026-02-27 08:00", "2026-03-02 08:00", kinds=BOOKABLE)
    assert {kind for kind in WindowKind if for_people.covers(kind)} == BOOKABLE
    assert {kind for kind in WindowKind if kind.is_bookable} == BOOKABLE


@pytest.mark.parametrize("recurrence", [Recurrence.WEEKLY, Recurrence.YEARLY])
def test_ranges_far_in_the_future_are_not_walked_to(recurrence: Recurrence) -> None:
    freezes = rule("2026-02-27 08:00", "2026-03-02 08:00", recurrence=recurrence)
    start = utc("8026-02-27 00:00")
    walked = list(islice(freezes._since(start), 100))  # noqa: SLF001 - how much it does, not what
    overlapping = [one for one in walked if one.end > start]
    assert overlapping
    assert walked.index(overlapping[0]) < 60


FIRSTS = st.integers(0, 9 * 365 * 24 * 60).map(
    lambda minutes: utc("2020-01-01 00:00") + timedelta(minutes=minutes)
)
LENGTHS = st.integers(1, 7 * 24 * 4).map(lambda quarters: timedelta(minutes=15 * quarters))


@given(
    first=FIRSTS,
    length=LENGTHS,
    after=st.integers(-400, 4000),
    days=st.integers(1, 60),
    zone=st.sampled_from(ZONES),
    recurrence=st.sampled_from(Recurrence),
)
def test_what_is_between_two_moments_is_what_a_walk_from_the_beginning_finds(  # noqa: PLR0913, PLR0917
    first: datetime,
    length: timedelta,
    after: int,
    days: int,
    zone: ZoneInfo,
    recurrence: Recurrence,
) -> None:
    freezes = FreezeRule(Freeze(first, first + length), zone, recurrence)
    start = first + timedelta(days=after)
    end = start + timedelta(days=days)
    walked = []
    for one in freezes._since(first):  # noqa: SLF001 - from its first time on
        if one.start >= end:
            break
        walked.append(one)
    expected = [one for one in walked if one.overlaps(Window(start, end))]
    found = list(freezes.between(start, end))
    assert found == expected
    assert found == sorted(found, key=lambda one: one.start)


@given(
    first=FIRSTS,
    length=LENGTHS,
    zone=st.sampled_from(ZONES),
    recurrence=st.sampled_from((Recurrence.WEEKLY, Recurrence.YEARLY)),
)
def test_a_freeze_that_comes_again_ends_after_it_begins(
    first: datetime, length: timedelta, zone: ZoneInfo, recurrence: Recurrence
) -> None:
    freezes = FreezeRule(Freeze(first, first + length), zone, recurrence)
    for one in islice(freezes._since(first), 55):  # noqa: SLF001
        assert one.start < one.end
        assert abs((one.end - one.start) - length) <= timedelta(days=1, hours=2)


def test_a_step_that_is_kept_in_whatever_it_takes_starts_at_some_time() -> None:
    start = datetime(2026, 8, 26, 13, tzinfo=UTC)
    assert Window(start, start).at(10**12) == datetime.max.replace(tzinfo=UTC)
