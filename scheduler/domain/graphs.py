"""Three standard algorithms on directed graphs, iterative, so that no chain is too long."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)

# How many edges a search for a shortest circle may look at before it settles for the best so far.
_CIRCLE_BUDGET = 200_000


def strong_components(
    nodes: Iterable[Node], successors: Callable[[Node], Iterable[Node]]
) -> list[list[Node]]:
    """Return the strongly connected components, each one after all that it leads to."""
    search = _Tarjan(successors)
    for node in nodes:
        search.visit(node)
    return search.components


class _Tarjan(Generic[Node]):
    """Tarjan's search with a stack of its own in place of recursion."""

    def __init__(self, successors: Callable[[Node], Iterable[Node]]) -> None:
        self.components: list[list[Node]] = []
        self._successors = successors
        self._index: dict[Node, int] = {}
        self._low: dict[Node, int] = {}
        self._stack: list[Node] = []
        self._on_stack: set[Node] = set()
        self._work: list[tuple[Node, Iterator[Node]]] = []

    def visit(self, root: Node) -> None:
        """Find the components of everything that the root leads to."""
        if root in self._index:
            return
        self._open(root)
        while self._work:
            node, following = self._work[-1]
            if not self._descend(node, following):
                self._close(node)

    def _open(self, node: Node) -> None:
        self._index[node] = self._low[node] = len(self._index)
        self._stack.append(node)
        self._on_stack.add(node)
        self._work.append((node, iter(self._successors(node))))

    def _descend(self, node: Node, following: Iterator[Node]) -> bool:
        for after in following:
            if after not in self._index:
                self._open(after)
                return True
            if after in self._on_stack:
                self._low[node] = min(self._low[node], self._index[after])
        return False

    def _close(self, node: Node) -> None:
        self._work.pop()
        if self._work:
            above = self._work[-1][0]
            self._low[above] = min(self._low[above], self._low[node])
        if self._low[node] == self._index[node]:
            place = len(self._stack) - 1
            while self._stack[place] != node:
                place -= 1
            component = self._stack[place:]
            del self._stack[place:]
            self._on_stack.difference_update(component)
            self.components.append(component)


def circles(
    nodes: Iterable[Node], successors: Mapping[Node, Sequence[Node]]
) -> list[tuple[frozenset[Node], tuple[Node, ...]]]:
    """Return each component that holds a circle, with a shortest circle of it, in order.

    Nodes must be comparable: a circle starts at its smallest node. In components too large to
    search whole, the circle is the shortest that was found.
    """
    found = []
    leading = _leading_to_circles(successors)
    starts = [node for node in nodes if node in leading] if leading else []
    for component in strong_components(starts, lambda node: successors.get(node, ())):
        if len(component) > 1 or component[0] in successors.get(component[0], ()):
            members = frozenset(component)
            found.append((members, _shortest_circle(members, successors)))
    return found


def _leading_to_circles(successors: Mapping[Node, Sequence[Node]]) -> set[Node]:
    """Return what is left when that which leads nowhere is taken away, again and again."""
    left = {node: len(following) for node, following in successors.items()}
    before: dict[Node, list[Node]] = {}
    for node, following in successors.items():
        for after in following:
            before.setdefault(after, []).append(node)
    ends = [node for node in before if not left.get(node)]
    while ends:
        for node in before.get(ends.pop(), ()):
            left[node] -= 1
            if not left[node]:
                ends.append(node)
    return {node for node, count in left.items() if count}


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
        while True:  # in a component, every way leads back
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
