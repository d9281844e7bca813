"""What went live and broke is not booked again as it was, until somebody says what is different."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from scheduler.domain.changes import ChangeStatus
from scheduler.domain.checklist.run import Choice
from scheduler.domain.errors import Refused
from scheduler.models import Backport, User, Window
from scheduler.services.backports import submit_backport, was_reverted
from scheduler.services.invariants import INVARIANTS
from scheduler.services.moving import book_again
from tests.driving import Drive, lock
from tests.factories import answers, approve, fetched, make_backport, make_change, make_window

OTHERWISE = "The table is there by now."


@pytest.fixture
def reverted(ada: User, rae: User, dev: User) -> Backport:
    """A backport that went live, broke, and was taken back."""
    start = timezone.now() - timedelta(minutes=5)
    begun = make_window(start=start, end=start + timedelta(hours=1))
    backport = approve(make_backport(begun, ada), rae)
    lock(begun, dev)
    drive = Drive(begun, dev).take().begin().deploy(1)
    drive.fail(1)
    drive.choose(1, Choice.REVERT)
    drive.finish(1)
    drive.close()
    return Backport.objects.select_related("change", "window", "requester").get(pk=backport.pk)


def test_the_same_patch_set_takes_a_word(reverted: Backport, window: Window, ada: User) -> None:
    change = reverted.change
    for said in ("", "nothing", " - "):
        with pytest.raises(Refused, match="Patch set 1 of 1000 went out and was reverted"):
            submit_backport(
                change=change, window=window, requester=ada, answers=answers(what_differs=said)
            )
    made = submit_backport(
        change=change, window=window, requester=ada, answers=answers(what_differs=OTHERWISE)
    )
    assert made.what_differs == OTHERWISE
    assert [b for one in INVARIANTS for b in one.broken(timezone.now())] == []


def test_one_click_takes_it_too(reverted: Backport, window: Window, ada: User) -> None:
    with pytest.raises(Refused, match="Say what is different this time"):
        book_again(backport=reverted, by=ada, window=window)
    (made,) = book_again(backport=reverted, by=ada, window=window, what_differs=OTHERWISE)
    assert made.what_differs == OTHERWISE


def test_another_patch_set_needs_no_word(reverted: Backport, window: Window, ada: User) -> None:
    change = make_change(fetched(1000, patch_set=2))
    assert not was_reverted(change)
    made = submit_backport(change=change, window=window, requester=ada, answers=answers())
    assert made.status == "submitted"


def test_what_was_merged_gets_no_other_patch_set(reverted: Backport) -> None:
    """Gerrit makes one when it merges by rebasing."""
    assert was_reverted(make_change(fetched(1000, patch_set=2, status=ChangeStatus.MERGED)))


def test_the_form_asks_once_it_is_needed(
    reverted: Backport, window: Window, client: Client, ada: User
) -> None:
    client.force_login(ada)
    asked = "It was reverted: what is different this time?"
    fresh = client.get("/backports/new").content.decode()
    again = client.get(f"/backports/new?from={reverted.pk}").content.decode()
    assert (asked in fresh, asked in again) == (False, True)
    page = client.get(f"/backports/{reverted.pk}").content.decode()
    assert asked in page
    refused = client.post(
        f"/backports/{reverted.pk}/book-again", {"key": str(uuid4()), "window": window.pk}
    )
    assert refused.status_code == 409
    assert "Say what is different this time" in refused.content.decode()
