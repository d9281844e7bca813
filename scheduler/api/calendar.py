"""Whether backports may go out now, or at another moment: `docs/calendar.md`."""

from datetime import UTC, datetime, timedelta

from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from scheduler.api.http import UNREADABLE, Moment, Told, only_read, refusal
from scheduler.domain.opening import Opening, Planned, State, next_transition, opening_at
from scheduler.domain.windows import WindowKind
from scheduler.queries import freeze_rules, planned_between

LONGEST_WINDOW = timedelta(days=1)
LOOKED_AHEAD = timedelta(weeks=8)
_YEARS = range(2000, 2101)
_LONGEST = 40  # characters of a time


class WindowTold(Told):
    """The window that is under way."""

    id: int
    title: str
    kind: WindowKind
    start: Moment
    end: Moment
    deployers: list[str]


class OpeningTold(Told):
    """Whether backports may go out from a moment on, and why."""

    at: Moment
    state: State
    why: str


class StateTold(OpeningTold):
    """The same, with the window that it is about, and when it changes."""

    window: WindowTold | None
    next_transition: OpeningTold | None


@only_read
def state(request: HttpRequest) -> JsonResponse:
    """Answer whether the calendar is open at a moment, why, and when that changes."""
    try:
        at = _moment(request.GET.get("at"))
    except ValueError as problem:
        return refusal(str(problem), UNREADABLE)
    until = at + LOOKED_AHEAD
    # What lay over the beginning of a window closes all of it, though it may be over by now.
    windows, freezes = planned_between(at - LONGEST_WINDOW, until), freeze_rules()
    now = opening_at(at, windows, freezes)
    then = next_transition(now, windows, freezes, until)
    told = StateTold(
        at=now.at,
        state=now.state,
        why=now.why,
        window=None if now.window is None else _window(now.window),
        next_transition=None if then is None else _opening(then),
    )
    return JsonResponse(told.model_dump())


def _moment(given: str | None) -> datetime:
    """Return the moment that is asked about, UTC.

    Raises:
        ValueError: it is none; the sentence says what is wrong.
    """
    if given is None:
        return timezone.now().astimezone(UTC)
    try:
        at = datetime.fromisoformat(given if len(given) <= _LONGEST else "")
    except ValueError:
        raise ValueError(
            "`at` is no time; it should be such as 2026-12-01T21:00:00Z (write + as %2B)."
        ) from None
    if at.tzinfo is None:
        raise ValueError("`at` names no zone; add Z for UTC, or an offset such as %2B01:00.")
    if at.year not in _YEARS:
        raise ValueError("`at` is too far from the present.")
    return at.astimezone(UTC)


def _opening(one: Opening) -> OpeningTold:
    return OpeningTold(at=one.at, state=one.state, why=one.why)


def _window(window: Planned) -> WindowTold:
    return WindowTold(
        id=window.id,
        title=window.title,
        kind=window.kind,
        start=window.span.start,
        end=window.span.end,
        deployers=list(window.deployers),
    )
