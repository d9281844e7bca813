"""How far a window is that is deployed, for programs: `docs/api.md`."""

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import or_
from typing import Any, Literal

from django.db.models import Q
from django.http import HttpRequest, HttpResponse

from scheduler.actors import actor_of
from scheduler.api.http import MISSING, Moment, NotUsable, Told, answered, only_read, reader_of
from scheduler.domain.checklist.run import Outcome, Phase, StepState, on_versions
from scheduler.domain.checklist.steps import Answers, ItemKind
from scheduler.domain.checklist.turns import Person, now_for
from scheduler.domain.permissions import Act
from scheduler.models import RunItem, User, Window
from scheduler.services.clock import database_now
from scheduler.services.runs import Course, course_of


class ChecklistWindow(Told):
    """The window."""

    id: int
    title: str
    start: Moment
    end: Moment


class LiveTold(Told):
    """What one live version has of the window."""

    branch: str
    """Empty where no version is known."""
    groups: list[str]
    changes: list[int]


class NowTold(Told):
    """What the reader does now, and whether the window waits for exactly them."""

    sentence: str
    mine: bool


class PersonTold(Told):
    """What somebody does now whom the window is about."""

    person: str
    sentence: str


class ItemTold(Told):
    """One thing to do."""

    id: int | None
    """Null before the window has begun."""
    kind: ItemKind
    title: str
    change: int | None
    """The one that it is about; null for all of the step."""
    command: str | None
    link: str | None
    log: str | None
    note: str | None
    minutes: int
    """How long it should take; 0 where nobody can say."""
    done: Moment | None
    by: str | None
    lease: int | None
    """The number that it was done under; null for what a tester did."""
    proof: str | None
    by_api: bool


class StepTold(Told):
    """One step of the queue."""

    id: int | None
    """What reports are about; null before the window has begun."""
    position: int
    changes: list[int]
    phase: Phase
    outcome: Outcome | None
    blocked: str | None
    """Why it cannot start; null if it can, or did."""
    reason: str | None
    """Why it ended as it did, where that needs saying."""
    minutes: int
    starts: Moment
    """When it was planned to."""
    started: Moment | None
    ended: Moment | None
    turn: int | None
    """Counts its changes; null before the window has begun."""
    items: list[ItemTold]


class ChecklistTold(Told):
    """How far a window is."""

    format: Literal["swat-checklist/1"] = "swat-checklist/1"
    window: ChecklistWindow
    at: Moment
    """The clock of the database."""
    driver: str | None
    lease: int | None
    """The number under which the driver drives; reports come with it."""
    begun: Moment | None
    closed: Moment | None
    last_start: Moment
    """Until when a step may start."""
    live: list[int]
    """The changes of it that are live, in the order of the queue."""
    versions: list[LiveTold]
    now: NowTold
    people: list[PersonTold]
    """What the driver, the requesters and the testers do now."""
    steps: list[StepTold]


@only_read
def checklist(request: HttpRequest, pk: int) -> HttpResponse:
    """Tell how far a window is: to a token for reports, and to everybody who is signed in."""
    return answered(lambda: _told(request, pk))


def _told(request: HttpRequest, pk: int) -> Mapping[str, Any]:
    reader = reader_of(request, Act.DRIVE)
    window = Window.objects.filter(pk=pk).first()
    if window is None:
        raise NotUsable("There is no such window.", MISSING)
    return checklist_for(reader, course_of(window, database_now())).model_dump()


def checklist_for(reader: User, course: Course) -> ChecklistTold:
    """Return how far a window is, as somebody reads it."""
    window, run, lease, live = course.window, course.run, course.lease, course.state.live
    now = now_for(course.person(actor_of(reader)), course.hour)
    return ChecklistTold(
        window=ChecklistWindow(
            id=window.pk, title=window.title, start=window.start, end=window.end
        ),
        at=course.at,
        driver=lease.holder.username if lease else None,
        lease=lease.number if lease else None,
        begun=run.begun_at if run else None,
        closed=run.closed_at if run else None,
        last_start=course.last_start,
        live=list(live),
        versions=[
            LiveTold(branch=one.branch, groups=list(one.groups), changes=list(one.numbers))
            for one in on_versions(live, course.changes, course.production)
        ],
        now=NowTold(sentence=now.sentence, mine=now.is_mine),
        people=list(_people(course)),
        steps=[_step(course, state) for state in course.state.steps],
    )


def _people(course: Course) -> Iterator[PersonTold]:
    """Yield what each person does whom the window is about: its driver first, then by the queue.

    A tester may be somebody without an account; then it is what anybody of that name does. Reads
    a little for each of them: a queue is short.
    """
    names = _names(course)
    accounts: dict[str, User] = {}
    if names:
        wanted = reduce(or_, (Q(username__iexact=name) for name in names.values()))
        users = User.objects.filter(wanted, is_active=True).prefetch_related("groups")
        accounts = {user.username.casefold(): user for user in users}
    for folded, name in names.items():
        user = accounts.get(folded)
        person = course.person(actor_of(user)) if user else Person(frozenset({folded}))
        yield PersonTold(person=name, sentence=now_for(person, course.hour).sentence)


def _names(course: Course) -> dict[str, str]:
    """Return the names of those whom the window is about, folded, each as it is written."""
    hour, names = course.hour, [course.hour.driver]
    for state in course.state.steps:
        answers = [hour.answers.get(number, Answers()) for number in state.step.changes]
        names += [one.requester for one in answers]
        names += hour.testers_of(state)
    found: dict[str, str] = {}
    for name in filter(None, names):
        found.setdefault(name.casefold(), name)
    return found


def _step(course: Course, state: StepState) -> StepTold:
    row = course.rows.get(state.position)
    return StepTold(
        id=row.pk if row else None,
        position=state.position,
        changes=list(state.step.changes),
        phase=state.phase,
        outcome=state.outcome,
        blocked=course.state.blocked.get(state.position),
        reason=(row.reason or None) if row else None,
        minutes=state.step.minutes,
        starts=state.step.starts,
        started=row.started_at if row else None,
        ended=row.ended_at if row else None,
        turn=row.turn if row else None,
        items=[_item(course.items[item.key], stored=row is not None) for item in state.items],
    )


def _item(item: RunItem, *, stored: bool) -> ItemTold:
    return ItemTold(
        id=item.pk if stored else None,
        kind=ItemKind(item.kind),
        title=item.title,
        change=item.number,
        command=item.command or None,
        link=item.link or None,
        log=item.log or None,
        note=item.note or None,
        minutes=item.minutes,
        done=item.done_at,
        by=item.done_by.username if item.done_by else None,
        lease=item.lease,
        proof=item.proof or None,
        by_api=item.by_api,
    )
