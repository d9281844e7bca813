"""Somebody watches a window in a browser: it follows, and says so when it cannot any more."""

import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import SESSION
from tests.faults.site import Site, running

# From Python 3.12 on, a fork beside another test's live server is warned of.
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(120),  # the first one starts the servers
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]

FOLLOWS = 2_000  # ms in which a page follows on a machine that does other things too
ASKS_AGAIN = 20_000  # ms in which a page has asked again without the stream
AWAY = "Live updates are away"
LIVE = "document.querySelector('#silent').hidden && stream.readyState === 1 && happened !== ''"


@dataclass
class Watched:
    """A window that is being deployed, and browsers of those who look at it."""

    site: Site
    window: int
    sessions: dict[str, str]
    chromium: Browser
    contexts: list[BrowserContext]

    def following(self, name: str) -> Page:
        """Open its page as somebody, in a browser of their own, and wait for the first news."""
        context = self.chromium.new_context(base_url=self.site.url)
        self.contexts.append(context)
        context.add_cookies([{"name": SESSION, "value": self.sessions[name], "url": self.site.url}])
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.goto(f"/windows/{self.window}/deploy")
        until(page, LIVE)
        page.evaluate("window.loadedOnce = true")
        return page


def until(page: Page, holds: str) -> None:
    """Wait until something holds in a page; its policy lets Playwright not wait for it there."""
    limit = time.monotonic() + 10
    while not page.evaluate(holds):
        assert time.monotonic() < limit, holds
        page.wait_for_timeout(50)


def tick(driver: Page, *, done: int) -> None:
    """Say that the item is done whose turn it is, and see as many done on the driver's page."""
    driver.locator("#mine .act button.main").click()
    expect(driver.locator("#step-1 .is-done")).to_have_count(done)


@pytest.fixture(scope="module")
def site(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        pytest.MonkeyPatch.context() as environment,
        running(tmp_path_factory.mktemp("site"), "", bookable=20, windows=1) as one,
    ):
        environment.setenv("SWAT_WATCH_MINUTES", "0")
        one.manage("collectstatic", "--noinput", "--verbosity", "0")
        yield one


@pytest.fixture
def watched(site: Site, chromium: Browser) -> Iterator[Watched]:
    made = site.supervisor.start(
        "watched", [sys.executable, "-m", "tests.watched", "2", "1"], ends=True
    )
    running_now = {child.name for child in site.supervisor.children}
    if "events" not in running_now:
        site.start_events()
    if "web" not in running_now:
        site.start_web()
    site.supervisor.finish(made)
    one = Watched(site, **json.loads(made.tail()), chromium=chromium, contexts=[])
    yield one
    for context in one.contexts:
        context.close()


def test_a_page_follows_without_loading_or_asking(watched: Watched) -> None:
    dev, ada, watcher = (watched.following(name) for name in ("dev", "ada", "watcher1"))
    polls: list[str] = []
    watcher.on("request", lambda asked: polls.append(asked.url))

    dev.get_by_role("button", name="Start step 1").click()
    expect(watcher.locator("#step-1 .is-turn")).to_contain_text("merge, and wait", timeout=FOLLOWS)
    expect(watcher.locator("#state")).to_contain_text("step 1 of 2")
    expect(watcher.locator("#now")).to_contain_text("dev is at")
    expect(watcher.locator("#mine")).to_contain_text("scap")
    tick(dev, done=1)  # merged
    tick(dev, done=2)  # on the test servers
    expect(watcher.locator("#step-1 .is-done")).to_have_count(2, timeout=FOLLOWS)

    # Whose turn it is reads it in the title, and acts.
    expect(ada.locator("#now")).to_contain_text("your turn", timeout=FOLLOWS)
    expect(ada).to_have_title(re.compile("^● Your turn: Verify"))
    expect(watcher).to_have_title("Deploy: Morning SWAT · SWAT window scheduler")
    ada.get_by_role("button", name="works on the test servers").click()
    expect(watcher.locator("#step-1 .is-done")).to_have_count(3, timeout=FOLLOWS)
    expect(dev.locator("#now")).to_contain_text("Sync", timeout=FOLLOWS)
    assert watcher.evaluate("window.loadedOnce")
    assert polls == []  # whoever only watches asks the web server for nothing


