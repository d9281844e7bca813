"""The independent checker: walks a queue and judges production after every single step.

It takes from a change only what the change itself says (`changes.py`: footers, branches). What is
relevant, what is there already, and what statements mean it judges by itself, and shares no
code with what plans the queue, so that a defect there cannot hide here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from scheduler.domain.changes import Change, ChangeSet
from scheduler.domain.production import Production
from scheduler.domain.statements import OnlyFirst, Statement, StatementKind


@dataclass(frozen=True, slots=True)
class Breach:
    """One thing that is wrong with production in some state.

    Attributes:
        rule: `dependency`, `together`, `before` or `outage`.
        change: number of the change that breaks it.
        text: the sentence to show.
        accepted: whether people took exactly this on.
    """

    rule: str
    change: int
    text: str
    accepted: bool = False


class State(NamedTuple):
    """Production after some steps.

    Attributes:
        after: how many steps were done.
        added: numbers that the last step made live.
        broken: what is wrong with it.
    """

    after: int
    added: tuple[int, ...]
    broken: tuple[Breach, ...]

    @property
    def safe(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.broken


@dataclass(frozen=True, slots=True)
class _Need:
    """`change` may be live only while `needed` is."""

    rule: str
    change: int
    needed: int


_IN_ORDER = attrgetter("change", "rule", "text")


class Judge:
    """Judges states of production of one window.

    Args:
        changes: all changes that are known.
        requested: numbers booked in the window.
        overridden: change number to the MUST rules that people lifted for it.
    """

    def __init__(
        self,
        changes: ChangeSet,
        requested: Iterable[int],
        production: Production,
        statements: Iterable[Statement],
        overridden: dict[int, frozenset[str]],
    ) -> None:
        self._changes = changes
        self._requested = frozenset(requested)
        self._production = production
        self._statements = sorted(set(statements))
        self._overridden = overridden
        self._about: dict[int, list[Statement]] = {}
        for statement in self._statements:
            if statement.kind is not StatementKind.UNRELATED:
                self._about.setdefault(statement.first, []).append(statement)
                self._about.setdefault(statement.then, []).append(statement)

    def states(self, steps: Sequence[Sequence[int]]) -> list[State]:
        """Return production before the first step and after each one."""
        live: set[int] = set()
        broken: dict[_Need, Breach] = {}
        result = [State(0, (), ())]
        in_order = {number for step in steps for number in step}
        for place, step in enumerate(steps, start=1):
            live.update(step)
            for number in step:
                for need in self._needs(number, live):
                    broken[need] = self._breach(need, in_order)
            added = tuple(sorted(step))
            if not broken and not self._about:
                result.append(State(place, added, ()))
                continue
            broken = {need: b for need, b in broken.items() if not self._is_met(need, live)}
            told = [*broken.values(), *self._outages(live, step, result)]
            told.sort(key=_IN_ORDER)
            result.append(State(place, added, tuple(told)))
        return result

    def _is_met(self, need: _Need, live: set[int]) -> bool:
        return need.needed in live

    def _needs(self, number: int, live: set[int]) -> list[_Need]:
        """Return what a change needs that is not there when it goes live."""
        change = self._changes[number]
        found = []
        if change.depends_on or change.parent is not None:
            for viewer, needed in self._reached(change):
                if needed.number not in live and not self._is_already_there(viewer, needed):
                    found.append(_Need("dependency", number, needed.number))
        for said in self._about.get(number, ()):
            other = said.then if said.first == number else said.first
            if other in live or self._is_already_there(change, self._changes[other]):
                continue
            if said.kind is StatementKind.TOGETHER:
                found.append(_Need("together", number, other))
            elif said.then == number:
                found.append(_Need("before", number, other))
        return found

    def _reached(self, change: Change) -> list[tuple[Change, Change]]:
        """Return what a change needs, each with who needs it, through what is not booked."""
        seen = {change.number}
        waiting = [change]
        found = []
        while waiting:
            viewer = waiting.pop()
            for needed in self._direct(viewer):
                if needed.number not in seen:
                    seen.add(needed.number)
                    found.append((viewer, needed))
                    if needed.number not in self._requested:
                        waiting.append(needed)
        return found

    def _direct(self, viewer: Change) -> list[Change]:
        found = []
        for reference in viewer.depends_on:
            family = self._changes.named(reference)
            found += [needed for needed in family if self._matters(viewer, needed, family)]
        parent = self._changes.get(viewer.parent) if viewer.parent is not None else None
        if parent is not None and not parent.is_merged:
            found.append(parent)
        return found

    def _deployable(self, branch: str) -> bool:
        known = {f"wmf/{version}" for version in self._production.checked_out}
        return branch in known if known else branch.startswith("wmf/")

    def _matters(self, viewer: Change, needed: Change, family: Sequence[Change]) -> bool:
        """Judge relevance by `policy.md`, rules 1 to 4, one clause each."""
        if needed.is_config:
            return True
        if not needed.is_code:
            return False
        branches = {member.branch for member in family}
        if viewer.is_code and self._deployable(viewer.branch):
            return needed.branch == viewer.branch or (
                needed.is_on_main and viewer.branch not in branches
            )
        if viewer.is_config or (viewer.is_code and viewer.is_on_main):
            return self._deployable(needed.branch) or (
                needed.is_on_main and not any(self._deployable(branch) for branch in branches)
            )
        return False

    def _runs(self, number: int) -> bool:
        """Return whether production runs a change that is not part of the window."""
        change = self._changes[number]
        return number not in self._requested and change.is_merged and change.deployed is not False

    def _is_already_there(self, change: Change, needed: Change) -> bool:
        if needed.number in self._requested:
            return False
        if needed.is_code and needed.is_on_main:
            contained = needed.branches
            if change.is_config:
                return all(f"wmf/{v}" in contained for v in self._production.live.values())
            return change.branch in contained or not change.is_on_release
        return self._runs(needed.number)

    def _breach(self, need: _Need, in_order: set[int]) -> Breach:
        change, needed = self._changes[need.change], self._changes[need.needed]
        texts = {
            "dependency": f"{change} is live, and {needed}, which it needs, is not",
            "together": f"{change} is live without {needed}; they belong in one sync",
            "before": f"{change} is live, and {needed}, which was said to go before it, is not",
        }
        lifted = self._overridden.get(need.change, frozenset())
        waived = need.needed not in in_order and not lifted.isdisjoint(self._excused_by(needed))
        return Breach(need.rule, need.change, texts[need.rule], waived)

    def _excused_by(self, needed: Change) -> frozenset[str]:
        """Return the rules of which an override says: it may go without this one."""
        if needed.number in self._requested:
            return frozenset({"dependency-not-in-queue"})
        if needed.is_merged and needed.deployed is False:
            return frozenset({"dependency-not-deployed"})
        return frozenset(
            {
                "dependency-not-scheduled",
                "dependency-abandoned",
                "dependency-not-in-branch",
                "dependency-not-in-live",
            }
        )

    def _outages(
        self, live: set[int], step: Sequence[int], before: Sequence[State]
    ) -> list[Breach]:
        """Return the statements that say this state is an outage."""
        candidates = {
            said for number in step for said in self._about.get(number, ()) if said.first in live
        }
        candidates |= {
            said
            for breach in before[-1].broken
            if breach.rule == "outage"
            for said in self._about.get(breach.change, ())
        }
        found = []
        for said in sorted(candidates):
            if (
                said.kind is StatementKind.BEFORE
                and said.only_first is OnlyFirst.OUTAGE
                and said.first in live
                and said.then not in live
                and not self._is_already_there(self._changes[said.first], self._changes[said.then])
            ):
                accepted = "unsafe-first-step" in self._overridden.get(said.first, frozenset())
                text = f"{self._changes[said.first]} alone was said to be an outage"
                found.append(Breach("outage", said.first, text, accepted))
        return list(dict.fromkeys(found))
