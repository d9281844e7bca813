"""Another window: the waiting list of a full one, and what was missed."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scheduler.domain.windows import FreezeScope
from scheduler.models import Backport, Event, Freeze, Plan, User, Window
from scheduler.services.plans import replan_window
from scheduler.views.booking import FULL
from tests.factories import approve, fetched, make_backport, make_change
from tests.views.conftest import in_a_day

As = Callable[[str], Client]


@pytest.fixture
def full(cast: dict[str, User]) -> Window:
    """A window with room for one, and two who wait for it; the second needs the first."""
    window = in_a_day()
    for number in (1000, 1001):
        approve(make_backport(window, cast["ada"], fetched(number)), cast["rae"])
    needed = f"I{1001:040x}"
    last = fetched(1002, message=f"x\n\nDepends-On: {needed}")
    approve(make_backport(window, cast["ada"], last), cast["rae"])
    _shrink(window)
    return window


def _shrink(window: Window) -> None:
    """Leave a window ten minutes: one step."""
    Window.objects.filter(pk=window.pk).update(end=window.start + timedelta(minutes=10))
    window.refresh_from_db()
    replan_window(window=window, now=timezone.now())


def sent(to: Window, backport: Backport) -> dict[str, object]:
    backport.refresh_from_db()
    return {"window": to.pk, "fingerprint": backport.fingerprint, "key": str(uuid4())}


def of(number: int) -> Backport:
    return Backport.objects.select_related("window").get(change__number=number)


def test_who_waits_is_told_their_place_and_the_next_window(as_: As, full: Window) -> None:
    frozen, later = in_a_day("Frozen SWAT", days=2), in_a_day("Later SWAT", days=3)
    Freeze.objects.create(starts=frozen.start, ends=frozen.end, scope=FreezeScope.ALL.value)

    text = as_("ada").get(f"/windows/{full.pk}").content.decode()

    assert "Waiting list" in text
    assert "Later SWAT" in text
    assert "Frozen SWAT" not in text
    assert "1002 moves along." in text
    assert f'name="window" value="{later.pk}"' in text


def test_it_moves_with_what_needs_it_and_people_are_told_once(as_: As, full: Window) -> None:
    later = in_a_day("Later SWAT", days=3)
    client, form = as_("ada"), sent(later, of(1001))

    for _ in range(2):
        answer = client.post(f"/backports/{of(1001).pk}/move-on", form)
        assert answer.status_code == 302
        assert answer["Location"] == f"/windows/{later.pk}"

    assert [of(number).window == later for number in (1000, 1001, 1002)] == [False, True, True]
    assert Event.objects.filter(kind="backport.move-on").count() == 2
    assert "1001, 1002" in client.get(f"/windows/{later.pk}").content.decode()


def test_moving_is_refused_to_others_and_on_an_old_page(as_: As, full: Window) -> None:
    later, backport = in_a_day("Later SWAT", days=3), of(1001)
    address = f"/backports/{backport.pk}/move-on"
    assert as_("sam").post(address, sent(later, backport)).status_code == 403
    stale = as_("rae").post(address, {**sent(later, backport), "fingerprint": "0" * 64})
    assert stale.status_code == 409
    assert "Waiting list" in stale.content.decode()
    assert as_("rae").post(address, {**sent(later, backport), "window": 0}).status_code == 422
    assert of(1001).window == full


def test_a_full_window_is_offered_with_its_waiting_list(as_: As, full: Window) -> None:
    Window.objects.filter(pk=full.pk).update(end=full.start + timedelta(minutes=60))
    full.refresh_from_db()
    for number in range(1003, 1008):
        approve(make_backport(full, of(1000).requester, fetched(number)), _rae())
    in_a_day("Later SWAT", days=3)

    text = as_("ada").get(f"/backports/new?window={full.pk}").content.decode()

    assert FULL in text
    assert "you would be 3rd on the waiting list" in text
    assert "<bdi>Later SWAT</bdi>" in text
    assert "6 of 6 slots and 60 min free" in text


def _rae() -> User:
    return User.objects.get(username="rae")


def missed(window: Window, *numbers: int) -> None:
    """Let changes be missed in a window."""
    ada = User.objects.get(username="ada")
    for number in numbers:
        change = make_change(fetched(number))
        Backport.objects.create(
            change=change,
            window=window,
            requester=ada,
            submitted_at=timezone.now(),
            status="missed",
            problems_where="The editor.",
            **dict.fromkeys(
                ("why_not_train", "user_impact", "tested_where", "verify_how", "rollback_how"), "x"
            ),
        )


def test_what_was_missed_is_one_click_from_the_next_window(as_: As, cast: dict[str, User]) -> None:
    window, later = in_a_day(), in_a_day("Later SWAT", days=2)
    missed(window, 1000)
    old = of(1000)
    client = as_("ada")
    assert "Missed" in client.get(f"/windows/{window.pk}").content.decode()
    text = client.get(f"/backports/{old.pk}").content.decode()
    assert "Book again in <bdi>Later SWAT</bdi>" in text
    form = {"window": later.pk, "key": str(uuid4())}

    answers = [client.post(f"/backports/{old.pk}/book-again", form) for _ in range(2)]

    assert {one.status_code for one in answers} == {302}
    made = Backport.objects.get(change__number=1000, status="submitted")
    assert (made.window, made.requester, made.problems_where) == (later, cast["ada"], "The editor.")
    assert answers[0]["Location"] == answers[1]["Location"] == f"/backports/{made.pk}"
    assert "booked again" in client.get(f"/windows/{window.pk}").content.decode()
    assert "Book again in" not in client.get(f"/backports/{old.pk}").content.decode()
    twice = client.post(f"/backports/{old.pk}/book-again", {**form, "key": str(uuid4())})
    assert twice.status_code == 409
    assert "is booked already" in twice.content.decode()


def test_booking_again_is_refused_to_others(as_: As, cast: dict[str, User]) -> None:
    window, later = in_a_day(), in_a_day("Later SWAT", days=2)
    missed(window, 1000)
    client = as_("sam")
    assert "Book again in" not in client.get(f"/backports/{of(1000).pk}").content.decode()
    answer = client.post(
        f"/backports/{of(1000).pk}/book-again", {"window": later.pk, "key": str(uuid4())}
    )
    assert answer.status_code == 403


def test_where_no_window_has_room_it_says_so(as_: As, cast: dict[str, User]) -> None:
    window = in_a_day()
    missed(window, 1000)
    text = as_("ada").get(f"/windows/{window.pk}").content.decode()
    assert "no coming window has room" in text


def test_a_window_with_30_missed_takes_as_many_queries_as_one_with_3(
    as_: As, cast: dict[str, User]
) -> None:
    window = in_a_day()
    client = as_("dev")
    counts = []
    for some in (range(1000, 1003), range(1003, 1030)):
        missed(window, *some)
        for days in some:
            made = in_a_day(f"Later {days}", days=days - 990)
            Plan.objects.create(
                window=made,
                version=1,
                made_at=timezone.now(),
                result={"queue": []},
                document={},
                fingerprint="x",
            )
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/windows/{window.pk}").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
