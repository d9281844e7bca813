"""Signing in and out."""

from typing import TYPE_CHECKING

import pytest
from django.test import Client

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
        assert f'<bdi>{person.username}</bdi> <span class="quiet small">{person.does}<' in page


def test_signing_out_leads_to_signing_in(client: Client) -> None:
    client.post("/demo-sign-in", {"username": "ada"})

    assert client.post("/sign-out")["Location"] == "/sign-in"
    assert client.get("/").status_code == 302


def test_a_part_of_a_page_leads_the_whole_page_to_the_sign_in(db: None, client: Client) -> None:
    sent = {"HX-Request": "true", "HX-Current-URL": "http://testserver/backports/7"}

    answer = client.post("/backports/7/decline", headers=sent)

    assert answer.status_code == 204
    assert answer["HX-Redirect"].endswith("/sign-in?next=%2Fbackports%2F7")
    assert client.post("/backports/7/decline")["Location"].endswith("?next=%2F")


def test_a_form_of_another_session_is_refused_in_words(db: None) -> None:
    careful = Client(enforce_csrf_checks=True)

    plain = careful.post("/demo-sign-in", {"who": "ada"})
    by_htmx = careful.post("/demo-sign-in", {"who": "ada"}, headers={"HX-Request": "true"})

    assert plain.status_code == by_htmx.status_code == 403
    assert "Nothing was saved" in plain.content.decode()
    assert by_htmx["HX-Refresh"] == "true"
