"""Malformed answers of Gerrit: trouble that is told, never a change of what is known.

A small world answers each kind of question; then one answer is spoilt at a time, over a real
connection. Either the whole fetch is refused, or what it says is what was known.
"""

import base64
import resource
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.adapters.gerrit import Gerrit
from scheduler.adapters.gerrit_answers import (
    CHANGE,
    CHANGES,
    INCLUDED_IN,
    PREFIX,
    RELATED,
    SUBMITTED_TOGETHER,
    read,
    read_patch,
)
from scheduler.adapters.ports import AdapterError, FetchedChange
from scheduler.models import Backport, Change, Event, Plan, PlanStep, Question, User, Window
from scheduler.services.backports import submit_backport
from scheduler.services.changes import refresh_open_windows, store_changes
from swat.embedded.gerrit import LOGIN_PAGE, DemoGerrit
from swat.embedded.gerrit_changes import DemoChange, DemoFile, change_id_of
from tests.adapters.conftest import PUBLIC, said, told
from tests.factories import answers

ECHO, BRANCH = "mediawiki/extensions/Echo", "wmf/1.47.0-wmf.30"
FIX, BELOW = change_id_of("fix"), change_id_of("below")
WORLD = (  # what is booked; the change below it, on which it depends; its sibling
    DemoChange(
        10,
        ECHO,
        BRANCH,
        FIX,
        f"Fix\n\nDepends-On: {BELOW}\nChange-Id: {FIX}\n",
        {"includes/Hooks.php": DemoFile(removed=("0",), added=("1",))},
        labels={"Code-Review": (2, -1)},
        uploader="rae",
        parent=9,
    ),
    DemoChange(9, ECHO, BRANCH, BELOW, f"Below\n\nChange-Id: {BELOW}\n", {"b": DemoFile()}),
    DemoChange(
        11, ECHO, "master", FIX, f"Fix\n\nChange-Id: {FIX}\n", {"a": DemoFile()}, status="MERGED"
    ),
)
SHA = WORLD[0].sha


class Spoilt(NamedTuple):
    """One wrong answer.

    Attributes:
        name: what is wrong with it.
        place: a part of the path that asks for it.
        body: what is answered instead.
        hopeless: whether it must be refused; else it may also leave everything as it was.
    """

    name: str
    place: str
    body: bytes
    hopeless: bool = True


DETAIL = "changes/10/detail"
FAMILY = f"change%3A{FIX}"
CHAIN = f"changes/10/revisions/{SHA}/related"
BRANCHES = "changes/11/in"
TOGETHER = "changes/10/submitted_together"
PATCH = f"changes/10/revisions/{SHA}/patch"
JSON_PLACES = (DETAIL, FAMILY, CHAIN, BRANCHES, TOGETHER)


def good(place: str) -> bytes:
    with DemoGerrit(WORLD) as demo:
        if place == FAMILY:
            return demo.answer("changes/", f"q=change:{FIX}")[1]
        return demo.answer(place, "")[1]


