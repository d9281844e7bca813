"""Acknowledging what a SHOULD rule says, and overriding a MUST: reasons, people, exact words."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from scheduler.domain.changes import ChangedFile
from scheduler.domain.errors import NotPermitted, OutOfDate, Refused
from scheduler.domain.lifecycle import Status
from scheduler.models import Acknowledgement, Backport, Event, Override, User, Window
from scheduler.queries import newest_plan
from scheduler.services import reviews
from scheduler.services.backports import amend_backport
from scheduler.services.changes import store_changes
from scheduler.services.plans import replan_window
from scheduler.services.windows import lock_window
from tests.factories import (
    answers,
    approve,
    fetched,
    fetched_fix,
    make_backport,
    make_person,
)

L10N = (ChangedFile("i18n/en.json"),)
REASON = "The text is wrong for everybody."
pytestmark = pytest.mark.both_databases


def queue(window: Window) -> list[list[int]]:
    """Return the queue of the newest plan, as numbers."""
    plan = newest_plan(window)
    assert plan is not None
    return [step["changes"] for step in plan.result["queue"]]


def again(backport: Backport) -> str:
    """Return what the page would post now."""
    backport.refresh_from_db()
    return backport.fingerprint


@pytest.fixture
def l10n(window: Window, ada: User) -> Backport:
    """A backport that SHOULD ride the train."""
    return make_backport(window, ada, *fetched_fix(2000, files=L10N))


@pytest.fixture
def long_task(window: Window, ada: User) -> Backport:
    """A backport that MUST have a window of its own."""
    return make_backport(window, ada, fetched(3000), criteria=frozenset({"long-task"}))


def take_on(backport: Backport, by: User, *rules: str, reason: str = REASON) -> Backport:
    return reviews.acknowledge_findings(
        backport=backport,
        by=by,
        fingerprint=again(backport),
        rules=frozenset(rules),
        reason=reason,
    )


def propose(backport: Backport, by: User, rule: str = "needs-own-window", **said: Any) -> Override:  # noqa: ANN401
    given = {"reason": "Users lose their edits until this is out.", **said}
    return reviews.propose_override(
        backport=backport, by=by, fingerprint=again(backport), rule=rule, **given
    )


def confirm(override: Override, by: User) -> Override:
    return reviews.confirm_override(override=override, by=by, fingerprint=again(override.backport))


# --- Acknowledging


def test_an_acknowledgement_outlasts_answers_and_ends_with_the_patch_set(
    l10n: Backport, window: Window, ada: User, rae: User
) -> None:
    take_on(l10n, rae, "l10n")
    approve(l10n, rae)
    fingerprint = again(l10n)
    amend_backport(backport=l10n, by=ada, fingerprint=fingerprint, answers=answers(nick="ada_2"))
    assert queue(window) == []
    approve(l10n, rae)  # nothing is asked again that was taken on
    assert queue(window) == [[2000]]

    fix, merged = fetched_fix(2000, files=L10N)
    store_changes(fetched=[replace(fix, patch_set=2, sha="2" * 40), merged], at=timezone.now())

    assert not Acknowledgement.objects.filter(ended_at__isnull=True).exists()


def test_an_acknowledgement_lifts_the_rule(l10n: Backport, window: Window, rae: User) -> None:
    take_on(l10n, rae, "l10n")
    approve(l10n, rae)
    assert queue(window) == [[2000]]
    assert Event.objects.filter(kind="backport.acknowledge").count() == 1


def test_other_words_of_the_rule_ask_again_and_the_approval_stands(
    l10n: Backport, window: Window, rae: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_on(l10n, rae, "l10n")
    approve(l10n, rae)
    longer = replace(window.numbers, l10n_extra_minutes=25)
    monkeypatch.setattr(Window, "numbers", longer)
    replan_window(window=window, now=timezone.now())
    l10n.refresh_from_db()
    assert (l10n.status, queue(window)) == (Status.APPROVED, [])
    take_on(l10n, rae, "l10n")
    assert queue(window) == [[2000]]
    assert Acknowledgement.objects.filter(ended_at__isnull=True).count() == 1


def test_another_patch_set_ends_the_acknowledgement(
    l10n: Backport, window: Window, rae: User
) -> None:
    take_on(l10n, rae, "l10n")
    fix, _ = fetched_fix(2000, files=L10N)
    store_changes(fetched=[replace(fix, patch_set=2, sha="f" * 40)], at=timezone.now())
    (ended,) = Acknowledgement.objects.all()
    assert ended.ended_at is not None
    assert Event.objects.filter(kind="backport.end-lifting").count() == 1


@pytest.mark.parametrize(
    ("rules", "reason"),
    [((), REASON), (("l10n", "vendor"), REASON), (("l10n",), "short")],
)
def test_exactly_what_objects_is_taken_on_with_a_reason(
    l10n: Backport, rae: User, rules: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(Refused):
        take_on(l10n, rae, *rules, reason=reason)
    assert not Acknowledgement.objects.exists()


def test_nothing_to_acknowledge_is_refused(backport: Backport, rae: User) -> None:
    with pytest.raises(Refused, match="No rule asks"):
        take_on(backport, rae)


@pytest.mark.parametrize("name", ["ada", "dev", "sam"])
def test_only_a_reviewer_of_other_peoples_work_acknowledges(l10n: Backport, name: str) -> None:
    person = User.objects.filter(username=name).first() or make_person(name)
    with pytest.raises(NotPermitted):
        take_on(l10n, person, "l10n")


def test_a_stale_page_acknowledges_nothing(l10n: Backport, rae: User) -> None:
    with pytest.raises(OutOfDate):
        reviews.acknowledge_findings(
            backport=l10n, by=rae, fingerprint="0" * 64, rules=frozenset({"l10n"}), reason=REASON
        )


def test_the_database_refuses_the_requesters_acknowledgement(l10n: Backport, ada: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Acknowledgement.objects.create(
            backport=l10n,
            rule="l10n",
            by=ada,
            requester=ada,
            reason=REASON,
            made_at=timezone.now(),
        )


# --- Overriding


def test_an_override_takes_two_people(
    long_task: Backport, window: Window, rae: User, rel: User
) -> None:
    approve(long_task, rae)
    override = propose(long_task, rae)
    assert queue(window) == []
    with pytest.raises(NotPermitted, match="you proposed the override"):
        confirm(override, rae)
    confirm(override, rel)
    assert queue(window) == [[3000]]
    assert [e.kind for e in Event.objects.order_by("seq")][-2:] == [
        "backport.propose-override",
        "backport.confirm-override",
    ]


def test_a_second_account_is_not_a_second_person(
    long_task: Backport, window: Window, rae: User, rel: User
) -> None:
    rae.other_names.create(name="rel")
    override = propose(long_task, rae)
    with pytest.raises(NotPermitted, match="you proposed the override"):
        confirm(override, rel)


@pytest.mark.parametrize("name", ["ada", "sam"])
def test_neither_the_requester_nor_anybody_proposes(long_task: Backport, name: str) -> None:
    person = User.objects.filter(username=name).first() or make_person(name)
    with pytest.raises(NotPermitted):
        propose(long_task, person)


def test_the_requester_does_not_confirm(long_task: Backport, rae: User, ada: User) -> None:
    override = propose(long_task, rae)
    with pytest.raises(NotPermitted):
        confirm(override, ada)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"rule": "frozen"}, "does not object"),
        ({"rule": "not-approved"}, "never overridden"),
        ({"reason": "Because it must."}, "20 characters"),
    ],
)
def test_what_cannot_be_overridden(
    long_task: Backport, rae: User, said: dict[str, str], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        propose(long_task, rae, **said)
    assert not Override.objects.exists()


def test_one_override_of_a_rule_is_proposed_at_a_time(
    long_task: Backport, rae: User, rel: User
) -> None:
    propose(long_task, rae)
    with pytest.raises(Refused, match="proposed already"):
        propose(long_task, rel)


def test_an_override_of_something_else_is_not_confirmed(
    long_task: Backport, ada: User, rae: User, rel: User
) -> None:
    override = propose(long_task, rae)
    amend_backport(
        backport=long_task,
        by=ada,
        fingerprint=again(long_task),
        answers=answers(criteria=frozenset({"long-task"}), problems_where="The parser."),
    )
    with pytest.raises(OutOfDate):
        confirm(override, rel)
    override.refresh_from_db()
    assert override.ended_at is not None


def test_an_override_in_force_is_taken_back_with_a_reason(
    long_task: Backport, window: Window, rae: User, rel: User, dev: User
) -> None:
    approve(long_task, rae)
    override = confirm(propose(long_task, rae), rel)
    with pytest.raises(Refused):
        reviews.end_override(override=override, by=dev, reason=" ")
    reviews.end_override(override=override, by=dev, reason="The load is too high today.")
    assert queue(window) == []
    with pytest.raises(OutOfDate):
        reviews.end_override(override=override, by=dev, reason="Twice.")


def test_what_was_locked_with_an_override_does_not_go_without_it(
    long_task: Backport, window: Window, rae: User, rel: User, dev: User
) -> None:
    approve(long_task, rae)
    override = confirm(propose(long_task, rae), rel)
    plan = newest_plan(window)
    assert plan is not None
    lock_window(window=window, by=dev, plan_fingerprint=plan.fingerprint)
    reviews.end_override(override=override, by=dev, reason="The load is too high today.")
    long_task.refresh_from_db()
    assert long_task.status == Status.APPROVED


@pytest.mark.parametrize("confirmed_by", ["ada", "rae"])
def test_the_database_wants_two_others_as_well(
    long_task: Backport, ada: User, rae: User, confirmed_by: str
) -> None:
    override = propose(long_task, rae)
    second = User.objects.get(username=confirmed_by)
    with pytest.raises(IntegrityError), transaction.atomic():
        Override.objects.filter(pk=override.pk).update(
            confirmed_by=second, confirmed_at=timezone.now() + timedelta(minutes=1)
        )
    with pytest.raises(IntegrityError), transaction.atomic():
        Override.objects.filter(pk=override.pk).update(reason="Too short.")


def test_what_was_taken_on_ends_with_the_backport(
    long_task: Backport, rae: User, rel: User, dev: User
) -> None:
    override = confirm(propose(long_task, rae), rel)
    reviews.veto_backport(
        backport=long_task, by=dev, fingerprint=again(long_task), reason="The load is too high."
    )
    override.refresh_from_db()
    assert override.ended_at is not None
    assert Event.objects.order_by("seq").last().kind == "backport.end-lifting"  # type: ignore[union-attr]
