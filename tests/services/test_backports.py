"""Asking for a backport, amending it, withdrawing it."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from scheduler.domain.errors import NotPermitted, OutOfDate, Refused
from scheduler.domain.lifecycle import Action, Status
from scheduler.models import Backport, Event, User, Window
from scheduler.queries import newest_plan
from scheduler.services.backports import amend_backport, submit_backport, withdraw_backport
from scheduler.services.windows import lock_window
from tests.factories import answers, approve, fetched, make_backport, make_change, make_window


def kinds() -> list[str]:
    return list(Event.objects.values_list("kind", flat=True))


def test_a_submitted_backport_is_planned_and_logged_once(
    backport: Backport, window: Window
) -> None:
    plan = newest_plan(window)
    assert plan is not None
    assert [(row["change"], row["rule"]) for row in plan.result["elsewhere"]] == [
        (1000, "not-approved")
    ]
    assert len(backport.fingerprint) == 64
    assert kinds() == ["backport.submit"]


def test_somebody_without_a_role_cannot_book(window: Window, sam: User) -> None:
    change = make_change(fetched(1))
    with pytest.raises(NotPermitted):
        submit_backport(change=change, window=window, requester=sam, answers=answers())
    assert not Backport.objects.exists()
    assert kinds() == []


def test_a_closed_account_cannot_book(window: Window, ada: User) -> None:
    ada.is_active = False
    with pytest.raises(NotPermitted):
        make_backport(window, ada)


def test_being_a_superuser_gives_no_rights(window: Window, sam: User) -> None:
    sam.is_superuser = True
    with pytest.raises(NotPermitted):
        make_backport(window, sam)


@pytest.mark.both_databases
def test_a_change_is_booked_only_once(backport: Backport, rae: User) -> None:
    with pytest.raises(Refused, match="already booked in Morning SWAT"):
        make_backport(make_window(in_hours=48), rae)
    assert Backport.objects.count() == 1
    assert kinds() == ["backport.submit"]


@pytest.mark.both_databases
def test_the_database_refuses_a_second_open_backport(backport: Backport) -> None:
    backport.pk = None
    backport._state.adding = True  # noqa: SLF001 - a copy, past every service
    with pytest.raises(IntegrityError), transaction.atomic():
        backport.save()


def test_a_change_may_be_booked_again_once_withdrawn(
    backport: Backport, window: Window, ada: User
) -> None:
    withdraw_backport(backport=backport, by=ada, fingerprint=backport.fingerprint)
    again = make_backport(window, ada)
    assert again.pk != backport.pk


def test_a_window_that_is_over_cannot_be_booked(ada: User) -> None:
    with pytest.raises(Refused, match="over"):
        make_backport(make_window(in_hours=-3), ada)


def test_a_replay_can_be_booked(ada: User) -> None:
    start = timezone.now() - timedelta(days=4000)
    window = make_window(
        start=start, end=start + timedelta(hours=1), as_of=start - timedelta(hours=1)
    )
    assert make_backport(window, ada).status == Status.SUBMITTED


def test_a_locked_window_cannot_be_booked(
    backport: Backport, dev: User, ada: User, rae: User
) -> None:
    approve(backport, rae)
    plan = newest_plan(backport.window)
    assert plan is not None
    lock_window(window=backport.window, by=dev, plan_fingerprint=plan.fingerprint)
    with pytest.raises(Refused, match="locked"):
        make_backport(backport.window, ada, fetched(2))


@pytest.mark.parametrize(
    "says_nothing",
    [
        *(
            "none",
            "None.",
            "",
            " - ",
            "low risk",
            "n.a. ",
            "Minimal !",
            "No problems",
            "no problem",
        ),
        *("None expected.", "not likely", "Keine", "nothing special", "N/A", "I don't know"),
    ],
)
def test_problems_could_always_occur_somewhere(
    window: Window, ada: User, says_nothing: str
) -> None:
    with pytest.raises(Refused, match="where problems could occur"):
        make_backport(window, ada, problems_where=says_nothing)


def test_its_requester_and_a_reviewer_can_withdraw(
    backport: Backport, window: Window, rae: User
) -> None:
    shown = backport.fingerprint
    with pytest.raises(Refused, match="Say why: ada requested it"):
        withdraw_backport(backport=backport, by=rae, fingerprint=shown)
    withdraw_backport(backport=backport, by=rae, fingerprint=shown, reason="Fixed elsewhere.")
    assert Event.objects.get(kind="backport.withdraw").payload == {"reason": "Fixed elsewhere."}
    backport.refresh_from_db()
    assert backport.status == Status.WITHDRAWN
    assert kinds() == ["backport.submit", "backport.withdraw"]
    plan = newest_plan(window)
    assert plan is not None
    assert plan.result["elsewhere"] == []


def test_others_cannot_withdraw(backport: Backport, dev: User) -> None:
    with pytest.raises(NotPermitted):
        withdraw_backport(backport=backport, by=dev, fingerprint=backport.fingerprint)


@pytest.mark.parametrize("shown", ["", "0" * 64])
def test_only_what_was_shown_is_withdrawn(backport: Backport, ada: User, shown: str) -> None:
    with pytest.raises(OutOfDate):
        withdraw_backport(backport=backport, by=ada, fingerprint=shown)
    backport.refresh_from_db()
    assert backport.status == Status.SUBMITTED


def test_a_second_withdrawal_of_the_same_page_is_refused(backport: Backport, ada: User) -> None:
    shown = backport.fingerprint
    withdraw_backport(backport=backport, by=ada, fingerprint=shown)
    with pytest.raises(Refused):
        withdraw_backport(backport=backport, by=ada, fingerprint=shown)
    assert kinds() == ["backport.submit", "backport.withdraw"]


def test_new_answers_void_the_approval(backport: Backport, ada: User, rae: User) -> None:
    approve(backport, rae)
    amend_backport(
        backport=backport,
        by=ada,
        fingerprint=backport.fingerprint,
        answers=answers(verify_how="Look at the log."),
    )
    assert backport.status == Status.SUBMITTED
    assert backport.verify_how == "Look at the log."
    assert backport.reviews.get().voided_at is not None
    assert kinds() == ["backport.submit", "backport.approve", "backport.amend"]


def test_only_its_requester_can_amend(backport: Backport, rae: User) -> None:
    with pytest.raises(NotPermitted):
        amend_backport(
            backport=backport, by=rae, fingerprint=backport.fingerprint, answers=answers()
        )


@pytest.mark.both_databases
@pytest.mark.parametrize("column", ["status", "fingerprint"])
def test_the_door_is_shut_once_the_row_changed(backport: Backport, column: str) -> None:
    changed = {"status": "needs-info", "fingerprint": "f" * 64}[column]
    Backport.objects.filter(pk=backport.pk).update(**{column: changed})
    with pytest.raises(OutOfDate):
        backport.apply(Action.APPROVE)
    backport.refresh_from_db()
    assert backport.status != Status.APPROVED
