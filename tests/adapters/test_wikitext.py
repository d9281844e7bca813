"""The calendar as a wiki page: written, read back, and read in the forms that it has had."""

import contextlib
import time
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scheduler.adapters.calendars.entries import Entry, Person, Request, UnusablePage, one_line
from scheduler.adapters.calendars.pieces import kind_told
from scheduler.adapters.calendars.reading_wikitext import LONGEST_PAGE, read_page
from scheduler.adapters.calendars.wikitext import encoded, week_of
from scheduler.domain.windows import WindowKind
from tests.hostile import HOSTILE

MONDAY = date(2026, 11, 30)
START = datetime(2026, 12, 1, 21, tzinfo=UTC)
TRICKS = st.sampled_from(
    [
        *(
            "|",
            "{{",
            "}}",
            "[[",
            "]]",
            "<nowiki>",
            "</nowiki>",
            "-->",
            "<!--",
            "\n",
            "=",
            "''",
            "~~~~",
        ),
        *(
            "{{{1}}}",
            "{|",
            "|}",
            "*",
            "#",
            ":",
            ";",
            "==x==",
            "__TOC__",
            "http://x",
            "RFC 1",
            "&#124;",
        ),
        *(
            "(Max 6 patches)",
            "<br/>",
            "irc",
            "\u202eabc",
            "\u05d0\u05d1",
            "\x00",
            "\r",
            "{{ircnick|a}}",
        ),
        *("gerrit:1", "SF", "\U0001f469\u200d\U0001f467", "&amp;", "<ref name='"),
    ]
)
TEXTS = st.lists(st.one_of(TRICKS, st.text(max_size=5)), max_size=6).map("".join)
TITLES = TEXTS.map(lambda text: one_line(text)[:100].strip()).filter(bool)
# Text of which nothing is left, and the wiki's placeholder, name nobody.
PEOPLE = st.builds(Person, TITLES, TITLES).filter(lambda one: one.nick.casefold() != "irc-nickname")
REQUESTS = st.builds(
    Request,
    st.integers(1, 999_999_999),
    TEXTS.map(lambda text: one_line(text)[:200].strip()),
    st.sampled_from(["config", "1.47.0-wmf.5", ""]),
    st.sampled_from(["", "done", "not done"]),
    PEOPLE,
)
ENTRIES = st.builds(
    Entry,
    st.datetimes(datetime(2014, 1, 1), datetime(2030, 1, 1)).map(  # noqa: DTZ001
        lambda moment: moment.replace(second=0, microsecond=0, tzinfo=UTC)
    ),
    st.integers(1, 1440),
    st.sampled_from(WindowKind),
    TITLES,
    st.lists(PEOPLE, max_size=2, unique=True).map(tuple),
    st.lists(REQUESTS, max_size=3).map(tuple),
    st.sampled_from([None, 6]),
)


def read_back(*entries: Entry) -> list[Entry]:
    page = read_page(week_of(MONDAY, entries))
    assert page.unread == ()
    assert all(found.notes == () for found in page.found)
    return [found.entry for found in page.found]


def without_limit(entry: Entry) -> Entry:
    return Entry(
        entry.start, entry.minutes, entry.kind, entry.title, entry.deployers, entry.requests
    )


@settings(max_examples=50, deadline=None)
@given(ENTRIES)
@example(Entry(datetime(2026, 11, 1, 8, 30, tzinfo=UTC), 60, WindowKind.TRAIN, "first 01:30"))
@example(Entry(datetime(2026, 11, 1, 9, 30, tzinfo=UTC), 60, WindowKind.TRAIN, "second 01:30"))
def test_what_is_exported_is_imported_as_it_was(entry: Entry) -> None:
    assert read_back(entry) == [without_limit(entry)]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_title_becomes_markup(text: str) -> None:
    title = one_line(text)[:100].strip()
    entry = Entry(START, 60, WindowKind.BACKPORT, title, (Person("dev"),), ())

    page = week_of(MONDAY, [entry])

    (line,) = [line for line in page.split("\n") if "|window=" in line]
    inside = line.removeprefix("    |window=[[Backport windows|").removesuffix("]]")
    assert set(inside).isdisjoint("<>[]{}|'=~_:/\n\"")
    assert [one.title for one in read_back(entry)] == [title]


