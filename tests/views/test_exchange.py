"""Importing a wiki page after a dry run, and a week as a wiki page."""

import re
from collections.abc import Callable
from html import unescape
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from scheduler.models import Event, Window
from tests.views.conftest import DAY, in_a_day

As = Callable[[str], Client]
LOOK, MAKE = "/calendar/import", "/calendar/import/make"


def card(title: str = "Late", *, days: int = 3) -> str:
    when = f"{timezone.now() + days * DAY:%Y-%m-%d} 13:00 SF"
    return (
        f"{{{{Deployment calendar event card\r\n|when={when}\r\n|length=1\r\n"
        f"|window=[[Backport windows|{title}]]\r\n|who={{{{ircnick|dev_d|Dev}}}}\r\n|what=\r\n}}}}"
    )


def shown_form(page: str) -> dict[str, str]:
    """Return the hidden fields of the form that confirms."""
    form = page.partition(f'action="{MAKE}"')[2].partition("</form>")[0]
    return {
        name: unescape(value)
        for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form)
        if name != "csrfmiddlewaretoken"
    }


def test_a_page_is_pasted_looked_at_and_made(as_: As) -> None:
    client = as_("rel")

    page = client.post(LOOK, {"text": f"{card()}\n{card(days=-9)}\n{card('x', days=4)[:60]}"})

    text = page.content.decode()
    assert page.status_code == 200
    assert "is made" in text
    assert "That time has passed." in text
    assert "What could not be read" in text
    assert "dev_d" in text
    assert Window.objects.count() == 0
    form = shown_form(text)
    done = client.post(MAKE, form, follow=True)
    assert "1 window made." in done.content.decode()
    again = client.post(MAKE, form, follow=True)
    assert again.status_code == 200
    window = Window.objects.get()
    assert (window.title, window.kind) == ("Late", "backport")
    assert Event.objects.get(kind="calendar.import").payload["source"] == "pasted"


def test_what_changed_meanwhile_is_shown_again(as_: As) -> None:
    client = as_("rel")
    form = shown_form(client.post(LOOK, {"text": card()}).content.decode())
    client.post(MAKE, form)

    answer = client.post(MAKE, {**form, "key": str(uuid4())})

    assert answer.status_code == 409
    assert "there already" in answer.content.decode()
    assert Window.objects.count() == 1


def test_a_file_is_read_too(as_: As) -> None:
    upload = SimpleUploadedFile("page <b>.wiki", f"\ufeff{card('Ünï')}".encode())

    page = as_("rel").post(LOOK, {"file": upload}).content.decode()

    assert "Ünï" in page
    assert shown_form(page)["source"] == "page <b>.wiki"


@pytest.mark.parametrize(
    "sent",
    [
        {"text": ""},
        {"text": "no windows"},
        {"text": "x" * 300_000},
        {"file": SimpleUploadedFile("x", b"\xff\xfe\x00")},
    ],
)
def test_what_is_no_page_is_told(sent: dict[str, object], as_: As) -> None:
    answer = as_("rel").post(LOOK, sent)

    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()


def test_only_release_engineers_import(as_: As) -> None:
    client = as_("dev")

    assert client.get(LOOK).status_code == 403
    assert client.post(LOOK, {"text": card()}).status_code == 403
    assert client.post(MAKE, {"text": card(), "key": str(uuid4())}).status_code == 403
    assert LOOK not in client.get("/").content.decode()
    assert LOOK in as_("rel").get("/").content.decode()


def test_a_week_is_plain_text(as_: As) -> None:
    window = in_a_day("Late {{x}}")
    client = as_("ada")

    answer = client.get(f"/calendar/week/{window.start:%G-W%V}.wiki")

    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert client.get("/calendar/week/2026-W60.wiki").status_code == 404
