"""What would happen with changes if they were booked now, in each of the next windows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import quote

from django.conf import settings
from django.db.models import prefetch_related_objects
from django.utils import timezone

from scheduler.adapters.plan_document import render, schedule_document
from scheduler.domain import backports as domain
from scheduler.domain.changes import Change as Known
from scheduler.domain.changes import ChangeSet
from scheduler.domain.dependencies import Dependencies
from scheduler.domain.planning.plan import Plan, PlanInput
from scheduler.domain.planning.taken_on import TakenOn, plan_taking_on
from scheduler.domain.planning.ways import Way, ways_into_queue
from scheduler.domain.policy.findings import Place
from scheduler.domain.production import Production
from scheduler.domain.statements import Statement
from scheduler.domain.windows import FreezeScope
from scheduler.models import Backport, Change, User, Window
from scheduler.queries import (
    OPEN_STATUSES,
    live_at,
    open_backports,
    plan_input_of,
    statements_about,
    stopping_rules,
    taken_on_in,
)
from scheduler.services.intake import Named, all_related
from scheduler.views.capacity import grade_over, minutes_left
from scheduler.views.plan_pages import Objection, Placement, PlanPage, QuestionCard, StepRow
from scheduler.views.reading import diffs_asked_about, plan_pages
from scheduler.views.waiting import NOT_APPROVED

SHOWN_WINDOWS = 4
_UNITS = ((86_400, "day"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Wish:
    """The little of the answers that the verdict needs, the same for all changes.

    Attributes:
        along: numbers of the cherry-picks that are ticked.
        offered: numbers of those that were offered before; one that is not ticked then stays so.
    """

    kind: domain.Kind = domain.Kind.BUG
    urgency: domain.Urgency = domain.Urgency.NORMAL
    present: bool = True
    marks: frozenset[domain.Mark] = frozenset()
    criteria: frozenset[str] = frozenset()
    along: frozenset[int] = frozenset()
    offered: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where one change would go in a window, once somebody has approved it."""

    number: int
    place: str
    step: StepRow | None
    placement: Placement | None


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One window to choose, and what would happen in it.

    Attributes:
        minutes_left: how much of it is free and to come.
        waiting: how many have no room in it already.
        is_frozen: whether nothing is deployed in it.
    """

    window: Window
    slots_left: int
    max_patches: int
    minutes_left: int
    waiting: int
    is_frozen: bool
    is_chosen: bool
    outcomes: tuple[Outcome, ...] = ()

    @property
    def has_room(self) -> bool:
        """Whether a slot is left for somebody."""
        return self.slots_left > 0 and not self.is_frozen

    @property
    def several(self) -> bool:
        """Whether the outcomes have to say of which change they are."""
        return len(self.outcomes) > 1


@dataclass(frozen=True, slots=True)
class Offer:
    """An open cherry-pick that can be booked in one go.

    Attributes:
        ticked: whether it is, or should be: the train would undo the other one.
        booked: where it is booked already; it cannot be booked twice.
    """

    change: Known
    ticked: bool
    booked: Backport | None


@dataclass(frozen=True, slots=True)
class Missing:
    """A branch that has no cherry-pick yet, although the train would undo the change there."""

    branch: str
    address: str


@dataclass(frozen=True, slots=True)
class Need:
    """One change has to be live before another, and what of that is not done yet."""

    first: int
    then: int
    source: str
    state: str


@dataclass(frozen=True, slots=True)
class ChangeCard:
    """One change that somebody named.

    Attributes:
        age: how old what is known about it is, in words; empty where nothing is.
        offers: its open cherry-picks that nobody named.
        undone_without: those of them without which the train would undo it.
        along: what the review system would merge with it and is not booked here.
    """

    named: Named
    address: str
    age: str
    objections: tuple[Objection, ...]
    ways: tuple[Way, ...]
    outcome: Outcome | None
    offers: tuple[Offer, ...]
    undone_without: tuple[Offer, ...]
    missing: tuple[Missing, ...]
    along: tuple[int, ...]
    booked: Backport | None

    @property
    def free(self) -> tuple[Offer, ...]:
        """The cherry-picks that can be booked along with it."""
        return tuple(offer for offer in self.offers if offer.booked is None)

    @property
    def taken(self) -> tuple[Offer, ...]:
        """The cherry-picks that are booked already."""
        return tuple(offer for offer in self.offers if offer.booked is not None)

    @property
    def on_main(self) -> bool:
        """Whether it is the main branch's, so that only its cherry-picks can be deployed."""
        change = self.named.change
        return change is not None and change.is_code and change.is_on_main


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen with the changes that somebody named."""

    cards: tuple[ChangeCard, ...]
    questions: tuple[QuestionCard, ...]
    needs: tuple[Need, ...]
    said: str

    @property
    def booked(self) -> tuple[Backport, ...]:
        """Those of them that are booked already."""
        return tuple(card.booked for card in self.cards if card.booked is not None)


@dataclass(frozen=True, slots=True)
class Choice:
    """The windows to choose from.

    Attributes:
        rows: the next ones with room, and the chosen one.
        more: all others.
        next_room: the next window with room that has not begun.
    """

    rows: tuple[WindowRow, ...]
    more: tuple[WindowRow, ...]
    next_room: Window | None = None

    @property
    def is_judged(self) -> bool:
        """Whether it is known where something would go in them."""
        return any(row.outcomes for row in self.rows)

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be booked at all."""
        return not self.rows


