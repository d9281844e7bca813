"""What a plan document may hold, what is refused, and where the refusal points."""

import copy
import json
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.adapters.plan_document import (
    UnusableDocument,
    document_of,
    parse,
    render,
    time_text,
)
from scheduler.adapters.plan_text import plan_text
from scheduler.domain.planning.plan import plan_window
from scheduler.domain.windows import Window
from tests.domain.casebook import Case, cases, parsed

Json = dict[str, Any]
TIME = "2015-10-26T23:00:00Z"
VERSION = "1.27.0-wmf.3"


def whole_document() -> Json:
    """Return a document that uses every key."""
    change = {
        "number": 101,
        "project": "mediawiki/extensions/CirrusSearch",
        "branch": f"wmf/{VERSION}",
        "change_id": "I46d3784514155af27b407d78be567c291042fa86",
        "subject": "Use the pool",
        "message": "Use the pool\n\nBug: T115031",
        "status": "NEW",
        "work_in_progress": False,
        "owner": "ada",
        "uploader": "ada",
        "parent": None,
        "included_in": [],
        "deployed": None,
        "labels": {"Code-Review": 2, "Verified": 2},
        "files": [
            {
                "path": "a.php",
                "status": "R",
                "old_path": "b.php",
                "lines_inserted": 0,
                "lines_deleted": 68,
            }
        ],
        "diff": "",
        "topic": "new-schema",
        "author": "Ada",
        "authored_at": TIME,
    }
    other = change | {"number": 102, "project": "mediawiki/core", "change_id": "I" + "1" * 40}
    backport = {
        "change": 101,
        "requester": "ada",
        "approved": True,
        "submitted_at": TIME,
        "kind": "bug",
        "urgency": "normal",
        "present": True,
        "place": None,
        "marks": ["revert"],
        "criteria": [],
        "acknowledged": ["l10n"],
        "overridden": ["frozen"],
    }
    return {
        "format": "swat-plan/1",
        "now": TIME,
        "policy": {"max_patches": 8, "last_start_minute": 60},
        "window": {"start": TIME, "end": "2015-10-27T00:00:00Z"},
        "train": {
            "checked_out": [VERSION],
            "live": {"group0": VERSION, "group1": VERSION},
            "schedule": [
                {"version": "1.27.0-wmf.4", "cut": TIME, "promotions": {"group0": TIME}},
            ],
        },
        "freezes": [
            {"from": "2015-12-21T00:00:00Z", "to": "2016-01-04T00:00:00Z", "scope": "all",
             "reason": "end of year"},
        ],
        "changes": [change, other, other | {"number": 104, "change_id": "I" + "2" * 40}],
        "backports": [backport, backport | {"change": 102}],
        "statements": [
            {"first": 101, "then": 102, "kind": "before", "only_first": "degraded", "by": "ada"},
            {"first": 101, "then": 104, "kind": "unrelated", "only_first": "nothing", "by": "ada"},
        ],
        "asked": [
            {"changes": [101, 104], "points": 6, "advice": "first", "first": 101,
             "because": ["it adds"], "evidence": [
                {"kind": "elsewhere", "points": 0, "text": "104 is not merged", "names": [],
                 "places": []},
                {"kind": "moved", "points": 6, "text": "lines move", "names": ["a"],
                 "places": [{"change": 101, "path": "a.php", "line": 7, "sign": "+"}]},
             ]},
        ],
        "dismissed": [
            {"projects": ["mediawiki/core", "mediawiki/extensions/CirrusSearch"],
             "names": ["pool"]},
        ],
        "order": [[101], [102]],
    }  # fmt: skip


def steps_of(pointer: str) -> list[Any]:
    """Return the keys and places that a JSON pointer names."""
    return [int(part) if part.isdigit() else part for part in pointer.split("/")[1:]]


def with_value(pointer: str, value: object) -> str:
    """Return the whole document as text, with one value put in its place."""
    document = whole_document()
    *way, last = steps_of(pointer)
    place: Any = reduce(lambda part, key: part[key], way, document)
    if isinstance(place, list) and last == len(place):
        place.append(value)
    else:
        place[last] = value
    return json.dumps(document)


def refusal(text: str) -> UnusableDocument:
    """Return how a document is refused: in one short line."""
    with pytest.raises(UnusableDocument) as refused:
        plan_window(parse(text))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1_000
    assert refused.value.message
    return refused.value


