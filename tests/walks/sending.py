"""A server that may die, and browsers that send a form again until it is answered."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from django.db import DatabaseError, transaction

from scheduler.domain.errors import Refused
from scheduler.models import User
from scheduler.services.idempotency import once

Deed = Callable[[], object]


class End(StrEnum):
    """How a server ends the first sending of a form; where it died, the form is sent again."""

    ANSWERED = "answered"
    DIED_BEFORE = "died before its commit"
    DIED_AFTER = "died after its commit"


@dataclass
class Tally:
    """What was done in all walks.

    Attributes:
        done, refused: how often each act was, by its name.
        deaths: how often the server died, by when.
    """

    walks: int = 0
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def counting(self, name: str) -> Iterator[None]:
        """Count an act as done or refused."""
        try:
            yield
        except Refused:
            self.refused[name] += 1
        else:
            self.done[name] += 1


@dataclass
class Sending:
    """A form that was sent, and where its answer led; "" while it was refused."""

    name: str
    by: User
    key: str
    deed: Deed
    answer: str = ""

    def post(self) -> str:
        """Send it as a view takes it: once for its key.

        Raises:
            Refused: the rules say no.
            AssertionError: nothing but the database did, which shows a page of an error.
        """

        def effect() -> str:
            self.deed()
            return f"/answers/{self.key}"

        try:
            return once(user=self.by, key=self.key, request_hash=self.name, effect=effect)
        except DatabaseError as error:
            raise AssertionError(f"Only the database refused to {self.name}: {error}") from error


@dataclass
class Server:
    """What takes the forms.

    Attributes:
        stored: reads all that it stores, to be compared.
        sent: every form, oldest first.
    """

    stored: Callable[[], object]
    tally: Tally
    sent: list[Sending] = field(default_factory=list)

    def send(self, name: str, by: User, deed: Deed, end: End = End.ANSWERED) -> bool:
        """Send a form with a new key until it is answered; return whether it was done."""
        sending = Sending(name, by, str(UUID(int=len(self.sent) + 1)), deed)
        self.sent.append(sending)
        if end is End.DIED_BEFORE:
            self._die_before(sending)
        with self.tally.counting(name):
            sending.answer = sending.post()
        if end is End.DIED_AFTER and sending.answer:
            self.send_again(sending)
        return bool(sending.answer)

    def _die_before(self, sending: Sending) -> None:
        before = self.stored()
        with suppress(Refused), transaction.atomic():
            sending.post()
            transaction.set_rollback(True)
            self.tally.deaths[End.DIED_BEFORE] += 1
        if self.stored() != before:
            raise AssertionError(f"A server that died before its commit did {sending.name}.")

    def send_again(self, sending: Sending) -> None:
        """Send a form again that was sent before, with its key."""
        if not sending.answer:
            with self.tally.counting(f"{sending.name} (again)"):
                sending.answer = sending.post()
            return
        before = self.stored()
        try:
            answer = sending.post()
        except Refused as refusal:
            raise AssertionError(f"{sending.name} was done, and refused: {refusal}") from refusal
        if answer != sending.answer:
            raise AssertionError(f"{sending.name} led to {sending.answer}, and to {answer}.")
        if self.stored() != before:
            raise AssertionError(f"A server that died after its commit did {sending.name} twice.")
        self.tally.deaths[End.DIED_AFTER] += 1
