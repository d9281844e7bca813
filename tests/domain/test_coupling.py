"""The detector of undeclared couplings, on diffs written for it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.domain.backports import Backport
from scheduler.domain.changes import (
    CONFIG_PROJECT,
    Change,
    ChangedFile,
    ChangeSet,
    ChangeStatus,
)
from scheduler.domain.coupling.background import Background, names_to_dismiss, projects_of
from scheduler.domain.coupling.diffs import (
    LONGEST_LINE,
    MOST_LINES,
    changed_lines,
    lines_of,
    whole_files,
)
from scheduler.domain.coupling.elsewhere import has_it, whereabouts
from scheduler.domain.coupling.evidence import Evidence
from scheduler.domain.coupling.identifiers import (
    LONGEST,
    MOST_NAMES,
    Names,
    folded,
    is_aside,
    is_made,
    names_of,
)
from scheduler.domain.coupling.questions import Question, questions, questions_across
from scheduler.domain.coupling.rarity import Rarity
from scheduler.domain.coupling.traits import MOST_MOVED, traits_of, words_of
from scheduler.domain.coupling.unique import unique_name
from scheduler.domain.planning.plan import PlanInput, plan_window
from scheduler.domain.policy.numbers import numbers_in_force
from scheduler.domain.production import NOTHING_KNOWN, Production
from scheduler.domain.windows import Window

COMMON = Rarity(100_000, names={"getuser": 9_000, "pagetitle": 5_000}, words={"search": 9_000})


def diff_of(path: str, *lines: str, old: bool = True) -> str:
    """Return the diff of one file; lines begin with their sign, a blank one stays."""
    added = sum(line[0] != "-" for line in lines)
    removed = sum(line[0] != "+" for line in lines)
    return "\n".join(
        (
            f"diff --git a/{path} b/{path}",
            f"--- a/{path}" if old else "--- /dev/null",
            f"+++ b/{path}",
            f"@@ -10,{removed} +10,{added} @@ somewhere",
            *lines,
            "",
        )
    )


def change(number: int, diff: str, *, says: str = "", subject: str = "", owner: str = "") -> Change:
    """Return a change of an extension of its own."""
    paths = dict.fromkeys(line[6:] for line in diff.split("\n") if line.startswith("+++ b/"))
    subject = subject or f"Change {number}"
    return Change(
        number=number,
        project=f"mediawiki/extensions/E{number}",
        branch="wmf/1.47.0-wmf.16",
        change_id=f"I{number:040x}",
        subject=subject,
        message=f"{subject}\n\n{says}\n\nChange-Id: I{number:040x}",
        owner=owner or f"owner{number}",
        files=tuple(map(ChangedFile, paths)),
        diff=diff,
    )


def asked(*changes: Change) -> Question | None:
    """Return what is asked about two changes."""
    return next(questions(changes, Background(rarity=COMMON)), None)


def kinds(question: Question | None) -> dict[str, int]:
    """Return the evidence of a question: kind and points."""
    return {one.kind: one.points for one in question.evidence} if question else {}


# --- Diffs ---------------------------------------------------------------------------------------


def test_lines_stand_where_the_file_has_them() -> None:
    diff = diff_of("a.php", " one", "-two", "+three", "--- four", "+++ five", " six")
    assert [(line.sign, line.number, line.text) for line in lines_of(diff)] == [
        (" ", 10, "one"),
        ("-", 11, "two"),
        ("+", 11, "three"),
        ("-", 12, "-- four"),
        ("+", 12, "++ five"),
        (" ", 13, "six"),
    ]


def test_each_file_is_read_by_itself() -> None:
    diff = diff_of("a.php", "+one") + diff_of("b.php", "+two", old=False)
    assert [(line.path, line.text) for line in changed_lines(diff)] == [
        ("a.php", "one"),
        ("b.php", "two"),
    ]


def test_a_file_that_is_deleted_has_its_old_path() -> None:
    diff = "--- a/gone.php\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-one\n"
    assert [(line.path, line.number) for line in lines_of(diff)] == [("gone.php", 1)]


@pytest.mark.parametrize("text", ["", "no diff at all", "@@ nonsense @@\n+one", "+++ b/x\n+one"])
def test_what_is_no_diff_has_no_lines(text: str) -> None:
    assert list(lines_of(text)) == []


def test_hostile_diffs_are_bounded() -> None:
    long = "+" + "x" * LONGEST_LINE
    assert [line.text for line in changed_lines(diff_of("a.php", long, "+short"))] == ["short"]
    many = diff_of("a.php", *(f"+$name{n} = 1;" for n in range(MOST_LINES + 10)))
    assert MOST_LINES - 10 < sum(1 for _ in lines_of(many)) <= MOST_LINES
    found = names_of(changed_lines(many))
    assert len(found.used) <= MOST_NAMES


@pytest.mark.timeout(30)  # each took minutes before its pattern was bounded, and takes a second
@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.yaml", " " * 900 + "a" * 80),
        ("a.php", "function" + " " * 980),
        ("a.js", "function" + " " * 980),
        ("a.less", (".a" + "a" * 78 + " ") * 12),
        ("a.less", ".abcd " * 160),
        ("a.php", "'" + "a" * 80 + " " * 900 + "="),
        ("a.sql", "create" + " " * 980),
        ("a.ts", "type Foo<" * 100),
        ("a.js", "mw" + ".a" * 480),
        ("a.php", "$wgA" + "[a" * 480),
    ],
)
def test_no_line_stalls_a_pattern(path: str, line: str) -> None:
    several = [f"+{line}"] * 10_000
    assert sum(1 for _ in changed_lines(diff_of(path, *several))) == 10_000
    names_of(changed_lines(diff_of(path, *several)))


def test_names_that_very_many_changes_of_a_window_share_say_nothing() -> None:
    """One edit in as many repositories is no coupling of each with each."""
    uses = diff_of("a.js", *(f"+mw.fancy.open{word}( e );" for word in ("Plumage", "Feather")))
    defines = diff_of("b.js", "+mw.fancy.openPlumage = function () {")
    few = [change(1, defines), *(change(n, uses) for n in range(2, 6))]
    assert len(list(questions(few, Background(rarity=COMMON)))) > 3
    many = [change(n, uses) for n in range(1, 31)]
    assert list(questions(many, Background(rarity=COMMON))) == []


# --- Names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("$wgFancyCaptcha", "FancyCaptcha"),
        ("wmgFancyCaptcha", "'FancyCaptcha'".strip("'")),
        ("onFancyCaptcha", "FancyCaptchaHook"),
        (".fancy-captcha", "fancy-captcha"),
        ("@fancy-captcha", "fancy-captcha"),
    ],
)
def test_a_name_is_one_however_it_is_written(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize("name", ["wgfoo", "online", "Hook", "only"])
def test_what_only_looks_like_a_prefix_stays(name: str) -> None:
    assert folded(name) == name.lower()


DEFINED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "includes/A.php": (
        ("class FancyCaptcha extends Captcha {", "fancycaptcha"),
        ("	public static function renderFancy( $one ) {", "renderfancy"),
        ("	private const MAX_FANCY = 3;", "max_fancy"),
        ("	private ?FancyStore $fancyStore;", "fancystore"),
        ("$wgFancyThings['x'] = true;", "fancythings"),
        ("	'wmgUseFancy' => [", "usefancy"),
        ("interface FancyHookRunner {", "fancyhookrunner"),
        ("	case FancyMode = 'fancy';", "fancymode"),
        ("$wgFancyThings['x'] ??= true;", "fancythings"),
        ("#[Fancy] function renderFancier() {", "renderfancier"),
    ),
    "resources/ext.fancy/a.js": (
        ("function makeFancy( a ) {", "makefancy"),
        ("class FancyWidget extends OO.ui.Widget {", "fancywidget"),
        ("mw.fancy.openDialog = function () {", "opendialog"),
        ("	openFancyThing( event ) {", "openfancything"),
        ("	fancyOption: true,", "fancyoption"),
        ("window.openFancy = init;", "openfancy"),
        ("export const fancyStore = defineStore( 'x' );", "fancystore"),
        ("const fancyCallback = event => {", "fancycallback"),
    ),
    "resources/a.ts": (
        ("export interface FancyProps {", "fancyprops"),
        ("export type FancyKey = 'a' | 'b';", "fancykey"),
        ("	enum FancyMode {", "fancymode"),
        ("	openFancy( id: number ): Promise<void> {", "openfancy"),
    ),
    "extension.json": (
        ('	"FancyHandler": {', "fancyhandler"),
        ('"ext.fancy.init": {', "ext.fancy.init"),
    ),
    "resources/a.less": (
        ("@fancy-border-width: 1px;", "fancy-border-width"),
        (".mw-fancy-box {", "mw-fancy-box"),
        (".other; .mw-fancy-box, .x {", "mw-fancy-box"),
        ("@mixin fancy-border() {", "fancy-border"),
    ),
    "conf/a.yaml": (("fancy_stream: true", "fancy_stream"),),
    "tools/a.py": (
        ("def make_fancy(one):", "make_fancy"),
        ("class FancyThing:", "fancything"),
        ("    'fancy_key': 1,", "fancy_key"),
    ),
    "sql/a.sql": (
        ("CREATE TABLE /*_*/fancy_table (", "fancy_table"),
        ("ALTER TABLE x ADD COLUMN fancy_column INT", "fancy_column"),
        ("  fancy_column VARBINARY(255) NOT NULL,", "fancy_column"),
    ),
}


@pytest.mark.parametrize(
    ("path", "line", "name"),
    [(path, line, name) for path, rows in DEFINED.items() for line, name in rows],
)
def test_definitions_are_read_in_every_language(path: str, line: str, name: str) -> None:
    assert name in names_of(changed_lines(diff_of(path, f"+{line}"))).defined
    assert name in names_of(changed_lines(diff_of(path, f"-{line}"))).given_up


def test_what_is_named_is_used_and_what_is_not_named_any_more_dropped() -> None:
    diff = diff_of(
        "a.js",
        "-mw.loader.using( 'schema.FancySearch' );",
        "+mw.hook( 'fancy.ready' ).fire( openFancy );",
    )
    names = names_of(changed_lines(diff))
    assert {"schema.fancysearch", "fancysearch"} <= names.dropped.keys()
    assert {"fancy.ready", "openfancy"} <= names.used.keys()
    assert names.used["openfancy"].written == "openFancy"
    assert names.used["openfancy"].line == 10


@pytest.mark.parametrize("line", ["$data['fancyKey'] === 'x'", "$data['fancyKey'] => 1", "a == 1"])
def test_what_only_compares_defines_nothing(line: str) -> None:
    assert not names_of(changed_lines(diff_of("a.php", f"+\tif ( {line} ) {{"))).defined


def test_a_name_with_dots_is_read_whole_where_nothing_quotes_it() -> None:
    diff = diff_of("conf/a.yaml", "+  - mediawiki.fancy_opened")
    assert "mediawiki.fancy_opened" in names_of(changed_lines(diff)).used


def test_what_is_on_both_sides_is_neither_new_nor_given_up() -> None:
    diff = diff_of("a.php", "-function oldFancy( $a ) {", "+function oldFancy( $a, $b ) {")
    names = names_of(changed_lines(diff))
    assert "oldfancy" not in {*names.defined, *names.given_up, *names.used, *names.dropped}
    assert names.changed["oldfancy"].sign == "+"
    assert "oldfancy" in names.anywhere


@pytest.mark.parametrize(
    "path",
    [
        "tests/phpunit/ATest.php",
        "resources/a.test.js",
        "docs/fancy.md",
        "README.md",
        "package.json",
        ".phan/config.php",
        "Gruntfile.js",
        "selenium/specs/a.js",
        ".eslintrc.json",
        "wdio.conf.js",
        "jest.setupAfterEnv.js",
        "eslint.config.mjs",
        "Gruntfile.cjs",
        "tsconfig.build.json",
        "phpstan.neon",
        "docker-compose.yml",
        "dev-scripts/run.php",
        "tests/api/features/x.js",
        "includes/FooTest.php",
        "src/App.spec.vue",
    ],
)
def test_files_aside_have_no_names(path: str) -> None:
    assert is_aside(path)
    assert not names_of(changed_lines(diff_of(path, "+function makeFancy() {"))).anywhere


@pytest.mark.parametrize(
    "path",
    [
        "includes/Test.php",
        "resources/latest/a.js",
        "extension.json",
        "src/Builder.php",
        "includes/Features/Feature.php",
        "includes/Build/Page.php",
        "w/robots.txt",
        "w/.htaccess",
        "resources/gadget.config.js",
    ],
)
def test_what_production_runs_is_not_aside(path: str) -> None:
    assert not is_aside(path)


def test_translations_and_what_programs_make_have_no_names() -> None:
    assert is_made("i18n/de.json")
    assert is_made("resources/lib/vue/vue.js")
    assert not is_made("i18n/en.json")
    assert is_made("modules/lib/a.js")
    assert is_made("resources/jquery.fancy.js")
    assert not is_made("includes/libraries/A.php")
    assert not is_made("lib/includes/Store.php")
    assert not is_made("includes/libs/rdbms/Store.php")


def test_words_come_from_prose_and_not_from_footers() -> None:
    message = (
        "Move the schema\n\nIt is gone elsewhere.\n\nBug: T1\nDepends-On: I123\nChange-Id: Ifeed"
    )
    assert words_of(message) == {"move", "schema", "gone", "elsewhere"}


# --- Questions -----------------------------------------------------------------------------------

USES = diff_of("a.js", "+mw.fancy.openDialog( event );")
DEFINES = diff_of("b.js", "+mw.fancy.openDialog = function () {")


def test_who_defines_what_the_other_starts_to_use_is_asked_about_and_goes_first() -> None:
    question = asked(change(1, USES), change(2, DEFINES, subject="Add a dialog"))
    assert question is not None
    assert kinds(question)["defines-what-other-uses"] == 3
    evidence = question.evidence[0]
    assert evidence.text == "2 (E2) defines `openDialog`, which 1 (E1) starts to use"
    assert [(one.change, one.path, one.line) for one in evidence.places] == [
        (2, "b.js", 10),
        (1, "a.js", 10),
    ]


def test_common_names_say_nothing() -> None:
    one = diff_of("a.php", "+$this->getUser( $pageTitle );")
    other = diff_of("b.php", "+function getUser( $pageTitle ) {")
    assert asked(change(1, one), change(2, other)) is None


def test_changes_of_one_repository_and_siblings_are_not_asked_about() -> None:
    one, other = change(1, USES), change(2, DEFINES)
    assert asked(one, replace(other, project=one.project)) is None
    assert asked(one, replace(other, change_id=one.change_id)) is None


def test_what_only_touches_tests_couples_nothing_in_production() -> None:
    one = change(1, USES.replace("a.js", "tests/a.js"), says="Bug: T7")
    other = change(2, DEFINES, says="Bug: T7")
    one, other = (replace(each, message=f"{each.subject}\n\nBug: T7") for each in (one, other))
    assert asked(one, other) is None
    assert asked(replace(one, files=(ChangedFile("a.js"),)), other) is not None


MOVED = tuple(f"$this->fancyLine{n}( 'something', {n} );" for n in range(6))


def test_lines_that_move_are_asked_about_and_go_together() -> None:
    one = change(1, diff_of("a.php", *(f"-{line}" for line in MOVED)))
    other = change(2, diff_of("b.php", *(f"+{line}" for line in MOVED)))
    question = asked(one, other)
    assert kinds(question)["moved"] == 3
    assert question is not None
    assert question.evidence[0].kind != "moved" or question.evidence[0].places
    assert (question.advice, question.first) == ("together", None)


def test_a_name_that_may_be_registered_once_is_given_up_first() -> None:
    gives_up = diff_of("Hooks.php", "-	$schemas['FancySearch'] = 123;")
    takes = diff_of("extension.json", '+	"schema.FancySearch": {')
    for changes in (
        (change(1, takes), change(2, gives_up)),
        (change(1, gives_up), change(2, takes)),
    ):
        question = asked(*changes)
        assert question is not None
        first = next(one.number for one in changes if one.diff == gives_up)
        assert (question.advice, question.first) == ("first", first)
        told = next(one for one in question.evidence if one.kind == "given-up-and-taken-over")
        assert "`schema.FancySearch`" in told.text
        assert "registered twice" in told.text
        assert {one.change for one in told.places} == {1, 2}


def test_two_that_both_register_a_name_that_may_be_registered_once_are_told() -> None:
    one, other = (change(n, diff_of("extension.json", '+\t"schema.Search": {')) for n in (1, 2))
    question = next(
        questions((one, other), Background(rarity=Rarity(9, names={"schema.search": 9}))), None
    )
    assert question is None  # this common name alone is not enough, with a task it is
    one, other = (replace(each, message="x\n\nBug: T7") for each in (one, other))
    question = next(
        questions((one, other), Background(rarity=Rarity(9, names={"schema.search": 9}))), None
    )
    assert question is not None
    told = next(piece for piece in question.evidence if piece.kind == "both-define")
    assert told.text.startswith("both define `schema.Search`; only one may have")
    assert question.advice == "ask"


def test_what_both_define_is_said_of_both() -> None:
    one, other = (change(n, diff_of("a.php", "+\t'fancyCohort' => 1,")) for n in (1, 2))
    question = asked(one, other)
    assert question is not None
    assert question.evidence[0].text == "both define `fancyCohort`"
    assert "defines-what-other-uses" not in kinds(question)


def test_one_rare_name_that_moves_makes_both_go_together_in_any_language() -> None:
    for path, line in (
        ("a.php", "class FancyMapper {"),
        ("extension.json", '"ext.fancy.panel": {'),
        ("a.less", ".fancy-mapper-box {"),
    ):
        gives_up, takes = (
            change(n, diff_of(path, f"{sign}{line}")) for n, sign in ((1, "-"), (2, "+"))
        )
        one, other = (replace(each, message="x\n\nBug: T7") for each in (gives_up, takes))
        question = asked(one, other)
        assert question is not None
        assert (question.advice, question.first) == ("together", None), path


def test_who_starts_to_use_what_the_other_gives_up_gets_no_order() -> None:
    uses, gives_up = change(1, USES), change(2, DEFINES.replace("\n+mw", "\n-mw"))
    gives_up = replace(gives_up, diff=diff_of("b.js", "-mw.fancy.openDialog = function () {"))
    question = asked(uses, gives_up)
    assert question is not None
    assert question.evidence[0].text == "1 (E1) starts to use `openDialog`, which 2 (E2) gives up"
    assert question.advice == "ask"
    # Not where the one that uses it defines it, too.
    defines = change(1, diff_of("a.js", "+mw.fancy.openDialog = function () {"))
    assert "uses-what-is-gone" not in kinds(asked(defines, gives_up))


def test_both_ends_of_an_interface_that_change_go_together() -> None:
    one, other = (
        change(
            n,
            diff_of(
                path,
                f"-\tpublic function onFancyOpened( $a ){end}",
                f"+\tpublic function onFancyOpened( $a, $b ){end}",
            ),
        )
        for n, path, end in ((1, "Hook/FancyOpenedHook.php", ";"), (2, "Handler.php", " {"))
    )
    question = asked(one, other)
    assert question is not None
    assert kinds(question)["both-change"] == 3
    assert question.advice == "together"


WHOLE = """diff --git a/{path} b/{path}
{word} file mode 100644
index {index}
Binary files {old} and {new} differ
"""


def test_a_file_that_moves_as_it_is_is_asked_about_whatever_is_in_it() -> None:
    gone = WHOLE.format(
        path="img/a b.png", word="deleted", index="1234567abc..0000000000", old="a", new="b"
    )
    came = WHOLE.format(
        path="images/c.png", word="new", index="00000000..12345678", old="a", new="b"
    )
    one, other = (
        replace(change(n, ""), diff=diff, message="x\n\nBug: T7")
        for n, diff in ((1, gone), (2, came))
    )
    question = asked(one, other)
    assert question is not None
    told = next(piece for piece in question.evidence if piece.kind == "moved")
    assert told.text == "`img/a b.png` leaves 1 (E1) and comes in 2 (E2) as it is"
    assert [(at.change, at.path, at.line) for at in told.places] == [
        (1, "img/a b.png", 0),
        (2, "images/c.png", 0),
    ]
    assert question.advice == "together"
    other = replace(other, diff=came.replace("12345678", "7654321"))
    assert "moved" not in kinds(asked(one, other))


def test_what_looks_like_a_file_in_a_hunk_is_none() -> None:
    header = WHOLE.format(path="a", word="new", index="0000000..1234567", old="a", new="b")
    inside = diff_of("a.md", *(f" {line}" for line in header.strip().split("\n")))
    assert list(whole_files(inside)) == []
    assert [file.content for file in whole_files(header)] == ["1234567"]
    assert list(whole_files(header.replace("1234567", "e69de29"))) == []


def test_where_no_files_are_told_the_diff_tells_them() -> None:
    one = replace(change(1, USES.replace("a.js", "tests/a.js"), says="x"), files=())
    assert traits_of(one).is_aside
    assert not traits_of(replace(change(1, USES), files=())).is_aside
    assert not traits_of(replace(change(1, ""), files=())).is_aside


def test_an_advice_says_what_speaks_for_it() -> None:
    takes_away = diff_of("a.js", "-mw.fancy.closeDialog( one );", "-fancy();", " x")
    question = asked(
        replace(change(1, takes_away), message="Use it\n\nBug: T7", subject="Use it"),
        replace(change(2, DEFINES), message="Add it\n\nBug: T7", subject="Add it"),
    )
    assert question is not None
    assert (question.advice, question.first) == ("first", 2)
    assert question.because == (
        "1 takes away more than it adds, and 2 does not",
        "1 stops using more of what both name",
        "the subject of 2 begins something",
        "the subject of 1 follows something",
    )


def test_what_was_meant_as_a_footer_and_is_none_is_a_mention() -> None:
    named = f"I{2:040x}"
    astray = f"Use it\n\nDepends-On: {named}\n\nBug: T7\nChange-Id: I{1:040x}"
    one = replace(change(1, USES), message=astray)
    assert one.depends_on == ()
    assert one.mentions == (named,)
    assert kinds(asked(one, change(2, "")))["mention"] == 5
    declared = replace(one, message=f"Use it\n\nDepends-On: {named}\nChange-Id: I{1:040x}")
    assert (declared.depends_on, declared.mentions) == ((named,), ())


def test_every_unique_name_says_since_when_and_why() -> None:
    found = unique_name("schema.search")
    assert found is not None
    assert found.why
    assert found.since.year >= 2015
    assert unique_name("search") is None


def test_the_same_author_alone_or_the_same_rare_word_alone_asks_nothing() -> None:
    one, other = (change(n, diff_of("a.php", f"+$a{n}b = 1;"), owner="ada") for n in (1, 2))
    assert asked(one, other) is None
    says = "About the zygomorphic dialog."
    one, other = (
        change(n, diff_of("a.php", f"+$a{n}b = 1;"), says=says, subject=f"One{n}") for n in (1, 2)
    )
    assert asked(one, other) is None


@pytest.mark.parametrize(
    ("author", "apart", "points"),
    [
        ("Ada", timedelta(hours=2), 4),
        ("Ada", timedelta(hours=-2), 4),
        ("Ada", timedelta(hours=2, seconds=1), 1),
        ("Ada", None, 1),
        ("Sam", timedelta(minutes=1), None),
    ],
)
def test_what_one_person_wrote_within_two_hours_counts_more(
    author: str, apart: timedelta | None, points: int | None
) -> None:
    moment = datetime(2026, 11, 20, 9, tzinfo=UTC)
    one = replace(change(1, DEFINES), author="Ada", authored_at=moment)
    other = replace(
        change(2, USES, owner="owner1"),  # who owns both, and wrote one
        author=author,
        authored_at=None if apart is None else moment + apart,
    )
    assert kinds(asked(one, other)).get("same-author") == points


def test_what_one_person_wrote_at_once_and_calls_by_its_project_is_asked_about() -> None:
    """Nothing in the diffs; neither of the two alone would be enough."""
    moment = datetime(2026, 11, 20, 9, tzinfo=UTC)

    def pair(*, project: str, says: str) -> tuple[Change, Change]:
        one = change(1, diff_of("a.php", "+$this->ara();"), says=says, subject="Widen")
        other = change(2, diff_of("b.php", "+$that->emu();"), subject="Narrow")
        one, other = (replace(each, author="Ada", authored_at=moment) for each in (one, other))
        return one, replace(other, project=project)

    echo = "mediawiki/extensions/Echo"
    question = asked(*pair(project=echo, says="What Echo shows is wider."))
    assert kinds(question) == {"project-in-message": 1, "same-author": 4}
    assert question is not None
    assert question.evidence[0].text == "the message of 1 (E1) names Echo"
    assert asked(*pair(project=echo, says="What it shows is wider.")) is None
    assert asked(*pair(project=echo, says="Like an echo.")) is None
    assert asked(*pair(project="mediawiki/core", says="The core of it.")) is None
    config = pair(project=CONFIG_PROJECT, says="After that of mediawiki-config.")
    assert asked(*config) is not None


def test_without_a_diff_only_bug_and_mention_are_known() -> None:
    one, other = change(1, ""), change(2, "", says="This follows I00000000001.")
    assert asked(one, other) is None
    one = replace(one, message="One\n\nBug: T9")
    other = replace(other, message="Two\n\nBug: T9")
    assert kinds(asked(one, other)) == {"same-bug": 5}


def test_the_same_comes_out_in_any_order_and_from_stored_traits() -> None:
    one, other = change(1, USES, says="Bug: T9"), change(2, DEFINES)
    traits = {each.number: traits_of(each) for each in (one, other)}
    straight = list(questions([one, other], Background(rarity=COMMON)))
    assert list(questions([other, one], Background(rarity=COMMON))) == straight
    bare = [replace(each, diff="") for each in (one, other)]
    assert list(questions(bare, Background(traits, COMMON))) == straight
    traits[3] = traits_of(change(3, USES))
    assert list(questions(bare, Background(traits, COMMON))) == straight


def test_a_change_that_says_nothing_has_no_traits() -> None:
    traits = traits_of(change(1, ""))
    assert not traits.names.anywhere
    assert isinstance(traits.names, Names)
    assert not traits.is_aside


def test_what_one_stops_using_and_the_other_gives_up_comes_in_that_order() -> None:
    stops = diff_of("a.js", "-mw.fancy.openDialog( one );", "-mw.fancy.closeDialog( one );")
    gives_up = diff_of(
        "b.js", "-mw.fancy.openDialog = function () {", "-mw.fancy.closeDialog = function () {"
    )
    question = asked(
        change(1, gives_up, subject="Remove the dialog"), change(2, stops, owner="owner1")
    )
    assert kinds(question)["stops-using"] == 3
    assert question is not None
    assert question.evidence[0].text.startswith("2 (E2) stops using `")
    assert (question.advice, question.first) == ("first", 2)


def test_where_something_is_defined_as_well_a_clean_up_tells_no_order() -> None:
    follows = diff_of("a.js", "-mw.fancy.openDialog( one );", "+mw.fancy.openPlumage( one );")
    renames = diff_of(
        "b.js", "-mw.fancy.openDialog = function () {", "+mw.fancy.openPlumage = function () {"
    )
    question = asked(change(1, renames), change(2, follows, owner="owner1"))
    assert question is not None
    assert {"stops-using", "defines-what-other-uses"} <= kinds(question).keys()
    assert question.advice == "ask"


def test_a_rare_name_that_moves_is_given_up_and_taken_over_together() -> None:
    one = diff_of(
        "a.js", *(f"-mw.fancy.{name} = function () {{" for name in ("foldMap", "keepMap"))
    )
    other = diff_of(
        "b.js", *(f"+ve.other.{name} = function () {{" for name in ("foldMap", "keepMap"))
    )
    question = asked(change(1, one), change(2, other))
    assert kinds(question)["given-up-and-taken-over"] == 2
    assert question is not None
    assert question.advice == "together"


def test_both_who_change_the_same_lines_are_asked_about() -> None:
    added = [f"'SameFancySetting{n}' => 'somewhere'," for n in range(3)]
    one, other = (
        change(n, diff_of(f"{n}.php", *(f"{sign}{line}" for line in added)))
        for n, sign in ((1, "-"), (2, "-"))
    )
    question = asked(one, other)
    assert kinds(question)["same-lines"] == 2
    told = [piece.text for piece in question.evidence] if question else []
    assert "1 (E1) and 2 (E2) remove the same 3 lines" in told


def test_a_message_that_says_a_name_of_the_other_counts() -> None:
    one = change(1, USES, says="So that openDialog may be called.")
    other = change(2, DEFINES, subject="Add a dialog", says="It is used by others.")
    question = asked(one, other)
    assert kinds(question)["name-in-message"] == 1
    assert question is not None


def test_a_mention_is_told_once() -> None:
    one = change(1, USES, says=f"As I{2:040x} does.")
    other = change(2, DEFINES, says=f"As I{1:040x} does.")
    assert kinds(asked(one, other))["mention"] == 5


def test_a_topic_of_both_counts_as_a_task_does() -> None:
    one, other = (replace(change(number, ""), topic="new-schema") for number in (1, 2))
    assert kinds(asked(one, other)) == {"same-topic": 5}
    assert asked(one, replace(other, topic="")) is None
    assert asked(replace(one, topic=""), replace(other, topic="")) is None
    about = [replace(change(n, "", says="Bug: T4711"), topic="bug/t4711") for n in (1, 2)]
    assert kinds(asked(*about)) == {"same-bug": 5}  # the topic says nothing new


def test_a_mention_of_an_earlier_landing_counts() -> None:
    """The message of October 2015 names the first landing, which was rolled back."""
    moment = datetime(2015, 10, 14, 20, 13, tzinfo=UTC)
    one = change(1, "", says=f"Follows I{3:040x}.")
    other = replace(change(2, ""), authored_at=moment)
    earlier = replace(other, number=3, change_id=f"I{3:040x}", branch="master")
    stranger = replace(change(4, ""), authored_at=moment)
    known = ChangeSet([one, other, earlier, stranger])
    assert known.other_landings(other) == (earlier.key,)
    assert known.other_landings(one) == known.other_landings(stranger) == ()
    landings = {number: known.other_landings(known[number]) for number in (1, 2)}

    (question,) = questions([one, other], Background(rarity=COMMON, landings=landings))
    assert question.evidence[0].text.endswith("which is another landing of 2 (E2)")
    assert asked(one, other) is None


def test_two_subjects_that_say_the_same_count() -> None:
    one, other = (
        change(n, diff_of("a.php", f"+$a{n}b = 1;"), subject="Fold the zygomorphic plumage")
        for n in (1, 2)
    )
    assert asked(one, other) is None  # words alone ask nothing
    moment = datetime(2026, 11, 20, 9, tzinfo=UTC)
    one, other = (replace(each, author="Ada", authored_at=moment) for each in (one, other))
    assert kinds(asked(one, other)) == {"shared-words": 3, "same-author": 4}
    common = Rarity(100_000, words={"fold": 9_000, "zygomorphic": 9_000, "plumage": 9_000})
    one, other = (replace(each, message=f"{each.message}\n\nBug: T9") for each in (one, other))
    found = next(questions([one, other], Background(rarity=common)))
    assert {piece.kind: piece.points for piece in found.evidence}["shared-words"] == 1


def test_who_prepares_goes_before_who_takes_away() -> None:
    prepares = change(
        1,
        diff_of("a.js", "+mw.fancy.openDialog = function () {", "+	this.plumageOfDialog = 1;"),
        subject="Add a dialog",
        says="So that others may call openDialog.",
    )
    follows = change(
        2,
        diff_of(
            "b.js",
            "-	this.ownDialogOfOurs( event );",
            "-	this.ownDialogAgain( event );",
            "+	mw.fancy.openDialog( event );",
        ),
        subject="Use the dialog of E1",
    )
    for changes in ((prepares, follows), (replace(follows, number=1), replace(prepares, number=2))):
        question = asked(*changes)
        assert question is not None
        first = next(one.number for one in changes if one.subject == "Add a dialog")
        assert (question.advice, question.first) == ("first", first)


def test_what_one_person_wrote_first_speaks_for_it_on_one_day_only() -> None:
    moment = datetime(2026, 11, 20, 9, tzinfo=UTC)
    says = "It shows the plumage."

    def advised(apart: timedelta, *, author: str = "Ada") -> int | None:
        one = replace(change(1, "", subject="Plumage of one", says=says), author="Ada")
        other = change(2, "", subject="Fix plumage of another", says=says)
        bug = "\n\nBug: T9"
        question = asked(
            replace(one, message=one.message + bug, authored_at=moment),
            replace(other, message=other.message + bug, author=author, authored_at=moment + apart),
        )
        assert question is not None
        return question.first

    assert advised(timedelta(hours=2)) == 1  # two votes for it, one for "fix"
    assert advised(timedelta(hours=3)) is None
    assert advised(timedelta(hours=-1)) is None
    assert advised(timedelta(hours=1), author="Sam") is None


def test_where_nothing_speaks_for_an_order_it_is_asked() -> None:
    one, other = (
        change(n, diff_of("a.php", f"+$this->plumage{n}Of( 'x' );"), says="Bug: T9") for n in (1, 2)
    )
    one, other = (replace(each, message=f"{each.subject}\n\nBug: T9") for each in (one, other))
    question = asked(one, other)
    assert question is not None
    assert (question.advice, question.first) == ("ask", None)


def test_a_line_that_says_no_newline_is_none_of_the_file() -> None:
    diff = diff_of("a.php", "-one", "\\ No newline at end of file", "+two")
    text = diff.replace("@@ -10,2 +10,2 @@", "@@ -10,1 +10,1 @@")
    assert [line.text for line in lines_of(text)] == ["one", "two"]


def test_comments_define_nothing() -> None:
    diff = diff_of("a.php", "+// function makeFancy() {", "+ * class FancyThing {")
    assert not names_of(changed_lines(diff)).defined


def test_a_change_with_too_many_lines_is_read_up_to_a_bound() -> None:
    many = diff_of("a.php", *(f"+$this->something( {n}, 'abc' );" for n in range(MOST_MOVED + 5)))
    assert len(traits_of(change(1, many)).added) == MOST_MOVED


@pytest.mark.parametrize("name", ["x" * 81, "." + "y" * 81, "İ" * 60])
def test_a_name_that_is_too_long_to_be_kept_is_none(name: str) -> None:
    for path in ("a.less", "a.php", "extension.json"):
        names = names_of(changed_lines(diff_of(path, f"+{name} {{", f'+"{name}": {{')))
        assert all(len(key) <= LONGEST for key in names.anywhere)


# --- What was dismissed --------------------------------------------------------------------------


def test_dismissed_names_say_nothing_between_the_two_projects() -> None:
    one, other = change(1, DEFINES), change(2, USES)
    question = asked(one, other)
    assert question is not None
    names = names_to_dismiss(question.evidence)
    assert names
    dismissed = {projects_of(other.project, one.project): names}
    assert not list(questions([one, other], Background(rarity=COMMON, dismissed=dismissed)))
    third = replace(one, number=3, project="mediawiki/extensions/E3", change_id=f"I{3:040x}")
    (still,) = questions([third, other], Background(rarity=COMMON, dismissed=dismissed))
    assert still.changes == (2, 3)


def test_a_name_that_only_one_may_have_can_be_dismissed_too() -> None:
    gives = "+++ b/h.php\n@@ -1 +1 @@\n-\t$schemas['Search'] = 1;\n"
    takes = "+++ b/w.php\n@@ -1 +1 @@\n+\t'schema.Search' => array(\n"
    one, other = change(1, gives), change(2, takes)
    question = asked(one, other)
    assert kinds(question)["given-up-and-taken-over"] == 3
    assert question is not None
    pair = projects_of(one.project, other.project)
    dismissed = {pair: names_to_dismiss(question.evidence)}
    assert not list(questions([one, other], Background(rarity=COMMON, dismissed=dismissed)))


def test_a_task_and_lines_teach_nothing() -> None:
    one, other = change(1, "", says="Bug: T4711"), change(2, "", says="Bug: T4711")
    question = asked(one, other)
    assert kinds(question) == {"same-bug": 5}
    assert question is not None
    assert names_to_dismiss(question.evidence) == frozenset()


# --- Across windows ------------------------------------------------------------------------------


def test_across_windows_more_evidence_is_needed_and_only_across_is_asked() -> None:
    bug = "Bug: T4711"
    here = [change(1, DEFINES, says=bug), change(2, USES, says=bug)]
    there = [change(3, USES, says=bug), change(4, "", says=bug), change(5, DEFINES, says=bug)]
    background = Background(rarity=COMMON)
    found = {one.changes: one.points for one in questions_across(here, there, background)}
    # 1 defines and 3 uses, 5 defines and 2 uses; 1 and 5 define the same, with a task in common.
    assert {(1, 3), (2, 5)} <= found.keys() <= {(1, 3), (2, 5), (1, 5), (2, 3)}
    assert min(found.values()) >= 8
    assert not list(questions_across(here, [], background))
    assert not list(questions_across([], there, background))


WMF16, WMF17 = "wmf/1.47.0-wmf.16", "wmf/1.47.0-wmf.17"
BOTH_LIVE = Production(
    ("1.47.0-wmf.16", "1.47.0-wmf.17"), {"group0": "1.47.0-wmf.17", "group1": "1.47.0-wmf.16"}
)


def merged(number: int, branch: str, *included: str, deployed: bool | None = None) -> Change:
    return replace(
        change(number, ""),
        branch=branch,
        status=ChangeStatus.MERGED,
        included_in=frozenset(included),
        deployed=deployed,
    )


def config(number: int, **sides: object) -> Change:
    return replace(change(number, ""), project=CONFIG_PROJECT, branch="master", **sides)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other", "has"),
    [
        (change(1, ""), merged(2, WMF16), True),
        (change(1, ""), merged(2, "master", WMF16), True),
        (change(1, ""), merged(2, WMF17), False),  # "its other half is on wmf.17 only"
        (change(1, ""), merged(2, WMF16, deployed=False), False),
        (change(1, ""), change(2, ""), False),
        (config(1), merged(2, "master", WMF16), False),  # wmf.17 serves somebody, too
        (config(1), merged(2, "master", WMF16, WMF17), True),
        (config(1), config(2), False),
        (change(1, ""), config(2, status=ChangeStatus.MERGED), True),
        (change(1, ""), config(2, status=ChangeStatus.MERGED, deployed=False), False),
    ],
)
def test_nothing_is_asked_where_the_other_half_is_already(
    one: Change, other: Change, has: bool
) -> None:
    assert has_it(one, [other], BOTH_LIVE) is has


def test_where_nothing_is_known_about_versions_the_other_half_is_not_there() -> None:
    assert not has_it(config(1), [merged(2, "master", WMF16)], NOTHING_KNOWN)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (merged(2, "master", WMF17), "2 (E2) is on 1.47.0-wmf.17 only"),
        (merged(2, "master"), "2 (E2) rides the train: it is on no version that is checked out"),
        (change(2, ""), "2 (E2) is not merged"),
        (
            config(2, status=ChangeStatus.MERGED, deployed=False),
            "2 (mediawiki-config) is merged, and not deployed",
        ),
    ],
)
def test_it_is_said_where_the_other_half_is(other: Change, said: str) -> None:
    assert whereabouts(other, [other], BOTH_LIVE).text == said


# --- Questions that were found before ------------------------------------------------------------

CONTESTED = Evidence("contested", 3, "rae contests what ada said: no.", ())
ELSEWHERE = Evidence("elsewhere", 0, "3 (E3) is not merged", ())


def planned(*asked_before: Question, booked: tuple[int, ...] = (1, 2)) -> tuple[Question, ...]:
    start = datetime(2026, 11, 30, 14, tzinfo=UTC)
    changes = [change(1, DEFINES), change(2, USES), change(3, "")]
    given = PlanInput(
        now=start,
        window=Window(start, start + timedelta(hours=1)),
        numbers=numbers_in_force(start),
        changes=ChangeSet(changes),
        backports=tuple(Backport(number, "ada", start) for number in booked),
        background=Background(rarity=COMMON),
        asked=asked_before,
    )
    return plan_window(given).questions


def test_what_was_contested_stands_before_what_the_detector_finds() -> None:
    (found,) = planned()
    (both,) = planned(Question((1, 2), 3, "ask", None, (CONTESTED,)))
    assert both.evidence == (CONTESTED, *found.evidence)
    assert (both.points, both.advice, both.first) == (found.points + 3, found.advice, found.first)


def test_what_is_elsewhere_is_asked_about_if_the_other_one_is_booked() -> None:
    across = Question((2, 3), 6, "ask", None, (ELSEWHERE,))
    assert [one.changes for one in planned(across)] == [(1, 2), (2, 3)]
    assert planned(across, booked=(1,)) == ()
