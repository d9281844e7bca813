"""Whom an event concerns, and why: one table, a row for every kind of event."""

from collections.abc import Mapping
from enum import Enum, StrEnum


class Why(StrEnum):
    """Why something concerns a person; they choose for each of these whether they get mail."""

    OWN = "own"
    REVIEW = "review"
    WATCHED = "watched"
    WINDOW = "window"


class Circle(Enum):
    """People who stand in one relation to an event. Each has the reason that they are told."""

    REQUESTER = (Why.OWN, "you requested it")
    NEW_REQUESTER = (Why.OWN, "it is yours now")
    FORMER_REQUESTER = (Why.OWN, "you had requested it")
    PAIR_REQUESTERS = (Why.OWN, "you requested one of the two")
    QUEUE_REQUESTERS = (Why.OWN, "you requested something that is in its queue")
    WINDOW_REQUESTERS = (Why.OWN, "you requested something that is booked in it")
    LOST_APPROVER = (Why.OWN, "your approval became void")
    ALONG = (Why.OWN, "you requested something that needs it")
    TOOK_ON = (Why.OWN, "you took on what a rule objected")
    OVERRIDERS = (Why.OWN, "you proposed or confirmed the override")
    ACCOUNT = (Why.OWN, "it is about your account")
    ASKER = (Why.REVIEW, "you asked the question")
    REVIEWERS = (Why.REVIEW, "it waits for a review that you may give")
    STRANDED_REQUESTERS = (Why.OWN, "you requested something that it stops")
    SERIES_DEPLOYERS = (Why.WINDOW, "you had signed up for one of its windows")
    EMERGENCY = (Why.REVIEW, "an emergency window waits for two people, and you may be one")
    CONFIRMERS = (Why.REVIEW, "it waits for a second person, and you may be that")
    WATCHERS = (Why.WATCHED, "you watch it")
    PAIR_WATCHERS = (Why.WATCHED, "you watch one of the two")
    DEPLOYERS = (Why.WINDOW, "you deploy this window")
    CALLED_TESTERS = (Why.OWN, "you requested or test something that is in its queue")
    TESTERS = (Why.OWN, "you requested it or test it, and it waits to be verified")
    FORMER_DRIVER = (Why.WINDOW, "you drove this window")
    OFFERED = (Why.WINDOW, "the wheel was handed to you")
    VOUCHERS = (Why.REVIEW, "it waits for a second person, and you may be that person")
    FALLEN_REQUESTERS = (Why.OWN, "you requested what failed, or what needs it")
    RUN_REQUESTERS = (Why.OWN, "you requested something that was in its queue")
    RUN_WATCHERS = (Why.WATCHED, "you watch something that was in its queue")
    LOCKED_DEPLOYERS = (Why.WINDOW, "you deploy this window, and it is locked")

    def __init__(self, why: Why, reason: str) -> None:
        self.why = why
        self.reason = reason


_OF_BACKPORT = (Circle.REQUESTER, Circle.WATCHERS)
_LEAVES_QUEUE = (
    Circle.REQUESTER,
    Circle.LOST_APPROVER,
    Circle.ALONG,
    Circle.WATCHERS,
    Circle.LOCKED_DEPLOYERS,
)

