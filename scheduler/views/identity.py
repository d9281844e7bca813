"""What django-allauth asks us: who may come in, under which name, and where they go then."""

import base64
import hashlib
import logging
import time
from typing import Any, ClassVar
from urllib.parse import urlencode

import requests
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from scheduler.actors import CLOSED, needs_second_factor
from scheduler.models import User
from scheduler.services.people import free_username, note_own_security, welcome
from scheduler.views.errors import FORBIDDEN, NOT_SIGNED_IN, error_page
from scheduler.views.signing_in import RECENT, address_of, enter

_LONGEST_ADDRESS = 254
_LONGEST_SUBJECT = 191  # what allauth has room for; the standard says 255, nobody comes close
_SKEW = 60  # seconds that a provider's clock may be ahead or behind

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Signing in, whichever way: allauth asks for the second factor, then this is asked."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody makes an account by a form."""
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """Return whether an address is one of ours; one that cannot be read is none."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address that attempts are counted by."""
        return address_of(request)

    def login(self, request: HttpRequest, user: User) -> None:
        """Make the session."""
        enter(request, user)

    def post_login(
        self, request: HttpRequest, user: User, *, redirect_url: str | None, **_other: object
    ) -> HttpResponse:
        """Lead to the page asked for, or first to a second factor if the role takes one."""
        wanted = redirect_url or "/"
        if needs_second_factor(user):
            wanted = f"{reverse('mfa_activate_totp')}?{urlencode({'next': wanted})}"
        return redirect(wanted)

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        """Say that the account is closed, to whoever has shown that it is theirs."""
        return error_page(request, FORBIDDEN, title="This account is closed", sentence=CLOSED)

    def add_message(self, *_args: object, **_kwargs: object) -> None:
        """Say nothing: our pages say what was done."""


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth has no types
    """Secrets of authenticator apps: nobody who reads the database alone can make codes."""

    def encrypt(self, text: str) -> str:
        """Return it as it is stored."""
        return _cipher().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return what was stored."""
        return _cipher().decrypt(encrypted_text.encode()).decode()

    def get_totp_label(self, user: User) -> str:
        """Return what the app calls it: the account, never an address that may change."""
        return user.get_username()


class IdentityAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Signing in by OpenID Connect.

    A person is who the provider's `sub` says, never who an address or a name says: an identity
    that is new to us becomes a new account without a role, or belongs to whoever is signed in.
    """

    ways_out: ClassVar[dict[str, str]] = {
        "cancelled": "You did not let the provider tell us who you are.",
        "taken": "That identity belongs to another account here.",
        "unknown": "The provider did not tell us who you are in a way that we can rely on.",
    }

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Check what allauth leaves unchecked, before anything comes of it.

        Raises:
            ImmediateHttpResponse: the answer is not for what we asked, or for somebody else.
        """
        told, sociallogin.account.extra_data = sociallogin.account.extra_data, {}
        if sociallogin.account.pk:  # what else a provider tells about somebody is not kept
            sociallogin.account.save(update_fields=["extra_data"])
        sociallogin.nickname = _wanted_name(told)
        why = _what_is_wrong(sociallogin.state, told.get("id_token"), told.get("userinfo"))
        again = sociallogin.state.get("again")
        if not why and again and (not sociallogin.user or sociallogin.user.pk != again):
            why = "this is another person than the one who is signed in"
        if why:
            logger.warning("sign-in by the provider refused: %s, from %s", why, address_of(request))
            raise ImmediateHttpResponse(_refusal(request, "unknown"))
        sociallogin.email_addresses = []  # allauth must not match people by address
        if sociallogin.state.get("process") == AuthProcess.CONNECT:
            raise ImmediateHttpResponse(_connect(request, sociallogin))

    def on_authentication_error(
        self,
        request: HttpRequest,
        provider: object,
        error: str | None = None,
        exception: Exception | None = None,
        extra_context: object = None,
    ) -> None:
        """Say what to do next on a page of ours.

        Raises:
            ImmediateHttpResponse: always.
        """
        logger.warning("sign-in by the provider failed: %s %r", error, exception)
        raise ImmediateHttpResponse(_refusal(request, error or "unknown"))

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        """Whoever the provider knows may look; a release engineer gives roles."""
        return True

    def save_user(
        self, request: HttpRequest, sociallogin: SocialLogin, form: object = None
    ) -> User:
        """Make the account of somebody who came for the first time."""
        user: User = sociallogin.user
        with transaction.atomic():
            user.username = free_username(sociallogin.nickname)
            user.first_name = user.last_name = ""
            user.email = user.email if len(user.email) <= _LONGEST_ADDRESS else ""
            user.set_unusable_password()
            sociallogin.save(request)
            welcome(person=user, provider=sociallogin.account.provider)
        return user

    def get_requests_session(self) -> requests.Session:
        """Return how the provider is asked: briefly, and without following it elsewhere."""
        session: requests.Session = super().get_requests_session()
        session.max_redirects = 0
        return session


def _wanted_name(told: dict[str, Any]) -> str:
    """Return what somebody is called at the provider; "" if it does not say."""
    for claims in (told.get("userinfo"), told.get("id_token")):
        if isinstance(claims, dict) and isinstance(claims.get("preferred_username"), str):
            return str(claims["preferred_username"])
    return ""


def _what_is_wrong(state: dict[str, Any], claims: Any, userinfo: Any) -> str:  # noqa: ANN401 - JSON
    """Return why what a provider told is not to be relied on; "" if it is."""
    if not isinstance(claims, dict):
        return "no ID token came"
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.isprintable() or len(subject) > _LONGEST_SUBJECT:
        return "the ID token names nobody"
    if not state.get("nonce") or claims.get("nonce") != state["nonce"]:
        return "the ID token was not made for this sign-in"
    if isinstance(userinfo, dict) and userinfo.get("sub") != subject:
        return "the ID token and the user information are about two people"
    if state.get("again"):
        at = claims.get("auth_time")
        if not isinstance(at, int) or abs(time.time() - at) > RECENT + _SKEW:
            return "the provider does not say that it has just asked who this is"
    return ""


def _connect(request: HttpRequest, sociallogin: SocialLogin) -> HttpResponse:
    """Note that an identity is that of whoever asked for it and is signed in still."""
    user = request.user
    if not isinstance(user, User) or user.pk != sociallogin.state.get("owner"):
        return _refusal(request, "unknown")
    if sociallogin.is_existing and sociallogin.user != user:
        return _refusal(request, "taken")
    if not sociallogin.is_existing:
        with transaction.atomic():
            sociallogin.account.user = user
            sociallogin.account.save()
            note_own_security(by=user, what="connect-identity")
    return redirect("profile")


def _refusal(request: HttpRequest, error: str) -> HttpResponse:
    sentence = IdentityAdapter.ways_out.get(error, IdentityAdapter.ways_out["unknown"])
    return error_page(
        request,
        NOT_SIGNED_IN,
        title="You are not signed in",
        sentence=f"{sentence} Try again, or sign in another way.",
    )


def _cipher() -> MultiFernet:
    """Return what encrypts with SECRET_KEY, and still reads what its predecessors encrypted."""
    keys = (str(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))
    digests = (hashlib.sha256(f"second factor {key}".encode()).digest() for key in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
