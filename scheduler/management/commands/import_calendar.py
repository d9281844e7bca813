"""Make windows of a wiki page, after showing what would be made."""

import sys
from argparse import ArgumentParser
from datetime import UTC
from pathlib import Path
from typing import NoReturn, cast

from django.core.management.base import BaseCommand
from django.utils import timezone

from scheduler.adapters.calendars.entries import UnusablePage
from scheduler.adapters.cleaning import visible_line
from scheduler.domain.errors import Refused
from scheduler.models import User
from scheduler.services.exchange import DryRun, dry_run, import_page

UNUSABLE = 2
LARGEST = 2_000_000  # bytes; a page has far fewer characters


class Command(BaseCommand):
    """Show, or make, the windows of a page."""

    help = "Show which windows FILE (or - for standard input) would make; --apply makes them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the file, and who makes them."""
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--apply", action="store_true", help="make the windows")
        parser.add_argument("--user", metavar="USER", help="the release engineer who makes them")

    def handle(self, *args: object, **options: object) -> None:
        """Show what would be made, and make it if asked to; exit with 2 if nothing can be."""
        file, name = cast("str", options["file"]), cast("str | None", options["user"])
        try:
            text = _read(file)
            run = dry_run(text, now=timezone.now())
        except UnusablePage as problem:
            self._refuse(f"{file}: {problem}")
        self._show(run)
        if not options["apply"]:
            return
        person = User.objects.filter(username=name, is_active=True).first() if name else None
        if person is None:
            self._refuse("Say who makes them: --user and the account of a release engineer.")
        try:
            made = import_page(text=text, digest=run.digest, by=person, source=Path(file).name)
        except Refused as refusal:
            self._refuse(refusal.sentence)
        self.stdout.write(f"{len(made)} made.")

    def _show(self, run: DryRun) -> None:
        for row in run.rows:
            entry = row.found.entry
            told = f"{entry.start.astimezone(UTC):%Y-%m-%d %H:%M} UTC {entry.kind}: {entry.title}"
            why = " ".join((row.because, *row.found.notes)).strip()
            self._print(f"{row.outcome}: line {row.found.line}: {told}{f' ({why})' if why else ''}")
        for one in run.unread:
            self._print(f"not read: line {one.line}: {one.why} {one.excerpt}")

    def _print(self, line: str) -> None:
        self.stdout.write(visible_line(line).encode("utf-8", "replace").decode())

    def _refuse(self, sentence: str) -> NoReturn:
        told = visible_line(sentence).encode("ascii", "backslashreplace").decode()
        self.stderr.write(" ".join(told.split()))
        sys.exit(UNUSABLE)


def _read(file: str) -> str:
    try:
        if file == "-":
            content = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnusablePage(f"It cannot be read: {reason}.") from None
    if len(content) > LARGEST:
        raise UnusablePage("It is too large to be a page.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnusablePage("It is not UTF-8.") from None
