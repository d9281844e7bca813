"""Booking a backport, and its page."""

from collections.abc import Callable
from dataclasses import asdict, replace
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from scheduler.domain.statements import OnlyFirst, StatementKind
from scheduler.models import Backport, Change, Question, Statement, User, Window
from scheduler.queries import newest_plan
from scheduler.services.backports import read_again, submit_backports, withdraw_backport
from scheduler.services.events import record
from scheduler.services.reviews import approve_backport
from scheduler.services.statements import OnPair, answer_question
from swat.embedded.gerrit import DemoGerrit
from tests.factories import answers, fetched, make_backport
from tests.views.conftest import ANSWERS, CIRRUS, DAY, EVENTS, Book, in_a_day

As = Callable[[str], Client]
DEGRADES = "alone degrades something, in place of what ada said"
WHY = "their order does not matter now"
TAKEN_ON = {"acknowledged": "train-arrives-first", "reason": "The numbers are needed this week."}


def test_booking_leads_to_the_backport(book: Book) -> None:
    backport = book(CIRRUS)

    assert backport.status == "submitted"
    assert backport.problems_where == ANSWERS["problems_where"]


def test_sending_the_form_twice_books_once(as_: As, october: Window, gerrit: DemoGerrit) -> None:
    sent = {**ANSWERS, "change": str(CIRRUS), "window": october.pk, "key": str(uuid4())}

    first, again = [as_("ada").post("/backports/new", sent) for _ in range(2)]

    assert (first.status_code, again.status_code) == (302, 302)
    assert first["Location"] == again["Location"]
    assert Backport.objects.count() == 1


def test_a_retry_of_what_was_booked_asks_nobody_else(
    as_: As, october: Window, gerrit: DemoGerrit
) -> None:
    sent = {**ANSWERS, "change": str(CIRRUS), "window": october.pk, "key": str(uuid4())}
    first = as_("ada").post("/backports/new", sent)
    gerrit.status = 500

    again = as_("ada").post("/backports/new", sent)

    assert again.status_code == 302
    assert again["Location"] == first["Location"]


@pytest.mark.parametrize("key", ["", "first", "\0"])
def test_a_form_without_a_key_books_nothing(
    as_: As, october: Window, gerrit: DemoGerrit, key: str
) -> None:
    sent = {**ANSWERS, "change": str(CIRRUS), "window": october.pk, "key": key}

    assert as_("ada").post("/backports/new", sent).status_code == 422
    assert not Backport.objects.exists()


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

    assert answer.status_code == 403
    assert "may book a backport; you are signed in as sam, without" in answer.content.decode()
    assert not Backport.objects.exists()


def test_the_preview_shows_facts_and_verdict_and_stores_nothing(
    as_: As, october: Window, gerrit: DemoGerrit
) -> None:
    address = f"/backports/preview?change={CIRRUS}&window={october.pk}"

    answer = as_("ada").get(address, headers={"HX-Request": "true"})

    text = answer.content.decode()
    assert text.lstrip().startswith('<div id="preview"')
    assert "mediawiki/extensions/CirrusSearch" in text
    assert "not-approved" not in text
    assert "somebody else has to approve it." in text
    assert not Backport.objects.exists()


def test_look_up_shows_the_same_without_javascript(
    as_: As, october: Window, gerrit: DemoGerrit
) -> None:
    answer = as_("ada").post(
        "/backports/new", {"change": str(CIRRUS), "window": october.pk, "look-up": "1"}
    )

    assert answer.status_code == 200
    assert "somebody else has to approve it." in answer.content.decode()


def test_the_page_shows_the_six_answers_and_the_open_question(book: Book, as_: As) -> None:
    backport = book(EVENTS)
    book(CIRRUS)

    text = as_("ada").get(f"/backports/{backport.pk}").content.decode()

    assert text.count("<dt>") >= 6
    assert f"Do {CIRRUS} and {EVENTS} belong together?" in text
    assert "<title id=" in text
    assert 'href="/policy#train-arrives-first"' in text


@pytest.mark.parametrize(
    ("submittable", "said"),
    [(True, "NEW, ready to be merged"), (False, "NEW, not ready to be merged"), (None, "NEW</dd>")],
)
def test_the_page_says_whether_gerrit_would_merge_it(
    cast: dict[str, User], as_: As, window: Window, *, submittable: bool | None, said: str
) -> None:
    known = replace(fetched(1000), submittable=submittable)
    backport = make_backport(window, cast["ada"], known)

    assert f"<dd>{said}" in as_("sam").get(f"/backports/{backport.pk}").content.decode()