def test_a_magic_link_is_no_link() -> None:
    assert encoded("RFC 2119 and ISBN 0") == "RFC&#32;2119 and ISBN&#32;0"


def test_a_week_is_written_as_the_wiki_has_it() -> None:
    asked = (
        Request(101577, "Add Atieno's key", "config", "", Person("ada_l", "Ada")),
        Request(101578, "Fix it", "1.47.0-wmf.5", "done", Person("ada_l", "Ada")),
    )
    entry = Entry(
        START, 30, WindowKind.BACKPORT, "UTC late backport window", (Person("dev"),), asked, 6
    )

    assert (
        week_of(MONDAY, [entry])
        == """\
==Week of November 30==
==={{Deployment_day|date=2026-12-01}}===
{{Deployment calendar event card
    |when=2026-12-01 13:00 SF
    |length=0.5
    |window=[[Backport windows|UTC late backport window]]<br/><small>'''(Max 6 patches)'''</small>
    |who={{ircnick|dev|dev}}
    |what=
{{ircnick|ada&#95;l|Ada}}
* {{deploy|type=config|gerrit=101577|title=Add Atieno&#39;s key|status=}}
* {{deploy|type=1.47.0-wmf.5|gerrit=101578|title=Fix it|status=done}}
}}
"""
    )


CURRENT = """\
==={{Deployment_day|date=2021-08-24}}===
{{Deployment calendar event card
    |when=2021-08-24 23:00 SF
    |length=0.5
    |window=[[Backport windows|UTC late backport window]]<br/><small>'''Perhaps'''<br />\
'''(Max 6 patches)'''</small>
    |who={{ircnick|dev_d|Dev}}, {{ircnick|rel|Rel}}
    |what=
{{ircnick|irc-nickname|Requesting Developer}}
* ''Gerrit link to backport or config change''
{{ircnick|ada_l|Ada}}
* {{deploy|type=config|gerrit=1101577|title=Add the key|status=done|by=dev|sal=https://sal.example.org/log/2U}}
* {{deploy|type=config|gerrit=none|title=No number|status=}}
}}
"""


def test_the_template_of_today() -> None:
    (found,) = read_page(CURRENT).found

    assert found.line == 2
    assert found.notes == ("Line 12: its change has no number.",)
    entry = found.entry
    assert (entry.start, entry.minutes) == (datetime(2021, 8, 25, 6, tzinfo=UTC), 30)
    assert (entry.kind, entry.title) == (WindowKind.BACKPORT, "UTC late backport window")
    assert entry.deployers == (Person("dev_d", "Dev"), Person("rel", "Rel"))
    assert entry.requests == (
        Request(1101577, "Add the key", "config", "done", Person("ada_l", "Ada")),
        Request(None, "No number", "config", "", Person("ada_l", "Ada")),
    )


ROWS = """\
{{#invoke:Deployment schedule|formatTable|hidedate=false|
{{#invoke:Deployment schedule|row
 |when=2015-10-26 16:00 SF
 |length=1
 |window=[[SWAT_deploys|Evening SWAT]]<br/>'''(Max 8 patches)'''
 |who={{ircnick|rae|Rae}}
 |what={{ircnick|ada_l|Ada}}
* [wmf.9] [Echo] {{gerrit|297919}} "Change 'messages' to 'notices'"
* [config] [[gerrit:297920|Enable it]]
}}
| {{#invoke:Deployment schedule|row |when=2015-10-27 11:00 SF |length=2
|window=MediaWiki train |who= |what=}}
}}
"""


def test_the_rows_before_it() -> None:
    swat, train = read_page(ROWS).found

    assert swat.entry.start == datetime(2015, 10, 26, 23, tzinfo=UTC)
    assert (swat.entry.kind, swat.entry.title) == (WindowKind.BACKPORT, "Evening SWAT")
    assert [(one.number, one.text) for one in swat.entry.requests] == [
        (297919, "[wmf.9] [Echo] \"Change 'messages' to 'notices'\""),
        (297920, "[config] Enable it"),
    ]
    assert {one.by for one in swat.entry.requests} == {Person("ada_l", "Ada")}
    assert (train.line, train.entry.kind, train.entry.minutes) == (11, WindowKind.TRAIN, 120)


