"""Fill the one database of the environment for `scale.py`, time the pages, and print that as JSON.

The last line is an object: page to median, 95th percentile and processor time in milliseconds, and
the number of queries.
"""

import copy
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from datetime import time as clock

from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from scheduler.domain.lifecycle import Status
from scheduler.models import (
    Backport,
    Change,
    Delivery,
    Event,
    EventHead,
    GroupMove,
    Plan,
    PlanStep,
    PlanStepMember,
    Promotion,
    Review,
    TrainVersion,
    User,
    Window,
)
from scheduler.services.backports import submit_backports
from scheduler.services.calendar import SeriesFacts, make_series
from scheduler.services.events import hash_of
from scheduler.services.train import follow_the_train
from tests.factories import answers, approve, fetched, make_change, make_person

DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
TIMES_OF_DAY = (clock(0), clock(6), clock(13))  # Monday to Thursday in Los Angeles
BOOKED_WINDOWS, BOOKED = 8, 6  # of the coming ones; the first two of each are approved
LAST_OF_THE_PAST = 8 * DAY  # the calendar shows this week: it has to have the same on both
VERSIONS = 52
GROUPS = ("group0", "group1", "group2")
REQUESTS, WARM_UP = 20, 3
BATCH = 2_000
ENDS = (Status.DEPLOYED, Status.DEPLOYED, Status.DEPLOYED, Status.MISSED, Status.WITHDRAWN)


def make_train(now: datetime, versions: int) -> None:
    """Make versions a week apart, the newest but one of which serves all groups."""
    monday = now - timedelta(days=now.weekday())
    for place in range(versions):
        ago = versions - 2 - place  # in weeks; the last one is next week's
        cut = monday - ago * WEEK
        is_there = 0 <= ago < 2  # noqa: PLR2004 - this week's and the one before
        version = TrainVersion.objects.create(
            name=f"1.47.0-wmf.{place + 1}",
            position=place + 1,
            cut_at=cut,
            checked_out_from=cut if ago >= 0 else None,
            checked_out_until=None if is_there or ago < 0 else cut + 2 * WEEK,
        )
        for day, group in enumerate(GROUPS, 1):
            at = cut + day * DAY if ago else now - (len(GROUPS) - day + 1) * timedelta(minutes=10)
            done_at = at if at <= now else None
            Promotion.objects.create(version=version, group=group, at=at, done_at=done_at)
            if done_at:
                GroupMove.objects.create(version=version, group=group, at=at)


def book_coming(people: dict[str, User]) -> Backport:
    """Make the series and book in their first windows; return one approved backport."""
    tomorrow = timezone.now().date() + DAY
    for at in TIMES_OF_DAY:
        make_series(
            facts=SeriesFacts(
                title="SWAT",
                zone="America/Los_Angeles",
                weekdays=frozenset(range(4)),
                at=at,
                minutes=60,
                starts_on=tomorrow,
            ),
            by=people["rel"],
        )
    number, last = 1_000_000, None
    for window in Window.objects.filter(start__gt=timezone.now()).order_by("start")[
        :BOOKED_WINDOWS
    ]:
        window.deployers.add(people["dev"])
        changes = [make_change(fetched(number + n)) for n in range(BOOKED)]
        number += BOOKED
        backports = submit_backports(
            changes=changes, window=window, requester=people["ada"], answers=answers()
        )
        for backport in backports[:2]:
            last = approve(backport, people["rae"])
    if last is None:
        raise SystemExit("the benchmark is wrong: nothing is booked")
    return last


@transaction.atomic
def make_history(people: dict[str, User], windows: int, per_window: int) -> None:
    """Make windows of the past hours, each with backports that ended, a plan and events."""
    template = Plan.objects.order_by("-pk").first()
    if template is None:
        raise SystemExit("the benchmark is wrong: nothing is planned")
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    head = EventHead.objects.get(pk=1)
    for begin in range(0, windows, 500):
        some = Window.objects.bulk_create(
            Window(
                title="SWAT",
                start=now - LAST_OF_THE_PAST - timedelta(minutes=61 * n),
                end=now - LAST_OF_THE_PAST - timedelta(minutes=61 * n - 60),
            )
            for n in range(begin, min(begin + 500, windows))
        )
        Window.deployers.through.objects.bulk_create(
            Window.deployers.through(window_id=window.pk, user_id=people["dev"].pk)
            for window in some
        )
        first = begin * per_window + 1
        changes = Change.objects.bulk_create(
            changes_numbered(range(first, first + len(some) * per_window)), BATCH
        )
        backports = Backport.objects.bulk_create(
            ended(some, changes, people["ada"], per_window), BATCH
        )
        Review.objects.bulk_create(approvals(backports, people), BATCH)
        make_plans(some, backports, per_window, template)
        events = Event.objects.bulk_create(chained(backports, people, head), BATCH)
        Delivery.objects.bulk_create(
            (Delivery(event=event, delivered_at=event.at) for event in events), BATCH
        )
    EventHead.objects.filter(pk=1).update(seq=head.seq, hash=head.hash)


