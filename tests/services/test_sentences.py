"""Every kind of event that a service records has its words and its row in the table of notices."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler import services
from scheduler.domain.notices import CIRCLES, Circle, circles_of
from scheduler.domain.sentences import KINDS, sentence_of, what_of, words_of
from scheduler.models.reviews import Decision
from scheduler.services.histories import MOVES, SUBMIT

SERVICES = Path(str(services.__file__)).parent

# Those that leave a backport in the status that it has.
UNMOVED = {
    "backport.train-late",
    "backport.become-known",
    "backport.acknowledge",
    "backport.end-lifting",
    "backport.propose-override",
    "backport.confirm-override",
    "backport.end-override",
    "backport.check-in",
}


# What `end_step` records of a backport, by the outcome of its step.
ENDS = {"backport.finish", "backport.take-back", "backport.miss"}


def recorded_kinds() -> set[str]:
    """Return the kinds that stand in calls of `record`, and of what calls it with a verb."""
    found = {f"backport.{decision}" for decision in Decision.values} | ENDS
    for file in SERVICES.parent.rglob("*.py"):
        for call in calls_in(file):
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            words = {word.arg: word.value for word in call.keywords}
            if name == "_record_override":
                found.add(f"backport.{constant(call.args[0])}")
            elif name == "_record" and isinstance(call.args[0], ast.Constant):
                found.add(f"person.{constant(call.args[0])}")
            elif name == "note_own_security":
                found.add(f"person.{constant(words['what'])}")
            elif name in {"record", "_begin"} and isinstance(words.get("kind"), ast.Constant):
                found.add(constant(words["kind"]))
    return found


def calls_in(file: Path) -> Iterator[ast.Call]:
    """Yield the calls that a module makes."""
    return (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))


def constant(node: ast.expr) -> str:
    """Return the text that an expression is."""
    assert isinstance(node, ast.Constant)
    return str(node.value)


def test_every_recorded_kind_has_a_sentence_and_people() -> None:
    kinds = recorded_kinds()
    assert len(kinds) > 15
    assert kinds == KINDS
    assert kinds == set(CIRCLES)


def test_every_recorded_kind_is_known_to_move_its_backport_or_not() -> None:
    about_backports = {kind for kind in recorded_kinds() if kind.startswith("backport.")}
    assert about_backports == set(MOVES) | {SUBMIT} | UNMOVED


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_sentence_is_one_whatever_the_payload_lacks(kind: str) -> None:
    odd: dict[str, object] = {"rules": None, "queued": "x", "first": [], "why": {}}
    for payload in ({}, odd):
        sentence = sentence_of(kind, payload, "rae")
        assert sentence.startswith("rae ")
        assert sentence.endswith(".")
        assert "None" not in sentence


@pytest.mark.parametrize(
    ("kind", "payload", "said"),
    [
        ("backport.submit", {"change": 5, "patch_set": 2}, "asked for change 5 to be deployed, p"),
        ("backport.submit", {"change": 5, "patch_set": 0}, "asked for change 5 to be deployed"),
        (
            "backport.approve",
            {"patch_set": 3, "acknowledged": ["train-soon", "not-tested"]},
            "approved patch set 3, taking on train-soon and not-tested",
        ),
        ("backport.void-approval", {}, "voided the approval: what was approved has changed"),
        ("backport.hand-over", {"from": "ada", "to": "rel"}, "handed this backport over from ada"),
        ("question.answer", {"first": 1, "then": 2, "kind": "together"}, "said that 1 and 2 go"),
        (
            "question.answer",
            {"first": 1, "then": 2, "kind": "before", "only_first": "outage"},
            "said that 1 goes before 2; 1 alone is an outage",
        ),
        ("window.lock", {"queued": [7, 8, 9]}, "locked the queue of this window: 7, 8 and 9 will"),
        ("window.reopen", {}, "reopen (window)"),
    ],
)
def test_sentences_tell_what_matters(kind: str, payload: dict[str, object], said: str) -> None:
    assert what_of(kind, payload).startswith(said)


def test_nobody_did_it_is_the_clock() -> None:
    assert sentence_of("backport.void-approval", {}, "").startswith("The clock voided")


def test_what_people_wrote_is_kept() -> None:
    assert words_of({"reason": "No."}) == "No."
    assert words_of({"reply": "Yes."}) == "Yes."
    assert words_of({}) == ""


def test_what_is_not_known_concerns_whom_the_backport_does() -> None:
    assert circles_of("backport.new-thing", locked=False) == (Circle.REQUESTER, Circle.WATCHERS)
    assert Circle.LOCKED_DEPLOYERS in circles_of("backport.submit", locked=True)
    assert Circle.LOCKED_DEPLOYERS not in circles_of("backport.submit", locked=False)
