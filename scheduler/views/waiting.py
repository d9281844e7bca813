"""What waits for a person: why, and since when. Pure: rows in, a list out; nothing is read here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property

from scheduler.actors import relations_to
from scheduler.domain.backports import Urgency
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import Act, Actor, Relation, may
from scheduler.domain.policy.findings import Place
from scheduler.domain.policy.rules import RULES_BY_ID
from scheduler.models import Acknowledgement, Backport, Override, Question, Review
from scheduler.models.reviews import Decision
from scheduler.views.plan_pages import Entry, Objection, PlanPage

NOT_APPROVED = "not-approved"
FIXED_BY_WORDS = "requester-absent"  # held, not blocked; but who will be there is theirs to say
SOON = timedelta(hours=24)  # how long before their window deployers are told what is open in it


class Why(StrEnum):
    """Why something waits for a person; in the order in which one row gives its reasons."""

    REPLIED = "replied"
    VOIDED = "voided"
    REVIEW = "review"
    CONFIRM = "confirm"
    ACKNOWLEDGE = "acknowledge"
    ASKED = "asked"
    QUESTION = "question"
    BLOCKED = "blocked"
    WINDOW = "window"

    @property
    def spoken(self) -> str:
        """The reason in a few words."""
        return _SPOKEN[self]


_SPOKEN = {
    Why.REPLIED: "you were answered",
    Why.VOIDED: "your approval is void",
    Why.REVIEW: "to review",
    Why.CONFIRM: "override to confirm",
    Why.ACKNOWLEDGE: "to take on again",
    Why.ASKED: "you are asked",
    Why.QUESTION: "open question",
    Why.BLOCKED: "blocked, yours to fix",
    Why.WINDOW: "open in your window",
}
_WAYS = {
    Why.CONFIRM: "Read it, then confirm or turn it down",
    Why.ASKED: "Answer the reviewer",
    Why.QUESTION: "Answer it",
    Why.BLOCKED: "See what to do",
    Why.WINDOW: "Open the question",
}
REVIEWING = frozenset({Why.REPLIED, Why.VOIDED, Why.REVIEW})


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why something waits.

    Attributes:
        sentence: the reason, to be read by the person whom it waits for.
        since: when it began to wait, UTC.
        ago: the same as people say it.
        exact: whether that is known; else it waits at least since then.
        said: who said what, in order, each with a few words of introduction.
    """

    why: Why
    sentence: str
    since: datetime
    ago: str
    exact: bool = True
    said: tuple[tuple[str, str], ...] = ()

    @property
    def way(self) -> str:
        """What to do about it elsewhere, in words; "" where the list has the buttons for it."""
        return _WAYS.get(self.why, "")

    @property
    def is_about_window(self) -> bool:
        """Whether that is done on the page of the window."""
        return self.why in {Why.QUESTION, Why.WINDOW}


