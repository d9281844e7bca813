"""The train: versions, the moves of groups between them, what was planned, held and rolled back."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from scheduler.domain.changes import Change, release_branch
from scheduler.domain.production import Arrival, Production, ScheduledVersion
from scheduler.domain.windows import Freeze, FreezeScope

# A version's name, of today and of before September 2015 (`reference/wikimedia.md` 2).
VERSION = re.compile(r"(\d{1,2})\.(\d{1,3})(?:\.(\d{1,3})-wmf\.|wmf)(\d{1,3})", re.ASCII)

# How far ahead the schedule is looked at: further than any rule does, and a replay must not see
# what came years later.
KNOWN_FOR = timedelta(days=28)

# What is overdue is still expected for so long: somebody may just not have noted it yet.
EXPECTED_FOR = timedelta(hours=2)


def place_of(version: str) -> tuple[int, ...]:
    """Return what sorts the names of versions, the oldest first; what is no name comes first."""
    match = VERSION.fullmatch(version)
    return tuple(int(part or 0) for part in match.groups()) if match else ()


class MoveKind(StrEnum):
    """Why a group changed its version."""

    PROMOTE = "promote"
    ROLL_BACK = "roll-back"
    IMPORT = "import"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True)
class Move:
    """A group of wikis began to be served by a version, or ceased to be one (`RETIRE`); UTC."""

    group: str
    version: str
    at: datetime
    kind: MoveKind = MoveKind.PROMOTE


@dataclass(frozen=True, slots=True)
class Promotion:
    """A group is to move to a version.

    Attributes:
        at: when that is planned, UTC.
        done_at: when it was done; None while it was not.
    """

    group: str
    at: datetime
    done_at: datetime | None = None

    def is_to_come(self, moment: datetime, patience: timedelta = timedelta()) -> bool:
        """Return whether, at a moment, it is not done and planned for later, or was so long ago."""
        is_late = self.at <= moment - patience
        return not is_late and (self.done_at is None or self.done_at > moment)

    def is_overdue(self, moment: datetime) -> bool:
        """Return whether, at a moment, its time has passed and it is not done."""
        return self.at <= moment and (self.done_at is None or self.done_at > moment)


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the train.

    Attributes:
        name: such as `1.47.0-wmf.31`.
        cut: when its branch is cut, UTC; None where that is not known.
        checked_out_from: since when it is on the deploy host; None if it is not yet.
        checked_out_until: when it left the deploy host; None if it has not.
        held_since: since when the train is held at this version; None if it is not.
        promotions: in the order in which they are planned.
    """

    name: str
    cut: datetime | None = None
    checked_out_from: datetime | None = None
    checked_out_until: datetime | None = None
    held_since: datetime | None = None
    promotions: tuple[Promotion, ...] = ()

    def is_checked_out(self, moment: datetime) -> bool:
        """Return whether it is on the deploy host at a moment."""
        return (
            self.checked_out_from is not None
            and self.checked_out_from <= moment
            and (self.checked_out_until is None or self.checked_out_until > moment)
        )

    def is_to_be_cut(self, moment: datetime) -> bool:
        """Return whether, at a moment, its branch is still to be cut."""
        if self.checked_out_from is not None and self.checked_out_from <= moment:
            return False
        return self.cut is None or self.cut > moment

    def is_held(self, moment: datetime) -> bool:
        """Return whether the train is held at this version at a moment."""
        return self.held_since is not None and self.held_since <= moment


