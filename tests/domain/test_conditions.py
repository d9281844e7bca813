"""Configuration that is live, and whose condition does not hold: it has to be reverted."""

from typing import Any

import pytest

from scheduler.domain.changes import Change, ChangeSet, ChangeStatus
from scheduler.domain.dependencies import conditions_broken
from scheduler.domain.production import Production
from scheduler.domain.statements import Statement, StatementKind

OLD, NEW = "1.47.0-wmf.30", "1.47.0-wmf.31"
BOTH = Production((OLD, NEW), {"group0": NEW, "group1": OLD})
ALL_NEW = Production((OLD, NEW), {"group0": NEW, "group1": NEW})
CONFIG, CODE = 1, 2


def config(*needs: int) -> Change:
    footers = "".join(f"Depends-On: I{number:040x}\n" for number in needs)
    message = f"Switch it on\n\n{footers}Change-Id: I{CONFIG:040x}"
    return Change(
        CONFIG, "operations/mediawiki-config", "master", f"I{CONFIG:040x}", message=message
    )


def code(number: int = CODE, **facts: Any) -> Change:  # noqa: ANN401
    given = {"branch": f"wmf/{NEW}", "change_id": f"I{CODE:040x}", "status": ChangeStatus.MERGED}
    return Change(number, "mediawiki/extensions/Echo", **{**given, **facts})


def lacking(
    *changes: Change, production: Production = BOTH, said: tuple[Statement, ...] = ()
) -> list[tuple[int, tuple[str, ...]]]:
    found = conditions_broken(ChangeSet(changes), [CONFIG], production, said)
    return [(one.chain[0], one.branches) for one in found]


def test_a_cherry_pick_on_one_branch_is_lacking_on_the_other() -> None:
    assert lacking(config(CODE), code()) == [(CONFIG, (f"wmf/{OLD}",))]
    assert lacking(config(CODE), code(), production=ALL_NEW) == []
    assert lacking(config(CODE), code(), code(3, branch=f"wmf/{OLD}")) == []


def test_what_is_on_the_main_branch_is_judged_by_the_rule() -> None:
    merged = code(branch="master", included_in=frozenset({f"wmf/{NEW}"}))
    assert lacking(config(CODE), merged) == [(CONFIG, (f"wmf/{OLD}",))]
    assert lacking(config(CODE), merged, production=ALL_NEW) == []


@pytest.mark.parametrize(
    ("first", "then", "kind", "counts"),
    [
        (CODE, CONFIG, StatementKind.BEFORE, True),
        (CONFIG, CODE, StatementKind.BEFORE, False),
        (CODE, CONFIG, StatementKind.TOGETHER, True),
        (CONFIG, CODE, StatementKind.TOGETHER, True),
        (CODE, CONFIG, StatementKind.UNRELATED, False),
    ],
)
def test_what_people_said_counts_too(
    first: int, then: int, kind: StatementKind, *, counts: bool
) -> None:
    said = (Statement(first, then, kind),)
    assert bool(lacking(config(), code(), said=said)) is counts


def test_other_configuration_is_no_condition_of_a_version() -> None:
    other = Change(3, "operations/mediawiki-config", "master", f"I{3:040x}")
    assert lacking(config(3), other) == []
    assert lacking(config(9)) == []
