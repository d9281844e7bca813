"""The live checklist as text: for terminals, and as Markdown for wikis and notes."""

import re
from collections.abc import Callable, Iterator

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from scheduler.adapters.cleaning import visible_line
from scheduler.services.clock import database_now
from scheduler.services.runs import course_of
from scheduler.views.course_cards import Board, ItemCard, StepCard
from scheduler.views.deploy import window_of
from scheduler.views.http import PageRequest

_MARKDOWN = re.compile(r"([\\`*_{}\[\]#|<>~&])")
# Begins a list at the start of a line, or makes a heading of the line before.
_BEGINS = re.compile(r"^([0-9]*)([-+=.)])")
_KINDS = {"txt": "text/plain", "md": "text/markdown"}


@require_safe
def text(_request: PageRequest, pk: int, kind: str) -> HttpResponse:
    """Tell how far a window is, as text."""
    if kind not in _KINDS:
        raise Http404
    board = Board(course_of(window_of(pk), database_now()))
    lines = _markdown(board) if kind == "md" else _plain(board)
    answer = HttpResponse("\n".join(lines) + "\n", content_type=f"{_KINDS[kind]}; charset=utf-8")
    answer["Content-Disposition"] = f'inline; filename="window-{pk}.{kind}"'
    return answer


def _plain(board: Board) -> Iterator[str]:
    window = board.course.window
    yield f"{visible_line(str(window))} to {window.end:%H:%M} UTC"
    yield visible_line(board.state_line)
    yield f"As of {board.course.at:%Y-%m-%d %H:%M:%S} UTC"
    yield from _versions(board)
    for card in board.steps:
        yield ""
        yield f"{card.state.position}. {card.numbers}  [{card.look}]  {_minutes(card)}"
        for entry in card.entries:
            subject = entry.change.subject if entry.change else ""
            yield f"   {entry.number}: {visible_line(subject)}"
        for rule in card.overridden:
            yield f"   ! {rule} overridden by two people"
        yield from (f"   ! {visible_line(line)}" for line in _troubles(card))
        yield from (f"   ({visible_line(line)})" for line in _testers(card))
        for item in (*card.items, *card.way_back):
            yield f"   {_box(item)} {visible_line(item.row.title)}{_done(item)}"
            if item.row.note:
                yield f"         > {shown(item.row.note)}"
            for line in filter(None, (item.row.command, item.row.link, item.row.log)):
                yield f"         {line}"


def _markdown(board: Board) -> Iterator[str]:
    window = board.course.window
    yield f"# {escaped(str(window))} to {window.end:%H:%M} UTC"
    yield ""
    yield f"{escaped(board.state_line)}  "
    yield f"As of {board.course.at:%Y-%m-%d %H:%M:%S} UTC"
    yield ""
    yield from (f"- {escaped(line)}" for line in _versions(board))
    for card in board.steps:
        yield ""
        yield f"## {card.state.position}\\. {card.numbers} ({card.look}), {_minutes(card)}"
        yield ""
        for entry in card.entries:
            subject = entry.change.subject if entry.change else ""
            yield f"- {entry.number}: {escaped(subject)}"
        yield from (f"- **{escaped(rule)} overridden by two people**" for rule in card.overridden)
        yield from (f"- **{escaped(line)}**" for line in _troubles(card))
        yield from (f"- {escaped(line)}" for line in _testers(card))
        for item in (*card.items, *card.way_back):
            yield f"- {_box(item)} {escaped(item.row.title)}{_done(item, escaped)}"
            if item.row.note:
                yield f"  > {escaped(item.row.note)}"
            for line in filter(None, (item.row.command, item.row.link, item.row.log)):
                yield f"  `{line}`"


def escaped(text: str) -> str:
    """Return a text as one line of Markdown that shows exactly what it says."""
    return _BEGINS.sub(r"\1\\\2", _MARKDOWN.sub(r"\\\1", shown(text)))


def shown(text: str) -> str:
    """Return what people wrote in several lines as one."""
    return visible_line(" / ".join(line.strip() for line in text.splitlines() if line.strip()))


def _versions(board: Board) -> Iterator[str]:
    """Yield what production has of the window, per version."""
    for one in board.live_now:
        groups = f" ({', '.join(one.groups)})" if one.groups else ""
        has = ", ".join(map(str, one.numbers)) or "nothing of this window"
        yield f"{one.branch or 'production'}{groups}: {has}"


def _troubles(card: StepCard) -> Iterator[str]:
    """Yield why a step cannot start, what was seen when it failed, and why it ended as it did."""
    if card.blocked:
        yield card.blocked
    if card.row is not None:
        yield from filter(None, (card.row.unverified, shown(card.row.output), card.row.reason))


def _testers(card: StepCard) -> Iterator[str]:
    """Yield who verifies a step that is not over, and whether they said that they are there."""
    if card.state.outcome is None:
        for tester in card.testers:
            here = "is here" if tester.here else "has not said to be here"
            yield f"{tester.name} verifies {tester.number}, and {here}"


def _box(item: ItemCard) -> str:
    return "[x]" if item.row.done_at else "[ ]"


def _done(item: ItemCard, words: Callable[[str], str] = shown) -> str:
    row = item.row
    if row.done_at is None or row.done_by is None:
        return f" ({row.minutes} min)" if row.minutes else ""
    proof = f", {words(row.proof)}" if row.proof else ""
    return f" ({words(row.done_by.username)}, {row.done_at:%H:%M:%S}{proof})"


def _minutes(card: StepCard) -> str:
    taken = f"{card.taken} of " if card.taken is not None else ""
    return f"{taken}{card.state.step.minutes} min"
