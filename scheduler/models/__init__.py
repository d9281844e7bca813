"""Tables and constraints, one module per noun."""

from scheduler.models.backports import Backport, Draft, Watch
from scheduler.models.changes import Change
from scheduler.models.events import Delivery, Event, EventHead, Notification
from scheduler.models.idempotency import IdempotencyKey
from scheduler.models.plans import Plan, PlanStep, PlanStepMember
from scheduler.models.reviews import Acknowledgement, Override, Review
from scheduler.models.statements import Question, Statement
from scheduler.models.train import Promotion, TrainVersion
from scheduler.models.users import OtherName, User
from scheduler.models.windows import Freeze, Window

__all__ = [
    "Acknowledgement",
    "Backport",
    "Change",
    "Delivery",
    "Draft",
    "Event",
    "EventHead",
    "Freeze",
    "IdempotencyKey",
    "Notification",
    "OtherName",
    "Override",
    "Plan",
    "PlanStep",
    "PlanStepMember",
    "Promotion",
    "Question",
    "Review",
    "Statement",
    "TrainVersion",
    "User",
    "Watch",
    "Window",
]
