"""What the detector works out of changes, kept; the names that it learns; and what came of it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F

from scheduler.adapters.stored_traits import VERSION, from_json, to_json
from scheduler.domain.coupling.evidence import KINDS
from scheduler.domain.coupling.traits import Traits, traits_of
from scheduler.domain.statements import StatementKind
from scheduler.models import Change, ChangeTraits, Question, SeenName, Statement

AT_ONCE = 200  # changes that are learned from in one go


def keep_traits(rows: Iterable[Change], traits: Mapping[int, Traits]) -> None:
    """Keep what was worked out of some changes. Whoever calls this has taken them.

    Args:
        rows: the changes, as they are stored now.
        traits: what was worked out of them, by number; those without are left alone.
    """
    ChangeTraits.objects.bulk_create(
        (
            ChangeTraits(
                change=row, sha=row.sha, version=VERSION, content=to_json(traits[row.number])
            )
            for row in rows
            if row.number in traits
        ),
        update_conflicts=True,
        unique_fields=["change"],
        update_fields=["sha", "version", "content"],
    )


def work_out_again() -> int:
    """Work out again what another form of the detector stored; return of how many changes.

    Any number of clocks may do this at once. What got another patch set meanwhile is left alone.
    """
    old = ChangeTraits.objects.exclude(version=VERSION).order_by("pk").defer("content")
    done = 0
    for row in old.select_related("change")[:AT_ONCE]:
        change = row.change
        traits = traits_of(change.to_domain()) if change.sha == row.sha else Traits()
        done += ChangeTraits.objects.filter(pk=row.pk, sha=row.sha, version=row.version).update(
            version=VERSION, content=to_json(traits)
        )
    return done


def learn_from_what_is_new() -> int:
    """Count the names of changes that were not learned from; return from how many that was.

    A change counts once, whatever patch sets it gets. Any number of clocks may do this at once:
    nobody waits for it, so each change is a transaction of its own.
    """
    new = ChangeTraits.objects.filter(is_learned=False, version=VERSION).order_by("pk")
    return sum(map(_learn, list(new.values_list("pk", flat=True)[:AT_ONCE])))


@transaction.atomic
def _learn(pk: int) -> bool:
    row = ChangeTraits.objects.filter(pk=pk, is_learned=False)
    if row.update(is_learned=True) != 1:
        return False
    traits = from_json(ChangeTraits.objects.get(pk=pk).content)
    for is_word, texts in ((False, sorted(traits.names.anywhere)), (True, sorted(traits.words))):
        SeenName.objects.bulk_create(
            (SeenName(text=text, is_word=is_word) for text in texts), ignore_conflicts=True
        )
        SeenName.objects.filter(is_word=is_word, text__in=texts).update(changes=F("changes") + 1)
    return True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the questions in which a kind of evidence spoke; each pair of changes once.

    Attributes:
        asked: pairs in all.
        confirmed: somebody said that they belong together, in an order or in one step.
        dismissed: somebody said that they are unrelated.
        is_open: pairs that are asked about now.
    """

    kind: str
    means: str
    points: str
    asked: int
    confirmed: int
    dismissed: int
    is_open: int

    @property
    def silent(self) -> int:
        """Pairs of which nobody said anything, and that are not asked about any more."""
        return self.asked - self.confirmed - self.dismissed - self.is_open


def outcomes() -> list[Outcome]:
    """Return what came of each kind of evidence, so that points can be corrected from data.

    The last answer about a pair counts; one that was contested is none.
    """
    answered: dict[tuple[int, int], str] = {}
    said = Statement.objects.order_by("pk").values_list("low", "high", "kind", "contested_at")
    for low, high, kind, contested_at in said:
        answered[low, high] = "" if contested_at else kind
    spoke: dict[tuple[int, int], set[str]] = {}
    is_open = set()
    asked = Question.objects.values_list("low", "high", "evidence", "closed_at")
    for low, high, evidence, closed_at in asked.iterator():
        spoke.setdefault((low, high), set()).update(one["kind"] for one in evidence)
        if closed_at is None:
            is_open.add((low, high))
    counted: Counter[tuple[str, str]] = Counter()
    for pair, kinds in spoke.items():
        came = "open" if pair in is_open else _CAME_OF.get(answered.get(pair, ""), "silent")
        counted.update((kind, what) for kind in kinds for what in ("asked", came))
    return [
        Outcome(
            kind,
            means,
            points,
            counted[kind, "asked"],
            counted[kind, "confirmed"],
            counted[kind, "dismissed"],
            counted[kind, "open"],
        )
        for kind, (means, points) in KINDS.items()
    ]


_CAME_OF = {
    StatementKind.BEFORE.value: "confirmed",
    StatementKind.TOGETHER.value: "confirmed",
    StatementKind.UNRELATED.value: "dismissed",
}
