"""Becoming somebody, and how long ago that was."""

import ipaddress
import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from typing import TypeVar, cast
from unicodedata import normalize

from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.http import urlencode

from scheduler.models import User
from scheduler.services.limits import Limit, TooManyAttempts, attempt, give_back
from scheduler.views.errors import TOO_MANY, error_page

RECENT = 5 * 60  # seconds for which nobody asks again whether it is you
KNOWN_BROWSER = "swat_known"
_KNOWN_FOR = 180 * 24 * 60 * 60  # seconds
_ENTERED = "swat.entered"
_SIGNED_IN_AT = "signed_in_at"
_IPV6_HOUSEHOLD = 64  # bits of an address that one customer of a provider may choose among
_LONGEST_NAME = 150
_DJANGO = "django.contrib.auth.backends.ModelBackend"

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

logger = logging.getLogger(__name__)


def enter(request: HttpRequest, user: User) -> None:
    """Sign somebody in: a new session key, and the time, so that we know how long ago it was.

    `KnownBrowserMiddleware` lets the browser know them from then on.
    """
    login(request, user, backend=_DJANGO)
    request.session[_SIGNED_IN_AT] = int(time.time())
    request.META[_ENTERED] = user
    logger.info("%r signed in from %s", user.get_username(), address_of(request))


def confirm(request: HttpRequest) -> None:
    """Note that somebody who is signed in has just shown again who they are."""
    request.session.cycle_key()
    request.session[_SIGNED_IN_AT] = int(time.time())


def recently_authenticated(request: HttpRequest) -> bool:
    """Return whether whoever is signed in has shown who they are in the last five minutes."""
    return shown_who(request) is not None


def shown_who(request: HttpRequest) -> tuple[datetime, datetime] | None:
    """Return when whoever is signed in showed who they are, and until when that counts.

    None where it counts no more.
    """
    at = request.session.get(_SIGNED_IN_AT)
    if not request.user.is_authenticated or not isinstance(at, int):
        return None
    if not 0 <= time.time() - at < RECENT:
        return None
    return datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(at + RECENT, UTC)


def again_address(request: HttpRequest, back: str = "") -> str:
    """Return where to send somebody to show again who they are.

    Args:
        request: what they asked for.
        back: where they go afterwards, an address of ours; "" is where they are.
    """
    return f"{reverse('sign-in-again')}?{urlencode({'next': back or request.get_full_path()})}"


def just_signed_in(view: View) -> View:
    """Let a view answer only whoever has just shown who they are; others are asked to."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if recently_authenticated(request):
            return view(request, *args, **kwargs)
        return redirect(again_address(request))

    return cast("View", guarded)


def address_of(request: HttpRequest) -> str:
    """Return the address that attempts are counted by: what nobody can choose freely.

    What a client writes into X-Forwarded-For itself stands before what our proxies add.
    """
    address = str(request.META.get("REMOTE_ADDR", ""))
    told = request.headers.get("X-Forwarded-For", "")
    hops = told.split(",") if told else []
    if 0 < settings.SWAT_TRUSTED_PROXIES <= len(hops):
        address = hops[-settings.SWAT_TRUSTED_PROXIES].strip()
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), _IPV6_HOUSEHOLD), strict=False))


class KnownBrowserMiddleware:
    """Leaves a signed mark in a browser in which somebody signed in.

    Attempts with it count by themselves: whoever guesses at the account from the same address does
    not keep the person out of the browser that they always use. The mark opens nothing.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Add the mark to the answer of a request in which somebody signed in."""
        answer = self.get_response(request)
        user = request.META.get(_ENTERED)
        if isinstance(user, User):
            answer.set_signed_cookie(
                KNOWN_BROWSER,
                f"{secrets.token_urlsafe(12)}:{_marked(_folded(user.get_username()))}",
                salt=KNOWN_BROWSER,
                max_age=_KNOWN_FOR,
                httponly=True,
                samesite="Lax",
                secure=settings.SESSION_COOKIE_SECURE,
            )
        return answer


def _folded(account: str) -> str:
    return normalize("NFKC", account).strip().casefold()[:_LONGEST_NAME]


def _marked(name: str) -> str:
    """Return what of an account's name stands in the mark: headers hold few letters."""
    return salted_hmac(KNOWN_BROWSER, name, algorithm="sha256").hexdigest()[:32]


def _known_browser(request: HttpRequest, name: str) -> str:
    """Return the mark of a browser in which this account signed in before; "" if there is none."""
    mark = request.get_signed_cookie(
        KNOWN_BROWSER, default="", salt=KNOWN_BROWSER, max_age=_KNOWN_FOR
    )
    browser, _, known = str(mark).partition(":")
    return browser if constant_time_compare(known, _marked(name)) else ""


def limits_for(request: HttpRequest, what: str, account: str) -> list[Limit]:
    """Return what an attempt counts against: its address, and the account from that address.

    In a browser in which the account signed in before, that browser alone.
    """
    address = address_of(request)
    name = _folded(account)
    if browser := _known_browser(request, name):
        return [Limit(f"{what} in {browser} as {name}", at_once=5, every=60)]
    return [
        Limit(f"{what} from {address}", at_once=20, every=30),
        Limit(f"{what} from {address} as {name}", at_once=5, every=60),
    ]


@contextmanager
def counted(request: HttpRequest, what: str, account: str) -> Iterator[Callable[[], None]]:
    """Count an attempt before it is judged; the caller says if it was right, which takes it back.

    Raises:
        TooManyAttempts: there were too many.
    """
    limits = limits_for(request, what, account)
    try:
        attempt(limits, at=timezone.now())
    except TooManyAttempts:
        logger.warning("too many attempts: %s as %r from %s", what, account, address_of(request))
        raise
    yield lambda: give_back(limits)


def spent_once(user: User, code: str) -> bool:
    """Return whether a code was not used before, and note that it is now.

    A code of an authenticator app lasts for three steps of half a minute; whoever looked over the
    shoulder cannot use it again, whichever process they reach.
    """
    try:
        attempt([Limit(f"code {code} of {user.pk}", at_once=1, every=120)], at=timezone.now())
    except TooManyAttempts:
        return False
    return True


def too_many(request: HttpRequest, refusal: TooManyAttempts) -> HttpResponse:
    """Say how long to wait."""
    answer = error_page(request, TOO_MANY, sentence=f"{refusal.sentence} Nothing was changed.")
    answer["Retry-After"] = str(refusal.seconds)
    return answer