def test_a_document_with_every_key_is_planned() -> None:
    assert render(plan_window(parse(json.dumps(whole_document()))))["queue"]


def test_only_four_keys_are_required() -> None:
    document = whole_document()
    least = {key: document[key] for key in ("format", "window")} | {"changes": [], "backports": []}
    result = render(plan_window(parse(json.dumps(least))))
    assert result["format"] == "swat-plan-result/1"
    for key in least:
        rest = {name: value for name, value in least.items() if name != key}
        assert refusal(json.dumps(rest)).pointer == f"/{key}"


OBJECTS = [
    "", "/policy", "/window", "/train", "/train/schedule/0", "/freezes/0", "/changes/0",
    "/changes/0/files/0", "/backports/0", "/statements/0",
]  # fmt: skip


@pytest.mark.parametrize("pointer", OBJECTS)
@pytest.mark.parametrize("key", ["unknown", "Number", "a/b~c"])
def test_an_unknown_key_is_refused_where_it_stands(pointer: str, key: str) -> None:
    told = key.replace("~", "~0").replace("/", "~1")
    document = whole_document()
    place: Any = reduce(lambda part, step: part[step], steps_of(pointer), document)
    place[key] = 1
    found = refusal(json.dumps(document))
    assert (found.pointer, found.message) == (
        f"{pointer}/{told}",
        "is not a key of the plan document",
    )


