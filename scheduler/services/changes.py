"""What the review system says about changes: fetched outside transactions, stored at once."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from scheduler.adapters.plan_document import file_document
from scheduler.adapters.ports import AdapterError, FetchedChange, ReviewSystem, preference
from scheduler.adapters.registry import review_system
from scheduler.domain import changes as domain
from scheduler.domain.coupling.traits import Traits, traits_of
from scheduler.models import Backport, Change, Window
from scheduler.queries import OPEN_STATUSES
from scheduler.services.coupling import keep_traits
from scheduler.services.events import record
from scheduler.services.patience import patiently
from scheduler.services.plans import replan_window, take_turn
from scheduler.services.train import follow_in

logger = logging.getLogger(__name__)

_FACTS = (
    "kind",
    "declares",
    "project",
    "branch",
    "change_id",
    "subject",
    "message",
    "status",
    "work_in_progress",
    "owner",
    "uploader",
    "parent",
    "included_in",
    "deployed",
    "labels",
    "files",
    "diff",
    "submitted_together",
    "submittable",
    "patch_set",
    "sha",
    "topic",
    "author",
    "authored_at",
)


def fetch(reference: str, *, system: ReviewSystem | None = None) -> tuple[FetchedChange, ...]:
    """Ask the review system for what a person pasted, with all that judging it takes.

    Never call this inside a transaction: it waits for the network.

    Raises:
        Unreadable: it names no change.
        AdapterError: nothing can be said about it now.
    """
    system = system or review_system()
    return system.fetch_change(system.reference_of(reference))


def siblings_in(fetched: Sequence[FetchedChange]) -> tuple[domain.Change, ...]:
    """Return what the Change-Id of the first of these may mean, the first one included.

    Open changes come first, then those on release branches, the newest before others: a page can
    offer them in this order, with number, project, branch and status. One is no choice.
    """
    family = [one.change for one in fetched if one.change.key == fetched[0].change.key]
    return tuple(sorted(family, key=preference))


def store_changes(*, fetched: Iterable[FetchedChange], at: datetime) -> list[Change]:
    """Store what the review system said, and plan the windows again that it matters to.

    A patch set older than the one stored is left out: it was fetched before. For each backport
    that was booked before its change was known one event is logged.

    Args:
        fetched: what it said.
        at: when, UTC.

    Returns:
        The stored changes, in the order given.
    """
    told = list(fetched)
    traits = {one.change.number: traits_of(one.change) for one in told if one.change.diff}
    # Who notes what production runs takes a window first, and then changes: one of the two gives
    # way, and tries again.
    return patiently(lambda: _store(told, traits, at))


@transaction.atomic
def _store(
    fetched: Sequence[FetchedChange], traits: Mapping[int, Traits], at: datetime
) -> list[Change]:
    answers = {one.change.number: one for one in fetched}
    # Taken in one order; SQLite took its one write lock when the transaction began. Without the
    # key: whoever stores a row that refers to a change does not wait for us, or we deadlock.
    taken = Change.objects.select_for_update(no_key=True)
    rows = taken.filter(number__in=answers).order_by("number")
    stored = {change.number: change for change in rows}
    said = [
        _row(answer, stored.get(number), at)
        for number, answer in sorted(answers.items())
        if number not in stored or answer.patch_set >= stored[number].patch_set
    ]
    Change.objects.bulk_create(
        said,
        update_conflicts=True,
        unique_fields=["number"],
        update_fields=[*_FACTS, "fetched_at"],
    )
    keys = Change.objects.only("number", "sha")
    keep_traits(keys.filter(number__in=[row.number for row in said]), traits)
    news = [row.number for row in said if _differs(row, stored.get(row.number))]
    concerned = Window.objects.filter(
        backports__change__number__in=news, backports__status__in=OPEN_STATUSES
    )
    windows = list(concerned.distinct().order_by("pk"))
    for window in windows:
        take_turn(window)
    _note_what_became_known([row.number for row in stored.values() if not row.is_known], at)
    for window in windows:
        replan_window(window=window, now=at)
    now_stored = {change.number: change for change in Change.objects.filter(number__in=answers)}
    return [now_stored[number] for number in answers]


def _note_what_became_known(numbers: Iterable[int], at: datetime) -> None:
    waiting = Backport.objects.filter(change__number__in=numbers, status__in=OPEN_STATUSES)
    for backport in waiting.select_related("change", "window").order_by("pk"):
        record(
            kind="backport.become-known",
            actor=None,
            window=backport.window,
            backport=backport,
            payload={"change": backport.change.number, "patch_set": backport.change.patch_set},
            at=at,
        )


def expect_change(*, number: int) -> Change:
    """Return the change with a number; one that is not known yet is looked up later."""
    return Change.objects.get_or_create(number=number)[0]


def refresh_open_windows(*, system: ReviewSystem | None, now: datetime) -> None:
    """Ask the review system about every open backport of windows to come, and plan them again.

    A change that cannot be fetched keeps what was known about it; that is logged.

    Args:
        system: whom to ask; None plans from what is stored.
        now: the clock, UTC.
    """
    # A window in which nothing is booked has nothing to refresh: they are made weeks ahead.
    windows = Window.objects.filter(
        Q(end__gt=now) | Q(as_of__isnull=False), backports__status__in=OPEN_STATUSES
    )
    for window in windows.distinct().order_by("pk"):
        if system is not None:
            _refresh(window, system, now)
        follow_in(window=window, now=now)


def _refresh(window: Window, system: ReviewSystem, now: datetime) -> None:
    numbers = Backport.objects.filter(window=window, status__in=OPEN_STATUSES).values_list(
        "change__number", flat=True
    )
    for number in list(numbers):
        try:
            fetched = system.fetch_change(str(number))
        except AdapterError as trouble:
            logger.warning("change %d stays as it was: %s", number, trouble)
        else:
            store_changes(fetched=fetched, at=now)


def _row(fetched: FetchedChange, stored: Change | None, at: datetime) -> Change:
    """Return what was fetched as a row; whether it is deployed is known here, not in Gerrit.

    Where the diff was not asked for, that of the same patch set stays.
    """
    change = fetched.change
    before = stored.diff if stored is not None and stored.sha == fetched.sha else ""
    deployed = change.deployed if stored is None or change.deployed is not None else stored.deployed
    return Change(
        number=change.number,
        kind=change.kind.value,
        declares=bool(change.depends_on),
        project=change.project,
        branch=change.branch,
        change_id=change.change_id,
        subject=change.subject,
        message=change.message,
        status=change.status.value,
        work_in_progress=change.work_in_progress,
        owner=change.owner,
        uploader=change.uploader,
        parent=change.parent,
        included_in=sorted(change.included_in),
        deployed=deployed,
        labels=dict(change.labels),
        files=[file_document(file) for file in change.files],
        diff=change.diff or before,
        submitted_together=list(fetched.submitted_together),
        submittable=fetched.submittable,
        patch_set=fetched.patch_set,
        sha=fetched.sha,
        topic=change.topic,
        author=change.author,
        authored_at=change.authored_at,
        fetched_at=at,
    )


def _differs(row: Change, stored: Change | None) -> bool:
    return stored is None or any(getattr(row, name) != getattr(stored, name) for name in _FACTS)
