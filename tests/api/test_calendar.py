"""Whether backports may go out, told to bots and scripts."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from scheduler.models import EmergencyConfirmation, Freeze, User, Window
from tests.factories import make_window

pytestmark = pytest.mark.django_db
STATE = "/api/calendar/state"
START = datetime(2026, 12, 1, 21, tzinfo=UTC)


@pytest.fixture
def late(dev: User) -> Window:
    window = make_window(start=START, end=START + timedelta(hours=1), title="Late")
    window.deployers.add(dev)
    return window


def test_it_is_open_to_everybody_while_a_window_takes_place(client: Client, late: Window) -> None:
    answer = client.get(STATE, {"at": "2026-12-01T22:30:00+01:00"})

    assert answer.status_code == 200
    assert answer.json() == {
        "at": "2026-12-01T21:30:00Z",
        "state": "open",
        "why": "Late is under way.",
        "window": {
            "id": late.pk,
            "title": "Late",
            "kind": "backport",
            "start": "2026-12-01T21:00:00Z",
            "end": "2026-12-01T22:00:00Z",
            "deployers": ["dev"],
        },
        "next_transition": {
            "at": "2026-12-01T22:00:00Z",
            "state": "closed",
            "why": "No window for backports is under way.",
        },
    }


def test_what_was_called_off_and_replays_do_not_count(client: Client, late: Window) -> None:
    Window.objects.update(cancelled_at=START)
    make_window(start=START, end=START + timedelta(hours=1), as_of=START, kind="training")

    answer = client.get(STATE, {"at": "2026-12-01T21:30:00Z"}).json()

    assert (answer["state"], answer["window"], answer["next_transition"]) == ("closed", None, None)


def test_a_freeze_closes_and_two_confirmations_open(
    client: Client, late: Window, rel: User, sam: User
) -> None:
    Freeze.objects.create(starts=START, ends=START + timedelta(days=2), reason="Thanksgiving.")

    def state() -> str:
        return str(client.get(STATE, {"at": "2026-12-01T21:30:00Z"}).json()["state"])

    frozen = state()
    Window.objects.update(is_emergency=True)
    unconfirmed = state()
    for role, by in (("release-engineer", rel), ("operations", sam)):
        EmergencyConfirmation.objects.create(window=late, role=role, by=by, at=START)

    assert (frozen, unconfirmed, state()) == ("closed", "restricted", "open")


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("", "`at` is no time"),
        ("yesterday", "`at` is no time"),
        ("2026-12-01T21:30:00", "`at` names no zone"),
        ("2026-12-01", "`at` names no zone"),
        ("2026-12-01T21:30:00 01:00", "write + as %2B"),
        ("0001-01-01T00:00:00+14:00", "too far from the present"),
        ("9999-12-31T23:59:59-14:00", "too far from the present"),
        ("2026-12-01T21:30:00+99:00", "`at` is no time"),
        ("\x00" * 9000, "`at` is no time"),
        ("2026-12-01T21:30:00.0000000000000000000ZGARBAGE", "is no time"),
    ],
)
def test_a_time_that_is_none_is_told(client: Client, at: str, why: str) -> None:
    answer = client.get(STATE, {"at": at})

    assert answer.status_code == 400
    assert why in answer.json()["error"]


def test_now_is_what_is_asked_about_otherwise(client: Client) -> None:
    make_window(in_hours=0)

    assert client.get(STATE).json()["state"] == "restricted"


def test_a_no_deploy_window_that_ended_within_it_closes_all_of_a_window(client: Client) -> None:
    start = timezone.now() - timedelta(minutes=30)
    window = make_window()
    Window.objects.filter(pk=window.pk).update(start=start, end=start + timedelta(hours=1))
    banned = make_window(in_hours=30, kind="no-deploy")
    Window.objects.filter(pk=banned.pk).update(
        start=start - timedelta(hours=1), end=start + timedelta(minutes=15)
    )

    assert client.get(STATE).json()["state"] == "closed"


def test_it_is_only_read(client: Client) -> None:
    assert client.post(STATE).status_code == 405
