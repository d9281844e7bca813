"""A window while it is deployed: what is done, whose turn it is, and what falls with a failure.

Everything here looks only at what was recorded. A step starts when what it needs is live, every
step before it has an outcome, and nothing else is going on; its items are done in their order
(Q5b of `product.md`: how is it ensured that the steps are followed in the right order).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from scheduler.domain.changes import ChangeSet
from scheduler.domain.checklist.gate import falling
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.errors import OutOfDate, Refused
from scheduler.domain.planning.plan import Step
from scheduler.domain.production import Production


class Phase(StrEnum):
    """How far a step is."""

    WAITING = "waiting"
    GOING = "going"
    FAILED = "failed"
    GOING_BACK = "going-back"
    ENDED = "ended"

    @property
    def is_under_way(self) -> bool:
        """Whether something has to be done about it before anything else starts."""
        return self in {Phase.GOING, Phase.FAILED, Phase.GOING_BACK}


class Outcome(StrEnum):
    """What became of a step (`product.md`, "outcome")."""

    DEPLOYED = "deployed"
    REVERTED = "reverted"
    SKIPPED = "skipped"
    MISSED = "missed"


class Choice(StrEnum):
    """What is done about a step that failed."""

    REVERT = "revert"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class ItemState:
    """One item of a step.

    Attributes:
        key: which.
        number: the one change that it is about; None for all of the step.
        minutes: how long it should take.
        done_at: when it was done; None while it is not.
    """

    key: int
    kind: ItemKind
    number: int | None = None
    minutes: int = 0
    done_at: datetime | None = None

    @property
    def is_done(self) -> bool:
        """Whether it was done."""
        return self.done_at is not None


@dataclass(frozen=True)
class StepState:
    """One step of the queue and what was done of it.

    Attributes:
        step: as it was planned.
        items: what is done for it, and then what takes it back.
        failed_at: the item at which it failed; None if it has not, or was done when it broke.
        is_broken: it failed, and was left as it was: nothing that needs it goes.
        back: its place in the way back, from 1; 0 where it is not taken back.
        merged_anyway: it was started, and Gerrit says that it is merged, whatever was ticked.
    """

    step: Step
    phase: Phase = Phase.WAITING
    items: tuple[ItemState, ...] = ()
    outcome: Outcome | None = None
    failed_at: ItemKind | None = None
    is_broken: bool = False
    back: int = 0
    merged_anyway: bool = False

    @property
    def position(self) -> int:
        """Its place in the queue, from 1."""
        return self.step.position

    @cached_property
    def _done(self) -> frozenset[ItemKind]:
        """The kinds of which every item is done."""
        undone = {item.kind for item in self.items if not item.is_done}
        return frozenset({item.kind for item in self.items} - undone)

    def has_done(self, kind: ItemKind) -> bool:
        """Return whether it has items of a kind, and all are done."""
        return kind in self._done

    @cached_property
    def _goes_live_with(self) -> ItemKind:
        kinds = {item.kind for item in self.items}
        return ItemKind.SYNC if ItemKind.SYNC in kinds else ItemKind.MERGE

    @property
    def is_merged(self) -> bool:
        """Whether its changes are merged, and were not taken back."""
        merged = self.merged_anyway or self.has_done(ItemKind.MERGE)
        return merged and not self.has_done(ItemKind.TAKE_BACK)

    @property
    def is_live(self) -> bool:
        """Whether production runs it; what only the Beta Cluster sees is there once merged."""
        return self.has_done(self._goes_live_with) and not self.has_done(ItemKind.TAKE_BACK)

    @property
    def may_be_merged(self) -> bool:
        """Whether it is merged, or failed while that was tried."""
        return self.is_merged or (
            self.failed_at is ItemKind.MERGE
            and self.phase is Phase.FAILED
            and not self.has_done(ItemKind.TAKE_BACK)
        )

    @property
    def is_carried_along(self) -> bool:
        """Whether it is over, merged and not live: whatever is synced next takes it along."""
        return self.phase is Phase.ENDED and self.is_merged and not self.is_live

    @property
    def is_good(self) -> bool:
        """Whether it is live and stays so: what needs it may go."""
        return self.is_live and self.outcome is Outcome.DEPLOYED and not self.is_broken

    @cached_property
    def turn(self) -> tuple[ItemState, ...]:
        """The items whose turn it is: none while it waits, failed or is over."""
        if self.phase not in {Phase.GOING, Phase.GOING_BACK}:
            return ()
        goes_back = self.phase is Phase.GOING_BACK
        undone = [i for i in self.items if not i.is_done and i.kind.is_way_back is goes_back]
        first = min((item.kind.rank for item in undone), default=0)
        return tuple(item for item in undone if item.kind.rank == first)

    def last_done_at(self) -> datetime | None:
        """Return when its last item was done."""
        return max((item.done_at for item in self.items if item.done_at), default=None)


@dataclass(frozen=True, slots=True)
class Consequences:
    """What a decision about a step leads to; positions in the queue.

    Attributes:
        back: the steps that are taken back, in this order; the one it is about comes last.
        falls: the waiting steps that cannot go then.
        stays: those that go on in their order.
        halts: whether nothing can start any more until it is reverted.
    """

    back: tuple[int, ...] = ()
    falls: tuple[int, ...] = ()
    stays: tuple[int, ...] = ()
    halts: bool = False


@dataclass(frozen=True)
class Run:
    """All steps of a window while it is deployed.

    Attributes:
        steps: in the order of the queue.
        lost: changes that must not be started any more, each with a sentence that says why.
    """

    steps: tuple[StepState, ...]
    lost: Mapping[int, str] = field(default_factory=dict)

    def at(self, position: int) -> StepState:
        """Return the step at a place.

        Raises:
            Refused: there is none.
        """
        for state in self.steps:
            if state.position == position:
                return state
        raise Refused(f"There is no step {position} in this window.")

    @cached_property
    def live(self) -> tuple[int, ...]:
        """What is live of this window, in the order of the queue."""
        return tuple(number for s in self.steps if s.is_live for number in s.step.changes)

    @cached_property
    def current(self) -> StepState | None:
        """The step that something has to be done about before anything else starts."""
        under_way = [state for state in self.steps if state.phase.is_under_way]
        return min(under_way, key=lambda state: (state.back or 0, state.position), default=None)

    @cached_property
    def blocked(self) -> dict[int, str]:
        """The waiting steps that cannot start, by position, each with the reason."""
        return self._falling({**self.lost, **self._gone})

    @cached_property
    def fallen(self) -> dict[int, str]:
        """Those of them that nothing brings back in this window: what they need does not go."""
        return self._falling(self._gone)

    @cached_property
    def _gone(self) -> dict[int, str]:
        """The changes that are not live and do not go any more, each with its fate."""
        fates = {number: _fate(state) for state in self.steps for number in state.step.changes}
        return {number: fate for number, fate in fates.items() if fate}

    def _falling(self, out: Mapping[int, str]) -> dict[int, str]:
        fallen = falling((s.step for s in self.steps), out, self._gone)
        return {s.position: fallen[s.position] for s in self._waiting if s.position in fallen}

    @cached_property
    def next_step(self) -> StepState | None:
        """The step that can start next, once nothing is under way."""
        return next((s for s in self._waiting if s.position not in self.blocked), None)

    @property
    def halting(self) -> StepState | None:
        """A step that is over, merged and not live: nothing starts until it is reverted."""
        return next((state for state in self.steps if state.is_carried_along), None)

    @property
    def is_done(self) -> bool:
        """Whether every step has an outcome."""
        return all(state.phase is Phase.ENDED for state in self.steps)

    @property
    def _waiting(self) -> list[StepState]:
        return [state for state in self.steps if state.phase is Phase.WAITING]

    def require_start(self, position: int) -> StepState:
        """Let a step start, or refuse it with the reason; return it.

        Raises:
            OutOfDate: it was started already, or is over.
            Refused: something is under way, it is not its turn, or what it needs is not live.
        """
        state = self.at(position)
        if state.phase is not Phase.WAITING:
            raise OutOfDate(f"Step {position} is not waiting any more: {_said(state)}.")
        if self.current is not None:
            what = f"Step {self.current.position} is {_said(self.current)}"
            raise Refused(f"{what}: finish it first. One step at a time.")
        if position in self.blocked:
            raise Refused(f"Step {position} cannot start. {self.blocked[position]}")
        self._require_nothing_carried_along()
        if self.next_step is not None and self.next_step.position != position:
            raise Refused(f"Step {self.next_step.position} goes first.")
        self._require_needed(state)
        return state

    def _require_nothing_carried_along(self) -> None:
        if self.halting is not None:
            raise Refused(
                f"{_named(self.halting)} is merged and not live: the next sync would carry it "
                f"along. Revert step {self.halting.position} first."
            )

    def _require_needed(self, state: StepState) -> None:
        here = {number for other in self.steps for number in other.step.changes}
        for because in state.step.because:
            needed = because.first
            if needed in here and needed not in {*self.live, *state.step.changes}:
                raise Refused(
                    f"Step {state.position} cannot start. It needs {needed}, which is not live."
                )

    def require_tick(self, position: int, key: int, now: datetime) -> ItemState:
        """Let an item be done, or refuse it with the reason; return it.

        Raises:
            OutOfDate: it is done already, or its step is not under way any more.
            Refused: its turn has not come, or its minutes are not over.
        """
        state = self.at(position)
        item = next((one for one in state.items if one.key == key), None)
        if item is None:
            raise Refused(f"There is no such item in step {position}.")
        if item.is_done:
            raise OutOfDate("That was done already; the page shows by whom and when.")
        if item not in state.turn or (self.current is not state):
            raise Refused(self._why_not_yet(state, item))
        if item.kind.is_watching:
            until = watched_until(state, item)
            if until is not None and now < until:
                raise Refused(
                    f"Keep watching the logs until {until:%H:%M:%S} UTC, or say that it failed."
                )
        return item

    def _why_not_yet(self, state: StepState, item: ItemState) -> str:
        if state.phase is Phase.WAITING:
            return f"Step {state.position} has not started."
        if state.phase is Phase.ENDED:
            return f"Step {state.position} is over: {_said(state)}."
        if state.phase is Phase.FAILED:
            return f"Step {state.position} failed: choose first to revert it or to leave it."
        if self.current is not None and self.current is not state:
            return f"Step {self.current.position} is taken back first."
        kinds = " and ".join(dict.fromkeys(spoken(one.kind) for one in state.turn))
        return f"That comes later. First: {kinds}."

    def after_missing(self, position: int) -> Consequences:
        """Return what falls with a step that does not go."""
        return self._consequences(position, (), halts=False)

    def after_failing(self, position: int, choice: Choice) -> Consequences:
        """Return what a choice about a step that failed leads to."""
        state = self.at(position)
        if choice is Choice.LEAVE:
            return self._consequences(position, (), halts=state.is_merged and not state.is_live)
        needing = self._needing(position)
        back = [s.position for s in self.steps if s.position in needing and s.may_be_merged]
        back = [*reversed(back), position]
        return self._consequences(position, tuple(back), halts=False)

    def _consequences(self, position: int, back: tuple[int, ...], *, halts: bool) -> Consequences:
        needing = self._needing(position)
        for one in back:
            needing |= self._needing(one)
        waiting = [s.position for s in self._waiting if s.position != position]
        return Consequences(
            back,
            tuple(one for one in waiting if one in needing),
            tuple(one for one in waiting if one not in needing and one not in self.blocked),
            halts,
        )

    def _needing(self, position: int) -> set[int]:
        """Return the steps that need one, directly or not."""
        out = set(self.at(position).step.changes)
        found = set()
        for state in self.steps:
            if state.position != position and any(b.first in out for b in state.step.because):
                found.add(state.position)
                out.update(state.step.changes)
        return found

    def require_choice(self, position: int, choice: Choice) -> Consequences:
        """Let somebody choose about a step that failed; return what that leads to.

        Raises:
            OutOfDate: it has not failed, or the choice was made already.
            Refused: nothing of it was merged, so there is nothing to revert.
        """
        state = self.at(position)
        if state.phase is not Phase.FAILED and not (
            state.is_carried_along and choice is Choice.REVERT
        ):
            raise OutOfDate(f"Step {position} is {_said(state)}: there is nothing to choose.")
        if choice is Choice.REVERT and not state.may_be_merged:
            raise Refused("Nothing of it was merged: there is nothing to revert. Leave it.")
        return self.after_failing(position, choice)

    def require_failure(self, position: int) -> StepState:
        """Let somebody say that a step failed, or broke after it was done; return it.

        Raises:
            OutOfDate: it has failed already.
            Refused: it has not started, is not live, or something else is under way.
        """
        state = self.at(position)
        if state.phase is Phase.FAILED:
            raise OutOfDate("Somebody said already that it failed: choose what is done about it.")
        if state.phase is Phase.WAITING:
            raise Refused(f"Step {position} has not started.")
        if self.current is not None and self.current is not state:
            what = f"Step {self.current.position} is {_said(self.current)}: finish it first"
            is_going = self.current.phase is Phase.GOING
            raise Refused(f"{what}, or say that it failed." if is_going else f"{what}.")
        if state.phase is Phase.ENDED and not (state.is_live or state.is_merged):
            raise Refused(f"Step {position} is over: {_said(state)}. Nothing of it is live.")
        return state

    def require_missing(self, position: int) -> Consequences:
        """Let a step be missed; return what falls with it.

        What is merged and not live yet is taken back first: the next sync would carry it along.

        Raises:
            OutOfDate: it is over already.
            Refused: it failed, is being reverted, or may be live: it is deployed, or reverted.
        """
        state = self.at(position)
        if state.phase is Phase.ENDED:
            raise OutOfDate(f"Step {position} is over: {_said(state)}.")
        if state.phase is Phase.WAITING:
            return self.after_missing(position)
        if state.phase is Phase.GOING and not state.is_live:
            back = (position,) if state.is_merged else ()
            return self._consequences(position, back, halts=False)
        raise Refused(
            f"Step {position} is {_said(state)}{', and live' if state.is_live else ''}: it is "
            "deployed, or it failed and is reverted."
        )

    def require_close(self) -> tuple[int, ...]:
        """Let the window be closed; return the steps that have no outcome yet.

        Raises:
            Refused: something is under way.
        """
        if self.current is not None:
            what = f"Step {self.current.position} is {_said(self.current)}"
            raise Refused(f"{what}: finish it first, or say that it failed.")
        return tuple(state.position for state in self._waiting)

    def minutes_until(self, position: int) -> int:
        """Return in how many minutes a waiting step starts, if each takes what it should."""
        ahead = 0
        for state in self.steps:
            if state.position == position:
                break
            if state.phase is Phase.WAITING and state.position not in self.blocked:
                ahead += state.step.minutes
            elif state.phase.is_under_way:
                ahead += sum(item.minutes for item in state.items if not item.is_done)
        return ahead


@dataclass(frozen=True, slots=True)
class OnVersion:
    """What one version has of some changes.

    Attributes:
        branch: such as `wmf/1.27.0-wmf.4`; "" where nothing is known about versions.
        groups: which it serves.
        numbers: in their order.
    """

    branch: str
    groups: tuple[str, ...]
    numbers: tuple[int, ...]


def on_versions(
    numbers: Iterable[int], changes: ChangeSet, production: Production
) -> tuple[OnVersion, ...]:
    """Return which live version has which of some changes, the oldest version first.

    Configuration is everywhere at once; code is where its branch serves.
    """
    given = tuple(numbers)
    if not production.live_branches:
        return (OnVersion("", (), given),)
    return tuple(
        OnVersion(
            branch,
            production.groups_served(branch),
            tuple(n for n in given if changes[n].is_config or changes[n].branch == branch),
        )
        for branch in production.live_branches
    )


def watched_until(state: StepState, item: ItemState) -> datetime | None:
    """Return until when the logs have to be watched: the stated minutes after what was done."""
    before = [one.done_at for one in state.items if one.done_at and one.kind.rank < item.kind.rank]
    return max(before) + timedelta(minutes=item.minutes) if before else None


_SPOKEN = {
    ItemKind.BEFORE: "the steps before",
    ItemKind.MERGE: "merge",
    ItemKind.TEST: "test servers",
    ItemKind.VERIFY: "verify",
    ItemKind.SYNC: "sync",
    ItemKind.WATCH: "watch the logs",
    ItemKind.AFTER: "the steps after",
    ItemKind.LOG: "log it",
    ItemKind.TAKE_BACK: "revert",
    ItemKind.WATCH_BACK: "watch the logs",
    ItemKind.LOG_BACK: "log it",
}


def spoken(kind: ItemKind) -> str:
    """Return what is done, in a word or two."""
    return _SPOKEN[kind]


def failed_on_the_way_back(before: str, now: str) -> str:
    """Return what was seen when a step failed, and then when its way back failed, too."""
    return f"{before}\n\nThe way back failed, too: {now}".lstrip()


def _said(state: StepState) -> str:
    if state.outcome is not None:
        return state.outcome.value
    return {Phase.GOING: "under way", Phase.GOING_BACK: "being reverted"}.get(
        state.phase, state.phase.value
    )


def _named(state: StepState) -> str:
    return " and ".join(map(str, state.step.changes))


def _fate(state: StepState) -> str:
    """Return why nothing that needs a step goes, to be read after "which"; "" if it may."""
    if state.phase in {Phase.WAITING, Phase.GOING} or state.is_good:
        return ""
    if state.outcome in {Outcome.REVERTED, Outcome.MISSED}:
        return f"was {state.outcome.value}"
    if state.phase is Phase.GOING_BACK:
        return "is being reverted"
    return "failed"
