"""What people do about a window while it is deployed; each form says what its page showed."""

from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.contrib import messages
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from scheduler.actors import actor_of
from scheduler.adapters.registry import START_SECONDS, review_system
from scheduler.domain.checklist.run import Choice
from scheduler.domain.errors import Refused
from scheduler.domain.permissions import Act, require
from scheduler.forms import (
    ChooseForm,
    CloseForm,
    ExtendForm,
    FailForm,
    LeaseForm,
    MissForm,
    OfferForm,
    StepForm,
    TakeForm,
    TickForm,
    VouchForm,
)
from scheduler.models import Backport, User, Window
from scheduler.services import deploying, failing, leases
from scheduler.services.deploying import OnStep
from scheduler.services.runs import Course
from scheduler.views.deploy import show, window_of
from scheduler.views.http import OUT_OF_DATE, UNUSABLE, PageRequest, Refusal, act, answered_before

View = Callable[..., HttpResponse]


def _deed(form_class: type[Form], done: str = "") -> Callable[[Callable[..., object]], View]:
    """Return what makes a view of a deed: it is done once, if its form can be used.

    Args:
        form_class: what is sent along.
        done: what is told when it was done; "" where the page itself shows it.
    """

    def view_of(deed: Callable[..., object]) -> View:
        @require_POST
        @wraps(deed)
        def view(request: PageRequest, pk: int, **place: int) -> HttpResponse:
            window, form = window_of(pk), form_class(request.POST)
            if not form.is_valid():
                said = [str(error) for errors in form.errors.values() for error in errors]
                return show(request, window, refusal=Refusal(" ".join(said), UNUSABLE))
            return do(request, window, lambda: deed(request, window, form, **place), done)

        return view

    return view_of


def do(request: PageRequest, window: Window, deed: Callable[[], object], done: str) -> HttpResponse:
    """Do something about a window, once for its key, and show how far it is then."""
    made: list[object] = []

    def effect() -> str:
        made.append(deed())
        return reverse("deploy", args=[window.pk])

    result = act(request, effect)
    if isinstance(result, Refusal):
        return show(request, window_of(window.pk), refusal=result)
    if request.htmx:
        course = made[-1] if made and isinstance(made[-1], Course) else None
        return show(request, course.window if course else window_of(window.pk), course, done=done)
    if done:
        messages.success(request, done)
    return redirect(result)


def _on(request: PageRequest, window: Window, position: int, form: Form) -> OnStep:
    given = form.cleaned_data
    return OnStep(window, position, request.user, given["seen"], given["lease"])


@_deed(TakeForm, "You drive this window.")
def take(request: PageRequest, window: Window, form: Form) -> object:
    """Take the wheel, or take it over."""
    reason = form.cleaned_data["reason"]
    return leases.take_wheel(window=window, by=request.user, reason=reason)


@_deed(OfferForm, "The other one has to accept it; until then you drive.")
def offer(request: PageRequest, window: Window, form: Form) -> object:
    """Hand the wheel to another."""
    given = form.cleaned_data
    to = User.objects.filter(username=given["to"]).first()
    if to is None:
        raise Refused("There is no account of that name.")
    return leases.offer_wheel(
        window=window, by=request.user, lease=given["lease"], to=to, note=given["note"]
    )


@_deed(LeaseForm, "You drive on; nobody else can accept the wheel.")
def withdraw_offer(request: PageRequest, window: Window, form: Form) -> object:
    """Hand the wheel to nobody after all."""
    return leases.withdraw_offer(window=window, by=request.user, lease=form.cleaned_data["lease"])


@_deed(LeaseForm, "You drive this window.")
def accept(request: PageRequest, window: Window, form: Form) -> object:
    """Accept the wheel."""
    return leases.accept_wheel(window=window, by=request.user, lease=form.cleaned_data["lease"])


@_deed(LeaseForm, "Nobody drives this window now.")
def give_back(request: PageRequest, window: Window, form: Form) -> object:
    """Drive no more."""
    return leases.give_back_wheel(window=window, by=request.user, lease=form.cleaned_data["lease"])


