"""How times, places, levels and statuses look: always a sign and a word, never colour alone."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4
from zoneinfo import ZoneInfo

from django import template
from django.http import QueryDict
from django.template.context import Context
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from scheduler.actors import UNPROTECTED, actor_of, needs_second_factor, roles_of
from scheduler.adapters.cleaning import visible_prose
from scheduler.domain.changes import short_project
from scheduler.domain.checklist.run import spoken as item_spoken
from scheduler.domain.checklist.steps import ItemKind
from scheduler.domain.permissions import PERMITS, Act, may
from scheduler.models import User

register = template.Library()

_SOURCE = re.compile(
    r"(?P<page>[A-Z][A-Za-z/]*(?: [A-Za-z/]+)*)(?= \(Wikitech\))"
    r"|(?P<incident>Incidents/[A-Za-z0-9-]+)"
    r"|\b(?P<task>T[1-9][0-9]+)\b",
    re.ASCII,
)

_PLACES = {
    "queue": ("good", "✓", "in the queue"),
    "train": ("info", "→", "train"),
    "dedicated": ("other", "◇", "dedicated window"),
    "held": ("warn", "?", "held"),
    "overflow": ("warn", "↧", "overflow"),
    "blocked": ("bad", "✕", "blocked"),
}
_LEVELS = {"MUST": ("bad", "✕"), "SHOULD": ("warn", "!"), "MAY": ("", "i")}
_STATUSES = {
    "submitted": ("info", "○"),
    "needs-info": ("warn", "?"),
    "approved": ("good", "✓"),
    "queued": ("good", "✓"),
    "deploying": ("info", "▶"),
    "deployed": ("good", "✓"),
    "reverted": ("bad", "↩"),
    "missed": ("warn", "\N{EN DASH}"),
    "declined": ("bad", "✕"),
    "withdrawn": ("", "\N{EN DASH}"),
    "train": ("info", "→"),
    "dedicated": ("other", "◇"),
}


_KINDS = {
    "backport": ("", "○"),
    "training": ("good", "△"),
    "train": ("info", "→"),
    "security": ("bad", "◆"),
    "dedicated": ("other", "◇"),
    "infrastructure": ("", "▤"),
    "no-deploy": ("warn", "■"),
}


def _chip(tone: str, sign: str, word: str) -> SafeString:
    return format_html(
        '<span class="chip {}"><span aria-hidden="true">{}</span> {}</span>', tone, sign, word
    )


@register.filter
def place_chip(place: str) -> SafeString:
    """Show a place: sign, word and colour."""
    tone, sign, word = _PLACES.get(place, ("", "·", place))
    return _chip(tone, sign, word)


@register.filter
def level_chip(level: str) -> SafeString:
    """Show the level of a finding."""
    tone, sign = _LEVELS.get(level, ("", "·"))
    return _chip(tone, sign, level)


@register.filter
def status_chip(status: str) -> SafeString:
    """Show the status of a backport."""
    tone, sign = _STATUSES.get(status, ("", "·"))
    return _chip(tone, sign, status.replace("-", " "))


@register.filter
def kind_chip(kind: str) -> SafeString:
    """Show what a window is for."""
    tone, sign = _KINDS.get(kind, ("", "·"))
    return _chip(tone, sign, kind.replace("-", " "))


@register.filter
def spoken(slug: str) -> str:
    """Return a slug in words: `unbreak-now` reads "unbreak now"."""
    return str(slug).replace("-", " ").replace("_", " ")


def _zone(context: Context) -> ZoneInfo:
    """Return the reader's zone; UTC for nobody in particular."""
    name = getattr(context.get("user"), "time_zone", "") or "UTC"
    return ZoneInfo(name)


def _day(value: date, *, now: datetime) -> str:
    day = f"{value:%a} {value.day} {value:%b}"
    return day if value.year == now.year else f"{day} {value.year}"


