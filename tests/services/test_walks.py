"""Random walks through the hour: whatever people, Gerrit and the server do, nothing is broken.

They are the same in every run. `benchmarks/walks.py` looks for other ways.
"""

import os
from collections.abc import Callable
from datetime import datetime

import pytest

from scheduler.domain.checklist.run import ItemState, Phase, Run, StepState
from scheduler.domain.errors import Refused
from scheduler.models import User, Window
from scheduler.services import deploying, failing, leases
from tests.factories import make_person
from tests.walks.sending import Tally
from tests.walks.walk import PEOPLE, walk

WALKS = int(os.environ.get("SWAT_WALKS", "10"))
SEED = 8
SEEDS = range(SEED, SEED + 12)  # one of them leads to what is broken on purpose
WITH_ONE_SEED = 5

pytestmark = pytest.mark.timeout(240 + 5 * WALKS)


@pytest.fixture
def people(db: None, caplog: pytest.LogCaptureFixture) -> dict[str, User]:
    caplog.set_level("WARNING")  # a failure tells its clicks, not every event of every walk
    return {name: make_person(name) for name in PEOPLE}


def test_whatever_is_clicked_nothing_is_broken(people: dict[str, User]) -> None:
    tally = Tally()
    walk(people, WALKS, tally, seed=SEED)
    assert tally.walks >= WALKS
    assert tally.done["start"]
    assert tally.refused


# --- Controls: what is broken on purpose is found ------------------------------------------------

Break = Callable[[pytest.MonkeyPatch], None]


def let_any_step_start(patch: pytest.MonkeyPatch) -> None:
    def let_pass(run: Run, position: int) -> StepState:
        return run.at(position)

    patch.setattr(Run, "require_start", let_pass)


def let_any_step_start_after_another(patch: pytest.MonkeyPatch) -> None:
    def let_pass(run: Run, position: int) -> StepState:
        if run.current is not None or run.at(position).phase is not Phase.WAITING:
            raise Refused("One at a time.")
        return run.at(position)

    patch.setattr(Run, "require_start", let_pass)
    patch.setattr(deploying, "_require_safe", lambda *_: None)


def let_any_item_be_done(patch: pytest.MonkeyPatch) -> None:
    def let_pass(run: Run, position: int, key: int, now: object) -> ItemState:
        return next(item for item in run.at(position).items if item.key == key)

    patch.setattr(Run, "require_tick", let_pass)


def let_anybody_drive(patch: pytest.MonkeyPatch) -> None:
    def let_pass(window: Window, by: User, number: int | None, now: datetime) -> datetime:
        if (held := leases.lease_in_force(window)) is None:
            raise Refused("Nobody drives.")
        return held.until

    for module in (deploying, failing, leases):
        patch.setattr(module, "require_lease", let_pass)


def forget_keys(patch: pytest.MonkeyPatch) -> None:
    def do(*_: object, effect: Callable[[], str], **__: object) -> str:
        return effect()

    patch.setattr("tests.walks.sending.once", do)


def find(people: dict[str, User]) -> None:
    for seed in SEEDS:
        walk(people, WITH_ONE_SEED, Tally(), seed=seed, is_to_find=True)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (let_any_step_start, "Only the database refused|More than one|which it needs"),
        (let_any_step_start_after_another, "which it needs|is live without"),
        (let_any_item_be_done, "was done before|done once more"),
        (let_anybody_drive, "while .* drove|was not theirs then|who did not drive"),
        (forget_keys, "was done, and refused|led to|twice"),
    ],
)
def test_control(
    people: dict[str, User], monkeypatch: pytest.MonkeyPatch, broken: Break, told: str
) -> None:
    broken(monkeypatch)
    with pytest.raises(AssertionError, match=told):
        find(people)
