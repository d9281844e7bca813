"""What the detector works out of changes, kept; and the names that it learns from them."""

from collections.abc import Iterable, Mapping

from django.db.models import F

from scheduler.adapters.stored_traits import VERSION, to_json
from scheduler.domain.coupling.traits import Traits
from scheduler.models import Change, ChangeTraits, SeenName


def keep_traits(rows: Iterable[Change], traits: Mapping[int, Traits]) -> None:
    """Keep what was worked out of some changes, and count the names of those that are new.

    A change counts once, whatever patch sets it gets. Whoever calls this has taken the changes.

    Args:
        rows: the changes, as they are stored now.
        traits: what was worked out of them, by number; those without are left alone.
    """
    told = [row for row in rows if row.number in traits]
    known = set(
        ChangeTraits.objects.filter(change__in=[row.pk for row in told]).values_list(
            "change_id", flat=True
        )
    )
    ChangeTraits.objects.bulk_create(
        (
            ChangeTraits(
                change=row, sha=row.sha, version=VERSION, content=to_json(traits[row.number])
            )
            for row in told
        ),
        update_conflicts=True,
        unique_fields=["change"],
        update_fields=["sha", "version", "content"],
    )
    for row in told:
        if row.pk not in known:
            learn(traits[row.number])


def learn(traits: Traits) -> None:
    """Count the names and the words of a change that was not seen before."""
    for is_word, texts in ((False, sorted(traits.names.anywhere)), (True, sorted(traits.words))):
        SeenName.objects.bulk_create(
            (SeenName(text=text, is_word=is_word) for text in texts), ignore_conflicts=True
        )
        SeenName.objects.filter(is_word=is_word, text__in=texts).update(changes=F("changes") + 1)
