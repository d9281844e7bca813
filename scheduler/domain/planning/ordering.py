"""A deterministic topological order of bundles, as close to the published one as it can be."""

import heapq
from collections.abc import Mapping

from scheduler.domain.backports import Backport, Urgency
from scheduler.domain.changes import ChangeSet
from scheduler.domain.planning.edges import Edges

_NO_PLACE = 1 << 62


def deploy_order(
    going: frozenset[int], edges: Edges, backports: Mapping[int, Backport], changes: ChangeSet
) -> list[tuple[int, ...]]:
    """Return the steps, each a bundle of change numbers in ascending order.

    Whenever several could come next, the smallest of (place given before, urgency, beta-only last,
    booking time, number) goes; a bundle counts by its smallest member. What an urgent one needs is
    as urgent. Edges to changes that do not go are ignored. `going` must be free of circles.
    """
    bundle = edges.bundle
    members: dict[int, list[int]] = {}
    for number in sorted(going):
        members.setdefault(bundle[number], []).append(number)
    names = _ranked(members, going, edges, backports, changes)
    rank = {name: place for place, name in enumerate(names)}
    waits_for = dict.fromkeys(names, 0)
    for number in going & edges.firsts.keys():
        edges_to = [because for because in edges.firsts[number] if because.first in going]
        waits_for[bundle[number]] += len(edges_to)
    ready = [place for place, name in enumerate(names) if not waits_for[name]]
    order = []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(tuple(members[name]))
        for number in members[name]:
            for then in edges.thens.get(number, ()):
                if then in going:
                    following = bundle[then]
                    waits_for[following] -= 1
                    if not waits_for[following]:
                        heapq.heappush(ready, rank[following])
    return order


def _ranked(
    members: Mapping[int, list[int]],
    going: frozenset[int],
    edges: Edges,
    backports: Mapping[int, Backport],
    changes: ChangeSet,
) -> list[int]:
    """Return the bundles as they would go if nothing needed anything."""
    urgency = _urgencies(members, going, edges, backports)
    keys = [
        (
            _NO_PLACE if asked.place is None else asked.place,
            urgency[asked.change],
            changes[asked.change].is_beta_only,
            asked.submitted_at,
            asked.change,
        )
        for asked in map(backports.__getitem__, urgency)
    ]
    keys.sort()
    return list(dict.fromkeys([edges.bundle[number] for *_, number in keys]))


def _urgencies(
    members: Mapping[int, list[int]],
    going: frozenset[int],
    edges: Edges,
    backports: Mapping[int, Backport],
) -> dict[int, Urgency]:
    """Return the highest urgency of each change and of everything that needs it."""
    urgency = {n: backports[n].urgency for numbers in members.values() for n in numbers}
    least = max(urgency.values(), default=None)
    spread: set[int] = set()
    for number in sorted(urgency, key=urgency.__getitem__):
        level = urgency[number]
        if level == least:
            break
        waiting = [edges.bundle[number]]
        while waiting:
            name = waiting.pop()
            if name in spread:
                continue
            spread.add(name)
            for member in members[name]:
                for first in edges.needed_by(member):
                    if first in going and urgency[first] > level:
                        urgency[first] = level
                        waiting.append(edges.bundle[first])
    return urgency
