"""Booking a backport, and its page."""

from collections.abc import Callable
from uuid import uuid4

from django.test import Client

from scheduler.models import Backport, Window
from swat.embedded.gerrit import DemoGerrit
from tests.views.conftest import ANSWERS, CIRRUS, EVENTS, Book

As = Callable[[str], Client]


def test_booking_leads_to_the_backport(book: Book) -> None:
    backport = book(CIRRUS)

    assert backport.status == "submitted"
    assert backport.problems_where == ANSWERS["problems_where"]


def test_sending_the_form_twice_books_once(as_: As, october: Window, gerrit: DemoGerrit) -> None:
    sent = {**ANSWERS, "change": str(CIRRUS), "window": october.pk, "key": str(uuid4())}

    answers = [as_("ada").post("/backports/new", sent) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert answers[0]["Location"] == answers[1]["Location"]
    assert Backport.objects.count() == 1


def test_an_answer_that_says_nothing_is_refused(
    as_: As, october: Window, gerrit: DemoGerrit
) -> None:
    for empty in ("none", "Low", "n.a."):
        answer = as_("ada").post(
            "/backports/new",
            {
                **ANSWERS,
                "problems_where": empty,
                "change": str(CIRRUS),
                "window": october.pk,
                "key": str(uuid4()),
            },
        )
        assert answer.status_code == 422
        assert "say where one would look first" in answer.content.decode()
    assert not Backport.objects.exists()


def test_who_may_nothing_books_nothing(as_: As, october: Window, gerrit: DemoGerrit) -> None:
    answer = as_("sam").post(
        "/backports/new",
        {**ANSWERS, "change": str(CIRRUS), "window": october.pk, "key": str(uuid4())},
    )

    assert answer.status_code == 409
    assert "may not book" in answer.content.decode()


def test_the_preview_shows_facts_and_verdict_and_stores_nothing(
    as_: As, october: Window, gerrit: DemoGerrit
) -> None:
    address = f"/backports/preview?change={CIRRUS}&window={october.pk}"

    answer = as_("ada").get(address, headers={"HX-Request": "true"})

    text = answer.content.decode()
    assert text.lstrip().startswith('<div id="preview"')
    assert "mediawiki/extensions/CirrusSearch" in text
    assert "not-approved" in text
    assert not Backport.objects.exists()


def test_look_up_shows_the_same_without_javascript(
    as_: As, october: Window, gerrit: DemoGerrit
) -> None:
    answer = as_("ada").post(
        "/backports/new", {"change": str(CIRRUS), "window": october.pk, "look-up": "1"}
    )

    assert answer.status_code == 200
    assert "not-approved" in answer.content.decode()


def test_a_review_system_that_is_down_is_told(as_: As, october: Window, gerrit: DemoGerrit) -> None:
    gerrit.status = 503

    answer = as_("ada").post(
        "/backports/new",
        {**ANSWERS, "change": str(CIRRUS), "window": october.pk, "key": str(uuid4())},
    )

    assert answer.status_code == 422
    assert not Backport.objects.exists()


def test_the_page_shows_the_six_answers_and_the_open_question(book: Book, as_: As) -> None:
    backport = book(EVENTS)
    book(CIRRUS)

    text = as_("ada").get(f"/backports/{backport.pk}").content.decode()

    assert text.count("<dt>") >= 6
    assert f"Do {CIRRUS} and {EVENTS} belong together?" in text
    assert "<title id=" in text
    assert 'href="/policy#train-arrives-first"' in text


def test_the_requester_withdraws_and_a_stranger_does_not(book: Book, as_: As) -> None:
    backport = book(CIRRUS)
    sent = {"fingerprint": backport.fingerprint, "key": str(uuid4())}
    address = f"/backports/{backport.pk}/withdraw"

    assert as_("sam").post(address, sent).status_code == 409
    assert as_("ada").post(address, {**sent, "fingerprint": "0" * 64}).status_code == 409
    assert as_("ada").post(address, sent).status_code == 302
    backport.refresh_from_db()
    assert backport.status == "withdrawn"
