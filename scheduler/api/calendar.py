"""Whether backports may go out now, or at another moment: `docs/calendar.md`."""

from datetime import UTC, datetime, timedelta

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from scheduler.domain.opening import Opening, Planned, next_transition, opening_at
from scheduler.queries import freeze_rules, planned_between

UNUSABLE = 400
LONGEST_WINDOW = timedelta(days=1)
LOOKED_AHEAD = timedelta(weeks=8)
_YEARS = range(2000, 2101)
_LONGEST = 40  # characters of a time


@login_not_required
@require_safe
def state(request: HttpRequest) -> JsonResponse:
    """Answer whether the calendar is open at a moment, why, and when that changes."""
    try:
        at = _moment(request.GET.get("at"))
    except ValueError as problem:
        return JsonResponse({"error": str(problem)}, status=UNUSABLE)
    until = at + LOOKED_AHEAD
    # What lay over the beginning of a window closes all of it, though it may be over by now.
    windows, freezes = planned_between(at - LONGEST_WINDOW, until), freeze_rules()
    now = opening_at(at, windows, freezes)
    then = next_transition(now, windows, freezes, until)
    return JsonResponse(
        {
            **_told(now),
            "window": _window(now.window),
            "next_transition": None if then is None else _told(then),
        }
    )


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


def _told(one: Opening) -> dict[str, str]:
    return {"at": _iso(one.at), "state": one.state.value, "why": one.why}


def _window(window: Planned | None) -> dict[str, object] | None:
    if window is None:
        return None
    return {
        "id": window.id,
        "title": window.title,
        "kind": window.kind.value,
        "start": _iso(window.span.start),
        "end": _iso(window.span.end),
        "deployers": list(window.deployers),
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
