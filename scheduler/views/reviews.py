"""The inbox: what waits for one person, and several approvals at once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from scheduler.actors import actor_of
from scheduler.domain.permissions import Act, Actor, may
from scheduler.domain.planning.ways import UNANSWERED
from scheduler.forms import ApproveSeveralForm
from scheduler.models import Backport, User
from scheduler.queries import newest_plan
from scheduler.services.bulk import Outcome, Tick, approve_each, outcomes_of
from scheduler.services.fingerprints import digest
from scheduler.views.files import DiffSummary, diff_summary_of
from scheduler.views.filters import chosen_in, facets_of, narrowed
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act, local_address, page, parts_of
from scheduler.views.inbox_rows import rows_for
from scheduler.views.plan_pages import PlanPage, QuestionCard
from scheduler.views.reviewing import Reviewing, reviewing_of
from scheduler.views.waiting import Waiting, waiting_for
from scheduler.views.windows import plan_page

INBOX = "scheduler/reviews/inbox.html"


@dataclass(frozen=True, slots=True)
class Item:
    """One backport that waits, and what the reader may decide about it right here.

    Attributes:
        summary: what it does to which files.
        is_open: whether a form in it was just refused.
        questions: those about it; asked_above: those that a row above shows.
        plan_fingerprint: digest of the plan that they come from.
    """

    waiting: Waiting
    reviewing: Reviewing | None
    summary: DiffSummary
    is_open: bool
    questions: tuple[QuestionCard, ...] = ()
    asked_above: tuple[QuestionCard, ...] = ()
    plan_fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one backport that was ticked."""

    backport: Backport
    refusal: str


@require_safe
def inbox(request: PageRequest) -> HttpResponse:
    """Show what waits for this person."""
    return show_inbox(request, sent=_key(request.GET.get("sent", "")))


@require_safe
def news(request: PageRequest) -> HttpResponse:
    """Say whether something else waits than a page shows, without touching what it shows."""
    chosen = chosen_in(request.GET)
    waiting = narrowed(_waiting(request.user, actor_of(request.user)), chosen)
    context: dict[str, object] = {
        "is_news": _digest(waiting) != request.GET.get("shown", ""),
        "count": len(waiting),
        "here": _address(chosen),
    }
    return page(request, f"{INBOX}#news", context)


@require_POST
def approve_several(request: PageRequest) -> HttpResponse:
    """Approve what was ticked, each on its own: those that changed meanwhile are refused."""
    form = ApproveSeveralForm(request.POST)
    if not form.is_valid():
        refusal = Refusal(str(next(iter(form.errors.values()))[0]), UNUSABLE)
        return show_inbox(request, refusal=refusal)
    key = _key(request.POST.get("key", ""))
    address = _address({**chosen_in(_query(request)), "sent": key})
    short = _address({"sent": key})
    result = act(request, lambda: local_address(request, address, otherwise=short))
    if isinstance(result, Refusal):
        return show_inbox(request, refusal=result)
    approve_each(reviewer=request.user, key=key, ticks=_ticks(request.user, form.ticked))
    return show_inbox(request, sent=key) if request.htmx else redirect(result)


def show_inbox(
    request: PageRequest, *, refusal: Refusal | None = None, done: str = "", sent: str = ""
) -> HttpResponse:
    """Answer with the inbox as it is now, whole or as the partial that htmx swaps in.

    Args:
        request: its address, or that of the page which htmx sent it from, says what to narrow by.
        refusal: why nothing was done.
        done: what was done.
        sent: key of a form of several approvals; what became of each is shown.
    """
    actor = actor_of(request.user)
    waiting = _waiting(request.user, actor)
    chosen = chosen_in(_query(request))
    shown = narrowed(waiting, chosen)
    items = _with_questions(request.user, [_item(request, actor, one) for one in shown])
    context: dict[str, object] = {
        "section": "reviews",
        "items": items,
        "count": len(waiting),
        "obvious": sum(not one.why_no_tick for one in shown),
        "facets": facets_of(waiting, chosen),
        "is_narrowed": bool(chosen),
        "is_reviewer": may(actor, Act.APPROVE),
        "may_book": may(actor, Act.BOOK),
        "here": _address(chosen),
        "again": _address({**chosen, "sent": sent} if sent else chosen),
        "approve_at": f"{reverse('review-approve-several')}?{urlencode(chosen)}",
        "news": f"{reverse('review-news')}?{urlencode({**chosen, 'shown': _digest(shown)})}",
        "done": done,
        "answered": _answered(request.user, sent),
    }
    return page(request, INBOX, context, partial="inbox", refusal=refusal)


