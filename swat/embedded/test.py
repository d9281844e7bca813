"""`make test`: the whole suite on PostgreSQL, Valkey and Chromium, and its core again on SQLite.

Arguments go to pytest; `-n0` among them runs one test at a time. Without any, the tests that kill
servers are left to `make faults`, which runs none again on SQLite. Nothing is left behind: servers
and their data live in a folder of this run.
"""

import os
import re
import signal
import sys
import tempfile
from pathlib import Path

from swat.embedded import chromium, postgres, valkey
from swat.embedded.supervisor import OutOfTime, Program, ProgramFailed, StopAsked, Supervisor

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 1_200  # for everything
NO_TESTS = 5  # pytest's exit status where nothing was selected
# Workers with a database and a browser each; one that has run out of tests takes another's.
WORKERS = ["--numprocesses=auto", "--dist=worksteal"]
MOST_WORKERS = 8
FAULTS = "tests/faults"
# Sixty hostile strings are five long stories: each run tells the first, `make faults` all of them.
STORY = "tests/views/test_hostile_text.py::test_hostile_text_stays_text"
FURTHER_STORIES = [f"--deselect={STORY}[{part}]" for part in range(1, 5)]


def main(arguments: list[str]) -> int:
    """Run the suite with pytest's `arguments`; return the exit status."""
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="swat-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the database server may have to run as another user
        with Supervisor(folder / "log", seconds=SECONDS) as supervisor:
            supervisor.listen_to_signals()
            try:
                share_bytecode(folder)
                install = chromium.start_install(supervisor)
                start_servers(supervisor, folder)
                return run_suites(supervisor, folder, arguments, install)
            except (ProgramFailed, OutOfTime) as failure:
                print(failure, file=sys.stderr)
                return 1
            except StopAsked:
                print("Stopped", file=sys.stderr)
                return 130


def share_bytecode(folder: Path) -> None:
    """Keep what one Python compiles for the next of this run, also where the system keeps none."""
    if sys.dont_write_bytecode:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")


def start_servers(supervisor: Supervisor, folder: Path) -> None:
    """Start what the tests need and name it in the environment.

    Raises:
        ProgramFailed: a server did not start.
    """
    os.environ["DATABASE_URL"] = postgres.start(supervisor, folder_of(folder, "postgres"))
    if not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = valkey.start(supervisor, folder / "valkey", keep=False)
    os.environ["SWAT_DATA_DIR"] = str(folder_of(folder, "var"))
    os.environ["COVERAGE_FILE"] = str(folder / "coverage")
    # What `auto` means: the cores that we may use, not those that the machine has.
    cores = min(MOST_WORKERS, len(os.sched_getaffinity(0)))
    os.environ.setdefault("PYTEST_XDIST_AUTO_NUM_WORKERS", str(cores))


def run_suites(
    supervisor: Supervisor, folder: Path, arguments: list[str], install: Program | None
) -> int:
    """Run all tests on PostgreSQL, and meanwhile those for both databases on a SQLite file.

    While Chromium is being installed, the tests run that need none.

    Raises:
        ProgramFailed: CI has no Chromium.
    """
    # Tests for the browser find the databases that those without one have left.
    workers = [*WORKERS, "--reuse-db", f"--basetemp={folder / 'pytest'}"]
    coverage = [] if arguments else ["--cov"]
    all_but_faults = [] if arguments else [f"--ignore={FAULTS}", *FURTHER_STORIES]
    again = None
    if not any(argument.startswith(FAULTS) for argument in arguments):
        again = start_on_sqlite(supervisor, folder, [*all_but_faults, *arguments])
    meanwhile = install is not None and not arguments
    if meanwhile:
        print("All tests but those with a browser, on PostgreSQL", flush=True)
        status = pytest(supervisor, *workers, *coverage, *all_but_faults, "-m", "not browser")
        if status != 0:
            return status
    if browser := chromium.finish_install(supervisor, install):
        os.environ["SWAT_CHROMIUM"] = browser
    print("The tests with a browser" if meanwhile else "All tests, on PostgreSQL", flush=True)
    selected = ["-m", "browser"] if meanwhile else coverage
    status = pytest(supervisor, *workers, *all_but_faults, *selected, *arguments)
    if status != 0:
        return status
    return 0 if again is None else end_on_sqlite(supervisor, again)


def start_on_sqlite(supervisor: Supervisor, folder: Path, arguments: list[str]) -> Program:
    """Start the tests for both databases on a SQLite file, one at a time and into a log."""
    return supervisor.start(
        "sqlite",
        [
            *(sys.executable, "-m", "pytest", f"--basetemp={folder / 'pytest-sqlite'}"),
            *("-p", "no:cacheprovider"),  # that is for what failed on PostgreSQL
            *(*arguments, "--numprocesses=0", "-m", "both_databases"),
        ],
        environment={
            "DATABASE_URL": f"sqlite:///{folder / 'swat.sqlite3'}",
            "SWAT_TEST_SQLITE": str(folder / "test.sqlite3"),
            "SWAT_DATA_DIR": str(folder_of(folder, "var-sqlite")),
            "COVERAGE_FILE": str(folder / "coverage-sqlite"),
        },
        stop_signal=signal.SIGINT,
        stop_seconds=15,
        ends=True,
    )


def end_on_sqlite(supervisor: Supervisor, program: Program) -> int:
    """Wait for the tests on SQLite, and return their exit status; what failed is printed whole."""
    status = supervisor.wait_for_end(program)
    if status == NO_TESTS:
        return 0  # of those that were asked for, none is for both
    said = program.log.read_text(errors="replace") if program.log else ""
    if status == 0:
        passed = re.findall(r"(\d+) passed", said)[-1:]
        print(f"{''.join(passed)} tests of locking and constraints hold on SQLite too", flush=True)
    else:
        print(f"Locking and constraints again, on SQLite\n{said}", flush=True)
    return status


def pytest(supervisor: Supervisor, *arguments: str) -> int:
    """Run pytest on the terminal and return its exit status."""
    return supervisor.wait_for_end(
        supervisor.start(
            "pytest",
            [sys.executable, "-m", "pytest", *arguments],
            stop_signal=signal.SIGINT,  # it closes browsers and says where it was
            stop_seconds=15,
            ends=True,
            to_terminal=True,
        )
    )


def folder_of(parent: Path, name: str) -> Path:
    """Make and return a folder that every user may enter."""
    folder = parent / name
    folder.mkdir()
    folder.chmod(0o755)  # whatever the umask says
    return folder


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
