"""Declared dependencies: which matter to a backport, whether they are met, what is wrong below it.

The rules are those of `policy.md`, "Dependencies", which follow `scap backport` (T365146, T362987,
T408675): every declared dependency and open parent is followed, relevant or not, and judged as
seen from the change that declares it.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scheduler.domain.changes import Change, ChangeSet, ChangeStatus
from scheduler.domain.graphs import circles, strong_components
from scheduler.domain.production import Production
from scheduler.domain.statements import Statement, StatementKind

# How far a chain is told before its middle is left out, and how many changes are looked at for it.
_TOLD = 5
_LOOKED_AT = 300

_END = -1  # no change has this number

NOT_IN_LIVE = "dependency-not-in-live"


class Link(NamedTuple):
    """One change needs another: a `Depends-On` footer, or the open parent in the relation chain.

    Attributes:
        to: the change that is needed.
        relevant: whether it matters to the change that declares it.
        is_parent: whether it is the open parent.
    """

    to: Change
    relevant: bool
    is_parent: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at or below a backport.

    Attributes:
        rule: id of the rule that objects.
        chain: numbers from the backport down to the change that declares the dependency.
        elided: how many numbers are left out after the first ones of the chain.
        target: what is needed: a change, or the reference that names none.
        branches: the branches that lack it, where that is the matter.
    """

    rule: str
    chain: tuple[int, ...]
    target: Change | str
    branches: tuple[str, ...] = ()
    elided: int = 0

    @property
    def way(self) -> str:
        """The chain in words, from the backport to what is needed."""
        numbers = [str(number) for number in self.chain]
        if self.elided:
            numbers.insert(_TOLD, f"… {self.elided} more …")
        last = self.target if isinstance(self.target, str) else str(self.target.number)
        return " → ".join([*numbers, last])


def is_relevant(
    viewer: Change, needed: Change, family: Iterable[Change], production: Production
) -> bool:
    """Return whether a declared dependency matters, seen from the change that declares it.

    Args:
        viewer: the change with the footer.
        needed: one of the changes that the footer names.
        family: all changes with the Change-Id of `needed`.
        production: which branches are checked out.
    """
    if needed.is_config:
        return True
    if not needed.is_code:
        return False
    if viewer.is_code and viewer.is_on_release:
        if not production.is_deployable_branch(viewer.branch):
            return False
        wanted = {viewer.branch}
    elif viewer.is_config or (viewer.is_code and viewer.is_on_main):
        wanted = {other.branch for other in family if production.is_deployable_branch(other.branch)}
    else:
        return False
    if needed.branch in wanted:
        return True
    return needed.is_on_main and not any(other.branch in wanted for other in family)


