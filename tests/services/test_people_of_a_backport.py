"""Who a backport belongs to: replies, handing over, watching, second accounts, vetoes."""

from typing import Any

import pytest
from django.utils import timezone

from scheduler.actors import actor_of, names_of, relations_to
from scheduler.domain.errors import IllegalTransition, NotPermitted, OutOfDate, Refused
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import Relation
from scheduler.models import Backport, Event, User, Watch, Window
from scheduler.queries import newest_plan, unchecked_backports
from scheduler.services import backports, reviews
from scheduler.services.changes import expect_change, store_changes
from tests.factories import answers, approve, fetched, make_backport, make_change, make_person

WHY = "It waits for the other team."


def ask(backport: Backport, by: User) -> Backport:
    return reviews.ask_requester(
        backport=backport, by=by, fingerprint=backport.fingerprint, reason="Which wikis?"
    )


def hand_over(backport: Backport, by: User, to: User) -> Backport:
    return backports.hand_over_backport(
        backport=backport, by=by, to=to, fingerprint=backport.fingerprint
    )


def kinds() -> list[str]:
    return list(Event.objects.order_by("seq").values_list("kind", flat=True))


# --- Asking and replying


def test_a_reply_brings_it_back_to_the_reviewer_who_asked(
    backport: Backport, ada: User, rae: User
) -> None:
    ask(backport, rae)
    reviews.reply_to_question(
        backport=backport, by=ada, fingerprint=backport.fingerprint, reply="All of group 1."
    )
    assert backport.status == Status.SUBMITTED
    question = backport.reviews.get(decision="ask")
    assert (question.reviewer, question.reply) == (rae, "All of group 1.")
    assert Event.objects.get(kind="backport.reply").payload["to"] == "rae"


def test_only_the_requester_replies_and_only_to_a_question(
    backport: Backport, ada: User, rae: User
) -> None:
    with pytest.raises(IllegalTransition):
        reviews.reply_to_question(
            backport=backport, by=ada, fingerprint=backport.fingerprint, reply="What?"
        )
    ask(backport, rae)
    with pytest.raises(NotPermitted):
        reviews.reply_to_question(
            backport=backport, by=rae, fingerprint=backport.fingerprint, reply="Me."
        )
    with pytest.raises(Refused, match="Write the answer"):
        reviews.reply_to_question(
            backport=backport, by=ada, fingerprint=backport.fingerprint, reply=" "
        )


def test_changing_the_answers_settles_the_question_too(
    backport: Backport, ada: User, rae: User
) -> None:
    ask(backport, rae)
    backports.amend_backport(
        backport=backport, by=ada, fingerprint=backport.fingerprint, answers=answers()
    )
    assert backport.reviews.get(decision="ask").replied_at is not None


# --- Decisions


def test_a_veto_takes_it_out_of_the_window_with_the_reason(
    backport: Backport, window: Window, rae: User, dev: User
) -> None:
    approve(backport, rae)
    with pytest.raises(NotPermitted):
        reviews.veto_backport(
            backport=backport, by=rae, fingerprint=backport.fingerprint, reason=WHY
        )
    reviews.veto_backport(backport=backport, by=dev, fingerprint=backport.fingerprint, reason=WHY)
    assert backport.status == Status.MISSED
    plan = newest_plan(window)
    assert plan is not None
    assert plan.result["queue"] == []
    assert backport.reviews.get(decision="veto").reason == WHY


def test_it_is_sent_to_a_dedicated_window(backport: Backport, rae: User) -> None:
    reviews.send_to_dedicated(
        backport=backport, by=rae, fingerprint=backport.fingerprint, reason=WHY
    )
    assert backport.status == Status.DEDICATED


def test_an_approval_is_withdrawn_with_a_reason(
    backport: Backport, window: Window, rae: User, rel: User
) -> None:
    with pytest.raises(IllegalTransition):
        reviews.withdraw_approval(
            backport=backport, by=rae, fingerprint=backport.fingerprint, reason=WHY
        )
    approve(backport, rae)
    reviews.withdraw_approval(
        backport=backport, by=rel, fingerprint=backport.fingerprint, reason=WHY
    )
    assert backport.status == Status.SUBMITTED
    assert backport.reviews.get(decision="approve").voided_at is not None
    assert kinds()[-1] == "backport.withdraw-approval"


# --- Whose it is


def test_handing_over_makes_another_requester_and_keeps_the_approval(
    backport: Backport, ada: User, rae: User, dev: User
) -> None:
    approve(backport, rae)
    hand_over(backport, ada, dev)
    assert (backport.requester, backport.edited_by) == (dev, ada)
    assert backport.status == Status.APPROVED
    assert Event.objects.get(kind="backport.hand-over").payload == {"from": "ada", "to": "dev"}


def test_an_approval_by_the_new_requester_is_void(backport: Backport, ada: User, rae: User) -> None:
    approve(backport, rae)
    hand_over(backport, ada, rae)
    assert backport.status == Status.SUBMITTED
    assert kinds()[-1] == "backport.void-approval"


