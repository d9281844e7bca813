"""The inbox, and decisions about exactly what was shown."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client

from tests.views.conftest import CIRRUS, Book

As = Callable[[str], Client]
HTMX = {"HX-Request": "true", "HX-Target": "inbox"}


def sent(fingerprint: str, **other: object) -> dict[str, object]:
    return {"fingerprint": fingerprint, "key": str(uuid4()), "reason": "", **other}


def test_a_reviewer_sees_what_waits_and_approves_it(book: Book, as_: As) -> None:
    backport = book(CIRRUS)
    inbox = as_("rae").get("/reviews/").content.decode()
    assert str(CIRRUS) in inbox
    assert backport.fingerprint in inbox

    answer = as_("rae").post(
        f"/backports/{backport.pk}/approve",
        sent(backport.fingerprint),
    )

    assert answer.status_code == 302
    backport.refresh_from_db()
    assert backport.status in {"approved", "queued"}


def test_htmx_gets_the_inbox_without_it(book: Book, as_: As) -> None:
    backport = book(CIRRUS)

    answer = as_("rae").post(
        f"/backports/{backport.pk}/approve", sent(backport.fingerprint), headers=HTMX
    )

    text = answer.content.decode()
    assert answer.status_code == 200
    assert text.lstrip().startswith('<div id="inbox"')
    assert f"{CIRRUS} was approved." in text
    assert "Nothing waits for you." in text


def test_what_changed_in_between_is_refused_with_the_fresh_facts(book: Book, as_: As) -> None:
    backport = book(CIRRUS)

    answer = as_("rae").post(f"/backports/{backport.pk}/approve", sent("0" * 64), headers=HTMX)

    assert answer.status_code == 409
    assert backport.fingerprint in answer.content.decode()
    backport.refresh_from_db()
    assert backport.status == "submitted"


@pytest.mark.parametrize("name", ["ada", "dev", "sam"])
def test_nobody_approves_their_own_nor_without_the_role(book: Book, as_: As, name: str) -> None:
    backport = book(CIRRUS)
    page = as_(name).get(f"/backports/{backport.pk}").content.decode()
    assert "Approve patch set" not in page

    answer = as_(name).post(f"/backports/{backport.pk}/approve", sent(backport.fingerprint))

    assert answer.status_code == 403
    assert "may not approve" in answer.content.decode() or "Only a" in answer.content.decode()


@pytest.mark.parametrize(
    ("act", "status"), [("decline", "declined"), ("train", "train"), ("ask", "needs-info")]
)
def test_other_decisions_need_a_reason(book: Book, as_: As, act: str, status: str) -> None:
    backport = book(CIRRUS)
    address = f"/backports/{backport.pk}/{act}"

    assert as_("rae").post(address, sent(backport.fingerprint)).status_code == 422
    answer = as_("rae").post(address, sent(backport.fingerprint, reason="It can wait."))

    assert answer.status_code == 302
    backport.refresh_from_db()
    assert backport.status == status


def test_the_inbox_of_others_says_what_it_is_for(as_: As) -> None:
    assert "Reviewers and release engineers" in as_("ada").get("/reviews/").content.decode()
