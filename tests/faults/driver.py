"""Dev and Ada deploy a window through its page, as htmx sends its forms."""

import re
import time
from dataclasses import dataclass

import httpx

from tests.faults.forms import TYPED, Form, forms_in
from tests.faults.visitor import Sending, Visitor

_START = re.compile(r"/deploy/\d+/start\Z")
_TICK = re.compile(r"/deploy/(\d+)/items/(\d+)\Z")
_CHOOSE = re.compile(r"/deploy/\d+/choose\Z")
_CLOSE = re.compile(r"/deploy/close\Z")
DONE = "is-done"  # stands in a page or board once for each item that is done


@dataclass(frozen=True, slots=True)
class Ticked:
    """An item that was done.

    Attributes:
        done: how many are, with it.
        sent: when the form was sent, by the clock that never goes back.
        took: seconds until the page was there that answered it.
    """

    done: int
    sent: float
    took: float


@dataclass(frozen=True, slots=True)
class Turn:
    """An item that is to be done, and the form that says that it was.

    Attributes:
        by: whose turn it is.
        position: its step.
        item: its key.
    """

    by: Visitor
    sending: Sending
    position: int
    item: int


class Driver:
    """Both of them."""

    def __init__(self, dev: Visitor, ada: Visitor, window: int) -> None:
        """Take who drives and who verifies."""
        self.people = (dev, ada)
        self.address = f"/windows/{window}/deploy"

    def turn(self) -> Turn:
        """Return the next item, whoever's turn it is; a step is started if none is under way."""
        for person in self.people:
            page = person.read(self.address).text
            if form := _form(page, _START):
                page = self._send(person, form).text
            if (form := _form(page, _TICK)) and (place := _TICK.search(form.action)):
                sending = Sending(form.action, form.filled(), by_htmx=True)
                return Turn(person, sending, int(place[1]), int(place[2]))
        raise AssertionError("It is nobody's turn.")

    def tick(self) -> Ticked:
        """Do the next item."""
        turn = self.turn()
        sent = time.monotonic()
        answer = done(turn.by.send(turn.sending))
        return Ticked(answer.text.count(DONE), sent, time.monotonic() - sent)

    def revert(self, position: int) -> None:
        """Say that a step broke after it was done, and choose to take it back."""
        failing = re.compile(rf"/deploy/{position}/fail\Z")
        self._press(failing)
        self._press(_CHOOSE, choice="revert")

    def close(self) -> str:
        """Close the window, whatever is left of it; return the page that says so."""
        return self._press(_CLOSE, reason=TYPED).text

    def _press(self, action: re.Pattern[str], **typed: str) -> httpx.Response:
        """Send a form that Dev's page has."""
        dev = self.people[0]
        form = _form(dev.read(self.address).text, action)
        assert form, f"There is no form to {action.pattern} on Dev's page."
        return self._send(dev, form, **typed)

    @staticmethod
    def _send(person: Visitor, form: Form, **typed: str) -> httpx.Response:
        return done(person.send(Sending(form.action, form.filled(**typed), by_htmx=True)))


def done(answer: httpx.Response) -> httpx.Response:
    """Return an answer that says that something was done.

    Raises:
        AssertionError: it says something else.
    """
    assert answer.status_code == httpx.codes.OK, f"{answer.status_code}: {answer.text[:2000]}"
    return answer


def _form(page: str, action: re.Pattern[str]) -> Form | None:
    return next((form for form in forms_in(page) if action.search(form.action)), None)