# Whoever is in several circles hears once: of the first one that they want mail about.
CIRCLES: Mapping[str, tuple[Circle, ...]] = {
    "backport.submit": (Circle.REVIEWERS, Circle.LOCKED_DEPLOYERS),
    "backport.become-known": (Circle.REQUESTER, Circle.REVIEWERS, Circle.WATCHERS),
    "backport.amend": (*_LEAVES_QUEUE, Circle.ASKER),
    "backport.withdraw": _LEAVES_QUEUE,
    "backport.approve": _OF_BACKPORT,
    "backport.decline": _LEAVES_QUEUE,
    "backport.send-to-train": _LEAVES_QUEUE,
    "backport.send-to-dedicated": _LEAVES_QUEUE,
    "backport.ask": _OF_BACKPORT,
    "backport.reply": (Circle.ASKER, Circle.WATCHERS),
    "backport.veto": (
        Circle.REQUESTER,
        Circle.LOST_APPROVER,
        Circle.ALONG,
        Circle.WATCHERS,
        Circle.DEPLOYERS,
    ),
    "backport.void-approval": _LEAVES_QUEUE,
    "backport.withdraw-approval": _LEAVES_QUEUE,
    "backport.acknowledge": _OF_BACKPORT,
    "backport.end-lifting": (Circle.REQUESTER, Circle.TOOK_ON, Circle.WATCHERS),
    "backport.propose-override": (Circle.REQUESTER, Circle.CONFIRMERS, Circle.WATCHERS),
    "backport.confirm-override": (Circle.REQUESTER, Circle.OVERRIDERS, Circle.WATCHERS),
    "backport.end-override": (Circle.REQUESTER, Circle.OVERRIDERS, Circle.WATCHERS),
    "backport.hand-over": (
        Circle.NEW_REQUESTER,
        Circle.FORMER_REQUESTER,
        Circle.WATCHERS,
    ),
    **dict.fromkeys(
        (
            "person.grant-roles",
            "person.disable",
            "person.enable",
            "person.end-sessions",
            "person.reset-second-factor",
            "person.add-name",
            "person.remove-name",
            "person.make-token",
            "person.revoke-token",
        ),
        (Circle.ACCOUNT,),
    ),
    **dict.fromkeys(
        (
            "person.join",
            "person.change-profile",
            "person.change-password",
            "person.add-second-factor",
            "person.remove-second-factor",
            "person.make-recovery-codes",
            "person.connect-identity",
            "person.make-feed",
            "person.revoke-feed",
        ),
        (),  # one's own doing
    ),
    **dict.fromkeys(
        ("question.ask", "question.answer", "question.contest"),
        (Circle.PAIR_REQUESTERS, Circle.PAIR_WATCHERS),
    ),
    "backport.move-on": _LEAVES_QUEUE,
    "backport.miss": (Circle.REQUESTER, Circle.LOST_APPROVER, Circle.WATCHERS),
    "backport.arrive": _OF_BACKPORT,
    "backport.train-late": _OF_BACKPORT,
    "backport.supersede": _OF_BACKPORT,
    "window.add": (Circle.EMERGENCY,),
    "window.move": (Circle.WINDOW_REQUESTERS, Circle.DEPLOYERS),
    "window.cancel": (Circle.DEPLOYERS,),
    "window.call": (Circle.CALLED_TESTERS, Circle.DEPLOYERS),
    "window.skip": (),  # each backport that was missed tells its own people
    "window.sign-up": (),
    "window.step-down": (Circle.DEPLOYERS,),
    "window.confirm-emergency": (Circle.WINDOW_REQUESTERS, Circle.DEPLOYERS),
    **dict.fromkeys(
        (
            "series.make",
            "series.extend",
            "calendar.import",
            "freeze.cancel",
            "train.plan",
            "train.check-out",
            "train.remove",
            "train.hold",
            "train.resume",
            "train.promote",
            "train.roll-back",
            "train.import",
            "train.retire",
        ),
        (),  # the calendar and the board show it; what follows for a backport is told by itself
    ),
    "series.end": (Circle.SERIES_DEPLOYERS,),
    "freeze.add": (Circle.STRANDED_REQUESTERS,),
    "backport.start": (),  # the page follows; what waits for somebody tells them
    "backport.finish": _OF_BACKPORT,
    "backport.take-back": _OF_BACKPORT,
    "backport.check-in": (),
    "lease.take": (Circle.FORMER_DRIVER,),
    "lease.offer": (Circle.OFFERED,),
    "lease.withdraw": (Circle.OFFERED,),
    "lease.accept": (),
    "lease.give-back": (Circle.DEPLOYERS,),
    "window.begin": (Circle.QUEUE_REQUESTERS,),
    "window.close": (Circle.RUN_REQUESTERS, Circle.DEPLOYERS, Circle.RUN_WATCHERS),
    "window.extend": (),
    "step.tick": (Circle.TESTERS,),
    "step.fail": (Circle.FALLEN_REQUESTERS,),
    "step.choose": (),
    "step.miss": (),  # each backport that was missed tells its own people
    "step.unverified": (Circle.VOUCHERS,),
    "step.vouch": (),
    "window.lock": (Circle.QUEUE_REQUESTERS, Circle.DEPLOYERS),
    "window.unlock": (Circle.QUEUE_REQUESTERS, Circle.DEPLOYERS),
}


def circles_of(kind: str, *, locked: bool) -> tuple[Circle, ...]:
    """Return whom an event of a kind concerns; of one that is not known, whom the backport does.

    Args:
        kind: noun and verb, such as `backport.submit`.
        locked: whether the queue of its window is fixed.
    """
    circles = CIRCLES.get(kind, _OF_BACKPORT)
    return tuple(one for one in circles if locked or one is not Circle.LOCKED_DEPLOYERS)
