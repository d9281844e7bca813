"""What people do about a window: deploy in it, move it, call it off, confirm an emergency."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from scheduler.actors import actor_of
from scheduler.domain.permissions import Act, require
from scheduler.forms import MoveWindowForm, SeenForm
from scheduler.models import Window
from scheduler.services import calendar
from scheduler.services import windows as services
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act, local_address
from scheduler.views.reauthentication import sign_in_again
from scheduler.views.signing_in import recently_authenticated
from scheduler.views.window_parts import own_work_in, zones_for
from scheduler.views.windows import show


@require_POST
def sign_up(request: PageRequest, pk: int) -> HttpResponse:
    """Say that one deploys in a window."""
    window = _window(pk)
    return _do(
        request,
        window,
        lambda: services.sign_up(window=window, by=request.user),
        f"You deploy in {window}.",
    )


@require_POST
def step_down(request: PageRequest, pk: int) -> HttpResponse:
    """Say that one does not deploy in a window after all."""
    window = _window(pk)
    return _do(
        request,
        window,
        lambda: services.step_down(window=window, by=request.user),
        f"You do not deploy in {window} any more.",
    )


@require_POST
def move(request: PageRequest, pk: int) -> HttpResponse:
    """Move a window to another time."""
    window = _window(pk)
    require(actor_of(request.user), Act.MANAGE_CALENDAR)
    form = MoveWindowForm(request.POST, zones=zones_for(window, request.user))
    if not form.is_valid():
        refusal = Refusal("The window was not moved yet; the form says why.", UNUSABLE)
        return show(request, window, refusal=refusal, move_form=form)
    given = form.cleaned_data

    def effect() -> str:
        calendar.move_window(
            window=window,
            by=request.user,
            start=given["starts"],
            minutes=given["minutes"],
            reason=given["reason"],
            seen=given["seen"],
        )
        return reverse("window", args=[pk])

    result = act(request, effect)
    if isinstance(result, Refusal):
        return show(request, _window(pk), refusal=result, move_form=form)
    messages.success(request, "The window was moved, and what is booked in it with it.")
    return redirect(result)


@require_POST
def cancel(request: PageRequest, pk: int) -> HttpResponse:
    """Call a window off."""
    window, form = _window(pk), SeenForm(request.POST)
    require(actor_of(request.user), Act.MANAGE_CALENDAR)
    if not form.is_valid():
        return show(request, window, refusal=Refusal("Say why, in a sentence.", UNUSABLE))
    given = form.cleaned_data
    return _do(
        request,
        window,
        lambda: calendar.cancel_window(
            window=window, by=request.user, reason=given["reason"], seen=given["seen"]
        ),
        "The window was called off.",
    )


@require_POST
def confirm(request: PageRequest, pk: int) -> HttpResponse:
    """Confirm an emergency as one of two, who signed in a moment ago."""
    window, form = _window(pk), SeenForm(request.POST)
    actor = actor_of(request.user)
    require(actor, Act.CONFIRM_EMERGENCY, own_work_in(window, actor))
    if not form.is_valid():
        return show(request, window, refusal=Refusal("Load the page again.", UNUSABLE))
    if not recently_authenticated(request):
        return sign_in_again(request, reverse("window", args=[pk]) + "#emergency")
    seen = form.cleaned_data["seen"]
    return _do(
        request,
        window,
        lambda: calendar.confirm_emergency(window=window, by=request.user, seen=seen),
        "You confirmed that this window takes place in spite of the freeze.",
    )


def _window(pk: int) -> Window:
    return get_object_or_404(Window.objects.select_related("locked_by", "series"), pk=pk)


def _do(
    request: PageRequest, window: Window, deed: Callable[[], object], done: str
) -> HttpResponse:
    """Do something about a window and go back to where it was asked from."""
    pk = window.pk
    back = local_address(
        request, request.POST.get("back", ""), otherwise=reverse("window", args=[pk])
    )

    def effect() -> str:
        deed()
        return back

    result = act(request, effect)
    if isinstance(result, Refusal):
        return show(request, _window(pk), refusal=result)
    messages.success(request, done)
    return redirect(result)
