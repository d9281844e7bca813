"""`manage.py import_wikiversions`: the train as `wikiversions.json` and the group lists have it."""

from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from scheduler.adapters.wikiversions import (
    UnusableFile,
    group_named,
    groups_of_json,
    served_by,
    versions_of_wikis,
    wikis_of_group,
)
from scheduler.domain.errors import Refused
from scheduler.services.train import import_versions

UNUSABLE = 2  # exit status


class Command(BaseCommand):
    """Read the files, and note which group is on which version."""

    help = (
        "Note which version serves each group of wikis, from wikiversions.json and a folder of "
        "*.dblist files (or a JSON object of lists). Reading the same files again changes nothing. "
        "Exit status: 0 all is well, 2 a file cannot be used."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the files."""
        parser.add_argument("file", metavar="wikiversions.json")
        parser.add_argument(
            "--groups", required=True, metavar="DIR_OR_JSON", help="the lists of the groups"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would move, only")

    def handle(self, *_args: object, file: str, groups: str, dry_run: bool, **_: object) -> None:
        """Import the files.

        Raises:
            CommandError: a file cannot be read or used; nothing is imported.
        """
        try:
            versions = versions_of_wikis(_read(Path(file)), name=Path(file).name)
            served = served_by(versions, _groups_in(Path(groups)))
            moved = 0
            if not dry_run:
                moved = import_versions(served=served.versions, by=None, source=Path(file).name)
        except (UnusableFile, Refused) as problem:
            raise CommandError(str(problem), returncode=UNUSABLE) from problem
        for group, version in served.versions.items():
            self.stdout.write(f"{group}: {version}")
        for one in served.mixed:
            told = ", ".join(f"{count} on {version}" for version, count in one.versions)
            self.stderr.write(f"{one.group} is left as it is: its wikis differ ({told})")
        for group, count in (served.missing or {}).items():
            self.stderr.write(f"{group}: {count} of its wikis have no version")
        self.stdout.write("Nothing was changed." if dry_run else f"{moved} groups moved.")


def _groups_in(place: Path) -> dict[str, tuple[str, ...]]:
    if not place.is_dir():
        return groups_of_json(_read(place), name=place.name)
    files = sorted(place.glob("*.dblist"))
    if not files:
        raise UnusableFile(f"{place} has no file named like group0.dblist.")
    return {group_named(file.name): wikis_of_group(_read(file), name=file.name) for file in files}


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnusableFile(f"{file.name} is not UTF-8: {error.reason}.") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnusableFile(f"{file.name} cannot be read: {reason}.") from error