class Dependencies:
    """Everything that the requested changes need, directly and further down.

    Args:
        changes: all changes that are known.
        requested: numbers of the changes booked in the window.
        production: what is checked out and live.
        statements: what people said; a stated dependency on a change that is not in the window
            is judged like a declared one.
    """

    def __init__(
        self,
        changes: ChangeSet,
        requested: Sequence[int],
        production: Production,
        statements: Iterable[Statement] = (),
    ) -> None:
        self._changes = changes
        self._requested = frozenset(requested)
        self._production = production
        self._links: dict[int, tuple[Link, ...]] = {}
        self._local: dict[int, list[tuple[str, Change | str, tuple[str, ...]]]] = {}
        self._only_irrelevant: set[int] = set()
        self._explore(sorted(requested))
        self._judge_statements(statements)

    def links(self, number: int) -> tuple[Link, ...]:
        """Return what a change needs directly, in the order declared, the open parent last."""
        return self._links.get(number, ())

    def declares_only_irrelevant(self, number: int) -> bool:
        """Return whether a change declares dependencies, all known, none of which matters to it."""
        return number in self._only_irrelevant

    def _explore(self, numbers: Iterable[int]) -> None:
        waiting = deque(numbers)
        seen = set(waiting)
        while waiting:
            change = self._changes[waiting.popleft()]
            if change.parent is None and not change.depends_on:
                continue
            links = self._links_of(change)
            self._links[change.number] = links
            for link in links:
                self._judge(change, link)
                if link.to.number not in seen:
                    seen.add(link.to.number)
                    waiting.append(link.to.number)

    def _links_of(self, change: Change) -> tuple[Link, ...]:
        links: dict[int, Link] = {}
        unknown = matters = False
        for reference in change.depends_on:
            family = self._changes.named(reference)
            if not family:
                unknown = True
                self._complain(change, "dependency-unknown", reference)
            for needed in family:
                relevant = is_relevant(change, needed, family, self._production)
                links[needed.number] = Link(needed, relevant)
                matters = matters or relevant
        if links and not unknown and not matters:
            self._only_irrelevant.add(change.number)
        parent = self._open_parent(change)
        if parent is not None:
            links[parent.number] = Link(parent, relevant=True, is_parent=True)
        return tuple(links.values())

    def _open_parent(self, change: Change) -> Change | None:
        if change.parent is None:
            return None
        parent = self._changes.get(change.parent)
        if parent is None:
            self._complain(change, "dependency-unknown", str(change.parent))
            return None
        return None if parent.is_merged else parent

    def _complain(
        self, viewer: Change, rule: str, target: Change | str, branches: tuple[str, ...] = ()
    ) -> None:
        self._local.setdefault(viewer.number, []).append((rule, target, branches))

    def _judge(self, viewer: Change, link: Link) -> None:
        needed = link.to
        if needed.work_in_progress:
            self._complain(viewer, "dependency-work-in-progress", needed)
        if not link.relevant:
            return
        in_main = needed.is_on_main and needed.is_code
        self._judge_state(viewer, needed, must_be_booked=link.is_parent or not in_main)
        if in_main:
            if viewer.is_config:
                self._judge_versions(viewer, needed)
            elif viewer.is_code and not self._is_contained(viewer, needed):
                self._complain(viewer, "dependency-not-in-branch", needed, (viewer.branch,))

    def _is_contained(self, viewer: Change, needed: Change) -> bool:
        """Return whether the viewer's branch has it; main branches differ by name only."""
        return viewer.branch in needed.branches or (viewer.is_on_main and needed.is_merged)

    def _judge_state(self, viewer: Change, needed: Change, *, must_be_booked: bool) -> None:
        if needed.status is ChangeStatus.ABANDONED:
            self._complain(viewer, "dependency-abandoned", needed)
        if needed.number in self._requested:
            return
        if needed.is_merged:
            if needed.deployed is False:
                self._complain(viewer, "dependency-not-deployed", needed)
        elif must_be_booked:
            self._complain(viewer, "dependency-not-scheduled", needed)

    def _judge_versions(self, viewer: Change, needed: Change) -> None:
        production = self._production
        has = needed.branches
        lacking = tuple(branch for branch in production.live_branches if branch not in has)
        if lacking:
            self._complain(viewer, NOT_IN_LIVE, needed, lacking)
            return
        lacking = tuple(branch for branch in production.upcoming_branches if branch not in has)
        if lacking:
            self._complain(viewer, "dependency-not-in-upcoming", needed, lacking)
        back = production.rollback_branch
        if back is not None and back not in has:
            self._complain(viewer, "dependency-not-in-rollback-target", needed, (back,))

    def _judge_statements(self, statements: Iterable[Statement]) -> None:
        for statement in sorted(set(statements)):
            pairs = {
                StatementKind.BEFORE: ((statement.first, statement.then),),
                StatementKind.TOGETHER: (
                    (statement.first, statement.then),
                    (statement.then, statement.first),
                ),
            }.get(statement.kind, ())
            for needed, viewer in pairs:
                if viewer in self._requested and needed not in self._requested:
                    known = {target for _, target, _ in self._local.get(viewer, ())}
                    if self._changes[needed] not in known:
                        link = Link(self._changes[needed], relevant=True)
                        self._judge(self._changes[viewer], link)

    def problems(self) -> dict[int, tuple[Problem, ...]]:
        """Return what is wrong at or below each requested change that has such a problem.

        Each is told with the nearest chain that leads to it. Where a great many changes lie below,
        at least one problem of every rule is told.
        """
        if not self._local:
            return {}
        before = self._reversed()
        ways = {
            rule: self._ways_to(rule, before)
            for rule in sorted({rule for found in self._local.values() for rule, _, _ in found})
        }
        result = {}
        for number in sorted(self._requested):
            rules = [rule for rule, way in ways.items() if number in way]
            if rules:
                near = self._nearby(number)
                told = {problem.rule for problem in near}
                far = [self._far(number, rule, ways[rule]) for rule in rules if rule not in told]
                result[number] = (*near, *far)
        return result

    def _reversed(self) -> dict[int, list[int]]:
        before: dict[int, list[int]] = {}
        for number, links in self._links.items():
            for link in links:
                before.setdefault(link.to.number, []).append(number)
        return before

    def _ways_to(self, rule: str, before: dict[int, list[int]]) -> dict[int, tuple[int, int]]:
        """Map each change that has such a problem below it to (the next change down, how far)."""
        sources = sorted(
            number for number, found in self._local.items() if any(r == rule for r, _, _ in found)
        )
        way = dict.fromkeys(sources, (_END, 0))
        waiting = deque(sources)
        while waiting:
            number = waiting.popleft()
            for above in before.get(number, ()):
                if above not in way:
                    way[above] = (number, way[number][1] + 1)
                    waiting.append(above)
        return way

    def _nearby(self, number: int) -> list[Problem]:
        came_from: dict[int, int] = {number: _END}
        waiting = deque([number])
        found = []
        while waiting and len(came_from) < _LOOKED_AT:
            current = waiting.popleft()
            if current in self._local:
                chain = [current]
                while came_from[chain[-1]] != _END:
                    chain.append(came_from[chain[-1]])
                chain.reverse()
                told = tuple(chain) if len(chain) <= 2 * _TOLD else (*chain[:_TOLD], chain[-1])
                for rule, target, branches in self._local[current]:
                    found.append(Problem(rule, told, target, branches, len(chain) - len(told)))
            for link in self._links.get(current, ()):
                if link.to.number not in came_from:
                    came_from[link.to.number] = current
                    waiting.append(link.to.number)
        return found

    def _far(self, number: int, rule: str, way: dict[int, tuple[int, int]]) -> Problem:
        chain = [number]
        while len(chain) < _TOLD and way[chain[-1]][0] != _END:
            chain.append(way[chain[-1]][0])
        last = chain[-1]
        while way[last][0] != _END:
            last = way[last][0]
        _, target, branches = next(found for found in self._local[last] if found[0] == rule)
        elided = max(way[number][1] + 1 - len(chain) - 1, 0)
        return Problem(
            rule, (*chain, *(() if last == chain[-1] else (last,))), target, branches, elided
        )

    def circles_below(self) -> dict[int, tuple[int, ...]]:
        """Return, for each requested change whose way runs into a circle, the nearest such circle.

        The way follows every declared dependency and open parent, relevant or not.
        """
        following = {
            number: [link.to.number for link in links] for number, links in self._links.items()
        }
        circle_of: dict[int, tuple[int, ...]] = {}
        found = sorted(circles(sorted(following), following), key=lambda pair: pair[1])
        for members, circle in found:
            circle_of.update(dict.fromkeys(members, circle))
        if not circle_of:
            return {}
        before = self._reversed()
        waiting = deque(sorted(circle_of))
        while waiting:
            number = waiting.popleft()
            for above in before.get(number, ()):
                if above not in circle_of:
                    circle_of[above] = circle_of[number]
                    waiting.append(above)
        return {number: circle_of[number] for number in sorted(self._requested & circle_of.keys())}

    def needed_first(self) -> dict[int, dict[int, Link]]:
        """Return, for each requested change, the requested ones that it must come after.

        Only relevant links are followed, through changes that are not requested too, and no
        further than the first requested change on each way. The value names the change's own link
        that the way begins with.
        """
        through = self._reached_through()
        result: dict[int, dict[int, Link]] = {}
        for number in sorted(self._requested & self._links.keys()):
            firsts: dict[int, Link] = {}
            for link in self._links[number]:
                if link.relevant:
                    target = link.to.number
                    if target in self._requested:
                        firsts[target] = link
                    else:
                        for first in sorted(through.get(target, ())):
                            firsts.setdefault(first, link)
            firsts.pop(number, None)
            if firsts:
                result[number] = firsts
        return result

    def _reached_through(self) -> dict[int, set[int]]:
        """Map each change that is not requested to the requested ones it leads to."""
        passing = [number for number in self._links if number not in self._requested]

        def onward(number: int) -> list[int]:
            return [
                link.to.number
                for link in self._links.get(number, ())
                if link.relevant and link.to.number not in self._requested
            ]

        reached: dict[int, set[int]] = {}
        for component in strong_components(sorted(passing), onward):
            together: set[int] = set()
            for number in component:
                for link in self.links(number):
                    if not link.relevant:
                        continue
                    if link.to.number in self._requested:
                        together.add(link.to.number)
                    else:
                        together |= reached.get(link.to.number, set())
            reached.update(dict.fromkeys(component, together))
        return reached


