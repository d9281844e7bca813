"""Answers about two changes: contested, teaching, and about a change that is not in the window."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from scheduler.adapters.plan_document import parse, render
from scheduler.domain.changes import ChangeStatus
from scheduler.domain.errors import NotPermitted, OutOfDate, Refused
from scheduler.domain.planning.plan import plan_window
from scheduler.domain.statements import OnlyFirst, StatementKind
from scheduler.models import (
    Backport,
    Change,
    DismissedName,
    Event,
    Notification,
    Question,
    Statement,
    User,
    Window,
)
from scheduler.queries import newest_plan
from scheduler.services.notifications import deliver_events, send_notifications
from scheduler.services.plans import replan_window
from scheduler.services.statements import OnPair, answer_question, contest_answer
from scheduler.services.windows import unlock_window
from tests.answering import answer, contest, on_pair, shown, unrelated
from tests.driving import Drive, lock
from tests.factories import (
    BRANCH,
    approve,
    fetched,
    make_backport,
    make_change,
    make_person,
    make_train,
    make_window,
)
from tests.services.checks import wrongs

DEFINES = "--- a/b.js\n+++ b/b.js\n@@ -0,0 +10,1 @@\n+mw.fancy.openPlumage = function () {\n"
USES = "--- a/a.js\n+++ b/a.js\n@@ -0,0 +20,1 @@\n+mw.fancy.openPlumage( event );\n"
OTHER_NAME = "--- a/c.js\n+++ b/c.js\n@@ -0,0 +10,1 @@\n+mw.fancy.closeFeathers = function () {\n"
USES_OTHER = "--- a/d.js\n+++ b/d.js\n@@ -0,0 +20,1 @@\n+mw.fancy.closeFeathers( event );\n"
BUG = "Change\n\nBug: T4711\nChange-Id: I{:040x}"
WHY = "The two are of different tools."
ECHO, FLOW = "mediawiki/extensions/Echo", "mediawiki/extensions/Flow"

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def code(number: int, project: str, diff: str = "", **facts: Any) -> Any:  # noqa: ANN401
    return fetched(number, **{"project": project, "branch": BRANCH, "diff": diff, **facts})


def book(window: Window, by: User, number: int, project: str, diff: str, **facts: Any) -> Backport:  # noqa: ANN401
    """Book a fix that is merged in master."""
    merged = {**facts, "branch": "master", "status": ChangeStatus.MERGED, "diff": ""}
    given = {"change_id": f"I{number:040x}", **facts}
    fix = code(number, project, diff, **given)
    return make_backport(window, by, fix, code(number + 100_000, project, **{**given, **merged}))


@pytest.fixture
def pair(window: Window, ada: User) -> tuple[Backport, Backport]:
    """Two backports of one window: what the first defines, the second starts to use."""
    return book(window, ada, 1, ECHO, DEFINES), book(window, ada, 2, FLOW, USES)


def asked(window: Window | None = None) -> list[tuple[int, int]]:
    rows = Question.objects.filter(closed_at__isnull=True)
    if window is not None:
        rows = rows.filter(window=window)
    return sorted(rows.values_list("low", "high"))


def objected(window: Window, rule: str = "coupling-unanswered") -> set[int]:
    """Return the backports of which a rule says something in the newest plan."""
    plan = newest_plan(window)
    assert plan is not None
    return {one["change"] for one in plan.result["findings"] if one["rule"] == rule}


# --- Unrelated, and what that teaches -----------------------------------------------------------


def test_names_that_somebody_dismissed_are_not_asked_about_again(
    pair: tuple[Backport, Backport], window: Window, ada: User, rae: User
) -> None:
    unrelated(pair, rae, reason=WHY)
    book(window, ada, 3, ECHO, DEFINES)
    book(window, ada, 4, FLOW, USES)
    assert asked() == []
    # Another name of the same two projects speaks, and so does the same name of others.
    book(window, ada, 5, ECHO, OTHER_NAME)
    book(window, ada, 6, FLOW, USES_OTHER)
    assert asked() == [(5, 6)]
    book(window, ada, 7, "mediawiki/extensions/Cite", USES)
    assert (1, 7) in asked()
    assert wrongs() == []


def test_without_a_reason_nothing_is_learned(
    pair: tuple[Backport, Backport], window: Window, ada: User, rae: User
) -> None:
    unrelated(pair, rae)
    book(window, ada, 3, ECHO, DEFINES)
    assert asked() == [(2, 3)]
    assert not DismissedName.objects.exists()


def test_names_speak_again_once_somebody_says_otherwise(
    pair: tuple[Backport, Backport], window: Window, ada: User, rae: User
) -> None:
    unrelated(pair, rae, reason=WHY)
    answer(pair, rae)
    book(window, ada, 3, ECHO, DEFINES)
    assert asked() == [(2, 3)]


def test_a_bug_that_two_changes_share_is_dismissed_for_these_two_alone(
    window: Window, ada: User, rae: User
) -> None:
    pair = (
        book(window, ada, 1, ECHO, "", message=BUG.format(1)),
        book(window, ada, 2, FLOW, "", message=BUG.format(2)),
    )
    unrelated(pair, rae, reason=WHY)
    book(window, ada, 3, ECHO, "", message=BUG.format(3))
    assert asked() == [(2, 3)]


def test_a_plan_document_carries_what_was_dismissed(
    pair: tuple[Backport, Backport], window: Window, ada: User, rae: User
) -> None:
    unrelated(pair, rae, reason=WHY)
    plan = newest_plan(window)
    assert plan is not None
    (dismissed,) = plan.document["dismissed"]
    assert dismissed["projects"] == [ECHO, FLOW]
    assert "openplumage" in dismissed["names"]


# --- Contested ----------------------------------------------------------------------------------


def test_what_somebody_contests_is_asked_again_and_both_are_held(
    pair: tuple[Backport, Backport], window: Window, ada: User, rae: User
) -> None:
    answer(pair, ada)
    assert objected(window) == set()
    contest(pair, rae, reason="Both break that way.")
    assert asked() == [(1, 2)]
    assert objected(window) == {1, 2}
    evidence = Question.objects.get(closed_at__isnull=True).evidence
    assert evidence[0]["text"] == "rae contests what ada said (1 before 2): Both break that way."
    assert {one["kind"] for one in evidence} > {"contested", "defines-what-other-uses"}
    assert wrongs() == []

    answer(pair, rae, kind=StatementKind.TOGETHER, only_first=OnlyFirst.NOTHING)
    assert asked() == []
    assert wrongs() == []


def test_an_answer_about_two_that_nothing_else_couples_can_be_contested(
    window: Window, ada: User, rae: User
) -> None:
    """The detector would not ask: the word of who contests is enough."""
    pair = book(window, ada, 1, ECHO, DEFINES), book(window, ada, 2, FLOW, USES_OTHER)
    assert asked() == []
    answer(pair, rae)
    contest(pair, ada)
    assert asked() == [(1, 2)]
    assert objected(window) == {1, 2}


def test_both_sides_are_told_that_an_answer_is_contested(
    window: Window, ada: User, rae: User, dev: User
) -> None:
    User.objects.filter(pk__in=[ada.pk, dev.pk]).update(email="x@example.org")
    User.objects.filter(pk=dev.pk).update(email="y@example.org")
    pair = book(window, ada, 1, ECHO, DEFINES), book(window, dev, 2, FLOW, USES)
    answer(pair, rae)
    deliver_events(at=timezone.now())
    Notification.objects.all().delete()
    contest(pair, rae)
    deliver_events(at=timezone.now())
    assert set(Notification.objects.values_list("recipient__username", flat=True)) == {"ada", "dev"}


def test_who_is_too_late_reads_what_is_new(
    pair: tuple[Backport, Backport], window: Window, ada: User, rae: User
) -> None:
    before = shown(window)
    answer(pair, ada)
    with pytest.raises(OutOfDate, match=r"opened it: ada said how 1 and 2 belong together\. Read"):
        answer(pair, rae, plan_fingerprint=before)
    book(window, ada, 3, ECHO, OTHER_NAME)
    with pytest.raises(OutOfDate, match=r"belong together; 3 was booked\. Read it again"):
        answer(pair, rae, plan_fingerprint=before)
    before = shown(window)
    contest(pair, rae)
    with pytest.raises(OutOfDate, match="what was said of 1 and 2 does not count any more"):
        answer(pair, rae, plan_fingerprint=before)
    with pytest.raises(OutOfDate, match="since you opened it; read it again"):
        answer(pair, rae, plan_fingerprint="0" * 64)


def test_both_sides_are_told_when_a_question_comes_up_and_once(
    window: Window, ada: User, dev: User
) -> None:
    User.objects.filter(pk=ada.pk).update(email="x@example.org")
    User.objects.filter(pk=dev.pk).update(email="y@example.org")
    book(window, ada, 1, ECHO, DEFINES)
    deliver_events(at=timezone.now())
    Notification.objects.all().delete()
    book(window, dev, 2, FLOW, USES)
    replan_window(window=window, now=timezone.now())
    deliver_events(at=timezone.now())
    told = Notification.objects.filter(event__kind="question.ask")
    assert set(told.values_list("recipient__username", flat=True)) == {"ada", "dev"}
    assert told.count() == 2
    assert told[0].event.payload == {"first": 1, "then": 2}

    answer((Backport.objects.get(change__number=1), Backport.objects.get(change__number=2)), ada)
    mail.outbox.clear()
    send_notifications(at=timezone.now())
    assert not told.exists()
    assert all("belong together" not in one.subject for one in mail.outbox)


def test_contesting_ends_the_approvals_that_were_given_with_the_answer(
    pair: tuple[Backport, Backport], ada: User, rae: User
) -> None:
    unrelated(pair, ada)
    pair[0].refresh_from_db()
    assert pair[0].approved_content == ""
    statement = Statement.objects.get()
    contest(pair, rae)
    statement.refresh_from_db()
    assert statement.contested_by == rae
    assert statement.superseded_at == statement.contested_at
    assert Event.objects.latest("seq").kind == "question.contest"


def test_a_contest_is_refused(
    pair: tuple[Backport, Backport], ada: User, rae: User, dev: User
) -> None:
    with pytest.raises(Refused, match="Nobody has answered that"):
        contest(pair, rae)
    answer(pair, ada)
    with pytest.raises(NotPermitted):
        contest(pair, dev)
    with pytest.raises(Refused, match="Say what is wrong about it"):
        contest(pair, rae, reason="  ")
    with pytest.raises(OutOfDate):
        contest_answer(on=on_pair(pair, rae, plan_fingerprint="0" * 64), reason=WHY)
    contest(pair, rae)
    with pytest.raises(Refused, match="somebody contested it before"):
        contest(pair, rae)


def test_a_contest_that_is_not_in_the_log_is_found(
    pair: tuple[Backport, Backport], ada: User, rae: User
) -> None:
    answer(pair, ada)
    contest(pair, rae)
    Statement.objects.update(contest_reason="Something else.")
    assert any("Contest" in wrong for wrong in wrongs())


# --- Cherry-picks -------------------------------------------------------------------------------

OTHER_BRANCH = "wmf/1.47.0-wmf.31"


@pytest.fixture
def picks(
    pair: tuple[Backport, Backport], window: Window, ada: User, dev: User
) -> tuple[Backport, Backport]:
    """The same two fixes for another version, booked by Ada and by Dev."""
    return (
        book(window, ada, 3, ECHO, DEFINES, change_id=f"I{1:040x}", branch=OTHER_BRANCH),
        book(window, dev, 4, FLOW, USES, change_id=f"I{2:040x}", branch=OTHER_BRANCH),
    )


def in_force() -> set[tuple[int, int, str]]:
    rows = Statement.objects.filter(superseded_at__isnull=True)
    return set(rows.values_list("first__number", "then__number", "kind"))


def test_one_answer_holds_for_all_their_cherry_picks(
    pair: tuple[Backport, Backport], picks: tuple[Backport, Backport], window: Window, rae: User
) -> None:
    assert asked() == [(1, 2), (1, 4), (2, 3), (3, 4)]
    answer(pair, rae)
    assert asked() == []
    assert in_force() == {(one, two, "before") for one in (1, 3) for two in (2, 4)}
    assert Event.objects.filter(kind="question.answer").count() == 4
    assert objected(window) == set()
    assert wrongs() == []


def test_a_requester_answers_for_what_they_asked_for_alone(
    pair: tuple[Backport, Backport], picks: tuple[Backport, Backport], dev: User
) -> None:
    answer((pair[0], picks[1]), dev)
    assert asked() == [(1, 2), (2, 3)]  # both of Ada
    assert in_force() == {(1, 4, "before"), (3, 4, "before")}


def test_what_was_answered_before_stays_and_the_rest_is_contested_together(
    pair: tuple[Backport, Backport], picks: tuple[Backport, Backport], ada: User, rae: User
) -> None:
    answer((pair[1], pair[0]), rae, only_first=OnlyFirst.NOTHING)
    assert len(in_force()) == 4
    unrelated((pair[0], picks[1]), ada)  # of one pair somebody knows better
    assert in_force() == {(2, 1, "before"), (2, 3, "before"), (4, 3, "before"), (1, 4, "unrelated")}
    contest(picks, ada)
    assert in_force() == {(1, 4, "unrelated")}
    assert asked() == [(1, 2), (2, 3), (3, 4)]
    assert Event.objects.filter(kind="question.contest").count() == 3
    assert wrongs() == []
    answer(pair, rae)
    assert in_force() == {
        (1, 2, "before"),
        (3, 2, "before"),
        (3, 4, "before"),
        (1, 4, "unrelated"),
    }


def test_what_was_said_of_one_pair_at_a_time_is_contested_one_at_a_time(
    pair: tuple[Backport, Backport], picks: tuple[Backport, Backport], ada: User, rae: User
) -> None:
    answer(pair, rae)
    answer(picks, rae)
    contest(picks, ada)
    assert asked() == [(3, 4)]


# --- Across windows -----------------------------------------------------------------------------


@pytest.fixture
def evening() -> Window:
    """The window after the first one."""
    return make_window(in_hours=30, title="Evening SWAT")


@pytest.fixture
def apart(window: Window, evening: Window, ada: User, dev: User) -> tuple[Backport, Backport]:
    """Two backports of two windows: what the later one defines, the earlier one uses."""
    return (
        book(window, ada, 1, FLOW, USES, message=BUG.format(1)),
        book(evening, dev, 2, ECHO, DEFINES, message=BUG.format(2)),
    )


def test_the_other_half_in_another_window_is_asked_about_in_both(
    apart: tuple[Backport, Backport], window: Window, evening: Window
) -> None:
    replan_window(window=window, now=timezone.now())
    assert asked(window) == asked(evening) == [(1, 2)]
    assert Event.objects.filter(kind="question.ask").count() == 1
    assert (objected(window), objected(evening)) == ({1}, {2})
    where = Question.objects.get(window=window).evidence[0]
    assert where["text"].startswith("2 (Echo) is booked in Evening SWAT")
    # Planning again changes nothing, in whatever order.
    for again in (evening, window, evening):
        replan_window(window=again, now=timezone.now())
    assert Question.objects.count() == 2
    assert wrongs() == []


def test_the_requester_of_the_other_half_answers_and_both_windows_follow(
    apart: tuple[Backport, Backport], window: Window, evening: Window, dev: User
) -> None:
    replan_window(window=window, now=timezone.now())
    answer((apart[1], apart[0]), dev)  # what is defined goes first, and it goes later
    assert asked() == []
    assert objected(window, "dependency-not-scheduled") == {1}
    assert objected(evening) == set()
    assert wrongs() == []


def test_the_first_half_first_is_fine_across_windows(
    apart: tuple[Backport, Backport], window: Window, ada: User
) -> None:
    replan_window(window=window, now=timezone.now())
    answer(apart, ada)
    assert asked() == []
    assert objected(window, "dependency-not-scheduled") == set()


def test_whoever_has_no_part_in_either_does_not_answer(
    apart: tuple[Backport, Backport], window: Window, rel: User
) -> None:
    replan_window(window=window, now=timezone.now())
    sam = make_person("sam")
    with pytest.raises(NotPermitted):
        unrelated(apart, sam)


def test_what_nobody_asks_about_is_not_answered_across_windows(
    window: Window, evening: Window, ada: User, rae: User
) -> None:
    pair = book(window, ada, 1, ECHO, DEFINES), book(evening, ada, 2, FLOW, USES_OTHER)
    with pytest.raises(Refused, match="Both changes have to be booked"):
        unrelated(pair, rae)


def test_little_evidence_is_not_enough_across_windows(
    window: Window, evening: Window, ada: User
) -> None:
    """In one window a shared bug is enough; across windows many more pairs are looked at."""
    book(window, ada, 1, ECHO, "", message=BUG.format(1))
    book(evening, ada, 2, FLOW, "", message=BUG.format(2))
    assert asked() == []


def test_a_locked_window_is_left_alone(
    apart: tuple[Backport, Backport], window: Window, evening: Window, ada: User, rae: User
) -> None:
    """Nobody could answer there, and what was approved and locked stays so."""
    dev = apart[1].requester
    replan_window(window=window, now=timezone.now())
    unrelated(apart, ada)
    approve(apart[0], rae)
    lock(window, dev)
    turned = (apart[1], apart[0])
    with pytest.raises(Refused, match=r"The other one is in Morning SWAT.*whose queue is fixed"):
        contest(turned, dev)
    with pytest.raises(Refused, match="whose queue is fixed"):
        unrelated(turned, dev)
    Statement.objects.all().delete()  # as if nobody had ever answered
    for each in (window, evening):
        replan_window(window=each, now=timezone.now())
    assert asked() == []


def test_nothing_is_asked_in_a_window_that_is_locked_whatever_comes_to_be_known(
    window: Window, ada: User, dev: User, rae: User
) -> None:
    """A topic that somebody sets in Gerrit does not stop a running window."""
    pair = book(window, ada, 1, ECHO, DEFINES), book(window, ada, 2, FLOW, USES_OTHER)
    for backport in pair:
        approve(backport, rae)
    lock(window, dev)
    Change.objects.filter(number__in=(1, 2)).update(topic="one-topic")
    replan_window(window=window, now=timezone.now())
    assert asked() == []
    unlock_window(window=window, by=dev, reason="To see.")
    assert asked() == [(1, 2)]


def test_a_window_is_deployed_after_an_answer_about_another_one(
    apart: tuple[Backport, Backport], window: Window, ada: User, dev: User, rae: User
) -> None:
    replan_window(window=window, now=timezone.now())
    answer(apart, ada, only_first=OnlyFirst.NOTHING)
    approve(apart[0], rae)
    assert begun_with(window, dev).start(1).phase == "going"
    assert wrongs() == []


def test_a_better_reason_teaches_no_less(
    pair: tuple[Backport, Backport], window: Window, ada: User, rae: User
) -> None:
    unrelated(pair, rae, reason=WHY)
    taught = set(DismissedName.objects.values_list("name", flat=True))
    unrelated(pair, ada, reason="They are of different teams.")
    in_force = DismissedName.objects.filter(statement__superseded_at__isnull=True)
    assert set(in_force.values_list("name", flat=True)) == taught
    book(window, ada, 3, ECHO, DEFINES)
    assert asked() == []


def test_all_names_that_spoke_are_dismissed(window: Window, ada: User, rae: User) -> None:
    names = [f"openPlumage{letter}" for letter in "abcdefghij"]
    uses = "--- a/a.js\n+++ b/a.js\n@@ -0,0 +20,10 @@\n" + "".join(
        f"+mw.fancy.{n}( e );\n" for n in names
    )
    defines = uses.replace("( e );", " = function () {").replace("a.js", "b.js")
    pair = book(window, ada, 1, ECHO, defines), book(window, ada, 2, FLOW, uses)
    unrelated(pair, rae, reason=WHY)
    assert DismissedName.objects.filter(name__startswith="openplumage").count() == len(names)
    book(window, ada, 3, ECHO, defines)
    assert asked() == []


def test_an_answer_holds_for_another_cherry_pick_of_the_other_half(
    apart: tuple[Backport, Backport], window: Window, evening: Window, ada: User, dev: User
) -> None:
    replan_window(window=window, now=timezone.now())
    unrelated(apart, ada)
    later = make_window(in_hours=50, title="Late SWAT")
    newer = {"branch": "wmf/1.47.0-wmf.31", "change_id": f"I{2:040x}", "message": BUG.format(2)}
    make_backport(later, dev, code(3, ECHO, DEFINES, **newer))
    replan_window(window=window, now=timezone.now())
    assert asked(window) == []


def test_what_is_dismissed_elsewhere_does_not_change_a_plan(
    window: Window, evening: Window, ada: User, rae: User, dev: User
) -> None:
    approve(make_backport(window, ada, fetched(9)), rae)
    before = shown(window)
    pair = book(evening, ada, 1, ECHO, DEFINES), book(evening, ada, 2, FLOW, USES)
    unrelated(pair, rae, reason=WHY)
    replan_window(window=window, now=timezone.now())
    assert shown(window) == before


def test_a_message_with_very_many_mentions_is_planned(window: Window, ada: User) -> None:
    says = " ".join(f"I{number:07x} I{number:040x}" for number in range(1, 3000))
    own = book(window, ada, 1, FLOW, USES, message=f"Change\n\n{says}\n\nChange-Id: I{1:040x}")
    assert own.change.number == 1


def test_the_other_half_that_rides_the_train_is_asked_about(window: Window, ada: User) -> None:
    make_train(timezone.now())
    riding = {"branch": "master", "status": ChangeStatus.MERGED, "message": BUG.format(2)}
    make_change(code(2, ECHO, DEFINES, **riding))
    book(window, ada, 1, FLOW, USES, message=BUG.format(1))
    (question,) = Question.objects.all()
    assert question.evidence[0]["text"].startswith("2 (Echo) rides the train")

    on_newer = {**riding, "included_in": frozenset({"wmf/1.47.0-wmf.31"})}
    make_change(code(2, ECHO, DEFINES, patch_set=2, **on_newer))
    replan_window(window=window, now=timezone.now())
    replan = newest_plan(window)
    assert replan is not None
    (told,) = replan.result["questions"]
    assert told["evidence"][0]["text"] == "2 (Echo) is on 1.47.0-wmf.31 only"

    there = {**riding, "included_in": frozenset({BRANCH, "wmf/1.47.0-wmf.31"})}
    make_change(code(2, ECHO, DEFINES, patch_set=3, **there))
    replan_window(window=window, now=timezone.now())
    assert asked() == []  # wherever the one goes, the other is


def test_what_is_declared_is_not_asked_about_across_windows(
    window: Window, evening: Window, ada: User
) -> None:
    book(evening, ada, 2, ECHO, DEFINES, message=BUG.format(2))
    declaring = f"{BUG.format(1)}\nDepends-On: I{2:040x}"
    book(window, ada, 1, FLOW, USES, message=declaring)
    assert asked() == []


def test_what_is_declared_by_the_start_of_a_change_id_is_not_asked_about(
    window: Window, evening: Window, ada: User
) -> None:
    other = {"change_id": "Iabcdef1234" + "0" * 30}
    book(evening, ada, 2, ECHO, DEFINES, message=BUG.format(2), **other)
    declaring = f"{BUG.format(1)}\nDepends-On: Iabcdef1234"
    book(window, ada, 1, FLOW, USES, message=declaring)
    assert asked() == []


def test_what_was_long_ago_or_is_far_away_is_not_looked_at(window: Window, ada: User) -> None:
    far = make_window(in_hours=24 * 40, title="Far away")
    book(far, ada, 2, ECHO, DEFINES, message=BUG.format(2))
    riding = {"branch": "master", "status": ChangeStatus.MERGED, "message": BUG.format(3)}
    make_change(code(3, ECHO, DEFINES, **riding))
    Change.objects.filter(number=3).update(fetched_at=timezone.now() - timedelta(days=30))
    book(window, ada, 1, FLOW, USES, message=BUG.format(1))
    assert asked() == []


def test_what_crowds_in_ends_no_question(
    apart: tuple[Backport, Backport],
    window: Window,
    ada: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scheduler.couplings.MOST_BOOKED", 1)
    replan_window(window=window, now=timezone.now())
    assert asked(window) == [(1, 2)]
    later = make_window(in_hours=50, title="Late SWAT")
    book(later, ada, 5, "mediawiki/extensions/Cite", OTHER_NAME)
    replan_window(window=window, now=timezone.now())
    assert asked(window) == [(1, 2)]


def test_an_answer_holds_for_another_cherry_pick_of_this_half(
    apart: tuple[Backport, Backport], window: Window, evening: Window, ada: User
) -> None:
    replan_window(window=window, now=timezone.now())
    unrelated(apart, ada)
    newer = {"branch": "wmf/1.47.0-wmf.31", "change_id": f"I{1:040x}", "message": BUG.format(1)}
    make_backport(window, ada, code(3, FLOW, USES, **newer))
    assert asked(window) == []


def test_the_newest_of_many_are_looked_at(
    window: Window, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing is asked yet, and on every database."""
    monkeypatch.setattr("scheduler.couplings.MOST_BOOKED", 1)
    far = make_window(in_hours=100, title="Far SWAT")
    near = make_window(in_hours=30, title="Evening SWAT")
    book(near, ada, 2, ECHO, OTHER_NAME)
    book(far, ada, 3, ECHO, DEFINES, message=BUG.format(3))
    book(window, ada, 1, FLOW, USES, message=BUG.format(1))
    assert asked(window) == [(1, 3)]


