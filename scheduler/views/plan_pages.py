"""What pages show of a plan: its result with the backports and changes put beside the numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from scheduler.adapters.plan_document import evidence_in
from scheduler.couplings import family_of
from scheduler.domain import changes as domain
from scheduler.domain.coupling.elsewhere import WHERE
from scheduler.domain.coupling.evidence import ASK_ACROSS_FROM, ASK_FROM, Evidence
from scheduler.domain.lifecycle import Status
from scheduler.domain.planning.fitting import NOT_IN_QUEUE
from scheduler.domain.planning.ways import Way
from scheduler.domain.policy.findings import Place
from scheduler.domain.policy.rules import RULES_BY_ID
from scheduler.domain.statements import pair_of
from scheduler.models import Backport, Change, Question, Statement
from scheduler.views.excerpts import Excerpt, excerpts_of

BY_TRAIN = "train-arrives-first"  # the rule that says when the train brings a change

PLACES = (Place.HELD, Place.BLOCKED, Place.TRAIN, Place.DEDICATED, Place.OVERFLOW)
"""The places outside the queue, in the order in which somebody can do something about them."""

EMPTY_PLACES = {
    "held": "Nothing is held.",
    "blocked": "Nothing is blocked.",
    "train": "Nothing was sent to the train.",
    "dedicated": "Nothing needs a window of its own.",
    "overflow": "Everything that may go fits.",
}


@dataclass(frozen=True, slots=True)
class Objection:
    """A finding as a page shows it: with its rule's way out."""

    change: int
    rule: str
    level: str
    message: str
    changes: tuple[int, ...]
    lifted: bool

    @property
    def remedy(self) -> str:
        """What would change it: in the policy's words, unless it waits for others."""
        if self.waits_for:
            named = " and ".join(map(str, self.waits_for))
            return f"Bring {named} into the queue first; until then this one waits."
        rule = RULES_BY_ID.get(self.rule)
        return rule.remedy if rule else ""

    @property
    def source(self) -> str:
        """Where the rule comes from."""
        rule = RULES_BY_ID.get(self.rule)
        return rule.source if rule else ""

    @property
    def waits_for(self) -> tuple[int, ...]:
        """The changes of the same window that have to get into the queue before it."""
        if self.rule != NOT_IN_QUEUE:
            return ()
        return tuple(number for number in self.changes if number != self.change)

    @property
    def moves(self) -> bool:
        """Whether it moves a backport: a warning does not."""
        return self.level != "MAY"

    @property
    def is_overridden(self) -> bool:
        """Whether the backport goes although this MUST rule objects."""
        return self.level == "MUST" and self.lifted

    @property
    def can_be_acknowledged(self) -> bool:
        """Whether a reviewer may take it on with a reason."""
        return self.level == "SHOULD" and not self.lifted


@dataclass(frozen=True, slots=True)
class Because:
    """Why a step cannot go earlier."""

    reason: str
    first: int
    text: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a backport outside the queue went, the rule, and when the train brings it.

    Attributes:
        version: what brings it; "" where nothing is known to. cut: when its branch is cut.
        arrives: when each group that needs it has it.
    """

    change: int
    place: str
    rule: str
    version: str
    arrives: tuple[tuple[str, datetime], ...]
    cut: datetime | None = None

    @property
    def arrives_by(self) -> datetime | None:
        """When the train has brought it to the last group that needs it."""
        return max((at for _, at in self.arrives), default=None)


@dataclass(frozen=True, slots=True)
class Entry:
    """One change in a list, with its backport where it has one."""

    number: int
    change: Change | domain.Change | None
    backport: Backport | None
    objections: tuple[Objection, ...] = ()
    placement: Placement | None = None
    mine: bool = False
    ways: tuple[Way, ...] = ()
    booked_elsewhere: Backport | None = None

    @property
    def page(self) -> int | None:
        """The key of its backport, in this window or another one; None where nobody booked it."""
        booked = self.backport or self.booked_elsewhere
        return booked.pk if booked else None

    @property
    def project(self) -> str:
        """Its project, as people call it; "" where nothing is known about it."""
        return domain.short_project(self.change.project) if self.change else ""

    @property
    def family(self) -> tuple[str, str]:
        """What it has in common with its cherry-picks."""
        return family_of(self.change) if self.change else ("", "")

    @property
    def blocking(self) -> tuple[Objection, ...]:
        """What keeps it out of the queue."""
        return tuple(one for one in self.objections if one.moves and not one.lifted)

    @property
    def overridden(self) -> tuple[str, ...]:
        """The MUST rules that object to it, and that two people let it pass."""
        return tuple(one.rule for one in self.objections if one.is_overridden)


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of the queue."""

    position: int
    starts: datetime
    minutes: int
    entries: tuple[Entry, ...]
    because: tuple[Because, ...]
    offset: int

    @property
    def mine(self) -> bool:
        """Whether a backport of the reader is in it."""
        return any(entry.mine for entry in self.entries)


