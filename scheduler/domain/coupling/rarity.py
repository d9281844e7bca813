"""How rare a name is: in how many of the changes that were seen it stands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import log

UNSEEN = 0.5  # added to a count, so that what was never seen is rare and not infinitely so


@dataclass(frozen=True, eq=False)
class Rarity:
    """Names and words, and in how many changes each was seen.

    A table that ships leaves out what is rare anyhow, so that it stays small: what it does not
    name was seen in fewer than `floor` changes.

    Attributes:
        changes: how many were looked at.
        names, words: in how many of them each stands.
        floor: the least count that the table tells.
        ignored: names and words that say nothing, however rare they are.
    """

    changes: int = 0
    names: Mapping[str, int] = field(default_factory=dict)
    words: Mapping[str, int] = field(default_factory=dict)
    floor: int = 1
    ignored: frozenset[str] = frozenset()

    def ignoring(self, names: Iterable[str]) -> "Rarity":
        """Return the same where these names and words say nothing."""
        return replace(self, ignored=self.ignored.union(names))

    def of_name(self, name: str) -> float:
        """Return how rare a name is: the logarithm of one in how many changes has it."""
        return 0.0 if name in self.ignored else self._of(self.names.get(name, 0))

    def of_word(self, word: str) -> float:
        """Return how rare a word of a message is."""
        return 0.0 if word in self.ignored else self._of(self.words.get(word, 0))

    def _of(self, count: int) -> float:
        return log((self.changes + 1) / (max(count, self.floor / 2) + UNSEEN))


NOTHING_SEEN = Rarity(changes=2_000)