@require_POST
def keep(request: PageRequest, pk: int) -> HttpResponse:
    """Note that the driver's page is still open; 409 tells it that somebody else drives."""
    form = LeaseForm(request.POST)
    if not form.is_valid():
        return HttpResponse(status=UNUSABLE)
    lease = form.cleaned_data["lease"]
    kept = leases.keep_wheel(window=window_of(pk), by=request.user, lease=lease)
    return HttpResponse(status=204 if kept else OUT_OF_DATE)


@_deed(LeaseForm, "The window has begun.")
def begin(request: PageRequest, window: Window, form: Form) -> object:
    """Begin the window."""
    given = form.cleaned_data
    return deploying.begin_window(
        window=window, by=request.user, lease=given["lease"], seen=given["seen"]
    )


@require_POST
def start(request: PageRequest, pk: int, position: int) -> HttpResponse:
    """Start a step, after asking Gerrit once more what it would deploy."""
    require(actor_of(request.user), Act.DRIVE)
    window, reading = window_of(pk), deploying.Reading()
    lease = leases.lease_in_force(window)
    if lease is not None and lease.holder == request.user and not answered_before(request):
        system = review_system(seconds=START_SECONDS) if settings.GERRIT_URL else None
        reading = deploying.read_before_start(window=window, position=position, system=system)

    @_deed(StepForm)
    def started(request: PageRequest, window: Window, form: Form) -> object:
        return deploying.start_step(on=_on(request, window, position, form), reading=reading)

    return started(request, pk)


@_deed(VouchForm, "You said that it may start.")
def vouch(request: PageRequest, window: Window, form: Form, position: int) -> object:
    """Say, as the second person, that a step may start although Gerrit does not answer."""
    on = _on(request, window, position, form)
    return deploying.vouch_for_step(on=on, reason=form.cleaned_data["reason"])


@_deed(TickForm)
def tick(request: PageRequest, window: Window, form: Form, position: int, item: int) -> object:
    """Note that an item is done."""
    on = _on(request, window, position, form)
    return deploying.tick_item(on=on, item=item, proof=form.cleaned_data["proof"])


@_deed(FailForm)
def fail(request: PageRequest, window: Window, form: Form, position: int) -> object:
    """Say that a step failed."""
    on = _on(request, window, position, form)
    return failing.fail_step(on=on, output=form.cleaned_data["output"])


@_deed(ChooseForm)
def choose(request: PageRequest, window: Window, form: Form, position: int) -> object:
    """Choose what is done about a step that failed."""
    given, choice = form.cleaned_data, form.cleaned_data["choice"]
    return failing.choose_for_step(
        on=_on(request, window, position, form),
        choice=Choice(choice),
        shown=given[f"shown_{choice}"],
        reason=given["reason"],
    )


@_deed(MissForm, "It does not go; its people are told, and can book it again.")
def miss(request: PageRequest, window: Window, form: Form, position: int) -> object:
    """Let a step be missed."""
    given = form.cleaned_data
    return failing.miss_step(
        on=_on(request, window, position, form),
        why=given["why"],
        shown=given["shown"],
        reason=given["reason"],
    )


@_deed(ExtendForm, "Steps may start later now.")
def extend(request: PageRequest, window: Window, form: Form) -> object:
    """Let steps start later than planned."""
    given = form.cleaned_data
    return deploying.extend_window(
        window=window,
        by=request.user,
        lease=given["lease"],
        minutes=given["minutes"],
        reason=given["reason"],
    )


@_deed(CloseForm, "The window is closed; a summary goes out.")
def close(request: PageRequest, window: Window, form: Form) -> object:
    """Close the window."""
    given = form.cleaned_data
    return deploying.close_window(
        window=window,
        by=request.user,
        lease=given["lease"],
        seen=given["left"],
        reason=given["reason"],
    )


@require_POST
def check_in(request: PageRequest, pk: int) -> HttpResponse:
    """Say that one is there to test a backport."""
    rows = Backport.objects.select_related("change", "window", "requester", "edited_by")
    backport = get_object_or_404(rows, pk=pk)
    return do(
        request,
        backport.window,
        lambda: deploying.check_in(backport=backport, by=request.user),
        "They know now that you are here.",
    )
