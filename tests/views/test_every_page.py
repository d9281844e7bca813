"""What holds for every address: headers, sign-in, methods."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.apps import apps
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.db import InterfaceError, OperationalError
from django.test import Client
from pytest_django.fixtures import Settings

from scheduler.models import User, Window
from scheduler.views import policy
from tests.views.conftest import CIRRUS, Book

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse

As = Callable[[str], Client]
PAGES = (
    "/",
    "/?week=2026-W49",
    "/calendar/series",
    "/calendar/freezes",
    "/backports/new",
    "/backports/preview",
    "/backports/{backport}",
    "/reviews/",
    "/reviews/news",
    "/windows/{window}",
    "/windows/{window}/checklist",
    "/windows/{window}/deploy",
    "/windows/{window}/deploy?part=mine",
    "/windows/{window}/deploy.txt",
    "/windows/{window}/deploy.md",
    "/train",
    "/policy",
    "/overrides/",
    "/couplings",
    "/profile",
    "/profile/password",
    "/sign-in/again",
    "/calendar/week/2026-W49.wiki",
)
# These ask first whether it is still you, or are for release engineers only.
GUARDED = (
    "/profile/second-factor",
    "/profile/second-factor/remove",
    "/profile/codes",
    "/profile/codes/new",
    "/people/",
    "/people/1",
    "/mail/",
    "/calendar/windows/new",
    "/calendar/import",
    "/train/plan",
    "/train/import",
)
FORMS = (
    "/backports/drafts",
    "/backports/drafts/{backport}/drop",
    "/backports/{backport}/withdraw",
    "/backports/{backport}/approve",
    "/backports/{backport}/decline",
    "/backports/{backport}/train",
    "/backports/{backport}/ask",
    "/backports/{backport}/dedicated",
    "/backports/{backport}/veto",
    "/backports/{backport}/acknowledge",
    "/backports/{backport}/withdraw-approval",
    "/backports/{backport}/reply",
    "/backports/{backport}/hand-over",
    "/backports/{backport}/watch",
    "/backports/{backport}/overrides",
    "/overrides/1/confirm",
    "/overrides/1/end",
    "/reviews/approve",
    "/calendar/series/1/end",
    "/calendar/freezes/1/call-off",
    "/backports/{backport}/move-on",
    "/backports/{backport}/book-again",
    "/windows/{window}/sign-up",
    "/windows/{window}/step-down",
    "/windows/{window}/move",
    "/windows/{window}/cancel",
    "/windows/{window}/confirm",
    "/windows/{window}/answer",
    "/windows/{window}/lock",
    "/windows/{window}/unlock",
    "/windows/{window}/deploy/take",
    "/windows/{window}/deploy/offer",
    "/windows/{window}/deploy/accept",
    "/windows/{window}/deploy/withdraw-offer",
    "/windows/{window}/deploy/give-back",
    "/windows/{window}/deploy/keep",
    "/windows/{window}/deploy/begin",
    "/windows/{window}/deploy/extend",
    "/windows/{window}/deploy/close",
    "/windows/{window}/deploy/1/start",
    "/windows/{window}/deploy/1/vouch",
    "/windows/{window}/deploy/1/fail",
    "/windows/{window}/deploy/1/choose",
    "/windows/{window}/deploy/1/miss",
    "/windows/{window}/deploy/1/items/1",
    "/backports/{backport}/check-in",
    "/sign-out",
    "/demo-sign-in",
    "/sign-in/provider",
    "/sign-in/provider/again",
    "/profile/sessions",
    "/profile/feed",
    "/profile/feed/revoke",
    "/calendar/import/make",
    "/people/1/roles",
    "/people/1/disable",
    "/people/1/enable",
    "/people/1/sign-out",
    "/people/1/second-factor",
    "/people/1/names",
    "/people/1/names/remove",
    "/mail/1/try",
    "/people/1/tokens",
    "/people/tokens/1/revoke",
)


@pytest.mark.parametrize("name", ["ada", "rae", "dev", "rel", "sam"])
def test_every_page_opens_for_everybody_with_a_strict_policy(
    name: str, book: Book, as_: As, october: Window
) -> None:
    backport = book(CIRRUS)
    client = as_(name)
    for address in PAGES:
        answer = client.get(address.format(backport=backport.pk, window=october.pk))
        assert answer.status_code == 200, address
        assert_strict(answer)


def assert_strict(answer: "_MonkeyPatchedWSGIResponse") -> None:
    """Assert what every answer carries, whatever it is about."""
    policy = answer["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cache-Control"] == "no-store"
    text = answer.content.decode()
    assert "<style" not in text
    assert " style=" not in text
    assert " onclick=" not in text


def test_the_pages_of_signing_in_are_as_strict(client: Client, cast: dict[str, User]) -> None:
    sent = {"username": "rel", "password": "rel signs in here"}
    assert_strict(client.get("/sign-in"))
    assert_strict(client.post("/sign-in", {**sent, "password": "wrong"}))
    client.post("/sign-in", sent)
    for address in ("/profile/second-factor", "/people/", f"/people/{cast['ada'].pk}", "/mail/"):
        answer = client.get(address)
        assert answer.status_code == 200
        assert_strict(answer)
    Authenticator.objects.create(user=cast["rel"], type="totp", data={"secret": "none"})
    RecoveryCodes.activate(cast["rel"])
    for address in ("/profile/second-factor/remove", "/profile/codes", "/profile/codes/new"):
        answer = client.get(address)
        assert answer.status_code == 200
        assert_strict(answer)
    other = Client()
    other.post("/sign-in", sent)
    assert_strict(other.get("/sign-in/code"))


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/healthz", "/nowhere", "/admin/login/", "/sign-out"])
def test_nothing_is_kept_of_what_is_refused_either(address: str, client: Client) -> None:
    assert client.get(address)["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["ada", "rel"])
def test_looking_twice_changes_nothing(name: str, book: Book, as_: As, october: Window) -> None:
    backport = book(CIRRUS)
    client = as_(name)
    session = client.session
    session["signed_in_at"] = int(time.time())
    session.save()
    before = everything()
    for address in (*PAGES, *GUARDED):
        client.get(address.format(backport=backport.pk, window=october.pk))
    assert everything() == before


def everything() -> dict[str, list[object]]:
    """Return every row of every table but the sessions."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())  # noqa: SLF001
        for model in apps.get_models()
        if model is not Session
    }


