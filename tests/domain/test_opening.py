"""Whether backports may go out at a moment, why, and when that changes."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from scheduler.domain.opening import Opening, Planned, State, next_transition, opening_at
from scheduler.domain.windows import (
    Freeze,
    FreezeRule,
    FreezeScope,
    Recurrence,
    Window,
    WindowKind,
)

HOUR = timedelta(hours=1)
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
UNTIL = NOON + timedelta(days=7)


def planned(start: datetime = NOON, hours: int = 1, **differing: Any) -> Planned:  # noqa: ANN401
    given = {
        "id": 1,
        "title": "UTC late backport window",
        "kind": WindowKind.BACKPORT,
        "span": Window(start, start + hours * HOUR),
        "deployers": ("dev",),
    }
    return Planned(**{**given, **differing})


def freeze(
    scope: FreezeScope = FreezeScope.ALL,
    start: datetime = NOON,
    reason: str = "Thanksgiving.",
    kinds: frozenset[WindowKind] = frozenset(),
) -> FreezeRule:
    return FreezeRule(Freeze(start, start + HOUR, scope, reason), kinds=kinds)


FROZEN = "Frozen until Tue 1 Dec 2026, 13:00 UTC: Thanksgiving."


@pytest.mark.parametrize(
    ("windows", "freezes", "state", "why"),
    [
        ([planned()], [], State.OPEN, "UTC late backport window is under way."),
        ([planned(kind=WindowKind.TRAINING)], [], State.OPEN, "UTC late"),
        ([], [], State.CLOSED, "No window for backports is under way."),
        ([planned(kind=WindowKind.TRAIN)], [], State.CLOSED, "No window for backports"),
        ([planned(NOON + HOUR)], [], State.CLOSED, "No window for backports"),
        ([planned(NOON - HOUR)], [], State.CLOSED, "No window for backports"),
        ([planned(deployers=())], [], State.RESTRICTED, "Nobody has signed up"),
        ([planned(is_skipped=True)], [], State.CLOSED, "was skipped: nobody claimed it."),
        ([planned(is_skipped=True), planned(id=2)], [], State.OPEN, "under way"),
        ([planned()], [freeze()], State.CLOSED, FROZEN),
        ([planned()], [freeze(reason="")], State.CLOSED, "UTC: no reason given."),
        (
            [planned()],
            [freeze(FreezeScope.NORMAL)],
            State.RESTRICTED,
            f"Only what is urgent goes out. {FROZEN}",
        ),
        ([planned()], [freeze(FreezeScope.NORMAL), freeze()], State.CLOSED, FROZEN),
        ([planned()], [freeze(FreezeScope.TRAIN)], State.OPEN, "under way"),
        ([planned()], [freeze(kinds=frozenset({WindowKind.TRAIN}))], State.OPEN, "under way"),
        ([planned(NOON - HOUR, 2)], [freeze()], State.CLOSED, FROZEN),
        ([planned(hours=2)], [freeze(start=NOON + HOUR)], State.CLOSED, "Frozen until"),
        ([planned()], [freeze(start=NOON + HOUR)], State.OPEN, "under way"),
        (
            [planned(is_emergency=True)],
            [freeze()],
            State.RESTRICTED,
            "emergency that waits for its confirmations",
        ),
        ([planned(is_emergency=True, is_confirmed=True)], [freeze()], State.OPEN, "under way"),
        ([], [freeze()], State.CLOSED, FROZEN),
        ([], [freeze(FreezeScope.NORMAL)], State.CLOSED, "No window for backports"),
        (
            [planned(kind=WindowKind.NO_DEPLOY, title="Friday", hours=24)],
            [],
            State.CLOSED,
            "A no-deploy day: Friday.",
        ),
        (
            [planned(id=2, kind=WindowKind.NO_DEPLOY, hours=24, title="Friday"), planned()],
            [],
            State.CLOSED,
            "No deploys: Friday.",
        ),
        (
            [planned(id=3, is_emergency=True, start=NOON - HOUR, hours=3), planned()],
            [],
            State.OPEN,
            "under way",
        ),
        (
            [
                planned(id=2, kind=WindowKind.NO_DEPLOY, hours=24),
                planned(id=3, is_emergency=True, is_confirmed=True, start=NOON - HOUR, hours=3),
                planned(start=NOON - HOUR, hours=2),
            ],
            [],
            State.OPEN,
            "under way",
        ),
    ],
)
def test_the_state_and_why(
    windows: list[Planned], freezes: list[FreezeRule], state: State, why: str
) -> None:
    found = opening_at(NOON, windows, freezes)

    assert found.state is state
    assert why in found.why
    assert found.at == NOON


def test_a_window_that_is_frozen_is_named_too() -> None:
    assert opening_at(NOON, [planned()], [freeze()]).window == planned()
    assert opening_at(NOON, [planned(kind=WindowKind.TRAIN)], []).window is None


@pytest.mark.parametrize(
    ("windows", "freezes", "at", "state"),
    [
        ([planned(NOON + HOUR)], [], NOON + HOUR, State.OPEN),
        ([planned()], [], NOON + HOUR, State.CLOSED),
        # Two that adjoin are no transition in between.
        ([planned(), planned(NOON + HOUR, id=2)], [], NOON + 2 * HOUR, State.CLOSED),
        ([planned(), planned(NOON + HOUR, id=2, deployers=())], [], NOON + HOUR, State.RESTRICTED),
        # The freeze passes; what comes then is the next window.
        ([planned(NOON + 2 * HOUR)], [freeze()], NOON + 2 * HOUR, State.OPEN),
        ([planned(NOON + HOUR)], [freeze(start=NOON + HOUR)], None, None),
        ([planned(NOON + timedelta(days=7))], [], None, None),
        ([], [], None, None),
    ],
)
def test_the_next_transition(
    windows: list[Planned],
    freezes: list[FreezeRule],
    at: datetime | None,
    state: State | None,
) -> None:
    found = next_transition(opening_at(NOON, windows, freezes), windows, freezes, UNTIL)

    assert (found and found.at, found and found.state) == (at, state)


def test_a_freeze_that_comes_again_closes_each_time() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    weekly = FreezeRule(
        Freeze(NOON - timedelta(days=14), NOON - timedelta(days=14) + HOUR),
        berlin,
        Recurrence.WEEKLY,
    )
    windows = [planned(), planned(NOON + HOUR, id=2)]

    before = opening_at(NOON, windows, [weekly])
    after = next_transition(before, windows, [weekly], UNTIL)

    assert before.state is State.CLOSED
    assert after == Opening(
        NOON + HOUR, State.OPEN, windows[1].title + " is under way.", windows[1]
    )
