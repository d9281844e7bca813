"""Answers to what is asked about two changes, as a page would send them."""

from scheduler.domain.statements import OnlyFirst, StatementKind
from scheduler.models import Backport, Statement, User, Window
from scheduler.queries import newest_plan
from scheduler.services.statements import OnPair, answer_question, contest_answer


def shown(window: Window) -> str:
    """Return the digest of the plan that the page of a window shows."""
    plan = newest_plan(window)
    assert plan is not None
    return plan.fingerprint


def on_pair(
    pair: tuple[Backport, Backport], by: User, *, plan_fingerprint: str | None = None
) -> OnPair:
    """Return two backports as the window of the first one shows them."""
    first, then = pair
    fingerprint = plan_fingerprint or shown(first.window)
    return OnPair(first.change, then.change, by, first.window, fingerprint)


def answer(  # noqa: PLR0913 - what an answer is made of
    pair: tuple[Backport, Backport],
    by: User,
    *,
    kind: StatementKind = StatementKind.BEFORE,
    only_first: OnlyFirst = OnlyFirst.DEGRADED,
    reason: str = "",
    plan_fingerprint: str | None = None,
) -> Statement:
    """Say how two backports belong together; the first one goes first."""
    on = on_pair(pair, by, plan_fingerprint=plan_fingerprint)
    return answer_question(on=on, kind=kind, only_first=only_first, reason=reason)


def unrelated(pair: tuple[Backport, Backport], by: User, reason: str = "") -> Statement:
    """Say that two backports have nothing to do with each other."""
    nothing = OnlyFirst.NOTHING
    return answer(pair, by, kind=StatementKind.UNRELATED, only_first=nothing, reason=reason)


def contest(pair: tuple[Backport, Backport], by: User, reason: str = "It does.") -> None:
    """Say that what was answered is wrong."""
    contest_answer(on=on_pair(pair, by), reason=reason)