@register.simple_tag(takes_context=True)
def moment(context: Context, value: datetime | None) -> SafeString | str:
    """Show day and time in UTC and, where it differs, in the reader's zone."""
    if value is None:
        return "not known"
    value = value.astimezone(UTC)
    local = value.astimezone(_zone(context))
    shown = f"{_day(value, now=timezone.now())}, {value:%H:%M} UTC"
    if local.utcoffset() == value.utcoffset():
        return format_html('<time datetime="{}">{}</time>', value.isoformat(), shown)
    other = "" if local.date() == value.date() else f"{local:%a} "
    return format_html(
        '<time datetime="{}">{} <span class="quiet">({}{} {})</span></time>',
        value.isoformat(),
        shown,
        other,
        f"{local:%H:%M}",
        local.tzname() or "",
    )


@register.simple_tag(takes_context=True)
def clock(context: Context, value: datetime) -> SafeString:
    """Show the time of day only, in UTC and, where it differs, in the reader's zone."""
    value = value.astimezone(UTC)
    local = value.astimezone(_zone(context))
    if local.utcoffset() == value.utcoffset():
        return format_html('<time datetime="{}">{} UTC</time>', value.isoformat(), f"{value:%H:%M}")
    return format_html(
        '<time datetime="{}">{} UTC <span class="quiet small">({} {})</span></time>',
        value.isoformat(),
        f"{value:%H:%M}",
        f"{local:%H:%M}",
        local.tzname() or "",
    )


@register.simple_tag(takes_context=True)
def hours(context: Context, start: datetime, end: datetime) -> SafeString:
    """Show from when to when, in UTC and, where it differs, in the reader's zone."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    first, last = (value.astimezone(_zone(context)) for value in (start, end))
    utc = f"{start:%H:%M}\N{EN DASH}{end:%H:%M} UTC"
    if first.utcoffset() == start.utcoffset():
        return format_html('<span class="nowrap">{}</span>', utc)
    local = f"{first:%H:%M}\N{EN DASH}{last:%H:%M} {first.tzname() or ''}"
    if first.date() != start.date():
        local = f"{first:%a} {local}"
    return format_html(
        '<span class="nowrap">{}</span> <span class="quiet small nowrap">{}</span>', utc, local
    )


@register.filter
def day_heading(value: date) -> str:
    """Name a day in full: Monday 26 October, with the year where it is not this one."""
    day = f"{value:%A} {value.day} {value:%B}"
    return day if value.year == timezone.now().year else f"{day} {value.year}"


@register.filter
def short_version(name: str) -> str:
    """Return a version as people say it: `wmf.31` for `1.47.0-wmf.31`; the old ones whole."""
    return name.rpartition("-")[2]


@register.filter
def at(found: Mapping[Any, Any], key: object) -> object:
    """Return what a mapping holds for a key; "" if it holds nothing."""
    return found.get(key, "")


register.filter("short_project", short_project)


@register.filter
def pluralised(count: int, word: str) -> str:
    """Return a count with its word: 1 slot, 3 slots."""
    return f"{count} {word if count == 1 else word + 's'}"


@register.filter
def ordinal(number: int) -> str:
    """Return a number as one counts: 1st, 2nd, 3rd, 4th, 11th."""
    teens = number % 100 in {11, 12, 13}
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


@register.inclusion_tag("scheduler/_findings.html")
def findings(objections: Any) -> dict[str, Any]:  # noqa: ANN401 - any list of objections
    """List objections, each with its level, rule and the way out."""
    return {"objections": objections}


@register.simple_tag
def new_key() -> str:
    """Return a fresh idempotency key: sending one form twice has one effect."""
    return str(uuid4())


@register.simple_tag
def what_bars(user: object) -> str:
    """Return why whoever reads the page may do nothing for now, or "" if nothing bars them."""
    return UNPROTECTED if isinstance(user, User) and needs_second_factor(user) else ""


@register.simple_tag
def may_book(user: object) -> bool:
    """Return whether whoever reads the page has a role with which one books backports."""
    return isinstance(user, User) and bool(PERMITS[Act.BOOK].roles & roles_of(user))


@register.filter
def ago(value: datetime) -> SafeString:
    """Say how long ago something was, in the largest unit; the exact time is in the markup."""
    seconds = max(int((timezone.now() - value).total_seconds()), 0)
    said = "just now"
    for length, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= length:
            said = f"{pluralised(seconds // length, word)} ago"
            break
    return format_html('<time datetime="{}">{}</time>', value.astimezone(UTC).isoformat(), said)


@register.simple_tag(takes_context=True)
def sent(context: Context, pk: int, *names: str) -> QueryDict:
    """Return what was typed into a form that was refused, cleaned, to be shown in it again.

    Args:
        context: of the page.
        pk: of what the form was about.
        names: of the addresses that the form may be sent to.
    """
    request = context.get("request")
    match = getattr(request, "resolver_match", None)
    is_this = match is not None and match.url_name in names and match.kwargs.get("pk") == pk
    typed = QueryDict(mutable=True)
    if request and is_this and context.get("refusal"):
        for name, values in request.POST.lists():
            typed.setlist(name, [visible_prose(value) for value in values])
    return typed


@register.filter
def is_about(typed: QueryDict, question: object) -> bool:
    """Return whether a refused answer was about the two changes of a question."""
    pair = tuple(map(str, getattr(question, "pair", ())))
    return pair == (typed.get("low"), typed.get("high"))


@register.filter
def coded(text: str) -> SafeString:
    """Show what stands between backticks as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return format_html("{}", text)
    shown = ((part, at % 2 == 1) for at, part in enumerate(parts))
    return format_html_join(
        "",
        "{}",
        ((format_html("<code>{}</code>", part) if is_code else part,) for part, is_code in shown),
    )


