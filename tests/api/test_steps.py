"""Reports about a step: by the program of who drives, in the one order, once."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

from scheduler.domain.checklist.run import Choice
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.permissions import Scope
from scheduler.models import Event, Lease, RunItem, RunStep, User
from scheduler.services.leases import accept_wheel, offer_wheel
from tests.api.conftest import Send
from tests.driving import Drive

if TYPE_CHECKING:
    from django.test.client import _MonkeyPatchedWSGIResponse

Bearer = Callable[..., str]
Report = Callable[..., "_MonkeyPatchedWSGIResponse"]
URL = "https://spiderpig.example.org/jobs/7?log=1"


def step(position: int = 1) -> RunStep:
    return RunStep.objects.get(position=position)


def item(kind: ItemKind, position: int = 1) -> RunItem:
    return RunItem.objects.get(step__position=position, kind=kind.value)


def hand_over(drive: Drive, by: User, to: User, lease: int) -> None:
    offer_wheel(window=drive.window, by=by, lease=lease, to=to, note="Nothing is open.")
    accept_wheel(window=drive.window, by=to, lease=lease)


def ticks() -> int:
    return Event.objects.filter(kind="step.tick").count()


@pytest.fixture
def report(drive: Drive, send: Send, bearer: Bearer, dev: User) -> Report:
    """Report about a step of the window with Dev's token, or another."""
    token = bearer(dev)

    def reported(
        report: str, position: int = 1, *, token: str = token, key: str = "", **more: object
    ) -> "_MonkeyPatchedWSGIResponse":
        body = {"report": report, "lease": drive.lease, **more}
        headers = {"Idempotency-Key": key} if key else {}
        return send(f"/api/steps/{step(position).pk}/report", body, token, **headers)

    return reported


def test_a_step_is_reported_from_merge_to_sync(drive: Drive, report: Report) -> None:
    drive.start(1)
    for name, kind, now in (
        ("merged", ItemKind.MERGE, "Bring 1 to the test servers, 1 min"),
        ("on-test-servers", ItemKind.TEST, "Wait: ada is at “verify” of 1 (3 min)"),
        ("synced", ItemKind.SYNC, "Watch the logs for 1"),
    ):
        drive.until(1, kind)
        answer = report(name, url=URL, output="  All is well.\r\n\x1b[32mReally.  ")
        assert answer.status_code == 200, answer.content
        assert answer.json() == {
            "done": "report",
            "step": step().pk,
            "item": kind.value,
            "now": now,
        }
        done = item(kind)
        assert (done.done_by, done.lease, done.by_api) == (drive.by, drive.lease, True)
        assert done.proof == f"{URL}\nAll is well.\n<U+001B>[32mReally."
    assert drive.course.state.live == (1,)
    told = Event.objects.filter(kind="step.tick").latest("seq").payload
    assert (told["item"], told["api"], told["lease"]) == ("sync", True, drive.lease)


def test_a_failure_and_its_revert_are_reported(drive: Drive, report: Report) -> None:
    drive.start(1)
    drive.until(1, ItemKind.VERIFY)

    failed = report("failed", output="Every page is a 500.", url=URL)

    assert failed.json()["item"] == "verify"
    assert failed.json()["now"] == "Choose for 1: revert it, or leave it"
    assert (step().phase, step().output) == ("failed", f"{URL}\nEvery page is a 500.")
    assert Event.objects.get(kind="step.fail").payload["api"]
    assert report("failed", output="Still.").status_code == 409
    drive.choose(1, Choice.REVERT)
    again = report("failed", output="CI is slow.")
    assert (again.json()["item"], step().phase) == ("take-back", "going-back")
    assert report("reverted").json()["item"] == "take-back"
    assert item(ItemKind.TAKE_BACK).by_api
    drive.finish(1)
    assert step().outcome == "reverted"


def test_what_broke_after_it_was_done_is_reported_too(drive: Drive, report: Report) -> None:
    drive.deploy(1)

    assert report("failed", output="The logs are full.").json()["item"] is None

    assert step().phase == "failed"


def test_a_retry_ticks_once(drive: Drive, report: Report) -> None:
    drive.start(1)
    first = report("merged", key="job-7-merged")
    drive.tick(1, ItemKind.TEST)

    again = report("merged", key="job-7-merged")

    assert (again.status_code, again.json()) == (200, first.json())
    assert ticks() == 2
    other = report("synced", key="job-7-merged")
    assert other.status_code == 422
    assert "other content" in other.json()["error"]
    assert report("merged").status_code == 409


