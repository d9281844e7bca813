"""Changing the answers of a backport, and answering a reviewer."""

from collections.abc import Callable
from html import unescape
from uuid import uuid4

import pytest
from django.test import Client

from scheduler.models import Backport, Event
from tests.views.conftest import ANSWERS, CIRRUS, Book

As = Callable[[str], Client]
TYPED = "Only on wikis where the new search is on; look at its “missing” counter."


def amended(backport: Backport, **other: str) -> dict[str, str]:
    return {
        **ANSWERS,
        "problems_where": TYPED,
        "fingerprint": backport.fingerprint,
        "key": str(uuid4()),
        **other,
    }


def decide(as_: As, backport: Backport, act: str, reason: str = "") -> None:
    sent = {"fingerprint": backport.fingerprint, "key": str(uuid4()), "reason": reason}
    assert as_("rae").post(f"/backports/{backport.pk}/{act}", sent).status_code == 302
    backport.refresh_from_db()


def test_the_form_is_filled_in_and_sending_it_twice_leaves_one_event(book: Book, as_: As) -> None:
    backport = book(CIRRUS, criteria="long-task", steps_before="Create the table.")
    ada = as_("ada")
    address = f"/backports/{backport.pk}/amend"
    assert f'href="{address}"' in ada.get(f"/backports/{backport.pk}").content.decode()

    form = ada.get(address)
    shown = form.context["form"].initial
    sent = amended(backport)
    answers = [ada.post(address, sent) for _ in range(2)]

    assert form.status_code == 200
    assert shown["problems_where"] == ANSWERS["problems_where"]
    assert shown["criteria"] == ["long-task"]
    assert 'value="long-task" id="id_criteria_0" checked' in form.content.decode().replace(
        'type="checkbox" name="criteria" ', ""
    )
    assert 'name="change"' not in form.content.decode()
    assert 'name="window"' not in form.content.decode()
    assert [answer["Location"] for answer in answers] == [f"/backports/{backport.pk}"] * 2
    backport.refresh_from_db()
    assert backport.problems_where == TYPED
    assert backport.criteria == []
    assert backport.status == "submitted"
    assert Event.objects.filter(kind="backport.amend").count() == 1
    page = ada.get(f"/backports/{backport.pk}").content.decode()
    assert "<bdi>ada</bdi> changed what is said about this backport" in page


@pytest.mark.parametrize("name", ["sam", "rae", "rel"])
def test_nobody_but_the_requester_amends(book: Book, as_: As, name: str) -> None:
    backport = book(CIRRUS)
    address = f"/backports/{backport.pk}/amend"
    stranger = as_(name)

    assert address not in stranger.get(f"/backports/{backport.pk}").content.decode()
    for answer in (stranger.get(address), stranger.post(address, amended(backport))):
        assert answer.status_code == 403
        assert "Only the requester may change these answers" in answer.content.decode()
    backport.refresh_from_db()
    assert backport.problems_where == ANSWERS["problems_where"]


def test_who_is_out_of_date_loses_nothing_and_may_send_it_again(book: Book, as_: As) -> None:
    backport = book(CIRRUS)
    sent = amended(backport, user_impact="Half of all searches.")
    decide(as_, backport, "ask", "Which wikis?")
    ada = as_("ada")

    answer = ada.post(f"/backports/{backport.pk}/amend", sent)

    text = unescape(answer.content.decode())
    assert answer.status_code == 409
    assert "This backport changed since you opened it" in text
    assert "what you typed is still below" in text
    assert "Which wikis?" in text
    assert TYPED in text
    assert "Half of all searches." in text
    assert f"<bdi>{ANSWERS['user_impact']}</bdi>" in text
    assert f'value="{backport.fingerprint}"' in text
    backport.refresh_from_db()
    assert backport.status == "needs-info"
    assert not Event.objects.filter(kind="backport.amend").exists()
    again = ada.post(
        f"/backports/{backport.pk}/amend", {**sent, "fingerprint": backport.fingerprint}
    )
    assert again.status_code == 302


def test_an_answer_that_says_nothing_keeps_the_rest(book: Book, as_: As) -> None:
    backport = book(CIRRUS)
    sent = amended(backport, problems_where="none", verify_how="Watch the counter.")

    answer = as_("ada").post(f"/backports/{backport.pk}/amend", sent)

    text = answer.content.decode()
    assert answer.status_code == 422
    assert "say where one would look first" in text
    assert "Watch the counter." in text


