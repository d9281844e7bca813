"""Readiness: what must be fixed, answered or approved before a change can go anywhere."""

from scheduler.domain.backports import Mark
from scheduler.domain.changes import ChangeStatus, ProjectKind
from scheduler.domain.policy.facts import Facts, Objection
from scheduler.domain.policy.findings import Level, Place
from scheduler.domain.policy.rules.rule import Concern, Rule


def security_sensitive(facts: Facts) -> Objection | None:
    """Security fixes never stand in a public queue."""
    if Mark.SECURITY not in facts.backport.marks:
        return None
    return Objection(
        "It is marked as security: use the private process for security fixes; "
        "nothing of it may stand in a public queue."
    )


def change_abandoned(facts: Facts) -> Objection | None:
    """An abandoned change cannot be merged."""
    if facts.change.status is not ChangeStatus.ABANDONED:
        return None
    return Objection("The change is abandoned: restore it in Gerrit, or withdraw the backport.")


def work_in_progress(facts: Facts) -> Objection | None:
    """A work in progress is not ready, by its owner's own word."""
    if not facts.change.work_in_progress:
        return None
    return Objection("The change is a work in progress: mark it ready in Gerrit.")


def not_reviewed(facts: Facts) -> Objection | None:
    """Deployers do not review; code review comes before."""
    vote = facts.change.labels.get("Code-Review", 0)
    if facts.change.is_merged or vote >= 1:
        return None
    if vote < 0:
        return Objection(f"Its code review is negative ({vote:+d}): settle it in Gerrit.")
    return Objection("Nobody has reviewed the code: it needs Code-Review +1 or more in Gerrit.")


def ci_failed(facts: Facts) -> Objection | None:
    """What CI refuses does not go out."""
    if facts.change.labels.get("Verified", 0) >= 0:
        return None
    return Objection("CI failed (Verified is negative): fix it, or have CI run again.")


def not_deployable(facts: Facts) -> Objection | None:
    """Only checked-out branches and the configuration can be deployed (scap, check 1)."""
    if not facts.surroundings.production.is_known:
        return None
    if facts.change.is_code:
        return _code_not_deployable(facts)
    change = facts.change
    if change.kind is ProjectKind.OTHER:
        return Objection(f"{change.project} is not deployed to the wikis by a SWAT window.")
    if change.is_on_main:
        return None
    return Objection(f"Configuration is deployed from its main branch, not from {change.branch}.")


def _code_not_deployable(facts: Facts) -> Objection | None:
    change = facts.change
    if change.is_on_main:
        return Objection(f"No wiki runs {change.branch}: cherry-pick it to a live release branch.")
    if change.branch in facts.surroundings.production.checked_out_branches:
        return None
    return Objection(f"{change.branch} is not checked out on the deploy host.")


def not_live(facts: Facts) -> Objection | None:
    """A branch that serves no wiki can be deployed, but nobody will notice."""
    change = facts.change
    production = facts.surroundings.production
    if not change.is_code or change.branch not in production.checked_out_branches:
        return None
    if production.groups_served(change.branch):
        return None
    return Objection(f"{change.branch} is checked out but serves no group now.")


def not_in_master(facts: Facts) -> Objection | None:
    """A fix is merged in master first; else the next version has the fault again."""
    if not facts.change.is_code or Mark.REVERT in facts.backport.marks:
        return None
    if any(sibling.is_merged and sibling.is_on_main for sibling in facts.siblings):
        return None
    return Objection("It is not merged in master: merge it there first, then cherry-pick it.")


def train_would_undo(facts: Facts) -> Objection | None:
    """What a newer version lacks is undone when the train arrives."""
    change = facts.change
    if not change.is_code:
        return None
    surroundings = facts.surroundings
    lacking = surroundings.production.lacking(change, facts.siblings, surroundings.requested)
    if not lacking:
        return None
    return Objection(
        f"{' and '.join(lacking)} would undo it when the train arrives: "
        f"book a cherry-pick to {' and '.join(lacking)} in this window too."
    )


def not_approved(facts: Facts) -> Objection | None:
    """Somebody else approves exactly this patch set."""
    if facts.backport.approved:
        return None
    return Objection("Nobody has approved this patch set for a window yet.")


def coupling_unanswered(facts: Facts) -> Objection | None:
    """A suspected coupling holds both until somebody answers."""
    if not facts.questions:
        return None
    others = [
        other
        for question in facts.questions
        for other in question.changes
        if other != facts.change.number
    ]
    named = " and ".join(str(other) for other in others)
    return Objection(
        f"Is it coupled to {named}? Answer which goes first, together or unrelated.", tuple(others)
    )


RULES = (
    Rule(
        "security-sensitive",
        Level.MUST,
        Place.BLOCKED,
        "It is marked as security.",
        "Withdraw it here and use the private process for security fixes.",
        "How to perform security fixes (Wikitech)",
        security_sensitive,
    ),
    Rule(
        "change-abandoned",
        Level.MUST,
        Place.BLOCKED,
        "The change is abandoned.",
        "Restore the change in Gerrit.",
        "scap backport, check 2; T345304",
        change_abandoned,
    ),
    Rule(
        "work-in-progress",
        Level.MUST,
        Place.BLOCKED,
        "The change is a work in progress.",
        "Mark the change ready in Gerrit.",
        "scap backport, check 2",
        work_in_progress,
    ),
    Rule(
        "not-reviewed",
        Level.MUST,
        Place.BLOCKED,
        "Code review is missing or negative.",
        "Get Code-Review +1 or more on the current patch set.",
        "Backport windows (Wikitech): deployers do not review",
        not_reviewed,
    ),
    Rule(
        "ci-failed",
        Level.MUST,
        Place.BLOCKED,
        "Verified is negative.",
        "Fix what CI found, or recheck.",
        "scap backport, check 8",
        ci_failed,
    ),
    Rule(
        "not-deployable",
        Level.MUST,
        Place.BLOCKED,
        "Code on a branch that is not checked out or on the main branch, configuration off its "
        "main branch, or a project that is not deployed to the wikis.",
        "Cherry-pick the change to a live release branch.",
        "scap backport, check 1",
        not_deployable,
    ),
    Rule(
        "not-live",
        Level.MAY,
        Place.QUEUE,
        "The branch is checked out but serves no group.",
        "Nothing needs to change; ask whether it is worth a slot.",
        "scap backport, check 3",
        not_live,
        Concern.TRAIN,
    ),
    Rule(
        "not-in-master",
        Level.MUST,
        Place.BLOCKED,
        "Code without a merged sibling on the main branch; not for a revert.",
        "Merge the fix in master first.",
        "Backport windows (Wikitech): merged in master, then cherry-picked",
        not_in_master,
        Concern.TRAIN,
    ),
    Rule(
        "train-would-undo",
        Level.MUST,
        Place.BLOCKED,
        "A newer checked-out version lacks the change.",
        "Book the cherry-pick to the newer branch in the same window, or merge it there.",
        "Deployments/Train (Wikitech); scap backport, rule 3b",
        train_would_undo,
        Concern.TRAIN,
    ),
    Rule(
        "not-approved",
        Level.MUST,
        Place.HELD,
        "Nobody has approved this patch set for a window.",
        "A reviewer who did not write or request it approves it.",
        "SLSA source track: two trusted persons",
        not_approved,
    ),
    Rule(
        "coupling-unanswered",
        Level.MUST,
        Place.HELD,
        "A question about this change is open.",
        "Answer the question: which first, together or unrelated.",
        "The incident of October 2015",
        coupling_unanswered,
    ),
)
