"""How far a window is, as programs read it."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scheduler.domain.checklist.run import Choice
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.permissions import Scope
from scheduler.models import User, Window
from scheduler.services.tokens import make_token
from tests.driving import Drive
from tests.factories import make_train, make_window

Bearer = Callable[..., str]
Read = Callable[..., Mapping[str, Any]]


@pytest.fixture
def read(client: Client, bearer: Bearer, dev: User) -> Read:
    """Read the checklist of a window with Dev's token, or somebody else's."""
    token = bearer(dev)

    def told(window: Window, *, token: str = token) -> Mapping[str, Any]:
        answer = client.get(f"/api/windows/{window.pk}/checklist", headers={"Authorization": token})
        assert answer.status_code == 200, answer.content
        read: Mapping[str, Any] = answer.json()
        return read

    return told


def sentences(told: Mapping[str, Any]) -> dict[str, str]:
    return {one["person"]: one["sentence"] for one in told["people"]}


def test_before_it_has_begun_nothing_has_a_number(locked: Window, read: Read) -> None:
    told = read(locked)

    assert (told["format"], told["driver"], told["lease"]) == ("swat-checklist/1", None, None)
    assert (told["begun"], told["closed"], told["live"]) == (None, None, [])
    assert told["window"]["id"] == locked.pk
    assert told["now"] == {"sentence": "Take the wheel: nobody drives this window", "mine": True}
    assert [step["changes"] for step in told["steps"]] == [[1], [2], [3]]
    assert {step[name] for step in told["steps"] for name in ("id", "turn", "outcome")} == {None}
    assert {item["id"] for step in told["steps"] for item in step["items"]} == {None}
    merge = told["steps"][0]["items"][0]
    assert (merge["kind"], merge["command"]) == ("merge", "scap backport 1")


def test_it_tells_how_far_it_is(drive: Drive, read: Read) -> None:
    drive.deploy(1)
    drive.start(2)
    drive.tick(2, ItemKind.MERGE, proof="https://gerrit.example.org/2")

    told = read(drive.window)

    assert (told["driver"], told["lease"], told["live"]) == ("dev", drive.lease, [1])
    assert told["begun"].endswith("Z")
    assert told["versions"] == [{"branch": "", "groups": [], "changes": [1]}]
    first, second, third = told["steps"]
    assert (first["phase"], first["outcome"], first["blocked"]) == ("ended", "deployed", None)
    assert (second["phase"], second["outcome"], second["turn"]) == ("going", None, 2)
    assert third["phase"] == "waiting"
    merge, test = second["items"][:2]
    assert (merge["by"], merge["lease"], merge["by_api"]) == ("dev", drive.lease, False)
    assert merge["proof"] == "https://gerrit.example.org/2"
    assert (test["done"], test["by"], test["proof"]) == (None, None, None)


def test_everybody_reads_their_own_sentence(
    drive: Drive, read: Read, bearer: Bearer, ada: User, sam: User
) -> None:
    drive.start(1)
    drive.until(1, ItemKind.VERIFY)

    told = read(drive.window, token=bearer(ada))

    assert told["now"] == {"sentence": "Verify 1 on the test servers now, 3 min", "mine": True}
    assert sentences(told) == {
        "dev": "Wait: ada is at “verify” of 1 (3 min)",
        "ada": told["now"]["sentence"],
        "Sam": "Wait: ada is at “verify” of 1 (3 min)",
    }


def test_a_tester_without_an_account_is_told_too(drive: Drive, read: Read) -> None:
    drive.deploy(1, 2)

    assert sentences(read(drive.window))["Sam"].startswith("Be ready to verify 3: it is next")


def test_why_a_step_cannot_start_and_why_another_ended(drive: Drive, read: Read) -> None:
    drive.start(1)
    drive.until(1, ItemKind.SYNC)
    drive.fail(1)
    drive.choose(1, Choice.REVERT, "It broke the site.")
    drive.finish(1)

    first, second, third = read(drive.window)["steps"]

    assert (first["outcome"], first["reason"]) == ("reverted", "It broke the site.")
    assert second["blocked"] == "It needs 1, which was reverted."
    assert third["blocked"] is None


def test_each_version_tells_what_it_has(drive: Drive, read: Read) -> None:
    make_train(timezone.now())
    drive.deploy(1)

    told = read(drive.window)

    assert told["versions"] == [
        {"branch": "wmf/1.47.0-wmf.30", "groups": ["group1", "group2"], "changes": [1]},
        {"branch": "wmf/1.47.0-wmf.31", "groups": ["group0"], "changes": [1]},
    ]


def test_a_closed_window_and_one_that_was_never_planned_are_told(drive: Drive, read: Read) -> None:
    drive.deploy(1)
    drive.close("Late.")
    told = read(drive.window)
    assert told["closed"] is not None
    assert told["now"]["sentence"] == "The window is closed: nothing is left to do"
    assert [step["outcome"] for step in told["steps"]] == ["deployed", "missed", "missed"]

    empty = read(make_window(in_hours=30))

    assert (empty["steps"], empty["people"], empty["driver"]) == ([], [], None)


def test_who_is_signed_in_reads_it_too(drive: Drive, client: Client, sam: User) -> None:
    client.force_login(sam)

    told = client.get(f"/api/windows/{drive.window.pk}/checklist").json()

    assert told["now"]["mine"] is False


def test_nobody_else_reads_it(
    drive: Drive, client: Client, bearer: Bearer, rel: User, sam: User
) -> None:
    address = f"/api/windows/{drive.window.pk}/checklist"
    unknown = client.get(address)
    assert (unknown.status_code, list(unknown.json())) == (401, ["error"])
    assert unknown["WWW-Authenticate"].startswith("Bearer")
    of_train = client.get(address, headers={"Authorization": bearer(rel, Scope.TRAIN)})
    assert of_train.status_code == 403
    client.force_login(sam)
    for wrong in ("Bearer swat_nonsense", "Basic cmVsOnJlbA==", ""):
        assert client.get(address, headers={"Authorization": wrong}).status_code == 401
    assert client.get("/api/windows/987654/checklist").status_code == 404
    assert client.get("/api/windows/987654/checklist").json() == {
        "error": "There is no such window."
    }


def test_a_longer_queue_takes_no_more_queries(
    drive: Drive, client: Client, rel: User, sam: User
) -> None:
    """But for its people: a little for each of them."""
    secret = make_token(owner=sam, by=rel, name="bot", scope=Scope.DEPLOY)
    address = f"/api/windows/{drive.window.pk}/checklist"
    headers = {"Authorization": f"Bearer {secret}"}
    client.get(address, headers=headers)

    with CaptureQueriesContext(connection) as before:
        client.get(address, headers=headers)
    drive.deploy(1, 2)
    with CaptureQueriesContext(connection) as after:
        client.get(address, headers=headers)

    assert len(after) <= len(before)
    assert len(before) < 45
