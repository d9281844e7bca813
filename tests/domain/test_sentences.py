"""Every event has its sentence, whatever its payload carries."""

import re
from pathlib import Path

import pytest

import scheduler.services
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.sentences import KINDS, sentence_of, summary_of, what_of, words_of
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
    "step": 4,
    "item": "verify",
    "changes": [7, 8],
    "reason": "Every page is a 500.",
    "minutes": 10,
    "choice": "leave",
    "by_plan": True,
    "broken": True,
    "back": [4],
    "falls": [5, 6],
    "unverified": "Gerrit did not answer within 3 s",
    "outcomes": {"missed": 0, "skipped": 0, "reverted": 1, "deployed": 2},
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
        (
            "backport.start",
            "started to deploy it as step 4 with patch set 2, without an answer of Gerrit",
        ),
        ("backport.finish", "finished: it is deployed; it failed, and was left as it was"),
        ("backport.miss", "noted that this backport was missed: Every page is a 500."),
        ("lease.take", "took over the wheel from ada"),
        ("lease.offer", "hands the wheel of this window to rae"),
        ("lease.withdraw", "drives on: the wheel is not handed to rae any more"),
        ("lease.accept", "accepted the wheel from ada"),
        ("window.begin", "began this window: 1, 2 and 3 will go"),
        ("window.close", "closed this window: 2 deployed, 1 reverted"),
        ("window.extend", "lets steps start 10 minutes later than planned"),
        ("step.tick", "verified 7 and 8 on the test servers, by its test plan"),
        ("step.fail", "noted that 7 and 8 failed at “verify”"),
        ("step.choose", "left 7 and 8 as is"),
        (
            "step.miss",
            "let 7 and 8 be missed; it is reverted first; with it goes step 5 and 6",
        ),
        (
            "step.unverified",
            "could not have Gerrit asked about 7 and 8: a second person has to say that it may go",
        ),
        (
            "step.vouch",
            "said, as the second person, that 7 and 8 may go without an answer of Gerrit",
        ),
    ],
)
def test_it_tells_what_the_payload_carries(kind: str, said: str) -> None:
    assert what_of(kind, FULL) == said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("backport.start", "started to deploy it as step "),
        ("backport.finish", "finished: it is deployed"),
        ("lease.take", "took the wheel of this window"),
        ("window.begin", "began this window: nothing will go"),
        ("window.close", "closed this window: nothing went"),
        ("step.tick", "did something for it"),
        ("step.fail", "noted that it failed after it was done"),
        ("step.choose", "decided to revert it"),
        ("step.miss", "let it be missed"),
    ],
)
def test_it_tells_what_it_can_where_the_payload_carries_nothing(kind: str, said: str) -> None:
    assert what_of(kind, {}) == said


def test_each_item_has_its_words() -> None:
    said = {kind: what_of("step.tick", {"item": kind, "changes": [7]}) for kind in ItemKind}
    assert said[ItemKind.SYNC] == "synced 7 to production"
    assert said[ItemKind.TAKE_BACK] == "reverted 7 in production"
    assert len({*said.values()}) == len(ItemKind)


def test_how_a_closed_window_went_is_told_step_by_step() -> None:
    step = {
        "step": 1,
        "changes": [7, 8],
        "planned": "2026-03-02T23:50:00Z",
        "started": "2026-03-02T23:52:10Z",
        "ended": "2026-03-03T00:01:00Z",
        "outcome": "reverted",
        "reason": "It broke the site.",
    }
    missed = {**step, "step": 2, "started": None, "outcome": "missed", "reason": "", "ended": "?"}
    assert summary_of({"steps": [step, missed, {}, "odd"]}) == (
        "Step 1, 7 and 8: reverted",
        "  planned 23:50, started 23:52, ended 3 Mar 2026, 00:01",
        "  It broke the site.",
        "Step 2, 7 and 8: missed",
        "  planned 23:50, not started, ended ?",
        "Step , nothing: no outcome",
        "  planned at no time, not started",
    )
    assert summary_of({}) == summary_of({"steps": "odd"}) == ()


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