def test_a_refused_report_may_be_sent_again_with_its_key(drive: Drive, report: Report) -> None:
    early = report("merged", key="job-7-merged")
    drive.start(1)

    assert early.status_code == 409
    assert early.json() == {"error": "Step 1 has not started."}
    assert report("merged", key="job-7-merged").status_code == 200


def test_out_of_order_nothing_is_ticked(drive: Drive, report: Report) -> None:
    drive.start(1)
    for name, why in (
        ("synced", "That comes later. First: merge."),
        ("on-test-servers", "That comes later. First: merge."),
        ("reverted", "Step 1 has no item “revert”: nothing was noted."),
    ):
        answer = report(name)
        assert (answer.status_code, answer.json()) == (409, {"error": why})
    drive.until(1, ItemKind.VERIFY)
    untested = report("synced")
    assert untested.json()["error"] == "That comes later. First: verify."
    assert report("merged", 2).json()["error"] == "Step 2 has not started."
    assert not RunItem.objects.filter(by_api=True).exists()


def test_a_stranger_with_the_number_of_the_driver_does_nothing(
    drive: Drive, report: Report, bearer: Bearer, rel: User, ada: User
) -> None:
    """Rel may drive, and knows the number: it is not theirs."""
    drive.start(1)
    until = Lease.objects.get().until
    for token, status, why in (
        (bearer(rel), 409, "dev drives this window since"),
        (bearer(ada), 403, "Only a deployer or a release engineer may drive a window"),
    ):
        for name, more in (("merged", {}), ("failed", {"output": "It broke."})):
            answer = report(name, token=token, **more)
            assert answer.status_code == status
            assert why in answer.json()["error"]
    assert not RunItem.objects.filter(by_api=True).exists()
    assert (step().phase, Lease.objects.get().until) == ("going", until)


def test_an_old_number_does_nothing_though_its_owner_drives_again(
    drive: Drive, report: Report, rel: User
) -> None:
    drive.start(1)
    hand_over(drive, drive.by, rel, lease=1)
    hand_over(drive, rel, drive.by, lease=2)

    for name, more in (("merged", {}), ("failed", {"output": "It broke."})):
        old = report(name, **more)
        assert old.status_code == 409
        assert "before you took the wheel again" in old.json()["error"]
    assert report("merged", lease=2).status_code == 409
    assert not RunItem.objects.filter(by_api=True).exists()
    assert report("merged", lease=3).status_code == 200


def test_nobody_reports_who_has_given_the_wheel_away(
    drive: Drive, report: Report, rel: User
) -> None:
    drive.start(1)
    hand_over(drive, drive.by, rel, lease=1)

    for lease in (1, 2):
        answer = report("merged", lease=lease)
        assert answer.status_code == 409
        assert "rel drives this window" in answer.json()["error"]
    assert ticks() == 0


def test_a_token_for_the_train_reports_nothing(
    drive: Drive, report: Report, send: Send, bearer: Bearer, rel: User
) -> None:
    drive.start(1)
    of_train = bearer(rel, Scope.TRAIN)

    answer = report("merged", token=of_train)

    assert answer.status_code == 403
    assert answer.json() == {"error": "This token is for the train: it may not drive a window."}
    of_deploy = bearer(rel, name="reporter")  # whose owner may move the train
    moved = send("/api/train/holds", {"version": "1.47.0-wmf.31", "reason": "T1"}, of_deploy)
    assert moved.status_code == 403
    assert "for reports about a deployment" in moved.json()["error"]
    for nothing in ("", "Bearer swat_nonsense"):
        assert report("merged", token=nothing).status_code == 401
    assert ticks() == 0


def test_a_session_reports_nothing(drive: Drive, client: Client) -> None:
    client.force_login(drive.by)
    body = {"report": "merged", "lease": drive.lease}

    answer = client.post(
        f"/api/steps/{step().pk}/report",
        body,
        content_type="application/json",
        headers={"Idempotency-Key": "a-key-of-a-form"},
    )

    assert answer.status_code == 401


def test_nothing_is_reported_of_a_window_that_is_closed(drive: Drive, report: Report) -> None:
    drive.deploy(1)
    drive.close("Late.")

    for name in ("merged", "synced"):
        answer = report(name)
        assert answer.status_code == 409
        assert answer.json()["error"] == "This window is closed."
    assert report("failed", output="It broke.").status_code == 409


