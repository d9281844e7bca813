"""What people fill in: short, each with an example, and never asked twice."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import zip_longest
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import QueryDict

from scheduler.adapters.cleaning import visible_line, visible_prose
from scheduler.domain.backports import Kind, Mark, Urgency
from scheduler.domain.checklist.run import Choice
from scheduler.domain.errors import AmbiguousLocalTime, NoSuchLocalTime
from scheduler.domain.permissions import Role, Scope
from scheduler.domain.policy.rules import RULES_BY_ID
from scheduler.domain.statements import OnlyFirst, StatementKind
from scheduler.domain.windows import FreezeScope, Recurrence, WindowKind, moment_of, moments_of
from scheduler.models import User, Window
from scheduler.models.reviews import SHORTEST_REASON
from scheduler.services.backports import says_nothing
from scheduler.services.calendar import (
    LONGEST_MINUTES,
    LONGEST_TURN,
    FreezeFacts,
    SeriesFacts,
    WindowFacts,
)
from scheduler.services.deploying import MOST_EXTRA
from scheduler.services.failing import WHY_MISSED
from scheduler.services.statements import Answer

LONGEST = 2000
LONGEST_REASON = 500
MOST_NUMBERS, LONGEST_NUMBER = 40, 9
MOST_TICKS = 100
MOST_EARLY = 40  # answers about pairs of changes, with one booking
LONGEST_FILE = 1_000_000  # characters; the files of a thousand wikis have 50,000
LOCAL_TIME = "%Y-%m-%dT%H:%M"  # as browsers fill in a time
TICK = re.compile(r"[0-9]{1,9}:[0-9a-f]{64}")  # key of a backport, and what was shown of it

CRITERIA = (
    ("long-task", "a long task"),
    ("runtime-upgrade", "a runtime upgrade"),
    ("read-only-time", "read-only time"),
    ("new-cookie", "a new cookie"),
    ("new-extension-enabled", "a new extension is enabled"),
    ("big-default-change", "a big default changes"),
    ("unknown-load", "load of unknown size"),
    ("deploy-system", "the deploy system"),
    ("incompatible", "incompatible between versions"),
)
_MARKS = {
    Mark.SECURITY: "security fix",
    Mark.NEW_EXTENSION: "new extension",
    Mark.SCHEMA_CHANGE: "schema change",
    Mark.REVERT: "revert",
    Mark.LOW_RISK: "low risk",
    Mark.TEST_PLAN: "has a test plan",
}


class LineField(forms.CharField):
    """One line of free text; what must not be in it is shown, never stored as it came."""

    cleaned = staticmethod(visible_line)

    def to_python(self, value: object) -> str:
        """Return the text, cleaned; its length counts as it will be stored."""
        return self.cleaned(super().to_python(value) or "")

    def prepare_value(self, value: object) -> object:
        """Return what a form that is refused shows again: the text as it would be stored."""
        return self.cleaned(value) if isinstance(value, str) else value


class ProseField(LineField):
    """The same, of several lines."""

    cleaned = staticmethod(visible_prose)


def _text(label: str, example: str, *, rows: int = 2, required: bool = True) -> ProseField:
    return ProseField(
        label=label,
        help_text=f"Such as: {example}",
        required=required,
        max_length=LONGEST,
        error_messages={"required": "Say it in a sentence, as in the example."},
        widget=forms.Textarea(attrs={"rows": rows}),
    )


class BackportAnswersForm(forms.Form):
    """What a requester says about a backport, and may say differently later."""

    why_not_train = _text(
        "Why can it not wait for the train?", "searching fails on all Wikipedias since Tuesday."
    )
    kind = forms.ChoiceField(
        label="Kind",
        help_text="Such as: regression, if it worked before.",
        choices=[(kind.value, kind.value) for kind in Kind],
        initial=Kind.BUG.value,
    )
    urgency = forms.TypedChoiceField(
        label="Urgency",
        help_text="Such as: high, if users lose work.",
        choices=[(urgency.value, urgency.slug.replace("-", " ")) for urgency in Urgency],
        coerce=int,
        initial=Urgency.NORMAL.value,
    )
    user_impact = _text(
        "What do users see if it waits?", "the save button does nothing for about one edit in ten."
    )
    tested_where = _text(
        "Where was it tested?", "CI and Beta Cluster; not with real traffic.", rows=1
    )
    verify_how = _text(
        "How is it verified on the test servers, and what must be seen?",
        "search for “cat”; ten results and no error in the log.",
    )
    problems_where = _text(
        "Where could problems occur?", "every page view, if the module is registered twice."
    )
    rollback_how = _text(
        "Can it be rolled back without lasting impact, and how?", "yes, revert and sync; no data."
    )
    present = forms.BooleanField(
        label="Somebody will be there to test it",
        help_text="Such as: you. Without anybody it is held, unless low risk and with a test plan.",
        required=False,
        initial=True,
    )
    tester = LineField(label="Who tests", help_text="Such as: ada", max_length=150, required=False)
    nick = LineField(
        label="Nick in chat", help_text="Such as: ada_l", max_length=100, required=False
    )
    steps_before = _text("Steps before", "create the table with the script.", required=False)
    steps_after = _text("Steps after", "purge the main page.", required=False)
    what_differs = _text(
        "It was reverted: what is different this time?",
        "the schema is removed by now, so that it cannot be registered twice.",
        required=False,
    )
    marks = forms.MultipleChoiceField(
        label="What is true of it",
        help_text="Such as: low risk, if only a message changes.",
        choices=[(mark.value, label) for mark, label in _MARKS.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    criteria = forms.MultipleChoiceField(
        label="What needs a window of its own",
        help_text="Such as: a long task, if a script has to run for half an hour.",
        choices=CRITERIA,
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )

    @property
    def safety_fields(self) -> list[forms.BoundField]:
        """The questions about tests and the way back."""
        return [
            self[name] for name in ("tested_where", "verify_how", "problems_where", "rollback_how")
        ]

    def clean_problems_where(self) -> str:
        """Refuse an answer that says nothing."""
        answer: str = self.cleaned_data["problems_where"]
        if says_nothing(answer):
            raise forms.ValidationError(
                "Every change can cause problems somewhere: say where one would look first."
            )
        return answer

    def clean(self) -> dict[str, Any]:
        """Somebody who is there has a name."""
        given = super().clean() or self.cleaned_data
        if given.get("present") and not given.get("tester"):
            self.add_error("tester", "Say who will be there to test it.")
        return given


class NumbersField(forms.Field):
    """Change numbers that a page offered, as ticked or hidden; what is no number is ignored."""

    widget = forms.MultipleHiddenInput

    def to_python(self, value: object) -> tuple[int, ...]:
        """Return the numbers, each once, in order."""
        given = value if isinstance(value, list | tuple) else ()
        texts = [str(one) for one in given[:MOST_NUMBERS]]
        return tuple(
            dict.fromkeys(
                int(text)
                for text in texts
                if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER
            )
        )


def _window_field(*, required: bool) -> "forms.ModelChoiceField[Window]":
    return forms.ModelChoiceField(
        label="Window",
        queryset=Window.objects.none(),
        required=required,
        error_messages={
            "required": "Choose a window.",
            "invalid_choice": "This window is locked or over; choose another one.",
        },
    )


# What the verdict depends on: the page asks again when one of these changes.
VERDICT_FIELDS = (
    *("change", "window", "kind", "urgency", "present", "marks", "criteria"),
    *("along", "offered"),
)


class BackportForm(BackportAnswersForm):
    """Everything that booking a backport takes."""

    change = ProseField(
        label="Change",
        help_text="Its number, address or Change-Id, such as: 1218340. Several go one to a line.",
        max_length=LONGEST,
        error_messages={"required": "Paste the number or the address of a change."},
        widget=forms.Textarea(
            attrs={"rows": 1, "autocomplete": "off", "spellcheck": "false", "autofocus": True}
        ),
    )
    window = _window_field(required=True)
    along = NumbersField(required=False)

    def __init__(self, *args: Any, windows: Any, preview_url: str = "", **kwargs: Any) -> None:  # noqa: ANN401 - as Django's own
        super().__init__(*args, **kwargs)
        window = self.fields["window"]
        if isinstance(window, forms.ModelChoiceField):
            window.queryset = windows
        if preview_url:
            for name, trigger in (
                ("change", "input changed delay:400ms"),
                *((name, "change") for name in ("kind", "urgency", "present")),
                *((name, "change") for name in ("marks", "criteria")),
            ):
                self.fields[name].widget.attrs.update(
                    {
                        "hx-get": preview_url,
                        "hx-trigger": trigger,
                        "hx-target": "#preview",
                        "hx-swap": "outerHTML",
                        "hx-include": self.verdict_fields,
                        "hx-sync": "#preview:replace",
                        "hx-indicator": "#preview",
                    }
                )

    @property
    def verdict_fields(self) -> str:
        """The fields that the preview needs, as a selector."""
        return ",".join(f"[name={name}]" for name in VERDICT_FIELDS)

    @property
    def in_shown_order(self) -> list[forms.BoundField]:
        """The fields as the page shows them, the change first."""
        return [self[name] for name in (*SHOWN_ORDER, "along")]

    def focus_first_error(self) -> None:
        """Let the page open at the first answer that needs a second look."""
        if not self.errors:
            return
        for field in self.fields.values():
            field.widget.attrs.pop("autofocus", None)
        first = next((name for name in SHOWN_ORDER if name in self.errors), None)
        if first:
            self.fields[first].widget.attrs["autofocus"] = True


SHOWN_ORDER = ("change", "window", *BackportAnswersForm.base_fields)
"""The fields as the page shows them."""


class PreviewForm(forms.Form):
    """The little that the verdict needs while somebody is still typing."""

    change = ProseField(max_length=LONGEST)
    window = _window_field(required=False)
    kind = forms.ChoiceField(choices=[(kind.value, "") for kind in Kind], required=False)
    urgency = forms.TypedChoiceField(
        choices=[(urgency.value, "") for urgency in Urgency],
        coerce=int,
        required=False,
    )
    present = forms.BooleanField(required=False)
    marks = forms.MultipleChoiceField(choices=[(m.value, "") for m in Mark], required=False)
    criteria = forms.MultipleChoiceField(choices=CRITERIA, required=False)
    along = NumbersField(required=False)
    offered = NumbersField(required=False)

    def __init__(self, *args: Any, windows: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as Django's own
        super().__init__(*args, **kwargs)
        window = self.fields["window"]
        if isinstance(window, forms.ModelChoiceField):
            window.queryset = windows


class ReasonForm(forms.Form):
    """Why something is done, in a sentence."""

    reason = ProseField(max_length=LONGEST_REASON)


class ReviewForm(forms.Form):
    """What a reviewer decides about exactly what they were shown."""

    fingerprint = LineField(max_length=64)
    reason = ProseField(max_length=LONGEST_REASON, required=False)
    acknowledged = forms.MultipleChoiceField(required=False)

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - as Django's own
        rules: Iterable[str] = (),
        needs_reason: bool = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        acknowledged = self.fields["acknowledged"]
        if isinstance(acknowledged, forms.MultipleChoiceField):
            acknowledged.choices = [(rule, rule) for rule in rules]
        self.needs_reason = needs_reason

    def clean(self) -> dict[str, Any]:
        """Whoever says no, or takes something on, says why."""
        given = super().clean() or self.cleaned_data
        if not given.get("reason") and (self.needs_reason or given.get("acknowledged")):
            self.add_error("reason", "Say why, in a sentence.")
        return given


CONTEST = "contest"  # instead of an answer: the one that there is, is wrong


class AnswerForm(forms.Form):
    """How two changes belong together."""

    plan_fingerprint = LineField(max_length=64)
    low = forms.IntegerField(min_value=1)
    high = forms.IntegerField(min_value=1)
    answer = forms.ChoiceField(
        choices=[
            *((word, word) for word in ("a-first", "b-first", "together", "unrelated", CONTEST)),
            *((f"{word}:{alone}", "") for word in ("a-first", "b-first") for alone in OnlyFirst),
        ]
    )
    only_first = forms.ChoiceField(
        choices=[(word, word) for word in ("nothing", "degraded", "outage")], required=False
    )
    reason = ProseField(max_length=LONGEST_REASON, required=False)
    back = LineField(required=False)

    def clean(self) -> dict[str, Any]:
        """An order needs to say what breaks while only the first is live; one button says both."""
        given = super().clean() or self.cleaned_data
        answer, _, alone = given.get("answer", "").partition(":")
        given |= {"answer": answer, "only_first": alone or given.get("only_first", "")}
        if given.get("answer") in {"a-first", "b-first"} and not given.get("only_first"):
            self.add_error(
                "only_first", "Say what breaks while only the first is live, then which is first."
            )
        return given


def early_answers(given: QueryDict) -> list[Answer]:
    """Return how changes belong together, as it was said while one of them was being booked.

    Args:
        given: what was sent: any number of `coupling`, each with its `coupling-why`.

    Raises:
        ValidationError: an answer cannot be read, or a reason is too long.
    """
    reason = ProseField(max_length=LONGEST_REASON, required=False)
    answers = []
    for told, why in _early(given):
        match = _EARLY_ANSWER.fullmatch(told)
        if match is None:
            raise forms.ValidationError("An answer about two changes cannot be read.")
        low, high, order, alone, plain = match.groups()
        if word := order or plain:
            ends = int(low), int(high)
            first, then = reversed(ends) if word == "b-first" else ends
            meanwhile = OnlyFirst(alone or OnlyFirst.NOTHING)
            answers.append(Answer(first, then, ANSWER_KINDS[word], meanwhile, reason.clean(why)))
    return answers


def early_reasons(given: QueryDict) -> dict[str, str]:
    """Return the reasons that were typed with such answers, by pair, to be shown again."""
    return {told.partition(":")[0]: visible_prose(why) for told, why in _early(given)}


def _early(given: QueryDict) -> Iterator[tuple[str, str]]:
    told = [one for one in given.getlist("coupling")[:MOST_EARLY] if one]
    return zip_longest(told, given.getlist("coupling-why")[: len(told)], fillvalue="")


_EARLY_ANSWER = re.compile(
    r"([1-9]\d{0,8})-([1-9]\d{0,8}):"
    r"(?:([ab]-first):(nothing|degraded|outage)|(together|unrelated))?"
)
ANSWER_KINDS = {
    "a-first": StatementKind.BEFORE,
    "b-first": StatementKind.BEFORE,
    "together": StatementKind.TOGETHER,
    "unrelated": StatementKind.UNRELATED,
}


class ProfileForm(forms.Form):
    """What people decide about themselves."""

    time_zone = forms.ChoiceField(
        label="Time zone",
        help_text="Pages show UTC, and the time in this zone beside it.",
        error_messages={"invalid_choice": "There is no such time zone; choose one of the list."},
    )
    nick = LineField(
        label="Nick in chat", help_text="Such as: ada_l", max_length=100, required=False
    )
    mail_own = forms.BooleanField(label="what I requested, own or uploaded", required=False)
    mail_watched = forms.BooleanField(label="what I watch", required=False)
    mail_reviews = forms.BooleanField(label="what waits for my review", required=False)
    mail_windows = forms.BooleanField(label="the windows that I deploy", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as Django's own
        super().__init__(*args, **kwargs)
        zone = self.fields["time_zone"]
        if isinstance(zone, forms.ChoiceField):
            zone.choices = _zone_choices(time_zones())

    @property
    def mail_fields(self) -> list[forms.BoundField]:
        """The choices about mail."""
        return [self[name] for name in self.fields if name.startswith("mail_")]


class RolesForm(forms.Form):
    """Which roles somebody has, and had when the page was shown."""

    roles = forms.MultipleChoiceField(
        label="Roles",
        choices=[(role.value, role.value.replace("-", " ")) for role in Role],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    seen = forms.MultipleChoiceField(
        choices=[(role.value, "") for role in Role],
        widget=forms.MultipleHiddenInput,
        required=False,
    )


class OtherNameForm(forms.Form):
    """Another name of somebody."""

    name = LineField(
        label="Another name",
        help_text="An account here, or a name in the review system, such as: ada-wmde",
        max_length=150,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


@cache
def time_zones() -> tuple[str, ...]:
    """Return the names that people know: a place, or UTC."""
    names = (name for name in available_timezones() if "/" in name or name == "UTC")
    return tuple(sorted(name for name in names if not name.startswith(("Etc/", "SystemV/"))))


def _zone_choices(names: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in names]


class ReplyForm(forms.Form):
    """What a requester answers a reviewer, who was shown this."""

    fingerprint = LineField(max_length=64)
    reply = ProseField(
        max_length=LONGEST, error_messages={"required": "Write the answer; the reviewer reads it."}
    )


class HandOverForm(forms.Form):
    """To whom a backport is handed over: an account by its name, whatever its case."""

    fingerprint = LineField(max_length=64)
    to = LineField(max_length=150, error_messages={"required": "Say to whom it is handed over."})

    def clean_to(self) -> User:
        """Return the person."""
        name: str = self.cleaned_data["to"]
        people = list(User.objects.filter(username__iexact=name, is_active=True)[:2])
        exact = [person for person in people if person.username == name] or people
        if len(exact) != 1:
            raise forms.ValidationError("Nobody with an open account has that name.")
        return exact[0]


class OtherWindowForm(forms.Form):
    """To which window something goes; what was shown of it, where that matters."""

    window = forms.ModelChoiceField(queryset=Window.objects.all())
    fingerprint = LineField(max_length=64, required=False)
    what_differs = ProseField(max_length=LONGEST, required=False)


class ConfirmForm(forms.Form):
    """What somebody confirms: that they were shown this."""

    fingerprint = LineField(max_length=64)


class OverrideForm(forms.Form):
    """Which rule is overridden, for what was shown, and why."""

    fingerprint = LineField(max_length=64)
    rule = forms.ChoiceField(choices=[(rule, rule) for rule in RULES_BY_ID])
    reason = ProseField(max_length=LONGEST_REASON)

    def clean_reason(self) -> str:
        """Refuse a reason that is too short to be one."""
        reason: str = self.cleaned_data["reason"]
        if len(reason) < SHORTEST_REASON:
            raise forms.ValidationError(
                f"Say in {SHORTEST_REASON} characters or more why it must go all the same."
            )
        return reason


class ApproveSeveralForm(forms.Form):
    """Which backports of a list are approved, each exactly as it was shown."""

    tick = forms.TypedMultipleChoiceField(
        error_messages={"required": "Tick what you approve first; nothing was approved."}
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as Django's own
        super().__init__(*args, **kwargs)
        tick = self.fields["tick"]
        if isinstance(tick, forms.TypedMultipleChoiceField):
            sent = self.data.getlist("tick") if isinstance(self.data, QueryDict) else []
            tick.choices = [(one, one) for one in sent[:MOST_TICKS] if TICK.fullmatch(one)]

    @property
    def ticked(self) -> dict[int, str]:
        """The fingerprint that was shown, by the backport's key, in the order of the page."""
        pairs = (tick.split(":") for tick in self.cleaned_data["tick"])
        return {int(key): shown for key, shown in pairs}


WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_GRADES = {
    FreezeScope.ALL: "everything",
    FreezeScope.NORMAL: "all but what is urgent",
    FreezeScope.TRAIN: "the train",
}
_KINDS = [(kind.value, kind.value) for kind in WindowKind]
_FIRST_DAY, _LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)


class _DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class _ClockInput(forms.TimeInput):
    input_type = "time"

    def __init__(self) -> None:
        super().__init__(format="%H:%M")


def _day(label: str, example: str = "", *, required: bool = True) -> forms.DateField:
    return forms.DateField(
        label=label,
        help_text=example,
        required=required,
        widget=_DayInput(),
        validators=[MinValueValidator(_FIRST_DAY), MaxValueValidator(_LAST_DAY)],
    )


def _clock(label: str, example: str = "") -> forms.TimeField:
    return forms.TimeField(label=label, help_text=example, widget=_ClockInput())


def _which() -> forms.ChoiceField:
    return forms.ChoiceField(
        choices=[("first", ""), ("second", "")], required=False, widget=forms.HiddenInput
    )


@dataclass(frozen=True, slots=True)
class LocalTime:
    """A time on the clocks of a zone as a form shows it.

    Attributes:
        name: what the names of its fields begin with.
        day: its day; None where it is that of every day.
        instead: what the clocks show instead of a time that they skip; None if they skip none.
        moments: when they show it, UTC, the earlier first; which one is asked if they are two.
        which: "first" or "second", as answered; "" while it is not.
    """

    name: str
    day: forms.BoundField | None
    at: forms.BoundField
    instead: time | None
    moments: tuple[datetime, ...]
    which: str


