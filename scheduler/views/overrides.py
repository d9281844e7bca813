"""Letting a backport go although a MUST rule objects: two people, and a list of all of it."""

from collections import Counter
from dataclasses import dataclass

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from scheduler.actors import actor_of, relations_to
from scheduler.domain.permissions import Act, may, require
from scheduler.domain.policy.rules import RULES_BY_ID
from scheduler.forms import ConfirmForm, OverrideForm, ReasonForm
from scheduler.models import Backport, Override
from scheduler.services import reviews as services
from scheduler.views.decisions import backport_of, decide
from scheduler.views.http import PageRequest, page
from scheduler.views.reauthentication import forget_typed, sign_in_again
from scheduler.views.signing_in import recently_authenticated

MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How often a rule was overridden, by two people.

    Attributes:
        in_force: how many of them still count.
    """

    rule: str
    all_time: int
    in_force: int


@require_POST
def propose(request: PageRequest, pk: int) -> HttpResponse:
    """Propose to override a rule; whoever did not sign in a moment ago does so first."""
    backport, form = backport_of(pk), OverrideForm(request.POST)
    actor = actor_of(request.user)
    require(actor, Act.PROPOSE_OVERRIDE, relations_to(actor, backport))
    if form.is_valid() and not recently_authenticated(request):
        typed = {name: form.cleaned_data[name] for name in ("rule", "reason")}
        return sign_in_again(request, _address(backport, typed["rule"]), typed=typed)

    def effect() -> None:
        services.propose_override(
            backport=backport,
            by=request.user,
            fingerprint=form.cleaned_data["fingerprint"],
            rule=form.cleaned_data["rule"],
            reason=form.cleaned_data["reason"],
        )
        forget_typed(request)

    return decide(request, backport, form, effect, "waits for a second person to override a rule")


@require_POST
def confirm(request: PageRequest, pk: int) -> HttpResponse:
    """Confirm an override as the second person, who signed in a moment ago."""
    override = _override(pk)
    backport, form = override.backport, ConfirmForm(request.POST)
    actor = actor_of(request.user)
    require(actor, Act.CONFIRM_OVERRIDE, relations_to(actor, backport, override))
    if not recently_authenticated(request):
        return sign_in_again(request, _address(backport, override.rule))

    def effect() -> None:
        services.confirm_override(
            override=override,
            by=request.user,
            fingerprint=form.cleaned_data["fingerprint"],
        )

    return decide(request, backport, form, effect, f"goes although {override.rule} objects")


@require_POST
def end(request: PageRequest, pk: int) -> HttpResponse:
    """Turn down a proposed override, or take back one in force."""
    override, form = _override(pk), ReasonForm(request.POST)

    def effect() -> None:
        services.end_override(
            override=override, by=request.user, reason=form.cleaned_data["reason"]
        )

    done = f"does not go while {override.rule} objects"
    return decide(request, override.backport, form, effect, done)


@require_safe
def overrides(request: PageRequest) -> HttpResponse:
    """List the overrides in force, those proposed and those past, with a count per rule."""
    rows = list(_rows().order_by("-proposed_at", "-pk")[:MOST_SHOWN])
    actor = actor_of(request.user)
    context: dict[str, object] = {
        "section": "policy",
        "confirmable": {
            one.pk
            for one in rows
            if not one.confirmed_at
            and not one.ended_at
            and may(actor, Act.CONFIRM_OVERRIDE, relations_to(actor, one.backport, one))
        },
        "counts": counts_by_rule(),
        "lists": (
            (
                "Waits for a second person",
                "Nobody proposes to override a rule.",
                [one for one in rows if not one.confirmed_at and not one.ended_at],
            ),
            (
                "In force",
                "No rule is overridden now.",
                [one for one in rows if one.confirmed_at and not one.ended_at],
            ),
            ("Past", "There is none yet.", [one for one in rows if one.ended_at]),
        ),
        "most_shown": MOST_SHOWN if len(rows) == MOST_SHOWN else 0,
    }
    return page(request, "scheduler/policy/overrides.html", context)


def counts_by_rule() -> list[RuleCount]:
    """Return how often each rule was overridden, in the order of the policy."""
    confirmed = Override.objects.filter(confirmed_at__isnull=False)
    all_time, in_force = Counter[str](), Counter[str]()
    for rule, ended_at in confirmed.values_list("rule", "ended_at"):
        all_time[rule] += 1
        in_force[rule] += ended_at is None
    known = [rule for rule in RULES_BY_ID if rule in all_time]
    others = sorted(all_time.keys() - set(known))  # rules that the policy had once
    return [RuleCount(rule, all_time[rule], in_force[rule]) for rule in (*known, *others)]


def _address(backport: Backport, rule: str) -> str:
    return f"{reverse('backport', args=[backport.pk])}#finding-{rule}"


def _override(pk: int) -> Override:
    return get_object_or_404(_rows(), pk=pk)


def _rows() -> QuerySet[Override]:
    return Override.objects.select_related(
        "proposed_by",
        "confirmed_by",
        "backport__change",
        "backport__requester",
        "backport__edited_by",
        "backport__window",
    ).defer("backport__change__diff")
