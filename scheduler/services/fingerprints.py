"""Digests of what people saw and of what they approved."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from scheduler.adapters.cleaning import shortened
from scheduler.domain.changes import Change
from scheduler.domain.planning.plan import Plan, PlanInput
from scheduler.domain.policy.findings import Finding, Level
from scheduler.domain.statements import Statement
from scheduler.models import Backport

LONGEST_TOLD = 2000  # characters of one text in the log; what people type is not longer
MOST_TOLD = 100  # of a list in the log

ANSWERS = (
    "kind",
    "urgency",
    "present",
    "tester",
    "nick",
    "marks",
    "criteria",
    "why_not_train",
    "user_impact",
    "tested_where",
    "verify_how",
    "problems_where",
    "rollback_how",
    "steps_before",
    "steps_after",
)


def digest(content: Mapping[str, object]) -> str:
    """Return the SHA-256 of a value in canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_of(backport: Backport, given: PlanInput, plan: Plan) -> str:
    """Return the digest of everything that the page of a backport shows.

    Args:
        backport: its status has to be current.
        given: what the plan was made from.
        plan: what the rules say about it.
    """
    change = given.changes[backport.change.number]
    return digest(
        {
            **_content(backport, change, given.statements),
            "status": backport.status,
            "requester": backport.requester.username,
            "change_status": change.status.value,
            "work_in_progress": change.work_in_progress,
            "labels": dict(change.labels),
            "findings": [_told(f) for f in plan.findings if f.change == change.number],
            "numbers": asdict(given.numbers),
        }
    )


def unchecked_fingerprint_of(backport: Backport) -> str:
    """Return the same of a backport of which the review system has not told yet."""
    return digest(
        {
            "unchecked": backport.change.number,
            "status": backport.status,
            "requester": backport.requester.username,
            "answers": _answers(backport),
        }
    )


def content_of(backport: Backport, given: PlanInput) -> str:
    """Return the digest of what an approval is for; another content voids the approval."""
    change = given.changes[backport.change.number]
    return digest(_content(backport, change, given.statements))


def patch_set_of(backport: Backport) -> str:
    """Return the digest of what an acknowledgement is for: this patch set of the change.

    What its requester says of it may change; what the rules say is compared word by word.
    """
    change = backport.change
    return digest({"patch_set": change.patch_set, "sha": change.sha, "branch": change.branch})


def told_content_of(
    backport: Backport, change: Change, statements: Iterable[Statement]
) -> dict[str, object]:
    """Return what an approval is for as people read it, for the log: see `domain.approved`.

    The same things that `content_of` digests, with the window by name and long texts cut.

    Args:
        backport: its window has to be loaded.
        change: its change as the rules see it.
        statements: what people said about it; others may be among them.
    """
    content = _content(backport, change, statements)
    return {
        name: _cut(value) for name, value in {**content, "window": str(backport.window)}.items()
    }


def _cut(value: object) -> object:
    if isinstance(value, str):
        return shortened(value, LONGEST_TOLD)
    if isinstance(value, dict):
        return {name: _cut(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_cut(one) for one in value[:MOST_TOLD]]
    return value


def _content(
    backport: Backport, change: Change, statements: Iterable[Statement]
) -> dict[str, object]:
    return {
        "patch_set": backport.change.patch_set,
        "sha": backport.change.sha,
        "branch": change.branch,
        "depends_on": list(change.depends_on),
        "parent": change.parent,
        "answers": _answers(backport),
        **({"what_differs": backport.what_differs} if backport.what_differs else {}),
        "window": backport.window_id,
        "statements": [
            [said.first, said.then, said.kind.value, said.only_first.value]
            for said in sorted(statements)
            if change.number in {said.first, said.then}
        ],
    }


def _answers(backport: Backport) -> dict[str, object]:
    return {name: getattr(backport, name) for name in ANSWERS}


def _told(finding: Finding) -> list[object]:
    """Return what a person is shown of a finding; the exact words where they may take them on."""
    words = finding.message if finding.level is Level.SHOULD else ""
    return [finding.rule, finding.level.value, finding.lifted, words]
