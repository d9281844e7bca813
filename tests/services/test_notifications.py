"""The outbox and the mail: who is told of what, once each, whatever fails in between."""

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from scheduler.domain.changes import ChangedFile
from scheduler.domain.notices import Why
from scheduler.domain.statements import OnlyFirst, StatementKind
from scheduler.models import Backport, Delivery, Event, Notification, User, Watch, Window
from scheduler.queries import newest_plan
from scheduler.services.backports import (
    amend_backport,
    hand_over_backport,
    submit_backport,
    withdraw_backport,
)
from scheduler.services.changes import expect_change, store_changes
from scheduler.services.concern import reason_for
from scheduler.services.events import record
from scheduler.services.notifications import (
    LEASE,
    LONGEST_PAUSE,
    deliver_events,
    mail_of,
    send_notifications,
)
from scheduler.services.reviews import (
    acknowledge_findings,
    ask_requester,
    decline_backport,
    reply_to_question,
    veto_backport,
    withdraw_approval,
)
from scheduler.services.statements import OnPair, answer_question
from scheduler.services.windows import lock_window, unlock_window
from tests.factories import (
    answers,
    approve,
    fetched,
    fetched_fix,
    make_backport,
    make_person,
    make_window,
)

Told = set[tuple[str, str]]


@pytest.fixture(autouse=True)
def _cast_has_addresses(
    request: pytest.FixtureRequest,
) -> None:
    """Give everybody whom a test asks for an address."""
    if "ada" in request.fixturenames or "backport" in request.fixturenames:
        for name in {"ada", "rae", "dev", "rel", "sam"} & set(request.fixturenames):
            addressed(request.getfixturevalue(name))


def addressed(*people: User) -> None:
    """Give people an address, and save it."""
    for person in people:
        person.email = f"{person.username}@example.org"
        person.save(update_fields=["email"])


@pytest.fixture
def booked(ada: User, rae: User, dev: User, rel: User, window: Window) -> Backport:
    """Ada's backport in a window that Dev deploys; everybody was told of it already."""
    window.deployers.set([dev])
    backport = make_backport(window, ada)
    told_of_new()
    return backport


def current(backport: Backport) -> dict[str, object]:
    backport.refresh_from_db()
    return {"backport": backport, "fingerprint": backport.fingerprint}


def told_of_new() -> Told:
    """Deliver; return who is told of something new, and why."""
    before = set(Notification.objects.values_list("pk", flat=True))
    deliver_events(at=timezone.now())
    new = Notification.objects.exclude(pk__in=before).select_related("recipient")
    return {(one.recipient.username, one.why) for one in new}


def test_each_event_is_handed_on_once(ada: User) -> None:
    for _ in range(5):
        record(kind="window.lock", actor=ada)
    assert deliver_events(at=timezone.now(), limit=3) == 3
    assert deliver_events(at=timezone.now()) == 2
    assert deliver_events(at=timezone.now()) == 0
    assert Delivery.objects.count() == 5


def test_a_new_backport_is_told_to_those_who_may_approve_it(
    ada: User, rae: User, dev: User, rel: User, window: Window
) -> None:
    make_backport(window, ada)
    assert told_of_new() == {("rae", "review"), ("rel", "review")}


def test_reviewers_hear_of_a_change_once_it_is_known(
    ada: User, rae: User, rel: User, window: Window
) -> None:
    submit_backport(
        change=expect_change(number=77), window=window, requester=ada, answers=answers()
    )
    assert told_of_new() == set()

    store_changes(fetched=[fetched(77, owner="rae")], at=timezone.now())
    assert told_of_new() == {("ada", "own"), ("rel", "review")}

    store_changes(fetched=[fetched(77, owner="rae", subject="Other")], at=timezone.now())
    assert told_of_new() == set()


def test_what_became_known_before_it_was_told_of_is_told_once(
    ada: User, rae: User, window: Window
) -> None:
    submit_backport(
        change=expect_change(number=77), window=window, requester=ada, answers=answers()
    )
    store_changes(fetched=[fetched(77)], at=timezone.now())
    assert told_of_new() == {("ada", "own"), ("rae", "review")}
    assert Notification.objects.filter(recipient=rae).count() == 1


def test_nobody_is_asked_to_review_their_own_work(ada: User, rae: User, window: Window) -> None:
    make_backport(window, ada, fetched(1000, owner="Rae"))
    assert told_of_new() == set()


