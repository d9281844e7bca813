"""Approving several backports with one form: each on its own, each with its own answer."""

from collections.abc import Iterable
from dataclasses import dataclass

from scheduler.domain.errors import Refused
from scheduler.models import Backport, IdempotencyKey, User
from scheduler.services.fingerprints import digest
from scheduler.services.idempotency import once
from scheduler.services.reviews import approve_backport

APPROVED = "approved"
LONGEST_ANSWER = 500  # characters; what is remembered of an answer


@dataclass(frozen=True, slots=True)
class Tick:
    """One backport that was ticked.

    Attributes:
        backport: its key.
        fingerprint: digest of what the reviewer was shown.
        why_not: why it takes more than a tick, in a sentence; "" if it does not.
    """

    backport: int
    fingerprint: str
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one tick; `refusal` says why it was not approved, "" if it was."""

    backport: int
    refusal: str


def approve_each(*, reviewer: User, key: str, ticks: Iterable[Tick]) -> list[Outcome]:
    """Approve what was ticked, each in a transaction of its own; refused ones stop no other.

    Each answer is remembered under the form's key: sending the form again answers the same, and
    goes on where the first sending broke off.

    Args:
        reviewer: who approves.
        key: the idempotency key of the whole form, a UUID.
        ticks: what was ticked, in order.

    Raises:
        KeyReused: the key was used for another content of one of them.
    """
    return [Outcome(tick.backport, _refusal(_approved_once(reviewer, key, tick))) for tick in ticks]


def outcomes_of(*, reviewer: User, key: str) -> list[Outcome]:
    """Return what became of the ticks of a form that this person sent, in order."""
    answered = IdempotencyKey.objects.filter(user=reviewer, key__startswith=f"{key}:")
    return [
        Outcome(int(one.key.rpartition(":")[2]), _refusal(one.location))
        for one in answered.order_by("pk")
    ]


def _approved_once(reviewer: User, key: str, tick: Tick) -> str:
    def effect() -> str:
        try:
            _approve(reviewer, tick)
        except Refused as refusal:
            return refusal.sentence[:LONGEST_ANSWER]
        return APPROVED

    return once(
        user=reviewer,
        key=f"{key}:{tick.backport}",
        request_hash=digest({"fingerprint": tick.fingerprint}),
        effect=effect,
    )


def _approve(reviewer: User, tick: Tick) -> None:
    if tick.why_not:
        raise Refused(tick.why_not)
    rows = Backport.objects.select_related("change", "window", "requester", "edited_by")
    backport = rows.filter(pk=tick.backport).first()
    if backport is None:
        raise Refused("There is no such backport.")
    approve_backport(backport=backport, reviewer=reviewer, fingerprint=tick.fingerprint)


def _refusal(answer: str) -> str:
    return "" if answer == APPROVED else answer
