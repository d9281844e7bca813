"""Booking in a real browser: while typing, in one go, with drafts, and without JavaScript."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import Page, expect

from scheduler.models import Backport, Draft, TrainVersion, Window
from swat.embedded.gerrit import DemoGerrit
from swat.embedded.gerrit_changes import CHANGES, NEW, OLD, SITUATIONS
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Open
from tests.browser.test_october import LABELS
from tests.factories import promote
from tests.views.conftest import ANSWERS, in_a_day

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PICKED, SIBLING = SITUATIONS["regression_old"], SITUATIONS["regression_new"]
CONFIG, LONG = SITUATIONS["config"], SITUATIONS["long_title"]
KEPT = re.compile("^Kept as a draft,")
PHONE, WIDE = {"width": 390, "height": 800}, {"width": 1280, "height": 800}


@pytest.fixture
def window(october: Window) -> Window:
    """A window tomorrow and one the day after, and two live versions."""
    cache.clear()
    for position, (name, group) in enumerate(((OLD, "group2"), (NEW, "group0")), start=3):
        at = timezone.now() - timedelta(days=9 - position)
        version = TrainVersion.objects.create(name=name, position=position, checked_out_from=at)
        promote(version, group, at)
    in_a_day("Late SWAT", days=2)
    return in_a_day()


def paste(page: Page, change: object) -> None:
    page.get_by_label("Change", exact=True).fill(str(change))


def answer(page: Page) -> None:
    for name, label in LABELS.items():
        page.get_by_label(label).fill(ANSWERS[name])


def test_a_fix_for_two_live_branches_is_booked_in_one_go(opened: Open, window: Window) -> None:
    ada = opened("ada", viewport=WIDE)
    ada.goto("/backports/new")

    paste(ada, PICKED)
    expect(ada.get_by_text(f"also book {SIBLING} on")).to_be_visible()
    tick = ada.get_by_role("checkbox", name=f"{SIBLING} on")
    expect(tick).to_be_checked()
    tick.uncheck()
    undone = ada.locator("#preview").get_by_role("link", name="train-would-undo")
    expect(undone.first).to_be_visible()
    expect(tick).not_to_be_checked()
    expect(tick).to_be_focused()
    tick.check()
    expect(undone).to_have_count(0)
    ada.get_by_role("radio", name="Late SWAT").check()
    expect(ada.locator("#said")).to_contain_text("(Late SWAT)")
    answer(ada)
    ada.get_by_role("button", name="Book it").click()

    expect(ada.get_by_role("status")).to_have_text(f"Booked: {PICKED}, {SIBLING}.")
    assert {one.window.title for one in Backport.objects.select_related("window")} == {"Late SWAT"}
    assert Backport.objects.count() == 2


def test_the_same_without_javascript_on_a_phone(opened: Open, window: Window) -> None:
    ada = opened("ada", java_script_enabled=False, viewport=PHONE)
    ada.goto("/backports/new")
    paste(ada, f"{PICKED}\n{CONFIG}")
    ada.get_by_label(LABELS["why_not_train"]).fill("It fails.")
    ada.get_by_role("button", name="Look it up").click()
    expect(ada.get_by_role("checkbox", name=f"{SIBLING} on")).to_be_checked()
    expect(ada.get_by_label(LABELS["why_not_train"])).to_have_value("It fails.")
    ada.get_by_role("button", name="Save draft").click()
    expect(ada.get_by_text("Kept as a draft; nobody else sees it.")).to_be_visible()
    expect(ada.get_by_label(LABELS["why_not_train"])).to_have_value("It fails.")

    ada.get_by_role("button", name="Book it").click()
    expect(ada.get_by_text("Not booked yet.")).to_be_visible()
    expect(ada.get_by_label(LABELS["user_impact"])).to_be_focused()
    answer(ada)
    ada.get_by_role("button", name="Book it").click()

    expect(ada.get_by_text(f"Booked: {PICKED}, {CONFIG}, {SIBLING}.")).to_be_visible()
    assert not Draft.objects.exists()


def test_a_request_is_booked_by_keyboard_alone(opened: Open, window: Window) -> None:
    ada = opened("ada", viewport=WIDE)
    ada.goto("/backports/new")
    expect(ada.get_by_label("Change", exact=True)).to_be_focused()
    ada.keyboard.type(str(CONFIG))
    expect(ada.locator("#said")).to_contain_text("place 1 once it is approved")
    ada.keyboard.press("Tab")
    expect(ada.get_by_role("button", name="Look it up")).to_be_focused()
    ada.keyboard.press("Tab")
    expect(ada.get_by_role("radio", name="Morning SWAT")).to_be_focused()
    ada.keyboard.press("ArrowDown")
    expect(ada.locator("#said")).to_contain_text("(Late SWAT)")
    expect(ada.get_by_role("radio", name="Late SWAT")).to_be_focused()
    for name, label in LABELS.items():
        while not ada.get_by_label(label).evaluate("(field) => field === document.activeElement"):
            ada.keyboard.press("Tab")
        ada.keyboard.type(ANSWERS[name])
    book = ada.get_by_role("button", name="Book it")
    while not book.evaluate("(field) => field === document.activeElement"):
        ada.keyboard.press("Tab")
    ada.keyboard.press("Enter")

    expect(ada.get_by_role("status")).to_have_text(f"Booked: {CONFIG}.")


def test_a_draft_survives_a_closed_browser(opened: Open, window: Window) -> None:
    ada = opened("ada")
    ada.goto("/backports/new")
    paste(ada, PICKED)
    ada.get_by_label(LABELS["why_not_train"]).press_sequentially("Users cannot save.")
    expect(ada.get_by_text(KEPT)).to_be_visible()
    expect(ada.get_by_label(LABELS["why_not_train"])).to_be_focused()
    ada.context.close()

    again = opened("ada")
    again.goto("/backports/new")
    again.get_by_role("link", name=str(PICKED)).click()

    expect(again.get_by_label(LABELS["why_not_train"])).to_have_value("Users cannot save.")
    assert Draft.objects.count() == 1


def test_a_session_that_ended_while_typing_loses_nothing(opened: Open, window: Window) -> None:
    ada = opened("ada")
    ada.goto("/backports/new")
    paste(ada, CONFIG)
    ada.get_by_label(LABELS["user_impact"]).fill("Edits are lost.")
    expect(ada.get_by_text(KEPT)).to_be_visible()
    cookies = ada.context.cookies()
    ada.context.clear_cookies(name=re.compile("session"))
    reason = ada.get_by_label(LABELS["why_not_train"])
    reason.press_sequentially("Users cannot save.")

    expect(ada.get_by_text("Your session ended; what you typed is still here.")).to_be_visible()
    expect(reason).to_have_value("Users cannot save.")
    with ada.context.expect_page() as opening:
        ada.get_by_role("link", name="Sign in again in another tab").click()
    opening.value.get_by_role("button", name="ada").click()
    expect(opening.value.get_by_role("heading", name="SWAT windows")).to_be_visible()
    ada.get_by_role("button", name="I have signed in again").click()
    expect(ada.get_by_text("Your session ended; what you typed is still here.")).to_be_hidden()
    assert cookies != ada.context.cookies()
    answer(ada)
    ada.get_by_role("button", name="Book it").click()

    expect(ada.get_by_role("status")).to_have_text(f"Booked: {CONFIG}.")


def test_what_is_sent_after_the_session_ended_is_found_again_without_javascript(
    opened: Open, window: Window
) -> None:
    ada = opened("ada", java_script_enabled=False)
    ada.goto("/backports/new")
    paste(ada, CONFIG)
    answer(ada)
    ada.context.clear_cookies(name=re.compile("session"))
    ada.get_by_role("button", name="Book it").click()

    expect(ada.get_by_role("alert")).to_contain_text("What you typed is kept as a draft")
    ada.get_by_role("button", name="ada").click()
    expect(ada.get_by_label(LABELS["user_impact"])).to_have_value(ANSWERS["user_impact"])
    ada.get_by_role("button", name="Book it").click()
    expect(ada.get_by_text(f"Booked: {CONFIG}.")).to_be_visible()


def test_what_gerrit_does_not_tell_is_booked_and_held(
    opened: Open, window: Window, settings: object
) -> None:
    with DemoGerrit(CHANGES) as gerrit:
        gerrit.status = 503
        settings.GERRIT_URL = gerrit.url  # type: ignore[attr-defined]
        ada = opened("ada", viewport=PHONE)
        ada.goto("/backports/new")
        paste(ada, CONFIG)
        expect(ada.get_by_text("You can book it all the same")).to_be_visible()
        answer(ada)
        ada.get_by_role("button", name="Book it").click()

        expect(ada.get_by_text("it is held until then")).to_be_visible()


def test_the_form_has_no_accessibility_findings(opened: Open, window: Window) -> None:
    ada = opened("ada")
    ada.goto("/backports/new")
    assert_accessible(ada, "an empty form")
    paste(ada, f"{PICKED} {LONG} {SITUATIONS['pair_add']}")
    expect(ada.get_by_text(f"also book {SIBLING} on")).to_be_visible()

    assert_accessible(ada, "a preview")
    ada.get_by_role("button", name="Book it").click()
    expect(ada.get_by_text("Not booked yet.")).to_be_visible()
    assert_accessible(ada, "what is missing")


def test_the_preview_stands_right_below_the_change_on_a_phone(opened: Open, window: Window) -> None:
    ada = opened("ada", viewport=PHONE)
    ada.goto("/backports/new")
    paste(ada, CONFIG)
    expect(ada.get_by_role("heading", name="Window: where it would go")).to_be_visible()

    tops = [
        ada.locator(part).evaluate("(one) => one.getBoundingClientRect().top")
        for part in ("#id_change", "#preview", "#id_why_not_train")
    ]

    assert tops == sorted(tops)


def test_the_column_beside_the_answers_is_never_cut_off(opened: Open, window: Window) -> None:
    ada = opened("ada", viewport=WIDE)
    ada.goto("/backports/new")
    paste(ada, CONFIG)
    expect(ada.get_by_role("heading", name="Window: where it would go")).to_be_visible()
    paste(ada, f"{PICKED} {LONG} {SITUATIONS['pair_add']} {SITUATIONS['l10n']}")
    expect(ada.get_by_text(f"also book {SIBLING} on")).to_be_visible()

    ada.evaluate("window.scrollTo(0, document.body.scrollHeight)")

    bottom = ada.locator("#preview").evaluate("(one) => one.getBoundingClientRect().bottom")
    assert bottom <= WIDE["height"]
