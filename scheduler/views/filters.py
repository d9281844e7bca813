"""Narrowing the inbox by what the address says; each choice with how many it would leave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from urllib.parse import urlencode

from scheduler.adapters.cleaning import visible_line
from scheduler.domain.backports import Urgency
from scheduler.domain.changes import short_project
from scheduler.views.waiting import Waiting, Why

Chosen = Mapping[str, str]
"""Name of a filter to the value chosen; filters that are not used are not in it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One thing to narrow by.

    Attributes:
        name: its name in addresses.
        values: the values of one row, each with how it is spelled and where it sorts.
    """

    name: str
    label: str
    values: Callable[[Waiting], Sequence[tuple[str, str, str]]]


@dataclass(frozen=True, slots=True)
class Choice:
    """One value to choose; choosing the current one again takes the filter away."""

    label: str
    count: int
    query: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Facet:
    """One filter with its choices, the first of which is not to use it."""

    label: str
    choices: tuple[Choice, ...]


def _whys(item: Waiting) -> list[tuple[str, str, str]]:
    order = list(Why)
    return [(why.value, why.spoken, str(order.index(why))) for why in item.whys]


def _urgency(item: Waiting) -> list[tuple[str, str, str]]:
    slug = item.urgency
    return [(slug, slug.replace("-", " "), str(int(Urgency.of(slug))))]


def _window(item: Waiting) -> list[tuple[str, str, str]]:
    window = item.backport.window
    start = window.start.astimezone(UTC)
    spelled = f"{start:%a} {start.day} {start:%b}, {start:%H:%M} UTC"
    return [(str(window.pk), spelled, start.isoformat())]


def _project(item: Waiting) -> list[tuple[str, str, str]]:
    project = item.backport.change.project
    return [(project, short_project(project), project)]


FILTERS = (
    Filter("why", "Why", _whys),
    Filter("urgency", "Urgency", _urgency),
    Filter("window", "Window", _window),
    Filter("project", "Project", _project),
)


def chosen_in(query: Mapping[str, str]) -> Chosen:
    """Return what an address asks to narrow by."""
    return {one.name: visible_line(query[one.name]) for one in FILTERS if query.get(one.name)}


def narrowed(items: Sequence[Waiting], chosen: Chosen) -> tuple[Waiting, ...]:
    """Return the rows that have every value chosen, in their order."""
    return tuple(item for item in items if all(_has(item, one, chosen) for one in FILTERS))


def facets_of(items: Sequence[Waiting], chosen: Chosen) -> tuple[Facet, ...]:
    """Return the filters that leave a choice, each value with how many rows it would leave."""
    facets = [_facet(items, one, chosen) for one in FILTERS]
    return tuple(facet for facet in facets if facet is not None)


def _facet(items: Sequence[Waiting], by: Filter, chosen: Chosen) -> Facet | None:
    others = {name: value for name, value in chosen.items() if name != by.name}
    left = narrowed(items, others)
    spelled = {value: (order, label) for item in items for value, label, order in by.values(item)}
    current = chosen.get(by.name, "")
    if len(spelled) < 2 and not current:  # noqa: PLR2004 - two make a choice
        return None
    counted = [
        (value, label, sum(value in _values(item, by) for item in left))
        for value, (_, label) in sorted(spelled.items(), key=lambda one: one[1])
    ]
    if current and current not in spelled:
        counted.append((current, current, 0))
    return Facet(
        by.label,
        (
            Choice("all", len(left), urlencode(others), not current),
            *(
                Choice(label, count, urlencode({**others, by.name: value}), value == current)
                for value, label, count in counted
                if count or value == current
            ),
        ),
    )


def _has(item: Waiting, by: Filter, chosen: Chosen) -> bool:
    return by.name not in chosen or chosen[by.name] in _values(item, by)


def _values(item: Waiting, by: Filter) -> list[str]:
    return [value for value, _, _ in by.values(item)]
