"""What every address of the API shares: tokens, one effect for each key, refusals as JSON."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from pydantic import (
    BaseModel,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)

from scheduler.adapters.cleaning import shortened, visible_line
from scheduler.adapters.plan_document import time_text
from scheduler.adapters.wikiversions import TwiceNamed, once_each
from scheduler.domain.errors import NotPermitted, Refused
from scheduler.domain.permissions import Act, Scope, require_scope
from scheduler.models import ApiToken, User
from scheduler.services.idempotency import KeyReused, once
from scheduler.services.tokens import token_of

UNREADABLE, NO_TOKEN, FORBIDDEN, MISSING, WRONG_METHOD = 400, 401, 403, 404, 405
OUT_OF_DATE, TOO_LARGE, UNUSABLE = 409, 413, 422
LARGEST_BODY = 1_000_000  # bytes; wikiversions.json of a thousand wikis has 50,000
KEY = r"^[A-Za-z0-9_.:-]{8,60}$"  # of an Idempotency-Key

_KEY = re.compile(KEY.removesuffix("$"), re.ASCII)
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it; a backslash is two of them
_LONGEST_PLACE = 60  # characters of what is said to be wrong

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Moment = Annotated[
    datetime,
    PlainSerializer(time_text, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]


class Sent(BaseModel):
    """An object that a program sends: no key that is not known, every value of its own type."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


class Told(BaseModel):
    """An object that a program is answered: null where there is nothing to say."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_serialization_defaults_required=True,
        use_attribute_docstrings=True,
    )


AnySent = TypeVar("AnySent", bound=Sent)
View = TypeVar("View", bound=Callable[..., HttpResponse])


class NotUsable(Exception):
    """What was sent cannot be used.

    Attributes:
        status: what it is answered with.
    """

    def __init__(self, sentence: str, status: int = UNUSABLE) -> None:
        super().__init__(sentence)
        self.status = status


def refusal(sentence: str, status: int) -> JsonResponse:
    """Answer with the sentence that says why not."""
    answer = JsonResponse({"error": sentence}, status=status)
    if status == NO_TOKEN:
        answer["WWW-Authenticate"] = 'Bearer realm="swat"'
    return answer


def only_read(view: View) -> View:
    """Return a view that is only read, and says itself who may; it needs no cookie."""
    return csrf_exempt(login_not_required(require_safe(view)))


def act(
    request: HttpRequest,
    act: Act,
    model: type[AnySent],
    effect: Callable[[User, AnySent], Told],
) -> JsonResponse:
    """Do what a program asks with a token, once for its key, and answer as the first time.

    401 is a token that opens nothing, 403 an owner or a token that may not, 409 what the rules
    refuse, 422 what cannot be used. All say so in `error`, one sentence.

    Args:
        request: a POST with a JSON object, `Authorization: Bearer …` and `Idempotency-Key: …`.
        act: what the token has to be for; what its owner may is asked by the service.
        model: what the object has to be like.
        effect: does it, given the owner and the object; what it returns is at most 500 characters
            as JSON, so that it can be given again.
    """
    if request.method != "POST":
        answer = refusal("Send a POST here.", WRONG_METHOD)
        answer["Allow"] = "POST"
        return answer
    return answered(lambda: _acted(request, act, model, effect))


def answered(told: Callable[[], Mapping[str, Any]]) -> JsonResponse:
    """Answer with what is told, or with the sentence that says why not."""
    try:
        return JsonResponse(told())
    except NotUsable as problem:
        return refusal(str(problem), problem.status)
    except NotPermitted as problem:
        return refusal(problem.sentence, FORBIDDEN)
    except Refused as problem:
        return refusal(problem.sentence, OUT_OF_DATE)


def reader_of(request: HttpRequest, act: Act) -> User:
    """Return who reads: the owner of the token that came with it, else who is signed in.

    Args:
        request: with a token, or a cookie.
        act: what a token has to be for.

    Raises:
        NotUsable: neither came, or a token that opens nothing.
        NotPermitted: the token is for something else.
    """
    if "Authorization" not in request.headers and isinstance(request.user, User):
        return request.user
    token = _token_of(request)
    require_scope(Scope(token.scope), act)
    return token.owner


def _acted(
    request: HttpRequest,
    act: Act,
    model: type[AnySent],
    effect: Callable[[User, AnySent], Told],
) -> Mapping[str, Any]:
    token = _token_of(request)
    require_scope(Scope(token.scope), act)
    key = _key_of(request)
    given = _usable(model, _object_of(request))
    try:
        told = once(
            user=token.owner,
            key=f"api:{key}",
            request_hash=_hash_of(request),
            effect=lambda: effect(token.owner, given).model_dump_json(),
        )
    except KeyReused:
        raise NotUsable("This Idempotency-Key came with other content before.") from None
    answer: Mapping[str, Any] = json.loads(told)
    return answer


def _usable(model: type[AnySent], given: Mapping[str, Any]) -> AnySent:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        named = shortened(visible_line(place), _LONGEST_PLACE)
        raise NotUsable(f"{named} {_said(first)}.".strip()) from None


_SAID: Mapping[str, str] = {
    "missing": "is missing",
    "extra_forbidden": "is no key that is known here",
    "string_type": "must be a text",
    "string_too_short": "must be a text",
    "string_too_long": "is too long",
    "string_pattern_mismatch": "is not what it should look like",
    "int_type": "must be a whole number",
    "greater_than_equal": "is no such number",
    "less_than_equal": "is no such number",
    "dict_type": "must be an object",
    "list_type": "must be a list",
}


def _said(error: Mapping[str, Any]) -> str:
    if error["type"] == "literal_error":
        return f"must be {error['ctx']['expected']}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return _SAID.get(error["type"], "cannot be used")


def _token_of(request: HttpRequest) -> ApiToken:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    token = token_of(secret.strip(), now=timezone.now()) if scheme.lower() == "bearer" else None
    if token is None:
        raise NotUsable("Send a token that is in force: Authorization: Bearer swat_…", NO_TOKEN)
    return token


def _key_of(request: HttpRequest) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not _KEY.fullmatch(key):
        raise NotUsable("Send an Idempotency-Key of 8 to 60 letters, digits or . _ : - with it.")
    return key


def _object_of(request: HttpRequest) -> Mapping[str, Any]:
    if len(request.body) > LARGEST_BODY:
        raise NotUsable("This is too much at once.", TOO_LARGE)
    try:
        given = json.loads(request.body, object_pairs_hook=once_each)
        written = json.dumps(given, ensure_ascii=False)
    except TwiceNamed as twice:
        raise NotUsable(f"{twice} stands there twice.", UNREADABLE) from None
    except (ValueError, RecursionError):
        raise NotUsable("Send a JSON object.", UNREADABLE) from None
    if not isinstance(given, dict):
        raise NotUsable("Send a JSON object.", UNREADABLE)
    if not _is_text(written):
        raise NotUsable("There are signs in it that are no text.", UNREADABLE)
    return given


def _is_text(written: str) -> bool:
    """Return whether JSON can be stored: no NUL, and no half of a surrogate pair."""
    try:
        written.encode()
    except UnicodeEncodeError:
        return False
    return _NUL.search(written) is None


def _hash_of(request: HttpRequest) -> str:
    """Return the digest of what was sent; the address belongs to it."""
    return hashlib.sha256(request.path.encode() + b"\n" + request.body).hexdigest()
