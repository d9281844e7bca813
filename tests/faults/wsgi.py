"""The product, but that a request may name a point at which its process dies.

The header `X-Fault` names it: `after-commit`, when all is stored and the answer has not left; or
`in-transaction`, when the event is written and nothing is committed. It has to be armed before,
and only the first request with it dies: the same request sent again is served.
"""

from collections.abc import Callable, Iterable
from typing import Any

from swat.wsgi import application as product
from tests.faults.kills import die, disarmed, dying_after

AFTER_COMMIT, IN_TRANSACTION = "after-commit", "in-transaction"
_EVENT = 'INSERT INTO "scheduler_event"'


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve a request, or die of it."""
    point = environ.get("HTTP_X_FAULT", "")
    if point not in {AFTER_COMMIT, IN_TRANSACTION} or not disarmed(point):
        return product(environ, start_response)
    if point == AFTER_COMMIT:
        product(environ, start_response)
        die()
    with dying_after(_EVENT):
        return product(environ, start_response)
