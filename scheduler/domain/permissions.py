"""Who may do what: one table of role and relation per act, default deny.

Sources: `reference/trust.md` A3 and B-2: nobody decides on work that they own, uploaded or
requested, through whichever door they come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from scheduler.domain.errors import NotPermitted


class Role(StrEnum):
    """What an account is trusted with. An account may have several roles."""

    DEVELOPER = "developer"
    REVIEWER = "reviewer"
    DEPLOYER = "deployer"
    RELEASE_ENGINEER = "release-engineer"

    @property
    def spoken(self) -> str:
        """The role in words."""
        return self.value.replace("-", " ")


class Relation(StrEnum):
    """What a person is to the backport that the act is about."""

    REQUESTER = "requester"
    OWNER = "owner"
    UPLOADER = "uploader"


class Act(StrEnum):
    """Something a person asks the product to do."""

    BOOK = "book"
    AMEND = "amend"
    WITHDRAW = "withdraw"
    ANSWER_QUESTION = "answer-question"
    APPROVE = "approve"
    ACKNOWLEDGE = "acknowledge"
    ASK = "ask"
    DECLINE = "decline"
    SEND_TO_TRAIN = "send-to-train"
    LOCK_WINDOW = "lock-window"
    UNLOCK_WINDOW = "unlock-window"


@dataclass(frozen=True, slots=True)
class Actor:
    """A person as the rules see them."""

    username: str
    roles: frozenset[Role] = frozenset()


@dataclass(frozen=True, slots=True)
class Permit:
    """Who may do an act.

    Attributes:
        roles: any one of these is enough.
        relations: any one of these is enough too.
        unless: none of these may hold, whatever the roles.
    """

    roles: frozenset[Role] = frozenset()
    relations: frozenset[Relation] = frozenset()
    unless: frozenset[Relation] = frozenset()


_ALL_ROLES = frozenset(Role)
_REVIEWING = frozenset({Role.REVIEWER, Role.RELEASE_ENGINEER})
_DEPLOYING = frozenset({Role.DEPLOYER, Role.RELEASE_ENGINEER})
_OWN_WORK = frozenset(Relation)

PERMITS: Mapping[Act, Permit] = {
    Act.BOOK: Permit(roles=_ALL_ROLES),
    Act.AMEND: Permit(relations=frozenset({Relation.REQUESTER})),
    Act.WITHDRAW: Permit(roles=_REVIEWING, relations=frozenset({Relation.REQUESTER})),
    Act.ANSWER_QUESTION: Permit(roles=_REVIEWING, relations=frozenset({Relation.REQUESTER})),
    Act.APPROVE: Permit(roles=_REVIEWING, unless=_OWN_WORK),
    Act.ACKNOWLEDGE: Permit(roles=_REVIEWING, unless=_OWN_WORK),
    Act.ASK: Permit(roles=_REVIEWING | _DEPLOYING),
    Act.DECLINE: Permit(roles=_REVIEWING | _DEPLOYING),
    Act.SEND_TO_TRAIN: Permit(roles=_REVIEWING, relations=frozenset({Relation.REQUESTER})),
    Act.LOCK_WINDOW: Permit(roles=_DEPLOYING),
    Act.UNLOCK_WINDOW: Permit(roles=_DEPLOYING),
}

_DEEDS: Mapping[Act, str] = {
    Act.BOOK: "book a backport",
    Act.AMEND: "change these answers",
    Act.WITHDRAW: "withdraw this backport",
    Act.ANSWER_QUESTION: "answer this question",
    Act.APPROVE: "approve this backport",
    Act.ACKNOWLEDGE: "take on what the rules say about this backport",
    Act.ASK: "ask its requester",
    Act.DECLINE: "decline this backport",
    Act.SEND_TO_TRAIN: "send this backport to the train",
    Act.LOCK_WINDOW: "lock a window",
    Act.UNLOCK_WINDOW: "unlock a window",
}

_OWN = {
    Relation.REQUESTER: "you requested it",
    Relation.OWNER: "you own the change",
    Relation.UPLOADER: "you uploaded its current patch set",
}


def relations_of(
    username: str, *, requester: str, owner: str, uploader: str
) -> frozenset[Relation]:
    """Return what a person is to a backport; an empty account name is related to nothing."""
    held = {Relation.REQUESTER: requester, Relation.OWNER: owner, Relation.UPLOADER: uploader}
    return frozenset(relation for relation, name in held.items() if name and name == username)


def may(actor: Actor, act: Act, relations: frozenset[Relation] = frozenset()) -> bool:
    """Return whether an actor with these relations may do the act."""
    permit = PERMITS.get(act)
    if permit is None or permit.unless & relations:
        return False
    return bool(permit.roles & actor.roles or permit.relations & relations)


def require(actor: Actor, act: Act, relations: frozenset[Relation] = frozenset()) -> None:
    """Let the act pass, or refuse it with the reason.

    Raises:
        NotPermitted: the table does not allow it.
    """
    if may(actor, act, relations):
        return
    own = PERMITS[act].unless & relations
    if own:
        reasons = _listed([_OWN[relation] for relation in Relation if relation in own], "and")
        raise NotPermitted(f"You may not {_DEEDS[act]}: {reasons}. Somebody else has to.")
    held = _listed([f"a {role.spoken}" for role in Role if role in actor.roles], "and")
    raise NotPermitted(
        f"Only {_who_may(act)} may {_DEEDS[act]}; "
        f"you are signed in as {actor.username}, {held or 'without a role'}."
    )


def _who_may(act: Act) -> str:
    """Return those whom the table allows an act: "the requester or a reviewer"."""
    permit = PERMITS[act]
    return _listed(
        [
            *(f"the {relation.value}" for relation in Relation if relation in permit.relations),
            *(f"a {role.spoken}" for role in Role if role in permit.roles),
        ],
        "or",
    )


def _listed(words: list[str], last: str) -> str:
    """Return words as a sentence lists them: "a", "a or b", "a, b or c"."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
