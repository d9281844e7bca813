"""The train for programs: what is live is for everybody, what moves takes a token."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from scheduler.domain.permissions import Scope
from scheduler.models import ApiToken, Event, TrainVersion, User
from scheduler.services.tokens import make_token, revoke_token
from scheduler.services.train import hold_train
from tests.factories import make_train

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse

NEW = "1.47.0-wmf.31"
Send = Callable[..., "_MonkeyPatchedWSGIResponse"]


@pytest.fixture
def versions(db: None) -> tuple[TrainVersion, TrainVersion]:
    return make_train(timezone.now())


@pytest.fixture
def secret(rel: User) -> str:
    return make_token(owner=rel, by=rel, name="train bot", scope=Scope.TRAIN)


@pytest.fixture
def send(client: Client, secret: str) -> Send:
    """Send a JSON object with the token of Rel, and a key of its own."""

    def sent(address: str, body: object, **headers: str) -> "_MonkeyPatchedWSGIResponse":
        given = {"Authorization": f"Bearer {secret}", "Idempotency-Key": str(uuid4()), **headers}
        return client.post(
            f"/api/train/{address}",
            body if isinstance(body, str) else json.dumps(body),
            content_type="application/json",
            headers={name: value for name, value in given.items() if value},
        )

    return sent


def state(client: Client) -> Any:  # noqa: ANN401 - any JSON
    return client.get("/api/train").json()


def test_what_is_live_is_for_everybody(
    client: Client, versions: tuple[TrainVersion, TrainVersion], rel: User
) -> None:
    hold_train(version=versions[1], by=rel, reason="Logins fail: T4711")

    told = state(client)

    assert told["format"] == "swat-train/1"
    assert told["live"] == {"group0": NEW, "group1": "1.47.0-wmf.30", "group2": "1.47.0-wmf.30"}
    assert [one["version"] for one in told["versions"]] == ["1.47.0-wmf.30", NEW]
    assert told["holds"][0]["reason"] == "Logins fail: T4711"
    assert told["schedule"] == []


@pytest.mark.django_db
def test_an_empty_train_is_told_too(client: Client) -> None:
    assert state(client)["live"] == {}


@pytest.mark.parametrize(
    ("address", "body", "status", "why"),
    [
        ("holds", {"version": "\ud800", "reason": "x"}, 400, "signs in it that are no text"),
        ("holds", {"version": NEW, "reason": "a\x00b"}, 400, "signs in it that are no text"),
        ("holds", f'{{"version": "{NEW}", "version": "{NEW}"}}', 400, "version stands there twice"),
        *(
            (
                "versions",
                {"version": "1.47.0-wmf.32", "promotions": {"group0": at}},
                422,
                "is too far from the present",
            )
            for at in (
                "0001-01-01T00:00:00+14:00",
                "9999-12-31T23:59:59-12:00",
                "0001-01-01T00:00:00Z",
            )
        ),
        ("versions", {"version": "1.47.0-wmf.32", "cut": "9999-12-31T23:00:00Z"}, 422, "too far"),
    ],
)
def test_what_cannot_be_stored_is_refused(  # noqa: PLR0913, PLR0917 - the whole case
    send: Send,
    versions: tuple[TrainVersion, TrainVersion],
    address: str,
    body: object,
    status: int,
    why: str,
) -> None:
    answer = send(address, body)

    assert answer.status_code == status
    assert why in answer.json()["error"]
    assert not Event.objects.filter(kind__startswith="train.").exists()


def test_a_group_is_retired(
    client: Client, send: Send, versions: tuple[TrainVersion, TrainVersion]
) -> None:
    body = {"group": "group0", "reason": "It was renamed.", "state": state(client)["state"]}

    assert send("retirements", body).json()["done"] == "retire"

    assert "group0" not in state(client)["live"]
    stale = send("retirements", body | {"group": "group1"})
    assert stale.status_code == 409


@pytest.mark.django_db
def test_a_program_is_refused_in_json(client: Client) -> None:
    wrong, missing = client.post("/api/train"), client.get("/api/trains")
    assert (wrong.status_code, wrong["Allow"]) == (405, "GET, HEAD")
    assert wrong.json() == {"error": "This address takes something else."}
    assert missing.status_code == 404
    assert missing.json() == {"error": "There is nothing here."}


def test_a_bot_promotes_a_group_once(
    client: Client, versions: tuple[TrainVersion, TrainVersion], send: Send
) -> None:
    body = {"version": f"php-{NEW}", "group": "group1", "state": state(client)["state"]}
    key = {"Idempotency-Key": "promotion-1"}

    first, again = send("promotions", body, **key), send("promotions", body, **key)

    assert first.status_code == 200
    assert first.json()["done"] == "promote"
    assert again.json() == first.json()
    assert state(client)["live"]["group1"] == NEW
    (event,) = Event.objects.filter(kind="train.promote")
    assert event.actor_name == "rel"
    assert ApiToken.objects.get().last_used_at is not None


def test_a_key_is_for_one_thing(versions: tuple[TrainVersion, TrainVersion], send: Send) -> None:
    key = {"Idempotency-Key": "hold-it-1"}
    assert send("holds", {"version": NEW, "reason": "T1"}, **key).status_code == 200

    answer = send("holds", {"version": NEW, "reason": "T2"}, **key)

    assert answer.status_code == 422
    assert "other content" in answer.json()["error"]


def test_what_a_bot_read_before_the_train_moved_is_refused(
    client: Client, versions: tuple[TrainVersion, TrainVersion], send: Send
) -> None:
    old = state(client)["state"]
    assert send("holds", {"version": NEW, "reason": "T4711", "state": old}).status_code == 200
    for address, more in (
        ("resumptions", {}),
        ("promotions", {"group": "group1"}),
        ("rollbacks", {"group": "group1", "reason": "T4711"}),
    ):
        answer = send(address, {"version": NEW, "state": old, **more})
        assert answer.status_code == 409
        assert "The train moved" in answer.json()["error"]


def test_a_week_of_the_train_by_a_bot(
    client: Client, versions: tuple[TrainVersion, TrainVersion], send: Send
) -> None:
    name = "1.47.0-wmf.32"
    times = {"cut": "2026-11-10T03:00:00Z", "promotions": {"group0": "2026-11-10T20:00:00+00:00"}}
    steps: list[tuple[str, dict[str, object]]] = [
        ("versions", {"version": name, **times}),
        ("check-outs", {"version": name}),
        ("promotions", {"version": name, "group": "group0"}),
        ("holds", {"version": name, "reason": "T4711"}),
        ("rollbacks", {"version": NEW, "group": "group0", "reason": "T4711"}),
        ("resumptions", {"version": name}),
        ("removals", {"version": name}),
    ]
    for address, body in steps:
        answer = send(address, {**body, "state": state(client)["state"]})
        assert answer.status_code == 200, (address, answer.content)
    assert Event.objects.count() == len(steps) + 1  # and the token


def test_a_bot_sends_the_files_of_the_deploy_host(
    client: Client, versions: tuple[TrainVersion, TrainVersion], send: Send
) -> None:
    wikis = {"testwiki": f"php-{NEW}", "enwiki": NEW, "dewiki": "php-1.47.0-wmf.30"}
    groups = {"group0": ["testwiki"], "group1": ["enwiki"], "group2": ["enwiki", "dewiki"]}

    answer = send("wikiversions", {"wikiversions": wikis, "groups": groups})

    assert answer.json() == {"done": "import", "moved": 1, "mixed": ["group2"]}
    assert state(client)["live"]["group1"] == NEW


@pytest.mark.parametrize(
    ("address", "body", "headers", "status", "why"),
    [
        ("holds", {}, {"Authorization": ""}, 401, "Send a token"),
        ("holds", {}, {"Authorization": "Bearer nonsense"}, 401, "Send a token"),
        ("holds", {}, {"Authorization": "Basic cmVsOnJlbA=="}, 401, "Send a token"),
        ("holds", {}, {"Idempotency-Key": ""}, 422, "Idempotency-Key"),
        ("holds", {}, {"Idempotency-Key": "short"}, 422, "Idempotency-Key"),
        ("holds", "{", {}, 400, "JSON object"),
        ("holds", [], {}, 400, "JSON object"),
        ("holds", "[" * 100_000, {}, 400, "JSON object"),
        ("holds", "x" * 1_000_001, {}, 413, "too much"),
        ("holds", {"version": "master", "reason": "T4711"}, {}, 422, "No version is known"),
        ("holds", {"version": NEW, "reason": " "}, {}, 422, "reason must be a text"),
        ("holds", {"version": 7}, {}, 422, "version must be a text"),
        ("holds", {"version": NEW, "reason": "T1", "sate": "x"}, {}, 422, "sate is no key"),
        ("promotions", {"version": NEW, "group": "group1"}, {}, 422, "state is missing"),
        ("promotions", {"version": NEW, "group": "G <1>", "state": "x"}, {}, 422, "of a group"),
        ("versions", {"version": NEW, "cut": "2026-11-10 20:00"}, {}, 422, "with its zone"),
        ("versions", {"version": NEW, "cut": "2026-13-10T20:00:00Z"}, {}, 422, "with its zone"),
        ("versions", {"version": NEW, "promotions": []}, {}, 422, "promotions must be"),
        ("versions", {"version": "master"}, {}, 409, "is named like"),
        ("wikiversions", {}, {}, 422, "wikiversions is missing"),
        ("wikiversions", {"wikiversions": {"a": 1}, "groups": {}}, {}, 422, "a must be a text"),
        ("wikiversions", {"wikiversions": {"a": "1"}, "groups": {}}, {}, 422, "no version"),
    ],
)
def test_what_cannot_be_used_is_answered_with_a_sentence(  # noqa: PLR0913, PLR0917
    address: str,
    body: object,
    headers: dict[str, str],
    status: int,
    why: str,
    versions: tuple[TrainVersion, TrainVersion],
    send: Send,
) -> None:
    answer = send(address, body, **headers)

    assert answer.status_code == status
    assert why in answer.json()["error"]
    assert ("WWW-Authenticate" in answer) is (status == 401)
    assert not Event.objects.filter(kind__startswith="train.").exists()


def test_no_depth_is_too_much(versions: tuple[TrainVersion, TrainVersion], send: Send) -> None:
    """What is read without trouble may be too deep to be written again."""
    statuses = [
        send("holds", f'{{"version": {"[" * depth + "]" * depth}}}').status_code
        for depth in range(850, 1000)
    ]
    assert set(statuses) == {400, 422}


def test_a_reason_may_say_how_json_writes_nothing(
    client: Client, versions: tuple[TrainVersion, TrainVersion], send: Send
) -> None:
    assert send("holds", {"version": NEW, "reason": r"It logs \u0000."}).status_code == 200
    assert state(client)["holds"][0]["reason"] == r"It logs \u0000."
    assert send("holds", {"version": NEW, "reason": "It logs \\\x00."}).status_code == 400


def test_a_token_does_nothing_that_its_owner_may_not(
    client: Client, versions: tuple[TrainVersion, TrainVersion], rel: User, dev: User, send: Send
) -> None:
    of_dev = make_token(owner=dev, by=rel, name="train bot", scope=Scope.TRAIN)
    body = {"version": NEW, "reason": "T4711"}

    answer = send("holds", body, Authorization=f"Bearer {of_dev}")

    assert answer.status_code == 403
    assert "Only a release engineer may move the train" in answer.json()["error"]
    revoke_token(token=ApiToken.objects.get(owner=dev), by=rel)
    assert send("holds", body, Authorization=f"Bearer {of_dev}").status_code == 401
    assert client.get("/api/train/holds").status_code == 405
    assert client.get("/api/train/holds").json() == {"error": "Send a POST here."}
