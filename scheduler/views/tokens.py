"""Tokens of the API: made and revoked on a person's page, the secret shown once."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from scheduler.forms import TokenForm
from scheduler.models import ApiToken, User
from scheduler.services import tokens as services
from scheduler.views import people
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act
from scheduler.views.signing_in import again_address, recently_authenticated


@require_POST
def make(request: PageRequest, pk: int) -> HttpResponse:
    """Make a token for an account, and show it this once."""
    address = reverse("person", args=[pk])
    if not recently_authenticated(request):
        return redirect(again_address(request, address))
    owner = get_object_or_404(User, pk=pk)
    form = TokenForm(request.POST)
    if not form.is_valid():
        sentence = "Give the token a name, such as: train bot."
        refusal = Refusal(sentence, UNUSABLE)
        return people.show(request, pk, instead={"token_form": form}, refusal=refusal)
    secrets: list[str] = []

    def effect() -> str:
        secrets.append(services.make_token(owner=owner, by=request.user, **form.cleaned_data))
        return f"{address}?done=1"

    result = act(request, effect)
    if isinstance(result, Refusal):
        return people.show(request, pk, instead={"token_form": form}, refusal=result)
    # A form that is sent again made nothing: what it made before was shown then.
    if not secrets:
        return redirect(result)
    return people.show(request, pk, instead={"secret": secrets[-1]})


@require_POST
def revoke(request: PageRequest, pk: int) -> HttpResponse:
    """Let a token open nothing any more."""
    token = get_object_or_404(ApiToken.objects.select_related("owner"), pk=pk)
    address = reverse("person", args=[token.owner_id])
    if not recently_authenticated(request):
        return redirect(again_address(request, address))

    def effect() -> str:
        services.revoke_token(token=token, by=request.user)
        return f"{address}?done=1"

    result = act(request, effect)
    if isinstance(result, Refusal):
        return people.show(request, token.owner_id, refusal=result)
    return redirect(result)
