"""From a step of the plan to what is done for it, one item after the other."""

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.domain.changes import ChangeSet
from scheduler.domain.checklist.commands import log_line, scap_backport
from scheduler.domain.planning.plan import Step


@dataclass(frozen=True, slots=True)
class Answers:
    """What the requester of one backport said that the deployer needs during the hour."""

    tester: str = ""
    nick: str = ""
    verify_how: str = ""
    rollback_how: str = ""
    steps_before: str = ""
    steps_after: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to do.

    Attributes:
        title: what to do.
        command: exactly what to type; None where nothing is typed.
        note: what else to know, in the requester's words.
    """

    title: str
    command: str | None = None
    note: str = ""


def checklist_of(
    step: Step, changes: ChangeSet, answers: Mapping[int, Answers]
) -> tuple[Item, ...]:
    """Return what is done for a step, in order.

    A step that only the Beta Cluster sees is merged, and nothing else.
    """
    numbers = step.changes
    members = [changes[number] for number in numbers]
    said = [(number, answers.get(number, Answers())) for number in numbers]
    command = scap_backport(numbers)
    items = [
        Item(f"Before: {number}", note=answer.steps_before)
        for number, answer in said
        if answer.steps_before
    ]
    if all(change.is_beta_only for change in members):
        items.append(Item("Merge; only the Beta Cluster sees it, nothing is synced", command))
    else:
        long = any(change.touches_l10n for change in members)
        build = "; the localisation build takes long" if long else ""
        items.append(Item(f"Merge, wait for CI, sync to the test servers{build}", command))
        items += [
            Item(f"{_tester(answer)} verifies {number} on the test servers", note=answer.verify_how)
            for number, answer in said
        ]
        items.append(Item("Continue the sync to production at the prompt"))
        items.append(Item("Watch the logs", note="Two minutes without new errors."))
    items += [
        Item(f"After: {number}", note=answer.steps_after)
        for number, answer in said
        if answer.steps_after
    ]
    tasks = dict.fromkeys(task for change in members for task in change.bugs)
    items.append(Item("Log it", log_line(numbers, tuple(tasks))))
    return tuple(items)


def _tester(answer: Answers) -> str:
    if answer.tester and answer.nick not in {"", answer.tester}:
        return f"{answer.tester} ({answer.nick})"
    return answer.tester or answer.nick or "The requester"
