"""One of the cast with a browser of their own, who sends a form again if no answer comes."""

import re
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self
from uuid import uuid4

import httpx

from tests.faults.forms import form_to

PATIENCE = 20.0  # seconds for one answer; the connection of a worker that is killed ends at once
PERSISTENCE = 45.0  # seconds for the last of the attempts to begin
FOUND, BUSY = 302, 409
_BACKPORT = re.compile(r"/backports/(\d+)\Z")


@dataclass(frozen=True)
class Sending:
    """A form filled in and ready: sent twice, it is the same request with the same key.

    Attributes:
        address: where it leads to.
        data: what is sent.
        by_htmx: whether a page's script sends it, which is answered with a part of the page.
    """

    address: str
    data: dict[str, list[str]]
    by_htmx: bool = False

    def with_new_key(self) -> "Sending":
        """Return the same as another request, as a form without keys would be."""
        return replace(self, data={**self.data, "key": [str(uuid4())]})


class Visitor:
    """Somebody who is signed in, for the length of a `with` block."""

    def __init__(self, url: str, name: str) -> None:
        """Sign in as one of the cast, by one click."""
        # No connection is kept: one that died did so while it carried a request.
        self.http = httpx.Client(
            base_url=url, timeout=PATIENCE, limits=httpx.Limits(max_keepalive_connections=0)
        )
        form = form_to(self.read("/sign-in").text, "/demo-sign-in")
        answer, _ = self.send_until_answered(Sending(form.action, form.filled(username=name)))
        assert answer.status_code == FOUND

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()

    def read(self, address: str) -> httpx.Response:
        """Read a page, again until it comes."""
        limit = time.monotonic() + PERSISTENCE
        while True:
            try:
                return self.http.get(address)
            except httpx.TransportError:
                if time.monotonic() > limit:
                    raise

    def booking(self, change: int, window: int) -> Sending:
        """Open the form for a backport and fill it in."""
        page = self.read(f"/backports/new?window={window}")
        return self._filled(page, "/backports/new", change=str(change))

    def approval(self, backport: int) -> Sending:
        """Open a backport and make ready to approve it."""
        page = self.read(f"/backports/{backport}")
        return self._filled(page, f"/backports/{backport}/approve")

    def withdrawal(self, backport: int) -> Sending:
        """Open a backport and make ready to withdraw it."""
        page = self.read(f"/backports/{backport}")
        return self._filled(page, f"/backports/{backport}/withdraw")

    @staticmethod
    def _filled(page: httpx.Response, address: str, **typed: str) -> Sending:
        assert page.status_code == httpx.codes.OK, f"{page.status_code}: {page.text[:2000]}"
        return Sending(address, form_to(page.text, address).filled(**typed))

    def send(self, sending: Sending, *, fault: str = "") -> httpx.Response:
        """Send a form once, perhaps naming a point at which the server is to die.

        Raises:
            httpx.TransportError: no answer came.
        """
        headers = {"X-Fault": fault} if fault else {}
        headers |= {"HX-Request": "true"} if sending.by_htmx else {}
        return self.http.post(sending.address, data=sending.data, headers=headers)

    def send_until_answered(self, sending: Sending) -> tuple[httpx.Response, int]:
        """Send a form, the same each time, until an answer comes that says what happened.

        Returns:
            The answer, and how many times none came.
        """
        limit = time.monotonic() + PERSISTENCE
        deaths = 0
        while True:
            try:
                answer = self.send(sending)
            except httpx.TransportError:
                deaths += 1
                if time.monotonic() > limit:
                    raise
                continue
            busy = answer.status_code == BUSY and "Nothing was saved; try again" in answer.text
            if not busy or time.monotonic() > limit:
                return answer, deaths


def backport_in(answer: httpx.Response) -> int:
    """Return the backport that an answer leads to."""
    assert answer.status_code == FOUND, f"{answer.status_code}: {answer.text[:2000]}"
    found = _BACKPORT.search(answer.headers["Location"])
    assert found, answer.headers["Location"]
    return int(found[1])
