"""What waits for whom, why, and since when: rows in, a list out, and no database."""

from datetime import timedelta
from typing import Any

import pytest

from scheduler.domain.permissions import Actor
from scheduler.models import (
    Acknowledgement,
    Backport,
    Change,
    Override,
    Question,
    Review,
    User,
    Window,
)
from scheduler.views.plan_pages import PlanPage
from scheduler.views.waiting import Rows, Waiting, Why, ago, waiting_for
from tests.factories import CAST, CONFIG, MOMENT

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PEOPLE = {name: User(pk=key, username=name) for key, name in enumerate(CAST, start=1)}
HELD = ("not-approved", "MUST", False)


def window(pk: int = 1, **columns: Any) -> Window:  # noqa: ANN401
    start = MOMENT + 3 * HOUR
    return Window(**{"pk": pk, "start": start, "end": start + HOUR, **columns})


def backport(number: int = 1000, **columns: Any) -> Backport:  # noqa: ANN401
    facts = {
        "pk": number,
        "number": number,
        "project": CONFIG,
        "patch_set": 2,
        "owner": "ada",
        "uploader": "ada",
        "fetched_at": MOMENT - HOUR,
        **columns.pop("facts", {}),
    }
    given = {
        "pk": number,
        "change": Change(**facts),
        "window": window(),
        "requester": PEOPLE["ada"],
        "submitted_at": MOMENT - HOUR,
        **columns,
    }
    return Backport(**given)


def review(decision: str, reviewer: str, minutes_ago: int, **columns: Any) -> Review:  # noqa: ANN401
    given = {
        "decision": decision,
        "reviewer": PEOPLE[reviewer],
        "made_at": MOMENT - minutes_ago * MINUTE,
        "patch_set": 2,
        **columns,
    }
    return Review(**given)


def override(by: str, confirmed_by: str | None = None) -> Override:
    return Override(
        rule="frozen",
        proposed_by=PEOPLE[by],
        confirmed_by=PEOPLE[confirmed_by] if confirmed_by else None,
        reason="Nobody can log in on any wiki.",
        proposed_at=MOMENT - 5 * MINUTE,
    )


def plan(*findings: tuple[int, str, str, bool]) -> PlanPage:
    """Return a plan with these findings: change, rule, level, and whether it is lifted."""
    return PlanPage(
        {
            "findings": [
                {
                    "change": change,
                    "rule": rule,
                    "level": level,
                    "message": f"{rule} objects.",
                    "changes": [change],
                    "lifted": lifted,
                }
                for change, rule, level, lifted in findings
            ]
        }
    )


def waits(name: str, *backports: Backport, names: str = "", **rows: Any) -> tuple[Waiting, ...]:  # noqa: ANN401
    """Return what waits for one of the cast, when a plan says nothing but that it is held."""
    held = {1: plan(*((one.change.number, *HELD) for one in backports))}
    actor = Actor(name, frozenset(CAST[name]), frozenset(names.split()))
    return waiting_for(actor, Rows(backports, **{"plans": held, **rows}), MOMENT)


@pytest.mark.parametrize("name", ["rae", "rel"])
def test_what_others_ask_for_waits_for_reviewers(name: str) -> None:
    (one,) = waits(name, backport())

    assert one.first.why is Why.REVIEW
    assert one.first.sentence == "ada asks for it, and nobody has approved patch set 2."
    assert (one.first.since, one.first.ago) == (MOMENT - HOUR, "1 h ago")


@pytest.mark.parametrize("name", ["ada", "dev", "sam"])
def test_it_waits_for_nobody_else(name: str) -> None:
    assert waits(name, backport()) == ()


@pytest.mark.parametrize(
    "own",
    [
        {"requester": PEOPLE["rae"]},
        {"facts": {"owner": "rae"}},
        {"facts": {"uploader": "RAE"}},
        {"edited_by": PEOPLE["rae"]},
        {"facts": {"owner": "rae_works"}},
    ],
)
def test_own_work_never_waits_for_oneself_by_whichever_name(own: dict[str, Any]) -> None:
    assert waits("rae", backport(**own), names="rae_works") == ()


@pytest.mark.parametrize("status", ["needs-info", "approved", "queued", "deploying"])
def test_what_is_not_submitted_waits_for_no_review(status: str) -> None:
    assert waits("rae", backport(status=status)) == ()


def test_nobody_can_have_seen_what_is_not_known_yet() -> None:
    assert waits("rae", backport(facts={"fetched_at": None, "patch_set": 0})) == ()


def test_a_reply_comes_back_to_who_asked() -> None:
    asked = review(
        "ask", "rae", 30, reason="Which wikis?", reply="All.", replied_at=MOMENT - 5 * MINUTE
    )

    (one,) = waits("rae", backport(), reviews={1000: [asked]})

    assert one.first.why is Why.REPLIED
    assert one.first.sentence == "You asked; ada replied 5 min ago."
    assert one.first.said == (("You asked", "Which wikis?"), ("ada replied", "All."))