@dataclass(frozen=True, slots=True)
class StateCard:
    """Production after a step."""

    after: int
    added: tuple[Entry, ...]
    live: tuple[int, ...]
    safe: bool
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerCard:
    """What somebody said about two changes, and the question to answer it again."""

    text: str
    question: "QuestionCard"
    reason: str = ""


@dataclass(frozen=True)
class QuestionCard:
    """A suspected coupling, its two changes side by side."""

    low: Entry
    high: Entry
    points: int
    advice: str
    evidence: tuple[Evidence, ...]
    mine: bool = False
    diffs: Mapping[int, str] = field(default_factory=dict, hash=False)
    is_neither: bool = False
    can_be_contested: bool = False
    also: tuple[tuple[int, int], ...] = ()
    because: str = ""

    @property
    def pair(self) -> tuple[int, int]:
        """The numbers of the two, the smaller one first."""
        return self.low.number, self.high.number

    @property
    def shared_answer(self) -> tuple[object, ...]:
        """What it has in common with questions about cherry-picks that one answer is for, too."""
        if not (self.is_here and self.low.change and self.high.change):
            return self.pair
        return *sorted((self.low.family, self.high.family)), *sorted(self.requesters)

    @property
    def is_of_one_branch(self) -> bool:
        """Whether both are for the same version."""
        low, high = self.low.change, self.high.change
        return low is not None and high is not None and low.branch == high.branch

    @property
    def least(self) -> int:
        """How many points make a question."""
        return ASK_FROM if self.is_here else ASK_ACROSS_FROM

    @property
    def is_here(self) -> bool:
        """Whether both are booked in this window, or would be."""
        if self.low.backport or self.high.backport:
            return bool(self.low.backport and self.high.backport)
        return all(one.kind != WHERE for one in self.evidence)

    @property
    def ends_approvals(self) -> tuple[int, ...]:
        """Those of the two whose approval an answer ends: it was given without that."""
        return tuple(
            end.number
            for end in (self.low, self.high)
            if end.backport and end.backport.status in {Status.APPROVED, Status.QUEUED}
        )

    @property
    def is_booked_twice(self) -> bool:
        """Whether somebody asked for both, here or in another window."""
        return all(end.backport or end.booked_elsewhere for end in (self.low, self.high))

    @property
    def booked(self) -> int:
        """The one that is booked in this window, where the other one is not."""
        return self.low.number if self.low.backport else self.high.number

    @property
    def arrivals(self) -> tuple[str, ...]:
        """What the rules say about the train that brings one of them."""
        said = [one for end in (self.low, self.high) for one in end.objections]
        return tuple(dict.fromkeys(one.message for one in said if one.rule == BY_TRAIN))

    @property
    def seen_in_low(self) -> tuple[Excerpt, ...]:
        """The lines of the one that the evidence is about."""
        return self._seen_in(self.low.number)

    @property
    def seen_in_high(self) -> tuple[Excerpt, ...]:
        """The lines of the other one."""
        return self._seen_in(self.high.number)

    def _seen_in(self, number: int) -> tuple[Excerpt, ...]:
        places = [place for one in self.evidence for place in one.places if place.change == number]
        names = [name for one in self.evidence if one.places for name in one.names]
        return excerpts_of(self.diffs.get(number, ""), places, names)

    @property
    def orders(self) -> tuple[tuple[str, Entry], ...]:
        """The two orders: the answer in a word, and which change is first."""
        return ("a-first", self.low), ("b-first", self.high)

    @property
    def slug(self) -> str:
        """The two numbers, as a form sends them."""
        return f"{self.low.number}-{self.high.number}"

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """Every answer, as a form of booking sends it, and in words."""
        alone = (
            ("nothing", "nothing breaks meanwhile"),
            ("degraded", "something does not work well meanwhile"),
            ("outage", "an outage meanwhile"),
        )
        return (
            *(
                (f"{self.slug}:{word}:{what}", f"{first.number} first; {means}")
                for word, first in self.orders
                for what, means in alone
            ),
            (f"{self.slug}:together", "together, in one step"),
            (f"{self.slug}:unrelated", "unrelated"),
        )

    @property
    def requesters(self) -> tuple[str, ...]:
        """Who asked for the two, each once."""
        booked = [end.backport or end.booked_elsewhere for end in (self.low, self.high)]
        return tuple(dict.fromkeys(one.requester.username for one in booked if one))


