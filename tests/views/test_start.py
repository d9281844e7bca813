"""What a site refuses to start with, and what it starts with unasked."""

import os
import subprocess
import sys

import pytest

SITE = {
    "SECRET_KEY": "a key of more than fifty characters, as the settings ask for",
    "ALLOWED_HOSTS": "swat.example.org",
    "DATABASE_URL": "sqlite://:memory:",
    "PATH": os.environ["PATH"],
}
DEMO = {"SWAT_DEMO": "1", "SWAT_INSECURE_HTTP": "1"}
OIDC = {"SWAT_OIDC_URL": "https://sso.example.org/realms/Wiki/", "SWAT_OIDC_CLIENT_ID": "swat"}


def start(**environment: str) -> tuple[str, str]:
    """Read the settings as a new process does; return what it prints, and what it refuses."""
    show = (
        "from swat import settings as s;"
        "print(s.SWAT_SECOND_FACTOR_FOR, s.SWAT_TRUSTED_PROXIES, s.SOCIALACCOUNT_PROVIDERS,"
        " s.SESSION_COOKIE_NAME, s.SESSION_COOKIE_SECURE)"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", show],
        env={**SITE, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize(
    ("environment", "refusal"),
    [
        ({"SWAT_SECOND_FACTOR_FOR": "deployers"}, "names no role: deployers"),
        ({"SWAT_BEHIND_PROXY": "1"}, "needs SWAT_TRUSTED_PROXIES"),
        (OIDC, "needs SWAT_OIDC_CLIENT_ID and SWAT_OIDC_SECRET"),
        ({**OIDC, "SWAT_OIDC_SECRET": "x", "SWAT_OIDC_URL": "http://sso"}, "with https://"),
    ],
)
def test_what_would_be_unsafe_is_refused(environment: dict[str, str], refusal: str) -> None:
    assert refusal in start(**environment)[1]


def test_a_site_is_safe_unasked_and_the_demo_asks_nobody() -> None:
    site, _ = start()
    assert site == "('deployer', 'release-engineer') 0 {} __Host-session True"
    assert start(**DEMO)[0].startswith("() 0 {} session False")
    assert start(SWAT_SECOND_FACTOR_FOR="")[0].startswith("() ")


def test_a_provider_is_named_by_its_address() -> None:
    site, _ = start(**OIDC, SWAT_OIDC_SECRET="x")
    assert "'provider_id': 'sso.example.org-realms-wiki'" in site
    assert "'name': 'sso.example.org'" in site
    assert "'server_url': 'https://sso.example.org/realms/Wiki'" in site
