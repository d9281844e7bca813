"""The page of a window that is deployed: one screen, and nothing out of turn."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from scheduler.actors import grant_roles
from scheduler.domain.checklist.run import Choice, Outcome
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.permissions import Role
from scheduler.models import Backport, Event, Lease, RunItem, RunStep, User, Window
from scheduler.services.leases import take_wheel
from scheduler.services.windows import unlock_window
from scheduler.views.deploy import sight_of
from swat.embedded.gerrit import DemoGerrit
from swat.embedded.gerrit_changes import DemoChange
from tests.driving import Drive, lock
from tests.factories import CONFIG, approve, fetched, make_backport, make_window
from tests.services.checks import wrongs
from tests.views.pages_of_deploy import DeployPage

As = Callable[[str], Client]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def begun(cast: Mapping[str, User]) -> Window:
    """A window that began five minutes ago: 1, then 2 which needs it, then 3."""
    start = timezone.now() - 5 * MINUTE
    window = make_window(start=start, end=start + 60 * MINUTE)
    for number in (1, 2, 3):
        needs = f"\n\nDepends-On: I{1:040x}" if number == 2 else ""
        change = fetched(number, message=f"Change\n{needs}\nChange-Id: I{number:040x}")
        approve(make_backport(window, cast["ada"], change, steps_after="Purge it."), cast["rae"])
    lock(window, cast["dev"])
    return window


@pytest.fixture
def system(settings: Settings) -> Iterator[DemoGerrit]:
    """Gerrit, which knows the three as they were approved."""
    changes = [
        DemoChange(
            number=number,
            project=CONFIG,
            branch="master",
            change_id=f"I{number:040x}",
            message=f"Change {number}\n\nChange-Id: I{number:040x}",
        )
        for number in (1, 2, 3)
    ]
    with DemoGerrit(changes) as server:
        settings.GERRIT_URL = server.url
        yield server


@pytest.fixture
def drive(begun: Window, cast: Mapping[str, User]) -> Drive:
    """Dev drives it, and has begun it."""
    return Drive(begun, cast["dev"]).take().begin()


@pytest.fixture
def page(as_: As, begun: Window) -> Callable[[str], DeployPage]:
    return lambda name: DeployPage(as_(name), begun)


Page = Callable[[str], DeployPage]


def test_the_wheel_is_taken_and_the_window_begun(page: Page) -> None:
    dev = page("dev")
    assert "Take the wheel: nobody drives this window" in dev.text
    assert dev.send("/take").status_code == 302
    assert "Nothing: every step can go as it was approved." in dev.text
    assert dev.send("/begin").status_code == 302
    assert "Start step 1: 1" in dev.text
    assert not page("sam").offers("/start")


def test_what_is_done_now_has_its_command_link_and_log_line(drive: Drive, page: Page) -> None:
    drive.start(1)
    dev = page("dev")

    assert "scap backport 1</code>" in dev.text
    assert "https://spiderpig.wikimedia.org/mediawiki/backport?backport=1" in dev.text
    assert dev.tick(proof="https://gerrit.example/c/1").status_code == 302
    assert "https://gerrit.example/c/1" in dev.text
    drive.until(1, ItemKind.AFTER)
    assert "Purge it." in dev.text
    drive.until(1, ItemKind.LOG)
    assert "!log SWAT: deployed [[gerrit:1]]" in dev.text


def test_only_the_tester_is_offered_to_verify(drive: Drive, page: Page) -> None:
    drive.start(1)
    drive.until(1, ItemKind.VERIFY)

    assert page("dev").items() == []
    assert "<bdi>ada</bdi> verifies 1" in page("dev").text
    assert page("sam").items() == []
    ada = page("ada")
    assert "Verify 1 on the test servers now, 3 min" in ada.text
    assert ada.tick(proof="One event is logged.").status_code == 302
    assert RunItem.objects.get(step__position=1, kind="verify").proof == "One event is logged."


def test_a_tester_says_that_it_does_not_work(drive: Drive, page: Page) -> None:
    drive.start(1)
    drive.until(1, ItemKind.VERIFY)
    assert page("ada").send("/1/fail", output="A white page.").status_code == 302
    dev = page("dev")
    assert "A white page." in dev.text
    assert "Choose for 1: revert it, or leave it" in dev.text


def test_before_confirming_the_screen_shows_what_falls_and_what_stays(
    drive: Drive, page: Page
) -> None:
    drive.start(1)
    drive.until(1, ItemKind.SYNC)
    drive.fail(1)
    dev = page("dev")
    text = " ".join(dev.text.split())

    assert "Goes back, in this order: <strong>1</strong>." in text
    assert "Falls with it: <strong>2</strong>." in text
    assert "Goes on in the same order: 3." in text
    assert dev.send("/1/choose", choice="revert", reason="It broke.").status_code == 302
    assert "scap backport --revert 1</code>" in dev.text


def test_before_it_leaves_its_page_says_what_falls_with_it(drive: Drive, as_: As) -> None:
    backports = {one.change.number: one for one in Backport.objects.select_related("change")}

    def told(name: str, number: int) -> str:
        text = as_(name).get(f"/backports/{backports[number].pk}").content.decode()
        return " ".join(text.split())

    falls = "once it leaves, it is missed, and with it what needs it: <strong>2</strong>."
    assert falls in told("ada", 1)
    assert falls in told("dev", 1)
    assert "3 goes on in the same order." in told("ada", 1)
    assert "once it leaves, it is missed. 1, 3 go on in the same order." in told("ada", 2)
    drive.start(1)
    assert "once it leaves" not in told("ada", 1)


def test_nothing_falls_in_a_window_that_has_not_begun(begun: Window, as_: As) -> None:
    backport = Backport.objects.get(change__number=1)
    assert "once it leaves" not in as_("ada").get(f"/backports/{backport.pk}").content.decode()


def test_a_start_asks_gerrit_first(drive: Drive, page: Page, system: DemoGerrit) -> None:
    dev = page("dev")
    refused = dev.send("/1/start")  # its commit is another one there
    assert refused.status_code == 409
    assert any("/changes/1/" in path for path in system.requests)
    assert "Step 1 cannot start. It lost its approval since the lock." in refused.content.decode()
    assert RunStep.objects.get(position=1).phase == "waiting"


def test_a_start_without_gerrit_waits_for_a_second_person(
    drive: Drive, page: Page, cast: Mapping[str, User]
) -> None:
    assert page("dev").send("/1/start").status_code == 302
    dev = page("dev")
    assert "Wait for a second person" in dev.text
    assert "Not verified:" in dev.text
    assert not dev.offers("/vouch")
    rae = page("rae")
    assert rae.send("/1/vouch", reason="The commit on the host is the same.").status_code == 302
    assert page("dev").send("/1/start").status_code == 302
    assert RunStep.objects.get(position=1).phase == "going"
    assert "It started <strong>unverified</strong>" in page("dev").text


def test_the_same_form_sent_twice_has_one_effect(drive: Drive, page: Page) -> None:
    drive.start(1)
    dev = page("dev")
    address, sent = next(one for one in dev.forms().items() if "/items/" in one[0])
    for _ in range(3):
        assert dev.client.post(address, sent).status_code == 302
    assert Event.objects.filter(kind="step.tick").count() == 1
    again = dev.client.post(address, {**sent, "key": str(uuid4())})
    assert again.status_code == 409
    assert "changed since you opened the page" in again.content.decode()


def test_a_stale_page_is_refused_and_shows_what_there_is(drive: Drive, page: Page) -> None:
    dev = page("dev")
    address, sent = next(one for one in dev.forms().items() if one[0].endswith("/1/start"))
    drive.start(1)
    refused = dev.client.post(address, sent)
    assert refused.status_code == 409
    assert "Done: merge" in refused.content.decode()


def test_htmx_is_answered_with_the_part_that_changes(drive: Drive, page: Page) -> None:
    drive.start(1)
    dev = page("dev")
    address, sent = next(one for one in dev.forms().items() if "/items/" in one[0])
    answer = dev.client.post(address, sent, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert answer.content.decode().lstrip().startswith('<div id="deploy"')
    part = dev.client.get(f"{dev.address}?part=mine", headers={"HX-Request": "true"})
    assert part.content.decode().lstrip().startswith('<section id="mine"')


# The two bypasses that were measured at a peer (`reference/peers.md` 0.2 and 0.3).


def test_who_ticks_is_shown_what_everybody_sees(drive: Drive) -> None:
    def is_what_there_is() -> None:
        assert drive.shown is not None
        fresh = replace(drive.course, at=drive.shown.at)
        assert drive.shown.state == fresh.state
        assert drive.shown.leftovers == fresh.leftovers
        assert sight_of(drive.shown) == sight_of(fresh)

    drive.start(1)
    Lease.objects.update(until=F("taken_at") + timedelta(microseconds=1))  # they come back late
    while turn := drive.course.state.at(1).turn:
        drive.tick(1, turn[0].kind)
        is_what_there_is()
    drive.fail(1)
    drive.choose(1, Choice.REVERT)
    while turn := drive.course.state.at(1).turn:
        drive.tick(1, turn[0].kind)
        is_what_there_is()
    assert drive.shown is not None
    assert drive.shown.state.at(1).outcome is Outcome.REVERTED


def test_nothing_is_live_with_open_items_whatever_is_posted(drive: Drive, page: Page) -> None:
    drive.start(1)
    dev = page("dev")
    rows = RunItem.objects.filter(step__position=1)
    sync, log = rows.get(kind="sync"), rows.get(kind="log")
    turn = RunStep.objects.get(position=1).turn
    for item in (sync, log):
        answer = dev.client.post(
            f"{dev.address}/1/items/{item.pk}",
            {"key": str(uuid4()), "lease": drive.lease, "seen": turn},
        )
        assert answer.status_code == 409
        assert "That comes later. First: merge." in answer.content.decode()
    closed = dev.client.post(
        f"{dev.address}/close",
        {"key": str(uuid4()), "lease": drive.lease, "left": "", "reason": "Done."},
    )
    assert closed.status_code == 409
    assert "Step 1 is under way: finish it first" in closed.content.decode()
    assert not RunItem.objects.filter(done_at__isnull=False).exists()
    assert not Backport.objects.filter(status="deployed").exists()


@pytest.mark.parametrize("name", ["rel", "ada", "rae", "sam"])
def test_a_stranger_does_not_drive_somebody_elses_window(
    drive: Drive, page: Page, name: str
) -> None:
    drive.start(1)
    before = list(RunStep.objects.order_by("pk").values())
    item = RunItem.objects.filter(step__position=1).earliest("place")
    stranger = page(name)
    key = {"lease": drive.lease, "seen": RunStep.objects.get(position=1).turn}
    said = {"reason": "So.", "output": "So.", "minutes": 5, "note": "So.", "to": "dev"}
    choices = {"choice": "leave", "why": "time", "left": "2,3"}
    for address in (
        "offer",
        "withdraw-offer",
        "give-back",
        "begin",
        "extend",
        "close",
        "1/start",
        "1/vouch",
        "1/fail",
        "1/choose",
        "1/miss",
        f"1/items/{item.pk}",
        "keep",
        "accept",
        "take",
    ):
        answer = stranger.client.post(
            f"{stranger.address}/{address}",
            {"key": str(uuid4()), **key, **said, **choices},
        )
        assert answer.status_code in {403, 409}, (address, answer.status_code)
    assert list(RunStep.objects.order_by("pk").values()) == before
    assert Lease.objects.get().holder == drive.by


def test_the_admin_changes_nothing(drive: Drive, as_: As, cast: Mapping[str, User]) -> None:
    cast["rel"].is_staff = cast["rel"].is_superuser = True
    cast["rel"].save()
    client = as_("rel")
    for model in ("lease", "run", "runstep", "runitem", "presence"):
        rows = {"lease": Lease.objects, "runstep": RunStep.objects, "runitem": RunItem.objects}
        pk = rows[model].earliest("pk").pk if model in rows else 1
        assert client.post(f"/admin/scheduler/{model}/{pk}/change/", {}).status_code in {302, 403}
        assert client.post(
            f"/admin/scheduler/{model}/{pk}/delete/", {"post": "yes"}
        ).status_code in {
            302,
            403,
        }
        assert client.post(f"/admin/scheduler/{model}/add/", {}).status_code == 403
    assert Lease.objects.count() == 1


def test_a_taken_over_window_refuses_the_old_number_for_ever(
    drive: Drive, page: Page, cast: Mapping[str, User]
) -> None:
    Lease.objects.update(until=timezone.now() - MINUTE, taken_at=timezone.now() - 10 * MINUTE)
    rel = page("rel")
    refused = rel.client.post(f"{rel.address}/take", {"key": str(uuid4())})
    assert refused.status_code == 409
    assert "Say why you take it over from dev" in refused.content.decode()
    assert rel.send("/take", reason="Dev's network is down.").status_code == 302
    sent = {"key": str(uuid4()), "lease": drive.lease, "seen": 0}
    dev = page("dev")
    refused = dev.client.post(f"{dev.address}/1/start", sent)
    assert refused.status_code == 409
    assert "rel drives this window since" in refused.content.decode()
    Lease.objects.filter(number=2).update(ended_at=timezone.now())
    take_wheel(window=drive.window, by=drive.by)
    refused = dev.client.post(f"{dev.address}/1/start", {**sent, "key": str(uuid4())})
    assert "from before you took the wheel again" in refused.content.decode()


def test_the_wheel_is_handed_over_with_what_has_to_be_known(drive: Drive, page: Page) -> None:
    drive.start(1)
    assert page("dev").send("/offer", to="rel", note="CI of 1 runs.").status_code == 302
    assert "handed to <bdi>rel</bdi>, who has not accepted yet" in page("sam").text
    rel = page("rel")
    assert "Accept the wheel from dev" in rel.text
    assert "CI of 1 runs." in rel.text
    assert rel.send("/accept").status_code == 302
    assert Lease.objects.get(ended_at__isnull=True).number == 2
    assert page("rel").items()
    assert not page("dev").items()


def test_an_offer_is_withdrawn_before_it_is_accepted(drive: Drive, page: Page) -> None:
    dev = page("dev")
    assert not dev.offers("/withdraw-offer")
    assert dev.send("/offer", to="rel", note="CI of 1 runs.").status_code == 302
    assert page("rel").offers("/accept")
    assert page("dev").send("/withdraw-offer").status_code == 302
    again = {"key": str(uuid4()), "lease": drive.lease}
    refused = dev.client.post(f"{dev.address}/withdraw-offer", again)
    assert refused.status_code == 409
    assert "handed to nobody: you drive" in refused.content.decode()
    rel = page("rel")
    refused = rel.client.post(f"{rel.address}/accept", {**again, "key": str(uuid4())})
    assert refused.status_code == 409
    assert "not offered to you any more" in refused.content.decode()
    assert wrongs() == []


def test_a_driver_who_is_there_is_heard_of(drive: Drive, page: Page) -> None:
    Lease.objects.update(until=timezone.now() + MINUTE)
    before = Lease.objects.get().until
    dev = page("dev")
    assert dev.client.post(f"{dev.address}/keep", {"lease": 1}).status_code == 204
    assert Lease.objects.get().until > before
    assert dev.client.post(f"{dev.address}/keep", {"lease": 7}).status_code == 409
    assert dev.client.post(f"{dev.address}/keep", {}).status_code == 422
    assert Event.objects.filter(kind__startswith="lease.").count() == 1


def test_a_form_that_says_nothing_is_answered_with_what_is_missing(
    drive: Drive, page: Page
) -> None:
    drive.start(1)
    dev = page("dev")
    for address, sentence in (
        ("1/fail", "Say what was seen"),
        ("1/choose", "Choose: revert it, or leave it."),
        ("1/miss", "Say why it does not go."),
        ("extend", "Say why steps may start later."),
        ("offer", "Write what the other one has to know."),
    ):
        sent = {"key": str(uuid4()), "lease": drive.lease, "seen": 1, "minutes": 5}
        answer = dev.client.post(f"{dev.address}/{address}", sent)
        assert answer.status_code == 422, address
        assert sentence in answer.content.decode()


def test_testers_check_in_and_the_page_shows_it(drive: Drive, page: Page) -> None:
    assert page("dev").text.count("not here yet") == 3
    assert page("ada").text.count("I am here for") == 3
    backport = Backport.objects.get(change__number=1)
    assert page("ada").send(f"/backports/{backport.pk}/check-in").status_code == 302
    assert page("dev").text.count("not here yet") == 2


def test_nobody_is_called_to_test_what_cannot_go_any_more(drive: Drive, page: Page) -> None:
    drive.start(1)
    drive.until(1, ItemKind.WATCH)
    drive.fail(1)
    drive.choose(1, Choice.REVERT)
    shown = re.findall(r"I am here for (\d+)", page("ada").text)
    assert shown == ["3"]  # 2 needs 1


def test_production_is_in_sight_with_what_the_next_step_does(drive: Drive, page: Page) -> None:
    text = " ".join(page("sam").text.split())
    assert "nothing of this window" in text
    assert "The next step brings:" in text
    drive.deploy(1)
    assert 'production</strong>: <span class="chip good">1</span>' in " ".join(
        page("sam").text.split()
    )


def test_what_is_missed_is_booked_again_with_one_click(drive: Drive, page: Page) -> None:
    dev = page("dev")
    assert dev.send("/1/miss", why="absent").status_code == 302
    window = dev.client.get(f"/windows/{drive.window.pk}").content.decode()
    assert "nobody was there to test it" in window or "missed" in window
    assert sorted(Backport.objects.filter(status="missed").values_list("change__number")) == [
        (1,),
        (2,),
    ]


def test_the_live_checklist_is_text_and_markdown(drive: Drive, page: Page) -> None:
    drive.deploy(1)
    drive.start(2)
    client = page("sam").client
    text = client.get(f"/windows/{drive.window.pk}/deploy.txt")
    assert text["Content-Type"] == "text/plain; charset=utf-8"
    lines = text.content.decode().splitlines()
    assert "   [x] Start the backport: merge, and wait for CI (dev," in "\n".join(lines)
    assert "         scap backport 2" in lines
    markdown = client.get(f"/windows/{drive.window.pk}/deploy.md").content.decode()
    assert "## 2\\. 2 (going)" in markdown
    assert "  `scap backport 2`" in markdown
    assert client.get(f"/windows/{drive.window.pk}/deploy.exe").status_code == 404


def test_markdown_shows_what_people_wrote_and_nothing_else(drive: Drive, page: Page) -> None:
    drive.start(1)
    drive.tick(1, ItemKind.MERGE, proof="# [x](javascript:1) <b>`\n- [ ] y")
    markdown = page("sam").client.get(f"/windows/{drive.window.pk}/deploy.md").content.decode()
    proof = next(line for line in markdown.splitlines() if "javascript" in line)
    assert r"\# \[x\](javascript:1) \<b\>\`" in proof
    assert "<b>" not in proof


@pytest.mark.parametrize("words", ["- [x] Sync it", "+ x", "1. x", "1) x", "---", "==="])
def test_what_people_wrote_is_no_item_heading_or_command_of_the_checklist(
    drive: Drive, page: Page, words: str
) -> None:
    Backport.objects.filter(change__number=3).update(tester="[x] Sync it")
    RunItem.objects.filter(step__position=2, kind="merge").update(note=words)
    RunItem.objects.filter(step__position=3, kind="merge").update(note="scap backport 666")
    client, address = page("sam").client, f"/windows/{drive.window.pk}/deploy"
    lines = client.get(f"{address}.txt").content.decode().splitlines()
    assert "         > scap backport 666" in lines
    assert [line for line in lines if line.strip().startswith("[x]")] == []
    markdown = client.get(f"{address}.md").content.decode().splitlines()
    quotes = [line for line in markdown if line.startswith("  > ")]
    assert any(re.match(r"  > [0-9]*\\[-+=.)]", line) for line in quotes)


def test_a_window_is_replayed_moment_by_moment(drive: Drive, page: Page) -> None:
    client, address = page("sam").client, f"/windows/{drive.window.pk}/replay"
    drive.deploy(1)
    drive.start(2)
    drive.fail(2, "It broke.")
    drive.choose(2, Choice.LEAVE)
    drive.deploy(3)
    drive.close()
    whole = client.get(address).content.decode()
    assert "closed this window: 2 deployed, 1 skipped" in whole
    synced = Event.objects.filter(kind="step.tick", payload__item="sync").count()
    assert synced == whole.count("→</span> production:") == 2
    first = client.get(f"{address}?at=1").content.decode()
    assert "began this window" in first
    assert "nothing of this window" in first
    for at in ("0", "999", "-1", "x", "9" * 50):
        assert client.get(f"{address}?at={at}").status_code == 200


def test_a_window_that_was_never_begun_has_no_replay(begun: Window, as_: As) -> None:
    assert as_("sam").get(f"/windows/{begun.pk}/replay").status_code == 404
    assert as_("sam").get("/windows/987654/deploy").status_code == 404


def test_an_empty_queue_says_so(as_: As, cast: Mapping[str, User]) -> None:
    window = make_window()
    text = as_("dev").get(f"/windows/{window.pk}/deploy").content.decode()
    assert "Nothing is in the queue, so there is nothing to deploy." in text
    assert "Lock the queue, then take the wheel" in text


def test_somebody_with_another_name_is_the_tester_too(
    drive: Drive, page: Page, cast: Mapping[str, User]
) -> None:
    grant_roles(cast["sam"], Role.DEVELOPER)
    Backport.objects.filter(change__number=1).update(tester="SAM")
    drive.start(1)
    drive.until(1, ItemKind.VERIFY)
    assert page("sam").tick().status_code == 302


def test_a_page_costs_as_many_queries_for_more_steps(
    begun: Window, page: Page, cast: Mapping[str, User]
) -> None:
    client, costs = page("sam").client, []
    for more in ((), (4, 5, 6)):
        for number in more:
            unlock_window(window=begun, by=cast["dev"], reason="More.")
            approve(make_backport(begun, cast["ada"], fetched(number)), cast["rae"])
            lock(begun, cast["dev"])
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/windows/{begun.pk}/deploy").status_code == 200
        costs.append(len(queries))

    assert costs[0] == costs[1] <= 20


def test_the_calendar_says_what_one_does_in_a_window_that_is_deployed(
    begun: Window, drive: Drive, as_: As
) -> None:
    def advice(name: str) -> str:
        return " ".join(as_(name).get("/").content.decode().split())

    link = f'<a href="/windows/{begun.pk}/deploy">Deploy Morning SWAT</a>'
    assert f"Start step 1: 1.</bdi> {link}" in advice("dev")
    assert "Say that you are here.</bdi>" in advice("ada")
    assert link not in advice("sam")
    drive.deploy(1, 2, 3)
    drive.close()
    assert link not in advice("dev")


def test_clocks_that_differ_are_told(
    drive: Drive, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "The clock of this server" not in page("sam").text
    fast = timezone.now() + timedelta(seconds=40)
    monkeypatch.setattr("scheduler.views.deploy.timezone.now", lambda: fast)
    assert "The clock of this server and that of the database are" in page("sam").text


def test_long_and_hostile_words_stay_words(
    begun: Window, cast: Mapping[str, User], page: Page
) -> None:
    drive = Drive(begun, cast["dev"]).take().begin()
    drive.start(1)
    drive.tick(1, ItemKind.MERGE, proof="<script>alert(1)</script> " + "x" * 1900)
    drive.fail(1, "</pre><img src=x onerror=alert(1)>\u202e\x1b[31m")
    text = page("sam").text
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "&lt;script&gt;alert(1)" in text
