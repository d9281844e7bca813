"""What the detector works out of changes, kept; and the names that it learns from them."""

from collections.abc import Iterable, Mapping

from django.db import transaction
from django.db.models import F

from scheduler.adapters.stored_traits import VERSION, from_json, to_json
from scheduler.domain.coupling.traits import Traits
from scheduler.models import Change, ChangeTraits, SeenName

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


def learn_from_what_is_new() -> int:
    """Count the names of changes that were not learned from; return from how many that was.

    A change counts once, whatever patch sets it gets. Any number of clocks may do this at once:
    nobody waits for it, so each change is a transaction of its own.
    """
    new = ChangeTraits.objects.filter(is_learned=False).order_by("pk").values_list("pk", flat=True)
    return sum(map(_learn, list(new[:AT_ONCE])))


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
