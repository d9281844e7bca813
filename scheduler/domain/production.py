"""Versions: which are checked out and live where, what the train brings, and when."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from scheduler.domain.changes import Change, release_branch


@dataclass(frozen=True, slots=True)
class ScheduledVersion:
    """A version of the train with the promotions that are still to come.

    Attributes:
        version: such as `1.27.0-wmf.4`.
        cut: when its branch is cut, UTC; None where that is not known.
        promotions: group to the time it moves to this version, UTC.
    """

    version: str
    cut: datetime | None = None
    promotions: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arrival:
    """When the train brings a change to the groups that need it.

    Attributes:
        version: the first version that carries it to all of them.
        groups: group to time, UTC, in the order of the groups' names.
    """

    version: str
    groups: Mapping[str, datetime]

    @property
    def complete_at(self) -> datetime:
        """When the last group has it."""
        return max(self.groups.values())


@dataclass(frozen=True)
class Production:
    """What is where at the time of planning.

    Attributes:
        checked_out: versions on the deploy host, oldest first; empty where that is not known.
        live: group to the version that serves it.
        schedule: versions with promotions to come, in order.
    """

    checked_out: tuple[str, ...] = ()
    live: Mapping[str, str] = field(default_factory=dict)
    schedule: tuple[ScheduledVersion, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether anything is known about versions; without it no rule about them is looked at."""
        return bool(self.checked_out)

    @cached_property
    def branches(self) -> tuple[str, ...]:
        """The branches of the checked-out versions, oldest first."""
        return tuple(release_branch(version) for version in self.checked_out)

    @cached_property
    def checked_out_branches(self) -> frozenset[str]:
        """The branches of the checked-out versions."""
        return frozenset(self.branches)

    @cached_property
    def live_branches(self) -> tuple[str, ...]:
        """The branches that serve some group now, oldest first."""
        serving = set(self.live.values())
        return tuple(release_branch(version) for version in self.checked_out if version in serving)

    @cached_property
    def upcoming_branches(self) -> tuple[str, ...]:
        """Checked-out branches newer than the newest live one: what the train rolls forward to."""
        if not self.live_branches:
            return ()
        return self.branches[self.branches.index(self.live_branches[-1]) + 1 :]

    @cached_property
    def rollback_branch(self) -> str | None:
        """Where only one version is live, the checked-out branch just before it."""
        if len(self.live_branches) != 1:
            return None
        place = self.branches.index(self.live_branches[0])
        return self.branches[place - 1] if place else None

    def newer_branches(self, branch: str) -> tuple[str, ...]:
        """Return the checked-out branches newer than this one; empty if it is not checked out."""
        if branch not in self.checked_out_branches:
            return ()
        return self.branches[self.branches.index(branch) + 1 :]

    def lacking(
        self, change: Change, siblings: Iterable[Change], requested: Container[int]
    ) -> tuple[str, ...]:
        """Return the checked-out branches, newer than a change's own, that would undo it.

        Args:
            change: code on a release branch.
            siblings: its cherry-picks, itself included.
            requested: numbers of what is booked in the same window; a branch gets those too.
        """
        has: set[str] = set()
        for sibling in siblings:
            has |= sibling.branches
            if sibling.number in requested:
                has.add(sibling.branch)
        return tuple(branch for branch in self.newer_branches(change.branch) if branch not in has)

    def is_deployable_branch(self, branch: str) -> bool:
        """Return whether code on this branch can be deployed: it is checked out.

        Where nothing is known about versions, every release branch counts: absence of facts is
        never read as "no dependency".
        """
        if self.is_known:
            return branch in self.checked_out_branches
        return branch.startswith(release_branch(""))

    @cached_property
    def branch_of_group(self) -> Mapping[str, str]:
        """The branch that serves each group now, by the group's name."""
        return {group: release_branch(version) for group, version in sorted(self.live.items())}

    def at(self, moment: datetime) -> "Production":
        """Return what is where at a later moment, if all goes as scheduled until then.

        What was not checked out, and serves a group by then, is newer than what was.
        """
        live = dict(self.live)
        due = [
            (at, group, one.version)
            for one in self.schedule
            for group, at in one.promotions.items()
            if at <= moment
        ]
        live |= {group: version for _, group, version in sorted(due)}
        new = {version for _, _, version in due} - {*self.checked_out}
        checked_out = (*self.checked_out, *(s.version for s in self.schedule if s.version in new))
        coming = [
            ScheduledVersion(
                one.version,
                one.cut,
                {group: at for group, at in one.promotions.items() if at > moment},
            )
            for one in self.schedule
        ]
        return Production(checked_out, live, tuple(one for one in coming if one.promotions))

    def with_group(self, group: str, version: str) -> "Production":
        """Return what is where once a group is served by another version."""
        return Production(self.checked_out, {**self.live, group: version}, self.schedule)

    def groups_served(self, branch: str) -> tuple[str, ...]:
        """Return the groups that a branch serves now, by name."""
        return self._groups_by_branch.get(branch, ())

    @cached_property
    def _groups_by_branch(self) -> dict[str, tuple[str, ...]]:
        groups: dict[str, list[str]] = {}
        for group, version in sorted(self.live.items()):
            groups.setdefault(release_branch(version), []).append(group)
        return {branch: tuple(names) for branch, names in groups.items()}

    def arrival(self, change: Change, siblings: Iterable[Change], now: datetime) -> Arrival | None:
        """Return when the train brings a change to every group that its branch serves.

        A change rides a version if it, or a sibling, is in that version's branch, or the version
        is not cut yet at `now` and a sibling is merged on the main branch.

        Returns:
            None if the branch serves no group or no scheduled version brings the change to all of
            its groups.
        """
        groups = self.groups_served(change.branch)
        return self.arrival_in(groups, siblings, now, apart_from=change.branch)

    def arrival_in(
        self,
        groups: Sequence[str],
        siblings: Iterable[Change],
        now: datetime,
        *,
        apart_from: str = "",
    ) -> Arrival | None:
        """Return when the train brings a change to all of some groups: by the first that does.

        Args:
            groups: by name; none has no arrival.
            siblings: the change and its cherry-picks.
            now: UTC.
            apart_from: a branch whose version does not count.
        """
        if not groups or not self.schedule:
            return None
        contained: set[str] = set()
        in_main = False
        for sibling in siblings:
            contained |= sibling.branches
            in_main = in_main or (sibling.is_merged and sibling.is_on_main)
        found = []
        for scheduled in self._scheduled:
            branch = release_branch(scheduled.version)
            uncut = branch not in self.checked_out_branches and (
                scheduled.cut is None or scheduled.cut > now
            )
            if branch != apart_from and (branch in contained or (in_main and uncut)):
                times = {g: scheduled.promotions[g] for g in groups if g in scheduled.promotions}
                if len(times) == len(groups):
                    found.append(Arrival(scheduled.version, times))
        return min(found, key=lambda arrival: arrival.complete_at, default=None)

    @cached_property
    def _scheduled(self) -> tuple[ScheduledVersion, ...]:
        """The schedule with one entry for each version; the earliest time of a group counts."""
        if len({one.version for one in self.schedule}) == len(self.schedule):
            return self.schedule
        merged: dict[str, ScheduledVersion] = {}
        for one in self.schedule:
            before = merged.get(one.version, one)
            promotions = {
                group: min(at, one.promotions.get(group, at))
                for group, at in {**one.promotions, **before.promotions}.items()
            }
            merged[one.version] = ScheduledVersion(one.version, before.cut or one.cut, promotions)
        return tuple(merged.values())


NOTHING_KNOWN = Production()