@register.filter
def values_of(typed: QueryDict, name: str) -> list[str]:
    """Return every value of a field of a form that was refused, such as the boxes ticked."""
    return typed.getlist(name)


@register.filter
def sourced(source: str) -> SafeString:
    """Show where a rule comes from, with links to the tasks and wiki pages that it names."""
    parts, end = [], 0
    for match in _SOURCE.finditer(source):
        parts.append((source[end : match.start()], "", ""))
        parts.append(("", _address_of(match), match[0]))
        end = match.end()
    parts.append((source[end:], "", ""))
    return format_html_join(
        "",
        "{}{}",
        (
            (text, format_html('<a href="{}" rel="noreferrer">{}</a>', url, named) if url else "")
            for text, url, named in parts
        ),
    )


def _address_of(match: re.Match[str]) -> str:
    if match["task"]:
        return f"https://phabricator.wikimedia.org/{match['task']}"
    page = match["page"] or match["incident"]
    return f"https://wikitech.wikimedia.org/wiki/{quote(page.replace(' ', '_'))}"


@register.filter
def override_chip(rule: str) -> SafeString:
    """Show that a rule is overridden: always in red."""
    return _chip("bad", "!", f"{rule} overridden")


@register.inclusion_tag("scheduler/calendar/_links.html", takes_context=True)
def calendar_links(context: Context) -> dict[str, object]:
    """Link to the calendar's other forms: feeds, and the wiki page of this week."""
    user = context.get("user")
    may_import = isinstance(user, User) and may(actor_of(user), Act.MANAGE_CALENDAR)
    return {"week": f"{timezone.now():%G-W%V}", "may_import": may_import}


_PHASES = {
    "waiting": ("", "○"),
    "going": ("info", "▶"),
    "failed": ("bad", "✕"),
    "going-back": ("warn", "↩"),
    "deployed": ("good", "✓"),
    "reverted": ("bad", "↩"),
    "skipped": ("warn", "↷"),
    "missed": ("warn", "\N{EN DASH}"),
    "blocked": ("bad", "■"),
}


@register.filter
def phase_chip(look: str) -> SafeString:
    """Show how far a step is, or what became of it."""
    tone, sign = _PHASES.get(look, ("", "·"))
    return _chip(tone, sign, look.replace("-", " "))


@register.filter
def item_word(kind: str) -> str:
    """Return what is done in an item, in a word or two."""
    return item_spoken(ItemKind(kind))
