"""What the review system said, stored; and what a Change-Id may mean."""

from datetime import timedelta

import pytest
from django.utils import timezone

from scheduler.adapters.ports import AdapterError, FetchedChange, Unreachable
from scheduler.domain.changes import ChangeStatus
from scheduler.models import Backport, Change
from scheduler.services.changes import (
    fetch,
    refresh_open_windows,
    siblings_in,
    store_changes,
)
from tests.factories import BRANCH, ECHO, fetched, fetched_fix
from tests.fakes import FakeReviewSystem


def together(number: int, *others: int, patch_set: int = 1) -> FetchedChange:
    """Return a change that would be merged along with others."""
    one = fetched(number, patch_set=patch_set)
    return FetchedChange(one.change, one.patch_set, one.sha, submitted_together=others)


@pytest.mark.django_db
def test_what_is_merged_along_is_stored_and_forgotten_when_it_no_longer_is() -> None:
    now = timezone.now()
    change = store_changes(fetched=[together(1, 2, 3)], at=now)[0]
    assert change.submitted_together == [2, 3]
    change = store_changes(fetched=[together(1)], at=now)[0]
    assert change.submitted_together == []


@pytest.mark.django_db
def test_an_older_patch_set_does_not_say_what_is_merged_along() -> None:
    now = timezone.now()
    store_changes(fetched=[together(1, 2, patch_set=2)], at=now)
    change = store_changes(fetched=[together(1, patch_set=1)], at=now)[0]
    assert change.submitted_together == [2]


@pytest.mark.parametrize("retryable", [True, False])
def test_trouble_leaves_every_row_as_it_was(backport: Backport, *, retryable: bool) -> None:
    class Troubled(FakeReviewSystem):
        def fetch_change(self, reference: str) -> tuple[FetchedChange, ...]:
            """Fail.

            Raises:
                AdapterError: always.
            """
            if retryable:
                raise Unreachable("Gerrit cannot be reached.")
            raise AdapterError("Gerrit's answer cannot be used.", retryable=False)

    before = list(Change.objects.values())
    refresh_open_windows(system=Troubled(), now=timezone.now() + timedelta(minutes=5))
    assert list(Change.objects.values()) == before  # its age, fetched_at, shows
    backport.refresh_from_db()
    assert backport.status == "submitted"


def test_siblings_are_offered_open_ones_first_then_on_release_branches() -> None:
    def sibling(
        number: int, branch: str, status: ChangeStatus = ChangeStatus.NEW, project: str = ECHO
    ) -> FetchedChange:
        return fetched(number, change_id=KEY, branch=branch, status=status, project=project)

    offered = siblings_in(
        [
            sibling(5, BRANCH),
            fetched(9),  # what it depends on
            sibling(1, "master"),
            sibling(2, "wmf/1.47.0-wmf.29"),
            sibling(3, "wmf/1.47.0-wmf.28", ChangeStatus.ABANDONED),
            sibling(4, "master", ChangeStatus.MERGED, "mediawiki/core"),
        ]
    )
    assert [(one.number, one.branch) for one in offered] == [
        (5, BRANCH),
        (2, "wmf/1.47.0-wmf.29"),
        (1, "master"),
        (3, "wmf/1.47.0-wmf.28"),
        (4, "master"),
    ]
    assert offered[-1].project == "mediawiki/core"
    assert offered[-1].status is ChangeStatus.MERGED


KEY = f"I{5:040x}"


def test_a_change_without_siblings_is_no_choice() -> None:
    assert len(siblings_in([fetched(1), fetched(2)])) == 1
    assert [one.number for one in siblings_in(fetched_fix(3))] == [3, 100_003]


@pytest.mark.django_db
def test_what_was_pasted_is_read_before_anybody_is_asked() -> None:
    system = FakeReviewSystem([fetched(1)])
    assert fetch("1", system=system)[0].change.number == 1
    assert system.asked == ["1"]
    assert system.references_of("1, 2 1") == ("1", "2")
