"""Leading somebody to show again who they are, with nothing lost that they had typed."""

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from scheduler.views.signing_in import again_address

_TYPED = "typed_before"


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
    address = again_address(request, back)
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
