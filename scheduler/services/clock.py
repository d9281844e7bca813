"""The clock of the database: every machine that serves pages may be wrong, and they differ."""

from datetime import UTC, datetime

from django.db import connection


def database_now() -> datetime:
    """Return what the database's clock shows, UTC.

    Gates of time (a lease, the last start) and the times of evidence go by it. On SQLite it is the
    clock of the machine that both run on.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT clock_timestamp()")
            (now,) = cursor.fetchone()
            at: datetime = now
            return at.astimezone(UTC)
        cursor.execute("SELECT strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')")
        (text,) = cursor.fetchone()
        return datetime.fromisoformat(text)