def test_what_the_new_requester_took_on_ends(
    window: Window, ada: User, rae: User, rel: User
) -> None:
    backport = make_backport(window, ada, fetched(7), criteria=frozenset({"long-task"}))
    override = reviews.propose_override(
        backport=backport,
        by=rae,
        fingerprint=backport.fingerprint,
        rule="needs-own-window",
        reason="Users lose their edits until this is out.",
    )
    backports.read_again(backport)
    reviews.confirm_override(override=override, by=rel, fingerprint=backport.fingerprint)
    backports.read_again(backport)
    hand_over(backport, ada, rae)
    override.refresh_from_db()
    assert override.ended_at is not None
    assert kinds()[-2:] == ["backport.hand-over", "backport.end-lifting"]


def test_nobody_gives_their_work_away_to_approve_it(window: Window, rae: User, ada: User) -> None:
    backport = make_backport(window, rae, fetched(5, owner="dev", uploader="dev"))
    hand_over(backport, rae, ada)
    with pytest.raises(NotPermitted, match="the last to change"):
        approve(backport, rae)


def test_who_edited_last_does_not_approve(window: Window, ada: User, rel: User) -> None:
    backport = make_backport(window, ada, fetched(5, owner="dev", uploader="dev"))
    Backport.objects.filter(pk=backport.pk).update(edited_by=rel)
    with pytest.raises(NotPermitted, match="the last to change"):
        approve(backport, rel)


@pytest.mark.parametrize(("by", "to"), [("rae", "dev"), ("ada", "sam"), ("ada", "ada")])
def test_it_is_handed_over_by_its_requester_to_somebody_who_may_book(
    backport: Backport, by: str, to: str
) -> None:
    people = {
        name: User.objects.filter(username=name).first() or make_person(name) for name in {by, to}
    }
    with pytest.raises(Refused):
        hand_over(backport, people[by], people[to])
    backport.refresh_from_db()
    assert backport.requester.username == "ada"


def test_a_stale_page_hands_nothing_over(backport: Backport, ada: User, dev: User) -> None:
    with pytest.raises(OutOfDate):
        backports.hand_over_backport(backport=backport, by=ada, to=dev, fingerprint="0" * 64)


def test_watching_twice_is_watching_once(backport: Backport, dev: User, sam: User) -> None:
    for _ in range(2):
        backports.watch_backport(backport=backport, by=dev, watching=True)
    assert Watch.objects.count() == 1
    backports.watch_backport(backport=backport, by=dev, watching=False)
    assert not Watch.objects.exists()
    with pytest.raises(NotPermitted):
        backports.watch_backport(backport=backport, by=sam, watching=True)


# --- Second accounts


@pytest.mark.both_databases
def test_a_person_is_known_by_all_their_names(ada: User, rae: User, rel: User) -> None:
    ada.other_names.create(name="RAE")
    ada.other_names.create(name="ada-in-gerrit")
    assert names_of(ada) == {"RAE", "ada-in-gerrit"}
    assert names_of(rae) == {"ada", "RAE", "ada-in-gerrit"}
    assert names_of(rel) == frozenset()


@pytest.mark.parametrize("facts", [{"owner": "rae-in-gerrit"}, {"uploader": "Rae-In-Gerrit"}])
def test_nobody_approves_their_own_work_by_another_name(
    window: Window, ada: User, rae: User, facts: dict[str, Any]
) -> None:
    rae.other_names.create(name="rae-in-gerrit")
    backport = make_backport(window, ada, fetched(1, **facts))
    assert relations_to(actor_of(rae), backport) <= {Relation.OWNER, Relation.UPLOADER}
    with pytest.raises(NotPermitted):
        approve(backport, rae)


# --- Several at once, and changes that nobody has told about


def test_several_changes_are_booked_in_one_go_or_not_at_all(window: Window, ada: User) -> None:
    changes = [make_change(fetched(number)) for number in (1, 2)]
    booked = backports.submit_backports(
        changes=changes, window=window, requester=ada, answers=answers()
    )
    assert [one.change.number for one in booked] == [1, 2]
    assert all(one.fingerprint for one in booked)
    with pytest.raises(Refused, match="already booked"):
        backports.submit_backports(
            changes=[make_change(fetched(3)), changes[0]],
            window=window,
            requester=ada,
            answers=answers(),
        )
    assert Backport.objects.count() == len(changes)


@pytest.mark.both_databases
def test_a_change_that_is_not_known_yet_is_booked_and_held(
    window: Window, ada: User, rae: User
) -> None:
    backport = backports.submit_backport(
        change=expect_change(number=77), window=window, requester=ada, answers=answers()
    )
    assert unchecked_backports(window) == [backport]
    with pytest.raises(Refused):
        approve(backport, rae)
    store_changes(fetched=[fetched(77)], at=timezone.now())
    assert unchecked_backports(window) == []
    approve(backport, rae)
    plan = newest_plan(window)
    assert plan is not None
    assert [step["changes"] for step in plan.result["queue"]] == [[77]]


def test_an_expected_change_is_one_row(db: None) -> None:
    assert expect_change(number=5) == expect_change(number=5)
    known = make_change(fetched(6))
    assert expect_change(number=6) == known
