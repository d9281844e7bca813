"""Three standard algorithms on directed graphs, iterative, so that no chain is too long."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)

# How many edges a search for a shortest circle may look at before it settles for the best so far.
_CIRCLE_BUDGET = 2_000_000


def strong_components(
    nodes: Iterable[Node], successors: Callable[[Node], Iterable[Node]]
) -> list[list[Node]]:
    """Return the strongly connected components, each one after all that it leads to (Tarjan)."""
    index: dict[Node, int] = {}
    low: dict[Node, int] = {}
    on_stack: set[Node] = set()
    stack: list[Node] = []
    components: list[list[Node]] = []
    for root in nodes:
        if root in index:
            continue
        work: list[tuple[Node, Iterator[Node]]] = [(root, iter(successors(root)))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, following = work[-1]
            for after in following:
                if after not in index:
                    index[after] = low[after] = len(index)
                    stack.append(after)
                    on_stack.add(after)
                    work.append((after, iter(successors(after))))
                    break
                if after in on_stack:
                    low[node] = min(low[node], index[after])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component: list[Node] = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(member)
                        component.append(member)
                        if member == node:
                            break
                    components.append(component)
    return components


def circles(
    nodes: Iterable[Node], successors: Mapping[Node, Sequence[Node]]
) -> list[tuple[frozenset[Node], tuple[Node, ...]]]:
    """Return each component that holds a circle, with a shortest circle of it, in order.

    Nodes must be comparable: a circle starts at its smallest node. In components too large to
    search whole, the circle is the shortest that was found.
    """
    found = []
    for component in strong_components(nodes, lambda node: successors.get(node, ())):
        if len(component) > 1 or component[0] in successors.get(component[0], ()):
            members = frozenset(component)
            found.append((members, _shortest_circle(members, successors)))
    return found


def _shortest_circle(
    members: frozenset[Node], successors: Mapping[Node, Sequence[Node]]
) -> tuple[Node, ...]:
    best: tuple[Node, ...] = ()
    budget = _CIRCLE_BUDGET
    for start in sorted(members):  # type: ignore[type-var]
        if best and (len(best) == 1 or budget <= 0):
            break
        came_from: dict[Node, Node | None] = {start: None}
        ring: deque[tuple[Node, int]] = deque([(start, 1)])
        while ring:
            node, length = ring.popleft()
            if best and length >= len(best):
                break
            following = [after for after in successors.get(node, ()) if after in members]
            budget -= len(following)
            if start in following:
                best = _walk_back(node, came_from)
                break
            for after in following:
                if after not in came_from:
                    came_from[after] = node
                    ring.append((after, length + 1))
    smallest = best.index(min(best))  # type: ignore[type-var]
    return best[smallest:] + best[:smallest]


def _walk_back(node: Node, came_from: Mapping[Node, Node | None]) -> tuple[Node, ...]:
    walk: list[Node] = []
    step: Node | None = node
    while step is not None:
        walk.append(step)
        step = came_from[step]
    return tuple(reversed(walk))


class Groups:
    """Disjoint sets of numbers that grow together (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def join(self, one: int, other: int) -> None:
        """Put the groups of both numbers together."""
        low, high = sorted((self.of(one), self.of(other)))
        self._parent[low] = low
        self._parent[high] = low

    def of(self, number: int) -> int:
        """Return the smallest number of its group: itself where it was never joined."""
        if number not in self._parent:
            return number
        root = number
        while (above := self._parent.get(root, root)) != root:
            root = above
        while number != root:
            self._parent[number], number = root, self._parent.get(number, root)
        return root
