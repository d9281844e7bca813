"""What the detector of couplings is told: what was worked out, and what lies around a window.

A constant number of queries, whatever is booked.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import Case, Exists, OuterRef, Q, QuerySet, When

from scheduler.adapters.name_table import shipped_rarity
from scheduler.adapters.stored_traits import VERSION, from_json
from scheduler.domain.changes import MAIN_BRANCHES, ChangeStatus, ProjectKind
from scheduler.domain.changes import Change as Known
from scheduler.domain.coupling.background import Background, Projects, projects_of
from scheduler.domain.coupling.elsewhere import WHERE, has_it, whereabouts
from scheduler.domain.coupling.evidence import ASK_FROM, Evidence
from scheduler.domain.coupling.questions import Question, questions_across
from scheduler.domain.coupling.rarity import Rarity
from scheduler.domain.coupling.traits import Traits, traits_of
from scheduler.domain.lifecycle import OPEN, Status
from scheduler.domain.production import Production
from scheduler.domain.statements import StatementKind
from scheduler.models import (
    Backport,
    Change,
    ChangeTraits,
    DismissedName,
    SeenName,
    Statement,
    Window,
)
from scheduler.models import Question as StoredQuestion

BOOKED_WITHIN = timedelta(days=14)  # other windows that are looked at
DEPLOYED_WITHIN = timedelta(days=7)
RIDES_SINCE = timedelta(days=14)  # since the review system was last asked about it
MOST_BOOKED, MOST_RIDING = 100, 50  # others that are looked at, the newest first
MOST_READ = 500  # patch sets

# What was read of a patch set, by key and commit: that never changes, and reading takes long.
READ: dict[tuple[int, str], Traits] = {}

CONTESTED = "contested"  # evidence that somebody contests an answer

_OPEN_VALUES = frozenset(status.value for status in OPEN)

Family = tuple[str, str]  # the project and the Change-Id of a change and its cherry-picks


@dataclass(frozen=True)
class Around:
    """The changes of a window, and others that may belong to one of them.

    Attributes:
        here: those of the window.
        others: one of each family of cherry-picks, of other windows or none.
        families: the others with their cherry-picks, by number.
        windows: where those are booked that are.
        background: what the detector knows besides.
    """

    here: tuple[Known, ...]
    others: tuple[Known, ...]
    families: Mapping[int, tuple[Known, ...]]
    windows: Mapping[int, Window]
    background: Background

    @property
    def background_here(self) -> Background:
        """The same for the changes of the window alone."""
        projects = {one.project for one in self.here}
        dismissed = self.background.dismissed
        return replace(
            self.background,
            dismissed={pair: dismissed[pair] for pair in dismissed if projects.issuperset(pair)},
        )


def fixed_windows(now: datetime) -> QuerySet[Window]:
    """Return the windows whose queue is fixed and that are not over: begun ones until closed."""
    begun = Q(run__isnull=False, run__closed_at__isnull=True)
    rows: QuerySet[Window] = Window.objects.filter(locked_at__isnull=False, as_of__isnull=True)
    return rows.filter(begun | Q(run__isnull=True, end__gt=now))


def around(
    window: Window, rows: Iterable[Change], now: datetime, wished: Iterable[Known] = ()
) -> Around:
    """Return what the detector compares for a window.

    A locked window's queue is fixed, and a replay is of another time: nothing around them counts.

    Args:
        window: which.
        rows: the changes that are booked in it.
        now: the clock, UTC.
        wished: changes that somebody thinks of booking in it, with their diffs.
    """
    booked, wishes = list(rows), {one.number: one for one in wished}
    known = Change.objects.filter(number__in=wishes).defer("diff") if wishes else ()
    traits = traits_kept_of([*booked, *known])
    here = {row.number: row.to_domain(with_diff=row.number not in traits) for row in booked}
    for number, one in wishes.items():
        if number not in traits and one.diff:
            traits[number] = traits_of(one)
    here |= wishes
    others: list[Change] = []
    windows: dict[int, Window] = {}
    if here and not window.is_locked and window.as_of is None:
        others, windows = _others(window, now, here)
    traits |= traits_kept_of(others)
    return Around(
        tuple(here.values()),
        tuple(row.to_domain(with_diff=False) for row in others),
        _families(others),
        windows,
        Background(
            traits,
            rarity_among(traits.values()),
            _dismissed_among([*here.values(), *others]),
        ),
    )


def asked_besides(window: Window, around: Around, production: Production) -> tuple[Question, ...]:
    """Return the questions that do not come from comparing the changes of a window alone.

    None about a locked one: its queue is fixed, and nobody could answer there.
    """
    if window.is_locked:
        return ()
    return *asked_across(around, production), *contested_about(around.here)


def asked_across(around: Around, production: Production) -> tuple[Question, ...]:
    """Return the questions about a change of a window and another one, which is not where it goes.

    What one of them declares of the other need not be asked about, nor what somebody answered about
    cherry-picks of them.
    """
    answered = _answered_about(around)
    here = {one.number: one for one in around.here}
    others = {one.number: one for one in around.others}
    found = []
    for question in questions_across(around.here, around.others, around.background):
        low, high = question.changes
        one, other = (here[low], others[high]) if low in here else (here[high], others[low])
        family = around.families[other.number]
        if has_it(one, family, production) or _declares(one, family) or _declares(other, [one]):
            continue
        if frozenset((family_of(one), family_of(other))) in answered:
            continue
        window = around.windows.get(other.number)
        where = (
            Evidence(WHERE, 0, f"{other} is booked in {window}", ())
            if window
            else whereabouts(other, family, production)
        )
        found.append(replace(question, evidence=(where, *question.evidence)))
    return tuple(found)


def contested_about(changes: Iterable[Known]) -> tuple[Question, ...]:
    """Return a question for each answer about some changes that somebody contested since."""
    numbers = [change.number for change in changes]
    of_pair = Statement.objects.filter(low=OuterRef("low"), high=OuterRef("high"))
    contested = (
        Statement.objects.filter(
            Q(low__in=numbers) | Q(high__in=numbers), contested_at__isnull=False
        )
        .exclude(Exists(of_pair.filter(pk__gt=OuterRef("pk"))))
        .select_related("by", "contested_by", "first", "then")
        .defer("first__diff", "then__diff")
        .order_by("low", "high")
    )
    return tuple(
        Question((row.low, row.high), ASK_FROM, "ask", None, (_contested(row),))
        for row in contested
        if row.contested_by is not None
    )


def _contested(row: Statement) -> Evidence:
    said = f"{row.first.number} {_BELONG[row.kind]} {row.then.number}"
    text = f"{row.contested_by} contests what {row.by} said ({said}): {row.contest_reason}"
    return Evidence(CONTESTED, ASK_FROM, text, ())


_BELONG = {
    StatementKind.BEFORE.value: "before",
    StatementKind.TOGETHER.value: "together with",
    StatementKind.UNRELATED.value: "unrelated to",
}


def _declares(change: Known, family: Iterable[Known]) -> bool:
    """Return whether a change names one of a family as what it needs, or lies above it."""
    return any(
        one.number == change.parent
        or any(named == str(one.number) or one.key.startswith(named) for named in change.depends_on)
        for one in family
    )


def _answered_about(around: Around) -> set[frozenset[Family]]:
    """Return the families of changes about which an answer is in force, in pairs."""
    keys = {change.change_id for change in around.here}
    ours = Change.objects.filter(change_id__in=keys).values_list("number", "project", "change_id")
    families = {number: (project, key) for number, project, key in ours}
    rows = Statement.objects.filter(superseded_at__isnull=True)
    rows = rows.filter(Q(low__in=families) | Q(high__in=families))
    theirs = (member for family in around.families.values() for member in family)
    families |= {member.number: family_of(member) for member in theirs}
    pairs = rows.values_list("low", "high")
    return {
        frozenset((families[low], families[high]))
        for low, high in pairs
        if low in families and high in families
    }


def _others(
    window: Window, now: datetime, here: Mapping[int, Known]
) -> tuple[list[Change], dict[int, Window]]:
    """Return changes that may belong to some of a window, one of each family; and their windows."""
    open_ones = StoredQuestion.objects.filter(window=window, closed_at__isnull=True)
    asked = {number for pair in open_ones.values_list("low", "high") for number in pair}
    coming = Q(
        status__in=_OPEN_VALUES,
        window__end__gt=now,
        window__start__lt=window.end + BOOKED_WITHIN,
    )
    lately = Q(status=Status.DEPLOYED.value, window__start__gt=now - DEPLOYED_WITHIN)
    rows = (
        Backport.objects.filter(coming | lately, window__as_of__isnull=True)
        .filter(change__fetched_at__isnull=False, window__cancelled_at__isnull=True)
        .exclude(window=window)
        .exclude(change__number__in=here)
        .select_related("change", "window")
        .defer("change__diff")
        .order_by(*_asked_first(asked, "change__number"), "-window__start", "-pk")
    )
    found: dict[Family, Change] = {}
    windows = {}
    apart = set(map(family_of, here.values()))
    fixed = set(fixed_windows(now).values_list("pk", flat=True))
    for row in rows[:MOST_BOOKED]:
        if row.window_id in fixed:
            apart.add(family_of(row.change))  # nobody could answer there
        first = found.setdefault(family_of(row.change), row.change)
        if first is row.change and row.status in _OPEN_VALUES:
            windows[first.number] = row.window
    riding = Change.objects.filter(
        kind=ProjectKind.CODE.value,
        status=ChangeStatus.MERGED.value,
        branch__in=MAIN_BRANCHES,
        fetched_at__gt=now - RIDES_SINCE,
        traits__isnull=False,
    )
    newest = riding.defer("diff").order_by(*_asked_first(asked, "number"), "-number")
    for change in newest[:MOST_RIDING]:
        found.setdefault(family_of(change), change)
    others = [change for family, change in found.items() if family not in apart]
    return others, windows


def _asked_first(asked: Collection[int], number: str) -> list[Case]:
    """Return what puts first whatever is asked about: no question ends because others crowd in.

    Nothing where nothing is asked: a bare constant in an order is the number of a column.
    """
    return [Case(When(**{f"{number}__in": asked}, then=0), default=1)] if asked else []


def family_of(change: Known | Change) -> Family:
    """Return what a change and its cherry-picks have in common."""
    return change.project, change.change_id


def _families(others: Iterable[Change]) -> dict[int, tuple[Known, ...]]:
    """Return each with its cherry-picks, by number."""
    several = list(others)
    keys = {row.change_id for row in several}
    rows = Change.objects.filter(change_id__in=keys, fetched_at__isnull=False).defer("diff")
    families: dict[Family, list[Known]] = {}
    for row in rows.order_by("number") if keys else ():
        families.setdefault(family_of(row), []).append(row.to_domain(with_diff=False))
    return {row.number: tuple(families[family_of(row)]) for row in several}


def _dismissed_among(changes: Iterable[Known | Change]) -> dict[Projects, frozenset[str]]:
    """Return what somebody said that it says nothing, between two projects of some changes."""
    projects = {one.project for one in changes}
    rows = DismissedName.objects.filter(
        low_project__in=projects,
        high_project__in=projects,
        statement__superseded_at__isnull=True,
    )
    found: dict[Projects, set[str]] = {}
    for low, high, name in rows.values_list("low_project", "high_project", "name"):
        found.setdefault(projects_of(low, high), set()).add(name)
    return {pair: frozenset(names) for pair, names in found.items()}


def traits_kept_of(changes: Iterable[Change]) -> dict[int, Traits]:
    """Return what was worked out of the patch sets that changes have now, by number."""
    now = {change.pk: change for change in changes}
    rows = ChangeTraits.objects.filter(change__in=now, version=VERSION).defer("content")
    kept = [row for row in rows if row.sha == now[row.change_id].sha]
    found = {row.pk: already for row in kept if (already := READ.get((row.pk, row.sha)))}
    new = [row.pk for row in kept if row.pk not in found]
    for row in ChangeTraits.objects.filter(pk__in=new) if new else ():
        found[row.pk] = from_json(row.content)
    if len(READ) > MOST_READ:
        READ.clear()
    READ.update(((row.pk, row.sha), found[row.pk]) for row in kept if row.pk in found)
    return {now[row.change_id].number: found[row.pk] for row in kept if row.pk in found}


def rarity_among(traits: Iterable[Traits]) -> Rarity:
    """Return how rare the names are that some changes share: as shipped, and as seen here."""
    shipped, several = shipped_rarity(), list(traits)
    names = _shared(one.names.anywhere for one in several)
    words = _shared((*one.words, *one.names.anywhere) for one in several) | names
    if not words:
        return shipped
    counts: tuple[dict[str, int], dict[str, int]] = ({}, {})
    seen = SeenName.objects.filter(text__in=words, changes__gt=1)
    for text, is_word, count in seen.values_list("text", "is_word", "changes"):
        told = shipped.words if is_word else shipped.names
        counts[is_word][text] = told.get(text, 0) + count
    return replace(
        shipped,
        changes=shipped.changes + ChangeTraits.objects.filter(is_learned=True).count(),
        names={**shipped.names, **counts[0]},
        words={**shipped.words, **counts[1]},
    )


def _shared(several: Iterable[Iterable[str]]) -> set[str]:
    """Return what stands in more than one of these."""
    counted = Counter(text for some in several for text in set(some))
    return {text for text, count in counted.items() if count > 1}
