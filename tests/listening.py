"""A browser's end of a stream, small enough to have three hundred of them."""

import asyncio
from dataclasses import dataclass
from typing import Self

from swat.embedded.ports import HOST

LONGEST = 2**20  # bytes of one event


@dataclass(frozen=True, slots=True)
class Told:
    """One event.

    Attributes:
        name: which kind; "" for one that has none, or a comment.
        text: its data.
        key: its id.
    """

    name: str
    text: str
    key: str


def told_by(block: bytes) -> Told:
    """Return the event that a block of lines is, read as the standard says."""
    fields: dict[str, list[str]] = {}
    for line in block.decode().rstrip("\n").split("\n"):
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    return Told(
        name="".join(fields.get("event", [])),
        text="\n".join(fields.get("data", [])),
        key="".join(fields.get("id", [])),
    )


class Listener:
    """An open stream, or what was answered instead of one.

    Attributes:
        status: of the answer; headers: of it, by their names in lower case.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}

    @classmethod
    async def at(cls, port: int, window: int, session: str = "", origin: str = "") -> Self:
        """Ask for the stream of a window."""
        reader, writer = await asyncio.open_connection(HOST, port, limit=LONGEST)
        # HTTP/1.0, so that what comes is not cut into chunks.
        lines = [f"GET /events/windows/{window} HTTP/1.0", f"Host: {HOST}:{port}"]
        lines += [f"Cookie: session={session}"] if session else []
        lines += [f"Origin: {origin}"] if origin else []
        writer.write("\r\n".join([*lines, "", ""]).encode())
        one = cls(reader, writer)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        one.status = int(head[0].split()[1])
        for line in filter(None, head[1:]):
            name, _, value = line.partition(": ")
            one.headers[name.lower()] = value
        return one

    async def block(self) -> bytes:
        """Return the next event as it came; nothing once the stream has ended."""
        try:
            return await self._reader.readuntil(b"\n\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def next(self, name: str) -> Told:
        """Return the next event of a kind.

        Raises:
            EOFError: the stream ended before.
        """
        while block := await self.block():
            if (told := told_by(block)).name == name:
                return told
        raise EOFError

    async def close(self) -> None:
        """Go away."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return  # the other end was faster
