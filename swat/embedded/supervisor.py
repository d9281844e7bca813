"""Starts programs, watches them, and leaves no process behind.

Each child leads its own session and process group, so one signal reaches what it forks, and a
signal meant for the supervisor does not reach it. The supervisor never waits without looking: every
`POLL` seconds it sees a dead child, a signal to stop, and its own time limit.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

POLL = 0.05  # seconds
TAIL = 25  # lines of a log shown when its program fails
PR_SET_PDEATHSIG = 1  # prctl(2)

STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

libc = ctypes.CDLL(None, use_errno=True)


class ProgramFailed(Exception):
    """A program ended too early, or did not get ready; the text says which and why."""


class StopAsked(Exception):
    """A person or the system asked to stop."""


class OutOfTime(Exception):
    """The supervisor's time limit is over."""


@dataclass(frozen=True)
class User:
    """The system user that a program runs as."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """A started child and what is known about it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None
    stop_signal: signal.Signals
    stop_seconds: float
    ends: bool

    def tail(self) -> str:
        """Return the end of its log, or nothing where it writes to the terminal."""
        if self.log is None:
            return ""
        lines = self.log.read_text(errors="replace").splitlines()[-TAIL:]
        return "".join(f"\n    {line}" for line in lines)


class Supervisor:
    """Keeps children for the length of a `with` block, then stops them, last started first."""

    def __init__(
        self,
        logs: Path,
        *,
        seconds: float | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Write each child's output to `logs`/<name>.log; allow `seconds` for everything.

        What is in `environment` every child gets on top of our own.
        """
        self.logs = logs
        self.environment = dict(environment or {})
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self.children: list[Program] = []
        self.stop_asked = False

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def listen_to_signals(self) -> None:
        """Take the signals that end a program as a wish to stop, acted on at the next look."""
        for number in STOPPING_SIGNALS:
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_asked = True

    def start(  # noqa: PLR0913 - each is one independent fact about the program
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        user: User | None = None,
        directory: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_seconds: float = 5,
        ends: bool = False,
        to_terminal: bool = False,
    ) -> Program:
        """Start `command` and watch it from now on.

        Args:
            name: for messages and for the name of the log file.
            command: the program and its arguments; no shell is involved.
            environment: what is set on top of our own environment and the supervisor's.
            user: whom to run it as, where we are root and it must not be.
            directory: where it runs; ours by default.
            stop_signal: what asks it to stop.
            stop_seconds: how long it may take to, before it and its group are killed.
            ends: it does one thing and ends; `finish` or `wait_for_end` judges how.
            to_terminal: it writes to the terminal instead of to a log.
        """
        log = None if to_terminal else self.logs / f"{name}.log"
        output = None if log is None else log.open("wb")
        try:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=None if output is None else subprocess.STDOUT,
                cwd=directory,
                env={**os.environ, **self.environment, **(environment or {})},
                start_new_session=True,
                preexec_fn=_die_with_supervisor,  # noqa: PLW1509 - we have no threads
                user=user.uid if user else None,
                group=user.gid if user else None,
                extra_groups=[] if user else None,
            )
        finally:
            if output is not None:
                output.close()
        program = Program(name, process, log, stop_signal, stop_seconds, ends)
        self.children.append(program)
        return program

    def look(self) -> None:
        """See whether all is well.

        Raises:
            StopAsked: a signal asked us to stop.
            OutOfTime: the time limit is over.
            ProgramFailed: a child that should run for ever has ended.
        """
        if self.stop_asked:
            raise StopAsked
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise OutOfTime("The time limit is over.")
        for child in self.children:
            status = child.process.poll()
            if status is not None and not child.ends:
                raise ProgramFailed(f"{child.name} ended with status {status}.{child.tail()}")

    def wait_until(
        self,
        ready: Callable[[], bool],
        *,
        what: str,
        seconds: float,
        watched: Program | None = None,
    ) -> None:
        """Look until `ready()` is true.

        Args:
            ready: asked again and again; must return quickly.
            what: what is waited for, for the message.
            seconds: how long it may take.
            watched: whose log explains it if it takes longer.

        Raises:
            ProgramFailed: a child has ended, or it took longer.
        """
        limit = time.monotonic() + seconds
        while True:
            self.look()
            if ready():
                return
            if time.monotonic() > limit:
                why = watched.tail() if watched else ""
                raise ProgramFailed(f"Waited {seconds:.0f} s in vain until {what}.{why}")
            time.sleep(POLL)

    def wait_for_end(self, program: Program) -> int:
        """Look until `program` has ended, stop watching it, and return its exit status."""
        self.children.remove(program)
        try:
            while (status := program.process.poll()) is None:
                self.look()
                time.sleep(POLL)
        except BaseException:
            self.children.append(program)  # still running: it must be stopped
            raise
        _kill_group(program)  # whatever it forked and forgot
        return status

    def finish(self, program: Program) -> None:
        """Look until `program` has done its work.

        Raises:
            ProgramFailed: it did not end well.
        """
        status = self.wait_for_end(program)
        if status != 0:
            raise ProgramFailed(f"{program.name} ended with status {status}.{program.tail()}")

    def stop(self) -> None:
        """Stop every child, last started first: ask, wait, then kill what is left of its group."""
        while self.children:
            child = self.children.pop()
            child.process.send_signal(child.stop_signal)  # nothing happens if it has ended
            try:
                child.process.wait(child.stop_seconds)
            except subprocess.TimeoutExpired:
                print(f"{child.name} did not stop in time and was killed.", file=sys.stderr)
            _kill_group(child)
            child.process.wait()


def _kill_group(child: Program) -> None:
    """Kill the child and all it forked; the group outlives its leader while any of them runs."""
    try:
        os.killpg(child.process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # nobody is left


def _die_with_supervisor() -> None:
    """In the child: ask the kernel for a SIGTERM if the supervisor is killed outright."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
