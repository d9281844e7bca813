"""The page of mail that waits."""

import smtplib
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from scheduler.models import Event, Notification, User, Window
from scheduler.services.events import record
from scheduler.services.notifications import LEASE, send_notifications
from tests.factories import fetched, make_backport

As = Callable[[str], Client]


@pytest.fixture
def owed(cast: dict[str, User], window: Window, settings: Settings) -> Notification:
    """A mail to Rae that failed: nobody listens where mail goes."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    User.objects.filter(username="rae").update(email="rae@example.org")
    owed_to("rae", cast, window)
    assert send_notifications(at=timezone.now()) == 0
    return Notification.objects.get()


def owed_to(name: str, cast: dict[str, User], window: Window, number: int = 1000) -> Notification:
    backport = make_backport(window, cast["ada"], fetched(number))
    event = Event.objects.get(backport=backport)
    return Notification.objects.create(
        event=event, recipient=cast[name], why="review", due_at=timezone.now()
    )


def sent() -> dict[str, object]:
    return {"key": str(uuid4())}


def text_of(client: Client) -> str:
    return client.get("/mail/").content.decode()


def test_what_does_not_go_out_is_listed_with_the_reason(as_: As, owed: Notification) -> None:
    text = text_of(as_("rel"))

    assert "<bdi>rae</bdi>" in text
    assert "ada asked for change 1000 to be deployed, patch set 1." in text
    assert f'href="/backports/{owed.event.backport_id}"' in text
    assert "The mail server cannot be reached." in text
    assert "ConnectionRefusedError" in text
    assert '<td data-label="Attempts" class="number">1</td>' in text
    assert '<span class="count">1</span>' in as_("rel").get("/people/").content.decode()


def test_nothing_waits(as_: As, cast: dict[str, User]) -> None:
    assert "Nothing is waiting: every mail that is owed was sent." in text_of(as_("rel"))


def test_it_is_tried_at_once_and_goes_out(as_: As, owed: Notification, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert send_notifications(at=timezone.now()) == 0  # its pause lasts
    client, form, address = as_("rel"), sent(), f"/mail/{owed.pk}/try"

    answers = [client.post(address, form) for _ in range(2)]

    assert {answer["Location"] for answer in answers} == {"/mail/?done=1"}
    assert "tried again with the next sweep" in client.get("/mail/?done=1").content.decode()
    assert send_notifications(at=timezone.now()) == 1
    assert [message.to for message in mail.outbox] == [["rae@example.org"]]
    assert client.post(address, form)["Location"] == "/mail/?done=1"  # the same form once more
    again = client.post(address, sent())
    assert again.status_code == 409
    assert "This mail was sent meanwhile" in again.content.decode()
    assert client.post("/mail/999/try", sent()).status_code == 404


def test_what_a_sweep_has_in_hand_is_left_to_it(as_: As, owed: Notification) -> None:
    Notification.objects.update(claimed_until=timezone.now() + LEASE)
    client = as_("rel")

    assert "being sent now" in text_of(client)
    assert "Try now" not in text_of(client)
    assert client.post(f"/mail/{owed.pk}/try", sent()).status_code == 409


@pytest.mark.parametrize("name", ["ada", "rae", "dev", "sam"])
def test_only_a_release_engineer_sees_or_tries_it(as_: As, owed: Notification, name: str) -> None:
    client = as_(name)
    before = Notification.objects.values().get()

    assert client.get("/mail/").status_code == 403
    assert client.post(f"/mail/{owed.pk}/try", sent()).status_code == 403
    assert Notification.objects.values().get() == before


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (smtplib.SMTPRecipientsRefused({}), "does not take mail for this address"),
        (smtplib.SMTPServerDisconnected("gone"), "or the way to it, has trouble"),
        (TimeoutError("timed out"), "did not answer in time"),
    ],
)
def test_a_failure_is_told_in_words(
    as_: As, owed: Notification, failure: Exception, said: str
) -> None:
    Notification.objects.update(failure=f"{type(failure).__name__}: {failure}")
    assert said in text_of(as_("rel"))


def test_the_list_is_read_in_as_many_queries_for_30_as_for_3(
    as_: As,
    cast: dict[str, User],
    window: Window,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client = as_("rel")
    for number in range(30):
        owed_to("rae", cast, window, 1000 + number)
    about_window = record(kind="window.unlock", actor=cast["dev"], window=window)
    Notification.objects.create(
        event=about_window,
        recipient=cast["rae"],
        why="own",
        due_at=timezone.now() + timedelta(minutes=1),
    )
    client.get("/mail/")
    with django_assert_max_num_queries(9):
        assert text_of(client).count("Try now") == 31
