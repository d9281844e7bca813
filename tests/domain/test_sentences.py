"""Every event has its sentence, whatever its payload carries."""

import re
from pathlib import Path

import pytest

import scheduler.services
from scheduler.domain.sentences import KINDS, sentence_of, what_of, words_of
from scheduler.models.reviews import Decision

FULL = {
    "change": 7,
    "patch_set": 2,
    "acknowledged": ["l10n", "vendor"],
    "rules": ["l10n"],
    "to": "rae",
    "from": "ada",
    "rule": "frozen",
    "why": "the approver is its requester now",
    "first": 1,
    "then": 2,
    "kind": "before",
    "only_first": "degraded",
    "queued": [1, 2, 3],
    "person": "sam",
    "name": "sam-alt",
    "after": ["reviewer"],
}


def kinds_of_services() -> set[str]:
    """Return the kinds of event that services write in so many words."""
    folder = Path(scheduler.services.__path__[0])
    source = "\n".join(file.read_text(encoding="utf-8") for file in folder.glob("*.py"))
    named = set(re.findall(r'kind="([a-z]+\.[a-z-]+)"', source))
    overrides = re.findall(r'_record_override\(\s*"([a-z-]+)"', source)
    return (
        named
        | {f"backport.{verb}" for verb in overrides}
        | {f"backport.{decision.value}" for decision in Decision}
    )


def test_every_kind_that_services_write_has_its_own_words() -> None:
    assert kinds_of_services() <= KINDS


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("payload", [FULL, {}], ids=["full", "empty"])
def test_it_is_a_sentence_with_any_payload(kind: str, payload: dict[str, object]) -> None:
    said = sentence_of(kind, payload, "rae")

    assert said.startswith("rae ")
    assert said.endswith(".")
    assert "None" not in said
    assert "{" not in said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("backport.approve", "approved patch set 2, taking on l10n and vendor"),
        (
            "backport.become-known",
            "heard from Gerrit of patch set 2 of change 7: it can be reviewed now",
        ),
        ("backport.hand-over", "handed this backport over from ada to rae"),
        ("backport.void-approval", "voided the approval: the approver is its requester now"),
        ("question.answer", "said that 1 goes before 2; 1 alone degrades something"),
        ("window.lock", "locked the queue of this window: 1, 2 and 3 will go"),
        ("backport.some-new-act", "some new act (backport)"),
    ],
)
def test_it_tells_what_the_payload_carries(kind: str, said: str) -> None:
    assert what_of(kind, FULL) == said


def test_two_go_together_or_have_nothing_to_do_with_each_other() -> None:
    assert what_of("question.answer", {**FULL, "kind": "together"}).endswith("go out together")
    assert what_of("question.answer", {**FULL, "kind": "unrelated"}).endswith("each other")


def test_what_nobody_did_the_clock_did_and_words_are_those_of_people() -> None:
    assert sentence_of("backport.void-approval", {}, "").startswith("The clock ")
    assert words_of({"reason": "Later.", "reply": "No."}) == "Later."
    assert words_of({"reply": "All of them."}) == "All of them."
    assert words_of({"reason": ["odd"]}) == ""


def test_a_moment_is_told_as_people_read_it_and_what_is_none_as_it_is() -> None:
    told = what_of("window.move", {"from": "2026-12-01T14:00:00+01:00", "to": "soon"})
    assert told == "moved this window from Tue 1 Dec 2026, 13:00 UTC to soon"
