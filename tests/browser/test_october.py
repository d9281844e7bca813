"""October 2015, end to end: what would have saved that night, in a real browser."""

import pytest
from django.contrib.auth.models import Group
from playwright.sync_api import Page, expect

from scheduler.models import Window
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Open
from tests.views.conftest import ANSWERS, CIRRUS, EVENTS

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LABELS = {
    "why_not_train": "Why can it not wait for the train?",
    "user_impact": "What do users see if it waits?",
    "tested_where": "Where was it tested?",
    "verify_how": "How is it verified on the test servers, and what must be seen?",
    "problems_where": "Where could problems occur?",
    "rollback_how": "Can it be rolled back without lasting impact, and how?",
}


def book(page: Page, window: Window, number: int) -> None:
    """Book a change in the form, as a person does."""
    page.goto(f"/backports/new?window={window.pk}")
    page.get_by_label("Change", exact=True).fill(str(number))
    for name, label in LABELS.items():
        page.get_by_label(label).fill(ANSWERS[name])
    page.get_by_role("button", name="Book it").click()
    expect(page.get_by_role("heading", name="Verdict")).to_be_visible()


def approve(page: Page, number: int) -> None:
    """Approve in the inbox, taking on that the train brings it anyway."""
    page.goto("/reviews/")
    item = page.get_by_role("article").filter(has=page.get_by_role("link", name=str(number)))
    item.locator("details[name=row]").evaluate("row => row.open = true")
    item.get_by_role("checkbox", name="train-arrives-first").check()
    item.get_by_label("Reason", exact=True).fill("The numbers are needed this week.")
    item.get_by_role("button", name="Approve").click()
    expect(page.get_by_text(f"{number} was approved.")).to_be_visible()


def test_asked_answered_approved_and_in_the_right_order(opened: Open, october: Window) -> None:
    ada = opened("ada")
    book(ada, october, EVENTS)
    book(ada, october, CIRRUS)

    ada.goto(f"/windows/{october.pk}")
    asked = ada.get_by_role("heading", name=f"Do {CIRRUS} and {EVENTS} belong together?")
    expect(asked).to_be_visible()
    ada.get_by_role("button", name=f"{CIRRUS} first, degraded").click()
    expect(asked).to_have_count(0)

    rae = opened("rae")
    approve(rae, EVENTS)
    approve(rae, CIRRUS)

    rae.goto(f"/windows/{october.pk}")
    steps = rae.get_by_role("region", name="Queue").locator("tbody tr")
    expect(steps).to_have_count(2)
    expect(steps.nth(0)).to_contain_text("CirrusSearch")
    expect(steps.nth(1)).to_contain_text("WikimediaEvents")
    expect(steps.nth(1)).to_contain_text(str(CIRRUS))
    states = rae.get_by_role("region", name="Production after every step").get_by_role("listitem")
    expect(states).to_have_count(3)
    for number in range(3):
        expect(states.nth(number)).to_contain_text("safe")


def test_without_an_answer_nothing_is_in_the_queue(opened: Open, october: Window) -> None:
    ada = opened("ada")
    book(ada, october, EVENTS)
    book(ada, october, CIRRUS)

    ada.goto(f"/windows/{october.pk}")

    expect(ada.get_by_text("Nothing is in the queue.")).to_be_visible()
    expect(ada.get_by_text("1.27.0-wmf.4").first).to_be_visible()
    expect(ada.get_by_text("29 Oct").first).to_be_visible()


def test_the_preview_appears_while_typing(opened: Open, october: Window) -> None:
    ada = opened("ada")
    ada.goto(f"/backports/new?window={october.pk}")

    ada.get_by_label("Change", exact=True).press_sequentially(str(CIRRUS))

    expect(ada.get_by_role("heading", name="Where it would go")).to_be_visible()
    expect(ada.locator("#preview")).to_contain_text("mediawiki/extensions/CirrusSearch")


