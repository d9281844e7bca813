"""Everything there is to know about a backport."""

from dataclasses import replace
from datetime import datetime

from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_safe

from scheduler.actors import actor_of, relations_to
from scheduler.adapters.plan_document import render
from scheduler.domain import backports as domain
from scheduler.domain.changes import Change as Known
from scheduler.domain.changes import ChangeStatus
from scheduler.domain.checklist.run import Phase
from scheduler.domain.lifecycle import TRANSITIONS, Action, Status
from scheduler.domain.permissions import Act, Actor, Relation, may
from scheduler.models import Backport, Change, Override, Plan, Window
from scheduler.queries import OPEN_STATUSES, names_trusted_with, newest_plan, planned_now
from scheduler.services.clock import database_now
from scheduler.services.moving import ENDED_WITHOUT, next_window_with_room
from scheduler.services.runs import course_of
from scheduler.views.course_cards import Board, ChoiceCard
from scheduler.views.history import history_of
from scheduler.views.http import PageRequest, Refusal, page
from scheduler.views.pictures import Picture, links_of, links_of_plan, picture_of
from scheduler.views.plan_pages import Entry, Objection, PlanPage, QuestionCard
from scheduler.views.reading import (
    events_about,
    question_to_requester,
    questions_asked_about,
    reviews_of,
)
from scheduler.views.review_parts import review_parts
from scheduler.views.ways import ways_in
from scheduler.views.window_parts import may_do
from scheduler.views.windows import plan_page

PAGE = "scheduler/backports/detail.html"
BOOKED_AGAIN = frozenset({Status.WITHDRAWN, Status.MISSED, Status.DECLINED, Status.REVERTED})


@require_safe
def detail(request: PageRequest, pk: int) -> HttpResponse:
    """Show everything there is to know about a backport."""
    return show(request, pk)


def show(
    request: PageRequest, pk: int, *, refusal: Refusal | None = None, done: str = ""
) -> HttpResponse:
    """Answer with the backport as it is now, whole or as the partial that htmx swaps in."""
    rows = Backport.objects.select_related("change", "window", "requester", "edited_by")
    backport = get_object_or_404(rows.defer("change__diff"), pk=pk)
    number = backport.change.number
    plan = newest_plan(backport.window)
    ways = ways_in(backport.window, plan, timezone.now()) if backport.is_open else {}
    shown = plan_page(backport.window, plan, reader=request.user.username, ways=ways)
    entry = _entry(backport, shown)
    actor, now = actor_of(request.user), timezone.now()
    relations = relations_to(actor, backport)
    status = Status(backport.status)
    place = shown.place_of(number) if backport.is_open else ""
    reviews, events = reviews_of(backport), events_about(backport)
    questions = shown.questions_about(number) if backport.is_open else ()
    context: dict[str, object] = {
        "section": "calendar",
        "backport": backport,
        "entry": entry,
        "place": place,
        "step": shown.step_of.get(number) if backport.is_open else None,
        "moving": entry.blocking,
        "urgency": domain.Urgency(backport.urgency).slug,
        "questions": questions,
        "plan_fingerprint": plan.fingerprint if plan else "",
        "may_answer": may(actor, Act.ANSWER_QUESTION),
        "reviewers": names_trusted_with(Act.ANSWER_QUESTION) if questions else (),
        "picture": _picture(number, plan),
        "reviews": reviews,
        "approval": next(
            (one for one in reviews if one.decision == "approve" and one.voided_at is None), None
        ),
        "asked": question_to_requester(backport, reviews),
        "may_amend": can_be_amended(backport) and may(actor, Act.AMEND, relations),
        "may_withdraw": backport.is_open
        and backport.status != Status.DEPLOYING.value
        and may(actor, Act.WITHDRAW, relations),
        "is_requester": Relation.REQUESTER in relations,
        "falling": _falling(backport),
        "sibling": _sibling(backport) if backport.requester == request.user else None,
        "may_book_again": status in BOOKED_AGAIN and may(actor, Act.BOOK),
        "again_in": _again_in(backport, actor, now),
        "history": history_of(events, number, questions_asked_about(backport, events)),
        "next_sentence": _waits_for_second(backport, entry)
        or _next_sentence(backport, place, entry, questions, shown),
        "done": done,
        **review_parts(request, backport, actor, entry.objections, events),
    }
    return page(request, PAGE, context, partial="backport", refusal=refusal)


def _falling(backport: Backport) -> ChoiceCard | None:
    """Return what falls if a backport leaves a window that is being deployed; None if nothing can.

    Nothing falls before its window has begun: what needs it leaves the queue, and may come back.
    """
    if not (backport.is_open and backport.window.is_locked):
        return None
    course = course_of(backport.window, database_now())
    if course.run is None or course.is_closed:
        return None
    position = course.position_of(backport)
    if position is None or course.state.at(position).phase is not Phase.WAITING:
        return None
    return Board(course).step(position).missed


def _again_in(backport: Backport, actor: Actor, now: datetime) -> Window | None:
    """Return the window in which what ended can be booked again with one click, if there is one."""
    if Status(backport.status) not in ENDED_WITHOUT or not may_do(actor, Act.BOOK_AGAIN, backport):
        return None
    if Backport.objects.filter(change=backport.change_id, status__in=OPEN_STATUSES).exists():
        return None
    return next_window_with_room(
        after=backport.window, now=now, urgency=domain.Urgency(backport.urgency)
    )


