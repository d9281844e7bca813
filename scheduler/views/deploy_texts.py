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

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&:@])")
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
    for card in board.steps:
        yield ""
        yield f"{card.state.position}. {card.numbers}  [{card.look}]  {_minutes(card)}"
        for entry in card.entries:
            subject = entry.change.subject if entry.change else ""
            yield f"   {entry.number}: {visible_line(subject)}"
        for rule in card.overridden:
            yield f"   ! {rule} overridden by two people"
        if card.blocked:
            yield f"   ! {visible_line(card.blocked)}"
        for item in (*card.items, *card.way_back):
            yield f"   {_box(item)} {visible_line(item.row.title)}{_done(item)}"
            for line in filter(None, (item.row.command, item.row.log)):
                yield f"         {line}"


def _markdown(board: Board) -> Iterator[str]:
    window = board.course.window
    yield f"# {escaped(str(window))} to {window.end:%H:%M} UTC"
    yield ""
    yield f"{escaped(board.state_line)}  "
    yield f"As of {board.course.at:%Y-%m-%d %H:%M:%S} UTC"
    for card in board.steps:
        yield ""
        yield f"## {card.state.position}\\. {card.numbers} ({card.look}), {_minutes(card)}"
        yield ""
        for entry in card.entries:
            subject = entry.change.subject if entry.change else ""
            yield f"- {entry.number}: {escaped(subject)}"
        yield from (f"- **{escaped(rule)} overridden by two people**" for rule in card.overridden)
        if card.blocked:
            yield f"- **{escaped(card.blocked)}**"
        for item in (*card.items, *card.way_back):
            yield f"- {_box(item)} {escaped(item.row.title)}{_done(item, escaped)}"
            for line in filter(None, (item.row.command, item.row.log)):
                yield f"  `{line}`"


def escaped(text: str) -> str:
    """Return a text as one line of Markdown that shows exactly what it says."""
    return _MARKDOWN.sub(r"\\\1", visible_line(text))


def _box(item: ItemCard) -> str:
    return "[x]" if item.row.done_at else "[ ]"


def _done(item: ItemCard, shown: Callable[[str], str] = visible_line) -> str:
    row = item.row
    if row.done_at is None or row.done_by is None:
        return f" ({row.minutes} min)" if row.minutes else ""
    proof = f", {shown(row.proof)}" if row.proof else ""
    return f" ({shown(row.done_by.username)}, {row.done_at:%H:%M:%S}{proof})"


def _minutes(card: StepCard) -> str:
    taken = f"{card.taken} of " if card.taken is not None else ""
    return f"{taken}{card.state.step.minutes} min"