def test_without_its_key_nothing_is_changed_or_lost(book: Book, as_: As) -> None:
    backport = book(CIRRUS)

    answer = as_("ada").post(f"/backports/{backport.pk}/amend", amended(backport, key=""))

    assert answer.status_code == 422
    assert TYPED in answer.content.decode()
    backport.refresh_from_db()
    assert backport.problems_where == ANSWERS["problems_where"]


def test_answering_a_reviewer_submits_it_again(book: Book, as_: As) -> None:
    backport = book(CIRRUS)
    decide(as_, backport, "ask", "Which wikis show it?")
    assert "Change the answers instead" not in (
        as_("rae").get(f"/backports/{backport.pk}").content.decode()
    )
    ada = as_("ada")
    for address, offered in (
        ("", "Change the answers instead"),
        ("/amend", "Answer and submit again"),
    ):
        text = ada.get(f"/backports/{backport.pk}{address}").content.decode()
        assert "<blockquote><bdi>Which wikis show it?</bdi></blockquote>" in text
        assert offered in text

    answer = ada.post(f"/backports/{backport.pk}/amend", amended(backport))

    assert answer.status_code == 302
    backport.refresh_from_db()
    assert backport.status == "submitted"
    assert "<blockquote>" not in ada.get(f"/backports/{backport.pk}").content.decode()
    assert str(CIRRUS) in as_("rae").get("/reviews/").content.decode()


def test_what_was_approved_has_to_be_approved_again(book: Book, as_: As) -> None:
    backport = book(CIRRUS)
    decide(as_, backport, "approve")
    assert backport.status in {"approved", "queued"}
    ada = as_("ada")
    assert "ends the approval" in ada.get(f"/backports/{backport.pk}/amend").content.decode()

    answer = ada.post(f"/backports/{backport.pk}/amend", amended(backport))

    assert answer.status_code == 302
    backport.refresh_from_db()
    assert (backport.status, backport.approved_content) == ("submitted", "")
    approval = backport.reviews.get(decision="approve")
    assert approval.voided_at is not None
    assert Event.objects.filter(kind="backport.amend").count() == 1
    assert not Event.objects.filter(kind="backport.void-approval").exists()


def test_what_is_over_is_not_amended(book: Book, as_: As) -> None:
    backport = book(CIRRUS)
    decide(as_, backport, "decline", "It can wait.")
    ada = as_("ada")
    address = f"/backports/{backport.pk}/amend"

    assert address not in ada.get(f"/backports/{backport.pk}").content.decode()
    assert ada.get(address).status_code == 409
    answer = ada.post(address, amended(backport))

    assert answer.status_code == 409
    assert TYPED in unescape(answer.content.decode())
    assert "Save the answers" not in answer.content.decode()
    backport.refresh_from_db()
    assert backport.status == "declined"


def test_what_people_type_is_cleaned_before_it_is_stored(book: Book, as_: As) -> None:
    backport = book(CIRRUS)
    sent = amended(
        backport,
        problems_where="The editor.  \r\n\r\n\r\n\r\nThe \u202eskin\x00\u200b, \ttoo.\t",
        nick="ada\u2066\tl",
    )

    assert as_("ada").post(f"/backports/{backport.pk}/amend", sent).status_code == 302

    backport.refresh_from_db()
    assert backport.problems_where == ("The editor.\n\nThe <U+202E>skin<U+0000><U+200B>, \ttoo.")
    assert backport.nick == "ada<U+2066><U+0009>l"


@pytest.mark.parametrize(
    "kept", ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "👩\u200d💻", "naïve “quoted” ☃"]
)
def test_what_languages_are_written_with_stays(book: Book, as_: As, kept: str) -> None:
    backport = book(CIRRUS)

    as_("ada").post(f"/backports/{backport.pk}/amend", amended(backport, user_impact=kept))

    backport.refresh_from_db()
    assert backport.user_impact == kept


def test_a_reason_is_cleaned_too(book: Book, as_: As) -> None:
    backport = book(CIRRUS)

    decide(as_, backport, "decline", "No.\u202e \r\n\r\n\r\n\r\nLater.")

    assert backport.reviews.get().reason == "No.<U+202E>\n\nLater."
