"""The cast, the October 2015 window and the demo's review system, for views and browsers."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from scheduler.actors import grant_roles
from scheduler.domain.permissions import Role
from scheduler.models import Backport, TrainVersion, User, Window
from swat.embedded.gerrit import DemoGerrit
from swat.embedded.gerrit_changes import CHANGES
from tests.factories import promote

CIRRUS, EVENTS = 247888, 247889
DAY = timedelta(days=1)
ANSWERS = {
    "why_not_train": "Searches are not counted.",
    "kind": "bug",
    "urgency": "2",
    "user_impact": "Nothing; the numbers are missing.",
    "tested_where": "Beta Cluster",
    "verify_how": "Search for cat; one event is logged.",
    "problems_where": "Every page, if the schema is registered twice.",
    "rollback_how": "Revert both, the second one first.",
    "present": "on",
    "tester": "ada",
    "nick": "ada_l",
}
ROLES = {
    "ada": (Role.DEVELOPER,),
    "rae": (Role.REVIEWER,),
    "dev": (Role.DEPLOYER,),
    "rel": (Role.RELEASE_ENGINEER,),
    "sam": (),
}

Book = Callable[..., Backport]


def cast_of_five() -> dict[str, User]:
    """Make the five people everybody knows."""
    people = {}
    for name, roles in ROLES.items():
        people[name] = User.objects.create_user(name, password=f"{name} signs in here")
        grant_roles(people[name], *roles)
    return people


def october_window() -> Window:
    """Make the window of 26 October 2015 and the train of that week."""
    live = TrainVersion.objects.create(
        name="1.27.0-wmf.3", position=1, checked_out_from=datetime(2015, 10, 20, tzinfo=UTC)
    )
    coming = TrainVersion.objects.create(
        name="1.27.0-wmf.4", position=2, cut_at=datetime(2015, 10, 27, 19, 10, tzinfo=UTC)
    )
    for group, at in (
        ("group0", datetime(2015, 10, 27, 21, 26, tzinfo=UTC)),
        ("group1", datetime(2015, 10, 28, 19, 0, tzinfo=UTC)),
        ("group2", datetime(2015, 10, 29, 20, 46, tzinfo=UTC)),
    ):
        promote(live, group, at - timedelta(days=7))
        promote(coming, group, at)
    start = datetime(2015, 10, 26, 23, tzinfo=UTC)
    return Window.objects.create(
        start=start,
        end=start + timedelta(hours=1),
        title="Evening SWAT",
        as_of=start - timedelta(hours=1),
    )


@pytest.fixture
def cast(db: None) -> dict[str, User]:
    return cast_of_five()


@pytest.fixture
def october(cast: dict[str, User]) -> Window:
    return october_window()


@pytest.fixture
def gerrit(settings: Settings) -> Iterator[DemoGerrit]:
    with DemoGerrit(CHANGES) as server:
        settings.GERRIT_URL = server.url
        yield server


@pytest.fixture
def as_(client: Client, cast: dict[str, User]) -> Callable[[str], Client]:
    def signed_in(name: str) -> Client:
        client.force_login(cast[name])
        return client

    return signed_in


@pytest.fixture
def book(as_: Callable[[str], Client], october: Window, gerrit: DemoGerrit) -> Book:
    def booked(number: int, **other: str) -> Backport:
        answer = as_("ada").post(
            "/backports/new",
            {
                **ANSWERS,
                "change": str(number),
                "window": october.pk,
                "key": str(uuid4()),
                **other,
            },
        )
        assert answer.status_code == 302, answer.content.decode()
        return Backport.objects.get(change__number=number)

    return booked


def in_a_day(title: str = "Morning SWAT", *, days: int = 1) -> Window:
    """Make a window that starts in a day, or in some days."""
    start = timezone.now() + days * DAY
    return Window.objects.create(start=start, end=start + timedelta(hours=1), title=title)