def test_without_the_events_process_a_page_asks_again_and_says_so(watched: Watched) -> None:
    dev, watcher = watched.following("dev"), watched.following("watcher1")
    watched.site.kill("events")
    expect(watcher.locator("#silent")).to_contain_text(AWAY)

    dev.get_by_role("button", name="Start step 1").click()
    expect(watcher.locator("#step-1 .is-turn")).to_be_visible(timeout=ASKS_AGAIN)
    expect(watcher.locator("#silent")).to_contain_text(AWAY)

    watched.site.start_events()
    expect(watcher.locator("#silent")).to_be_hidden(timeout=ASKS_AGAIN)
    until(watcher, LIVE)
    tick(dev, done=1)
    expect(watcher.locator("#step-1 .is-done")).to_have_count(1, timeout=FOLLOWS)


def test_without_any_server_the_last_state_stays_and_the_page_says_of_when_it_is(
    watched: Watched,
) -> None:
    watcher = watched.following("watcher1")
    watched.site.kill("events")
    watched.site.kill("web")
    expect(watcher.locator("#silent")).to_have_text(
        re.compile(r"The server does not answer\. This is how it was at \d\d:\d\d:\d\d UTC;"),
        timeout=ASKS_AGAIN,
    )
    expect(watcher.locator("#step-1")).to_contain_text("Setting")
    expect(watcher.locator("#step-2")).to_be_visible()

    watched.site.start_web()
    expect(watcher.locator("#silent")).to_contain_text(AWAY, timeout=ASKS_AGAIN)


def test_what_somebody_does_with_the_board_outlives_its_news(watched: Watched) -> None:
    dev, watcher = watched.following("dev"), watched.following("watcher1")
    watcher.locator("#step-2 summary").focus()
    watcher.keyboard.press("Enter")
    heading = watcher.locator("#live-title")

    dev.get_by_role("button", name="Start step 1").click()
    expect(watcher.locator("#step-1 .is-turn")).to_be_visible(timeout=FOLLOWS)
    expect(watcher.locator("#step-2 details")).to_have_attribute("open", "")
    expect(watcher.locator("#step-2 summary")).to_be_focused()

    heading.select_text()
    tick(dev, done=1)
    until(watcher, "later !== null")
    expect(watcher.locator("#step-1 .is-done")).to_have_count(0)
    watcher.evaluate("document.getSelection().removeAllRanges()")
    expect(watcher.locator("#step-1 .is-done")).to_have_count(1)


def test_what_a_tester_types_stays_and_they_are_told(watched: Watched) -> None:
    dev, ada = watched.following("dev"), watched.following("ada")
    dev.get_by_role("button", name="Start step 1").click()
    tick(dev, done=1)
    tick(dev, done=2)
    ada.get_by_label("What you saw").fill("Looks good")
    dev.locator("#mine").get_by_text("It failed").click()
    dev.get_by_label("What was seen").fill("A page is a 500.")
    dev.get_by_role("button", name="Step 1 failed").click()

    expect(ada.locator("#silent")).to_contain_text("What you typed stays", timeout=FOLLOWS)
    expect(ada.get_by_label("What you saw")).to_have_value("Looks good")
    expect(ada.locator("#step-1")).to_contain_text("A page is a 500.")
    ada.get_by_label("What you saw").fill("")
    ada.locator("h1").click()
    expect(ada.locator("#silent")).to_be_hidden(timeout=10_000)
    expect(ada.locator("#now")).to_contain_text("failed")
