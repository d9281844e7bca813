"""Schemathesis asks every address what its description allows, and what it does not allow."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.utils import timezone
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig

from scheduler.api.openapi import document
from scheduler.domain.permissions import Scope
from scheduler.models import RunStep, User
from tests.driving import Drive
from tests.factories import make_train

CONFIG = SchemathesisConfig.from_dict(
    {
        "generation": {"allow-x00": False},
        "checks": {
            "positive_data_acceptance": {
                # What looks right may name a version that is not known, or come with an old key.
                "expected-statuses": ["2xx", "401", "403", "404", "409", "422"]
            }
        },
    }
)
API = schemathesis.openapi.from_dict(document(), config=CONFIG)
API.app = get_wsgi_application()

Case = schemathesis.Case[Any]

# The rows of one test are there for all its examples: each is about what the last one left.
bounded = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class World:
    """A train, and a window of which a step is under way.

    Attributes:
        tokens: what stands in the header, by the tag of what it is for.
        ids: what there is, by the tail of the address that is about it.
    """

    tokens: Mapping[str, str]
    ids: Mapping[str, int]


@pytest.fixture
def connection_stays_open() -> Iterator[None]:
    """Let requests end without the transaction of the test, as the test client does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def world(
    connection_stays_open: None, drive: Drive, bearer: Callable[..., str], dev: User, rel: User
) -> World:
    make_train(timezone.now())
    drive.start(1)
    return World(
        {"train": bearer(rel, Scope.TRAIN), "deployment": bearer(dev)},
        {"report": RunStep.objects.get(position=1).pk, "checklist": drive.window.pk},
    )


@API.parametrize()
@bounded
def test_with_a_token_it_answers_as_it_is_described(case: Case, world: World) -> None:
    asked = case.path_parameters.get("id")
    if isinstance(asked, int) and asked >= 0 and asked % 4:  # else there is no such thing, mostly
        case.path_parameters["id"] = world.ids[case.path.rpartition("/")[2]]
    token = world.tokens.get(case.operation.tags[0])
    case.call_and_validate(headers={"Authorization": token} if token else {})


@API.parametrize()
@bounded
def test_without_a_token_it_answers_as_it_is_described(case: Case, world: World) -> None:
    case.call_and_validate()
