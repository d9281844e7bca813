"""Mail about a window that is deployed: who hears of what, in the sentence that their page says."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django.fixtures import Settings

from scheduler.actors import actor_of
from scheduler.domain.backports import Mark
from scheduler.domain.checklist.run import Choice
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.checklist.turns import now_for
from scheduler.domain.notices import Why
from scheduler.domain.sentences import summary_of
from scheduler.models import Backport, Event, Lease, Notification, OtherName, User, Watch, Window
from scheduler.services.backports import hand_over_backport, withdraw_backport
from scheduler.services.concern import reason_for
from scheduler.services.deploying import tick_item, vouch_for_step
from scheduler.services.leases import accept_wheel, give_back_wheel, offer_wheel, take_wheel
from scheduler.services.notifications import deliver_events, mail_of, send_notifications
from scheduler.services.windows import call_testers
from tests.driving import SILENT, Drive, lock
from tests.factories import approve, fetched, make_backport, make_window

Told = set[tuple[str, str]]
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def site(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://swat.example.org/"


@pytest.fixture
def begun(ada: User, rae: User, dev: User, rel: User, sam: User) -> Window:
    """A window that began five minutes ago; everybody has an address."""
    for person in (ada, rae, dev, rel, sam):
        User.objects.filter(pk=person.pk).update(email=f"{person.username}@example.org")
        person.refresh_from_db()
    start = timezone.now() - 5 * MINUTE
    return make_window(start=start, end=start + 60 * MINUTE)


@pytest.fixture
def queue(begun: Window, ada: User, rae: User, rel: User) -> Mapping[int, Backport]:
    """Ada's 1, which Sam tests; Rel's 2, which needs it; Rae's 3, which needs nothing."""
    needs = f"Change\n\nDepends-On: I{1:040x}\nChange-Id: I{2:040x}"
    return {
        1: approve(make_backport(begun, ada, fetched(1), tester="SAM"), rae),
        2: approve(make_backport(begun, rel, fetched(2, message=needs), tester="rel"), rae),
        3: approve(make_backport(begun, rae, fetched(3), tester="rae"), rel),
    }


@pytest.fixture
def drive(begun: Window, queue: Mapping[int, Backport], dev: User) -> Drive:
    """Dev drives the window, which has begun; everybody heard of all that was before."""
    lock(begun, dev)
    drive = Drive(begun, dev).take().begin()
    told_of_new()
    return drive


def told_of_new() -> Told:
    """Hand on what happened; return who is told of something new, and why."""
    before = set(Notification.objects.values_list("pk", flat=True))
    deliver_events(at=timezone.now())
    new = Notification.objects.exclude(pk__in=before).select_related("recipient")
    return {(one.recipient.username, one.why) for one in new}


def told_by(kind: str) -> Told:
    """Hand on what happened; return who is told of the last event of a kind, and why."""
    deliver_events(at=timezone.now())
    rows = Notification.objects.filter(event=Event.objects.filter(kind=kind).latest("seq"))
    return {(one.recipient.username, one.why) for one in rows.select_related("recipient")}


def mail_to(person: User, kind: str) -> tuple[str, str]:
    """Return subject and text of the last mail of a kind to somebody, as it is sent now."""
    rows = Notification.objects.filter(recipient=person, event__kind=kind)
    message = mail_of(rows.latest("pk"))
    return str(message.subject), str(message.body)


def sentence_for(drive: Drive, person: User) -> str:
    """Return what the page says that somebody does now."""
    course = drive.course
    return now_for(course.person(actor_of(person)), course.hour).sentence


def to_the_test_servers(drive: Drive, position: int) -> None:
    drive.start(position)
    drive.until(position, ItemKind.VERIFY)


def test_who_tests_hears_when_it_waits_for_them(drive: Drive, sam: User, ada: User) -> None:
    drive.start(1)
    drive.tick(1, ItemKind.MERGE)
    assert told_of_new() == set()
    drive.until(1, ItemKind.VERIFY)
    assert told_of_new() == {("sam", "own"), ("ada", "own")}

    subject, body = mail_to(sam, "step.tick")
    assert sentence_for(drive, sam) == "Verify 1 on the test servers now, 3 min"
    assert subject.startswith("[SWAT] Morning SWAT")
    assert subject.endswith(": Verify 1 on the test servers now, 3 min")
    assert body.startswith(
        "Verify 1 on the test servers now, 3 min.\n\ndev brought 1 to the test servers.\n"
    )
    assert f"\nhttps://swat.example.org/windows/{drive.window.pk}/deploy\n" in body
    assert "because you requested it or test it, and it waits to be verified." in body

    subject, body = mail_to(ada, "step.tick")  # who asked for it may verify it, too
    assert subject.endswith(": dev brought 1 to the test servers")
    assert f"\nNow: {sentence_for(drive, ada)}.\n" in body
    assert sentence_for(drive, ada).startswith("Wait: SAM is at “verify” of 1")