def choice_of(windows: Iterable[Window], chosen: int | None, reader: User) -> Choice:
    """Return the windows to choose from, oldest first; a constant number of queries."""
    windows = list(windows)
    prefetch_related_objects(windows, "confirmations")
    pages, rules, now = plan_pages(windows, reader), stopping_rules(), timezone.now()
    rows = [
        WindowRow(
            window,
            max(window.numbers.max_patches - pages[window.pk].slots, 0),
            window.numbers.max_patches,
            minutes_left(window, pages[window.pk], now),
            sum(one.place == Place.OVERFLOW.slug for one in pages[window.pk].placements.values()),
            grade_over(window, rules) == FreezeScope.ALL,
            window.pk == chosen,
        )
        for window in windows
    ]
    wanted = sorted(
        rows,
        key=lambda row: (
            not row.is_chosen,
            row.window.as_of is not None,
            not row.has_room,
            row.window.start,
        ),
    )
    near = {row.window.pk for row in wanted[:SHOWN_WINDOWS]}
    return Choice(
        tuple(row for row in rows if row.window.pk in near),
        tuple(row for row in rows if row.window.pk not in near),
        next(
            (
                row.window
                for row in rows
                if row.has_room and row.window.as_of is None and row.window.start > now
            ),
            None,
        ),
    )


def preview_of(
    named: Sequence[Named], wish: Wish, choice: Choice, *, reader: User, now: datetime
) -> tuple[Preview, Choice]:
    """Return what would happen with changes: in the chosen window, and where in each shown one.

    The wishes come last, after everything that is booked; a constant number of queries per window.

    Args:
        named: what is known about them.
        wish: what is said about them so far.
        choice: the windows.
        reader: who asks.
        now: the clock, UTC.
    """
    chosen = next((row.window for row in choice.rows if row.is_chosen), None)
    planning = _Planning(named, wish, reader, now)
    if chosen is None or not planning.wished:
        cards = tuple(planning.card(one) for one in named)
        return Preview(cards, (), (), _said(cards, None)), choice
    planning.tick_what_would_be_undone(chosen)
    facts, verdict = planning.plan(chosen, approved=False)
    ways = ways_into_queue(planning.plan(chosen, approved=True)[0], only=planning.wished)
    shown = planning.shown(facts, verdict, ways)
    rows = tuple(
        replace(row, outcomes=planning.outcomes(planning.plan(row.window, approved=True)))
        for row in choice.rows
    )
    outcomes = {one.number: one for row in rows if row.is_chosen for one in row.outcomes}
    booked = planning.booked_in(chosen)
    cards = tuple(planning.card(one, booked, shown, outcomes) for one in named)
    questions = [card for number in planning.wished for card in shown.questions_about(number)]
    preview = Preview(
        cards,
        tuple(dict.fromkeys(questions)),
        tuple(_needs(facts, planning.wished)),
        _said(cards, chosen),
    )
    return preview, replace(choice, rows=rows)


