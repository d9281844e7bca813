"""A real Chromium, and the October 2015 window on a live server."""

import os
import shutil
import time
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings as configured
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from scheduler.models import User, Window
from swat.embedded.gerrit import DemoGerrit
from swat.embedded.gerrit_changes import CHANGES
from tests.views.conftest import cast_of_five, october_window

CHROMIUM = os.environ.get("SWAT_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]

SESSION = configured.SESSION_COOKIE_NAME

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not shutil.which(CHROMIUM):
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing; name it in SWAT_CHROMIUM.")
        pytest.skip("Chromium is missing; name it in SWAT_CHROMIUM.")
    # The driver keeps an event loop in this thread, so Django takes every query for an async one.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *as_root])
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="module", autouse=True)
def _tables_are_emptied(events_can_be_cleared: None) -> None:
    """A live server's tables are emptied after each test."""


@pytest.fixture
def october(chromium: Browser, transactional_db: None, settings: Settings) -> Iterator[Window]:
    with DemoGerrit(CHANGES) as gerrit:
        settings.GERRIT_URL = gerrit.url
        cast_of_five()
        yield october_window()


@pytest.fixture
def opened(chromium: Browser, live_server: LiveServer) -> Iterator[Open]:
    """Give an empty page to one of the cast; every complaint of the browser fails the test.

    What pages have asked for is waited for in the end: the tables are emptied then.
    """
    contexts: list[tuple[BrowserContext, set[Request]]] = []
    complaints: list[str] = []

    def as_person(name: str, **options: object) -> Page:
        context = chromium.new_context(base_url=live_server.url, **options)  # type: ignore[arg-type]
        pending: set[Request] = set()
        contexts.append((context, pending))
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("request", lambda asked: pending.add(asked))  # noqa: PLW0108 - wants a function
        page.on("requestfinished", lambda asked: pending.discard(asked))  # noqa: PLW0108
        page.on("requestfailed", lambda asked: pending.discard(asked))  # noqa: PLW0108
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text)
                if said.type == "error" and "status of 4" not in said.text
                else None
            ),
        )
        session = session_of(User.objects.get(username=name))
        context.add_cookies([{"name": SESSION, "value": session, "url": live_server.url}])
        return page

    yield as_person
    for context, pending in contexts:
        while pending and context.pages:
            context.pages[0].wait_for_timeout(20)
        context.close()
    assert complaints == []


def session_of(person: User) -> str:
    """Sign somebody in without a browser, as one who just did; return what the cookie holds."""
    client = Client()
    client.force_login(person)
    session = client.session
    session["signed_in_at"] = int(time.time())
    session.save()
    return str(session.session_key)
