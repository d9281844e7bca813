"""Signing in, showing again who you are, and signing out."""

import logging
from urllib.parse import urlsplit

from allauth.account.utils import perform_login
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from scheduler.actors import has_second_factor
from scheduler.models import User
from scheduler.services.limits import TooManyAttempts
from scheduler.services.people import note_own_security
from scheduler.views.http import UNUSABLE, PageRequest, local_address
from scheduler.views.providers import identities_of, provider_name
from scheduler.views.second_factor import CodeForm
from scheduler.views.signing_in import (
    address_of,
    confirm,
    counted,
    enter,
    recently_authenticated,
    too_many,
)
from swat.embedded.cast import CAST

logger = logging.getLogger(__name__)

_CAST_NAMES = frozenset(person.username for person in CAST)
PASSWORD, CODE, DEMO = "password", "code", "demo"  # ways of showing who you are


def _next_of(request: HttpRequest) -> str:
    """Return where to go afterwards: an address of ours, or the calendar."""
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    address = local_address(request, wanted, otherwise="/")
    return "/" if urlsplit(address).path == reverse("sign-out") else address


@sensitive_post_parameters("password")
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Ask who it is; a right password may still need the code of a second factor."""
    if request.method != "POST":
        return _show_sign_in(request, AuthenticationForm(request))
    try:
        with counted(request, "sign-in", request.POST.get("username", "")) as was_right:
            form = AuthenticationForm(request, data=request.POST)
            if not form.is_valid():
                name, address = request.POST.get("username", ""), address_of(request)
                logger.warning("sign-in as %r from %s refused", name, address)
                return _show_sign_in(request, form, status=UNUSABLE)
            was_right()
    except TooManyAttempts as refusal:
        return too_many(request, refusal)
    if request.user.is_authenticated:
        logout(request)  # or whoever was here before would be taken for signed in already
    answer: HttpResponse = perform_login(request, form.get_user(), redirect_url=_next_of(request))
    return answer


def _show_sign_in(
    request: HttpRequest, form: AuthenticationForm, *, status: int = 200
) -> HttpResponse:
    context = {
        "form": form,
        "next": _next_of(request),
        "ended": request.GET.get("ended", ""),
        "cast": CAST if settings.SWAT_DEMO else (),
        "provider": provider_name(),
    }
    return render(request, "scheduler/accounts/sign_in.html", context, status=status)


@login_not_required
@require_POST
def demo_sign_in(request: HttpRequest) -> HttpResponse:
    """Sign in as one of the cast, in the demo only."""
    username = request.POST.get("username", "")
    if not settings.SWAT_DEMO or username not in _CAST_NAMES:
        raise Http404
    user = get_object_or_404(User, username=username)
    if not user.is_active:
        messages.warning(
            request, f"The account of {username} is closed; a release engineer opens it."
        )
        return redirect("sign-in")
    enter(request, user)
    return redirect(_next_of(request))


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    return redirect("sign-in")


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def again(request: PageRequest) -> HttpResponse:
    """Ask whoever is signed in to show again who they are, then lead back to where they were."""
    if request.method != "POST":
        if recently_authenticated(request):
            return redirect(_next_of(request))
        return _show_again(request)
    way = request.POST.get("way", "")
    if way not in _ways_of(request.user):
        return _show_again(request, wrong="That is not a way for this account.")
    try:
        with counted(request, "again", request.user.username) as was_right:
            if not _shows_who(request, way):
                return _show_again(request, wrong=_WRONG[way])
            was_right()
    except TooManyAttempts as refusal:
        return too_many(request, refusal)
    confirm(request)
    return redirect(_next_of(request))


_WRONG = {
    PASSWORD: "That is not the password of this account.",
    CODE: "That is not a code of this account now; each code works once.",
}


def _ways_of(user: User) -> tuple[str, ...]:
    """Return how somebody can show who they are; the provider is asked on a page of its own."""
    ways = (
        (PASSWORD, user.has_usable_password()),
        (CODE, has_second_factor(user)),
        (DEMO, settings.SWAT_DEMO and user.username in _CAST_NAMES),
    )
    return tuple(way for way, is_open in ways if is_open)


def _shows_who(request: PageRequest, way: str) -> bool:
    user = request.user
    if way == PASSWORD:
        given = request.POST.get("password", "")
        return authenticate(request, username=user.username, password=given) == user
    if way == CODE:
        return bool(CodeForm(user=user, data=request.POST).is_valid())
    return way == DEMO


def _show_again(request: PageRequest, *, wrong: str = "") -> HttpResponse:
    context = {
        "next": _next_of(request),
        "ways": _ways_of(request.user),
        "provider": provider_name() if identities_of(request.user) else "",
        "wrong": wrong,
    }
    status = UNUSABLE if wrong else 200
    return render(request, "scheduler/accounts/again.html", context, status=status)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: PageRequest) -> HttpResponse:
    """Change the password of whoever is signed in; their other sessions end."""
    user = request.user
    if not user.has_usable_password():
        raise Http404
    form = PasswordChangeForm(user, data=request.POST or None)
    if request.method != "POST":
        return render(request, "scheduler/accounts/password.html", {"form": form})
    try:
        with counted(request, "again", user.username) as was_right:
            is_valid = form.is_valid()
            if "old_password" not in form.errors:
                was_right()
    except TooManyAttempts as refusal:
        return too_many(request, refusal)
    if not is_valid:
        return render(request, "scheduler/accounts/password.html", {"form": form}, status=UNUSABLE)
    with transaction.atomic():
        form.save()
        note_own_security(by=user, what="change-password")
    update_session_auth_hash(request, user)
    confirm(request)
    return redirect("profile")
