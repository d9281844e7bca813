"""The races of `races.py` on the one database of the environment, on which Django is set up.

Each argument is a race with how many clients and rounds it has, such as `last-slot:50:200`.
"""

import itertools
import secrets
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial

from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.models import QuerySet
from django.utils import timezone

from scheduler.domain.errors import Refused
from scheduler.domain.lifecycle import Status
from scheduler.models import Backport, Change, Lease, Review, User, Window
from scheduler.queries import newest_plan
from scheduler.services.backports import submit_backport, submit_backports
from scheduler.services.calendar import WindowFacts, add_window
from scheduler.services.changes import store_changes
from scheduler.services.events import first_break
from scheduler.services.idempotency import once
from scheduler.services.leases import take_wheel
from scheduler.services.patience import patiently
from scheduler.services.reviews import approve_backport
from tests.factories import (
    answers,
    approve,
    fetched,
    make_backport,
    make_change,
    make_person,
    make_window,
)

CONTROL_ROUNDS = 20
FAR_AHEAD = 100_000  # hours: after the windows of the other races
Job = Callable[[], object]


@dataclass
class Round:
    """One round: what the clients do, and how many violations there were."""

    jobs: Sequence[Job]
    violations: Callable[[], int]


@dataclass
class Tally:
    """What came of the rounds of a race."""

    violations: int = 0
    errors: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)


_numbers = itertools.count(1)


def numbers() -> int:
    """Return a new number, for changes and for the hours of windows: rounds do not meet."""
    return next(_numbers)


def person(name: str) -> User:
    """Return one of the cast."""
    return User.objects.filter(username=name).first() or make_person(name)


def booked() -> Backport:
    """Return Ada's backport of a new change in a window of its own."""
    return make_backport(make_window(in_hours=numbers()), person("ada"), fetched(1000 + numbers()))


def new_patch_set(clients: int, *, guarded: bool) -> Round:
    """Approvals of what was shown, while the change moves to another patch set."""
    backport, rae = booked(), person("rae")
    number, shown = backport.change.number, backport.fingerprint

    def approve_shown() -> object:
        current = Backport.objects.get(pk=backport.pk)
        if guarded:
            return approve_backport(backport=current, reviewer=rae, fingerprint=shown)
        if current.fingerprint == shown:  # looks, then writes
            time.sleep(0.002)
            Backport.objects.filter(pk=backport.pk).update(status=Status.APPROVED.value)
        return None

    def push() -> object:
        return store_changes(fetched=[fetched(number, patch_set=2)], at=timezone.now())

    def violations() -> int:
        row = Backport.objects.get(pk=backport.pk)
        in_force = Review.objects.filter(backport=row, voided_at__isnull=True).count()
        return int(row.status != Status.SUBMITTED.value) + in_force

    return Round([push, *[approve_shown] * (clients - 1)], violations)


def double_submit(clients: int, *, guarded: bool) -> Round:
    """One form, sent by one person as often as there are clients."""
    ada, window = person("ada"), make_window(in_hours=numbers())
    change = make_change(fetched(1000 + numbers()))
    key = secrets.token_hex(16)

    def effect() -> str:
        return f"/backports/{submit(change, window, ada).pk}"

    def send() -> object:
        if guarded:
            return once(user=ada, key=key, request_hash="h", effect=effect)
        if not Backport.objects.filter(change=change, window=window).exists():
            time.sleep(0.002)
            make_row(change, window, ada)
        return None

    return Round([send] * clients, lambda: abs(Backport.objects.filter(window=window).count() - 1))


def make_row(change: Change, window: Window, requester: User) -> None:
    """Write a row past everything that guards it."""
    copy = Change.objects.get(pk=change.pk)
    copy.pk, copy.number = None, 10_000_000 + secrets.randbelow(10**9)
    copy.save(force_insert=True)
    Backport.objects.create(
        change=copy, window=window, requester=requester, submitted_at=timezone.now()
    )


def submit(change: Change, window: Window, requester: User) -> Backport:
    """Book a change, from rows read by this client."""
    return submit_backport(
        change=Change.objects.get(pk=change.pk),
        window=Window.objects.get(pk=window.pk),
        requester=requester,
        answers=answers(),
    )


def two_approvers(clients: int, *, guarded: bool) -> Round:
    """As many approve as there are clients; one approval may be in force."""
    backport, reviewers = booked(), [person("rae"), person("rel")]
    shown = backport.fingerprint
    given: list[int] = []

    def approve_as(reviewer: User) -> Job:
        def job() -> object:
            current = Backport.objects.get(pk=backport.pk)
            if guarded:
                return approve_backport(backport=current, reviewer=reviewer, fingerprint=shown)
            if current.status == Status.SUBMITTED.value:
                time.sleep(0.002)
                Backport.objects.filter(pk=backport.pk).update(status=Status.APPROVED.value)
                given.append(reviewer.pk)
            return None

        return job

    def violations() -> int:
        if not guarded:
            return len(given) - 1
        return abs(Review.objects.filter(backport=backport, voided_at__isnull=True).count() - 1)

    return Round([approve_as(reviewers[n % 2]) for n in range(clients)], violations)


