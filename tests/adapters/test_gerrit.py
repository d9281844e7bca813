"""The client of Gerrit over a real connection, against the demo's server and its knobs."""

import base64
import json
import socket
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from scheduler.adapters.gerrit import LARGEST_ANSWER, MOST_CHANGES, Gerrit
from scheduler.adapters.gerrit_answers import DIFF_LIMIT, MESSAGE_LIMIT, SUBJECT_LIMIT
from scheduler.adapters.ports import AdapterError, FetchedChange, Unreachable
from scheduler.adapters.registry import review_system
from scheduler.domain.changes import ChangeStatus, FileStatus
from swat.embedded.gerrit import DemoGerrit, changes_in
from swat.embedded.gerrit_changes import (
    CHANGES,
    SITUATIONS,
    DemoChange,
    DemoFile,
    change_id_of,
)
from tests.adapters.conftest import PUBLIC, numbers, said, told

CIRRUS = "I46d3784514155af27b407d78be567c291042fa86"
UPPER = SITUATIONS["chain_upper"]
LOWER = SITUATIONS["chain_lower"]


def a_change(**sides: Any) -> DemoChange:  # noqa: ANN401
    given: dict[str, Any] = {
        "number": 7,
        "project": "operations/mediawiki-config",
        "branch": "master",
        "change_id": change_id_of("a change"),
        "message": "A change\n\nBug: T1\n",
        "files": {"a.php": DemoFile(added=("1",))},
    }
    return DemoChange(**(given | sides))


def fetch_only(*changes: DemoChange) -> tuple[FetchedChange, ...]:
    with DemoGerrit(changes) as demo:
        return Gerrit(demo.url, PUBLIC).fetch_change(str(changes[0].number))


# --- What is fetched ----------------------------------------------------------------------------


def test_a_change_comes_with_its_sibling(gerrit: Gerrit) -> None:
    fetched = gerrit.fetch_change("247888")
    assert numbers(fetched) == [247888, 246376]
    pick, master = (row.change for row in fetched)
    assert pick.project == "mediawiki/extensions/CirrusSearch"
    assert (pick.branch, master.branch) == ("wmf/1.27.0-wmf.3", "master")
    assert pick.change_id == master.change_id == CIRRUS
    assert (pick.status, master.status) == (ChangeStatus.NEW, ChangeStatus.MERGED)
    assert not pick.included_in
    assert master.included_in == {"master"}
    assert pick.labels == {"Code-Review": 2, "Verified": 2}
    assert (pick.owner, pick.uploader) == ("ada", "ada")
    assert "T115031" in pick.message
    assert pick.subject == pick.message.partition("\n")[0]
    assert pick.diff.startswith("diff --git a/includes/Hooks.php")
    assert "-\t\t$schemas['Search'] = 12057910;" in pick.diff
    assert pick.paths == ("CirrusSearch.php", "includes/Hooks.php")
    assert fetched[0].patch_set == 1
    assert len(fetched[0].sha) == 40


@pytest.mark.parametrize("reference", [CIRRUS, CIRRUS[:10]])
def test_a_change_id_means_the_open_cherry_pick_first(gerrit: Gerrit, reference: str) -> None:
    assert numbers(gerrit.fetch_change(reference)) == [247888, 246376]


def test_what_a_change_depends_on_comes_with_all_siblings(gerrit: Gerrit) -> None:
    fetched = gerrit.fetch_change(str(SITUATIONS["declared_config"]))
    assert numbers(fetched) == [
        SITUATIONS["declared_config"],
        1217890,
        SITUATIONS["declared_skin_old"],
        SITUATIONS["declared_skin_new"],
    ]


def test_dependencies_are_followed_further_down(gerrit: Gerrit) -> None:
    fetched = gerrit.fetch_change(str(SITUATIONS["needs_abandoned"]))
    assert set(numbers(fetched)) == {SITUATIONS["needs_abandoned"], 1216702, 1216700}


def test_a_circle_of_dependencies_ends(gerrit: Gerrit) -> None:
    one, two = SITUATIONS["cycle_one"], SITUATIONS["cycle_two"]
    assert {one, two} <= set(numbers(gerrit.fetch_change(str(one))))


