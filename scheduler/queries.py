"""What plans are made from: as many queries for 30 backports as for 3, one more for each link."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from django.db.models import Exists, OuterRef, Prefetch, Q
from django.utils import timezone

from scheduler import couplings
from scheduler.domain import backports as domain
from scheduler.domain import train
from scheduler.domain.changes import CHANGE_ID, ChangeSet, ChangeStatus, is_unread
from scheduler.domain.changes import Change as Known
from scheduler.domain.coupling.questions import Question
from scheduler.domain.lifecycle import OPEN
from scheduler.domain.opening import Planned as PlannedWindow
from scheduler.domain.permissions import EMERGENCY_ROLES, PERMITS, Act
from scheduler.domain.planning.plan import Plan as Planned
from scheduler.domain.planning.plan import PlanInput
from scheduler.domain.planning.taken_on import TakenOn, plan_taking_on
from scheduler.domain.policy.findings import Level
from scheduler.domain.production import Production
from scheduler.domain.statements import Statement as Said
from scheduler.domain.windows import NO_DEPLOY_STOPS, FreezeRule, FreezeScope, WindowKind
from scheduler.domain.windows import Freeze as Frozen
from scheduler.models import (
    Acknowledgement,
    Backport,
    Change,
    Freeze,
    GroupMove,
    Override,
    Plan,
    PlanStepMember,
    Promotion,
    Review,
    Statement,
    TrainVersion,
    User,
    Window,
)

_NO_DEPLOY_KNOWN_FOR = timedelta(weeks=2)  # after their end; older pages show what was planned

MOST_MENTIONED = 20  # Change-Ids in the prose of one message that are looked up, whole ones only

OPEN_STATUSES = sorted(status.value for status in OPEN)


def planned_now(window: Window, now: datetime) -> tuple[PlanInput, Planned]:
    """Return a window's plan as it would be made now, and everything that it depends on.

    Args:
        window: what to plan.
        now: the clock, UTC; a replay is planned at its own moment instead.
    """
    backports = open_backports(window)
    return plan_taking_on(plan_input_of(window, backports, now), taken_on_in(backports))


def plan_input_of(
    window: Window,
    backports: Sequence[Backport],
    now: datetime,
    wished: Sequence[Known] = (),
) -> PlanInput:
    """Return what a plan depends on, but for what people took on.

    Args:
        window: what to plan.
        backports: what `open_backports` loaded.
        now: the clock, UTC; a replay is planned at its own moment instead.
        wished: changes that somebody thinks of booking in it, with their diffs: what is asked
            about them is asked, too.
    """
    moment = window.planned_at(now)
    places = last_places(window)
    statements = statements_about(backport.change_id for backport in backports)
    here, production = [backport.change for backport in backports], production_at(moment)
    around = couplings.around(window, here, now, wished)
    asked = couplings.asked_besides(window, around, production)
    return PlanInput(
        now=moment,
        window=window.to_domain(),
        numbers=window.numbers,
        changes=related_changes(here, statements, asked=asked),
        backports=tuple(_asked(backport, places.get(backport.pk)) for backport in backports),
        production=production,
        freezes=freezes_during(window),
        statements=statements,
        gone=window.minutes_gone(now),
        background=around.background_here,
        asked=asked,
    )


def asked_again(given: PlanInput, backports: Iterable[Backport]) -> PlanInput:
    """Return a plan's input with its backports as they are now; nothing else is read again.

    Args:
        given: what `plan_input_of` returned of the same backports, in the same transaction.
        backports: what `open_backports` loaded since.
    """
    places = {asked.change: asked.place for asked in given.backports}
    asked = tuple(_asked(backport, places.get(backport.change.number)) for backport in backports)
    return replace(given, backports=asked)


def open_backports(window: Window) -> list[Backport]:
    """Return the open backports of a window in booking order, with all that planning needs.

    Those of which the review system has not told yet are left out: nothing can be planned of them.
    """
    in_force = Review.objects.filter(decision="approve", voided_at__isnull=True)
    acknowledged = Acknowledgement.objects.filter(ended_at__isnull=True)
    overridden = Override.objects.filter(ended_at__isnull=True)
    return list(
        Backport.objects.filter(
            window=window, status__in=OPEN_STATUSES, change__fetched_at__isnull=False
        )
        .select_related("change", "requester")
        .prefetch_related(
            Prefetch("reviews", in_force, to_attr="approvals"),
            Prefetch("acknowledgements", acknowledged, to_attr="acknowledged"),
            Prefetch("overrides", overridden, to_attr="overridden"),
        )
        .order_by("submitted_at", "pk")
    )


def unchecked_backports(window: Window) -> list[Backport]:
    """Return the open backports of a window that wait for the review system, oldest first."""
    return list(
        Backport.objects.filter(
            window=window, status__in=OPEN_STATUSES, change__fetched_at__isnull=True
        )
        .select_related("change", "requester", "window")
        .order_by("submitted_at", "pk")
    )


def approval_of(backport: Backport) -> Review | None:
    """Return the approval in force of a backport that `open_backports` loaded."""
    approvals: list[Review] = getattr(backport, "approvals", [])
    return approvals[0] if approvals else None


def acknowledgements_of(backport: Backport) -> list[Acknowledgement]:
    """Return those in force of a backport that `open_backports` loaded."""
    return list(getattr(backport, "acknowledged", ()))


def overrides_of(backport: Backport) -> list[Override]:
    """Return those in force or proposed of a backport that `open_backports` loaded."""
    return list(getattr(backport, "overridden", ()))


def taken_on_in(backports: Iterable[Backport]) -> list[TakenOn]:
    """Return what people took on of backports that `open_backports` loaded.

    An override that only one person proposed lifts nothing.
    """
    return [
        TakenOn(backport.change.number, one.rule, level, one.digest)
        for backport in backports
        for level, rows in (
            (Level.SHOULD, acknowledgements_of(backport)),
            (Level.MUST, [o for o in overrides_of(backport) if o.confirmed_by_id is not None]),
        )
        for one in rows
    ]


def last_places(window: Window) -> dict[int, int]:
    """Return the place in the queue that the newest plan gave, by the backport's key."""
    newest = Plan.objects.filter(window=window).order_by("-version").values("pk")[:1]
    members = PlanStepMember.objects.filter(plan__in=newest)
    return dict(members.values_list("backport", "step__position"))


