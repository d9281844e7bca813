"""Open questions: who is told that they can answer, each answer by one button, and the lock."""

from collections.abc import Callable
from typing import Any
from typing import cast as typed
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from scheduler.models import Backport, Question, Statement, User, Window
from scheduler.services.plans import replan_window
from scheduler.services.windows import lock_window
from tests.answering import answer
from tests.driving import lock
from tests.factories import approve, fetched, fetched_fix, make_backport, make_change, make_window
from tests.views.conftest import ANSWERS, CIRRUS, EVENTS, Book
from tests.views.test_booking import previewed
from tests.views.test_windows import answer_of

As = Callable[[str], Client]
DEFINES = "--- a/b.js\n+++ b/b.js\n@@ -0,0 +10,1 @@\n+mw.fancy.openPlumage = function () {\n"
USES = "--- a/a.js\n+++ b/a.js\n@@ -0,0 +20,1 @@\n+mw.fancy.openPlumage( event );\n"
BUG = "Change\n\nBug: T4711\nChange-Id: I{:040x}"


@pytest.fixture
def asked(cast: dict[str, User]) -> Window:
    """A window with a question about 1 of Ada and 2 of Rel, and with 3, which may go."""
    window = make_window()
    make_backport(window, cast["ada"], fetched(1, message=BUG.format(1)))
    make_backport(window, cast["rel"], *fetched_fix(2, message=BUG.format(2)))
    approve(make_backport(window, cast["ada"], fetched(3)), cast["rae"])
    window.deployers.add(cast["dev"])
    return window


def test_a_deployer_reads_who_can_answer_what_keeps_the_window_unlocked(
    asked: Window, as_: As
) -> None:
    text = as_("dev").get(f"/windows/{asked.pk}").content.decode()

    assert "<bdi>ada</bdi> and <bdi>rel</bdi> can, who asked for them" in text
    assert "any reviewer: <bdi>rae</bdi>, <bdi>rel</bdi>" in text
    assert '<a href="#question-1-2">how 1 and 2 belong together</a>' in text


def test_the_refused_lock_names_who_can_answer(asked: Window, as_: As) -> None:
    sent = {**answer_of(asked), "key": str(uuid4())}

    answer = as_("dev").post(f"/windows/{asked.pk}/lock", sent)

    assert answer.status_code == 409
    text = answer.content.decode()
    assert "how 1 and 2 belong together: ada or rel can, and so can any reviewer (rae, rel)" in text


def test_the_backport_says_who_has_to_answer(asked: Window, as_: As) -> None:
    backport = Backport.objects.get(change__number=1)

    text = as_("dev").get(f"/backports/{backport.pk}").content.decode()

    assert "ada or rel or any reviewer has to say how it belongs together with 2." in text


@pytest.mark.parametrize(
    ("name", "way"), [("dev", "or unlock it first"), ("ada", "or ask who deploys it: dev")]
)
def test_a_locked_window_says_what_each_reader_can_do(
    cast: dict[str, User], as_: As, name: str, way: str
) -> None:
    window = make_window()
    window.deployers.add(cast["dev"])
    approve(make_backport(window, cast["ada"]), cast["rae"])
    shown = answer_of(window)["plan_fingerprint"]
    lock_window(window=window, by=cast["dev"], plan_fingerprint=str(shown))

    text = as_(name).get(f"/windows/{window.pk}").content.decode()

    assert f"This window is locked; choose another one, {way}." in text


@pytest.mark.parametrize("alone", ["nothing", "degraded", "outage"])
def test_one_button_says_which_is_first_and_what_breaks(
    book: Book, as_: As, october: Window, alone: str
) -> None:
    book(EVENTS)
    book(CIRRUS)
    page = as_("ada").get(f"/windows/{october.pk}").content.decode()
    assert f'value="b-first:{alone}"' in page
    sent = {**answer_of(october, answer=f"b-first:{alone}"), "only_first": ""}

    assert as_("ada").post(f"/windows/{october.pk}/answer", sent).status_code == 302

    said = Statement.objects.get()
    assert (said.first.number, said.then.number, said.only_first) == (EVENTS, CIRRUS, alone)


