"""A whole review in a real browser: asked, answered, approved, voided, overridden."""

from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from scheduler.domain.changes import ChangedFile
from scheduler.models import Backport, Override, User, Window
from scheduler.services.changes import store_changes
from scheduler.views import signing_in
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Open
from tests.factories import fetched, fetched_fix, make_backport, make_window

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

L10N = (
    ChangedFile("i18n/en.json", lines_inserted=4),
    ChangedFile("tests/phpunit/NoticeTest.php", lines_inserted=9),
)
WHY = "Users on all wikis see it until Thursday."
RULE = "needs-own-window"


@pytest.fixture
def window(october: Window) -> Window:
    """A window of tomorrow, beside the one of October 2015; the cast is there."""
    return make_window()


@pytest.fixture
def l10n(window: Window) -> Backport:
    """A backport that SHOULD ride the train."""
    ada = User.objects.get(username="ada")
    return make_backport(window, ada, *fetched_fix(2000, files=L10N))


@pytest.fixture
def long_task(window: Window) -> Backport:
    """A backport that MUST have a window of its own."""
    ada = User.objects.get(username="ada")
    return make_backport(window, ada, fetched(3000), criteria=frozenset({"long-task"}))


def address_of(backport: Backport) -> str:
    return f"/backports/{backport.pk}"


def swap_patch_set(number: int, patch_set: int, **facts: Any) -> None:  # noqa: ANN401
    change = fetched_fix(number, patch_set=patch_set, files=L10N, **facts)[0]
    store_changes(fetched=[change], at=timezone.now())