def test_to_others_the_reply_makes_it_a_request_again_since_then() -> None:
    asked = review("ask", "rae", 30, replied_at=MOMENT - 5 * MINUTE)

    (one,) = waits("rel", backport(), reviews={1000: [asked]})

    assert (one.first.why, one.first.ago) == (Why.REVIEW, "5 min ago")


def test_changed_answers_are_an_answer_too() -> None:
    asked = review("ask", "rae", 30, reason="Which wikis?")
    reviews = {1000: [asked]}

    (one,) = waits("rae", backport(), reviews=reviews, amended={1000: MOMENT - 10 * MINUTE})

    assert one.first.sentence == "You asked; ada changed the answers 10 min ago."
    (before,) = waits("rae", backport(), reviews=reviews, amended={1000: MOMENT - HOUR})
    assert before.first.why is Why.REVIEW


def test_a_void_approval_says_which_patch_set_it_was_for() -> None:
    approved = review("approve", "rae", 40, patch_set=1, voided_at=MOMENT - 2 * MINUTE)

    (one,) = waits("rae", backport(), reviews={1000: [approved]})

    assert one.first.why is Why.VOIDED
    assert one.first.sentence == "You approved patch set 1; there is patch set 2."
    assert one.first.ago == "2 min ago"


def test_a_void_approval_of_the_same_patch_set_says_that_something_else_changed() -> None:
    approved = review("approve", "rae", 40, voided_at=MOMENT)

    (one,) = waits("rae", backport(), reviews={1000: [approved]})

    assert "what is said about it changed" in one.first.sentence
    assert one.first.ago == "just now"


def test_an_approval_after_the_question_closes_it() -> None:
    asked = review("ask", "rae", 50, replied_at=MOMENT - 45 * MINUTE)
    approved = review("approve", "rel", 40, voided_at=MOMENT - MINUTE)

    (one,) = waits("rae", backport(), reviews={1000: [asked, approved]})

    assert (one.first.why, one.first.ago) == (Why.REVIEW, "1 min ago")


@pytest.mark.parametrize("name", ["rae", "rel", "dev"])
def test_an_override_waits_for_a_second_person(name: str) -> None:
    by = "rel" if name == "rae" else "rae"
    plans = {1: plan((1000, "frozen", "MUST", False))}

    (one,) = waits(name, backport(), plans=plans, overrides={1000: [override(by)]})

    reason = next(each for each in one.reasons if each.why is Why.CONFIRM)
    assert reason.sentence == f"{by} proposes to override frozen; it takes a second person."
    assert reason.said == ((f"{by} says", "Nobody can log in on any wiki."),)
    assert one.overrides


@pytest.mark.parametrize(
    ("name", "proposed", "findings"),
    [
        ("dev", override("dev"), [(1000, "frozen", "MUST", False)]),
        ("dev", override("rae", "rel"), [(1000, "frozen", "MUST", True)]),
        ("dev", override("rae"), []),
        ("ada", override("rae"), [(1000, "frozen", "MUST", False)]),
    ],
)
def test_it_does_not_wait_for_its_proposer_or_once_it_is_settled(
    name: str, proposed: Override, findings: list[tuple[int, str, str, bool]]
) -> None:
    found = waits(name, backport(), plans={1: plan(*findings)}, overrides={1000: [proposed]})

    assert Why.CONFIRM not in {why for one in found for why in one.whys}


def test_an_acknowledgement_asks_again_when_the_rule_says_something_else() -> None:
    again = {1: plan((1000, "l10n", "SHOULD", False))}
    taken_on = {1000: [Acknowledgement(rule="l10n", by=PEOPLE["rae"])]}
    rows: dict[str, Any] = {"plans": again, "planned": {1: MOMENT - 7 * MINUTE}}

    (mine,) = waits("rae", backport(status="approved"), acknowledgements=taken_on, **rows)
    (theirs,) = waits("rel", backport(status="approved"), acknowledgements=taken_on, **rows)
    (new,) = waits("rel", backport(status="queued"), **rows)

    assert mine.first.why is Why.ACKNOWLEDGE
    assert mine.first.sentence.startswith("You took on l10n; it says something else now")
    assert theirs.first.sentence.startswith("rae took on l10n;")
    assert new.first.sentence.startswith("l10n objects since it was approved;")
    assert (mine.first.ago, mine.first.exact) == ("7 min ago", False)


def test_a_question_waits_for_the_requester_with_its_words() -> None:
    asked = review("ask", "rae", 30, reason="Which wikis?")
    rows: dict[str, Any] = {"reviews": {1000: [asked]}}

    (one,) = waits("ada", backport(status="needs-info"), **rows)

    assert one.first.why is Why.ASKED
    assert one.first.said == (("rae asks", "Which wikis?"),)
    assert waits("rae", backport(status="needs-info"), **rows) == ()


