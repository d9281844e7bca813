"""Nobody decides about what was ever their own request, by whichever name they are known."""

import pytest
from django.utils import timezone

from scheduler.actors import grant_roles, names_of
from scheduler.domain.errors import NotPermitted
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import Role
from scheduler.models import Backport, Event, User, Window
from scheduler.services.backports import amend_backport, hand_over_backport, withdraw_backport
from scheduler.services.invariants import approvals_that_do_not_count
from scheduler.services.moving import book_again
from scheduler.services.people import add_other_name
from tests.factories import answers, approve, fetched, make_backport, make_window


@pytest.fixture
def foreign(window: Window, ada: User) -> Backport:
    """Ada's request of a change that somebody else owns."""
    return make_backport(window, ada, fetched(1000, owner="zed", uploader="zed"))


def hand_over(backport: Backport, by: User, to: User) -> None:
    backport.refresh_from_db()
    hand_over_backport(backport=backport, by=by, to=to, fingerprint=backport.fingerprint)


def test_whoever_gave_a_request_away_does_not_approve_it(
    foreign: Backport, ada: User, rae: User, dev: User
) -> None:
    grant_roles(ada, Role.DEVELOPER, Role.REVIEWER)
    hand_over(foreign, ada, dev)
    foreign.refresh_from_db()
    amend_backport(
        backport=foreign, by=dev, fingerprint=foreign.fingerprint, answers=answers(nick="dev_2")
    )
    hand_over(foreign, dev, rae)

    for who in (ada, rae):
        with pytest.raises(NotPermitted, match="You may not approve"):
            approve(foreign, who)
    Backport.objects.filter(pk=foreign.pk).update(status=Status.APPROVED.value)
    assert [*approvals_that_do_not_count(timezone.now())]


def test_whoever_books_for_somebody_else_does_not_approve_it(
    foreign: Backport, rel: User, rae: User
) -> None:
    withdraw_backport(
        backport=foreign, by=rae, fingerprint=foreign.fingerprint, reason="Not this week."
    )
    (again,) = book_again(backport=foreign, by=rel, window=make_window(in_hours=48))

    with pytest.raises(NotPermitted, match="you had asked for it yourself"):
        approve(again, rel)
    approve(again, rae)


def test_names_lead_to_further_names(ada: User, rel: User, window: Window) -> None:
    second = User.objects.create_user("ada2")
    add_other_name(person=ada, by=rel, name="ada2")
    add_other_name(person=second, by=rel, name="gerrit-ada")
    grant_roles(ada, Role.REVIEWER)
    assert names_of(ada) == {"ada2", "gerrit-ada"}
    assert names_of(second) == {"ada", "gerrit-ada"}

    theirs = make_backport(window, rel, fetched(1000, owner="gerrit-ada"))

    with pytest.raises(NotPermitted, match="you own the change"):
        approve(theirs, ada)


def test_an_approval_ends_when_it_turns_out_to_be_ones_own(
    foreign: Backport, ada: User, rae: User, rel: User
) -> None:
    approve(foreign, rae)

    add_other_name(person=ada, by=rel, name="RAE")

    foreign.refresh_from_db()
    assert foreign.status == Status.SUBMITTED.value
    assert Event.objects.filter(kind="backport.void-approval", backport=foreign).count() == 1
    assert [*approvals_that_do_not_count(timezone.now())] == []
