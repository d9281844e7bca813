"""Calendar feeds: what they hold, how it changes, and that two independent parsers read it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import icalendar
import pytest
import vobject
from django.db import connection
from django.test.utils import CaptureQueriesContext

from scheduler.adapters.calendars.ical import Happening, feed_of
from scheduler.models import Backport, Freeze, TrainVersion, User, Window
from scheduler.services.calendar import cancel_window, move_window
from scheduler.services.feed_contents import happenings_for, happenings_for_all
from scheduler.services.windows import sign_up
from tests.factories import fetched, make_backport, make_window, promote
from tests.hostile import HOSTILE

START = datetime(2026, 12, 1, 21, tzinfo=UTC)
HOUR = timedelta(hours=1)


def events_in(feed: bytes) -> dict[str, Any]:
    """Return the events of a feed, which both parsers read alike, by their UIDs."""
    ours: dict[str, Any] = {
        str(one["UID"]): one for one in icalendar.Calendar.from_ical(feed).walk("VEVENT")
    }
    theirs = vobject.readOne(feed.decode())
    others = {one.uid.value: one for one in getattr(theirs, "vevent_list", [])}
    assert set(ours) == set(others)
    for uid, one in ours.items():
        other = others[uid]
        assert one["DTSTART"].dt == other.dtstart.value
        assert str(one["SUMMARY"]) == other.summary.value
        assert str(one["SEQUENCE"]) == other.sequence.value
    for line in feed.split(b"\r\n"):
        assert len(line) <= 75
        assert b"\n" not in line
    assert b"TZID" not in feed
    return ours


def feed(now: datetime) -> dict[str, Any]:
    return events_in(feed_of("SWAT", happenings_for_all(now)))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_is_one_line_of_text(text: str) -> None:
    one = Happening("1@x", text, START, START + HOUR, START, description=text)

    (event,) = events_in(feed_of(text, [one])).values()

    assert set(event) == {
        *("UID", "DTSTAMP", "LAST-MODIFIED", "SEQUENCE", "SUMMARY", "DTSTART", "DTEND", "STATUS"),
        *("TRANSP", "DESCRIPTION"),
    }
    assert "\n" not in str(event["SUMMARY"])


@pytest.mark.django_db
def test_a_moved_window_keeps_its_uid_and_raises_its_sequence(rel: User, window: Window) -> None:
    now = window.start - HOUR
    before = feed(now)
    move_window(
        window=window, by=rel, start=window.start + HOUR, minutes=30, reason="The train is late."
    )
    after = feed(now)

    (uid,) = before
    assert list(after) == [uid]
    assert (int(before[uid]["SEQUENCE"]), int(after[uid]["SEQUENCE"])) == (0, 1)
    assert after[uid]["DTSTART"].dt == before[uid]["DTSTART"].dt + HOUR
    assert after[uid]["LAST-MODIFIED"].dt > before[uid]["LAST-MODIFIED"].dt
    assert before[uid]["DTSTART"].dt.tzinfo is not None


@pytest.mark.django_db
def test_a_window_called_off_is_cancelled(rel: User, dev: User, window: Window) -> None:
    sign_up(window=window, by=dev)
    assert "Deployers: dev." in str(next(iter(feed(window.start).values()))["DESCRIPTION"])
    cancel_window(window=window, by=rel, reason="Nobody needs it.")

    (event,) = feed(window.start).values()

    assert (str(event["STATUS"]), int(event["SEQUENCE"])) == ("CANCELLED", 1)


@pytest.mark.django_db
def test_the_feed_for_all_holds_trains_and_freezes_of_its_time_only(rel: User) -> None:
    for kind, weeks in (("security", 0), ("train", -3), ("train", -5), ("dedicated", 9)):
        start = START + timedelta(weeks=weeks)
        make_window(start=start, end=start + HOUR, kind=kind, title=f"{kind} {weeks}")
    version = TrainVersion.objects.create(name="1.47.0-wmf.5", position=1)
    promote(version, "group1", START + timedelta(days=365))
    version.promotions.update(at=START)
    Freeze.objects.create(
        starts=datetime(2026, 11, 26, 8, tzinfo=UTC),
        ends=datetime(2026, 11, 28, 8, tzinfo=UTC),
        zone="America/Los_Angeles",
        reason="Thanksgiving",
        scope="train",
    )

    found = {str(one["SUMMARY"]): one for one in feed(START).values()}

    assert set(found) == {
        "security 0",
        "train -3",
        "Train: group1 to 1.47.0-wmf.5",
        "Freeze (no train): Thanksgiving",
    }
    freeze = found["Freeze (no train): Thanksgiving"]
    assert str(freeze["DTSTART"].dt) == "2026-11-26"
    assert str(freeze["DTEND"].dt) == "2026-11-28"
    assert str(freeze["TRANSP"]) == "TRANSPARENT"
    assert found["Train: group1 to 1.47.0-wmf.5"]["DTSTART"].dt == START


@pytest.mark.django_db
def test_a_personal_feed_holds_what_somebody_deploys_or_asked_for(
    ada: User, dev: User, window: Window
) -> None:
    make_window(in_hours=48)
    shown = make_backport(window, ada, fetched(11, subject="Fix it"))
    hidden = make_backport(window, ada, fetched(12, subject="Secret hole"))
    Backport.objects.filter(pk=hidden.pk).update(marks=["security"])
    sign_up(window=window, by=dev)

    (of_ada,) = happenings_for(ada, window.start)
    (of_dev,) = happenings_for(dev, window.start)

    assert of_ada.uid == of_dev.uid
    assert f"Your backport of {shown.change.number}: submitted. Fix it" in of_ada.description
    assert "Secret" not in of_ada.description
    assert "12" not in of_ada.description.replace(str(hidden.pk), "")
    assert "You deploy in this window." in of_dev.description
    assert happenings_for(User.objects.create_user("sam"), window.start) == []


@pytest.mark.django_db
def test_a_feed_takes_as_many_queries_for_many_windows(dev: User) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            happenings_for_all(START)
        return len(captured)

    make_window(start=START, end=START + HOUR).deployers.add(dev)
    few = queries()
    for hours in range(2, 12):
        start = START + hours * HOUR
        make_window(start=start, end=start + HOUR).deployers.add(dev)

    assert queries() == few