def lacking_in_live(
    changes: ChangeSet, numbers: Sequence[int], production: Production
) -> tuple[Problem, ...]:
    """Return what configuration needs that some live version lacks, by the change's number.

    Args:
        changes: all that is known.
        numbers: which changes to look at.
        production: what is where; the live versions count.
    """
    problems = Dependencies(changes, numbers, production).problems()
    return tuple(one for found in problems.values() for one in found if one.rule == NOT_IN_LIVE)


def conditions_broken(
    changes: ChangeSet,
    numbers: Sequence[int],
    production: Production,
    statements: Iterable[Statement] = (),
) -> tuple[Problem, ...]:
    """Return what live configuration needs that some live version lacks, by the change's number.

    What stands here has to be reverted, or the version brought back (`reference/wikimedia.md` 9,
    scenario 24). Other than the rule, this asks of everything that a footer or a person names
    whether it is in every live branch, in whichever form: a fix may have been needed on one version
    only, but then people say so when they are asked.

    Args:
        changes: all that is known.
        numbers: configuration that is live.
        production: what is where; the live versions count.
        statements: what people said; the first of two that go in order is a condition of the other.
    """
    told = {one.chain[0]: one for one in lacking_in_live(changes, numbers, production)}
    stated: dict[int, list[int]] = {}
    for said in sorted(set(statements)):
        if said.kind is not StatementKind.UNRELATED:
            stated.setdefault(said.then, []).append(said.first)
        if said.kind is StatementKind.TOGETHER:
            stated.setdefault(said.first, []).append(said.then)
    for number in sorted({*numbers} - told.keys()):
        change = changes[number]
        families = [changes.named(reference) for reference in change.depends_on]
        families += [changes.siblings(changes[other]) for other in stated.get(number, ())]
        for family in families:
            code = [one for one in family if one.is_code]
            has = {branch for one in code for branch in one.branches}
            lacking = tuple(one for one in production.live_branches if one not in has)
            if code and lacking:
                told[number] = Problem(NOT_IN_LIVE, (number,), code[0], lacking)
                break
    return tuple(told[number] for number in sorted(told))
