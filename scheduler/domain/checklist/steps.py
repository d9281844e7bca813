"""From a step of the plan to what is done for it, one item after the other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from scheduler.domain.changes import Change, ChangeSet
from scheduler.domain.checklist.commands import (
    NOTHING,
    Commands,
    to_deploy,
    to_log,
    to_take_back,
)
from scheduler.domain.planning.plan import Step

# Minutes for one change, and for the localisation build (`reference/wikimedia.md` 1.4: the
# ten minutes of a patch are 2+1+3+1+2+1).
MERGE_MINUTES, TEST_MINUTES, VERIFY_MINUTES, SYNC_MINUTES, LOG_MINUTES = 2, 1, 3, 1, 1
WATCH_MINUTES = 2
L10N_MINUTES = 20


class ItemKind(StrEnum):
    """What is done. The order is that of the checklist; those of one kind have no order."""

    BEFORE = "before"
    MERGE = "merge"
    TEST = "test"
    VERIFY = "verify"
    SYNC = "sync"
    WATCH = "watch"
    AFTER = "after"
    LOG = "log"
    TAKE_BACK = "take-back"
    WATCH_BACK = "watch-back"
    LOG_BACK = "log-back"

    @property
    def rank(self) -> int:
        """Its place in the order: an item waits for all of a lower rank."""
        return _RANKS[self]

    @property
    def is_way_back(self) -> bool:
        """Whether it belongs to taking a step back."""
        return self in WAY_BACK

    @property
    def is_watching(self) -> bool:
        """Whether it takes its minutes, whoever is in a hurry."""
        return self in {ItemKind.WATCH, ItemKind.WATCH_BACK}


_RANKS = {kind: rank for rank, kind in enumerate(ItemKind)}
WAY_BACK = frozenset({ItemKind.TAKE_BACK, ItemKind.WATCH_BACK, ItemKind.LOG_BACK})


@dataclass(frozen=True, slots=True)
class Answers:
    """What the requester of one backport said that the deployer needs during the hour.

    Attributes:
        requester: who asked, by account name.
        tester: who tests it, by account name or as they are called; "" is the requester.
        by_plan: whether the deployer may verify it by the test plan: nobody will be there, and it
            is a low-risk change with a test plan (`policy.md`, `requester-absent`).
    """

    requester: str = ""
    tester: str = ""
    nick: str = ""
    verify_how: str = ""
    rollback_how: str = ""
    steps_before: str = ""
    steps_after: str = ""
    by_plan: bool = False

    @property
    def tester_name(self) -> str:
        """Who verifies it, with where to ping them."""
        name = self.tester or self.requester
        if name and self.nick not in {"", name}:
            return f"{name} ({self.nick})"
        return name or self.nick or "the requester"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to do.

    Attributes:
        kind: what it is.
        title: what to do, in words.
        number: the one change that it is about; None for all of the step.
        commands: exactly what to type, open and log.
        note: what else to know, in the requester's words.
        minutes: how long it should take; 0 where nobody can say.
    """

    kind: ItemKind
    title: str
    number: int | None = None
    commands: Commands = NOTHING
    note: str = ""
    minutes: int = 0


def checklist_of(
    step: Step,
    changes: ChangeSet,
    answers: Mapping[int, Answers],
    *,
    spiderpig: str = "",
    watch_minutes: int = WATCH_MINUTES,
) -> tuple[Item, ...]:
    """Return what is done for a step, in order.

    A step that only the Beta Cluster sees is merged, and nothing else; a bundle has one command.

    Args:
        step: its place and its changes.
        changes: at least those of the step.
        answers: what was said about them, by number.
        spiderpig: where SpiderPig is; "" has no links.
        watch_minutes: how long the logs are watched.
    """
    return tuple(_items(step.changes, changes, answers, spiderpig, watch_minutes))


def way_back_of(
    numbers: Sequence[int], changes: ChangeSet, *, watch_minutes: int = WATCH_MINUTES
) -> tuple[Item, ...]:
    """Return what takes the changes of a step back, in order."""
    members = [changes[number] for number in numbers]
    return (
        Item(
            ItemKind.TAKE_BACK,
            "Revert it: merge the reverts, wait for CI, sync to production",
            commands=to_take_back(numbers),
            minutes=(MERGE_MINUTES + SYNC_MINUTES) * len(numbers) + _build_minutes(members),
        ),
        Item(
            ItemKind.WATCH_BACK,
            f"Watch the logs: {_minutes(watch_minutes)} without new errors",
            minutes=watch_minutes,
        ),
        Item(
            ItemKind.LOG_BACK,
            "Log that it was taken back",
            commands=to_log("reverted", numbers, _tasks(members)),
            minutes=LOG_MINUTES,
        ),
    )


def _items(
    numbers: Sequence[int],
    changes: ChangeSet,
    answers: Mapping[int, Answers],
    spiderpig: str,
    watch_minutes: int,
) -> Iterator[Item]:
    members = [changes[number] for number in numbers]
    said = [(number, answers.get(number, Answers())) for number in numbers]
    commands = to_deploy(numbers, spiderpig=spiderpig)
    count = len(numbers)
    for number, answer in said:
        if answer.steps_before:
            yield Item(ItemKind.BEFORE, f"Before {number}", number, note=answer.steps_before)
    if all(change.is_beta_only for change in members):
        title = "Merge it and wait for CI; only the Beta Cluster sees it, nothing is synced"
        yield Item(ItemKind.MERGE, title, commands=commands, minutes=MERGE_MINUTES * count)
    else:
        build = _build_minutes(members)
        title = "Start the backport: merge, and wait for CI"
        yield Item(ItemKind.MERGE, title, commands=commands, minutes=MERGE_MINUTES * count)
        title = "Wait until it is on the test servers" + (
            f"; the localisation build takes about {build} minutes" if build else ""
        )
        yield Item(ItemKind.TEST, title, minutes=TEST_MINUTES * count)
        for number, answer in said:
            who = "The deployer, by its test plan," if answer.by_plan else answer.tester_name
            title = f"{who} verifies {number} on the test servers"
            yield Item(
                ItemKind.VERIFY, title, number, note=answer.verify_how, minutes=VERIFY_MINUTES
            )
        title = "Continue at the prompt: sync to production" + ("; a long sync" if build else "")
        yield Item(ItemKind.SYNC, title, minutes=SYNC_MINUTES * count + build)
        title = f"Watch the logs: {_minutes(watch_minutes)} without new errors"
        yield Item(ItemKind.WATCH, title, minutes=watch_minutes)
    for number, answer in said:
        if answer.steps_after:
            yield Item(ItemKind.AFTER, f"After {number}", number, note=answer.steps_after)
    yield Item(
        ItemKind.LOG,
        "Log it",
        commands=to_log("deployed", numbers, _tasks(members)),
        minutes=LOG_MINUTES * count,
    )


def _build_minutes(members: Sequence[Change]) -> int:
    return L10N_MINUTES if any(change.touches_l10n for change in members) else 0


def _tasks(members: Sequence[Change]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(task for change in members for task in change.bugs))


def _minutes(count: int) -> str:
    return "1 minute" if count == 1 else f"{count} minutes"
