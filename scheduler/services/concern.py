"""Who is in the circles of an event: people with an address, who want mail about it.

What they were to it is judged by the log as of the event: it may be handed on much later, and what
a mail gives as its reason has to be true of what it tells. Whether they want it, and whether their
account and role still let them do something about it, is judged when it is handed on.
"""

import json
from collections.abc import Callable, Iterable, Mapping

from django.db.models import Q

from scheduler.actors import actor_of, is_same_person, relations_to
from scheduler.adapters.plan_document import parse
from scheduler.domain.lifecycle import TRANSITIONS
from scheduler.domain.notices import Circle, Why, circles_of
from scheduler.domain.permissions import EMERGENCY_ROLES, PERMITS, Act, may
from scheduler.domain.planning.needing import needing, needing_each
from scheduler.models import (
    Acknowledgement,
    Backport,
    Event,
    Override,
    Plan,
    PlanStepMember,
    Run,
    User,
)
from scheduler.services.histories import FINISH, LOCK, MOVE_ON, MOVES, SUBMIT, UNLOCK
from scheduler.services.runs import answers_of

_PLANS_LOOKED_AT = 2  # what left the queue with an event is in the one before

# What ends an approval, if there is one; and what ends a question to the requester.
_VOIDING = (
    "backport.amend",
    "backport.withdraw",
    "backport.decline",
    "backport.send-to-train",
    "backport.send-to-dedicated",
    "backport.veto",
    "backport.miss",
    MOVE_ON,
    "backport.void-approval",
    "backport.withdraw-approval",
)
_REPLYING = ("backport.reply", "backport.amend")
# What ends a backport, from wherever it is.
_ENDING = frozenset(
    kind
    for kind, action in MOVES.items()
    if not any(after.is_open for (_, moved), after in TRANSITIONS.items() if moved is action)
)


def concerned_by(event: Event) -> dict[User, Why]:
    """Return whom to tell of an event, each person once, with the reason.

    That is never who did it, nor somebody who reads mail at the same address; nobody whose account
    is closed or has no address; and nobody about what they do not want mail about. Whoever was
    told apart by two reasons hears for the first of them that they want.

    Args:
        event: its actor and window may have to be loaded.
    """
    if event.kind == "backport.end-lifting":
        before = _told_of_the_cause(event)
        return {one: why for one, why in _concerned_by(event).items() if one not in before}
    return _concerned_by(event)


def _told_of_the_cause(event: Event) -> set[User]:
    """Return who hears of what ended something, or did it: they need not hear of its end too."""
    causes = Event.objects.filter(backport=event.backport_id, at=event.at, seq__lt=event.seq + 5)
    told: set[User] = set()
    for cause in causes.exclude(kind=event.kind).select_related("actor", "window"):
        told.update(_concerned_by(cause))
        if cause.actor is not None:
            told.add(cause.actor)
    return told


def _concerned_by(event: Event) -> dict[User, Why]:
    told: dict[str, tuple[User, Why]] = {}
    theirs = event.actor.email.casefold() if event.actor else ""
    for circle in circles_of(event.kind, locked=_is_locked(event)):
        for person in _PEOPLE[circle](event):
            address = person.email.casefold()
            if (
                address
                and address != theirs
                and person.pk != event.actor_id
                and person.is_active
                and wants(person, circle.why)
            ):
                told.setdefault(address, (person, circle.why))
    return dict(told.values())


def wants(person: User, why: Why) -> bool:
    """Return whether somebody wants mail for this reason."""
    return {
        Why.OWN: person.mail_own,
        Why.REVIEW: person.mail_reviews,
        Why.WATCHED: person.mail_watched,
        Why.WINDOW: person.mail_windows,
    }[why]


def reason_for(event: Event, person: User, why: Why) -> str:
    """Return why somebody is told of an event, to be read after "because"."""
    circles = [one for one in circles_of(event.kind, locked=True) if one.why is why]
    if len(circles) > 1:
        circles = [one for one in circles if person in _PEOPLE[one](event)] or circles
    return circles[0].reason if circles else "it concerns you"


