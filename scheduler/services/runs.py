"""What a window that is deployed looks like now: read once, for services, pages and programs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

from django.conf import settings

from scheduler.actors import relations_to
from scheduler.domain.backports import Mark, Urgency
from scheduler.domain.changes import ChangeSet, ChangeStatus
from scheduler.domain.checklist import run as domain
from scheduler.domain.checklist.gate import stopped_by_the_train
from scheduler.domain.checklist.run import ItemState, Outcome, Phase, StepState
from scheduler.domain.checklist.steps import Answers, Item, ItemKind, checklist_of
from scheduler.domain.checklist.turns import Hour, Person
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import Act, Actor, may
from scheduler.domain.planning.edges import Because
from scheduler.domain.planning.plan import Step
from scheduler.domain.production import Production
from scheduler.domain.windows import FreezeScope
from scheduler.models import (
    Backport,
    Change,
    Lease,
    Plan,
    PlanStepMember,
    Presence,
    Review,
    Run,
    RunItem,
    RunStep,
    User,
    Window,
)
from scheduler.queries import freezes_during, live_at, newest_plan, related_changes

CHECK_IN_OPENS = timedelta(minutes=15)  # before the start of a window (`peers.md` (b) 8)
VOUCHED_FOR = timedelta(minutes=15)  # how long a second person's word about one commit counts


@dataclass(frozen=True)
class Course:
    """A window, who drives it, and its steps as far as they are done.

    What costs queries of its own is read when it is asked for, once: a tick needs little of it.

    Attributes:
        plan: the one that it is locked with; None if it was never planned.
        run: None before the driver began it.
        lease: the one in force; None while nobody drives.
        rows: the stored steps, by position; none before it has begun.
        stored: the stored items by key.
        members: the backports of each step, by position.
        at: the clock of the database.
    """

    window: Window
    plan: Plan | None
    run: Run | None
    lease: Lease | None
    rows: Mapping[int, RunStep]
    stored: Mapping[int, RunItem]
    members: Mapping[int, tuple[Backport, ...]]
    at: datetime

    @cached_property
    def items(self) -> Mapping[int, RunItem]:
        """The stored items by key; before it has begun, those that there will be."""
        if self.run is not None:
            return self.stored
        return {item.pk: item for made in self._upcoming.values() for item in made}

    @cached_property
    def _upcoming(self) -> dict[int, list[RunItem]]:
        """The items that there will be, by position, numbered; nothing is stored."""
        made = {
            step.position: items_to_make(step, self.members.get(step.position, ()), self.changes)
            for step in queue_of(self.plan)
        }
        for key, item in enumerate((one for items in made.values() for one in items), start=1):
            item.pk = key
        return made

    @cached_property
    def progress(self) -> domain.Run:
        """The steps as far as they are done, whatever speaks against those that wait."""
        return domain.Run(tuple(map(self._step, queue_of(self.plan))))

    def _step(self, step: Step) -> StepState:
        row = self.rows.get(step.position)
        if row is None:
            return StepState(step, items=tuple(map(state_of_item, self._upcoming[step.position])))
        return StepState(
            step,
            phase=Phase(row.phase),
            items=tuple(state_of_item(i) for i in self.stored.values() if i.step_id == row.pk),
            outcome=Outcome(row.outcome) if row.outcome else None,
            failed_at=ItemKind(row.failed_item) if row.failed_item else None,
            is_broken=row.is_broken,
            back=row.back,
            merged_anyway=row.started_at is not None and self._is_merged(step.position),
        )

    def _is_merged(self, position: int) -> bool:
        """Return whether Gerrit says that something of a step is merged."""
        merged = ChangeStatus.MERGED.value
        return any(one.change.status == merged for one in self.members.get(position, ()))

    @cached_property
    def state(self) -> domain.Run:
        """The same, with what speaks against those that wait."""
        return domain.Run(self.progress.steps, _lost(self))

    @cached_property
    def changes(self) -> ChangeSet:
        """Those of the queue, and what the rules may have to look at."""
        queued = (one.change for backports in self.members.values() for one in backports)
        return related_changes(queued, (), with_diff=False)

    @cached_property
    def production(self) -> Production:
        """What is where now."""
        return live_at(self.window.planned_at(self.at))

    @cached_property
    def leftovers(self) -> tuple[int, ...]:
        """Changes that are merged, known not to be deployed, and in nobody's hands."""
        return tuple(number for number in self._carried if number not in self.answers)

    @cached_property
    def queued_leftovers(self) -> tuple[int, ...]:
        """The same of those that are in this queue again, and have not started."""
        waiting = [s for s in self.progress.steps if s.phase is Phase.WAITING]
        numbers = {number for state in waiting for number in state.step.changes}
        return tuple(number for number in self._carried if number in numbers)

    @cached_property
    def _carried(self) -> tuple[int, ...]:
        return _leftovers()

    @cached_property
    def here(self) -> Mapping[int, tuple[User, ...]]:
        """Who said that they are there, by backport."""
        return _here(self.window, self.members)

    def once_more(self) -> "Course":
        """Return what follows from these rows, which somebody has changed since."""
        return replace(self)

    @property
    def clock(self) -> datetime:
        """The time in the window: a replay begins at its start, whenever that is."""
        if self.window.as_of is None:
            return self.at
        gone = self.at - self.run.begun_at if self.run else timedelta()
        return self.window.start + gone

    @property
    def is_closed(self) -> bool:
        """Whether it was closed, and nothing of it has to be reverted any more."""
        if self.run is None or self.run.closed_at is None:
            return False
        return self.progress.halting is None and self.progress.current is None

    @property
    def last_start(self) -> datetime:
        """Until when a step may start, by the policy and what the driver decided."""
        last = timedelta(minutes=self.window.numbers.last_start_minute)
        extra = timedelta(minutes=self.run.extra_minutes if self.run else 0)
        until: datetime = min(self.window.start + last, self.window.end)
        return until + extra

    @cached_property
    def answers(self) -> dict[int, Answers]:
        """What was said about each change of the queue, by number."""
        return {
            backport.change.number: answers_of(backport)
            for backports in self.members.values()
            for backport in backports
        }

    @cached_property
    def hour(self) -> Hour:
        """The same for the sentences that people read."""
        unverified = [row.position for row in self.rows.values() if _waits_for_word(row, self.at)]
        return Hour(
            run=self.state,
            answers=self.answers,
            driver=self.lease.holder.username if self.lease else "",
            offered_to=self.lease.offered_to.username
            if self.lease and self.lease.offered_to
            else "",
            is_locked=self.window.is_locked,
            has_begun=self.run is not None,
            is_closed=self.is_closed,
            unverified=min(unverified, default=0),
            here=frozenset(one.username for people in self.here.values() for one in people),
            is_over=self.run is None and self._is_past,
            is_too_late=self.clock >= self.last_start,
            begins=self._begins,
            calls_testers=self._calls_testers,
            is_lapsed=self.lease is not None and self.lease.until <= self.at,
        )

    @property
    def _begins(self) -> str:
        window = self.window
        is_early = window.as_of is None and self.at < window.start
        return f"{window.start:%H:%M} UTC" if is_early else ""

    @property
    def _calls_testers(self) -> bool:
        return self.window.as_of is not None or self.at >= self.window.start - CHECK_IN_OPENS

    @property
    def _is_past(self) -> bool:
        window = self.window
        return not window.takes_place or window.is_over(self.at)

    def position_of(self, backport: Backport) -> int | None:
        """Return the step that a backport is in; None if it is in none."""
        for position, members in self.members.items():
            if any(one.pk == backport.pk for one in members):
                return position
        return None

    def person(self, actor: Actor) -> Person:
        """Return somebody as the sentences know them."""
        waits = self.members.get(self.hour.unverified, ())
        return Person(
            names=frozenset(name.casefold() for name in (actor.username, *actor.names)),
            may_drive=may(actor, Act.DRIVE),
            may_vouch=bool(waits)
            and all(may(actor, Act.VOUCH, relations_to(actor, one)) for one in waits),
        )


