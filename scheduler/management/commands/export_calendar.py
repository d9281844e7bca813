"""Print a week of the calendar as wikitext."""

import sys
from argparse import ArgumentParser
from typing import cast

from django.core.management.base import BaseCommand

from scheduler.domain.errors import Refused
from scheduler.services.exchange import monday_of, week_as_wikitext

UNUSABLE = 2


class Command(BaseCommand):
    """Print a week."""

    help = "Print the windows of a week as the wiki's calendar has them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the week."""
        parser.add_argument("--week", required=True, metavar="YYYY-Www", help="such as 2026-W49")

    def handle(self, *args: object, **options: object) -> None:
        """Print it; exit with 2 if there is no such week."""
        try:
            monday = monday_of(cast("str", options["week"]))
        except Refused as refusal:
            self.stderr.write(refusal.sentence)
            sys.exit(UNUSABLE)
        self.stdout.write(week_as_wikitext(monday), ending="")
