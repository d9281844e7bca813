"""Importing a wiki page in a real browser: dry run, then confirm, without JavaScript."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from scheduler.models import Window
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Open

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_page_is_imported_without_javascript(opened: Open, october: Window) -> None:
    day = timezone.now() + timedelta(days=3)
    text = (
        f"{{{{Deployment calendar event card\n|when={day:%Y-%m-%d} 13:00 SF\n|length=1\n"
        "|window=[[Backport windows|UTC &lt;b&gt;late&lt;/b&gt;]]\n"
        "|who={{ircnick|dev_d|Dev}}\n|what=\n}}\n"
        "{{Deployment calendar event card\n|when=tomorrow\n}}"
    )
    rel = opened("rel", java_script_enabled=False, viewport={"width": 390, "height": 800})
    rel.goto("/")
    rel.get_by_role("link", name="Import", exact=True).click()
    rel.get_by_label("Paste its wikitext").fill(text)
    rel.get_by_role("button", name="Show what would be made").click()

    expect(rel.get_by_role("rowheader", name="UTC <b>late</b>")).to_be_visible()
    expect(rel.get_by_text("`when` is “tomorrow”")).to_be_visible()
    assert Window.objects.filter(as_of__isnull=True).count() == 0
    rel.get_by_role("button", name="Make 1 window").click()

    expect(rel.get_by_text("1 window made.")).to_be_visible()
    assert Window.objects.get(as_of__isnull=True).title == "UTC <b>late</b>"


def test_the_page_has_no_accessibility_findings(opened: Open, october: Window) -> None:
    rel = opened("rel")
    rel.goto("/calendar/import")
    day = timezone.now() + timedelta(days=3)
    rel.get_by_label("Paste its wikitext").fill(
        f"{{{{Deployment calendar event card|when={day:%Y-%m-%d} 13:00 SF|length=1|window=SWAT}}}}"
        "\n{{Deployment calendar event card|when=x}}"
    )
    rel.get_by_role("button", name="Show what would be made").click()
    expect(rel.get_by_role("heading", name="What could not be read 1")).to_be_visible()

    assert_accessible(rel, "the import")
