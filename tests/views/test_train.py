"""The board of the train, what it costs, and each act: shown first, then confirmed."""

import json
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scheduler.domain.changes import ChangeStatus
from scheduler.models import Backport, Event, Promotion, TrainVersion, User
from scheduler.services.reviews import send_to_train
from scheduler.services.train import follow_the_train, hold_train, promote_group, state_of_train
from tests.factories import (
    fetched,
    fetched_fix,
    make_backport,
    make_change,
    make_train,
    make_window,
)

As = Callable[[str], Client]
DAY = timedelta(days=1)
OLD, NEW = "1.47.0-wmf.30", "1.47.0-wmf.31"
HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture
def versions(cast: dict[str, User]) -> tuple[TrainVersion, TrainVersion]:
    return make_train(timezone.now())


def page(client: Client, address: str = "/train") -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def live_configuration(number: int = 4000) -> None:
    """Store configuration that is live and needs what only the newer version has."""
    _, needed = fetched_fix(number + 1, included_in=frozenset({f"wmf/{NEW}"}))
    made = fetched(
        number,
        status=ChangeStatus.MERGED,
        deployed=True,
        message=f"Switch it on\n\nDepends-On: {needed.change.change_id}\nChange-Id: I{number:040x}",
    )
    make_change(needed)
    make_change(made)


def fill(ada: User, rel: User, count: int) -> None:
    """Fill the board: so many of everything that it lists."""
    window = make_window(in_hours=40)
    for number in range(2000, 2000 + count):
        left, merged = fetched_fix(number, included_in=frozenset({f"wmf/{NEW}"}))
        backport = make_backport(window, ada, left, merged)
        send_to_train(backport=backport, by=rel, fingerprint=backport.fingerprint, reason="Later.")
        sent, rode = fetched_fix(number + 500, included_in=frozenset({f"wmf/{NEW}"}))
        make_backport(window, ada, sent, rode)
        live_configuration(number + 2000)
        make_change(fetched_fix(number + 1000, status=ChangeStatus.MERGED)[0])
    follow_the_train(now=timezone.now())


def test_an_empty_board_says_what_to_do(as_: As) -> None:
    assert "Nothing is known about the train yet" in page(as_("sam"))
    assert "Read wikiversions.json" not in page(as_("sam"))
    assert "Read wikiversions.json" in page(as_("rel"))


def test_everybody_reads_it_and_release_engineers_act(
    versions: tuple[TrainVersion, TrainVersion], as_: As
) -> None:
    for name in ("ada", "sam"):
        text = page(as_(name))
        assert "wmf.31" in text
        assert "Promote" not in text
    assert "Promote" in page(as_("rel"))


def test_overdue_held_and_rolled_back_are_told(
    versions: tuple[TrainVersion, TrainVersion], cast: dict[str, User], as_: As
) -> None:
    late = timezone.now() - timedelta(minutes=5)
    Promotion.objects.filter(version=versions[1], group="group1").update(at=late)
    assert f"{late:%H:%M} UTC</time>, not done" in page(as_("sam"))

    hold_train(version=versions[1], by=cast["rel"], reason=f"Logins fail {HOSTILE}")

    text = page(as_("sam"))
    assert "The train is held at 1.47.0-wmf.31" in text
    assert "<script>alert" not in text
    assert "Logins fail &lt;script&gt;" in text


def test_what_rides_waits_and_must_be_reverted_is_listed(
    versions: tuple[TrainVersion, TrainVersion], cast: dict[str, User], as_: As
) -> None:
    fill(cast["ada"], cast["rel"], 1)

    text = page(as_("sam"))

    assert "must be reverted" in text
    assert "4000 → 104001" in text
    assert "which serves group1, group2" in text
    assert "sent there by" in text
    assert "left to the train" in text
    assert f"live on <bdi>wmf/{OLD}</bdi>, not in <bdi>wmf/{NEW}</bdi>" in text


