"""Learn from git repositories how rare names are."""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from scheduler.adapters.git_history import NoRepository, commits_of
from scheduler.adapters.name_table import TABLE, write_table
from scheduler.domain.coupling.diffs import changed_lines
from scheduler.domain.coupling.identifiers import names_of
from scheduler.domain.coupling.rarity import Rarity
from scheduler.domain.coupling.traits import words_of

FLOOR = 16  # changes; rarer names say the same whether the table has them or not


class Command(BaseCommand):
    """Count in how many changes each name stands."""

    help = "Count names and words in the history of git repositories, and write the table of them."
    requires_system_checks: list[str] = []  # it needs nothing of the installation

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the repositories, and until when they are read."""
        parser.add_argument("repositories", nargs="+", type=Path, metavar="REPOSITORY")
        parser.add_argument(
            "--until", type=date.fromisoformat, metavar="DATE", help="changes before this day only"
        )
        parser.add_argument("--floor", type=int, default=FLOOR, help="leave out what is rarer")
        parser.add_argument("--out", type=Path, default=TABLE, metavar="FILE")

    def handle(
        self,
        *_args: object,
        repositories: Sequence[Path],
        until: date | None,
        floor: int,
        out: Path,
        **_options: object,
    ) -> None:
        """Read each repository once, and write the table."""
        for folder in (out.parent, *repositories):
            if not folder.is_dir():
                raise CommandError(f"There is no folder {folder}. Nothing was read.")
        names: Counter[str] = Counter()
        words: Counter[str] = Counter()
        changes = 0
        for repository in repositories:
            try:
                for commit in commits_of(repository, until=until):
                    names.update(names_of(changed_lines(commit.diff)).anywhere.keys())
                    words.update(words_of(commit.message))
                    changes += 1
            except NoRepository as trouble:  # what was read of it until then counts
                self.stderr.write(str(trouble))
            self.stdout.write(f"{repository}: {changes} changes, {len(names)} names")
        if not changes:
            raise CommandError("Nothing was read.")
        seen = Rarity(changes, _frequent(names, floor), _frequent(words, floor), floor)
        out.write_text(write_table(seen), "utf-8")
        self.stdout.write(f"{out}: {len(seen.names)} names, {len(seen.words)} words")


def _frequent(counts: Counter[str], floor: int) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count >= floor}
