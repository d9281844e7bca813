"""Somebody who drives a window, for tests: each step as the page would send it."""

from dataclasses import dataclass, field

from scheduler.domain.checklist.run import Choice
from scheduler.domain.checklist.steps import ItemKind
from scheduler.models import Backport, RunItem, RunStep, User, Window
from scheduler.queries import newest_plan
from scheduler.services.clock import database_now
from scheduler.services.deploying import (
    OnStep,
    Reading,
    begin_window,
    close_window,
    seen_of,
    start_step,
    tick_item,
)
from scheduler.services.failing import choose_for_step, fail_step, miss_step, shown_of
from scheduler.services.leases import take_wheel
from scheduler.services.plans import replan_window
from scheduler.services.runs import Course, course_of
from scheduler.services.windows import lock_window

ANSWERED = Reading()
SILENT = Reading("Gerrit did not answer within 3 s")


def lock(window: Window, by: User) -> Window:
    """Lock a window as its page shows it."""
    replan_window(window=window, now=database_now(), to_the_minute=True)
    plan = newest_plan(window)
    assert plan is not None
    return lock_window(window=window, by=by, plan_fingerprint=plan.fingerprint)


@dataclass
class Drive:
    """A window and who drives it."""

    window: Window
    by: User
    lease: int = 0
    testers: dict[int, User] = field(default_factory=dict)
    shown: Course | None = None  # how far it was, as who ticked last was shown

    @property
    def course(self) -> Course:
        """How far it is now."""
        self.window.refresh_from_db()
        return course_of(self.window, database_now())

    def take(self) -> "Drive":
        """Take the wheel."""
        self.lease = take_wheel(window=self.window, by=self.by).number
        return self

    def begin(self) -> "Drive":
        """Begin it."""
        begin_window(window=self.window, by=self.by, lease=self.lease, seen=seen_of(self.course))
        return self

    def on(self, position: int, by: User | None = None) -> OnStep:
        """Return a step as it is now."""
        row = RunStep.objects.get(run__window=self.window, position=position)
        lease = self.lease if by in {None, self.by} else None
        return OnStep(self.window, position, by or self.by, row.turn, lease)

    def start(self, position: int, reading: Reading = ANSWERED) -> RunStep:
        """Start a step."""
        return start_step(on=self.on(position), reading=reading)

    def tick(self, position: int, kind: ItemKind, proof: str = "") -> RunItem:
        """Do the first item of a kind that is not done: who verifies is the requester."""
        item = RunItem.objects.filter(
            step__run__window=self.window,
            step__position=position,
            kind=kind.value,
            done_at__isnull=True,
        ).first()
        assert item is not None
        by = self.by
        if kind is ItemKind.VERIFY and not self.course.answers[item.number or 0].by_plan:
            by = self._backport(item.number).requester
        self.shown = tick_item(on=self.on(position, by), item=item.pk, proof=proof)
        return self.shown.items[item.pk]

    def _backport(self, number: int | None) -> Backport:
        members = self.course.members.values()
        return next(b for backports in members for b in backports if b.change.number == number)

    def until(self, position: int, kind: ItemKind) -> None:
        """Do everything of a step before the items of a kind."""
        while (turn := self.course.state.at(position).turn) and turn[0].kind is not kind:
            self.tick(position, turn[0].kind)

    def finish(self, position: int) -> None:
        """Do everything that is left of a step that was started."""
        while turn := self.course.state.at(position).turn:
            self.tick(position, turn[0].kind)

    def deploy(self, *positions: int) -> "Drive":
        """Start and finish steps."""
        for position in positions:
            self.start(position)
            self.finish(position)
        return self

    def fail(self, position: int, output: str = "Every page is a 500.") -> RunStep:
        """Say that a step failed."""
        return fail_step(on=self.on(position), output=output)

    def choose(self, position: int, choice: Choice, reason: str = "It broke the site.") -> RunStep:
        """Choose what is done about it."""
        shown = shown_of(self.course.state.after_failing(position, choice))
        return choose_for_step(on=self.on(position), choice=choice, shown=shown, reason=reason)

    def miss(self, position: int, why: str = "absent") -> RunStep:
        """Let a step be missed."""
        shown = shown_of(self.course.state.require_missing(position))
        return miss_step(on=self.on(position), why=why, shown=shown)

    def close(self, reason: str = "") -> None:
        """Close the window."""
        left = ",".join(map(str, self.course.state.require_close()))
        close_window(window=self.window, by=self.by, lease=self.lease, seen=left, reason=reason)