def answered(asked: Window, client: Client, **said: str) -> HttpResponse:
    sent = {
        **answer_of(asked),
        "low": "1",
        "high": "2",
        "key": str(uuid4()),
        "reason": "",
        "only_first": "",
        **said,
    }
    return typed("HttpResponse", client.post(f"/windows/{asked.pk}/answer", sent))


def test_an_answer_is_contested_with_a_reason_and_asked_again(asked: Window, as_: As) -> None:
    assert answered(asked, as_("rel"), answer="unrelated").status_code == 302
    page = as_("ada").get(f"/windows/{asked.pk}").content.decode()
    assert 'value="contest"' in page
    silent = answered(asked, as_("ada"), answer="contest")
    assert silent.status_code == 409
    assert "Say what is wrong about it." in silent.content.decode()

    assert answered(asked, as_("ada"), answer="contest", reason="They share it.").status_code == 302

    page = as_("rel").get(f"/windows/{asked.pk}").content.decode()
    assert "ada contests what rel said (1 unrelated to 2): They share it." in page
    assert 'value="contest"' not in page
    assert answered(asked, as_("ada"), answer="contest", reason="Again.").status_code == 409


def test_nobody_without_a_part_in_it_contests(asked: Window, as_: As) -> None:
    answered(asked, as_("rel"), answer="unrelated")
    assert answered(asked, as_("sam"), answer="contest", reason="No.").status_code == 403
    assert answered(asked, as_("dev"), answer="contest", reason="No.").status_code == 403
    assert Statement.objects.get().superseded_at is None


def test_the_window_has_a_picture_of_what_belongs_together(asked: Window, as_: As) -> None:
    page = as_("ada").get(f"/windows/{asked.pk}").content.decode()
    assert "1 and 2 may belong together" in page
    assert page.count("<rect") > 2

    answered(asked, as_("rel"), answer="together")
    page = as_("ada").get(f"/windows/{asked.pk}").content.decode()
    assert "1 and 2 together" in page
    answered(asked, as_("rel"), answer="unrelated")
    page = as_("ada").get(f"/windows/{asked.pk}").content.decode()
    assert "What belongs together" not in page


def test_where_no_order_is_safe_three_ways_are_offered(
    as_: As, cast: dict[str, User], window: Window
) -> None:
    lines = [f"theLine{n}( {n}, 'of what moves' );" for n in range(8)]
    for number, sign in ((1, "-"), (2, "+")):
        diff = "--- a/a.js\n+++ b/a.js\n@@ -1,8 +1,8 @@\n" + "".join(
            f"{sign}{line}\n" for line in lines
        )
        project = f"mediawiki/extensions/E{number}"
        told = fetched(number, diff=diff, project=project, branch="wmf/1.47.0-wmf.16")
        make_backport(window, cast["ada"], told)

    page = as_("ada").get(f"/windows/{window.pk}").content.decode()

    assert "Neither order is known to be safe" in page
    for way in ("<strong>Together</strong>, in one sync", "Disable, change, enable", "The train"):
        assert way in page


def test_of_cherry_picks_one_question_is_shown_and_one_answer_holds(
    asked: Window, as_: As, cast: dict[str, User]
) -> None:
    fix = {"change_id": f"I{2:040x}", "message": BUG.format(2)}
    first, _ = fetched_fix(4, branch="wmf/1.47.0-wmf.31", **fix)
    second, _ = fetched_fix(5, branch="wmf/1.47.0-wmf.29", **fix)
    make_backport(asked, cast["rel"], first)
    theirs = make_backport(asked, cast["ada"], second)
    rel = as_("rel")
    text = " ".join(rel.get(f"/windows/{asked.pk}").content.decode().split())
    assert "Do 1 and 2 belong together?" in text
    assert '<span class="nowrap">1 with 4</span>. One answer holds for all.' in text
    assert "Do 1 and 4 belong together?" not in text
    # Of what somebody else asked for, others may answer: a question of its own.
    assert "Do 1 and 5 belong together?" in text
    other = " ".join(rel.get(f"/backports/{theirs.pk}").content.decode().split())
    assert "Do 1 and 5 belong together?" in other
    assert "One answer holds" not in other

    assert answered(asked, rel, answer="a-first:nothing").status_code == 302

    said = set(Statement.objects.values_list("low", "high"))
    assert said == {(1, 2), (1, 4), (1, 5)}  # a reviewer answers for everybody


