"""Plan a window: edges, findings, order, fit, check (`plan-document.md`, "Planning")."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from scheduler.domain.backports import Backport
from scheduler.domain.changes import Change, ChangeSet
from scheduler.domain.coupling.background import NOTHING_BESIDES, Background
from scheduler.domain.coupling.questions import Question, questions
from scheduler.domain.dependencies import Dependencies, Problem
from scheduler.domain.errors import UnsafeQueue
from scheduler.domain.planning.edges import Because, Edges
from scheduler.domain.planning.fitting import NOT_IN_QUEUE, Room, fit, is_waived, waits_for
from scheduler.domain.planning.ordering import deploy_order
from scheduler.domain.policy.facts import Facts, Surroundings
from scheduler.domain.policy.findings import Finding, Place
from scheduler.domain.policy.numbers import Numbers
from scheduler.domain.policy.rules import ORDER
from scheduler.domain.policy.verdict import finding, findings_of, leading
from scheduler.domain.production import NOTHING_KNOWN, Arrival, Production
from scheduler.domain.safety import Judge, State
from scheduler.domain.statements import OnlyFirst, Statement, StatementKind
from scheduler.domain.windows import Freeze, Window


@dataclass(frozen=True, slots=True)
class PlanInput:
    """Everything that a plan depends on.

    Attributes:
        now: the moment of planning, UTC.
        backports: in booking order, one per change.
        order: an order that somebody proposes, to be judged; it does not change the plan.
        gone: minutes of the window that are over: no step starts before them.
        background: what the detector of couplings knows besides the changes.
        asked: questions that were found before: about a backport and a change that is not in this
            window, or because somebody contested an answer.
    """

    now: datetime
    window: Window
    numbers: Numbers
    changes: ChangeSet
    backports: tuple[Backport, ...]
    production: Production = NOTHING_KNOWN
    freezes: tuple[Freeze, ...] = ()
    statements: tuple[Statement, ...] = ()
    order: tuple[tuple[int, ...], ...] | None = None
    gone: int = 0
    background: Background = NOTHING_BESIDES
    asked: tuple[Question, ...] = ()


class Step(NamedTuple):
    """One place of the queue: a backport, or a bundle in one sync.

    Attributes:
        position: from 1.
        changes: the numbers that it deploys, ascending.
        starts: when, if nothing is late, UTC.
        minutes: how long it takes.
        because: why it cannot go earlier.
    """

    position: int
    changes: tuple[int, ...]
    starts: datetime
    minutes: int
    because: tuple[Because, ...]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A backport that is not in the queue.

    Attributes:
        rule: id of the finding that led there.
        arrival: when the train brings it, where that is known.
    """

    change: int
    place: Place
    rule: str
    arrival: Arrival | None


@dataclass(frozen=True, slots=True)
class Plan:
    """The queue of a window and everything that explains it.

    Attributes:
        queue: the steps in order.
        elsewhere: the other backports, by change number.
        findings: every rule's objections, by change number, in the order of the policy.
        questions: suspected couplings that nobody answered.
        states: production before the first step and after each, of the order given, else of the
            queue.
        rollback: the queue's steps in exact reverse.
        leftovers: changes that are merged, known not to be deployed, and not requested.
    """

    queue: tuple[Step, ...]
    elsewhere: tuple[Elsewhere, ...]
    findings: tuple[Finding, ...]
    questions: tuple[Question, ...]
    states: tuple[State, ...]
    rollback: tuple[tuple[int, ...], ...]
    leftovers: tuple[int, ...]


def plan_window(given: PlanInput) -> Plan:
    """Plan a window. The same input gives the same plan, whatever the order of its parts.

    Raises:
        UnsafeQueue: the independent checker found fault with the queue; it is never emitted.
    """
    return _Planning(given).plan()


