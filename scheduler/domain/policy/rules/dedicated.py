"""Dedicated window: what needs people, time or databases of its own."""

import re

from scheduler.domain.backports import Mark
from scheduler.domain.policy.facts import Facts, Objection
from scheduler.domain.policy.findings import Level, Place
from scheduler.domain.policy.rules.rule import Rule

_SCHEMA_PATH = re.compile(r"(?:\A|/)(?:sql|schema|schema-changes)/|\.sql\Z")


def schema_change(facts: Facts) -> Objection | None:
    """A schema change needs its own window and a database administrator."""
    marked = Mark.SCHEMA_CHANGE in facts.backport.marks
    if not marked and not any(map(_SCHEMA_PATH.search, facts.change.paths)):
        return None
    return Objection("It changes a database schema: that takes a window and a request of its own.")


def needs_own_window(facts: Facts) -> Objection | None:
    """Whatever meets the inclusion criteria needs its own window."""
    if not facts.backport.criteria:
        return None
    ticked = ", ".join(sorted(facts.backport.criteria))
    return Objection(f"It meets the criteria for a window of its own: {ticked}.")


def multi_sync(facts: Facts) -> Objection | None:
    """While the ban was in force, a commit that needs several syncs in order had to be split."""
    change = facts.change
    if not facts.surroundings.numbers.multi_sync_ban or not change.is_config:
        return None
    served = any(path.startswith(("static/", "w/")) for path in change.paths)
    if not served or not any(path.startswith("wmf-config/") for path in change.paths):
        return None
    return Objection(
        "One commit touches served files and wmf-config/, which need two syncs in the right order: "
        "split it, files first."
    )


RULES = (
    Rule(
        "schema-change",
        Level.MUST,
        Place.DEDICATED,
        "A path ends in .sql or lies in a directory named sql, schema or schema-changes, "
        "or it is marked so.",
        "Schedule a dedicated window with a database administrator.",
        "Deployments/Inclusion criteria (Wikitech)",
        schema_change,
    ),
    Rule(
        "needs-own-window",
        Level.MUST,
        Place.DEDICATED,
        "Any inclusion criterion is ticked.",
        "Schedule a dedicated window.",
        "Deployments/Inclusion criteria (Wikitech)",
        needs_own_window,
    ),
    Rule(
        "multi-sync",
        Level.MUST,
        Place.BLOCKED,
        "While the ban was in force (30 Apr 2018 to Feb 2022): one configuration commit touches "
        "static/ or w/ and wmf-config/.",
        "Split the commit: files first, configuration second.",
        "T187761",
        multi_sync,
    ),
)
