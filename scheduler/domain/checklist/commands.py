"""The commands of a step, built from numbers and strictly matched names only.

Nothing that a person or the review system wrote as text ever becomes part of a command
(`reference/trust.md` B-9): where a value does not match, no command is offered.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TASK = re.compile(r"T[1-9][0-9]{0,9}\Z", re.ASCII)
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/(?:[A-Za-z0-9._~-]+/)*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Commands:
    """What is typed, opened and logged for one item; "" where that is nothing."""

    command: str = ""
    link: str = ""
    log: str = ""


NOTHING = Commands()


def to_deploy(numbers: Sequence[int], *, spiderpig: str = "") -> Commands:
    """Return what deploys these changes in one sync.

    Args:
        numbers: the changes.
        spiderpig: where SpiderPig is, ending in a slash; anything but plain https has no link.
    """
    told = _told(numbers)
    if told is None:
        return NOTHING
    return Commands(f"scap backport {told}", spiderpig_link(spiderpig, numbers))


def to_take_back(numbers: Sequence[int]) -> Commands:
    """Return what takes these changes back."""
    told = _told(numbers)
    return NOTHING if told is None else Commands(f"scap backport --revert {told}")


def to_log(verb: str, numbers: Sequence[int], tasks: Sequence[str]) -> Commands:
    """Return the line for the server admin log, naming changes and tasks.

    Args:
        verb: a word of ours, such as "deployed".
        numbers: the changes.
        tasks: what they say they are about; what does not look like a task is left out.
    """
    if _told(numbers) is None:
        return NOTHING
    changes = ", ".join(f"[[gerrit:{number}]]" for number in numbers)
    named = [task for task in tasks if _TASK.match(task)]
    about = f" ({', '.join(named)})" if named else ""
    return Commands(log=f"!log SWAT: {verb} {changes}{about}")


def spiderpig_link(base: str, numbers: Sequence[int]) -> str:
    """Return the address that opens SpiderPig with these changes filled in; "" if there is none."""
    if not _HTTPS.match(base) or _told(numbers) is None:
        return ""
    query = "&".join(f"backport={number}" for number in numbers)
    return f"{base}mediawiki/backport?{query}"


def _told(numbers: Sequence[int]) -> str | None:
    """Return numbers as arguments; None if one of them is no number of a change."""
    if not numbers or any(type(number) is not int or number < 1 for number in numbers):
        return None
    return " ".join(map(str, numbers))
