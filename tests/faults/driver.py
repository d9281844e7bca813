"""Dev and Ada deploy a window through its page, as htmx sends its forms."""

import re
import time
from dataclasses import dataclass

import httpx

from tests.faults.forms import Form, forms_in
from tests.faults.visitor import Visitor

_START = re.compile(r"/deploy/\d+/start\Z")
_TICK = re.compile(r"/deploy/\d+/items/\d+\Z")
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


class Driver:
    """Both of them."""

    def __init__(self, dev: Visitor, ada: Visitor, window: int) -> None:
        """Take who drives and who verifies."""
        self.people = (dev, ada)
        self.address = f"/windows/{window}/deploy"

    def tick(self) -> Ticked:
        """Do the next item, whoever's turn it is; a step is started first if none is under way."""
        for person in self.people:
            page = person.read(self.address).text
            if form := _form(page, _START):
                page = self._send(person, form).text
            if form := _form(page, _TICK):
                sent = time.monotonic()
                answer = self._send(person, form)
                return Ticked(answer.text.count(DONE), sent, time.monotonic() - sent)
        raise AssertionError("It is nobody's turn.")

    def _send(self, person: Visitor, form: Form) -> httpx.Response:
        answer = person.http.post(form.action, data=form.filled(), headers={"HX-Request": "true"})
        assert answer.status_code == httpx.codes.OK, f"{answer.status_code}: {answer.text[:2000]}"
        return answer


def _form(page: str, action: re.Pattern[str]) -> Form | None:
    return next((form for form in forms_in(page) if action.search(form.action)), None)
