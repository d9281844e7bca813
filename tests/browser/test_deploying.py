"""The October window is driven to its end; a second step fails; the wheel is handed over."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect
from pytest_django.fixtures import Settings

from scheduler.domain.checklist.run import Choice
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.statements import OnlyFirst, StatementKind
from scheduler.models import Backport, Plan, RunItem, User, Window
from scheduler.services.backports import submit_backport
from scheduler.services.changes import fetch, store_changes
from scheduler.services.clock import database_now
from scheduler.services.invariants import INVARIANTS
from scheduler.services.reviews import approve_backport
from scheduler.services.statements import OnPair, answer_question
from tests.browser.accessibility import PHONE, assert_accessible
from tests.browser.conftest import Open
from tests.driving import Drive, lock
from tests.factories import answers
from tests.views.conftest import CIRRUS, EVENTS

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

THUMB = 44  # pixels: what a thumb hits


@pytest.fixture
def ready(october: Window, settings: Settings) -> Drive:
    """October 2015, booked, answered, approved and locked; nobody drives it yet."""
    settings.SWAT_WATCH_MINUTES = 0
    ada, rae, dev = (User.objects.get(username=name) for name in ("ada", "rae", "dev"))
    booked = []
    for number in (EVENTS, CIRRUS):
        change = store_changes(fetched=fetch(str(number)), at=database_now())[0]
        booked.append(
            submit_backport(change=change, window=october, requester=ada, answers=answers())
        )
    answer_question(
        on=OnPair(
            booked[1].change,
            booked[0].change,
            ada,
            october,
            Plan.objects.latest("version").fingerprint,
        ),
        kind=StatementKind.BEFORE,
        only_first=OnlyFirst.DEGRADED,
        reason="It gives the schema up.",
    )
    for backport in booked:
        backport.refresh_from_db()
        approve_backport(
            backport=backport,
            reviewer=rae,
            fingerprint=backport.fingerprint,
            acknowledged=frozenset({"train-arrives-first"}),
            reason="The numbers are needed this week.",
        )
    lock(october, dev)
    return Drive(october, dev)


def open_deploy(opened: Open, ready: Drive, name: str, **options: object) -> Page:
    page = opened(name, **options)
    page.goto(f"/windows/{ready.window.pk}/deploy")
    return page


def do(page: Page, *names: str) -> None:
    """Press buttons, one after the other, as each appears."""
    for name in names:
        page.get_by_role("button", name=name).click()


def verify(page: Page, number: int) -> None:
    """Say as the tester that it works, once the page says that it is time."""
    page.reload()
    expect(page.locator("#now")).to_contain_text(f"Verify {number} on the test servers now, 3 min")
    page.get_by_label("What you saw").fill("One event is logged.")
    page.get_by_role("button", name=f"{number} works on the test servers").click()
    expect(page.locator("#now")).not_to_contain_text("Verify")


def drive_step(dev: Page, ada: Page, position: int, number: int) -> None:
    do(dev, f"Start step {position}", "Done: merge", "Done: test servers")
    expect(dev.locator("#now")).to_contain_text(f"ada is at “verify” of {number}")
    verify(ada, number)
    dev.reload()
    do(dev, "Done: sync")
    do(dev, "Done: watch the logs", "Done: log it")
    expect(dev.locator(f"#step-{position} .chip").first).to_contain_text("deployed")


def nothing_is_broken() -> None:
    now = database_now()
    assert [broken for one in INVARIANTS for broken in one.broken(now)] == []


def test_the_october_window_is_driven_to_its_end(opened: Open, ready: Drive) -> None:
    dev, ada = open_deploy(opened, ready, "dev"), open_deploy(opened, ready, "ada")
    do(dev, "Take the wheel", "Begin the window")
    expect(dev.locator("#state")).to_contain_text("nothing of it is live")
    ada.reload()
    do(ada, f"I am here for {CIRRUS}")
    expect(ada.get_by_text("They know now that you are here.")).to_be_visible()

    drive_step(dev, ada, 1, CIRRUS)
    expect(dev.locator("#state")).to_contain_text(f"live: {CIRRUS}")
    drive_step(dev, ada, 2, EVENTS)
    do(dev, "Close the window")

    expect(dev.get_by_text("The window is closed; a summary goes out.")).to_be_visible()
    expect(dev.locator("#state")).to_have_text("Closed: 2 deployed.")
    assert set(Backport.objects.values_list("status", flat=True)) == {"deployed"}
    dev.get_by_role("link", name="Replay").click()
    expect(dev.get_by_text("As it was planned, and as it went")).to_be_visible()
    nothing_is_broken()


def test_a_second_step_fails_and_is_rolled_back(opened: Open, ready: Drive) -> None:
    ready.take().begin().deploy(1)
    ready.start(2)
    ready.until(2, ItemKind.WATCH)
    dev = open_deploy(opened, ready, "dev")

    dev.get_by_text("It failed", exact=True).click()
    dev.get_by_label("What was seen").first.fill("Every page is a 500.")
    do(dev, "Step 2 failed")
    choices = dev.locator("label.way")
    expect(choices.nth(0)).to_contain_text(f"Goes back, in this order: {EVENTS}.")
    expect(choices.nth(1)).to_contain_text("Leave it live")
    assert_accessible(dev, "a choice about a step that failed")
    dev.get_by_role("radio", name="Revert it").check()
    dev.locator("#choose-reason").fill("Both schemas are registered.")
    do(dev, "Do this about step 2")
    expect(dev.locator("#mine")).to_contain_text(f"scap backport --revert {EVENTS}")
    do(dev, "Done: revert", "Done: watch the logs", "Done: log it", "Close the window")

    expect(dev.locator("#state")).to_have_text("Closed: 1 deployed, 1 reverted.")
    expect(dev.locator("#board .live").first).to_contain_text(str(CIRRUS))
    expect(dev.locator("#board .live").first).not_to_contain_text(str(EVENTS))
    nothing_is_broken()


def test_the_wheel_is_handed_over(opened: Open, ready: Drive) -> None:
    ready.take().begin()
    ready.start(1)
    dev, rel = open_deploy(opened, ready, "dev"), open_deploy(opened, ready, "rel")
    expect(rel.get_by_role("button", name="Done: merge")).to_have_count(0)

    dev.get_by_text("Wheel and window").click()
    dev.get_by_label("What they have to know").fill("CI runs; nothing is live.")
    do(dev, "Hand the wheel over")
    expect(dev.get_by_text("The other one has to accept it")).to_be_visible()
    rel.reload()
    expect(rel.locator("#now")).to_contain_text("Accept the wheel from dev")
    expect(rel.locator("#mine blockquote")).to_have_text("CI runs; nothing is live.")
    do(rel, "Accept the wheel")
    expect(rel.get_by_role("button", name="Done: merge")).to_be_visible()

    do(dev, "Done: merge")
    expect(dev.get_by_role("alert")).to_contain_text("rel drives this window since")
    assert not RunItem.objects.filter(done_at__isnull=False).exists()
    do(rel, "Done: merge")
    expect(rel.get_by_role("button", name="Done: test servers")).to_be_visible()


def test_one_thumb_is_enough(opened: Open, ready: Drive) -> None:
    options = {"viewport": {"width": PHONE, "height": 844}, "has_touch": True}
    dev = open_deploy(opened, ready, "dev", **options)

    for name in ("Take the wheel", "Begin the window", "Start step 1", "Done: merge"):
        button = dev.get_by_role("button", name=name)
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= THUMB, name
        assert box["width"] >= PHONE / 2, name
        button.tap()
    expect(dev.get_by_role("button", name="Done: test servers")).to_be_in_viewport()
    assert dev.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_the_page_of_a_window_fits_a_phone_while_a_step_goes_back(
    opened: Open, ready: Drive
) -> None:
    ready.take().begin().start(1)
    ready.until(1, ItemKind.WATCH)
    ready.fail(1)
    ready.choose(1, Choice.REVERT)
    page = opened("ada", viewport={"width": PHONE, "height": 844})

    page.goto(f"/windows/{ready.window.pk}")
    expect(page.locator(".queue .chip").first).to_contain_text("going back")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_a_step_is_driven_by_keyboard_alone(opened: Open, ready: Drive) -> None:
    ready.take().begin()
    dev = open_deploy(opened, ready, "dev")
    for name in ("Start step 1", "Done: merge", "Done: test servers"):
        expect(dev.get_by_role("button", name=name)).to_be_visible()
        for _ in range(30):
            dev.keyboard.press("Tab")
            if name in (dev.evaluate("document.activeElement.innerText") or ""):
                break
        dev.keyboard.press("Enter")
        expect(dev.get_by_role("button", name=name)).to_have_count(0)
        expect(dev.locator("#now")).to_be_focused()
    expect(dev.locator("#now")).to_contain_text("verify")


def test_logs_are_watched_for_their_minutes(opened: Open, ready: Drive) -> None:
    ready.take().begin().start(1)
    ready.until(1, ItemKind.WATCH)
    items = RunItem.objects.filter(step__position=1)
    items.filter(kind=ItemKind.WATCH.value).update(minutes=1)
    synced = database_now() - timedelta(seconds=54)
    items.filter(done_at__isnull=False).update(done_at=synced)
    dev = open_deploy(opened, ready, "dev")
    done = dev.get_by_role("button", name="Done: watch the logs")

    expect(done).to_be_disabled()
    expect(done).to_have_text(re.compile(r"Done: watch the logs in 0:0\d"))
    expect(done).to_be_enabled(timeout=15_000)
    done.click()
    expect(dev.get_by_role("button", name="Done: log it")).to_be_visible()


def test_without_javascript_it_is_driven_too(opened: Open, ready: Drive) -> None:
    dev = open_deploy(opened, ready, "dev", java_script_enabled=False)
    ada = open_deploy(opened, ready, "ada", java_script_enabled=False)
    do(dev, "Take the wheel", "Begin the window")
    drive_step(dev, ada, 1, CIRRUS)
    expect(dev.locator("#now")).to_contain_text(f"Start step 2: {EVENTS}")


def test_the_title_says_that_it_is_my_turn(opened: Open, ready: Drive) -> None:
    ready.take().begin()
    ready.start(1)
    ada = open_deploy(opened, ready, "ada")
    assert ada.title().startswith("Deploy: Evening SWAT")
    ready.until(1, ItemKind.VERIFY)
    ada.reload()
    assert ada.title().startswith(f"● Your turn: Verify {CIRRUS} on the test servers now, 3 min")


def test_no_state_of_the_page_has_accessibility_findings(opened: Open, ready: Drive) -> None:
    page = open_deploy(opened, ready, "dev")
    assert_accessible(page, "nobody drives")
    ready.take()
    page.reload()
    assert_accessible(page, "what changed since the lock")
    ready.begin()
    ready.start(1)
    page.reload()
    page.get_by_text("Wheel and window").click()
    assert_accessible(page, "a step under way")
    ready.finish(1)
    ready.close("Enough.")
    for address in ("deploy", "replay", "checklist"):
        page.goto(f"/windows/{ready.window.pk}/{address}")
        assert_accessible(page, f"{address} of a closed window", widths=(PHONE,))
