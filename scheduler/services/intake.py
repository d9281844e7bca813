"""Taking a request in: what somebody pasted, what is known about it, and booking all of it."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db import transaction

from scheduler.adapters.cleaning import visible_line
from scheduler.adapters.gerrit_references import Stated, stated_in
from scheduler.adapters.ports import AdapterError, FetchedChange, ReviewSystem, preference
from scheduler.adapters.registry import PAGE_SECONDS, review_system
from scheduler.domain.changes import Change as Known
from scheduler.domain.changes import ChangeStatus
from scheduler.models import Backport, Change, User, Window
from scheduler.queries import related_changes, statements_about
from scheduler.services.backports import BackportAnswers, submit_backports
from scheduler.services.changes import expect_change, siblings_in, store_changes
from scheduler.services.drafts import drop_draft

ASKED_AT_ONCE = 5
SHORTEST_LOOK = 0.05  # seconds: the last of many that are asked about
REMEMBERED_FOR = timedelta(seconds=30)  # a form asks again and again while somebody is typing


@dataclass(frozen=True, slots=True)
class Named:
    """A change that somebody named, and all that is known about it now.

    Attributes:
        reference: the number or Change-Id that names it.
        number: of the change; None where a Change-Id could not be resolved.
        change: None where the review system has never told about it.
        patch_set: 0 where it is not known.
        told_at: when the review system said so; None if it never did.
        siblings: its cherry-picks, itself included, the likeliest first.
        related: every change that judging it may take, itself included.
        submitted_together: numbers that the review system would merge along with it.
        fetched: what the review system said just now; empty where it did not.
        trouble: why that is so, in a sentence; empty where it did.
        may_be_late: whether the review system may well tell about it later.
        contradictions: where the address says something else of it than the review system.
    """

    reference: str
    number: int | None
    change: Known | None = None
    patch_set: int = 0
    told_at: datetime | None = None
    siblings: tuple[Known, ...] = ()
    related: tuple[Known, ...] = ()
    submitted_together: tuple[int, ...] = ()
    fetched: tuple[FetchedChange, ...] = ()
    trouble: str = ""
    may_be_late: bool = False
    contradictions: tuple[str, ...] = ()

    @property
    def can_be_booked(self) -> bool:
        """Whether it is known, or will be: then it is held until the review system answers."""
        return self.number is not None and (self.change is not None or self.may_be_late)

    @property
    def open_siblings(self) -> tuple[Known, ...]:
        """Its cherry-picks that may be booked along with it."""
        return tuple(
            one
            for one in self.siblings
            if one.number != self.number and one.status is ChangeStatus.NEW and not one.is_on_main
        )


@dataclass(frozen=True, slots=True)
class _Told:
    fetched: tuple[FetchedChange, ...] = ()
    at: datetime | None = None
    trouble: str = ""
    may_be_late: bool = False


def look_up(
    pasted: str,
    *,
    now: datetime,
    just_looking: bool = False,
    system: ReviewSystem | None = None,
) -> tuple[Named, ...]:
    """Return what is known about the changes in a pasted list, each once, in order.

    The review system is asked; what it does not tell now is taken from what is stored. Never call
    this inside a transaction: it waits for the network.

    Args:
        pasted: numbers, addresses and Change-Ids.
        now: the clock, UTC.
        just_looking: whether an answer of the last half minute is good enough.
        system: whom to ask; the one of the settings if not given.

    Raises:
        Unreadable: something in the list names no change.
    """
    references = (system or review_system()).references_of(pasted)
    until = time.monotonic() + PAGE_SECONDS  # for all of them: somebody waits

    def tell(reference: str) -> _Told:
        left = max(until - time.monotonic(), SHORTEST_LOOK)
        asked = system or review_system(seconds=left)
        return _told(asked, reference, now, just_looking=just_looking)

    with ThreadPoolExecutor(min(len(references), ASKED_AT_ONCE)) as pool:
        answers = list(pool.map(tell, references))
    named: dict[int | str, Named] = {}
    for reference, told in zip(references, answers, strict=True):
        one = _named_as_told(reference, told) if told.fetched else _named_as_stored(reference, told)
        named.setdefault(one.number or reference, one)
    stated = stated_in(pasted)
    return tuple(_compared(one, stated.get(one.number or 0)) for one in named.values())


def _compared(one: Named, stated: Stated | None) -> Named:
    """Return a change with what an address says of it compared with what is known."""
    told = [*_namesakes(one), *(_contradictions(one, stated) if stated is not None else ())]
    return replace(one, contradictions=tuple(told))


def _namesakes(one: Named) -> Iterator[str]:
    """Yield that a Change-Id names changes of other projects too, of which only one was taken."""
    if one.change is None or one.reference.isdecimal():
        return
    others = {other for other in one.related if other.key == one.change.key}
    for other in sorted(others, key=lambda other: other.number):
        if other.project != one.change.project:
            yield (
                f"{one.reference} names {other.number} of {other.project} too; this is "
                f"{one.change.number} of {one.change.project}."
            )


def _contradictions(one: Named, stated: Stated) -> Iterator[str]:
    """Yield where an address says something else of a change than what is known about it."""
    if one.change is None:
        return
    if stated.project and stated.project != one.change.project:
        yield (
            f"The address says that {one.number} is of {visible_line(stated.project)}; "
            f"it is of {one.change.project}."
        )
    if stated.patch_set and stated.patch_set != one.patch_set:
        yield (
            f"The address names patch set {stated.patch_set}; the current one is "
            f"{one.patch_set}, and that is what is booked."
        )


@transaction.atomic
def book_named(  # noqa: PLR0913 - what a booking is made of
    *,
    named: Iterable[Named],
    along: Iterable[int],
    window: Window,
    requester: User,
    answers: BackportAnswers,
    draft: str,
    at: datetime,
) -> list[Backport]:
    """Store what the review system said, and ask for all the changes: every one, or none.

    A change that it has not told about is booked by its number, and held until it has.

    Args:
        named: what `look_up` returned; each of them can be booked.
        along: numbers of their open cherry-picks that are asked for in one go.
        window: where.
        requester: who asks.
        answers: what they say about each of them.
        draft: the key of their draft, which is done with; "" for none.
        at: the clock, UTC.

    Raises:
        NotPermitted, Refused: as `submit_backports`.
    """
    named = list(named)
    told = {one.change.number: one for each in named for one in each.fetched}
    told |= {each.fetched[0].change.number: each.fetched[0] for each in named if each.fetched}
    store_changes(fetched=told.values(), at=at)
    numbers = dict.fromkeys([*(one.number for one in named if one.number), *along])
    stored = {change.number: change for change in Change.objects.filter(number__in=numbers)}
    backports = submit_backports(
        changes=[stored.get(number) or expect_change(number=number) for number in numbers],
        window=window,
        requester=requester,
        answers=answers,
    )
    drop_draft(user=requester, key=draft)
    return backports


def _told(system: ReviewSystem, reference: str, now: datetime, *, just_looking: bool) -> _Told:
    """Ask the review system for one change, or remember what it said a moment ago."""
    key = f"told|{settings.GERRIT_URL}|{reference}"
    remembered = cache.get(key) if just_looking else None
    if isinstance(remembered, _Told):
        return remembered
    try:
        told = _Told(system.fetch_change(reference), now)
    except AdapterError as trouble:
        return _Told(trouble=str(trouble), may_be_late=trouble.retryable)
    cache.set(key, told, REMEMBERED_FOR.total_seconds())
    return told


def _named_as_told(reference: str, told: _Told) -> Named:
    first = told.fetched[0]
    return Named(
        reference=reference,
        number=first.change.number,
        change=first.change,
        patch_set=first.patch_set,
        told_at=told.at,
        siblings=_of_one_project(siblings_in(told.fetched), first.change),
        related=tuple(one.change for one in told.fetched),
        submitted_together=first.submitted_together,
        fetched=told.fetched,
    )


def _named_as_stored(reference: str, told: _Told) -> Named:
    row = _stored(reference)
    number = int(reference) if reference.isdecimal() else None
    if row is None:
        return Named(reference, number, trouble=told.trouble, may_be_late=told.may_be_late)
    related = related_changes([row], statements_about([row.pk]))
    change = related[row.number]
    return Named(
        reference=reference,
        number=row.number,
        change=change,
        patch_set=row.patch_set,
        told_at=row.fetched_at,
        siblings=tuple(sorted(related.siblings(change), key=preference)),
        related=tuple(related),
        submitted_together=tuple(row.submitted_together),
        trouble=told.trouble,
        may_be_late=told.may_be_late,
    )


def _stored(reference: str) -> Change | None:
    """Return the stored change that a reference means, if it is known and only one can be meant."""
    known = Change.objects.filter(fetched_at__isnull=False)
    if reference.isdecimal():
        return known.filter(number=int(reference)).first()
    rows = list(known.filter(change_id__istartswith=reference))
    if len({row.change_id.lower() for row in rows}) != 1:
        return None
    return min(rows, key=lambda row: preference(row.to_domain(with_diff=False)))


def _of_one_project(family: Sequence[Known], change: Known) -> tuple[Known, ...]:
    return tuple(one for one in family if one.project == change.project)


def all_related(named: Iterable[Named]) -> Mapping[int, Known]:
    """Return every change that judging these may take, by number; the newest word counts."""
    named = list(named)
    related = {change.number: change for one in named for change in one.related}
    return related | {one.change.number: one.change for one in named if one.change is not None}