def production_at(
    moment: datetime,
    versions: Sequence[Version],
    moves: Iterable[Move],
    freezes: Sequence[Freeze] = (),
    patience: timedelta = timedelta(),
) -> Production:
    """Return what is where at a moment, and the promotions to come then.

    A promotion counts as to come only where it can be relied on: not of a version that is held,
    and not in a freeze that stops the train. Nothing is taken as done because its time has passed.

    Args:
        moment: UTC.
        versions: oldest first.
        moves: every move up to the moment at least, in any order.
        freezes: those around; scope `normal` does not stop the train.
        patience: how long what is overdue still counts as to come, at the time planned.
    """
    checked_out = tuple(one.name for one in versions if one.is_checked_out(moment))
    live = {
        group: version
        for group, version in versions_served(moves, moment).items()
        if version in checked_out
    }
    schedule = []
    for version in versions:
        coming = {
            one.group: one.at
            for one in version.promotions
            if one.is_to_come(moment, patience)
            and one.at <= moment + KNOWN_FOR
            and not stops(freezes, one)
        }
        if coming and not version.is_held(moment):
            schedule.append(ScheduledVersion(version.name, version.cut, coming))
    return Production(checked_out=checked_out, live=live, schedule=tuple(schedule))


def groups_retired(moves: Iterable[Move], moment: datetime) -> frozenset[str]:
    """Return the groups that were retired up to a moment, and have not moved since."""
    newest = _newest(moves, moment)
    return frozenset(group for group in newest if newest[group].kind is MoveKind.RETIRE)


def _newest(moves: Iterable[Move], moment: datetime) -> dict[str, Move]:
    newest: dict[str, Move] = {}
    for move in moves:
        if move.at <= moment and (move.group not in newest or newest[move.group].at <= move.at):
            newest[move.group] = move
    return newest


def versions_served(moves: Iterable[Move], moment: datetime) -> dict[str, str]:
    """Return the version that serves each group at a moment, by the group's name.

    A group that was retired is none any more.
    """
    newest = _newest(moves, moment)
    return {
        group: newest[group].version
        for group in sorted(newest)
        if newest[group].kind is not MoveKind.RETIRE
    }


def stops(freezes: Iterable[Freeze], promotion: Promotion) -> bool:
    """Return whether a freeze lies over a planned promotion and stops the train."""
    return any(
        freeze.scope is not FreezeScope.NORMAL and freeze.start <= promotion.at < freeze.end
        for freeze in freezes
    )


@dataclass(frozen=True, slots=True)
class HalfWay:
    """A train that a freeze would leave between two groups (T260401).

    Attributes:
        reached: groups that have the version when the freeze begins, as planned.
        stranded: groups that do not get it before the freeze ends.
    """

    version: str
    reached: tuple[str, ...]
    stranded: tuple[str, ...]


