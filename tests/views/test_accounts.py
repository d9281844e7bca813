"""Signing in and out."""

import time
from typing import TYPE_CHECKING

import pytest
from django.conf import settings as settings_module
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from scheduler.models import Event, User
from scheduler.services.people import disable_person, enable_person
from scheduler.views.signing_in import (
    KNOWN_BROWSER,
    address_of,
    enter,
    just_signed_in,
    recently_authenticated,
)
from swat.embedded.cast import CAST
from swat.embedded.run import who_is_who

if TYPE_CHECKING:
    from pytest_django.fixtures import Settings

pytestmark = pytest.mark.usefixtures("cast")


def test_a_password_opens_the_page_asked_for(client: Client) -> None:
    answer = client.post(
        "/sign-in", {"username": "ada", "password": "ada signs in here", "next": "/policy"}
    )

    assert answer["Location"] == "/policy"


def test_a_wrong_password_does_not(client: Client) -> None:
    answer = client.post("/sign-in", {"username": "ada", "password": "wrong"})

    assert answer.status_code == 422


def test_nobody_is_led_to_another_site(client: Client) -> None:
    answer = client.post("/demo-sign-in", {"username": "ada", "next": "https://example.org/"})

    assert answer["Location"] == "/"


def test_the_cast_signs_in_with_one_click_in_the_demo_only(
    client: Client, settings: "Settings"
) -> None:
    assert "Demo: one click" in client.get("/sign-in").content.decode()
    settings.SWAT_DEMO = False
    assert "Demo: one click" not in client.get("/sign-in").content.decode()
    assert client.post("/demo-sign-in", {"username": "ada"}).status_code == 404


def test_the_page_and_the_terminal_say_the_same_of_the_cast(client: Client) -> None:
    page = client.get("/sign-in").content.decode()

    for person, line in zip(CAST, who_is_who().splitlines(), strict=True):
        assert line.split() == f"{person.username} {person.is_a} {person.does}".split()
        assert (
            f'<bdi>{person.username}</bdi> <span class="quiet small">{person.is_a}: {person.does}<'
            in page
        )


def test_a_closed_account_of_the_demo_is_told_so(client: Client) -> None:
    User.objects.filter(username="sam").update(is_active=False)

    answer = client.post("/demo-sign-in", {"username": "sam"}, follow=True)

    assert "The account of sam is closed" in answer.content.decode()
    assert client.get("/").status_code == 302


def test_signing_out_leads_to_signing_in(client: Client) -> None:
    client.post("/demo-sign-in", {"username": "ada"})

    assert client.post("/sign-out")["Location"] == "/sign-in"
    assert client.get("/").status_code == 302


def test_a_part_of_a_page_leads_the_whole_page_to_the_sign_in(db: None, client: Client) -> None:
    sent = {"HX-Request": "true", "HX-Current-URL": "http://testserver/backports/7"}

    answer = client.post("/backports/7/decline", headers=sent)

    assert answer.status_code == 204
    assert answer["HX-Redirect"].endswith("/sign-in?next=%2Fbackports%2F7")


def test_a_form_that_came_too_late_says_so_and_leads_back_to_its_page(
    db: None, client: Client
) -> None:
    from_its_page = {"Referer": "http://testserver/reviews/?kind=bug"}
    answer = client.post("/backports/7/decline", headers=from_its_page, follow=True)

    assert answer.redirect_chain == [("/sign-in?next=%2Freviews%2F%3Fkind%3Dbug&ended=lost", 302)]
    assert "nothing was booked or changed" in answer.content.decode()
    for strange in ("http://example.org/reviews/", "", "http://testserver//example.org/", "x"):
        answer = client.post("/backports/7/decline", headers={"Referer": strange})
        assert answer["Location"] == "/sign-in?next=%2F&ended=lost"


def test_a_form_of_another_session_is_refused_in_words(db: None) -> None:
    careful = Client(enforce_csrf_checks=True)

    plain = careful.post("/demo-sign-in", {"who": "ada"})
    by_htmx = careful.post("/demo-sign-in", {"who": "ada"}, headers={"HX-Request": "true"})

    assert plain.status_code == by_htmx.status_code == 403
    assert "Nothing was saved" in plain.content.decode()
    assert by_htmx["HX-Refresh"] == "true"


