"""Gerrit, over its REST API, as somebody who is not signed in.

Only the address in the settings is ever asked, and only over paths made here from numbers and
Change-Ids. Redirects are not followed and no proxy is taken from the environment.
"""

import asyncio
import ssl
from collections.abc import Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
from pydantic import TypeAdapter

from scheduler.adapters import gerrit_references
from scheduler.adapters.breaker import Breaker
from scheduler.adapters.gerrit_answers import (
    CHANGE,
    CHANGES,
    INCLUDED_IN,
    RELATED,
    SUBMITTED_TOGETHER,
    ChangeAnswer,
    read,
    read_patch,
    untrusted,
)
from scheduler.adapters.ports import (
    AdapterError,
    FetchedChange,
    ReviewSystem,
    Unreachable,
    preference,
)
from scheduler.domain.changes import Change, ChangeStatus, is_unread

LARGEST_ANSWER = 2_000_000  # bytes
MOST_CHANGES = 200  # around one change
MOST_MENTIONED = 5  # in the prose of one message
MENTION_SECONDS = 1.0  # what they may take
_CONNECTIONS = 8
_GRACE = 1.0  # seconds that ending may take after the deadline
_SERVER_ERRORS = 500

_OPTIONS = (
    *(("o", "CURRENT_REVISION"), ("o", "CURRENT_COMMIT"), ("o", "CURRENT_FILES")),
    *(("o", "DETAILED_LABELS"), ("o", "DETAILED_ACCOUNTS")),  # a query leaves them out otherwise
    ("o", "SUBMITTABLE"),
)

Result = TypeVar("Result")
Shape = TypeVar("Shape")


class Gerrit(ReviewSystem):
    """One Gerrit server.

    Args:
        url: where we ask it, such as `https://gerrit.example.org/r/`; empty for none.
        public_url: where people find it; the only addresses that `reference_of` reads.
        seconds: how long one fetch may take, everything included.
        breaker: stops asking for a while when nobody answers; one of its own if none is shared.
    """

    def __init__(
        self, url: str, public_url: str, *, seconds: float = 5.0, breaker: Breaker | None = None
    ) -> None:
        self._url = url and url.rstrip("/") + "/"
        self._public_url = public_url.rstrip("/") + "/"
        self._seconds = seconds
        self._breaker = breaker or Breaker("Gerrit")

    def reference_of(self, pasted: str) -> str:
        """Return the number or Change-Id that a pasted text names; asks nobody.

        Raises:
            Unreadable: it names no change of this server.
        """
        return gerrit_references.reference_of(pasted, self._public_url)

    def references_of(self, pasted: str) -> tuple[str, ...]:
        """Return what a pasted list of changes names, each once, in order; asks nobody.

        Raises:
            Unreadable: there is nothing, too much, or something that names no change of this
                server.
        """
        return gerrit_references.references_of(pasted, self._public_url)

    def fetch_change(self, reference: str) -> tuple[FetchedChange, ...]:
        """Return a change and everything that judging it takes, the change itself first.

        Diffs are fetched of the first and of what is open.

        Raises:
            AdapterError: Gerrit did not answer in time or did not do so lately, refused, does not
                know the change, or answered what cannot be trusted.
        """
        if not self._url:
            raise AdapterError("No review system is set up here (GERRIT_URL).", retryable=False)
        return self._breaker.call(lambda: self._fetched(reference))

    def _fetched(self, reference: str) -> tuple[FetchedChange, ...]:
        # A thread of its own: whoever calls may be running an event loop already, and must not
        # wait for a look-up of a name that hangs.
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gerrit")
        try:
            return pool.submit(asyncio.run, self._within_time(reference)).result(
                self._seconds + _GRACE
            )
        except TimeoutError as error:
            raise Unreachable(f"Gerrit did not answer within {self._seconds:g} seconds.") from error
        finally:
            pool.shutdown(wait=False)

    async def _within_time(self, reference: str) -> tuple[FetchedChange, ...]:
        async with (
            asyncio.timeout(self._seconds),
            httpx.AsyncClient(
                base_url=self._url,
                verify=_trusted_authorities(),
                trust_env=False,
                follow_redirects=False,
                timeout=self._seconds,
                limits=httpx.Limits(max_connections=_CONNECTIONS),
                # Nothing small can unfold into something large.
                headers={"Accept-Encoding": "identity", "User-Agent": "swat-scheduler"},
            ) as client,
        ):
            try:
                until = asyncio.get_running_loop().time() + self._seconds
                return await _Fetch(client, until).everything_about(reference)
            finally:
                await asyncio.sleep(0)  # lets connections that were given up close


