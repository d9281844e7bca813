"""Queues to walk through: three to six changes that need each other in any way that has an end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from unittest.mock import patch

from django.utils import timezone
from hypothesis import strategies as st

from scheduler.adapters.ports import FetchedChange
from scheduler.domain.backports import Mark
from scheduler.domain.changes import ChangedFile
from scheduler.domain.statements import OnlyFirst, StatementKind
from scheduler.models import Backport, Change, Delivery, Event, User, Window
from scheduler.queries import newest_plan
from scheduler.services import backports, reviews
from scheduler.services.plans import replan_window
from scheduler.services.statements import OnPair, answer_question
from tests.driving import lock
from tests.factories import approve, fetched, make_backport, make_window

FEWEST, MOST = 3, 6
MOST_NEEDED = 2  # by one change
BETA = ChangedFile("wmf-config/InitialiseSettings-labs.php")


@dataclass(frozen=True)
class Asked:
    """One change that is asked for.

    Attributes:
        needs: what its message declares.
        steps: what its requester wants done before and after it.
        by_plan: whether its deployer verifies it by the test plan.
        is_beta: whether only the Beta Cluster sees it.
    """

    number: int
    needs: tuple[int, ...] = ()
    steps: tuple[str, str] = ("", "")
    by_plan: bool = False
    is_beta: bool = False

    def told(self, **facts: object) -> FetchedChange:
        """Return it as the review system tells it, with what differs from a change that may go."""
        needs = "".join(f"Depends-On: I{one:040x}\n" for one in self.needs)
        message = f"Change {self.number}\n\n{needs}Change-Id: I{self.number:040x}"
        if self.is_beta:
            facts = {"files": (BETA,), **facts}
        return fetched(self.number, message=message, **facts)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Queue:
    """What is asked for, in the order of booking.

    Attributes:
        asked: by number.
        pair: two that go together or not at all; none is ().
    """

    asked: Mapping[int, Asked]
    pair: tuple[int, ...] = ()

    @property
    def needs(self) -> Mapping[int, frozenset[int]]:
        """What has to be live before each change, or to become so with it."""
        return {
            number: frozenset(one.needs)
            | (frozenset(self.pair) - {number} if number in self.pair else frozenset())
            for number, one in self.asked.items()
        }


@st.composite
def queues(draw: st.DrawFn) -> Queue:
    """Draw a queue whose order is none of its numbers'."""
    count = draw(st.integers(FEWEST, MOST))
    order = draw(st.permutations(range(1, count + 1)))
    asked = {}
    for place, number in enumerate(order):
        most = min(place, MOST_NEEDED)
        few = st.lists(
            st.sampled_from(order[:place] or [0]),
            min_size=draw(st.integers(0, most)),
            max_size=most,
            unique=True,
        )
        asked[number] = Asked(
            number,
            needs=tuple(draw(few)),
            steps=draw(st.sampled_from([("", ""), ("", ""), ("Warm it.", ""), ("", "Purge it.")])),
            by_plan=draw(st.integers(0, 4)) == 4,
            is_beta=draw(st.integers(0, 7)) == 7,
        )
    # Two beside each other: there is nothing that needs one of them and is needed by the other.
    at = draw(st.integers(0, 2 * count))
    return Queue(asked, tuple(order[at : at + 2]) if at < count - 1 else ())


def book(queue: Queue, people: Mapping[str, User]) -> tuple[Window, dict[int, Backport]]:
    """Have a queue booked by Ada, approved by Rae and locked by Dev.

    It is planned when all of it is booked and when it is locked, not after each change. What
    was told of it until then was handed on.

    Returns:
        The window, which began five minutes ago, and its backports by the number of their change.
    """
    start = timezone.now() - timedelta(minutes=5)
    window = make_window(start=start, end=start + timedelta(hours=1))
    booked = {}
    with patch.object(backports, "replan_window"):
        for number, one in sorted(queue.asked.items()):
            before, after = one.steps
            given = {"present": False, "marks": _PLANNED} if one.by_plan else {}
            booked[number] = make_backport(
                window, people["ada"], one.told(), steps_before=before, steps_after=after, **given
            )
    replan_window(window=window, now=timezone.now())
    if queue.pair:
        _say_together(window, people["rae"], [booked[number].change for number in queue.pair])
    with patch.object(reviews, "replan_window"):
        for backport in booked.values():
            approve(backport, people["rae"])
    locked = lock(window, people["dev"])
    told = Event.objects.all()
    Delivery.objects.bulk_create(Delivery(event=one, delivered_at=one.at) for one in told)
    return locked, booked


_PLANNED = frozenset({Mark.LOW_RISK, Mark.TEST_PLAN})


def _say_together(window: Window, by: User, pair: Sequence[Change]) -> None:
    plan = newest_plan(window)
    assert plan is not None
    answer_question(
        on=OnPair(pair[0], pair[1], by, window, plan.fingerprint),
        kind=StatementKind.TOGETHER,
        only_first=OnlyFirst.OUTAGE,
    )
