"""Every cell of role, relation and act, against a table written out by hand."""

from itertools import chain, combinations

import pytest

from scheduler.domain.errors import NotPermitted
from scheduler.domain.permissions import Act, Actor, Relation, Role, may, relations_of, require

# Each row: the act; who may by role (D developer, R reviewer, P deployer, E release engineer);
# whether the requester may without a role; whether the requester, owner and uploader are barred.
TABLE = """
book            DRPE  -          -
amend           -     requester  -
withdraw        RE    requester  -
answer-question RE    requester  -
approve         RE    -          barred
acknowledge     RE    -          barred
ask             RPE   -          -
decline         RPE   -          -
send-to-train   RE    requester  -
lock-window     PE    -          -
unlock-window   PE    -          -
"""
ROLES = {"D": "developer", "R": "reviewer", "P": "deployer", "E": "release-engineer"}
EXPECTED = {
    act: ({ROLES[letter] for letter in letters.strip("-")}, asked == "requester", own == "barred")
    for act, letters, asked, own in (line.split() for line in TABLE.strip().splitlines())
}


def every_set(names: list[str]) -> list[tuple[str, ...]]:
    """Return all subsets."""
    return list(chain.from_iterable(combinations(names, n) for n in range(len(names) + 1)))


@pytest.mark.parametrize("act", Act)
def test_an_act_is_permitted_exactly_where_the_table_says(act: Act) -> None:
    roles, requester_may, own_work_barred = EXPECTED[act.value]
    for held in every_set(sorted(ROLES.values())):
        actor = Actor("ada", frozenset(map(Role, held)))
        for relations in every_set([relation.value for relation in Relation]):
            expected = bool(roles & set(held)) or (requester_may and "requester" in relations)
            expected = expected and not (own_work_barred and relations)
            related = frozenset(map(Relation, relations))
            assert may(actor, act, related) is expected, (held, relations)
            if expected:
                require(actor, act, related)
            else:
                with pytest.raises(NotPermitted):
                    require(actor, act, related)


def test_a_refusal_says_why() -> None:
    rae = Actor("rae", frozenset({Role.REVIEWER}))
    own = frozenset({Relation.OWNER, Relation.UPLOADER})
    with pytest.raises(NotPermitted, match="you own the change and you uploaded"):
        require(rae, Act.APPROVE, own)
    with pytest.raises(NotPermitted) as refusal:
        require(Actor("sam"), Act.APPROVE)
    assert refusal.value.sentence == str(refusal.value)
    assert refusal.value.sentence == (
        "Only a reviewer or a release engineer may approve this backport; "
        "you are signed in as sam, without a role."
    )
    with pytest.raises(NotPermitted, match="Only the requester may change these answers"):
        require(Actor("sam"), Act.AMEND)
    with pytest.raises(NotPermitted) as refusal:
        require(Actor("dev", frozenset({Role.DEPLOYER, Role.DEVELOPER})), Act.WITHDRAW)
    assert refusal.value.sentence == (
        "Only the requester, a reviewer or a release engineer may withdraw this backport; "
        "you are signed in as dev, a developer and a deployer."
    )


def test_relations_are_read_from_the_names() -> None:
    def held(username: str) -> set[str]:
        return set(relations_of(username, requester="ada", owner="ada", uploader="rae"))

    assert held("ada") == {"requester", "owner"}
    assert held("rae") == {"uploader"}
    assert held("sam") == set()
    assert relations_of("", requester="", owner="", uploader="") == frozenset()


def test_the_table_has_a_row_for_every_act() -> None:
    assert set(EXPECTED) == {act.value for act in Act}