def test_an_approval_is_told_to_the_requester(booked: Backport, rae: User) -> None:
    approve(booked, rae)
    assert told_of_new() == {("ada", "own")}


def test_a_watcher_is_told_and_who_did_it_is_not(booked: Backport, rae: User, sam: User) -> None:
    for person in (rae, sam):
        Watch.objects.create(backport=booked, user=person)
    approve(booked, rae)
    assert told_of_new() == {("ada", "own"), ("sam", "watched")}


def test_a_reply_is_told_to_who_asked_alone(booked: Backport, ada: User, rel: User) -> None:
    ask_requester(by=rel, reason="Why now?", **current(booked))  # type: ignore[arg-type]
    assert told_of_new() == {("ada", "own")}
    reply_to_question(by=ada, reply="Edits are lost.", **current(booked))  # type: ignore[arg-type]
    assert told_of_new() == {("rel", "review")}


def test_an_amended_backport_is_told_to_who_approved_it(
    booked: Backport, ada: User, rae: User
) -> None:
    approve(booked, rae)
    told_of_new()
    amend_backport(by=ada, answers=answers(nick="ada_2"), **current(booked))  # type: ignore[arg-type]
    assert told_of_new() == {("rae", "own")}
    withdraw_backport(by=ada, **current(booked))  # type: ignore[arg-type]
    assert told_of_new() == set()


def test_what_ends_along_with_it_is_no_second_mail(
    window: Window, ada: User, rae: User, dev: User
) -> None:
    backport = make_backport(window, ada, *fetched_fix(2000, files=(ChangedFile("i18n/en.json"),)))
    acknowledge_findings(
        **current(backport),  # type: ignore[arg-type]
        by=rae,
        rules=frozenset({"l10n"}),
        reason="The text is wrong for everybody.",
    )
    approve(backport, rae)
    told_of_new()

    fix, merged = fetched_fix(2000, files=(ChangedFile("i18n/en.json"),))
    store_changes(fetched=[replace(fix, patch_set=2, sha="2" * 40), merged], at=timezone.now())

    assert Event.objects.filter(kind="backport.end-lifting").count() == 1
    deliver_events(at=timezone.now())
    for who in (ada, rae):
        mails = Notification.objects.filter(recipient=who, event__kind__in=ENDINGS)
        assert [one.event.kind for one in mails] == ["backport.void-approval"]


ENDINGS = ("backport.void-approval", "backport.end-lifting")


def test_who_requested_what_needs_it_is_told_that_it_left_the_queue(
    window: Window, ada: User, rae: User, dev: User
) -> None:
    first = make_backport(window, ada)
    message = f"Then\n\nDepends-On: {first.change.change_id}\nChange-Id: I{1001:040x}"
    then = make_backport(window, dev, fetched(1001, message=message))
    for backport in (first, then):
        approve(backport, rae)
    told_of_new()

    store_changes(fetched=[fetched(1000, patch_set=2)], at=timezone.now())

    plan = newest_plan(window)
    assert plan is not None
    assert plan.result["queue"] == []
    assert told_of_new() == {("ada", "own"), ("rae", "own"), ("dev", "own")}
    event = Event.objects.get(kind="backport.void-approval")
    assert reason_for(event, dev, Why.OWN) == "you requested something that needs it"


def test_a_void_approval_is_told_to_requester_and_approver(booked: Backport, rae: User) -> None:
    approve(booked, rae)
    told_of_new()
    store_changes(fetched=[fetched(1000, patch_set=2)], at=timezone.now())
    assert told_of_new() == {("ada", "own"), ("rae", "own")}


def test_an_approval_taken_back_by_another_is_told(booked: Backport, rae: User, rel: User) -> None:
    approve(booked, rae)
    told_of_new()
    withdraw_approval(by=rel, reason="Not yet.", **current(booked))  # type: ignore[arg-type]
    assert told_of_new() == {("ada", "own"), ("rae", "own")}


def test_a_hand_over_is_told_to_both(booked: Backport, ada: User, dev: User, rel: User) -> None:
    hand_over_backport(by=rel, to=dev, **current(booked))  # type: ignore[arg-type]
    assert told_of_new() == {("ada", "own"), ("dev", "own")}


