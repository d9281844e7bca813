"""`python -m tests.faults.seed`: the tables, the cast, and windows with room for bookings."""

import sys

import django


def main(windows: int) -> None:
    """Make everything, in the database that the environment names."""
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 - Django reads settings first

    from scheduler.management.commands.seed_demo import seed_cast  # noqa: PLC0415
    from tests.factories import make_window  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    seed_cast()
    for day in range(1, windows + 1):
        make_window(in_hours=24 * day)


if __name__ == "__main__":
    main(int(sys.argv[1]))