def last_slot(clients: int, *, guarded: bool) -> Round:
    """All take the last slot of a window: their changes are approved, and one has room."""
    ada, rae, window = person("ada"), person("rae"), make_window(in_hours=numbers())
    slots = window.numbers.max_patches
    changes = [make_change(fetched(1000 + numbers())) for _ in range(slots - 1 + clients)]
    booked = submit_backports(changes=changes, window=window, requester=ada, answers=answers())
    for backport in booked[: slots - 1]:
        approve(backport, rae)
    free = 1
    last = booked[slots - 1 :]
    shown = {one.pk: Backport.objects.get(pk=one.pk).fingerprint for one in last}
    taken: list[int] = []

    def take(backport: Backport) -> Job:
        def job() -> object:
            nonlocal free
            if guarded:
                return approve_backport(
                    backport=Backport.objects.get(pk=backport.pk),
                    reviewer=rae,
                    fingerprint=shown[backport.pk],
                )
            if free > 0:
                time.sleep(0.002)
                free -= 1
                taken.append(backport.pk)
            return None

        return job

    def violations() -> int:
        if not guarded:
            return len(taken) - 1
        plan = newest_plan(window)
        queued = sum(len(step["changes"]) for step in plan.result["queue"]) if plan else 0
        return abs(queued - slots)

    return Round([take(one) for one in last], violations)


def same_window(clients: int, *, guarded: bool) -> Round:
    """All add a window to the calendar at about the same hour: any two of them would overlap."""
    rel, hour = person("rel"), timedelta(hours=1)
    begins = timezone.now() + (FAR_AHEAD + 3 * numbers()) * hour

    def add(place: int) -> Job:
        start = begins + timedelta(seconds=place)

        def job() -> object:
            if guarded:
                return add_window(facts=WindowFacts("Extra SWAT", start, 60), by=rel)
            if not overlapping().exists():
                time.sleep(0.002)
                Window.objects.create(title="Extra SWAT", start=start, end=start + hour)
            return None

        return job

    def overlapping() -> QuerySet[Window]:
        return Window.objects.filter(start__lt=begins + 2 * hour, end__gt=begins)

    return Round([add(n) for n in range(clients)], lambda: abs(overlapping().count() - 1))


def two_deployers(clients: int, *, guarded: bool) -> Round:
    """Deployers take the wheel of a window that nobody drives: one does, the others hear who."""
    window, people = locked_window(), [person("dev"), person("rel")]
    took: list[User] = []
    told: list[str] = []

    def take(by: User, here: Window) -> object:
        try:
            return take_wheel(window=here, by=by)
        except Refused as refusal:
            told.append(refusal.sentence)
            raise

    def look_then_take(by: User, _here: Window) -> None:
        if not Lease.objects.filter(window=window, ended_at__isnull=True).exists():
            time.sleep(0.002)
            took.append(by)

    def violations() -> int:
        return clients - 1 - heard_who_drives(window, told) if guarded else len(took) - 1

    one = take if guarded else look_then_take
    here = [Window.objects.get(pk=window.pk) for _ in range(clients)]
    return Round([partial(one, people[n % 2], here[n]) for n in range(clients)], violations)


def heard_who_drives(window: Window, told: Sequence[str]) -> int:
    """Return how many refusals name the one who drives a window, and since when; none if two do."""
    held = Lease.objects.filter(window=window).select_related("holder")
    drive = [f"{one.holder.username} drives this window since {one.taken_at:%H:%M}" for one in held]
    rightly = (*drive, "You drive this window already")
    return sum(one.startswith(rightly) for one in told) if len(drive) == 1 else 0


def locked_window() -> Window:
    """Return a window of its own that is locked; what is in its queue does not matter here."""
    window = make_window(in_hours=numbers())
    Window.objects.filter(pk=window.pk).update(
        locked_at=timezone.now(), locked_by=person("dev"), locked_numbers=asdict(window.numbers)
    )
    return window


RACES = {
    "new-patch-set": new_patch_set,
    "double-submit": double_submit,
    "two-approvers": two_approvers,
    "last-slot": last_slot,
    "same-window": same_window,
    "two-deployers": two_deployers,
}


def run(jobs: Sequence[Job], tally: Tally) -> None:
    """Let all clients go at the same moment, and wait for the last."""
    barrier = threading.Barrier(len(jobs) + 1)

    def client(job: Job) -> None:
        connection.ensure_connection()
        barrier.wait()
        begun = time.perf_counter()
        try:
            patiently(job)
        except Refused:
            pass
        except OperationalError as error:
            tally.errors.append(str(error).strip())
        finally:
            tally.times.append((time.perf_counter() - begun) * 1000)
            connection.close()

    threads = [threading.Thread(target=client, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    barrier.wait()
    for thread in threads:
        thread.join()


def raced(name: str, clients: int, rounds: int, *, guarded: bool) -> Tally:
    """Run the rounds of one race."""
    tally = Tally()
    for _ in range(rounds):
        one = RACES[name](clients, guarded=guarded)
        run(one.jobs, tally)
        tally.violations += one.violations()
    return tally


def on_this_database(races: Sequence[tuple[str, int, int]]) -> bool:
    """Run races on the database of the environment; return whether all is as it must be.

    Args:
        races: name, clients and rounds of each.
    """
    call_command("migrate", verbosity=0)
    fine = True
    for name, clients, rounds in races:
        tally = raced(name, clients, rounds, guarded=True)
        control = raced(name, clients, CONTROL_ROUNDS, guarded=False)
        cuts = statistics.quantiles(tally.times, n=100)
        print(
            f"{connection.vendor:>10} {name:>14} {clients:>7} {rounds:>6} {tally.violations:>10} "
            f"{len(tally.errors):>6} {control.violations:>7} {cuts[49]:>7.0f} {cuts[98]:>7.0f}",
            flush=True,
        )
        fine = fine and not tally.violations and not tally.errors and control.violations > 0
    if (broken := first_break()) is not None:
        print(f"{connection.vendor}: the audit log breaks at event {broken}")
    return fine and broken is None


if __name__ == "__main__":
    told = [argument.split(":") for argument in sys.argv[1:]]
    races = [(name, int(clients), int(rounds)) for name, clients, rounds in told]
    sys.exit(0 if on_this_database(races) else 1)