class LocalTimesForm(forms.Form):
    """Times on the clocks of a zone; nothing is guessed about those that are not clear.

    A time that the clocks skip is refused with what they show instead, which the button `take`
    puts in its place; of one that they show twice it is asked which is meant.
    """

    times: ClassVar[tuple[str, ...]] = ()

    zone = forms.ChoiceField(
        label="Time zone",
        help_text="Whose clocks the times are of.",
        error_messages={"invalid_choice": "There is no such time zone; choose one of the list."},
    )

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        zones: Iterable[str] = (),
        **kwargs: Any,  # noqa: ANN401 - as Django's own
    ) -> None:
        super().__init__(_cleaned(data), **kwargs)
        self.instead: dict[str, time] = {}
        self.moments: dict[str, tuple[datetime, ...]] = {}
        zone = self.fields["zone"]
        if isinstance(zone, forms.ChoiceField):
            zone.choices = _zone_choices(zones or time_zones())

    @property
    def local_times(self) -> dict[str, LocalTime]:
        """The times, by name, with what is to be asked about them."""
        return {
            name: LocalTime(
                name,
                self[f"{name}_day"] if f"{name}_day" in self.fields else None,
                self[f"{name}_at"],
                self.instead.get(name),
                self.moments.get(name, ()),
                self[f"{name}_which"].value() or "" if self.is_bound else "",
            )
            for name in self.times
        }

    @property
    def suggestions(self) -> list[tuple[str, time]]:
        """What can be taken instead of the times that the clocks skip."""
        return [(f"{name} {at:%H:%M}", at) for name, at in self.instead.items()]

    def is_second(self, name: str) -> bool | None:
        """Return which of two moments was answered; None if nothing was."""
        which = self.cleaned_data.get(f"{name}_which")
        return which == "second" if which else None

    def refuse(self, name: str, refusal: NoSuchLocalTime | AmbiguousLocalTime) -> None:
        """Say at a time why it is not clear, and ask."""
        if isinstance(refusal, NoSuchLocalTime):
            self.instead[name] = refusal.instead
        else:
            self.moments[name] = refusal.moments
        self.add_error(f"{name}_at", refusal.sentence)

    def clean(self) -> dict[str, Any]:
        """Turn each time that has a day into the moment that is meant, UTC."""
        given = super().clean() or self.cleaned_data
        for name in self.times:
            day, at = given.get(f"{name}_day"), given.get(f"{name}_at")
            if not day or not at or not given.get("zone"):
                continue
            try:
                given[name] = moment_of(
                    day, at, ZoneInfo(given["zone"]), second=self.is_second(name)
                )
            except (NoSuchLocalTime, AmbiguousLocalTime) as refusal:
                self.refuse(name, refusal)
            else:
                self.moments[name] = moments_of(day, at, ZoneInfo(given["zone"]))
        return given