def left_half_way(
    freeze: Freeze, versions: Iterable[Version], live: Mapping[str, str], now: datetime
) -> tuple[HalfWay, ...]:
    """Return the trains that a freeze would leave half-way, oldest version first.

    A group counts as reached if it is served by the version, or a newer one, or is to move to it
    before the freeze; not if that is overdue, held, or nobody planned it.

    Args:
        freeze: one that stops the train.
        versions: oldest first.
        live: group to the version that serves it now.
        now: UTC.
    """
    found = []
    for version in versions:
        place = place_of(version.name)
        on_it = {group for group, served in live.items() if place_of(served) >= place}
        coming = {
            one.group
            for one in version.promotions
            if one.is_to_come(now) and one.at < freeze.start and not version.is_held(now)
        }
        served = {group for group in on_it if live[group] == version.name}
        groups = {*live, *(one.group for one in version.promotions)}
        reached = (on_it | coming) & groups
        if reached != groups and (served or coming):
            stranded = tuple(sorted(groups - reached))
            found.append(HalfWay(version.name, tuple(sorted(reached)), stranded))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which a group is served by a version.

    Attributes:
        since: from when, UTC; the beginning of the time looked at if it began before.
        until: to when; the end of the time looked at if it lasts.
        is_planned: whether it has yet to begin.
    """

    version: str
    since: datetime
    until: datetime
    is_planned: bool


def spans(
    group: str,
    moves: Iterable[Move],
    production: Production,
    between: tuple[datetime, datetime],
) -> tuple[Span, ...]:
    """Return what serves a group in the time between two moments, as it was and as it is planned.

    Args:
        group: which.
        moves: in any order.
        production: what is to come, as of now.
        between: from when to when, UTC.
    """
    start, end = between
    done = sorted(
        (move.at, "" if move.kind is MoveKind.RETIRE else move.version, False)
        for move in moves
        if move.group == group
    )
    coming = sorted(
        (one.promotions[group], one.version, True)
        for one in production.schedule
        if group in one.promotions
    )
    steps = [step for step in (*done, *coming) if step[0] < end]
    result = []
    for place, (at, version, is_planned) in enumerate(steps):
        until = steps[place + 1][0] if place + 1 < len(steps) else end
        if version and until > start and until > at:
            result.append(Span(version, max(at, start), until, is_planned))
    return tuple(result)


@dataclass(frozen=True, slots=True)
class Ride:
    """How the train stands to a change that was left to it.

    Attributes:
        arrival: when it brings the change to every group; None where nobody can say.
        has_arrived: whether every group that is served has it now.
    """

    arrival: Arrival | None
    has_arrived: bool


def ride_of(
    change: Change, siblings: Sequence[Change], production: Production, now: datetime
) -> Ride:
    """Return how the train brings a change to every group that is served.

    A change is there for a group whose version has it, or a sibling, in its branch. Absence of
    facts is never read as arrived: without a live version nothing has.

    Args:
        change: code.
        siblings: its cherry-picks, itself included.
        production: what is where now, and what is to come.
        now: UTC.
    """
    contained: set[str] = set()
    for sibling in siblings:
        contained |= sibling.branches
    lacking = [
        group for group, branch in production.branch_of_group.items() if branch not in contained
    ]
    if not lacking:
        return Ride(None, has_arrived=bool(production.live))
    return Ride(production.arrival_in(lacking, siblings, now), has_arrived=False)


def is_later(before: datetime | None, after: datetime | None, by: timedelta) -> bool:
    """Return whether an arrival moved back by so much, or cannot be said any more."""
    if before is None:
        return False
    return after is None or after - before >= by


@dataclass(frozen=True, slots=True)
class Undoing:
    """A change that production has now and that versions to come lack.

    Attributes:
        change: its number.
        branches: those of the versions that lack it, in order; some may not be cut yet.
    """

    change: int
    branches: tuple[str, ...]


def undone_by_the_train(
    changes: Iterable[Change],
    siblings: Mapping[int, Sequence[Change]],
    production: Production,
) -> tuple[Undoing, ...]:
    """Return the merged backports on live branches that the versions to come lack.

    Those are newer versions that are checked out, and, for what is not merged on the main branch,
    every version that is still to be cut from it.

    Args:
        changes: what to look at.
        siblings: change number to its cherry-picks, itself included.
        production: what is where.
    """
    live = set(production.live_branches)
    uncut = tuple(
        branch
        for branch in (release_branch(one.version) for one in production.schedule)
        if branch not in production.checked_out_branches
    )
    found = []
    for change in changes:
        if change.is_code and change.is_merged and change.branch in live:
            family = siblings[change.number]
            lacking = production.lacking(change, family, ())
            if not any(one.is_merged and one.is_on_main for one in family):
                lacking += uncut
            if lacking:
                found.append(Undoing(change.number, lacking))
    return tuple(found)


def carried(
    changes: Iterable[Change], versions: Iterable[Version], now: datetime
) -> dict[str, tuple[int, ...]]:
    """Return which changes each version is the first to carry, by its name.

    A change rides the oldest version whose branch has it; where none has it and it is merged on
    the main branch, the oldest one that is not cut yet.

    Args:
        changes: what to look at, in the order in which it is told.
        versions: oldest first.
        now: UTC.
    """
    known = tuple(versions)
    riding: dict[str, list[int]] = {}
    for change in changes:
        has = [one for one in known if release_branch(one.name) in change.branches]
        if not has and change.is_merged and change.is_on_main:
            has = [one for one in known if one.is_to_be_cut(now)]
        if has:
            riding.setdefault(has[0].name, []).append(change.number)
    return {name: tuple(numbers) for name, numbers in riding.items()}
