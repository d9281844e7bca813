"""Freezes: a list with when they come again, adding one once it was seen what it strands."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from scheduler.actors import actor_of
from scheduler.domain.permissions import Act, may, require
from scheduler.domain.windows import Freeze, FreezeScope
from scheduler.forms import FreezeForm, ReasonForm, grade_of
from scheduler.models import Freeze as FreezeRow
from scheduler.services import calendar as services
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act, page
from scheduler.views.series import usual_zone

LIST, STRANDS = "scheduler/calendar/freezes.html", "scheduler/calendar/strands.html"
SHOWN_TIMES = 3
_LOOKED_AHEAD = timedelta(days=3 * 366)


@dataclass(frozen=True, slots=True)
class Row:
    """A freeze with its next times; `is_past` where none is to come."""

    freeze: FreezeRow
    grade: str
    coming: tuple[Freeze, ...]
    is_past: bool


@require_http_methods(["GET", "HEAD", "POST"])
def freezes(request: PageRequest) -> HttpResponse:
    """List the freezes; a release engineer adds one, after seeing what it would strand."""
    if request.method != "POST":
        return _list(request, FreezeForm(initial={"zone": usual_zone(request.user)}))
    require(actor_of(request.user), Act.MANAGE_CALENDAR)
    form = FreezeForm(request.POST)
    if not form.is_valid() or "edit" in request.POST:
        return _list(request, form, status=200 if form.is_valid() else UNUSABLE)
    seen = request.POST.get("seen", "")
    if not seen:
        return _strands(request, form)

    def effect() -> str:
        made = services.add_freeze(facts=form.facts, by=request.user, seen=seen)
        return f"{reverse('freezes')}#freeze-{made.pk}"

    result = act(request, effect)
    if isinstance(result, Refusal):
        return _strands(request, form, refusal=result)
    messages.success(request, "The freeze holds; every window that it touches was planned again.")
    return redirect(result)


@require_POST
def call_off(request: PageRequest, pk: int) -> HttpResponse:
    """End a freeze for good."""
    require(actor_of(request.user), Act.MANAGE_CALENDAR)
    row, form = get_object_or_404(FreezeRow, pk=pk), ReasonForm(request.POST)
    empty = FreezeForm(initial={"zone": usual_zone(request.user)})
    if not form.is_valid():
        return _list(request, empty, refusal=Refusal("Say why, in a sentence.", UNUSABLE))

    def effect() -> str:
        services.cancel_freeze(freeze=row, by=request.user, reason=form.cleaned_data["reason"])
        return reverse("freezes")

    result = act(request, effect)
    if isinstance(result, Refusal):
        return _list(request, empty, refusal=result)
    messages.success(request, "The freeze was called off.")
    return redirect(result)


def _list(
    request: PageRequest,
    form: FreezeForm,
    *,
    refusal: Refusal | None = None,
    status: int = 200,
) -> HttpResponse:
    now = timezone.now()
    rows = []
    for one in FreezeRow.objects.filter(cancelled_at__isnull=True).order_by("starts", "pk"):
        coming = tuple(islice(one.to_domain().between(now, now + _LOOKED_AHEAD), SHOWN_TIMES))
        rows.append(Row(one, grade_of(FreezeScope(one.scope)), coming, not coming))
    context: dict[str, object] = {
        "section": "calendar",
        "rows": sorted(rows, key=lambda row: row.is_past),
        "form": form,
        "may_manage": may(actor_of(request.user), Act.MANAGE_CALENDAR),
    }
    answer = page(request, LIST, context, refusal=refusal)
    if refusal is None:
        answer.status_code = status
    return answer


def _strands(
    request: PageRequest, form: FreezeForm, *, refusal: Refusal | None = None
) -> HttpResponse:
    """Show what a freeze would strand; sending that adds it, if it still is what was shown."""
    facts = form.facts
    now = timezone.now()
    context: dict[str, object] = {
        "section": "calendar",
        "form": form,
        "facts": facts,
        "grade": grade_of(facts.scope),
        "times": tuple(islice(facts.to_domain().between(now, now + _LOOKED_AHEAD), SHOWN_TIMES)),
        "stranded": services.stranded_by(facts, now=now),
    }
    return page(request, STRANDS, context, refusal=refusal)
