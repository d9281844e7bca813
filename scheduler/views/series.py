"""The series of windows: a list, to begin one, to end one; and single windows."""

from datetime import timedelta

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from scheduler.actors import actor_of
from scheduler.domain.errors import AmbiguousLocalTime, NoSuchLocalTime
from scheduler.domain.permissions import Act, may, require
from scheduler.forms import WEEKDAYS, EndSeriesForm, SeriesForm, WindowForm
from scheduler.models import User, WindowSeries
from scheduler.services import calendar as services
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act, page

LIST, NEW_WINDOW = "scheduler/calendar/series.html", "scheduler/calendar/new_window.html"


@require_http_methods(["GET", "HEAD", "POST"])
def series(request: PageRequest) -> HttpResponse:
    """List the series; a release engineer begins one."""
    if request.method != "POST":
        initial = {"zone": usual_zone(request.user), "starts_on": timezone.now().date()}
        return _show(request, SeriesForm(initial=initial))
    require(actor_of(request.user), Act.MANAGE_CALENDAR)
    form = SeriesForm(request.POST)
    if not form.is_valid():
        return _show(request, form)

    def effect() -> str:
        try:
            made = services.make_series(facts=form.facts, by=request.user)
        except (NoSuchLocalTime, AmbiguousLocalTime) as refusal:
            form.refuse("starts", refusal)
            raise
        return f"{reverse('series')}#series-{made.pk}"

    result = act(request, effect)
    if isinstance(result, Refusal):
        return _show(request, form, refusal=None if form.errors else result)
    messages.success(request, "The series has begun; its windows are in the calendar.")
    return redirect(result)


@require_POST
def end(request: PageRequest, pk: int) -> HttpResponse:
    """End a series after a day."""
    require(actor_of(request.user), Act.MANAGE_CALENDAR)
    row, form = get_object_or_404(WindowSeries, pk=pk), EndSeriesForm(request.POST)
    if not form.is_valid():
        refusal = Refusal("Say which day is its last one.", UNUSABLE)
        return _show(request, SeriesForm(), refusal=refusal)

    def effect() -> str:
        services.end_series(series=row, by=request.user, last_day=form.cleaned_data["last_day"])
        return reverse("series")

    result = act(request, effect)
    if isinstance(result, Refusal):
        return _show(request, SeriesForm(), refusal=result)
    messages.success(request, "The series ends; later windows of it were called off.")
    return redirect(result)


def _show(
    request: PageRequest, form: SeriesForm, *, refusal: Refusal | None = None
) -> HttpResponse:
    today = timezone.now().date()
    rows = WindowSeries.objects.order_by("ends_on", "zone", "at", "pk")
    listed = [
        {
            "series": one,
            "days": [WEEKDAYS[day] for day in one.weekdays],
            "has_ended": one.ends_on is not None and one.ends_on < today,
        }
        for one in rows
    ]
    context: dict[str, object] = {
        "section": "calendar",
        "rows": sorted(listed, key=lambda row: bool(row["has_ended"])),
        "form": form,
        "may_manage": may(actor_of(request.user), Act.MANAGE_CALENDAR),
        "weeks_ahead": services.WEEKS_AHEAD,
        "tomorrow": today + timedelta(days=1),
    }
    answer = page(request, LIST, context, refusal=refusal)
    if form.is_bound and form.errors:
        answer.status_code = UNUSABLE
    return answer


@require_http_methods(["GET", "HEAD", "POST"])
def new_window(request: PageRequest) -> HttpResponse:
    """Add a single window of any kind."""
    require(actor_of(request.user), Act.MANAGE_CALENDAR)
    if request.method != "POST":
        form = WindowForm(initial={"zone": usual_zone(request.user)})
        return page(request, NEW_WINDOW, {"section": "calendar", "form": form})
    form = WindowForm(request.POST)
    context: dict[str, object] = {"section": "calendar", "form": form}
    if not form.is_valid():
        answer = page(request, NEW_WINDOW, context)
        answer.status_code = UNUSABLE
        return answer

    def effect() -> str:
        made = services.add_window(facts=form.facts, by=request.user)
        return reverse("window", args=[made.pk])

    result = act(request, effect)
    if isinstance(result, Refusal):
        return page(request, NEW_WINDOW, context, refusal=result)
    messages.success(request, "The window is in the calendar.")
    return redirect(result)


def usual_zone(reader: User) -> str:
    """Return whose clocks a form begins with: those of the newest series, else the reader's."""
    newest = WindowSeries.objects.order_by("-pk").values_list("zone", flat=True).first()
    return newest or reader.time_zone or "UTC"