def _cleaned(data: QueryDict | None) -> QueryDict | None:
    """Return what was sent, with the time that was taken instead, and cleaned to be shown again."""
    if data is None:
        return None
    typed = QueryDict(mutable=True)
    for field, values in data.lists():
        typed.setlist(field, [visible_prose(value) for value in values])
    name, _, at = typed.get("take", "").partition(" ")
    if at:
        typed[f"{name}_at"] = at
    return typed


def local_initial(name: str, moment: datetime, zone: str) -> Mapping[str, object]:
    """Return what the fields of a local time show of a moment."""
    local = moment.astimezone(ZoneInfo(zone))
    return {"zone": zone, f"{name}_day": local.date(), f"{name}_at": local.time()}


def _minutes(label: str = "Minutes", *, initial: int | None = 60) -> forms.IntegerField:
    return forms.IntegerField(label=label, initial=initial, min_value=1, max_value=LONGEST_MINUTES)


def _closing() -> forms.IntegerField:
    return forms.IntegerField(
        label="Booking closes, minutes before",
        min_value=0,
        max_value=7 * LONGEST_MINUTES,  # a week
        required=False,
    )


class SeriesForm(LocalTimesForm):
    """What a series of windows is made of."""

    times = ("starts",)

    title = LineField(label="Title", help_text="Such as: UTC late backport window", max_length=100)
    kind = forms.ChoiceField(label="Kind", choices=_KINDS, initial=WindowKind.BACKPORT.value)
    weekdays = forms.TypedMultipleChoiceField(
        label="Days of the week",
        choices=list(enumerate(WEEKDAYS)),
        coerce=int,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Say on which days of the week."},
    )
    starts_at = _clock("Start", "On these clocks, whatever UTC is then.")
    starts_which = _which()
    minutes = _minutes()
    closes_minutes = _closing()
    starts_on = _day("First day")
    ends_on = _day("Last day", required=False)

    @property
    def facts(self) -> SeriesFacts:
        """What was said, in a form that is valid."""
        given = self.cleaned_data
        return SeriesFacts(
            title=given["title"],
            zone=given["zone"],
            weekdays=frozenset(given["weekdays"]),
            at=given["starts_at"],
            minutes=given["minutes"],
            starts_on=given["starts_on"],
            kind=WindowKind(given["kind"]),
            ends_on=given["ends_on"],
            second=self.is_second("starts"),
            closes_minutes=given["closes_minutes"],
        )