@lru_cache(maxsize=1)
def _trusted_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


class _Fetch:
    """One fetch: what was found so far."""

    def __init__(self, client: httpx.AsyncClient, until: float) -> None:
        self._client = client
        self._until = until  # by the loop's clock
        self._answers: dict[int, ChangeAnswer] = {}
        self._changes: dict[int, Change] = {}
        self._families: dict[str, set[int]] = {}

    async def everything_about(self, reference: str) -> tuple[FetchedChange, ...]:
        new = await self._looked_up({reference})
        first = _the_one_meant(new, reference).number
        asked = {reference}
        while new:
            if len(self._changes) > MOST_CHANGES:
                raise AdapterError(
                    f"Change {first} hangs together with more than {MOST_CHANGES} others.",
                    retryable=False,
                )
            wanted = await self._named_by(new) - asked
            asked |= wanted
            new = await self._looked_up(wanted)
        self._check_families()
        rest = sorted(number for number in self._changes if number != first)
        told = await _all(self._completed(number, first) for number in (first, *rest))
        return *told, *await self._mentioned_by(self._changes[first], asked)

    async def _mentioned_by(self, change: Change, asked: set[str]) -> list[FetchedChange]:
        """Return what a message names in prose and is merged in master; nothing follows it.

        An earlier landing of another change is known by that (`reference/ordering.md`, A), and what
        rides the train is compared with it. It is a hint: where anything about it fails, or takes
        long, there is none.
        """
        named = [one for one in change.mentions if len(one) == len(change.key) and one not in asked]
        left = self._until - asyncio.get_running_loop().time() - _GRACE / 4
        try:
            async with asyncio.timeout(min(MENTION_SECONDS, left)):
                found = await self._looked_up(named[:MOST_MENTIONED])
                return await _all(
                    self._completed(one.number, one.number)
                    for one in found
                    if one.is_merged and one.is_on_main
                )
        except (AdapterError, TimeoutError):
            return []

    async def _looked_up(self, references: Iterable[str]) -> list[Change]:
        """Ask for all of these; return the changes that were not known before."""
        families = await _all(self._family(reference) for reference in sorted(references))
        new = []
        for answer in (answer for family in families for answer in family):
            known = self._answers.get(answer.number)
            if known is None:
                self._answers[answer.number] = answer
                self._changes[answer.number] = answer.to_change()
                new.append(self._changes[answer.number])
            elif known.change_id != answer.change_id:
                raise untrusted(f"change {answer.number} has two Change-Ids")
        return new

    async def _family(self, reference: str) -> list[ChangeAnswer]:
        """Return the change with a number, or all with a Change-Id; empty if there is none."""
        if not reference.startswith("I"):
            return await self._by_number(int(reference))
        query = urlencode((("q", f"change:{reference}"), *_OPTIONS))
        found = await self._told(f"changes/?{query}", CHANGES)
        if any(not answer.change_id.startswith(reference) for answer in found):
            raise untrusted(f"asked for {reference}, it names another change")
        if found and found[-1].more_changes:
            raise untrusted(f"it names only the first changes with {reference}")
        self._families[reference] = {answer.number for answer in found}
        return found

    async def _by_number(self, number: int) -> list[ChangeAnswer]:
        body = await self._body(f"changes/{number}/detail?{urlencode(_OPTIONS)}", missing=404)
        if body is None:
            return []
        answer = read(body, CHANGE)
        if answer.number != number:
            raise untrusted(f"asked for change {number}, it tells about {answer.number}")
        return [answer]

    async def _named_by(self, changes: Iterable[Change]) -> set[str]:
        """Find the chain below open changes; return every reference that leads further."""
        wanted: set[str] = set()
        looking = []
        for change in changes:
            wanted |= {change.key, *(one for one in change.depends_on if not is_unread(one))}
            if change.status is ChangeStatus.NEW:
                looking.append(change.number)
        parents = await _all(self._parent(number) for number in looking)
        for number, parent in zip(looking, parents, strict=True):
            if parent is not None:
                self._changes[number] = replace(self._changes[number], parent=parent)
                wanted.add(str(parent))
        return wanted

    async def _parent(self, number: int) -> int | None:
        sha = self._answers[number].current_revision
        related = await self._told(f"changes/{number}/revisions/{sha}/related", RELATED)
        return related.parent_of(number, sha)

    def _check_families(self) -> None:
        """Refuse where a Change-Id's own changes do not say the same.

        Raises:
            AdapterError: a change is missing among those with its Change-Id.
        """
        for number, change in self._changes.items():
            if number not in self._families.get(change.key, ()):
                raise AdapterError(
                    f"Gerrit does not list change {number} under its Change-Id (yet).",
                    retryable=True,
                )

    async def _completed(self, number: int, first: int) -> FetchedChange:
        """Return all of a change; the diff of what is over is read of the first one alone."""
        answer, change = self._answers[number], self._changes[number]
        if change.is_merged:
            included = await self._told(f"changes/{number}/in", INCLUDED_IN)
            change = replace(change, included_in=frozenset(included.branches))
        if number == first or change.status is ChangeStatus.NEW:
            change = replace(change, diff=await self._diff(change, answer.current_revision))
        together: tuple[int, ...] = ()
        if change.status is ChangeStatus.NEW:
            together = await self._merged_along(number)
        return FetchedChange(
            change, answer.revision.number, answer.current_revision, together, answer.submittable
        )

    async def _merged_along(self, number: int) -> tuple[int, ...]:
        path = f"changes/{number}/submitted_together?o=NON_VISIBLE_CHANGES"
        others = (await self._told(path, SUBMITTED_TOGETHER)).others(number)
        if len(others) > MOST_CHANGES:
            raise AdapterError(
                f"Change {number} would be merged together with more than {MOST_CHANGES} others.",
                retryable=False,
            )
        return others

    async def _diff(self, change: Change, sha: str) -> str:
        path = f"changes/{change.number}/revisions/{sha}/patch"
        body = await self._body(path, missing=409, cut=True)
        if body is None:
            return ""  # a merge has no one patch
        diff = read_patch(body, sha, cut=len(body) == LARGEST_ANSWER)
        if change.files and not diff:
            raise untrusted(f"the patch of change {change.number} lacks its files")
        return diff

    async def _told(self, path: str, shape: TypeAdapter[Shape]) -> Shape:
        body = await self._body(path)
        if body is None:
            raise untrusted("it is empty")
        return read(body, shape)

    async def _body(
        self, path: str, *, missing: int | None = None, cut: bool = False
    ) -> bytes | None:
        """Return the body of an answer.

        Args:
            path: below the server's address.
            missing: the status that says there is none; then None is returned.
            cut: end a longer answer where the limit is, rather than refuse it.

        Raises:
            AdapterError: no answer, one of another status, or one that is too long.
        """
        try:
            async with self._client.stream("GET", path) as response:
                if response.status_code == missing:
                    return None
                _check_status(response)
                body = bytearray()
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > LARGEST_ANSWER:
                        if cut:
                            return bytes(body[:LARGEST_ANSWER])
                        raise untrusted("it is longer than 2 MB")
                return bytes(body)
        except httpx.TransportError as error:
            raise Unreachable("Gerrit cannot be reached.") from error
        except httpx.HTTPError as error:
            raise untrusted("it is not proper HTTP") from error


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if status != httpx.codes.OK:
        sentence = f"Gerrit answered with status {status}."
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= _SERVER_ERRORS:
            raise Unreachable(sentence)  # too busy: asking on would make it worse
        # Not what it says of a change it does not know: something stands between us, and will go.
        raise AdapterError(sentence, retryable=status != httpx.codes.NOT_FOUND)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise untrusted("it is compressed, which was not asked for")


def _the_one_meant(found: Sequence[Change], reference: str) -> Change:
    if not found:
        raise AdapterError(f"Gerrit knows no change {reference}.", retryable=False)
    if len({change.key for change in found}) > 1:
        raise AdapterError(
            f"{reference} is the beginning of several Change-Ids: give more of it.",
            retryable=False,
        )
    return min(found, key=preference)


async def _all(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Return all results; where one fails, the others are ended before it is told."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
