"""A window while it is deployed: what may be done next, and what falls with a failure."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.domain.changes import Change, ChangeSet
from scheduler.domain.checklist.run import (
    Choice,
    Consequences,
    ItemState,
    OnVersion,
    Outcome,
    Phase,
    Run,
    StepState,
    failed_on_the_way_back,
    on_versions,
    spoken,
    watched_until,
)
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.errors import OutOfDate, Refused
from scheduler.domain.planning.edges import Because
from scheduler.domain.planning.plan import Step
from scheduler.domain.production import NOTHING_KNOWN, Production

NOW = datetime(2026, 8, 26, 13, tzinfo=UTC)
FORTH = [ItemKind.MERGE, ItemKind.TEST, ItemKind.VERIFY, ItemKind.SYNC, ItemKind.WATCH]
BACK = [ItemKind.TAKE_BACK, ItemKind.WATCH_BACK]


def planned(position: int, *changes: int, after: Iterable[int] = ()) -> Step:
    because = tuple(Because("dependency", first, "") for first in after)
    return Step(position, changes, NOW, 10, because)


def items(*done: ItemKind, kinds: Iterable[ItemKind] = FORTH) -> tuple[ItemState, ...]:
    """Return items of these kinds; those that are done were done now."""
    return tuple(
        ItemState(key, kind, minutes=2, done_at=NOW if kind in done else None)
        for key, kind in enumerate(kinds)
    )


def waiting(position: int, *changes: int, after: Iterable[int] = ()) -> StepState:
    return StepState(planned(position, *changes, after=after), items=items())


def done(state: StepState) -> StepState:
    return replace(state, phase=Phase.ENDED, outcome=Outcome.DEPLOYED, items=items(*FORTH))


def going(state: StepState, *finished: ItemKind) -> StepState:
    return replace(state, phase=Phase.GOING, items=items(*finished))


A, B, C = waiting(1, 11), waiting(2, 12, after=[11]), waiting(3, 13)


def test_steps_start_in_their_order_one_at_a_time() -> None:
    assert Run((A, B, C)).require_start(1) == A
    with pytest.raises(Refused, match="Step 1 goes first"):
        Run((A, B, C)).require_start(3)
    with pytest.raises(Refused, match="Step 1 is under way: finish it first"):
        Run((going(A), B, C)).require_start(2)
    with pytest.raises(OutOfDate, match="Step 1 is not waiting any more: deployed"):
        Run((done(A), B, C)).require_start(1)
    with pytest.raises(Refused, match="There is no step 9"):
        Run((A,)).require_start(9)
    assert Run((done(A), B, C)).require_start(2) == B


def test_a_step_does_not_start_before_what_it_needs_is_live() -> None:
    """Even where nothing blocks it: the plan has the order wrong."""
    first = replace(B, step=planned(1, 12, after=[11]))

    with pytest.raises(Refused, match="It needs 11, which is not live"):
        Run((first, replace(A, step=planned(2, 11)))).require_start(1)
    elsewhere = replace(A, step=planned(1, 11, after=[99]))
    assert Run((elsewhere,)).require_start(1) == elsewhere


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome.REVERTED, "It needs 11, which was reverted."),
        (Outcome.MISSED, "It needs 11, which was missed."),
        (Outcome.SKIPPED, "It needs 11, which failed."),
    ],
)
def test_what_needs_something_that_did_not_go_is_blocked_and_the_rest_goes_on(
    outcome: Outcome, told: str
) -> None:
    run = Run((replace(A, phase=Phase.ENDED, outcome=outcome), B, C))

    assert run.blocked == run.fallen == {2: told}
    assert run.next_step == C
    assert run.require_start(3) == C
    with pytest.raises(Refused, match=told):
        run.require_start(2)


def test_what_is_live_and_broken_is_not_built_upon() -> None:
    run = Run((replace(done(A), is_broken=True), B, C))

    assert run.blocked == {2: "It needs 11, which failed."}
    assert run.live == (11,)


def test_what_the_rules_took_out_is_blocked_with_their_reason() -> None:
    run = Run((A, B, C), {11: "It has a new patch set."})

    assert run.blocked == {1: "It has a new patch set.", 2: "It needs 11, which does not go."}
    assert run.fallen == {}  # they may go yet


def test_items_are_done_in_their_order() -> None:
    run = Run((going(A), B))

    assert run.require_tick(1, 0, NOW).kind is ItemKind.MERGE
    with pytest.raises(Refused, match=r"That comes later\. First: merge"):
        run.require_tick(1, 3, NOW)
    with pytest.raises(OutOfDate, match="done already"):
        Run((going(A, ItemKind.MERGE), B)).require_tick(1, 0, NOW)
    with pytest.raises(Refused, match="no such item"):
        run.require_tick(1, 77, NOW)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (A, "Step 1 has not started"),
        (replace(A, phase=Phase.ENDED, outcome=Outcome.MISSED), "Step 1 is over: missed"),
        (replace(A, phase=Phase.FAILED), "choose first to revert it or to leave it"),
    ],
)
def test_no_item_is_done_of_a_step_that_is_not_under_way(state: StepState, told: str) -> None:
    with pytest.raises(Refused, match=told):
        Run((state, B)).require_tick(1, 0, NOW)


def test_items_of_one_kind_have_no_order_among_themselves() -> None:
    verify = tuple(ItemState(key, ItemKind.VERIFY, number=key) for key in (1, 2))
    run = Run((replace(A, phase=Phase.GOING, items=verify),))

    assert [run.require_tick(1, key, NOW).key for key in (2, 1)] == [2, 1]


def test_the_logs_are_watched_for_their_minutes() -> None:
    run = Run((going(A, *FORTH[:-1]),))

    with pytest.raises(Refused, match="Keep watching the logs until 13:02:00 UTC"):
        run.require_tick(1, 4, NOW + timedelta(seconds=119))
    assert run.require_tick(1, 4, NOW + timedelta(seconds=120)).kind is ItemKind.WATCH


def test_watching_that_follows_nothing_has_no_end() -> None:
    only = ItemState(1, ItemKind.WATCH, minutes=2)
    state = replace(A, phase=Phase.GOING, items=(only,))

    assert watched_until(state, only) is None
    assert Run((state,)).require_tick(1, 1, NOW) == only


def failed(state: StepState, at: ItemKind, *finished: ItemKind) -> StepState:
    return replace(state, phase=Phase.FAILED, failed_at=at, items=items(*finished))


def test_a_failure_is_said_of_what_is_under_way_or_live() -> None:
    for state in (going(A), done(A)):
        assert Run((state, B)).require_failure(1) == state
    with pytest.raises(Refused, match="has not started"):
        Run((A, B)).require_failure(1)
    with pytest.raises(OutOfDate, match="said already"):
        Run((failed(A, ItemKind.MERGE), B)).require_failure(1)
    with pytest.raises(
        Refused, match=r"Step 2 is under way: finish it first, or say that it failed"
    ):
        Run((done(A), going(B))).require_failure(1)
    with pytest.raises(Refused, match=r"Step 2 is failed: finish it first\."):
        Run((done(A), failed(B, ItemKind.MERGE))).require_failure(1)
    with pytest.raises(Refused, match="Nothing of it is live"):
        Run((replace(A, phase=Phase.ENDED, outcome=Outcome.MISSED),)).require_failure(1)


def test_nothing_else_starts_before_somebody_chose() -> None:
    with pytest.raises(Refused, match="Step 1 is failed: finish it first"):
        Run((failed(A, ItemKind.VERIFY, ItemKind.MERGE), B, C)).require_start(3)


def test_what_needs_a_live_step_is_taken_back_before_it() -> None:
    broken = failed(A, ItemKind.WATCH, *FORTH[:-1])
    run = Run((broken, done(B), C, waiting(4, 14, after=[12])))

    assert run.require_choice(1, Choice.REVERT) == Consequences((2, 1), (4,), (3,))
    assert run.require_choice(1, Choice.LEAVE) == Consequences((), (4,), (3,))
    assert run.blocked.keys() == {4}


def test_the_screen_shows_what_would_fall_and_what_stays() -> None:
    run = Run((done(A), B, C, waiting(4, 14, after=[12])))

    assert run.after_failing(1, Choice.REVERT) == Consequences((1,), (2, 4), (3,))
    assert run.after_missing(2) == Consequences((), (4,), (3,))


def test_nothing_is_reverted_that_was_not_merged() -> None:
    with pytest.raises(Refused, match="nothing to revert"):
        Run((failed(A, ItemKind.BEFORE),)).require_choice(1, Choice.REVERT)
    assert Run((failed(A, ItemKind.MERGE),)).require_choice(1, Choice.REVERT).back == (1,)
    with pytest.raises(OutOfDate, match="there is nothing to choose"):
        Run((going(A),)).require_choice(1, Choice.LEAVE)


def test_what_is_merged_and_not_live_halts_all_until_it_is_reverted() -> None:
    run = Run((failed(A, ItemKind.VERIFY, ItemKind.MERGE, ItemKind.TEST), C))
    assert run.require_choice(1, Choice.LEAVE).halts
    left = replace(run.steps[0], phase=Phase.ENDED, outcome=Outcome.SKIPPED)
    halted = Run((left, C))

    with pytest.raises(Refused, match="the next sync would carry it along"):
        halted.require_start(3)
    assert halted.require_choice(1, Choice.REVERT).back == (1,)
    assert halted.require_failure(1) == left


def test_what_gerrit_merged_is_merged_whatever_was_ticked() -> None:
    state = replace(failed(A, ItemKind.MERGE), merged_anyway=True)
    run = Run((state, C))
    assert run.require_choice(1, Choice.LEAVE).halts
    left = replace(state, phase=Phase.ENDED, outcome=Outcome.SKIPPED)
    assert Run((left, C)).halting == left
    under_way = replace(going(A), merged_anyway=True)
    assert Run((under_way, C)).require_missing(1).back == (1,)


def going_back(state: StepState, back: int, *finished: ItemKind) -> StepState:
    return replace(
        state, phase=Phase.GOING_BACK, back=back, items=items(*finished, kinds=[*FORTH, *BACK])
    )


def test_steps_are_taken_back_in_their_order() -> None:
    run = Run((going_back(A, 2, *FORTH), going_back(B, 1, *FORTH), C))

    assert run.current == run.steps[1]
    assert run.require_tick(2, 5, NOW).kind is ItemKind.TAKE_BACK
    with pytest.raises(Refused, match="Step 2 is taken back first"):
        run.require_tick(1, 5, NOW)
    assert run.live == (11, 12)
    half = Run((run.steps[0], going_back(B, 1, *FORTH, ItemKind.TAKE_BACK), C))
    assert half.live == (11,)
    assert half.blocked == {}
    with pytest.raises(Refused, match="Step 2 is being reverted"):
        half.require_start(3)


def test_what_needs_something_that_is_being_reverted_is_blocked() -> None:
    run = Run((going_back(A, 1, *FORTH), B, C))

    assert run.blocked == {2: "It needs 11, which is being reverted."}


def test_a_step_is_missed_before_it_is_live_only() -> None:
    assert Run((A, B, C)).require_missing(1) == Consequences((), (2,), (3,))
    assert Run((going(A), B, C)).require_missing(1) == Consequences((), (2,), (3,))
    merged = going(A, ItemKind.MERGE, ItemKind.TEST)
    assert Run((merged, B, C)).require_missing(1) == Consequences((1,), (2,), (3,))
    with pytest.raises(Refused, match="Step 1 is under way, and live: it is deployed, or"):
        Run((going(A, *FORTH[:-1]), B)).require_missing(1)
    with pytest.raises(Refused, match="Step 1 is failed: it is deployed, or"):
        Run((failed(A, ItemKind.MERGE), B)).require_missing(1)
    with pytest.raises(OutOfDate, match="Step 1 is over: deployed"):
        Run((done(A), B)).require_missing(1)


def test_a_window_is_closed_when_nothing_is_under_way() -> None:
    assert Run((done(A), B, C)).require_close() == (2, 3)
    assert not Run((done(A), B, C)).is_done
    assert Run((done(A),)).is_done
    with pytest.raises(Refused, match="Step 1 is under way"):
        Run((going(A), B)).require_close()


def test_what_only_beta_sees_is_there_once_merged() -> None:
    beta = replace(A, phase=Phase.GOING, items=items(ItemKind.MERGE, kinds=[ItemKind.MERGE]))

    assert beta.is_live
    assert Run((beta,)).live == (11,)


def test_minutes_until_a_step_count_what_is_left_before_it() -> None:
    run = Run((going(A, ItemKind.MERGE), B, C), {12: "Gone."})

    assert run.minutes_until(3) == 8
    assert Run((A, B, C)).minutes_until(3) == 20
    assert Run((A, B, C)).minutes_until(1) == Run(()).minutes_until(1) == 0


def test_the_last_thing_done_has_its_time() -> None:
    assert going(A, ItemKind.MERGE).last_done_at() == NOW
    assert A.last_done_at() is None


def test_every_kind_of_item_has_its_word() -> None:
    assert all(spoken(kind) for kind in ItemKind)


def test_versions_have_their_code_and_all_configuration() -> None:
    code = Change(1, "mediawiki/core", "wmf/1.47.0-wmf.1", f"I{1:040}")
    config = Change(2, "operations/mediawiki-config", "master", f"I{2:040}")
    changes = ChangeSet([code, config])
    production = Production(
        ("1.47.0-wmf.1", "1.47.0-wmf.2"), {"group0": "1.47.0-wmf.2", "group1": "1.47.0-wmf.1"}
    )

    assert on_versions([1, 2], changes, production) == (
        OnVersion("wmf/1.47.0-wmf.1", ("group1",), (1, 2)),
        OnVersion("wmf/1.47.0-wmf.2", ("group0",), (2,)),
    )
    assert on_versions([1], changes, NOTHING_KNOWN) == (OnVersion("", (), (1,)),)


def queue_of(chance: Random) -> list[StepState]:
    """Return a queue of up to seven steps with random needs, each after what it needs."""
    return [
        waiting(
            place, 10 + place, after=[10 + one for one in range(1, place) if chance.random() < 0.35]
        )
        for place in range(1, chance.randint(2, 8))
    ]


class Walk:
    """Somebody who clicks at random; what is refused changes nothing."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.run = Run(tuple(queue_of(chance)))

    def put(self, position: int, **what: object) -> None:
        """Change a step."""
        steps = tuple(
            replace(s, **what) if s.position == position else s  # type: ignore[arg-type]
            for s in self.run.steps
        )
        self.run = replace(self.run, steps=steps)

    def click(self) -> None:
        """Do something about some step."""
        position = self.chance.randint(1, len(self.run.steps))
        deed = self.chance.choice([self.start, self.tick, self.tick, self.tick, self.fail])
        with suppress(Refused):
            self.chance.choice([deed, deed, self.choose, self.lose])(position)
        self.look()

    def start(self, position: int) -> None:
        """Start a step."""
        needed = {b.first for b in self.run.require_start(position).step.because}
        assert needed <= {*self.run.live}
        self.put(position, phase=Phase.GOING)

    def tick(self, position: int) -> None:
        """Do some item of it."""
        state = self.run.at(position)
        key = self.chance.choice(state.items).key
        ticked = self.run.require_tick(position, key, NOW + timedelta(hours=1))
        after = tuple(replace(i, done_at=NOW) if i == ticked else i for i in state.items)
        self.put(position, items=after)
        if not self.run.at(position).turn:
            went_back = state.phase is Phase.GOING_BACK
            outcome = Outcome.REVERTED if went_back else Outcome.DEPLOYED
            self.put(position, phase=Phase.ENDED, outcome=outcome)

    def fail(self, position: int) -> None:
        """Say that it failed."""
        state = self.run.require_failure(position)
        kind = state.turn[0].kind if state.phase is Phase.GOING else None
        if state.phase is not Phase.GOING_BACK:
            self.put(position, phase=Phase.FAILED, failed_at=kind)

    def choose(self, position: int) -> None:
        """Revert it, or leave it."""
        choice = self.chance.choice([*Choice])
        told = self.run.require_choice(position, choice)
        for place, one in enumerate(told.back, start=1):
            back = items(kinds=BACK)
            kept = tuple(i for i in self.run.at(one).items if not i.kind.is_way_back)
            renamed = tuple(replace(i, key=i.key + 50) for i in back)
            self.put(one, phase=Phase.GOING_BACK, back=place, items=(*kept, *renamed))
        if choice is Choice.LEAVE:
            live = self.run.at(position).is_live
            outcome = Outcome.DEPLOYED if live else Outcome.SKIPPED
            self.put(position, phase=Phase.ENDED, outcome=outcome, is_broken=True)

    def lose(self, position: int) -> None:
        """Have its change vetoed, sometimes."""
        if self.chance.random() < 0.1:
            number = self.run.at(position).step.changes[0]
            self.run = replace(self.run, lost={**self.run.lost, number: "It was vetoed."})

    def look(self) -> None:
        """Production is safe after every click: what is live has what it needs."""
        live = {*self.run.live}
        for state in self.run.steps:
            if state.is_live and not self.run.lost.keys() & {*state.step.changes}:
                assert {b.first for b in state.step.because} <= live, state
        assert sum(s.phase in {Phase.GOING, Phase.FAILED} for s in self.run.steps) <= 1


@given(st.randoms(use_true_random=True))
def test_whoever_clicks_at_random_production_is_safe_after_every_click(chance: Random) -> None:
    walk = Walk(chance)
    for _ in range(120):
        walk.click()


def test_what_was_seen_when_a_way_back_fails_stands_below_what_was_seen_before() -> None:
    assert failed_on_the_way_back("500.", "CI.") == "500.\n\nThe way back failed, too: CI."
    assert failed_on_the_way_back("", "CI.") == "The way back failed, too: CI."
