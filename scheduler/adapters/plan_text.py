"""A plan for people to read in a terminal."""

from collections.abc import Iterable, Iterator

from scheduler.adapters.cleaning import visible_line
from scheduler.domain.changes import ChangeSet
from scheduler.domain.coupling.evidence import Sighting
from scheduler.domain.planning.plan import Plan, PlanInput


def plan_text(given: PlanInput, plan: Plan) -> str:
    """Return the queue and everything that explains it, as plain text.

    A document may come from anybody: what is in it makes no line of its own, and no terminal obeys
    it.
    """
    return "".join(f"{visible_line(line)}\n" for line in _lines(given, plan))


def _lines(given: PlanInput, plan: Plan) -> Iterator[str]:
    yield from _queue(given, plan)
    yield from _questions(given.changes, plan)
    yield from _elsewhere(given.changes, plan)
    yield from _states(plan)


def _queue(given: PlanInput, plan: Plan) -> Iterator[str]:
    minutes = sum(step.minutes for step in plan.queue)
    steps = "1 step" if len(plan.queue) == 1 else f"{len(plan.queue)} steps"
    yield (
        f"Window {given.window.start:%d %b %Y %H:%M} to {given.window.end:%H:%M} UTC: "
        f"{steps}, {minutes} of {given.window.minutes:g} minutes"
    )
    for step in plan.queue:
        yield ""
        yield f"{step.position:>3}. {step.starts:%H:%M}  {step.minutes} min"
        for number in step.changes:
            yield f"     {_named(given.changes, number)}"
            yield from _findings(plan, number)
        for because in step.because:
            yield f"     because {because.text}"
    if not plan.queue:
        yield "Nothing can go out."


def _questions(changes: ChangeSet, plan: Plan) -> Iterator[str]:
    for question in plan.questions:
        low, high = question.changes
        yield ""
        yield f"Question: how do {changes[low]} and {changes[high]} belong together?"
        for evidence in question.evidence:
            points = f" ({evidence.points} point{'s' * (evidence.points > 1)})"
            yield f"     {evidence.text}{points if evidence.points else ''}"
            yield from (f"       {place}" for place in _places(evidence.places))
        if question.advice == "first":
            why = "; ".join(question.because)
            yield f"     The evidence speaks for {question.first} first{': ' if why else ''}{why}."
        elif question.advice == "together":
            yield (
                "     Neither order is known to be safe: together in one sync; disable, change, "
                "enable again; or the train."
            )


def _places(places: Iterable[Sighting]) -> Iterator[str]:
    """Yield where evidence stands first in each change."""
    first: dict[int, Sighting] = {}
    for place in places:
        first.setdefault(place.change, place)
    for number, place in first.items():
        line = f":{place.line}" if place.line else ""
        yield f"{number} {place.sign or ' '} {place.path}{line}"


def _elsewhere(changes: ChangeSet, plan: Plan) -> Iterator[str]:
    for row in plan.elsewhere:
        yield ""
        yield f"{row.place.slug}: {_named(changes, row.change)}"
        yield from _findings(plan, row.change)


def _findings(plan: Plan, number: int) -> Iterator[str]:
    for found in (f for f in plan.findings if f.change == number):
        lifted = ", lifted" if found.lifted else ""
        yield f"     {found.level} {found.rule}{lifted}: {found.message}"


def _states(plan: Plan) -> Iterator[str]:
    yield ""
    yield "Production after each step:"
    for state in plan.states:
        added = " + ".join(str(number) for number in state.added) or "as it is now"
        yield f"{state.after:>3}. {added}: {'safe' if state.safe else 'BROKEN'}"
        for breach in state.broken:
            yield f"     {breach.text}"
    if plan.rollback:
        yield ""
        yield "The way back: " + ", then ".join(
            " + ".join(str(number) for number in members) for members in plan.rollback
        )
    if plan.leftovers:
        yield ""
        yield "Merged but not deployed, to be dealt with first: " + ", ".join(
            str(number) for number in plan.leftovers
        )


def _named(changes: ChangeSet, number: int) -> str:
    change = changes[number]
    return f"{number}  {change.project}  {change.branch}  {change.subject}"
