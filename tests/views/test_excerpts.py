"""What a question shows of both diffs."""

from collections.abc import Callable, Mapping

import pytest
from django.template.loader import render_to_string
from django.test import Client

from scheduler.adapters.cleaning import visible
from scheduler.domain.coupling.evidence import Sighting
from scheduler.models import User, Window
from scheduler.views.excerpts import MOST_LINES, excerpts_of
from tests.factories import fetched, make_backport
from tests.hostile import HOSTILE
from tests.markup import Page, more_than, read

DIFF = """--- a/a.js
+++ b/a.js
@@ -1,6 +1,7 @@
 one
 two
 three
+mw.fancy.openPlumage( '<b>' );
 four
 five
 six
"""


def at(path: str, line: int, sign: str = "") -> Sighting:
    return Sighting(1, path, line, sign)


def test_of_a_line_that_is_replaced_the_side_is_told_that_is_meant() -> None:
    diff = "--- a/a.js\n+++ b/a.js\n@@ -4,1 +4,1 @@\n-old();\n+other();\n"
    for sign, told in (("-", [True, False]), ("+", [False, True]), ("", [True, True])):
        (excerpt,) = excerpts_of(diff, [at("a.js", 4, sign)], [])
        assert [line.is_told for line in excerpt.lines] == told


def test_lines_are_shown_with_those_around_and_what_is_shared_marked() -> None:
    (excerpt,) = excerpts_of(DIFF, [at("a.js", 4)], ["openPlumage"])
    assert excerpt.path == "a.js"
    assert [line.number for line in excerpt.lines] == [2, 3, 4, 5, 6]
    told = excerpt.lines[2]
    assert (told.sign, told.is_told) == ("+", True)
    assert [part.text for part in told.parts if part.is_marked] == ["openPlumage"]
    assert "".join(part.text for part in told.parts) == "mw.fancy.openPlumage( '<b>' );"


def test_what_is_not_in_the_diff_is_not_shown() -> None:
    assert excerpts_of(DIFF, [at("b.js", 4), at("a.js", 99)], ["x"]) == ()
    assert excerpts_of("", [at("a.js", 4)], []) == ()


def test_much_is_cut() -> None:
    many = "--- a/a.js\n+++ b/a.js\n@@ -0,0 +1,99 @@\n" + "+line\n" * 99
    (excerpt,) = excerpts_of(many, [at("a.js", n) for n in range(99)], [])
    assert len(excerpt.lines) == MOST_LINES
    assert not any(part.is_marked for line in excerpt.lines for part in line.parts)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_lines_and_names_stay_text(text: str) -> None:
    def shown(words: str) -> Page:
        line = " ".join(visible(words).split())[:80]
        diff = f"--- a/a.js\n+++ b/a.js\n@@ -0,0 +1,2 @@\n+one\n+foldPlumage( {line} );\n"
        excerpts = excerpts_of(diff, [at("a.js", 2)], ["foldPlumage"])
        return read(render_to_string("scheduler/_excerpts.html", {"excerpts": excerpts}))

    page = shown(text)
    assert page.wrong == []
    assert more_than(page, [shown("harmless")]) == {}


@pytest.mark.django_db
def test_a_question_shows_both_diffs(
    as_: Callable[[str], Client], window: Window, cast: Mapping[str, User]
) -> None:
    defines = DIFF.replace("openPlumage( '<b>' );", "openPlumage = function () {")
    for number, diff in ((1, DIFF), (2, defines)):
        project = f"mediawiki/extensions/E{number}"
        told = fetched(number, diff=diff, project=project, branch="wmf/1.47.0-wmf.16")
        make_backport(window, cast["ada"], told)

    text = as_("ada").get(f"/windows/{window.pk}").content.decode()
    assert "See it in both diffs" in text
    assert text.count("<mark>openPlumage</mark>") == 2
    assert "&#x27;&lt;b&gt;&#x27;" in text
