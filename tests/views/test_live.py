"""Who may listen to a window, and what they are sent: the same as on its page."""

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from scheduler.models import EventHead, User, Window
from scheduler.services.people import disable_person, end_sessions
from scheduler.views.deploy import sight_of
from scheduler.views.live import news_since, signed_in
from scheduler.views.watching import ABOUT_ALL, PER_PERSON
from swat.asgi import application
from tests.driving import Drive, lock
from tests.factories import approve, fetched, make_backport, make_window
from tests.listening import told_by
from tests.loops import run

if TYPE_CHECKING:
    from asgiref.typing import HTTPScope


@pytest.fixture(scope="module", autouse=True)
def _tables_are_emptied(events_can_be_cleared: None) -> None:
    """Threads see what was committed; after each such test the tables are emptied."""


@pytest.fixture
def _written_meanwhile(transactional_db: None) -> None:
    """Two connections at once, one of which writes: too much for SQLite in memory."""
    if "memory" in str(connection.settings_dict["NAME"]):
        pytest.skip("Threads need a database of their own: PostgreSQL, or SQLite in a file.")


@pytest.fixture
def drive(ada: User, rae: User, dev: User) -> Drive:
    """Dev drives a window with two changes of Ada's, and has begun it."""
    start = timezone.now() - timedelta(minutes=5)
    window = make_window(start=start, end=start + timedelta(hours=1))
    for number in (1, 2):
        approve(make_backport(window, ada, fetched(number)), rae)
    lock(window, dev)
    return Drive(window, dev).take().begin()


def session_of(person: User) -> str:
    client = Client()
    client.force_login(person)
    return str(client.session.session_key)


class Browser:
    """One request to the application, as its server passes it on."""

    def __init__(self, path: str, session: str = "", **asked: str) -> None:
        """Ask for a path; `method`, `host` and `origin` may differ."""
        headers = {
            "host": asked.get("host", "testserver"),
            "cookie": f"session={session}" if session else "",
            "origin": asked.get("origin", ""),
        }
        self.scope: HTTPScope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": asked.get("method", "GET"),
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(k.encode(), v.encode()) for k, v in headers.items() if v],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "state": {},
            "extensions": {},
        }
        self._sent: asyncio.Queue[Any] = asyncio.Queue()
        self._left = asyncio.Event()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.answering: asyncio.Task[None] | None = None

    async def open(self) -> "Browser":
        """Wait until the answer begins."""
        self.answering = asyncio.ensure_future(application(self.scope, self._receive, self._send))
        start = await self._sent.get()
        self.status = start["status"]
        self.headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        return self

    async def _receive(self) -> Any:  # noqa: ANN401 - a message of the server
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:  # noqa: ANN401
        await self._sent.put(message)

    async def part(self) -> bytes:
        """Return what comes next; nothing once the answer has ended."""
        body: bytes = (await self._sent.get())["body"]
        return body

    async def board(self) -> str:
        """Return the next board."""
        while part := await self.part():
            for block in part.split(b"\n\n"):
                if (told := told_by(block)).name == "board":
                    return told.text
        raise EOFError

    async def leave(self) -> None:
        """Close the page, and see the answer end."""
        self._left.set()
        assert self.answering is not None
        await self.answering


async def meanwhile(deed: Callable[[], object]) -> None:
    """Have something done in another thread, as another process would."""

    def done() -> None:
        try:
            deed()
        finally:
            connection.close()

    await asyncio.to_thread(done)


def asked(path: str, session: str = "", **differing: str) -> Browser:
    """Ask for something, wait until the answer begins, and leave."""
    browser = Browser(path, session, **differing)

    async def story() -> None:
        await browser.open()
        await browser.leave()

    run(story(), to_the_end=True)
    return browser


def path_of(window: Window) -> str:
    return f"/events/windows/{window.pk}"


@pytest.mark.both_databases
@pytest.mark.usefixtures("_written_meanwhile")
@pytest.mark.django_db(transaction=True)
def test_who_watches_is_sent_the_board_and_then_what_happened(drive: Drive, sam: User) -> None:
    session = session_of(sam)

    async def story() -> None:
        browser = await Browser(path_of(drive.window), session).open()
        assert browser.status == 200
        assert browser.headers["content-type"] == "text/event-stream"
        assert browser.headers["cache-control"] == "no-store"
        assert browser.headers["x-accel-buffering"] == "no"
        assert browser.headers["x-content-type-options"] == "nosniff"
        assert 'class="is-turn"' not in await browser.board()
        await meanwhile(lambda: drive.start(1))
        assert 'class="is-turn"' in await browser.board()
        await browser.leave()

    run(story(), to_the_end=True)


@pytest.mark.both_databases
@pytest.mark.usefixtures("_written_meanwhile")
@pytest.mark.django_db(transaction=True)
def test_the_last_one_sees_the_window_closed_and_the_stream_end(drive: Drive, sam: User) -> None:
    drive.deploy(1, 2)
    session = session_of(sam)

    async def story() -> None:
        browser = await Browser(path_of(drive.window), session).open()
        assert "Closed by" not in await browser.board()
        await meanwhile(drive.close)
        assert "Closed by" in await browser.board()
        assert await browser.part() == b""
        await browser.leave()

    run(story(), to_the_end=True)


@pytest.mark.django_db(transaction=True)
def test_a_sixth_page_of_one_person_is_refused(drive: Drive, sam: User) -> None:
    session, path = session_of(sam), path_of(drive.window)

    async def story() -> None:
        browsers = [await Browser(path, session).open() for _ in range(PER_PERSON)]
        assert {one.status for one in browsers} == {200}
        sixth = await Browser(path, session).open()
        assert sixth.status == 429
        assert b"close one of them" in await sixth.part()
        for one in (*browsers, sixth):
            await one.leave()
        again = await Browser(path, session).open()
        assert again.status == 200
        await again.leave()

    run(story(), to_the_end=True)


