"""Who may do what: one table of role and relation per act, default deny.

Sources: `reference/trust.md` A3 and B-2: nobody decides on work that they own, uploaded or
requested, through whichever door they come.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from scheduler.domain.errors import NotPermitted
from scheduler.domain.lifecycle import OPEN, TRANSITIONS, Action, Status


class Role(StrEnum):
    """What an account is trusted with. An account may have several roles."""

    DEVELOPER = "developer"
    REVIEWER = "reviewer"
    DEPLOYER = "deployer"
    RELEASE_ENGINEER = "release-engineer"
    OPERATIONS = "operations"

    @property
    def spoken(self) -> str:
        """The role in words."""
        return self.value.replace("-", " ")

    @property
    def person(self) -> str:
        """Somebody who has the role, in words."""
        return "somebody of operations" if self is Role.OPERATIONS else f"a {self.spoken}"


# Who confirms, one of each, that something goes out in spite of a freeze
# (`reference/wikimedia.md` 1.6, "Friday").
EMERGENCY_ROLES = (Role.RELEASE_ENGINEER, Role.OPERATIONS)


class Relation(StrEnum):
    """What a person is to the backport that the act is about."""

    REQUESTER = "requester"
    OWNER = "owner"
    UPLOADER = "uploader"
    EDITOR = "editor"
    PAST_REQUESTER = "past-requester"
    OVERRIDER = "overrider"
    TESTER = "tester"


class Act(StrEnum):
    """Something a person asks the product to do."""

    BOOK = "book"
    WATCH = "watch"
    AMEND = "amend"
    REPLY = "reply"
    WITHDRAW = "withdraw"
    HAND_OVER = "hand-over"
    ANSWER_QUESTION = "answer-question"
    APPROVE = "approve"
    WITHDRAW_APPROVAL = "withdraw-approval"
    ACKNOWLEDGE = "acknowledge"
    PROPOSE_OVERRIDE = "propose-override"
    CONFIRM_OVERRIDE = "confirm-override"
    ASK = "ask"
    DECLINE = "decline"
    SEND_TO_TRAIN = "send-to-train"
    SEND_TO_DEDICATED = "send-to-dedicated"
    VETO = "veto"
    LOCK_WINDOW = "lock-window"
    UNLOCK_WINDOW = "unlock-window"
    SIGN_UP = "sign-up"
    BOOK_LATE = "book-late"
    MOVE_ON = "move-on"
    BOOK_AGAIN = "book-again"
    CONFIRM_EMERGENCY = "confirm-emergency"
    DRIVE = "drive"
    CHECK_IN = "check-in"
    VERIFY = "verify"
    VOUCH = "vouch"
    MANAGE_CALENDAR = "manage-calendar"
    MANAGE_TRAIN = "manage-train"
    MANAGE_TOKENS = "manage-tokens"
    MANAGE_PEOPLE = "manage-people"
    LOOK_AFTER_MAIL = "look-after-mail"


class Scope(StrEnum):
    """What a token of the API is for. It opens no more than its owner may do."""

    TRAIN = "train"
    DEPLOY = "deploy"

    @property
    def spoken(self) -> str:
        """What such a token is for, in words."""
        return _FOR[self]


@dataclass(frozen=True, slots=True)
class Actor:
    """A person as the rules see them.

    Attributes:
        username: the account that they act with.
        names: other account names that are known to be theirs, here and in Gerrit.
        barred: why they may do nothing at all for now, in a sentence; empty if nothing bars them.
    """

    username: str
    roles: frozenset[Role] = frozenset()
    names: frozenset[str] = frozenset()
    barred: str = ""


@dataclass(frozen=True, slots=True)
class Permit:
    """Who may do an act.

    Attributes:
        roles: any one of these is enough.
        relations: any one of these is enough too.
        unless: none of these may hold, whatever the roles.
        statuses: where a backport may be for it; empty for an act that is not about one backport.
    """

    roles: frozenset[Role] = frozenset()
    relations: frozenset[Relation] = frozenset()
    unless: frozenset[Relation] = frozenset()
    statuses: frozenset[Status] = frozenset()


_ALL_ROLES = frozenset(Role)
_REVIEWING = frozenset({Role.REVIEWER, Role.RELEASE_ENGINEER})
_DEPLOYING = frozenset({Role.DEPLOYER, Role.RELEASE_ENGINEER})
_REQUESTING = frozenset({Relation.REQUESTER})
_TESTING = _REQUESTING | {Relation.TESTER}
_OWN_WORK = frozenset(Relation) - {Relation.OVERRIDER, Relation.TESTER}
_BEFORE_START = OPEN - {Status.DEPLOYING}


def _where(action: Action) -> frozenset[Status]:
    return frozenset(status for status, defined in TRANSITIONS if defined is action)


PERMITS: Mapping[Act, Permit] = {
    Act.BOOK: Permit(_ALL_ROLES),
    Act.WATCH: Permit(_ALL_ROLES, statuses=OPEN),
    Act.AMEND: Permit(relations=_REQUESTING, statuses=_where(Action.AMEND)),
    Act.REPLY: Permit(relations=_REQUESTING, statuses=_where(Action.REPLY)),
    Act.WITHDRAW: Permit(_REVIEWING, _REQUESTING, statuses=_where(Action.WITHDRAW)),
    Act.HAND_OVER: Permit(
        frozenset({Role.RELEASE_ENGINEER}), _REQUESTING, statuses=_where(Action.HAND_OVER)
    ),
    Act.ANSWER_QUESTION: Permit(_REVIEWING, _REQUESTING, statuses=_BEFORE_START),
    Act.APPROVE: Permit(_REVIEWING, unless=_OWN_WORK, statuses=_where(Action.APPROVE)),
    Act.WITHDRAW_APPROVAL: Permit(_REVIEWING, statuses=_where(Action.VOID_APPROVAL)),
    Act.ACKNOWLEDGE: Permit(_REVIEWING, unless=_OWN_WORK, statuses=_BEFORE_START),
    Act.PROPOSE_OVERRIDE: Permit(_REVIEWING | _DEPLOYING, unless=_OWN_WORK, statuses=_BEFORE_START),
    Act.CONFIRM_OVERRIDE: Permit(
        _REVIEWING | _DEPLOYING,
        unless=_OWN_WORK | {Relation.OVERRIDER},
        statuses=_BEFORE_START,
    ),
    Act.ASK: Permit(_REVIEWING | _DEPLOYING, statuses=_where(Action.ASK)),
    Act.DECLINE: Permit(_REVIEWING | _DEPLOYING, statuses=_where(Action.DECLINE)),
    Act.SEND_TO_TRAIN: Permit(_REVIEWING, _REQUESTING, statuses=_where(Action.SEND_TO_TRAIN)),
    Act.SEND_TO_DEDICATED: Permit(
        _REVIEWING, _REQUESTING, statuses=_where(Action.SEND_TO_DEDICATED)
    ),
    Act.VETO: Permit(_DEPLOYING, statuses=_where(Action.VETO)),
    Act.LOCK_WINDOW: Permit(_DEPLOYING),
    Act.UNLOCK_WINDOW: Permit(_DEPLOYING),
    Act.SIGN_UP: Permit(_DEPLOYING),
    Act.BOOK_LATE: Permit(_DEPLOYING),
    Act.MOVE_ON: Permit(_REVIEWING | _DEPLOYING, _REQUESTING, statuses=_where(Action.MOVE_ON)),
    Act.BOOK_AGAIN: Permit(_DEPLOYING, _REQUESTING, statuses=frozenset(Status) - OPEN),
    Act.CONFIRM_EMERGENCY: Permit(frozenset(EMERGENCY_ROLES), unless=_OWN_WORK),
    Act.DRIVE: Permit(_DEPLOYING),
    Act.CHECK_IN: Permit(relations=_TESTING, statuses=frozenset({Status.QUEUED, Status.DEPLOYING})),
    Act.VERIFY: Permit(relations=_TESTING, statuses=frozenset({Status.DEPLOYING})),
    Act.VOUCH: Permit(
        _REVIEWING | _DEPLOYING, unless=_OWN_WORK, statuses=frozenset({Status.QUEUED})
    ),
    Act.MANAGE_CALENDAR: Permit(frozenset({Role.RELEASE_ENGINEER})),
    Act.MANAGE_TRAIN: Permit(frozenset({Role.RELEASE_ENGINEER})),
    Act.MANAGE_TOKENS: Permit(frozenset({Role.RELEASE_ENGINEER})),
    Act.MANAGE_PEOPLE: Permit(frozenset({Role.RELEASE_ENGINEER})),
    Act.LOOK_AFTER_MAIL: Permit(frozenset({Role.RELEASE_ENGINEER})),
}

SCOPES: Mapping[Scope, frozenset[Act]] = {
    Scope.TRAIN: frozenset({Act.MANAGE_TRAIN}),
    Scope.DEPLOY: frozenset({Act.DRIVE}),
}

_FOR: Mapping[Scope, str] = {
    Scope.TRAIN: "the train",
    Scope.DEPLOY: "reports about a deployment",
}

_DEEDS: Mapping[Act, str] = {
    Act.BOOK: "book a backport",
    Act.WATCH: "watch this backport",
    Act.AMEND: "change these answers",
    Act.REPLY: "answer the reviewer",
    Act.WITHDRAW: "withdraw this backport",
    Act.HAND_OVER: "hand this backport over",
    Act.ANSWER_QUESTION: "answer this question",
    Act.APPROVE: "approve this backport",
    Act.WITHDRAW_APPROVAL: "withdraw this approval",
    Act.PROPOSE_OVERRIDE: "override a rule for this backport",
    Act.CONFIRM_OVERRIDE: "confirm this override",
    Act.ACKNOWLEDGE: "take on what the rules say about this backport",
    Act.ASK: "ask its requester",
    Act.DECLINE: "decline this backport",
    Act.SEND_TO_TRAIN: "send this backport to the train",
    Act.SEND_TO_DEDICATED: "send this backport to a dedicated window",
    Act.VETO: "veto this backport",
    Act.LOCK_WINDOW: "lock a window",
    Act.UNLOCK_WINDOW: "unlock a window",
    Act.SIGN_UP: "sign up for a window",
    Act.BOOK_LATE: "book in a window that has closed",
    Act.MOVE_ON: "move this backport to another window",
    Act.BOOK_AGAIN: "book this backport again",
    Act.CONFIRM_EMERGENCY: "confirm an emergency window",
    Act.DRIVE: "drive a window",
    Act.CHECK_IN: "be there to test this backport",
    Act.VERIFY: "verify this backport",
    Act.VOUCH: "let this backport go although Gerrit does not answer",
    Act.MANAGE_CALENDAR: "change the calendar",
    Act.MANAGE_TRAIN: "move the train",
    Act.MANAGE_TOKENS: "make or revoke tokens",
    Act.MANAGE_PEOPLE: "manage people",
    Act.LOOK_AFTER_MAIL: "look after the mail",
}

_OWN = {
    Relation.REQUESTER: "you requested it",
    Relation.OWNER: "you own the change",
    Relation.UPLOADER: "you uploaded its current patch set",
    Relation.EDITOR: "you were the last to change what is said about it",
    Relation.PAST_REQUESTER: "you had asked for it yourself",
    Relation.OVERRIDER: "you proposed the override",
}


def relations_of(actor: Actor, held: Mapping[Relation, Iterable[str]]) -> frozenset[Relation]:
    """Return what a person is to a backport, by whichever of their names.

    Args:
        actor: who.
        held: who is what, by account names, whatever their case; an empty name is nobody.
    """
    names = {name.casefold() for name in (actor.username, *actor.names) if name}
    return frozenset(
        relation for relation, some in held.items() if names & {name.casefold() for name in some}
    )


def may(
    actor: Actor,
    act: Act,
    relations: frozenset[Relation] = frozenset(),
    status: Status | None = None,
) -> bool:
    """Return whether an actor with these relations may do the act.

    Args:
        actor: who.
        act: what.
        relations: what they are to the backport that it is about.
        status: where that backport is; None leaves it to the lifecycle to refuse.
    """
    permit = PERMITS.get(act)
    if actor.barred or permit is None or permit.unless & relations:
        return False
    if status is not None and permit.statuses and status not in permit.statuses:
        return False
    return bool(permit.roles & actor.roles or permit.relations & relations)


def require(actor: Actor, act: Act, relations: frozenset[Relation] = frozenset()) -> None:
    """Let the act pass, or refuse it with the reason.

    Raises:
        NotPermitted: the table does not allow it, or they are barred.
    """
    if actor.barred:
        raise NotPermitted(actor.barred)
    if may(actor, act, relations):
        return
    own = PERMITS[act].unless & relations
    if own:
        reasons = _listed([_OWN[relation] for relation in Relation if relation in own], "and")
        raise NotPermitted(f"You may not {_DEEDS[act]}: {reasons}. Somebody else has to.")
    held = _listed([role.person for role in Role if role in actor.roles], "and")
    raise NotPermitted(
        f"Only {_who_may(act)} may {_DEEDS[act]}; "
        f"you are signed in as {actor.username}, {held or 'without a role'}."
    )


def require_scope(scope: Scope, act: Act) -> None:
    """Let a token be used for an act, or refuse it; what its owner may is asked besides.

    Raises:
        NotPermitted: that is not what the token is for.
    """
    if act not in SCOPES[scope]:
        raise NotPermitted(f"This token is for {scope.spoken}: it may not {_DEEDS[act]}.")


def _who_may(act: Act) -> str:
    """Return those whom the table allows an act: "the requester or a reviewer"."""
    permit = PERMITS[act]
    return _listed(
        [
            *(f"the {relation.value}" for relation in Relation if relation in permit.relations),
            *(role.person for role in Role if role in permit.roles),
        ],
        "or",
    )


def _listed(words: list[str], last: str) -> str:
    """Return words as a sentence lists them: "a", "a or b", "a, b or c"."""
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