class EndSeriesForm(forms.Form):
    """After which local day a series ends."""

    last_day = _day("Last day")


class WindowForm(LocalTimesForm):
    """What a single window is made of."""

    times = ("starts",)

    title = LineField(label="Title", help_text="Such as: Puppet request window", max_length=100)
    kind = forms.ChoiceField(label="Kind", choices=_KINDS, initial=WindowKind.BACKPORT.value)
    starts_day = _day("Day")
    starts_at = _clock("Start")
    starts_which = _which()
    minutes = _minutes()
    closes_minutes = _closing()
    is_emergency = forms.BooleanField(
        label="It is an emergency: it takes place in spite of a freeze",
        help_text="A release engineer and somebody of operations have to confirm it first.",
        required=False,
    )
    reason = LineField(
        label="What the emergency is",
        help_text="Everybody reads it, such as: nobody can sign in since the last train.",
        max_length=300,
        required=False,
    )

    def clean(self) -> dict[str, Any]:
        """An emergency has a reason."""
        given = super().clean()
        if given.get("is_emergency") and not given.get("reason"):
            self.add_error("reason", "Say what the emergency is; two people have to confirm it.")
        return given

    @property
    def facts(self) -> WindowFacts:
        """What was said, in a form that is valid."""
        given = self.cleaned_data
        return WindowFacts(
            title=given["title"],
            start=given["starts"],
            minutes=given["minutes"],
            kind=WindowKind(given["kind"]),
            closes_minutes=given["closes_minutes"],
            is_emergency=given["is_emergency"],
            reason=given["reason"],
        )


