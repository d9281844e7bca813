"""Calendar feeds: one for all, and one for each person who made a key to theirs."""

import hashlib
from collections.abc import Sequence

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from scheduler.adapters.calendars.ical import Happening, feed_of
from scheduler.services.feed_contents import happenings_for, happenings_for_all
from scheduler.services.feeds import owner_of_feed_key
from scheduler.views.sessions import KEPT_AND_ASKED_AGAIN

NAME = "SWAT windows"


@login_not_required
@require_safe
def for_all(request: HttpRequest) -> HttpResponseBase:
    """Answer with all windows, the train and the freezes."""
    return _answer(request, NAME, happenings_for_all(timezone.now()))


@login_not_required
@require_safe
def personal(request: HttpRequest, key: str) -> HttpResponseBase:
    """Answer with the windows of whoever a key belongs to."""
    owner = owner_of_feed_key(key)
    if owner is None:
        raise Http404
    return _answer(request, f"{NAME} of {owner}", happenings_for(owner, timezone.now()))


def _answer(request: HttpRequest, name: str, happenings: Sequence[Happening]) -> HttpResponseBase:
    body = feed_of(name, happenings)
    answer = HttpResponse(body, content_type="text/calendar; charset=utf-8")
    answer["Cache-Control"] = KEPT_AND_ASKED_AGAIN
    answer["Referrer-Policy"] = "no-referrer"  # the address has the key in it
    answer["ETag"] = etag = f'"{hashlib.sha256(body).hexdigest()}"'
    return get_conditional_response(request, etag=etag, response=answer) or answer
