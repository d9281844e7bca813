"""The product, but that a request may name a point at which its process dies, or it waits.

The header `X-Fault` names it. At `after-commit`, when all is stored and the answer has not left,
and `in-transaction`, when the event is written and nothing is committed, the process dies. At
`held-in-transaction`, which is the same, and `held-unanswered`, when all is stored and the answer
still has to be read, the request waits. The point has to be armed before. Only the first request
that names one where the process dies does so: the same request sent again is served.
"""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from django.template.loader import get_template
from django.urls import get_resolver

from swat.wsgi import application as product
from tests.faults.kills import (
    FOLDER,
    die,
    disarmed,
    hold_at,
    is_armed,
    once_committed,
    once_written,
)

AFTER_COMMIT, IN_TRANSACTION = "after-commit", "in-transaction"
HELD_IN_TRANSACTION, HELD_UNANSWERED = "held-in-transaction", "held-unanswered"
_EVENT = 'INSERT INTO "scheduler_event"'
# Loaded once, if workers are forked from us.
_LOADED = get_resolver().url_patterns, get_template("scheduler/deploy/page.html")
_HOLDS = {HELD_IN_TRANSACTION: once_written, HELD_UNANSWERED: once_committed}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve a request, now or later, or die of it."""
    point = environ.get("HTTP_X_FAULT", "")
    if point in _HOLDS and is_armed(Path(os.environ[FOLDER]), point):
        with _HOLDS[point](_EVENT, partial(hold_at, point)):
            return product(environ, start_response)
    if point not in {AFTER_COMMIT, IN_TRANSACTION} or not disarmed(point):
        return product(environ, start_response)
    if point == AFTER_COMMIT:
        product(environ, start_response)
        die()
    with once_written(_EVENT, die):
        return product(environ, start_response)
