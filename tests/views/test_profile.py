"""What people see and decide about themselves."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client

from scheduler.models import Event, User

As = Callable[[str], Client]


def sent(**other: str) -> dict[str, str]:
    return {"key": str(uuid4()), "time_zone": "Europe/Berlin", "nick": "sammy", **other}


def test_a_profile_is_saved_once_however_often_it_is_sent(as_: As, cast: dict[str, User]) -> None:
    sam = as_("sam")
    form = sent(mail_own="on")
    for _ in range(2):
        assert sam.post("/profile", form)["Location"] == "/profile?saved=1"
    person = User.objects.get(username="sam")
    assert (person.time_zone, person.nick) == ("Europe/Berlin", "sammy")
    chosen = (person.mail_own, person.mail_watched, person.mail_reviews, person.mail_windows)
    assert chosen == (True, False, False, False)
    assert Event.objects.get().kind == "person.change-profile"
    page = sam.get("/profile?saved=1").content.decode()
    assert "Saved." in page
    assert '<option value="Europe/Berlin" selected>' in page


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "../../etc/passwd", "Etc/GMT+5", "europe/berlin"]
)
def test_a_zone_is_one_of_the_list(as_: As, zone: str) -> None:
    answer = as_("sam").post("/profile", sent(time_zone=zone))
    assert answer.status_code == 422
    assert User.objects.get(username="sam").time_zone == "UTC"
    assert 'value="sammy"' in answer.content.decode()


def test_a_form_without_its_key_changes_nothing(as_: As) -> None:
    assert as_("sam").post("/profile", sent(key="")).status_code == 422
    assert not Event.objects.exists()


def test_nobody_changes_more_than_their_profile(as_: As) -> None:
    more = {"is_superuser": "on", "username": "rel", "email": "x@example.org", "generation": "7"}
    as_("sam").post("/profile", sent(**more))
    sam = User.objects.get(username="sam")
    assert (sam.is_superuser, sam.email, sam.generation) == (False, "", 0)


def test_it_shows_what_others_decide(as_: As, cast: dict[str, User]) -> None:
    cast["rel"].other_names.create(name="rel-in-gerrit")
    User.objects.filter(username="rel").update(email="rel@example.org")
    page = as_("rel").get("/profile").content.decode()
    assert "<bdi>rel-in-gerrit</bdi>" in page
    assert "To <bdi>rel@example.org</bdi>" in page
    assert 'href="/people/"' in page
    assert 'href="/people/"' not in as_("dev").get("/profile").content.decode()


def test_somebody_signs_out_everywhere_else(client: Client, cast: dict[str, User]) -> None:
    other = Client()
    for one in (client, other):
        one.post("/demo-sign-in", {"username": "ada"})
    answer = client.post("/profile/sessions", {"key": str(uuid4())})
    assert answer["Location"] == "/profile?ended=1"
    assert client.get("/profile").status_code == 200
    assert other.get("/profile").status_code == 302
    assert Event.objects.get().kind == "person.end-sessions"