def test_thirty_of_everything_take_as_many_queries_as_two(
    versions: tuple[TrainVersion, TrainVersion], cast: dict[str, User], as_: As
) -> None:
    client = as_("rel")
    fill(cast["ada"], cast["rel"], 2)
    page(client)
    with CaptureQueriesContext(
        connection,
    ) as few:
        page(client)
    for number in range(2100, 2130):
        make_change(fetched_fix(number, included_in=frozenset({f"wmf/{NEW}"}))[1])
        live_configuration(number + 2000)
        make_change(fetched_fix(number + 1000, status=ChangeStatus.MERGED)[0])
    window, ada = make_window(in_hours=50), cast["ada"]
    change = Backport.objects.filter(status="train")[0].change
    Backport.objects.bulk_create(
        Backport(
            change=change, window=window, requester=ada, status="train", submitted_at=window.start
        )
        for _ in range(30)
    )
    with CaptureQueriesContext(connection) as many:
        text = page(client)

    assert text.count("left to the train") >= 30
    assert len(many) == len(few)
    assert len(few) < 45


ACTS = {
    "promote": ("Move group1 to 1.47.0-wmf.31", "train.promote", {"group": "group1"}),
    "hold": ("Hold the train at 1.47.0-wmf.31", "train.hold", {"reason": "T4711"}),
    "roll-back": (
        "Roll group0 back to 1.47.0-wmf.30",
        "train.roll-back",
        {"group": "group0", "reason": "T4711"},
    ),
}


def of(slug: str, versions: tuple[TrainVersion, TrainVersion]) -> str:
    return f"/train/{versions[slug != 'roll-back'].pk}/{slug}"


@pytest.mark.parametrize("slug", ACTS)
def test_an_act_is_shown_then_done_once(
    slug: str, versions: tuple[TrainVersion, TrainVersion], as_: As
) -> None:
    title, kind, sent = ACTS[slug]
    client, address = as_("rel"), of(slug, versions)
    shown = page(client, f"{address}?group={sent.get('group', '')}")
    assert title in shown
    assert not Event.objects.exists()
    form = {**sent, "state": state_of_train(), "key": str(uuid4())}

    first, again = client.post(address, form), client.post(address, form)

    assert first.status_code == again.status_code == 302
    assert [event.kind for event in Event.objects.all()] == [kind]


@pytest.mark.parametrize("slug", ACTS)
def test_an_act_on_an_old_page_shows_the_board_anew(
    slug: str, versions: tuple[TrainVersion, TrainVersion], as_: As
) -> None:
    _, _, sent = ACTS[slug]
    answer = as_("rel").post(
        of(slug, versions), {**sent, "state": "as it was", "key": str(uuid4())}
    )

    assert answer.status_code == 409
    assert "The train moved since" in answer.content.decode()
    assert "Versions per group" in answer.content.decode()
    assert not Event.objects.exists()


@pytest.mark.parametrize("name", ["ada", "rae", "dev", "sam"])
def test_nobody_else_acts(name: str, versions: tuple[TrainVersion, TrainVersion], as_: As) -> None:
    client = as_(name)
    for address in (of("promote", versions), "/train/plan", "/train/import"):
        assert client.get(address, {"group": "group1"}).status_code == 403
        assert client.post(address, {"group": "group1", "key": str(uuid4())}).status_code == 403
    assert not Event.objects.exists()


def test_an_act_that_is_none_is_not_there(
    versions: tuple[TrainVersion, TrainVersion], as_: As
) -> None:
    client = as_("rel")
    assert client.get(f"/train/{versions[0].pk}/explode").status_code == 404
    assert client.get(f"/train/{versions[0].pk}/promote").status_code == 404
    assert client.get("/train/999/hold").status_code == 404


def test_a_hold_without_a_reason_is_asked_again(
    versions: tuple[TrainVersion, TrainVersion], as_: As
) -> None:
    form = {"reason": " ", "state": state_of_train(), "key": str(uuid4())}

    answer = as_("rel").post(of("hold", versions), form)

    assert answer.status_code == 422
    assert "Say why, in a sentence." in answer.content.decode()


def test_a_roll_back_shows_first_what_it_breaks(
    versions: tuple[TrainVersion, TrainVersion], cast: dict[str, User], as_: As
) -> None:
    rel = cast["rel"]
    for group in ("group1", "group2"):
        promote_group(version=versions[1], group=group, by=rel, state=state_of_train())
    live_configuration()
    window = make_window()
    needs = f"Use it\n\nDepends-On: I{4001:040x}\nChange-Id: I{5000:040x}"
    make_backport(window, cast["ada"], fetched(5000, message=needs))
    assert "must be reverted" not in page(as_("rel"))

    shown = page(as_("rel"), f"/train/{versions[0].pk}/roll-back?group=group1")

    assert "must be reverted then" in shown
    assert "4000 → 104001" in shown
    assert "booked, and could not go" in shown
    assert "5000" in shown


