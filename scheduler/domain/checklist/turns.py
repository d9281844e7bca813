"""One sentence for each person: what they do now. Page, API and messages all say this one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scheduler.domain.checklist.run import ItemState, Phase, Run, StepState, spoken
from scheduler.domain.checklist.steps import Answers, ItemKind


@dataclass(frozen=True, slots=True)
class Hour:
    """What is going on in a window beside its steps.

    Attributes:
        run: its steps; without any before it has begun.
        answers: what was said about its changes, by number.
        driver: the account name of who drives; "" is nobody.
        offered_to: whom the driver handed the wheel to, who has not accepted yet.
        is_locked: whether its queue is fixed.
        has_begun, is_closed: whether the driver began it, and closed it.
        unverified: the step that waits for a second person, because Gerrit did not answer; 0 none.
        here: account names of those who said that they are there to test.
        is_over: whether its time is over, or it does not take place, and it has not begun.
        is_too_late: whether no step may start any more.
        begins: when it can be begun, such as "19:02 UTC", where that is still to come; "" else.
        calls_testers: whether those who test are asked to say that they are there.
        is_lapsed: whether the driver was not heard of for so long that another may take over.
    """

    run: Run = field(default_factory=lambda: Run(()))
    answers: Mapping[int, Answers] = field(default_factory=dict)
    driver: str = ""
    offered_to: str = ""
    is_locked: bool = True
    has_begun: bool = False
    is_closed: bool = False
    unverified: int = 0
    here: frozenset[str] = frozenset()
    is_over: bool = False
    is_too_late: bool = False
    begins: str = ""
    calls_testers: bool = False
    is_lapsed: bool = False

    def testers_of(self, state: StepState) -> tuple[str, ...]:
        """Return who verifies a step, each once; the deployer where the test plan is enough."""
        said = [self.answers.get(number, Answers()) for number in state.step.changes]
        return tuple(
            dict.fromkeys(
                self.driver if one.by_plan else one.tester or one.requester for one in said
            )
        )


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who looks at the window.

    Attributes:
        names: the account names that are theirs, folded.
        may_drive: whether they may take the wheel.
        may_vouch: whether they may be the second person for the step that waits for one.
    """

    names: frozenset[str] = frozenset()
    may_drive: bool = False
    may_vouch: bool = False

    def is_called(self, name: str) -> bool:
        """Return whether a name is theirs."""
        return bool(name) and name.casefold() in self.names


@dataclass(frozen=True, slots=True)
class Now:
    """What somebody does now.

    Attributes:
        sentence: to be shown, without a full stop.
        is_mine: whether the window waits for exactly this person.
    """

    sentence: str
    is_mine: bool = False


def now_for(person: Person, hour: Hour) -> Now:
    """Return what somebody does now."""
    if hour.is_closed:
        return Now("The window is closed: nothing is left to do")
    if hour.is_over:
        return Now("The window is over: nothing was begun")
    if person.is_called(hour.offered_to):
        return Now(f"Accept the wheel from {hour.driver}, or leave it", is_mine=True)
    if not hour.driver or not (hour.is_locked or hour.has_begun):
        return _without_driver(person, hour)
    return _in_another_role(person, hour) or (_under_way if hour.has_begun else _before)(
        person, hour
    )


def _without_driver(person: Person, hour: Hour) -> Now:
    if not hour.is_locked:
        sentence = "Lock the queue, then take the wheel"
        return Now(sentence if person.may_drive else "Wait: the queue is not locked yet")
    if person.may_drive:
        return Now("Take the wheel: nobody drives this window", is_mine=True)
    return _called(person, hour) or Now("Wait: nobody drives this window yet")


def _in_another_role(person: Person, hour: Hour) -> Now | None:
    """Return what somebody else than the driver does about driving; None if that is nothing."""
    if person.is_called(hour.driver):
        return None
    if hour.is_lapsed and person.may_drive:
        return Now(f"Take over from {hour.driver}, who was not heard of for a while", is_mine=True)
    if not hour.unverified:
        return None
    named = _named(hour.run.at(hour.unverified))
    if person.may_vouch:
        return Now(
            f"Say, as the second person, whether {named} may go although Gerrit does not answer",
            is_mine=True,
        )
    return Now(f"Wait: a second person says whether {named} may go, as Gerrit does not answer")


def _before(person: Person, hour: Hour) -> Now:
    if not person.is_called(hour.driver):
        return _called(person, hour) or Now(f"Wait: {hour.driver} begins it")
    if hour.begins:
        return Now(f"Begin the window at {hour.begins}")
    return Now("Begin the window", is_mine=True)


def _called(person: Person, hour: Hour) -> Now | None:
    """Return that somebody is asked whether they are there to test; None if they are not asked."""
    if not hour.calls_testers or any(person.is_called(name) for name in hour.here):
        return None
    waiting = [s for s in hour.run.steps if s.position not in hour.run.blocked]
    tests = [
        str(number)
        for state in waiting
        for number in state.step.changes
        if person.is_called(tester_of(number, hour))
    ]
    if not tests:
        return None
    return Now(f"Say that you are here: you test {' and '.join(tests)}", is_mine=True)