def test_what_booking_would_ask_is_shown_with_both_diffs_while_typing(
    as_: As, cast: dict[str, User], window: Window
) -> None:
    code: dict[str, Any] = {"branch": "wmf/1.47.0-wmf.16"}
    later = make_window(in_hours=30, title="Evening SWAT")
    message = BUG.format(1)
    echo, flow = "mediawiki/extensions/Echo", "mediawiki/extensions/Flow"
    make_backport(
        later, cast["rel"], fetched(1, diff=DEFINES, project=echo, message=message, **code)
    )
    make_change(fetched(2, diff=USES, project=flow, message=BUG.format(2), **code))

    text = previewed(as_("ada"), 2, window=window.pk)

    assert "Suspected couplings" in text
    assert "1 (Echo) is booked in Evening SWAT" in text
    assert text.count("<mark>openPlumage</mark>") == 2


def booking_of(number: int, window: Window, **more: str) -> dict[str, object]:
    """Return what the form of booking sends."""
    sent = {"change": str(number), "window": window.pk, "key": str(uuid4()), **ANSWERS, **more}
    return dict(sent)


@pytest.fixture
def half(cast: dict[str, User], window: Window) -> Window:
    """A window in which Rel has booked 1, which defines what 2 uses."""
    code: dict[str, Any] = {"branch": "wmf/1.47.0-wmf.16"}
    for number, diff, project in ((1, DEFINES, "Echo"), (2, USES, "Flow")):
        told = fetched(
            number,
            diff=diff,
            project=f"mediawiki/extensions/{project}",
            message=BUG.format(number),
            **code,
        )
        make_backport(window, cast["rel"], told) if number == 1 else make_change(told)
    return window


def test_an_answer_is_given_with_the_booking(half: Window, as_: As) -> None:
    ada = as_("ada")
    text = previewed(ada, 2, window=half.pk)
    assert 'name="coupling" id="coupling-1-2"' in text
    assert '<option value="1-2:a-first:nothing">1 first; nothing breaks meanwhile</option>' in text

    said = {"coupling": "1-2:b-first:degraded", "coupling-why": "It was tried."}
    answer = ada.post("/backports/new", booking_of(2, half, **said), follow=True)

    assert "Booked: 2." in answer.content.decode()
    statement = Statement.objects.get()
    assert (statement.first.number, statement.only_first) == (2, "degraded")
    assert (statement.by.username, statement.reason) == ("ada", "It was tried.")
    assert not Question.objects.filter(closed_at__isnull=True).exists()


def test_who_does_not_know_yet_books_without_an_answer(half: Window, as_: As) -> None:
    said = {"coupling": "1-2:", "coupling-why": "I shall ask Rel."}
    answer = as_("ada").post("/backports/new", booking_of(2, half, **said), follow=True)
    assert "Booked: 2." in answer.content.decode()
    assert not Statement.objects.exists()
    assert Question.objects.filter(closed_at__isnull=True).exists()


def test_what_is_not_asked_any_more_is_not_answered_with_the_booking(half: Window, as_: As) -> None:
    said = {"coupling": "1-3:unrelated"}
    answer = as_("ada").post("/backports/new", booking_of(2, half, **said), follow=True)
    text = answer.content.decode()
    assert "Booked: 2." in text
    assert "What you said of 1 and 3 was not taken" in text
    assert not Statement.objects.exists()


@pytest.mark.parametrize(
    "told", ["1-2", "2-1:c-first:nothing", "1-2:a-first", "x", "1-2:contest", "-:"]
)
def test_an_answer_that_cannot_be_read_books_nothing_and_loses_nothing(
    half: Window, as_: As, told: str
) -> None:
    said = {"coupling": told, "coupling-why": "I <know> it."}
    answer = as_("ada").post("/backports/new", booking_of(2, half, **said))
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "An answer about two changes cannot be read." in text
    if told.startswith("1-2"):
        assert "I &lt;know&gt; it." in text
    assert not Backport.objects.filter(change__number=2).exists()


