"""The calendar in a real browser: a series on the wrong side of a change of clocks, a freeze."""

import pytest
from playwright.sync_api import expect

from scheduler.models import Freeze, User, Window, WindowSeries
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Open
from tests.factories import fetched, make_backport
from tests.views.conftest import in_a_day

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without script"])
def test_a_series_a_freeze_and_somebody_who_deploys(
    opened: Open, october: Window, script: bool
) -> None:
    rel = opened("rel", java_script_enabled=script)
    rel.goto("/")
    rel.get_by_role("link", name="Series", exact=True).click()
    rel.get_by_label("Title").fill("Sunday backport window")
    rel.get_by_label("Sun", exact=True).check()
    rel.get_by_label("Time zone").select_option("America/Los_Angeles")
    rel.get_by_label("Start", exact=True).fill("02:30")
    rel.get_by_role("button", name="Begin the series").click()
    expect(rel.get_by_role("alert")).to_contain_text("The clocks skip 02:30 on Sun")
    expect(rel.get_by_label("Title")).to_have_value("Sunday backport window")
    rel.get_by_role("button", name="Take 03:30").click()
    expect(rel.get_by_text("The series has begun")).to_be_visible()
    expect(rel.get_by_role("row", name="Sunday backport window")).to_contain_text("Sun 03:30")

    window = WindowSeries.objects.get().windows.order_by("start")[0]
    make_backport(window, User.objects.get(username="ada"), fetched(1000))
    dev = opened("dev", java_script_enabled=script)
    dev.goto(f"/?week={window.start:%G-W%V}")
    item = dev.locator(f"#deploycal-item-{window.start:%Y%m%dT%H%M}")
    item.get_by_role("button", name="Sign up").click()
    expect(dev.get_by_text("You deploy in Sunday backport window")).to_be_visible()
    expect(item.locator(".deploycal-item-deployer")).to_have_text("dev")

    rel.get_by_role("link", name="Freezes", exact=True).click()
    rel.locator("#id_reason").fill("Datacentre switch")
    rel.get_by_label("Time zone").select_option("UTC")
    for label, at in (("From", window.start), ("Until", window.end)):
        rel.get_by_label(f"{label}, day").fill(f"{at:%Y-%m-%d}")
        rel.get_by_label(f"{label}, time").fill(f"{at:%H:%M}")
    rel.get_by_role("button", name="Show what it would strand").click()
    expect(rel.get_by_role("heading", name="Backports that it would block 1")).to_be_visible()
    expect(rel.get_by_role("row", name="1000")).to_contain_text("Sunday backport window")
    assert not Freeze.objects.exists()
    rel.get_by_role("button", name="Freeze it, although it strands this").click()
    expect(rel.get_by_text("The freeze holds")).to_be_visible()
    dev.reload()
    expect(item).to_contain_text("frozen")


def test_no_page_of_the_calendar_has_accessibility_findings(opened: Open, october: Window) -> None:
    window = in_a_day("A title that goes on and on until it has to be broken somewhere, surely so")
    Window.objects.filter(pk=window.pk).update(is_emergency=True, reason="Nobody can sign in.")
    Freeze.objects.create(
        starts=window.start, ends=window.end, recurrence="weekly", reason="Switch of datacentres"
    )
    make_backport(window, User.objects.get(username="ada"), fetched(1000))
    rel = opened("rel")
    for address in ("/", f"/windows/{window.pk}", "/calendar/windows/new", "/calendar/freezes"):
        rel.goto(address)
        assert_accessible(rel, address)
    rel.locator("#id_reason").fill("Datacentre switch")
    for label, at in (("From", window.start), ("Until", window.end)):
        rel.get_by_label(f"{label}, day").fill(f"{at:%Y-%m-%d}")
        rel.get_by_label(f"{label}, time").fill(f"{at:%H:%M}")
    rel.get_by_label("Time zone").select_option("UTC")
    rel.get_by_role("button", name="Show what it would strand").click()
    expect(rel.get_by_role("heading", name="What this freeze would strand")).to_be_visible()
    assert_accessible(rel, "what a freeze strands")
    rel.goto("/calendar/series")
    rel.get_by_label("Sun", exact=True).check()
    rel.get_by_label("Title").fill("Sundays")
    rel.get_by_label("Time zone").select_option("America/Los_Angeles")
    rel.get_by_label("Start", exact=True).fill("01:30")
    rel.get_by_role("button", name="Begin the series").click()
    expect(rel.get_by_role("group", name="The clocks show it twice; which one?")).to_be_visible()
    assert_accessible(rel, "a series that asks")