def changes_numbered(numbers: Sequence[int]) -> Iterator[Change]:
    """Yield changes as the review system told of them."""
    for number in numbers:
        yield Change(
            number=number,
            kind="config",
            project="operations/mediawiki-config",
            branch="master",
            change_id=f"I{number:040x}",
            subject=f"Change {number}",
            message=f"Change {number}\n\nBug: T{number}\nChange-Id: I{number:040x}",
            status="MERGED",
            owner="ada",
            uploader="ada",
            deployed=True,
            files=[{"path": "wmf-config/InitialiseSettings.php"}],
            diff="+ 'wgSetting' => true,\n" * 20,
            patch_set=1,
            sha=f"{number:040x}",
            fetched_at=timezone.now(),
        )


def ended(
    windows: Sequence[Window], changes: Sequence[Change], requester: User, per_window: int
) -> Iterator[Backport]:
    """Yield backports that ended in one way or another."""
    columns = answers().columns()
    for place, change in enumerate(changes):
        window = windows[place // per_window]
        yield Backport(
            change=change,
            window=window,
            requester=requester,
            status=ENDS[place % len(ENDS)].value,
            submitted_at=window.start - DAY,
            fingerprint=f"{place:064x}",
            **columns,
        )


def approvals(backports: Sequence[Backport], people: dict[str, User]) -> Iterator[Review]:
    """Yield an approval for each."""
    for backport in backports:
        yield Review(
            backport=backport,
            reviewer=people["rae"],
            requester=people["ada"],
            decision="approve",
            patch_set=1,
            made_at=backport.submitted_at,
            voided_at=backport.window.end,
        )


def make_plans(
    windows: Sequence[Window], backports: Sequence[Backport], per_window: int, template: Plan
) -> None:
    """Make two plans for each window, as bookings come one after the other, with their steps."""
    plans = []
    for window in windows:
        for version in (1, 2):
            plan = copy.copy(template)
            plan.pk, plan.window, plan.version = None, window, version
            plan.fingerprint = f"{window.pk:032x}{version:032x}"
            plans.append(plan)
    made = Plan.objects.bulk_create(plans, BATCH)
    newest = made[1::2]
    steps = PlanStep.objects.bulk_create(
        (
            PlanStep(plan=plan, position=n + 1, starts=plan.window.start, minutes=10)
            for plan in newest
            for n in range(per_window)
        ),
        BATCH,
    )
    PlanStepMember.objects.bulk_create(
        (
            PlanStepMember(step=step, plan=step.plan, backport=backport)
            for step, backport in zip(steps, backports, strict=True)
        ),
        BATCH,
    )


def chained(
    backports: Sequence[Backport], people: dict[str, User], head: EventHead
) -> Iterator[Event]:
    """Yield three events for each backport, chained; `head` follows."""
    for backport in backports:
        for who, kind in (
            ("ada", "backport.submit"),
            ("rae", "backport.approve"),
            ("ada", "backport.amend"),
        ):
            head.seq += 1
            event = Event(
                seq=head.seq,
                kind=kind,
                actor=people[who],
                actor_name=who,
                window=backport.window,
                backport=backport,
                payload={"change": backport.change.number, "patch_set": 1},
                previous_hash=head.hash,
                at=backport.submitted_at,
            )
            event.hash = head.hash = hash_of(event)
            yield event


def pages(backport: Backport) -> Iterator[tuple[str, str]]:
    """Yield the pages by name, with their addresses."""
    yield "calendar", reverse("calendar")
    yield "window", reverse("window", args=[backport.window_id])
    with suppress(NoReverseMatch):
        yield "train", reverse("train")
    yield "inbox", reverse("review-inbox")
    yield "backport", reverse("backport", args=[backport.pk])
    yield "booking", reverse("backport-new")


def timed(client: Client, address: str) -> tuple[float, float, float, int]:
    """Return median, 95th percentile and median of the processor, ms; and the number of queries."""
    for _ in range(WARM_UP):
        answer = client.get(address)
        if answer.status_code != 200:  # noqa: PLR2004
            raise SystemExit(f"the benchmark is wrong: {address} answers {answer.status_code}")
    with CaptureQueriesContext(connection) as queries:
        client.get(address)
        count = len(queries)
    took, worked = [], []
    for _ in range(REQUESTS):
        begun, began = time.perf_counter(), time.process_time()
        client.get(address)
        took.append((time.perf_counter() - begun) * 1000)
        worked.append((time.process_time() - began) * 1000)
    p95 = statistics.quantiles(took, n=20)[-1]
    return statistics.median(took), p95, statistics.median(worked), count


def main(windows: int, per_window: int) -> None:
    """Fill the database and time the pages on it."""
    begun = time.perf_counter()
    call_command("migrate", verbosity=0)
    people = {name: make_person(name) for name in ("ada", "rae", "dev", "rel")}
    make_train(timezone.now(), VERSIONS if windows else 3)
    backport = book_coming(people)
    make_history(people, windows, per_window)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    counts = f"{Window.objects.count():,} windows, {Backport.objects.count():,} backports"
    print(f"{connection.vendor}: {counts} made in {time.perf_counter() - begun:.0f} s")
    begun = time.perf_counter()
    follow_the_train(now=timezone.now())
    print(f"{connection.vendor}: following the train took {time.perf_counter() - begun:.2f} s")
    client = Client()
    client.force_login(people["rae"])
    print(json.dumps({name: timed(client, address) for name, address in pages(backport)}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
