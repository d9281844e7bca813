"""Drafts of requests: saved while somebody types, and by a button; private to them."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from scheduler.services.drafts import drop_draft, save_draft
from scheduler.views.booking import NEW
from scheduler.views.http import PageRequest, page


@require_POST
def save(request: PageRequest) -> HttpResponse:
    """Keep what was typed; htmx goes on typing, a plain form comes back with all of it."""
    draft = save_draft(
        user=request.user,
        typed=dict(request.POST.lists()),
        key=request.POST.get("draft", ""),
    )
    if request.htmx:
        return page(request, NEW, {"draft": draft}, partial="draft")
    if draft is None:
        messages.warning(
            request, "There is nothing to keep yet: a draft begins with your first answer."
        )
        return redirect("backport-new")
    messages.success(request, "Kept as a draft; nobody else sees it.")
    return redirect(f"{reverse('backport-new')}?draft={draft.pk}")


@require_POST
def drop(request: PageRequest, pk: int) -> HttpResponse:
    """Forget a draft."""
    drop_draft(user=request.user, key=str(pk))
    messages.success(request, "The draft is gone.")
    return redirect("backport-new")


@require_safe
def session(request: PageRequest) -> HttpResponse:
    """Give a form that stayed open the token of the session that somebody signed in again with."""
    if not request.htmx:
        return redirect("backport-new")
    answer = page(request, NEW, {}, partial="session")
    answer["Cache-Control"] = "no-store"
    return answer