def test_who_tests_is_found_by_any_of_their_names(
    begun: Window, ada: User, rae: User, dev: User, sam: User
) -> None:
    OtherName.objects.create(user=sam, name="Sam-on-chat")
    approve(make_backport(begun, ada, fetched(1), tester="sam-ON-chat"), rae)
    lock(begun, dev)
    drive = Drive(begun, dev).take().begin()
    to_the_test_servers(drive, 1)
    assert told_by("step.tick") == {("sam", "own"), ("ada", "own")}
    assert mail_to(sam, "step.tick")[1].startswith(sentence_for(drive, sam))


def test_who_tests_but_has_no_account_is_told_by_who_requested_it(
    begun: Window, ada: User, rae: User, dev: User
) -> None:
    approve(make_backport(begun, ada, fetched(1), tester="somebody of QA, on chat"), rae)
    lock(begun, dev)
    drive = Drive(begun, dev).take().begin()
    to_the_test_servers(drive, 1)
    assert told_by("step.tick") == {("ada", "own")}


def test_nobody_is_asked_to_verify_what_goes_by_its_test_plan(
    begun: Window, ada: User, rae: User, dev: User
) -> None:
    plan = {"present": False, "marks": frozenset({Mark.LOW_RISK, Mark.TEST_PLAN})}
    approve(make_backport(begun, ada, fetched(1), **plan), rae)
    lock(begun, dev)
    drive = Drive(begun, dev).take().begin()
    to_the_test_servers(drive, 1)
    assert Event.objects.filter(kind="step.tick").latest("seq").payload["verify"] == [1]
    assert told_by("step.tick") == set()


def test_who_was_the_requester_then_is_asked(
    drive: Drive, queue: Mapping[int, Backport], ada: User, dev: User
) -> None:
    backport = Backport.objects.get(pk=queue[3].pk)
    hand_over_backport(
        backport=backport, by=queue[3].requester, to=ada, fingerprint=backport.fingerprint
    )
    told_of_new()
    drive.deploy(1, 2)
    to_the_test_servers(drive, 3)
    assert told_by("step.tick") == {("ada", "own"), ("rae", "own")}  # Rae is named as its tester


def test_nobody_is_asked_for_what_is_done_already(drive: Drive, sam: User) -> None:
    to_the_test_servers(drive, 1)
    deliver_events(at=timezone.now())
    Notification.objects.exclude(event__kind="step.tick").delete()
    item = drive.course.state.at(1).turn[0].key
    tick_item(on=drive.on(1, sam), item=item)

    subject, body = mail_to(sam, "step.tick")
    assert subject.endswith(": dev brought 1 to the test servers")
    assert "Now: Wait: dev is at “sync” of 1 (1 min).\n" in body
    assert send_notifications(at=timezone.now()) == 0
    assert mail.outbox == []
    assert not Notification.objects.exists()


def test_nobody_is_asked_for_what_failed_meanwhile(drive: Drive) -> None:
    to_the_test_servers(drive, 1)
    deliver_events(at=timezone.now())
    Notification.objects.exclude(event__kind="step.tick").delete()
    drive.fail(1)
    assert send_notifications(at=timezone.now()) == 0


def test_what_waits_is_sent(drive: Drive) -> None:
    to_the_test_servers(drive, 1)
    deliver_events(at=timezone.now())
    Notification.objects.exclude(event__kind="step.tick").delete()
    assert send_notifications(at=timezone.now()) == 2
    assert {str(one.subject).rpartition(": ")[2] for one in mail.outbox} == {
        "Verify 1 on the test servers now, 3 min",
        "dev brought 1 to the test servers",
    }


def test_a_failure_is_told_to_who_asked_for_it_and_for_what_needs_it(
    drive: Drive, ada: User, rel: User
) -> None:
    to_the_test_servers(drive, 1)
    told_of_new()
    drive.fail(1, "Every page is a 500.\n\x1b[31mYou get this because")
    assert told_of_new() == {("ada", "own"), ("rel", "own")}

    _, body = mail_to(rel, "step.fail")
    assert "dev noted that 1 failed at “verify”.\n\n> Every page is a 500.\n> [31mYou" in body
    assert f"Now: {sentence_for(drive, rel)}.\n" in body
    assert "because you requested what failed, or what needs it." in body


