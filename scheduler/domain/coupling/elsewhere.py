"""The other half of a change that is not in its window: where it is, and whether that is enough."""

from collections.abc import Iterable

from scheduler.domain.changes import RELEASE_BRANCH_PREFIX, Change
from scheduler.domain.coupling.evidence import Evidence
from scheduler.domain.production import Production

WHERE = "elsewhere"  # the kind of the piece that says where the other half is; it has no points


def has_it(change: Change, family: Iterable[Change], production: Production) -> bool:
    """Return whether production has another change wherever this one goes.

    Then there is nothing to ask: whichever of the two should be first, the other one is.

    Args:
        change: one of a window.
        family: the other change and its cherry-picks.
        production: what is checked out and live.
    """
    there = [one for one in family if one.is_merged and one.deployed is not False]
    if any(one.is_config for one in there):
        return True
    goes_to = {change.branch} if change.is_code else set(production.live_branches)
    return bool(goes_to) and goes_to <= {branch for one in there for branch in one.branches}


def whereabouts(other: Change, family: Iterable[Change], production: Production) -> Evidence:
    """Return the piece that says where the other half is, where it is booked in no window."""
    has = {branch for one in family if one.is_merged for branch in one.branches}
    on = [_version(branch) for branch in production.branches if branch in has]
    if on:
        text = f"{other} is on {' and '.join(on)} only"
    elif not other.is_merged:
        text = f"{other} is not merged"
    elif other.is_config:
        text = f"{other} is merged, and not deployed"
    else:
        text = f"{other} rides the train: it is on no version that is checked out"
    return Evidence(WHERE, 0, text, ())


def _version(branch: str) -> str:
    return branch.removeprefix(RELEASE_BRANCH_PREFIX)