def begun_with(window: Window, dev: User) -> Drive:
    """Lock a window that began a while ago, and begin to deploy it."""
    now = timezone.now()
    Window.objects.filter(pk=window.pk).update(
        start=now - timedelta(minutes=5), end=now + timedelta(minutes=55)
    )
    window.refresh_from_db()
    lock(window, dev)
    return Drive(window, dev).take().begin()


def test_what_is_deployed_in_a_running_window_is_not_asked_about(
    window: Window, evening: Window, ada: User, dev: User, rae: User
) -> None:
    """Its steps are still to come: nothing that is said now may stop them."""
    early = book(window, dev, 2, ECHO, DEFINES, message=BUG.format(2))
    other = make_backport(window, ada, fetched(9))
    for backport in (early, other):
        approve(backport, rae)
    drive = begun_with(window, dev)
    drive.deploy(1)
    newer = {"branch": "wmf/1.47.0-wmf.31", "message": BUG.format(1)}
    late = make_backport(evening, ada, code(1, FLOW, USES, **newer))
    assert asked() == []
    early.refresh_from_db()
    with pytest.raises(Refused, match="whose queue is fixed"):
        answer_question(
            on=OnPair(late.change, early.change, ada, evening, shown(evening)),
            kind=StatementKind.TOGETHER,
            only_first=OnlyFirst.NOTHING,
        )
    # Even if it had been said before.
    Statement.objects.create(
        first=late.change,
        then=early.change,
        low=1,
        high=2,
        kind="before",
        by=ada,
        made_at=timezone.now(),
    )
    assert drive.start(2).phase == "going"


