"""Two deployers, a tester, a reviewer, a Gerrit that moves and a server that dies, at random.

Each act is a form that somebody sends: made from what a page showed, perhaps a while ago.
"""

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar, TypeVar

from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, note, settings
from hypothesis import Phase as Searching
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from scheduler.actors import actor_of
from scheduler.domain.changes import ChangeStatus
from scheduler.domain.checklist.run import Choice, Phase, StepState
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.checklist.turns import now_for
from scheduler.domain.errors import Refused
from scheduler.models import Backport, Lease, User
from scheduler.services.backports import withdraw_backport
from scheduler.services.changes import refresh_open_windows
from scheduler.services.clock import database_now
from scheduler.services.deploying import (
    OnStep,
    begin_window,
    check_in,
    close_what_was_left,
    close_window,
    extend_window,
    read_before_start,
    seen_of,
    start_step,
    tick_item,
    vouch_for_step,
)
from scheduler.services.events import read_log
from scheduler.services.failing import WHY_MISSED, choose_for_step, fail_step, miss_step, shown_of
from scheduler.services.invariants import INVARIANTS
from scheduler.services.leases import (
    accept_wheel,
    give_back_wheel,
    keep_wheel,
    offer_wheel,
    take_wheel,
)
from scheduler.services.notifications import deliver_events
from scheduler.services.reviews import approve_backport, veto_backport
from scheduler.services.runs import Course, course_of
from tests.factories import MOMENT
from tests.fakes import FakeReviewSystem
from tests.walks.clock import Clock, standing_still
from tests.walks.laws import Turn, broken_by, look
from tests.walks.queues import Queue, book, queues
from tests.walks.sending import Deed, End, Server, Tally

STEPS = 40  # moves of one walk
LONGEST_STEP = 15  # clicks that deploy any step, or are refused
LONGEST_END = 120  # clicks that bring any hour to its end
PAGES = 6  # that are open since earlier
MOST_PASSING = 45  # minutes of the hour, beside those of the clicks: it is not over
BETWEEN_CLICKS = timedelta(seconds=1)
MOST_PICKED = 11
HALF = MOST_PICKED // 2

Row = TypeVar("Row")


@dataclass(frozen=True)
class Click:
    """How somebody sends a form.

    Attributes:
        by: who does; where somebody has to, most often that one does it instead.
        pick: which, of those that there are.
        ago: how many pages ago the form was shown.
        end: how the server ends the first sending.
    """

    by: str
    pick: int = 0
    ago: int = 0
    end: End = End.ANSWERED

    def who(self, should: str) -> str:
        """Return who does what somebody should do; "" is nobody."""
        return should if should and self.pick % 4 else self.by


def clicks(*people: str) -> st.SearchStrategy[Click]:
    """Return clicks of these people, most of them as they should be."""
    return st.builds(
        Click,
        st.sampled_from(people),
        st.integers(0, MOST_PICKED),
        st.sampled_from([0, 0, 0, 0, 0, 0, 1, 4]),
        st.sampled_from([End.ANSWERED] * 5 + [End.DIED_BEFORE, End.DIED_AFTER]),
    )


PEOPLE = ("ada", "rae", "dev", "rel")
DRIVERS = ("dev", "rel", "dev", "rel", "dev", "ada")
ANYBODY = ("dev", "rel", "ada", "rae")
GERRIT = ("patch set", "abandoned", "in progress", "CI failed", "vote gone", "fine", "merged", "")
FACTS: Mapping[str, Mapping[str, object]] = {
    "abandoned": {"status": ChangeStatus.ABANDONED},
    "in progress": {"work_in_progress": True},
    "CI failed": {"labels": {"Verified": -1, "Code-Review": 2}},
    "vote gone": {"labels": {"Verified": 2}},
    "merged": {"status": ChangeStatus.MERGED},
}


Act = Callable[..., None]


@dataclass(frozen=True)
class Move:
    """What may happen next in a walk.

    Attributes:
        act: the method that does it.
        given: what it is called with.
        when: tells whether it can be.
    """

    act: Act
    given: st.SearchStrategy[dict[str, Any]]
    when: Callable[["Walk"], object]


MOVES: list[Move] = []


