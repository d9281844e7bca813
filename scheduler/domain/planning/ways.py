"""The cheapest way into a window: which one thing would bring a backport into the queue.

Nothing is guessed: each thing that might do is done in the facts, and the window planned again.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from scheduler.domain.backports import Backport, Kind, Urgency
from scheduler.domain.changes import Change, ChangeSet, ChangeStatus, release_branch
from scheduler.domain.coupling.advice import TOGETHER
from scheduler.domain.coupling.questions import Question
from scheduler.domain.dependencies import Dependencies
from scheduler.domain.errors import UnsafeQueue
from scheduler.domain.planning.edges import Edges
from scheduler.domain.planning.plan import Plan, PlanInput, plan_window
from scheduler.domain.policy.findings import Finding, Level
from scheduler.domain.policy.numbers import Numbers
from scheduler.domain.production import Production
from scheduler.domain.statements import Statement, StatementKind
from scheduler.domain.windows import Freeze, Window

_L10N = frozenset({"i18n", "languages"})
UNANSWERED = "coupling-unanswered"  # the rule that holds what is asked about
_NOT_APPROVED, _UNDONE = "not-approved", "train-would-undo"
_LACKING = frozenset(
    {"dependency-not-in-branch", "dependency-not-in-live", "dependency-not-in-upcoming"}
)


class WayKind(StrEnum):
    """What would have to be done, the cheapest first."""

    APPROVE = "approve"
    ANSWER = "answer"
    DROP_L10N = "drop-l10n"
    ACKNOWLEDGE = "acknowledge"
    WAIT = "wait"
    CHERRY_PICK = "cherry-pick"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Way:
    """One thing that brings a backport into a queue.

    Attributes:
        deed: what that is, in words that end a sentence: "drop i18n/".
        starts: when its step would start then, UTC.
        also_approve: whether somebody has to approve it besides.
    """

    kind: WayKind
    deed: str
    starts: datetime
    also_approve: bool = False


@dataclass(frozen=True, slots=True)
class Later:
    """A window to come that has room.

    Attributes:
        numbers: those of its policy, with the slots that are left.
        freezes: those that stop it.
        taken: minutes from its start that its queue takes up.
    """

    window: Window
    numbers: Numbers
    freezes: tuple[Freeze, ...] = ()
    taken: int = 0


def ways_into_queue(
    given: PlanInput, later: Sequence[Later] = (), *, only: Collection[int] | None = None
) -> dict[int, tuple[Way, ...]]:
    """Return the cheapest way for each backport that does not go, by its change's number.

    Args:
        given: the window as it is planned.
        later: windows to come that have room, the next one first.
        only: the changes to look at; None for all.

    Returns:
        The cheapest first; where that is a cherry-pick, the first window that does without one
        stands beside it. Nothing for what no single thing brings into a queue.
    """
    plan = plan_window(given)
    found = {}
    for elsewhere in plan.elsewhere:
        if only is None or elsewhere.change in only:
            ways = tuple(_Search(given, plan, elsewhere.change).ways(later))
            if ways:
                found[elsewhere.change] = ways
    return found


class _Search:
    """The things that might bring one backport into the queue, tried one after the other."""

    def __init__(self, given: PlanInput, plan: Plan, number: int) -> None:
        self.number = number
        self.change = given.changes[number]
        self.plan = plan
        self.own = next(one for one in given.backports if one.change == number)
        # What keeps it out apart from the approval, which any way takes besides.
        self.keeping = [
            one
            for one in plan.findings
            if one.change == number and one.keeps_out and one.rule != _NOT_APPROVED
        ]
        self.rules = {one.rule for one in self.keeping}
        self.given = self._with(given, replace(self.own, approved=True))

    def ways(self, later: Sequence[Later]) -> Iterator[Way]:
        way = self._first(self._things())
        if way is not None:
            yield way
        if UNANSWERED in self.rules:  # apart from the other one it would be asked about as well
            return
        if way is None or way.kind is WayKind.CHERRY_PICK:
            other = self._first(self._later(later))
            if other is not None:
                yield other

    def _first(self, things: Iterable[tuple[WayKind, str, PlanInput]]) -> Way | None:
        for kind, deed, given in things:
            starts = self._start_in(given)
            if starts is not None:
                also = not self.own.approved and kind is not WayKind.APPROVE
                return Way(kind, deed, starts, also)
        return None

    def _things(self) -> Iterator[tuple[WayKind, str, PlanInput]]:
        if not self.rules:
            yield WayKind.APPROVE, "have somebody else approve it", self.given
        if UNANSWERED in self.rules:
            yield from self._answered()
        if self.change.touches_l10n:
            yield from self._without_l10n()
        if self.keeping and all(one.level is Level.SHOULD for one in self.keeping):
            yield self._acknowledged(self.keeping)
        if self.rules & {*_LACKING, _UNDONE}:
            yield from self._awaited()
            yield from self._picked()

    def _start_in(self, given: PlanInput) -> datetime | None:
        """Return when its step starts; None if it does not go.

        What the checker refuses is never advised.
        """
        try:
            plan = plan_window(given)
        except UnsafeQueue:
            return None
        return next((step.starts for step in plan.queue if self.number in step.changes), None)

    @staticmethod
    def _with(given: PlanInput, backport: Backport) -> PlanInput:
        return replace(
            given,
            backports=tuple(
                backport if one.change == backport.change else one for one in given.backports
            ),
        )

    def _answered(self) -> Iterator[tuple[WayKind, str, PlanInput]]:
        """Answer every question about it as the evidence advises; where it advises none: unrelated.

        Nobody is led to say *unrelated* against the evidence because it starts the soonest. Which
        answer was taken for granted stands beside it.
        """
        asked = [one for one in self.plan.questions if self.number in one.changes]
        others = {low if high == self.number else high for low, high in (a.changes for a in asked)}
        deed = f"say how it belongs together with {' and '.join(map(str, sorted(others)))}"
        advised = [said for said in map(_advised, asked) if said]
        if len(advised) == len(asked):
            told = " and ".join(map(_in_words, advised))
            given = self._saying(advised)
            yield WayKind.ANSWER, f"{deed} (if {told}, as the evidence advises)", given
            return
        unrelated = [Statement(*one.changes, StatementKind.UNRELATED) for one in asked]
        yield WayKind.ANSWER, f"{deed} (if they are unrelated)", self._saying(unrelated)

    def _saying(self, said: Iterable[Statement]) -> PlanInput:
        return replace(self.given, statements=(*self.given.statements, *said))

    def _without_l10n(self) -> Iterator[tuple[WayKind, str, PlanInput]]:
        """Leave the files out that make the localisation cache be built again."""
        files = tuple(
            file
            for file in self.change.files
            if _L10N.isdisjoint(
                part for path in (file.path, file.old_path or "") for part in path.split("/")[:-1]
            )
        )
        if files:
            directories = {part for path in self.change.paths for part in path.split("/")[:-1]}
            dropped = " and ".join(f"{name}/" for name in sorted(_L10N & directories))
            changes = ChangeSet([*self.given.changes, replace(self.change, files=files)])
            yield WayKind.DROP_L10N, f"drop {dropped}", replace(self.given, changes=changes)

    def _acknowledged(self, findings: Sequence[Finding]) -> tuple[WayKind, str, PlanInput]:
        rules = [one.rule for one in findings]
        taking = replace(self.own, approved=True, acknowledged=self.own.acknowledged | {*rules})
        deed = f"have a reviewer take on {' and '.join(rules)}"
        return WayKind.ACKNOWLEDGE, deed, self._with(self.given, taking)

    def _awaited(self) -> Iterator[tuple[WayKind, str, PlanInput]]:
        """Do nothing but wait: the train moves before the window, if it does as scheduled."""
        start = self.given.window.start
        by_then = self.given.production.at(start)
        moved = self._moved(by_then)
        if moved and start > self.given.now:
            yield (
                WayKind.WAIT,
                f"wait for the train: {moved} before it starts, if all goes as planned",
                replace(self.given, production=by_then, changes=self._as_cut_by(start)),
            )

    def _moved(self, by_then: Production) -> str:
        """Return in words which groups are served by another version then."""
        return " and ".join(
            f"{group} is on {version}"
            for group, version in sorted(by_then.live.items())
            if self.given.production.live.get(group) != version
        )

    def _picked(self) -> Iterator[tuple[WayKind, str, PlanInput]]:
        """Cherry-pick what a branch lacks to it, and book that in the same window."""
        production = self.given.production
        requested = [one.change for one in self.given.backports]
        lacking: dict[int, set[str]] = {}
        if _UNDONE in self.rules:
            family = self.given.changes.siblings(self.change)
            lacking[self.number] = {*production.lacking(self.change, family, requested)}
        dependencies = Dependencies(
            self.given.changes, sorted(requested), production, self.given.statements
        )
        for problem in dependencies.problems().get(self.number, ()):
            if problem.rule in _LACKING and isinstance(problem.target, Change):
                newer = {b for one in problem.branches for b in production.newer_branches(one)}
                wanted = ({*problem.branches} | newer) - problem.target.branches
                lacking.setdefault(problem.target.number, set()).update(wanted)
        picks: list[Change] = []
        following = max(change.number for change in self.given.changes) + 1
        for number, branches in lacking.items():
            for branch in sorted(branches):
                picks.append(_pick(self.given.changes[number], branch, following + len(picks)))
        named = " and ".join(
            f"{number} to {' and '.join(sorted(branches))}" for number, branches in lacking.items()
        )
        booked = tuple(
            Backport(
                change=pick.number,
                requester=self.own.requester,
                submitted_at=self.own.submitted_at,
                approved=True,
                kind=Kind.REGRESSION,
                urgency=min(self.own.urgency, Urgency.HIGH),
            )
            for pick in picks
        )
        yield (
            WayKind.CHERRY_PICK,
            f"cherry-pick {named} and book that too",
            replace(
                self.given,
                changes=ChangeSet([*self.given.changes, *picks]),
                backports=(*self.given.backports, *booked),
            ),
        )

    def _later(self, later: Sequence[Later]) -> Iterator[tuple[WayKind, str, PlanInput]]:
        """Book it in another window, with what it needs: production is then as it is planned."""
        if not later:
            return
        taken = self._with_what_it_needs()
        backports = tuple(one for one in self.given.backports if one.change in taken)
        for one in later:
            start = one.window.start
            production = self.given.production.at(start)
            moved = self._moved(production)
            by_then = f": {moved} by then" if moved else ""
            yield (
                WayKind.LATER,
                f"book it for {start:%a} {start.day} {start:%b %H:%M} UTC{by_then}",
                replace(
                    self.given,
                    window=one.window,
                    numbers=one.numbers,
                    freezes=one.freezes,
                    changes=self._as_cut_by(start),
                    production=production,
                    backports=backports,
                    gone=one.taken,
                ),
            )

    def _with_what_it_needs(self) -> frozenset[int]:
        """Return its number, and those of everything that has to go before or with it."""
        given = self.given
        requested = sorted(one.change for one in given.backports)
        dependencies = Dependencies(given.changes, requested, given.production, given.statements)
        edges = Edges(given.changes, requested, dependencies, given.statements)
        found = {self.number}
        waiting = deque(found)
        while waiting:
            one = waiting.popleft()
            needed = [edge.first for edge in edges.firsts.get(one, ())]
            for other in (*needed, *edges.members[edges.bundle[one]]):
                if other not in found:
                    found.add(other)
                    waiting.append(other)
        return frozenset(found)

    def _as_cut_by(self, moment: datetime) -> ChangeSet:
        """Return the changes as they will be in the branches that are cut until a moment."""
        production = self.given.production
        cut = {
            release_branch(one.version)
            for one in production.schedule
            if one.version not in production.checked_out
            and one.cut is not None
            and self.given.now < one.cut <= moment
        }
        return ChangeSet(
            replace(change, included_in=change.included_in | cut)
            if change.is_merged and change.is_on_main
            else change
            for change in self.given.changes
        )


def _advised(asked: Question) -> Statement | None:
    """Return the answer that the evidence advises, if it advises one."""
    low, high = asked.changes
    if asked.advice == TOGETHER:
        return Statement(low, high, StatementKind.TOGETHER)
    if asked.first is None:
        return None
    return Statement(asked.first, high if asked.first == low else low, StatementKind.BEFORE)


def _in_words(said: Statement) -> str:
    """Return the same, to be read after "if"."""
    if said.kind is StatementKind.TOGETHER:
        return f"{said.first} and {said.then} go together"
    return f"{said.first} goes first"


def _pick(change: Change, branch: str, number: int) -> Change:
    """Return a cherry-pick of a change that is reviewed and ready to go."""
    return replace(
        change,
        number=number,
        branch=branch,
        message="",
        status=ChangeStatus.NEW,
        parent=None,
        included_in=frozenset(),
        deployed=None,
        labels={"Code-Review": 2, "Verified": 2},
        diff="",
    )
