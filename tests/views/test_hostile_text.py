"""Hostile text through every field and from Gerrit to every page, mail, document and log.

A story is told twice, with harmless words and with hostile ones. Pages must have the same elements
and attributes both times: what is more was made by the text.
"""

import inspect
import json
import re
import time
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from email.message import EmailMessage as ParsedMail
from email.parser import BytesParser
from email.policy import EmailPolicy
from html import unescape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes
from uuid import uuid4

import pytest
from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.cache import cache as remembered
from django.core.management import call_command
from django.db import transaction
from django.http import QueryDict
from django.test import Client
from django.urls import resolve, reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from scheduler import forms as our_forms
from scheduler.adapters.calendars.entries import Entry
from scheduler.adapters.calendars.wikitext import week_of
from scheduler.adapters.cleaning import visible, visible_line, visible_prose
from scheduler.domain.windows import WindowKind
from scheduler.models import (
    Backport,
    Freeze,
    Notification,
    Override,
    TrainVersion,
    User,
    Window,
    WindowSeries,
)
from scheduler.services.calendar import FreezeFacts, add_freeze
from scheduler.services.notifications import deliver_events, mail_of
from scheduler.services.train import state_of_train
from scheduler.urls import urlpatterns
from swat.embedded.gerrit import DemoGerrit
from swat.embedded.gerrit_changes import CONFIG, DemoChange, DemoFile, change_id_of
from tests.domain.casebook import expanded
from tests.factories import make_train, make_window
from tests.hostile import HOSTILE, fitting
from tests.markup import Page, leads_to_ours, more_than, read, unprintable_in
from tests.views.conftest import ANSWERS, cast_of_five

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

PARTS = 5  # of the sixty, two to a text: each is a story of six texts
RULE = "needs-own-window"
DRAFTED, TYPED = ("user_impact", "steps_after"), ("why_not_train", "tester", "steps_before")


@dataclass
class Words:
    """The texts of one story: each of the strings that are named, or harmless ones."""

    names: Sequence[Sequence[str]] = ()

    def __call__(
        self, which: int, longest: int = 2000, cleaned: Callable[[str], str] = visible_prose
    ) -> str:
        """Return one of the six, as much of it as a field takes that cleans in this way."""
        if not self.names:
            return f"text{which:04}"
        room = (longest - 1) // len(self.names[which])
        return " ".join(fitting(HOSTILE[name], room, cleaned) for name in self.names[which])

    def told(self, path: str, body: bytes) -> bytes:
        """Return an answer of the review system with these texts in place of the harmless ones."""
        if not self.names:
            return body
        if path.endswith("/patch"):
            return b64encode(_MARK.sub(self._bytes, b64decode(body)))
        return _MARK.sub(lambda mark: json.dumps(self._meant(mark))[1:-1].encode(), body)

    def _bytes(self, mark: re.Match[bytes]) -> bytes:
        return self._meant(mark).encode("utf-8", "surrogatepass")

    def _meant(self, mark: re.Match[bytes]) -> str:
        is_name = mark[1].lower() == b"name"
        return self(int(mark[2]), *((240, visible_line) if is_name else (50_000, visible)))


_COPIED = re.compile(r"<code data-copy>(.*?)</code>", re.DOTALL)
_MARK = re.compile(rb"(text|name)([0-9]{4})", re.IGNORECASE)


def told_changes(amount: int) -> Iterator[DemoChange]:
    """Yield two changes for each text: configuration, and one of a project called like that."""
    for which in range(amount):
        text, name = f"text{which:04}", f"name{which:04}"
        for number, project, branch in ((1000, CONFIG, "master"), (2000, name, f"{name}/x")):
            change_id = change_id_of(f"{number + which}")
            id_line = f"Change-Id: {change_id}\n"
            yield DemoChange(
                number=number + which,
                project=project,
                branch=branch,
                change_id=change_id,
                message=f"{text}\n\nWhy: {text}\n\nBug: T{which // 2 + 1}\n{id_line}",
                files={
                    "wmf-config/CommonSettings.php": DemoFile(removed=(text,), added=(text, text)),
                    f"{name}.php": DemoFile(removed=(text,), status="R", old_path=f"x/{name}"),
                },
                owner=text,
                uploader=f"{text} too",
                labels={"Code-Review": (2,), "Verified": (2,), name: (1,)},
            )


