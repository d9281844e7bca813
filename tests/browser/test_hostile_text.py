"""Hostile text in a real browser: nothing runs, nothing leaves, and no page gets wider."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from scheduler.adapters.cleaning import visible_line, visible_prose
from scheduler.models import Backport, User, Window
from scheduler.services.reviews import ask_requester, propose_override
from swat.embedded.gerrit import DemoGerrit
from swat.embedded.gerrit_changes import CHANGES
from tests.browser.conftest import Open
from tests.factories import approve, fetched, make_backport, make_window
from tests.hostile import HOSTILE, fitting
from tests.views.conftest import cast_of_five

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NASTY = (
    *("script", "image", "svg", "math", "details", "iframe", "style", "refresh"),
    *("out of an attribute", "out of a quoted attribute", "out of a text area"),
    *("out of everything", "javascript address", "htmx event", "htmx out of band"),
)
UGLY = ("no space", "no end of lines", "combining", "turned around", "emoji")
"""What breaks a layout, after what runs."""
EVERYTHING = " ".join(HOSTILE[name] for name in NASTY)
"""At once, as what somebody said about a backport."""
WATCHED = "addEventListener('securitypolicyviolation', () => window.hostile = 'refused')"


@pytest.fixture
def week(chromium: Browser, transactional_db: None, settings: Settings) -> Iterator[Window]:
    """A window of tomorrow, with all of it in its texts."""
    with DemoGerrit(CHANGES) as gerrit:
        settings.GERRIT_URL = gerrit.url
        cast = cast_of_five()
        cast["ada"].nick = visible_line(fitting(HOSTILE["image"], 100, visible_line))
        cast["ada"].save()
        window = make_window(in_hours=24, title=fitting(HOSTILE["svg"], 100, visible_line))
        for number, said in enumerate((EVERYTHING, *(HOSTILE[name] for name in UGLY)), 1000):
            booked(window, cast, number, said)
        yield window


def booked(window: Window, cast: dict[str, User], number: int, said: str) -> Backport:
    """Book a change with this as every text, have its requester asked, and an override proposed."""
    prose, line = fitting(visible_prose(said), 2000, str), visible_line(said)
    facts = fetched(number, subject=line[:300], owner=line[:150], message=prose, diff=prose)
    answers = dict.fromkeys(("why_not_train", "user_impact", "tested_where", "verify_how"), prose)
    answers |= dict.fromkeys(("rollback_how", "steps_before"), prose)
    answers["problems_where"] = f"Wherever {prose}"  # signs alone say nothing, and are refused
    people = {"tester": line[:150], "nick": line[:100]}
    own = {"criteria": frozenset({"long-task"})} if number == 1000 else {}
    backport = make_backport(window, cast["ada"], facts, **answers, **people, **own)
    if number == 1000:
        propose_override(
            backport=backport,
            by=cast["rae"],
            fingerprint=backport.fingerprint,
            rule="needs-own-window",
            reason=prose[:500],
        )
        backport.refresh_from_db()
        ask_requester(
            backport=backport, by=cast["rae"], fingerprint=backport.fingerprint, reason=prose[:500]
        )
        return backport
    return approve(backport, cast["rae"])


def watched(page: Page, server: str) -> list[str]:
    """Note what a page does that it must not: a dialog, a refusal of the policy, a way out."""
    noted: list[str] = []
    page.add_init_script(WATCHED)
    page.on("dialog", lambda dialog: noted.append(f"dialog {dialog.message}"))
    page.on("console", lambda said: noted.append(said.text) if said.type == "error" else None)
    page.on(
        "request",
        lambda asked: noted.append(asked.url) if not asked.url.startswith(server) else None,
    )
    return noted


def test_nothing_runs_and_no_page_gets_wider(
    opened: Open, week: Window, live_server: LiveServer
) -> None:
    page = opened("rel")
    noted = watched(page, live_server.url)
    numbers = "%0A".join(str(number) for number in range(1000, 1006))
    addresses = [
        "/",
        f"/windows/{week.pk}",
        f"/windows/{week.pk}/checklist",
        "/reviews/",
        "/overrides/",
        "/people/?q=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E",
        f"/people/{User.objects.get(username='ada').pk}",
        f"/backports/new?change={numbers}",
        *(f"/backports/{backport.pk}" for backport in Backport.objects.order_by("pk")),
    ]
    for address in addresses:
        page.goto(address)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.evaluate("window.hostile") is None, address
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            wide, room = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert wide <= room, (address, width)
        assert page.locator("main").count() == 1
    assert noted == []
