"""Logs without the keys of calendar feeds, which stand in their addresses."""

import logging
import re
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

# Before .ics, or where that was left away: what stands in an address of the calendar and is long.
_KEY = re.compile(
    r"(?<![\w%-])[\w%-]{20,}(?=(?:\.|%2e)ics)|(?<=/calendar/)[\w%-]{20,}",
    re.ASCII | re.IGNORECASE,
)


def masked(text: str) -> str:
    """Return a text without the key of any feed in it."""
    return _KEY.sub("***", text)


class MaskingFormatter(logging.Formatter):
    """Formats as ever, and masks what came out."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, traceback included."""
        return masked(super().format(record))


class AccessLogger(Logger):  # type: ignore[misc,unused-ignore]  # its package has no types
    """gunicorn's logger, for its `--logger-class`."""

    def atoms(
        self,
        resp: Any,  # noqa: ANN401 - as gunicorn declares it
        req: Any,  # noqa: ANN401
        environ: dict[str, Any],
        request_time: timedelta,
    ) -> dict[str, Any]:
        """Return what a line of the access log is made of."""
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        return {
            name: masked(value) if isinstance(value, str) else value
            for name, value in atoms.items()
        }
