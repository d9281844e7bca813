"""Verify that the log is whole, and that the stored state is one that it accounts for."""

import json
import re
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from scheduler.services.events import Break, Head, read_log
from scheduler.services.invariants import INVARIANTS, Invariant

FORMAT = "swat-verify/1"
BROKEN, UNUSABLE = 1, 2  # exit statuses
SHOWN = 20  # breaches of one invariant that are printed for people

_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{64})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one invariant: it holds, or is broken."""

    invariant: Invariant
    breaches: tuple[str, ...]

    @property
    def word(self) -> str:
        """Say it in a word."""
        return "broken" if self.breaches else "holds"


class Command(BaseCommand):
    """Say what is wrong, one line each, or that nothing is."""

    help = (
        "Verify the log of events, up to a head that was exported if one is given, and the "
        "invariants of the stored state. Exit status: 0 all is well, 1 something is wrong, "
        "2 the arguments cannot be used."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the heads to compare with, and where to write the present one."""
        parser.add_argument("--head", action="append", default=[], metavar="SEQ:HASH")
        parser.add_argument(
            "--head-file", metavar="FILE", help="exported heads, one a line: all must be in the log"
        )
        parser.add_argument(
            "--export-head", metavar="FILE", help="add the head, if the log is whole"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(
        self,
        *_args: object,
        head: Sequence[str],
        head_file: str | None,
        export_head: str | None,
        json: bool,
        **_options: object,
    ) -> None:
        """Verify everything; exit with 1 if something is wrong.

        Raises:
            CommandError: a head is none, or a file cannot be read or written.
        """
        exported = [*map(head_from, head), *(_heads_in(head_file) if head_file else ())]
        present, found = read_log(exported=exported)
        now = timezone.now()
        verdicts = [Verdict(one, tuple(one.broken(now))) for one in INVARIANTS]
        if export_head and found is None:
            _export(present, export_head)
        self._print(present, found, verdicts, as_json=json)
        if found or any(verdict.breaches for verdict in verdicts):
            sys.exit(BROKEN)

    def _print(
        self, head: Head, found: Break | None, verdicts: Sequence[Verdict], *, as_json: bool
    ) -> None:
        if as_json:
            self.stdout.write(json.dumps(_document(head, found, verdicts), indent=1))
            return
        whole = f"{head.seq} events, each as it was written; head {head}"
        self.stdout.write(_line("log", "broken" if found else "holds", found or whole))
        for verdict in verdicts:
            invariant, breaches = verdict.invariant, verdict.breaches
            self.stdout.write(_line(invariant.name, verdict.word, invariant.sentence))
            for breach in breaches[:SHOWN]:
                self.stdout.write(_line("", "", breach))
            if len(breaches) > SHOWN:
                self.stdout.write(_line("", "", f"… and {len(breaches) - SHOWN} more"))


def head_from(text: str) -> Head:
    """Return the head that a text such as `42:0f3a…` tells.

    Raises:
        CommandError: it tells none.
    """
    told = _HEAD.match(text.strip())
    if not told:
        message = f"{text[:80]!r} is not a head: the number of an event, a colon, its 64 digits"
        raise CommandError(message, returncode=UNUSABLE)
    return Head(int(told[1]), told[2])


def _heads_in(file: str) -> list[Head]:
    try:
        lines = Path(file).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as error:
        raise CommandError(
            f"{file} cannot be read: {error.strerror}", returncode=UNUSABLE
        ) from error
    heads = [head_from(line) for line in lines if line.strip()]
    if not heads:
        raise CommandError(f"{file} names no head", returncode=UNUSABLE)
    return heads


def _export(head: Head, file: str) -> None:
    """Add a head to a file: earlier ones stay, and have to be in the log, too."""
    try:
        with Path(file).open("a", encoding="ascii") as stream:
            stream.write(f"{head}\n")
    except OSError as error:
        raise CommandError(
            f"{file} cannot be written: {error.strerror}", returncode=UNUSABLE
        ) from error


def _line(name: str, word: str, sentence: object) -> str:
    text = sentence.what if isinstance(sentence, Break) else str(sentence)
    printable = text.encode("utf-8", "backslashreplace").decode()
    return f"{name:<5}{word:<16}{printable}"


def _document(head: Head, found: Break | None, verdicts: Sequence[Verdict]) -> dict[str, object]:
    return {
        "format": FORMAT,
        "ok": found is None and not any(verdict.breaches for verdict in verdicts),
        "head": {"seq": head.seq, "hash": head.hash},
        "log": {"seq": found.seq, "what": found.what} if found else None,
        "invariants": [
            {
                "id": verdict.invariant.name,
                "sentence": verdict.invariant.sentence,
                "state": verdict.word,
                "breaches": list(verdict.breaches),
            }
            for verdict in verdicts
        ],
    }