@dataclass
class Story:
    """What five people do with six backports, and what they are shown.

    Attributes:
        pages: what each address showed to each reader, by its name and what it is about.
        sent: the texts that were typed, as the name of the address and of the field.
        mails: all that were sent.
        documents: the plan documents of the windows.
        commands: what the checklists offer to be copied.
    """

    words: Words
    gerrit: DemoGerrit
    pages: dict[tuple[str, ...], Page] = field(default_factory=dict)
    sent: set[tuple[str, str]] = field(default_factory=set)
    mails: list[ParsedMail] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        remembered.clear()
        self.gerrit.mutate = self.words.told
        self.amount = len(self.words.names) or len(PART[0])
        self.people = cast_of_five()
        for name, person in self.people.items():
            person.email = f"{name}@example.org"
            person.save()
        self.clients = {name: signed_in(person) for name, person in self.people.items()}
        self.windows = [
            make_window(in_hours=24 * day, title=visible_line(self.words(day, 100, visible_line)))
            for day in (1, 2, 3)
        ]
        self.window = self.windows[0]  # the last one that was added and called off
        self.strangers = [self._stranger(which) for which in range(self.amount)]

    def _stranger(self, which: int) -> User:
        as_sent = self.words(which, 140, visible_line).encode("utf-8", "surrogatepass")
        name = visible_line(as_sent.decode(errors="replace").strip())
        person = User.objects.create(
            username=name,
            nick=f"nick {name}"[:100],
            first_name=name[:100],
            email=f"{which}@example.org",
        )
        our = self.people["ada"].groups.get()
        person.groups.set([our])
        return person

    def tell(self) -> None:
        """Do everything, in the order in which it is done."""
        numbers = "\n".join(str(2000 + which) for which in range(self.amount))
        for which in range(self.amount):
            self.type_elsewhere(which)
            self.plan(which)
            self.book(which)
        self.draft()
        self.book(0, change=numbers, window=self.windows[2].pk)
        for which, backport in enumerate(self.backports()):
            self.review(which, backport)
        for which, backport in enumerate(self.backports(2000)):
            self.post(
                "ada", "backport-hand-over", backport, to=self.words(which, 140, visible_line)
            )
        for which in range(0, self.amount, 2):
            self.answer(which)
        for window in self.windows[:2]:
            self.post(
                "dev", "window-lock", window, plan_fingerprint=window.plans.latest("pk").fingerprint
            )

    def type_elsewhere(self, which: int) -> None:
        """Type one text where it is about a person."""
        text = self.words(which, 100, visible_line)
        self.post("ada", "profile", time_zone="UTC", nick=text, mail_own="on")
        self.post("rel", "person-add-name", self.people["sam"], name=text)
        start = timezone.now().astimezone(UTC).replace(second=0, microsecond=0) + timedelta(days=1)
        title = self.words(which, 90, visible_line)
        page = week_of(start.date(), [Entry(start, 60, WindowKind.DEDICATED, title)])
        self.post("rel", "calendar-import", (200,), text=page)

    def plan(self, which: int) -> None:
        """Plan the calendar: a series, a single window that is moved and called off, a freeze."""
        day = timezone.now().date() + timedelta(days=20 + which)
        text = self.words(which, 100, visible_line)
        when = {"zone": "UTC", "starts_at": "12:00", "minutes": 60, "closes_minutes": 5}
        on = {"weekdays": "1", "starts_on": f"{day}", "ends_on": f"{day + timedelta(days=9)}"}
        self.post("rel", "series", title=text, kind="security", **when, **on)
        series = WindowSeries.objects.latest("pk")
        self.post("rel", "series-end", series, last_day=f"{day + timedelta(days=1)}")
        urgent = {"is_emergency": "on", "reason": self.words(which, 300, visible_line)}
        when |= {"starts_day": f"{day}"}
        self.post("rel", "window-new", title=text, kind="security", **when, **urgent)
        self.window = Window.objects.latest("pk")
        del when["closes_minutes"]
        why = self.words(which, 450)
        self.post("rel", "window-move", self.window, reason=visible_line(why)[:500], seen=0, **when)
        self.look("rel", "window", self.window)
        self.post("rel", "window-cancel", self.window, reason=why, seen=1)
        freeze: dict[str, object] = {
            "reason": self.words(which, 200, visible_line),
            "zone": "UTC",
            "scope": "all",
            "kinds": "no-deploy",
            "recurrence": "yearly",
            "until": f"{day}",
            "starts_day": f"{day}",
            "starts_at": "12:00",
            "ends_day": f"{day}",
        }
        self.post("rel", "freezes", (200,), ends_at="13:00", **freeze)
        self.post("rel", "freezes", (422,), ends_at="11:00", edit="1", **freeze)
        at = datetime.combine(day, time_of_day(12), UTC)
        add_freeze(
            facts=FreezeFacts(at, at + timedelta(hours=1), visible_line(str(freeze["reason"]))),
            by=self.people["rel"],
        )
        self.look("rel", "freezes")
        self.post("rel", "freeze-call-off", Freeze.objects.latest("pk"), reason=why)

    def draft(self) -> None:
        """Type all six into the fields of a request, without booking it."""
        fields = self.text_fields()
        typed = {
            name: self.words(at % self.amount, one.max_length or 2000, one.cleaned)
            for at, (name, one) in enumerate(fields.items())
        }
        self.post("ada", "draft-save", **typed, change=self.words(0))
        self.post("ada", "backport-new", (200,), **typed, change="1000", **{"look-up": "1"})
        self.post("ada", "backport-new", (422,), **typed, change=self.words(0))

    @staticmethod
    def text_fields() -> dict[str, our_forms.LineField]:
        """Return the fields of a request in which people write."""
        fields = our_forms.BackportAnswersForm.base_fields
        return {name: one for name, one in fields.items() if isinstance(one, our_forms.LineField)}

    def book(self, which: int, **other: object) -> None:
        """Book a change, with the text as every answer."""
        typed = {
            name: self.words(which, one.max_length or 2000, one.cleaned)
            for name, one in self.text_fields().items()
        }
        given = {
            **{name: value for name, value in ANSWERS.items() if name not in typed},
            **typed,
            "nick": f"n{typed['nick']}"[:100],  # never the tester's name: a page shows both then
            "criteria": "long-task",
            "change": f"{1000 + which}",
            "window": self.windows[which % 2].pk,
            **other,
        }
        self.post("ada", "backport-new", **given)

    def review(self, which: int, backport: Backport) -> None:
        """Ask, answer, override what objects, and approve."""
        reason = self.words(which, 450) + " is why it must go all the same"
        self.post("rae", "review-ask", backport, reason=reason)
        self.post("ada", "backport-reply", backport, reply=self.words(which))
        self.post("rae", "override-propose", backport, rule=RULE, reason=reason)
        override = Override.objects.get(backport=backport)
        self.post("rel", "override-confirm", override, fingerprint=current(backport))
        self.post("rae", "review-approve", backport)

    def answer(self, which: int) -> None:
        """Say how two changes of the third window belong together, and why."""
        self.post(
            "rel",
            "question-answer",
            self.windows[2],
            low=2000 + which,
            high=2001 + which,
            answer="unrelated",
            reason=self.words(which, 450),
            plan_fingerprint=self.windows[2].plans.latest("pk").fingerprint,
        )

    def end(self) -> None:
        """End each backport in another way, with the text as the reason."""
        ends = (
            ("rae", "review-withdraw-approval"),
            ("rel", "review-decline"),
            ("dev", "review-veto"),
            ("rel", "review-dedicated"),
            ("rae", "backport-withdraw"),
        )
        for window in self.windows[:2]:
            self.post("dev", "window-unlock", window, reason=self.words(0, 450))
        for which, backport in enumerate(self.backports()):
            name, how = ends[which % len(ends)]
            self.post(name, how, backport, reason=self.words(which, 450))
            self.look("rae", "backport", backport, mark="ended")
        override = Override.objects.filter(ended_at__isnull=True).earliest("pk")
        self.post("rel", "override-end", override, reason=self.words(1, 450))
        self.drive_the_train()

    def drive_the_train(self) -> None:
        """Type into every form of the train, and give a program a token."""
        _, newest = make_train(timezone.now())
        groups = {f"group_{number}": "" for number in range(3)}
        state = state_of_train()
        self.post("rel", "train-plan", (409,), name=self.words(0, 60), cut="", **groups)
        self.sent |= {("train-plan-again", one) for one in ("name", "cut", *groups)}  # the same
        files = {"wikiversions": self.words(0, 450), "groups": self.words(1, 450)}
        self.post("rel", "train-import", (422,), **files)
        self.post("rel", "train-hold", newest, reason=self.words(0, 250), state=state)
        self.look("rel", "train", mark="held")
        owner = User.objects.get(username="dev")
        self.post("rel", "token-make", owner, name=self.words(1, 60), scope="train")

    def backports(self, first: int = 1000) -> list[Backport]:
        """Return the six, in order."""
        found = Backport.objects.filter(change__number__range=(first, first + 999))
        return list(found.order_by("change__number"))

    def post(
        self,
        who: str,
        where: str,
        about: Any = None,  # noqa: ANN401 - a row of any table, or the status that is expected
        **typed: object,
    ) -> None:
        """Send a form, and read what it is answered."""
        shown_once = where == "token-make"  # the answer is the page with the secret on it
        status = about if isinstance(about, tuple) else (200,) if shown_once else (302,)
        about = None if isinstance(about, tuple) else about
        address = reverse(where, args=[about.pk] if about else [])
        if isinstance(about, Backport):
            typed = {"fingerprint": current(about), **typed}
        self.sent |= {(where, one) for one in typed}
        answer = sent(self.clients[who], address, {"key": str(uuid4()), **typed})
        assert answer.status_code in status, (where, answer.status_code, text_of(answer)[-3000:])
        self._read(answer, "answer", who, where, self._called(about))

    def look(self, who: str, name: str, about: Any = None, mark: str = "") -> int:  # noqa: ANN401
        """Open a page, and return its status."""
        arguments = [] if about is None else [getattr(about, "pk", about)]
        answer = self.clients[who].get(reverse(name, args=arguments))
        self._read(answer, "page", who, name, self._called(about), mark)
        return answer.status_code

    def _called(self, about: Any) -> str:  # noqa: ANN401
        """Return what a row is called in both stories: its place among those of its table."""
        if about is None or isinstance(about, str):
            return str(about)
        return f"{type(about).__name__} {type(about).objects.filter(pk__lt=about.pk).count()}"

    def _read(self, answer: "Answer", *key: str) -> None:
        assert_strict(answer)
        if answer["Content-Type"].startswith("text/html"):
            body = text_of(answer)
            self.commands += [unescape(one) for one in _COPIED.findall(body)]
            before = self.pages.get(key)
            self.pages[key] = read(body)
            if before is not None:  # one address, typed into six times
                self.pages[key].shape |= before.shape
                self.pages[key].wrong += before.wrong
        elif "window-document" in key:
            self.documents.append(text_of(answer))

    def crawl(self, who: str) -> dict[str, int]:
        """Open everything that has an address; return how often each was shown."""
        rows: Mapping[str, Sequence[object]] = {
            "people": list(User.objects.order_by("pk")),
            "backports": [*self.backports(), *(self.backports(2000) if who == "rel" else ())],
            "windows": [*self.windows, self.window],
            "calendar": list(WindowSeries.objects.order_by("pk")[:1]),
            "overrides": list(Override.objects.order_by("pk")[:1]),
            "mail": list(Notification.objects.order_by("pk")[:1]),
            "train": list(TrainVersion.objects.order_by("pk")),
        }
        shown: dict[str, int] = defaultdict(int)
        for route, pattern in {str(one.pattern): one for one in reversed(urlpatterns)}.items():
            abouts: Sequence[object] = (
                [None] if "<" not in route else rows.get(route.split("/", maxsplit=1)[0], ["x"])
            )
            for about in abouts:
                status = self.look(who, str(pattern.name), about)
                assert status in {200, 204, 302, 403, 404, 405}, (route, status)
                shown[str(pattern.name)] += status == 200
                if status in {403, 405}:
                    break
        return shown

    def deliver(self) -> None:
        """Write all mails that are due."""
        deliver_events(at=timezone.now(), limit=10_000)
        for one in Notification.objects.select_related("recipient", "event__window").order_by("pk"):
            raw = mail_of(one).message().as_bytes()
            self.mails.append(BytesParser(policy=EmailPolicy()).parsebytes(raw))


