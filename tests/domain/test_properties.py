"""Properties of every plan, against brute force that shares no code with the planner."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations, permutations
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from scheduler.adapters.plan_document import document_of, parse, render
from scheduler.domain.backports import Backport, Mark, Urgency
from scheduler.domain.changes import Change, ChangedFile, ChangeSet, ChangeStatus
from scheduler.domain.planning.plan import Plan, PlanInput, plan_window
from scheduler.domain.policy.numbers import Numbers
from scheduler.domain.production import Production
from scheduler.domain.safety import Judge
from scheduler.domain.statements import OnlyFirst, Statement, StatementKind
from scheduler.domain.windows import Window

# The tracer would make these take three times as long; the cases run every line that they do.
pytestmark = pytest.mark.no_cover

START = datetime(2026, 8, 26, 13, tzinfo=UTC)
PRODUCTION = Production(checked_out=("1",), live={"all": "1"})
AMPLE = Numbers(max_patches=99, last_start_minute=9_999)
EVERY_LIFT = frozenset({"coupled-set", "l10n", "vendor"})

thorough = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@dataclass(frozen=True)
class World:
    """A window to plan, and the relations that brute force reads directly.

    Attributes:
        needs: number to the numbers that it declares.
        before: pairs of numbers (first, then).
        together: pairs of numbers.
    """

    given: PlanInput
    needs: dict[int, tuple[int, ...]]
    before: frozenset[tuple[int, int]]
    together: frozenset[tuple[int, int]]

    @property
    def numbers(self) -> tuple[int, ...]:
        """What is booked."""
        return tuple(sorted(backport.change for backport in self.given.backports))

    def edges(self) -> set[tuple[int, int]]:
        """Return every pair (first, then) of booked changes, read from the definition."""
        booked = set(self.numbers)
        found = {(a, b) for a, b in self.before if a in booked and b in booked}
        for start in booked:
            seen, waiting = {start}, [start]
            while waiting:
                for needed in self.needs.get(waiting.pop(), ()):
                    if needed in booked and needed != start:
                        found.add((needed, start))
                    elif needed not in seen:
                        seen.add(needed)
                        waiting.append(needed)
        return found

    def bundles(self) -> list[frozenset[int]]:
        """Return what goes together."""
        bundles = [frozenset({number}) for number in self.numbers]
        for pair in self.together:
            joined = [bundle for bundle in bundles if bundle & set(pair)]
            bundles = [bundle for bundle in bundles if bundle not in joined]
            bundles.append(frozenset().union(*joined))
        return bundles

    def is_safe(self, live: set[int] | frozenset[int]) -> bool:
        """Return whether production is safe with exactly these live."""
        return all(a in live or b not in live for a, b in self.edges() | self.before) and all(
            (a in live) == (b in live) for a, b in self.together
        )

    def in_circles(self) -> set[int]:  # noqa: C901
        """Return what is in a circle, runs into one, or needs or goes with what does."""
        bundle_of = {number: bundle for bundle in self.bundles() for number in bundle}
        after: dict[Any, set[Any]] = {}
        for a, b in self.edges():
            if bundle_of[a] != bundle_of[b]:
                after.setdefault(bundle_of[b], set()).add(bundle_of[a])
        for number in self.numbers:
            after.setdefault(bundle_of[number], set()).add(number)
        for number, needed in self.needs.items():
            after.setdefault(number, set()).update(needed)

        def reached(start: object) -> set[object]:
            seen: set[object] = set()
            waiting = [start]
            while waiting:
                for needed in after.get(waiting.pop(), ()):
                    if needed not in seen:
                        seen.add(needed)
                        waiting.append(needed)
            return seen

        circular = {node for node in list(after) if node in reached(node)}
        return {n for n in self.numbers if (reached(bundle_of[n]) | {bundle_of[n]}) & circular}


def _change_id(number: int) -> str:
    return f"I{number:040x}"


@st.composite
def worlds(  # noqa: PLR0913 - each narrows what is drawn
    draw: st.DrawFn,
    *,
    most: int = 6,
    circles: bool = True,
    bundles: bool = True,
    places: bool = True,
    numbers: st.SearchStrategy[Numbers] | None = None,
    unready: bool = False,
) -> World:
    """Draw a window with up to `most` backports and some merged changes between them."""
    booked = list(range(1, draw(st.integers(1, most)) + 1))
    passing = list(range(101, 101 + draw(st.integers(0, 2))))
    rank = {number: i for i, number in enumerate(draw(st.permutations(booked + passing)))}
    pairs = [
        (a, b)
        for a, b in permutations(booked + passing, 2)
        if rank[a] < rank[b] or (circles and draw(st.integers(0, 9)) == 0)
    ]
    chosen = [pair for pair in pairs if draw(st.integers(0, 3)) == 0]
    declared = [pair for pair in chosen if pair[0] > 100 or pair[1] > 100 or draw(st.booleans())]
    before = frozenset(set(chosen) - set(declared))
    together: frozenset[tuple[int, int]] = frozenset()
    if bundles:
        together = frozenset(p for p in combinations(booked, 2) if draw(st.integers(0, 7)) == 0)
    needs = {
        b: tuple(sorted(a for a, then in declared if then == b))
        for b in booked + passing
        if any(then == b for _, then in declared)
    }
    given_places = draw(st.permutations(booked)) if places else booked
    changes, backports = [], []
    for number in booked + passing:
        changes.append(_drawn_change(draw, number, needs.get(number, ())))
        if number < 100:
            has_place = places and draw(st.booleans())
            backports.append(
                Backport(
                    number,
                    "ada",
                    START - timedelta(hours=draw(st.integers(1, 3))),
                    approved=not unready or draw(st.integers(0, 4)) > 0,
                    urgency=draw(st.sampled_from(Urgency)),
                    place=given_places.index(number) + 1 if has_place else None,
                    marks=frozenset({Mark.REVERT}),
                    acknowledged=EVERY_LIFT,
                )
            )
    statements = [Statement(a, b, StatementKind.BEFORE) for a, b in sorted(before)]
    statements += [Statement(a, b, StatementKind.TOGETHER) for a, b in sorted(together)]
    window = PlanInput(
        now=START,
        window=Window(START, START + timedelta(hours=20 if numbers is None else 2)),
        numbers=AMPLE if numbers is None else draw(numbers),
        changes=ChangeSet(changes),
        backports=tuple(backports),
        production=PRODUCTION,
        statements=tuple(statements),
    )
    return World(window, needs, before, together)


def _drawn_change(draw: st.DrawFn, number: int, needs: Sequence[int]) -> Change:
    config = draw(st.integers(0, 3)) == 0
    path = draw(st.sampled_from(["src/A.php", "i18n/en.json", "tests/A.php"]))
    lines = [f"Depends-On: {_change_id(needed)}" for needed in needs]
    return Change(
        number,
        "operations/mediawiki-config" if config else f"mediawiki/extensions/E{number % 3}",
        "master" if config else "wmf/1",
        _change_id(number),
        message="\n\n".join(["Fix", "\n".join([*lines, f"Change-Id: {_change_id(number)}"])]),
        status=ChangeStatus.MERGED if number > 100 else ChangeStatus.NEW,
        labels={"Code-Review": 2},
        files=(ChangedFile(path),),
    )


def _steps(plan: Plan) -> list[tuple[int, ...]]:
    return [step.changes for step in plan.queue]


def _prefixes(steps: Sequence[Sequence[int]]) -> Iterator[set[int]]:
    live: set[int] = set()
    yield set(live)
    for step in steps:
        live |= set(step)
        yield set(live)


def _going(plan: Plan) -> frozenset[int]:
    return frozenset(number for step in plan.queue for number in step.changes)


def _most_steps(world: World, going: frozenset[int]) -> int:
    """Return the longest ordered partition with every prefix safe, by trying all subsets."""
    members = sorted(going)
    best = {frozenset[int](): 0}
    for size in range(1, len(members) + 1):
        for subset in map(frozenset, combinations(members, size)):
            if world.is_safe(subset):
                best[subset] = 1 + max(steps for small, steps in best.items() if small < subset)
    return best[going]


SCARCE = st.builds(
    Numbers,
    max_patches=st.integers(0, 5),
    last_start_minute=st.integers(0, 90),
    minutes_per_patch=st.sampled_from([5, 10, 30]),
)


@given(worlds(most=7, unready=True, numbers=SCARCE))
@thorough
def test_every_prefix_is_safe_and_every_request_is_somewhere_once(world: World) -> None:
    plan = plan_window(world.given)
    assert all(world.is_safe(live) for live in _prefixes(_steps(plan)))
    placed = [n for step in plan.queue for n in step.changes] + [e.change for e in plan.elsewhere]
    assert sorted(placed) == list(world.numbers)


@given(worlds())
@thorough
def test_exactly_what_no_circle_keeps_out_goes(world: World) -> None:
    going = _going(plan_window(world.given))
    assert going == set(world.numbers) - world.in_circles()


@given(worlds())
@thorough
def test_bundles_are_as_fine_as_they_can_be(world: World) -> None:
    plan = plan_window(world.given)
    assert len(plan.queue) == _most_steps(world, _going(plan))


@given(worlds(most=6, circles=False, bundles=False))
@thorough
def test_without_bundles_the_order_is_the_first_safe_one_by_the_key(world: World) -> None:
    edges = world.edges()
    asked = {backport.change: backport for backport in world.given.backports}

    def urgency(number: int) -> int:
        return min(
            [asked[number].urgency, *(urgency(then) for first, then in edges if first == number)]
        )

    key = {
        number: (
            asked[number].place or 10**9,
            urgency(number),
            world.given.changes[number].is_beta_only,
            asked[number].submitted_at,
            number,
        )
        for number in world.numbers
    }
    best = min(
        (
            order
            for order in permutations(world.numbers)
            if all(order.index(a) < order.index(b) for a, b in edges)
        ),
        key=lambda order: [key[number] for number in order],
    )
    assert [n for step in _steps(plan_window(world.given)) for n in step] == list(best)


@given(worlds(most=7, unready=True, numbers=SCARCE), st.randoms(use_true_random=False))
@thorough
def test_the_same_input_in_any_order_gives_the_same_bytes(
    world: World, shuffler: random.Random
) -> None:
    def shuffled(value: Any) -> Any:  # noqa: ANN401 - JSON
        if not isinstance(value, dict):
            return [shuffled(item) for item in value] if isinstance(value, list) else value
        keys = list(value)
        shuffler.shuffle(keys)
        return {key: shuffled(value[key]) for key in keys}

    document = document_of(world.given)
    other = shuffled(document)
    shuffler.shuffle(other["changes"])
    shuffler.shuffle(other["statements"])
    shuffler.shuffle(other["backports"])
    expected = json.dumps(render(plan_window(world.given)))
    assert json.dumps(render(plan_window(parse(json.dumps(document))))) == expected
    assert json.dumps(render(plan_window(parse(json.dumps(other))))) == expected


def _without(world: World, gone: set[int]) -> World:
    """Return the world in which these are not known at all."""
    kept = [change for change in world.given.changes if change.number not in gone]
    return replace(
        world,
        given=replace(
            world.given,
            changes=ChangeSet(kept),
            backports=tuple(b for b in world.given.backports if b.change not in gone),
            statements=tuple(
                s for s in world.given.statements if s.first not in gone and s.then not in gone
            ),
        ),
        needs={n: needed for n, needed in world.needs.items() if n not in gone},
        before=frozenset(p for p in world.before if not gone & set(p)),
        together=frozenset(p for p in world.together if not gone & set(p)),
    )


def _swaps(order: Sequence[int], published: Sequence[int]) -> int:
    place = {number: i for i, number in enumerate(order)}
    return sum(place[a] > place[b] for a, b in combinations(published, 2))


@given(worlds(most=6, circles=False, bundles=False, places=False))
@thorough
def test_a_newcomer_moves_published_ones_no_more_than_it_must(world: World) -> None:
    """The greedy order may miss the least number of swaps, rarely and by one or two.

    `reference/ordering.md`, C3: 20 swaps where 19 would do, in 400 trials.
    """
    newcomer = world.numbers[-1]
    assume(not any(newcomer in needed for needed in world.needs.values()))
    published = [n for step in _steps(plan_window(_without(world, {newcomer}).given)) for n in step]
    places = {number: place for place, number in enumerate(published, start=1)}
    backports = tuple(replace(b, place=places.get(b.change)) for b in world.given.backports)
    order = [n for s in _steps(plan_window(replace(world.given, backports=backports))) for n in s]
    edges = world.edges()
    least = min(
        _swaps(other, published)
        for other in permutations(world.numbers)
        if all(other.index(a) < other.index(b) for a, b in edges)
    )
    assert least <= _swaps(order, published) <= least + 2


@given(worlds(circles=False))
@thorough
def test_nothing_moves_when_nothing_changes(world: World) -> None:
    steps = _steps(plan_window(world.given))
    places = {number: place for place, step in enumerate(steps, start=1) for number in step}
    backports = tuple(replace(b, place=places.get(b.change)) for b in world.given.backports)
    assert _steps(plan_window(replace(world.given, backports=backports))) == steps


@given(worlds(most=7, circles=False), st.integers(0, 6))
@thorough
def test_removing_one_with_all_that_require_it_leaves_a_safe_plan(world: World, which: int) -> None:
    gone = {world.numbers[which % len(world.numbers)]}
    edges = world.edges()
    for _ in range(2 * len(world.numbers)):
        gone |= {then for first, then in edges if first in gone}
        gone |= {n for pair in world.together if gone & set(pair) for n in pair}
        gone |= {n for n, needed in world.needs.items() if gone & set(needed)}
    left = _without(world, gone)
    plan = plan_window(left.given)
    assert all(left.is_safe(live) for live in _prefixes(_steps(plan)))
    assert _going(plan) == _going(plan_window(world.given)) - gone


@given(worlds(most=7, circles=False, numbers=SCARCE))
@thorough
def test_a_capacity_cut_splits_no_bundle(world: World) -> None:
    plan = plan_window(world.given)
    bundles = set(world.bundles())
    assert all(frozenset(step.changes) in bundles for step in plan.queue)
    assert all(world.is_safe(live) for live in _prefixes(_steps(plan)))
    changes, numbers = world.given.changes, world.given.numbers
    slots = sum(not changes[number].is_beta_only for number in _going(plan))
    assert slots <= numbers.max_patches
    for step in plan.queue:
        start = (step.starts - START) / timedelta(minutes=1)
        assert start <= numbers.last_start_minute
        assert start + step.minutes <= world.given.window.minutes


@given(worlds(most=7))
@thorough
def test_a_rollback_is_the_exact_reverse_and_safe_on_its_way(world: World) -> None:
    plan = plan_window(world.given)
    assert list(plan.rollback) == _steps(plan)[::-1]
    live = set(_going(plan))
    for step in plan.rollback:
        live -= set(step)
        assert world.is_safe(live)


@given(worlds(most=6), st.randoms(use_true_random=False))
@thorough
def test_the_checker_agrees_with_brute_force_on_any_order(
    world: World, shuffler: random.Random
) -> None:
    """The negative control: the checker finds fault with every wrong order, and no right one."""
    order = list(world.numbers)
    shuffler.shuffle(order)
    steps = []
    while order:
        size = shuffler.choice((1, 1, 1, 2, 3))
        steps.append(order[:size])
        order = order[size:]
    given = world.given
    judge = Judge(given.changes, world.numbers, PRODUCTION, given.statements, {})
    assert [state.safe for state in judge.states(steps)] == [
        world.is_safe(live) for live in _prefixes(steps)
    ]


@given(worlds(most=6, bundles=False))
@thorough
def test_the_checker_tells_every_outage(world: World) -> None:
    statements = tuple(replace(s, only_first=OnlyFirst.OUTAGE) for s in world.given.statements)
    steps = [(number,) for number in world.numbers]
    states = Judge(world.given.changes, world.numbers, PRODUCTION, statements, {}).states(steps)
    for state, live in zip(states, _prefixes(steps), strict=True):
        told = {breach.change for breach in state.broken if breach.rule == "outage"}
        assert told == {a for a, b in world.before if a in live and b not in live and b < 100}
