"""Digests of what people saw and of what they approved."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from scheduler.domain.changes import Change
from scheduler.domain.planning.plan import Plan, PlanInput
from scheduler.domain.policy.findings import Finding, Level
from scheduler.domain.statements import Statement
from scheduler.models import Backport

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
            **_approved(backport, change, given.statements),
            "status": backport.status,
            "requester": backport.requester.username,
            "change_status": change.status.value,
            "work_in_progress": change.work_in_progress,
            "labels": dict(change.labels),
            "findings": [_told(f) for f in plan.findings if f.change == change.number],
            "numbers": asdict(given.numbers),
        }
    )


def content_of(backport: Backport, given: PlanInput) -> str:
    """Return the digest of what an approval is for; another content voids the approval."""
    change = given.changes[backport.change.number]
    return digest(_approved(backport, change, given.statements))


def _approved(
    backport: Backport, change: Change, statements: Iterable[Statement]
) -> dict[str, object]:
    return {
        "patch_set": backport.change.patch_set,
        "sha": backport.change.sha,
        "branch": change.branch,
        "depends_on": list(change.depends_on),
        "parent": change.parent,
        "answers": {name: getattr(backport, name) for name in ANSWERS},
        "window": backport.window_id,
        "statements": [
            [said.first, said.then, said.kind.value, said.only_first.value]
            for said in sorted(statements)
            if change.number in {said.first, said.then}
        ],
    }


def _told(finding: Finding) -> list[object]:
    """Return what a person is shown of a finding; the exact words where they may take them on."""
    words = finding.message if finding.level is Level.SHOULD else ""
    return [finding.rule, finding.level.value, finding.lifted, words]
