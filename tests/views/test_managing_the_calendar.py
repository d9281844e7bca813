"""Series, single windows and freezes: made and ended by release engineers, on local clocks."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scheduler.models import Backport, Event, Freeze, TrainVersion, User, Window, WindowSeries
from tests.factories import fetched, make_backport, promote
from tests.views.conftest import in_a_day

As = Callable[[str], Client]
HOME = "America/Los_Angeles"
HOSTILE = '<img src=x onerror="1"> \u202e'
SERIES, WINDOWS, FREEZES = "/calendar/series", "/calendar/windows/new", "/calendar/freezes"


def sunday(month: int, nth: int) -> date:
    """Return the nth Sunday of a month of next year: 2nd of March and 1st of November in the US."""
    first = date(timezone.now().year + 1, month, 1)
    return first + timedelta(days=(6 - first.weekday()) % 7 + 7 * (nth - 1))


def a_series(**other: object) -> dict[str, object]:
    return {
        "key": str(uuid4()),
        "title": "UTC late backport window",
        "kind": "backport",
        "weekdays": ["0", "1", "2", "3"],
        "zone": HOME,
        "starts_at": "13:00",
        "minutes": "60",
        "starts_on": f"{timezone.now():%Y-%m-%d}",
        **other,
    }


def a_window(day: date, at: str, **other: object) -> dict[str, object]:
    return {
        "key": str(uuid4()),
        "title": "Puppet request window",
        "kind": "infrastructure",
        "zone": HOME,
        "starts_day": f"{day}",
        "starts_at": at,
        "minutes": "60",
        **other,
    }


def a_freeze(window: Window, **other: object) -> dict[str, object]:
    starts, ends = window.start - timedelta(hours=1), window.end + timedelta(hours=1)
    return {
        "key": str(uuid4()),
        "reason": "Datacentre switch",
        "scope": "all",
        "zone": "UTC",
        "recurrence": "once",
        "starts_day": f"{starts:%Y-%m-%d}",
        "starts_at": f"{starts:%H:%M}",
        "ends_day": f"{ends:%Y-%m-%d}",
        "ends_at": f"{ends:%H:%M}",
        **other,
    }


def seen_in(text: str) -> str:
    found = re.search(r'name="seen" value="([0-9a-f]{64})"', text)
    assert found
    return found[1]


def test_a_series_begins_once_and_its_windows_are_there(as_: As, cast: dict[str, User]) -> None:
    client, sent = as_("rel"), a_series()
    assert "No series yet" in client.get(SERIES).content.decode()

    for _ in range(2):
        assert client.post(SERIES, sent).status_code == 302

    series = WindowSeries.objects.get()
    assert (series.weekdays, series.minutes, series.zone) == ([0, 1, 2, 3], 60, HOME)
    starts = {window.start.astimezone(ZoneInfo(HOME)) for window in series.windows.all()}
    assert len(starts) >= 15
    assert {(one.hour, one.minute) for one in starts} == {(13, 0)}
    assert Event.objects.filter(kind="series.make").count() == 1
    assert "Mon, Tue, Wed, Thu 13:00" in client.get(SERIES).content.decode()


def test_a_time_that_the_clocks_skip_is_offered_otherwise_and_taken_with_one_click(
    as_: As, cast: dict[str, User]
) -> None:
    client = as_("rel")
    sent = a_series(weekdays=["6"], starts_at="02:30", title=HOSTILE)

    refused = client.post(SERIES, sent)

    text = refused.content.decode()
    assert refused.status_code == 422
    assert "The clocks skip 02:30 on Sun" in text
    assert 'name="take" value="starts 03:30">Take 03:30</button>' in text
    assert "&lt;img src=x" in text
    assert "<img" not in text
    assert not WindowSeries.objects.exists()
    taken = client.post(SERIES, {**sent, "key": str(uuid4()), "take": "starts 03:30"})
    assert taken.status_code == 302
    assert f"{WindowSeries.objects.get().at:%H:%M}" == "03:30"


def test_of_a_time_that_they_show_twice_it_is_asked_which(as_: As, cast: dict[str, User]) -> None:
    client, sent = as_("rel"), a_series(weekdays=["6"], starts_at="01:30")
    refused = client.post(SERIES, sent)
    text = refused.content.decode()
    assert refused.status_code == 422
    assert "The clocks show it twice; which one?" in text
    assert text.count('name="starts_which"') == 2
    client.post(SERIES, {**sent, "key": str(uuid4()), "starts_which": "second"})
    assert WindowSeries.objects.get().second


def test_a_single_window_on_the_day_the_clocks_change(as_: As, cast: dict[str, User]) -> None:
    client = as_("rel")
    spring, autumn = sunday(3, 2), sunday(11, 1)
    assert "Take 03:15" in client.post(WINDOWS, a_window(spring, "02:15")).content.decode()
    asked = client.post(WINDOWS, a_window(autumn, "01:15"))
    assert "which one?" in asked.content.decode()

    for which in ("first", "second"):
        sent = a_window(autumn, "01:15", starts_which=which)
        assert client.post(WINDOWS, sent).status_code == 302

    first, second = Window.objects.order_by("start")
    assert (first.start.hour, second.start.hour) == (8, 9)  # UTC
    assert Event.objects.filter(kind="window.add").count() == 2


def test_an_emergency_has_a_reason(as_: As, cast: dict[str, User]) -> None:
    client, day = as_("rel"), timezone.now().date() + timedelta(days=2)
    sent = a_window(day, "12:00", kind="backport", is_emergency="on")
    refused = client.post(WINDOWS, sent)
    assert refused.status_code == 422
    assert "Say what the emergency is" in refused.content.decode()
    assert client.post(WINDOWS, {**sent, "reason": "Fire"}).status_code == 302
    assert Window.objects.get().is_emergency


def test_a_window_that_would_overlap_is_refused_and_nothing_typed_is_lost(
    as_: As, cast: dict[str, User]
) -> None:
    window = in_a_day()
    start = window.start.astimezone(ZoneInfo(HOME))
    sent = a_window(start.date(), f"{start:%H:%M}", kind="backport", title="Mine & yours")
    answer = as_("rel").post(WINDOWS, sent)
    assert answer.status_code == 409
    assert "It would overlap Morning SWAT" in answer.content.decode()
    assert 'value="Mine &amp; yours"' in answer.content.decode()


def test_a_series_ends_and_its_later_windows_are_called_off(as_: As, cast: dict[str, User]) -> None:
    client = as_("rel")
    client.post(SERIES, a_series())
    series = WindowSeries.objects.get()
    address = f"/calendar/series/{series.pk}/end"
    last = timezone.now().date() + timedelta(days=7)

    assert client.post(address, {"key": str(uuid4()), "last_day": "never"}).status_code == 422
    sent = {"key": str(uuid4()), "last_day": f"{last}"}
    assert client.post(address, sent).status_code == 302

    later = series.windows.filter(series_day__gt=last)
    assert later.exists()
    assert not later.filter(cancelled_at__isnull=True).exists()
    again = client.post(address, {**sent, "key": str(uuid4())})
    assert again.status_code == 409
    assert "already" in again.content.decode()


def test_a_freeze_shows_first_what_it_would_strand(as_: As, cast: dict[str, User]) -> None:
    window = in_a_day()
    backport = make_backport(window, cast["ada"], fetched(1000, subject="Fix <b>it</b>"))
    version = TrainVersion.objects.create(name="1.47.0-wmf.31", position=31)
    promote(version, "group0", timezone.now() - timedelta(hours=2))
    promote(version, "group1", window.start)
    client, sent = as_("rel"), a_freeze(window)

    shown = client.post(FREEZES, sent)

    text = shown.content.decode()
    assert shown.status_code == 200
    assert not Freeze.objects.exists()
    for said in ("1000", "Fix &lt;b&gt;it&lt;/b&gt;", "Morning SWAT", "1.47.0-wmf.31"):
        assert said in text
    assert "group0 would have it, group1 not until the freeze is over" in text
    sent |= {"seen": seen_in(text)}
    for _ in range(2):
        assert client.post(FREEZES, sent).status_code == 302
    assert Freeze.objects.get().reason == "Datacentre switch"
    assert Event.objects.filter(kind="freeze.add").count() == 1
    assert "frozen" in client.get(f"/backports/{backport.pk}").content.decode()


def test_if_what_it_strands_has_changed_it_is_shown_again(as_: As, cast: dict[str, User]) -> None:
    window = in_a_day()
    client, sent = as_("rel"), a_freeze(window)
    sent |= {"seen": seen_in(client.post(FREEZES, sent).content.decode())}
    make_backport(window, cast["ada"], fetched(1000))

    answer = client.post(FREEZES, sent)

    assert answer.status_code == 409
    assert "What it would strand has changed" in answer.content.decode()
    assert "1000</a>" in answer.content.decode()
    assert not Freeze.objects.exists()
    sent |= {"seen": seen_in(answer.content.decode()), "key": str(uuid4())}
    assert client.post(FREEZES, sent).status_code == 302


def test_what_was_typed_can_be_changed_after_it_was_shown(as_: As, cast: dict[str, User]) -> None:
    sent = a_freeze(in_a_day(), reason=HOSTILE, edit="1", kinds=["train", "security"])
    text = as_("rel").post(FREEZES, sent).content.decode()
    assert 'value="&lt;img src=x' in text
    assert text.count(" checked") == 3  # two kinds and the grade
    assert not Freeze.objects.exists()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"ends_day": "2020-01-01"}, "It would end before it starts."),
        ({"reason": ""}, "This field is required."),
        ({"starts_day": "9999-12-31"}, "2100"),
        ({"recurrence": "yearly", "ends_day": "2099-01-01"}, "takes no more than a year"),
        ({"recurrence": "weekly", "ends_day": "2099-01-01"}, "takes no more than a week"),
        ({"zone": "Mars/Olympus"}, "There is no such time zone"),
    ],
)
def test_a_freeze_that_makes_no_sense_is_refused(
    as_: As, cast: dict[str, User], other: dict[str, str], said: str
) -> None:
    answer = as_("rel").post(FREEZES, a_freeze(in_a_day(), **other))
    assert answer.status_code == 422
    assert said in answer.content.decode()


def test_the_list_says_when_freezes_come_again_and_they_are_called_off(
    as_: As, cast: dict[str, User]
) -> None:
    window = in_a_day()
    freeze = Freeze.objects.create(
        starts=window.start, ends=window.end, recurrence="weekly", zone=HOME, reason="Weekends"
    )
    client, address = as_("rel"), f"/calendar/freezes/{freeze.pk}/call-off"
    text = client.get(FREEZES).content.decode()
    assert "weekly, on the clocks of America/Los_Angeles" in text
    assert text.count(" to <time") == 3

    assert client.post(address, {"key": str(uuid4()), "reason": " "}).status_code == 422
    sent = {"key": str(uuid4()), "reason": "Not any more."}
    for _ in range(2):
        assert client.post(address, sent).status_code == 302

    assert "Nothing is frozen, now or later." in client.get(FREEZES).content.decode()
    assert Event.objects.filter(kind="freeze.cancel").count() == 1
    assert client.post(address, {**sent, "key": str(uuid4())}).status_code == 409


def test_everybody_reads_and_only_release_engineers_write(as_: As, cast: dict[str, User]) -> None:
    client, window = as_("dev"), in_a_day()
    for address in (SERIES, FREEZES):
        text = client.get(address).content.decode()
        assert 'class="planning"' not in text
    assert client.get(WINDOWS).status_code == 403
    day = timezone.now().date() + timedelta(days=2)
    for address, sent in (
        (SERIES, a_series()),
        (WINDOWS, a_window(day, "12:00")),
        (FREEZES, a_freeze(window)),
    ):
        assert client.post(address, sent).status_code == 403
    assert not Event.objects.exists()
    assert not Backport.objects.exists()


def test_lists_of_30_take_as_many_queries_as_lists_of_3(as_: As, cast: dict[str, User]) -> None:
    client = as_("rel")
    counts = []
    for some in (range(3), range(3, 30)):
        for number in some:
            WindowSeries.objects.create(
                title="T" * 100,
                zone=HOME,
                weekdays=[number % 7],
                at="01:00",
                minutes=5,
                starts_on="2026-01-01",
            )
            start = timezone.now() + timedelta(days=number)
            Freeze.objects.create(
                starts=start, ends=start + timedelta(hours=1), recurrence="yearly"
            )
        found = []
        for address in (SERIES, FREEZES):
            with CaptureQueriesContext(connection) as queries:
                assert client.get(address).status_code == 200
            found.append(len(queries))
        counts.append(found)
    assert counts[0] == counts[1]
