"""The pages that say what went wrong: short, ours, and never a bare body."""

import sys
from collections.abc import Callable, Mapping

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    JsonResponse,
)
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views import defaults

from scheduler.domain.errors import NotPermitted

TEMPLATE = "error.html"
API = "/api/"
UNREADABLE, FORBIDDEN, MISSING, WRONG_METHOD, TOO_LARGE = 400, 403, 404, 405, 413
NOT_SIGNED_IN, TOO_MANY, NO_PROVIDER, NO_DATABASE = 401, 429, 503, 503
SOON = 2  # seconds until it is worth trying again

TEXTS: Mapping[int, tuple[str, str]] = {
    UNREADABLE: (
        "This request cannot be read",
        "Nothing was saved. Go back, load the page again, and send it again.",
    ),
    FORBIDDEN: (
        "You may not do this",
        "It takes another role, or another person. The policy says who.",
    ),
    MISSING: (
        "There is nothing here",
        "The address may be old. The calendar shows every window that is planned.",
    ),
    WRONG_METHOD: (
        "This address takes something else",
        "A form is sent here, or a page is read here; what came was neither. Nothing was changed.",
    ),
    TOO_LARGE: (
        "This is too much at once",
        "Nothing was saved. Shorten what you typed, and send it again.",
    ),
    NOT_SIGNED_IN: (
        "You are not signed in",
        "Try again, or sign in another way.",
    ),
    TOO_MANY: (
        "Not so fast",
        "Nothing was changed. Wait a little, and try again.",
    ),
    NO_PROVIDER: (
        "The provider does not answer",
        "You are not signed in. Try again in a little while, or sign in another way.",
    ),
}


def error_page(
    request: HttpRequest, status: int, *, title: str = "", sentence: str = ""
) -> HttpResponse:
    """Answer with the page of an error; a program that asks the API, with the same as JSON.

    Args:
        request: htmx is told to put the page in the place of the one that is shown.
        status: of the answer, and which text is meant.
        title: what to say instead of the text for that status.
        sentence: the same, for what stands below.
    """
    usual_title, usual_sentence = TEXTS[status]
    if request.path.startswith(API):
        return JsonResponse({"error": sentence or f"{title or usual_title}."}, status=status)
    context = {"title": title or usual_title, "sentence": sentence or usual_sentence}
    answer = render(request, TEMPLATE, context, status=status)
    if request.headers.get("HX-Request") == "true":
        answer["HX-Retarget"] = answer["HX-Reselect"] = "#main"
        answer["HX-Reswap"] = "outerHTML"
    return answer


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what cannot be read: a body too large, too many fields, a host that is not ours."""
    too_large = isinstance(exception, RequestDataTooBig)
    return error_page(request, TOO_LARGE if too_large else UNREADABLE)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer where Django itself forbids something."""
    return error_page(request, FORBIDDEN)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer where nothing is."""
    return error_page(request, MISSING)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer what broke on our side; where it was the database, that it does not answer.

    Nobody knows then whether a form was saved: the database may have gone while the answer was
    read. The pages need neither database nor session. Whoever catches the exception calls this.
    """
    if not isinstance(sys.exception(), OperationalError | InterfaceError):
        return defaults.server_error(request)
    is_form = request.method not in {"GET", "HEAD"}
    if request.path.startswith(API):
        said = "The database does not answer. Ask again in a moment."
        if is_form:
            said = (
                "It may not have been saved: the database does not answer. Send it again in a "
                "moment, with the same key."
            )
        answer: HttpResponse = JsonResponse({"error": said}, status=NO_DATABASE)
    else:
        page = render_to_string("503.html", {"is_form": is_form})
        answer = HttpResponse(page, status=NO_DATABASE)
    answer["Retry-After"] = str(SOON)
    return answer


class ErrorPagesMiddleware:
    """What views refuse without a page of their own: a role that lacks, and a wrong method."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Give the empty answer to a wrong method its page; what is allowed stays in its header."""
        answer = self.get_response(request)
        if not isinstance(answer, HttpResponseNotAllowed):
            return answer
        shown = error_page(request, WRONG_METHOD)
        shown["Allow"] = answer["Allow"]
        return shown

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer a refusal of the permission table with the sentence that says who may."""
        if isinstance(exception, NotPermitted):
            return error_page(request, FORBIDDEN, sentence=exception.sentence)
        return None
