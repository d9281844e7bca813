"""Time the pages on a year of windows beside the same pages on one with the coming weeks only.

`make bench` runs it. Both databases have the same
coming weeks: a series, made as the clock makes it, and bookings. The large one has a history too:
10,000 windows and 100,000 backports with plans and events, and a year of the train. Each page is
asked for by Django's test client, warm, on SQLite files or, with `--postgres`, on PostgreSQL. Times
are milliseconds on the server, from the request to the whole answer, and what the processor worked
of that. A page has to take the same number of queries on both, and calendar, window and train board
no more than 150 ms.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from swat.embedded import postgres  # noqa: E402 - its folder first

GOAL = 150.0  # milliseconds
WITH_GOAL = frozenset({"calendar", "window", "train"})
WINDOWS, PER_WINDOW = 10_000, 10
WITH_DJANGO = (
    "import django, runpy; django.setup(); "
    "runpy.run_module('benchmarks.scale_here', run_name='__main__', alter_sys=True)"
)


class Timed(NamedTuple):
    """What one page took."""

    median: float
    p95: float
    worked: float
    queries: int

    def __str__(self) -> str:
        return f"{self.median:>8.1f}{self.p95:>8.1f}{self.worked:>8.1f}{self.queries:>9}"


def main() -> int:
    """Fill and time both databases; return 1 where a page missed its goal."""
    parser = argparse.ArgumentParser(description="Time the pages on a year of windows.")
    parser.add_argument("--windows", type=int, default=WINDOWS)
    parser.add_argument("--per-window", type=int, default=PER_WINDOW)
    parser.add_argument("--postgres", action="store_true")
    given = parser.parse_args()
    with databases(use_postgres=given.postgres) as (small_at, large_at):
        small = timed(small_at, 0, 0)
        large = timed(large_at, given.windows, given.per_window)
    heads = f"{'p50':>8}{'p95':>8}{'cpu':>8}{'queries':>9}"
    print(f"{'':<12}{'small database':>33}{'large database':>33}\n{'':<12}{heads}{heads}")
    fine = True
    for page, one in large.items():
        peer = small[page]
        reached = one.queries == peer.queries and (page not in WITH_GOAL or one.median <= GOAL)
        fine = fine and reached
        print(f"{page:<12}{peer}{one}   {'' if reached else 'missed'}")
    print(f"goal: as many queries on both, and {GOAL:.0f} ms: {'reached' if fine else 'missed'}")
    return int(not fine)


@contextmanager
def databases(*, use_postgres: bool) -> Iterator[tuple[str, str]]:
    """Yield the addresses of two empty databases."""
    with tempfile.TemporaryDirectory(prefix="swat-bench-") as name:
        Path(name).chmod(0o755)  # the server may have to run as another user
        if not use_postgres:
            yield f"sqlite:///{name}/small.sqlite3", f"sqlite:///{name}/large.sqlite3"
            return
        folders = [Path(name) / one for one in ("small", "large")]
        for folder in folders:
            folder.mkdir(mode=0o755)
        with postgres.running(folders[0]) as small, postgres.running(folders[1]) as large:
            yield small, large


def timed(database: str, windows: int, per_window: int) -> dict[str, Timed]:
    """Fill a database and time the pages on it, in a process of its own."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", WITH_DJANGO, str(windows), str(per_window)],
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "tests.settings"},
    )
    *said, last = done.stdout.splitlines()
    print("\n".join(said), flush=True)
    return {page: Timed(*numbers) for page, numbers in json.loads(last).items()}


if __name__ == "__main__":
    sys.exit(main())
