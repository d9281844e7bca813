"""Signing in by the provider, the second factor, and looking after people, in a real browser."""

import time
from collections.abc import Iterator

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Browser, Page, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from scheduler.models import User, Window
from swat.settings import oidc_providers
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Open
from tests.identity_provider import CLIENT_ID, SECRET, IdentityProvider

pytestmark = pytest.mark.browser


@pytest.fixture
def provider(settings: Settings) -> Iterator[IdentityProvider]:
    with IdentityProvider() as running:
        settings.SOCIALACCOUNT_PROVIDERS = oidc_providers(running.url, CLIENT_ID, SECRET, "Wiki")
        yield running


@pytest.fixture(params=[True, False], ids=["with script", "without script"])
def stranger(
    request: pytest.FixtureRequest, chromium: Browser, live_server: LiveServer, october: Window
) -> Iterator[Page]:
    """Somebody who is not signed in, with and without JavaScript."""
    context = chromium.new_context(base_url=live_server.url, java_script_enabled=request.param)
    yield context.new_page()
    context.close()


def test_the_strict_policy_lets_people_go_to_the_provider_and_back(
    provider: IdentityProvider, stranger: Page
) -> None:
    stranger.goto("/sign-in?next=/profile")
    stranger.get_by_role("button", name="Sign in with Wiki").click()
    expect(stranger.get_by_role("heading", name="Your profile")).to_be_visible()
    expect(stranger.locator(".who")).to_contain_text("ada-2")


def test_a_second_factor_is_set_up_and_used(stranger: Page) -> None:
    stranger.goto("/sign-in?next=/profile/second-factor")
    sign_in(stranger)
    stranger.get_by_text("Or type the secret").click()
    secret = stranger.locator("code.secret").inner_text().replace(" ", "")
    stranger.get_by_label("Type the six digits").fill(code_of(secret))
    stranger.get_by_role("button", name="Turn it on").click()
    expect(stranger.locator(".codes li")).to_have_count(10)
    stranger.get_by_role("button", name="Sign out").click()
    sign_in(stranger)
    stranger.get_by_label("Code", exact=True).fill(code_of(secret, steps=1))
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger.get_by_role("heading", name="SWAT windows")).to_be_visible()


def sign_in(page: Page) -> None:
    page.locator("#id_username").fill("dev")
    page.locator("#id_password").fill("dev signs in here")
    page.get_by_role("button", name="Sign in", exact=True).click()


def code_of(secret: str, *, steps: int = 0) -> str:
    value = hotp_value(secret, int(time.time()) // 30 + steps)
    return str(format_hotp_value(value))


def test_an_account_is_closed_in_two_steps_without_javascript(
    october: Window, opened: Open
) -> None:
    sam = User.objects.get(username="sam")
    rel = opened("rel", java_script_enabled=False)
    rel.goto(f"/people/{sam.pk}")
    expect(rel.get_by_role("button", name="Close the account of sam")).to_be_hidden()

    rel.get_by_text("Close the account", exact=True).click()
    rel.get_by_role("button", name="Close the account of sam").click()

    expect(rel.get_by_text("Done, and logged.")).to_be_visible()
    sam.refresh_from_db()
    assert not sam.is_active


def test_no_page_about_people_has_accessibility_findings(
    october: Window, provider: IdentityProvider, opened: Open
) -> None:
    ada = User.objects.get(username="ada")
    ada.other_names.create(name="ada-in-gerrit")
    rel = opened("rel")
    for address in (
        "/people/",
        f"/people/{ada.pk}",
        "/mail/",
        "/profile",
        "/profile/password",
        "/profile/second-factor",
        "/sign-in",
    ):
        rel.goto(address)
        assert_accessible(rel, address)