class MoveWindowForm(LocalTimesForm):
    """To which time a window is moved, and why."""

    times = ("starts",)

    starts_day = _day("Day")
    starts_at = _clock("Start")
    starts_which = _which()
    minutes = _minutes()
    reason = LineField(
        label="Why",
        help_text="Such as: the train needs this hour.",
        max_length=LONGEST_REASON,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    seen = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class SeenForm(forms.Form):
    """Something about a window that was shown like this, and why, if anything is said."""

    seen = forms.IntegerField(min_value=0)
    reason = ProseField(max_length=LONGEST_REASON, required=False)


class FreezeForm(LocalTimesForm):
    """What a freeze is made of."""

    times = ("starts", "ends")

    reason = LineField(
        label="Why", help_text="Everybody reads it. Such as: end of the year", max_length=200
    )
    scope = forms.ChoiceField(
        label="What it stops",
        choices=[(scope.value, words) for scope, words in _GRADES.items()],
        widget=forms.RadioSelect,
        initial=FreezeScope.ALL.value,
    )
    kinds = forms.MultipleChoiceField(
        label="In which windows",
        help_text="None ticked means in all.",
        choices=_KINDS,
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    starts_day = _day("From, day")
    starts_at = _clock("From, time")
    starts_which = _which()
    ends_day = _day("Until, day")
    ends_at = _clock("Until, time")
    ends_which = _which()
    recurrence = forms.ChoiceField(
        label="It comes again",
        choices=[
            (Recurrence.ONCE.value, "never"),
            (Recurrence.WEEKLY.value, "every week"),
            (Recurrence.YEARLY.value, "every year"),
        ],
        initial=Recurrence.ONCE.value,
    )
    until = _day("Last time on", required=False)

    def clean(self) -> dict[str, Any]:
        """It ends after it starts."""
        given = super().clean()
        starts, ends = given.get("starts"), given.get("ends")
        if starts and ends and ends <= starts:
            self.add_error("ends_day", "It would end before it starts.")
        longest = LONGEST_TURN.get(Recurrence(given.get("recurrence", Recurrence.ONCE)))
        if starts and ends and longest and ends - starts > timedelta(days=longest[0]):
            sentence = f"What comes again every {longest[1]} takes no more than a {longest[1]}."
            self.add_error("ends_day", sentence)
        return given

    @property
    def facts(self) -> FreezeFacts:
        """What was said, in a form that is valid."""
        given = self.cleaned_data
        return FreezeFacts(
            starts=given["starts"].astimezone(UTC),
            ends=given["ends"].astimezone(UTC),
            reason=given["reason"],
            scope=FreezeScope(given["scope"]),
            kinds=frozenset(WindowKind(kind) for kind in given["kinds"]),
            recurrence=Recurrence(given["recurrence"]),
            zone=given["zone"],
            until=given["until"],
        )


def grade_of(scope: FreezeScope) -> str:
    """Return what a freeze stops, in words."""
    return _GRADES[scope]


class TokenForm(forms.Form):
    """A token of the API."""

    name = LineField(label="What it is for", help_text="Such as: train bot.", max_length=60)
    scope = forms.TypedChoiceField(
        label="What it opens",
        choices=[(scope.value, scope.spoken) for scope in Scope],
        coerce=Scope,
        initial=Scope.TRAIN.value,
    )


class SeveralFiles(forms.ClearableFileInput):
    """A field to choose any number of files in."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Any number of files."""

    widget = SeveralFiles

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile]:  # noqa: ANN401
        """Return the files that were chosen; none is fine."""
        one = super().clean
        return [one(file, initial) for file in data or ()]


def _moment_of_train(label: str) -> forms.DateTimeField:
    first, last = (datetime.combine(day, time(), UTC) for day in (_FIRST_DAY, _LAST_DAY))
    return forms.DateTimeField(
        label=label,
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=LOCAL_TIME),
        validators=[MinValueValidator(first), MaxValueValidator(last)],
    )


