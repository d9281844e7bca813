"""The inbox in a real browser: by keyboard, several at once, and without JavaScript."""

import re
from uuid import uuid4

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Locator, Page, expect

from scheduler.models import Backport, User, Window
from scheduler.services.changes import store_changes
from scheduler.services.reviews import propose_override
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Open
from tests.factories import fetched, make_backport, make_window
from tests.views.conftest import cast_of_five

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FAILED = {"Code-Review": 2, "Verified": -1}
LONG = f"Name every wiki {'without a space ' * 12}{'x' * 120}"


@pytest.fixture
def week(chromium: Browser, transactional_db: None) -> Window:
    cast_of_five()
    return make_window()


@pytest.fixture
def three(week: Window) -> list[Backport]:
    """What Ada asks for: 1 and 2 that nothing speaks against, and 3, which CI refuses."""
    ada = User.objects.get(username="ada")
    facts = [fetched(1), fetched(2, subject=LONG), fetched(3, labels=FAILED)]
    return [make_backport(week, ada, one) for one in facts]


def row(page: Page, number: int) -> Locator:
    link = page.get_by_role("link", name=str(number), exact=True)
    return page.get_by_role("article").filter(has=link)


def link(page: Page, number: int) -> Locator:
    return row(page, number).get_by_role("link", name=str(number), exact=True)


def tick(page: Page, number: int) -> Locator:
    return page.get_by_role("checkbox", name=f"Tick {number}")


def statuses() -> list[str]:
    return list(Backport.objects.order_by("change__number").values_list("status", flat=True))


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_rows_are_walked_ticked_and_opened_by_keyboard(opened: Open, three: list[Backport]) -> None:
    rae = opened("rae")
    rae.goto("/reviews/")
    link(rae, 1).focus()

    press(rae, "j", "ArrowDown", "ArrowDown")
    expect(link(rae, 3)).to_be_focused()
    press(rae, "k", "ArrowUp", "x")
    expect(link(rae, 1)).to_be_focused()
    expect(tick(rae, 1)).to_be_checked()
    expect(rae.get_by_role("button", name="Approve 1", exact=True)).to_be_visible()
    press(rae, "x")
    expect(tick(rae, 1)).not_to_be_checked()
    expect(rae.get_by_role("button", name="Approve the ticked")).to_be_visible()
    press(rae, "j", "o")

    expect(rae).to_have_url(re.compile(rf"/backports/{three[1].pk}$"))


def test_keys_work_on_arrival_and_none_of_them_decides(opened: Open, three: list[Backport]) -> None:
    rae = opened("rae")
    rae.goto("/reviews/")

    press(rae, "x")
    expect(tick(rae, 1)).to_be_checked()
    press(rae, "x", "a")
    approves = row(rae, 1).get_by_role("button", name="Approve patch set 1")
    expect(approves).to_be_focused()
    assert statuses() == ["submitted"] * 3
    press(rae, "Enter")
    expect(rae.get_by_text("1 was approved.")).to_be_focused()
    press(rae, "j")
    expect(link(rae, 2)).to_be_focused()
    press(rae, "j", "x")

    expect(rae.locator("#keys-said")).to_contain_text("Rules object (ci-failed)")
    expect(link(rae, 3)).to_be_focused()
    assert statuses() == ["approved", "submitted", "submitted"]


def test_a_key_for_each_decision_leads_to_its_reason(opened: Open, three: list[Backport]) -> None:
    rae = opened("rae")
    for key, decision in (("q", "Ask the requester"), ("d", "Decline"), ("?", "")):
        rae.goto("/reviews/")
        press(rae, key)
        if not decision:
            expect(rae.get_by_role("dialog", name="Keyboard")).to_be_visible()
            continue
        expect(row(rae, 1).get_by_label("Reason, for the requester")).to_be_focused()
        button = row(rae, 1).get_by_role("button", name=decision)
        expect(button).to_have_class(re.compile("main"))
        rae.keyboard.type("Why?")
    press(rae, "Escape", "t")

    expect(rae.locator("#keys-said")).to_contain_text("It cannot be sent to the train.")
    assert statuses() == ["submitted"] * 3


def test_keys_mean_letters_while_somebody_types(opened: Open, three: list[Backport]) -> None:
    rae = opened("rae")
    rae.goto("/reviews/")
    row(rae, 1).get_by_text("Ask the requester, ").click()
    words = row(rae, 1).get_by_label("Reason, for the requester")
    words.click()

    rae.keyboard.type("axjok?")

    expect(words).to_have_value("axjok?")
    expect(tick(rae, 1)).not_to_be_checked()
    expect(rae.get_by_role("dialog")).to_have_count(0)
    assert statuses() == ["submitted"] * 3