def test_a_dependency_that_gerrit_does_not_know_is_missing(gerrit: Gerrit) -> None:
    fetched = gerrit.fetch_change(str(SITUATIONS["unknown_dependency"]))
    assert len(fetched) == 1
    assert fetched[0].change.depends_on


def test_the_chain_below_comes_with_it(gerrit: Gerrit) -> None:
    upper, lower = (row.change for row in gerrit.fetch_change(str(UPPER)))
    assert (upper.number, upper.parent) == (UPPER, LOWER)
    assert (lower.number, lower.parent) == (LOWER, None)


def test_the_chain_above_does_not(gerrit: Gerrit) -> None:
    assert numbers(gerrit.fetch_change(str(LOWER))) == [LOWER]


def test_a_cherry_pick_that_the_new_version_has_already(gerrit: Gerrit) -> None:
    fetched = gerrit.fetch_change(str(SITUATIONS["train_soon"]))
    assert fetched[1].change.included_in == {"master", "wmf/1.47.0-wmf.30"}


def test_every_situation_can_be_fetched(gerrit: Gerrit) -> None:
    for number in SITUATIONS.values():
        assert numbers(gerrit.fetch_change(str(number)))[0] == number


def test_the_title_of_one_is_200_characters_long(gerrit: Gerrit) -> None:
    fetched = gerrit.fetch_change(str(SITUATIONS["long_title"]))
    assert len(fetched[0].change.subject) == 200


@pytest.mark.parametrize(
    ("votes", "decisive"),
    [((), 0), ((0, 1), 1), ((1, 2), 2), ((2, -1), -1), ((2, -2, -1), -2), ((0,), 0)],
)
def test_the_decisive_vote(votes: tuple[int, ...], decisive: int) -> None:
    fetched = fetch_only(a_change(labels={"Code-Review": votes}))
    assert fetched[0].change.labels == {"Code-Review": decisive}


def test_file_statuses() -> None:
    files = {
        "added": DemoFile(added=("1",), status="A"),
        "changed": DemoFile(added=("1", "2"), removed=("0",)),
        "copied": DemoFile(status="C", old_path="changed"),
        "deleted": DemoFile(removed=("1",), status="D"),
        "moved": DemoFile(status="R", old_path="was"),
        "rewritten": DemoFile(status="W"),
        "/COMMIT_MSG": DemoFile(added=("message",), status="A"),
    }
    change = fetch_only(a_change(files=files))[0].change
    assert {file.path: file.status for file in change.files} == {
        "added": FileStatus.ADDED,
        "changed": FileStatus.MODIFIED,
        "copied": FileStatus.ADDED,
        "deleted": FileStatus.DELETED,
        "moved": FileStatus.RENAMED,
        "rewritten": FileStatus.MODIFIED,
    }
    assert {file.path: file.old_path for file in change.files if file.old_path} == {"moved": "was"}
    assert (change.files[1].lines_inserted, change.files[1].lines_deleted) == (2, 1)


def test_a_new_patch_set_half_way_leaves_one_consistent_answer(
    server: DemoGerrit, gerrit: Gerrit
) -> None:
    before = gerrit.fetch_change(str(UPPER))
    for moment in range(1, 9):
        server.changes = {change.number: change for change in CHANGES}
        server.requests.clear()
        server.swap_after = moment
        fetched = gerrit.fetch_change(str(UPPER))
        assert fetched[0].change.parent == LOWER
        assert fetched[0].change.diff == before[0].change.diff
        sha = replace(server.changes[UPPER], patch_set=fetched[0].patch_set).sha
        assert fetched[0].sha == sha
    assert gerrit.fetch_change(str(UPPER))[0].patch_set == 2


def test_what_is_merged_along_with_an_open_change(gerrit: Gerrit) -> None:
    upper, lower = gerrit.fetch_change(str(UPPER))
    assert (upper.submitted_together, lower.submitted_together) == ((LOWER,), ())


def test_nothing_is_merged_along_with_a_merged_change(server: DemoGerrit, gerrit: Gerrit) -> None:
    fetched = gerrit.fetch_change("246376")
    assert fetched[0].submitted_together == ()
    assert not [path for path in server.requests if "/246376/submitted_together" in path]


