"""The description of the API is about the addresses that there are, and about nothing else."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern

from scheduler.urls import urlpatterns

Described = Mapping[str, Any]

METHODS = ("get", "post", "put", "patch", "delete")
ERRORS = {"400", "401", "403", "404", "405", "409", "413", "422"}


@pytest.fixture
def document(client: Client, db: None) -> Described:
    answer = client.get("/api/openapi.json")
    assert answer.status_code == 200
    told: Described = answer.json()
    return told


def addresses() -> set[str]:
    """Return the addresses of the API that the URL conf has, as the document writes them."""
    routes = [str(one.pattern) for one in urlpatterns if isinstance(one, URLPattern)]
    assert len(routes) == len(urlpatterns)
    return {f"/{re.sub('<int:pk>', '{id}', one)}" for one in routes if one.startswith("api/")}


def test_it_describes_every_address_and_nothing_else(document: Described) -> None:
    assert set(document["paths"]) == addresses()


def test_it_describes_every_method_and_nothing_else(document: Described, client: Client) -> None:
    for path, described in document["paths"].items():
        address = path.replace("{id}", "1")
        taken = {
            method for method in METHODS if getattr(client, method)(address).status_code != 405
        }
        assert taken == set(described), path


def test_every_refusal_is_one_sentence(document: Described) -> None:
    schema = {"$ref": "#/components/schemas/Error"}
    described = [one for some in document["paths"].values() for one in some.values()]
    for one in described:
        for status, answer in one["responses"].items():
            assert status == "200" or answer["content"]["application/json"]["schema"] == schema
    assert {status for one in described for status in one["responses"]} == {"200", *ERRORS}
    assert document["components"]["schemas"]["Error"]["required"] == ["error"]


def test_what_acts_takes_a_token_and_a_key(document: Described) -> None:
    for path, described in document["paths"].items():
        names = {
            one["name"]: one["required"] for one in described.get("post", {}).get("parameters", ())
        }
        assert ("post" in described) is names.get("Idempotency-Key", False), path
        if "post" in described:
            assert described["post"]["security"] == [{"token": []}]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_it_is_whole(document: Described) -> None:
    """Every schema that it points to is in it, and every one in it is pointed to."""
    pointed = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert pointed == set(document["components"]["schemas"])
    names = [one["operationId"] for some in document["paths"].values() for one in some.values()]
    assert len(names) == len(set(names))