FREE = """\
== Week of March 24, 2014 ==
=== Tuesday, March 25th ===
* '''15:00\N{EN DASH}16:00 UTC''' / 8:00-9:00 PDT: [[SWAT deploys|SWAT]] (Rae, Dev)
** gerrit:118741 backport bug 62634 (Special:Contributions fatal) fix to 1.23wmf18 - Ada (ada_l)
** https://gerrit.wikimedia.org/r/#/c/118742/ config

Deploys are announced on the list.
* 23:00-24:00 SF Lightning deployment
=== Thursday ===
* 15:00-16:00 UTC SWAT
** gerrit:118743
=== Wednesday, March 26 ===

* gerrit:118744 in no window
"""


def test_lines_of_free_text() -> None:
    page = read_page(FREE)

    swat, lightning = (found.entry for found in page.found)
    assert (swat.start, swat.minutes) == (datetime(2014, 3, 25, 15, tzinfo=UTC), 60)
    assert (swat.title, swat.kind) == ("SWAT", WindowKind.BACKPORT)
    assert [one.nick for one in swat.deployers] == ["Rae", "Dev"]
    assert swat.requests[0] == Request(
        118741,
        "backport bug 62634 (Special:Contributions fatal) fix to 1.23wmf18",
        by=Person("ada_l", "Ada"),
    )
    assert swat.requests[1].number == 118742
    assert lightning.start == datetime(2014, 3, 26, 6, tzinfo=UTC)
    assert [(one.line, one.why) for one in page.unread] == [
        (10, "The heading above it names no day."),
        (14, "It names a change, but no window stands above it."),
    ]


def test_lines_with_a_time_that_is_no_span_are_told_and_end_the_window_above() -> None:
    text = (
        "== March 25, 2014 ==\n* 08:00-09:00 UTC: SWAT\n** gerrit:1\n* 4pm-5pm PDT: Other\n"
        "** gerrit:2\n* 23:00 UTC: Third\n** at 12:30 UTC somebody said so\n"
    )
    page = read_page(text)

    assert [one.number for one in page.found[0].entry.requests] == [1]
    assert [(one.line, one.why.split(",")[0]) for one in page.unread] == [
        (4, "It names a time"),
        (5, "It names a change"),
        (6, "It names a time"),
    ]


def test_how_a_title_looks_is_no_part_of_it() -> None:
    struck = card(window="[[Backport windows|<s>UTC<nowiki/> late</s> <b>window</b>]]")
    (found,) = read_page(struck).found
    assert found.entry.title == "UTC late window"
    (found,) = read_page(card().replace("{{Deployment", "{{Template:Deployment", 1)).found
    assert found.entry.title == "Late"


def card(**differing: str) -> str:
    given = {
        "when": "2026-12-01 13:00 SF",
        "length": "1",
        "window": "[[Backport windows|Late]]",
        "who": "",
        "what": "",
        **differing,
    }
    inside = "".join(f"|{name}={value}\n" for name, value in given.items())
    return f"{{{{Deployment calendar event card\n{inside}}}}}"