def test_a_window_that_overruns_is_as_fixed_as_before_its_end(
    apart: tuple[Backport, Backport], window: Window, ada: User, dev: User, rae: User
) -> None:
    replan_window(window=window, now=timezone.now())
    unrelated(apart, ada)
    approve(apart[0], rae)
    begun_with(window, dev)
    Window.objects.filter(pk=window.pk).update(end=timezone.now() - timedelta(minutes=1))
    with pytest.raises(Refused, match="whose queue is fixed"):
        answer((apart[1], apart[0]), dev)


def test_what_is_stored_of_a_question_follows_where_the_other_half_is(
    apart: tuple[Backport, Backport], window: Window, evening: Window
) -> None:
    replan_window(window=window, now=timezone.now())
    question = Question.objects.get(window=window)
    assert "is booked in Evening SWAT" in question.evidence[0]["text"]
    Window.objects.filter(pk=evening.pk).update(title="Late SWAT")
    replan_window(window=window, now=timezone.now())
    question.refresh_from_db()
    assert "is booked in Late SWAT" in question.evidence[0]["text"]


def test_a_contested_pair_across_windows_keeps_what_the_evidence_advises(
    window: Window, evening: Window, ada: User, rae: User
) -> None:
    """What leaves the one comes in the other: no order is known to be safe, contested or not."""
    lines = "".join(f"?theLine{n}( {n}, 'of what moves' );\n" for n in range(8))
    head = "--- a/a.js\n+++ b/a.js\n@@ -1,8 +1,8 @@\n"
    pair = (
        book(window, ada, 1, FLOW, head + lines.replace("?", "-"), message=BUG.format(1)),
        book(evening, ada, 2, ECHO, head + lines.replace("?", "+"), message=BUG.format(2)),
    )
    replan_window(window=window, now=timezone.now())
    assert Question.objects.get(window=window).advice == "together"
    unrelated(pair, ada)
    contest(pair, rae)
    again = Question.objects.get(window=window, closed_at__isnull=True)
    assert again.advice == "together"
    assert {"elsewhere", "moved", "contested"} <= {one["kind"] for one in again.evidence}


def test_a_plan_of_a_document_asks_the_same(
    apart: tuple[Backport, Backport], window: Window
) -> None:
    replan_window(window=window, now=timezone.now())
    stored = newest_plan(window)
    assert stored is not None
    again = render(plan_window(parse(json.dumps(stored.document))))
    assert again["questions"] == stored.result["questions"]


def test_a_question_ends_when_the_other_half_leaves(
    apart: tuple[Backport, Backport], window: Window, evening: Window, rae: User
) -> None:
    replan_window(window=window, now=timezone.now())
    Backport.objects.filter(pk=apart[1].pk).update(status="withdrawn")
    replan_window(window=window, now=timezone.now())
    replan_window(window=evening, now=timezone.now())
    assert asked() == []


def test_an_approval_is_not_ended_by_a_question_across_windows(
    window: Window, evening: Window, ada: User, dev: User, rae: User
) -> None:
    own = book(window, ada, 1, FLOW, USES, message=BUG.format(1))
    approve(own, rae)
    book(evening, dev, 2, ECHO, DEFINES, message=BUG.format(2))
    replan_window(window=window, now=timezone.now())
    own.refresh_from_db()
    assert own.approved_content != ""
    assert asked(window) == [(1, 2)]
    assert shown(window)