def test_keys_do_nothing_outside_the_list_and_can_be_turned_off(
    opened: Open, three: list[Backport]
) -> None:
    rae = opened("rae")
    rae.goto("/reviews/")
    rae.get_by_role("link", name="Calendar").focus()
    press(rae, "x", "?", "j")
    expect(rae.get_by_role("dialog")).to_have_count(0)
    expect(rae.get_by_role("link", name="Calendar")).to_be_focused()

    link(rae, 1).focus()
    press(rae, "?")
    keys = rae.get_by_role("dialog", name="Keyboard")
    expect(keys).to_contain_text("go to the approval of the row")
    keys.get_by_label("Use these keys").uncheck()
    press(rae, "Escape")
    expect(link(rae, 1)).to_be_focused()
    press(rae, "x", "j")
    expect(link(rae, 1)).to_be_focused()
    expect(tick(rae, 1)).not_to_be_checked()

    rae.reload()
    link(rae, 1).focus()
    press(rae, "j")
    expect(link(rae, 1)).to_be_focused()
    rae.get_by_role("button", name="Keyboard").click()
    rae.get_by_label("Use these keys").check()
    rae.get_by_role("button", name="Close").click()
    link(rae, 1).focus()
    press(rae, "j")
    expect(link(rae, 2)).to_be_focused()


def test_several_are_approved_and_what_changed_is_told(opened: Open, three: list[Backport]) -> None:
    rae = opened("rae")
    rae.goto("/reviews/")
    expect(tick(rae, 3)).to_be_disabled()
    tick(rae, 1).check()
    tick(rae, 2).check()
    store_changes(fetched=[fetched(2, patch_set=2)], at=timezone.now())

    rae.get_by_role("button", name="Approve 2", exact=True).click()

    told = rae.get_by_role("status").filter(has_text="What became of each")
    expect(told).to_be_focused()
    expect(told.get_by_role("listitem").nth(0)).to_contain_text("approved")
    expect(told.get_by_role("listitem").nth(1)).to_contain_text("refused")
    assert statuses() == ["approved", "submitted", "submitted"]


def test_a_decision_about_one_row_keeps_the_ticks_of_the_others(
    opened: Open, three: list[Backport]
) -> None:
    rae = opened("rae")
    rae.goto("/reviews/")
    tick(rae, 2).check()

    row(rae, 3).get_by_text("Read and decide").click()
    row(rae, 3).get_by_text("Ask the requester, ").click()
    row(rae, 3).get_by_label("Reason, for the requester").fill("Why does CI fail?")
    row(rae, 3).get_by_role("button", name="Ask the requester").click()

    expect(row(rae, 3)).to_have_count(0)
    expect(tick(rae, 2)).to_be_checked()
    expect(rae.get_by_role("button", name="Approve 1", exact=True)).to_be_visible()


def test_news_come_beside_what_is_ticked(opened: Open, three: list[Backport], week: Window) -> None:
    rae = opened("rae")
    rae.clock.install()
    rae.goto("/reviews/")
    tick(rae, 1).check()
    make_backport(week, User.objects.get(username="ada"), fetched(4))

    rae.clock.run_for(16_000)

    expect(rae.get_by_text("Something changed: now 4 backports wait here.")).to_be_visible()
    expect(row(rae, 4)).to_have_count(0)
    expect(tick(rae, 1)).to_be_checked()
    rae.get_by_role("link", name="Show the list as it is now").click()
    expect(row(rae, 4)).to_be_visible()


def test_a_list_that_nobody_uses_follows_by_itself(
    opened: Open, three: list[Backport], week: Window
) -> None:
    rae = opened("rae")
    rae.clock.install()
    rae.goto("/reviews/")
    expect(row(rae, 3)).to_be_visible()
    make_backport(week, User.objects.get(username="ada"), fetched(4))

    rae.clock.run_for(16_000)

    expect(row(rae, 4)).to_be_visible()
    expect(rae.get_by_text("4 backports wait for you.")).to_be_visible()


def test_everything_works_without_javascript(opened: Open, three: list[Backport]) -> None:
    later = make_window(in_hours=48)
    make_backport(later, User.objects.get(username="ada"), fetched(4))
    rae = opened("rae", java_script_enabled=False)
    rae.goto("/reviews/")
    expect(row(rae, 4)).to_be_visible()
    expect(rae.get_by_role("button", name="Keyboard")).to_have_count(0)
    rae.get_by_role("navigation", name="Narrow the list").get_by_role(
        "link", name=re.compile("UTC 3$")
    ).click()
    expect(row(rae, 4)).to_have_count(0)
    tick(rae, 1).focus()
    press(rae, "Space", "Tab")
    expect(link(rae, 1)).to_be_focused()
    tick(rae, 2).check()
    rae.get_by_role("button", name="Approve the ticked").click()

    expect(rae.get_by_text("What became of each")).to_be_visible()
    rae.reload()
    expect(rae.get_by_role("status").get_by_role("listitem")).to_have_count(2)
    expect(row(rae, 4)).to_have_count(0)
    assert statuses() == ["approved", "approved", "submitted", "submitted"]


def test_it_has_no_accessibility_findings(
    opened: Open, three: list[Backport], week: Window
) -> None:
    refused = Backport.objects.get(pk=three[2].pk)
    propose_override(
        backport=refused,
        by=User.objects.get(username="rel"),
        fingerprint=refused.fingerprint,
        rule="ci-failed",
        reason=f"CI is broken today {uuid4()}.",
    )
    ada = User.objects.get(username="ada")
    for number in range(10, 22):
        make_backport(week, ada, fetched(number))
    for name in ("rae", "ada", "dev", "sam"):
        page = opened(name)
        page.goto("/reviews/")
        assert_accessible(page, name)
        if name == "rae":
            link(page, 1).focus()
            press(page, "x", "?")
            assert_accessible(page, "the list of keys")