def related_changes(
    requested: Iterable[Change],
    statements: Iterable[Said],
    *,
    asked: Iterable[Question] = (),
    with_diff: bool = True,
) -> ChangeSet:
    """Return the requested changes and all stored ones that the rules may have to look at.

    Those are siblings, what `Depends-On` footers and statements name, relation chains below, and
    all that of those in turn; what the messages of the requested ones name; and whatever is merged
    but known not to be deployed. Only requested changes have their diff: nobody compares the
    others, and diffs are long.

    Args:
        requested: those that are asked for.
        statements: what people said.
        asked: what is asked about a requested change and another one.
        with_diff: whether anybody compares the requested ones; if not, rows may lack their diff.
    """
    related = {change.number: change.to_domain(with_diff=with_diff) for change in requested}
    known = Change.objects.filter(fetched_at__isnull=False).defer("diff")
    stated = {number for said in statements for number in (said.first, said.then)}
    stated.update(number for question in asked for number in question.changes)
    wanted = Q(number__in=stated) | Q(status=ChangeStatus.MERGED.value, deployed=False)
    looked_up: set[str] = set()
    new = list(related.values())
    mentioned = {
        name for change in new for name in change.mentions[:MOST_MENTIONED] if CHANGE_ID.match(name)
    }
    while True:
        names = {name for change in new for name in _names_in(change)} - looked_up
        if not looked_up:
            names |= mentioned
        looked_up |= names
        rows = known.filter(wanted | _named(names)).exclude(number__in=related)
        new = [row.to_domain(with_diff=False) for row in rows]
        if not new:
            return ChangeSet(related.values())
        related |= {change.number: change for change in new}
        wanted = Q(pk__in=())


