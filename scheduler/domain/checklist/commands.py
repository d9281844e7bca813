"""The commands of a step, built from numbers and strictly matched names only.

Nothing that a person or the review system wrote as text ever becomes part of a command
(`reference/trust.md` B-9): where a value does not match, no command is offered.
"""

import re
from collections.abc import Sequence

_TASK = re.compile(r"T[1-9][0-9]{0,9}\Z", re.ASCII)


def scap_backport(numbers: Sequence[int]) -> str:
    """Return the command that deploys these changes in one sync."""
    return f"scap backport {_told(numbers)}"


def scap_revert(numbers: Sequence[int]) -> str:
    """Return the command that takes these changes back."""
    return f"scap backport --revert {_told(numbers)}"


def spiderpig_link(base: str, numbers: Sequence[int]) -> str | None:
    """Return the address that opens SpiderPig with these changes filled in.

    Args:
        base: where SpiderPig is, ending in a slash; None is returned unless it is https.
        numbers: the changes.
    """
    if not base.startswith("https://"):
        return None
    query = "&".join(f"backport={int(number)}" for number in numbers)
    return f"{base}mediawiki/backport?{query}"


def log_line(numbers: Sequence[int], tasks: Sequence[str]) -> str:
    """Return the line for the server admin log, naming changes and tasks."""
    changes = ", ".join(f"[[gerrit:{number}]]" for number in numbers)
    named = [task for task in tasks if _TASK.match(task)]
    about = f" ({', '.join(named)})" if named else ""
    return f"!log SWAT: deployed {changes}{about}"


def _told(numbers: Sequence[int]) -> str:
    return " ".join(str(int(number)) for number in numbers)
