"""Walk through a window that is deployed at random, 1,000 times, and print what was done.

`make bench` runs it, half of the walks on PostgreSQL and half on SQLite, at once; `--walks` chooses
another number. A walk is forty moves of `tests/walks/walk.py`: people click, Gerrit moves, servers
die. A violation is a law of `tests/walks/laws.py` or an invariant of `manage.py verify` that does
not hold after one of them, or an hour that cannot be brought to its end. It is printed with the
seed of its hundred walks (`SEED`, or counted up from it) and the shortest way to it; any fails.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from swat.embedded import postgres

WALKS = 1_000
AT_ONCE = 100  # walks with one seed
SEED = int(os.environ.get("SEED", "7"))
WITH_DJANGO = (
    "import django, runpy; django.setup(); "
    "runpy.run_module('benchmarks.walks_here', run_name='__main__', alter_sys=True)"
)


@dataclass
class Walked:
    """What came of the walks so far."""

    walks: int = 0
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def take(self, told: dict[str, Any]) -> None:
        """Add what a process told of the walks with one seed."""
        self.walks += told["walks"]
        self.done.update(told["done"])
        self.refused.update(told["refused"])
        self.deaths.update(told["deaths"])
        if told["violation"]:
            self.violations.append(f"seed {told['seed']}: {told['violation']}")


def walk_on(database: str, seeds: Iterable[int], walks: int) -> Iterator[dict[str, Any]]:
    """Walk in a process of its own; yield what it tells after the walks with each seed."""
    command = [sys.executable, "-c", WITH_DJANGO, str(walks), *map(str, seeds)]
    environment = {"DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    with subprocess.Popen(  # noqa: S603 - our own program
        command,
        cwd=Path(__file__).resolve().parent.parent,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    ) as walking:
        for told in map(json.loads, walking.stdout or ()):
            what = f"seed {told['seed']}: {told['walks']} walks"
            print(f"{what}, {'a violation' if told['violation'] else 'nothing broken'}", flush=True)
            yield told
    if walking.returncode:
        raise subprocess.CalledProcessError(walking.returncode, command)


def print_all(walked: Walked, seconds: float) -> None:
    """Print what was done and refused, and what went wrong."""
    print(f"{'act':<34}{'done':>8}{'refused':>9}")
    for name in sorted({*walked.done, *walked.refused}):
        print(f"{name:<34}{walked.done[name]:>8}{walked.refused[name]:>9}")
    print(f"{'all':<34}{walked.done.total():>8}{walked.refused.total():>9}")
    for when, times in sorted(walked.deaths.items()):
        print(f"a server {when}: {times}")
    print(*walked.violations, sep="\n\n", end="\n" if walked.violations else "")
    print(f"{walked.walks} walks in {seconds:.0f} s, {len(walked.violations)} violations")


def main() -> int:
    """Walk; return 1 on any violation."""
    parser = argparse.ArgumentParser(description="Walk at random through a window.")
    parser.add_argument("--walks", type=int, default=WALKS)
    walks = parser.parse_args().walks
    seeds = range(SEED, SEED + max(2, -(-walks // AT_ONCE)))
    each = -(-walks // len(seeds))
    walked, begun = Walked(), time.perf_counter()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="swat-bench-")))
        folder.chmod(0o755)  # the server may have to run as another user
        server = folder / "postgres"
        server.mkdir(mode=0o755)
        databases = (stack.enter_context(postgres.running(server)), "sqlite://:memory:")
        pool = stack.enter_context(ThreadPoolExecutor(len(databases)))
        halves = [
            pool.submit(list, walk_on(database, seeds[place :: len(databases)], each))
            for place, database in enumerate(databases)
        ]
        for half in halves:
            for told in half.result():
                walked.take(told)
    print_all(walked, time.perf_counter() - begun)
    return int(bool(walked.violations))


if __name__ == "__main__":
    sys.exit(main())
