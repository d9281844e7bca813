"""Dependencies: whatever `scap backport` would refuse is refused earlier, with the same reason."""

from collections.abc import Callable

from scheduler.domain.dependencies import Problem
from scheduler.domain.policy.facts import Facts, Objection
from scheduler.domain.policy.findings import Level, Place
from scheduler.domain.policy.rules.rule import Check, Concern, Rule

_TOLD_MEMBERS = 10
_TOLD_PROBLEMS = 5


def _told(rule: str, sentence: Callable[[Problem], str]) -> Check:
    """Return a check that tells every problem of one rule, each with the chain that leads there."""

    def check(facts: Facts) -> Objection | None:
        problems = facts.problems.get(rule)
        if not problems:
            return None
        sentences = dict.fromkeys(f"{sentence(problem)} ({problem.way})" for problem in problems)
        meant = dict.fromkeys(
            number
            for problem in problems
            for number in (
                *problem.chain[1:],
                *(() if isinstance(problem.target, str) else (problem.target.number,)),
            )
        )
        told = list(sentences)[:_TOLD_PROBLEMS]
        if len(sentences) > len(told):
            told.append(f"and {len(sentences) - len(told)} more of the kind")
        return Objection("; ".join(told) + ".", tuple(meant)[:_TOLD_MEMBERS])

    return check


def _lacking(what: str) -> Callable[[Problem], str]:
    def sentence(problem: Problem) -> str:
        return (
            f"{problem.target} is merged in master only and not in {what}"
            f"{' and '.join(problem.branches)}: cherry-pick it there, or wait until it is"
        )

    return sentence


def dependency_cycle(facts: Facts) -> Objection | None:
    """A circle cannot be put in order (T408675)."""
    circle = facts.circle
    if not circle:
        return None
    told = [str(number) for number in circle[:_TOLD_MEMBERS]]
    if len(circle) > _TOLD_MEMBERS:
        told.append(f"… {len(circle) - _TOLD_MEMBERS} more …")
    named = " → ".join([*told, str(circle[0])])
    verb = "It is in" if facts.change.number in circle else "What it needs runs into"
    return Objection(
        f"{verb} a circle, each needing the next: {named}. Take one dependency out.",
        circle[:_TOLD_MEMBERS],
    )


def no_relevant_dependency(facts: Facts) -> Objection | None:
    """A footer that matters nowhere is often a mistake (T365146)."""
    if not facts.only_irrelevant:
        return None
    return Objection("It declares dependencies, and none of them matters on its branch.")


def unsafe_first_step(facts: Facts) -> Objection | None:
    """An order whose first step is an outage is no order."""
    if not facts.unsafe:
        return None
    statement = facts.unsafe[0]
    return Objection(
        f"{statement.first} is to go before {statement.then}, but {statement.first} alone was said "
        "to be an outage: put them in the other order, together, or on the train.",
        tuple(dict.fromkeys(n for s in facts.unsafe for n in (s.first, s.then))),
    )


_SCAP = "scap backport"

