"""The window: freezes, capacity, time, presence."""

from scheduler.domain.backports import Mark, Urgency
from scheduler.domain.policy.facts import Facts, Objection
from scheduler.domain.policy.findings import Level, Place
from scheduler.domain.policy.rules.rule import Rule
from scheduler.domain.windows import FreezeScope


def frozen(facts: Facts) -> Objection | None:
    """Nothing, or only what is urgent, goes out during a freeze."""
    for freeze in facts.surroundings.freezes:
        if freeze.scope is FreezeScope.ALL or facts.backport.urgency > Urgency.HIGH:
            until = f"{freeze.end:%d %b %Y %H:%M} UTC"
            reason = f" ({freeze.reason})" if freeze.reason else ""
            return Objection(f"Deployments are frozen until {until}{reason}.")
    return None


def requester_absent(facts: Facts) -> Objection | None:
    """Somebody is there to test, or the change is low-risk and brings a test plan."""
    if facts.backport.present or {Mark.LOW_RISK, Mark.TEST_PLAN} <= facts.backport.marks:
        return None
    return Objection(
        "Nobody will be there to test it: name a tester, or mark it low-risk with a test plan."
    )


def close_to_train(facts: Facts) -> Objection | None:
    """Leave a gap before the train (incident of 14 October 2015)."""
    promotions = facts.surroundings.promotions
    if not promotions:
        return None
    at, group, version = promotions[0]
    return Objection(f"{version} moves to {group} at {at:%d %b %H:%M} UTC, close to this window.")


RULES = (
    Rule(
        "frozen",
        Level.MUST,
        Place.BLOCKED,
        "A freeze overlaps the window.",
        "Book a window after the freeze; what is urgent passes a freeze of scope normal.",
        "Deployments (Wikitech): yearly freezes",
        frozen,
    ),
    Rule(
        "over-capacity",
        Level.MUST,
        Place.OVERFLOW,
        "More patches than the window has slots.",
        "Book the next window that has room.",
        "Backport windows (Wikitech): max patches",
    ),
    Rule(
        "out-of-time",
        Level.MUST,
        Place.OVERFLOW,
        "The step would start too late or end after the window.",
        "Book the next window that has room.",
        "Backport windows (Wikitech): do not start late",
    ),
    Rule(
        "requester-absent",
        Level.MUST,
        Place.HELD,
        "Nobody will be there to test, and it is not a low-risk change with a test plan.",
        "Name somebody who will be there, or add the test plan.",
        "Backport windows (Wikitech): the requester must be there",
        requester_absent,
    ),
    Rule(
        "close-to-train",
        Level.MAY,
        Place.QUEUE,
        "A promotion is scheduled between the window's start and 30 minutes after its end.",
        "Nothing needs to change; watch which version is live.",
        "Incident of 14 October 2015",
        close_to_train,
    ),
)
