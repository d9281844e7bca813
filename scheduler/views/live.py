"""The streams of the events process: a window's page follows it without asking again and again."""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import Error, close_old_connections, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_GET

from scheduler.models import Event, EventHead, User, Window
from scheduler.services.clock import database_now
from scheduler.services.runs import course_of
from scheduler.views.deploy import sight_of
from scheduler.views.errors import MISSING, NOT_SIGNED_IN, TOO_MANY
from scheduler.views.watching import ABOUT_ALL, News, NoRoom, Sight, TooManyStreams, Watching

UNAVAILABLE = 503

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Visit:
    """Who wants to watch what.

    Attributes:
        person: who is signed in; None if nobody is.
        is_there: whether there is such a window.
        seq: the newest event of the log.
    """

    person: int | None
    is_there: bool
    seq: int


def _in_a_thread(read: Callable[P, T]) -> Callable[P, T]:
    """Have what a thread reads leave no connection behind that is too old, or broken."""

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> T:
        close_old_connections()
        try:
            return read(*args, **kwargs)
        finally:
            close_old_connections()

    return reading


class Database:
    """Where what is watched is read: by one thread, so with one connection, whoever watches."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="watching")

    async def news(self, since: int) -> News:
        """Return what happened after the event of a number."""
        return await self._read(news_since, since)

    async def sight(self, window: int) -> Sight:
        """Return a window as it is now."""
        return await self._read(_sight_at, window)

    async def signed_in(self, sessions: Collection[str]) -> Mapping[str, int]:
        """Return who is signed in with which of these sessions."""
        return await self._read(signed_in, sessions)

    async def _read(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        of_the_thread = sync_to_async(
            _in_a_thread(read), thread_sensitive=False, executor=self._thread
        )
        return await of_the_thread(*args, **kwargs)


WATCHING = Watching(Database())


@require_GET
async def watch(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send a window's board as it is, and again whenever it changed, until it is closed.

    As every page it wants somebody who is signed in; a browser is told so by 401 and asks no more.
    """
    try:
        answer = await _watched(request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""), pk)
    except Error:
        answer = _refused(UNAVAILABLE, "The database does not answer.")
    answer["Cache-Control"] = "no-store"
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Vary"] = "Origin, Cookie"
    ours = urlsplit(settings.PUBLIC_URL)
    if request.headers.get("Origin") == f"{ours.scheme}://{ours.netloc}":
        answer["Access-Control-Allow-Origin"] = request.headers["Origin"]
        answer["Access-Control-Allow-Credentials"] = "true"
    return answer


async def _watched(session: str, window: int) -> HttpResponseBase:
    # Outside of Django's own handler, this is one thread for all that are at the door.
    visit = await sync_to_async(_in_a_thread(visit_of))(session, window)
    if visit.person is None:
        return _refused(NOT_SIGNED_IN, "You are not signed in.")
    if not visit.is_there:
        return _refused(MISSING, "There is no such window.")
    try:
        stream = WATCHING.watch(window=window, person=visit.person, session=session, seq=visit.seq)
    except TooManyStreams as refusal:
        return _refused(TOO_MANY, refusal.sentence)
    except NoRoom as refusal:
        return _refused(UNAVAILABLE, refusal.sentence)
    answer = StreamingHttpResponse(stream, content_type="text/event-stream")
    answer["X-Accel-Buffering"] = "no"  # a proxy that collects would be late
    return answer


def _refused(status: int, sentence: str) -> HttpResponse:
    return HttpResponse(f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8")


@require_GET
async def healthz(_request: HttpRequest) -> HttpResponse:
    """Answer "ok" once the database has answered."""
    try:
        await sync_to_async(_in_a_thread(_ask_database))()
    except Error:
        return _refused(UNAVAILABLE, "The database does not answer.")
    return HttpResponse("ok\n", content_type="text/plain")


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def visit_of(session: str, window: int) -> Visit:
    """Return who stands at the door with the key of a session, and what they will find."""
    return Visit(
        person=signed_in([session]).get(session),
        is_there=Window.objects.filter(pk=window).exists(),
        seq=_newest(),
    )


def signed_in(sessions: Collection[str]) -> dict[str, int]:
    """Return who is signed in with which of these sessions, as pages would find: two queries.

    Left out is one that ran out or was ended, and that of an account which is closed.
    """
    rows = Session.objects.filter(session_key__in=sessions, expire_date__gt=timezone.now())
    told = {row.session_key: row.get_decoded() for row in rows}
    people = {
        str(user.pk): user
        for user in User.objects.filter(
            pk__in=[one[SESSION_KEY] for one in told.values() if SESSION_KEY in one],
            is_active=True,
        )
    }
    found = {}
    for key, one in told.items():
        user = people.get(one.get(SESSION_KEY, ""))
        is_known = one.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS
        if user is not None and is_known and _is_theirs(user, one):
            found[key] = user.pk
    return found


def _is_theirs(user: User, session: Mapping[str, object]) -> bool:
    """Return whether a session is not from before their password changed, or all were ended."""
    carried = str(session.get(HASH_SESSION_KEY, ""))
    return constant_time_compare(carried, user.get_session_auth_hash())


def news_since(since: int) -> News:
    """Return what happened after the event of a number: one query while nothing did."""
    newest = _newest()
    if newest == since:
        return News(newest)
    if newest < since:  # the database is another one, from a backup
        return News(newest, frozenset({ABOUT_ALL}))
    windows = Event.objects.filter(seq__gt=since).order_by().values_list("window", flat=True)
    return News(newest, frozenset(windows.distinct()))


def _newest() -> int:
    seq: int | None = EventHead.objects.values_list("seq", flat=True).first()
    return seq or 0


def _sight_at(window: int) -> Sight:
    row = Window.objects.select_related("locked_by").get(pk=window)
    return sight_of(course_of(row, database_now()))
