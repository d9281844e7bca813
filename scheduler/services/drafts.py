"""Drafts: what somebody typed of a request survives a closed browser. Private, so no event."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import fields

from django.db import transaction
from django.utils import timezone

from scheduler.actors import actor_of
from scheduler.adapters.cleaning import shortened, visible_prose
from scheduler.domain.permissions import Act, require
from scheduler.models import Draft, User
from scheduler.services.backports import BackportAnswers

MOST_DRAFTS = 20  # of one person; the one that was left alone longest makes room
MOST_VALUES = 40  # of one field
LONGEST_VALUE = 2000  # characters
LONGEST_NAME = 300  # characters of what names the change, as its column

FIELDS = frozenset(
    {"change", "window", "along", "offered", *(one.name for one in fields(BackportAnswers))}
)

Typed = Mapping[str, list[str]]


@transaction.atomic
def save_draft(*, user: User, typed: Mapping[str, Iterable[object]], key: str = "") -> Draft | None:
    """Keep what a person has typed so far.

    Args:
        user: whose draft it is; nobody else ever sees it.
        typed: field name to its values, as a form sends them. Unknown names and whatever is not
            text are left out, and what is too long is cut.
        key: of the draft to write over, as `Draft.pk`; anything else starts a new one.

    Returns:
        The draft; None where nothing was answered yet, so that there is nothing to begin one with.

    Raises:
        NotPermitted: the person may not book, so has nothing to draft.
    """
    require(actor_of(user), Act.BOOK)
    kept = usable(typed)
    _take_turn(user)
    mine = Draft.objects.filter(user=user)
    draft = mine.filter(pk=key).first() if _is_key(key) else None
    if draft is None and not any(value for name in _SAID for value in kept.get(name, ())):
        return None
    draft = draft or Draft(user=user)
    name = shortened(" ".join(" ".join(kept.get("change", ())).split()), LONGEST_NAME)
    others = mine.exclude(pk=draft.pk).values_list("change", flat=True)
    draft.change = _free_name(name, set(others))
    draft.typed, draft.saved_at = kept, timezone.now()
    draft.save()
    newest = mine.order_by("-saved_at", "-pk").values_list("pk", flat=True)[:MOST_DRAFTS]
    mine.exclude(pk__in=list(newest)).delete()
    return draft


def drop_draft(*, user: User, key: str) -> None:
    """Forget a draft of a person; one that is not theirs, or gone, stays as it is."""
    if _is_key(key):
        Draft.objects.filter(user=user, pk=key).delete()


def drafts_of(user: User) -> list[Draft]:
    """Return the drafts of a person, the newest first."""
    return list(Draft.objects.filter(user=user).order_by("-saved_at", "-pk"))


def usable(typed: object) -> Typed:
    """Return what of a draft can be shown in a form again; whatever else is in it is ignored."""
    if not isinstance(typed, Mapping):
        return {}
    return {
        name: [visible_prose(value)[:LONGEST_VALUE] for value in values[:MOST_VALUES]]
        for name, given in typed.items()
        if name in FIELDS and isinstance(given, list | tuple)
        if (values := [value for value in given if isinstance(value, str)])
    }


# What a draft begins with: not which change it is about, which is soon pasted again, nor what is
# filled in for everybody, such as the window or who tests.
_SAID = (
    "why_not_train",
    "user_impact",
    "tested_where",
    "verify_how",
    "problems_where",
    "rollback_how",
    "steps_before",
    "steps_after",
    "marks",
    "criteria",
)


def _take_turn(user: User) -> None:
    """Let the drafts of one person be saved one after the other, for the rest of the transaction.

    On SQLite the transaction has its one write lock already.
    """
    list(User.objects.select_for_update(no_key=True).filter(pk=user.pk).values_list("pk"))


def _free_name(change: str, taken: Container[str]) -> str:
    """Return what to call a draft: another one about the same change keeps its name."""
    name, count = change, 1
    while name in taken:
        count += 1
        name = f"{shortened(change, LONGEST_NAME - 10)} ({count})"
    return name


def _is_key(key: str) -> bool:
    return key.isascii() and key.isdecimal() and len(key) < 19  # noqa: PLR2004 - of 64 bits