def _entry(backport: Backport, shown: PlanPage) -> Entry:
    """Return what the rules say about a backport, as its fingerprint means it.

    The plan of a locked window is as old as the lock; what is decided is decided about now.
    """
    number = backport.change.number
    if not backport.is_open:
        return Entry(number, backport.change, backport)
    entry = replace(shown.entry(number), change=backport.change, backport=backport)
    if not backport.window.is_locked:
        return entry
    _, planned = planned_now(backport.window, timezone.now())
    return replace(entry, objections=PlanPage(render(planned)).objections.get(number, ()))


def _sibling(backport: Backport) -> Known | None:
    """Return an open cherry-pick of the same change that nobody has booked; None if there is none.

    Only a backport that is open itself has one to take its answers along.
    """
    change = backport.change
    if not backport.is_open or not change.change_id:
        return None
    rows = Change.objects.filter(
        change_id__iexact=change.change_id, project=change.project, status=ChangeStatus.NEW.value
    ).exclude(Q(pk=change.pk) | Q(backports__status__in=OPEN_STATUSES))
    picks = (row.to_domain(with_diff=False) for row in rows.defer("diff").order_by("number"))
    return next((pick for pick in picks if not pick.is_on_main), None)


def can_be_amended(backport: Backport) -> bool:
    """Return whether the status of a backport still allows its answers to change."""
    return (Status(backport.status), Action.AMEND) in TRANSITIONS


def _picture(number: int, plan: Plan | None) -> Picture | None:
    """Return what a change is linked with: declared, stated, or asked about."""
    found = links_of_plan(plan)
    return picture_of({number}, links_of(number, found.links), found.labels)


_AFTERWARDS = {
    Status.NEEDS_INFO: "A reviewer asked something; the requester has to reply.",
    Status.DEPLOYING: "It is being deployed.",
    Status.DEDICATED: "It waits for a window of its own, which its people agree on.",
    Status.TRAIN: "It rides the train; nothing more to do here.",
    Status.DECLINED: "It was declined; the history says why. The change can be booked again.",
    Status.WITHDRAWN: "It was withdrawn; the change can be booked again.",
    Status.MISSED: "It did not go in this window. The change can be booked again.",
}


def _next_sentence(
    backport: Backport,
    place: str,
    entry: Entry,
    questions: tuple[QuestionCard, ...],
    shown: PlanPage,
) -> str:
    """Return what happens next, in one sentence."""
    status = Status(backport.status)
    if sentence := _without_the_rules(backport, status):
        return sentence
    if questions:
        other = questions[0].high if questions[0].low.number == entry.number else questions[0].low
        people = " or ".join([*questions[0].requesters, "any reviewer"])
        return f"{people} has to say how it belongs together with {other.number}."
    if place == "queue" and backport.window.is_locked and status is not Status.QUEUED:
        return (
            "It changed after the queue was locked and is not to be deployed: unlock to plan again."
        )
    if place == "queue":
        return "It is in the queue; be there when its step starts."
    blocking = list(entry.blocking)
    if status is Status.SUBMITTED:  # an approval can take the others along
        blocking = [
            one for one in blocking if one.rule != "not-approved" and not one.can_be_acknowledged
        ]
    if blocking:
        return _way_out(blocking[0], shown)
    return "Somebody other than its requester and author has to approve it."


def _waits_for_second(backport: Backport, entry: Entry) -> str:
    """Return that a proposed override waits for a second person, and who may be that; else ""."""
    blocking = {one.rule for one in entry.blocking}
    rows = backport.overrides.filter(confirmed_at__isnull=True, ended_at__isnull=True)
    waiting = rows.filter(rule__in=blocking).select_related("proposed_by").first()
    if waiting is None or not backport.is_open:
        return ""
    return (
        f"{waiting.proposed_by.username} proposes to let it go although {waiting.rule} objects; "
        f"a second person has to confirm it{_named(_confirmers(backport, waiting))}."
    )


def _confirmers(backport: Backport, override: Override) -> list[str]:
    """Return the names of those who may confirm an override."""
    held = (
        override.proposed_by.username,
        backport.requester.username,
        backport.edited_by.username if backport.edited_by else "",
        backport.change.owner,
        backport.change.uploader,
    )
    theirs = {name.casefold() for name in held}
    names = names_trusted_with(Act.CONFIRM_OVERRIDE)
    return [name for name in names if name.casefold() not in theirs]


def _named(names: list[str]) -> str:
    return f": {' or '.join(names)} can" if names else ", and nobody here may"


def _without_the_rules(backport: Backport, status: Status) -> str:
    """Return what happens next where no rule is asked; "" where they are."""
    if status not in {Status.SUBMITTED, Status.APPROVED, Status.QUEUED}:
        return _AFTERWARDS.get(status, "Nothing more to do here.")
    if not backport.change.is_known:
        return "Gerrit has not told about this change yet; it is asked again every minute."
    return ""


def _way_out(objection: Objection, shown: PlanPage) -> str:
    """Return what would change it, and for each change that it waits for what that one needs."""
    others = [shown.entry(number) for number in objection.waits_for]
    return " ".join(
        [
            objection.remedy or objection.message,
            *(f"{one.number}: {one.blocking[0].remedy}" for one in others if one.blocking),
        ]
    )
