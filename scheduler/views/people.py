"""Looking after people: who has which role, whose account is closed, and who is whom."""

from collections.abc import Callable, Mapping
from typing import Any

from allauth.mfa.models import Authenticator
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from scheduler.actors import actor_of, names_of, roles_of
from scheduler.adapters.cleaning import visible_line
from scheduler.domain.permissions import Act, Role, require
from scheduler.forms import OtherNameForm, RolesForm, TokenForm
from scheduler.models import Backport, Event, OtherName, User
from scheduler.queries import OPEN_STATUSES
from scheduler.services import people as services
from scheduler.services.notifications import unsent
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act, page
from scheduler.views.signing_in import again_address, recently_authenticated

MOST = 200  # accounts on one page; a search finds the others
MOST_EVENTS = 30
LIST, ONE = "scheduler/people/people.html", "scheduler/people/person.html"


@require_safe
def people(request: PageRequest) -> HttpResponse:
    """List the accounts, for release engineers."""
    require(actor_of(request.user), Act.MANAGE_PEOPLE)
    sought = visible_line(request.GET.get("q", "").strip())
    found = _accounts()
    if sought:
        found = found.filter(
            Q(username__icontains=sought)
            | Q(nick__icontains=sought)
            | Q(other_names__name__icontains=sought)
        ).distinct()
    rows = list(found.order_by("-is_active", "username")[: MOST + 1])
    context: dict[str, object] = {
        "section": "people",
        "sought": sought,
        "rows": [(user, sorted(roles_of(user))) for user in rows[:MOST]],
        "most": MOST if len(rows) > MOST else 0,
        "mail_waiting": unsent().count(),
    }
    return page(request, LIST, context)


@require_safe
def person(request: PageRequest, pk: int) -> HttpResponse:
    """Show one account with what may be done about it, for release engineers."""
    return show(request, pk)


@require_POST
def roles(request: PageRequest, pk: int) -> HttpResponse:
    """Give and take roles."""
    form = RolesForm(request.POST)
    if not form.is_valid():
        return show(request, pk, refusal=Refusal("There is no such role.", UNUSABLE))
    wanted, seen = (
        frozenset(Role(name) for name in form.cleaned_data[field]) for field in ("roles", "seen")
    )
    return _do(
        request,
        pk,
        lambda one: services.grant_roles(person=one, by=request.user, roles=wanted, seen=seen),
    )


@require_POST
def disable(request: PageRequest, pk: int) -> HttpResponse:
    """Close an account, of whoever the second step of it names."""
    one = get_object_or_404(User, pk=pk)
    if request.POST.get("confirmed") != one.username and recently_authenticated(request):
        require(actor_of(request.user), Act.MANAGE_PEOPLE)
        return show(request, pk, refusal=Refusal(f"Confirm that it is {one.username}.", UNUSABLE))
    return _do(request, pk, lambda one: services.disable_person(person=one, by=request.user))


@require_POST
def enable(request: PageRequest, pk: int) -> HttpResponse:
    """Open a closed account again."""
    return _do(request, pk, lambda one: services.enable_person(person=one, by=request.user))


@require_POST
def sign_out(request: PageRequest, pk: int) -> HttpResponse:
    """End all sessions of somebody."""
    return _do(request, pk, lambda one: services.end_sessions(person=one, by=request.user))


@require_POST
def reset(request: PageRequest, pk: int) -> HttpResponse:
    """Remove the second factor of somebody who lost it."""
    return _do(request, pk, lambda one: services.reset_second_factor(person=one, by=request.user))


@require_POST
def add_name(request: PageRequest, pk: int) -> HttpResponse:
    """Note another name of somebody."""
    form = OtherNameForm(request.POST)
    if not form.is_valid():
        return show(
            request,
            pk,
            instead={"name_form": form},
            refusal=Refusal("That is no name.", UNUSABLE),
        )
    name = form.cleaned_data["name"]
    return _do(
        request, pk, lambda one: services.add_other_name(person=one, by=request.user, name=name)
    )


@require_POST
def remove_name(request: PageRequest, pk: int) -> HttpResponse:
    """Take back another name of somebody."""
    name = visible_line(request.POST.get("name", ""))  # as it was added
    return _do(
        request, pk, lambda one: services.remove_other_name(person=one, by=request.user, name=name)
    )


def _do(request: PageRequest, pk: int, deed: Callable[[User], object]) -> HttpResponse:
    """Do something about an account, for whoever has just shown who they are."""
    address = reverse("person", args=[pk])
    if not recently_authenticated(request):
        return redirect(again_address(request, address))
    one = get_object_or_404(User, pk=pk)

    def effect() -> str:
        deed(one)
        return f"{address}?done=1"

    result = act(request, effect)
    return show(request, pk, refusal=result) if isinstance(result, Refusal) else redirect(result)


def _accounts() -> QuerySet[User]:
    names = OtherName.objects.order_by("name")
    factor = Authenticator.objects.filter(user=OuterRef("pk"), type=Authenticator.Type.TOTP)
    return User.objects.annotate(is_protected=Exists(factor)).prefetch_related(
        "groups", Prefetch("other_names", names)
    )


def show(
    request: PageRequest,
    pk: int,
    *,
    instead: Mapping[str, object] | None = None,
    refusal: Refusal | None = None,
) -> HttpResponse:
    """Answer with an account and what may be done about it.

    Args:
        request: of a release engineer.
        pk: whose account.
        instead: what to show in the place of what the page shows by itself: a form as it was
            sent (`name_form`, `token_form`), or the `secret` of a token that was just made.
        refusal: why nothing was done.

    Raises:
        NotPermitted: not a release engineer.
    """
    require(actor_of(request.user), Act.MANAGE_PEOPLE)
    one = get_object_or_404(_accounts(), pk=pk)
    held = sorted(roles_of(one))
    known = {name.casefold() for name in (request.user.username, *names_of(request.user))}
    context: dict[str, object] = {
        "section": "people",
        "person": one,
        "roles": held,
        "roles_form": RolesForm(initial={"roles": held, "seen": held}, auto_id="roles_%s"),
        "name_form": OtherNameForm(),
        "known_as": sorted(names_of(one)),
        "is_own": one.username.casefold() in known,
        "is_recent": recently_authenticated(request),
        "again": again_address(request, reverse("person", args=[pk])),
        "done": "done" in request.GET,
        "requested": Backport.objects.filter(requester=one, status__in=OPEN_STATUSES).count(),
        "tokens": one.api_tokens.filter(revoked_at__isnull=True).select_related("made_by"),
        "token_form": TokenForm(),
        "events": _history_of(one),
        **(instead or {}),
    }
    return page(request, ONE, context, refusal=refusal)


def _history_of(one: User) -> list[dict[str, object]]:
    """Return what was done about an account, newest first."""
    events = Event.objects.filter(kind__startswith="person.", payload__person=one.username)
    return [
        {
            "at": event.at,
            "verb": event.kind.removeprefix("person.").replace("-", " "),
            "by": event.actor_name,
            "detail": _detail_of(event.payload),
        }
        for event in events.order_by("-seq")[:MOST_EVENTS]
    ]


def _detail_of(payload: Mapping[str, Any]) -> str:
    if "after" in payload:
        return ", ".join(payload["after"]).replace("-", " ") or "no role"
    return str(payload.get("name", ""))
