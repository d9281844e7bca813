"""Everything a rule may look at: one backport, and what surrounds it, at the time of planning."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.domain.backports import Backport
from scheduler.domain.changes import Change
from scheduler.domain.coupling.questions import Question
from scheduler.domain.dependencies import Problem
from scheduler.domain.policy.numbers import Numbers
from scheduler.domain.production import Arrival, Production
from scheduler.domain.statements import Statement
from scheduler.domain.windows import Freeze, Window

_GAP_BEFORE_PROMOTION = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for every backport of a window.

    Attributes:
        requested: the numbers booked in this window.
        freezes: those that overlap the window.
        promotions: those of the train during the window and shortly after it, as (when, group,
            version), in order.
    """

    window: Window
    numbers: Numbers
    production: Production
    freezes: tuple[Freeze, ...]
    promotions: tuple[tuple[datetime, str, str], ...]
    requested: frozenset[int]

    @classmethod
    def of(
        cls,
        window: Window,
        numbers: Numbers,
        production: Production,
        freezes: Iterable[Freeze],
        requested: Iterable[int],
    ) -> "Surroundings":
        """Return what surrounds the backports of a window, looked up once for all of them."""
        overlapping = sorted(
            (freeze for freeze in freezes if freeze.overlaps(window)),
            key=lambda freeze: (freeze.scope, freeze.end, freeze.start, freeze.reason),
        )
        promotions = sorted(
            (at, group, scheduled.version)
            for scheduled in production.schedule
            for group, at in scheduled.promotions.items()
            if window.start <= at <= window.end + _GAP_BEFORE_PROMOTION
        )
        return cls(
            window,
            numbers,
            production,
            tuple(overlapping),
            tuple(promotions),
            frozenset(requested),
        )


@dataclass(slots=True)
class Facts:
    """What a rule sees of one backport.

    Attributes:
        questions: the open questions about it.
        problems: what is wrong with its dependencies, by rule id.
        circle: the circle that it is in or runs into, in order; empty if there is none.
        only_irrelevant: whether it declares dependencies and none of them matters.
        unsafe: statements about it that order a first step which is an outage.
        siblings: the cherry-picks of the change, itself included; as all that follows, empty for
            configuration, which rides no train.
        arrival: when the train brings it to all groups that its branch serves, if it does.
        crosses_repositories: whether it is coupled to any change of another repository.
        coupled: the branched code that it is coupled to, itself included, one per Change-Id.
    """

    surroundings: Surroundings
    backport: Backport
    change: Change
    questions: Sequence[Question]
    problems: Mapping[str, tuple[Problem, ...]]
    circle: tuple[int, ...]
    only_irrelevant: bool
    unsafe: Sequence[Statement]
    siblings: tuple[Change, ...] = ()
    arrival: Arrival | None = None
    crosses_repositories: bool = False
    coupled: tuple[Change, ...] = ()

    @property
    def needs(self) -> bool:
        """Whether anything is to be said about what it needs."""
        return bool(self.problems or self.circle or self.only_irrelevant or self.unsafe)


@dataclass(frozen=True, slots=True)
class Objection:
    """What a rule answers where it does not agree.

    Attributes:
        message: one sentence that a requester can act on.
        changes: numbers of the other changes meant.
        warns_only: whether the rule only warns here (its level is then MAY).
    """

    message: str
    changes: tuple[int, ...] = ()
    warns_only: bool = False