def _names_in(change: Known) -> Iterator[str]:
    """Yield the references that lead from a change to others: Change-Ids and numbers."""
    yield change.key
    yield from (reference for reference in change.depends_on if not is_unread(reference))
    if change.parent is not None:
        yield str(change.parent)


def _named(references: Iterable[str]) -> Q:
    """Return the condition for the changes that any of these references names."""
    numbers, ids = [], []
    begun = Q(pk__in=())
    for reference in references:
        if not reference.startswith("I"):
            numbers.append(int(reference))
        elif CHANGE_ID.match(reference):
            ids.append(reference)
        else:
            begun |= Q(change_id__startswith=reference)
    return Q(number__in=numbers) | Q(change_id__in=ids) | begun


def production_at(moment: datetime) -> Production:
    """Return what is where at a moment, and the promotions that are still to come then.

    What is overdue counts as to come for a while.
    """
    return train.production_at(
        moment,
        versions(at=moment),
        moves_in_force(moment),
        train_freezes(moment - train.EXPECTED_FOR, moment + train.KNOWN_FOR),
        patience=train.EXPECTED_FOR,
    )


def live_at(moment: datetime) -> Production:
    """Return what is checked out and live where at a moment, and nothing of what is to come."""
    return train.production_at(moment, versions(at=moment), moves_in_force(moment), ())


def versions(*, at: datetime | None = None) -> list[train.Version]:
    """Return the versions of the train with their promotions, oldest first.

    Args:
        at: leave out those that are over and done with at this moment; None leaves out none.
    """
    rows = TrainVersion.objects.prefetch_related("promotions").order_by("position")
    if at is not None:
        on_host = Q(checked_out_until__isnull=True) | Q(checked_out_until__gt=at)
        to_come = Promotion.objects.filter(at__gt=at - train.EXPECTED_FOR).values("version")
        rows = rows.filter(on_host | Q(pk__in=to_come))
    return [row.to_domain() for row in rows]


def moves_in_force(moment: datetime) -> list[train.Move]:
    """Return the last move of each group up to a moment, oldest first: what is live then."""
    later = GroupMove.objects.filter(group=OuterRef("group"), at__gt=OuterRef("at"), at__lte=moment)
    rows = GroupMove.objects.filter(~Exists(later), at__lte=moment).select_related("version")
    return [row.to_domain() for row in rows.order_by("at", "pk")]


def moves_before(moment: datetime) -> list[train.Move]:
    """Return the moves of groups up to a moment, oldest first."""
    rows = GroupMove.objects.filter(at__lte=moment).select_related("version")
    return [row.to_domain() for row in rows.order_by("at", "pk")]


def train_freezes(start: datetime, end: datetime) -> list[Frozen]:
    """Return the freezes between two moments that stop the train, oldest first."""
    return [
        freeze
        for rule in stopping_rules()
        if rule.covers(WindowKind.TRAIN)
        for freeze in rule.between(start, end)
        if freeze.scope is not FreezeScope.NORMAL
    ]


def freeze_rules() -> list[FreezeRule]:
    """Return the freezes that hold, oldest first; one may come again and again."""
    rows = Freeze.objects.filter(cancelled_at__isnull=True).order_by("starts", "pk")
    return [freeze.to_domain() for freeze in rows]


def stopping_rules() -> list[FreezeRule]:
    """Return what stops deployments: the freezes that hold, and the no-deploy windows."""
    rows = Window.objects.filter(
        kind=WindowKind.NO_DEPLOY.value,
        end__gt=timezone.now() - _NO_DEPLOY_KNOWN_FOR,
        as_of__isnull=True,
        cancelled_at__isnull=True,
    )
    return [
        *freeze_rules(),
        *(
            FreezeRule(
                Frozen(row.start, row.end, FreezeScope.ALL, f"no deploys: {row.title}"),
                UTC,
                kinds=NO_DEPLOY_STOPS,
            )
            for row in rows.order_by("start", "pk")
        ),
    ]