def answers_of(backport: Backport) -> Answers:
    """Return what the deployer needs to know of a backport."""
    by_plan = not backport.present and {Mark.LOW_RISK.value, Mark.TEST_PLAN.value} <= {
        *backport.marks
    }
    return Answers(
        requester=backport.requester.username,
        tester=backport.tester,
        nick=backport.nick,
        verify_how=backport.verify_how,
        rollback_how=backport.rollback_how,
        steps_before=backport.steps_before,
        steps_after=backport.steps_after,
        by_plan=by_plan,
    )


def course_of(window: Window, at: datetime) -> Course:
    """Return how far a window is; a constant number of queries, one more for each link of a chain.

    Args:
        window: which.
        at: the clock of the database, UTC.
    """
    # Wide rows are what this costs: no columns of people that nobody shows, and sorted here.
    run = next(iter(Run.objects.filter(window=window).select_related("plan")), None)
    plan = run.plan if run else newest_plan(window)
    rows, items = _rows(run)
    leases = Lease.objects.filter(window=window, ended_at__isnull=True)
    return Course(
        window=window,
        plan=plan,
        run=run,
        lease=next(iter(leases.select_related("holder", "offered_to").order_by()), None),
        rows=rows,
        stored=items,
        members=_members(plan),
        at=at,
    )