def test_what_broke_after_it_was_deployed_is_told_alike(drive: Drive) -> None:
    drive.deploy(1, 2)
    told_of_new()
    drive.fail(1)
    assert told_of_new() == {("ada", "own"), ("rel", "own")}


def test_what_had_left_the_queue_does_not_fall(
    drive: Drive, queue: Mapping[int, Backport], rel: User
) -> None:
    backport = Backport.objects.get(pk=queue[2].pk)
    withdraw_backport(backport=backport, by=rel, fingerprint=backport.fingerprint)
    to_the_test_servers(drive, 1)
    told_of_new()
    drive.fail(1)
    assert told_of_new() == {("ada", "own")}


def test_a_second_person_is_looked_for_among_those_who_may_be_it(
    drive: Drive, rae: User, rel: User
) -> None:
    drive.start(1, SILENT)
    assert told_of_new() == {("rae", "review"), ("rel", "review")}
    said = "Say, as the second person, whether 1 may go although Gerrit does not answer"
    subject, body = mail_to(rae, "step.unverified")
    assert subject.endswith(f": {said}")
    assert f"> {SILENT.trouble}\n" in body

    vouch_for_step(on=drive.on(1, rel), reason="The commit is the same.")
    subject, body = mail_to(rae, "step.unverified")
    assert said not in subject + body
    assert f"Now: {sentence_for(drive, rae)}.\n" in body


def test_whose_own_work_it_is_and_who_drives_are_no_second_person(
    drive: Drive, rae: User, rel: User
) -> None:
    drive.miss(1)  # and 2 with it
    OtherName.objects.create(user=rel, name="DEV")  # drives by another name
    told_of_new()
    drive.start(3, SILENT)
    assert told_of_new() == set()  # 3 is Rae's


def test_the_wheel_is_offered_with_what_the_other_one_has_to_know(
    drive: Drive, dev: User, rel: User
) -> None:
    note = "Step 1 is next.\nNothing is open."
    offer_wheel(window=drive.window, by=dev, lease=drive.lease, to=rel, note=note)
    assert told_of_new() == {("rel", "window")}
    subject, body = mail_to(rel, "lease.offer")
    assert subject.endswith(": Accept the wheel from dev, or leave it")
    assert "dev hands the wheel of this window to rel.\n\n> Step 1 is next.\n> Nothing" in body
    assert "because the wheel was handed to you." in body

    lease = accept_wheel(window=drive.window, by=rel, lease=drive.lease)
    assert told_of_new() == set()
    give_back_wheel(window=drive.window, by=rel, lease=lease.number)
    assert told_of_new() == {("dev", "window")}  # who signed up for the window
    assert mail_to(dev, "lease.give-back")[0].endswith(
        ": Take the wheel: nobody drives this window"
    )


def test_who_drove_hears_who_took_over(drive: Drive, dev: User, rel: User) -> None:
    ago = timezone.now() - 10 * MINUTE
    Lease.objects.update(taken_at=ago, until=ago + 5 * MINUTE)
    take_wheel(window=drive.window, by=rel, reason="Dev's train is in a tunnel.")
    assert told_of_new() == {("dev", "window")}
    subject, body = mail_to(dev, "lease.take")
    assert subject.endswith(": rel took over the wheel from dev")
    assert "> Dev's train is in a tunnel.\n" in body
    assert "because you drove this window." in body


def test_a_window_that_begins_is_told_to_whoever_has_something_in_it(
    begun: Window, queue: Mapping[int, Backport], dev: User, rel: User
) -> None:
    lock(begun, dev)
    drive = Drive(begun, dev).take()
    told_of_new()
    drive.begin()
    assert told_of_new() == {("ada", "own"), ("rel", "own"), ("rae", "own")}
    _, body = mail_to(rel, "window.begin")
    assert body.startswith("dev began this window: 1, 2 and 3 will go.\n\nNow: ")
    assert f"Now: {sentence_for(drive, rel)}.\n" in body
    assert sentence_for(drive, rel).startswith("Stay near: 2 is step 2, in about ")


