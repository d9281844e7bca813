"""The picture of what a change depends on: boxes in layers; the template draws it."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scheduler.adapters.plan_document import parse
from scheduler.domain.changes import short_project
from scheduler.domain.dependencies import Dependencies
from scheduler.domain.planning.plan import PlanInput
from scheduler.domain.statements import StatementKind
from scheduler.models import Plan

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 176, 46, 54, 16, 8


@dataclass(frozen=True, slots=True)
class Link:
    """One arrow: `first` must be live before `then`; `source` says who says so.

    Attributes:
        asked: somebody has to say whether there is one.
        together: they go out in one step instead.
    """

    first: int
    then: int
    source: str
    asked: bool = False
    together: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """One change in the picture, with the place of its upper left corner."""

    number: int
    label: str
    x: int
    y: int
    is_self: bool
    asked: bool

    @property
    def text_x(self) -> int:
        """Where its text starts."""
        return self.x + 10

    @property
    def title_y(self) -> int:
        """The base line of its first line of text."""
        return self.y + 19

    @property
    def label_y(self) -> int:
        """The base line of its second line of text."""
        return self.y + 36


@dataclass(frozen=True, slots=True)
class Arrow:
    """One link as an SVG path."""

    path: str
    asked: bool
    together: bool


@dataclass(frozen=True, slots=True)
class PlanLinks:
    """What links the changes of a plan, and the repository of each by number."""

    links: tuple[Link, ...]
    labels: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Picture:
    """Boxes and arrows, first to last from left to right."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    links: tuple[Link, ...]
    width: int
    height: int


def layers_of(numbers: Iterable[int], links: Iterable[Link]) -> dict[int, int]:
    """Return the layer of each number: one more than the deepest of what it needs first.

    Links that would close a circle are left out of the layering (they are drawn all the same).
    """
    needs: dict[int, list[int]] = {number: [] for number in numbers}
    for link in links:
        if not (link.asked or link.together) and link.first in needs and link.then in needs:
            needs[link.then].append(link.first)
    layer = dict.fromkeys(needs, 0)
    for _ in range(len(needs)):
        moved = False
        for number in sorted(needs):
            depth = max((layer[first] + 1 for first in needs[number]), default=0)
            if depth > layer[number] and depth < len(needs):
                layer[number], moved = depth, True
        if not moved:
            break
    return layer


def links_of_plan(plan: Plan | None) -> PlanLinks:
    """Return what links the changes of a plan, and what to write under each; found once for it."""
    return _found(plan.pk, plan.fingerprint) if plan else PlanLinks((), {})


@lru_cache(maxsize=256)
def _found(pk: int, fingerprint: str) -> PlanLinks:
    plan = Plan.objects.get(pk=pk, fingerprint=fingerprint)
    facts = parse(json.dumps(plan.document))
    labels = {change.number: short_project(change.project) for change in facts.changes}
    return PlanLinks(links_in(facts, plan.result), labels)


def links_in(facts: PlanInput, result: Mapping[str, Any]) -> tuple[Link, ...]:
    """Return what is declared, stated or asked about the changes of a plan document.

    Args:
        facts: the document.
        result: the plan that was made from it.
    """
    booked = [one.change for one in facts.backports]
    known = Dependencies(facts.changes, booked, facts.production, facts.statements)
    declared = [
        Link(link.to.number, one.number, "open parent" if link.is_parent else "Depends-On")
        for one in facts.changes
        for link in known.links(one.number)
    ]
    stated = [
        Link(
            said.first,
            said.then,
            f"{said.by or 'somebody'} said",
            together=said.kind is StatementKind.TOGETHER,
        )
        for said in facts.statements
        if said.kind is not StatementKind.UNRELATED
    ]
    asked = [
        Link(min(one["changes"]), max(one["changes"]), "question open", asked=True)
        for one in result.get("questions", ())
    ]
    return (*declared, *stated, *asked)


def links_of(number: int, links: Iterable[Link]) -> tuple[Link, ...]:
    """Return what leads to a change or away from it: all that it needs, and what needs it."""
    every = tuple(links)
    linked = {number}
    for _ in every:
        more = {
            end
            for link in every
            if not link.asked and (link.then in linked or link.first == number)
            for end in (link.first, link.then)
        }
        if more <= linked:
            break
        linked |= more
    return tuple(
        link
        for link in every
        if (number in {link.first, link.then} if link.asked else {link.first, link.then} <= linked)
    )


def picture_of(
    own: Collection[int], links: Iterable[Link], labels: Mapping[int, str]
) -> Picture | None:
    """Return the picture of changes and what they are linked with; None if that is nothing.

    Args:
        own: whose picture it is; of those, what is linked with nothing is not shown.
        links: what links them, and others.
        labels: what to write under a number.
    """
    links = tuple(links)
    numbers = {end for link in links for end in (link.first, link.then)}
    if not numbers:
        return None
    asked = {number for link in links if link.asked for number in (link.first, link.then)}
    asked -= set(own)
    rows: dict[int, int] = {}
    boxes: dict[int, Box] = {}
    for number, layer in sorted(layers_of(numbers, links).items(), key=lambda row: row[::-1]):
        row = rows.get(layer, 0)
        rows[layer] = row + 1
        boxes[number] = Box(
            number=number,
            label=_short(labels.get(number, "not known")),
            x=MARGIN + layer * (WIDTH + GAP_X),
            y=MARGIN + row * (HEIGHT + GAP_Y),
            is_self=number in own,
            asked=number in asked,
        )
    reach = [box.x + WIDTH for box in boxes.values()]
    for link in links:
        first, then = boxes[link.first], boxes[link.then]
        if first.x == then.x:
            reach.append(first.x + WIDTH + _bow(first, then))
    return Picture(
        boxes=tuple(boxes.values()),
        arrows=tuple(
            Arrow(_path(boxes[link.first], boxes[link.then]), link.asked, link.together)
            for link in links
        ),
        links=links,
        width=MARGIN + max(reach),
        height=max(box.y for box in boxes.values()) + HEIGHT + MARGIN,
    )


def _short(label: str, room: int = 24) -> str:
    return label if len(label) <= room else label[: room - 1] + "…"


def _bow(first: Box, then: Box) -> int:
    """Return how far the bow between two boxes of one column reaches to their right."""
    return 26 + 16 * (abs(first.y - then.y) // (HEIGHT + GAP_Y))


def _path(first: Box, then: Box) -> str:
    if first.x == then.x:  # around whatever stands between them, each as far out as it is long
        right, top, bottom = first.x + WIDTH, first.y + HEIGHT // 2, then.y + HEIGHT // 2
        out = right + _bow(first, then)
        return f"M{right} {top} C{out} {top} {out} {bottom} {right + 2} {bottom}"
    start, end = first.x + WIDTH, then.x - 2
    bend = (start + end) // 2
    return (
        f"M{start} {first.y + HEIGHT // 2} C{bend} {first.y + HEIGHT // 2} "
        f"{bend} {then.y + HEIGHT // 2} {end} {then.y + HEIGHT // 2}"
    )