def _is_locked(event: Event) -> bool:
    """Return whether its window was locked when it happened."""
    if event.window_id is None:
        return False
    before = Event.objects.filter(
        window=event.window_id, kind__in=[LOCK, UNLOCK], seq__lt=event.seq
    )
    return before.order_by("-seq").values_list("kind", flat=True).first() == LOCK


def _as_it_was(event: Event) -> Iterable[Backport]:
    """Return the backport that an event is about, if any, with whose it was then."""
    rows = Backport.objects.filter(events=event)
    return _with_requesters_then(event, rows.select_related("change", "requester", "edited_by"))


def _with_requesters_then(event: Event, backports: Iterable[Backport]) -> list[Backport]:
    """Return backports, each with who was its requester when an event happened."""
    found = list(backports)
    later = Event.objects.filter(kind="backport.hand-over", seq__gt=event.seq, backport__in=found)
    first_from = dict(later.order_by("-seq").values_list("backport", "payload__from"))
    people = {one.username: one for one in User.objects.filter(username__in=first_from.values())}
    for backport in found:
        backport.requester = people.get(first_from.get(backport.pk, ""), backport.requester)
    return found


def _requester(event: Event) -> Iterable[User]:
    return [backport.requester for backport in _as_it_was(event)]


def _named(name: str) -> Callable[[Event], Iterable[User]]:
    """Return who finds the account that the payload names."""
    return lambda event: User.objects.filter(username=str(event.payload.get(name, "")))


def _watchers(event: Event) -> Iterable[User]:
    return User.objects.filter(watches__backport=event.backport_id)


def _booked_then(event: Event, numbers: object, *, anywhere: bool = False) -> list[Backport]:
    """Return the backports of these changes that were open when it happened.

    Those in its window, if it has one, unless they may be in any.
    """
    about = numbers if isinstance(numbers, list) else []
    until = Event.objects.filter(backport__change__number__in=about, seq__lt=event.seq)
    placings = until.filter(kind__in=[SUBMIT, MOVE_ON]).order_by("seq")
    placed = dict(placings.values_list("backport", "window"))  # the last one counts
    here = [
        backport
        for backport, window in placed.items()
        if anywhere or event.window_id in {window, None}
    ]
    rows = Backport.objects.filter(pk__in=here).exclude(
        pk__in=until.filter(kind__in=_ENDING).values("backport")
    )
    return _with_requesters_then(event, rows.select_related("requester"))


def _pair(event: Event) -> list[Backport]:
    """Return the backports of the two changes that an answer is about, in whatever windows."""
    about = [event.payload.get("first"), event.payload.get("then")]
    return _booked_then(event, about, anywhere=True)


def _pair_requesters(event: Event) -> Iterable[User]:
    return [backport.requester for backport in _pair(event)]


def _pair_watchers(event: Event) -> Iterable[User]:
    return User.objects.filter(watches__backport__in=_pair(event)).distinct()


def _queue_requesters(event: Event) -> Iterable[User]:
    """Return who requested what a window was last locked with, up to this event."""
    locks = Event.objects.filter(window=event.window_id, kind=LOCK, seq__lte=event.seq)
    lock = locks.order_by("-seq").first()
    queued = lock.payload.get("queued") if lock else None
    return [backport.requester for backport in _booked_then(event, queued)]


def _who_last(event: Event, kind: str, ended_by: tuple[str, ...]) -> Iterable[User]:
    """Return who did the last thing of a kind to the backport, unless that has ended before."""
    earlier = Event.objects.filter(
        backport=event.backport_id, seq__lt=event.seq, kind__in=[kind, *ended_by]
    ).select_related("actor")
    last = earlier.order_by("-seq").first()
    return [last.actor] if last and last.kind == kind and last.actor else []


def _lost_approver(event: Event) -> Iterable[User]:
    return _who_last(event, "backport.approve", _VOIDING)


def _asker(event: Event) -> Iterable[User]:
    return _who_last(event, "backport.ask", _REPLYING)


def _took_on(event: Event) -> Iterable[User]:
    ended = {"backport": event.backport_id, "ended_at": event.at}
    acknowledged = Acknowledgement.objects.filter(**ended)
    overridden = Override.objects.filter(**ended)
    return User.objects.filter(
        Q(acknowledgements__in=acknowledged)
        | Q(proposed_overrides__in=overridden)
        | Q(confirmed_overrides__in=overridden)
    ).distinct()


