"""What a script or a bot says about a step of a window that is deployed: `docs/api.md`."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from pydantic import ConfigDict, Field, model_validator

from scheduler.actors import actor_of
from scheduler.adapters.cleaning import shortened, shortened_inside, visible
from scheduler.api.http import MISSING, NotUsable, Sent, Told, act
from scheduler.domain.checklist.run import Phase, spoken
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.checklist.turns import now_for
from scheduler.domain.errors import Refused
from scheduler.domain.permissions import Act
from scheduler.models import RunItem, RunStep, User
from scheduler.services.clock import database_now
from scheduler.services.deploying import LONGEST_PROOF, OnStep, tick_item
from scheduler.services.failing import fail_step
from scheduler.services.plans import take_turn
from scheduler.services.runs import Course, course_of

LONGEST_ADDRESS = 500  # characters
LARGEST_LEASE = 2**31 - 1
_LONGEST_NOW = 200  # characters: what is kept of an answer, to give it again, is short
_HTTPS = r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?#][A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*)?$"


FAILED = "failed"
TICKED: Mapping[str, ItemKind] = {
    "merged": ItemKind.MERGE,
    "on-test-servers": ItemKind.TEST,
    "synced": ItemKind.SYNC,
    "reverted": ItemKind.TAKE_BACK,
}


class Reported(Sent):
    """What happened to a step, and how one can see that."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"required": ["report"], "properties": {"report": {"const": FAILED}}},
            "then": {
                "required": ["output"],
                "properties": {"output": {"type": "string", "pattern": r"\S"}},
            },
        }
    )

    report: Literal["merged", "on-test-servers", "synced", "reverted", "failed"]
    lease: Annotated[int, Field(ge=1, le=LARGEST_LEASE)]
    """The number under which the owner of the token drives, as the checklist tells it."""
    output: str | None = None
    """What was seen; what failed needs it. The middle of a long one is cut out."""
    url: Annotated[str, Field(max_length=LONGEST_ADDRESS, pattern=_HTTPS)] | None = None
    """Where more can be read."""

    @model_validator(mode="after")
    def _has_output(self) -> Self:
        if self.report == FAILED and not (self.output or "").strip():
            raise ValueError("Say in output what was seen: everybody else has to understand it")
        return self

    @property
    def proof(self) -> str:
        """The address, and below it what was seen, as it is kept."""
        output = visible(self.output or "").strip()
        address = f"{self.url}\n" if self.url else ""
        return (address + shortened_inside(output, LONGEST_PROOF - len(address))).strip()


class ReportTold(Told):
    """What became of a report."""

    done: Literal["report"] = "report"
    step: int
    item: ItemKind | None
    """What is done, or where it failed; null if all was done by then."""
    now: str
    """What the owner of the token does now, in one sentence."""


@csrf_exempt
@login_not_required
def report(request: HttpRequest, pk: int) -> HttpResponse:
    """Note what happened to a step: its driver says so, by a program, under their lease."""
    return act(request, Act.DRIVE, Reported, lambda owner, given: _reported(pk, owner, given))


def _reported(pk: int, owner: User, given: Reported) -> ReportTold:
    step = RunStep.objects.select_related("run__window").filter(pk=pk).first()
    if step is None:
        raise NotUsable("There is no such step.", MISSING)
    window = step.run.window
    take_turn(window)  # so that nobody changes the step before it is reported
    step.refresh_from_db(fields=["turn"])
    on = OnStep(window, step.position, by=owner, seen=step.turn, lease=given.lease)
    kind = TICKED.get(given.report)
    if kind is None:
        fail_step(on=on, output=given.proof, by_api=True)
    else:
        tick_item(on=on, item=_item(step, kind), proof=given.proof, by_api=True)
    course = course_of(window, database_now())
    now = now_for(course.person(actor_of(owner)), course.hour)
    return ReportTold(
        step=step.pk,
        item=kind or _failed_at(course, step.position),
        now=shortened(now.sentence, _LONGEST_NOW),
    )


def _item(step: RunStep, kind: ItemKind) -> int:
    """Return the key of the item of a kind; a step has no more than one of those reported here."""
    key = RunItem.objects.filter(step=step, kind=kind.value).values_list("pk", flat=True).first()
    if key is None:
        raise Refused(f"Step {step.position} has no item “{spoken(kind)}”: nothing was noted.")
    return key


def _failed_at(course: Course, position: int) -> ItemKind | None:
    state = course.state.at(position)
    if state.phase is Phase.FAILED:
        return state.failed_at
    return state.turn[0].kind if state.turn else None