def _waiting(user: User, actor: Actor) -> tuple[Waiting, ...]:
    now = timezone.now()
    return waiting_for(actor, rows_for(user, now), now)


def _item(request: PageRequest, actor: Actor, one: Waiting) -> Item:
    reviewing = None
    if one.is_decided_here:
        reviewing = reviewing_of(request.user, actor, one.backport, one.entry.objections)
    match = request.resolver_match
    return Item(
        one,
        reviewing,
        diff_summary_of(one.backport.change, settings.GERRIT_PUBLIC_URL),
        match is not None and match.kwargs.get("pk") == one.backport.pk,
    )


def _with_questions(user: User, items: Iterable[Item]) -> list[Item]:
    """Return rows with the questions about what may be decided in them, each in one row."""
    plans: dict[int, tuple[str, PlanPage]] = {}
    seen: set[tuple[int, int]] = set()
    found = []
    for item in items:
        waiting, window = item.waiting, item.waiting.backport.window
        is_asked = any(one.rule == UNANSWERED for one in waiting.entry.objections)
        if item.reviewing is None or not is_asked:
            found.append(item)
            continue
        if window.pk not in plans:
            plan = newest_plan(window)
            page_of = plan_page(window, plan, reader=user.username)
            plans[window.pk] = (plan.fingerprint if plan else "", page_of)
        fingerprint, shown = plans[window.pk]
        cards = shown.questions_about(waiting.backport.change.number)
        new = tuple(card for card in cards if card.pair not in seen)
        above = tuple(card for card in cards if card.pair in seen)
        seen.update(card.pair for card in new)
        found.append(replace(item, questions=new, asked_above=above, plan_fingerprint=fingerprint))
    return found


def _ticks(user: User, ticked: Mapping[int, str]) -> list[Tick]:
    """Return what was ticked; what is not obvious any more says why."""
    waiting = {one.backport.pk: one for one in _waiting(user, actor_of(user))}
    return [
        Tick(key, shown, waiting[key].why_no_tick if key in waiting else "")
        for key, shown in ticked.items()
    ]


def _answered(user: User, sent: str) -> list[Answered]:
    """Return what became of each tick of a form that this person sent."""
    outcomes: list[Outcome] = outcomes_of(reviewer=user, key=sent) if sent else []
    rows = Backport.objects.select_related("change").defer("change__diff")
    backports = rows.in_bulk([one.backport for one in outcomes])
    return [
        Answered(backports[one.backport], one.refusal)
        for one in outcomes
        if one.backport in backports
    ]


def _key(text: str) -> str:
    """Return the idempotency key that a text is, spelled as usual; "" if it is none."""
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def _query(request: PageRequest) -> QueryDict:
    """Return what the address narrows by; a form that htmx sent has that of its page."""
    if request.GET or request.method != "POST" or not request.htmx:
        return request.GET
    return QueryDict(parts_of(request.htmx.current_url or "").query)


def _address(query: Mapping[str, str]) -> str:
    return reverse("review-inbox") + (f"?{urlencode(query)}" if query else "")


def _digest(waiting: tuple[Waiting, ...]) -> str:
    """Return the digest of what a page shows of the rows, but for how long ago it was."""
    rows = [
        [
            one.backport.pk,
            one.backport.fingerprint,
            [reason.since.isoformat() for reason in one.reasons],
        ]
        for one in waiting
    ]
    return digest({"rows": rows})