@dataclass(frozen=True, slots=True)
class Rows:
    """What is stored about everything that may wait for somebody.

    Attributes:
        backports: the open ones of windows that are not over; with change, requester, editor and
            window.
        plans: the newest plan of each window, by the window's key.
        planned: when that plan was made, by the window's key.
        reviews: by the backport's key, oldest first, with their reviewers.
        overrides: those proposed or in force, by the backport's key, with both people.
        acknowledgements: those in force, by the backport's key, with who made them.
        amended: when its answers were last changed, by the backport's key.
        questions: the open ones, by the window's key.
        deploying: keys of the windows that the reader deploys.
    """

    backports: Sequence[Backport]
    plans: Mapping[int, PlanPage] = field(default_factory=dict)
    planned: Mapping[int, datetime] = field(default_factory=dict)
    reviews: Mapping[int, Sequence[Review]] = field(default_factory=dict)
    overrides: Mapping[int, Sequence[Override]] = field(default_factory=dict)
    acknowledgements: Mapping[int, Sequence[Acknowledgement]] = field(default_factory=dict)
    amended: Mapping[int, datetime] = field(default_factory=dict)
    questions: Mapping[int, Sequence[Question]] = field(default_factory=dict)
    deploying: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Waiting:
    """One backport that waits for somebody.

    Attributes:
        entry: the change and what the rules say about it.
        place: where the newest plan puts it; "" if that does not know it.
        reasons: why it waits, the first one first; never empty.
        overrides: those proposed or in force, whomever they wait for.
    """

    backport: Backport
    entry: Entry
    place: str
    reasons: tuple[Reason, ...]
    overrides: tuple[Override, ...] = ()

    @property
    def first(self) -> Reason:
        """The reason that counts most."""
        return self.reasons[0]

    @property
    def whys(self) -> frozenset[Why]:
        """Every reason's kind."""
        return frozenset(reason.why for reason in self.reasons)

    @property
    def urgency(self) -> str:
        """How urgent its requester says it is."""
        return Urgency(self.backport.urgency).slug

    @property
    def waits_for_review(self) -> bool:
        """Whether this person may approve it, or decide otherwise."""
        return bool(self.whys & REVIEWING)

    @property
    def is_decided_here(self) -> bool:
        """Whether what waits is a decision that the list itself has the buttons for."""
        return self.waits_for_review or Why.ACKNOWLEDGE in self.whys

    @property
    def objections(self) -> tuple[Objection, ...]:
        """What the rules say, but for what every request under review is told."""
        if not self.waits_for_review:
            return self.entry.objections
        return tuple(one for one in self.entry.objections if one.rule != NOT_APPROVED)

    @property
    def warnings(self) -> tuple[Objection, ...]:
        """What the rules warn of, and that moves nothing."""
        return tuple(one for one in self.objections if not one.moves)

    @property
    def why_no_tick(self) -> str:
        """Why it is not to be approved together with others; "" if that is obvious."""
        if not self.waits_for_review:
            return "It does not wait for your review."
        if self.overrides:
            return f"An override of {self.overrides[0].rule} is asked for: read it, then decide."
        if rules := sorted({one.rule for one in self.objections if one.moves}):
            return f"Rules object ({', '.join(rules)}): read them, then decide."
        if not self.entry.objections:
            return "Its window was not planned with it yet; the rules have not judged it."
        return ""


@dataclass(frozen=True)
class _Case:
    """One backport as one person sees it."""

    actor: Actor
    backport: Backport
    entry: Entry
    rows: Rows
    now: datetime

    @cached_property
    def relations(self) -> frozenset[Relation]:
        return relations_to(self.actor, self.backport)

    @property
    def status(self) -> Status:
        return Status(self.backport.status)

    @property
    def requester(self) -> str:
        return self.backport.requester.username

    @property
    def is_mine(self) -> bool:
        return Relation.REQUESTER in self.relations

    @property
    def reviews(self) -> Sequence[Review]:
        return self.rows.reviews.get(self.backport.pk, ())

    @property
    def planned(self) -> datetime:
        return self.rows.planned.get(self.backport.window_id, self.backport.submitted_at)

    @property
    def questions(self) -> tuple[Question, ...]:
        number = self.backport.change.number
        open_ones = self.rows.questions.get(self.backport.window_id, ())
        return tuple(one for one in open_ones if number in {one.low, one.high})

    def may(self, act: Act) -> bool:
        return may(self.actor, act, self.relations, self.status)

    def is_me(self, name: str) -> bool:
        names = {self.actor.username, *self.actor.names}
        return name.casefold() in {one.casefold() for one in names}

    def because(
        self,
        why: Why,
        sentence: str,
        since: datetime,
        *said: tuple[str, str],
        exact: bool = True,
    ) -> Reason:
        """Return a reason; in the sentence, `{ago}` is how long ago it was."""
        spoken = ago(since, self.now)
        return Reason(why, sentence.replace("{ago}", spoken), since, spoken, exact, said)