def queue_of(plan: Plan | None) -> tuple[Step, ...]:
    """Return the steps of a stored plan."""
    return tuple(
        Step(
            position=step["position"],
            changes=tuple(step["changes"]),
            starts=datetime.fromisoformat(step["starts"]),
            minutes=step["minutes"],
            because=tuple(
                Because(one["reason"], one["first"], one["text"]) for one in step["because"]
            ),
        )
        for step in (plan.result["queue"] if plan else ())
    )


def _members(plan: Plan | None) -> dict[int, tuple[Backport, ...]]:
    if plan is None:
        return {}
    rows = PlanStepMember.objects.filter(plan=plan).select_related(
        "step", "backport__change", "backport__requester", "backport__edited_by"
    )
    found: dict[int, list[Backport]] = {}
    for row in rows.defer("backport__change__diff").order_by():
        found.setdefault(row.step.position, []).append(row.backport)
    return {
        position: tuple(sorted(found[position], key=lambda one: one.change.number))
        for position in sorted(found)  # the database gives them in any order
    }


def _rows(run: Run | None) -> tuple[dict[int, RunStep], dict[int, RunItem]]:
    if run is None:
        return {}, {}
    steps = RunStep.objects.filter(run=run).prefetch_related("vouched_by").order_by()
    rows = sorted(steps, key=lambda row: row.position)
    at = {row.pk: row.position for row in rows}
    items = RunItem.objects.filter(step__run=run).select_related("done_by").order_by()
    in_order = sorted(items, key=lambda item: (at[item.step_id], item.place))
    return {row.position: row for row in rows}, {item.pk: item for item in in_order}


def state_of_item(item: RunItem) -> ItemState:
    """Return a stored item as the rules of the checklist see it."""
    return ItemState(item.pk, ItemKind(item.kind), item.number, item.minutes, item.done_at)


def items_to_make(step: Step, backports: Iterable[Backport], changes: ChangeSet) -> list[RunItem]:
    """Return the items of a step, not stored, in order."""
    answers = {one.change.number: answers_of(one) for one in backports}
    told = checklist_of(
        step,
        changes,
        answers,
        spiderpig=settings.SPIDERPIG_URL,
        watch_minutes=settings.SWAT_WATCH_MINUTES,
    )
    return stored_items(told, first=1)