@pytest.mark.django_db
@pytest.mark.parametrize("address", [*PAGES, *GUARDED])
def test_nobody_sees_anything_without_signing_in(address: str, client: Client) -> None:
    answer = client.get(address.format(backport=1, window=1))

    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in?next=")


@pytest.mark.parametrize("address", FORMS)
def test_forms_are_not_links(address: str, as_: As) -> None:
    answer = as_("rel").get(address.format(backport=1, window=1))

    assert answer.status_code == 405
    assert answer["Allow"] == "POST"
    assert "This address takes something else" in answer.content.decode()


@pytest.mark.django_db
def test_health_needs_no_account(client: Client) -> None:
    assert client.get("/healthz").content == b"ok\n"


def test_what_does_not_exist_is_told(as_: As) -> None:
    answer = as_("ada").get("/windows/999")

    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


NO_ADDRESS = "http://["


def test_an_address_that_is_none_harms_nothing(book: Book, as_: As) -> None:
    htmx = {"HX-Request": "true", "HX-Current-URL": NO_ADDRESS}
    nobody = Client()
    assert nobody.get("/", headers=htmx).status_code == 204
    assert nobody.post("/backports/new", headers={"Referer": NO_ADDRESS}).status_code == 302
    backport = book(CIRRUS)
    sent = {"fingerprint": backport.fingerprint, "key": str(uuid4()), "reason": "Not now."}
    rae = as_("rae")
    assert rae.post("/reviews/", {**sent, "backport": backport.pk}, headers=htmx).status_code < 500
    declined = rae.post(f"/backports/{backport.pk}/decline", sent, headers=htmx)
    assert declined.status_code < 400
    assert rae.get("/sign-in/code?next=//[").status_code < 500


