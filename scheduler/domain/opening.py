"""Whether backports may go out at a moment, why, and when that changes: for bots and scripts.

Precedent: `GetCalendarState` of AWS Systems Manager's Change Calendar.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from scheduler.domain.windows import Freeze, FreezeRule, FreezeScope, Window, WindowKind


class State(StrEnum):
    """Whether backports may go out: yes, no, or only under a condition that `why` tells."""

    OPEN = "open"
    RESTRICTED = "restricted"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Planned:
    """A window of the calendar that was not called off.

    Attributes:
        deployers: who signed up, by account name.
        is_skipped: whether the clock found that nobody had claimed it.
        is_emergency: whether it takes place in spite of freezes, once it is confirmed.
        is_confirmed: whether both who have to confirm an emergency did.
    """

    id: int
    title: str
    kind: WindowKind
    span: Window
    deployers: tuple[str, ...] = ()
    is_skipped: bool = False
    is_emergency: bool = False
    is_confirmed: bool = False

    @property
    def precedence(self) -> int:
        """What it is among several at once: an emergency comes first, or last while it waits."""
        if not self.is_emergency:
            return 1
        return 0 if self.is_confirmed else 2

    def is_under_way(self, moment: datetime) -> bool:
        """Return whether a moment lies in it."""
        return self.span.start <= moment < self.span.end


@dataclass(frozen=True, slots=True)
class Opening:
    """What holds at a moment.

    Attributes:
        at: the moment, UTC.
        why: one sentence.
        window: the bookable window that is under way, whether or not anything may go out in it.
    """

    at: datetime
    state: State
    why: str
    window: Planned | None = None


def opening_at(
    moment: datetime, windows: Iterable[Planned], freezes: Iterable[FreezeRule]
) -> Opening:
    """Return whether backports may go out at a moment.

    A freeze or a no-deploy window that touches a window holds for all of it, as the rule `frozen`
    has it.

    Args:
        moment: UTC.
        windows: those that may be under way then, and what overlaps those, in any order.
        freezes: all that hold.
    """
    windows = tuple(windows)
    current = sorted(
        (window for window in windows if window.is_under_way(moment)),
        key=lambda one: (one.is_skipped, one.precedence, one.span.start, one.id),
    )
    bookable = next((window for window in current if window.kind.is_bookable), None)
    if bookable is not None:
        state, why = _of_window(bookable, windows, freezes)
        return Opening(moment, state, why, bookable)
    frozen = _strictest(freezes, WindowKind.BACKPORT, Window(moment, moment))
    if frozen is not None and frozen.scope is FreezeScope.ALL:
        return Opening(moment, State.CLOSED, _frozen(frozen))
    banned = next((one for one in current if one.kind is WindowKind.NO_DEPLOY), None)
    if banned is not None:
        return Opening(moment, State.CLOSED, f"A no-deploy day: {banned.title}.")
    return Opening(moment, State.CLOSED, "No window for backports is under way.")


def next_transition(
    after: Opening, windows: Sequence[Planned], freezes: Sequence[FreezeRule], until: datetime
) -> Opening | None:
    """Return the first moment after another one at which the state differs, and what holds then.

    Args:
        after: what holds before.
        windows: all that overlap the time from then to `until`, in any order.
        freezes: all that hold.
        until: how far to look, UTC.

    Returns:
        None if the state stays the same for so long, as planned now.
    """
    moments = {
        moment
        for moment in _boundaries(windows, freezes, after.at, until)
        if after.at < moment < until
    }
    for moment in sorted(moments):
        then = opening_at(moment, windows, freezes)
        if then.state is not after.state:
            return then
    return None


def _of_window(
    window: Planned, windows: Iterable[Planned], freezes: Iterable[FreezeRule]
) -> tuple[State, str]:
    if window.is_skipped:
        return State.CLOSED, f"{window.title} was skipped: nobody claimed it."
    if window.is_emergency and not window.is_confirmed:
        return State.RESTRICTED, f"{window.title} is an emergency that waits for its confirmations."
    frozen = None if window.is_emergency else _strictest(freezes, window.kind, window.span)
    closed = "" if window.is_emergency else _closing(window, windows, frozen)
    if closed:
        return State.CLOSED, closed
    if frozen is not None:
        return State.RESTRICTED, f"Only what is urgent goes out. {_frozen(frozen)}"
    if not window.deployers:
        return State.RESTRICTED, f"Nobody has signed up to deploy in {window.title} yet."
    return State.OPEN, f"{window.title} is under way."


def _closing(window: Planned, windows: Iterable[Planned], frozen: Freeze | None) -> str:
    """Return why nothing goes out in a window: a freeze, or a no-deploy window over it; else ""."""
    if frozen is not None and frozen.scope is FreezeScope.ALL:
        return _frozen(frozen)
    for one in windows:
        overlaps = one.span.start < window.span.end and window.span.start < one.span.end
        if one.kind is WindowKind.NO_DEPLOY and overlaps:
            return f"No deploys: {one.title}."
    return ""


def _strictest(freezes: Iterable[FreezeRule], kind: WindowKind, span: Window) -> Freeze | None:
    """Return the freeze that stops the most of what goes out in a time; None if none does."""
    found = [
        freeze
        for rule in freezes
        if rule.covers(kind)
        for freeze in _touching(rule, span)
        if freeze.scope is not FreezeScope.TRAIN
    ]
    return min(
        found,
        key=lambda one: (one.scope is not FreezeScope.ALL, one.start, one.end, one.reason),
        default=None,
    )


def _touching(rule: FreezeRule, span: Window) -> Iterator[Freeze]:
    """Yield the times of a freeze that overlap a time, which may be a single moment."""
    last = max(span.end, span.start + datetime.resolution)
    yield from rule.between(span.start, last)


def _boundaries(
    windows: Iterable[Planned], freezes: Iterable[FreezeRule], start: datetime, end: datetime
) -> Iterator[datetime]:
    """Yield every moment at which something begins or ends."""
    for window in windows:
        yield from (window.span.start, window.span.end)
    for rule in freezes:
        for freeze in rule.between(start, end):
            yield from (freeze.start, freeze.end)


def _frozen(freeze: Freeze) -> str:
    until = freeze.end.astimezone(UTC)
    reason = freeze.reason.rstrip(".") or "no reason given"
    return f"Frozen until {until:%a} {until.day} {until:%b %Y, %H:%M} UTC: {reason}."
