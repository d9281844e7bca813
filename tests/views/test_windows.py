"""A window's page, its questions, its lock and its exports."""

import json
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scheduler.adapters.plan_document import parse
from scheduler.domain.lifecycle import Action
from scheduler.models import Backport, Change, Plan, User, Window
from scheduler.queries import newest_plan
from scheduler.services.backports import withdraw_backport
from scheduler.services.plans import replan_window
from scheduler.services.reviews import approve_backport
from tests.factories import approve, fetched, make_backport, make_window
from tests.views.conftest import CIRRUS, EVENTS, Book, in_a_day

As = Callable[[str], Client]
HTMX = {"HX-Request": "true", "HX-Target": "window"}
HOUR = timedelta(hours=1)


def answer_of(window: Window, **other: object) -> dict[str, object]:
    plan = newest_plan(window)
    assert plan is not None
    return {
        "plan_fingerprint": plan.fingerprint,
        "low": CIRRUS,
        "high": EVENTS,
        "answer": "a-first",
        "only_first": "degraded",
        "key": str(uuid4()),
        **other,
    }


def test_two_booked_the_wrong_way_round_are_asked_about(
    book: Book, as_: As, october: Window
) -> None:
    book(EVENTS)
    book(CIRRUS)

    text = as_("ada").get(f"/windows/{october.pk}").content.decode()

    assert f"Do {CIRRUS} and {EVENTS} belong together?" in text
    assert "Nothing is in the queue." in text
    assert "1.27.0-wmf.4" in text
    assert "29 Oct" in text


def test_an_answer_is_taken_once_and_from_the_right_people(
    book: Book, as_: As, october: Window
) -> None:
    book(EVENTS)
    book(CIRRUS)
    address = f"/windows/{october.pk}/answer"

    assert as_("sam").post(address, answer_of(october)).status_code == 403
    stale = as_("ada").post(address, answer_of(october, plan_fingerprint="0" * 64))
    assert stale.status_code == 409
    silent = as_("ada").post(address, answer_of(october, only_first=""), headers=HTMX)
    assert silent.status_code == 422
    assert "Say what breaks" in silent.content.decode()

    taken = as_("ada").post(address, answer_of(october), headers=HTMX)

    text = taken.content.decode()
    assert taken.status_code == 200
    assert text.lstrip().startswith('<div id="window"')
    assert "Open questions" not in text


def test_an_answer_can_be_given_again(book: Book, as_: As, october: Window) -> None:
    book(EVENTS)
    book(CIRRUS)
    address = f"/windows/{october.pk}/answer"
    as_("ada").post(address, answer_of(october, answer="b-first", only_first="outage"))
    page = as_("ada").get(f"/windows/{october.pk}").content.decode()
    assert "Answer again" in page
    assert f"{EVENTS} before {CIRRUS}; while only {EVENTS} is live: outage" in page

    again = as_("ada").post(address, answer_of(october))

    assert again.status_code == 302
    page = as_("ada").get(f"/windows/{october.pk}").content.decode()
    assert f"{CIRRUS} before {EVENTS}; while only {CIRRUS} is live: degraded" in page


def test_a_deployer_locks_and_unlocks(
    book: Book, as_: As, october: Window, cast: dict[str, User]
) -> None:
    backport = book(CIRRUS)
    approve_backport(backport=backport, reviewer=cast["rae"], fingerprint=backport.fingerprint)
    sent = {"plan_fingerprint": answer_of(october)["plan_fingerprint"]}
    lock, unlock = (f"/windows/{october.pk}/{act}" for act in ("lock", "unlock"))

    assert as_("ada").post(lock, {**sent, "key": str(uuid4())}).status_code == 403
    stale = {"plan_fingerprint": "0" * 64, "key": str(uuid4())}
    assert as_("dev").post(lock, stale).status_code == 409
    assert as_("dev").post(lock, {**sent, "key": str(uuid4())}).status_code == 302
    october.refresh_from_db()
    assert october.is_locked
    assert as_("dev").post(unlock, {"key": str(uuid4()), "reason": ""}).status_code == 422
    again = as_("dev").post(unlock, {"key": str(uuid4()), "reason": "A fix came."})
    assert again.status_code == 302
    october.refresh_from_db()
    assert not october.is_locked


def test_a_lock_that_comes_too_late_succeeds_on_the_page_that_it_gets(
    as_: As, cast: dict[str, User]
) -> None:
    """Facts moved on since, and no worker has planned again: the refusal does."""
    window = make_window()
    for number in (1, 2):
        approve(make_backport(window, cast["ada"], fetched(number)), cast["rae"])
    Change.objects.filter(number=2).update(labels={"Code-Review": -2})
    stale = {"key": str(uuid4()), **answer_of(window)}

    plans = Plan.objects.count()
    assert as_("sam").post(f"/windows/{window.pk}/lock", stale).status_code == 403
    assert as_("dev").post(f"/windows/{window.pk}/lock", {}).status_code == 422
    assert Plan.objects.count() == plans  # neither plans anything
    refused = as_("dev").post(f"/windows/{window.pk}/lock", stale)
    assert refused.status_code == 409
    again = as_("dev").post(
        f"/windows/{window.pk}/lock", {"key": str(uuid4()), **answer_of(window)}
    )

    assert again.status_code == 302
    window.refresh_from_db()
    assert window.is_locked


