"""What people said about two changes: which first, together, or unrelated."""

from dataclasses import dataclass
from enum import StrEnum


class StatementKind(StrEnum):
    """How two changes belong together."""

    BEFORE = "before"
    TOGETHER = "together"
    UNRELATED = "unrelated"


class OnlyFirst(StrEnum):
    """What happens while only the first of the two is live."""

    NOTHING = "nothing"
    DEGRADED = "degraded"
    OUTAGE = "outage"


def pair_of(one: int, other: int) -> tuple[int, int]:
    """Return two change numbers, the smaller one first."""
    return (one, other) if one < other else (other, one)


@dataclass(frozen=True, slots=True, order=True)
class Statement:
    """One person's word on two changes; the order of the two matters for *before* only.

    Attributes:
        first: number of the change that must be live before `then`.
        then: number of the other change.
        only_first: what happens while only `first` is live.
        by: account name of who said it.
    """

    first: int
    then: int
    kind: StatementKind
    only_first: OnlyFirst = OnlyFirst.NOTHING
    by: str = ""