def move(
    when: Callable[["Walk"], object] = lambda _: True,
    often: int = 1,
    **given: st.SearchStrategy[Any],
) -> Callable[[Act], Act]:
    """Make a method a move, that many times as likely as the others that can be made."""

    def made(act: Act) -> Act:
        MOVES.extend([Move(act, st.fixed_dictionaries(given), when)] * often)
        return act

    return made


class Walk(RuleBasedStateMachine):
    """One window, from its lock to its end, on whatever way the clicks lead.

    Attributes:
        people: Ada, Rae, Dev and Rel, by name.
        is_shown: whether the last page shows what there is.
        is_seen: whether all was seen to be well since the last click.
        has_news: whether anything happened since the clock ticked; has_moved: in Gerrit.
        ticks: step and place of each item of which an event says that it is done.
    """

    people: ClassVar[Mapping[str, User]]
    tally: ClassVar[Tally]
    clock: ClassVar[Clock]
    is_to_find: ClassVar[bool]

    def __init__(self) -> None:
        super().__init__()
        self.clock.at = MOMENT
        self.actors = [actor_of(person) for person in self.people.values()]
        self.server = Server(lambda: look(self.window), self.tally)
        self.pages: list[Course] = []
        self.is_shown = self.is_seen = self.is_locked = False
        self.has_news = self.has_moved = False
        self.ticks: Counter[tuple[object, object]] = Counter()
        self.minutes_passed = 0
        self.all_of_it = transaction.atomic()
        self.all_of_it.__enter__()

    @initialize(queue=queues(), clicks=st.integers(0, 5), steps=st.integers(0, 2))
    def lock(self, queue: Queue, clicks: int, steps: int) -> None:
        """Lock a queue; most often Dev has begun the window, and deployed some of it."""
        self.tally.walks += 1
        self.queue = queue
        self.window, self.backports = book(queue, self.people)
        self.numbers = sorted(self.backports)
        self.patch_sets = dict.fromkeys(self.numbers, 1)
        self.gerrit = FakeReviewSystem(one.told() for one in queue.asked.values())
        self.before = look(self.window)
        self.is_locked = True
        for _ in range(steps):
            self.deploy_a_step()
        for _ in range(clicks):
            self.go_on()

    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        """Make any move that can be made."""
        found = data.draw(st.sampled_from([one for one in MOVES if one.when(self)]))
        given = data.draw(found.given)
        note(f"{found.act.__name__}: {given}")
        found.act(self, **given)

    # --- What people see, and send ---------------------------------------------------------------

    def page(self, ago: int = 0) -> Course:
        """Return what a page shows: now, or one that was opened a while ago."""
        if ago and self.pages:
            return self.pages[-min(ago, len(self.pages))]
        if not self.is_shown:
            self.window.refresh_from_db()
            course = course_of(self.window, database_now())
            self._see_that_somebody_has_something_to_do(course)
            self.pages = [*self.pages[1 - PAGES :], course]
            self.is_shown = True
        return self.pages[-1]

    def _see_that_somebody_has_something_to_do(self, course: Course) -> None:
        told = [now_for(course.person(actor), course.hour) for actor in self.actors]
        if not (course.is_closed or any(one.is_mine for one in told)):
            raise AssertionError(f"Everybody waits: {[one.sentence for one in told]}")

    def send(self, name: str, by: str, deed: Deed, end: End = End.ANSWERED) -> bool:
        """Send a form, and see that all is well afterwards; return whether it was done."""
        self.clock.put_forward(BETWEEN_CLICKS)
        is_done = self.server.send(name, self.people[by], deed, end)
        self.is_shown = self.is_shown and not is_done
        self.has_news = self.has_news or is_done
        self.see()
        self.is_seen = True
        return is_done

    def on(self, page: Course, position: int, by: str) -> OnStep:
        """Return a step as a page shows it to somebody."""
        row = page.rows.get(position)
        lease = lease_on(page, by) or None
        return OnStep(self.window, position, self.people[by], row.turn if row else 0, lease)

    def backport(self, pick: int) -> Backport:
        """Return a backport as its page shows it."""
        rows = Backport.objects.select_related("change", "window", "requester", "edited_by")
        return rows.get(pk=self.backports[one_of(self.numbers, pick)].pk)

    @move(
        pick=st.integers(0, MOST_PICKED), is_new=st.booleans(), when=lambda self: self.server.sent
    )
    def go_back(self, pick: int, is_new: bool) -> None:
        """Go back in the browser, and send an old form again; or its content with a new key."""
        old = one_of(self.server.sent[::-1], pick)
        if is_new:
            name = old.name.removesuffix(" (an old page)")
            self.send(f"{name} (an old page)", old.by.username, old.deed)
            return
        self.server.send_again(old)
        self.is_shown = False

    # --- The wheel -------------------------------------------------------------------------------

    @move(click=clicks(*DRIVERS), reason=st.sampled_from(["They left.", "They left.", ""]))
    def take(self, click: Click, reason: str) -> None:
        """Take the wheel, or take it over."""
        self._take(click.by, reason, click.end)

    def _take(self, by: str, reason: str = "", end: End = End.ANSWERED) -> bool:
        person = self.people[by]
        deed: Deed = partial(take_wheel, window=self.window, by=person, reason=reason)
        return self.send("take", by, deed, end)

    @move(click=clicks(*DRIVERS), to=st.sampled_from(DRIVERS))
    def hand_over(self, click: Click, to: str) -> None:
        """Offer the wheel, accept it, or give it back: most often who can."""
        page = self.page(click.ago)
        offered_to = page.hour.offered_to
        by = click.who(offered_to or page.hour.driver)
        person, lease = self.people[by], lease_on(page, by)
        if offered_to and page.lease:
            number = page.lease.number
            self.send(
                "accept",
                by,
                partial(accept_wheel, window=self.window, by=person, lease=number),
                click.end,
            )
        elif click.pick % 3:
            other = self.people[to]
            self.send(
                "offer",
                by,
                partial(
                    offer_wheel,
                    window=self.window,
                    by=person,
                    lease=lease,
                    to=other,
                    note="Step 2 is live.",
                ),
                click.end,
            )
        else:
            self.send(
                "give back",
                by,
                partial(give_back_wheel, window=self.window, by=person, lease=lease),
                click.end,
            )

    @move(minutes=st.integers(2, 12), when=lambda self: self.minutes_passed < MOST_PASSING)
    def time_passes(self, minutes: int) -> None:
        """Let minutes go by: most often the lease runs out, and the last start comes nearer."""
        minutes = min(minutes, MOST_PASSING - self.minutes_passed)
        self.minutes_passed += minutes
        in_force = Lease.objects.filter(window=self.window, ended_at__isnull=True)
        lasted = in_force.filter(until__gt=self.clock.at).count()
        self.clock.put_forward(timedelta(minutes=minutes))
        left = in_force.filter(until__gt=self.clock.at).count()
        self.tally.done["lease runs out"] += lasted - left
        self.tally.done["minutes pass"] += minutes
        self.is_shown = False

    # --- Driving ---------------------------------------------------------------------------------

    @move(times=st.integers(1, 4))
    def carry_on(self, times: int) -> None:
        """Do what the page says, some times."""
        for _ in range(times):
            self.go_on()

    @move()
    def deploy_a_step(self) -> None:
        """Do what the page says until a step is over, or something is refused."""
        for _ in range(LONGEST_STEP):
            was_under_way = self.page().state.current is not None
            is_done = self.go_on()
            if not is_done or (was_under_way and self.page().state.current is None):
                return

    @move(click=clicks("dev"))
    def one_click(self, click: Click) -> None:
        """Do what a page says, perhaps one that is out of date, on a server that may die."""
        self.go_on(click)

    def go_on(self, click: Click = Click("dev")) -> bool:
        """Do what the page says but for choosing and closing; return whether that was done."""
        page = self.page(click.ago)
        by, state = page.hour.driver, page.state.current
        if page.is_closed:
            return False
        if not by:
            return self._take("dev", end=click.end)
        if page.run is None:
            return self._begin(page, by, click.end)
        if state is not None:
            return bool(state.turn) and self._tick(page, state, click)
        upcoming = page.state.next_step
        return upcoming is not None and self._start(page, upcoming.position, by, click.end)

    def _begin(self, page: Course, by: str, end: End) -> bool:
        person, lease = self.people[by], lease_on(page, by)
        deed: Deed = partial(
            begin_window, window=self.window, by=person, lease=lease, seen=seen_of(page)
        )
        return self.send("begin", by, deed, end)

    def _start(self, page: Course, position: int, by: str, end: End) -> bool:
        reading = read_before_start(window=self.window, position=position, system=self.gerrit)
        self.is_shown = False
        on = self.on(page, position, by)
        return self.send("start", by, partial(start_step, on=on, reading=reading), end)

    def _tick(self, page: Course, state: StepState, click: Click) -> bool:
        item, by = one_of(state.turn, click.pick), page.hour.driver or click.by
        if item.kind is ItemKind.VERIFY and not page.answers[item.number or 0].by_plan:
            by = "ada"
        on, proof = self.on(page, state.position, by), f"Seen by {by}."
        deed: Deed = partial(tick_item, on=on, item=item.key, proof=proof)
        return self.send(f"tick {item.kind.value}", by, deed, click.end)

    @move(often=3, click=clicks(*ANYBODY))
    def start_any(self, click: Click) -> None:
        """Start any step, or begin: what no page offers; often when nothing is under way."""
        if self.page().state.current is not None and click.pick > HALF:
            self.deploy_a_step()
        page = self.page(click.ago)
        by = click.who(page.hour.driver)
        if page.run is None:
            self._begin(page, by, click.end)
        else:
            last_first = page.state.steps[::-1]
            waiting = [s for s in last_first if s.phase is Phase.WAITING]
            state = one_of(waiting if waiting and click.pick % 4 else last_first, click.pick // 2)
            self._start(page, state.position, by, click.end)

    @move(
        often=2,
        click=clicks(*ANYBODY),
        pick=st.integers(0, 59),
        when=lambda self: self.before.steps,
    )
    def tick_any(self, click: Click, pick: int) -> None:
        """Tick any item of any step: what no page offers."""
        page = self.page(click.ago)
        if not page.rows:
            return
        state, item = one_of([(s, i) for s in page.state.steps for i in s.items], pick)
        by = click.who(page.hour.driver)
        on = self.on(page, state.position, by)
        self.send("tick anything", by, partial(tick_item, on=on, item=item.key), click.end)

    @move(click=clicks(*ANYBODY), when=lambda self: self.pages and self.pages[-1].hour.unverified)
    def vouch(self, click: Click) -> None:
        """Say, as the second person, that a step may start."""
        page = self.page(click.ago)
        position = page.hour.unverified or one_of(page.state.steps, click.pick).position
        on = self.on(page, position, click.by)
        deed: Deed = partial(vouch_for_step, on=on, reason="I looked.")
        self.send("vouch", click.by, deed, click.end)

    @move(
        click=clicks(*ANYBODY),
        when=lambda self: self.before.is_to_break or len(self.server.sent) % 9 == 0,
    )
    def fail(self, click: Click) -> None:
        """Say that a step failed: most often the one that is under way, as who drives."""
        page, position = self._about(click)
        by = click.who(page.hour.driver)
        on = self.on(page, position, by)
        deed: Deed = partial(fail_step, on=on, output="Every page is a 500.")
        self.send("fail", by, deed, click.end)

    @move(
        click=clicks(*ANYBODY),
        choice=st.sampled_from(Choice),
        when=lambda self: self.before.is_to_choose or len(self.server.sent) % 9 == 0,
    )
    def choose(self, click: Click, choice: Choice) -> None:
        """Choose what is done about a step that failed."""
        page, position = self._about(click)
        self._choose(page, position, choice, click)

    def _about(self, click: Click) -> tuple[Course, int]:
        """Return a page, and the step on it that is under way, or one that was started; or any."""
        page = self.page(click.ago)
        started = [s for s in page.state.steps if s.phase is not Phase.WAITING]
        state = one_of(started, click.pick) if started else None
        state = page.state.current or state if click.pick % 5 else None
        return page, (state or one_of(page.state.steps, click.pick)).position

    def _choose(self, page: Course, position: int, choice: Choice, click: Click) -> bool:
        by = click.who(page.hour.driver)
        on, shown = (
            self.on(page, position, by),
            shown_of(page.state.after_failing(position, choice)),
        )
        deed: Deed = partial(choose_for_step, on=on, choice=choice, shown=shown, reason="It broke.")
        return self.send(f"choose to {choice.value}", by, deed, click.end)

    @move(click=clicks(*DRIVERS), minutes=st.integers(0, 61), when=lambda self: self.before.steps)
    def extend(self, click: Click, minutes: int) -> None:
        """Let steps start later."""
        page = self.page(click.ago)
        by = click.who(page.hour.driver)
        person, lease = self.people[by], lease_on(page, by)
        deed: Deed = partial(
            extend_window,
            window=self.window,
            by=person,
            lease=lease,
            minutes=minutes,
            reason="One more.",
        )
        self.send("extend", by, deed, click.end)

    @move(click=clicks(*DRIVERS), when=lambda self: self.before.steps and not self.before.is_closed)
    def close(self, click: Click) -> None:
        """Close the window, seldom before all is done that can be."""
        page = self.page(click.ago)
        if page.state.next_step is None or click.pick == 0:
            self._close(page, click)

    def _close(self, page: Course, click: Click) -> bool:
        by = click.who(page.hour.driver)
        person, lease = self.people[by], lease_on(page, by)
        left = ",".join(str(s.position) for s in page.state.steps if s.phase is Phase.WAITING)
        deed: Deed = partial(
            close_window,
            window=self.window,
            by=person,
            lease=lease,
            seen=left,
            reason="The hour is over.",
        )
        return self.send("close", by, deed, click.end)

    # --- Others ----------------------------------------------------------------------------------

    @move(
        click=clicks(*DRIVERS),
        why=st.sampled_from(sorted(WHY_MISSED)),
        when=lambda self: self.before.steps,
    )
    def miss(self, click: Click, why: str) -> None:
        """Let a step be missed."""
        page = self.page(click.ago)
        position, by = one_of(page.state.steps, click.pick).position, click.who(page.hour.driver)
        try:
            shown = shown_of(page.state.require_missing(position))
        except Refused:  # the page has no such form; somebody sends one all the same
            shown = "//"
        on = self.on(page, position, by)
        self.send("miss", by, partial(miss_step, on=on, why=why, shown=shown), click.end)

    @move(
        click=clicks("dev", "rel", "ada", "ada"),
        when=lambda self: self.before.steps or len(self.server.sent) % 9 == 0,
    )
    def leave(self, click: Click) -> None:
        """Have a deployer veto a backport, or its requester withdraw it."""
        row, by = self.backport(click.pick), self.people[click.by]
        seen = row.fingerprint
        if click.by == "ada":
            deed: Deed = partial(withdraw_backport, backport=row, by=by, fingerprint=seen)
            self.send("withdraw", click.by, deed, click.end)
        else:
            deed = partial(
                veto_backport, backport=row, by=by, fingerprint=seen, reason="Not today."
            )
            self.send("veto", click.by, deed, click.end)

    @move(click=clicks("rae"), when=lambda self: "submitted" in self.before.statuses.values())
    def approve_again(self, click: Click) -> None:
        """Approve what lost its approval: it is too late for this queue."""
        row, rae = self.backport(click.pick), self.people["rae"]
        seen = row.fingerprint
        deed: Deed = partial(approve_backport, backport=row, reviewer=rae, fingerprint=seen)
        self.send("approve again", "rae", deed, click.end)

    @move(click=clicks("ada", "ada", "rae", "dev", "rel"))
    def be_there(self, click: Click) -> None:
        """Say that one is there to test; who drives leaves a page open, which says so."""
        if click.by in {"ada", "rae"}:
            row, by = self.backport(click.pick), self.people[click.by]
            self.send("check in", click.by, partial(check_in, backport=row, by=by), click.end)
            return
        lease = lease_on(self.page(click.ago), click.by)
        until = keep_wheel(window=self.window, by=self.people[click.by], lease=lease)
        self.tally.done["keep"] += until is not None
        self.tally.refused["keep"] += until is None

    @move(how=st.sampled_from(GERRIT), pick=st.integers(0, MOST_PICKED))
    def gerrit_moves(self, how: str, pick: int) -> None:
        """Have something happen to a change in Gerrit, or have Gerrit say nothing about it."""
        number = one_of(self.numbers, pick)
        self.tally.done[f"Gerrit: {how or 'silent'}"] += 1
        self.has_news = self.has_moved = True
        if how in {"patch set", "merged"}:  # it may make one when it merges by rebasing
            self.patch_sets[number] += 1 if how == "patch set" else pick % 2
        told = self.queue.asked[number].told(
            patch_set=self.patch_sets[number], **FACTS.get(how, {})
        )
        self.gerrit.answers[number] = (told,)
        if not how:
            del self.gerrit.answers[number]

    @move(when=lambda self: self.has_news)
    def clock_ticks(self) -> None:
        """Have the clock ask Gerrit about what is booked, sweep the outbox, and close nothing."""
        now = timezone.now()
        if self.has_moved:
            refresh_open_windows(system=self.gerrit, now=now)
            self.tally.done["Gerrit is read"] += 1
        deliver_events(at=now)
        if close_what_was_left(now=now):
            raise AssertionError("The clock closed a window that is not over.")
        self.tally.done["clock ticks"] += 1
        self.is_shown = self.has_news = self.has_moved = False

    # --- What must be true -----------------------------------------------------------------------

    @invariant()
    def nothing_is_broken(self) -> None:
        """See that all is well after every click."""
        if not self.is_seen:
            self.see()
        self.is_seen = False

    def see(self) -> None:
        """See that no law was broken since the last look.

        Raises:
            AssertionError: one was.
        """
        after = look(self.window, since=self.before.events)
        self.ticks.update(after.ticks)
        if wrong := broken_by(Turn(self.before, after, self.queue.needs, self.ticks)):
            raise AssertionError(" ".join(wrong))
        self.before = after

    def teardown(self) -> None:
        """Have the hour brought to its end, see that the record of it is whole, and forget it."""
        error = sys.exc_info()[1]
        try:
            if self.is_locked and error is None:
                self._finish()
                self._verify()
        except Exception as wrong:
            error = wrong
            raise
        finally:
            transaction.set_rollback(True)
            self.all_of_it.__exit__(None, None, None)
            if self.is_to_find and isinstance(error, Exception):
                raise _Found(error)

    def _finish(self) -> None:
        """Have people who know what they do bring the hour to its end, from wherever it is.

        Raises:
            AssertionError: that is not possible.
        """
        for _ in range(LONGEST_END):
            page = self.page()
            if page.is_closed or page.run is None:
                return
            if not self._do_what_is_next(page):
                break
        raise AssertionError(f"The hour cannot be ended: {self.page().state}")

    def _do_what_is_next(self, page: Course) -> bool:
        by, state = page.hour.driver, page.state.current
        state = state or page.state.halting
        if not by:
            return self._take("dev")
        if state is None:
            return self._close(page, Click(by))
        if state.turn:
            return self._tick(page, state, Click(by))
        choice = Choice.REVERT if state.may_be_merged else Choice.LEAVE
        return self._choose(page, state.position, choice, Click(by))

    def _verify(self) -> None:
        now = timezone.now()
        deliver_events(at=now)  # the clock did not tick every minute
        broken = [one for invariant in INVARIANTS for one in invariant.broken(now)]
        _, found = read_log()
        if found is not None:
            broken.append(found.what)
        if self.gerrit.was_in_transaction:
            broken.append("Gerrit was asked inside a transaction.")
        if broken:
            raise AssertionError(" ".join(broken))
        connection.check_constraints()


def lease_on(page: Course, by: str) -> int:
    """Return the number that a page shows its reader; 0 if they do not drive."""
    lease = page.lease
    return lease.number if lease and lease.holder.username == by else 0


def one_of(found: Sequence[Row], pick: int) -> Row:
    """Return one of what there is."""
    return found[pick % len(found)]


class _Found(BaseException):
    """Something is wrong: no error of the kind that Hypothesis walks to once more."""

    def __init__(self, what: Exception) -> None:
        super().__init__(what)
        self.what = what


def walk(
    people: Mapping[str, User],
    walks: int,
    tally: Tally,
    *,
    seed: int,
    is_to_find: bool = False,
) -> None:
    """Walk so many times, in a transaction that somebody rolls back, by a clock of their own.

    Args:
        people: those of `PEOPLE`, by name.
        walks: how many times.
        tally: counts what is done.
        seed: walks with the same one are the same.
        is_to_find: stop at the first violation, without looking for the shortest way to it.

    Raises:
        AssertionError: something was broken; unless it was only to be found, what led to it is
            printed.
    """
    with standing_still() as clock:
        given = {"people": people, "tally": tally, "clock": clock, "is_to_find": is_to_find}
        try:
            run_state_machine_as_test(
                seeded(seed)(type("Walk", (Walk,), given)),
                settings=settings(
                    max_examples=walks,
                    stateful_step_count=STEPS,
                    deadline=None,
                    database=None,
                    phases=[Searching.generate, Searching.shrink],
                    print_blob=True,
                    report_multiple_bugs=False,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except _Found as found:
            raise found.what from None