def _under_way(person: Person, hour: Hour) -> Now:
    run, drives = hour.run, person.is_called(hour.driver)
    state = run.current
    if state is None:
        return _between(person, hour, drives=drives)
    if state.phase is Phase.FAILED:
        named = _named(state)
        if drives:
            return Now(f"Choose for {named}: revert it, or leave it", is_mine=True)
        return Now(f"Wait: {named} failed, and {hour.driver} chooses what is done about it")
    turn = state.turn
    mine = [item for item in turn if _is_theirs(person, item, hour)]
    if mine:
        return Now(_doing(mine[0], state), is_mine=True)
    told = _soon(person, state, hour) or _place_of(person, hour)
    return Now(told or f"Wait: {_others(turn, state, hour)}")


def _soon(person: Person, state: StepState, hour: Hour) -> str:
    """Return that somebody verifies the step under way in a moment; "" if they do not."""
    minutes = 0
    for item in state.items:
        if item.kind is ItemKind.VERIFY and not item.is_done:
            if person.is_called(tester_of(item.number, hour)):
                return f"Be ready to verify {item.number}, in about {minutes} min"
        elif not item.is_done:
            minutes += item.minutes
    return ""


def _between(person: Person, hour: Hour, *, drives: bool) -> Now:
    upcoming = hour.run.next_step
    if hour.run.halting is not None:
        return _halted(_named(hour.run.halting), drives=drives)
    if upcoming is None:
        if drives:
            return Now("Close the window: every step is over or cannot start", is_mine=True)
        return Now(f"Wait: {hour.driver} closes the window")
    named = _named(upcoming)
    if drives:
        return _starting(upcoming, hour)
    if any(person.is_called(name) for name in hour.testers_of(upcoming)):
        there = any(person.is_called(name) for name in hour.here)
        sentence = f"Be ready to verify {named}: it is next"
        return Now(sentence if there else f"{sentence}. Say that you are here", is_mine=not there)
    told = _place_of(person, hour)
    return Now(told or f"Wait: {hour.driver} starts step {upcoming.position}, {named}")


def _halted(named: str, *, drives: bool) -> Now:
    if drives:
        return Now(f"Revert {named}, or close the window: nothing else can start", is_mine=True)
    return Now(f"Wait: {named} is merged and not live, so nothing else can start")


def _starting(upcoming: StepState, hour: Hour) -> Now:
    named = _named(upcoming)
    if hour.unverified == upcoming.position:
        return Now(f"Wait for a second person: Gerrit did not answer about {named}")
    if hour.is_too_late:
        told = f"Extend the window, or let {named} be missed: it is too late to start a step"
        return Now(told, is_mine=True)
    return Now(f"Start step {upcoming.position}: {named}", is_mine=True)


def _place_of(person: Person, hour: Hour) -> str:
    """Return when somebody's own waiting step is on; "" if they have none."""
    for state in hour.run.steps:
        asked = [hour.answers.get(number, Answers()).requester for number in state.step.changes]
        if state.phase is not Phase.WAITING or not any(map(person.is_called, asked)):
            continue
        named = _named(state)
        if state.position in hour.run.blocked:
            return f"{named} cannot go: {hour.run.blocked[state.position].removesuffix('.')}"
        minutes = hour.run.minutes_until(state.position)
        return f"Stay near: {named} is step {state.position}, in about {minutes} min"
    return ""


def _is_theirs(person: Person, item: ItemState, hour: Hour) -> bool:
    """Return whether an item waits for somebody: the tester's to verify, else the driver's."""
    if item.kind is ItemKind.VERIFY:
        return person.is_called(tester_of(item.number, hour))
    return person.is_called(hour.driver)


def tester_of(number: int | None, hour: Hour) -> str:
    """Return who verifies a change: the deployer where the test plan is enough."""
    answer = hour.answers.get(number or 0, Answers())
    return hour.driver if answer.by_plan else answer.tester or answer.requester


def _doing(item: ItemState, state: StepState) -> str:
    about = str(item.number) if item.number else _named(state)
    minutes = f", {item.minutes} min" if item.minutes else ""
    words = {
        ItemKind.BEFORE: f"Do what {about} needs before",
        ItemKind.MERGE: f"Merge {about} and wait for CI",
        ItemKind.TEST: f"Bring {about} to the test servers",
        ItemKind.VERIFY: f"Verify {about} on the test servers now",
        ItemKind.SYNC: f"Sync {about} to production",
        ItemKind.WATCH: f"Watch the logs for {about}",
        ItemKind.AFTER: f"Do what {about} needs after",
        ItemKind.LOG: f"Log {about}",
        ItemKind.TAKE_BACK: f"Revert {about}",
        ItemKind.WATCH_BACK: f"Watch the logs after the revert of {about}",
        ItemKind.LOG_BACK: f"Log the revert of {about}",
    }
    return words[item.kind] + minutes


def _others(turn: tuple[ItemState, ...], state: StepState, hour: Hour) -> str:
    """Return who does what now, as everybody else reads it."""
    item = turn[0]
    about = str(item.number) if item.number else _named(state)
    who = tester_of(item.number, hour) if item.kind is ItemKind.VERIFY else hour.driver
    minutes = f" ({item.minutes} min)" if item.minutes else ""
    return f"{who or 'somebody'} is at “{spoken(item.kind)}” of {about}{minutes}"


def _named(state: StepState) -> str:
    return " and ".join(map(str, state.step.changes))
