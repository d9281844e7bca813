"""What the rules say no to: refusals, with a sentence a person can act on and data for programs."""

from datetime import datetime, time


class Refused(Exception):
    """The rules say no. Nothing was changed.

    The first argument is one sentence for the person who asked; views answer it with 409.
    """

    @property
    def sentence(self) -> str:
        """The sentence to show."""
        return str(self)


class NotPermitted(Refused):
    """The person may not do this, whatever the state of things."""


class OutOfDate(Refused):
    """What the person saw is no longer what there is; they must read it again."""


class IllegalTransition(Refused):
    """The action is not defined from the status that the thing is in."""


class NoSuchLocalTime(Refused):
    """The clocks of a zone skip this time on that day.

    Attributes:
        instead: what they show at the moment that was probably meant.
    """

    def __init__(self, sentence: str, instead: time) -> None:
        super().__init__(sentence)
        self.instead = instead


class AmbiguousLocalTime(Refused):
    """The clocks of a zone show this time twice on that day.

    Attributes:
        moments: both, UTC, the earlier first.
    """

    def __init__(self, sentence: str, moments: tuple[datetime, ...]) -> None:
        super().__init__(sentence)
        self.moments = moments


class UnsafeQueue(Exception):
    """The independent checker found a queue that breaks production: a defect of the planner.

    Attributes:
        breaches: the sentences of the checker.
    """

    def __init__(self, breaches: tuple[str, ...]) -> None:
        super().__init__("; ".join(breaches))
        self.breaches = breaches
