"""Who watches which window from this process: one look at the database serves all of them.

A few times a second the database is asked whether its log has grown. A window of which that tells
is read once, however many watch it, and all of them are sent the same. A message carries all that
they see: whoever is slow gets the newest one, and has missed nothing.
"""

import asyncio
import logging
import re
import secrets
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, Self

from django.db import Error

from scheduler.domain.errors import Refused

PER_PERSON, PER_PROCESS = 5, 1_000  # streams
RETRY, JITTER = 2_000, 3_000  # milliseconds: when to come back, and how much later at most
STILL = b": still here\nevent: still\ndata: -\n\n"  # proxies count the bytes, pages the event
CLOSED = b"event: closed\ndata: -\n\n"
ABOUT_ALL = None  # the window of an event that may be about any of them

_LINE_END = re.compile(r"\r\n|\r|\n")  # as a browser splits an event; `splitlines` knows more

logger = logging.getLogger(__name__)


class TooManyStreams(Refused):
    """A person has as many streams as one may have."""


class NoRoom(Refused):
    """This process has as many streams as it may have."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A window, as everybody sees it.

    Attributes:
        board: its steps, HTML.
        bystander: what stands beside them for whoever has no part in it, HTML.
        is_closed: whether its driver closed it: nothing will change any more.
    """

    board: str
    bystander: str
    is_closed: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What the log tells.

    Attributes:
        seq: the number of its newest event.
        windows: which windows the new events are about; `ABOUT_ALL` is among them if it may be any.
    """

    seq: int
    windows: frozenset[int | None] = frozenset()


class Source(Protocol):
    """Where all of it is read. Each method may raise `django.db.Error`: streams end then."""

    async def news(self, since: int) -> News:
        """Return what happened after the event of a number."""

    async def sight(self, window: int) -> Sight:
        """Return a window as it is now."""

    async def signed_in(self, sessions: Collection[str]) -> Mapping[str, int]:
        """Return who is signed in with which of these sessions."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often things are done, seconds.

    Attributes:
        news: the log is asked.
        sight: a window is read though nothing happened, for the minutes that it shows.
        people: it is looked whether who listens still may: less than 15 s (`trust.md` B-13).
        still: a stream says something; then it had no board for longer than it should.
    """

    news: float = 0.2
    sight: float = 14
    people: float = 10
    still: float = 15


def message_of(sight: Sight, seq: int) -> bytes:
    """Return what a browser is sent; the board is an event whose id is the newest news of it."""
    told = _event("bystander", sight.bystander) + _event("board", sight.board, seq)
    return told + CLOSED if sight.is_closed else told


def _event(name: str, text: str, seq: int | None = None) -> bytes:
    lines = [f"event: {name}", *([] if seq is None else [f"id: {seq}"])]
    lines += [f"data: {line}" for line in _LINE_END.split(text)]
    return "\n".join([*lines, "", ""]).encode()


class Stream:
    """What one browser is sent: an asynchronous iterator that ends when it has to.

    At most one message waits for a browser that is slow: a newer one takes its place.

    Attributes:
        person: whose it is; session: the key of the session that they are signed in with.
        is_served: whether they were offered anything yet.
    """

    def __init__(
        self, person: int, session: str, still: float, leave: Callable[["Stream"], None]
    ) -> None:
        self.person = person
        self.session = session
        self._still = still
        self._leave = leave
        self._greeting = f"retry: {RETRY + secrets.randbelow(JITTER)}\n\n".encode()
        self._waiting: bytes | None = None
        self._has_ended = False
        self._stirred = asyncio.Event()
        self.is_served = False

    def offer(self, message: bytes) -> None:
        """Have this sent next, instead of what still waits."""
        self._waiting = message
        self.is_served = True
        self._stirred.set()

    def end(self) -> None:
        """End once what waits is sent."""
        self._has_ended = True
        self._stirred.set()

    def close(self) -> None:
        """Watch no more; whoever answers with a stream calls it, whatever happened."""
        self._leave(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._greeting:
            greeting, self._greeting = self._greeting, b""
            return greeting
        while True:
            if self._waiting is not None:
                message, self._waiting = self._waiting, None
                return message
            if self._has_ended:
                raise StopAsyncIteration
            self._stirred.clear()
            try:
                async with asyncio.timeout(self._still):
                    await self._stirred.wait()
            except TimeoutError:
                return STILL


class Audience:
    """All who watch one window from here."""

    def __init__(self, window: int, seq: int, source: Source, every: float) -> None:
        """Begin with nobody.

        Args:
            window: which.
            seq: the newest event that is known.
            source: where it is read.
            every: seconds after which it is read though nothing happened.
        """
        self.window = window
        self.streams: set[Stream] = set()
        self._seq = seq
        self._source = source
        self._every = every
        self._newest: bytes | None = None  # none while it is being read
        self._changed = asyncio.Event()

    def admit(self, stream: Stream, *, is_current: bool) -> None:
        """Let somebody watch from now on.

        Args:
            stream: what they are sent.
            is_current: whether nothing happened that the audience was not yet told of. Else they
                might be shown less than their page has already.
        """
        self.streams.add(stream)
        if not is_current or self._changed.is_set():
            self._changed.set()
        elif self._newest is not None:
            stream.offer(self._newest)

    def dismiss(self, stream: Stream) -> None:
        """Let somebody go; the last one ends the reading."""
        self.streams.discard(stream)
        if not self.streams:
            self._changed.set()

    def tell(self, seq: int) -> None:
        """Have the window read again, for an event about it."""
        self._seq = seq
        self._changed.set()

    async def follow(self) -> None:
        """Read the window whenever something happened, and send it, until nobody is left."""
        shown = None
        while self.streams:
            self._changed.clear()
            self._newest, seq = None, self._seq
            sight = await self._source.sight(self.window)
            self._newest = message_of(sight, seq)
            for stream in self.streams:
                if (sight, seq) != shown or not stream.is_served:
                    stream.offer(self._newest)
            shown = sight, seq
            if sight.is_closed:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._changed.wait()


class Watching:
    """The streams of this process. Everything here runs in one thread, that of the event loop."""

    def __init__(self, source: Source, rhythm: Rhythm | None = None) -> None:
        self._source = source
        self._rhythm = rhythm or Rhythm()
        self._audiences: dict[int, Audience] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: set[Stream] = set()
        self._seq = 0
        self._is_asking = False

    def watch(self, *, window: int, person: int, session: str, seq: int) -> Stream:
        """Let somebody watch a window; the first one sets everything going.

        Args:
            window: which; it exists.
            person: who; they may.
            session: the key of their session.
            seq: the newest event when both was looked up.

        Raises:
            TooManyStreams: they have as many streams as one may have.
            NoRoom: this process has.
        """
        if sum(one.person == person for one in self._streams) >= PER_PERSON:
            raise TooManyStreams(f"You watch from {PER_PERSON} pages already; close one of them.")
        if len(self._streams) >= PER_PROCESS:
            raise NoRoom("Too many watch from here; the page asks by itself every ten seconds.")
        stream = Stream(person, session, self._rhythm.still, self._forget)
        self._streams.add(stream)
        if not self._is_asking:
            self._is_asking, self._seq = True, seq
            self._begin(self._ask())
        if window not in self._audiences:
            audience = Audience(window, self._seq, self._source, self._rhythm.sight)
            self._audiences[window] = audience
            self._begin(self._serve(audience))
        self._audiences[window].admit(stream, is_current=seq <= self._seq)
        return stream

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself holds on to no task
        task.add_done_callback(self._tasks.discard)

    def _forget(self, stream: Stream) -> None:
        self._streams.discard(stream)
        for audience in self._audiences.values():
            audience.dismiss(stream)

    async def _serve(self, audience: Audience) -> None:
        try:
            await audience.follow()
        except Error as trouble:
            logger.warning("window %s cannot be read: %s", audience.window, trouble)
        finally:
            del self._audiences[audience.window]
            _end(audience.streams)

    async def _ask(self) -> None:
        """Ask for news, and who may still watch, until nobody watches."""
        clock = asyncio.get_running_loop().time
        checked = clock()
        try:
            while self._streams:
                news = await self._source.news(self._seq)
                self._seq = news.seq
                for audience in self._audiences.values():
                    if not news.windows.isdisjoint({audience.window, ABOUT_ALL}):
                        audience.tell(news.seq)
                if ABOUT_ALL in news.windows or clock() - checked >= self._rhythm.people:
                    checked = clock()
                    await self._end_those_who_may_not()
                await asyncio.sleep(self._rhythm.news)
        except Error as trouble:
            logger.warning("the database does not answer: %s", trouble)
        finally:
            self._is_asking = False
            _end(self._streams)

    async def _end_those_who_may_not(self) -> None:
        """End the streams of who signed out, or whose account was closed."""
        streams = tuple(self._streams)
        people = await self._source.signed_in({stream.session for stream in streams})
        _end(one for one in streams if people.get(one.session) != one.person)


def _end(streams: Iterable[Stream]) -> None:
    for stream in streams:
        stream.end()
