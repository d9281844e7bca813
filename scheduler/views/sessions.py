"""Sessions that ended while a page was open: what forms and htmx are answered then."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.http import urlencode

from scheduler.views.errors import FORBIDDEN, error_page

# For what programs ask for again and again: they may keep it, and ask whether it is still true.
KEPT_AND_ASKED_AGAIN = "private, no-cache"


class NothingIsKeptMiddleware:
    """No browser and no proxy keeps a page: after signing out, nobody reads it there."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Say so on every answer that a view gives, and on every refusal; feeds are no pages."""
        answer = self.get_response(request)
        if answer.get("Cache-Control") != KEPT_AND_ASKED_AGAIN:
            answer["Cache-Control"] = "no-store"
        return answer


class SignInRequiredMiddleware(LoginRequiredMiddleware):
    """Every page wants somebody who is signed in; a part of a page is not the place to do so."""

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponseBase],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponseBase | None:
        """Lead to the sign-in page, and from there back to a page that can be shown."""
        answer = super().process_view(request, view_func, view_args, view_kwargs)
        if answer is None:
            return None
        if request.headers.get("HX-Request") == "true":
            shown = urlsplit(request.headers.get("HX-Current-URL", "")).path or "/"
            return HttpResponse(status=204, headers={"HX-Redirect": _sign_in(shown)})
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseRedirect(_sign_in("/"))
        return answer


def form_from_another_session(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that a form was made in another session; htmx loads the whole page again."""
    answer = error_page(
        request,
        FORBIDDEN,
        title="This form is out of date",
        sentence="It was made before you last signed in or out. Nothing was saved: go back, "
        "load the page again, and send it again.",
    )
    if request.headers.get("HX-Request") == "true":
        answer["HX-Refresh"] = "true"
    return answer


def _sign_in(back: str) -> str:
    return f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back})}"
