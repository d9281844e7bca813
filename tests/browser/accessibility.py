"""What axe finds on a page, in the light and in the dark, wide and on a phone.

A page is loaded once and looked at four times. Its style sheet changes nothing but colours in the
dark, so there only the rules about colours are asked again; a width may show and hide anything, so
each has all rules.
"""

from collections.abc import Iterable
from typing import Literal

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

WIDE, PHONE = 1280, 390
HEIGHT = 800
COLOURS = ["color-contrast", "link-in-text-block"]
RULES: tuple[tuple[Literal["light", "dark"], list[str] | None], ...] = (
    ("dark", COLOURS),
    ("light", None),
)
# Of all that axe says, only what is wrong leaves the browser: the rest takes as long as looking.
RUN = """
    (rules) => axe
        .run({resultTypes: ['violations'], ...(rules && {runOnly: {type: 'rule', values: rules}})})
        .then((said) => said.violations.map((one) => [one.id, one.nodes[0].html]))
"""


def assert_accessible(page: Page, name: str, widths: Iterable[int] = (WIDE, PHONE)) -> None:
    """Fail on any finding of axe, and on a sideways scroll; `name` says in which state the page is.

    The page is left in the light, at the last of the widths.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    for width in widths:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for scheme, rules in RULES:
            # No colour is on its way to the next while axe looks.
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found = page.evaluate(RUN, rules)
            assert found == [], (name, width, scheme, found)
            scrolled = page.evaluate("document.documentElement.scrollWidth")
            assert scrolled <= width, (name, width, scheme, "scrolls sideways")