@pytest.mark.django_db(transaction=True)
def test_nobody_listens_without_being_signed_in(drive: Drive) -> None:
    for session in ("", "nothing", "x" * 40):
        assert asked(path_of(drive.window), session).status == 401


@pytest.mark.django_db(transaction=True)
def test_what_is_not_there_is_told_only_to_who_is_signed_in(sam: User) -> None:
    for pk in (4711, 10**30):
        assert asked(f"/events/windows/{pk}", session_of(sam)).status == 404
        assert asked(f"/events/windows/{pk}").status == 401


@pytest.mark.django_db(transaction=True)
def test_nothing_else_is_served_and_only_by_get(sam: User, window: Window) -> None:
    session = session_of(sam)
    for path in ("/", "/events/", "/events/windows/x", f"/windows/{window.pk}", "/static/a.css"):
        assert asked(path, session).status == 404
    for method in ("POST", "HEAD", "PUT", "OPTIONS"):
        assert asked(path_of(window), session, method=method).status == 405
    assert asked(path_of(window), session, host="evil.example").status == 400
    assert asked("/healthz").status == 200


@pytest.mark.django_db(transaction=True)
def test_only_our_own_pages_may_read_it(window: Window, sam: User, settings: Settings) -> None:
    settings.PUBLIC_URL = "http://swat.example:8000/"
    session, path = session_of(sam), path_of(window)
    ours = asked(path, session, origin="http://swat.example:8000").headers
    assert ours["access-control-allow-origin"] == "http://swat.example:8000"
    assert ours["access-control-allow-credentials"] == "true"
    assert "Origin" in ours["vary"]
    for other in ("", "http://swat.example", "http://swat.example:8000.evil.example", "null"):
        answer = asked(path, session, origin=other)
        assert not [name for name in answer.headers if name.startswith("access-control")]


# Who is signed in.


def ended_by_signing_out(person: User, session: str, rel: User) -> None:
    Session.objects.filter(pk=session).delete()


def ended_by_time(person: User, session: str, rel: User) -> None:
    Session.objects.filter(pk=session).update(expire_date=timezone.now())


def ended_everywhere(person: User, session: str, rel: User) -> None:
    end_sessions(person=person, by=person)


def ended_with_the_account(person: User, session: str, rel: User) -> None:
    disable_person(person=person, by=rel)


def ended_by_support_staff(person: User, session: str, rel: User) -> None:
    User.objects.filter(pk=person.pk).update(is_active=False)


def ended_by_a_new_password(person: User, session: str, rel: User) -> None:
    person.set_password("another one")
    person.save()


def ended_with_its_key(person: User, session: str, rel: User) -> None:
    Session.objects.filter(pk=session).update(session_data="not:signed:by-us")


ENDINGS = [
    ended_by_signing_out,
    ended_by_time,
    ended_everywhere,
    ended_with_the_account,
    ended_by_support_staff,
    ended_by_a_new_password,
    ended_with_its_key,
]


@pytest.mark.parametrize("end", ENDINGS)
def test_a_session_counts_until_it_is_ended_as_for_pages(
    end: Callable[[User, str, User], None], sam: User, ada: User, rel: User, client: Client
) -> None:
    sams, adas = session_of(sam), session_of(ada)
    client.cookies["session"] = sams
    assert client.get("/").status_code == 200
    assert signed_in([sams, adas, "unknown"]) == {sams: sam.pk, adas: ada.pk}
    end(sam, sams, rel)
    assert signed_in([sams, adas]) == {adas: ada.pk}
    assert client.get("/").status_code == 302  # pages agree


def test_a_session_in_which_nobody_signed_in_counts_for_nothing(db: None) -> None:
    client = Client()
    session = client.session
    session["typed"] = "something"
    session.save()
    assert signed_in([str(session.session_key)]) == {}


def test_however_many_listen_it_takes_two_queries(
    db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    people = [User.objects.create_user(f"person{n}") for n in range(30)]
    sessions = [session_of(one) for one in people]
    with django_assert_num_queries(2):
        assert len(signed_in(sessions)) == 30


# What is sent.


def test_news_are_the_windows_of_what_was_logged(
    drive: Drive, rel: User, sam: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    since = EventHead.objects.get().seq
    with django_assert_num_queries(1):
        assert news_since(since).windows == frozenset()
    drive.start(1)
    with django_assert_num_queries(2):
        news = news_since(since)
    assert news.windows == {drive.window.pk}
    assert news.seq == EventHead.objects.get().seq
    disable_person(person=sam, by=rel)
    assert news_since(news.seq).windows == {ABOUT_ALL}
    assert news_since(10**6).windows == {ABOUT_ALL}  # it was another log


def test_before_anything_was_logged_there_are_no_news(db: None) -> None:
    assert news_since(0).windows == frozenset()


def plain(html: str) -> str:
    """Return it without needless blanks and the second at which it was read."""
    return re.sub(r"As of [\d:]+ UTC", "", re.sub(r"\s+", " ", html)).strip()


@pytest.mark.parametrize("name", ["sam", "ada", "dev", "rae"])
def test_what_is_sent_is_what_stands_on_the_page(
    name: str, drive: Drive, sam: User, client: Client
) -> None:
    drive.start(1)
    client.force_login(User.objects.get(username=name))
    page = client.get(f"/windows/{drive.window.pk}/deploy").content.decode()
    sight = sight_of(drive.course)
    board = plain(sight.board)
    assert board
    assert board in plain(page)
    assert ("data-part" in page) == (name != "sam")
    if name == "sam":
        assert plain(sight.bystander) in plain(page)