def waiting_for(actor: Actor, rows: Rows, now: datetime) -> tuple[Waiting, ...]:
    """Return what waits for a person: most urgent first; then what they were answered; then oldest.

    Args:
        actor: who.
        rows: what is stored.
        now: the clock, UTC.
    """
    found = []
    for backport in rows.backports:
        plan = rows.plans.get(backport.window_id, PlanPage({}))
        entry = plan.entry(backport.change.number)
        case = _Case(actor, backport, entry, rows, now)
        reasons = tuple(reason for look in _LOOKS for reason in look(case))
        if reasons:
            place = plan.place_of(backport.change.number)
            overrides = tuple(rows.overrides.get(backport.pk, ()))
            found.append(Waiting(backport, entry, place, reasons, overrides))
    return tuple(sorted(found, key=_turn))


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, as people say it."""
    length = _length(now - moment)
    return f"{length} ago" if length else "just now"


def _turn(item: Waiting) -> tuple[int, bool, datetime, int]:
    answered = item.first.why is Why.REPLIED
    return item.backport.urgency, not answered, item.first.since, item.backport.pk


def _length(time: timedelta) -> str:
    minutes = int(time.total_seconds() // 60)
    if minutes < 1:
        return ""
    if minutes < 60:  # noqa: PLR2004 - minutes of an hour
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    return f"{minutes // (24 * 60)} days"


def _review(case: _Case) -> Iterator[Reason]:
    """What others ask for, and this person may approve; and the answer to what they asked."""
    if not case.backport.change.is_known or not (case.may(Act.APPROVE) or case.may(Act.ASK)):
        return
    mine = [one for one in case.reviews if case.is_me(one.reviewer.username)]
    last = mine[-1] if mine else None
    if last is not None and last.decision == Decision.ASK.value:
        answer = _answered(case, last)
        if answer is not None:
            yield answer
            return
    if not case.may(Act.APPROVE):
        return
    if last is not None and last.decision == Decision.APPROVE.value and last.voided_at:
        yield case.because(Why.VOIDED, _void(last, case.backport.change.patch_set), last.voided_at)
        return
    ended = [at for one in case.reviews for at in (one.voided_at, one.replied_at) if at]
    yield case.because(
        Why.REVIEW,
        f"{case.requester} asks for it, and nobody has approved "
        f"patch set {case.backport.change.patch_set}.",
        max([case.backport.submitted_at, *ended]),
    )


def _answered(case: _Case, asked: Review) -> Reason | None:
    """Return that the requester answered a question; None if somebody approved it since."""
    if any(one.decision == "approve" and one.made_at > asked.made_at for one in case.reviews):
        return None
    question = ("You asked", asked.reason)
    if asked.replied_at is not None:
        sentence = f"You asked; {case.requester} replied {{ago}}."
        reply = (f"{case.requester} replied", asked.reply)
        return case.because(Why.REPLIED, sentence, asked.replied_at, question, reply)
    amended = case.rows.amended.get(case.backport.pk)
    if amended is None or amended < asked.made_at:
        return None
    sentence = f"You asked; {case.requester} changed the answers {{ago}}."
    return case.because(Why.REPLIED, sentence, amended, question)


def _void(approval: Review, patch_set: int) -> str:
    if approval.patch_set != patch_set:
        return f"You approved patch set {approval.patch_set}; there is patch set {patch_set}."
    return (
        f"You approved patch set {patch_set}; that counts no more: "
        "what is said about it changed, or the approval was taken back."
    )


def _confirm(case: _Case) -> Iterator[Reason]:
    """Overrides that wait for a second person, while the rule still objects."""
    objecting = {one.rule for one in case.entry.blocking if one.level == "MUST"}
    for override in case.rows.overrides.get(case.backport.pk, ()):
        relations = relations_to(case.actor, case.backport, override)
        if (
            override.confirmed_by_id is None
            and override.rule in objecting
            and may(case.actor, Act.CONFIRM_OVERRIDE, relations, case.status)
        ):
            proposer = override.proposed_by.username
            yield case.because(
                Why.CONFIRM,
                f"{proposer} proposes to override {override.rule}; it takes a second person.",
                override.proposed_at,
                (f"{proposer} says", override.reason),
            )


def _acknowledge(case: _Case) -> Iterator[Reason]:
    """What objects to something approved: the rules say else than what was taken on."""
    if case.status not in {Status.APPROVED, Status.QUEUED} or not case.may(Act.ACKNOWLEDGE):
        return
    taken_on = {
        one.rule: one.by.username for one in case.rows.acknowledgements.get(case.backport.pk, ())
    }
    for objection in case.entry.objections:
        if not objection.can_be_acknowledged:
            continue
        by = taken_on.get(objection.rule)
        who = "You" if by and case.is_me(by) else by
        sentence = (
            f"{who} took on {objection.rule}; it says something else now, and asks again."
            if who
            else f"{objection.rule} objects since it was approved; nobody has taken that on."
        )
        says = (f"{objection.rule} says", objection.message)
        yield case.because(Why.ACKNOWLEDGE, sentence, case.planned, says, exact=False)


def _asked(case: _Case) -> Iterator[Reason]:
    """What a reviewer asked this person as its requester."""
    asked = [one for one in case.reviews if one.decision == Decision.ASK.value]
    if asked and case.may(Act.REPLY):
        who = asked[-1].reviewer.username
        yield case.because(
            Why.ASKED,
            f"{who} asks you something; it is not in the queue until you answer.",
            asked[-1].made_at,
            (f"{who} asks", asked[-1].reason),
        )


def _question(case: _Case) -> Iterator[Reason]:
    """Open questions about what this person asked for; each only once."""
    if not case.is_mine or not case.may(Act.ANSWER_QUESTION):
        return
    for one in case.questions:
        if one.low == case.backport.change.number or not _is_mine(case, one.low):
            yield case.because(
                Why.QUESTION,
                f"Say how {one.low} and {one.high} belong together; "
                "until then neither goes into the queue.",
                one.asked_at,
            )


def _blocked(case: _Case) -> Iterator[Reason]:
    """What keeps this person's request out of the queue, and they can do something about."""
    if not case.is_mine or not case.may(Act.AMEND):
        return
    for objection in case.entry.blocking:
        if _is_theirs_to_fix(objection):
            yield case.because(
                Why.BLOCKED,
                objection.message,
                case.planned,
                ("What would change it", objection.remedy),
                exact=False,
            )