def test_a_lock_and_an_unlock_are_told_to_deployers_and_to_whom_they_queue(
    booked: Backport, window: Window, rae: User, dev: User, rel: User
) -> None:
    approve(booked, rae)
    told_of_new()
    plan = newest_plan(window)
    assert plan is not None
    lock_window(window=window, by=rel, plan_fingerprint=plan.fingerprint)
    assert told_of_new() == {("ada", "own"), ("dev", "window")}
    veto_backport(by=rel, reason="The site is slow.", **current(booked))  # type: ignore[arg-type]
    assert told_of_new() == {("ada", "own"), ("rae", "own"), ("dev", "window")}
    unlock_window(window=window, by=rel, reason="Late news.")
    assert told_of_new() == {("dev", "window")}


def test_what_leaves_a_locked_queue_is_told_to_its_deployers(
    booked: Backport, window: Window, ada: User, rae: User, dev: User
) -> None:
    approve(booked, rae)
    plan = newest_plan(window)
    assert plan is not None
    lock_window(window=window, by=dev, plan_fingerprint=plan.fingerprint)
    told_of_new()
    withdraw_backport(by=ada, **current(booked))  # type: ignore[arg-type]
    assert told_of_new() == {("rae", "own"), ("dev", "window")}


def test_an_answer_is_told_to_both_requesters(
    booked: Backport, window: Window, ada: User, rae: User, dev: User
) -> None:
    other = make_backport(window, dev, fetched(1001))
    told_of_new()
    plan = newest_plan(window)
    assert plan is not None
    answer_question(
        on=OnPair(booked.change, other.change, rae, window, plan.fingerprint),
        kind=StatementKind.BEFORE,
        only_first=OnlyFirst.NOTHING,
    )
    assert told_of_new() == {("ada", "own"), ("dev", "own")}


@pytest.mark.parametrize("choice", ["mail_own", "email", "is_active"])
def test_who_wants_none_or_can_get_none_is_not_told(
    booked: Backport, ada: User, rae: User, choice: str
) -> None:
    setattr(ada, choice, "" if choice == "email" else False)
    ada.save()
    approve(booked, rae)
    assert told_of_new() == set()


def test_who_requested_it_when_it_happened_is_told_of_it(
    booked: Backport, ada: User, rae: User, dev: User, rel: User
) -> None:
    approve(booked, rae)
    hand_over_backport(by=rel, to=dev, **current(booked))  # type: ignore[arg-type]
    hand_over_backport(by=rel, to=ada, **current(booked))  # type: ignore[arg-type]
    hand_over_backport(by=rel, to=dev, **current(booked))  # type: ignore[arg-type]
    deliver_events(at=timezone.now())

    told = Notification.objects.filter(event__kind="backport.approve").select_related("recipient")
    assert [one.recipient for one in told] == [ada]
    assert "You get this because you requested it." in str(mail_of(told[0]).body)


def test_who_could_review_it_when_it_was_asked_for_is_told_of_that(
    ada: User, rae: User, rel: User, window: Window
) -> None:
    booked = make_backport(window, ada)
    hand_over_backport(by=rel, to=rae, **current(booked))  # type: ignore[arg-type]
    deliver_events(at=timezone.now())

    told = Notification.objects.filter(event__kind="backport.submit")
    assert {one.recipient.username for one in told} == {"rae", "rel"}


def test_who_was_in_the_queue_when_it_was_locked_is_told_though_it_left_since(
    booked: Backport, window: Window, rae: User, dev: User, rel: User
) -> None:
    approve(booked, rae)
    plan = newest_plan(window)
    assert plan is not None
    lock_window(window=window, by=dev, plan_fingerprint=plan.fingerprint)
    hand_over_backport(by=rel, to=rel, **current(booked))  # type: ignore[arg-type]
    withdraw_backport(by=rel, reason="Done.", **current(booked))  # type: ignore[arg-type]
    unlock_window(window=window, by=rel, reason="Late news.")
    deliver_events(at=timezone.now())

    told = Notification.objects.filter(why="own").values_list("event__kind", "recipient__username")
    assert ("window.lock", "ada") in told
    assert not [row for row in told if row[0] == "window.unlock"]
    left = Notification.objects.filter(event__kind="backport.withdraw", why="window")
    assert [one.recipient for one in left] == [dev]  # it was locked then


def test_who_does_not_want_one_reason_is_told_for_the_next(
    booked: Backport, ada: User, rae: User
) -> None:
    Watch.objects.create(backport=booked, user=ada)
    ada.mail_own = False
    ada.save()
    approve(booked, rae)
    assert told_of_new() == {("ada", "watched")}


