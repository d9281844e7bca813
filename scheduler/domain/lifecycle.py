"""The statuses of a backport, and the one table of how it moves between them."""

from enum import StrEnum

from scheduler.domain.errors import IllegalTransition


class Status(StrEnum):
    """Where a backport is in its life (`product.md`, "Lifecycle of a backport")."""

    SUBMITTED = "submitted"
    NEEDS_INFO = "needs-info"
    APPROVED = "approved"
    QUEUED = "queued"
    DEPLOYING = "deploying"
    DEPLOYED = "deployed"
    REVERTED = "reverted"
    MISSED = "missed"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    TRAIN = "train"
    DEDICATED = "dedicated"

    @property
    def is_open(self) -> bool:
        """Whether the backport still asks for its place in a window."""
        return self in OPEN


class Action(StrEnum):
    """What moves a backport from one status to another."""

    AMEND = "amend"
    ASK = "ask"
    REPLY = "reply"
    APPROVE = "approve"
    VOID_APPROVAL = "void-approval"
    DECLINE = "decline"
    SEND_TO_TRAIN = "send-to-train"
    SEND_TO_DEDICATED = "send-to-dedicated"
    WITHDRAW = "withdraw"
    HAND_OVER = "hand-over"
    VETO = "veto"
    QUEUE = "queue"
    UNQUEUE = "unqueue"
    MOVE_ON = "move-on"
    MISS = "miss"
    START = "start"
    FINISH = "finish"
    TAKE_BACK = "take-back"
    ARRIVE = "arrive"
    SUPERSEDE = "supersede"


OPEN = frozenset(
    {Status.SUBMITTED, Status.NEEDS_INFO, Status.APPROVED, Status.QUEUED, Status.DEPLOYING}
)

_BEFORE_START = (Status.SUBMITTED, Status.NEEDS_INFO, Status.APPROVED, Status.QUEUED)

TRANSITIONS: dict[tuple[Status, Action], Status] = {
    (Status.SUBMITTED, Action.ASK): Status.NEEDS_INFO,
    (Status.NEEDS_INFO, Action.REPLY): Status.SUBMITTED,
    (Status.SUBMITTED, Action.APPROVE): Status.APPROVED,
    (Status.APPROVED, Action.QUEUE): Status.QUEUED,
    (Status.QUEUED, Action.UNQUEUE): Status.APPROVED,
    **{
        (status, action): after
        for status in (Status.APPROVED, Status.QUEUED)
        for action, after in (
            (Action.VOID_APPROVAL, Status.SUBMITTED),
            (Action.AMEND, Status.SUBMITTED),
        )
    },
    # In another window it is another request: an approval was for the first one.
    (Status.SUBMITTED, Action.MOVE_ON): Status.SUBMITTED,
    (Status.NEEDS_INFO, Action.MOVE_ON): Status.NEEDS_INFO,
    (Status.APPROVED, Action.MOVE_ON): Status.SUBMITTED,
    (Status.TRAIN, Action.ARRIVE): Status.DEPLOYED,
    # Booked again, it goes by that request: the train is not waited for by two.
    (Status.TRAIN, Action.SUPERSEDE): Status.WITHDRAWN,
    (Status.QUEUED, Action.START): Status.DEPLOYING,
    (Status.DEPLOYING, Action.FINISH): Status.DEPLOYED,
    # It failed before it was live, and was left.
    (Status.DEPLOYING, Action.MISS): Status.MISSED,
    # What went live and broke, and what was left merged, is taken back later.
    (Status.DEPLOYING, Action.TAKE_BACK): Status.REVERTED,
    (Status.DEPLOYED, Action.TAKE_BACK): Status.REVERTED,
    (Status.MISSED, Action.TAKE_BACK): Status.REVERTED,
    (Status.SUBMITTED, Action.AMEND): Status.SUBMITTED,
    (Status.NEEDS_INFO, Action.AMEND): Status.SUBMITTED,
    **{
        (status, action): after
        for status in _BEFORE_START
        for action, after in (
            (Action.DECLINE, Status.DECLINED),
            (Action.SEND_TO_TRAIN, Status.TRAIN),
            (Action.SEND_TO_DEDICATED, Status.DEDICATED),
            (Action.WITHDRAW, Status.WITHDRAWN),
            (Action.VETO, Status.MISSED),
            (Action.MISS, Status.MISSED),
            (Action.HAND_OVER, status),
        )
    },
}


def status_after(status: Status, action: Action) -> Status:
    """Return the status that an action leads to.

    Raises:
        IllegalTransition: the action is not defined from this status.
    """
    after = TRANSITIONS.get((status, action))
    if after is None:
        raise IllegalTransition(
            f"This backport is {status.value}; "
            f"{action.value.replace('-', ' ')} is not possible from there."
        )
    return after