def test_what_lost_its_approval_after_the_lock_is_not_to_be_deployed(
    book: Book, as_: As, october: Window, cast: dict[str, User]
) -> None:
    backport = book(CIRRUS)
    approve_backport(
        backport=backport,
        reviewer=cast["rae"],
        fingerprint=backport.fingerprint,
    )
    shown = {"plan_fingerprint": answer_of(october)["plan_fingerprint"], "key": str(uuid4())}
    assert as_("dev").post(f"/windows/{october.pk}/lock", shown).status_code == 302
    pages = [f"/windows/{october.pk}", f"/windows/{october.pk}/checklist"]
    assert not any("Do not deploy" in as_("dev").get(one).content.decode() for one in pages)
    backport.refresh_from_db()

    withdraw_backport(backport=backport, by=cast["ada"], fingerprint=backport.fingerprint)

    assert all("Do not deploy" in as_("dev").get(one).content.decode() for one in pages)
    assert "scap backport" not in as_("dev").get(pages[1]).content.decode()


def test_a_backport_amended_after_the_lock_says_that_it_does_not_go(
    book: Book, as_: As, october: Window, cast: dict[str, User]
) -> None:
    backport = book(CIRRUS)
    approve_backport(backport=backport, reviewer=cast["rae"], fingerprint=backport.fingerprint)
    shown = {"plan_fingerprint": answer_of(october)["plan_fingerprint"], "key": str(uuid4())}
    assert as_("dev").post(f"/windows/{october.pk}/lock", shown).status_code == 302
    address = f"/backports/{backport.pk}"
    assert "be there when its step starts" in as_("ada").get(address).content.decode()

    backport.refresh_from_db()
    backport.apply(Action.VOID_APPROVAL)

    assert "not to be deployed" in as_("ada").get(address).content.decode()


def test_the_document_is_one_the_planner_reads(book: Book, as_: As, october: Window) -> None:
    book(CIRRUS)

    answer = as_("ada").get(f"/windows/{october.pk}/plan.json")

    assert "attachment" in answer["Content-Disposition"]
    assert [one.change for one in parse(answer.content.decode()).backports] == [CIRRUS]
    assert json.loads(answer.content)["format"] == "swat-plan/1"


def fill(window: Window, people: dict[str, User], count: int, first: int) -> None:
    """Book some changes of configuration that nothing speaks against."""
    for number in range(first, first + count):
        change = Change.objects.create(
            number=number,
            project="operations/mediawiki-config",
            branch="master",
            change_id=f"I{number:040x}",
            subject=f"Change {number}",
            message=f"Change {number}",
            owner="ada",
            uploader="ada",
            labels={"Code-Review": 1, "Verified": 2},
            patch_set=1,
            sha=f"{number:040x}",
            fetched_at=timezone.now(),
        )
        Backport.objects.create(
            change=change,
            window=window,
            requester=people["ada"],
            submitted_at=window.start,
        )
    replan_window(window=window, now=window.planned_at(timezone.now()))


@pytest.mark.parametrize("address", ["/", "/windows/{}", "/reviews/"])
def test_more_backports_take_no_more_queries(
    address: str,
    as_: As,
    october: Window,
    cast: dict[str, User],
) -> None:
    client = as_("rae")
    counts = []
    for count, first in ((3, 1000), (27, 2000)):
        fill(october, cast, count, first)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address.format(october.pk)).status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("back", "leads_to"),
    [
        ("/backports/7", "/backports/7"),
        ("", "window"),
        ("https://example.org/", "window"),
        ("//example.org/", "window"),
        ("javascript:alert(1)", "window"),
        ("/" + "x" * 600, "window"),
    ],
)
def test_an_answer_leads_back_to_a_page_of_ours_only(
    book: Book, as_: As, october: Window, back: str, leads_to: str
) -> None:
    book(EVENTS)
    book(CIRRUS)

    answer = as_("ada").post(f"/windows/{october.pk}/answer", answer_of(october, back=back))

    here = f"/windows/{october.pk}"
    assert answer.status_code == 302
    assert answer["Location"] == (here if leads_to == "window" else leads_to)


