"""Hostile text through every field and from Gerrit to every page, mail, document and log.

A story is told twice, with harmless words and with hostile ones. Pages must have the same elements
and attributes both times: what is more was made by the text.
"""

import inspect
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.message import EmailMessage as ParsedMail
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.management import call_command
from django.db import transaction
from django.http import QueryDict
from django.test import Client
from django.urls import resolve
from pytest_django.fixtures import Settings

from scheduler import forms as our_forms
from scheduler.adapters.cleaning import visible
from scheduler.models import User, Window
from swat.embedded.gerrit import DemoGerrit
from tests.domain.casebook import expanded
from tests.hostile import HOSTILE
from tests.markup import Page, more_than, read, unprintable_in
from tests.views.hostile_hour import Hour
from tests.views.hostile_story import (
    PART,
    PARTS,
    Story,
    Words,
    assert_strict,
    quoted,
    sent,
    signed_in,
    text_of,
    told_changes,
)


@pytest.fixture(autouse=True)
def _words_couple_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask about bugs and mentions only: what other words say differs from one story to the next.

    What a question shows of hostile diffs is looked at in `test_excerpts`.
    """
    monkeypatch.setattr("scheduler.domain.coupling.questions.evidence_of", lambda *_: ())


@pytest.fixture
def gerrit_of_six(settings: Settings) -> Iterator[DemoGerrit]:
    with DemoGerrit(told_changes(len(PART[0]))) as server:
        settings.GERRIT_URL = server.url
        yield server


@pytest.fixture(scope="module")
def remembered_story() -> list[tuple[Story, dict[str, int]]]:
    """The story in harmless words, once it was told."""
    return []


@pytest.fixture
def harmless(
    db: None, gerrit_of_six: DemoGerrit, remembered_story: list[tuple[Story, dict[str, int]]]
) -> tuple[Story, dict[str, int]]:
    """The story in harmless words, and how often each address was shown."""
    if not remembered_story:
        remembered_story.append(told(Words(), gerrit_of_six))
    return remembered_story[0]


def told(words: Words, gerrit: DemoGerrit) -> tuple[Story, dict[str, int]]:
    """Tell a story; return it, and how often each address was shown to Rel."""
    with transaction.atomic():
        story = Story(words, gerrit)
        story.tell()
        Hour(story, story.windows[0]).tell()
        shown = story.crawl("rel")
        story.crawl("rae")
        story.end()
        story.deliver()
        transaction.set_rollback(True)
    return story, shown


@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", range(PARTS))
def test_hostile_text_stays_text(
    part: int,
    harmless: tuple[Story, dict[str, int]],
    gerrit_of_six: DemoGerrit,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain, plainly_shown = harmless
    story, shown = told(Words(PART[part]), gerrit_of_six)

    assert shown == plainly_shown
    assert story.pages.keys() == plain.pages.keys()
    assert {key: page.wrong for key, page in story.pages.items() if page.wrong} == {}
    more = {key: more_than(page, [plain.pages[key]]) for key, page in story.pages.items()}
    assert {key: found for key, found in more.items() if found} == {}
    assert_mails_alike(story.mails, plain.mails)
    assert_documents_alike(story, plain, tmp_path)
    assert_downloads_alike(story.downloads, plain.downloads)
    assert_logged_by_the_line(caplog)


def assert_mails_alike(mails: Sequence[ParsedMail], others: Sequence[ParsedMail]) -> None:
    """Assert that no text added a line to a mail but as a quote, or controls whoever reads it."""
    assert len(mails) == len(others) > 50
    for words in ("Verify 1000 on the test servers now", "How it went, times in UTC:"):
        assert any(words in mail.get_content() for mail in mails)
    for mail, other in zip(mails, others, strict=True):
        assert mail.keys() == other.keys()
        assert not mail.defects
        assert len(mail["To"].addresses) == 1
        for value in mail.values():
            assert "\n" not in value
            assert not unprintable_in(value)
        assert not unprintable_in(mail.get_content())
        signatures = [line for line in mail.get_content().splitlines() if line == "-- "]
        assert len(signatures) == 1
        assert unquoted_in(mail) == unquoted_in(other)


def unquoted_in(mail: ParsedMail) -> int:
    """Return how many lines of a mail are ours."""
    lines = mail.get_content().split("\n")
    return sum(not line.startswith(">") for line in lines)


COMMAND = re.compile(
    r"scap backport( --revert)?( [0-9]+)+"
    r"|!log SWAT: (deployed|reverted) [][A-Za-z0-9:, ()]+"
    r"|swat_[A-Za-z0-9_-]+"  # a token, shown once
)


def assert_documents_alike(story: Story, plain: Story, folder: Path) -> None:
    """Assert that plans in JSON and for a terminal hold what the harmless ones do."""
    assert len(story.documents) == len(plain.documents) > 2
    for document, other in zip(story.documents, plain.documents, strict=True):
        assert not unprintable_in(document)
        printed, printed_other = (planned(text, folder) for text in (document, other))
        assert not unprintable_in(printed)
        assert printed.count("\n") == printed_other.count("\n")
    assert story.commands
    assert all(COMMAND.fullmatch(command) for command in story.commands)
    assert len(story.commands) == len(plain.commands)


MARKDOWN_ESCAPE = re.compile(r"\\[!-/:-@[-`{-~]")
# What does something wherever it stands, or at the start of a line.
MARKDOWN_MEANS = re.compile(r"[\\`*_{}\[\]#|<>~&]|^\s*(?:[-+=>]|[0-9]+[.)] )")


def assert_downloads_alike(
    texts: Mapping[tuple[str, ...], str], others: Mapping[tuple[str, ...], str]
) -> None:
    """Assert that text and Markdown have the lines of the harmless ones, and mean what they do."""
    assert texts.keys() == others.keys()
    assert {key[3].split()[-1] for key in texts} == {"txt", "md"}
    for key, text in texts.items():
        assert not unprintable_in(text)
        lines, other_lines = text.splitlines(), others[key].splitlines()
        assert len(lines) == len(other_lines) == text.count("\n")
        if key[3].endswith("md"):
            means, other_means = map(meaning_of, lines), map(meaning_of, other_lines)
            assert list(means) == list(other_means)


def meaning_of(line: str) -> str:
    """Return what does something in a line of Markdown, once what is escaped is taken out."""
    return "".join(MARKDOWN_MEANS.findall(MARKDOWN_ESCAPE.sub("", line)))


def planned(document: str, folder: Path) -> str:
    """Return what `manage.py plan --text` prints about a document."""
    file, out = folder / "plan.json", StringIO()
    file.write_text(document)
    call_command("plan", "--text", str(file), stdout=out)
    return out.getvalue()


# Shown for as long as a window is deployed, or where something was reverted.
OF_THE_HOUR = {
    ("deploy-take", "reason"),
    ("deploy-offer", "note"),
    ("deploy-vouch", "reason"),
    ("deploy-tick", "proof"),
    ("deploy-fail", "output"),
    ("deploy-choose", "reason"),
    ("deploy-miss", "reason"),
    ("deploy-extend", "reason"),
    ("deploy-close", "reason"),
    ("backport-book-again", "what_differs"),
    ("backport-new", "what_differs"),
}
# Typed into by the tests below, and what takes a password or a code.
ELSEWHERE = {("people", "q"), ("sign-in", "username"), ("mfa_activate_totp", "code")}
ELSEWHERE |= {("train-import", "wikiversions_file"), ("train-import", "lists")}  # files


@pytest.mark.timeout(400)
def test_the_story_types_into_every_field_of_every_page(
    harmless: tuple[Story, dict[str, int]],
) -> None:
    story, shown = harmless
    offered = {
        (resolve(one.action).url_name if one.action else key[2], one.name)
        for key, page in story.pages.items()
        for one in page.controls
        if not one.is_hidden
    }

    assert offered - story.sent - ELSEWHERE == set()
    assert OF_THE_HOUR - offered == set()
    assert {key for key, page in story.pages.items() if page.wrong} == set()
    assert {"calendar", "backport", "window", "window-checklist", "person"} <= shown.keys()


def form_classes() -> list[type[forms.Form]]:
    """Return every form of ours, and those of Django that our pages show."""
    ours = [
        one
        for _, one in inspect.getmembers(our_forms, inspect.isclass)
        if issubclass(one, forms.Form) and one.__module__ == our_forms.__name__
    ]
    return [*ours, AuthenticationForm]


def filled(form: type[forms.Form], typed: Mapping[str, str]) -> forms.Form:
    """Return a form as it is when this was sent."""
    wants = inspect.signature(form).parameters
    given: dict[str, object] = {}
    if "windows" in wants:
        given["windows"] = Window.objects.none()
    if "groups" in wants:
        given["groups"] = ("group0",)
    data = QueryDict("&".join(f"{name}={quoted(value)}" for name, value in typed.items()))
    made: Callable[..., forms.Form] = form
    return made(data=data, **given)


@pytest.mark.django_db
@pytest.mark.parametrize("name", HOSTILE)
def test_every_field_takes_hostile_text_cleaned_or_not_at_all(name: str) -> None:
    for form in form_classes():
        typed = dict.fromkeys(form.base_fields, HOSTILE[name])
        hostile, plain = filled(form, typed), filled(form, dict.fromkeys(typed, "text"))
        plain.is_valid()
        hostile.is_valid()
        for field_name, one in hostile.fields.items():
            if isinstance(one, forms.CharField) and form.__module__ == our_forms.__name__:
                assert isinstance(one, our_forms.LineField), (form, field_name)
                value = hostile.cleaned_data.get(field_name, "")
                assert not isinstance(value, str) or visible(value) == value
            page = read(f"{hostile[field_name]}{hostile[field_name].errors}")
            other = read(f"{plain[field_name]}{plain[field_name].errors}")
            more = {name for name in more_than(page, [other]) if not _OF_ERRORS.search(name)}
            assert more == set(), (form, field_name)
            if isinstance(one, our_forms.LineField):
                assert page.wrong == [], (form, field_name)


_OF_ERRORS = re.compile(r"^(ul|ul class|ul id|li|.* aria-invalid|.* aria-describedby)$")


@pytest.mark.parametrize("part", range(PARTS))
def test_what_an_address_says_stays_text(
    part: int, cast: dict[str, User], october: Window, caplog: pytest.LogCaptureFixture
) -> None:
    client, stranger = signed_in(cast["rel"]), Client()
    shapes: dict[str, list[Page]] = defaultdict(list)
    for text in ["text", *list(HOSTILE.values())[part::PARTS]]:
        for address in ADDRESSES:
            answer = client.get(f"{address}{quoted(text[:2000])}")
            assert answer.status_code in {200, 302, 404}, (address, text[:80])
            assert_strict(answer)
            shapes[address].append(read(text_of(answer)))
        answer = sent(stranger, "/sign-in", {"username": text, "password": text})
        assert answer.status_code in {422, 429}
        names = f"/people/{cast['ada'].pk}/names/remove"
        answer = sent(client, names, {"name": text, "key": str(uuid4())})
        assert answer.status_code == 409
        shapes[names].append(read(text_of(answer)))
    for address, (plain, *pages) in shapes.items():
        for page in pages:
            assert page.wrong == [], address
            assert not more_than(page, [plain]), address
    assert_logged_by_the_line(caplog)


def assert_logged_by_the_line(caplog: pytest.LogCaptureFixture) -> None:
    """Assert that no text forged a line of the log, or controls who reads it."""
    for record in caplog.records:
        assert not unprintable_in(record.getMessage())
        assert "\n" not in record.getMessage()


@pytest.mark.parametrize("name", HOSTILE)
def test_no_terminal_obeys_a_plan_document(name: str, tmp_path: Path) -> None:
    document, plain = (expanded({"changes": [{"n": 1, "in": "config"}]}) for _ in range(2))
    for one, text in ((document, HOSTILE[name]), (plain, "text")):
        one["changes"][0] |= {"subject": text, "owner": text, "message": text}
    printed, other = (planned(json.dumps(one), tmp_path) for one in (document, plain))
    assert not unprintable_in(printed)
    assert printed.count("\n") == other.count("\n")


ADDRESSES = (
    "/people/?q=",
    "/backports/new?change=",
    "/reviews/?project=",
    "/sign-in?next=",
    "/sign-in/again?next=",
    "/nowhere/",
)
