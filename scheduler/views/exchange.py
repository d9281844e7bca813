"""The calendar as a wiki page: a week to copy, and a page to make windows of."""

from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from scheduler.actors import actor_of
from scheduler.adapters.calendars.entries import UnusablePage
from scheduler.adapters.cleaning import shortened, visible, visible_line
from scheduler.domain.errors import Refused
from scheduler.domain.permissions import Act, require
from scheduler.services.exchange import dry_run, import_page, monday_of, week_as_wikitext
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act, page

PAGE = "scheduler/calendar/import.html"
LARGEST = 2_000_000  # bytes of a file
LONGEST_SOURCE = 100  # characters


@require_safe
def week(request: PageRequest, name: str) -> HttpResponse:
    """Answer with a week as wikitext."""
    try:
        monday = monday_of(name)
    except Refused:
        raise Http404 from None
    return HttpResponse(week_as_wikitext(monday), content_type="text/plain; charset=utf-8")


@require_http_methods(["GET", "HEAD", "POST"])
def look(request: PageRequest) -> HttpResponse:
    """Ask for a page, and show what would be made of it; nothing is written."""
    require(actor_of(request.user), Act.MANAGE_CALENDAR)
    if request.method != "POST":
        return _show(request)
    upload = request.FILES.get("file")
    try:
        text = _content(upload) if upload else _clean(request.POST.get("text", ""))
    except UnusablePage as problem:
        return _show(request, refusal=Refusal(str(problem), UNUSABLE))
    named = visible_line(upload.name or "") if upload else ""
    return _show(request, text=text, source=named or "pasted")


@require_POST
def make(request: PageRequest) -> HttpResponse:
    """Make the windows that were shown."""
    text = _clean(request.POST.get("text", ""))
    digest = request.POST.get("digest", "")
    source = shortened(visible_line(request.POST.get("source", "")), LONGEST_SOURCE)

    def effect() -> str:
        made = import_page(text=text, digest=digest, by=request.user, source=source)
        return f"{reverse('calendar-import')}?made={len(made)}"

    try:
        result = act(request, effect)
    except UnusablePage as problem:
        result = Refusal(str(problem), UNUSABLE)
    if isinstance(result, Refusal):
        return _show(request, text=text, source=source, refusal=result)
    return redirect(result)


def _show(
    request: PageRequest, *, text: str = "", source: str = "", refusal: Refusal | None = None
) -> HttpResponse:
    context: dict[str, object] = {"section": "calendar", "text": text, "source": source}
    made = request.GET.get("made", "")
    if made.isascii() and made.isdecimal():
        context["made"] = int(made[:4])
    if text or source:
        try:
            context["run"] = dry_run(text, now=timezone.now())
        except UnusablePage as problem:
            refusal = refusal or Refusal(str(problem), UNUSABLE)
    return page(request, PAGE, context, refusal=refusal)


def _content(upload: UploadedFile) -> str:
    if (upload.size or 0) > LARGEST:
        raise UnusablePage("This file is too large to be a page.")
    try:
        return _clean(upload.read().decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise UnusablePage("This file is not UTF-8.") from None


def _clean(text: str) -> str:
    """Return a text that a hidden field of a form gives back as it was."""
    return visible(text.replace("\r\n", "\n").replace("\r", "\n"))
