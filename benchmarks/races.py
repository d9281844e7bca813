"""Race many clients against each other on PostgreSQL and on SQLite, each race with its control.

`make bench` runs it; `--clients`, `--rounds` and `--race` choose less. Every client is a thread
with a connection of its own, let go at the same moment. A violation is a state that must not be:
the wrong patch set approved, a form that had two effects, two approvals in force, a window that
has more in its queue than slots, two windows at one time, a window with two drivers or none, or
somebody who was not told who drives it. A control is the same without what guards it; it has to
show at least one violation, or the race proves nothing. Times are of one client's act, from the
moment that all were let go, milliseconds.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from swat.embedded import postgres

HEADS = "  database           race clients rounds violations errors control     p50     p99"
CLIENTS, ROUNDS = 50, 200
RACES = {  # to clients and rounds
    **dict.fromkeys(
        ("new-patch-set", "double-submit", "two-approvers", "last-slot", "same-window"),
        (CLIENTS, ROUNDS),
    ),
    "two-deployers": (2, 500),
}
WITH_DJANGO = (
    "import django, runpy; django.setup(); "
    "runpy.run_module('benchmarks.races_here', run_name='__main__', alter_sys=True)"
)


def main() -> int:
    """Run all races on both databases; return 1 where one was lost or a control saw nothing."""
    parser = argparse.ArgumentParser(description="Race clients on PostgreSQL and SQLite.")
    parser.add_argument("--clients", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--race", choices=RACES, action="append")
    given = parser.parse_args()
    races = [
        f"{race}:{given.clients or RACES[race][0]}:{given.rounds or RACES[race][1]}"
        for race in given.race or RACES
    ]
    print(HEADS, flush=True)
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)  # the server may have to run as another user
        folder = Path(name) / "postgres"
        folder.mkdir(mode=0o755)
        with postgres.running(folder) as url:
            return max(
                subprocess.run(  # noqa: S603 - our own program
                    [sys.executable, "-c", WITH_DJANGO, *races],
                    check=False,
                    cwd=Path(__file__).resolve().parent.parent,
                    env={
                        **os.environ,
                        "DATABASE_URL": database,
                        "DJANGO_SETTINGS_MODULE": "tests.settings",
                    },
                ).returncode
                for database in (url, f"sqlite:///{name}/races.sqlite3")
            )


if __name__ == "__main__":
    sys.exit(main())