class VersionForm(forms.Form):
    """A version of the train: when it is cut, and when each group moves to it; UTC."""

    name = LineField(label="Version", help_text="Such as: 1.47.0-wmf.31", max_length=64)
    cut = _moment_of_train("Branch cut (UTC)")

    def __init__(self, *args: Any, groups: Iterable[str], **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.groups = tuple(groups)
        for number, group in enumerate(self.groups):
            self.fields[f"group_{number}"] = _moment_of_train(f"{group} moves to it (UTC)")

    @property
    def promotions(self) -> dict[str, datetime]:
        """When each group moves to it, of those that were given a time."""
        given = ((group, self.cleaned_data[f"group_{n}"]) for n, group in enumerate(self.groups))
        return {group: at for group, at in given if at is not None}


class TrainFilesForm(forms.Form):
    """`wikiversions.json` and the lists of the groups, pasted or uploaded."""

    wikiversions = ProseField(
        label="wikiversions.json",
        help_text='Such as: {"enwiki": "php-1.47.0-wmf.31"}',
        required=False,
        max_length=LONGEST_FILE,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )
    wikiversions_file = forms.FileField(label="The same as a file", required=False)
    groups = ProseField(
        label="Groups, as a JSON object of lists",
        help_text='Such as: {"group0": ["testwiki", "mediawikiwiki"]}',
        required=False,
        max_length=LONGEST_FILE,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )
    lists = FilesField(label="Or their lists: group0.dblist, …", required=False)


class LeaseForm(forms.Form):
    """Something about a window that is deployed, by who drives it under this number."""

    lease = forms.IntegerField(min_value=1)
    seen = LineField(max_length=64, required=False)


class TakeForm(forms.Form):
    """That somebody takes the wheel, and why, if it was another's."""

    reason = ProseField(max_length=LONGEST_REASON, required=False)


class OfferForm(LeaseForm):
    """To whom the wheel is handed, and what they have to know."""

    to = LineField(max_length=150, error_messages={"required": "Say to whom you hand it."})
    note = ProseField(
        max_length=LONGEST_REASON,
        error_messages={"required": "Write what the other one has to know."},
    )


class StepForm(forms.Form):
    """Something about a step that was shown like this; a tester has no lease."""

    seen = forms.IntegerField(
        min_value=0,
        error_messages={"required": "Load the page again.", "invalid": "Load the page again."},
    )
    lease = forms.IntegerField(
        min_value=1, required=False, error_messages={"invalid": "Load the page again."}
    )


class TickForm(StepForm):
    """That an item is done, with the proof."""

    proof = ProseField(max_length=LONGEST, required=False)


class VouchForm(StepForm):
    """That a step may start unverified, and how the second person knows."""

    reason = ProseField(
        max_length=LONGEST_REASON,
        error_messages={"required": "Say how you know that it is what was approved."},
    )


class FailForm(StepForm):
    """What was seen when a step failed."""

    output = ProseField(
        max_length=LONGEST,
        error_messages={"required": "Say what was seen: everybody else has to understand it."},
    )


class ChooseForm(StepForm):
    """What is done about a step that failed, as its consequences were shown."""

    choice = forms.ChoiceField(
        choices=[(one.value, one.value) for one in Choice],
        error_messages={"required": "Choose: revert it, or leave it."},
    )
    shown_revert = LineField(max_length=200, required=False)
    shown_leave = LineField(max_length=200, required=False)
    reason = ProseField(
        max_length=LONGEST_REASON, error_messages={"required": "Say why, in a sentence."}
    )


class MissForm(StepForm):
    """Why a step does not go, as what falls with it was shown."""

    why = forms.ChoiceField(
        choices=[(why, words) for why, words in WHY_MISSED.items()],
        error_messages={"required": "Say why it does not go."},
    )
    shown = LineField(max_length=200, required=False)
    reason = ProseField(max_length=LONGEST_REASON, required=False)


class ExtendForm(LeaseForm):
    """How many minutes later steps may start, and why."""

    minutes = forms.IntegerField(min_value=1, max_value=MOST_EXTRA)
    reason = ProseField(
        max_length=LONGEST_REASON, error_messages={"required": "Say why steps may start later."}
    )


class CloseForm(LeaseForm):
    """That a window is closed, with what was shown to be missed then."""

    left = LineField(max_length=200, required=False)
    reason = ProseField(max_length=LONGEST_REASON, required=False)
