"""What every view shares: the request's type, and the one way in which forms act."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.middleware import HtmxDetails

from scheduler.domain.errors import NotPermitted, Refused
from scheduler.models import User
from scheduler.services.idempotency import KeyReused, led_to, once

OUT_OF_DATE, UNUSABLE = 409, 422
LONGEST_ADDRESS = 300  # characters; what is remembered of an answered form has room for it


class PageRequest(HttpRequest):
    """A request of somebody who is signed in, perhaps sent by htmx."""

    user: User
    htmx: HtmxDetails


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a form is answered when nothing was done."""

    sentence: str
    status: int = OUT_OF_DATE

    def __str__(self) -> str:
        return self.sentence


def act(request: PageRequest, effect: Callable[[], str]) -> str | Refusal:
    """Do what a form asks, once for its key, and return the address to go to.

    Returns:
        A refusal with 409 where the rules say no, with 422 where the form itself is not usable.

    Raises:
        NotPermitted: the person may not; `ErrorPagesMiddleware` answers it.
    """
    key = _key_of(request)
    if not key:
        return Refusal("This form came without its key; load the page again.", UNUSABLE)
    try:
        return once(user=request.user, key=key, request_hash=_hash_of(request), effect=effect)
    except KeyReused as refusal:
        return Refusal(refusal.sentence, UNUSABLE)
    except NotPermitted:
        raise
    except Refused as refusal:
        return Refusal(refusal.sentence)


def answered_before(request: PageRequest) -> str:
    """Return the address that this very form led to when it was sent before; "" if it was not."""
    return led_to(user=request.user, key=_key_of(request), request_hash=_hash_of(request))


def parts_of(address: str) -> SplitResult:
    """Return the parts of an address that a browser sent; none of one that cannot be read."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def local_address(request: HttpRequest, wanted: str, *, otherwise: str) -> str:
    """Return where somebody wants to go next if that is an address of ours, else another one."""
    # What does not begin with a slash is no address to `redirect`, but perhaps the name of a view.
    is_address = wanted.startswith("/") and len(wanted) <= LONGEST_ADDRESS
    is_ours = is_address and url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if is_ours else otherwise


def page(
    request: PageRequest,
    template: str,
    context: dict[str, object],
    *,
    partial: str = "",
    refusal: Refusal | None = None,
) -> HttpResponse:
    """Render a page; for htmx only the partial of it that has to be swapped."""
    if refusal is not None:
        context = {**context, "refusal": refusal.sentence, "refusal_status": refusal.status}
    name = f"{template}#{partial}" if partial and request.htmx else template
    status = refusal.status if refusal else 200
    return render(request, name, context, status=status)


def _key_of(request: HttpRequest) -> str:
    """Return the key that a form was shown with; "" if what came is none."""
    try:
        return str(UUID(request.POST.get("key", "")))
    except ValueError:
        return ""


def _hash_of(request: HttpRequest) -> str:
    """Return the digest of what was sent, without what differs from one sending to the next."""
    sent = sorted(
        (name, values)
        for name, values in request.POST.lists()
        if name not in {"csrfmiddlewaretoken", "key"}
    )
    return hashlib.sha256(json.dumps([request.path, sent]).encode()).hexdigest()