def signed_in(person: User) -> Client:
    """Return a client of somebody who has just shown who they are."""
    client = Client(raise_request_exception=True)
    client.force_login(person)
    session = client.session
    session["signed_in_at"] = int(time.time())
    session.save()
    return client


def sent(client: Client, address: str, typed: Mapping[str, object]) -> "Answer":
    """Send a form as bytes: also what no text of Python may hold in UTF-8."""
    pairs = ((name, str(value)) for name, value in typed.items())
    body = "&".join(f"{name}={quoted(value)}" for name, value in pairs)
    return client.post(address, body, content_type="application/x-www-form-urlencoded")


def quoted(text: str) -> str:
    """Return a text for an address or a form."""
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="")


def current(backport: Backport) -> str:
    """Return what the page of a backport shows now."""
    backport.refresh_from_db(fields=["fingerprint"])
    return backport.fingerprint


def text_of(answer: "Answer") -> str:
    """Return the body of an answer."""
    return answer.content.decode()


def assert_strict(answer: "Answer") -> None:
    """Assert the policy that every answer carries: nothing runs that is not a file of ours."""
    policy = answer["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert {"default-src 'self'", "script-src 'self'", "style-src 'self'"} <= set(
        policy.split("; ")
    )
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "\n" not in answer.get("Location", "")
    assert leads_to_ours(answer.get("Location", ""))