def test_the_requester_withdraws_and_a_stranger_does_not(book: Book, as_: As) -> None:
    backport = book(CIRRUS)
    sent = {"fingerprint": backport.fingerprint, "key": str(uuid4())}
    address = f"/backports/{backport.pk}/withdraw"

    assert as_("sam").post(address, sent).status_code == 403
    assert as_("ada").post(address, {**sent, "fingerprint": "0" * 64}).status_code == 409
    assert as_("ada").post(address, sent).status_code == 302
    backport.refresh_from_db()
    assert backport.status == "withdrawn"


@pytest.mark.parametrize(("name", "given"), [("kind", "wish"), ("urgency", "9"), ("window", "0")])
def test_the_preview_names_what_it_wants(
    as_: As, october: Window, gerrit: DemoGerrit, name: str, given: str
) -> None:
    window = str(october.pk)
    sent = {"change": str(CIRRUS), "window": window, "kind": "bug", "urgency": "2", name: given}

    answer = as_("ada").get("/backports/preview", sent)

    assert f"Choose the {name} first" in answer.content.decode()


@pytest.mark.parametrize("address", ["/", "/backports/new", "/windows/{}"])
def test_who_may_not_book_reads_who_may(as_: As, cast: dict[str, User], address: str) -> None:
    page = address.format(in_a_day().pk)
    link = 'href="/backports/new?window='
    form = 'name="problems_where"'

    for name, may_book in (("ada", True), ("sam", False)):
        text = as_(name).get(page).content.decode()
        assert (link in text or form in text) is may_book
        who = "a deployer, a release engineer or somebody of operations may book a backport"
        assert (f"Only a developer, a reviewer, {who}" in text) is (not may_book)


def test_a_window_that_takes_nothing_more_says_so(as_: As, cast: dict[str, User]) -> None:
    over, locked = in_a_day(), in_a_day("Evening SWAT", days=2)
    Window.objects.filter(pk=over.pk).update(start=over.start - 2 * DAY, end=over.end - 2 * DAY)
    Window.objects.filter(pk=locked.pk).update(
        locked_at=timezone.now(), locked_by=cast["dev"], locked_numbers=asdict(locked.numbers)
    )
    ada = as_("ada")

    for window, said in ((over, "This window is over"), (locked, "This window is locked")):
        text = ada.get(f"/windows/{window.pk}").content.decode()
        assert said in text
        assert 'href="/backports/new?window=' not in text
        form = ada.get(f"/backports/new?window={window.pk}")
        assert "is locked or over" in form.content.decode()
        assert window not in form.context["form"].fields["window"].queryset


def test_the_history_tells_answers_and_locks(book: Book, as_: As, october: Window) -> None:
    backport = book(CIRRUS)
    book(EVENTS)
    address = f"/windows/{october.pk}"

    def act_on(name: str, act: str, **sent: str) -> None:
        plan = newest_plan(october)
        assert plan is not None
        form = {"plan_fingerprint": plan.fingerprint, "key": str(uuid4()), **sent}
        assert as_(name).post(f"{address}/{act}", form).status_code == 302

    pair = {"low": str(CIRRUS), "high": str(EVENTS)}
    act_on("ada", "answer", **pair, answer="unrelated", reason="No code is shared.")
    act_on("rae", "answer", **pair, answer="a-first", only_first="degraded")
    backport.refresh_from_db()
    approval = {"fingerprint": backport.fingerprint, "key": str(uuid4()), **TAKEN_ON}
    assert as_("rae").post(f"/backports/{backport.pk}/approve", approval).status_code == 302
    act_on("dev", "lock")
    act_on("dev", "unlock", reason="A fix came.")

    assert Statement.objects.get(kind="unrelated").reason == "No code is shared."
    said = as_("ada").get(f"/backports/{backport.pk}").context["history"]
    assert [(one.who, one.what, one.reason, one.is_superseded) for one in said] == [
        ("ada", f"asked for change {CIRRUS} to be deployed, patch set 1", "", False),
        ("The clock", f"asked whether {CIRRUS} and {EVENTS} belong together", "", False),
        (
            "ada",
            f"said that {CIRRUS} and {EVENTS} have nothing to do with each other",
            "No code is shared.",
            True,
        ),
        (
            "rae",
            f"said that {CIRRUS} goes before {EVENTS}; {CIRRUS} {DEGRADES}",
            "",
            False,
        ),
        (
            "rae",
            "approved patch set 1, taking on train-arrives-first",
            TAKEN_ON["reason"],
            False,
        ),
        ("dev", "locked the queue of its window, with this backport in it", "", False),
        (
            "dev",
            "unlocked the queue of this window; it follows the facts again",
            "A fix came.",
            False,
        ),
    ]


