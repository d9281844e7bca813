"""The shape of a written rule."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from scheduler.domain.policy.facts import Facts, Objection
from scheduler.domain.policy.findings import Level, Place

Check = Callable[[Facts], Objection | None]


class Concern(Enum):
    """Which backports a rule is about; the others it is not asked of.

    Attributes:
        ALL: every backport.
        TRAIN: what rides the train, which configuration never does.
        NEEDS: a backport of which something is known about what it needs (`Facts.needs`).
    """

    ALL = auto()
    TRAIN = auto()
    NEEDS = auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """A written rule.

    Attributes:
        id: its name in documents, addresses and overrides.
        level: how strongly it speaks.
        place: where it leads; QUEUE for a warning.
        sentence: when it applies, in one sentence.
        remedy: what would change the verdict.
        source: where the rule comes from.
        check: looks at the facts; None where planning itself finds out (order and capacity).
        concern: which backports it is about.
    """

    id: str
    level: Level
    place: Place
    sentence: str
    remedy: str
    source: str
    check: Check | None = None
    concern: Concern = Concern.ALL