PAIRS = list(zip(list(HOSTILE)[:30], list(HOSTILE)[30:], strict=True))
PART = [PAIRS[first::PARTS] for first in range(PARTS)]


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
        shown = story.crawl("rel")
        story.crawl("rae")
        story.end()
        story.deliver()
        transaction.set_rollback(True)
    return story, shown


@pytest.mark.timeout(240)
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
    assert_logged_by_the_line(caplog)


def assert_mails_alike(mails: Sequence[ParsedMail], others: Sequence[ParsedMail]) -> None:
    """Assert that no text added a line to the head of a mail, or controls whoever reads it."""
    assert len(mails) == len(others) > 50
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


COMMAND = re.compile(
    r"scap backport( --revert)?( [0-9]+)+"
    r"|!log SWAT: deployed [][A-Za-z0-9:, ()]+"
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


def planned(document: str, folder: Path) -> str:
    """Return what `manage.py plan --text` prints about a document."""
    file, out = folder / "plan.json", StringIO()
    file.write_text(document)
    call_command("plan", "--text", str(file), stdout=out)
    return out.getvalue()


# Typed into by the tests below, and what takes a password or a code.
ELSEWHERE = {("people", "q"), ("sign-in", "username"), ("mfa_activate_totp", "code")}
ELSEWHERE |= {("train-import", "wikiversions_file"), ("train-import", "lists")}  # files


@pytest.mark.timeout(240)
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
