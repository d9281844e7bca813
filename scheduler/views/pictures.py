"""The picture of what a change depends on: boxes in layers; the template draws it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 176, 46, 54, 16, 8


@dataclass(frozen=True, slots=True)
class Link:
    """One arrow: `first` must be live before `then`; `source` says who says so."""

    first: int
    then: int
    source: str
    asked: bool = False


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
        if not link.asked and link.first in needs and link.then in needs:
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


def picture_of(own: int, links: Iterable[Link], labels: Mapping[int, str]) -> Picture | None:
    """Return the picture of a change and what it is linked with; None if that is nothing."""
    links = tuple(links)
    numbers = {own, *(link.first for link in links), *(link.then for link in links)}
    if len(numbers) == 1:
        return None
    asked = {number for link in links if link.asked for number in (link.first, link.then)} - {own}
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
            is_self=number == own,
            asked=number in asked,
        )
    return Picture(
        boxes=tuple(boxes.values()),
        arrows=tuple(
            Arrow(_path(boxes[link.first], boxes[link.then]), link.asked) for link in links
        ),
        links=links,
        width=max(box.x for box in boxes.values()) + WIDTH + MARGIN,
        height=max(box.y for box in boxes.values()) + HEIGHT + MARGIN,
    )


def _short(label: str, room: int = 24) -> str:
    return label if len(label) <= room else label[: room - 1] + "…"


def _path(first: Box, then: Box) -> str:
    if first.x == then.x:
        middle = first.x + WIDTH // 2
        if first.y < then.y:
            return f"M{middle} {first.y + HEIGHT} V{then.y - 2}"
        return f"M{middle} {first.y} V{then.y + HEIGHT + 2}"
    start, end = first.x + WIDTH, then.x - 2
    bend = (start + end) // 2
    return (
        f"M{start} {first.y + HEIGHT // 2} C{bend} {first.y + HEIGHT // 2} "
        f"{bend} {then.y + HEIGHT // 2} {end} {then.y + HEIGHT // 2}"
    )
