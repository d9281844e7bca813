"""What the API is, for programs that read descriptions: every address, as OpenAPI 3.1.

Bodies and answers are described by the models that read and write them, so that they cannot differ;
`tests/api` compares the addresses with those that there are, and asks each what is described here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from scheduler.api import calendar, checklist, steps, train
from scheduler.api.http import (
    FORBIDDEN,
    KEY,
    MISSING,
    NO_TOKEN,
    OUT_OF_DATE,
    TOO_LARGE,
    UNREADABLE,
    UNUSABLE,
    WRONG_METHOD,
    Told,
    only_read,
)

Document = dict[str, Any]
Use = tuple[type[BaseModel], JsonSchemaMode]
Contents = Mapping[Use, Document]

_SENT: JsonSchemaMode = "validation"
_TOLD: JsonSchemaMode = "serialization"
_JSON = "application/json"
_TOKEN: Document = {"token": []}
_SESSION: Document = {"session": []}
_ID: Document = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "integer", "minimum": 0},
}
_KEY_HEADER: Document = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Made for this one report; the same key and body are answered as before.",
    "schema": {"type": "string", "pattern": KEY},
}
_AT: Document = {
    "name": "at",
    "in": "query",
    "description": "The moment that is asked about, with its zone; now where it is left out.",
    "schema": {"type": "string", "format": "date-time", "pattern": "^20[0-9]{2}-"},
    "example": "2026-12-01T21:30:00Z",
}


class Error(Told):
    """Why not, in one sentence."""

    error: str


class Description(BaseModel):
    """An OpenAPI document."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: dict[str, object]
    paths: dict[str, object]


_REFUSALS: Mapping[int, str] = {
    UNREADABLE: "It cannot be read.",
    NO_TOKEN: "No token that is in force came with it.",
    FORBIDDEN: "The token is for something else, or its owner may not.",
    MISSING: "There is nothing of that number.",
    WRONG_METHOD: "This address takes another method.",
    OUT_OF_DATE: "The rules say no, or something changed meanwhile. Nothing was done.",
    TOO_LARGE: "It is too much at once.",
    UNUSABLE: "It can be read, and not be used.",
}
_HEADERS: Mapping[int, str] = {NO_TOKEN: "WWW-Authenticate", WRONG_METHOD: "Allow"}
_ACTING = frozenset(_REFUSALS) - {MISSING}


@dataclass(frozen=True, slots=True)
class Operation:
    """One address, and what is asked of it.

    Attributes:
        body: what is sent to it; None where it is only read.
        refusals: the statuses that say why not.
        security: any one of these has to come with it; none for everybody.
    """

    path: str
    name: str
    tag: str
    summary: str
    answer: type[BaseModel]
    body: type[BaseModel] | None = None
    parameters: tuple[Document, ...] = ()
    refusals: frozenset[int] = frozenset({UNREADABLE, WRONG_METHOD})
    security: tuple[Document, ...] = ()


def _of_train(
    slug: str, summary: str, body: type[BaseModel], answer: type[BaseModel] = train.Noted
) -> Operation:
    return Operation(
        f"/api/train/{slug}",
        f"train-{slug}",
        "train",
        summary,
        answer,
        body,
        (_KEY_HEADER,),
        _ACTING,
        (_TOKEN,),
    )


OPERATIONS = (
    Operation(
        "/api/openapi.json", "openapi", "about", "What the API is: this document.", Description
    ),
    Operation(
        "/api/calendar/state",
        "calendar-state",
        "calendar",
        "Whether backports may go out at a moment, why, and when that changes.",
        calendar.StateTold,
        parameters=(_AT,),
    ),
    Operation(
        "/api/windows/{id}/checklist",
        "checklist",
        "deployment",
        "How far a window is: who drives, what is live, each step and its items.",
        checklist.ChecklistTold,
        parameters=(_ID,),
        refusals=frozenset({UNREADABLE, NO_TOKEN, FORBIDDEN, MISSING, WRONG_METHOD}),
        security=(_TOKEN, _SESSION),
    ),
    Operation(
        "/api/steps/{id}/report",
        "step-report",
        "deployment",
        "Say that a step is merged, on the test servers, synced or reverted, or that it failed.",
        steps.ReportTold,
        steps.Reported,
        (_ID, _KEY_HEADER),
        _ACTING | {MISSING},
        (_TOKEN,),
    ),
    Operation(
        "/api/train", "train", "train", "What is live where, and what is to come.", train.TrainTold
    ),
    _of_train("versions", "Add a version, or change what is planned for it.", train.Planned),
    _of_train("promotions", "A group moved to a version.", train.Promoted, train.Moved),
    _of_train("rollbacks", "A group moved back to one.", train.RolledBack, train.Moved),
    _of_train("retirements", "There is no such group any more.", train.Retired, train.Moved),
    _of_train("holds", "Hold the train at a version.", train.Held),
    _of_train("resumptions", "Let the train go on from a version.", train.OfVersion),
    _of_train("check-outs", "A version is on the deploy host.", train.OfVersion),
    _of_train("removals", "A version has left the deploy host.", train.OfVersion),
    _of_train("wikiversions", "Read the files of the deploy host.", train.Files, train.Imported),
)


@only_read
def openapi(_request: HttpRequest) -> HttpResponse:
    """Answer with the description of the API: to everybody."""
    return JsonResponse(document())


@cache
def document() -> Document:
    """Return the description of the API."""
    used: dict[Use, None] = {(Error, _TOLD): None}
    for one in OPERATIONS:
        used[one.answer, _TOLD] = None
        if one.body is not None:
            used[one.body, _SENT] = None
    found, schemas = models_json_schema(
        list(used), ref_template="#/components/schemas/{model}", schema_generator=_Untitled
    )
    contents = {use: found[use] for use in used}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "SWAT window scheduler",
            "version": "1",
            "description": (
                "Whether backports may go out, what is live where, and how far a window is; and "
                "what bots and scripts say about both. `error` says why not, in one sentence."
            ),
        },
        "servers": [{"url": "/"}],
        "paths": {one.path: _described(one, contents) for one in OPERATIONS},
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of the right scope: a release engineer makes it.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": settings.SESSION_COOKIE_NAME,
                    "description": "Of somebody who is signed in.",
                },
            },
        },
    }


class _Untitled(GenerateJsonSchema):
    """Schemas without a title that only repeats a name."""

    def field_title_should_be_set(self, schema: object) -> bool:
        """Return that it should not."""
        return False


def _described(one: Operation, contents: Contents) -> Document:
    told: Document = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        "security": list(one.security),
        "parameters": list(one.parameters),
        "responses": {
            "200": {
                "description": "What was asked for.",
                "content": {_JSON: {"schema": contents[one.answer, _TOLD]}},
            },
            **{str(status): _refused(status, contents) for status in sorted(one.refusals)},
        },
    }
    if one.body is None:
        return {"get": told}
    content = {_JSON: {"schema": contents[one.body, _SENT]}}
    return {"post": {**told, "requestBody": {"required": True, "content": content}}}


def _refused(status: int, contents: Contents) -> Document:
    told: Document = {
        "description": _REFUSALS[status],
        "content": {_JSON: {"schema": contents[Error, _TOLD]}},
    }
    if status in _HEADERS:
        told["headers"] = {_HEADERS[status]: {"required": True, "schema": {"type": "string"}}}
    return told
