"""Who must come before whom, and who goes together: every edge with its reasons."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from scheduler.domain.changes import ChangeSet
from scheduler.domain.dependencies import Dependencies
from scheduler.domain.graphs import Groups, circles
from scheduler.domain.statements import Statement, StatementKind


class Because(NamedTuple):
    """Why a change cannot go earlier.

    Attributes:
        reason: `dependency`, `parent`, `statement` or `together`.
        first: number of the change that is the reason.
        text: the sentence to show.
    """

    reason: str
    first: int
    text: str


_DECLARED = {True: ("parent", "is built on"), False: ("dependency", "depends on")}
_IN_ORDER = attrgetter("first", "reason", "text")


class Edges:
    """The order that the requested changes must keep among themselves.

    Attributes:
        firsts: change to the edges that lead to it: each says what must come before it, and why.
        thens: change to what must come after it, once for each edge.
        bundle: change to the set that it goes together with, named by its smallest number.
        members: bundle to its changes, ascending.
    """

    def __init__(
        self,
        changes: ChangeSet,
        requested: Sequence[int],
        dependencies: Dependencies,
        statements: Iterable[Statement],
    ) -> None:
        self.firsts: dict[int, list[Because]] = defaultdict(list)
        self.thens: dict[int, list[int]] = defaultdict(list)
        self.members: dict[int, list[int]] = {}
        self._together: dict[int, list[Because]] = defaultdict(list)
        self._changes = changes
        inside = frozenset(requested)
        said = sorted(s for s in set(statements) if s.first in inside and s.then in inside)
        groups = Groups()
        for statement in said:
            if statement.kind is StatementKind.TOGETHER:
                groups.join(statement.first, statement.then)
                self._add_together(statement)
        self.bundle = {number: groups.of(number) for number in sorted(inside)}
        for number, name in self.bundle.items():
            self.members.setdefault(name, []).append(number)
        self._add_declared(dependencies)
        for statement in said:
            if statement.kind is StatementKind.BEFORE:
                self._add_stated(statement)

    def _add_together(self, statement: Statement) -> None:
        low, high = sorted((statement.first, statement.then))
        by = f" ({statement.by} said so)" if statement.by else ""
        text = f"{self._changes[low]} and {self._changes[high]} go out in the same sync{by}"
        self._together[low].append(Because("together", high, text))
        self._together[high].append(Because("together", low, text))

    def _add(self, then: int, because: Because) -> None:
        if self.bundle[because.first] != self.bundle[then]:
            self.firsts[then].append(because)
            self.thens[because.first].append(then)

    def _add_declared(self, dependencies: Dependencies) -> None:
        changes = self._changes
        for then, firsts in dependencies.needed_first().items():
            name = changes[then].name
            for first, link in firsts.items():
                reason, verb = _DECLARED[link.is_parent]
                needed = link.to
                told = (
                    needed.name
                    if needed.number == first
                    else (f"{changes[first].name}, through {needed.number}")
                )
                self._add(then, Because(reason, first, f"{name} {verb} {told}"))

    def _add_stated(self, statement: Statement) -> None:
        by = f"{statement.by} said: " if statement.by else ""
        meanwhile = f"; with {statement.first} alone: {statement.only_first.value}"
        first, then = self._changes[statement.first], self._changes[statement.then]
        text = f"{by}{first} before {then}{meanwhile}"
        self._add(statement.then, Because("statement", statement.first, text))

    def because(self, members: Sequence[int], queued: frozenset[int]) -> tuple[Because, ...]:
        """Return why a step cannot go earlier: edges from other steps, and its own togetherness."""
        found = [
            reason
            for member in members
            for reason in self.firsts.get(member, ())
            if reason.first in queued
        ]
        if len(members) > 1:
            own = frozenset(members)
            found += [
                reason
                for member in members
                for reason in self._together.get(member, ())
                if reason.first in own and reason.first < member
            ]
        return tuple(sorted(set(found), key=_IN_ORDER) if len(found) > 1 else found)

    def bundle_successors(self) -> dict[int, list[int]]:
        """Return bundle to the bundles that must come after it, without repetition."""
        following: dict[int, dict[int, None]] = {}
        for first, thens in sorted(self.thens.items()):
            after = following.setdefault(self.bundle[first], {})
            after.update(dict.fromkeys([self.bundle[then] for then in thens]))
        return {name: list(after) for name, after in following.items()}

    def circles(self) -> dict[int, tuple[int, ...]]:
        """Return, for each change in a circle of edges, a shortest circle of it, in order."""
        successors = self.bundle_successors()
        found: dict[int, tuple[int, ...]] = {}
        for names, circle in circles(sorted(successors), successors):
            # an edge says who comes first; a circle is told as who needs whom
            told = (circle[0], *reversed(circle[1:]))
            for name in names:
                found.update(dict.fromkeys(self.members[name], told))
        return found

    def needed_by(self, number: int) -> list[int]:
        """Return what must come before a change, each once."""
        return list(dict.fromkeys([because.first for because in self.firsts.get(number, ())]))

    def coupled_to(self, number: int) -> list[int]:
        """Return what hangs together with a change by any edge or togetherness, itself included."""
        bundle = self.bundle
        seen = {bundle[number]}
        waiting = list(seen)
        while waiting:
            for member in self.members[waiting.pop()]:
                for other in (*self.needed_by(member), *self.thens.get(member, ())):
                    if bundle[other] not in seen:
                        seen.add(bundle[other])
                        waiting.append(bundle[other])
        return sorted(member for name in seen for member in self.members[name])

    def is_ordered(self, one: int, other: int) -> bool:
        """Return whether edges settle how two changes go: one leads to the other, or together."""
        return (
            self.bundle[one] == self.bundle[other]
            or self._leads(one, other)
            or self._leads(other, one)
        )

    def _leads(self, start: int, goal: int) -> bool:
        bundle = self.bundle
        target = bundle[goal]
        seen = {bundle[start]}
        waiting = list(seen)
        while waiting:
            for member in self.members[waiting.pop()]:
                for then in self.thens.get(member, ()):
                    after = bundle[then]
                    if after == target:
                        return True
                    if after not in seen:
                        seen.add(after)
                        waiting.append(after)
        return False
