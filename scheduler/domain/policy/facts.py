"""Everything a rule may look at: one backport, and what surrounds it, at the time of planning."""

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.domain.backports import Backport
from scheduler.domain.changes import Change
from scheduler.domain.coupling.evidence import Question
from scheduler.domain.dependencies import Problem
from scheduler.domain.policy.numbers import Numbers
from scheduler.domain.production import Arrival, Production
from scheduler.domain.statements import Statement
from scheduler.domain.windows import Freeze, Window


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for every backport of a window.

    Attributes:
        requested: the numbers booked in this window.
        freezes: those that overlap the window.
    """

    window: Window
    numbers: Numbers
    production: Production
    freezes: tuple[Freeze, ...]
    requested: frozenset[int]


@dataclass(slots=True)
class Facts:
    """What a rule sees of one backport.

    Attributes:
        siblings: the cherry-picks of the change, itself included.
        arrival: when the train brings it to all groups that its branch serves, if it does.
        problems: what is wrong with its dependencies, by rule id.
        circle: the circle that it is in or runs into, in order; empty if there is none.
        only_irrelevant: whether it declares dependencies and none of them matters.
        questions: the open questions about it.
        unsafe: statements about it that order a first step which is an outage.
        crosses_repositories: whether it is coupled to any change of another repository.
        coupled: the branched code that it is coupled to, itself included, one per Change-Id.
    """

    surroundings: Surroundings
    backport: Backport
    change: Change
    siblings: tuple[Change, ...]
    arrival: Arrival | None
    problems: Mapping[str, tuple[Problem, ...]]
    circle: tuple[int, ...]
    only_irrelevant: bool
    questions: tuple[Question, ...]
    unsafe: tuple[Statement, ...]
    crosses_repositories: bool
    coupled: tuple[Change, ...]


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