def test_a_window_that_is_closed_is_told_with_how_it_went(
    drive: Drive, queue: Mapping[int, Backport], ada: User, rel: User, sam: User
) -> None:
    Watch.objects.create(backport=queue[3], user=sam)
    drive.window.deployers.add(ada)
    drive.start(1)
    drive.until(1, ItemKind.SYNC)
    drive.fail(1)
    drive.choose(1, Choice.REVERT, "It broke\r\nBcc: all@example.org")
    drive.finish(1)
    drive.start(3)
    drive.finish(3)
    told_of_new()
    drive.close()
    assert told_by("window.close") == {
        ("ada", "own"),
        ("rel", "own"),
        ("rae", "own"),
        ("sam", "watched"),
    }
    event = Event.objects.get(kind="window.close")
    assert reason_for(event, ada, Why.OWN) == "you requested something that was in its queue"

    subject, body = mail_to(rel, "window.close")
    assert subject.endswith(": dev closed this window: 1 deployed, 1 reverted, 1 missed")
    summary = "\n".join(summary_of(event.payload))
    assert "Step 1, 1: reverted\n" in summary
    assert "\n  It needs 1, which was reverted.\n" in summary
    told = body.partition("How it went, times in UTC:\n\n")[2]
    assert told.startswith(summary.replace("\r\n", " "))
    assert "\n  It broke Bcc: all@example.org\n" in told
    assert "Now:" not in body
    assert f"\nhttps://swat.example.org/windows/{drive.window.pk}/deploy\n" in body


def test_what_is_about_one_backport_links_to_it(
    drive: Drive, queue: Mapping[int, Backport]
) -> None:
    drive.deploy(1)
    ada = queue[1].requester
    told_of_new()
    _, body = mail_to(ada, "backport.finish")
    assert f"\nhttps://swat.example.org/backports/{queue[1].pk}\n" in body
    assert "Now:" not in body


# --- Before it begins ----------------------------------------------------------------------------


def test_who_tests_is_called_a_quarter_of_an_hour_before(
    begun: Window, queue: Mapping[int, Backport], dev: User
) -> None:
    """Ada, Rel and Rae requested, Sam tests Ada's; Dev deploys."""
    begun.deployers.add(dev)
    now = timezone.now()
    begun.start, begun.end = now + 16 * MINUTE, now + 76 * MINUTE
    begun.save(update_fields=["start", "end"])
    told_of_new()
    assert call_testers(now=now) == 0  # too early
    assert call_testers(now=now + 2 * MINUTE) == 1
    assert call_testers(now=now + 3 * MINUTE) == 0  # once
    assert told_by("window.call") == {
        ("ada", "own"),
        ("rel", "own"),
        ("rae", "own"),
        ("sam", "own"),
        ("dev", "window"),
    }
    assert call_testers(now=now + 17 * MINUTE) == 0  # it has begun

    begun.refresh_from_db()
    begun.start = now + 26 * MINUTE
    begun.save(update_fields=["start"])
    assert call_testers(now=now + 20 * MINUTE) == 1  # it was moved: again


def test_who_comes_into_the_queue_after_the_call_is_called_too(
    begun: Window, ada: User, rae: User, rel: User
) -> None:
    approve(make_backport(begun, ada, fetched(1), tester="ada"), rae)
    now = timezone.now()
    begun.start, begun.end = now + 10 * MINUTE, now + 70 * MINUTE
    begun.save(update_fields=["start", "end"])
    assert call_testers(now=now) == 1
    assert told_by("window.call") == {("ada", "own")}
    approve(make_backport(begun, rel, fetched(2), tester="rel"), rae)
    assert call_testers(now=now + MINUTE) == 1
    assert told_by("window.call") == {("rel", "own")}
    assert call_testers(now=now + 2 * MINUTE) == 0


def test_the_call_says_on_which_page_to_say_that_one_is_there(
    begun: Window, queue: Mapping[int, Backport]
) -> None:
    now = timezone.now()
    begun.start, begun.end = now + 10 * MINUTE, now + 70 * MINUTE
    begun.save(update_fields=["start", "end"])
    call_testers(now=now)
    deliver_events(at=now)
    ours = Notification.objects.filter(event__kind="window.call", recipient__username="sam")
    text = str(mail_of(ours.get()).body)
    assert "calls those who test: this window begins at" in text
    assert f"/windows/{begun.pk}/deploy" in text
    assert "you requested or test something that is in its queue" in text


def test_nobody_is_called_to_a_window_with_an_empty_queue_or_called_off(begun: Window) -> None:
    now = timezone.now()
    begun.start, begun.end = now + 10 * MINUTE, now + 70 * MINUTE
    begun.save(update_fields=["start", "end"])
    assert call_testers(now=now) == 0


def test_where_the_test_plan_is_enough_nobody_is_called_to_test(
    begun: Window, ada: User, rae: User
) -> None:
    marks = frozenset({Mark.LOW_RISK, Mark.TEST_PLAN})
    told = {"present": False, "tester": "", "marks": marks}
    approve(make_backport(begun, ada, fetched(1), **told), rae)
    now = timezone.now()
    begun.start, begun.end = now + 10 * MINUTE, now + 70 * MINUTE
    begun.save(update_fields=["start", "end"])
    assert call_testers(now=now) == 1
    assert told_by("window.call") == set()
