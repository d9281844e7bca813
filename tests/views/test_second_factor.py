"""The second factor: setting it up, signing in with it, losing it."""

import json
import re
import time

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.test import Client
from pytest_django.fixtures import Settings

from scheduler.models import Event, User
from scheduler.services.events import first_break
from scheduler.views.second_factor import picture_of

pytestmark = pytest.mark.usefixtures("cast")
RIGHT = {"username": "dev", "password": "dev signs in here"}
SET_UP, CODES = "/profile/second-factor", "/profile/codes"


@pytest.fixture
def dev(client: Client) -> Client:
    client.post("/sign-in", RIGHT)
    return client


def secret_in(page: str) -> str:
    found = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page)
    assert found
    return found[1].replace(" ", "")


def code_of(secret: str, *, steps: int = 0) -> str:
    """Return what an app shows now, or some half minutes from now."""
    value = hotp_value(secret, int(time.time()) // 30 + steps)
    return str(format_hotp_value(value))


def set_up(client: Client) -> str:
    """Set a second factor up; return its secret."""
    secret = secret_in(client.get(SET_UP).content.decode())
    answer = client.post(SET_UP, {"code": code_of(secret)})
    assert answer["Location"].startswith(CODES)
    return secret


def codes_on_paper(client: Client) -> list[str]:
    return re.findall(r"<li><code>(\d{8})</code></li>", client.get(CODES).content.decode())


def test_it_is_set_up_with_a_code_and_gives_codes_to_write_down(dev: Client) -> None:
    page = dev.get(f"{SET_UP}?next=/windows/7").content.decode()
    secret = secret_in(page)
    wrong = dev.post(SET_UP, {"code": "000000" if code_of(secret) != "000000" else "1"})
    assert wrong.status_code == 422
    assert secret_in(wrong.content.decode()) == secret
    answer = dev.post(SET_UP, {"code": code_of(secret), "next": "/windows/7"})
    assert answer["Location"] == f"{CODES}?next=%2Fwindows%2F7"
    assert 'href="/windows/7"' in dev.get(answer["Location"]).content.decode()
    assert len(codes_on_paper(dev)) == 10
    assert "✓</span> on" in dev.get("/profile").content.decode()
    assert [event.kind for event in Event.objects.all()] == ["person.add-second-factor"]
    assert first_break() is None


def test_the_picture_is_drawn_without_data_addresses_or_styles(dev: Client) -> None:
    page = dev.get(SET_UP).content.decode()
    assert '<path class="ink" d="M4 4h1v1h-1z' in page
    assert "data:image" not in page
    assert " style=" not in page
    assert picture_of("otpauth://totp/dev").side >= 21 + 8


def test_signing_in_takes_the_code_too_and_leads_where_one_wanted_to_go(dev: Client) -> None:
    secret = set_up(dev)
    other = Client()
    answer = other.post("/sign-in", {**RIGHT, "next": "/policy"})
    assert answer["Location"] == "/sign-in/code"
    assert other.get("/policy").status_code == 302
    assert "One more step" in other.get("/sign-in/code").content.decode()
    wrong = other.post("/sign-in/code", {"code": "123"})
    assert wrong.status_code == 422
    assert "Incorrect code" in wrong.content.decode()
    right = other.post("/sign-in/code", {"code": code_of(secret, steps=1)})
    assert right["Location"] == "/policy"
    assert other.get("/policy").status_code == 200


def test_a_code_works_once_whichever_process_it_reaches(dev: Client) -> None:
    code = code_of(set_up(dev), steps=1)
    for status in (302, 422):
        other = Client()
        other.post("/sign-in", RIGHT)
        assert other.post("/sign-in/code", {"code": code}).status_code == status
        cache.clear()  # another process has another one


def test_the_code_that_set_it_up_signs_nobody_in(dev: Client) -> None:
    secret = secret_in(dev.get(SET_UP).content.decode())
    code = code_of(secret)
    dev.post(SET_UP, {"code": code})
    other = Client()
    other.post("/sign-in", RIGHT)
    assert other.post("/sign-in/code", {"code": code}).status_code == 422


def test_a_code_on_paper_works_once(dev: Client) -> None:
    set_up(dev)
    paper = codes_on_paper(dev)[0]
    for status in (302, 422):
        other = Client()
        other.post("/sign-in", RIGHT)
        assert other.post("/sign-in/code", {"code": paper}).status_code == status
    assert len(codes_on_paper(dev)) == 9


def test_whoever_takes_over_an_open_browser_is_asked_for_the_code_too(dev: Client) -> None:
    secret = set_up(dev)
    other = Client()
    other.post("/demo-sign-in", {"username": "ada"})
    assert other.post("/sign-in", RIGHT)["Location"] == "/sign-in/code"
    assert other.get("/sign-in/code").status_code == 200
    other.post("/sign-in/code", {"code": code_of(secret, steps=1)})
    assert other.get("/policy").context["user"].username == "dev"


def test_codes_are_not_guessed(dev: Client) -> None:
    secret = set_up(dev)
    other = Client()
    other.post("/sign-in", RIGHT)
    statuses = [other.post("/sign-in/code", {"code": "x"}).status_code for _ in range(6)]
    assert statuses == [422] * 5 + [429]
    assert other.post("/sign-in/code", {"code": code_of(secret)}).status_code == 429
    elsewhere = Client(REMOTE_ADDR="198.51.100.7")
    elsewhere.post("/sign-in", RIGHT)
    answer = elsewhere.post("/sign-in/code", {"code": code_of(secret, steps=1)})
    assert answer.status_code == 302


def test_the_second_step_is_nobody_s_without_the_first(client: Client) -> None:
    assert client.get("/sign-in/code")["Location"] == "/sign-in"
    assert client.post("/sign-in/code", {"code": "123456"})["Location"] == "/sign-in"


def test_a_code_shows_that_it_is_still_them(dev: Client) -> None:
    secret = set_up(dev)
    session = dev.session
    session["signed_in_at"] = 1
    session.save()
    for address in (f"{SET_UP}/remove", CODES, f"{CODES}/new"):
        assert dev.get(address)["Location"].startswith("/sign-in/again")
    wrong = dev.post("/sign-in/again", {"way": "code", "code": "x", "next": CODES})
    assert wrong.status_code == 422
    sent = {"way": "code", "code": code_of(secret, steps=1), "next": CODES}
    assert dev.post("/sign-in/again", sent)["Location"] == CODES
    assert len(codes_on_paper(dev)) == 10


def test_it_is_removed_and_so_are_the_codes_on_paper(dev: Client) -> None:
    set_up(dev)
    assert dev.get(f"{SET_UP}/remove").status_code == 200
    assert Authenticator.objects.exists()
    assert dev.post(f"{SET_UP}/remove")["Location"] == "/profile"
    assert not Authenticator.objects.exists()
    assert Event.objects.latest("seq").kind == "person.remove-second-factor"
    assert Client().post("/sign-in", RIGHT)["Location"] == "/"


def test_new_codes_end_the_old_ones(dev: Client) -> None:
    set_up(dev)
    before = codes_on_paper(dev)
    assert "stop working" in dev.get(f"{CODES}/new").content.decode()
    assert dev.post(f"{CODES}/new").status_code == 302
    assert not set(before) & set(codes_on_paper(dev))
    assert Event.objects.latest("seq").kind == "person.make-recovery-codes"


def test_the_database_alone_makes_no_codes(dev: Client) -> None:
    secret = set_up(dev)
    paper = codes_on_paper(dev)
    stored = json.dumps(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in stored
    assert not any(code in stored for code in paper)


def test_a_key_that_was_replaced_still_reads(dev: Client, settings: Settings) -> None:
    paper = (set_up(dev), codes_on_paper(dev))[1]
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key of more than fifty characters, as the settings ask"
    client = Client()
    client.post("/sign-in", RIGHT)
    assert client.post("/sign-in/code", {"code": paper[3]}).status_code == 302


# --- Roles that take one


@pytest.fixture
def _deployers_need_one(settings: Settings) -> None:
    settings.SWAT_SECOND_FACTOR_FOR = ("deployer", "release-engineer")


@pytest.mark.usefixtures("_deployers_need_one")
def test_whoever_needs_one_is_led_to_set_it_up(client: Client) -> None:
    answer = client.post("/sign-in", {**RIGHT, "next": "/policy"})
    assert answer["Location"] == f"{SET_UP}?next=%2Fpolicy"
    assert "Set it up now" in client.get("/policy").content.decode()
    set_up(client)
    assert "Set it up now" not in client.get("/policy").content.decode()


@pytest.mark.usefixtures("_deployers_need_one")
def test_until_then_they_look_and_change_nothing(client: Client, cast: dict[str, User]) -> None:
    client.post("/demo-sign-in", {"username": "rel"})
    assert client.get("/").status_code == 200
    assert client.get("/profile").status_code == 200
    refused = client.get("/people/")
    assert refused.status_code == 403
    assert "Your role takes a second factor" in refused.content.decode()
    set_up(client)
    assert client.get("/people/").status_code == 200


@pytest.mark.usefixtures("_deployers_need_one")
def test_other_roles_do_not_need_one(client: Client) -> None:
    sent = {"username": "ada", "password": "ada signs in here"}
    assert client.post("/sign-in", sent)["Location"] == "/"
    assert "Set it up now" not in client.get("/policy").content.decode()
