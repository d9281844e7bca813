"""Planning a window again: the plan, the questions, the fingerprints, and what became void."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction
from django.db.models import F

from scheduler.adapters.plan_document import document_of, render
from scheduler.domain import planning
from scheduler.domain.coupling import evidence
from scheduler.domain.errors import OutOfDate
from scheduler.domain.lifecycle import Action, Status
from scheduler.domain.planning.plan import PlanInput, plan_window
from scheduler.models import Backport, Plan, PlanStep, PlanStepMember, Question, Window
from scheduler.queries import approval_of, newest_plan, open_backports, plan_input_of
from scheduler.services.events import record
from scheduler.services.fingerprints import content_of, digest, fingerprint_of
