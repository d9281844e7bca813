"""What the page of a window that is deployed shows: its steps and items, and whose turn it is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from math import ceil

from scheduler.actors import actor_of
from scheduler.domain.checklist.run import (
    Choice,
    Consequences,
    OnVersion,
    Phase,
    StepState,
    on_versions,
    spoken,
    watched_until,
)
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.checklist.turns import Now, Person, now_for, tester_of
from scheduler.domain.errors import Refused
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import Act, Actor, Relation, may
from scheduler.models import Backport, RunItem, RunStep, User
from scheduler.services.failing import shown_of
from scheduler.services.runs import Course
from scheduler.views.plan_pages import Entry, PlanPage


@dataclass(frozen=True, slots=True)
class ItemCard:
    """One item.

    Attributes:
        is_turn: whether it can be done now.
        taken: minutes that it took, or has taken; None if it has not begun.
        until: until when the logs are watched, for that item, once it has begun.
        wait: seconds until then.
        who: who verifies it, for that item.
    """

    row: RunItem
    is_turn: bool
    taken: int | None
    until: datetime | None = None
    wait: int = 0
    who: str = ""

    @property
    def is_late(self) -> bool:
        """Whether it took, or has taken, more than it should."""
        return bool(self.row.minutes and self.taken is not None and self.taken > self.row.minutes)


@dataclass(frozen=True, slots=True)
class Tester:
    """Who verifies a change of a step, and whether they said that they are there."""

    number: int
    name: str
    here: tuple[str, ...]


@dataclass(frozen=True)
class StepCard:
    """One step.

    Attributes:
        row: as it is stored; None before the window has begun.
        blocked: why it cannot start; "" if it can, or did.
        items: what is done for it; way_back: what takes it back.
        taken: minutes since it started, or that it took.
        choices: what can be done about it, if it failed.
        missed: what falls with it if it is missed; None if it cannot be any more.
    """

    state: StepState
    row: RunStep | None
    entries: tuple[Entry, ...]
    blocked: str
    items: tuple[ItemCard, ...]
    way_back: tuple[ItemCard, ...]
    testers: tuple[Tester, ...]
    taken: int | None
    minutes_until: int
    choices: tuple["ChoiceCard", ...]
    missed: "ChoiceCard | None"

    @property
    def look(self) -> str:
        """How it looks: its outcome, its phase, or that it is blocked."""
        if self.state.outcome is not None:
            return self.state.outcome.value
        if self.blocked:
            return "blocked"
        return self.state.phase.value

    @property
    def is_open(self) -> bool:
        """Whether its items are shown: it is under way."""
        return self.state.phase.is_under_way

    @property
    def numbers(self) -> str:
        """Its changes, as people say them."""
        return " and ".join(map(str, self.state.step.changes))

    @property
    def overridden(self) -> tuple[str, ...]:
        """The MUST rules that two people overrode for it."""
        return tuple(dict.fromkeys(rule for entry in self.entries for rule in entry.overridden))

    @property
    def turn(self) -> tuple[ItemCard, ...]:
        """The items whose turn it is."""
        return tuple(item for item in (*self.items, *self.way_back) if item.is_turn)


@dataclass(frozen=True, slots=True)
class ChoiceCard:
    """One choice about a step that failed, and what it leads to.

    Attributes:
        shown: what the form sends back.
        back, falls, stays: the changes of the steps that go back, fall and stay.
        refusal: why it cannot be chosen; "" if it can.
    """

    choice: Choice
    shown: str
    back: tuple[str, ...]
    falls: tuple[str, ...]
    stays: tuple[str, ...]
    halts: bool
    refusal: str = ""


@dataclass(frozen=True)
class Board:
    """What everybody sees of a window that is deployed; nothing in it depends on who looks."""

    course: Course

    @cached_property
    def steps(self) -> tuple[StepCard, ...]:
        """All steps, in the order of the queue."""
        return tuple(map(self._card, self.course.state.steps))

    @cached_property
    def _page(self) -> PlanPage:
        members = [one for some in self.course.members.values() for one in some]
        return PlanPage(
            result=self.course.plan.result if self.course.plan else {},
            changes={one.change.number: one.change for one in members},
            backports={one.change.number: one for one in members},
        )

    def step(self, position: int) -> StepCard:
        """Return the step at a place."""
        return next(card for card in self.steps if card.state.position == position)

    @cached_property
    def current(self) -> StepCard | None:
        """The step that is under way."""
        current = self.course.state.current
        return self.step(current.position) if current else None

    @cached_property
    def upcoming(self) -> StepCard | None:
        """The step that starts next, once nothing is under way."""
        upcoming = self.course.state.next_step
        return self.step(upcoming.position) if upcoming else None

    @cached_property
    def halting(self) -> StepCard | None:
        """A step that is over, merged and not live: nothing starts until it is reverted."""
        halting = self.course.state.halting
        return self.step(halting.position) if halting else None

    @property
    def live_now(self) -> tuple[OnVersion, ...]:
        """What production has of this window, per version."""
        return self._on_versions(self.course.state.live)

    @property
    def next_adds(self) -> tuple[OnVersion, ...]:
        """What the step that is under way, or starts next, brings to which version."""
        card = self.current or (None if self.halting else self.upcoming)
        goes = card is not None and card.state.phase in {Phase.GOING, Phase.WAITING}
        if card is None or not goes or card.state.is_live:
            return ()
        return self._on_versions(card.state.step.changes)

    @property
    def next_takes(self) -> tuple[OnVersion, ...]:
        """What the step that is being reverted takes from which version."""
        card = self.current
        if card is None or card.state.phase is not Phase.GOING_BACK or not card.state.is_live:
            return ()
        return self._on_versions(card.state.step.changes)

    def _on_versions(self, numbers: Iterable[int]) -> tuple[OnVersion, ...]:
        return on_versions(numbers, self.course.changes, self.course.production)

    @property
    def minutes_left(self) -> int:
        """Minutes until the end of the window; below 0 it overruns."""
        return int((self.course.window.end - self.course.clock) / timedelta(minutes=1))

    @property
    def minutes_needed(self) -> int:
        """Minutes that what is left should take."""
        state = self.course.state
        waiting = [card for card in self.steps if card.state.phase is Phase.WAITING]
        going = [i.minutes for s in state.steps if s.phase.is_under_way for i in s.items]
        return sum(c.state.step.minutes for c in waiting if not c.blocked) + sum(going)

    @property
    def is_too_late(self) -> bool:
        """Whether no step may start any more."""
        return self.course.clock >= self.course.last_start

    @property
    def left(self) -> tuple[StepCard, ...]:
        """The steps without an outcome: those that are missed if the window is closed now."""
        return tuple(card for card in self.steps if card.state.phase is Phase.WAITING)

    @property
    def state_line(self) -> str:
        """The whole state in one line, for the top of the page and for chats."""
        course, parts = self.course, []
        if course.is_closed:
            counts: dict[str, int] = {}
            for card in self.steps:
                counts[card.look] = counts.get(card.look, 0) + 1
            told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
            return f"Closed: {told or 'nothing went'}."
        parts.append(f"{course.lease.holder.username} drives" if course.lease else "Nobody drives")
        if self.current is not None:
            kinds = dict.fromkeys(ItemKind(card.row.kind) for card in self.current.turn)
            what = " and ".join(map(spoken, kinds)) or self.current.look.replace("-", " ")
            parts.append(f"step {self.current.state.position} of {len(self.steps)}: {what}")
        elif course.run is not None:
            done = sum(card.state.phase is Phase.ENDED for card in self.steps)
            parts.append(f"{done} of {len(self.steps)} steps are over")
        live = course.state.live
        parts.append(f"live: {', '.join(map(str, live))}" if live else "nothing of it is live")
        if course.run is not None:
            left = self.minutes_left
            parts.append(f"{left} min left" if left >= 0 else f"{-left} min over time")
        return " · ".join(parts)

    def _card(self, state: StepState) -> StepCard:
        course, row = self.course, self.course.rows.get(state.position)
        cards = list(self._items(state, row))
        members = course.members.get(state.position, ())
        ended = row.ended_at if row and row.ended_at else None
        return StepCard(
            state=state,
            row=row,
            entries=tuple(self._page.entry(number) for number in state.step.changes),
            blocked=course.state.blocked.get(state.position, ""),
            items=tuple(c for c in cards if not ItemKind(c.row.kind).is_way_back),
            way_back=tuple(c for c in cards if ItemKind(c.row.kind).is_way_back),
            testers=tuple(map(self._tester, members)),
            taken=_minutes(row.started_at, ended or course.at) if row and row.started_at else None,
            minutes_until=course.state.minutes_until(state.position),
            choices=tuple(self._choice(state.position, one) for one in Choice)
            if state.phase is Phase.FAILED or state.is_carried_along
            else (),
            missed=self._missing(state.position),
        )

    def _items(self, state: StepState, row: RunStep | None) -> Iterator[ItemCard]:
        turn = {item.key for item in state.turn}
        since = row.started_at if row else None
        last: dict[int, datetime | None] = {}
        for item in state.items:
            stored = self.course.items[item.key]
            begun = max(
                (at for rank, at in last.items() if at and rank < item.kind.rank), default=since
            )
            if item.kind is ItemKind.TAKE_BACK and row is not None:
                begun = row.back_at
            is_turn = item.key in turn
            taken = None
            if item.done_at is not None and begun is not None:
                taken = _minutes(begun, item.done_at)
            elif is_turn and begun is not None:
                taken = _minutes(begun, self.course.at)
            until = watched_until(state, item) if is_turn and item.kind.is_watching else None
            wait = max(ceil((until - self.course.at).total_seconds()), 0) if until else 0
            who = tester_of(item.number, self.course.hour) if item.kind is ItemKind.VERIFY else ""
            yield ItemCard(stored, is_turn, taken, until, wait, who)
            before = last.get(item.kind.rank)
            if item.done_at is not None and (before is None or before < item.done_at):
                last[item.kind.rank] = item.done_at

    def _tester(self, backport: Backport) -> Tester:
        answer = self.course.answers[backport.change.number]
        here = [one.username for one in self.course.here.get(backport.pk, ())]
        here += [
            item.done_by.username
            for item in self.course.items.values()
            if item.kind == ItemKind.VERIFY.value
            and item.number == backport.change.number
            and item.done_by is not None
        ]
        name = "the deployer, by its test plan" if answer.by_plan else answer.tester_name
        return Tester(backport.change.number, name, tuple(dict.fromkeys(here)))

    def _choice(self, position: int, choice: Choice) -> ChoiceCard:
        """Return what a choice about a step that failed leads to."""
        refusal = ""
        try:
            told = self.course.state.require_choice(position, choice)
        except Refused as refused:
            told, refusal = self.course.state.after_failing(position, choice), refused.sentence
        return ChoiceCard(
            choice,
            shown_of(told),
            self._numbers(told.back),
            self._numbers(told.falls),
            self._numbers(told.stays),
            told.halts,
            refusal,
        )

    def _missing(self, position: int) -> ChoiceCard | None:
        """Return what falls if a step is missed; None if it cannot be any more."""
        try:
            told: Consequences = self.course.state.require_missing(position)
        except Refused:
            return None
        falls, stays = self._numbers(told.falls), self._numbers(told.stays)
        back = self._numbers(told.back)
        return ChoiceCard(Choice.LEAVE, shown_of(told), back, falls, stays, halts=False)

    def _numbers(self, positions: Iterable[int]) -> tuple[str, ...]:
        steps = [self.course.state.at(position).step for position in positions]
        return tuple(" and ".join(map(str, step.changes)) for step in steps)


def _minutes(start: datetime, end: datetime) -> int:
    return max(int((end - start) / timedelta(minutes=1)), 0)


@dataclass(frozen=True)
class Mine:
    """What one person sees beside the board: what they do now, and the forms for it.

    Attributes:
        user: who looks; actor: the same with their roles and names.
        relations: what they are to each backport of the queue, by its key.
        others: account names of those who may drive, too.
    """

    board: Board
    user: User
    actor: Actor
    relations: Mapping[int, frozenset[Relation]]
    others: tuple[str, ...] = ()

    @property
    def _course(self) -> Course:
        return self.board.course

    @cached_property
    def _person(self) -> Person:
        return self._course.person(self.actor)

    @cached_property
    def now(self) -> Now:
        """What they do now."""
        return now_for(self._person, self._course.hour)

    @property
    def drives(self) -> bool:
        """Whether they drive."""
        lease = self._course.lease
        return lease is not None and lease.holder_id == self.user.pk

    @property
    def is_offered(self) -> bool:
        """Whether the wheel is handed to them."""
        lease = self._course.lease
        return lease is not None and lease.offered_to_id == self.user.pk

    @property
    def may_take(self) -> bool:
        """Whether they may take the wheel now."""
        lease, window = self._course.lease, self._course.window
        if self.drives or self._course.is_closed or not window.is_locked:
            return False
        if not self._person.may_drive or not window.takes_place:
            return False
        holds = lease is not None and may(actor_of(lease.holder), Act.DRIVE)
        is_free = lease is None or lease.until <= self._course.at or not holds
        return is_free and (self._course.run is not None or not window.is_over(self._course.at))

    @property
    def may_vouch(self) -> bool:
        """Whether the step that waits for a second person waits for them."""
        return bool(self._course.hour.unverified) and not self.drives and self._person.may_vouch

    @property
    def verifying(self) -> tuple[ItemCard, ...]:
        """The items that they verify now."""
        card = self.board.current
        if card is None:
            return ()
        tests = {
            one.change.number
            for one in self._course.members[card.state.position]
            if self._tests(one)
        }
        return tuple(
            item
            for item in card.turn
            if item.row.kind == ItemKind.VERIFY.value
            and (item.row.number in tests or (self.drives and self._is_by_plan(item)))
        )

    def _is_by_plan(self, item: ItemCard) -> bool:
        return self._course.answers[item.row.number or 0].by_plan

    def _tests(self, backport: Backport) -> bool:
        return bool(self.relations[backport.pk] & {Relation.REQUESTER, Relation.TESTER})

    @property
    def has_a_say(self) -> bool:
        """Whether they may say that the step under way must not go: it is theirs to test."""
        card = self.board.current
        if card is None or card.state.phase is not Phase.GOING:
            return False
        return any(map(self._tests, self._course.members[card.state.position]))

    @property
    def doing(self) -> tuple[ItemCard, ...]:
        """The items that they do now, as the driver."""
        card = self.board.current
        if card is None or not self.drives:
            return ()
        return tuple(item for item in card.turn if item.row.kind != ItemKind.VERIFY.value)

    @property
    def awaited(self) -> tuple[Backport, ...]:
        """The backports that may still go, they test, and have not said to be there for."""
        course = self._course
        if not course.hour.calls_testers or course.is_closed:
            return ()
        return tuple(
            one
            for position, members in course.members.items()
            for one in members
            if position not in course.state.fallen
            and one.status in {Status.QUEUED.value, Status.DEPLOYING.value}
            and self._tests(one)
            and self.user not in course.here.get(one.pk, ())
            and one.change.number not in self._seen
        )

    @property
    def _seen(self) -> set[int | None]:
        """The changes that they verify now, or that somebody verified."""
        items = self._course.items.values()
        done = {i.number for i in items if i.kind == ItemKind.VERIFY.value and i.done_at}
        return done | {item.row.number for item in self.verifying}