def _window(case: _Case) -> Iterator[Reason]:
    """Open questions in a window that this person deploys soon, and others have to answer."""
    window = case.backport.window
    left = window.start - window.planned_at(case.now)
    if window.pk not in case.rows.deploying or left > SOON:
        return
    starts = f"starts in {_length(left)}" if _length(left) else "has started"
    for one in case.questions:
        is_first = one.low == case.backport.change.number
        if is_first and not any(_is_mine(case, number) for number in (one.low, one.high)):
            yield case.because(
                Why.WINDOW,
                f"Nobody has said how {one.low} and {one.high} belong together, "
                f"and your window {starts}.",
                one.asked_at,
            )


def _is_mine(case: _Case, number: int) -> bool:
    """Return whether this person asked for a change in the same window."""
    return any(
        Relation.REQUESTER in relations_to(case.actor, other)
        for other in case.rows.backports
        if other.window_id == case.backport.window_id and other.change.number == number
    )


def _is_theirs_to_fix(objection: Objection) -> bool:
    rule = RULES_BY_ID.get(objection.rule)
    if rule is None or objection.waits_for:
        return False
    return rule.place is Place.BLOCKED or rule.id == FIXED_BY_WORDS


_LOOKS: tuple[Callable[[_Case], Iterator[Reason]], ...] = (
    _review,
    _confirm,
    _acknowledge,
    _asked,
    _question,
    _blocked,
    _window,
)
