"""Calendar feeds over HTTP, and the keys to them."""

import re
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client

from scheduler.models import Event, FeedKey, User
from swat.masking import MaskingFormatter, masked
from tests.views.conftest import in_a_day

As = Callable[[str], Client]


def made_by(client: Client, key: str = "") -> str:
    """Make an address, and return its path."""
    answer = client.post("/profile/feed", {"key": key or str(uuid4())})
    assert answer.status_code == 200
    found = re.search(r'id="feed" value="https?://[^/]+([^"]+)"', answer.content.decode())
    assert found is not None
    return found[1]


@pytest.mark.django_db
def test_the_feed_for_all_needs_no_account_and_says_when_nothing_changed(client: Client) -> None:
    in_a_day("Late window")

    answer = client.get("/calendar.ics")

    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    assert answer["Cache-Control"] == "private, no-cache"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert b"SUMMARY:Late window" in answer.content
    again = client.get("/calendar.ics", headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    in_a_day("Another", days=2)
    assert client.get("/calendar.ics", headers={"If-None-Match": answer["ETag"]}).status_code == 200


def test_an_address_is_shown_once_and_opens_one_persons_feed(
    as_: As, cast: dict[str, User]
) -> None:
    in_a_day("Mine").deployers.add(cast["dev"])
    in_a_day("Not mine", days=2)
    client, key = as_("dev"), str(uuid4())

    path = made_by(client, key)

    secret = path.removeprefix("/calendar/").removesuffix(".ics")
    assert len(secret) == 43
    assert secret not in str([list(FeedKey.objects.values()), list(Event.objects.values())])
    twice = client.post("/profile/feed", {"key": key}, follow=True)
    assert secret not in twice.content.decode()
    assert "shown already" in twice.content.decode()
    assert FeedKey.objects.count() == 1
    answer = Client().get(path)
    assert b"SUMMARY:Mine" in answer.content
    assert b"Not mine" not in answer.content
    assert answer["Cache-Control"] == "private, no-cache"


def test_what_was_revoked_or_replaced_opens_nothing(as_: As) -> None:
    client = as_("dev")
    first = made_by(client)
    second = made_by(client)
    assert Client().get(first).status_code == 404
    assert Client().get(second).status_code == 200

    answer = client.post("/profile/feed/revoke", {"key": str(uuid4())}, follow=True)

    assert "opens nothing any more" in answer.content.decode()
    gone = Client().get(second)
    assert (gone.status_code, gone["Cache-Control"]) == (404, "no-store")
    assert client.post("/profile/feed/revoke", {"key": str(uuid4())}).status_code == 409


def test_the_feed_of_a_closed_account_is_closed(as_: As, cast: dict[str, User]) -> None:
    path = made_by(as_("dev"))
    User.objects.filter(pk=cast["dev"].pk).update(is_active=False)

    assert Client().get(path).status_code == 404


def test_no_log_has_the_key(as_: As, caplog: pytest.LogCaptureFixture) -> None:
    path = made_by(as_("dev"))
    secret = path.removeprefix("/calendar/").removesuffix(".ics")
    form = MaskingFormatter("{message}", style="{")

    Client().get(path.replace(secret, f"{secret}x"))

    assert caplog.records
    for record in caplog.records:
        assert secret not in form.format(record)
    line = f'"GET {path}?x=1 HTTP/1.1" 200'
    assert masked(line) == '"GET /calendar/***.ics?x=1 HTTP/1.1" 200'
    assert masked(path.replace(".ics", "%2eICS")) == "/calendar/***%2eICS"
    assert masked("/calendar.ics") == "/calendar.ics"