RULES = (
    Rule(
        "dependency-unknown",
        Level.MUST,
        Place.BLOCKED,
        "No change with the Change-Id that is declared is known.",
        "Correct the Depends-On footer.",
        _SCAP,
        _told("dependency-unknown", lambda p: f"no change {p.target} is known"),
        Concern.NEEDS,
    ),
    Rule(
        "dependency-abandoned",
        Level.MUST,
        Place.BLOCKED,
        "A relevant dependency is abandoned.",
        "Restore it, or take the footer out.",
        f"{_SCAP}, T345304",
        _told("dependency-abandoned", lambda p: f"it needs {p.target}, which is abandoned"),
        Concern.NEEDS,
    ),
    Rule(
        "dependency-work-in-progress",
        Level.MUST,
        Place.BLOCKED,
        "A change met on the way is a work in progress.",
        "Mark that change ready, or take the footer out.",
        f"{_SCAP}, check 2",
        _told(
            "dependency-work-in-progress", lambda p: f"{p.target} on the way is a work in progress"
        ),
        Concern.NEEDS,
    ),
    Rule(
        "dependency-cycle",
        Level.MUST,
        Place.BLOCKED,
        "The way along the dependencies runs into a circle.",
        "Take one dependency of the circle out.",
        f"{_SCAP}, T408675",
        dependency_cycle,
        Concern.NEEDS,
    ),
    Rule(
        "dependency-not-scheduled",
        Level.MUST,
        Place.BLOCKED,
        "The dependency is neither merged nor booked in this window.",
        "Book the dependency in the same window, or deploy it first.",
        f"{_SCAP}, T362987 rules 1a, 2, 3a",
        _told(
            "dependency-not-scheduled",
            lambda p: f"it needs {p.target}, which is neither merged nor booked in this window",
        ),
        Concern.NEEDS,
    ),
    Rule(
        "dependency-not-in-branch",
        Level.MUST,
        Place.BLOCKED,
        "Seen from code on a branch: the dependency is on the main branch, and not in that branch.",
        "Cherry-pick the dependency to the branch.",
        f"{_SCAP}, T362987 rule 1b",
        _told("dependency-not-in-branch", _lacking("")),
        Concern.NEEDS,
    ),
    Rule(
        "dependency-not-in-live",
        Level.MUST,
        Place.BLOCKED,
        "Seen from configuration: the dependency is on the main branch; a live version lacks it.",
        "Cherry-pick the dependency to every live branch, or wait for the train.",
        f"{_SCAP}, T362987 rule 3b",
        _told("dependency-not-in-live", _lacking("the live ")),
        Concern.NEEDS,
    ),
    Rule(
        "dependency-not-in-upcoming",
        Level.MUST,
        Place.BLOCKED,
        "The same, for a checked-out version newer than the newest live one.",
        "Cherry-pick the dependency to the upcoming branch.",
        f"{_SCAP}, T362987 rule 3b",
        _told("dependency-not-in-upcoming", _lacking("the upcoming ")),
        Concern.NEEDS,
    ),
    Rule(
        "dependency-not-in-rollback-target",
        Level.MAY,
        Place.QUEUE,
        "The same, where only one version is live, for the version just before it.",
        "Cherry-pick it there too, or know that a rollback breaks this.",
        f"{_SCAP}, T362987 rule 3b",
        _told("dependency-not-in-rollback-target", _lacking("the likely rollback target ")),
        Concern.NEEDS,
    ),
    Rule(
        "dependency-not-deployed",
        Level.MUST,
        Place.BLOCKED,
        "The dependency is merged but known not to be deployed, and not in this window.",
        "Deploy it first: book it in this window.",
        "Incidents/20140625-CirrusSearch: merged is not deployed",
        _told(
            "dependency-not-deployed",
            lambda p: f"{p.target} is merged but not deployed, and not booked in this window",
        ),
        Concern.NEEDS,
    ),
    Rule(
        "dependency-not-in-queue",
        Level.MUST,
        Place.BLOCKED,
        "What it needs first is requested here and does not go itself.",
        "Bring what it needs into the queue.",
        "Every prefix of the queue is safe",
    ),
    Rule(
        "no-relevant-dependency",
        Level.MAY,
        Place.QUEUE,
        "It declares dependencies and none is relevant.",
        "Check that the footer names the right change.",
        f"{_SCAP}, T365146",
        no_relevant_dependency,
        Concern.NEEDS,
    ),
    Rule(
        "unsafe-first-step",
        Level.MUST,
        Place.BLOCKED,
        "A person ordered a first, and stated that a alone means an outage.",
        "Answer again: the other order, together, or wait for the train.",
        "The incident of October 2015",
        unsafe_first_step,
        Concern.NEEDS,
    ),
)
