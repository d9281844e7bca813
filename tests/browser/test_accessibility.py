"""The controls of `assert_accessible`: it sees what is wrong at one width or by one light alone."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.accessibility import assert_accessible

pytestmark = pytest.mark.browser

FINE = "<!DOCTYPE html><html lang=en><title>One</title><main><h1>One</h1>{}</main>"
DARK = "<style>@media (prefers-color-scheme: dark) {{ p {{ {} }} }}</style><p>Text</p>"
PHONE = (
    "<style>.phone { display: none } @media (width < 500px) { .phone { display: block } }</style>"
)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def test_nothing_is_found_where_nothing_is_wrong(page: Page) -> None:
    page.set_content(FINE.format("<p>Text</p>"))
    assert_accessible(page, "fine")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (DARK.format("color: #ccc; background: #ddd"), "1280, 'dark', .*color-contrast"),
        (f"{PHONE}<p class=phone style='color: #eee'>Text</p>", "390, 'dark', .*color-contrast"),
        (f"{PHONE}<button class=phone></button>", "390, 'light', .*button-name"),
        ("<div style='width: 700px'>Text</div>", "390, 'dark', 'scrolls"),
    ],
)
def test_what_is_wrong_once_is_found(page: Page, wrong: str, said: str) -> None:
    page.set_content(FINE.format(wrong))
    with pytest.raises(AssertionError, match=said):
        assert_accessible(page, "wrong once")
