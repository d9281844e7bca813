"""The front page: kinds, freezes, weeks, who deploys; and the channel bot that reads it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import dateutil.parser
import lxml.etree
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scheduler.domain.backports import Mark
from scheduler.domain.windows import FreezeScope, Recurrence, WindowKind
from scheduler.models import Event, Freeze, User, Window
from scheduler.services.heartbeats import beat
from tests.factories import fetched, make_backport
from tests.views.conftest import DAY, in_a_day

As = Callable[[str], Client]
HOUR = timedelta(hours=1)
HOSTILE = '<img src=x onerror="1"> \u202e {{ 7|add:7 }}'


@dataclass(frozen=True)
class Item:
    """What the channel bot makes of one window (its `DeployPage.reparse`)."""

    key: str
    start: datetime
    end: datetime
    window: str
    deployers: list[str]
    owners: list[str]


def read_as_the_bot(page: bytes) -> Iterator[Item]:
    """Read a page as the bot does: the same parser, the same selectors, the same conversions."""
    for item in lxml.etree.HTML(page.decode()).cssselect(".deploycal-item"):
        name = item.cssselect(".deploycal-item-window")
        yield Item(
            key=item.get("id"),
            start=dateutil.parser.parse(item.get("data-utcstart")),
            end=dateutil.parser.parse(item.get("data-utcend")),
            window=name[0].xpath("string()").strip() if name else "Unnamed window",
            deployers=[one.text for one in item.cssselect(".deploycal-item-deployer .ircnick")],
            owners=[one.text for one in item.cssselect(".deploycal-item-changes .ircnick")],
        )


def test_the_bot_needs_no_account_and_is_told_nothing_of_changes(
    client: Client, cast: dict[str, User]
) -> None:
    window = in_a_day("UTC late backport window")
    window.deployers.add(cast["dev"])
    shown = make_backport(window, cast["ada"], fetched(1000), nick="ada_on_irc")
    make_backport(window, cast["rae"], fetched(1001), nick="rae", marks=frozenset({Mark.SECURITY}))

    answer = client.get("/calendar/public")

    (item,) = read_as_the_bot(answer.content)
    assert (item.start, item.deployers, item.owners) == (window.start, ["dev"], ["ada_on_irc"])
    assert shown.change.subject not in answer.content.decode()
    assert "1000" not in answer.content.decode()


def test_the_channel_bot_reads_the_page_as_it_reads_the_wiki(
    as_: As, cast: dict[str, User]
) -> None:
    window = in_a_day("UTC late <b>backport</b> window")
    User.objects.filter(pk=cast["dev"].pk).update(nick="dev_on_irc")
    window.deployers.add(cast["dev"], cast["rel"])
    make_backport(window, cast["ada"], fetched(1000))
    make_backport(window, cast["ada"], fetched(1001))
    make_backport(window, cast["rae"], fetched(1002), nick="")
    train = Window.objects.create(
        start=window.start, end=window.end, title="Train", kind=WindowKind.TRAIN.value
    )
    Window.objects.create(
        start=window.start + 2 * HOUR,
        end=window.end + 2 * HOUR,
        title="Called off",
        cancelled_at=timezone.now(),
    )

    found = list(read_as_the_bot(as_("ada").get("/").content))

    start = window.start.replace(microsecond=0)
    item = f"deploycal-item-{start.astimezone(UTC):%Y%m%dT%H%M}"
    assert [one.key for one in found] == [item, f"{item}-2"]
    first = found[0]
    assert (first.window, first.deployers) == (window.title, ["dev_on_irc", "rel"])
    assert first.owners == ["ada_l", "rae"]
    assert (first.start.replace(microsecond=0), first.start.tzinfo is not None) == (start, True)
    assert first.end - first.start == HOUR
    assert found[1].window == train.title
    assert first.start > timezone.now()  # what the bot compares it with


def test_only_windows_in_which_people_book_have_slots(as_: As, cast: dict[str, User]) -> None:
    for at, kind in enumerate(WindowKind):
        start = timezone.now() + DAY + at * HOUR
        Window.objects.create(start=start, end=start + HOUR, title=f"W {kind}", kind=kind.value)

    text = as_("ada").get("/").content.decode()

    assert text.count("6 of 6 slots</span>") == 2
    assert text.count("/backports/new?window=") == 3  # and the next one with room
    for named in ("training", "train", "security", "dedicated", "infrastructure", "no deploy"):
        assert f"</span> {named}</span>" in text


def test_states_are_told(as_: As, cast: dict[str, User]) -> None:
    now = timezone.now()
    called_off, skipped, late = (in_a_day(days=days) for days in (1, 2, 3))
    Window.objects.filter(pk=called_off.pk).update(cancelled_at=now)
    Window.objects.filter(pk=skipped.pk).update(skipped_at=now)
    Window.objects.filter(pk=late.pk).update(closes_at=now - HOUR)
    emergency = in_a_day("Fire", days=4)
    Window.objects.filter(pk=emergency.pk).update(is_emergency=True, reason="Fire")

    text = as_("ada").get("/").content.decode()

    for said in ("called off", "skipped", "booking closed", "emergency"):
        assert f"</span> {said}</span>" in text
    assert "waits for release engineer and operations" in text


@pytest.mark.parametrize(
    ("scope", "grade", "chip"),
    [
        (FreezeScope.ALL, "everything", "frozen"),
        (FreezeScope.NORMAL, "all but what is urgent", "urgent only"),
        (FreezeScope.TRAIN, "the train", ""),
    ],
)
def test_a_freeze_that_comes_again_is_a_band_with_its_grade(
    as_: As, cast: dict[str, User], scope: FreezeScope, grade: str, chip: str
) -> None:
    window = in_a_day()
    a_year_ago = window.start - 52 * 7 * DAY
    Freeze.objects.create(
        starts=a_year_ago,
        ends=a_year_ago + HOUR,
        scope=scope.value,
        recurrence=Recurrence.WEEKLY.value,
        reason="Quiet <hour>",
    )

    text = as_("ada").get("/").content.decode()

    assert f"Freeze ({grade}): Quiet &lt;hour&gt;" in text
    assert (f"</span> {chip}</span>" in text) is bool(chip)
    assert ("/backports/new?window=" in text) is (scope is not FreezeScope.ALL)


def test_a_freeze_of_other_kinds_leaves_a_window_alone(as_: As, cast: dict[str, User]) -> None:
    window = in_a_day()
    Freeze.objects.create(
        starts=window.start, ends=window.end, kinds=["security"], reason="Only security"
    )

    assert "frozen</span>" not in as_("ada").get("/").content.decode()


def test_weeks_are_turned(as_: As, cast: dict[str, User]) -> None:
    far = in_a_day("Far away", days=28)
    year, week, _ = far.start.astimezone(UTC).isocalendar()
    client = as_("ada")

    here = client.get("/").content.decode()
    there = client.get("/", {"week": f"{year}-W{week:02}"}).content.decode()

    assert "Far away" not in here
    assert "Far away" in there
    assert "Show this week and the next" in there
    assert f'hx-get="/?week={year}-W{week:02}"' in there


@pytest.mark.parametrize("week", ["2026-W99", "next", "20266-W1", "2026-W1"])
def test_no_week_is_this_week(as_: As, cast: dict[str, User], week: str) -> None:
    assert "This week and the next" in as_("ada").get("/", {"week": week}).content.decode()


def test_a_silent_scheduler_is_told_and_one_that_ticks_is_not(
    as_: As, cast: dict[str, User]
) -> None:
    window = in_a_day()
    client = as_("ada")
    beat(job="keep-the-calendar", at=timezone.now() - timedelta(minutes=11))
    for address in ("/", f"/windows/{window.pk}"):
        text = client.get(address).content.decode()
        assert "The scheduler was last heard of <time" in text
        assert "11 minutes ago" in text
    beat(job="keep-the-calendar", at=timezone.now())
    assert "last heard of" not in client.get("/").content.decode()


def test_a_deployer_signs_up_with_one_click(as_: As, cast: dict[str, User]) -> None:
    window = in_a_day()
    assert "Sign up" not in as_("ada").get("/").content.decode()
    client = as_("dev")
    assert f'action="/windows/{window.pk}/sign-up"' in client.get("/").content.decode()
    sent = {"key": str(uuid4()), "back": "/?week=2026-W49#deploycal-item-20261201T0800"}

    answers = [client.post(f"/windows/{window.pk}/sign-up", sent) for _ in range(2)]

    assert {(one.status_code, one["Location"]) for one in answers} == {(302, sent["back"])}
    assert list(window.deployers.all()) == [cast["dev"]]
    assert Event.objects.filter(kind="window.sign-up").count() == 1


def test_nobody_is_sent_elsewhere_afterwards(as_: As, cast: dict[str, User]) -> None:
    window = in_a_day()
    sent = {"key": str(uuid4()), "back": "//evil.example/"}
    answer = as_("dev").post(f"/windows/{window.pk}/sign-up", sent)
    assert answer["Location"] == f"/windows/{window.pk}"


def test_an_empty_calendar_says_who_fills_it(as_: As, cast: dict[str, User]) -> None:
    assert "A release engineer adds windows." in as_("ada").get("/").content.decode()
    assert "begin a series" in as_("rel").get("/").content.decode()


def test_hostile_and_long_titles_stay_text(as_: As, cast: dict[str, User]) -> None:
    in_a_day((HOSTILE * 9)[:100])
    text = as_("dev").get("/").content.decode()
    assert "<img" not in text
    assert "{{ 7|add:7 }}" in text


def test_a_calendar_of_30_windows_takes_as_many_queries_as_one_of_3(
    as_: As, cast: dict[str, User]
) -> None:
    client = as_("dev")
    Freeze.objects.create(
        starts=timezone.now(), ends=timezone.now() + DAY, recurrence=Recurrence.WEEKLY.value
    )
    counts = []
    for some in (range(3), range(3, 30)):
        for number in some:
            start = timezone.now() + HOUR + number * timedelta(minutes=20)
            window = Window.objects.create(
                start=start,
                end=start + timedelta(minutes=10),
                title=f"Window {number}",
                is_emergency=number % 2 == 0,
            )
            window.deployers.set([cast["rel"]] if number % 3 else [])
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert client.get("/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