def test_a_refused_booking_keeps_what_was_said_of_a_pair(half: Window, as_: As) -> None:
    said = {"coupling": "1-2:together", "coupling-why": "Both.", "why_not_train": ""}
    answer = as_("ada").post("/backports/new", booking_of(2, half, **said))
    assert answer.status_code == 422
    text = answer.content.decode()
    assert '<option value="1-2:together" selected>' in text
    assert ">Both.</textarea>" in text


def test_a_refused_answer_keeps_what_was_typed(asked: Window, as_: As) -> None:
    sent = {"plan_fingerprint": "0" * 64, "answer": "unrelated", "reason": "I <know> it."}
    stale = answered(asked, as_("rel"), **sent)
    assert stale.status_code == 409
    assert "I &lt;know&gt; it.</textarea>" in stale.content.decode()


def test_the_requester_of_the_other_half_in_another_window_may_answer(
    as_: As, cast: dict[str, User], window: Window
) -> None:
    later = book_apart(window, cast["rel"])
    Backport.objects.filter(change__number=1).update(requester=cast["ada"])
    for where in (window, later):
        replan_window(window=where, now=timezone.now())
        text = as_("ada").get(f"/windows/{where.pk}").content.decode()
        assert 'value="a-first:nothing"' in text
    text = as_("dev").get(f"/windows/{window.pk}").content.decode()
    assert "can, who asked for them" in text
    assert "<bdi>ada</bdi> and <bdi>rel</bdi>" in text


def test_an_answer_shows_its_reason_and_what_it_is_about(
    asked: Window, as_: As, cast: dict[str, User]
) -> None:
    assert (
        answered(asked, as_("rel"), answer="together", reason="They share it.").status_code == 302
    )
    Backport.objects.filter(change__number=2).update(status="withdrawn")
    replan_window(window=asked, now=timezone.now())
    text = as_("ada").get(f"/windows/{asked.pk}").content.decode()
    assert "<bdi>They share it.</bdi>" in text
    assert "nothing is known about this change" not in text
    assert "both are about T4711" in text


def test_a_reviewer_answers_where_they_approve_and_comes_back(asked: Window, as_: As) -> None:
    rae = as_("rae")
    text = rae.get("/reviews/").content.decode()
    assert text.count("Do 1 and 2 belong together?") == 1
    assert '<a href="#question-1-2">how 1 and 2 belong together</a>, which is asked above' in text
    assert 'name="back" value="/reviews/"' in text
    answer = answered(asked, rae, answer="unrelated", back="/reviews/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/reviews/")
    assert "belong together?" not in rae.get("/reviews/").content.decode()


def test_who_answers_is_told_before_what_ends_and_after_what_was_done(
    asked: Window, as_: As, cast: dict[str, User]
) -> None:
    rel = as_("rel")
    assert "An answer ends" not in rel.get(f"/windows/{asked.pk}").content.decode()
    approve(Backport.objects.get(change__number=1), cast["rae"])
    text = rel.get(f"/windows/{asked.pk}").content.decode()
    assert "An answer ends the approval of 1, which was given without it." in text
    sent = {**answer_of(asked), "low": "1", "high": "2", "key": str(uuid4()), "answer": "unrelated"}
    text = rel.post(f"/windows/{asked.pk}/answer", sent, follow=True).content.decode()
    assert "Answered: 1 and 2. The window was planned again." in text
    assert Backport.objects.get(change__number=1).status == "submitted"


def test_in_a_locked_window_nobody_is_offered_to_answer(
    asked: Window, as_: As, cast: dict[str, User]
) -> None:
    assert answered(asked, as_("rel"), answer="unrelated").status_code == 302
    lock(asked, cast["dev"])
    text = as_("rel").get(f"/windows/{asked.pk}").content.decode()
    assert "The queue of this window is fixed" in text
    assert 'name="answer"' not in text


def book_apart(window: Window, by: User) -> Window:
    """Book 2, which uses what 1 defines, in a window, and 1 in a later one; return that."""
    later = make_window(in_hours=30, title="Evening SWAT")
    for number, place, diff, project in (
        (1, later, DEFINES, "mediawiki/extensions/Echo"),
        (2, window, USES, "mediawiki/extensions/Flow"),
    ):
        code: dict[str, Any] = {"branch": "wmf/1.47.0-wmf.16", "message": BUG.format(number)}
        make_backport(place, by, fetched(number, diff=diff, project=project, **code))
    return later