def open_question() -> dict[str, Any]:
    asked = Question(low=1000, high=1001, asked_at=MOMENT - 20 * MINUTE)
    return {"questions": {1: [asked]}}


def test_an_open_question_waits_once_for_the_requester_of_both() -> None:
    found = waits("ada", backport(1000), backport(1001), **open_question())

    assert [(one.backport.pk, one.first.why) for one in found] == [(1000, Why.QUESTION)]
    assert "how 1000 and 1001 belong together" in found[0].first.sentence


def test_an_open_question_waits_for_the_requester_of_the_second() -> None:
    others = backport(1000, requester=PEOPLE["rel"])

    found = waits("ada", others, backport(1001), **open_question())

    assert [(one.backport.pk, one.first.why) for one in found] == [(1001, Why.QUESTION)]


def test_deployers_are_told_what_is_open_in_their_window_soon() -> None:
    pair = (backport(1000), backport(1001))

    (one,) = waits("dev", *pair, deploying=frozenset({1}), **open_question())

    assert one.first.why is Why.WINDOW
    assert one.first.sentence.endswith("and your window starts in 3 h.")
    assert waits("dev", *pair, **open_question()) == ()
    later = [backport(n, window=window(start=MOMENT + 25 * HOUR)) for n in (1000, 1001)]
    assert waits("dev", *later, deploying=frozenset({1}), **open_question()) == ()


def test_a_requester_is_told_what_they_can_fix() -> None:
    plans = {1: plan((1000, "ci-failed", "MUST", False), (1000, *HELD))}

    (one,) = waits("ada", backport(), plans=plans)

    assert one.first.why is Why.BLOCKED
    assert one.first.sentence == "ci-failed objects."
    assert one.first.said[0][0] == "What would change it"


@pytest.mark.parametrize(
    "finding",
    [
        (1000, "l10n", "SHOULD", False),
        (1000, "over-capacity", "MUST", False),
        (1000, "frozen", "MUST", True),
    ],
)
def test_what_they_cannot_fix_does_not_wait_for_them(finding: tuple[int, str, str, bool]) -> None:
    assert waits("ada", backport(), plans={1: plan(finding)}) == ()


def test_who_will_be_there_is_theirs_to_say() -> None:
    (one,) = waits("ada", backport(), plans={1: plan((1000, "requester-absent", "MUST", False))})

    assert one.first.why is Why.BLOCKED


def test_most_urgent_first_then_what_was_answered_then_the_oldest() -> None:
    answered = review("ask", "rae", 30, replied_at=MOMENT - MINUTE)
    rows = [
        backport(1, submitted_at=MOMENT - 2 * HOUR),
        backport(2, submitted_at=MOMENT - 5 * HOUR),
        backport(3),
        backport(4, urgency=0, submitted_at=MOMENT),
        backport(5, urgency=3, submitted_at=MOMENT - 9 * HOUR),
    ]

    found = waits("rae", *rows, reviews={3: [answered]})

    assert [one.backport.pk for one in found] == [4, 3, 2, 1, 5]


@pytest.mark.parametrize(
    ("finding", "why_not"),
    [
        (None, ""),
        ((1000, "close-to-train", "MAY", False), ""),
        ((1000, "l10n", "SHOULD", True), "Rules object (l10n)"),
        ((1000, "frozen", "MUST", False), "Rules object (frozen)"),
    ],
)
def test_only_what_no_rule_would_move_can_be_ticked(
    finding: tuple[int, str, str, bool] | None, why_not: str
) -> None:
    findings = [(1000, *HELD), *([finding] if finding else [])]

    (one,) = waits("rae", backport(), plans={1: plan(*findings)})

    assert one.why_no_tick.startswith(why_not)
    assert bool(one.why_no_tick) is bool(why_not)


def test_a_warning_stands_beside_what_can_be_ticked() -> None:
    findings = [(1000, *HELD), (1000, "not-a-regression", "MAY", False)]

    (one,) = waits("rae", backport(), plans={1: plan(*findings)})

    assert [warning.rule for warning in one.warnings] == ["not-a-regression"]


def test_nothing_is_ticked_that_the_rules_have_not_judged_or_is_overridden() -> None:
    (unplanned,) = waits("rae", backport(), plans={})
    (overridden,) = waits("rae", backport(), overrides={1000: [override("rel")]})

    assert "not planned" in unplanned.why_no_tick
    assert "override of frozen" in overridden.why_no_tick


@pytest.mark.parametrize(
    ("time", "spoken"),
    [
        (timedelta(seconds=59), "just now"),
        (59 * MINUTE, "59 min ago"),
        (47 * HOUR, "47 h ago"),
        (timedelta(days=2), "2 days ago"),
    ],
)
def test_how_long_ago_it_was(time: timedelta, spoken: str) -> None:
    assert ago(MOMENT - time, MOMENT) == spoken
