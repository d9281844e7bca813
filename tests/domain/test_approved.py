"""What changed since somebody approved, in words."""

from typing import Any

import pytest

from scheduler.domain.approved import differences

CONTENT: dict[str, Any] = {
    "patch_set": 1,
    "sha": "a" * 40,
    "branch": "master",
    "depends_on": [],
    "parent": None,
    "answers": {"urgency": 2, "present": True, "marks": [], "tested_where": "Beta Cluster"},
    "window": "Morning SWAT",
    "statements": [],
}


def said(**changes: Any) -> list[tuple[str, str, str]]:  # noqa: ANN401
    answers = {**CONTENT["answers"], **changes.pop("answers", {})}
    found = differences(CONTENT, {**CONTENT, **changes, "answers": answers})
    return [(one.what, one.before, one.now) for one in found]


def test_what_is_the_same_is_no_difference() -> None:
    assert said() == []


def test_a_new_patch_set_tells_both_commits() -> None:
    assert said(patch_set=3, sha="b" * 40) == [
        ("Patch set", "1 (aaaaaaaaaaaa)", "3 (bbbbbbbbbbbb)")
    ]


def test_the_same_patch_set_with_another_commit_is_told() -> None:
    assert said(sha="b" * 40) == [("Patch set", "1 (aaaaaaaaaaaa)", "1 (bbbbbbbbbbbb)")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"branch": "main"}, ("Branch", "master", "main")),
        ({"depends_on": ["I1", "I2"]}, ("Depends-On", "nothing", "I1; I2")),
        ({"parent": 7}, ("Change below it in its chain", "nothing", "7")),
        ({"window": "Evening SWAT"}, ("Window", "Morning SWAT", "Evening SWAT")),
        (
            {"statements": [[1, 2, "before", "degraded"], [1, 3, "together", "nothing"]]},
            (
                "What people said about it",
                "nothing",
                "1 before 2, while only 1 is live: degraded; 1 and 3: together",
            ),
        ),
        ({"statements": ["odd"]}, ("What people said about it", "nothing", "odd")),
        ({"answers": {"urgency": 0}}, ("Urgency", "normal", "unbreak now")),
        ({"answers": {"present": False}}, ("Somebody will be there to test it", "yes", "no")),
        ({"answers": {"marks": ["revert"]}}, ("What is true of it", "nothing", "revert")),
        ({"answers": {"tested_where": ""}}, ("Where it was tested", "Beta Cluster", "nothing")),
    ],
)
def test_every_part_is_told_in_words(
    changes: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert said(**changes) == [expected]


def test_several_come_in_the_order_of_the_page() -> None:
    found = said(window="Evening SWAT", patch_set=2, answers={"urgency": 1})
    assert [what for what, _, _ in found] == ["Patch set", "Window", "Urgency"]


def test_what_an_old_log_does_not_tell_counts_as_unchanged() -> None:
    assert differences({}, CONTENT) == ()
    (only,) = differences({"patch_set": 1, "sha": "c" * 40}, CONTENT)
    assert only.what == "Patch set"