def approve(page: Page, patch_set: int) -> None:
    """Take on what the rules say, and approve, on the backport's page."""
    page.get_by_role("checkbox", name="l10n").check()
    page.get_by_label("Reason", exact=True).fill(WHY)
    page.get_by_role("button", name=f"Approve patch set {patch_set} for this window").click()
    expect(page.get_by_text("2000 was approved.")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("javascript", [True, False])
def test_asked_answered_approved_voided_and_approved_again(
    opened: Open, l10n: Backport, width: int, javascript: bool
) -> None:
    how: dict[str, Any] = {
        "java_script_enabled": javascript,
        "viewport": {"width": width, "height": 800},
    }
    rae, ada = opened("rae", **how), opened("ada", **how)
    rae.goto(address_of(l10n))
    rae.get_by_text("Ask the requester, ").click()
    rae.get_by_label("Reason, for the requester").fill("Which wikis show it?")
    rae.get_by_role("button", name="Ask the requester").click()
    expect(rae.get_by_role("heading", name="rae asks")).to_be_visible()

    ada.goto(address_of(l10n))
    ada.get_by_label("Your answer").fill("Only nnwiki.")
    ada.get_by_role("button", name="Answer", exact=True).click()
    expect(ada.get_by_text("ada answered what rae asked")).to_be_visible()

    rae.goto(address_of(l10n))
    expect(rae.get_by_text("Only nnwiki.").first).to_be_visible()
    approve(rae, 1)
    expect(rae.get_by_text("Taken on by rae")).to_be_visible()

    swap_patch_set(2000, 2, message="Change 2000\n\nDepends-On: I" + "7" * 40)
    rae.goto(address_of(l10n))
    changed = rae.get_by_role("region", name="What changed since the last approval")
    expect(changed).to_contain_text("rae approved patch set 1")
    expect(changed).to_contain_text("Depends-On")
    expect(rae.get_by_text("rae took it on when it was something else")).to_be_visible()
    approve(rae, 2)
    expect(changed).to_have_count(0)
    assert Backport.objects.get(pk=l10n.pk).status == "approved"


def test_what_moved_meanwhile_is_refused_and_the_reason_stays(opened: Open, l10n: Backport) -> None:
    rae = opened("rae")
    rae.goto(address_of(l10n))
    rae.get_by_role("checkbox", name="l10n").check()
    rae.get_by_label("Reason", exact=True).fill(WHY)
    swap_patch_set(2000, 2)

    rae.get_by_role("button", name="Approve").click()

    expect(rae.get_by_role("alert")).to_contain_text("changed since you opened it")
    expect(rae.get_by_role("alert")).to_be_focused()
    expect(rae.get_by_role("button", name="Approve patch set 2 for this window")).to_be_visible()
    expect(rae.get_by_label("Reason", exact=True)).to_have_value(WHY)
    assert Backport.objects.get(pk=l10n.pk).status == "submitted"


def test_it_is_approved_by_keyboard_alone(opened: Open, l10n: Backport) -> None:
    rae = opened("rae")
    rae.goto(address_of(l10n))

    for _ in range(60):
        rae.keyboard.press("Tab")
        if rae.evaluate("document.activeElement.name") == "acknowledged":
            break
    rae.keyboard.press("Space")
    rae.keyboard.press("Tab")
    rae.keyboard.type(WHY)
    rae.keyboard.press("Enter")

    expect(rae.get_by_text("2000 was approved.")).to_be_focused()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_rule_is_overridden_by_two_who_just_signed_in(
    opened: Open, long_task: Backport, javascript: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    how: dict[str, Any] = {"java_script_enabled": javascript}
    rae, dev = opened("rae", **how), opened("dev", **how)
    monkeypatch.setattr(signing_in, "RECENT", 0)
    rae.goto(address_of(long_task))
    rae.get_by_text(f"Override {RULE}", exact=True).click()
    rae.get_by_label("Why it must go all the same").fill(WHY)
    rae.get_by_role("button", name=f"Propose to override {RULE}").click()
    expect(rae.get_by_role("heading", name="Is it still you?")).to_be_visible()
    monkeypatch.undo()
    rae.get_by_role("button", name="Yes, I am rae").click()
    expect(rae.get_by_label("Why it must go all the same")).to_have_value(WHY)
    rae.get_by_role("button", name=f"Propose to override {RULE}").click()
    expect(rae.get_by_text("override proposed")).to_be_visible()
    expect(rae.get_by_role("button", name="Confirm: ")).to_have_count(0)

    dev.goto(address_of(long_task))
    dev.get_by_role("button", name=f"Confirm: it goes although {RULE} objects").click()
    expect(dev.get_by_text("Overridden by rae and dev")).to_be_visible()
    dev.goto("/overrides/")
    expect(dev.get_by_role("region", name="In force")).to_contain_text("3000")
    assert Override.objects.get().confirmed_by == User.objects.get(username="dev")


def test_it_is_watched_handed_over_and_vetoed(opened: Open, long_task: Backport) -> None:
    ada = opened("ada", java_script_enabled=False)
    ada.goto(address_of(long_task))
    ada.get_by_role("button", name="Watch", exact=True).click()
    expect(ada.get_by_role("button", name="Stop watching")).to_be_visible()
    ada.get_by_text("Hand it over to somebody else").click()
    ada.get_by_label("To whom").fill("rae")
    ada.get_by_role("button", name="Hand it over").click()
    expect(ada.get_by_text("ada handed this backport over from ada to rae")).to_be_visible()

    dev = opened("dev")
    dev.goto(address_of(long_task))
    dev.get_by_text("Ask the requester, ").click()
    dev.get_by_label("Reason, for the requester").fill("The window is too short for it.")
    dev.get_by_role("button", name="Veto").click()
    expect(dev.get_by_text("3000 was vetoed.")).to_be_visible()
    assert Backport.objects.get(pk=long_task.pk).status == "missed"


def test_the_pages_have_no_accessibility_findings(
    opened: Open, l10n: Backport, long_task: Backport
) -> None:
    rae, dev = opened("rae"), opened("dev")
    rae.goto(address_of(l10n))
    approve(rae, 1)
    swap_patch_set(2000, 2)
    rae.goto(address_of(l10n))
    open_everything(rae)
    assert_accessible(rae, "what changed since")

    rae.goto(address_of(long_task))
    open_everything(rae)
    rae.get_by_label("Why it must go all the same").fill(WHY)
    rae.get_by_role("button", name=f"Propose to override {RULE}").click()
    expect(rae.get_by_text("override proposed")).to_be_visible()
    open_everything(rae)
    assert_accessible(rae, "a proposed override")
    dev.goto(address_of(long_task))
    dev.get_by_role("button", name="Confirm: ").click()
    expect(dev.get_by_text("Overridden by rae and dev")).to_be_visible()
    for address in (address_of(long_task), "/overrides/", "/policy", "/", "/sign-in"):
        rae.goto(address)
        open_everything(rae)
        assert_accessible(rae, address)


def open_everything(page: Page) -> None:
    """Open all that is folded."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
