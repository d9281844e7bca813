"""`wikiversions.json` and group lists as the deploy host has them: which version serves a group.

`wikiversions.json` maps the database name of each wiki to a version, with or without `php-` before
it; a group list (`group0.dblist`) names one wiki on each line, with comments behind `#`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scheduler.adapters.cleaning import shortened, visible_line
from scheduler.domain.train import VERSION

LONGEST_GROUP = 32
_WIKI = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_GROUP = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
_TOLD = 60  # characters of what is wrong


class UnusableFile(ValueError):
    """A file is not what it should be; the message is one line that says where and why."""


@dataclass(frozen=True, slots=True)
class Mixed:
    """A group whose wikis are on several versions: it is between two, and is not imported.

    Attributes:
        versions: each with the number of its wikis, the most first.
    """

    group: str
    versions: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Served:
    """What files say of the groups.

    Attributes:
        versions: group to the one version that serves all its wikis.
        mixed: groups on several versions.
        missing: group to how many of its wikis have no version.
    """

    versions: Mapping[str, str]
    mixed: tuple[Mixed, ...] = ()
    missing: Mapping[str, int] | None = None


def versions_of_wikis(text: str, *, name: str = "wikiversions.json") -> dict[str, str]:
    """Return the version of each wiki.

    Raises:
        UnusableFile: it is not JSON, or maps anything else than wikis to versions.
    """
    try:
        found: Any = json.loads(text, object_pairs_hook=once_each)
    except TwiceNamed as twice:
        raise UnusableFile(f"{name}: {twice} stands there twice.") from None
    except ValueError as error:
        raise UnusableFile(f"{name} is not JSON: {_said(error)}.") from None
    except RecursionError:
        raise UnusableFile(f"{name} is nested too deeply.") from None
    if not isinstance(found, dict) or not found:
        raise UnusableFile(f"{name} must be an object that maps wikis to versions.")
    versions = {}
    for wiki, value in found.items():
        if not _WIKI.fullmatch(wiki):
            raise UnusableFile(f"{name}: {_told(wiki)} is not the name of a wiki.")
        version = value.removeprefix("php-") if isinstance(value, str) else value
        if not isinstance(version, str) or not VERSION.fullmatch(version):
            raise UnusableFile(f"{name}: {wiki} is on {_told(value)}, which is no version.")
        versions[wiki] = version
    return versions


def wikis_of_group(text: str, *, name: str) -> tuple[str, ...]:
    """Return the wikis that a group list names, in its order.

    Raises:
        UnusableFile: a line is no wiki; an expression of other lists is not computed here.
    """
    wikis: dict[str, None] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        wiki = line.partition("#")[0].strip()
        if wiki.startswith("%%"):
            raise UnusableFile(
                f"{name}, line {number}: this list is an expression ({_told(wiki)}), which is not "
                "computed here. Expand it first: expanddblist writes the wikis out."
            )
        if wiki and not _WIKI.fullmatch(wiki):
            raise UnusableFile(f"{name}, line {number}: {_told(wiki)} is not the name of a wiki.")
        if wiki:
            wikis[wiki] = None
    if not wikis:
        raise UnusableFile(f"{name} names no wiki.")
    return tuple(wikis)


def groups_of_json(text: str, *, name: str = "groups") -> dict[str, tuple[str, ...]]:
    """Return the wikis of each group from a JSON object that maps groups to lists of wikis.

    Raises:
        UnusableFile: it is anything else.
    """
    try:
        found: Any = json.loads(text, object_pairs_hook=once_each)
    except TwiceNamed as twice:
        raise UnusableFile(f"{name}: {twice} stands there twice.") from None
    except (ValueError, RecursionError) as error:
        raise UnusableFile(f"{name} is not JSON: {_said(error)}.") from None
    if not isinstance(found, dict) or not found:
        raise UnusableFile(f"{name} must be an object that maps groups to lists of wikis.")
    groups = {}
    for group, wikis in found.items():
        if not isinstance(wikis, list) or not all(isinstance(wiki, str) for wiki in wikis):
            raise UnusableFile(f"{name}: {_told(group)} must be a list of wikis.")
        groups[group_named(group)] = wikis_of_group("\n".join(wikis), name=f"{name}, {group}")
    return groups


def group_named(name: str) -> str:
    """Return the name of a group, from that of its list.

    Raises:
        UnusableFile: it is none.
    """
    group = name.removesuffix(".dblist")
    if not _GROUP.fullmatch(group):
        raise UnusableFile(f"{_told(group)} is not the name of a group.")
    return group


def served_by(versions: Mapping[str, str], groups: Mapping[str, Iterable[str]]) -> Served:
    """Return which version serves each group.

    A wiki that the file of versions lacks (closed, or deleted) is counted, and says nothing.

    Raises:
        UnusableFile: no wiki of a group has a version.
    """
    served, mixed, missing = {}, [], {}
    for group, wikis in sorted(groups.items()):
        known = tuple(wikis)
        counted = Counter(versions[wiki] for wiki in known if wiki in versions)
        if not counted:
            raise UnusableFile(f"No wiki of {group} has a version: do the files belong together?")
        if len(counted) > 1:
            mixed.append(Mixed(group, tuple(counted.most_common())))
        else:
            served[group] = next(iter(counted))
        lacking = len(known) - counted.total()
        if lacking:
            missing[group] = lacking
    return Served(served, tuple(mixed), missing)


class TwiceNamed(Exception):
    """A key that stands twice in an object."""


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, unless one of its keys stands there twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise TwiceNamed(_told(key))
        found[key] = value
    return found


def _told(value: object) -> str:
    return shortened(visible_line(str(value)), _TOLD)


def _said(error: Exception) -> str:
    return visible_line(str(error)) or "nested too deeply"
