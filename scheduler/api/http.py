"""What every address of the API shares: tokens, one effect for each key, refusals as JSON."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from scheduler.adapters.wikiversions import TwiceNamed, once_each
from scheduler.domain.errors import NotPermitted, Refused
from scheduler.domain.permissions import Act, Scope, require_scope
from scheduler.models import ApiToken, User
from scheduler.services.idempotency import KeyReused, once
from scheduler.services.tokens import token_of

UNREADABLE, NO_TOKEN, FORBIDDEN, WRONG_METHOD = 400, 401, 403, 405
OUT_OF_DATE, TOO_LARGE, UNUSABLE = 409, 413, 422
LARGEST_BODY = 1_000_000  # bytes; wikiversions.json of a thousand wikis has 50,000

_KEY = re.compile(r"[A-Za-z0-9_.:-]{8,60}", re.ASCII)

Answer = dict[str, Any]


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


def act(
    request: HttpRequest, act: Act, effect: Callable[[User, Mapping[str, Any]], Answer]
) -> JsonResponse:
    """Do what a program asks with a token, once for its key, and answer as the first time.

    401 is a token that opens nothing, 403 an owner or a token that may not, 409 what the rules
    refuse, 422 what cannot be used. All say so in `error`, one sentence.

    Args:
        request: a POST with a JSON object, `Authorization: Bearer …` and `Idempotency-Key: …`.
        act: what the token has to be for; what its owner may is asked by the service.
        effect: does it, given the owner and the object; returns what to answer, which is small.
    """
    if request.method != "POST":
        answer = refusal("Send a POST here.", WRONG_METHOD)
        answer["Allow"] = "POST"
        return answer
    try:
        return JsonResponse(_acted(request, act, effect))
    except NotUsable as problem:
        return refusal(str(problem), problem.status)
    except NotPermitted as problem:
        return refusal(problem.sentence, FORBIDDEN)
    except Refused as problem:
        return refusal(problem.sentence, OUT_OF_DATE)


def _acted(
    request: HttpRequest, act: Act, effect: Callable[[User, Mapping[str, Any]], Answer]
) -> Answer:
    token = _token_of(request)
    require_scope(Scope(token.scope), act)
    key, given = _key_of(request), _object_of(request)
    try:
        told = once(
            user=token.owner,
            key=f"api:{key}",
            request_hash=_hash_of(request),
            effect=lambda: json.dumps(effect(token.owner, given), separators=(",", ":")),
        )
    except KeyReused:
        raise NotUsable("This Idempotency-Key came with other content before.") from None
    answer: Answer = json.loads(told)
    return answer


def text_in(given: Mapping[str, Any], name: str, *, required: bool = True) -> str:
    """Return a text of an object that was sent.

    Raises:
        NotUsable: it is missing, empty or no text.
    """
    value = given.get(name, "")
    if not isinstance(value, str) or (required and not value.strip()):
        raise NotUsable(f"{name} must be a text.")
    return value.strip()


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
    except TwiceNamed as twice:
        raise NotUsable(f"{twice} stands there twice.", UNREADABLE) from None
    except (ValueError, RecursionError):
        raise NotUsable("Send a JSON object.", UNREADABLE) from None
    if not isinstance(given, dict):
        raise NotUsable("Send a JSON object.", UNREADABLE)
    if not _is_text(given):
        raise NotUsable("There are signs in it that are no text.", UNREADABLE)
    return given


def _is_text(given: Mapping[str, Any]) -> bool:
    """Return whether an object can be stored: no NUL, and no half of a surrogate pair."""
    try:
        json.dumps(given, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return "\\u0000" not in json.dumps(given)


def _hash_of(request: HttpRequest) -> str:
    """Return the digest of what was sent; the address belongs to it."""
    return hashlib.sha256(request.path.encode() + b"\n" + request.body).hexdigest()
