"""What the board of the train shows: read in a constant number of queries, whatever there is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from scheduler.domain import train as domain
from scheduler.domain.changes import ChangeSet, ChangeStatus, ProjectKind, release_branch
from scheduler.domain.checklist.gate import stopped_by_the_train
from scheduler.domain.dependencies import Problem, conditions_broken
from scheduler.domain.lifecycle import Status
from scheduler.domain.policy.findings import Place
from scheduler.domain.production import Production
from scheduler.domain.statements import Statement as Said
from scheduler.domain.windows import Freeze
from scheduler.models import Backport, Change, Statement, TrainVersion, Window
from scheduler.queries import (
    OPEN_STATUSES,
    moves_before,
    newest_plans,
    related_changes,
    statements_about,
    train_freezes,
)
from scheduler.views.plan_pages import PlanPage

DAY = timedelta(days=1)
WEEK = 7  # days
SHOWN_DAYS = 1 + WEEK
USUAL_GROUPS = ("group0", "group1", "group2")
# How much is looked at, the newest first: a board is for what happens now.
MERGED_LOOKED_AT, WAITING_LOOKED_AT, LIVE_LOOKED_AT, CONFIG_LOOKED_AT = 200, 200, 300, 200
CONFIG_FOR = timedelta(weeks=4)
TONES = 4  # how many versions are told apart by their colour


@dataclass(frozen=True, slots=True)
class Mark:
    """Something in a day of a group: what serves it, moves to it, or should have.

    Attributes:
        kind: `serves`, `moved`, `planned`, `overdue`, `held` or `frozen`.
        at: when; None for what serves it since before.
    """

    kind: str
    version: str
    tone: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group, what serves it now, and what happens to it on each day of the week."""

    name: str
    version: str
    tone: int
    days: tuple[tuple[date, tuple[Mark, ...]], ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A backport that waits for the train.

    Attributes:
        rule: which rule sent it there; "" where a person left it to the train.
        arrives: group to when it has it, those that have not; empty where nobody can say.
    """

    backport: Backport
    rule: str
    arrives: tuple[tuple[str, datetime], ...]


@dataclass(frozen=True, slots=True)
class PromotionRow:
    """A promotion of a version, with the state that it is in.

    Attributes:
        state: `done`, `planned`, `overdue`, `held`, `frozen` or `left` (rolled back, or skipped).
        is_on: whether the group is served by the version now.
        can_promote: whether the group can be moved to it now.
    """

    group: str
    at: datetime | None
    done_at: datetime | None
    state: str
    is_on: bool
    can_promote: bool


@dataclass(frozen=True, slots=True)
class VersionCard:
    """A version of the train, with all that hangs on it."""

    row: TrainVersion
    tone: int
    groups: tuple[str, ...]
    is_checked_out: bool
    is_to_be_cut: bool
    promotions: tuple[PromotionRow, ...]
    rides: tuple[Change, ...]
    waits: tuple[Waiting, ...]
    older: tuple[tuple[str, str, int], ...] = ()

    @property
    def is_rolling(self) -> bool:
        """Whether some group is still to move to it."""
        return any(row.state in {"planned", "overdue", "held", "frozen"} for row in self.promotions)


@dataclass(frozen=True, slots=True)
class Broken:
    """Live configuration whose condition does not hold: it must be reverted.

    Attributes:
        lacking: the branches that lack what it needs, each with the groups that it serves.
        backport: the last one of it; None if it was deployed in another way.
    """

    change: Change
    way: str
    lacking: tuple[tuple[str, tuple[str, ...]], ...]
    backport: Backport | None


@dataclass(frozen=True, slots=True)
class Undone:
    """A change that is live, and that the versions to come lack."""

    change: Change
    backport: Backport | None
    branches: tuple[str, ...]


@dataclass(frozen=True)
class Board:
    """The train as it is now. What is asked of it is read once.

    Attributes:
        rows: all versions, oldest first.
    """

    now: datetime
    rows: Sequence[TrainVersion]
    versions: Sequence[domain.Version]
    moves: Sequence[domain.Move]
    freezes: Sequence[Freeze]
    production: Production

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The names of all groups that are served or planned, sorted."""
        names = {move.group for move in self.moves if move.at > self.now - 4 * WEEK * DAY}
        names |= set(self.production.live)
        names |= {one.group for version in self.shown.values() for one in version.promotions}
        return tuple(sorted(names - domain.groups_retired(self.moves, self.now)))

    @cached_property
    def shown(self) -> dict[str, domain.Version]:
        """The versions of now, oldest first: on the deploy host, or to come."""
        return {
            one.name: one
            for one in self.versions
            if one.is_checked_out(self.now)
            or (
                not (one.checked_out_until and one.checked_out_until <= self.now)
                and (one.is_to_be_cut(self.now) or any(p.done_at is None for p in one.promotions))
            )
        }

    def tone_of(self, version: str) -> int:
        """Return which colour a version has: neighbours differ."""
        names = [one.name for one in self.versions]
        return names.index(version) % TONES if version in names else 0

    @property
    def days(self) -> tuple[date, ...]:
        """The days that are shown: from yesterday on, a week ahead."""
        yesterday = self.now.astimezone(UTC).date() - DAY
        return tuple(yesterday + day * DAY for day in range(SHOWN_DAYS))

    @cached_property
    def week(self) -> tuple[GroupRow, ...]:
        """Each group over the week."""
        return tuple(self._group_row(group) for group in self.groups)

    def _group_row(self, group: str) -> GroupRow:
        start = datetime.combine(self.days[0], datetime.min.time(), UTC)
        end = start + SHOWN_DAYS * DAY
        spans = domain.spans(group, self.moves, self.production, (start, end))
        marks: list[tuple[date, tuple[Mark, ...]]] = []
        for day in self.days:
            begins = datetime.combine(day, datetime.min.time(), UTC)
            found = [
                Mark(
                    "serves" if one.since <= begins else "planned" if one.is_planned else "moved",
                    one.version,
                    self.tone_of(one.version),
                    one.since if one.since > begins else None,
                )
                for one in spans
                if one.since < begins + DAY and one.until > begins
            ]
            marks.append((day, (*found, *self._missed(group, begins))))
        version = self.production.live.get(group, "")
        return GroupRow(group, version, self.tone_of(version), tuple(marks))

    def _missed(self, group: str, begins: datetime) -> list[Mark]:
        """Return the promotions of a day that were not done, or cannot be relied on."""
        found = []
        for version in self.shown.values():
            for one in version.promotions:
                state = self.state_of(version, one)
                if (
                    one.group == group
                    and begins <= one.at < begins + DAY
                    and state in {"overdue", "held", "frozen"}
                ):
                    found.append(Mark(state, version.name, self.tone_of(version.name), one.at))
        return found

    def state_of(self, version: domain.Version, promotion: domain.Promotion) -> str:
        """Return what became of a promotion."""
        served = self.production.live.get(promotion.group, "")
        if promotion.done_at is not None and promotion.done_at <= self.now:
            return "done"
        if domain.place_of(served) > domain.place_of(version.name):
            return "left"
        if version.is_held(self.now):
            return "held"
        if promotion.is_overdue(self.now):
            return "overdue"
        return "frozen" if domain.stops(self.freezes, promotion) else "planned"

    @cached_property
    def cards(self) -> tuple[VersionCard, ...]:
        """The versions of now, the newest first."""
        by_name = {row.name: row for row in self.rows}
        rides, waits = self.rides, self.waits
        return tuple(
            VersionCard(
                row=by_name[name],
                tone=self.tone_of(name),
                groups=self.production.groups_served(release_branch(name)),
                is_checked_out=version.is_checked_out(self.now),
                is_to_be_cut=version.is_to_be_cut(self.now),
                promotions=self._promotions(version),
                rides=rides.get(name, ()),
                waits=waits.get(name, ()),
                older=self._older(version),
            )
            for name, version in reversed(self.shown.items())
        )

    def _promotions(self, version: domain.Version) -> tuple[PromotionRow, ...]:
        planned = {one.group: one for one in version.promotions}
        movable = version.is_checked_out(self.now) and not version.is_held(self.now)
        rows = []
        for group in self.groups or USUAL_GROUPS:
            one = planned.get(group)
            served = self.production.live.get(group, "")
            newer = domain.place_of(version.name) > domain.place_of(served)
            if one is not None or (newer and version.is_checked_out(self.now)):
                rows.append(
                    PromotionRow(
                        group,
                        one.at if one else None,
                        one.done_at if one else None,
                        self.state_of(version, one) if one else "left",
                        is_on=served == version.name,
                        can_promote=movable and newer,
                    )
                )
        return tuple(rows)

    def _older(self, version: domain.Version) -> tuple[tuple[str, str, int], ...]:
        """Return where each group that it serves could go back to: group, version, its key."""
        keys = {row.name: row.pk for row in self.rows}
        older = [
            one.name
            for one in self.versions
            if one.is_checked_out(self.now)
            and domain.place_of(one.name) < domain.place_of(version.name)
        ]
        return tuple(
            (group, name, keys[name])
            for group in self.production.groups_served(release_branch(version.name))
            for name in older[-1:]
        )

    @cached_property
    def rides(self) -> Mapping[str, tuple[Change, ...]]:
        """What each version is the first to carry, of what was merged last and is known here."""
        merged = Change.objects.filter(
            kind=ProjectKind.CODE.value,
            status=ChangeStatus.MERGED.value,
            branch__in=settings.MAIN_BRANCHES,
        )
        newest = list(merged.defer("diff").order_by("-number")[:MERGED_LOOKED_AT])
        by_number = {row.number: row for row in newest}
        known = [row.to_domain(with_diff=False) for row in newest]
        riding = domain.carried(known, self.versions, self.now)
        return {
            name: tuple(by_number[number] for number in numbers) for name, numbers in riding.items()
        }

    @cached_property
    def waits(self) -> Mapping[str, tuple[Waiting, ...]]:
        """What waits for each version; "" is where nobody can say for which."""
        coming = {one.version: one for one in self.production.schedule}
        found: dict[str, list[Waiting]] = {}
        for backport in self.left:
            scheduled = coming.get(backport.rides)
            arrives: tuple[tuple[str, datetime], ...] = ()
            if scheduled is not None and backport.arrives_at is not None:
                arrives = tuple(sorted(scheduled.promotions.items(), key=lambda one: one[1]))
            name = backport.rides if backport.rides in self.shown else ""
            found.setdefault(name, []).append(Waiting(backport, "", arrives))
        for version, waiting in self._sent_by_a_rule():
            name = version if version in self.shown else ""
            found.setdefault(name, []).append(waiting)
        return {name: tuple(some) for name, some in found.items()}

    @property
    def nobody_can_say(self) -> tuple[Waiting, ...]:
        """What waits, and for which nobody can say when it comes."""
        return self.waits.get("", ())

    @cached_property
    def left(self) -> list[Backport]:
        """What somebody left to the train, oldest first."""
        rows = Backport.objects.filter(status=Status.TRAIN.value, window__as_of__isnull=True)
        rows = rows.select_related("change", "window", "requester").defer("change__diff")
        return list(rows.order_by("submitted_at", "pk")[:WAITING_LOOKED_AT])

    @cached_property
    def booked(self) -> list[Backport]:
        """What is booked in the windows to come, by window."""
        rows = Backport.objects.filter(
            status__in=OPEN_STATUSES, window__as_of__isnull=True, window__end__gt=self.now
        )
        rows = rows.select_related("change", "window", "requester").defer("change__diff")
        return list(rows.order_by("window__start", "pk")[:WAITING_LOOKED_AT])

    def _sent_by_a_rule(self) -> Iterable[tuple[str, Waiting]]:
        """Yield what a rule sent to the train in a window to come, and the version it rides."""
        windows: dict[int, Window] = {one.window_id: one.window for one in self.booked}
        by_place = {(one.window_id, one.change.number): one for one in self.booked}
        for pk, plan in newest_plans(windows.values()).items():
            for number, placed in PlanPage(plan.result).placements.items():
                backport = by_place.get((pk, number))
                if backport is not None and placed.place == Place.TRAIN.slug:
                    arrives = tuple(sorted(placed.arrives, key=lambda one: one[1]))
                    yield placed.version, Waiting(backport, placed.rule, arrives)

    @cached_property
    def undone(self) -> tuple[Undone, ...]:
        """What production has now, and the versions to come lack."""
        rows = list(
            Change.objects.filter(
                branch__in=self.production.live_branches,
                status=ChangeStatus.MERGED.value,
                fetched_at__isnull=False,
            )
            .defer("diff")
            .order_by("-number")[:LIVE_LOOKED_AT]
        )
        keys = {row.change_id for row in rows}
        family = Change.objects.filter(change_id__in=keys, fetched_at__isnull=False).defer("diff")
        known = ChangeSet(row.to_domain(with_diff=False) for row in family)
        live = [known[row.number] for row in rows]
        siblings = {change.number: known.siblings(change) for change in live}
        found = domain.undone_by_the_train(live, siblings, self.production)
        by_number = {row.number: row for row in rows}
        backports = _last_backports(by_number[one.change] for one in found)
        return tuple(
            Undone(by_number[one.change], backports.get(one.change), one.branches) for one in found
        )

    @cached_property
    def _configuration(self) -> tuple[dict[int, Change], ChangeSet, Sequence[Said]]:
        """The configuration that is live as far as is known and declares what it needs."""
        recent = Backport.objects.filter(
            change=OuterRef("pk"),
            window__as_of__isnull=True,
            window__start__range=(self.now - CONFIG_FOR, self.now),
        )
        said = Statement.objects.filter(superseded_at__isnull=True)
        merged = Change.objects.filter(
            Q(declares=True) | Q(pk__in=said.values("first")) | Q(pk__in=said.values("then")),
            kind=ProjectKind.CONFIG.value,
            status=ChangeStatus.MERGED.value,
        )
        rows = merged.filter(
            Q(deployed=True)
            | Q(Exists(recent.filter(status=Status.DEPLOYED.value)))
            | (Q(deployed__isnull=True) & Q(Exists(recent)))
        ).defer("diff")
        found = {row.number: row for row in rows.order_by("-number")[:CONFIG_LOOKED_AT]}
        statements = statements_about(row.pk for row in found.values())
        known = related_changes(found.values(), statements, with_diff=False)
        return found, known, statements

    def lacking(self, production: Production) -> dict[int, Problem]:
        """Return what live configuration would lack in some production, by its change's number."""
        rows, known, statements = self._configuration
        if not rows:
            return {}
        broken = conditions_broken(known, sorted(rows), production, statements)
        return {one.chain[0]: one for one in broken}

    @cached_property
    def broken(self) -> tuple[Broken, ...]:
        """The live configuration that must be reverted as production is now."""
        return self.told(self.lacking(self.production), self.production)

    def told(self, problems: Mapping[int, Problem], production: Production) -> tuple[Broken, ...]:
        """Return problems of live configuration with their changes, the newest first."""
        rows, _, _ = self._configuration
        backports = _last_backports(rows[number] for number in problems)
        return tuple(
            Broken(
                rows[number],
                problem.way,
                tuple((one, production.groups_served(one)) for one in problem.branches),
                backports.get(number),
            )
            for number, problem in sorted(problems.items(), reverse=True)
        )

    def stopped(self, production: Production) -> dict[int, str]:
        """Return why what is booked in windows to come could not go in some production."""
        numbers = sorted(one.change.number for one in self.booked)
        return stopped_by_the_train(numbers, self._around_booked, production)

    @cached_property
    def _around_booked(self) -> ChangeSet:
        return related_changes((one.change for one in self.booked), (), with_diff=False)


def _last_backports(changes: Iterable[Change]) -> dict[int, Backport]:
    """Return the last backport of each change that has one, by the change's number."""
    rows = Backport.objects.filter(change__in=[change.pk for change in changes])
    rows = rows.select_related("change", "window").defer("change__diff")
    return {row.change.number: row for row in rows.order_by("pk")}


def board_at(now: datetime) -> Board:
    """Return the board of the train at a moment."""
    rows = list(TrainVersion.objects.prefetch_related("promotions").order_by("position"))
    versions = [row.to_domain() for row in rows]
    moves = moves_before(now)
    freezes = train_freezes(now - WEEK * DAY, now + domain.KNOWN_FOR)
    production = domain.production_at(now, versions, moves, freezes)
    return Board(now, rows, versions, moves, freezes, production)
