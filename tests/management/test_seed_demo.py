"""The demo: everything that pages can show is there, and loading it again changes nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from scheduler.management.commands.seed_demo import (
    HOME,
    REHEARSAL,
    seed_cast,
    seed_freezes,
    seed_train,
    seed_windows,
)
from scheduler.models import Backport, Plan, Question, Statement, User, Window
from scheduler.queries import freezes_during, production_at
from scheduler.services.events import first_break
from swat.embedded.gerrit import DemoGerrit
from swat.embedded.gerrit_changes import CHANGES, NEW, OLD

pytestmark = pytest.mark.django_db


@pytest.fixture
def _gerrit(settings: Settings) -> Iterator[None]:
    with DemoGerrit(CHANGES) as server:
        settings.GERRIT_URL = server.url
        yield


@pytest.mark.usefixtures("_gerrit")
def test_every_place_shows(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("seed_demo")
    assert capsys.readouterr().err == ""
    window = Backport.objects.order_by("pk")[0].window
    plan = Plan.objects.filter(window=window).latest("version")
    places = {row["place"] for row in plan.result["elsewhere"]}
    assert plan.result["queue"]
    assert {"train", "dedicated", "blocked", "held", "overflow"} <= places
    assert Question.objects.filter(closed_at__isnull=True).count() == 1
    assert Statement.objects.count() == 1
    assert first_break() is None
    october = Window.objects.get(start__year=2015)
    assert not october.backports.exists()
    rehearsal = Window.objects.get(title=REHEARSAL)
    steps = Plan.objects.filter(window=rehearsal).latest("version").result["queue"]
    assert [step["changes"] for step in steps] == [[1218316], [1218317], [1218318]]
    assert rehearsal.is_locked


@pytest.mark.usefixtures("_gerrit")
def test_loading_it_again_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("seed_demo")
    before = list(Backport.objects.order_by("pk").values("pk", "status", "fingerprint"))
    counts = (User.objects.count(), Window.objects.count(), Plan.objects.count())
    call_command("seed_demo")
    assert list(Backport.objects.order_by("pk").values("pk", "status", "fingerprint")) == before
    assert (User.objects.count(), Window.objects.count(), Plan.objects.count()) == counts
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("weekday", "hour"), [(0, 2), (1, 12), (2, 23), (3, 12), (3, 23), (4, 12), (6, 23)]
)
def test_on_every_day_there_are_windows_to_come_that_nothing_freezes(
    weekday: int, hour: int
) -> None:
    now = datetime(2026, 11, 23 + weekday, hour, tzinfo=UTC)
    seed_freezes(now)
    coming = seed_windows(now, seed_cast())
    assert len(coming) == 12
    assert all(window.start > now and not freezes_during(window) for window in coming)
    assert {window.start.astimezone(ZoneInfo(HOME)).hour for window in coming} == {0, 6, 13}
    assert coming[0].deployers.exists()
    assert coming[0].start - now < timedelta(days=4)
    seed_train(now, coming[0].start.date())
    serving = production_at(now).at(coming[2].start).live
    assert set(serving.values()) == {OLD, NEW}


def test_nobody_can_sign_in_with_a_password() -> None:
    call_command("seed_demo")
    assert not any(user.has_usable_password() for user in User.objects.all())


def test_it_refuses_where_there_is_no_demo(settings: Settings) -> None:
    settings.SWAT_DEMO = False
    with pytest.raises(CommandError):
        call_command("seed_demo")
    assert not User.objects.exists()
