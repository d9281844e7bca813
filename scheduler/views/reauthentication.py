"""How long ago somebody showed who they are: some steps want that it was a moment ago."""

import time
from collections.abc import Mapping

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils.http import urlencode

RECENT = 5 * 60  # seconds for which nobody asks again whether it is you
_SIGNED_IN_AT = "authenticated_at"
_TYPED = "typed_before"


def note_authentication(request: HttpRequest) -> None:
    """Note that somebody has just shown who they are; called where people sign in."""
    request.session[_SIGNED_IN_AT] = int(time.time())


def recently_authenticated(request: HttpRequest) -> bool:
    """Return whether whoever is signed in has shown who they are in the last five minutes."""
    at = request.session.get(_SIGNED_IN_AT)
    return request.user.is_authenticated and isinstance(at, int) and 0 <= time.time() - at < RECENT


def sign_in_again(
    request: HttpRequest, back: str, *, typed: Mapping[str, str] | None = None
) -> HttpResponse:
    """Lead somebody to where they show again who they are, and from there to `back`.

    Args:
        request: what they sent; htmx is told to leave the page for it.
        back: an address of ours.
        typed: what they had typed, kept in their session for `typed_before`.
    """
    if typed:
        request.session[_TYPED] = {"for": request.path, **typed}
    address = f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back})}"
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return redirect(address)


def typed_before(request: HttpRequest, path: str) -> Mapping[str, str]:
    """Return what the same person had typed into the form of an address; empty if nothing."""
    typed = request.session.get(_TYPED)
    return typed if isinstance(typed, dict) and typed.get("for") == path else {}


def forget_typed(request: HttpRequest) -> None:
    """Forget it: it was sent."""
    request.session.pop(_TYPED, None)