def spoilt_bytes() -> Iterator[Spoilt]:
    """Yield what is no JSON of Gerrit's."""
    for place in JSON_PLACES:
        body = good(place)
        bare = body.removeprefix(PREFIX)
        for end in range(0, len(body), len(body) // 8 + 1):
            yield Spoilt(f"cut at {end}", place, body[:end])
        if place in {FAMILY, BRANCHES}:
            continue  # they are read by the same code as the others
        for name, wrong in {
            "no prefix": bare,
            "two prefixes": PREFIX + body,
            "a blank before": b" " + body,
            "a prefix without its line": b")]}'" + bare,
            "another prefix": b")]}',\n" + bare,
            "a byte order mark": b"\xef\xbb\xbf" + body,
            "nothing after the prefix": PREFIX,
            "null": PREFIX + b"null",
            "a number": PREFIX + b"1",
            "not a number": PREFIX + b"NaN",
            "a long number": PREFIX + b"1" * 5000,
            "too deep": PREFIX + b"[" * 100_000,
            "too deep, and closed": PREFIX + b"[" * 100_000 + b"]" * 100_000,
            "too deep inside": PREFIX + b'{"labels":' * 50_000,
            "something after it": body + b"x",
            "twice": body + bare,
            "a log-in page": LOGIN_PAGE,
            "a log-in page after the prefix": PREFIX + LOGIN_PAGE,
            "UTF-16": body.decode().encode("utf-16"),
            "Latin-1": body.replace(b'"', b'"\xe9', 1),
            "a broken character": body.replace(b'"', b'"\xff\xfe', 1),
            "in a list": told([said(body)]),
            "in an object": told({"changes": said(body)}),
        }.items():
            yield Spoilt(name, place, wrong)


def spoilt_keys() -> Iterator[Spoilt]:
    """Yield answers with a key that stands twice."""
    for place in JSON_PLACES:
        body = good(place)
        for key in _keys(said(body)):
            twice = f'"{key}": null, "{key}":'.encode()
            yield Spoilt(f"{key} twice", place, body.replace(f'"{key}":'.encode(), twice, 1))


def spoilt_values() -> Iterator[Spoilt]:
    """Yield answers with one value of a wrong type, and answers that lack one key."""
    for place in JSON_PLACES:
        deepest = 3 if place in {FAMILY, TOGETHER} else 9  # the rest is as in the detail
        answer = said(good(place))
        for turn, way in enumerate(_ways(answer)):
            if len(way) > deepest or way[-1] in UNREAD:
                continue
            name = "/".join(map(str, way))
            value = _at(answer, way)
            wrong = [other for other in WRONG if type(other) is not type(value)]
            other = wrong[turn % len(wrong)]
            body = told(_with(answer, way, other))
            yield Spoilt(f"{name} is {str(other)[:9]!r}", place, body, hopeless=False)
            if isinstance(value, int | float):
                yield Spoilt(f"{name} is NaN", place, told(_with(answer, way, float("nan"))))
            if isinstance(way[-1], str):
                body = told(_without(answer, way))
                yield Spoilt(f"{name} is missing", place, body, hopeless=False)


UNREAD = {"id", "updated", "_revision_number", "_current_revision_number"}
WRONG: tuple[object, ...] = (None, True, 7, "text", [], {}, 1.5, [None], {"a": 1})


def spoilt_meaning() -> Iterator[Spoilt]:
    """Yield proper answers to another question."""
    own = said(good(DETAIL))
    rows = said(good(FAMILY))
    links = said(good(CHAIN))["changes"]
    other_sha = WORLD[2].sha
    for name, place, answer in (
        ("another number", DETAIL, own | {"_number": 9}),
        ("a number as text", DETAIL, own | {"_number": "10"}),
        ("a number with a fraction", DETAIL, own | {"_number": 10.0}),
        ("a number where it is yes or no", DETAIL, own | {"work_in_progress": 0}),
        *(
            (f"without its {key}", DETAIL, _without(own, (key,)))
            for key in ("project", "branch", "change_id", "status", "owner", "labels", "revisions")
        ),
        ("a negative number", DETAIL, own | {"_number": -10}),
        ("number 0", DETAIL, own | {"_number": 0}),
        ("a huge number", DETAIL, own | {"_number": 10**12}),
        ("another change", DETAIL, said(good(FAMILY))[0]),
        ("another Change-Id", DETAIL, own | {"change_id": BELOW}),
        ("half a Change-Id", DETAIL, own | {"change_id": FIX[:20]}),
        ("another commit", DETAIL, own | {"current_revision": other_sha}),
        ("half a commit", DETAIL, own | {"current_revision": SHA[:20]}),
        ("no patch set", DETAIL, own | {"revisions": {}}),
        ("another status", DETAIL, own | {"status": "DRAFT"}),
        ("a status in small letters", DETAIL, own | {"status": "new"}),
        ("nothing found", FAMILY, []),
        ("not itself found", FAMILY, [row for row in rows if row["_number"] != 10]),
        ("another found", FAMILY, [row | {"change_id": BELOW} for row in rows]),
        ("one more found", FAMILY, [*rows, own | {"change_id": BELOW, "_number": 12}]),
        ("more than told", FAMILY, [*rows[:-1], rows[-1] | {"_more_changes": True}]),
        ("only itself in the chain", CHAIN, {"changes": links[:1]}),
        ("itself not in the chain", CHAIN, {"changes": links[1:]}),
        ("another chain", CHAIN, {"changes": [row | {"_change_number": 8} for row in links]}),
        (
            "a chain of an older patch set",
            CHAIN,
            {"changes": _with(links, (0, "commit", "commit"), other_sha)},
        ),
        ("a gap in the chain", CHAIN, {"changes": [links[0], links[1] | {"commit": LONE}]}),
        ("without itself", TOGETHER, {"changes": [{"_number": 9}], "non_visible_changes": 0}),
        ("without how many are not seen", TOGETHER, {"changes": [{"_number": 10}]}),
        ("with what is not seen", TOGETHER, {"changes": [], "non_visible_changes": 1}),
        ("with less than nothing", TOGETHER, {"changes": [], "non_visible_changes": -1}),
    ):
        yield Spoilt(name, place, told(answer))


LONE = {"commit": "0" * 40, "parents": []}


def spoilt_patches() -> Iterator[Spoilt]:
    """Yield what is no patch of this patch set."""
    body = good(PATCH)
    patch = base64.b64decode(body)
    for end in range(0, body.index(base64.b64encode(patch)[-40:]), 23):
        if end % 4 or b"\ndiff --git " not in base64.b64decode(body[:end]):
            yield Spoilt(f"cut at {end}", PATCH, body[:end])
    for name, wrong in {
        "a page": LOGIN_PAGE,
        "JSON": told({}),
        "not encoded": patch,
        "other letters": b"!" + body,
        "no text": base64.b64encode(bytes(range(256))),
        "not base64": "Zäh".encode(),
        "of another commit": base64.b64encode(patch.replace(SHA.encode(), b"0" * 40)),
        "without its head": base64.b64encode(patch[patch.index(b"diff --git") :]),
        "without its diff": base64.b64encode(patch[: patch.index(b"diff --git")]),
    }.items():
        yield Spoilt(f"patch: {name}", PATCH, wrong)


def spoilt() -> list[Spoilt]:
    kinds = (spoilt_bytes, spoilt_keys, spoilt_values, spoilt_meaning, spoilt_patches)
    return [one for kind in kinds for one in kind()]


def _keys(answer: Any) -> list[str]:  # noqa: ANN401
    inner = answer[0] if isinstance(answer, list) else answer
    return list(inner)


def _ways(answer: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401
    """Yield the way to every value inside; of a list of changes, into the first only."""
    inner: Iterable[tuple[str | int, Any]] = ()
    if isinstance(answer, dict):
        inner = answer.items()
    elif isinstance(answer, list):
        inner = list(enumerate(answer))[:1]
    for key, value in inner:
        yield (*way, key)
        yield from _ways(value, (*way, key))


def _at(answer: Any, way: tuple[str | int, ...]) -> Any:  # noqa: ANN401
    for key in way:
        answer = answer[key]
    return answer


def _with(answer: Any, way: tuple[str | int, ...], wrong: object) -> Any:  # noqa: ANN401
    if not way:
        return wrong
    copy = answer.copy()
    copy[way[0]] = _with(answer[way[0]], way[1:], wrong)
    return copy


def _without(answer: Any, way: tuple[str | int, ...]) -> Any:  # noqa: ANN401
    copy = answer.copy()
    if len(way) == 1:
        del copy[way[0]]
    else:
        copy[way[0]] = _without(answer[way[0]], way[1:])
    return copy


# What Gerrit may leave out, so that nobody can tell that it is missing.
MAY_DIFFER = {
    "subject",
    "owner",
    "uploader",
    "files",
    "labels",
    "submittable",
    "author",
    "authored_at",
}


def facts(row: FetchedChange) -> dict[str, object]:
    """Return all that a fetched change says, for comparison."""
    inner = {field.name: getattr(row.change, field.name) for field in fields(row.change)}
    outer = {field.name: getattr(row, field.name) for field in fields(row)}
    return {**inner, **outer, "change": None}


def columns() -> list[dict[str, object]]:
    """Return every row that a refresh may write."""
    tables = (Change, Backport, Window, Plan, PlanStep, Question, Event)
    rows = [dict(row) for table in tables for row in table.objects.order_by("pk").values()]
    for row in rows:
        row.pop("turn", None)  # counts how often a window was planned, whatever came of it
    return rows


@pytest.fixture
def world() -> Iterator[DemoGerrit]:
    with DemoGerrit(WORLD) as demo:
        yield demo


@pytest.fixture
def client(world: DemoGerrit) -> Gerrit:
    return Gerrit(world.url, PUBLIC)


def answer_with(world: DemoGerrit, wrong: Spoilt) -> None:
    world.mutate = lambda path, body: wrong.body if wrong.place in path else body


def test_the_world_asks_every_kind_of_question(world: DemoGerrit, client: Gerrit) -> None:
    fetched = client.fetch_change("10")
    assert [row.change.number for row in fetched] == [10, 9, 11]
    first = fetched[0]
    assert (first.change.parent, first.submitted_together) == (9, (9,))
    assert first.change.depends_on == (BELOW,)
    assert first.change.labels["Code-Review"] == -1
    for place in (*JSON_PLACES, PATCH):
        assert any(place in path for path in world.requests), place


@pytest.mark.django_db
def test_300_malformed_answers_change_nothing_that_counts(
    world: DemoGerrit, client: Gerrit, window: Window, ada: User
) -> None:
    now = timezone.now()
    first = client.fetch_change("10")
    change = store_changes(fetched=first, at=now)[0]
    submit_backport(change=change, window=window, requester=ada, answers=answers())
    known = {row.change.number: facts(row) for row in first}
    rows = columns()
    made = spoilt()
    assert len({(one.place, one.body) for one in made}) >= 300
    memory = most_memory()
    for turn, wrong in enumerate(made):
        answer_with(world, wrong)
        try:
            fetched = client.fetch_change("10")
        except AdapterError:
            same = True
        else:
            assert not wrong.hopeless, wrong
            check_says_what_was_known(wrong, fetched, known)
            same = {row.change.number: facts(row) for row in fetched} == known
        if same and turn % 10 == 0:  # the rest would do what these do
            refresh_open_windows(system=client, now=now)
            assert columns() == rows, wrong
    assert most_memory() - memory < 50_000_000


def check_says_what_was_known(
    wrong: Spoilt, fetched: tuple[FetchedChange, ...], known: dict[int, dict[str, object]]
) -> None:
    """Check that nothing differs but what may be missing, and that only for the worse."""
    assert {row.change.number for row in fetched} == set(known), wrong
    for row in fetched:
        before, now = known[row.change.number], facts(row)
        assert {name for name in now if now[name] != before[name]} <= MAY_DIFFER, wrong
        labels = before["labels"]
        assert isinstance(labels, dict)
        for label, vote in row.change.labels.items():
            assert vote <= labels[label], wrong


@pytest.mark.parametrize("end", [0, 1, 5, 60, 500])
def test_an_answer_that_breaks_off_on_the_way(world: DemoGerrit, client: Gerrit, end: int) -> None:
    world.truncate = end
    with pytest.raises(AdapterError, match="cannot be reached"):
        client.fetch_change("10")


def most_memory() -> int:
    """Return how many bytes this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# --- Anything at all ----------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["_number", "status", "labels", "revisions", SHA, "commit", "files", "changes", "branches"]
)
TEXT = st.text(st.characters(exclude_categories=()))  # surrogates as well
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just(SHA),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | TEXT, inner, max_size=6),
    max_leaves=20,
)


def reads_or_refuses(ask: Callable[[], object]) -> None:
    try:
        ask()
    except AdapterError as trouble:
        str(trouble).encode()
        assert len(str(trouble)) < 400  # noqa: PT017 most raise, some do not


def reads_or_refuses_in_every_shape(body: bytes) -> None:
    reads_or_refuses(lambda: read(body, CHANGE))
    reads_or_refuses(lambda: read(body, CHANGES))
    reads_or_refuses(lambda: read(body, INCLUDED_IN))
    reads_or_refuses(lambda: read(body, RELATED))
    reads_or_refuses(lambda: read(body, SUBMITTED_TOGETHER))


@settings(deadline=None)
@given(st.binary() | st.binary().map(PREFIX.__add__) | JSON.map(told))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    reads_or_refuses_in_every_shape(body)
    for cut in (True, False):
        reads_or_refuses(partial(read_patch, body, SHA, cut=cut))
        patch = base64.b64encode(f"From {SHA} ".encode() + body)
        reads_or_refuses(partial(read_patch, patch, SHA, cut=cut))


@settings(deadline=None)
@given(st.data())
def test_no_value_anywhere_raises_anything_else(data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(JSON_PLACES))
    answer = said(GOOD[place])
    way = data.draw(st.sampled_from(list(_ways(answer))))
    body = told(_with(answer, way, data.draw(JSON)))
    reads_or_refuses_in_every_shape(body)


GOOD = {place: good(place) for place in JSON_PLACES}


def test_no_body_over_a_connection_raises_anything_else(world: DemoGerrit, client: Gerrit) -> None:
    places = (*JSON_PLACES, PATCH)

    @settings(max_examples=60, deadline=None, database=None)
    @given(st.sampled_from(places), st.binary() | JSON.map(told))
    def ask(place: str, body: bytes) -> None:
        answer_with(world, Spoilt("anything", place, body))
        reads_or_refuses(lambda: client.fetch_change("10"))

    ask()