def test_what_is_merged_along_and_cannot_be_seen_is_trouble(
    server: DemoGerrit, gerrit: Gerrit
) -> None:
    server.unseen = 2
    with pytest.raises(AdapterError, match="together with 2 that cannot be seen") as trouble:
        gerrit.fetch_change(str(UPPER))
    assert not trouble.value.retryable


def test_too_many_are_merged_along(server: DemoGerrit, gerrit: Gerrit) -> None:
    crowd = [{"_number": number} for number in (UPPER, *range(1, MOST_CHANGES + 2))]
    server.mutate = lambda path, body: (
        told({"changes": crowd, "non_visible_changes": 0})
        if f"/{UPPER}/submitted_together" in path  # of the one below it too, and the first tells
        else body
    )
    with pytest.raises(AdapterError, match="more than 200"):
        gerrit.fetch_change(str(UPPER))


@pytest.mark.parametrize(
    ("votes", "wip", "submittable"),
    [((2,), False, True), ((1,), False, False), ((2, -1), False, False), ((2,), True, False)],
)
def test_whether_it_may_be_merged(votes: tuple[int, ...], wip: bool, submittable: bool) -> None:
    change = a_change(labels={"Code-Review": votes}, work_in_progress=wip)
    assert fetch_only(change)[0].submittable is submittable


def test_changes_can_be_read_from_a_file(tmp_path: Any) -> None:  # noqa: ANN401
    file = tmp_path / "changes.json"
    file.write_text(
        json.dumps(
            [
                {
                    "number": 9,
                    "project": "mediawiki/core",
                    "branch": "master",
                    "change_id": change_id_of("nine"),
                    "message": "Nine\n",
                    "files": {"a": {"added": ["1"]}},
                }
            ]
        )
    )
    assert numbers(fetch_only(*changes_in(file))) == [9]


# --- Trouble ------------------------------------------------------------------------------------


def test_an_unknown_change(gerrit: Gerrit) -> None:
    for reference in ("1", change_id_of("nothing")):
        with pytest.raises(AdapterError, match="knows no change") as trouble:
            gerrit.fetch_change(reference)
        assert not trouble.value.retryable


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(302, True), (401, True), (403, True), (429, True), (500, True), (503, True)],
)
def test_another_status(
    server: DemoGerrit, gerrit: Gerrit, status: int, *, retryable: bool
) -> None:
    server.status = status
    with pytest.raises(AdapterError, match=str(status)) as trouble:
        gerrit.fetch_change("247888")
    assert trouble.value.retryable is retryable
    assert isinstance(trouble.value, Unreachable) is (status >= 429)
    assert not [path for path in server.requests if "login" in path]


def test_a_page_for_people_is_not_an_answer(server: DemoGerrit, gerrit: Gerrit) -> None:
    server.html = True
    with pytest.raises(AdapterError, match="not Gerrit's JSON"):
        gerrit.fetch_change("247888")


def test_an_answer_that_breaks_off(server: DemoGerrit, gerrit: Gerrit) -> None:
    server.truncate = 40
    with pytest.raises(AdapterError, match="cannot be reached") as trouble:
        gerrit.fetch_change("247888")
    assert trouble.value.retryable


def test_nobody_listens() -> None:
    with DemoGerrit(()) as demo:
        url = demo.url
    with pytest.raises(AdapterError, match="cannot be reached") as trouble:
        Gerrit(url, PUBLIC).fetch_change("1")
    assert trouble.value.retryable


def test_no_review_system_is_set_up() -> None:
    with pytest.raises(AdapterError, match="GERRIT_URL"):
        review_system().fetch_change("1")


@pytest.mark.parametrize("seconds", [0.2, 0.5])
@pytest.mark.parametrize("knob", [{"delay": 60.0}, {"delay": 0.12}, {"drip": 1.0}, {"drip": 0.05}])
def test_a_slow_server_is_left_at_the_deadline(
    server: DemoGerrit, knob: dict[str, float], seconds: float
) -> None:
    for name, value in knob.items():
        setattr(server, name, value)
    started = time.monotonic()
    with pytest.raises(Unreachable, match=rf"within {seconds:g} seconds"):
        Gerrit(server.url, PUBLIC, seconds=seconds).fetch_change("247888")
    assert seconds <= time.monotonic() - started < seconds + 1


