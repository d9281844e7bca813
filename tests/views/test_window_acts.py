"""A window's page beside its queue: people, emergencies, moving it, calling it off."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from scheduler.actors import grant_roles
from scheduler.domain.permissions import Role
from scheduler.domain.windows import WindowKind
from scheduler.models import Event, Freeze, GroupMove, TrainVersion, User, Window
from scheduler.services.backports import withdraw_backport
from tests.factories import fetched, make_backport, promote
from tests.views.conftest import in_a_day

As = Callable[[str], Client]
HOUR = timedelta(hours=1)


def key() -> dict[str, str]:
    return {"key": str(uuid4())}


def moved(window: Window, **other: object) -> dict[str, object]:
    """Return what the form sends that moves a window by a day, in UTC."""
    to = window.start + timedelta(days=1)
    return {
        **key(),
        "zone": "UTC",
        "starts_day": f"{to:%Y-%m-%d}",
        "starts_at": f"{to:%H:%M}",
        "minutes": "30",
        "reason": "The train needs this hour.",
        "seen": window.sequence,
        **other,
    }


def test_people_sign_up_and_step_down_on_the_window_itself(as_: As, cast: dict[str, User]) -> None:
    window = in_a_day()
    client, address = as_("dev"), f"/windows/{window.pk}"
    assert (
        "it is skipped a quarter of an hour after its start" in client.get(address).content.decode()
    )

    client.post(f"{address}/sign-up", key())
    text = client.get(address).content.decode()
    assert "Step down" in text
    assert "You deploy in" in text
    client.post(f"{address}/step-down", key())

    assert not window.deployers.exists()
    refused = client.post(f"{address}/step-down", key())
    assert refused.status_code == 409
    assert "You have not signed up for this window." in refused.content.decode()


@pytest.mark.parametrize(
    ("act", "name"),
    [("sign-up", "ada"), ("step-down", "ada"), ("move", "dev"), ("cancel", "dev")],
)
def test_who_may_not_reads_who_may(as_: As, cast: dict[str, User], act: str, name: str) -> None:
    window = in_a_day()
    answer = as_(name).post(f"/windows/{window.pk}/{act}", moved(window))
    assert answer.status_code == 403
    assert "you are signed in as" in answer.content.decode()
    assert not Event.objects.exists()


def test_a_window_is_moved_with_what_is_booked_in_it(as_: As, cast: dict[str, User]) -> None:
    window = in_a_day()
    backport = make_backport(window, cast["ada"])
    client, sent = as_("rel"), moved(window)
    assert "What is booked moves along" in client.get(f"/windows/{window.pk}").content.decode()

    for _ in range(2):
        assert client.post(f"/windows/{window.pk}/move", sent).status_code == 302

    before = window.start
    window.refresh_from_db()
    backport.refresh_from_db()
    assert window.start == before.replace(second=0, microsecond=0) + timedelta(days=1)
    assert (window.end - window.start, window.sequence) == (timedelta(minutes=30), 1)
    assert backport.window == window
    assert Event.objects.filter(kind="window.move").count() == 1


@pytest.mark.parametrize("act", ["move", "cancel"])
def test_a_page_that_is_old_changes_nothing(as_: As, cast: dict[str, User], act: str) -> None:
    window = in_a_day()
    Window.objects.filter(pk=window.pk).update(sequence=1)
    answer = as_("rel").post(f"/windows/{window.pk}/{act}", moved(window))
    assert answer.status_code == 409
    assert "was moved or called off since you opened the page" in answer.content.decode()


def test_what_was_typed_to_move_a_window_is_not_lost(as_: As, cast: dict[str, User]) -> None:
    window = in_a_day()
    answer = as_("rel").post(
        f"/windows/{window.pk}/move", moved(window, starts_at="", reason="The <train>")
    )
    text = answer.content.decode()
    assert answer.status_code == 422
    assert 'value="The &lt;train&gt;"' in text
    assert "<details open>" in text


def test_a_window_is_called_off_once_nothing_is_booked(as_: As, cast: dict[str, User]) -> None:
    window = in_a_day()
    backport = make_backport(window, cast["ada"])
    client, address = as_("rel"), f"/windows/{window.pk}"
    sent = {"reason": "Nobody is there.", "seen": window.sequence}
    refused = client.post(f"{address}/cancel", {**sent, **key()})
    assert refused.status_code == 409
    assert "move them to another window first" in refused.content.decode()
    withdraw_backport(backport=backport, by=cast["ada"], fingerprint=backport.fingerprint)

    assert client.post(f"{address}/cancel", {**sent, **key()}).status_code == 302

    text = client.get(address).content.decode()
    assert "It was called off" in text
    assert "/backports/new?window=" not in text
    assert Event.objects.filter(kind="window.cancel").count() == 1


def test_an_emergency_takes_one_of_each_role_who_just_signed_in(
    as_: As, client: Client, cast: dict[str, User]
) -> None:
    grant_roles(cast["dev"], Role.DEPLOYER, Role.OPERATIONS)
    window = in_a_day()
    Window.objects.filter(pk=window.pk).update(is_emergency=True, reason="Nobody can sign in.")
    Freeze.objects.create(starts=window.start - HOUR, ends=window.end + HOUR, reason="Weekend")
    address, sent = f"/windows/{window.pk}", {"seen": 0}

    asked = as_("rel").post(f"{address}/confirm", {**sent, **key()})
    assert asked.status_code == 302
    assert asked["Location"].startswith("/sign-in/again?next=")
    assert not window.confirmations.exists()

    for name in ("rel", "dev"):
        client.post("/demo-sign-in", {"username": name})
        assert "Confirm: it takes place in spite of the freeze" in text_of(client, address)
        assert client.post(f"{address}/confirm", {**sent, **key()}).status_code == 302
        assert "confirmed</span>" in text_of(client, address)

    text = text_of(client, address)
    assert "confirmed by two" in text
    assert {one.by.username for one in window.confirmations.all()} == {"rel", "dev"}
    assert Event.objects.filter(kind="window.confirm-emergency").count() == 2
    assert "frozen</span>" not in text_of(client, "/")
    again = client.post(f"{address}/confirm", {**sent, **key()})
    assert again.status_code == 409
    assert "You have confirmed it" in again.content.decode()


def test_nobody_confirms_an_emergency_for_their_own_work(
    client: Client, cast: dict[str, User]
) -> None:
    window = in_a_day()
    Window.objects.filter(pk=window.pk).update(is_emergency=True, reason="Fire")
    make_backport(window, cast["rel"], fetched(1000, owner="rel"))
    client.post("/demo-sign-in", {"username": "rel"})
    assert "Confirm: it takes place" not in text_of(client, f"/windows/{window.pk}")
    answer = client.post(f"/windows/{window.pk}/confirm", {"seen": 0, **key()})
    assert answer.status_code == 403


def test_a_window_of_another_kind_has_people_and_no_queue(as_: As, cast: dict[str, User]) -> None:
    window = in_a_day("Train")
    Window.objects.filter(pk=window.pk).update(kind=WindowKind.TRAIN.value)
    text = text_of(as_("dev"), f"/windows/{window.pk}")
    assert "Backports are not booked in this kind of window." in text
    assert "Sign up" in text
    assert "Production after every step" not in text


def test_it_says_when_booking_closes_and_whom_that_stops(as_: As, cast: dict[str, User]) -> None:
    window = in_a_day()
    now = timezone.now()
    Window.objects.filter(pk=window.pk).update(closes_at=now + HOUR)
    assert "Booking closes <time" in text_of(as_("ada"), f"/windows/{window.pk}")
    Window.objects.filter(pk=window.pk).update(closes_at=now - HOUR)
    assert "Booking in this window has closed" in text_of(as_("ada"), f"/windows/{window.pk}")
    assert f'id="id_window_{window.pk}"' not in text_of(as_("ada"), "/backports/new")
    assert "Book in this window" in text_of(as_("dev"), f"/windows/{window.pk}")
    assert f'id="id_window_{window.pk}"' in text_of(as_("dev"), "/backports/new")


def test_it_shows_the_versions_of_its_start_as_planned(as_: As, cast: dict[str, User]) -> None:
    now = timezone.now()
    old, new = (
        TrainVersion.objects.create(
            name=f"1.47.0-wmf.{number}", position=number, checked_out_from=now - 9 * HOUR
        )
        for number in (1, 2)
    )
    GroupMove.objects.create(version=old, group="group1", at=now - 8 * HOUR)
    promote(new, "group1", now + 12 * HOUR)
    text = text_of(as_("ada"), f"/windows/{in_a_day().pk}")
    then = text.partition("Versions at its start, as planned")[2]
    assert then.partition("</dl>")[0].count("wmf.2") == 1


def text_of(client: Client, address: str) -> str:
    return client.get(address).content.decode()
