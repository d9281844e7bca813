"""Signing in by the OpenID Connect provider of this site, if there is one."""

import secrets
from collections.abc import Mapping
from typing import Any

import requests
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialAccount, SocialLogin
from allauth.socialaccount.providers.base import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from scheduler.models import User
from scheduler.services.limits import Limit, TooManyAttempts, attempt
from scheduler.views.errors import NO_PROVIDER, error_page
from scheduler.views.http import PageRequest, local_address
from scheduler.views.signing_in import address_of, just_signed_in, too_many


def provider_name() -> str:
    """Return what the provider is called, or "" if there is none."""
    app = _app()
    return str(app["name"]) if app else ""


def identities_of(user: User) -> list[str]:
    """Return who the provider says that somebody is."""
    app = _app()
    if not app:
        return []
    known = SocialAccount.objects.filter(user=user, provider=app["provider_id"])
    return list(known.order_by("pk").values_list("uid", flat=True))


@login_not_required
@require_POST
def go(request: HttpRequest) -> HttpResponse:
    """Lead to the provider, to sign in."""
    return _leave(request, AuthProcess.LOGIN)


@require_POST
def go_again(request: PageRequest) -> HttpResponse:
    """Lead to the provider, for whoever is signed in to show again who they are."""
    asked = {"prompt": "login", "max_age": "0"}
    return _leave(request, AuthProcess.LOGIN, asked, again=request.user.pk)


@just_signed_in
@require_POST
def connect(request: PageRequest) -> HttpResponse:
    """Lead to the provider, to note an identity as that of whoever is signed in."""
    return _leave(request, AuthProcess.CONNECT, owner=request.user.pk)


@login_not_required
@require_safe
def callback(request: HttpRequest, provider_id: str) -> HttpResponseBase:
    """Take what the provider tells about somebody who comes back from it."""
    app = _app()
    if not app or provider_id != app["provider_id"]:
        raise Http404
    view = OAuth2CallbackView.adapter_view(SignatureChecked(request, provider_id))
    answer: HttpResponseBase = view(request)
    return answer


class SignatureChecked(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # allauth has no types
    """Reads what a provider tells; an ID token counts only with the provider's signature."""

    def get_access_token_data(self, *args: object, **kwargs: object) -> dict[str, Any]:
        """Fetch the tokens; allauth trusts those that it fetched itself, and we do not."""
        told: dict[str, Any] = super().get_access_token_data(*args, **kwargs)
        self.did_fetch_access_token = False
        return told

    def complete_login(self, *args: object, **kwargs: object) -> SocialLogin:
        """Return who came.

        Raises:
            OAuth2Error: the answer does not have the form that it should have.
        """
        try:
            return super().complete_login(*args, **kwargs)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise OAuth2Error("The answer has another form than it should") from problem


def _app() -> dict[str, Any] | None:
    """Return the settings of the provider."""
    apps = settings.SOCIALACCOUNT_PROVIDERS.get("openid_connect", {}).get("APPS", [None])
    app: dict[str, Any] | None = apps[0]
    return app


def _leave(
    request: HttpRequest, process: str, asked: Mapping[str, str] | None = None, **kept: object
) -> HttpResponse:
    """Show the page that leads to the provider at once.

    A form must not lead elsewhere (Content-Security-Policy `form-action`), but a page may.
    """
    app = _app()
    if not app:
        raise Http404
    wanted = request.POST.get("next", "/")
    nonce = secrets.token_urlsafe(24)
    try:
        attempt([Limit(f"provider from {address_of(request)}", 20, 10)], at=timezone.now())
        provider = get_adapter().get_provider(request, app["provider_id"])
        address = provider.redirect(
            request,
            process,
            next_url=local_address(request, wanted, otherwise="/"),
            auth_params={"nonce": nonce, **(asked or {})},
            nonce=nonce,
            **kept,
        )["Location"]
    except TooManyAttempts as refusal:
        return too_many(request, refusal)
    except (requests.RequestException, KeyError, ValueError):
        return error_page(request, NO_PROVIDER)
    context = {"address": address, "provider": app["name"]}
    return render(request, "scheduler/accounts/leaving.html", context)