# --- Too many attempts

WRONG = {"username": "dev", "password": "wrong"}
RIGHT = {"username": "dev", "password": "dev signs in here"}


def guess(client: Client, times: int = 5, **sent: str) -> None:
    for _ in range(times):
        assert client.post("/sign-in", {**WRONG, **sent}).status_code == 422


def test_whoever_guesses_has_to_wait_and_is_told_how_long(client: Client) -> None:
    guess(client)

    answer = client.post("/sign-in", RIGHT)

    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 60
    assert f"Try again in {answer['Retry-After']} seconds" in answer.content.decode()
    assert client.get("/").status_code == 302


def test_nobody_is_kept_out_by_guesses_from_elsewhere(client: Client) -> None:
    elsewhere = Client(REMOTE_ADDR="198.51.100.7")
    guess(elsewhere)
    assert elsewhere.post("/sign-in", WRONG).status_code == 429

    assert client.post("/sign-in", RIGHT).status_code == 302


def test_nobody_is_kept_out_of_their_own_browser(client: Client) -> None:
    assert client.post("/sign-in", RIGHT).status_code == 302
    assert client.cookies[KNOWN_BROWSER]["httponly"]
    client.post("/sign-out")
    beside = Client()  # of the same address
    guess(beside)
    for number in range(3):
        guess(beside, username=f"somebody-{number}")
    assert beside.post("/sign-in", RIGHT).status_code == 429

    assert client.post("/sign-in", RIGHT).status_code == 302


def test_a_name_of_any_letters_signs_in(client: Client) -> None:
    User.objects.create_user("Łukasz", password="signs in here, too")
    answer = client.post("/sign-in", {"username": "Łukasz", "password": "signs in here, too"})
    assert answer.status_code == 302
    assert answer.cookies[KNOWN_BROWSER].OutputString().isascii()


def test_a_known_browser_guesses_no_more_than_others(client: Client) -> None:
    assert client.post("/sign-in", RIGHT).status_code == 302
    client.post("/sign-out")
    guess(client)
    assert client.post("/sign-in", RIGHT).status_code == 429
    # As somebody else it is a browser like any other.
    assert client.post("/sign-in", {**WRONG, "username": "rae"}).status_code == 422
    forged = Client()
    forged.cookies[KNOWN_BROWSER] = "x:dev:forged"
    guess(forged, username="sam")


def test_one_address_guesses_at_few_accounts(client: Client) -> None:
    for number in range(4):
        guess(client, username=f"somebody-{number}")

    assert client.post("/sign-in", RIGHT).status_code == 429


def test_right_passwords_do_not_count(client: Client) -> None:
    for _ in range(25):
        assert client.post("/sign-in", RIGHT).status_code == 302


def test_a_name_in_another_case_is_the_same_name(client: Client) -> None:
    guess(client)

    assert client.post("/sign-in", {**WRONG, "username": " DEV"}).status_code == 429


def test_unknown_closed_and_known_people_read_the_same(client: Client) -> None:
    User.objects.filter(username="ada").update(is_active=False)

    answers = [
        client.post("/sign-in", {"username": name, "password": password})
        for name, password in (
            ("dev", "wrong"),
            ("nobody", "wrong"),
            ("ada", "wrong"),
            ("ada", "ada signs in here"),
        )
    ]

    assert {answer.status_code for answer in answers} == {422}
    errors = {str(answer.context["form"].non_field_errors()) for answer in answers}
    assert len(errors) == 1


def test_an_unknown_name_takes_as_much_work_as_a_wrong_password(
    client: Client, settings: "Settings"
) -> None:
    settings.PASSWORD_HASHERS = ["tests.views.test_accounts.CountingHasher"]
    user = User.objects.create_user("dev-2", password="dev signs in here")
    User.objects.create_user("by-provider")  # has no password that could be right
    assert user.password.startswith("counting$")

    work = []
    for name in ("dev-2", "nobody", "by-provider"):
        CountingHasher.count = 0
        guess(client, 1, username=name)
        work.append(CountingHasher.count)

    assert work == [1, 1, 1]


class CountingHasher(MD5PasswordHasher):
    """Counts how often it worked."""

    algorithm = "counting"
    count = 0

    def encode(self, password: str, salt: str) -> str:
        """Encode and count."""
        CountingHasher.count += 1
        return super().encode(password, salt)


