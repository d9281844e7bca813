"""Which steps of a fixed queue may still go: what must not be deployed any more, and why."""

from collections.abc import Iterable, Mapping, Sequence

from scheduler.domain.changes import ChangeSet
from scheduler.domain.dependencies import lacking_in_live
from scheduler.domain.planning.plan import Step
from scheduler.domain.production import NOTHING_KNOWN, Production


def falling(
    steps: Iterable[Step], lost: Mapping[int, str], fates: Mapping[int, str] | None = None
) -> dict[int, str]:
    """Return the steps that cannot go once some changes are out: position to the reason.

    A step falls with any of its members, and with whatever has to go before it.

    Args:
        steps: a queue in its order.
        lost: the changes that must not be deployed any more, each with a sentence that says why.
        fates: what has become of some of them, to be read after "which"; the others do not go.
    """
    became = fates or {}
    out = dict(lost)
    fallen: dict[int, str] = {}
    for step in steps:
        reasons = [out[number] for number in step.changes if number in out]
        if not reasons:
            needed = sorted({one.first for one in step.because if one.first in out})
            reasons = [
                f"It needs {first}, which {became.get(first, 'does not go')}." for first in needed
            ]
        if reasons:
            fallen[step.position] = reasons[0]
            out |= {number: reasons[0] for number in step.changes if number not in out}
    return fallen


def stopped_by_the_train(
    numbers: Sequence[int],
    changes: ChangeSet,
    production: Production,
    planned: Production = NOTHING_KNOWN,
) -> dict[int, str]:
    """Return why changes of a fixed queue cannot go as the train stands now, by number.

    Code cannot, if its version serves no wikis any more; configuration cannot, if a live version
    lacks what it needs. A version that is still to come is no reason: it gets the change early;
    one that served wikis when the queue was planned, and was rolled back since, is.

    Args:
        numbers: the changes of the queue.
        changes: all that is known around them.
        production: what is where now; where nothing is known to be live, nothing is stopped.
        planned: what was where when the queue was planned.
    """
    if not production.live_branches:
        return {}
    newest = production.live_branches[-1]
    left = {*planned.live_branches} - {*production.live_branches}
    good = {*production.live_branches, *production.upcoming_branches} - left
    stopped = {}
    for number in sorted(numbers):
        change = changes[number]
        if change.is_code and change.is_on_release and change.branch not in good:
            stopped[number] = (
                f"{change.branch} serves no wikis any more: book the cherry-pick to {newest}, "
                "or leave it out."
            )
    for problem in lacking_in_live(changes, sorted(numbers), production):
        branches = " and ".join(
            f"{branch} (which serves {', '.join(production.groups_served(branch))})"
            for branch in problem.branches
        )
        stopped.setdefault(
            problem.chain[0],
            f"{problem.way}: that is not in {branches}. Cherry-pick it there first, or leave this "
            "out until the train has brought it.",
        )
    return stopped
