"""`manage.py verify` accounts for the calendar and the train: what was altered is named."""

from collections.abc import Callable
from datetime import date, time, timedelta

import pytest
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from scheduler.actors import grant_roles
from scheduler.domain.permissions import Role
from scheduler.models import EmergencyConfirmation, GroupMove, OtherName, User, Window
from scheduler.services.calendar import (
    SeriesFacts,
    WindowFacts,
    add_window,
    cancel_window,
    confirm_emergency,
    make_series,
    move_window,
)
from scheduler.services.train import import_versions
from scheduler.services.windows import skip_unclaimed_windows
from tests.factories import make_window
from tests.services.checks import wrongs

HOUR = timedelta(hours=1)
NOW = timezone.now()


@pytest.fixture
def calendar(rel: User, dev: User, ada: User) -> None:
    """A calendar in which everything has happened once."""
    grant_roles(dev, Role.DEPLOYER, Role.OPERATIONS)
    make_series(
        facts=SeriesFacts(
            "Series",
            "UTC",
            frozenset(range(7)),
            time(4),
            60,
            date.today() + timedelta(days=9),  # noqa: DTZ011
        ),
        by=rel,
    )
    for title, in_hours in (("Moved", 24), ("Off", 28), ("Stays", 32)):
        add_window(facts=WindowFacts(title, NOW + in_hours * HOUR, 60), by=rel)
    emergency = add_window(
        facts=WindowFacts("Emergency", NOW + 36 * HOUR, 60, is_emergency=True, reason="Fire."),
        by=rel,
    )
    for person in (rel, dev):
        confirm_emergency(window=emergency, by=person)
    moved = named("Moved").get()
    move_window(window=moved, by=rel, start=moved.start + HOUR, minutes=60, reason="Late.")
    cancel_window(window=named("Off").get(), by=rel, reason="Nobody needs it.")
    make_window(in_hours=-3, title="Skipped")
    skip_unclaimed_windows(now=timezone.now())
    import_versions(served={"group0": "1.47.0-wmf.30"}, by=rel, source="wikiversions.json")


def named(title: str) -> QuerySet[Window]:
    return Window.objects.filter(title=title)


WRECKS: list[tuple[Callable[[], object], str]] = [
    (lambda: named("Off").update(cancelled_at=None), "called off by an event, and takes place"),
    (lambda: named("Stays").update(cancelled_at=NOW), "was called off, and no event says so"),
    (lambda: named("Skipped").update(skipped_at=None), "skipped by an event, and takes place"),
    (lambda: named("Stays").update(skipped_at=NOW), "was skipped, and no event says so"),
    (lambda: named("Moved").update(start=NOW + 24 * HOUR), "an event moved it to"),
    (lambda: named("Series").earliest("start").delete(), "windows; its events made"),
    (lambda: EmergencyConfirmation.objects.latest("pk").delete(), "Confirmation by dev"),
    (
        lambda: EmergencyConfirmation.objects.filter(role="operations").update(
            by=User.objects.get(username="ada")
        ),
        "Confirmation by ada",
    ),
    (
        lambda: OtherName.objects.create(user=User.objects.get(username="rel"), name="dev"),
        "is an emergency, confirmed twice by rel",
    ),
    (lambda: named("Emergency").update(is_emergency=False), "is no emergency, and was confirmed"),
    (lambda: GroupMove.objects.update(group="group1"), "Move of the train by rel (group0"),
    (lambda: GroupMove.objects.update(at=NOW - HOUR), "Move of the train by rel (group0"),
    (lambda: GroupMove.objects.all().delete(), "1 fewer than events"),
]


@pytest.mark.usefixtures("calendar")
def test_what_was_altered_past_the_log_is_found() -> None:
    assert wrongs() == []
    for wreck, said in WRECKS:
        with transaction.atomic():
            wreck()
            found = wrongs()
            transaction.set_rollback(True)
        assert any(said in one for one in found), (said, found)
    assert wrongs() == []
