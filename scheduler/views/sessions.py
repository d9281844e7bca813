"""Sessions that ended while a page was open: what forms and htmx are answered then."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.http import urlencode

from scheduler.domain.errors import Refused
from scheduler.models import Draft, User
from scheduler.services.drafts import save_draft
from scheduler.views.errors import FORBIDDEN, error_page
from scheduler.views.http import local_address, parts_of

_TYPIST = "typist"
_KEEPING = frozenset({"backport-new", "draft-save"})  # whose forms carry `typist_token`

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
            shown = parts_of(request.headers.get("HX-Current-URL", "")).path or "/"
            return HttpResponse(status=204, headers={"HX-Redirect": _sign_in(shown)})
        if request.method not in {"GET", "HEAD"}:
            return HttpResponseRedirect(_after_too_late(request))
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


def typist_token(user: User) -> str:
    """Return what a form carries so that it is known whose it is when their session has ended."""
    return signing.dumps(user.pk, salt=_TYPIST)


def _after_too_late(request: HttpRequest) -> str:
    """Return the sign-in page for a form that came when its session had ended.

    From there it goes on to the draft that what was typed is kept as, or to the page of the form.
    """
    draft = _kept(request)
    if draft is not None:
        return _sign_in(f"{reverse('backport-new')}?draft={draft.pk}", ended="kept")
    came_from = parts_of(request.headers.get("Referer", ""))
    ours = came_from.netloc == request.get_host()
    page = f"{came_from.path}?{came_from.query}".rstrip("?") if ours else "/"
    return _sign_in(local_address(request, page, otherwise="/"), ended="lost")


def _kept(request: HttpRequest) -> Draft | None:
    """Keep what somebody typed of a backport as a draft of theirs, though nobody is signed in."""
    match = request.resolver_match
    if match is None or match.url_name not in _KEEPING:
        return None
    token = request.POST.get("typist", "")
    try:
        typist = signing.loads(token, salt=_TYPIST, max_age=settings.SESSION_COOKIE_AGE)
        return save_draft(
            user=User.objects.get(pk=typist),
            typed=dict(request.POST.lists()),
            key=request.POST.get("draft", ""),
        )
    except (signing.BadSignature, User.DoesNotExist, Refused):
        return None


def _sign_in(back: str, **more: str) -> str:
    return f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back, **more})}"