def test_a_key_that_is_spelled_at_length_is_that_key(book: Book, as_: As) -> None:
    backport = book(CIRRUS)
    sent = {"fingerprint": backport.fingerprint, "key": "-" * 40 + str(uuid4())}

    answer = as_("ada").post(f"/backports/{backport.pk}/withdraw", sent)

    assert answer.status_code == 302


def test_a_form_without_its_key_does_nothing(book: Book, as_: As) -> None:
    backport = book(CIRRUS)

    answer = as_("ada").post(
        f"/backports/{backport.pk}/withdraw", {"fingerprint": backport.fingerprint}
    )

    assert answer.status_code == 422
    backport.refresh_from_db()
    assert backport.status == "submitted"


def test_a_body_too_large_is_told(as_: As, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100

    answer = as_("ada").post("/backports/new", {"why_not_train": "x" * 101})

    assert answer.status_code == 413
    assert "This is too much at once" in answer.content.decode()


def test_too_many_fields_are_told(as_: As, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 3

    answer = as_("ada").post("/backports/new", {"marks": list("abcd")})

    assert answer.status_code == 400
    assert "This request cannot be read" in answer.content.decode()


def test_a_host_that_is_not_ours_is_told(as_: As) -> None:
    answer = as_("ada").get("/", headers={"Host": "elsewhere.example.org"})

    assert answer.status_code == 400
    assert "This request cannot be read" in answer.content.decode()


def test_what_breaks_on_our_side_is_told(as_: As, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(policy, "fields", broken)
    client = as_("ada")
    client.raise_request_exception = False

    answer = client.get("/policy")

    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()


@pytest.fixture(params=[OperationalError, InterfaceError])
def without_database(
    request: pytest.FixtureRequest, as_: As, monkeypatch: pytest.MonkeyPatch
) -> Client:
    """Ada's browser; the database is away from now on, so that nobody knows who she is."""

    def away(*_: object) -> None:
        raise request.param("server closed the connection unexpectedly")

    client = as_("ada")
    client.raise_request_exception = False
    monkeypatch.setattr(SessionStore, "load", away)
    return client


def test_without_the_database_a_form_is_told_that_it_may_not_be_saved(
    without_database: Client,
) -> None:
    answer = without_database.post("/backports/new", {"change": "1"})

    assert answer.status_code == 503
    assert "It may not have been saved: the database does not answer" in answer.content.decode()
    assert answer["Retry-After"] == "2"
    assert answer["Cache-Control"] == "no-store"


def test_without_the_database_a_page_and_a_program_are_told_too(without_database: Client) -> None:
    page = without_database.get("/")
    assert page.status_code == 503
    text = page.content.decode()
    assert "Load this page again" in text
    assert "saved" not in text
    told = without_database.get("/api/windows/1/checklist")
    assert told.status_code == 503
    assert told.json()["error"] == "The database does not answer. Ask again in a moment."
    asked = without_database.post("/api/windows/1/checklist", {}, "application/json")
    assert asked.status_code == 503
    assert "It may not have been saved" in asked.json()["error"]


def test_htmx_shows_who_may_in_place_of_the_page(book: Book, as_: As) -> None:
    backport = book(CIRRUS)
    sent = {"fingerprint": backport.fingerprint, "key": str(uuid4()), "reason": "Later."}

    answer = as_("sam").post(
        f"/backports/{backport.pk}/decline", sent, headers={"HX-Request": "true"}
    )

    assert answer.status_code == 403
    assert answer["HX-Retarget"] == answer["HX-Reselect"] == "#main"
    assert "may decline this backport; you are signed in as sam" in answer.content.decode()