def stored_items(told: Iterable[Item], *, first: int) -> list[RunItem]:
    """Return items as rows, not stored, numbered from `first`."""
    return [
        RunItem(
            place=place,
            kind=item.kind.value,
            number=item.number,
            title=item.title[:300],
            command=item.commands.command,
            link=item.commands.link,
            log=item.commands.log,
            note=item.note,
            minutes=item.minutes,
        )
        for place, item in enumerate(told, start=first)
    ]


def _waits_for_word(row: RunStep, at: datetime) -> bool:
    """Return whether a step waits for a second person."""
    return row.phase == Phase.WAITING.value and bool(row.unverified) and not is_vouched(row, at)


def is_vouched(row: RunStep, at: datetime) -> bool:
    """Return whether a second person said a while ago that a step may start unverified."""
    return row.vouched_at is not None and at - row.vouched_at <= VOUCHED_FOR


def _lost(course: Course) -> dict[int, str]:
    """Return the changes that must not be started any more: number to the sentence that says why.

    Those whose approval ended, which left the window, which Gerrit would not let pass any more,
    which the train has left behind, or which a freeze stops that came later.
    """
    window, plan = course.window, course.plan
    waiting = [s.position for s in course.progress.steps if s.phase is Phase.WAITING]
    backports = [one for position in waiting for one in course.members.get(position, ())]
    if plan is None or course.is_closed or not window.is_locked or not backports:
        return {}
    train, lifted = plan.document["train"], _overridden_in(plan)
    lost = stopped_by_the_train(
        [one.change.number for one in backports],
        course.changes,
        course.production,
        Production(tuple(train["checked_out"]), train["live"]),
    )
    lost = {n: why for n, why in lost.items() if _OF_THE_TRAIN.isdisjoint(lifted.get(n, ()))}
    freezes = () if window.as_of else freezes_during(window)
    approved = _approved_before(backports)
    for one in backports:
        reason = why_not(one, window, approved.get(one.pk))
        for freeze in () if "frozen" in lifted.get(one.change.number, ()) else freezes:
            if freeze.scope is FreezeScope.ALL or one.urgency > Urgency.HIGH:
                reason = reason or f"A freeze stops it: {freeze.reason or 'no reason was given'}."
        if reason:
            lost[one.change.number] = reason
    return lost | _undone(course, backports, lost, lifted)


def _undone(
    course: Course,
    backports: Iterable[Backport],
    lost: Mapping[int, str],
    lifted: Mapping[int, frozenset[str]],
) -> dict[int, str]:
    """Return what a newer version would undo, because its own cherry-pick does not go any more."""
    gone = {
        number
        for state in course.progress.steps
        if state.phase is Phase.ENDED and not state.is_live
        for number in state.step.changes
    }
    going = course.answers.keys() - lost.keys() - gone
    found = {}
    for backport in backports:
        change = course.changes[backport.change.number]
        if not (change.is_code and change.is_on_release) or change.number in lost:
            continue
        siblings = course.changes.siblings(change)
        picked = {one.branch for one in siblings if one.number in course.answers}
        lacking = course.production.lacking(change, siblings, going)
        undoing = [branch for branch in lacking if branch in picked]
        if undoing and "train-would-undo" not in lifted.get(change.number, ()):
            named = " and ".join(undoing)
            found[change.number] = f"{named} would undo it: its cherry-pick there does not go."
    return found


# The rules that say what `stopped_by_the_train` says: two people may have overridden them.
_OF_THE_TRAIN = frozenset({"not-deployable", "dependency-not-in-live"})


def _overridden_in(plan: Plan) -> dict[int, frozenset[str]]:
    """Return the rules that were overridden when a queue was locked, by change number."""
    return {
        one["change"]: frozenset(one["overridden"])
        for one in plan.document["backports"]
        if one.get("overridden")
    }


def _approved_before(backports: Iterable[Backport]) -> dict[int, int]:
    """Return the patch set that was last approved of those that are not queued any more."""
    left = [one.pk for one in backports if one.status != Status.QUEUED.value]
    if not left:
        return {}
    reviews = Review.objects.filter(backport__in=left, decision="approve").order_by("made_at")
    return dict(reviews.values_list("backport", "patch_set"))


