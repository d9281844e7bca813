"""Time `manage.py verify` on 200,000 events beside a plain SELECT of the same rows, in one run.

`make bench` runs it, on a SQLite file of its own. The log is made in bulk with the right hashes:
25,000 backports with eight events each, all handed on. Best of three, seconds.
"""

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import django
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
FOLDER = tempfile.TemporaryDirectory(prefix="swat-bench-")
os.environ["DATABASE_URL"] = f"sqlite:///{FOLDER.name}/bench.sqlite3"
os.environ["SECRET_KEY"] = secrets.token_urlsafe(64)
os.environ["DJANGO_SETTINGS_MODULE"] = "swat.settings"
os.environ["DEBUG"] = "0"
django.setup()

from scheduler.models import (  # noqa: E402 - Django reads the environment first
    Backport,
    Change,
    Delivery,
    Event,
    EventHead,
    Review,
    User,
    Window,
)
from scheduler.models.events import GENESIS  # noqa: E402
from scheduler.services.events import hash_of, read_log  # noqa: E402
from scheduler.services.invariants import INVARIANTS  # noqa: E402

BACKPORTS = 25_000
GOAL = 5.0  # seconds
BATCH = 5_000
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
REASON = "It can wait for the train, which brings it on Thursday."
# What each backport goes through: who does it, and what.
LIFE = (
    ("ada", "backport.submit"),
    ("rae", "backport.ask"),
    ("ada", "backport.reply"),
    ("rae", "backport.approve"),
    ("rae", "backport.withdraw-approval"),
    ("rae", "backport.approve"),
    ("", "backport.void-approval"),
    ("ada", "backport.withdraw"),
)
EVENTS = BACKPORTS * len(LIFE)


@transaction.atomic
def make_log() -> None:
    """Make the rows: a window, its backports, their reviews, events and deliveries."""
    people = {name: User.objects.create_user(name) for name in ("ada", "rae")}
    window = Window.objects.create(start=START, end=START + timedelta(hours=1), title="Morning")
    numbers = range(1, BACKPORTS + 1)
    changes = Change.objects.bulk_create((Change(number=n) for n in numbers), BATCH)
    backports = Backport.objects.bulk_create(
        (
            Backport(
                change=change,
                window=window,
                requester=people["ada"],
                status="withdrawn",
                submitted_at=START,
            )
            for change in changes
        ),
        BATCH,
    )
    Review.objects.bulk_create(reviews_of(backports, people), BATCH)
    events = Event.objects.bulk_create(chained(backports, people, window), BATCH)
    deliveries = (Delivery(event=event, delivered_at=START) for event in events)
    Delivery.objects.bulk_create(deliveries, BATCH)
    EventHead.objects.create(id=1, seq=EVENTS, hash=events[-1].hash)


def reviews_of(backports: list[Backport], people: dict[str, User]) -> Iterator[Review]:
    """Yield the review rows that the events tell of."""
    for backport in backports:
        for decision in ("ask", "approve", "approve"):
            yield Review(
                backport=backport,
                reviewer=people["rae"],
                requester=people["ada"],
                decision=decision,
                reason=REASON,
                patch_set=1,
                made_at=START,
                voided_at=START,
            )


def chained(backports: list[Backport], people: dict[str, User], window: Window) -> Iterator[Event]:
    """Yield the events, each with the hash of the one before."""
    seq, previous = 0, GENESIS
    for backport in backports:
        for actor, kind in LIFE:
            seq += 1
            event = Event(
                seq=seq,
                kind=kind,
                actor=people.get(actor),
                actor_name=actor,
                window=window,
                backport=backport,
                payload={"patch_set": 1, "sha": f"{seq:040x}", "reason": REASON},
                previous_hash=previous,
                at=START + timedelta(seconds=seq),
            )
            event.hash = previous = hash_of(event)
            yield event


def select_all() -> int:
    """Read every column of every event, as the database gives them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT seq, kind, actor_name, actor_id, window_id, backport_id, payload, at,"
            " previous_hash, hash FROM scheduler_event ORDER BY seq"
        )
        return len(cursor.fetchall())


def seconds(run: Callable[[], object], times: int = 3) -> float:
    """Return the best time of some runs, seconds."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begun)
    return min(taken)


def main() -> int:
    """Make the log, time everything, and return 1 if the goal was missed."""
    call_command("migrate", verbosity=0)
    print(f"{EVENTS:,} events made in {seconds(make_log, times=1):.1f} s")
    head, found = read_log()
    if found is not None or head.seq != EVENTS:
        raise SystemExit(f"the benchmark is wrong: {found}")
    plain, log = seconds(select_all), seconds(read_log)
    print(f"{'plain SELECT, no hashing':<28}{plain:>8.2f} s")
    print(f"{'verify: the log':<28}{log:>8.2f} s   {log / plain:.1f}x the SELECT")
    total = log
    for invariant in INVARIANTS:
        if broken := invariant.broken(timezone.now()):
            raise SystemExit(f"the benchmark is wrong: {invariant.name} {broken[:3]}")
        took = seconds(lambda one=invariant: one.broken(timezone.now()))  # type: ignore[misc]
        total += took
        print(f"{'verify: ' + invariant.name:<28}{took:>8.2f} s")
    reached = total <= GOAL
    verdict = "reached" if reached else "missed"
    print(f"{'verify: everything':<28}{total:>8.2f} s   goal {GOAL:.0f} s: {verdict}")
    return int(not reached)


if __name__ == "__main__":
    sys.exit(main())