def test_booking_and_answering_work_without_javascript(opened: Open, october: Window) -> None:
    ada = opened("ada", java_script_enabled=False)
    ada.goto(f"/backports/new?window={october.pk}")
    ada.get_by_label("Change", exact=True).fill(str(CIRRUS))
    ada.get_by_role("button", name="Look it up").click()
    expect(ada.locator("#preview")).to_contain_text("mediawiki/extensions/CirrusSearch")
    book(ada, october, EVENTS)
    book(ada, october, CIRRUS)

    ada.get_by_role("button", name=f"{CIRRUS} first, degraded").click()

    expect(ada.get_by_text("belong together?")).to_have_count(0)
    expect(ada.get_by_text(f"ada said that {CIRRUS} goes before {EVENTS}")).to_be_visible()


def test_a_question_is_answered_by_keyboard_alone(opened: Open, october: Window) -> None:
    ada = opened("ada")
    book(ada, october, EVENTS)
    book(ada, october, CIRRUS)
    ada.goto(f"/windows/{october.pk}")

    for _ in range(40):
        ada.keyboard.press("Tab")
        if ada.evaluate("document.activeElement.name") == "reason":
            break
    ada.keyboard.type("It defines what the other one uses.")
    ada.keyboard.press("Tab")
    expect(ada.get_by_role("button", name=f"{CIRRUS} first, nothing breaks")).to_be_focused()
    ada.keyboard.press("Tab")
    expect(ada.get_by_role("button", name=f"{CIRRUS} first, degraded")).to_be_focused()
    ada.keyboard.press("Enter")

    said = f"Answered: {CIRRUS} and {EVENTS}. The window was planned again."
    expect(ada.get_by_text(said)).to_be_visible()


def test_a_refusal_is_swapped_in_though_a_text_field_was_made_larger(
    opened: Open, october: Window
) -> None:
    ada = opened("ada")
    book(ada, october, EVENTS)
    book(ada, october, CIRRUS)
    ada.goto(f"/windows/{october.pk}")
    ada.evaluate("document.querySelector('textarea').style.height = '9rem'")
    ada.evaluate("document.querySelector('[name=plan_fingerprint]').value = '0'.repeat(64)")

    ada.get_by_role("button", name="Unrelated").click()

    expect(ada.get_by_role("alert")).to_contain_text("The plan changed since you opened it")


def test_whoever_may_not_reads_who_may(opened: Open, october: Window) -> None:
    ada = opened("ada")
    book(ada, october, CIRRUS)
    rae = opened("rae")
    rae.goto("/reviews/")
    Group.objects.all().delete()

    rae.get_by_text("Ask the requester, ").click()
    rae.get_by_label("Reason, for the requester").fill("Later.")
    rae.get_by_role("button", name="Decline").click()

    expect(rae.get_by_role("alert")).to_contain_text("you are signed in as rae, without a role")
    expect(rae.get_by_role("alert")).to_be_focused()
    expect(rae.get_by_role("main")).to_have_count(1)


def test_no_page_has_accessibility_findings(opened: Open, october: Window) -> None:
    booking = opened("ada")
    book(booking, october, EVENTS)
    book(booking, october, CIRRUS)
    backport = booking.url
    page = opened("rae")
    for address in (
        "/",
        f"/backports/new?window={october.pk}&change={CIRRUS}",
        backport,
        "/reviews/",
        f"/windows/{october.pk}",
        f"/windows/{october.pk}/checklist",
        "/policy",
        "/windows/999",
    ):
        page.goto(address)
        assert_accessible(page, address)
    booking.goto(f"/windows/{october.pk}")
    booking.get_by_role("button", name=f"{CIRRUS} first, degraded").click()
    expect(booking.get_by_text("Answer again")).to_be_visible()
    page.goto(f"/windows/{october.pk}")
    page.get_by_text("Answer again").click()
    assert_accessible(page, "an answered question")
    page.context.clear_cookies()
    page.goto("/sign-in")
    assert_accessible(page, "/sign-in")
