"""Another window for a backport: moved on where there is no room, booked again once it ended."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from scheduler.forms import OtherWindowForm
from scheduler.models import Backport, Window
from scheduler.services.moving import book_again as book_backport_again
from scheduler.services.moving import move_on as move_backport_on
from scheduler.views import backports, windows
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act

GONE = "There is no such window any more; choose another one."


@require_POST
def move_on(request: PageRequest, pk: int) -> HttpResponse:
    """Move a backport to another window, with everything that needs it."""
    backport, form = _backport(pk), OtherWindowForm(request.POST)
    before = backport.window
    if not form.is_valid():
        return windows.show(request, before, refusal=Refusal(GONE, UNUSABLE))
    to: Window = form.cleaned_data["window"]
    moved: list[int] = []

    def effect() -> str:
        found = move_backport_on(
            backport=backport,
            by=request.user,
            to=to,
            fingerprint=form.cleaned_data["fingerprint"],
        )
        moved.extend(one.change.number for one in found)
        return reverse("window", args=[to.pk])

    result = act(request, effect)
    if isinstance(result, Refusal):
        window = get_object_or_404(Window.objects.select_related("locked_by"), pk=before.pk)
        return windows.show(request, window, refusal=result)
    if moved:
        names = ", ".join(map(str, moved))
        messages.success(request, f"Moved to {to}: {names}. What was approved waits for review.")
    return redirect(result)


@require_POST
def book_again(request: PageRequest, pk: int) -> HttpResponse:
    """Book again what ended without being deployed, as it was answered before."""
    backport, form = _backport(pk), OtherWindowForm(request.POST)
    if not form.is_valid():
        return backports.show(request, pk, refusal=Refusal(GONE, UNUSABLE))
    window: Window = form.cleaned_data["window"]
    made: list[int] = []

    def effect() -> str:
        found = book_backport_again(
            backport=backport,
            by=request.user,
            window=window,
            what_differs=form.cleaned_data["what_differs"],
        )
        made.extend(one.change.number for one in found)
        return reverse("backport", args=[found[0].pk])

    result = act(request, effect)
    if isinstance(result, Refusal):
        return backports.show(request, pk, refusal=result)
    if made:
        names = ", ".join(map(str, made))
        messages.success(request, f"Booked again in {window}: {names}. It waits for review.")
    return redirect(result)


def _backport(pk: int) -> Backport:
    rows = Backport.objects.select_related(
        "change", "requester", "edited_by", "window", "window__locked_by"
    )
    return get_object_or_404(rows.defer("change__diff"), pk=pk)