_LEFT: Mapping[str, str] = {
    Status.WITHDRAWN.value: "It was withdrawn.",
    Status.DECLINED.value: "It was declined.",
    Status.MISSED.value: "It was missed.",
    Status.TRAIN.value: "It was left to the train.",
    Status.DEDICATED.value: "It was left to a dedicated window.",
    Status.REVERTED.value: "It was reverted.",
    Status.DEPLOYED.value: "It is deployed already.",
}


def why_not(backport: Backport, window: Window, approved: int | None = None) -> str:
    """Return why a queued backport must not be started any more; "" if nothing speaks against it.

    Args:
        backport: with its change.
        window: in whose queue it was.
        approved: the patch set that was last approved, if it is not queued any more.
    """
    change = backport.change
    if backport.window_id != window.pk:  # where it may be queued again
        return "It was moved to another window since the lock."
    if backport.status == Status.QUEUED.value:
        return _what_gerrit_objects(change)
    if backport.status == Status.APPROVED.value:
        return (
            "It lost its approval since the lock, and has another one: it goes in another window."
        )
    if approved is not None and approved != change.patch_set:
        return (
            f"It has a new patch set since the lock: {change.patch_set} now, and "
            f"{approved} was approved."
        )
    return _LEFT.get(backport.status, "It lost its approval since the lock.")


def _what_gerrit_objects(change: Change) -> str:
    """Return what Gerrit says against a change that was fine when its queue was locked."""
    if change.status == ChangeStatus.ABANDONED.value:
        return "It was abandoned in Gerrit since the lock."
    if change.work_in_progress:
        return "It became a work in progress in Gerrit since the lock."
    if change.labels.get("Verified", 0) < 0:
        return "CI failed since the lock."
    if change.status != ChangeStatus.MERGED.value and change.labels.get("Code-Review", 0) < 1:
        return "It lost its code review in Gerrit since the lock."
    return ""


def _leftovers() -> tuple[int, ...]:
    """Return what is merged, by Gerrit or by who deployed it, and known not to be deployed.

    What was taken back is merged and not deployed, too, and dealt with.
    """
    rows = Change.objects.filter(deployed=False).order_by("number")
    left = list(rows.values_list("number", flat=True))
    if not left:
        return ()
    back = _taken_back(left)
    return tuple(one for one in left if one not in back)


def _taken_back(numbers: Sequence[int]) -> set[int]:
    """Return the changes whose last step ever was taken back."""
    members = PlanStepMember.objects.filter(
        backport__change__number__in=numbers, step__run_step__isnull=False
    )
    last = dict(members.order_by("pk").values_list("backport__change__number", "step__run_step"))
    done = RunItem.objects.filter(
        step__in=last.values(), kind=ItemKind.TAKE_BACK.value, done_at__isnull=False
    )
    back = set(done.values_list("step", flat=True))
    return {number for number, step in last.items() if step in back}


def _here(
    window: Window, members: Mapping[int, tuple[Backport, ...]]
) -> dict[int, tuple[User, ...]]:
    keys = [one.pk for backports in members.values() for one in backports]
    rows = Presence.objects.filter(window=window, backport__in=keys)
    rows = rows.select_related("person").order_by("at")
    found: dict[int, list[User]] = {}
    for row in rows:
        found.setdefault(row.backport_id, []).append(row.person)
    return {backport: tuple(people) for backport, people in found.items()}


def unfinished_elsewhere(window: Window) -> Window | None:
    """Return another window of which a step is under way, if there is one."""
    rows = RunStep.objects.filter(
        phase__in=[phase.value for phase in Phase if phase.is_under_way],
        run__window__as_of__isnull=True,
        run__closed_at__isnull=True,
    ).exclude(run__window=window)
    found = rows.select_related("run__window").first()
    return found.run.window if found else None
