"""Requests to deploy one change in a window, as the planner sees them."""

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


class Kind(StrEnum):
    """What the requester says the change is."""

    REGRESSION = "regression"
    BUG = "bug"
    CONFIG = "config"
    MAINTENANCE = "maintenance"


class Urgency(IntEnum):
    """How soon users need it; the smaller, the sooner."""

    UNBREAK_NOW = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3

    @property
    def slug(self) -> str:
        """Its name in documents and addresses."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def of(cls, slug: str) -> "Urgency":
        """Return the urgency of this slug; KeyError if there is none."""
        return _URGENCY[slug]


_URGENCY = {urgency.slug: urgency for urgency in Urgency}


class Mark(StrEnum):
    """What a person says about a change that its files cannot."""

    SECURITY = "security"
    NEW_EXTENSION = "new-extension"
    SCHEMA_CHANGE = "schema-change"
    REVERT = "revert"
    LOW_RISK = "low-risk"
    TEST_PLAN = "test-plan"


@dataclass(frozen=True, slots=True)
class Backport:
    """One request to deploy one change.

    Attributes:
        change: the number of its change.
        requester: who asks, by account name.
        submitted_at: when it was booked, UTC.
        approved: whether this patch set was approved for this window by somebody else.
        present: whether somebody will be there to test it.
        place: its place in the queue published before, from 1; None if it had none.
        criteria: inclusion criteria for a dedicated window that the requester ticked.
        acknowledged: ids of the SHOULD rules that were lifted for it.
        overridden: ids of the MUST rules that were lifted for it.
    """

    change: int
    requester: str
    submitted_at: datetime
    approved: bool = False
    kind: Kind = Kind.BUG
    urgency: Urgency = Urgency.NORMAL
    present: bool = True
    place: int | None = None
    marks: frozenset[Mark] = frozenset()
    criteria: frozenset[str] = frozenset()
    acknowledged: frozenset[str] = frozenset()
    overridden: frozenset[str] = frozenset()
