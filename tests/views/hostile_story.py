"""A story of five people who type six texts into every field, and of what they are shown.

It is told twice, in harmless words and in hostile ones: what is more in the second was made by the
text. How one of its windows is deployed stands in `tests.views.hostile_hour`.
"""

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
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes
from uuid import uuid4

from django.core.cache import cache as remembered
from django.test import Client
from django.urls import resolve, reverse
from django.utils import timezone

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
    RunStep,
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
from tests.factories import make_train, make_window
from tests.hostile import HOSTILE, fitting
from tests.markup import Page, leads_to_ours, read, unprintable_in
from tests.views.conftest import ANSWERS, cast_of_five

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse as Answer

PARTS = 5  # of the sixty, two to a text: each is a story of six texts
PAIRS = list(zip(list(HOSTILE)[:30], list(HOSTILE)[30:], strict=True))
PART = [PAIRS[first::PARTS] for first in range(PARTS)]
RULE = "needs-own-window"
IN_FIRST_WINDOW = 4  # of the six: they are deployed; the others wait in the second one
NAME = 140  # characters of a name: as many of an account as of who tests something


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


# Beside the row that an address is about: what else may stand in it.
_FURTHER: Mapping[str, Sequence[object]] = {
    "position": (1,),
    "item": (1,),
    "kind": ("txt", "md"),
}
_PLACE = re.compile(r"<\w+:(\w+)>")
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
        downloads: checklists as text and as Markdown, by what they are called, as pages are.
        commands: what the checklists offer to be copied.
    """

    words: Words
    gerrit: DemoGerrit
    pages: dict[tuple[str, ...], Page] = field(default_factory=dict)
    sent: set[tuple[str, str]] = field(default_factory=set)
    mails: list[ParsedMail] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    downloads: dict[tuple[str, ...], str] = field(default_factory=dict)
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
        as_sent = self.words(which, NAME, visible_line).encode("utf-8", "surrogatepass")
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
                "ada", "backport-hand-over", backport, to=self.words(which, NAME, visible_line)
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
        other = f"o{text}"  # never a tester's name: Sam would be all of them
        self.post("rel", "person-add-name", self.people["sam"], name=other)
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
        typed |= {"coupling": f"1000-1001:{self.words(0)}", "coupling-why": self.words(0, 450)}
        self.post("ada", "backport-new", (200,), **typed, change="1000", **{"look-up": "1"})
        self.post("ada", "backport-new", (422,), **typed, change=self.words(0))

    @staticmethod
    def text_fields() -> dict[str, our_forms.LineField]:
        """Return the fields of a request in which people write."""
        fields = our_forms.BackportAnswersForm.base_fields
        return {name: one for name, one in fields.items() if isinstance(one, our_forms.LineField)}

    def book(self, which: int, status: tuple[int, ...] = (302,), **other: object) -> None:
        """Book a change, with the text as every answer that is asked for the first time."""
        typed = {
            name: self.words(which, one.max_length or 2000, one.cleaned)
            for name, one in self.text_fields().items()
            if name != "what_differs"
        }
        given = {
            **{name: value for name, value in ANSWERS.items() if name not in typed},
            **typed,
            "tester": self.words(which, NAME, visible_line),
            "nick": f"n{typed['nick']}"[:100],  # never the tester's name: a page shows both then
            "criteria": "long-task",
            "change": f"{1000 + which}",
            "window": self.windows[which >= IN_FIRST_WINDOW].pk,
            **other,
        }
        self.post("ada", "backport-new", status, **given)

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
        """End backports that were not deployed, each in another way, with a text as the reason."""
        ends = (  # the first two were approved
            ("rae", "review-withdraw-approval"),
            ("dev", "review-veto"),
            ("rel", "review-decline"),
            ("rel", "review-dedicated"),
            ("rae", "backport-withdraw"),
        )
        self.post("dev", "window-unlock", self.windows[1], reason=self.words(0, 450))
        waiting = [*self.windows[1].backports.order_by("pk"), *self.backports(2000)]
        for which, ((name, how), backport) in enumerate(zip(ends, waiting, strict=False)):
            self.post(name, how, backport, reason=self.words(which, 450))
            self.look("rae", "backport", backport, mark="ended")
        override = Override.objects.get(backport=waiting[0], ended_at__isnull=True)
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
        self.send(who, address, typed, about=about, status=status)

    def send(
        self,
        who: str,
        address: str,
        typed: Mapping[str, object],
        *,
        about: object = None,
        status: tuple[int, ...] = (302,),
    ) -> None:
        """Send something to the address of a form, and read what it is answered.

        Args:
            who: the name of who sends it.
            address: where to.
            typed: what, by the names of the fields.
            about: the row that it is about.
            status: one of these is answered.
        """
        where = str(resolve(address).url_name)
        self.sent |= {(where, one) for one in typed}
        answer = sent(self.clients[who], address, {"key": str(uuid4()), **typed})
        assert answer.status_code in status, (where, answer.status_code, text_of(answer)[-3000:])
        self._read(answer, "answer", who, where, self._called(about))

    def look(self, who: str, name: str, *places: object, mark: str = "") -> int:
        """Open a page, and return its status.

        Args:
            who: the name of who does.
            name: that of the address.
            places: rows and words that stand in it.
            mark: what tells it from the same page at another time.
        """
        return self._opened(who, name, places, mark)[0]

    def page_of(self, who: str, name: str, *places: object, mark: str = "") -> Page:
        """Open a page, as `look`, and return what is in it."""
        return self._opened(who, name, places, mark)[1]

    def _opened(self, who: str, name: str, places: Sequence[object], mark: str) -> tuple[int, Page]:
        address = reverse(name, args=[getattr(one, "pk", one) for one in places])
        answer = self.clients[who].get(address)
        called = " ".join(map(self._called, places))
        return answer.status_code, self._read(answer, "page", who, name, called, mark)

    def _called(self, about: Any) -> str:  # noqa: ANN401
        """Return what a row is called in both stories: its place among those of its table."""
        if about is None or isinstance(about, str | int):
            return str(about)
        return f"{type(about).__name__} {type(about).objects.filter(pk__lt=about.pk).count()}"

    def _read(self, answer: "Answer", *key: str) -> Page:
        assert_strict(answer)
        body, kind = text_of(answer), answer["Content-Type"].partition(";")[0]
        if kind == "text/html":
            self.commands += [unescape(one) for one in _COPIED.findall(body)]
            page = read(body)
            before = self.pages.setdefault(key, page)
            if before is not page:  # one address, typed into six times
                before.shape |= page.shape
                before.wrong += page.wrong
                before.controls += page.controls
            return page
        if kind == "application/json":
            json.loads(body)
            assert not unprintable_in(body)
        if "window-document" in key:
            self.documents.append(body)
        if "deploy-text" in key:
            self.downloads[key] = body
        return Page()

    def crawl(self, who: str) -> dict[str, int]:
        """Open everything that has an address; return how often each was shown."""
        rows: Mapping[str, Sequence[object]] = {
            "people": list(User.objects.order_by("pk")),
            "backports": [*self.backports(), *(self.backports(2000) if who == "rel" else ())],
            "windows": [*self.windows, self.window],
            "steps": list(RunStep.objects.order_by("pk")),
            "calendar": list(WindowSeries.objects.order_by("pk")[:1]),
            "overrides": list(Override.objects.order_by("pk")[:1]),
            "mail": list(Notification.objects.order_by("pk")[:1]),
            "train": list(TrainVersion.objects.order_by("pk")),
        }
        shown: dict[str, int] = defaultdict(int)
        for route, pattern in {str(one.pattern): one for one in reversed(urlpatterns)}.items():
            name = str(pattern.name)
            for places in _places_of(route, rows):
                status = self.look(who, name, *places)
                assert status in {200, 204, 302, 403, 404, 405}, (route, status)
                shown[name] += status == 200
                if status in {403, 405}:
                    break
        return shown

    def deliver(self) -> None:
        """Write all mails that are due and were not written yet."""
        deliver_events(at=timezone.now(), limit=10_000)
        due = Notification.objects.select_related("recipient", "event__window").order_by("pk")
        for one in due[len(self.mails) :]:
            raw = mail_of(one).message().as_bytes()
            self.mails.append(BytesParser(policy=EmailPolicy()).parsebytes(raw))


def _places_of(route: str, rows: Mapping[str, Sequence[object]]) -> Iterator[tuple[object, ...]]:
    """Return what may stand in the address of a route: a row, and what comes behind it."""
    names = _PLACE.findall(route)
    if not names:
        return iter([()])
    about = rows.get(route.removeprefix("api/").split("/", maxsplit=1)[0], ["x"])
    return product(about, *(_FURTHER[name] for name in names[1:]))


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