def test_a_step_that_is_none_is_told(drive: Drive, send: Send, bearer: Bearer, dev: User) -> None:
    body = {"report": "merged", "lease": drive.lease}
    token = bearer(dev)
    for number in ("987654", "9" * 30):
        answer = send(f"/api/steps/{number}/report", body, token)
        assert (answer.status_code, answer.json()) == (404, {"error": "There is no such step."})
    for number in ("9" * 5000, "x", "-1"):
        answer = send(f"/api/steps/{number}/report", body, token)
        assert (answer.status_code, answer.json()) == (404, {"error": "There is nothing here."})


UNUSABLE: Sequence[tuple[object, int, str]] = (
    ({"report": "merged"}, 422, "lease is missing."),
    ({"report": "merged", "lease": True}, 422, "lease must be a whole number."),
    ({"report": "merged", "lease": "1"}, 422, "lease must be a whole number."),
    ({"report": "merged", "lease": 1.0}, 422, "lease must be a whole number."),
    ({"report": "merged", "lease": 0}, 422, "lease is no such number."),
    ({"report": "merged", "lease": -1}, 422, "lease is no such number."),
    ({"report": "merged", "lease": 10**30}, 422, "lease is no such number."),
    ({"lease": 1}, 422, "report is missing."),
    ({"report": "verify", "lease": 1}, 422, "report must be 'merged', 'on-test-servers',"),
    ({"report": ["merged"], "lease": 1}, 422, "report must be 'merged', 'on-test-servers',"),
    ({"report": "merged", "lease": 1, "step": 2}, 422, "step is no key that is known here."),
    ({"report": "merged", "lease": 1, "<b>" * 90: 2}, 422, "(cut) is no key"),
    ({"report": "merged", "lease": 1, "output": 7}, 422, "output must be a text."),
    ({"report": "failed", "lease": 1}, 422, "Say in output what was seen"),
    ({"report": "failed", "lease": 1, "output": " \n"}, 422, "Say in output what was seen"),
    *(
        ({"report": "merged", "lease": 1, "url": url}, 422, "url is not what it should")
        for url in (
            "",
            "http://example.org/",
            "javascript:alert(1)",
            "https://example.org/\n<script>",
            "https://user@example.org/",
            "https://example.org/ x",
            "https://example.org/\u202e",
        )
    ),
    ({"report": "merged", "lease": 1, "url": f"https://{'x' * 500}"}, 422, "url is too long."),
    ({"report": "merged", "lease": 1, "output": "\x00"}, 400, "signs in it that are no text"),
    ('{"report": "merged", "lease": 1, "lease": 1}', 400, "lease stands there twice"),
    ('{"report": "merged", "lease": NaN}', 422, "lease must be a whole number."),
    ([], 400, "Send a JSON object."),
    ("", 400, "Send a JSON object."),
)


def test_what_cannot_be_used_is_told_in_one_sentence(
    drive: Drive, send: Send, bearer: Bearer, dev: User
) -> None:
    drive.start(1)
    address, token = f"/api/steps/{step().pk}/report", bearer(dev)
    for body, status, why in UNUSABLE:
        answer = send(address, body, token)
        assert (answer.status_code, list(answer.json())) == (status, ["error"]), body
        assert why in answer.json()["error"]
    assert (ticks(), step().phase) == (0, "going")


def test_the_middle_of_a_long_output_is_cut(drive: Drive, report: Report) -> None:
    drive.start(1)

    assert report("merged", output=f"First.{'x' * 9000}Last.", url=URL).status_code == 200

    proof = item(ItemKind.MERGE).proof
    assert len(proof) <= 4000
    assert proof.startswith(f"{URL}\nFirst.")
    assert proof.endswith("Last.")


def test_what_is_kept_of_an_answer_is_short(drive: Drive, report: Report) -> None:
    """PostgreSQL would refuse what has no room, and the report with it."""
    drive.start(1)
    named: Any = drive.course.members[1][0]
    type(named).objects.filter(pk=named.pk).update(tester='"Quotes" ' * 14)
    drive.tick(1, ItemKind.MERGE)

    answer = report("on-test-servers")

    assert answer.status_code == 200
    assert len(answer.json()["now"]) <= 200


def test_it_is_only_sent(client: Client) -> None:
    answer = client.get("/api/steps/1/report")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert answer.json() == {"error": "Send a POST here."}
