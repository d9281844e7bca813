"""What became of a window since it was begun, gone through again event by event, for `verify`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from scheduler.domain.checklist.run import Outcome, Phase, failed_on_the_way_back
from scheduler.domain.checklist.steps import ItemKind
from scheduler.services.histories import FINISH, MISS, MOVE_ON, TAKE_BACK, Told

BEGIN, CLOSE, EXTEND = "window.begin", "window.close", "window.extend"
START = "backport.start"
# What takes a backport out of the queue of its window.
LEAVING = (
    MOVE_ON,
    "backport.withdraw",
    "backport.decline",
    "backport.veto",
    "backport.send-to-train",
    "backport.send-to-dedicated",
)
OF_BACKPORTS = (START, FINISH, TAKE_BACK, MISS, *LEAVING)
OF_STEPS = (
    "step.tick",
    "step.fail",
    "step.choose",
    "step.miss",
    "step.unverified",
    "step.vouch",
)
# What was left merged may be reverted after its window was closed.
_AFTER_CLOSING = ("step.choose", "step.tick", TAKE_BACK)
_MERGE = ItemKind.MERGE
_REASON, _TROUBLE = 500, 300  # characters that the columns keep
_OUTPUT = 4000


class Shape(NamedTuple):
    """What was fixed of a window when it was begun.

    Attributes:
        steps: the step of each backport.
        kinds: what each item of each step is, by step and place.
    """

    steps: Mapping[int, int]
    kinds: Mapping[int, Mapping[int, ItemKind]]


@dataclass
class ReplayedStep:
    """A step, as the events tell of it; what is compared has the name of its column.

    Attributes:
        unsaid: columns of which no event tells.
        ticks: the event of each item that was done, by its place.
    """

    phase: str = Phase.WAITING.value
    outcome: str = ""
    reason: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failed_item: str = ""
    output: str = ""
    is_broken: bool = False
    back: int = 0
    ends_as: str = ""
    unverified: str = ""
    vouched_by_id: int | None = None
    vouched_at: datetime | None = None
    unsaid: set[str] = field(default_factory=set)
    ticks: dict[int, Told] = field(default_factory=dict)

    def end(self, outcome: Outcome, reason: str, at: datetime | None) -> None:
        """Let it be over."""
        self.phase, self.outcome = Phase.ENDED.value, outcome.value
        self.reason, self.ended_at, self.is_broken = reason, at, False
        self.unsaid.clear()

    def go_on(self, phase: Phase) -> None:
        """Let it not be over any more."""
        self.phase, self.outcome, self.ended_at = phase.value, "", None

    def has_done(self, kind: ItemKind) -> bool:
        """Return whether an item of a kind was done."""
        return any(told.text("item") == kind.value for told in self.ticks.values())

    def ended_with(self, outcome: Outcome, told: Told) -> bool:
        """Return whether it was over by what was logged of another of its backports, or of it.

        All of them end at one moment. Where it fell with another step, they tell why.
        """
        if (self.phase, self.outcome) != (Phase.ENDED.value, outcome.value):
            return False
        if self.ended_at == told.at and "reason" in self.unsaid:
            self.end(outcome, told.text("reason", _REASON), told.at)
        return self.ended_at == told.at


class Replay:
    """Goes through the events of one window in their order.

    Attributes:
        steps: what became of each step, by position.
        begun, closed: the events that did; None while there is none.
        extra: minutes that steps may start later.
        starts: the last start of each backport.
        impossible: sentences about events that cannot have happened.
    """

    def __init__(self, window: int, shape: Shape) -> None:
        self.steps = {position: ReplayedStep() for position in sorted(shape.kinds)}
        self.begun: Told | None = None
        self.closed: Told | None = None
        self.extra = 0
        self.starts: dict[int, Told] = {}
        self.impossible: list[str] = []
        self._window, self._shape = window, shape
        self._gone: set[int] = set()  # backports that left the queue
        self._acts: Mapping[str, Callable[[Told], str]] = {
            EXTEND: self._extend,
            CLOSE: self._close,
            "step.tick": self._tick,
            "step.fail": self._fail,
            "step.choose": self._choose,
            "step.miss": self._miss_step,
            "step.unverified": self._wait_for_word,
            "step.vouch": self._vouch,
            START: self._start,
            FINISH: self._finish,
            TAKE_BACK: self._take_back,
            MISS: self._miss,
        }

    def take(self, told: Told) -> None:
        """Take in the next event, also where it cannot have happened."""
        if told.kind in LEAVING:
            self._gone.add(told.backport or 0)
        elif told.window != self._window or (told.kind == MISS and self.begun is None):
            pass  # a backport of the queue that was moved on before, or missed with its window
        elif told.kind == BEGIN:
            self._note(told, "it was begun before" if self.begun else "")
            self.begun = told
        else:
            is_late = self.closed is not None and told.kind not in _AFTER_CLOSING
            wrong = "it was closed before" if is_late else ""
            wrong = wrong or ("" if self.begun else "it was not begun")
            self._note(told, self._acts[told.kind](told) or wrong)

    def _note(self, told: Told, wrong: str) -> None:
        if wrong:
            self.impossible.append(f"{told} of window {self._window} cannot be: {wrong}.")

    def _extend(self, told: Told) -> str:
        self.extra += told.number("minutes")
        return ""

    def _close(self, told: Told) -> str:
        self.closed = told
        steps = told.payload.get("steps")
        told_steps = steps if isinstance(steps, list) else ()
        for summary in (one for one in told_steps if isinstance(one, dict)):
            position, reason = summary.get("step"), summary.get("reason", "")
            if position in self.steps and self._waits_for_nothing(position):
                self.steps[position].end(Outcome.MISSED, reason, _moment(summary.get("ended")))
        unfinished = [p for p, one in self.steps.items() if one.phase != Phase.ENDED.value]
        return f"step {unfinished[0]} has no outcome" if unfinished else ""

    def _waits_for_nothing(self, position: int) -> bool:
        """Return whether a step waits of which every backport had left the queue.

        It is missed when the window is closed, and no event but that one says so.
        """
        members = {pk for pk, step in self._shape.steps.items() if step == position}
        is_waiting = self.steps[position].phase == Phase.WAITING.value
        return is_waiting and bool(members) and members <= self._gone

    def _of_step(self, told: Told) -> tuple[int, ReplayedStep]:
        """Return the step that an event is about; one that there is not is made up."""
        if told.backport is None:
            position = told.number("step")
        else:
            position = self._shape.steps.get(told.backport, told.number("step"))
        return position, self.steps.get(position) or ReplayedStep()

    def _start(self, told: Told) -> str:
        position, step = self._of_step(told)
        self.starts[told.backport or 0] = told
        if step.phase == Phase.GOING.value and step.started_at == told.at:
            return ""  # another one of its backports
        wrong = _unless(step, position, Phase.WAITING)
        going = [p for p, one in self.steps.items() if Phase(one.phase).is_under_way]
        step.go_on(Phase.GOING)
        step.started_at, step.unverified = told.at, told.text("unverified", _TROUBLE)
        if step.unverified and step.vouched_by_id in {None, told.actor}:
            wrong = wrong or f"no second person vouched for step {position}"
        return wrong or (f"step {going[0]} was under way" if going else "")

    def _tick(self, told: Told) -> str:
        position, step = self._of_step(told)
        place = told.number("place")
        was_done, step.ticks[place] = place in step.ticks, told
        kind = self._shape.kinds.get(position, {}).get(place)
        if kind is None or kind.value != told.text("item"):
            return f"item {place} of step {position} is another"
        if was_done:
            return f"item {place} of step {position} was done before"
        undone = self._undone(position, back=kind.is_way_back)
        first = [one for one in undone if self._shape.kinds[position][one].rank < kind.rank]
        if first:
            return f"item {first[0]} of step {position} comes first"
        return _unless(step, position, Phase.GOING_BACK if kind.is_way_back else Phase.GOING)

    def _undone(self, position: int, *, back: bool) -> list[int]:
        """Return which items of a step, or of its way back, are not done."""
        kinds, ticks = self._shape.kinds.get(position, {}), self.steps[position].ticks
        return [p for p, kind in kinds.items() if kind.is_way_back is back and p not in ticks]

    def _fail(self, told: Told) -> str:
        position, step = self._of_step(told)
        wrong = _unless(step, position, Phase.GOING, Phase.GOING_BACK, Phase.ENDED)
        output = told.text("reason", _OUTPUT)
        if step.phase == Phase.GOING_BACK.value:
            step.output = failed_on_the_way_back(step.output, output)[-_OUTPUT:]
            return wrong
        step.go_on(Phase.FAILED)
        step.failed_item, step.output = told.text("item"), output
        return wrong

    def _choose(self, told: Told) -> str:
        position, step = self._of_step(told)
        reason = told.text("reason", _REASON)
        if told.text("choice") == "leave":
            wrong = _unless(step, position, Phase.FAILED)
            is_live = self._is_live(position, step)
            step.end(Outcome.DEPLOYED if is_live else Outcome.SKIPPED, reason, told.at)
            step.is_broken = True
            return wrong
        wrong = _unless(step, position, Phase.FAILED, Phase.ENDED)
        self._go_back(told, Outcome.REVERTED)
        return wrong

    def _go_back(self, told: Told, ends_as: Outcome) -> None:
        """Take in that steps are taken back; why the others are is said once they are back."""
        for place, position in enumerate(told.numbers("back"), start=1):
            step = self.steps.get(position) or ReplayedStep()
            step.go_on(Phase.GOING_BACK)
            step.back, step.ends_as = place, ends_as.value
            step.reason = told.text("reason", _REASON)
            step.unsaid = set() if position == told.number("step") else {"reason"}

    def _miss_step(self, told: Told) -> str:
        position, step = self._of_step(told)
        wrong = _unless(step, position, Phase.WAITING, Phase.GOING)
        if told.numbers("back"):
            self._go_back(told, Outcome.MISSED)
        else:
            wrong = wrong or (f"step {position} was merged" if step.has_done(_MERGE) else "")
            step.end(Outcome.MISSED, told.text("reason", _REASON), told.at)
        for fallen in told.numbers("falls"):
            other = self.steps.get(fallen) or ReplayedStep()
            wrong = wrong or _unless(other, fallen, Phase.WAITING)
            other.end(Outcome.MISSED, "", told.at)
            other.unsaid = {"reason"}
        return wrong

    def _is_live(self, position: int, step: ReplayedStep) -> bool:
        kinds = self._shape.kinds.get(position, {}).values()
        goes_live = ItemKind.SYNC if ItemKind.SYNC in kinds else ItemKind.MERGE
        return step.has_done(goes_live) and not step.has_done(ItemKind.TAKE_BACK)

    def _finish(self, told: Told) -> str:
        return self._end(told, Outcome.DEPLOYED, Phase.GOING)

    def _take_back(self, told: Told) -> str:
        return self._end(told, Outcome.REVERTED, Phase.GOING_BACK)

    def _end(self, told: Told, outcome: Outcome, phase: Phase) -> str:
        position, step = self._of_step(told)
        if step.ended_with(outcome, told):
            return ""
        wrong = _unless(step, position, phase)
        if not wrong and position in self.steps:
            undone = self._undone(position, back=phase is Phase.GOING_BACK)
            wrong = f"item {undone[0]} of step {position} was not done" if undone else ""
        step.end(outcome, told.text("reason", _REASON), told.at)
        return wrong

    def _miss(self, told: Told) -> str:
        position, step = self._of_step(told)
        if told.backport not in self._shape.steps:
            return ""  # it was booked in the window, and not in its queue
        if any(step.ended_with(one, told) for one in (Outcome.MISSED, Outcome.SKIPPED)):
            return ""
        if step.ends_as == Outcome.MISSED.value:
            return self._end(told, Outcome.MISSED, Phase.GOING_BACK)
        wrong = _unless(step, position, Phase.WAITING)
        step.end(Outcome.MISSED, told.text("reason", _REASON), told.at)
        return wrong

    def _wait_for_word(self, told: Told) -> str:
        position, step = self._of_step(told)
        step.unverified = told.text("reason", _TROUBLE)
        step.vouched_by_id = step.vouched_at = None
        return _unless(step, position, Phase.WAITING)

    def _vouch(self, told: Told) -> str:
        position, step = self._of_step(told)
        step.vouched_by_id, step.vouched_at = told.actor, told.at
        wrong = "" if step.unverified else f"step {position} waited for nobody"
        return _unless(step, position, Phase.WAITING) or wrong


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _unless(step: ReplayedStep, position: int, *phases: Phase) -> str:
    """Return what is wrong with a step, unless it is as far as it has to be."""
    return "" if Phase(step.phase) in phases else f"step {position} was {step.phase}"
