"""Many at once, on real connections. Each race has a control that shows that it can be lost."""

import threading
from collections.abc import Callable, Sequence

import pytest
from django.db import connection
from django.utils import timezone

from scheduler.domain.errors import Refused
from scheduler.domain.lifecycle import Status
from scheduler.models import Backport, Change, Event, Plan, Review, User, Window
from scheduler.queries import OPEN_STATUSES
from scheduler.services.backports import submit_backport
from scheduler.services.changes import store_changes
from scheduler.services.drafts import drafts_of, save_draft
from scheduler.services.events import first_break
from scheduler.services.idempotency import once
from scheduler.services.plans import replan_window
from scheduler.services.reviews import approve_backport
from tests.factories import answers, fetched, make_backport, make_change, make_person, make_window

pytestmark = [
    pytest.mark.both_databases,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("events_can_be_cleared"),
]

CROWD = 8
ROUNDS = 5


@pytest.fixture(autouse=True)
def _connections_share_a_database(transactional_db: None) -> None:
    if "memory" in str(connection.settings_dict["NAME"]):
        pytest.skip("Threads need a database of their own: PostgreSQL, or SQLite in a file.")


def together(jobs: Sequence[Callable[[], object]]) -> list[object]:
    """Do jobs at the same time; return what each returned, or the refusal that it met."""
    barrier = threading.Barrier(len(jobs))
    results: list[object] = [None] * len(jobs)

    def run(place: int, job: Callable[[], object]) -> None:
        try:
            barrier.wait(timeout=20)
            results[place] = job()
        except Exception as failure:  # noqa: BLE001 - handed to the test, which judges it
            results[place] = failure
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=50)
    return results


def refusals(results: Sequence[object]) -> list[Refused]:
    """Return the refusals, and let any other failure through."""
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, Refused):
            raise result
    return [result for result in results if isinstance(result, Refused)]


def test_a_change_booked_by_many_at_once_is_booked_once() -> None:
    ada, change = make_person("ada"), make_change(fetched(1000))
    windows = [make_window(in_hours=24 + n) for n in range(CROWD)]

    def book_in(window: Window) -> Callable[[], object]:
        return lambda: submit_backport(
            change=Change.objects.get(pk=change.pk),
            window=Window.objects.get(pk=window.pk),
            requester=User.objects.get(pk=ada.pk),
            answers=answers(),
        )

    results = together([book_in(window) for window in windows])
    assert len(refusals(results)) == CROWD - 1
    assert Backport.objects.count() == 1
    assert Event.objects.count() == 1
    assert first_break() is None


def test_control_without_the_constraint_it_is_booked_twice() -> None:
    ada, change, window = make_person("ada"), make_change(fetched(1000)), make_window()
    constraint = next(
        one
        for one in Backport._meta.constraints  # noqa: SLF001 - Django's own way in if one.name == "backport_one_open_per_change"
    )
    all_looked = threading.Barrier(2)

    def look_then_book() -> None:
        is_free = not Backport.objects.filter(change=change, status__in=OPEN_STATUSES).exists()
        all_looked.wait(timeout=20)
        if is_free:
            Backport.objects.create(
                change=change, window=window, requester=ada, submitted_at=timezone.now()
            )

    with connection.schema_editor() as editor:
        editor.remove_constraint(Backport, constraint)
    try:
        refusals(together([look_then_book, look_then_book]))
        assert Backport.objects.count() == 2
    finally:
        Backport.objects.all().delete()
        with connection.schema_editor() as editor:
            editor.add_constraint(Backport, constraint)


@pytest.mark.parametrize("_round", range(ROUNDS))
def test_a_new_patch_set_is_never_approved_by_accident(_round: int) -> None:
    ada, rae = make_person("ada"), make_person("rae")
    backport = make_backport(make_window(), ada)
    shown = backport.fingerprint
    results = together(
        [
            lambda: approve_backport(
                backport=Backport.objects.get(pk=backport.pk),
                reviewer=User.objects.get(pk=rae.pk),
                fingerprint=shown,
            ),
            lambda: store_changes(fetched=[fetched(1000, patch_set=2)], at=timezone.now()),
        ]
    )
    refusals(results)
    backport.refresh_from_db()
    assert backport.status == Status.SUBMITTED
    assert not Review.objects.filter(voided_at__isnull=True).exists()
    assert first_break() is None


def test_control_an_approval_that_only_looks_first_approves_the_wrong_patch_set() -> None:
    backport = make_backport(make_window(), make_person("ada"))
    shown = backport.fingerprint
    looked, stored = threading.Event(), threading.Event()

    def look_then_approve() -> None:
        is_current = Backport.objects.get(pk=backport.pk).fingerprint == shown
        looked.set()
        stored.wait(timeout=20)
        if is_current:
            Backport.objects.filter(pk=backport.pk).update(status=Status.APPROVED.value)

    def store() -> None:
        looked.wait(timeout=20)
        store_changes(fetched=[fetched(1000, patch_set=2)], at=timezone.now())
        stored.set()

    refusals(together([look_then_approve, store]))
    backport = Backport.objects.select_related("change").get(pk=backport.pk)
    assert (backport.status, backport.change.patch_set) == (Status.APPROVED, 2)


def test_two_approve_at_once_and_one_counts() -> None:
    backport = make_backport(make_window(), make_person("ada"))
    reviewers = [make_person("rae"), make_person("rel")]
    shown = backport.fingerprint

    def approve_as(reviewer: User) -> Callable[[], object]:
        return lambda: approve_backport(
            backport=Backport.objects.get(pk=backport.pk),
            reviewer=User.objects.get(pk=reviewer.pk),
            fingerprint=shown,
        )

    results = together([approve_as(reviewer) for reviewer in reviewers])
    assert len(refusals(results)) == 1
    assert Review.objects.count() == 1


def test_a_form_sent_many_times_at_once_has_one_effect() -> None:
    ada = make_person("ada")
    change, window = make_change(fetched(1000)), make_window()

    def effect() -> str:
        backport = submit_backport(
            change=Change.objects.get(pk=change.pk),
            window=Window.objects.get(pk=window.pk),
            requester=User.objects.get(pk=ada.pk),
            answers=answers(),
        )
        return f"/backports/{backport.pk}"

    results = together([lambda: once(user=ada, key="k", request_hash="h", effect=effect)] * CROWD)
    assert refusals(results) == []
    assert len(set(results)) == 1
    assert Backport.objects.count() == 1


def test_planning_at_once_gives_each_version_once() -> None:
    window = make_window()
    make_backport(window, make_person("ada"))
    before = Plan.objects.count()
    Change.objects.update(labels={})
    refusals(
        together(
            [lambda: replan_window(window=Window.objects.get(pk=window.pk), now=timezone.now())]
            * CROWD
        )
    )
    assert Plan.objects.count() == before + 1


def test_drafts_saved_at_once_are_all_kept() -> None:
    ada = make_person("ada")

    def save(number: int) -> Callable[[], object]:
        typed = {"change": ["1000"], "why_not_train": [f"Reason {number}."]}
        return lambda: save_draft(user=User.objects.get(pk=ada.pk), typed=typed)

    results = together([save(number) for number in range(CROWD)])

    assert refusals(results) == []
    assert len({one.typed["why_not_train"][0] for one in drafts_of(ada)}) == CROWD
    assert len({one.change for one in drafts_of(ada)}) == CROWD