def test_a_promotion_shows_what_it_deploys(
    versions: tuple[TrainVersion, TrainVersion], cast: dict[str, User], as_: As
) -> None:
    fill(cast["ada"], cast["rel"], 1)
    promote_group(version=versions[1], group="group1", by=cast["rel"], state=state_of_train())

    shown = page(as_("rel"), f"/train/{versions[1].pk}/promote?group=group2")

    assert "deployed by the train then" in shown


def test_a_version_is_planned_and_changed(
    versions: tuple[TrainVersion, TrainVersion], as_: As
) -> None:
    client = as_("rel")
    form = {
        "name": "1.47.0-wmf.32",
        "cut": "2026-12-08T03:00",
        "group_0": "2026-12-08T20:00",
        "group_2": "2026-12-10T20:00",
        "state": state_of_train(),
    }
    assert client.post("/train/plan", {**form, "key": str(uuid4())}).status_code == 302
    made = TrainVersion.objects.get(name="1.47.0-wmf.32")
    assert [one.group for one in made.promotions.all()] == ["group0", "group2"]
    again = page(client, f"/train/plan/{made.pk}")
    assert 'value="2026-12-08T20:00"' in again
    for wrong, status in (({"cut": "soon"}, 422), ({"name": "master"}, 409)):
        sent = {**form, **wrong, "state": state_of_train(), "key": str(uuid4())}
        assert client.post("/train/plan", sent).status_code == status


def test_files_are_shown_first_then_read(
    versions: tuple[TrainVersion, TrainVersion], as_: As
) -> None:
    client = as_("rel")
    wikis = {"testwiki": f"php-{NEW}", "enwiki": NEW, "dewiki": OLD}
    groups = {"group0": ["testwiki"], "group1": ["enwiki"], "group2": ["enwiki", "dewiki"]}

    shown = client.post(
        "/train/import", {"wikiversions": json.dumps(wikis), "groups": json.dumps(groups)}
    ).content.decode()

    assert "Note 1 move" in shown
    assert "group2</bdi> is left as it is" in shown
    assert not Event.objects.exists()
    form = {"served": json.dumps({"group1": NEW}), "state": state_of_train(), "key": str(uuid4())}
    assert client.post("/train/import", form).status_code == 302
    assert [event.kind for event in Event.objects.all()] == ["train.import"]
    stale = {**form, "key": str(uuid4())}
    assert client.post("/train/import", stale).status_code == 409


def test_files_may_be_uploaded(versions: tuple[TrainVersion, TrainVersion], as_: As) -> None:
    client = as_("rel")
    wikis = SimpleUploadedFile("wikiversions.json", b'{"enwiki": "php-1.47.0-wmf.31"}')
    lists = [
        SimpleUploadedFile("group1.dblist", b"enwiki\n"),
        SimpleUploadedFile("group2.dblist", b"%% all - group0\n"),
    ]

    answer = client.post("/train/import", {"wikiversions_file": wikis, "lists": lists})

    assert answer.status_code == 422
    assert "this list is an expression" in answer.content.decode()
    wikis.seek(0)
    lists[0].seek(0)
    good = client.post("/train/import", {"wikiversions_file": wikis, "lists": lists[:1]})
    assert "Note 1 move" in good.content.decode()


@pytest.mark.parametrize(
    "sent", [{}, {"served": "x"}, {"served": "[]"}, {"served": '{"Group 0": "x"}'}]
)
def test_files_that_cannot_be_read_are_told(sent: dict[str, str], as_: As) -> None:
    answer = as_("rel").post("/train/import", {**sent, "key": str(uuid4())})

    assert answer.status_code == 422
    assert "Nothing was changed." in answer.content.decode()


def test_hostile_text_stays_text(
    versions: tuple[TrainVersion, TrainVersion], cast: dict[str, User], as_: As
) -> None:
    fill(cast["ada"], cast["rel"], 1)
    for row in Backport.objects.all():
        row.change.subject = HOSTILE
        row.change.save()
    client = as_("rel")

    for address in ("/train", f"{of('hold', versions)}", f"{of('promote', versions)}?group=group1"):
        assert "<script>alert" not in page(client, address)
    wrong = client.get(of("promote", versions), {"group": HOSTILE})
    assert wrong.status_code == 404
