"""A window that Dev drives and that has begun, and programs that send with somebody's token."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from scheduler.domain.permissions import Scope
from scheduler.models import User, Window
from scheduler.services.tokens import make_token
from tests.driving import Drive, lock
from tests.factories import approve, fetched, make_backport, make_window

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse

Send = Callable[..., "_MonkeyPatchedWSGIResponse"]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def locked(ada: User, rae: User, dev: User) -> Window:
    """A window that began five minutes ago: 1, then 2 which needs it, then 3 which Sam tests."""
    start = timezone.now() - 5 * MINUTE
    window = make_window(start=start, end=start + 60 * MINUTE)
    for number in (1, 2, 3):
        needs = f"\n\nDepends-On: I{1:040x}" if number == 2 else ""
        change = fetched(number, message=f"Change\n{needs}\nChange-Id: I{number:040x}")
        tester = "Sam" if number == 3 else "ada"
        approve(make_backport(window, ada, change, tester=tester), rae)
    return lock(window, dev)


@pytest.fixture
def drive(locked: Window, dev: User) -> Drive:
    return Drive(locked, dev).take().begin()


@pytest.fixture
def bearer(rel: User) -> Callable[..., str]:
    """Make a token for somebody; return what stands in the header."""

    def made(owner: User, scope: Scope = Scope.DEPLOY, name: str = "bot") -> str:
        return f"Bearer {make_token(owner=owner, by=rel, name=name, scope=scope)}"

    return made


@pytest.fixture
def send(client: Client) -> Send:
    """Send a JSON object with a token, and a key of its own."""

    def sent(
        address: str, body: object, authorization: str, **headers: str
    ) -> "_MonkeyPatchedWSGIResponse":
        given = {"Authorization": authorization, "Idempotency-Key": str(uuid4()), **headers}
        return client.post(
            address,
            body if isinstance(body, str) else json.dumps(body),
            content_type="application/json",
            headers=given,
        )

    return sent
