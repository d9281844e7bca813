"""What the detector looks at of a change: computed once for each patch set, compared many times."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice

from scheduler.domain.changes import Change
from scheduler.domain.coupling.diffs import Line, changed_lines, whole_files
from scheduler.domain.coupling.identifiers import Names, is_aside, is_read, names_of

SHORTEST_MOVED = 12  # characters of a line that says something when it moves
MOST_MOVED = 4_000  # lines of one change, each way
MOST_FILES = 1_000  # of one change

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]{3,40}")
_MOST_TEXT = 20_000  # characters of a message that are read
# Lines of a message that programs read, or write.
_FOOTER = re.compile(
    r"(?im)^[ \t]*(?:depends-on|needed-by|change-id|bug|cherry-picked-from|signed-off-by"
    r"|co-authored-by|reviewed-by|\(cherry[ -]picked from)\b.*$"
)


@dataclass(frozen=True, slots=True)
class Spot:
    """A line of a change: the file, the line in it, and `+`, or `-` where it is removed."""

    path: str
    line: int
    sign: str = "+"


@dataclass(frozen=True, eq=False)
class Traits:
    """What a change defines, uses and moves, and what its message says.

    Attributes:
        names: of its diff.
        added, removed: the lines that say something, by their digest; with where they stand first.
        came, left: the files that it adds or deletes as a whole, their paths by what is in them.
        words: those of its message, lower case, but for footers; subject: those of its first line.
        is_aside: nothing that it touches runs in production.
    """

    names: Names = field(default_factory=Names)
    added: Mapping[int, Spot] = field(default_factory=dict)
    removed: Mapping[int, Spot] = field(default_factory=dict)
    came: Mapping[str, str] = field(default_factory=dict)
    left: Mapping[str, str] = field(default_factory=dict)
    words: frozenset[str] = frozenset()
    subject: frozenset[str] = frozenset()
    is_aside: bool = False


def traits_of(change: Change) -> Traits:
    """Return what the detector looks at of a change; the same diff and message give the same."""
    lines = list(changed_lines(change.diff))
    whole = islice(whole_files(change.diff), MOST_FILES)
    files = [file for file in whole if not is_aside(file.path)]
    paths = change.paths or tuple({line.path for line in lines})
    return Traits(
        names=names_of(lines),
        added=_moving(line for line in lines if line.is_added),
        removed=_moving(line for line in lines if not line.is_added),
        came={file.content: file.path for file in files if file.is_added},
        left={file.content: file.path for file in files if not file.is_added},
        words=words_of(change.message),
        subject=words_of(change.subject),
        is_aside=bool(paths) and all(map(is_aside, paths)),
    )


def words_of(message: str) -> frozenset[str]:
    """Return the words of a message, lower case, without those of its footers."""
    prose = _FOOTER.sub("", message[:_MOST_TEXT])
    return frozenset(word.lower() for word in _WORD.findall(prose))


def _moving(lines: Iterable[Line]) -> dict[int, Spot]:
    found: dict[int, Spot] = {}
    for line in lines:
        text = line.text.strip()
        if len(text) < SHORTEST_MOVED or not is_read(line.path):
            continue
        digest = int.from_bytes(blake2b(text.encode(), digest_size=7).digest(), "big")
        found.setdefault(digest, Spot(line.path, line.number, line.sign))
        if len(found) >= MOST_MOVED:
            break
    return found