def test_a_question_across_windows_says_that_only_one_is_kept_out(
    as_: As, cast: dict[str, User], window: Window
) -> None:
    book_apart(window, cast["ada"])

    page = as_("ada").get(f"/windows/{window.pk}").content.decode()

    assert "1 (Echo) is booked in Evening SWAT" in page
    assert "Until somebody answers, 2 does not go into the queue." in page
    assert "8 make a question about a change that is not in this window" in page
    other = Backport.objects.get(change__number=1)
    assert f'<a href="/backports/{other.pk}">1</a>' in page
    backport = Backport.objects.get(change__number=2)
    assert "1 (Echo) is booked in" in as_("ada").get(f"/backports/{backport.pk}").content.decode()


def test_the_page_of_couplings_counts_and_lists_what_was_dismissed(
    as_: As, cast: dict[str, User], window: Window
) -> None:
    empty = as_("sam").get("/couplings").content.decode()
    assert "Nothing was asked yet." in empty
    assert "No name is dismissed" in empty
    diff = "--- a/a.js\n+++ b/a.js\n@@ -0,0 +20,1 @@\n+mw.fancy.openPlumage{}\n"
    for number, tail in ((1, " = function () {"), (2, "( event );")):
        project = f"mediawiki/extensions/E{number}"
        told = fetched(number, diff=diff.format(tail), project=project, branch="wmf/1.47.0-wmf.16")
        make_backport(window, cast["ada"], told)
    assert answered(window, as_("rel"), answer="unrelated", reason="Two tools.").status_code == 302

    page = as_("sam").get("/couplings").content.decode()

    assert "Nothing was asked yet." not in page
    assert "<code><bdi>openplumage</bdi></code>" in page
    assert "Two tools." in page


def test_the_preview_asks_what_booking_asks(as_: As, cast: dict[str, User], window: Window) -> None:
    """Names that were dismissed between two projects are not asked about, in either."""
    echo, flow = "mediawiki/extensions/Echo", "mediawiki/extensions/Flow"
    code: dict[str, Any] = {"branch": "wmf/1.47.0-wmf.16"}
    for number, diff, project in ((1, DEFINES, echo), (2, USES, flow)):
        make_backport(window, cast["ada"], fetched(number, diff=diff, project=project, **code))
    answered(window, as_("rel"), answer="unrelated", reason="Two tools.")
    make_change(fetched(3, diff=USES, project=flow, **code))

    assert "Suspected couplings" not in previewed(as_("ada"), 3, window=window.pk)

    make_change(fetched(4, diff=USES, project="mediawiki/extensions/Cite", **code))
    assert "Suspected couplings" in previewed(as_("ada"), 4, window=window.pk)


def test_the_history_of_both_tells_what_was_answered_and_contested_in_either_window(
    as_: As, cast: dict[str, User], window: Window
) -> None:
    later = book_apart(window, cast["ada"])
    replan_window(window=later, now=timezone.now())
    assert answered(later, as_("rel"), answer="unrelated").status_code == 302
    assert answered(later, as_("ada"), answer="contest", reason="They do.").status_code == 302

    for number in (1, 2):
        backport = Backport.objects.get(change__number=number)
        text = as_("sam").get(f"/backports/{backport.pk}").content.decode()
        assert "have nothing to do with each other" in text
        assert "contested what rel said of 1 and 2: it has to be answered again" in text


def test_the_preview_asks_about_an_answer_that_was_contested(
    as_: As, cast: dict[str, User], window: Window
) -> None:
    for number, project in ((1, "mediawiki/extensions/Echo"), (2, "mediawiki/extensions/Flow")):
        told = fetched(number, project=project, branch="wmf/1.47.0-wmf.16")
        make_backport(window, cast["ada"], told)
    answer(
        (Backport.objects.get(change__number=1), Backport.objects.get(change__number=2)),
        cast["rae"],
    )
    assert answered(window, as_("ada"), answer="contest", reason="Not so.").status_code == 302
    Backport.objects.filter(change__number=2).update(status="withdrawn")

    assert "contests what rae said (1 before 2): Not so." in previewed(
        as_("ada"), 2, window=window.pk
    )