class _Planning:
    """The windows with the wishes in them: what is asked of the database once is shared."""

    def __init__(self, named: Sequence[Named], wish: Wish, reader: User, now: datetime) -> None:
        self.named = named
        self.wish = wish
        self.reader = reader
        self.now = now
        self.related = all_related(named)
        self.ticked = set(wish.along) & {one.number for each in named for one in each.open_siblings}
        self.booked = _booked(
            {one.number for one in named if one.number}
            | {one.number for each in named for one in each.open_siblings}
        )
        self.said = _statements_about(self.related)
        self.inputs: dict[int, tuple[PlanInput, list[TakenOn]]] = {}

    @property
    def wished(self) -> tuple[int, ...]:
        """The numbers of the known changes that would be booked, in order."""
        own = [one.change.number for one in self.named if one.change is not None]
        return tuple(dict.fromkeys([*own, *sorted(self.ticked)]))

    def tick_what_would_be_undone(self, window: Window) -> None:
        """Add the cherry-picks without which the train would undo something, unless unticked."""
        production = live_at(window.planned_at(self.now))
        rows = Backport.objects.filter(window=window, status__in=OPEN_STATUSES)
        booked = rows.values_list("change__number", flat=True)
        for one in self.named:
            lacking = self.lacking(one, production, (*self.wished, *booked))
            self.ticked |= {
                pick.number
                for pick in one.open_siblings
                if pick.branch in lacking
                and pick.number not in self.wish.offered
                and pick.number not in self.booked
            }

    @staticmethod
    def lacking(one: Named, production: Production, requested: Iterable[int]) -> tuple[str, ...]:
        """Return the branches on which the train would undo a change."""
        if one.change is None or not one.change.is_code:
            return ()
        return production.lacking(one.change, one.siblings, set(requested))

    def booked_in(self, window: Window) -> PlanInput:
        """Return a window as it is without the wishes, with all that is known about them."""
        return self._facts(window)[0]

    def plan(self, window: Window, *, approved: bool) -> tuple[PlanInput, Plan]:
        """Plan a window with the wishes added last."""
        facts, taken_on = self._facts(window)
        wished = self.wished
        others = tuple(one for one in facts.backports if one.change not in wished)
        wishes = tuple(self._wish(number, facts.now, approved=approved) for number in wished)
        return plan_taking_on(
            replace(facts, backports=(*others, *wishes)),
            [one for one in taken_on if one.change not in wished],
        )

    def shown(
        self, facts: PlanInput, plan: Plan, ways: Mapping[int, tuple[Way, ...]] | None = None
    ) -> PlanPage:
        """Return a plan as pages show it; with the diffs that it asks about, if with ways."""
        result = render(plan)
        known = {change.number: change.diff for change in facts.changes}
        return PlanPage(
            result=result,
            diffs={**known, **diffs_asked_about(result)} if ways is not None else {},
            changes={change.number: change for change in facts.changes},
            reader=self.reader.username,
            schedule=schedule_document(facts.production),
            ways=ways or {},
        )

    def outcomes(self, planned: tuple[PlanInput, Plan]) -> tuple[Outcome, ...]:
        """Return where each wish goes."""
        shown = self.shown(*planned)
        return tuple(
            Outcome(
                number,
                shown.place_of(number),
                shown.step_of.get(number),
                shown.placements.get(number),
            )
            for number in self.wished
        )

    def card(
        self,
        one: Named,
        facts: PlanInput | None = None,
        shown: PlanPage | None = None,
        outcomes: Mapping[int, Outcome] | None = None,
    ) -> ChangeCard:
        """Return what is known about a change, and what the rules say in the chosen window."""
        number = one.number or 0
        offers = tuple(
            Offer(pick, pick.number in self.ticked, self.booked.get(pick.number))
            for pick in one.open_siblings
            if all(pick.number != other.number for other in self.named)
        )
        own = [each.change.number for each in self.named if each.change is not None]
        beside = [*own, *(other.change for other in facts.backports)] if facts else own
        lacking = self.lacking(one, facts.production, beside) if facts else ()
        picked = {offer.change.branch for offer in offers}
        requested = {*self.wished, *(b.change for b in facts.backports)} if facts else set()
        return ChangeCard(
            named=one,
            address=_address(one.change, number),
            age=_age(one.told_at, self.now),
            objections=_objections(number, shown) if shown and one.change else (),
            ways=shown.ways.get(number, ()) if shown else (),
            outcome=(outcomes or {}).get(number),
            offers=offers,
            undone_without=tuple(
                offer for offer in offers if offer.change.branch in lacking and not offer.booked
            ),
            missing=tuple(
                Missing(branch, _address(one.change, number))
                for branch in lacking
                if branch not in picked
            ),
            along=tuple(n for n in one.submitted_together if n not in requested),
            booked=self.booked.get(number),
        )

    def _facts(self, window: Window) -> tuple[PlanInput, list[TakenOn]]:
        """Return what is booked in a window, with all that is known about the wishes beside it."""
        if window.pk not in self.inputs:
            backports = open_backports(window)
            own = [one.change for one in self.named if one.change is not None]
            ticked = [self.related[number] for number in self.ticked & self.related.keys()]
            given = plan_input_of(window, backports, self.now, [*own, *ticked])
            booked = [given.changes[one.change] for one in given.backports]
            changes = ChangeSet([*given.changes, *self.related.values(), *booked, *own])
            statements = tuple(dict.fromkeys((*given.statements, *self.said)))
            facts = replace(given, changes=changes, statements=statements)
            self.inputs[window.pk] = (facts, taken_on_in(backports))
        return self.inputs[window.pk]

    def _wish(self, number: int, at: datetime, *, approved: bool) -> domain.Backport:
        return domain.Backport(
            change=number,
            requester=self.reader.username,
            submitted_at=at,
            approved=approved,
            kind=self.wish.kind,
            urgency=self.wish.urgency,
            present=self.wish.present,
            marks=self.wish.marks,
            criteria=self.wish.criteria,
        )


