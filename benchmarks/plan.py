"""Time the whole plan beside what graphlib and networkx take for the bare sort, in one run.

`make bench` runs it. For each size and density the plan (edges, rules, order, fit, check and
reasons) is timed on ready domain values, as the web app has them; then its parts, the two peers
on the same edges, and the peak memory of one plan. `plan` reads the commit messages too, as a page
does for changes that it has just loaded; `again` plans the same changes once more, with the
messages read: edges, rules, order, fit, check and reasons alone, from what the peers are given
ready. Best of three, milliseconds. As `timeit` does, the cyclic garbage collector is off while a
run is timed, for all alike; `--gc` leaves it on.
"""

import cProfile
import gc
import graphlib
import pstats
import random
import sys
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import networkx as nx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scheduler.domain.backports import Backport, Urgency
from scheduler.domain.changes import Change, ChangedFile, ChangeSet
from scheduler.domain.planning.plan import PlanInput, plan_window
from scheduler.domain.policy.numbers import Numbers
from scheduler.domain.production import Production
from scheduler.domain.windows import Window

WITH_COLLECTOR = "--gc" in sys.argv
SIZES = (8, 100, 1_000, 10_000)
DENSITIES = (0.5, 3.0)
VERSION = "1.47.0-wmf.16"
START = datetime(2026, 8, 26, 13, tzinfo=UTC)
EVERYTHING_FITS = Numbers(max_patches=100_000, minutes_per_patch=1, last_start_minute=100_000)


def edges_of(size: int, per_backport: float, seed: int = 7) -> list[tuple[int, int]]:
    """Return random acyclic edges (first, then) among 1..size, booked in no useful order."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable benchmark, not a secret
    rank = list(range(1, size + 1))
    chance.shuffle(rank)
    wanted = {tuple(sorted(chance.sample(range(size), 2))) for _ in range(int(size * per_backport))}
    return sorted((rank[low], rank[high]) for low, high in wanted)


def change_id(number: int) -> str:
    """Return a well-formed Change-Id for a number."""
    return f"I{number:040x}"


def given(size: int, edges: list[tuple[int, int]]) -> PlanInput:
    """Return a window with `size` requested configuration changes that declare these edges."""
    needs: dict[int, list[int]] = {}
    for first, then in edges:
        needs.setdefault(then, []).append(first)
    changes = []
    for number in range(1, size + 1):
        footers = "".join(f"Depends-On: {change_id(n)}\n" for n in needs.get(number, ()))
        subject = f"Set the limit of wiki {number}"
        message = (
            f"{subject}\n\nAs the community decided.\n\n{footers}Change-Id: {change_id(number)}\n"
        )
        changes.append(
            Change(
                number=number,
                project="operations/mediawiki-config",
                branch="master",
                change_id=change_id(number),
                subject=subject,
                message=message,
                owner="ada",
                uploader="ada",
                labels={"Code-Review": 2, "Verified": 2},
                files=(ChangedFile("wmf-config/InitialiseSettings.php"),),
            )
        )
    backports = tuple(
        Backport(n, "ada", START - timedelta(minutes=n), approved=True, urgency=Urgency.NORMAL)
        for n in range(1, size + 1)
    )
    return PlanInput(
        now=START,
        window=Window(START, START + timedelta(minutes=99_999)),
        numbers=EVERYTHING_FITS,
        changes=ChangeSet(changes),
        backports=backports,
        production=Production((VERSION,), {f"group{n}": VERSION for n in range(3)}),
    )


def best_of_three(make: Callable[[], Callable[[], object]]) -> float:
    """Return the best of three runs, milliseconds; each on values nobody has looked at yet."""
    times = []
    for _ in range(3):
        run = make()
        gc.collect()
        if not WITH_COLLECTOR:
            gc.disable()
        begun = time.perf_counter()
        run()
        times.append((time.perf_counter() - begun) * 1000)
        gc.enable()
    return min(times)


def timed(size: int, edges: list[tuple[int, int]]) -> tuple[float, float, float, float, float]:
    """Return the times of graphlib, networkx, a plan and another in ms, and a plan's peak in MB."""
    needs: dict[int, list[int]] = {number: [] for number in range(1, size + 1)}
    for first, then in edges:
        needs[then].append(first)

    def sort_with_graphlib() -> object:
        return list(graphlib.TopologicalSorter(needs).static_order())

    def sort_with_networkx() -> object:
        graph: nx.DiGraph[int] = nx.DiGraph()
        graph.add_nodes_from(range(1, size + 1))
        graph.add_edges_from(edges)
        return list(nx.topological_sort(graph))

    def plan_afresh() -> Callable[[], object]:
        window = given(size, edges)
        return lambda: plan_window(window)

    def plan_again() -> Callable[[], object]:
        window = given(size, edges)
        plan_window(window)
        return lambda: plan_window(window)

    window = given(size, edges)
    tracemalloc.start()
    result = plan_window(window)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if len(result.queue) != size:
        raise SystemExit("the benchmark is wrong: everything was to fit")
    return (
        best_of_three(lambda: sort_with_graphlib),
        best_of_three(lambda: sort_with_networkx),
        best_of_three(plan_afresh),
        best_of_three(plan_again),
        peak / 1e6,
    )


def main() -> None:
    """Print the table, the growth, the memory, and where the time goes."""
    planned = ("plan", "/graphlib", "growth", "again", "/graphlib", "peak MB")
    heads = ("edges", "N", "graphlib", "networkx", *planned)
    print(" ".join(f"{head:>9}" for head in heads))
    for density in DENSITIES:
        previous = 0.0
        for size in SIZES:
            library, peer, plan, again, peak = timed(size, edges_of(size, density))
            growth = f"{plan / previous:.1f}x" if previous else ""
            previous = plan
            figures = f"{library:>9.2f} {peer:>9.2f} {plan:>9.2f} {plan / library:>8.1f}x"
            once_more = f"{again:>9.2f} {again / library:>8.1f}x"
            print(f"{density:>9} {size:>9} {figures} {growth:>9} {once_more} {peak:>9.1f}")
    print("\nOwn time of each function under the profiler, 10,000 backports, 3 edges each:")
    window = given(SIZES[-1], edges_of(SIZES[-1], DENSITIES[-1]))
    profile = cProfile.Profile()
    profile.runcall(plan_window, window)
    pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(14)


if __name__ == "__main__":
    main()
