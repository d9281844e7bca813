"""One reading serves all who watch a window, and none of them misses what happened."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import pytest
from django.db import OperationalError

from scheduler.views import watching
from scheduler.views.watching import (
    ABOUT_ALL,
    PER_PERSON,
    News,
    NoRoom,
    Rhythm,
    Sight,
    Stream,
    TooManyStreams,
    Watching,
    message_of,
)
from tests.listening import Told, told_by
from tests.loops import run

QUICK = Rhythm(news=0.005, sight=60, people=60, still=60)


@dataclass
class FakeSource:
    """A log and windows whose board is a number; whoever has a session that is their name is in.

    Attributes:
        reads: the windows that were read, in order; asked: after which events news were asked for.
        trouble: what reading a window raises, by window; under 0 what asking for news does.
        gate: readings wait for it.
    """

    log: list[int | None] = field(default_factory=list)
    boards: dict[int, int] = field(default_factory=lambda: {1: 0, 2: 0})
    closed: set[int] = field(default_factory=set)
    out: set[str] = field(default_factory=set)
    reads: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    trouble: dict[int, Exception] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def happen(self, window: int | None) -> None:
        """Have something happen, which is logged."""
        if window is not None:
            self.boards[window] += 1
        self.log.append(window)

    async def news(self, since: int) -> News:
        """Return what was logged."""
        self.asked.append(since)
        if 0 in self.trouble:
            raise self.trouble[0]
        return News(len(self.log), frozenset(self.log[since:]))

    async def sight(self, window: int) -> Sight:
        """Return the number of a window as it was when the reading began."""
        self.reads.append(window)
        seen = self.boards[window]
        await self.gate.wait()
        if window in self.trouble:
            raise self.trouble[window]
        return Sight(f"board {seen}", f"aside {seen}", window in self.closed)

    async def signed_in(self, sessions: Collection[str]) -> Mapping[str, int]:
        """Return the sessions that were not ended."""
        return {one: int(one) for one in sessions if one not in self.out}


class Room:
    """Streams and what they come from."""

    def __init__(self, rhythm: Rhythm = QUICK) -> None:
        self.source = FakeSource()
        self.watching = Watching(self.source, rhythm)

    def watch(self, window: int = 1, person: int = 7) -> Stream:
        """Watch as somebody whose page is as new as the log."""
        seq = len(self.source.log)
        return self.watching.watch(window=window, person=person, session=str(person), seq=seq)


async def told(stream: Stream, name: str = "board") -> Told:
    """Return the next event of a kind, which may come along with others."""
    async for message in stream:
        for block in message.split(b"\n\n"):
            if (one := told_by(block)).name == name:
                return one
    raise EOFError


async def everything(stream: Stream) -> list[str]:
    """Return the names of all events until the stream ends."""
    blocks = [block async for message in stream for block in message.split(b"\n\n") if block]
    return [told_by(block).name for block in blocks]


async def eventually(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0)


def test_all_who_watch_a_window_are_sent_what_was_read_once() -> None:
    async def story() -> None:
        room = Room()
        streams = [room.watch(person=n) for n in range(300)]
        assert {(await told(one)).text for one in streams} == {"board 0"}
        room.source.happen(1)
        assert {(await told(one)).text for one in streams} == {"board 1"}
        assert room.source.reads == [1, 1]

    run(story())


def test_a_stream_begins_with_when_to_come_back_and_not_all_come_at_once() -> None:
    async def story() -> None:
        room = Room()
        first = {(await anext(room.watch(person=n))).decode() for n in range(50)}
        times = {int(one.removeprefix("retry: ").removesuffix("\n\n")) for one in first}
        assert len(times) > 25
        assert min(times) >= 2_000
        assert max(times) < 5_000

    run(story())


def test_what_happens_elsewhere_is_not_read() -> None:
    async def story() -> None:
        room = Room()
        one, other = room.watch(1), room.watch(2)
        await told(one)
        await told(other)
        room.source.happen(2)
        assert (await told(other)).text == "board 1"
        assert room.source.reads.count(1) == 1
        room.source.happen(ABOUT_ALL)
        assert (await told(one)).key == "2"
        assert room.source.reads.count(1) == 2

    run(story())


def test_who_is_slow_gets_the_newest_and_nothing_piles_up() -> None:
    async def story() -> None:
        room = Room()
        slow, quick = room.watch(person=1), room.watch(person=2)
        for n in range(5):
            assert (await told(quick)).text == f"board {n}"
            room.source.happen(1)
        assert (await told(quick)).text == "board 5"
        assert (await told(slow)).text == "board 5"

    run(story())


def test_what_happens_while_the_window_is_read_is_read_too() -> None:
    async def story() -> None:
        room = Room()
        stream = room.watch()
        room.source.gate.clear()
        await eventually(lambda: room.source.reads == [1])
        room.source.happen(1)
        await eventually(lambda: 1 in room.source.asked)
        room.source.gate.set()
        while (await told(stream)).text != "board 1":
            pass
        assert room.source.reads == [1, 1]

    run(story())


def test_who_comes_later_is_sent_what_is_there_unless_their_page_is_newer() -> None:
    async def story() -> None:
        room = Room(Rhythm(news=60, sight=60, people=60, still=60))  # hears of nothing
        await told(room.watch(person=1))
        assert (await told(room.watch(person=2))).text == "board 0"
        assert room.source.reads == [1]
        room.source.happen(1)
        assert (await told(room.watch(person=3))).text == "board 1"
        assert room.source.reads == [1, 1]

    run(story())


def test_minutes_pass_on_the_board_and_what_did_not_change_is_not_sent_again() -> None:
    async def story() -> None:
        room = Room(Rhythm(news=60, sight=0.005, people=60, still=60))
        stream = room.watch()
        await told(stream)
        await eventually(lambda: len(room.source.reads) > 5)
        room.source.boards[1] = 3
        after = await told(stream)
        assert (after.text, after.key) == ("board 3", "0")  # nothing happened

    run(story())


def test_a_stream_on_which_nothing_is_said_says_so() -> None:
    async def story() -> None:
        room = Room(Rhythm(news=60, sight=60, people=60, still=0.005))
        stream = room.watch()
        await told(stream)
        message = await anext(stream)
        assert message.startswith(b":")
        assert b"event: still" in message

    run(story())


def test_when_the_window_is_closed_the_last_board_comes_and_the_stream_ends() -> None:
    async def story() -> None:
        room = Room()
        stream = room.watch()
        await told(stream)
        room.source.closed.add(1)
        room.source.happen(1)
        assert await everything(stream) == ["bystander", "board", "closed"]
        late = room.watch()
        assert await everything(late) == ["", "bystander", "board", "closed"]

    run(story())


def test_whoever_may_not_any_more_is_let_go() -> None:
    async def story() -> None:
        room = Room(Rhythm(news=0.005, sight=60, people=0.02, still=60))
        ada, rae = room.watch(person=1), room.watch(person=2)
        await told(ada)
        await told(rae)
        room.source.out.add("1")
        assert await everything(ada) == []
        room.source.happen(1)
        assert (await told(rae)).text == "board 1"

    run(story())


def test_an_event_about_people_lets_them_go_at_once() -> None:
    async def story() -> None:
        room = Room()
        stream = room.watch(person=1)
        await told(stream)
        room.source.out.add("1")
        room.source.happen(ABOUT_ALL)
        assert "closed" not in await everything(stream)

    run(story())


def test_nobody_has_more_streams_than_one_may_have_and_leaving_makes_room() -> None:
    async def story() -> None:
        room = Room()
        streams = [room.watch(person=1, window=1 + n % 2) for n in range(PER_PERSON)]
        with pytest.raises(TooManyStreams):
            room.watch(person=1)
        room.watch(person=2)
        streams[0].close()
        room.watch(person=1)

    run(story())


def test_a_process_has_no_more_streams_than_it_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PER_PROCESS", 3)

    async def story() -> None:
        room = Room()
        streams = [room.watch(person=n) for n in range(3)]
        with pytest.raises(NoRoom):
            room.watch(person=9)
        streams[0].close()
        room.watch(person=9)

    run(story())


def test_when_nobody_watches_nothing_is_asked_and_it_begins_again() -> None:
    async def story() -> None:
        room = Room()
        others = len(asyncio.all_tasks())
        for _ in range(3):
            stream = room.watch()
            seen = await told(stream)
            room.source.happen(1)
            assert await told(stream) != seen
            stream.close()
            stream.close()  # twice does no harm
            await eventually(lambda: len(asyncio.all_tasks()) == others)

    run(story())


def test_who_comes_while_the_last_one_leaves_is_served() -> None:
    async def story() -> None:
        room = Room()
        for n in range(20):
            stream = room.watch(person=n)
            for _ in range(n % 5):
                await asyncio.sleep(0)
            stream.close()
            following = room.watch(person=100 + n)
            assert (await told(following)).text == f"board {n}"
            room.source.happen(1)
            assert (await told(following)).text == f"board {n + 1}"
            following.close()

    run(story())


def test_streams_end_with_the_database_and_begin_again_with_it() -> None:
    async def story() -> None:
        room = Room()
        one, other = room.watch(1), room.watch(2)
        await told(one)
        await told(other)
        room.source.trouble[0] = OperationalError("gone")
        assert await everything(one) == await everything(other) == []
        one.close()
        other.close()
        del room.source.trouble[0]
        again = room.watch(1)
        assert (await told(again)).text == "board 0"
        room.source.happen(1)
        assert (await told(again)).text == "board 1"

    run(story())


def test_a_window_that_cannot_be_read_takes_no_other_along() -> None:
    async def story() -> None:
        room = Room()
        one, other = room.watch(1), room.watch(2)
        await told(one)
        await told(other)
        room.source.trouble[1] = OperationalError("its row is locked")
        room.source.happen(1)
        assert await everything(one) == []
        room.source.happen(2)
        assert (await told(other)).text == "board 1"
        one.close()
        del room.source.trouble[1]
        assert (await told(room.watch(1))).text == "board 1"

    run(story())


TEXTS = [
    "",
    "one",
    "  two\n\nlines  \n",
    "a\r\nb\rc",
    "data: not a field\n\nevent: closed\ndata: -\n\n",
    ": \N{LINE SEPARATOR} \x0b \x85 snow\N{SNOWMAN}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_board_arrives_as_it_was_whatever_it_holds(text: str) -> None:
    message = message_of(Sight(text, "<p>aside</p>"), 12)
    events = [told_by(block) for block in message.removesuffix(b"\n\n").split(b"\n\n")]
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    assert events == [Told("bystander", "<p>aside</p>", ""), Told("board", lines, "12")]