def test_a_server_that_never_says_a_word_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/r/"
        started = time.monotonic()
        with pytest.raises(Unreachable, match=r"within 0\.5 seconds"):
            Gerrit(url, PUBLIC, seconds=0.5).fetch_change("247888")
        assert time.monotonic() - started < 1.5


def test_an_answer_that_is_too_long(server: DemoGerrit, gerrit: Gerrit) -> None:
    server.mutate = lambda _path, body: body + b" " * LARGEST_ANSWER
    with pytest.raises(AdapterError, match="longer than 2 MB"):
        gerrit.fetch_change("247888")


def test_an_answer_of_50_megabytes_is_left_before_it_fills_the_memory(
    server: DemoGerrit, gerrit: Gerrit
) -> None:
    server.padding = 50_000_000
    tracemalloc.start()
    try:
        with pytest.raises(AdapterError, match="longer than 2 MB"):
            gerrit.fetch_change("247888")
        assert tracemalloc.get_traced_memory()[1] < 5 * LARGEST_ANSWER
    finally:
        tracemalloc.stop()


def test_a_compressed_answer_is_not_unpacked(server: DemoGerrit, gerrit: Gerrit) -> None:
    server.encoding = "gzip"
    with pytest.raises(AdapterError, match="compressed"):
        gerrit.fetch_change("247888")


def test_a_very_long_diff_is_cut_with_a_mark() -> None:
    change = a_change(files={"a": DemoFile(added=("x" * 99,) * 30_000)})
    diff = fetch_only(change)[0].change.diff
    assert len(diff) <= DIFF_LIMIT
    assert diff.endswith("x\n[… (cut)]\n")


def test_a_topic_comes_along_on_one_line() -> None:
    (fetched,) = fetch_only(a_change(topic="new\nschema " + "x" * 300))
    assert fetched.change.topic.startswith("new<U+000A>schema xxx")
    assert len(fetched.change.topic) == 255
    (without,) = fetch_only(a_change())
    assert without.change.topic == ""


def test_what_a_message_names_comes_along_if_it_is_merged() -> None:
    earlier, waiting, below = (change_id_of(name) for name in ("earlier", "waiting", "below"))
    says = f"A change\n\nAs {earlier} and {waiting} do, and I0000000.\n"
    fetched = fetch_only(
        a_change(message=says),
        a_change(
            number=8,
            change_id=earlier,
            message=f"Earlier\n\nDepends-On: {below}\n",
            status="MERGED",
            authored="2015-10-14 20:13:05.000000000",
        ),
        a_change(number=9, change_id=waiting, message="Waiting\n"),
        a_change(number=10, change_id=below, message="Below\n", status="MERGED"),
    )
    assert numbers(fetched) == [7, 8]  # not what is open, and nothing that follows from it
    assert fetched[1].change.authored_at == datetime(2015, 10, 14, 20, 13, 5, tzinfo=UTC)
    assert fetched[1].change.author == "ada"
    assert fetched[1].change.diff  # to be compared with what is booked


def test_a_message_s_mentions_are_a_hint_and_never_keep_a_change_from_being_fetched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    earlier = change_id_of("earlier")
    changes = (
        a_change(message=f"A change\n\nAs {earlier} does.\n"),
        a_change(number=8, change_id=earlier, message="Earlier\n", status="MERGED"),
    )
    assert numbers(fetch_only(*changes)) == [7, 8]
    with monkeypatch.context() as patch:
        patch.setattr("scheduler.adapters.gerrit.MENTION_SECONDS", 0)
        assert numbers(fetch_only(*changes)) == [7]
    monkeypatch.setattr("scheduler.adapters.gerrit._GRACE", 60.0)  # nothing is left of the time
    assert numbers(fetch_only(*changes)) == [7]


def test_too_many_changes_around_one() -> None:
    chain = [
        a_change(number=n, change_id=change_id_of(str(n)), parent=None if n == 1 else n - 1)
        for n in range(1, 4)
    ]
    crowd = [a_change(number=n, branch=f"wmf/{n}") for n in range(100, 101 + MOST_CHANGES)]
    assert len(fetch_only(*reversed(chain))) == 3
    with pytest.raises(AdapterError, match="more than 200"):
        fetch_only(*crowd)


