"""A deterministic topological order of bundles, as close to the published one as it can be."""

import heapq
from collections.abc import Mapping
from datetime import datetime

from scheduler.domain.backports import Backport, Urgency
from scheduler.domain.changes import ChangeSet
from scheduler.domain.planning.edges import Edges

_NO_PLACE = 1 << 62

Key = tuple[int, int, bool, datetime, int]


def deploy_order(
    going: frozenset[int], edges: Edges, backports: Mapping[int, Backport], changes: ChangeSet
) -> list[tuple[int, ...]]:
    """Return the steps, each a bundle of change numbers in ascending order.

    Whenever several could come next, the smallest of (place given before, urgency, beta-only last,
    booking time, number) goes; a bundle counts by its smallest member. What an urgent one needs is
    as urgent. Edges to changes that do not go are ignored. `going` must be free of circles.
    """
    members, after, waits_for = _contracted(going, edges)
    of_bundle = _urgencies(members, after, waits_for, backports)
    bundle = edges.bundles.of

    def urgency(number: int) -> Urgency:
        own = backports[number].urgency
        needed_by = (then for then in edges.thens.get(number, ()) if then in going)
        return min((own, *(of_bundle[bundle(then)] for then in needed_by)))

    def key(name: int) -> Key:
        return min(
            (
                _NO_PLACE if asked.place is None else asked.place,
                urgency(asked.change),
                changes[asked.change].is_beta_only,
                asked.submitted_at,
                asked.change,
            )
            for asked in (backports[number] for number in members[name])
        )

    ready = [(key(name), name) for name, count in waits_for.items() if count == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        _, name = heapq.heappop(ready)
        order.append(tuple(members[name]))
        for following in after.get(name, ()):
            waits_for[following] -= 1
            if waits_for[following] == 0:
                heapq.heappush(ready, (key(following), following))
    return order


def _contracted(
    going: frozenset[int], edges: Edges
) -> tuple[dict[int, list[int]], dict[int, dict[int, None]], dict[int, int]]:
    """Return the bundles that go: their members, what follows each, how many each waits for."""
    bundle = edges.bundles.of
    members: dict[int, list[int]] = {}
    for number in sorted(going):
        members.setdefault(bundle(number), []).append(number)
    after: dict[int, dict[int, None]] = {}
    waits_for = dict.fromkeys(members, 0)
    for then in sorted(going & edges.firsts.keys()):
        name = bundle(then)
        for first in edges.firsts[then]:
            if first in going and name not in after.setdefault(bundle(first), {}):
                after[bundle(first)][name] = None
                waits_for[name] += 1
    return members, after, waits_for


def _urgencies(
    members: Mapping[int, list[int]],
    after: Mapping[int, Mapping[int, None]],
    waits_for: Mapping[int, int],
    backports: Mapping[int, Backport],
) -> dict[int, Urgency]:
    """Return the highest urgency of each bundle and of everything that needs it."""
    count = dict(waits_for)
    order = [name for name, needs in count.items() if needs == 0]
    for name in order:
        for following in after.get(name, ()):
            count[following] -= 1
            if count[following] == 0:
                order.append(following)
    highest: dict[int, Urgency] = {}
    for name in reversed(order):
        own = min(backports[number].urgency for number in members[name])
        highest[name] = min((own, *(highest[following] for following in after.get(name, ()))))
    return highest