def _overriders(event: Event) -> Iterable[User]:
    override = Override.objects.filter(pk=event.payload.get("override"))
    return User.objects.filter(
        Q(proposed_overrides__in=override) | Q(confirmed_overrides__in=override)
    ).distinct()


def _who_may(act: Act) -> Callable[[Event], Iterable[User]]:
    """Return who finds the people who may do something to the backport."""
    return lambda event: _permitted(act, _as_it_was(event))


def _permitted(act: Act, backports: Iterable[Backport]) -> list[User]:
    """Return who may do something to each of some backports, and wants mail about that."""
    about = list(backports)
    roles = [role.value for role in PERMITS[act].roles]
    people = User.objects.filter(groups__name__in=roles, is_active=True, mail_reviews=True)
    found = []
    for person in people.exclude(email="").distinct() if about else ():
        actor = actor_of(person)
        if all(may(actor, act, relations_to(actor, backport)) for backport in about):
            found.append(person)
    return found


def _window_requesters(event: Event) -> Iterable[User]:
    """Return who requested what was booked in its window, as the event names it."""
    return [backport.requester for backport in _booked_then(event, event.payload.get("booked"))]


def _along(event: Event) -> Iterable[User]:
    """Return who requested what needs the backport, or goes with it, and was in the same queue."""
    if event.backport is None or event.window_id is None:
        return []
    number = event.backport.change.number
    plans = Plan.objects.filter(window=event.window_id, made_at__lte=event.at).order_by("-version")
    for plan in plans[:_PLANS_LOOKED_AT]:
        queued = {one for step in plan.result["queue"] for one in step["changes"]}
        if number in queued:
            given = parse(json.dumps(plan.document))
            others = sorted(needing(given, number) & queued)
            return [backport.requester for backport in _booked_then(event, others)]
    return []


def _stranded_requesters(event: Event) -> Iterable[User]:
    """Return who requested what a freeze stops, as the event names it."""
    return [backport.requester for backport in _booked_then(event, event.payload.get("stranded"))]


def _series_deployers(event: Event) -> Iterable[User]:
    """Return who had signed up for the windows that were called off with a series."""
    return User.objects.filter(
        deploying_windows__in=event.payload.get("windows") or [], is_active=True
    ).distinct()


def _emergency(event: Event) -> Iterable[User]:
    """Return who may confirm an emergency window, if it is one."""
    if not event.payload.get("emergency"):
        return []
    roles = [role.value for role in EMERGENCY_ROLES]
    return User.objects.filter(groups__name__in=roles, is_active=True).distinct()


def _reviewers(event: Event) -> Iterable[User]:
    """Return who may review it; nobody yet if Gerrit had not told about the change by then."""
    if event.kind == "backport.submit" and event.payload.get("patch_set") == 0:
        return []
    return _who_may(Act.APPROVE)(event)


def _deployers(event: Event) -> Iterable[User]:
    return event.window.deployers.all() if event.window else []


def _in_run(event: Event, numbers: object) -> list[Backport]:
    """Return the backports of these changes in the steps of its window, whatever became of them.

    The steps are fixed once a window was begun, so they were those when it happened.
    """
    about = numbers if isinstance(numbers, list) else []
    runs = Run.objects.filter(window=event.window_id)
    members = PlanStepMember.objects.filter(
        plan__in=runs.values("plan"), backport__change__number__in=about
    )
    rows = Backport.objects.filter(pk__in=members.values("backport")).order_by("pk")
    people = rows.select_related("change", "requester", "edited_by")
    return _with_requesters_then(event, people.defer("change__diff"))


def _testers(event: Event) -> Iterable[User]:
    """Return who may say what they see on the test servers, where it waits for that now.

    Nobody, where the deployer does it by the test plan.
    """
    waiting = _in_run(event, event.payload.get("verify"))
    return _who_test(waiting)


def _called_testers(event: Event) -> Iterable[User]:
    """Return who may say what they see on the test servers of what is in the queue."""
    return _who_test(_booked_then(event, event.payload.get("queued")))