class _Planning:
    """One run of the planner: the steps share what they find out."""

    def __init__(self, given: PlanInput) -> None:
        self.given = given
        self.changes = given.changes
        self.backports = {backport.change: backport for backport in given.backports}
        self.numbers = sorted(self.backports)
        self.dependencies = Dependencies(
            given.changes, self.numbers, given.production, given.statements
        )
        self.edges = Edges(given.changes, self.numbers, self.dependencies, given.statements)
        self.circles_below = self.dependencies.circles_below()
        # Edges that nobody stated follow declared ways: where those run into no circle, neither do
        # the edges.
        self.edge_circles = self.edges.circles() if given.statements or self.circles_below else {}
        self.questions = self._open_questions()
        self.arrivals: dict[int, Arrival] = {}
        self.findings: dict[int, list[Finding]] = defaultdict(list)
        self.out: dict[int, Place] = {}

    def plan(self) -> Plan:
        self._judge()
        self._keep_out_what_needs_them()
        going = frozenset(number for number in self.numbers if number not in self.out)
        order = deploy_order(going, self.edges, self.backports, self.changes)
        room = Room(self.given.numbers, self.given.window, self.given.gone)
        fitted = fit(order, self.edges, self.backports, self.changes, room)
        for found in fitted.findings:
            self.findings[found.change].append(found)
        steps = [members for members, _, _ in fitted.steps]
        queued = frozenset(number for members in steps for number in members)
        queue = [
            Step(
                position,
                members,
                self.given.window.at(minute),
                minutes,
                self.edges.because(members, queued),
            )
            for position, (members, minute, minutes) in enumerate(fitted.steps, start=1)
        ]
        findings = self._ordered_findings()
        return Plan(
            queue=tuple(queue),
            elsewhere=tuple(self._elsewhere(n) for n in self.numbers if n not in queued),
            findings=findings,
            questions=self.questions,
            states=self._checked_states(steps),
            rollback=tuple(reversed(steps)),
            leftovers=tuple(
                sorted(
                    change.number
                    for change in self.changes
                    if change.deployed is False
                    and change.is_merged
                    and change.number not in self.backports
                )
            ),
        )

    def _open_questions(self) -> tuple[Question, ...]:
        said = {frozenset((s.first, s.then)) for s in self.given.statements}
        booked = [self.changes[number] for number in self.numbers]
        background = self.given.background
        if any(one.mentions for one in booked):
            landings = {one.number: self.changes.other_landings(one) for one in booked}
            background = replace(background, landings=landings)
        asked = {
            question.changes: question
            for question in questions(booked, background)
            if not self.edges.is_ordered(*question.changes)
        }
        for question in self.given.asked:
            if not self.backports.keys().isdisjoint(question.changes):
                found = asked.get(question.changes)
                asked[question.changes] = question.beside(found) if found else question
        return tuple(
            question for pair, question in sorted(asked.items()) if frozenset(pair) not in said
        )

    def _judge(self) -> None:
        given = self.given
        surroundings = Surroundings.of(
            given.window, given.numbers, given.production, given.freezes, self.numbers
        )
        problems = {n: _by_rule(found) for n, found in self.dependencies.problems().items()}
        circles = self.circles_below | self.edge_circles
        asked: dict[int, list[Question]] = defaultdict(list)
        for question in self.questions:
            for number in question.changes:
                asked[number].append(question)
        unsafe = self._unsafe_statements()
        coupled = self._coupled_sets()
        for number in self.numbers:
            facts = Facts(
                surroundings,
                self.backports[number],
                self.changes[number],
                asked.get(number, ()),
                problems.get(number, _NO_PROBLEMS),
                circles.get(number, ()),
                self.dependencies.declares_only_irrelevant(number),
                unsafe.get(number, ()),
            )
            if not facts.change.is_config:
                self._look_at_train(facts)
                facts.crosses_repositories, facts.coupled = coupled[number]
            found = findings_of(facts)
            if not found:
                continue
            self.findings[number] = found
            first = leading(found)
            if first is not None:
                self.out[number] = first.place
            if number in self.edge_circles and self.out.get(number) is not Place.BLOCKED:
                self._block_in_circle(number)

    def _look_at_train(self, facts: Facts) -> None:
        change = facts.change
        facts.siblings = self.changes.siblings(change)
        if change.is_code:
            given = self.given
            facts.arrival = given.production.arrival(change, facts.siblings, given.now)
            if facts.arrival is not None:
                self.arrivals[change.number] = facts.arrival

    def _block_in_circle(self, number: int) -> None:
        """An override cannot put a circle of edges in order: its members stay blocked."""
        self.findings[number] = [
            Finding(f.change, f.rule, f.level, f.place, f.message, f.changes)
            if f.rule == "dependency-cycle"
            else f
            for f in self.findings[number]
        ]
        self.out[number] = Place.BLOCKED

    def _unsafe_statements(self) -> dict[int, list[Statement]]:
        unsafe: dict[int, list[Statement]] = defaultdict(list)
        for said in sorted(set(self.given.statements)):
            if said.kind is StatementKind.BEFORE and said.only_first is OnlyFirst.OUTAGE:
                unsafe[said.first].append(said)
                unsafe[said.then].append(said)
        return unsafe

    def _coupled_sets(self) -> dict[int, tuple[bool, tuple[Change, ...]]]:
        """Return what each change that rides the train is coupled to.

        That is: whether the set crosses repositories, and its branched code, one change per
        Change-Id, by number.
        """
        sets: dict[int, tuple[bool, tuple[Change, ...]]] = {}
        for number in self.numbers:
            if number in sets or self.changes[number].is_config:
                continue
            together = [self.changes[other] for other in self.edges.coupled_to(number)]
            code: dict[str, Change] = {}
            for change in together:
                if change.is_code and change.is_on_release:
                    code.setdefault(change.key, change)
            found = len({change.project for change in together}) > 1, tuple(code.values())
            sets.update((change.number, found) for change in together)
        return sets

    def _keep_out_what_needs_them(self) -> None:
        """Take out what needs, or goes together with, something that does not go."""
        own = frozenset(self.out)
        waiting = deque(sorted(own))
        while waiting:
            number = waiting.popleft()
            place = self._place_for_want_of(number)
            for other in self._held_back_by(number):
                if other in own or is_waived(self.backports[other]):
                    continue
                if other not in self.out or place < self.out[other]:
                    self.out[other] = place
                    waiting.append(other)
        for number in self.numbers:
            if number in own or (number not in self.out and not is_waived(self.backports[number])):
                continue
            missing = [other for other in self._needed_by(number) if other in self.out]
            if missing:
                place = min(self._place_for_want_of(other) for other in missing)
                worst = [n for n in missing if (self.out[n] is Place.HELD) == (place is Place.HELD)]
                words = "is held" if place is Place.HELD else "does not go out in this window"
                objection = waits_for(worst or missing, changes_word=words)
                self.findings[number].append(
                    finding(self.backports[number], NOT_IN_QUEUE, objection, place)
                )

    def _place_for_want_of(self, number: int) -> Place:
        """Return where the lack of a change that does not go leads what needs it."""
        return Place.HELD if self.out[number] is Place.HELD else Place.BLOCKED

    def _held_back_by(self, number: int) -> Iterable[int]:
        yield from self.edges.thens.get(number, ())
        yield from self._mates(number)

    def _needed_by(self, number: int) -> Iterable[int]:
        yield from self.edges.needed_by(number)
        yield from self._mates(number)

    def _mates(self, number: int) -> list[int]:
        members = self.edges.members[self.edges.bundle[number]]
        return [member for member in members if member != number] if len(members) > 1 else []

    def _ordered_findings(self) -> tuple[Finding, ...]:
        return tuple(
            found
            for number in sorted(self.findings)
            for found in sorted(self.findings[number], key=lambda f: ORDER[f.rule])
        )

    def _elsewhere(self, number: int) -> Elsewhere:
        found = leading(self.findings[number])
        assert found is not None  # noqa: S101 - what is not queued has a finding that says why
        return Elsewhere(number, found.place, found.rule, self.arrivals.get(number))

    def _checked_states(self, steps: list[tuple[int, ...]]) -> tuple[State, ...]:
        judge = Judge(
            self.changes,
            self.numbers,
            self.given.production,
            self.given.statements,
            {n: b.overridden for n, b in self.backports.items() if b.overridden},
        )
        states = judge.states(steps)
        breaches = tuple(
            f"after step {state.after}: {breach.text}"
            for state in states
            for breach in state.broken
            if not breach.accepted
        )
        if breaches:
            raise UnsafeQueue(breaches)
        return tuple(judge.states(self.given.order) if self.given.order else states)


_NO_PROBLEMS: Mapping[str, tuple[Problem, ...]] = {}


def _by_rule(problems: Iterable[Problem]) -> Mapping[str, tuple[Problem, ...]]:
    by_rule: dict[str, tuple[Problem, ...]] = {}
    for problem in problems:
        by_rule[problem.rule] = (*by_rule.get(problem.rule, ()), problem)
    return by_rule
