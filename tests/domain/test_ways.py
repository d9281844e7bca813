"""The cheapest way into a queue: the one thing that has to be done, and when its step starts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scheduler.domain.coupling.questions import Question
from scheduler.domain.errors import UnsafeQueue
from scheduler.domain.planning import ways
from scheduler.domain.planning.plan import Plan, PlanInput, plan_window
from scheduler.domain.planning.ways import Later, Way, WayKind, ways_into_queue
from scheduler.domain.policy.numbers import Numbers
from scheduler.domain.windows import Freeze, Window
from tests.domain.casebook import expanded, parsed

START = datetime(2026, 8, 26, 13, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIVE, NEXT = "1.47.0-wmf.16", "1.47.0-wmf.17"


def given(*changes: dict[str, Any], **document: object) -> PlanInput:
    """Return what a case in short form is planned from."""
    found = parsed(expanded({"changes": changes, "document": document}))
    assert found is not None
    return found


def way(*changes: dict[str, Any], later: tuple[Later, ...] = (), **document: object) -> Way | None:
    """Return the cheapest way of change 1."""
    found = ways_into_queue(given(*changes, **document), later, only={1})
    return found[1][0] if found else None


def window(hours: int) -> Window:
    return Window(START + hours * HOUR, START + (hours + 1) * HOUR)


def test_what_goes_needs_no_way() -> None:
    assert ways_into_queue(given({"n": 1})) == {}


def test_an_approval_is_a_way() -> None:
    found = way({"n": 1, "asked": {"approved": False}})

    assert found == Way(WayKind.APPROVE, "have somebody else approve it", START)


def test_dropping_messages_is_cheaper_than_a_reviewer_who_takes_them_on() -> None:
    found = way({"n": 1, "touches": ["i18n/en.json", "src/A.php"]}, {"n": 2})

    assert found == Way(WayKind.DROP_L10N, "drop i18n/", START)


def test_a_reviewer_takes_on_what_is_nothing_but_messages() -> None:
    found = way({"n": 1, "touches": ["i18n/en.json"], "asked": {"approved": False}})

    assert found == Way(
        WayKind.ACKNOWLEDGE, "have a reviewer take on l10n", START, also_approve=True
    )


def test_only_what_is_asked_about_is_looked_at() -> None:
    case = given({"n": 1, "touches": ["i18n/a"]}, {"n": 2, "touches": ["i18n/a"]})

    assert ways_into_queue(case).keys() == {1, 2}
    assert ways_into_queue(case, only={2}).keys() == {2}


def test_an_answer_is_a_way() -> None:
    found = way({"n": 1, "bug": "T4711"}, {"n": 2, "bug": "T4711"})

    deed = "say how it belongs together with 2 (if they are unrelated)"
    assert found == Way(WayKind.ANSWER, deed, START)
    other = way({"n": 2, "bug": "T4711"}, {"n": 1, "bug": "T4711", "in": "config"})
    assert other is not None
    assert other.deed == deed


@pytest.mark.parametrize(
    ("advice", "first", "told"),
    [
        ("first", 2, "2 goes first, as the evidence advises"),
        ("together", None, "1 and 2 go together, as the evidence advises"),
        ("ask", None, "they are unrelated"),
    ],
)
def test_the_answer_that_a_way_takes_for_granted_stands_in_it(
    advice: str, first: int | None, told: str
) -> None:
    case = given({"n": 1}, {"n": 2, "in": "config"})
    case = replace(case, asked=(Question((1, 2), 9, advice, first, ()),))
    (found, *_) = ways_into_queue(case, only={1})[1]
    assert found.deed == f"say how it belongs together with 2 (if {told})"


def test_nobody_is_led_away_from_a_question_to_another_window() -> None:
    """The window has one slot, which 3 has: only apart from 2 would 1 not be asked about."""
    other, asked = {"n": 3}, {"n": 2, "bug": "T4711", "in": "config"}
    later = (Later(window(24), Numbers()),)
    alone = given(
        other, {"n": 1, "bug": "T4711", "asked": {"urgency": "low"}}, policy={"max_patches": 1}
    )
    assert ways_into_queue(alone, later, only={1})[1][0].kind is WayKind.LATER
    case = given(
        other,
        {"n": 1, "bug": "T4711", "asked": {"urgency": "low"}},
        asked,
        policy={"max_patches": 1},
    )
    assert ways_into_queue(case, later, only={1}) == {}


def test_nobody_is_led_to_say_unrelated_against_the_evidence() -> None:
    """2 goes first, and does not go: that they are unrelated would let 1 start, and is no way."""
    case = given({"n": 1}, {"n": 2, "in": "config", "asked": {"approved": False}})
    question = Question((1, 2), 9, "first", 2, ())
    assert 1 not in ways_into_queue(replace(case, asked=(question,)), only={1})
    question = replace(question, advice="ask", first=None)
    (found, *_) = ways_into_queue(replace(case, asked=(question,)), only={1})[1]
    assert found.deed == "say how it belongs together with 2 (if they are unrelated)"


def test_a_cherry_pick_of_what_a_live_version_lacks_is_a_way() -> None:
    train = {"checked_out": [LIVE, NEXT], "live": {"group0": NEXT, "group1": LIVE}, "schedule": []}
    needed = {
        "n": 2,
        "on": "master",
        "status": "MERGED",
        "asked": False,
        "included_in": [f"wmf/{NEXT}"],
    }

    found = way({"n": 1, "in": "config", "needs": [2]}, needed, train=train)

    assert found is not None
    assert found.deed == f"cherry-pick 2 to wmf/{LIVE} and book that too"
    assert found.starts == START + timedelta(minutes=10)


def test_a_cherry_pick_of_itself_keeps_the_train_from_undoing_it() -> None:
    train = {"checked_out": [LIVE, NEXT], "live": {"group0": LIVE}, "schedule": []}

    found = way({"n": 1}, train=train)

    assert found is not None
    assert found.deed == f"cherry-pick 1 to wmf/{NEXT} and book that too"


def test_nothing_is_picked_of_what_is_not_known() -> None:
    train = {"checked_out": [LIVE], "live": {"group0": LIVE}, "schedule": []}
    needed = {"n": 2, "on": "master", "status": "MERGED", "asked": False}
    unknown = {"n": 1, "in": "config", "needs": [2, 99]}

    assert way(unknown, needed, train=train) is None


def test_no_single_thing_is_a_way_for_a_schema_change() -> None:
    assert way({"n": 1, "touches": ["sql/a.sql"]}, later=(Later(window(24), Numbers()),)) is None


def test_the_next_window_with_room_is_a_way() -> None:
    full = {"max_patches": 1}
    later = (Later(window(2), Numbers()), Later(window(4), Numbers()))

    case = given({"n": 1, "asked": {"urgency": "low"}}, {"n": 2}, policy=full)
    found = ways_into_queue(case, later)[1][0]

    assert found == Way(WayKind.LATER, "book it for Wed 26 Aug 15:00 UTC", START + 2 * HOUR)
    frozen = (replace(later[0], freezes=(Freeze(START, START + 3 * HOUR),)), later[1])
    assert ways_into_queue(case, frozen)[1][0].starts == START + 4 * HOUR


def test_where_the_train_moves_before_the_window_there_is_nothing_to_do_but_wait() -> None:
    train = {
        "checked_out": [LIVE, NEXT],
        "live": {"group0": NEXT, "group1": LIVE},
        "schedule": [{"version": NEXT, "promotions": {"group1": "2026-08-26T12:30:00Z"}}],
    }
    needed = {"n": 2, "on": "master", "status": "MERGED", "asked": False}
    needed |= {"included_in": [f"wmf/{NEXT}"]}
    config = {"n": 1, "in": "config", "needs": [2]}

    found = way(config, needed, train=train, now="2026-08-26T12:00:00Z")

    assert found is not None
    assert (found.kind, found.starts) == (WayKind.WAIT, START)
    assert found.deed == (
        f"wait for the train: group1 is on {NEXT} before it starts, if all goes as planned"
    )
    too_late = way(config, needed, train=train, now="2026-08-26T13:00:00Z")
    assert too_late is not None
    assert too_late.kind is WayKind.CHERRY_PICK


def test_a_later_window_has_the_room_that_its_queue_leaves() -> None:
    case = given({"n": 1, "asked": {"urgency": "low"}}, {"n": 2}, policy={"max_patches": 1})
    later = (Later(window(2), Numbers(max_patches=1), taken=50), Later(window(4), Numbers()))

    assert ways_into_queue(case, later)[1][0].starts == START + 2 * HOUR + timedelta(minutes=50)
    full = (replace(later[0], taken=51), later[1])
    assert ways_into_queue(case, full)[1][0].starts == START + 4 * HOUR


def test_what_it_needs_goes_with_it_to_a_later_window() -> None:
    said = [{"first": 3, "then": 1, "kind": "together", "only_first": "nothing", "by": "rae"}]
    chain = ({"n": 1, "in": "config", "needs": [2]}, {"n": 2}, {"n": 3, "in": "config"}, {"n": 4})

    case = given(*chain, statements=said, policy={"max_patches": 1})
    found = ways_into_queue(case, (Later(window(2), Numbers()),))[1][0]

    assert found.starts == START + 2 * HOUR + timedelta(minutes=10)


def test_configuration_goes_in_the_first_window_after_the_train_brought_what_it_needs() -> None:
    train = {
        "checked_out": [LIVE],
        "live": {"group0": LIVE, "group1": LIVE},
        "schedule": [
            {
                "version": NEXT,
                "cut": "2026-08-26T15:00:00Z",
                "promotions": {"group0": "2026-08-26T18:00:00Z", "group1": "2026-08-27T18:00:00Z"},
            }
        ],
    }
    needed = {
        "n": 2,
        "on": "master",
        "status": "MERGED",
        "asked": False,
        "project": "mediawiki/skins/X",
    }
    later = tuple(Later(window(hours), Numbers()) for hours in (1, 6, 30))

    case = given({"n": 1, "in": "config", "needs": [2]}, needed, train=train)
    pick, wait = ways_into_queue(case, later)[1]

    assert pick.deed == f"cherry-pick 2 to wmf/{LIVE} and book that too"
    assert wait.deed == (
        f"book it for Thu 27 Aug 19:00 UTC: group0 is on {NEXT} and group1 is on {NEXT} by then"
    )
    assert len(ways_into_queue(case, later[:2])[1]) == 1


def test_what_the_checker_refuses_is_never_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    case = given({"n": 1, "asked": {"approved": False}})
    planned = plan_window(case)
    answers = iter([planned])

    def refusing(_given: PlanInput) -> Plan:
        for plan in answers:
            return plan
        raise UnsafeQueue(("it breaks",))

    monkeypatch.setattr(ways, "plan_window", refusing)

    assert ways_into_queue(case) == {}