def _who_test(backports: Iterable[Backport]) -> list[User]:
    """Return who requested some backports, and their testers; not where the test plan is enough."""
    tested = [backport for backport in backports if not answers_of(backport).by_plan]
    named = Q(pk__in=[])
    for name in {backport.tester for backport in tested if backport.tester}:
        named |= Q(username__iexact=name) | Q(other_names__name__iexact=name)
    testers = User.objects.filter(named).distinct()
    return [*(backport.requester for backport in tested), *testers]


def _vouchers(event: Event) -> Iterable[User]:
    """Return who may be the second person for a step; who drives is the first."""
    people = _permitted(Act.VOUCH, _in_run(event, event.payload.get("changes")))
    driver = event.actor
    return [one for one in people if driver is None or not is_same_person(driver, one)]


def _fallen_requesters(event: Event) -> Iterable[User]:
    """Return who requested what failed, and what needs it and had not left the queue by then."""
    run = Run.objects.filter(window=event.window_id).select_related("plan").first()
    failed = event.payload.get("changes")
    if run is None or not isinstance(failed, list):
        return []
    queued = {number for step in run.plan.result["queue"] for number in step["changes"]}
    along = needing_each(parse(json.dumps(run.plan.document)), queued.intersection(failed))
    others = sorted(queued.intersection({one for some in along.values() for one in some}))
    return [backport.requester for backport in (*_in_run(event, failed), *_staying(event, others))]


def _staying(event: Event, numbers: list[int]) -> list[Backport]:
    """Return those of its window's steps that had not left the queue when it happened."""
    backports = _in_run(event, numbers)
    ends = (_ENDING | {MOVE_ON}) - {FINISH}
    left = Event.objects.filter(backport__in=backports, kind__in=ends, seq__lt=event.seq)
    gone = set(left.values_list("backport", flat=True))
    return [backport for backport in backports if backport.pk not in gone]


def _in_summary(event: Event) -> list[Backport]:
    """Return the backports in the steps of a window, as the event that closed it names them."""
    steps = event.payload.get("steps") or []
    return _in_run(event, [number for step in steps for number in step["changes"]])


def _run_requesters(event: Event) -> Iterable[User]:
    return [backport.requester for backport in _in_summary(event)]


def _run_watchers(event: Event) -> Iterable[User]:
    return User.objects.filter(watches__backport__in=_in_summary(event)).distinct()


_PEOPLE: Mapping[Circle, Callable[[Event], Iterable[User]]] = {
    Circle.REQUESTER: _requester,
    Circle.NEW_REQUESTER: _named("to"),
    Circle.FORMER_REQUESTER: _named("from"),
    Circle.PAIR_REQUESTERS: _pair_requesters,
    Circle.QUEUE_REQUESTERS: _queue_requesters,
    Circle.WINDOW_REQUESTERS: _window_requesters,
    Circle.ALONG: _along,
    Circle.STRANDED_REQUESTERS: _stranded_requesters,
    Circle.SERIES_DEPLOYERS: _series_deployers,
    Circle.EMERGENCY: _emergency,
    Circle.LOST_APPROVER: _lost_approver,
    Circle.TOOK_ON: _took_on,
    Circle.OVERRIDERS: _overriders,
    Circle.ACCOUNT: _named("person"),
    Circle.ASKER: _asker,
    Circle.REVIEWERS: _reviewers,
    Circle.CONFIRMERS: _who_may(Act.CONFIRM_OVERRIDE),
    Circle.WATCHERS: _watchers,
    Circle.PAIR_WATCHERS: _pair_watchers,
    Circle.DEPLOYERS: _deployers,
    Circle.LOCKED_DEPLOYERS: _deployers,
    Circle.CALLED_TESTERS: _called_testers,
    Circle.TESTERS: _testers,
    Circle.FORMER_DRIVER: _named("from"),
    Circle.OFFERED: _named("to"),
    Circle.VOUCHERS: _vouchers,
    Circle.FALLEN_REQUESTERS: _fallen_requesters,
    Circle.RUN_REQUESTERS: _run_requesters,
    Circle.RUN_WATCHERS: _run_watchers,
}