REFUSED = {
    "another format": ("/format", "swat-plan/2"),
    "a time without zone": ("/window/start", "2015-10-26T23:00:00"),
    "a time without zone, now": ("/now", "2015-10-26 23:00"),
    "a day": ("/backports/0/submitted_at", "2015-10-26"),
    "a number for a time": ("/window/end", 1445900400),
    "no day of the calendar": ("/freezes/0/from", "2015-02-30T00:00:00Z"),
    "hour 25": ("/train/schedule/0/cut", "2015-02-20T25:00:00Z"),
    "a time without zone, promotion": (
        "/train/schedule/0/promotions/group0", "2015-10-26T23:00:00"),
    "year 1": ("/window/start", "0001-01-01T00:00:00+14:00"),
    "year 9999": ("/window/end", "9999-12-31T23:59:59-14:00"),
    "digits that are no ASCII": ("/now", "\uff12015-10-26T23:00:00Z"),
    "an end before its start": ("/window/end", "2015-10-26T22:59:59Z"),
    "a freeze that ends before its start": ("/freezes/0/to", "2015-12-20T23:59:59Z"),
    "a change booked twice": ("/backports/1/change", 101),
    "an unknown change booked": ("/backports/1/change", 103),
    "a statement on an unknown change": ("/statements/0/first", 103),
    "a statement on another unknown change": ("/statements/0/then", 103),
    "an order with an unknown change": ("/order/1/0", 103),
    "a question about an unknown change": ("/asked/0/changes/1", 103),
    "a question about one change": ("/asked/0/changes", [101]),
    "a question about two changes of which one is a word": ("/asked/0/changes/0", "101"),
    "advice that nobody gives": ("/asked/0/advice", "perhaps"),
    "a name between three projects": ("/dismissed/0/projects", ["a", "b", "c"]),
    "an author's time without a zone": ("/changes/0/authored_at", "2015-10-26T23:00:00"),
    "too short a Change-Id": ("/changes/0/change_id", "I46d3784"),
    "too long a Change-Id": ("/changes/0/change_id", "I" + "0" * 41),
    "a Change-Id with a line": ("/changes/0/change_id", "I" + "0" * 40 + "\n"),
    "a Change-Id that is not hexadecimal": ("/changes/0/change_id", "I" + "g" * 40),
    "no Change-Id": ("/changes/0/change_id", None),
    "a live version that is not checked out": ("/train/live/group1", "1.27.0-wmf.4"),
    "a version twice": ("/train/checked_out", [VERSION, VERSION]),
    "two changes with one number": ("/changes/1/number", 101),
    "a number below 0": ("/changes/0/number", -1),
    "a parent below 0": ("/changes/0/parent", -1),
    "lines below 0": ("/changes/0/files/0/lines_inserted", -1),
    "a place below 0": ("/backports/0/place", -1),
    "a policy number below 0": ("/policy/max_patches", -1),
    "a fraction": ("/policy/max_patches", 1.5),
    "a float": ("/changes/0/number", 101.0),
    "an exponent": ("/policy/minutes_per_patch", 1e300),
    "true for a number": ("/changes/0/number", True),
    "text for a number": ("/backports/0/change", "101"),
    "a number for true": ("/backports/0/approved", 1),
    "text for true": ("/backports/0/present", "true"),
    "a huge number": ("/changes/0/number", 10**30),
    "a huge policy number": ("/policy/max_patches", 10**30),
    "a status of no change": ("/changes/0/status", "OPEN"),
    "a status of no file": ("/changes/0/files/0/status", "X"),
    "no urgency": ("/backports/0/urgency", "soon"),
    "no kind": ("/backports/0/kind", "feature"),
    "no mark": ("/backports/0/marks/0", "urgent"),
    "no rule": ("/backports/0/acknowledged/0", "no-such-rule"),
    "no rule overridden": ("/backports/0/overridden/0", "FROZEN"),
    "no kind of statement": ("/statements/0/kind", "after"),
    "no consequence": ("/statements/0/only_first", "fire"),
    "no scope": ("/freezes/0/scope", "some"),
    "null for a list": ("/changes", None),
    "an object for a list": ("/backports", {}),
    "a window at the end of time": ("/window/end", "9999-12-31T00:00:00Z"),
    "a small i": ("/changes/0/change_id", "i" + "4" * 40),
    "a list for an object": ("/window", []),
    "text for an object": ("/changes/0", "101"),
    "text for a step": ("/order/0", "101"),
    "a number for a text": ("/changes/0/project", 1),
    "no project": ("/changes/0/project", ""),
    "a list for labels": ("/changes/0/labels", []),
    "text for a vote": ("/changes/0/labels/Verified", "+2"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused_where_it_stands(name: str) -> None:
    pointer, value = REFUSED[name]
    assert refusal(with_value(pointer, value)).pointer == pointer


def test_a_question_about_one_change_and_itself_is_refused() -> None:
    wrong = refusal(with_value("/asked/0/changes/1", 101))
    assert (wrong.pointer, wrong.message) == ("/asked/0", "is about one change and itself")


def test_a_statement_about_one_change_and_itself_is_refused() -> None:
    assert refusal(with_value("/statements/0/then", 101)).pointer == "/statements/0"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        (" \n", "is not JSON"),
        ("{", "is not JSON"),
        ("{} {}", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("null", "is not a JSON object"),
        ('"x"', "is not a JSON object"),
        ("NaN", "NaN is not a JSON value"),
        ('{"format": ' + "9" * 5_000 + "}", "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("\x00", "is not JSON"),
        ("\ufeff{}", "is not JSON"),
        ("'\ud800'", "is not JSON"),
    ],
)
def test_what_is_not_a_json_object_is_refused_as_a_whole(text: str, said: str) -> None:
    found = refusal(text)
    assert found.pointer == ""
    assert said in found.message


@pytest.mark.parametrize(
    ("text", "pointer", "said"),
    [
        ('{"policy": {"max_patches": NaN}}', "/policy/max_patches", "NaN is not a JSON value"),
        ('{"changes": [{}, {"a~/b": -Infinity}]}', "/changes/1/a~0~1b", "-Infinity is not"),
        ('{"format": "swat-plan/1", "format": "swat-plan/1"}', "/format", "stands twice"),
        ('{"window": {"start": 1, "start": 2}}', "/window/start", "stands twice"),
    ],
)
def test_what_json_does_not_allow_is_refused_where_it_stands(
    text: str, pointer: str, said: str
) -> None:
    found = refusal(text)
    assert found.pointer == pointer
    assert said in found.message


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("20260826T130000Z", "2026-08-26T13:00:00Z"),
        ("2026-W35-3T13:00:00Z", "2026-08-26T13:00:00Z"),
        ("2026W353T1300Z", "2026-08-26T13:00:00Z"),
        ("2026-08-26t13:00z", "2026-08-26T13:00:00Z"),
        ("2026-08-26T13:00:00.123456789Z", "2026-08-26T13:00:00.123456Z"),
        ("2026-08-26T15:00:00,5+02", "2026-08-26T13:00:00.500000Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
    ],
)
def test_every_common_form_of_an_iso_time_is_read(written: str, meant: str) -> None:
    assert time_text(parse(with_value("/now", written)).now) == meant


def test_a_step_that_is_kept_in_whatever_it_takes_starts_at_some_time() -> None:
    moment = parse(json.dumps(whole_document())).now
    assert Window(moment, moment).at(10**12).year == 9999


@pytest.mark.parametrize(
    "pointer", ["/changes/0/subject", "/changes/0/diff", "/backports/0/requester"]
)
def test_a_lone_surrogate_does_no_harm(pointer: str) -> None:
    read = parse(with_value(pointer, "a\ud800"))
    assert json.dumps(render(plan_window(read))).isascii()
    assert plan_text(read, plan_window(read))


def test_a_label_may_be_negative_and_a_time_may_have_any_zone() -> None:
    assert parse(with_value("/changes/0/labels/Verified", -2)).changes[101].labels["Verified"] == -2
    for start in ("2015-10-27T00:00:00+01:00", "2015-10-26t23:00z", "2015-10-26T19:00:00.5-0400"):
        assert parse(with_value("/window/start", start)).window.start.hour == 23


def test_defaults_are_those_of_the_plan_document() -> None:
    document = whole_document()
    document["changes"] = [
        {key: document["changes"][0][key] for key in ("number", "project", "branch", "change_id")}
        | {"subject": "Use the pool"}
    ]
    document = {
        "format": "swat-plan/1",
        "window": document["window"],
        "changes": document["changes"],
        "backports": [{"change": 101}],
    }
    read = parse(json.dumps(document))
    assert read.now == read.window.start
    change, asked = read.changes[101], read.backports[0]
    assert (change.message, change.status.value, change.deployed) == ("Use the pool", "NEW", None)
    assert (asked.kind.value, asked.urgency.slug, asked.approved) == ("bug", "normal", False)
    assert (asked.present, asked.place, asked.requester) == (True, None, "")


def test_a_document_written_reads_back_to_the_same_plan() -> None:
    again = document_of(parse(json.dumps(whole_document())))
    assert document_of(parse(json.dumps(again))) == again
    assert set(again) == set(whole_document())


@pytest.mark.parametrize("case", tuple(cases()), ids=lambda case: case.name)
def test_every_case_survives_the_round_trip(case: Case) -> None:
    read = parsed(case.document)
    if read is None:
        return
    again = parse(json.dumps(document_of(read)))
    expected = plan_window(read)
    assert json.dumps(render(plan_window(again))) == json.dumps(render(expected))
    assert plan_text(again, plan_window(again)) == plan_text(read, expected)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 200),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=5),
    st.sampled_from([TIME, VERSION, "master", "before", "together", "frozen", [], {}, [101], [[]]]),
    st.characters(categories=["Cs"]),
)