def freezes_during(window: Window) -> tuple[Frozen, ...]:
    """Return the freezes that stop a window, oldest first.

    An emergency window that two people confirmed is stopped by none.
    """
    return () if is_confirmed_emergency(window) else freezes_over(window, stopping_rules())


def freezes_over(window: Window, rules: Iterable[FreezeRule]) -> tuple[Frozen, ...]:
    """Return which of these freezes lie over a window and stop its kind, oldest first."""
    kind = WindowKind(window.kind)
    found = [
        freeze
        for rule in rules
        if rule.covers(kind)
        for freeze in rule.between(window.start, window.end)
        if freeze.scope is not FreezeScope.TRAIN
    ]
    return tuple(sorted(found, key=lambda freeze: (freeze.start, freeze.end)))


def is_confirmed_emergency(window: Window) -> bool:
    """Return whether a window is an emergency that both who have to confirmed."""
    return window.is_emergency and window.confirmations.count() == len(EMERGENCY_ROLES)


def statements_about(changes: Iterable[int]) -> tuple[Said, ...]:
    """Return what people say about the changes with these keys, and some other one."""
    keys = list(changes)
    rows = Statement.objects.filter(
        Q(first__in=keys) | Q(then__in=keys), superseded_at__isnull=True
    ).select_related("first", "then", "by")
    return tuple(row.to_domain() for row in rows.defer("first__diff", "then__diff"))


def names_trusted_with(act: Act) -> list[str]:
    """Return the names of the open accounts that have a role which is enough for an act."""
    roles = [role.value for role in PERMITS[act].roles]
    people = User.objects.filter(is_active=True, groups__name__in=roles)
    return list(people.order_by("username").values_list("username", flat=True).distinct())


def newest_plan(window: Window) -> Plan | None:
    """Return the newest plan of a window; None if it was never planned."""
    return Plan.objects.filter(window=window).order_by("-version").first()


def newest_plans(windows: Iterable[Window]) -> dict[int, Plan]:
    """Return the newest plan of each window, by the window's key, without its document."""
    newer = Plan.objects.filter(window=OuterRef("window"), version__gt=OuterRef("version"))
    plans = Plan.objects.filter(~Exists(newer), window__in=[window.pk for window in windows])
    return {plan.window_id: plan for plan in plans.defer("document")}


def _asked(backport: Backport, place: int | None) -> domain.Backport:
    return domain.Backport(
        change=backport.change.number,
        requester=backport.requester.username,
        submitted_at=backport.submitted_at,
        approved=approval_of(backport) is not None,
        kind=domain.Kind(backport.kind),
        urgency=domain.Urgency(backport.urgency),
        present=backport.present,
        place=place,
        marks=frozenset(domain.Mark(mark) for mark in backport.marks),
        criteria=frozenset(backport.criteria),
    )


def planned_between(start: datetime, end: datetime) -> list[PlannedWindow]:
    """Return the windows that overlap a time and were not called off, oldest first; no replay."""
    rows = (
        Window.objects.filter(
            start__lt=end, end__gt=start, as_of__isnull=True, cancelled_at__isnull=True
        )
        .prefetch_related("deployers", "confirmations")
        .order_by("start", "pk")
    )
    return [
        PlannedWindow(
            row.pk,
            row.title,
            WindowKind(row.kind),
            row.to_domain(),
            tuple(sorted(one.username for one in row.deployers.all() if one.is_active)),
            is_skipped=row.skipped_at is not None,
            is_emergency=row.is_emergency,
            is_confirmed=len(row.confirmations.all()) == len(EMERGENCY_ROLES),
        )
        for row in rows
    ]