def test_one_address_gets_one_mail(booked: Backport, ada: User, rae: User, sam: User) -> None:
    sam.email = ada.email.upper()
    sam.save()
    Watch.objects.create(backport=booked, user=sam)
    approve(booked, rae)
    assert told_of_new() == {("ada", "own")}


@pytest.mark.both_databases
def test_what_an_event_owes_is_written_with_its_delivery_or_not_at_all(
    booked: Backport, rae: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve(booked, rae)
    before = Delivery.objects.count()

    def die(*_rows: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Notification.objects, "bulk_create", die)
        with pytest.raises(KeyboardInterrupt):
            deliver_events(at=timezone.now())
    assert Delivery.objects.count() == before
    assert told_of_new() == {("ada", "own")}


@pytest.mark.both_databases
def test_the_database_refuses_a_second_notification(booked: Backport, rae: User) -> None:
    approve(booked, rae)
    told_of_new()
    one = Notification.objects.latest("pk")
    with pytest.raises(IntegrityError), transaction.atomic():
        Notification.objects.create(
            event=one.event, recipient=one.recipient, why="own", due_at=one.due_at
        )


@pytest.fixture
def owed(booked: Backport, rae: User, settings: Settings) -> Notification:
    """The one mail that is due: Ada is told that Rae approved."""
    settings.PUBLIC_URL = "https://swat.example.org/"
    Notification.objects.all().delete()
    approve(booked, rae)
    deliver_events(at=timezone.now())
    return Notification.objects.get()


def test_a_mail_says_what_by_whom_when_why_and_where(owed: Notification, ada: User) -> None:
    ada.time_zone = "Europe/Berlin"
    ada.save()
    assert send_notifications(at=timezone.now()) == 1
    assert send_notifications(at=timezone.now()) == 0
    (sent,) = mail.outbox
    assert sent.to == ["ada@example.org"]
    assert sent.subject == "[SWAT] 1000 (mediawiki-config): rae approved patch set 1"
    body = str(sent.body)
    backport = owed.event.backport
    assert backport is not None
    assert "rae approved patch set 1." in body
    assert f"\nhttps://swat.example.org/backports/{backport.pk}\n" in body
    assert "You get this because you requested it." in body
    assert "what is yours is your choice: https://swat.example.org/profile\n" in body
    assert re.search(r"When: .* UTC \(\w+ \d\d:\d\d CES?T, Europe/Berlin\)", body)
    assert not re.search(r"\n\n\n", body)
    owed.refresh_from_db()
    assert (owed.attempts, owed.failure, owed.claimed_until) == (1, "", None)
    assert owed.sent_at is not None


def test_what_a_person_wrote_is_quoted(booked: Backport, rae: User) -> None:
    Notification.objects.all().delete()
    decline_backport(
        by=rae,
        reason="No.\nhttps://evil.example/\x1b[31m\n-- \nYou get this because",
        **current(booked),  # type: ignore[arg-type]
    )
    deliver_events(at=timezone.now())
    body = str(mail_of(Notification.objects.get()).body)
    assert "> No.\n> https://evil.example/ [31m\n> --\n> You get this because\n" in body


def test_a_subject_is_one_line_whatever_gerrit_says(owed: Notification) -> None:
    event = owed.event
    assert event.backport is not None
    change = event.backport.change
    change.project = "x\r\nBcc: all@example.org\u202e" + "y" * 200
    change.subject = "Fix\r\nBcc: all@example.org"
    change.save()
    message = mail_of(Notification.objects.get()).message()
    assert message["Bcc"] is None
    assert "\n" not in message["Subject"].replace("\n ", "")
    assert len(mail_of(Notification.objects.get()).subject) <= 180
    assert "Change: 1000 (x Bcc: all@example.org yyy" in str(mail_of(owed).body)


def test_a_name_cannot_add_a_recipient(owed: Notification, ada: User) -> None:
    ada.first_name = 'Ada" <all@example.org>,\r\nBcc: x@example.org'
    ada.save()
    message = mail_of(Notification.objects.get())
    assert message.recipients() == [message.to[0]]
    assert message.message()["Bcc"] is None
    assert message.message()["To"].count("ada@example.org") == 1


class FailingBackend(EmailBackend):
    """A mail server that is down."""

    def send_messages(self, messages: object) -> int:
        """Fail as a socket does."""
        raise ConnectionRefusedError(111, "Connection\nrefused")


class DyingBackend(EmailBackend):
    """A mail server that takes the mail just before we are killed."""

    def send_messages(self, messages: list[EmailMessage]) -> int:  # type: ignore[override]
        """Send, then die."""
        super().send_messages(messages)
        raise KeyboardInterrupt


def test_a_failure_is_kept_and_tried_again_after_growing_pauses(
    owed: Notification, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.FailingBackend"
    at = timezone.now()
    pauses = []
    for _ in range(12):
        assert send_notifications(at=at) == 0
        owed.refresh_from_db()
        assert owed.claimed_until is None
        pauses.append(owed.due_at - at)
        assert send_notifications(at=at) == 0  # not due yet
        at = owed.due_at
    assert pauses[:3] == [timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=120)]
    assert pauses[-1] == max(pauses) == LONGEST_PAUSE
    assert owed.attempts == 12
    assert owed.failure == "ConnectionRefusedError: [Errno 111] Connection refused"
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert send_notifications(at=at) == 1
    owed.refresh_from_db()
    assert owed.failure == ""


def test_one_that_fails_does_not_hold_up_the_others(owed: Notification, rel: User) -> None:
    bad = User.objects.get(pk=owed.recipient_id)
    bad.email = "ada\n@example.org"
    bad.save()
    Notification.objects.create(
        event=owed.event, recipient=rel, why="watched", due_at=timezone.now()
    )
    assert send_notifications(at=timezone.now()) == 1
    owed.refresh_from_db()
    assert owed.sent_at is None
    assert owed.failure


@pytest.mark.both_databases
def test_a_crash_after_sending_repeats_the_mail_and_says_that_it_is_the_same(
    owed: Notification, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.DyingBackend"
    at = timezone.now()
    with pytest.raises(KeyboardInterrupt):
        send_notifications(at=at)
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert send_notifications(at=at + LEASE / 2) == 0  # somebody has it in hand
    assert send_notifications(at=at + LEASE) == 1
    assert len(mail.outbox) == 2
    first, second = (str(one.message()["Message-ID"]) for one in mail.outbox)
    assert first == second
    assert re.fullmatch(rf"<event-{owed.event.seq}\.\w+\.\d+@swat\.example\.org>", first)


def test_who_left_meanwhile_gets_none(owed: Notification, ada: User) -> None:
    ada.is_active = False
    ada.save()
    assert send_notifications(at=timezone.now()) == 0
    assert not Notification.objects.exists()
    assert mail.outbox == []


def test_a_reader_in_an_unknown_zone_gets_utc(owed: Notification, ada: User) -> None:
    ada.time_zone = "Mars/Olympus"
    ada.save()
    assert " UTC\n" in str(mail_of(Notification.objects.get()).body)


def test_a_command_does_what_the_sweeps_do(
    booked: Backport, rae: User, capsys: pytest.CaptureFixture[str]
) -> None:
    Notification.objects.all().delete()
    approve(booked, rae)
    call_command("deliver")
    assert capsys.readouterr().out == "1 events handed on, 1 mails sent.\n"
    assert len(mail.outbox) == 1


def test_the_file_backend_writes_the_mail_into_a_folder(
    owed: Notification, settings: Settings, tmp_path: Path
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    assert send_notifications(at=timezone.now()) == 1
    (file,) = (tmp_path / "mail").iterdir()
    assert "rae approved patch set 1" in file.read_text()


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("events_can_be_cleared")
def test_two_sweeps_at_once_tell_everybody_once() -> None:
    if "memory" in str(connection.settings_dict["NAME"]):
        pytest.skip("Threads need a database of their own: PostgreSQL, or SQLite in a file.")
    people = {name: make_person(name) for name in ("ada", "rae", "rel")}
    addressed(*people.values())
    window = make_window()
    for number in range(1000, 1010):
        make_backport(window, people["ada"], fetched(number))
    at = timezone.now()
    delivered = together(lambda: deliver_events(at=at))
    assert sum(delivered) == Event.objects.count() == Delivery.objects.count() == 10
    assert Notification.objects.count() == 20
    assert sum(together(lambda: send_notifications(at=at))) == 20
    assert len(mail.outbox) == 20
    assert len({str(one.extra_headers["Message-ID"]) for one in mail.outbox}) == 20


def together(job: Callable[[], int], times: int = 4) -> list[int]:
    """Do a job several times at once; return what each returned."""
    barrier, results = threading.Barrier(times), []

    def run() -> None:
        try:
            barrier.wait(timeout=20)
            results.append(job())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=50)
    assert len(results) == times
    return results
