"""Answering a reviewer, in a real browser and without JavaScript."""

import pytest
from playwright.sync_api import expect

from scheduler.models import Backport, Window
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Open
from tests.browser.test_october import LABELS, book
from tests.views.conftest import CIRRUS

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_question_is_answered_without_javascript(opened: Open, october: Window) -> None:
    ada = opened("ada", java_script_enabled=False, viewport={"width": 390, "height": 800})
    book(ada, october, CIRRUS)
    rae = opened("rae")
    rae.goto(ada.url)
    rae.get_by_text("Ask the requester", exact=False).first.click()
    rae.get_by_label("Reason, for the requester").fill("Which wikis show it?")
    rae.get_by_role("button", name="Ask the requester").click()
    expect(rae.get_by_role("heading", name="rae asks")).to_be_visible()

    ada.reload()
    expect(ada.locator("blockquote")).to_have_text("Which wikis show it?")
    ada.get_by_role("link", name="Change the answers instead").click()
    ada.get_by_label(LABELS["user_impact"]).fill("Only nnwiki shows it.")
    ada.get_by_role("button", name="Answer and submit again").click()

    expect(ada.get_by_text("Only nnwiki shows it.")).to_be_visible()
    expect(ada.get_by_text("changed what is said about this backport")).to_be_visible()
    assert Backport.objects.get(change__number=CIRRUS).status == "submitted"


def test_the_form_has_no_accessibility_findings(opened: Open, october: Window) -> None:
    ada = opened("ada")
    book(ada, october, CIRRUS)
    ada.get_by_role("link", name="Change the answers").click()
    expect(ada.get_by_role("heading", name=f"Change the answers of {CIRRUS}")).to_be_visible()

    assert_accessible(ada, "the form")
