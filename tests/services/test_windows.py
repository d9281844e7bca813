"""Answering questions, planning again, locking and unlocking."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scheduler.domain.errors import NotPermitted, OutOfDate, Refused
from scheduler.domain.lifecycle import Status
from scheduler.domain.statements import OnlyFirst, StatementKind
from scheduler.models import Backport, Event, Plan, Question, Statement, User, Window
from scheduler.queries import newest_plan, planned_now
from scheduler.services.changes import refresh_open_windows, store_changes
from scheduler.services.plans import replan_window
from scheduler.services.windows import lock_window, unlock_window
from tests.answering import answer, shown
from tests.factories import approve, fetched, fetched_fix, make_backport
from tests.fakes import FakeReviewSystem

BUG = "Change\n\nBug: T4711\nChange-Id: I{:040x}"


def kinds() -> list[str]:
    return list(Event.objects.values_list("kind", flat=True))


@pytest.fixture
def pair(window: Window, ada: User) -> tuple[Backport, Backport]:
    """Two backports of different repositories about one bug."""
    return (
        make_backport(window, ada, fetched(1, message=BUG.format(1))),
        make_backport(window, ada, *fetched_fix(2, message=BUG.format(2))),
    )


def test_a_suspected_coupling_is_asked_about(pair: tuple[Backport, Backport]) -> None:
    question = Question.objects.get()
    assert (question.low, question.high, question.closed_at) == (1, 2, None)
    assert question.evidence[0]["kind"] == "same-bug"


def test_an_answer_closes_the_question_and_orders_the_queue(
    pair: tuple[Backport, Backport], window: Window, ada: User, rae: User
) -> None:
    answer(pair, ada)
    assert Question.objects.get().closed_at is not None
    for backport in pair:
        approve(backport, rae)
    plan = newest_plan(window)
    assert plan is not None
    assert [step["changes"] for step in plan.result["queue"]] == [[1], [2]]
    assert kinds().count("question.answer") == 1


def test_another_answer_supersedes_the_first(pair: tuple[Backport, Backport], rae: User) -> None:
    answer(pair, rae)
    answer(pair, rae, kind=StatementKind.UNRELATED, only_first=OnlyFirst.NOTHING)
    assert Statement.objects.filter(superseded_at__isnull=True).get().kind == "unrelated"
    assert Statement.objects.count() == 2


def test_an_answer_voids_what_was_approved_without_it(
    pair: tuple[Backport, Backport], rae: User
) -> None:
    approve(pair[0], rae)
    answer(pair, rae)
    pair[0].refresh_from_db()
    assert pair[0].status == Status.SUBMITTED


def test_only_people_concerned_answer(pair: tuple[Backport, Backport], dev: User) -> None:
    with pytest.raises(NotPermitted):
        answer(pair, dev)


def test_a_stale_plan_is_not_answered(pair: tuple[Backport, Backport], rae: User) -> None:
    with pytest.raises(OutOfDate):
        answer(pair, rae, plan_fingerprint="0" * 64)
    assert not Statement.objects.exists()


@pytest.mark.both_databases
def test_the_database_keeps_one_answer_for_each_pair(
    pair: tuple[Backport, Backport], rae: User
) -> None:
    statement = answer(pair, rae)
    statement.pk = None
    statement._state.adding = True  # noqa: SLF001 - a copy, past the service
    with pytest.raises(IntegrityError), transaction.atomic():
        statement.save()
    with pytest.raises(IntegrityError), transaction.atomic():
        Statement.objects.update(then=F("first"))


def test_planning_again_without_news_stores_nothing(backport: Backport, rae: User) -> None:
    approve(backport, rae)
    before = Plan.objects.count()
    backport.refresh_from_db()
    fingerprint = backport.fingerprint
    replan_window(window=backport.window, now=timezone.now())
    backport.refresh_from_db()
    assert Plan.objects.count() == before
    assert backport.fingerprint == fingerprint


def test_a_lock_queues_what_the_page_showed(backport: Backport, rae: User, dev: User) -> None:
    approve(backport, rae)
    window = lock_window(window=backport.window, by=dev, plan_fingerprint=shown(backport.window))
    backport.refresh_from_db()
    assert backport.status == Status.QUEUED
    assert window.is_locked
    assert window.numbers.max_patches == 6
    assert window.locked_numbers is not None
    assert kinds()[-1] == "window.lock"


def test_a_lock_needs_role_page_and_answers(
    pair: tuple[Backport, Backport], window: Window, ada: User, dev: User
) -> None:
    with pytest.raises(NotPermitted):
        lock_window(window=window, by=ada, plan_fingerprint=shown(window))
    with pytest.raises(OutOfDate):
        lock_window(window=window, by=dev, plan_fingerprint="0" * 64)
    with pytest.raises(Refused, match="1 and 2 belong together"):
        lock_window(window=window, by=dev, plan_fingerprint=shown(window))
    window.refresh_from_db()
    assert not window.is_locked


def test_an_empty_queue_is_not_locked(backport: Backport, window: Window, dev: User) -> None:
    with pytest.raises(Refused, match="The queue is empty: there is nothing to lock yet"):
        lock_window(window=window, by=dev, plan_fingerprint=shown(window))
    window.refresh_from_db()
    assert not window.is_locked
    assert kinds() == ["backport.submit"]


def test_a_window_is_locked_once(backport: Backport, rae: User, dev: User) -> None:
    approve(backport, rae)
    page = shown(backport.window)
    lock_window(window=backport.window, by=dev, plan_fingerprint=page)
    with pytest.raises(Refused, match="already"):
        lock_window(window=backport.window, by=dev, plan_fingerprint=page)
    assert kinds().count("window.lock") == 1


def test_a_locked_queue_stays_though_an_approval_becomes_void(
    backport: Backport, rae: User, dev: User
) -> None:
    approve(backport, rae)
    page = shown(backport.window)
    lock_window(window=backport.window, by=dev, plan_fingerprint=page)
    store_changes(fetched=[fetched(1000, patch_set=2)], at=timezone.now())
    backport.refresh_from_db()
    assert backport.status == Status.SUBMITTED
    assert shown(backport.window) == page


def test_unlocking_gives_everything_back(backport: Backport, rae: User, dev: User) -> None:
    approve(backport, rae)
    lock_window(window=backport.window, by=dev, plan_fingerprint=shown(backport.window))
    with pytest.raises(Refused):
        unlock_window(window=backport.window, by=dev, reason=" ")
    with pytest.raises(NotPermitted):
        unlock_window(window=backport.window, by=rae, reason="A fix is missing.")
    window = unlock_window(window=backport.window, by=dev, reason="A fix is missing.")
    backport.refresh_from_db()
    assert backport.status == Status.APPROVED
    assert (window.is_locked, window.locked_numbers) == (False, None)
    assert kinds()[-1] == "window.unlock"


def test_a_refresh_finds_new_patch_sets_outside_transactions(backport: Backport, rae: User) -> None:
    approve(backport, rae)
    system = FakeReviewSystem([fetched(1000, patch_set=2)])
    refresh_open_windows(system=system, now=timezone.now())
    backport.refresh_from_db()
    assert system.asked == ["1000"]
    assert not system.was_in_transaction
    assert backport.status == Status.SUBMITTED


def test_a_silent_review_system_leaves_what_is_known(
    backport: Backport, rae: User, caplog: pytest.LogCaptureFixture
) -> None:
    approve(backport, rae)
    refresh_open_windows(system=FakeReviewSystem(), now=timezone.now())
    backport.refresh_from_db()
    assert backport.status == Status.APPROVED
    assert "change 1000 stays as it was" in caplog.text


def test_planning_reads_as_often_for_3_as_for_30_backports(window: Window, ada: User) -> None:
    counts = []
    for first, last in ((1, 3), (4, 30)):
        for number in range(first, last + 1):
            make_backport(window, ada, fetched(number))
        with CaptureQueriesContext(connection) as queries:
            given, _ = planned_now(window, timezone.now())
        assert len(given.backports) == last
        counts.append(len(queries))
    assert counts[0] == counts[1]
