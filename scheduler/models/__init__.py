"""Tables and constraints, one module per noun."""

from scheduler.models.backports import Backport, Draft, Watch
from scheduler.models.changes import Change
from scheduler.models.coupling import ChangeTraits, DismissedName, SeenName
from scheduler.models.events import Delivery, Event, EventHead, Notification
from scheduler.models.feeds import FeedKey
from scheduler.models.heartbeats import Heartbeat
from scheduler.models.idempotency import IdempotencyKey
from scheduler.models.limits import Bucket
from scheduler.models.plans import Plan, PlanStep, PlanStepMember
from scheduler.models.reviews import Acknowledgement, Override, Review
from scheduler.models.runs import Lease, Presence, Run, RunItem, RunStep
from scheduler.models.statements import Question, Statement
from scheduler.models.tokens import ApiToken
from scheduler.models.train import GroupMove, Promotion, TrainVersion
from scheduler.models.users import OtherName, User
from scheduler.models.windows import EmergencyConfirmation, Freeze, Window, WindowSeries

__all__ = [
    "Acknowledgement",
    "ApiToken",
    "Backport",
    "Bucket",
    "Change",
    "ChangeTraits",
    "Delivery",
    "DismissedName",
    "Draft",
    "EmergencyConfirmation",
    "Event",
    "EventHead",
    "FeedKey",
    "Freeze",
    "GroupMove",
    "Heartbeat",
    "IdempotencyKey",
    "Lease",
    "Notification",
    "OtherName",
    "Override",
    "Plan",
    "PlanStep",
    "PlanStepMember",
    "Presence",
    "Promotion",
    "Question",
    "Review",
    "Run",
    "RunItem",
    "RunStep",
    "SeenName",
    "Statement",
    "TrainVersion",
    "User",
    "Watch",
    "Window",
    "WindowSeries",
]
