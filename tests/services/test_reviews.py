"""Approving exactly what was shown; declining, asking, sending to the train."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from scheduler.domain.changes import ChangedFile
from scheduler.domain.errors import IllegalTransition, NotPermitted, OutOfDate, Refused
from scheduler.domain.lifecycle import Status
from scheduler.models import Backport, Event, Review, User, Window
from scheduler.queries import newest_plan
from scheduler.services import reviews
from scheduler.services.changes import store_changes
from scheduler.services.fingerprints import LONGEST_TOLD
from tests.factories import approve, fetched, fetched_fix, make_backport, make_person

L10N = (ChangedFile("i18n/en.json"),)
REASON = "The text is wrong for everybody."


def kinds() -> list[str]:
    return list(Event.objects.values_list("kind", flat=True))


@pytest.fixture
def l10n(window: Window, ada: User) -> Backport:
    """A backport that SHOULD ride the train."""
    return make_backport(window, ada, *fetched_fix(2000, files=L10N))


def test_an_approved_backport_is_in_the_queue(
    backport: Backport, window: Window, rae: User
) -> None:
    shown = backport.fingerprint
    approve(backport, rae)
    assert backport.status == Status.APPROVED
    review = backport.reviews.get()
    assert (review.patch_set, review.sha) == (1, backport.change.sha)
    assert review.fingerprint == shown
    assert review.content == backport.approved_content
    assert kinds() == ["backport.submit", "backport.approve"]
    plan = newest_plan(window)
    assert plan is not None
    assert [step["changes"] for step in plan.result["queue"]] == [[1000]]


@pytest.mark.parametrize("name", ["ada", "dev", "sam"])
def test_who_does_not_review_cannot_approve(backport: Backport, name: str) -> None:
    person = User.objects.filter(username=name).first() or make_person(name)
    with pytest.raises(NotPermitted):
        approve(backport, person)
    assert not Review.objects.exists()


@pytest.mark.parametrize("facts", [{"owner": "rae"}, {"uploader": "rae"}])
def test_nobody_approves_what_they_own_or_uploaded(
    window: Window, ada: User, rae: User, facts: dict[str, Any]
) -> None:
    backport = make_backport(window, ada, fetched(1, **facts))
    with pytest.raises(NotPermitted):
        approve(backport, rae)


def test_nobody_approves_what_they_requested(window: Window, rae: User) -> None:
    backport = make_backport(window, rae)
    with pytest.raises(NotPermitted, match="you requested it"):
        approve(backport, rae)


@pytest.mark.both_databases
def test_the_database_refuses_the_requesters_approval(backport: Backport, ada: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Review.objects.create(
            backport=backport,
            reviewer=ada,
            requester=ada,
            decision="approve",
            patch_set=1,
            made_at=timezone.now(),
        )


@pytest.mark.parametrize("shown", ["", "0" * 64])
def test_only_what_was_shown_is_approved(backport: Backport, rae: User, shown: str) -> None:
    with pytest.raises(OutOfDate):
        reviews.approve_backport(backport=backport, reviewer=rae, fingerprint=shown)
    assert kinds() == ["backport.submit"]


def test_a_new_patch_set_makes_the_page_stale(backport: Backport, rae: User) -> None:
    shown = backport.fingerprint
    store_changes(fetched=[fetched(1000, patch_set=2)], at=timezone.now())
    with pytest.raises(OutOfDate):
        reviews.approve_backport(backport=backport, reviewer=rae, fingerprint=shown)


def test_a_vote_makes_the_page_stale(backport: Backport, rae: User) -> None:
    shown = backport.fingerprint
    votes = {"Code-Review": -1, "Verified": 2}
    store_changes(fetched=[fetched(1000, labels=votes)], at=timezone.now())
    with pytest.raises(OutOfDate):
        reviews.approve_backport(backport=backport, reviewer=rae, fingerprint=shown)


def test_the_second_approval_is_refused(backport: Backport, rae: User, rel: User) -> None:
    approve(backport, rae)
    with pytest.raises(IllegalTransition):
        approve(backport, rel)
    assert Review.objects.count() == 1


@pytest.mark.parametrize(
    "facts",
    [
        {"patch_set": 2},
        {"patch_set": 2, "branch": "main"},
        {"parent": 7},
        {"message": "Change 1000\n\nDepends-On: I00000000000000000000000000000000000003e9"},
    ],
)
def test_an_approval_is_void_once_its_content_changed(
    backport: Backport, rae: User, facts: dict[str, Any]
) -> None:
    approve(backport, rae)
    store_changes(fetched=[fetched(1000, **facts)], at=timezone.now())
    backport.refresh_from_db()
    assert backport.status == Status.SUBMITTED
    assert backport.approved_content == ""
    assert backport.reviews.get().voided_at is not None
    assert kinds() == ["backport.submit", "backport.approve", "backport.void-approval"]


def test_an_approval_survives_what_is_not_its_content(backport: Backport, rae: User) -> None:
    approve(backport, rae)
    votes = {"Code-Review": 1, "Verified": 2}
    store_changes(fetched=[fetched(1000, labels=votes)], at=timezone.now())
    backport.refresh_from_db()
    assert backport.status == Status.APPROVED


def test_an_older_patch_set_does_not_come_back(backport: Backport) -> None:
    store_changes(fetched=[fetched(1000, patch_set=3)], at=timezone.now())
    store_changes(fetched=[fetched(1000, patch_set=2)], at=timezone.now())
    backport.change.refresh_from_db()
    assert backport.change.patch_set == 3


def test_content_may_be_approved_although_a_must_objects(
    window: Window, ada: User, rae: User
) -> None:
    backport = make_backport(window, ada, fetched(1, labels={"Code-Review": 2, "Verified": -1}))
    approve(backport, rae)
    assert backport.status == Status.APPROVED
    plan = newest_plan(window)
    assert plan is not None
    assert plan.result["elsewhere"][0]["rule"] == "ci-failed"


def test_an_acknowledged_rule_is_lifted(l10n: Backport, rae: User) -> None:
    reviews.approve_backport(
        backport=l10n,
        reviewer=rae,
        fingerprint=l10n.fingerprint,
        acknowledged=frozenset({"l10n"}),
        reason=REASON,
    )
    plan = newest_plan(l10n.window)
    assert plan is not None
    assert [step["changes"] for step in plan.result["queue"]] == [[2000]]
    (taken,) = l10n.acknowledgements.all()
    assert (taken.rule, taken.by, taken.reason) == ("l10n", rae, REASON)


@pytest.mark.parametrize(
    ("acknowledged", "reason"),
    [
        (frozenset(), REASON),
        (frozenset({"l10n", "vendor"}), REASON),
        (frozenset({"vendor"}), REASON),
        (frozenset({"l10n"}), "because"),
        (frozenset({"l10n"}), " " * 40),
    ],
)
def test_exactly_what_objects_is_acknowledged_with_a_reason(
    l10n: Backport, rae: User, acknowledged: frozenset[str], reason: str
) -> None:
    with pytest.raises(Refused):
        reviews.approve_backport(
            backport=l10n,
            reviewer=rae,
            fingerprint=l10n.fingerprint,
            acknowledged=acknowledged,
            reason=reason,
        )
    l10n.refresh_from_db()
    assert l10n.status == Status.SUBMITTED


Decide = Callable[..., Backport]


def decline(backport: Backport, by: User, **given: Any) -> Backport:  # noqa: ANN401
    return reviews.decline_backport(backport=backport, by=by, **given)


def train(backport: Backport, by: User, **given: Any) -> Backport:  # noqa: ANN401
    return reviews.send_to_train(backport=backport, by=by, **given)


def ask(backport: Backport, by: User, **given: Any) -> Backport:  # noqa: ANN401
    return reviews.ask_requester(backport=backport, by=by, **given)


OTHERS = [
    (decline, Status.DECLINED, "backport.decline"),
    (train, Status.TRAIN, "backport.send-to-train"),
    (ask, Status.NEEDS_INFO, "backport.ask"),
]


@pytest.mark.parametrize(("decide", "after", "kind"), OTHERS)
def test_other_decisions_move_it_and_are_logged(
    l10n: Backport, rae: User, decide: Decide, after: Status, kind: str
) -> None:
    decide(l10n, rae, fingerprint=l10n.fingerprint, reason="It can wait.")
    l10n.refresh_from_db()
    assert l10n.status == after
    assert kinds() == ["backport.submit", kind]
    assert l10n.reviews.get().reason == "It can wait."


@pytest.mark.parametrize("decide", [decide for decide, _, _ in OTHERS])
def test_other_decisions_need_role_page_and_reason(
    l10n: Backport, rae: User, sam: User, decide: Decide
) -> None:
    with pytest.raises(NotPermitted):
        decide(l10n, sam, fingerprint=l10n.fingerprint, reason="It can wait.")
    with pytest.raises(OutOfDate):
        decide(l10n, rae, fingerprint="0" * 64, reason="It can wait.")
    with pytest.raises(Refused):
        decide(l10n, rae, fingerprint=l10n.fingerprint, reason="  ")
    assert kinds() == ["backport.submit"]


def test_declining_ends_the_approval(backport: Backport, rae: User) -> None:
    approve(backport, rae)
    decline(backport, rae, fingerprint=backport.fingerprint, reason="On second thoughts.")
    assert backport.reviews.get(decision="approve").voided_at is not None


def test_configuration_is_not_sent_to_the_train(backport: Backport, rae: User) -> None:
    with pytest.raises(Refused, match="never rides the train"):
        train(backport, rae, fingerprint=backport.fingerprint, reason="It can wait.")


# --- What the log tells about an approval


def test_the_log_tells_what_was_approved_in_readable_form(
    backport: Backport, window: Window, rae: User
) -> None:
    approve(backport, rae)
    told = Event.objects.get(kind="backport.approve").payload["content"]
    assert (told["patch_set"], told["sha"]) == (1, backport.change.sha)
    assert told["window"] == str(window)
    assert told["answers"]["tested_where"] == backport.tested_where


def test_what_the_log_tells_is_bounded(window: Window, ada: User, rae: User) -> None:
    backport = make_backport(window, ada, tested_where="x" * 100_000)
    approve(backport, rae)
    told = Event.objects.get(kind="backport.approve").payload["content"]
    assert len(told["answers"]["tested_where"]) == LONGEST_TOLD
