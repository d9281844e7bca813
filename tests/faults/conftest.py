"""Sites that are killed, and a database server for those on PostgreSQL."""

import os

import pytest

# From Python 3.12 on, a fork beside another test's live server is warned of.
FORKS = "ignore:.*multi-threaded.*fork:DeprecationWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let all that lies here fork."""
    for item in items:
        if "tests/faults/" in item.path.as_posix():
            item.add_marker(pytest.mark.filterwarnings(FORKS))


def server_for(request: pytest.FixtureRequest) -> str:
    """Return the PostgreSQL server that the suite has, for the parameter "postgresql"; else ""."""
    if request.param == "sqlite":
        return ""
    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgres"):
        pytest.skip("No PostgreSQL: make test brings one.")
    return server
