"""One sentence for each person: what they do now, and whether the window waits for them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from scheduler.domain.checklist.run import ItemState, Outcome, Phase, Run, StepState
from scheduler.domain.checklist.steps import Answers, ItemKind
from scheduler.domain.checklist.turns import Hour, Now, Person, now_for
from scheduler.domain.planning.edges import Because
from scheduler.domain.planning.plan import Step

NOW = datetime(2026, 8, 26, 13, tzinfo=UTC)
ADA = Person(frozenset({"ada"}))
DEV = Person(frozenset({"dev"}), may_drive=True)
RAE = Person(frozenset({"rae"}), may_vouch=True)
REL = Person(frozenset({"rel"}), may_drive=True, may_vouch=True)
SAM = Person(frozenset({"sam"}))


def waiting(position: int, *numbers: int, after: tuple[int, ...] = ()) -> StepState:
    because = tuple(Because("dependency", first, "") for first in after)
    return StepState(Step(position, numbers, NOW, 10, because))


def at(kind: ItemKind, number: int | None = None, minutes: int = 3) -> StepState:
    """Return step 1, at an item of this kind."""
    way_back = Phase.GOING_BACK if kind.is_way_back else Phase.GOING
    item = ItemState(1, kind, number, minutes)
    return replace(waiting(1, 11), phase=way_back, items=(item,))


ANSWERS = {
    11: Answers(requester="ada"),
    12: Answers(requester="ada", tester="Rae"),
    13: Answers(requester="ada", by_plan=True),
}
QUEUE = (waiting(1, 11), waiting(2, 12, after=(11,)), waiting(3, 13))


def hour(*steps: StepState, **facts: object) -> Hour:
    given = {"run": Run(steps or QUEUE), "answers": ANSWERS, "driver": "dev", "has_begun": True}
    return Hour(**{**given, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "person", "told"),
    [
        ({"is_closed": True}, DEV, Now("The window is closed: nothing is left to do")),
        ({"is_over": True}, DEV, Now("The window is over: nothing was begun")),
        (
            {"has_begun": False, "is_locked": False},
            DEV,
            Now("Lock the queue, then take the wheel"),
        ),
        ({"offered_to": "REL"}, REL, Now("Accept the wheel from dev, or leave it", is_mine=True)),
        ({"driver": "", "is_locked": False}, DEV, Now("Lock the queue, then take the wheel")),
        ({"driver": "", "is_locked": False}, SAM, Now("Wait: the queue is not locked yet")),
        ({"driver": ""}, DEV, Now("Take the wheel: nobody drives this window", is_mine=True)),
        ({"driver": ""}, ADA, Now("Wait: nobody drives this window yet")),
        ({"has_begun": False}, DEV, Now("Begin the window", is_mine=True)),
        ({"has_begun": False}, ADA, Now("Wait: dev begins it")),
    ],
)
def test_before_the_first_step(facts: dict[str, object], person: Person, told: Now) -> None:
    assert now_for(person, hour(**facts)) == told


def test_between_two_steps_the_driver_starts_the_next_one() -> None:
    assert now_for(DEV, hour()) == Now("Start step 1: 11", is_mine=True)
    assert now_for(SAM, hour()) == Now("Wait: dev starts step 1, 11")


def test_who_tests_is_called_before_it_begins() -> None:
    called = Now("Say that you are here: you test 11", is_mine=True)
    for facts in ({"driver": ""}, {"has_begun": False}):
        assert now_for(ADA, hour(calls_testers=True, **facts)) == called
        there = hour(calls_testers=True, here=frozenset({"ada"}), **facts)
        assert now_for(ADA, there).sentence.startswith("Wait: ")
    assert now_for(SAM, hour(calls_testers=True, driver="")).sentence.startswith("Wait: ")


def test_a_window_is_begun_at_its_time() -> None:
    early = hour(has_begun=False, begins="19:02 UTC")
    assert now_for(DEV, early) == Now("Begin the window at 19:02 UTC")


def test_another_deployer_takes_over_from_who_is_not_heard_of() -> None:
    lapsed = hour(is_lapsed=True)
    assert now_for(REL, lapsed) == Now(
        "Take over from dev, who was not heard of for a while", is_mine=True
    )
    assert now_for(DEV, lapsed).sentence == "Start step 1: 11"
    assert not now_for(ADA, lapsed).sentence.startswith("Take over")


def test_who_verifies_the_step_under_way_reads_when() -> None:
    items = (
        ItemState(1, ItemKind.MERGE, minutes=2, done_at=NOW),
        ItemState(2, ItemKind.TEST, minutes=1),
        ItemState(3, ItemKind.VERIFY, 13, minutes=3),
        ItemState(4, ItemKind.VERIFY, 11, minutes=3),
    )
    going = replace(waiting(1, 11, 13), phase=Phase.GOING, items=items)
    assert now_for(ADA, hour(going)) == Now("Be ready to verify 11, in about 1 min")


def test_nobody_is_told_to_start_what_cannot_start() -> None:
    late = now_for(DEV, hour(is_too_late=True))
    assert late == Now(
        "Extend the window, or let 11 be missed: it is too late to start a step", is_mine=True
    )
    merged = (ItemState(1, ItemKind.MERGE, done_at=NOW), ItemState(2, ItemKind.SYNC))
    left = replace(
        waiting(1, 11), phase=Phase.ENDED, outcome=Outcome.SKIPPED, items=merged, is_broken=True
    )
    assert now_for(DEV, hour(left, QUEUE[2])) == Now(
        "Revert 11, or close the window: nothing else can start", is_mine=True
    )
    assert now_for(SAM, hour(left, QUEUE[2])).sentence.startswith("Wait: 11 is merged and not live")


def test_a_tester_is_asked_to_be_there_until_they_say_so() -> None:
    ready = "Be ready to verify 11: it is next"

    assert now_for(ADA, hour()) == Now(f"{ready}. Say that you are here", is_mine=True)
    assert now_for(ADA, hour(here=frozenset({"ada"}))) == Now(ready)


def test_a_requester_reads_when_it_is_about_their_turn() -> None:
    later = hour(waiting(1, 12), waiting(2, 11))

    assert now_for(ADA, later) == Now("Stay near: 12 is step 1, in about 0 min")
    assert now_for(ADA, hour(at(ItemKind.MERGE), *QUEUE[1:])) == Now(
        "Stay near: 12 is step 2, in about 3 min"
    )
    blocked = replace(waiting(1, 11), phase=Phase.ENDED, outcome=Outcome.MISSED)
    assert now_for(ADA, hour(blocked, *QUEUE[1:])) == Now(
        "12 cannot go: It needs 11, which was missed"
    )


def test_nobody_waits_for_a_second_person_but_those_who_may_be_it() -> None:
    told = Now(
        "Say, as the second person, whether 11 may go although Gerrit does not answer",
        is_mine=True,
    )

    assert now_for(RAE, hour(unverified=1)) == told
    assert now_for(SAM, hour(unverified=1)) == Now(
        "Wait: a second person says whether 11 may go, as Gerrit does not answer"
    )
    assert now_for(replace(DEV, may_vouch=True), hour(unverified=1)) == Now(
        "Wait for a second person: Gerrit did not answer about 11"
    )


def test_once_nothing_can_start_the_driver_closes_the_window() -> None:
    over = replace(waiting(1, 11), phase=Phase.ENDED, outcome=Outcome.DEPLOYED)

    assert now_for(DEV, hour(over)).sentence.startswith("Close the window")
    assert now_for(SAM, hour(over)) == Now("Wait: dev closes the window")


def test_the_tester_verifies_and_everybody_else_waits_for_them() -> None:
    verifying = hour(at(ItemKind.VERIFY, 12))

    assert now_for(RAE, verifying) == Now("Verify 12 on the test servers now, 3 min", is_mine=True)
    assert now_for(DEV, verifying) == Now("Wait: Rae is at “verify” of 12 (3 min)")


def test_by_the_test_plan_the_deployer_verifies() -> None:
    verifying = hour(at(ItemKind.VERIFY, 13))

    assert now_for(DEV, verifying).is_mine
    assert not now_for(ADA, verifying).is_mine
    assert verifying.testers_of(waiting(1, 12, 13)) == ("Rae", "dev")


@pytest.mark.parametrize("kind", list(ItemKind))
def test_the_driver_reads_what_to_do_for_every_kind_of_item(kind: ItemKind) -> None:
    number = 11 if kind is ItemKind.VERIFY else None
    about = hour(at(kind, number, minutes=0), driver="ada")

    told = now_for(ADA, about)

    assert told.is_mine
    assert "11" in told.sentence
    assert "min" not in told.sentence.split()


def test_a_failure_waits_for_the_driver_to_choose() -> None:
    failed = hour(replace(waiting(1, 11, 12), phase=Phase.FAILED))

    assert now_for(DEV, failed) == Now("Choose for 11 and 12: revert it, or leave it", is_mine=True)
    assert now_for(SAM, failed).sentence.startswith("Wait: 11 and 12 failed")


def test_nobody_in_particular_is_somebody() -> None:
    verifying = hour(at(ItemKind.VERIFY, 99, minutes=0))

    assert now_for(SAM, verifying) == Now("Wait: somebody is at “verify” of 99")
    assert not SAM.is_called("")