@dataclass(frozen=True)
class PlanPage:
    """A plan result ready to be shown.

    Attributes:
        result: a plan result (`docs` of the plan command, "Result").
        changes: the changes it names, by number; one that is missing is shown by number alone.
        backports: the backports of its window, by change number.
        reader: account name of who looks at it; their rows are marked.
        said: the statements that the plan was made from.
        begins: when its queue begins by now; None leaves it as it was planned.
        gone: minutes of its window that are over then.
        schedule: the versions to come that it was made from, as plan documents tell them.
        ways: the cheapest way of what does not go, by change number.
        diffs: those of the changes that somebody is asked about, by number.
        elsewhere: the backports of other windows, by change number.
        answers_kept: what was said of two changes and counts, by their numbers.
        asked_last: what was asked about them, by their numbers.
    """

    result: Mapping[str, Any]
    changes: Mapping[int, Change | domain.Change] = field(default_factory=dict)
    backports: Mapping[int, Backport] = field(default_factory=dict)
    reader: str = ""
    said: Sequence[Mapping[str, Any]] = ()
    begins: datetime | None = None
    gone: int = 0
    schedule: Sequence[Mapping[str, Any]] = ()
    ways: Mapping[int, tuple[Way, ...]] = field(default_factory=dict)
    diffs: Mapping[int, str] = field(default_factory=dict)
    elsewhere: Mapping[int, Backport] = field(default_factory=dict)
    answers_kept: Mapping[tuple[int, int], Statement] = field(default_factory=dict)
    asked_last: Mapping[tuple[int, int], Question] = field(default_factory=dict)

    @cached_property
    def objections(self) -> dict[int, tuple[Objection, ...]]:
        """The findings of each backport, by change number; what moves it first."""
        found: dict[int, list[Objection]] = {}
        for finding in self.result.get("findings", ()):
            found.setdefault(finding["change"], []).append(
                Objection(
                    change=finding["change"],
                    rule=finding["rule"],
                    level=finding["level"],
                    message=finding["message"],
                    changes=tuple(finding["changes"]),
                    lifted=finding["lifted"],
                )
            )
        order = ("MUST", "SHOULD", "MAY")
        return {
            number: tuple(sorted(some, key=lambda one: (one.lifted, order.index(one.level))))
            for number, some in found.items()
        }

    @cached_property
    def placements(self) -> dict[int, Placement]:
        """Where each backport outside the queue went, by change number."""
        cuts = {
            one["version"]: datetime.fromisoformat(one["cut"])
            for one in self.schedule
            if one.get("cut")
        }
        return {
            row["change"]: Placement(
                change=row["change"],
                place=row["place"],
                rule=row["rule"],
                version=row["version"] or "",
                arrives=tuple(
                    (group, datetime.fromisoformat(at))
                    for group, at in sorted((row["arrives"] or {}).items())
                ),
                cut=cuts.get(row["version"]),
            )
            for row in self.result.get("elsewhere", ())
        }

    def entry(self, number: int) -> Entry:
        """Return a change with everything that is known about it."""
        change, backport = self.changes.get(number), self.backports.get(number)
        return Entry(
            number=number,
            change=change,
            backport=backport,
            objections=self.objections.get(number, ()),
            placement=self.placements.get(number),
            ways=self.ways.get(number, ()),
            booked_elsewhere=self.elsewhere.get(number),
            mine=bool(
                self.reader
                and (
                    (backport is not None and backport.requester.username == self.reader)
                    or (change is not None and change.owner == self.reader)
                )
            ),
        )

    def _is_requested(self, number: int) -> bool:
        """Return whether the reader asked for it; to have written it is not enough."""
        backport = self.backports.get(number) or self.elsewhere.get(number)
        return backport is not None and backport.requester.username == self.reader

    def place_of(self, number: int) -> str:
        """Return the place of a backport; empty if the plan does not know it."""
        if number in self.step_of:
            return "queue"
        placement = self.placements.get(number)
        return placement.place if placement else ""

    @cached_property
    def steps(self) -> tuple[StepRow, ...]:
        """The queue, in order; a plan is not made anew only because its steps start later."""
        rows: list[StepRow] = []
        offset = 0
        for step in self.result.get("queue", ()):
            rows.append(
                StepRow(
                    position=step["position"],
                    starts=self.begins + timedelta(minutes=offset)
                    if self.begins
                    else datetime.fromisoformat(step["starts"]),
                    minutes=step["minutes"],
                    entries=tuple(self.entry(number) for number in step["changes"]),
                    because=tuple(
                        Because(one["reason"], one["first"], one["text"]) for one in step["because"]
                    ),
                    offset=self.gone + offset,
                )
            )
            offset += step["minutes"]
        return tuple(rows)

    @cached_property
    def step_of(self) -> dict[int, StepRow]:
        """The step of each queued change, by number."""
        return {entry.number: step for step in self.steps for entry in step.entries}

    @property
    def minutes(self) -> int:
        """How long the queue takes."""
        return sum(step.minutes for step in self.steps)

    @cached_property
    def slots(self) -> int:
        """How many slots the queue takes: what only the Beta Cluster sees takes none."""
        return sum(not _is_beta_only(entry.change) for step in self.steps for entry in step.entries)

    @cached_property
    def places(self) -> tuple[tuple[str, tuple[Entry, ...], str], ...]:
        """The lists outside the queue: slug, entries in booking order, what to say if empty."""
        return tuple(
            (
                place.slug,
                tuple(
                    self.entry(number)
                    for number, placement in self.placements.items()
                    if placement.place == place.slug
                ),
                EMPTY_PLACES[place.slug],
            )
            for place in PLACES
        )

    @cached_property
    def states(self) -> tuple[StateCard, ...]:
        """Production before the window and after every step."""
        cards: list[StateCard] = []
        before: set[int] = set()
        for state in self.result.get("states", ()):
            live = tuple(state["live"])
            cards.append(
                StateCard(
                    after=state["after"],
                    added=tuple(self.entry(number) for number in live if number not in before),
                    live=live,
                    safe=state["safe"],
                    broken=tuple(breach["text"] for breach in state["broken"]),
                )
            )
            before.update(live)
        return tuple(cards)

    @cached_property
    def questions(self) -> tuple[QuestionCard, ...]:
        """The open questions, the reader's own first; of cherry-picks that share one, one."""
        return self._each_once(self._every_question)

    def questions_about(self, number: int) -> tuple[QuestionCard, ...]:
        """Return the open questions that one change is part of, in the same way."""
        return self._each_once(card for card in self._every_question if number in card.pair)

    def _each_once(self, cards: Iterable[QuestionCard]) -> tuple[QuestionCard, ...]:
        """Return one card of those that share an answer, with the pairs of all the others."""
        wanted = {card.pair for card in cards}
        sharing: dict[object, list[QuestionCard]] = {}
        for card in self._every_question:
            sharing.setdefault(card.shared_answer, []).append(card)
        shown = []
        for group in sharing.values():
            own = [card for card in group if card.pair in wanted]
            if own:
                first = next((card for card in own if card.is_of_one_branch), own[0])
                others = tuple(card.pair for card in group if card.pair != first.pair)
                shown.append(replace(first, also=others))
        return tuple(shown)

    @cached_property
    def _every_question(self) -> tuple[QuestionCard, ...]:
        cards = [
            QuestionCard(
                low=self.entry(min(question["changes"])),
                high=self.entry(max(question["changes"])),
                points=question["points"],
                advice=self._advice(question),
                because="; ".join(question.get("because", ())),
                evidence=evidence_in(question["evidence"]),
                mine=any(self._is_requested(number) for number in question["changes"]),
                diffs=self.diffs,
                is_neither=question["advice"] == "together",
            )
            for question in self.result.get("questions", ())
        ]
        return tuple(sorted(cards, key=lambda card: not card.mine))

    @property
    def answers(self) -> tuple[AnswerCard, ...]:
        """What people said about changes of this window; each can be answered again."""
        booked = self.backports.keys()
        return tuple(
            self._answer(said)
            for said in self.said
            if said["first"] in booked or said["then"] in booked
        )

    def _answer(self, said: Mapping[str, Any]) -> AnswerCard:
        low, high = pair_of(said["first"], said["then"])
        asked, kept = self.asked_last.get((low, high)), self.answers_kept.get((low, high))
        card = QuestionCard(
            low=self.entry(low),
            high=self.entry(high),
            points=asked.points if asked else 0,
            advice="",
            evidence=evidence_in(asked.evidence) if asked else (),
            mine=any(map(self._is_requested, (low, high))),
            diffs=self.diffs,
            can_be_contested=True,
        )
        text = f"{said['by']} said: {belonging(said)}"
        return AnswerCard(text, card, kept.reason if kept else "")

    @property
    def rollback(self) -> tuple[tuple[int, ...], ...]:
        """The steps to take back, in order."""
        return tuple(tuple(step) for step in self.result.get("rollback", ()))

    @property
    def leftovers(self) -> tuple[Entry, ...]:
        """What is merged but not deployed and nobody asked for."""
        return tuple(self.entry(number) for number in self.result.get("leftovers", ()))

    @staticmethod
    def _advice(question: Mapping[str, Any]) -> str:
        if question["advice"] == "first" and question["first"] is not None:
            return f"The evidence speaks for {question['first']} first."
        if question["advice"] == "together":
            return "The evidence speaks for deploying them together."
        return "The evidence does not say which comes first."


def belonging(said: Mapping[str, Any]) -> str:
    """Return what somebody said about two changes, in words."""
    first, then = said["first"], said["then"]
    if said["kind"] == "before":
        return f"{first} before {then}; while only {first} is live: {said['only_first']}"
    return f"{first} and {then} are {_BELONG[said['kind']]}"


_BELONG = {"together": "to go out together", "unrelated": "unrelated"}


def _is_beta_only(change: Change | domain.Change | None) -> bool:
    if isinstance(change, Change):
        change = change.to_domain(with_diff=False)
    return change is not None and change.is_beta_only


def numbers_in(result: Mapping[str, Any]) -> frozenset[int]:
    """Return every change number that a plan result speaks of."""
    numbers = set(result.get("leftovers", ()))
    for step in result.get("queue", ()):
        numbers.update(step["changes"])
        numbers.update(one["first"] for one in step["because"])
    for row in result.get("elsewhere", ()):
        numbers.add(row["change"])
    for finding in result.get("findings", ()):
        numbers.update(finding["changes"])
    for question in result.get("questions", ()):
        numbers.update(question["changes"])
    return frozenset(numbers)
