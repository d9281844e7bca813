"""Who must come before whom, and who goes together: every edge with its reasons."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scheduler.domain.changes import ChangeSet
from scheduler.domain.dependencies import Dependencies
from scheduler.domain.graphs import Groups, circles
from scheduler.domain.statements import Statement, StatementKind


@dataclass(frozen=True, slots=True)
class Because:
    """Why a change cannot go earlier.

    Attributes:
        reason: `dependency`, `parent`, `statement` or `together`.
        first: number of the change that is the reason.
        text: the sentence to show.
    """

    reason: str
    first: int
    text: str


class Edges:
    """The order that the requested changes must keep among themselves.

    Attributes:
        firsts: change to what must come before it, with the reasons.
        thens: change to what must come after it.
        bundles: the sets that go together; a bundle is named by its smallest number.
    """

    def __init__(
        self,
        changes: ChangeSet,
        requested: Sequence[int],
        dependencies: Dependencies,
        statements: Iterable[Statement],
    ) -> None:
        self.firsts: dict[int, dict[int, list[Because]]] = defaultdict(dict)
        self.thens: dict[int, list[int]] = defaultdict(list)
        self.bundles = Groups()
        self.members: dict[int, list[int]] = {}
        self._together: dict[int, list[Because]] = defaultdict(list)
        self._changes = changes
        inside = frozenset(requested)
        said = sorted(s for s in set(statements) if s.first in inside and s.then in inside)
        for statement in said:
            if statement.kind is StatementKind.TOGETHER:
                self._bundle(statement)
        self._add_declared(dependencies)
        for statement in said:
            if statement.kind is StatementKind.BEFORE:
                self._add_stated(statement)
        for number in sorted(inside):
            self.members.setdefault(self.bundles.of(number), []).append(number)

    def _bundle(self, statement: Statement) -> None:
        self.bundles.join(statement.first, statement.then)
        low, high = sorted((statement.first, statement.then))
        by = f" ({statement.by} said so)" if statement.by else ""
        text = f"{self._changes[low]} and {self._changes[high]} go out in the same sync{by}"
        self._together[low].append(Because("together", high, text))
        self._together[high].append(Because("together", low, text))

    def _add(self, first: int, then: int, because: Because) -> None:
        if self.bundles.of(first) == self.bundles.of(then):
            return
        reasons = self.firsts[then].setdefault(first, [])
        if not reasons:
            self.thens[first].append(then)
        reasons.append(because)

    def _add_declared(self, dependencies: Dependencies) -> None:
        for then, firsts in dependencies.needed_first().items():
            for first, link in firsts.items():
                reason = "parent" if link.is_parent else "dependency"
                name = "is built on" if link.is_parent else "depends on"
                through = "" if link.to.number == first else f", through {link.to.number}"
                text = f"{self._changes[then].name} {name} {self._changes[first]}{through}"
                self._add(first, then, Because(reason, first, text))

    def _add_stated(self, statement: Statement) -> None:
        by = f"{statement.by} said: " if statement.by else ""
        meanwhile = f"; with {statement.first} alone: {statement.only_first.value}"
        first, then = self._changes[statement.first], self._changes[statement.then]
        text = f"{by}{first} before {then}{meanwhile}"
        self._add(statement.first, statement.then, Because("statement", statement.first, text))

    def because(self, members: Sequence[int], queued: frozenset[int]) -> tuple[Because, ...]:
        """Return why a step cannot go earlier: edges from other steps, and its own togetherness."""
        if not any(member in self.firsts or member in self._together for member in members):
            return ()
        found = {
            reason
            for member in members
            for first, reasons in self.firsts.get(member, {}).items()
            if first in queued
            for reason in reasons
        }
        if len(members) > 1:
            own = frozenset(members)
            for member in members:
                found |= {
                    reason
                    for reason in self._together.get(member, ())
                    if reason.first in own and reason.first < member
                }
        return tuple(sorted(found, key=lambda b: (b.first, b.reason, b.text)))

    def bundle_successors(self) -> dict[int, list[int]]:
        """Return bundle to the bundles that must come after it, without repetition."""
        bundle = self.bundles.of
        return {
            name: list(following)
            for name, members in self.members.items()
            if (
                following := dict.fromkeys(
                    bundle(then) for member in members for then in self.thens.get(member, ())
                )
            )
        }

    def circles(self) -> dict[int, tuple[int, ...]]:
        """Return, for each change in a circle of edges, a shortest circle of it, in order."""
        if not self.thens:
            return {}
        successors = self.bundle_successors()
        found: dict[int, tuple[int, ...]] = {}
        for names, circle in circles(sorted(successors), successors):
            # an edge says who comes first; a circle is told as who needs whom
            told = (circle[0], *reversed(circle[1:]))
            for name in names:
                found.update(dict.fromkeys(self.members[name], told))
        return found

    def coupled_groups(self) -> Groups:
        """Return the sets of changes that hang together by any edge or togetherness."""
        groups = Groups()
        for then, firsts in self.firsts.items():
            for first in firsts:
                groups.join(first, then)
        for name, members in self.members.items():
            for member in members[1:]:
                groups.join(name, member)
        return groups

    def is_ordered(self, one: int, other: int) -> bool:
        """Return whether edges settle how two changes go: one leads to the other, or together."""
        return (
            self.bundles.of(one) == self.bundles.of(other)
            or self._leads(one, other)
            or self._leads(other, one)
        )

    def _leads(self, start: int, goal: int) -> bool:
        bundle = self.bundles.of
        target = bundle(goal)
        seen = {bundle(start)}
        waiting = [bundle(start)]
        while waiting:
            for member in self.members[waiting.pop()]:
                for then in self.thens.get(member, ()):
                    after = bundle(then)
                    if after == target:
                        return True
                    if after not in seen:
                        seen.add(after)
                        waiting.append(after)
        return False
