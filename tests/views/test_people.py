"""Looking after people."""

import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from scheduler.models import Event, User, Window
from tests.factories import make_backport

As = Callable[[str], Client]
DEEDS = ("roles", "disable", "enable", "sign-out", "second-factor", "names", "names/remove")


def sent(**other: object) -> dict[str, object]:
    return {"key": str(uuid4()), **other}


@pytest.fixture
def rel(as_: As) -> Client:
    """Rel, who has just signed in."""
    client = as_("rel")
    session = client.session
    session["signed_in_at"] = int(time.time())
    session.save()
    return client


@pytest.mark.parametrize("name", ["ada", "rae", "dev", "sam"])
def test_only_a_release_engineer_looks_after_people(
    as_: As, cast: dict[str, User], name: str
) -> None:
    client = as_(name)
    session = client.session
    session["signed_in_at"] = int(time.time())
    session.save()
    address = f"/people/{cast['rel'].pk}"
    assert client.get("/people/").status_code == 403
    assert client.get(address).status_code == 403
    for deed in DEEDS:
        answer = client.post(f"{address}/{deed}", sent(name="x", roles=["deployer"]))
        assert answer.status_code == 403, deed
    assert not Event.objects.exists()


def test_the_list_is_read_in_a_few_queries(
    rel: Client, cast: dict[str, User], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        person = User.objects.create_user(f"person-{number}")
        person.other_names.create(name=f"other-{number}")
    with django_assert_max_num_queries(9):
        page = rel.get("/people/").content.decode()
    assert "person-29" in page
    assert "release engineer" in page
    found = rel.get("/people/?q=OTHER-29").content.decode()
    assert "person-29" in found
    assert "person-28" not in found
    assert "Nobody is called that" in rel.get("/people/?q=zzz").content.decode()


def test_to_change_something_one_shows_again_who_one_is(as_: As, cast: dict[str, User]) -> None:
    client, address = as_("rel"), f"/people/{cast['sam'].pk}"
    page = client.get(address).content.decode()
    assert "It is me" in page
    assert "Close the account" not in page
    answer = client.post(f"{address}/disable", sent())
    assert answer["Location"] == f"/sign-in/again?next=%2Fpeople%2F{cast['sam'].pk}"
    assert not Event.objects.exists()
    client.post(answer["Location"], {"way": "demo"})
    assert "Close the account" in client.get(address).content.decode()


def test_roles_are_set_as_they_were_shown(rel: Client, cast: dict[str, User]) -> None:
    address = f"/people/{cast['sam'].pk}"
    form = sent(roles=["deployer", "developer"])
    for _ in range(2):
        assert rel.post(f"{address}/roles", form)["Location"] == f"{address}?done=1"
    assert Event.objects.count() == 1
    page = rel.get(f"{address}?done=1").content.decode()
    assert "Done, and logged." in page
    assert "grant roles by <bdi>rel</bdi>: <bdi>deployer, developer</bdi>" in page
    stale = rel.post(f"{address}/roles", sent(roles=["reviewer"]))
    assert stale.status_code == 409
    assert "The roles changed since" in stale.content.decode()
    assert rel.post(f"{address}/roles", sent(roles=["king"])).status_code == 422


def test_an_account_is_closed_and_opened(rel: Client, cast: dict[str, User]) -> None:
    address = f"/people/{cast['dev'].pk}"
    assert rel.post(f"{address}/disable", sent(confirmed="dev")).status_code == 302
    assert "Open the account again" in rel.get(address).content.decode()
    assert rel.post(f"{address}/disable", sent(confirmed="dev")).status_code == 409
    assert rel.post(f"{address}/enable", sent()).status_code == 302
    assert rel.post(f"{address}/sign-out", sent()).status_code == 302
    assert [event.kind for event in Event.objects.order_by("seq")] == [
        "person.disable",
        "person.enable",
        "person.end-sessions",
    ]


def test_closing_an_account_takes_a_second_step_that_names_whose(
    rel: Client, cast: dict[str, User], window: Window
) -> None:
    make_backport(window, cast["ada"])
    address = f"/people/{cast['ada'].pk}"
    page = rel.get(address).content.decode()
    assert "<summary>Close the account</summary>" in page
    assert "Close the account of <bdi>ada</bdi>?" in page
    assert "What they requested stays as it is: 1 open backport." in page

    for unsure in ({}, {"confirmed": "dev"}, {"confirmed": "yes"}):
        answer = rel.post(f"{address}/disable", sent(**unsure))
        assert answer.status_code == 422
        assert "Confirm that it is ada." in answer.content.decode()

    cast["ada"].refresh_from_db()
    assert cast["ada"].is_active
    assert rel.post(f"{address}/disable", sent(confirmed="ada")).status_code == 302


def test_other_names_are_noted_and_shown_as_text(rel: Client, cast: dict[str, User]) -> None:
    address = f"/people/{cast['sam'].pk}"
    assert rel.post(f"{address}/names", sent(name="<b>ada")).status_code == 302
    page = rel.get(address).content.decode()
    assert "&lt;b&gt;ada" in page
    assert "<b>ada" not in page
    assert rel.post(f"{address}/names", sent(name="<B>ADA")).status_code == 409
    assert rel.post(f"{address}/names", sent(name="")).status_code == 422
    assert rel.post(f"{address}/names/remove", sent(name="<b>ada")).status_code == 302


def test_a_lost_second_factor_is_removed(rel: Client, cast: dict[str, User]) -> None:
    address = f"/people/{cast['dev'].pk}"
    assert "Remove the second factor" not in rel.get(address).content.decode()
    Authenticator.objects.create(user=cast["dev"], type="totp", data={"secret": "x"})
    assert "Remove the second factor" in rel.get(address).content.decode()
    assert rel.post(f"{address}/second-factor", sent()).status_code == 302
    assert not Authenticator.objects.exists()


def test_nobody_looks_after_themself(rel: Client, cast: dict[str, User]) -> None:
    address = f"/people/{cast['rel'].pk}"
    page = rel.get(address).content.decode()
    assert "This is your own account" in page
    assert "Close the account" not in page
    for deed in ("roles", "disable", "enable", "second-factor", "names", "names/remove"):
        answer = rel.post(f"{address}/{deed}", sent(name="x", roles=["deployer"], confirmed="rel"))
        assert answer.status_code == 403, deed
    assert not Event.objects.exists()


def test_nobody_is_not_found(rel: Client) -> None:
    assert rel.get("/people/999999").status_code == 404
    assert rel.post("/people/999999/disable", sent()).status_code == 404