@pytest.mark.parametrize(
    ("differing", "why"),
    [
        # Los Angeles: 02:30 does not exist on 8 March 2026, 01:30 twice on 1 November.
        ({"when": "2026-03-08 02:30 SF"}, "The clocks skip 02:30 on Sun 8 Mar 2026"),
        ({"when": "2026-11-01 01:30 SF"}, "The clocks show 01:30 twice on Sun 1 Nov 2026"),
        (
            {"when": "2026-11-01 01:30 SF", "utcstart": "2026-11-01 07:30"},
            "The clocks show 01:30 twice",
        ),
        ({"when": ""}, "`when` is missing"),
        ({"when": "tomorrow"}, "`when` is “tomorrow”"),
        ({"when": "2026-12-01 13:00"}, "does not name the zone"),
        ({"when": "2026-12-01 13:00 CET"}, "does not name the zone"),
        ({"when": "2026-13-01 13:00 SF"}, "2026-13-01 is no day."),
        ({"when": "2026-12-01 24:00 SF"}, "24:00 is no time of the day."),
        ({"when": "9999-12-31 23:00 SF"}, "The year 9999 is not one of ours."),
        ({"when": "\u0662026-12-01 13:00 SF"}, "`when` is"),
        ({"length": ""}, "`length` is missing"),
        ({"length": "0"}, "`length` is “0”"),
        ({"length": "25"}, "`length` is “25”"),
        ({"length": "1e999"}, "`length` is"),
        ({"length": "nan"}, "`length` is"),
        ({"window": ""}, "It has no title."),
        ({"window": "<br/> (Max 6 patches)"}, "It has no title."),
        ({"what": "x" * 11_000}, "It has no end, or is too long"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(differing: dict[str, str], why: str) -> None:
    page = read_page(f"{card()}\n\n{card(**differing)}\n{card()}")

    (unread,) = page.unread
    assert unread.line == 9
    assert why in unread.why
    assert len(page.found) == 2


def test_a_title_too_long_is_cut_and_that_is_told() -> None:
    (found,) = read_page(card(window="x" * 150)).found

    assert len(found.entry.title) == 100
    assert found.notes == ("Its title was cut to 100 characters.",)


def test_comments_and_nowiki_are_not_read() -> None:
    page = read_page(f"<!-- {card()} -->\n<nowiki>{card()}</nowiki>\n{card(when='nothing')}")

    assert page.found == ()
    assert [one.line for one in page.unread] == [15]


@pytest.mark.parametrize(
    ("page", "title", "kind"),
    [
        ("Backport_windows#x", "anything", WindowKind.BACKPORT),
        ("Deployments/Train", "SWAT", WindowKind.TRAIN),
        ("", "No deploys all day!", WindowKind.NO_DEPLOY),
        ("User:Ada", "Deployment training", WindowKind.TRAINING),
        ("", "Weekly Security deployment", WindowKind.SECURITY),
        ("", "MediaWiki train - European version", WindowKind.TRAIN),
        ("", "Morning SWAT", WindowKind.BACKPORT),
        ("", "Puppet request window", WindowKind.INFRASTRUCTURE),
        ("", "Wikidata query service", WindowKind.DEDICATED),
    ],
)
def test_the_kind_is_told_by_the_page_then_by_the_title(
    page: str, title: str, kind: WindowKind
) -> None:
    assert kind_told(page, title) is kind


@pytest.mark.parametrize("text", ["", "nothing here", "x" * (LONGEST_PAGE + 1), card() * 501])
def test_a_page_without_windows_or_with_too_many_is_refused(text: str) -> None:
    with pytest.raises(UnusablePage):
        read_page(text)


PIECES = st.sampled_from(
    [
        *("{{Deployment calendar event card", "{{#invoke:Deployment schedule|row", "|when=", "}}"),
        *("2026-12-01 13:00 SF", "|length=", "1", "|window=", "[[", "]]", "|who=", "{{ircnick|"),
        *("|what=\n* ", "{{deploy|gerrit=", "<!--", "-->", "<nowiki>", "</nowiki>", "\n", "\n==="),
        *("=== March 25, 2014 ===\n", "* 15:00-16:00 UTC x", "gerrit:5", "&#0;", "&#xD800;", "{|"),
        *("&#x110000;", "|", "=", "'''", "<ref ", "http://", "[http://x y]", "{{{", "}}}", "\r"),
    ]
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=30).map("".join))
def test_whatever_a_page_holds_it_is_read_or_refused(text: str) -> None:
    try:
        page = read_page(text)
    except UnusablePage:
        return
    for found in page.found:
        assert timedelta() < timedelta(minutes=found.entry.minutes) <= timedelta(days=1)
        assert found.entry.title == one_line(found.entry.title)


@pytest.mark.parametrize("piece", ["<ref ", "{{a|", "[[a|", "*\n"])
def test_a_page_made_to_be_slow_is_not(piece: str) -> None:
    """The parser alone takes minutes for each of these."""
    begun = time.monotonic()
    inside = "{{Deployment calendar event card\n|what=" + piece * (5_900 // len(piece)) + "}}\n"
    for text in (piece * (LONGEST_PAGE // len(piece)), inside * 5):
        with contextlib.suppress(UnusablePage):
            read_page(text)

    assert time.monotonic() - begun < 20
