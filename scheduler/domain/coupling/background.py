"""What the detector knows besides the changes that it compares."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scheduler.domain.changes import Change
from scheduler.domain.coupling.evidence import Evidence
from scheduler.domain.coupling.identifiers import folded
from scheduler.domain.coupling.rarity import NOTHING_SEEN, Rarity
from scheduler.domain.coupling.traits import Traits

Projects = tuple[str, str]  # in the order of the alphabet

# Evidence that is about names or words, which may say nothing between two projects; a task, lines
# and a Change-Id are of the two changes alone.
TEACHING = frozenset(
    {
        "defines-what-other-uses",
        "both-define",
        "uses-what-is-gone",
        "given-up-and-taken-over",
        "stops-using",
        "rare-name",
        "name-in-message",
        "shared-words",
    }
)


@dataclass(frozen=True)
class Background:
    """What was seen, and what people said.

    Attributes:
        traits: what was worked out of changes before, by number; the others are read.
        rarity: how rare names and words are.
        dismissed: the names and words of which somebody said that they say nothing between two
            projects.
        landings: the other Change-Ids under which changes landed, by number.
    """

    traits: Mapping[int, Traits] = field(default_factory=dict)
    rarity: Rarity = NOTHING_SEEN
    dismissed: Mapping[Projects, frozenset[str]] = field(default_factory=dict)
    landings: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    def rarity_between(self, one: Change, other: Change) -> Rarity:
        """Return how rare names are for two changes."""
        if not self.dismissed:
            return self.rarity
        names = self.dismissed.get(projects_of(one.project, other.project))
        return self.rarity.ignoring(names) if names else self.rarity


NOTHING_BESIDES = Background()


def projects_of(one: str, other: str) -> Projects:
    """Return two projects in the order in which they are a key."""
    return (one, other) if one < other else (other, one)


def names_to_dismiss(evidence: Iterable[Evidence]) -> frozenset[str]:
    """Return the names that say nothing any more, once two changes are said to be unrelated."""
    return frozenset(
        folded(name) for piece in evidence if piece.kind in TEACHING for name in piece.names
    )
