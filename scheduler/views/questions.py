"""Questions about suspected couplings, answered with one click."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from scheduler.domain.statements import OnlyFirst
from scheduler.forms import ANSWER_KINDS, CONTEST, AnswerForm
from scheduler.models import Change, Window
from scheduler.services.statements import OnPair, answer_question, contest_answer
from scheduler.views.http import UNUSABLE, PageRequest, Refusal, act, local_address
from scheduler.views.windows import show


@require_POST
def answer(request: PageRequest, pk: int) -> HttpResponse:
    """Say how two changes belong together, or that an answer to that is wrong."""
    window = get_object_or_404(Window, pk=pk)
    form = AnswerForm(request.POST)
    if not form.is_valid():
        sentence = next(iter(form.errors.values()))[0]
        return show(request, window, refusal=Refusal(str(sentence), UNUSABLE))
    given = form.cleaned_data
    a = get_object_or_404(Change, number=given["low"])
    b = get_object_or_404(Change, number=given["high"])
    first, then = (b, a) if given["answer"] == "b-first" else (a, b)

    on = OnPair(first, then, request.user, window, given["plan_fingerprint"])

    def effect() -> str:
        if given["answer"] == CONTEST:
            contest_answer(on=on, reason=given["reason"])
        else:
            answer_question(
                on=on,
                kind=ANSWER_KINDS[given["answer"]],
                only_first=OnlyFirst(given["only_first"] or OnlyFirst.NOTHING),
                reason=given["reason"],
            )
        here = reverse("window", args=[pk])
        return local_address(request, given["back"], otherwise=here)

    result = act(request, effect)
    if isinstance(result, Refusal):
        return show(request, window, refusal=result)
    pair = f"{given['low']} and {given['high']}"
    said = f"Contested: {pair} are held" if given["answer"] == CONTEST else f"Answered: {pair}"
    done = f"{said}. The window was planned again."
    if request.htmx:
        return show(request, window, done=done)
    messages.success(request, done)
    return redirect(result)
