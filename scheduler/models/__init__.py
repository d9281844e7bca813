"""Tables and constraints, one module per noun."""

from scheduler.models.backports import Backport
from scheduler.models.changes import Change
from scheduler.models.events import Delivery, Event, EventHead
from scheduler.models.idempotency import IdempotencyKey
from scheduler.models.plans import Plan, PlanStep, PlanStepMember
from scheduler.models.reviews import Review
from scheduler.models.statements import Question, Statement
from scheduler.models.train import Promotion, TrainVersion
from scheduler.models.users import User
from scheduler.models.windows import Freeze, Window

__all__ = [
    "Backport",
    "Change",
    "Delivery",
    "Event",
    "EventHead",
    "Freeze",
    "IdempotencyKey",
    "Plan",
    "PlanStep",
    "PlanStepMember",
    "Promotion",
    "Question",
    "Review",
    "Statement",
    "TrainVersion",
    "User",
    "Window",
]