def test_the_history_tells_that_a_question_went_away_unanswered(
    book: Book, as_: As, october: Window, cast: dict[str, User]
) -> None:
    backport, other = book(CIRRUS), book(EVENTS)
    other.refresh_from_db()
    withdraw_backport(backport=other, by=cast["ada"], fingerprint=other.fingerprint)

    for one in (backport, other):
        said = as_("ada").get(f"/backports/{one.pk}").context["history"]
        assert [f"{row.who} {row.what}" for row in said if row.who == "The clock"] == [
            f"The clock asked whether {CIRRUS} and {EVENTS} belong together",
            f"The clock asks no longer whether {CIRRUS} and {EVENTS} belong together: {WHY}",
        ]
    backport.refresh_from_db()
    withdraw_backport(backport=backport, by=cast["ada"], fingerprint=backport.fingerprint)
    changes = [backport.change, other.change]
    submit_backports(changes=changes, window=october, requester=cast["ada"], answers=answers())
    assert Question.objects.filter(closed_at__isnull=True).exists()
    said = as_("ada").get(f"/backports/{backport.pk}").context["history"]
    assert [row.what for row in said].count(
        f"asked whether {CIRRUS} and {EVENTS} belong together"
    ) == 1


def test_what_happens_to_the_window_later_is_not_its_history(
    book: Book, as_: As, october: Window, cast: dict[str, User]
) -> None:
    backport = book(CIRRUS)
    withdraw_backport(backport=backport, by=cast["ada"], fingerprint=backport.fingerprint)
    record(kind="window.lock", actor=cast["dev"], window=october)

    said = as_("ada").get(f"/backports/{backport.pk}").context["history"]

    assert [one.what for one in said] == [
        f"asked for change {CIRRUS} to be deployed, patch set 1",
        "withdrew this backport",
    ]


def test_what_waits_for_another_says_for_which_and_what_that_needs(
    book: Book, as_: As, october: Window, cast: dict[str, User]
) -> None:
    book(CIRRUS)
    later = book(EVENTS)
    plan = newest_plan(october)
    assert plan is not None
    answer_question(
        on=OnPair(
            Change.objects.get(number=CIRRUS), later.change, cast["rae"], october, plan.fingerprint
        ),
        kind=StatementKind.BEFORE,
        only_first=OnlyFirst.DEGRADED,
    )
    read_again(later)
    approve_backport(
        backport=later,
        reviewer=cast["rae"],
        fingerprint=later.fingerprint,
        acknowledged=frozenset({TAKEN_ON["acknowledged"]}),
        reason=TAKEN_ON["reason"],
    )

    text = as_("ada").get(f"/backports/{later.pk}").content.decode()

    assert f"Bring {CIRRUS} into the queue first" in text
    assert f"{CIRRUS}: A reviewer who did not write or request it approves it." in text


def test_what_has_ended_is_booked_again_and_is_not_judged_any_more(book: Book, as_: As) -> None:
    backport = book(CIRRUS)
    address = f"/backports/{backport.pk}"
    sent = {"fingerprint": backport.fingerprint, "key": str(uuid4())}

    answer = as_("ada").post(f"{address}/withdraw", sent, follow=True)

    text = answer.content.decode()
    assert f"{CIRRUS} was withdrawn." in text
    assert f'<a class="button main" href="/backports/new?from={backport.pk}">Book it again' in text
    assert "no rule is asked about it any more" in text
    assert "No rule objects." not in text
    assert "somebody else must" not in text
    again = as_("ada").get(f"/backports/new?from={backport.pk}").content.decode()
    assert f"{CIRRUS}</textarea>" in again
    assert "Book it again" not in as_("sam").get(address).content.decode()


def test_new_answers_are_said_to_be_saved(book: Book, as_: As) -> None:
    backport = book(CIRRUS)
    sent = {**ANSWERS, "nick": "ada_w", "fingerprint": backport.fingerprint, "key": str(uuid4())}

    answer = as_("ada").post(f"/backports/{backport.pk}/amend", sent, follow=True)

    assert f"The answers of {CIRRUS} are saved." in answer.content.decode()