def test_an_empty_queue_offers_no_lock_and_refuses_one(
    book: Book, as_: As, october: Window
) -> None:
    book(CIRRUS)
    dev, address = as_("dev"), f"/windows/{october.pk}"
    assert "Lock this queue" not in dev.get(address).content.decode()
    sent = {"plan_fingerprint": answer_of(october)["plan_fingerprint"], "key": str(uuid4())}

    answer = dev.post(f"{address}/lock", sent)

    assert answer.status_code == 409
    assert "The queue is empty: there is nothing to lock yet." in answer.content.decode()


def test_every_state_with_something_live_says_what(
    book: Book, as_: As, october: Window, cast: dict[str, User]
) -> None:
    backport = book(CIRRUS)
    approve_backport(backport=backport, reviewer=cast["rae"], fingerprint=backport.fingerprint)

    text = as_("ada").get(f"/windows/{october.pk}").content.decode()

    assert f'<abbr title="{CIRRUS}">1 live</abbr>' in text


def test_the_calendar_begins_with_what_can_be_booked(as_: As, cast: dict[str, User]) -> None:
    over, coming = in_a_day("Early SWAT"), in_a_day("Late SWAT", days=2)
    now = timezone.now()
    Window.objects.filter(pk=over.pk).update(start=now - 2 * HOUR, end=now - HOUR)
    Window.objects.filter(pk=coming.pk).update(start=now + HOUR, end=now + 2 * HOUR)

    answer = as_("ada").get("/")

    text, shown = answer.content.decode(), answer.context["page"]
    assert shown.next_room.window == coming
    assert text.index("Next window with room") < text.index("Late SWAT")
    assert f'href="/backports/new?window={coming.pk}">Book in it' in text
    assert text.index("Late SWAT") < text.index("Over since Monday") < text.index("Early SWAT")


def test_who_only_wrote_a_change_is_not_offered_to_answer_about_it(
    book: Book, as_: As, october: Window
) -> None:
    book(EVENTS)
    book(CIRRUS)
    Change.objects.filter(number=CIRRUS).update(owner="dev")

    text = as_("dev").get(f"/windows/{october.pk}").content.decode()

    assert "You cannot answer it." in text
    assert 'name="answer"' not in text
    assert "belong together" not in as_("dev").get("/").content.decode()


def test_the_calendar_says_what_the_inbox_has_first_and_how_much_more(
    book: Book, as_: As, october: Window
) -> None:
    book(EVENTS)
    book(CIRRUS)

    asked = as_("ada").get("/").content.decode()
    to_review = as_("rae").get("/").content.decode()

    assert f"Say how {CIRRUS} and {EVENTS} belong together" in asked
    assert f'<a href="/windows/{october.pk}#questions">Answer it</a>' in asked
    assert "2 backports wait for your review." in to_review
    assert "more in your inbox" not in to_review
    assert "Nothing waits for you." in as_("sam").get("/").content.decode()


def test_a_window_that_has_begun_has_less_time_and_is_not_the_next_one(
    as_: As, cast: dict[str, User]
) -> None:
    now = timezone.now()
    Window.objects.create(start=now - HOUR / 2, end=now + HOUR / 2, title="Under way")
    coming = in_a_day()

    text = as_("ada").get("/").content.decode()
    form = as_("ada").get("/backports/new").content.decode()

    assert "This window began" in text
    assert '<span class="quiet nowrap">29 min</span>' in text  # the begun minute is gone
    assert f'<a class="button main" href="/backports/new?window={coming.pk}">Book in it</a>' in text
    assert f'value="{coming.pk}" id="id_window_{coming.pk}" checked' in form


def test_what_a_past_window_says_is_true_of_the_past(as_: As, cast: dict[str, User]) -> None:
    now = timezone.now()
    over = Window.objects.create(start=now - 2 * HOUR, end=now - HOUR, title="Morning SWAT")

    text = as_("ada").get(f"/windows/{over.pk}").content.decode()

    assert "Nobody booked in this window." in text
    assert "It ended without a plan." in text
    assert "It was never locked, so no queue of it was final." in text
    assert "still follows the facts" not in text


def test_the_checklist_says_how_final_it_is_and_how_to_take_all_of_it_back(
    book: Book, as_: As, october: Window, cast: dict[str, User]
) -> None:
    backport = book(CIRRUS, steps_before="Make the table.")
    approve_backport(backport=backport, reviewer=cast["rae"], fingerprint=backport.fingerprint)
    october.deployers.add(cast["dev"])
    address = f"/windows/{october.pk}/checklist"

    text = as_("dev").get(address).content.decode()

    assert "Not locked: not final." in text
    assert "Deployers: <bdi>dev</bdi>. As of" in text
    assert "Every page, if the schema is registered twice." in text
    assert "Revert both, the second one first." in text
    assert f"In this order: {CIRRUS}." in text
    shown = {"plan_fingerprint": answer_of(october)["plan_fingerprint"], "key": str(uuid4())}
    as_("dev").post(f"/windows/{october.pk}/lock", shown)
    assert "Locked by <bdi>dev</bdi>, " in as_("dev").get(address).content.decode()