@pytest.mark.parametrize(
    ("proxies", "told", "address"),
    [
        (0, "203.0.113.9", "192.0.2.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "203.0.113.9", "192.0.2.1"),
        (1, "", "192.0.2.1"),
        (1, "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        (1, "::ffff:203.0.113.9", "203.0.113.9"),
        (1, "nonsense", "unknown"),
    ],
)
def test_attempts_count_by_the_address_that_our_proxies_saw(
    rf: RequestFactory, settings: "Settings", proxies: int, told: str, address: str
) -> None:
    settings.SWAT_TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": told} if told else {}

    request = rf.get("/", headers=headers, REMOTE_ADDR="192.0.2.1")

    assert address_of(request) == address


def test_a_forged_header_does_not_make_another_address(client: Client) -> None:
    for number in range(5):
        client.post("/sign-in", WRONG, headers={"X-Forwarded-For": f"203.0.113.{number}"})

    answer = client.post("/sign-in", WRONG, headers={"X-Forwarded-For": "203.0.113.77"})

    assert answer.status_code == 429


# --- Sessions


def test_signing_in_makes_another_session(client: Client) -> None:
    client.get("/sign-in")
    session = client.session
    session["planted"] = "yes"
    session.save()
    client.cookies[settings_module.SESSION_COOKIE_NAME] = str(session.session_key)
    before = str(session.session_key)

    client.post("/sign-in", RIGHT)

    cookie = client.cookies[settings_module.SESSION_COOKIE_NAME]
    assert cookie.value != before
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    stolen = Client()
    stolen.cookies[settings_module.SESSION_COOKIE_NAME] = before
    assert stolen.get("/policy").status_code == 302


@pytest.mark.parametrize("by_htmx", [False, True])
def test_a_closed_account_is_signed_out_at_once_and_for_good(
    client: Client, cast: dict[str, User], *, by_htmx: bool
) -> None:
    headers = {"HX-Request": "true"} if by_htmx else {}
    client.post("/sign-in", RIGHT)
    assert client.get("/", headers=headers).status_code == 200

    disable_person(person=cast["dev"], by=cast["rel"])
    answer = client.get("/", headers=headers)
    enable_person(person=cast["dev"], by=cast["rel"])

    assert answer.status_code == (204 if by_htmx else 302)
    assert client.get("/", headers=headers).status_code == answer.status_code


def test_a_new_password_ends_the_other_sessions(client: Client) -> None:
    other = Client()
    for one in (client, other):
        one.post("/sign-in", RIGHT)
    new = "a rather long sentence"

    wrong = client.post(
        "/profile/password", {"old_password": "x", "new_password1": new, "new_password2": new}
    )
    short = client.post(
        "/profile/password",
        {"old_password": RIGHT["password"], "new_password1": "short", "new_password2": "short"},
    )
    right = client.post(
        "/profile/password",
        {"old_password": RIGHT["password"], "new_password1": new, "new_password2": new},
    )

    assert (wrong.status_code, short.status_code) == (422, 422)
    assert right["Location"] == "/profile"
    assert client.get("/profile").status_code == 200
    assert other.get("/profile").status_code == 302
    assert Event.objects.filter(kind="person.change-password").count() == 1
    assert Client().post("/sign-in", {**RIGHT, "password": new}).status_code == 302


def test_an_old_password_is_not_guessed_at_an_open_screen(client: Client) -> None:
    client.post("/sign-in", RIGHT)
    sent = {"old_password": "x", "new_password1": "y", "new_password2": "y"}

    statuses = [client.post("/profile/password", sent).status_code for _ in range(6)]

    assert statuses == [422] * 5 + [429]


# --- Is it still you?


def test_who_signed_in_a_moment_ago_is_not_asked_again(client: Client) -> None:
    client.post("/sign-in", RIGHT)

    assert client.get("/sign-in/again?next=/policy")["Location"] == "/policy"
    assert client.get("/profile/second-factor").status_code == 200


def test_after_five_minutes_somebody_shows_again_who_they_are(client: Client) -> None:
    client.post("/sign-in", RIGHT)
    signed_in(client, ago=298)
    assert client.get("/profile/second-factor").status_code == 200
    signed_in(client, ago=300)

    asked = client.get("/profile/second-factor")
    page = client.get(asked["Location"])
    before = client.session.session_key
    wrong = client.post(asked["Location"], {"way": "password", "password": "x"})
    right = client.post(asked["Location"], {"way": "password", "password": RIGHT["password"]})

    assert asked["Location"] == "/sign-in/again?next=%2Fprofile%2Fsecond-factor"
    assert "Is it still you?" in page.content.decode()
    assert wrong.status_code == 422
    assert right["Location"] == "/profile/second-factor"
    assert client.session.session_key != before
    assert client.get("/profile/second-factor").status_code == 200


@pytest.mark.parametrize("ago", [-1, 300, 10_000])
def test_what_is_long_ago_or_in_the_future_is_not_recent(client: Client, ago: int) -> None:
    client.post("/sign-in", RIGHT)
    signed_in(client, ago=ago)

    assert client.get("/sign-in/again").status_code == 200


def test_guesses_at_an_open_screen_are_few(client: Client) -> None:
    client.post("/sign-in", RIGHT)
    signed_in(client, ago=600)

    sent = {"way": "password", "password": "x"}
    statuses = [client.post("/sign-in/again", sent).status_code for _ in range(6)]

    assert statuses == [422] * 5 + [429]


def test_in_the_demo_one_click_is_enough(client: Client, settings: "Settings") -> None:
    client.post("/demo-sign-in", {"username": "rel"})
    signed_in(client, ago=600)
    sent = {"way": "demo", "next": "/people/"}

    settings.SWAT_DEMO = False
    outside = client.post("/sign-in/again", sent)
    settings.SWAT_DEMO = True
    inside = client.post("/sign-in/again", sent)

    assert outside.status_code == 422
    assert inside["Location"] == "/people/"


def test_nobody_is_led_elsewhere_by_showing_who_they_are(client: Client) -> None:
    client.post("/demo-sign-in", {"username": "rel"})
    for wanted in ("https://example.org/", "//example.org", "javascript:alert(1)"):
        answer = client.post("/sign-in/again", {"way": "demo", "next": wanted})
        assert answer["Location"] == "/"


def test_views_ask_whether_it_is_still_them(rf: RequestFactory, cast: dict[str, User]) -> None:
    @just_signed_in
    def override(request: HttpRequest) -> HttpResponse:
        return HttpResponse("overridden")

    request = rf.get("/backports/7?rule=r")
    request.user = cast["rae"]
    request.session = SessionStore()
    asked = override(request)
    enter(request, cast["rae"])

    assert asked["Location"] == "/sign-in/again?next=%2Fbackports%2F7%3Frule%3Dr"
    assert recently_authenticated(request)
    assert override(request).content == b"overridden"


# --- Where else one could come in


def test_the_admin_has_no_sign_in_of_its_own(client: Client, cast: dict[str, User]) -> None:
    answer = client.get("/admin/login/?next=/admin/")

    assert answer["Location"] == "/sign-in?next=%2Fadmin%2F"
    assert client.post("/admin/login/", RIGHT)["Location"] == "/sign-in?next=%2Fadmin%2F"
    assert "_auth_user_id" not in client.session


def test_support_staff_reads_no_secret_and_changes_no_group(
    client: Client, cast: dict[str, User]
) -> None:
    User.objects.filter(username="sam").update(is_superuser=True, is_staff=True)
    client.force_login(User.objects.get(username="sam"))

    assert client.get("/admin/").status_code == 200
    assert client.get("/admin/scheduler/user/").status_code == 200
    for address in ("auth/group/", "mfa/authenticator/", "socialaccount/socialaccount/"):
        assert client.get(f"/admin/{address}").status_code == 404
    assert client.get("/admin/password_change/")["Location"] == "/profile/password"


@pytest.mark.parametrize("address", ["/accounts/signup/", "/accounts/login/", "/signup"])
def test_nobody_makes_an_account_by_a_form(client: Client, address: str) -> None:
    assert client.get(address).status_code == 404


def signed_in(client: Client, *, ago: int) -> None:
    """Let the sign-in be so many seconds ago."""
    session = client.session
    session["signed_in_at"] = int(time.time()) - ago
    session.save()
