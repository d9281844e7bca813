"""The patch set is swapped between the page that somebody reads and the form that they send."""

from uuid import uuid4

from django.test import Client
from django.utils import timezone

from scheduler.models import Backport, Event, Review
from scheduler.services.changes import store_changes
from tests.factories import fetched


def swap_between_page_and_form(backport: Backport, reviewer: Client, *, times: int) -> None:
    """Read, swap and send as often as that; see that nothing unseen is approved, and what is told.

    In the end what is seen is approved: the refusals were about what was not.
    """
    number = backport.change.number
    for patch_set in range(2, times + 2):
        shown = reviewer.get(f"/backports/{backport.pk}").content.decode()
        backport.refresh_from_db()
        sent = {"fingerprint": backport.fingerprint, "key": str(uuid4())}
        assert backport.fingerprint in shown
        store_changes(fetched=[fetched(number, patch_set=patch_set)], at=timezone.now())
        answer = reviewer.post(f"/backports/{backport.pk}/approve", sent)
        assert answer.status_code == 409
        assert f"patch set {patch_set}" in answer.content.decode()
    assert not Review.objects.exists()
    assert not Event.objects.filter(kind="backport.approve").exists()

    backport.refresh_from_db()
    sent = {"fingerprint": backport.fingerprint, "key": str(uuid4())}
    assert reviewer.post(f"/backports/{backport.pk}/approve", sent).status_code == 302