def places(part: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 - JSON
    """Return every (container, key) of a JSON value."""
    found = []
    for key, value in list(part.items()) if isinstance(part, dict) else enumerate(part):
        found.append((part, key))
        if isinstance(value, dict | list):
            found += places(value)
    return found


@given(st.data())
@settings(max_examples=400, deadline=None, derandomize=True)
def test_a_damaged_document_is_planned_or_refused_and_nothing_else(data: st.DataObject) -> None:
    document = copy.deepcopy(whole_document())
    for _ in range(data.draw(st.integers(1, 3))):
        found = places(document)
        part, key = found[data.draw(st.integers(0, len(found) - 1))]
        how = data.draw(st.sampled_from(["change", "change", "change", "drop", "add"]))
        if how == "drop":
            del part[key]
        elif how == "add" and isinstance(part, dict):
            part[data.draw(st.text(max_size=3))] = copy.deepcopy(data.draw(VALUES))
        else:
            part[key] = copy.deepcopy(data.draw(VALUES))
    text = json.dumps(document)
    try:
        read = parse(text)
    except UnusableDocument as refused:
        assert "\n" not in refused.message  # noqa: PT017 - either way is right
    else:
        assert json.dumps(render(plan_window(read)))
        assert plan_text(read, plan_window(read))


@pytest.mark.parametrize(
    ("advice", "told"),
    [
        ("first", "     The evidence speaks for 101 first: it adds.\n"),
        ("together", "     Neither order is known to be safe: together in one sync; disable,"),
        ("ask", "     lines move (6 points)\n       101 + a.php:7\n\nheld: 101"),
    ],
)
def test_the_text_says_what_speaks_for_a_coupling_and_what_that_advises(
    advice: str, told: str
) -> None:
    document = whole_document()
    document["statements"].pop()
    document["asked"][0]["advice"] = advice
    given = parse(json.dumps(document))
    text = plan_text(given, plan_window(given))
    assert "     104 is not merged\n     lines move (6 points)\n" in text
    assert told in text
