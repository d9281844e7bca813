"""Every cell of role, relation and act, against a table written out by hand."""

from itertools import chain, combinations

import pytest

from scheduler.domain.errors import NotPermitted
from scheduler.domain.lifecycle import Status
from scheduler.domain.permissions import (
    Act,
    Actor,
    Relation,
    Role,
    Scope,
    may,
    relations_of,
    require,
    require_scope,
)

# Each row: the act; who may by role (D developer, R reviewer, P deployer, E release engineer,
# O operations); whether the requester, or (tests) whoever tests it, too, may without a role; who is
# barred whatever the role (own: requester, owner, uploader, editor; +overrider); and the statuses
# (S submitted, N needs-info, A approved, Q queued, G deploying, or "over") it may be in, "any" for
# what is not about one backport.
TABLE = """
book              DRPEO -          -              any
watch             DRPEO -          -              SNAQG
amend             -     requester  -              SNAQ
reply             -     requester  -              N
withdraw          RE    requester  -              SNAQ
hand-over         E     requester  -              SNAQ
answer-question   RE    requester  -              SNAQ
approve           RE    -          own            S
withdraw-approval RE    -          -              AQ
acknowledge       RE    -          own            SNAQ
propose-override  RPE   -          own            SNAQ
confirm-override  RPE   -          own+overrider  SNAQ
ask               RPE   -          -              S
decline           RPE   -          -              SNAQ
send-to-train     RE    requester  -              SNAQ
send-to-dedicated RE    requester  -              SNAQ
veto              PE    -          -              SNAQ
lock-window       PE    -          -              any
unlock-window     PE    -          -              any
sign-up           PE    -          -              any
book-late         PE    -          -              any
move-on           RPE   requester  -              SNA
book-again        PE    requester  -              over
confirm-emergency EO    -          own            any
drive             PE    -          -              any
check-in          -     tests      -              QG
verify            -     tests      -              G
vouch             RPE   -          own            Q
manage-calendar   E     -          -              any
manage-train      E     -          -              any
manage-tokens     E     -          -              any
manage-people     E     -          -              any
look-after-mail   E     -          -              any
"""
ROLES = {
    "D": "developer",
    "R": "reviewer",
    "P": "deployer",
    "E": "release-engineer",
    "O": "operations",
}
STATUSES = {
    "S": Status.SUBMITTED,
    "N": Status.NEEDS_INFO,
    "A": Status.APPROVED,
    "Q": Status.QUEUED,
    "G": Status.DEPLOYING,
}
OWN = {"requester", "owner", "uploader", "editor", "past-requester"}
BARRED: dict[str, set[str]] = {"-": set(), "own": OWN, "own+overrider": {*OWN, "overrider"}}
ASKED: dict[str, set[str]] = {
    "-": set(),
    "requester": {"requester"},
    "tests": {"requester", "tester"},
}


def statuses_of(where: str) -> set[Status]:
    """Return the statuses that a row of the table names."""
    if where in {"any", "over"}:
        return set(Status) - (set(STATUSES.values()) if where == "over" else set())
    return {STATUSES[letter] for letter in where}


EXPECTED = {
    act: (
        {ROLES[letter] for letter in letters.strip("-")},
        ASKED[asked],
        BARRED[barred],
        statuses_of(where),
    )
    for act, letters, asked, barred, where in (line.split() for line in TABLE.strip().splitlines())
}


def every_set(names: list[str]) -> list[tuple[str, ...]]:
    """Return all subsets."""
    return list(chain.from_iterable(combinations(names, n) for n in range(len(names) + 1)))


@pytest.mark.parametrize("act", Act)
def test_an_act_is_permitted_exactly_where_the_table_says(act: Act) -> None:
    roles, asked, barred, statuses = EXPECTED[act.value]
    for held in every_set(sorted(ROLES.values())):
        actor = Actor("ada", frozenset(map(Role, held)))
        for relations in every_set([relation.value for relation in Relation]):
            expected = bool(roles & set(held)) or bool(asked & set(relations))
            expected = expected and not barred & set(relations)
            related = frozenset(map(Relation, relations))
            assert may(actor, act, related) is expected, (held, relations)
            for status in Status:
                here = expected and status in statuses
                assert may(actor, act, related, status) is here, (held, relations, status)
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


def test_relations_are_read_from_every_name_that_is_known() -> None:
    who = {
        Relation.REQUESTER: ["ada"],
        Relation.OWNER: ["Ada-L"],
        Relation.UPLOADER: ["rae"],
        Relation.PAST_REQUESTER: ["bob", "Rae"],
    }

    def held(username: str, *names: str) -> set[str]:
        return set(relations_of(Actor(username, names=frozenset(names)), who))

    assert held("ada") == {"requester"}
    assert held("ada", "ada-l") == {"requester", "owner"}
    assert held("rae", "sam") == {"uploader", "past-requester"}
    assert held("sam") == set()
    assert relations_of(Actor(""), {Relation.OWNER: [""]}) == frozenset()


def test_the_table_has_a_row_for_every_act() -> None:
    assert set(EXPECTED) == {act.value for act in Act}


def test_whoever_is_barred_may_nothing_whatever_they_are() -> None:
    barred = Actor("rel", frozenset(Role), barred="Set up a second factor first.")
    for act in Act:
        assert not may(barred, act, frozenset({Relation.REQUESTER}))
        with pytest.raises(NotPermitted, match=r"^Set up a second factor first\.$"):
            require(barred, act, frozenset({Relation.REQUESTER}))


def test_a_token_opens_what_its_scope_says_and_nothing_else() -> None:
    require_scope(Scope.TRAIN, Act.MANAGE_TRAIN)
    for act in set(Act) - {Act.MANAGE_TRAIN}:
        with pytest.raises(NotPermitted, match=r"^This token is for the train: it may not "):
            require_scope(Scope.TRAIN, act)
