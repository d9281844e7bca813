"""What somebody does with a backport of their own, and what others do with it."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client

from scheduler.models import Backport, Event, User, Window
from tests.factories import fetched_fix, make_backport, make_change, make_window

As = Callable[[str], Client]
NEXT = "wmf/1.47.0-wmf.31"


@pytest.fixture
def backport(cast: dict[str, User], window: Window) -> Backport:
    """A fix that Ada requested."""
    return make_backport(window, cast["ada"], *fetched_fix(1000))


@pytest.fixture
def window(cast: dict[str, User]) -> Window:
    return make_window()


def page_of(client: Client, backport: Backport) -> str:
    return client.get(f"/backports/{backport.pk}").content.decode()


def sent(backport: Backport, **fields: str) -> dict[str, str]:
    return {"fingerprint": backport.fingerprint, "key": str(uuid4()), **fields}


def test_withdrawing_takes_a_second_step_that_says_what_happens(
    backport: Backport, as_: As
) -> None:
    text = page_of(as_("ada"), backport)

    step = text.index("<summary>Withdraw this backport</summary>")
    assert step < text.index("This cannot be taken back") < text.index("Yes, withdraw 1000")
    assert 'name="reason" rows="2" maxlength="500" required' not in text


def test_withdrawing_what_somebody_else_requested_takes_a_reason(
    backport: Backport, as_: As
) -> None:
    address = f"/backports/{backport.pk}/withdraw"
    assert "Why it is withdrawn" in page_of(as_("rae"), backport)

    assert as_("rae").post(address, sent(backport)).status_code == 422
    assert as_("rae").post(address, sent(backport, reason="Fixed twice.")).status_code == 302

    assert Event.objects.get(kind="backport.withdraw").payload == {"reason": "Fixed twice."}
    assert "withdrew this backport. “<bdi>Fixed twice.</bdi>”" in page_of(as_("ada"), backport)


def test_answers_are_copied_to_a_sibling_that_there_is_by_their_requester(
    backport: Backport, as_: As
) -> None:
    assert "Copy the answers" not in page_of(as_("ada"), backport)
    pick, _ = fetched_fix(1001, branch=NEXT, change_id=backport.change.change_id)
    make_change(pick)

    text = page_of(as_("ada"), backport)

    assert f"Copy the answers to its sibling 1001 on <bdi>{NEXT}</bdi>" in text
    assert f'href="/backports/new?from={backport.pk}&amp;change=1001"' in text
    assert "Copy the answers" not in page_of(as_("rae"), backport)


def test_the_page_of_an_open_backport_follows_by_itself(backport: Backport, as_: As) -> None:
    address = f"/backports/{backport.pk}"

    text = page_of(as_("ada"), backport)
    part = as_("ada").get(address, headers={"HX-Request": "true"}).content.decode()

    assert f'<div id="backport" data-polls hx-get="{address}"' in text
    assert part.lstrip().startswith('<div id="backport"')


def test_whoever_may_not_book_is_not_led_to_booking_but_told_who_gives_roles(
    backport: Backport, as_: As
) -> None:
    sam = as_("sam")

    assert ">New backport</a>" not in page_of(sam, backport)
    for address in ("/profile", "/backports/new"):
        text = sam.get(address).content.decode()
        assert "A release engineer gives roles: <bdi>rel</bdi>." in text
    assert ">New backport</a>" in page_of(as_("ada"), backport)


def test_signing_in_never_leads_to_signing_out(client: Client, cast: dict[str, User]) -> None:
    sent_in = {"username": "rel", "next": "/sign-out"}

    answer = client.post("/demo-sign-in", sent_in)

    assert answer["Location"] == "/"
