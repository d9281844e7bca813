"""Signing in by an OpenID Connect provider, against one that runs here."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from pytest_django.fixtures import Settings

from scheduler.models import Event, User
from scheduler.services.people import add_other_name
from swat.settings import oidc_providers
from tests.identity_provider import CLIENT_ID, SECRET, IdentityProvider

pytestmark = pytest.mark.usefixtures("cast")
NAME = "Wiki SSO"


@pytest.fixture
def provider(settings: Settings) -> Iterator[IdentityProvider]:
    with IdentityProvider() as running:
        settings.SOCIALACCOUNT_PROVIDERS = oidc_providers(running.url, CLIENT_ID, SECRET, NAME)
        yield running


def way_back(client: Client, address: str = "/sign-in/provider", **sent: str) -> str:
    """Go to the provider; return where it sends us back to."""
    page = client.post(address, sent)
    assert page.status_code == 200, page.content.decode()
    onward = page.context["address"]
    answer = httpx.get(onward, trust_env=False)
    assert answer.status_code == 302
    parts = urlsplit(answer.headers["Location"])
    return f"{parts.path}?{parts.query}"


def who(client: Client) -> str:
    """Return the account that a client is signed in with."""
    page = client.get("/policy")
    return page.context["user"].username if page.status_code == 200 else ""


def test_nothing_of_it_is_there_without_a_provider(client: Client) -> None:
    assert "Sign in with" not in client.get("/sign-in").content.decode()
    assert client.post("/sign-in/provider").status_code == 404
    assert client.get("/sign-in/provider/elsewhere/callback?code=1&state=2").status_code == 404


def test_the_page_on_the_way_leads_there_without_script(
    client: Client, provider: IdentityProvider
) -> None:
    assert f"Sign in with <bdi>{NAME}</bdi>" in client.get("/sign-in").content.decode()
    page = client.post("/sign-in/provider")
    assert page.status_code == 200
    assert f'content="0; url={provider.url}/authorize?' in page.content.decode()
    assert client.get("/sign-in/provider").status_code == 405


def test_whoever_is_new_gets_an_account_without_a_role(
    client: Client, provider: IdentityProvider
) -> None:
    provider.person = {"sub": "7", "preferred_username": "Ada Lovelace", "email": "a@example.org"}
    answer = client.get(way_back(client, next="/policy"))
    assert answer["Location"] == "/policy"
    newcomer = User.objects.get(username="adalovelace")
    assert who(client) == newcomer.username
    assert not newcomer.groups.exists()
    assert not newcomer.has_usable_password()
    assert newcomer.email == "a@example.org"
    assert SocialAccount.objects.get().extra_data == {}
    event = Event.objects.get(kind="person.join")
    assert event.actor == newcomer
    assert provider.asked[0]["code_challenge_method"] == "S256"


def test_whoever_came_before_is_the_same_person(client: Client, provider: IdentityProvider) -> None:
    client.get(way_back(client))
    first = who(client)
    client.post("/sign-out")
    provider.person = {"sub": "7", "preferred_username": "somebody-else"}
    client.get(way_back(client))
    assert who(client) == first
    assert SocialAccount.objects.get().extra_data == {}
    assert Event.objects.filter(kind="person.join").count() == 1


@pytest.mark.parametrize("name", ["rel", "REL", "Rel.", "rel-in-gerrit"])
def test_nobody_becomes_somebody_by_a_name_or_an_address(
    client: Client, provider: IdentityProvider, cast: dict[str, User], name: str
) -> None:
    User.objects.filter(username="rel").update(email="rel@example.org")
    cast["rel"].other_names.create(name="REL-in-Gerrit")
    provider.person = {
        "sub": "66",
        "preferred_username": name,
        "email": "rel@example.org",
        "email_verified": True,
    }
    client.get(way_back(client))
    newcomer = User.objects.get(pk=client.session["_auth_user_id"])
    assert newcomer != cast["rel"]
    assert newcomer.username.casefold() not in {"rel", "rel-in-gerrit"}
    assert not newcomer.groups.exists()


def test_another_provider_names_other_people(
    client: Client, provider: IdentityProvider, settings: Settings
) -> None:
    client.get(way_back(client))
    first = who(client)
    client.post("/sign-out")
    with IdentityProvider() as other:
        settings.SOCIALACCOUNT_PROVIDERS = oidc_providers(other.url, CLIENT_ID, SECRET, NAME)
        client.get(way_back(client))
    assert who(client) not in {"", first}


def test_a_wrong_state_signs_nobody_in(client: Client, provider: IdentityProvider) -> None:
    back = way_back(client)
    stranger = Client()
    for answer in (stranger.get(back), client.get(f"{back}x")):
        assert answer.status_code == 401
        assert "You are not signed in" in answer.content.decode()
    assert client.get(back).status_code == 302
    assert client.get(back).status_code == 401
    assert who(stranger) == ""


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another-site"},
        {"aud": None},
        {"iss": "https://elsewhere.example.org"},
        {"exp": 1},
        {"sub": "8"},
        {"sub": None},
    ],
)
def test_an_id_token_for_something_else_signs_nobody_in(
    client: Client, provider: IdentityProvider, claims: dict[str, object]
) -> None:
    provider.claims = claims
    assert client.get(way_back(client)).status_code == 401
    assert who(client) == ""
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize("knob", ["signs", "tells_token"])
def test_nobody_is_signed_in_without_the_provider_s_signature(
    client: Client, provider: IdentityProvider, knob: str
) -> None:
    setattr(provider, knob, False)
    assert client.get(way_back(client)).status_code == 401
    assert who(client) == ""


def test_whoever_does_not_want_to_be_known_is_told_so(
    client: Client, provider: IdentityProvider
) -> None:
    provider.refuses = True
    answer = client.get(way_back(client))
    assert answer.status_code == 401
    assert "You did not let the provider tell us" in answer.content.decode()


def test_a_provider_that_is_down_is_told(client: Client, settings: Settings) -> None:
    with IdentityProvider() as gone:
        url = gone.url
    settings.SOCIALACCOUNT_PROVIDERS = oidc_providers(url, CLIENT_ID, SECRET, NAME)
    answer = client.post("/sign-in/provider")
    assert answer.status_code == 503
    assert "does not answer" in answer.content.decode()


def test_nobody_is_led_elsewhere_afterwards(client: Client, provider: IdentityProvider) -> None:
    assert client.get(way_back(client, next="//example.org/"))["Location"] == "/"


def test_a_closed_account_stays_closed(client: Client, provider: IdentityProvider) -> None:
    client.get(way_back(client))
    client.post("/sign-out")
    User.objects.filter(username="ada-2").update(is_active=False)
    answer = client.get(way_back(client))
    assert answer.status_code == 403
    assert "This account is closed" in answer.content.decode()
    assert who(client) == ""


def test_the_provider_shows_again_who_it_is(client: Client, provider: IdentityProvider) -> None:
    client.get(way_back(client))
    forget_when(client)
    assert client.get("/profile/second-factor")["Location"].startswith("/sign-in/again?next=")
    back = way_back(client, "/sign-in/provider/again", next="/profile/second-factor")
    assert provider.asked[-1]["prompt"] == "login"
    assert client.get(back)["Location"] == "/profile/second-factor"
    assert client.get("/profile/second-factor").status_code == 200


@pytest.mark.parametrize("claims", [{"auth_time": None}, {"auth_time": 1}])
def test_a_provider_that_did_not_ask_again_shows_nothing(
    client: Client, provider: IdentityProvider, claims: dict[str, object]
) -> None:
    client.get(way_back(client))
    forget_when(client)
    provider.claims = claims
    assert client.get(way_back(client, "/sign-in/provider/again")).status_code == 401
    assert client.get("/profile/second-factor").status_code == 302


def test_another_person_at_the_provider_shows_nothing(
    client: Client, provider: IdentityProvider
) -> None:
    client.get(way_back(client))
    first = who(client)
    forget_when(client)
    provider.person = {"sub": "8", "preferred_username": "rae"}
    assert client.get(way_back(client, "/sign-in/provider/again")).status_code == 401
    assert who(client) == first
    assert SocialAccount.objects.count() == 1


def test_an_identity_is_connected_by_whoever_is_signed_in(
    client: Client, provider: IdentityProvider
) -> None:
    client.post("/sign-in", {"username": "ada", "password": "ada signs in here"})
    assert "Connect <bdi>" in client.get("/profile").content.decode()
    assert client.get(way_back(client, "/sign-in/provider/connect"))["Location"] == "/profile"
    assert Event.objects.filter(kind="person.connect-identity", actor_name="ada").count() == 1
    client.post("/sign-out")
    client.get(way_back(client))
    assert who(client) == "ada"


def test_an_identity_is_connected_to_one_account(
    client: Client, provider: IdentityProvider
) -> None:
    client.get(way_back(client))
    client.post("/sign-out")
    client.post("/sign-in", {"username": "ada", "password": "ada signs in here"})
    answer = client.get(way_back(client, "/sign-in/provider/connect"))
    assert answer.status_code == 401
    assert "belongs to another account" in answer.content.decode()
    assert SocialAccount.objects.get().user.username == "ada-2"


def test_who_left_in_between_connects_nothing(client: Client, provider: IdentityProvider) -> None:
    client.post("/sign-in", {"username": "ada", "password": "ada signs in here"})
    back = way_back(client, "/sign-in/provider/connect")
    client.force_login(User.objects.get(username="rae"))
    assert client.get(back).status_code == 401
    assert not SocialAccount.objects.exists()


def test_another_name_of_a_newcomer_makes_them_one_person(
    client: Client, provider: IdentityProvider, cast: dict[str, User]
) -> None:
    client.get(way_back(client))
    add_other_name(person=cast["ada"], by=cast["rel"], name=who(client))
    assert "<bdi>ada</bdi>" in client.get("/profile").content.decode()


def forget_when(client: Client) -> None:
    """Let the sign-in be longer ago than anybody remembers."""
    session = client.session
    del session["signed_in_at"]
    session.save()
