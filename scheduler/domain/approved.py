"""What was approved, and in what the present differs from it."""

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.domain.backports import Urgency

Content = Mapping[str, object]
"""What an approval is for, as the log of the approval carries it."""

_SHORT_SHA = 12  # digits that people compare

_WORDS: Mapping[str, str] = {
    "patch_set": "Patch set",
    "branch": "Branch",
    "depends_on": "Depends-On",
    "parent": "Change below it in its chain",
    "window": "Window",
    "statements": "What people said about it",
    "kind": "Kind",
    "urgency": "Urgency",
    "present": "Somebody will be there to test it",
    "tester": "Who tests",
    "nick": "Nick in chat",
    "marks": "What is true of it",
    "criteria": "What needs a window of its own",
    "why_not_train": "Why it cannot wait for the train",
    "user_impact": "What users see if it waits",
    "tested_where": "Where it was tested",
    "verify_how": "How it is verified",
    "problems_where": "Where problems could occur",
    "rollback_how": "How it is rolled back",
    "steps_before": "Steps before",
    "steps_after": "Steps after",
    "what_differs": "What is different from last time",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was approved; `before` and `now` as people read them."""

    what: str
    before: str
    now: str


def differences(before: Content, now: Content) -> tuple[Difference, ...]:
    """Return in what the present differs from what was approved, in the order of the page.

    Args:
        before: what was approved. What it does not tell counts as unchanged.
        now: the same of the present.
    """
    old, new = _flat(before), _flat(now)
    return tuple(
        Difference(what, _spoken(name, old[name]), _spoken(name, new[name]))
        for name, what in _WORDS.items()
        if name in old and name in new and old[name] != new[name]
    )


def _flat(content: Content) -> dict[str, object]:
    """Return what is told by its name, with patch set and SHA as one, and the answers beside."""
    answers = content.get("answers")
    flat = {**content, **(answers if isinstance(answers, Mapping) else {})}
    if "patch_set" in flat:
        flat["patch_set"] = f"{flat['patch_set']} ({str(flat.get('sha', ''))[:_SHORT_SHA]})"
    return flat


def _spoken(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ("", []):
        return "nothing"
    if name == "urgency" and isinstance(value, int):
        return Urgency(value).slug.replace("-", " ")
    if isinstance(value, list):
        return "; ".join(_belonging(one) if name == "statements" else str(one) for one in value)
    return str(value)


def _belonging(said: object) -> str:
    match said:
        case [first, then, "before", only_first]:
            return f"{first} before {then}, while only {first} is live: {only_first}"
        case [first, then, kind, *_]:
            return f"{first} and {then}: {kind}"
    return str(said)
