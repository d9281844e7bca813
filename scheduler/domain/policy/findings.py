"""What a rule says: one objection, its level and the place it leads to."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Level(StrEnum):
    """How strongly a rule speaks (RFC 2119)."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Place(IntEnum):
    """Where a backport ends up; where several apply, the smallest is the place."""

    BLOCKED = 0
    DEDICATED = 1
    TRAIN = 2
    HELD = 3
    OVERFLOW = 4
    QUEUE = 5

    @property
    def slug(self) -> str:
        """Its name in documents and addresses."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's objection to one backport.

    Attributes:
        change: number of the backport's change.
        rule: the rule's id.
        level: MUST and SHOULD move the backport, MAY warns.
        place: where it leads; QUEUE for a warning.
        message: one sentence that a requester can act on.
        changes: the numbers of the changes meant, the backport's own first.
        lifted: whether people took it on: an acknowledgement (SHOULD) or an override (MUST).
    """

    change: int
    rule: str
    level: Level
    place: Place
    message: str
    changes: tuple[int, ...]
    lifted: bool = False

    @property
    def keeps_out(self) -> bool:
        """Whether it keeps the backport out of the queue."""
        return self.place is not Place.QUEUE and not self.lifted
