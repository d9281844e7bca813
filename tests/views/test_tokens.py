"""Tokens of the API on a person's page: shown once, revoked by name."""

import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client

from scheduler.models import ApiToken, Event, User

As = Callable[[str], Client]


@pytest.fixture
def rel(as_: As) -> Client:
    """Rel, who has just shown who they are."""
    client = as_("rel")
    session = client.session
    session["signed_in_at"] = int(time.time())
    session.save()
    return client


def test_a_token_is_shown_once_and_revoked(rel: Client, cast: dict[str, User]) -> None:
    address = f"/people/{cast['rel'].pk}/tokens"
    form = {"name": "train bot", "scope": "train", "key": str(uuid4())}

    made = rel.post(address, form)

    assert made.status_code == 200
    text = made.content.decode()
    secret = text.partition("<code data-copy>")[2].partition("</code>")[0]
    assert secret.startswith("swat_")
    again = rel.post(address, form)
    assert again.status_code == 302
    assert secret not in rel.get(f"/people/{cast['rel'].pk}").content.decode()
    token = ApiToken.objects.get()
    assert rel.post(f"/people/tokens/{token.pk}/revoke", {"key": str(uuid4())}).status_code == 302
    assert rel.post(f"/people/tokens/{token.pk}/revoke", {"key": str(uuid4())}).status_code == 409
    assert Event.objects.filter(kind__contains="token").count() == 2


@pytest.mark.parametrize(
    ("scope", "words"), [("train", "the train"), ("deploy", "reports about a deployment")]
)
def test_what_a_token_is_for_is_said_in_words(
    scope: str, words: str, rel: Client, cast: dict[str, User]
) -> None:
    page = f"/people/{cast['dev'].pk}"
    assert f">{words}</option>" in rel.get(page).content.decode()

    rel.post(f"{page}/tokens", {"name": "bot", "scope": scope, "key": str(uuid4())})

    assert f"for {words}; made by" in rel.get(page).content.decode()
    assert ApiToken.objects.get().scope == scope


def test_a_token_wants_a_name_of_its_own(rel: Client, cast: dict[str, User]) -> None:
    address = f"/people/{cast['dev'].pk}/tokens"
    form = {"name": "bot", "scope": "train"}
    assert rel.post(address, {**form, "key": str(uuid4())}).status_code == 200
    assert rel.post(address, {**form, "key": str(uuid4())}).status_code == 409
    for wrong in ({"name": ""}, {"scope": "everything"}):
        assert rel.post(address, {**form, **wrong, "key": str(uuid4())}).status_code == 422


def test_nobody_else_makes_one(as_: As, cast: dict[str, User]) -> None:
    client = as_("dev")
    session = client.session
    session["signed_in_at"] = int(time.time())
    session.save()
    for name in ("bot", ""):
        form = {"name": name, "scope": "train", "key": str(uuid4())}
        assert client.post(f"/people/{cast['dev'].pk}/tokens", form).status_code == 403
    assert not ApiToken.objects.exists()


def test_whoever_signed_in_long_ago_is_asked_again(as_: As, cast: dict[str, User]) -> None:
    client = as_("rel")
    session = client.session
    session["signed_in_at"] = 0
    session.save()

    answer = client.post(f"/people/{cast['dev'].pk}/tokens", {"name": "bot", "scope": "train"})

    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/again")