def _objections(number: int, shown: PlanPage) -> tuple[Objection, ...]:
    """Return what the rules say, but for what every request is told before its review."""
    return tuple(one for one in shown.entry(number).objections if one.rule != NOT_APPROVED)


def _booked(numbers: Collection[int]) -> dict[int, Backport]:
    """Return the open backports of changes, by number."""
    rows = Backport.objects.filter(change__number__in=numbers, status__in=OPEN_STATUSES)
    found = rows.select_related("change", "window", "requester").defer("change__diff")
    return {backport.change.number: backport for backport in found}


def _statements_about(related: Mapping[int, Known]) -> tuple[Statement, ...]:
    """Return what people say about two changes that are both known here."""
    keys = Change.objects.filter(number__in=related).values_list("pk", flat=True)
    return tuple(
        said for said in statements_about(keys) if said.first in related and said.then in related
    )


def _needs(facts: PlanInput, wished: Collection[int]) -> Iterable[Need]:
    """Yield what the wishes need, and what is booked in the window that needs them."""
    requested = [one.change for one in facts.backports]
    known = Dependencies(facts.changes, requested, facts.production, facts.statements)
    for then in requested:
        for link in known.links(then):
            first = link.to
            if then not in wished and first.number not in wished:
                continue
            state = f"not booked in this window, {first.status.value.lower()}"
            if first.is_merged:
                state = f"merged on {first.branch}"
            elif first.number in requested:
                state = "in this window"
            source = "its open parent" if link.is_parent else "Depends-On"
            yield Need(first.number, then, source, state)


def _said(cards: Iterable[ChangeCard], chosen: Window | None) -> str:
    """Return the preview in a sentence, for who does not see it change."""
    parts = []
    for card in cards:
        name = card.named.number or card.named.reference
        if card.outcome and card.outcome.step:
            parts.append(f"{name}: place {card.outcome.step.position} once it is approved")
        elif card.outcome:
            parts.append(f"{name}: {card.outcome.place}")
        else:
            parts.append(f"{name}: {card.named.trouble or 'looked up'}")
    return "; ".join(parts) + (f" ({chosen.title})" if chosen else "")


def _address(change: Known | None, number: int) -> str:
    """Return where people find a change in the review system."""
    public = settings.GERRIT_PUBLIC_URL.rstrip("/")
    return f"{public}/c/{quote(change.project)}/+/{number}" if change else f"{public}/{number}"


def _age(told_at: datetime | None, now: datetime) -> str:
    """Return how long ago that was, in words; empty where it never was."""
    if told_at is None:
        return ""
    seconds = max(now - told_at, timedelta(0)).total_seconds()
    for size, unit in _UNITS:
        count = int(seconds // size)
        if count:
            return f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''} ago"
    return "just now"
