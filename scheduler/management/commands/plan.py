"""Plan windows from plan documents: no database, no network, nothing changed."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import cast

from django.core.management.base import BaseCommand

from scheduler.adapters.cleaning import visible_line
from scheduler.adapters.plan_document import ERROR_FORMAT, UnusableDocument, parse, render
from scheduler.adapters.plan_text import plan_text
from scheduler.domain.errors import UnsafeQueue
from scheduler.domain.planning.plan import plan_window

UNUSABLE = 2


class Command(BaseCommand):
    """Read plan documents, print the plans."""

    help = (
        "Plan a window from a JSON document (FILE, or - for standard input) and print the result."
    )
    requires_system_checks: list[str] = []  # it needs nothing of the installation

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the files and the format."""
        parser.add_argument("files", nargs="+", metavar="FILE")
        parser.add_argument("--text", action="store_true", help="print for people, not as JSON")

    def handle(self, *args: object, **options: object) -> None:
        """Plan each document; exit with 2 if one was not usable."""
        files = cast("list[str]", options["files"])
        text = bool(options["text"])
        unusable = False
        for file in files:
            try:
                given = parse(_read(file))
                plan = plan_window(given)
            except UnusableDocument as problem:
                unusable = True
                self._refuse(file, problem, several=len(files) > 1, text=text)
            except UnsafeQueue as defect:
                unusable = True
                told = UnusableDocument("", f"the checker refused the queue: {defect}")
                self._refuse(file, told, several=len(files) > 1, text=text)
            else:
                if text:
                    self._print(plan_text(given, plan))
                else:
                    indent = None if len(files) > 1 else 1
                    self._print(json.dumps(render(plan), indent=indent, ensure_ascii=True) + "\n")
        if unusable:
            sys.exit(UNUSABLE)

    def _print(self, text: str) -> None:
        self.stdout.write(text.encode("utf-8", "replace").decode(), ending="")

    def _refuse(self, file: str, problem: UnusableDocument, *, several: bool, text: bool) -> None:
        message = visible_line(f"{file}: {problem}").encode("ascii", "backslashreplace").decode()
        self.stderr.write(" ".join(message.split()))
        if several and not text:
            line = {
                "format": ERROR_FORMAT,
                "pointer": problem.pointer,
                "message": problem.message,
            }
            self._print(json.dumps(line) + "\n")


def _read(file: str) -> str:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnusableDocument("", f"cannot be read: {reason}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnusableDocument("", f"is not UTF-8: {error.reason}") from error
