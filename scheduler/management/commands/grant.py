"""Give somebody a role from the command line: how the first release engineer comes to be."""

from argparse import ArgumentParser
from typing import cast

from django.core.management.base import BaseCommand, CommandError

from scheduler.domain.errors import Refused
from scheduler.domain.permissions import Role
from scheduler.models import User
from scheduler.services.people import grant_role_from_outside


class Command(BaseCommand):
    """Give a role to an account."""

    help = "Give ROLE to the account USER, on top of the roles that it has; the log says so."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the role and the account."""
        parser.add_argument("role", metavar="ROLE", choices=[role.value for role in Role])
        parser.add_argument("user", metavar="USER")

    def handle(self, *args: object, **options: object) -> None:
        """Give the role.

        Raises:
            CommandError: there is no such account, or it has the role.
        """
        name, role = cast("str", options["user"]), Role(cast("str", options["role"]))
        person = User.objects.filter(username=name).first()
        if person is None:
            raise CommandError(f"There is no account {name}; manage.py createsuperuser makes one.")
        try:
            roles = grant_role_from_outside(person=person, role=role)
        except Refused as refusal:
            raise CommandError(refusal.sentence) from None
        self.stdout.write(f"{name} is now: {', '.join(sorted(roles))}.")