def test_an_abbreviation_of_several_change_ids() -> None:
    ids = ("Iabcdef12" + "0" * 32, "Iabcdef12" + "1" * 32)
    changes = [a_change(number=n, change_id=change_id) for n, change_id in enumerate(ids, 1)]
    with DemoGerrit(changes) as demo, pytest.raises(AdapterError, match="several Change-Ids"):
        Gerrit(demo.url, PUBLIC).fetch_change("Iabcdef12")


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("/detail", lambda told: told | {"_number": 247889}),
        ("q=change", lambda told: [row | {"change_id": change_id_of("other")} for row in told]),
        ("q=change", lambda _told: []),
        ("q=change", lambda told: told[1:]),
        ("q=change", lambda told: [told[0], told[1] | {"_more_changes": True}]),
        ("/related", lambda _told: {"changes": [_related(1)]}),
        ("/submitted_together", lambda told: told | {"changes": [{"_number": 1}]}),
    ],
)
def test_an_answer_about_another_change(
    server: DemoGerrit, gerrit: Gerrit, place: str, change: Callable[[Any], Any]
) -> None:
    def mutate(path: str, body: bytes) -> bytes:
        return told(change(said(body))) if place in path else body

    server.mutate = mutate
    with pytest.raises(AdapterError):
        gerrit.fetch_change("247888")


def _related(number: int) -> dict[str, Any]:
    return {"_change_number": number, "commit": {"commit": "0" * 40, "parents": []}}


# --- Text ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Zürich 日本 👩‍👩‍👧", "Zürich 日本 👩‍👩‍👧"),
        ("a\x00b", "a<U+0000>b"),
        ("a\x1b[31mb", "a<U+001B>[31mb"),
        ("a\x85b", "a<U+0085>b"),
        ("a\x7fb", "a<U+007F>b"),
        ("a\tb", "a<U+0009>b"),
        ("a\ud800b", "a<U+D800>b"),
        ("safe \u202etxt.exe", "safe <U+202E>txt.exe"),
        ("a\u2066b\u2069", "a<U+2066>b<U+2069>"),
        ("a\u2028b", "a<U+2028>b"),
        ("a\U000e0041b", "a<U+E0041>b"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_text_is_cleaned_where_it_comes_in(given: str, kept: str) -> None:
    path = f"dir/{given}.php"
    change = a_change(message=f"{given}\n\n{given}\nend\n", files={path: DemoFile(status="M")})
    # The demo cannot write every such path into a patch.
    patch = base64.b64encode(f"From {change.sha} Mon\n\ndiff --git a/a b/a\n".encode())
    with DemoGerrit([change]) as demo:
        demo.mutate = lambda asked, body: patch if asked.endswith("/patch") else body
        fetched = Gerrit(demo.url, PUBLIC).fetch_change("7")[0].change
    assert fetched.subject == kept
    assert fetched.paths == (f"dir/{kept}.php",)
    assert fetched.message.startswith(kept.replace("<U+0009>", "\t") + "\n\n")
    fetched.message.encode()


def test_the_diff_is_cleaned() -> None:
    line = "\x1b]0;title\x07 \u202eevil\r"
    diff = fetch_only(a_change(files={"a": DemoFile(added=(line,))}))[0].change.diff
    assert "+<U+001B>]0;title<U+0007> <U+202E>evil\n" in diff


def test_a_long_subject_is_cut_with_a_mark() -> None:
    subject = fetch_only(a_change(message="x" * 1000 + "\n"))[0].change.subject
    assert len(subject) == SUBJECT_LIMIT
    assert subject.endswith("x … (cut)")


def test_a_long_message_keeps_its_footers() -> None:
    needed = change_id_of("needed")
    message = "Long\n\n" + "word " * 100_000 + f"\n\nBug: T1\nDepends-On: {needed}\n"
    change = fetch_only(a_change(message=message))[0].change
    assert len(change.message) <= MESSAGE_LIMIT
    assert "(cut)" in change.message
    assert change.depends_on == (needed,)


def test_footers_that_cannot_be_kept_are_trouble_rather_than_no_dependency() -> None:
    footers = "".join(f"Depends-On: {change_id_of(str(n))}\n" for n in range(2000))
    with pytest.raises(AdapterError, match="footers"):
        fetch_only(a_change(message=f"Long\n\n{footers}"))
