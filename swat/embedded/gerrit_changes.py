"""The changes of the demo's review system: the pair of October 2015, and a week of today.

Messages and diffs are made up; projects, Change-Ids and dates of the pair are history.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

Status = Literal["NEW", "MERGED", "ABANDONED"]


@dataclass(frozen=True)
class DemoFile:
    """What a change does to one file: lines taken out, then lines put in at the same place."""

    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    status: Literal["A", "M", "D", "R", "C", "W"] = "M"
    old_path: str | None = None
    at: int = 1

    def diff(self, path: str) -> str:
        """Return its part of a unified diff."""
        old = "/dev/null" if self.status == "A" else f"a/{self.old_path or path}"
        new = "/dev/null" if self.status == "D" else f"b/{path}"
        lines = [f"diff --git a/{self.old_path or path} b/{path}", f"--- {old}", f"+++ {new}"]
        before = f"{self.at if self.removed else self.at - 1},{len(self.removed)}"
        after = f"{self.at if self.added else self.at - 1},{len(self.added)}"
        lines.append(f"@@ -{before} +{after} @@")
        lines += [f"-{line}" for line in self.removed]
        lines += [f"+{line}" for line in self.added]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class DemoChange:
    """One change of the demo's review system.

    Attributes:
        message: the whole commit message with its footers.
        parent: number of the change below it in its relation chain.
        included_in: branches that contain it beside its own, which is told once it is merged.
        labels: label to the votes on it.
        updated: the last time something happened to it, as Gerrit writes times.
        topic: what groups it with others; "" if nothing.
        authored: when its author made it; every landing of one change has the same. Where it is ""
            the Change-Id tells some hour.
    """

    number: int
    project: str
    branch: str
    change_id: str
    message: str
    files: dict[str, DemoFile] = field(default_factory=dict)
    owner: str = "ada"
    uploader: str = ""
    status: Status = "NEW"
    work_in_progress: bool = False
    labels: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {"Code-Review": (1,), "Verified": (2,)}
    )
    parent: int | None = None
    included_in: tuple[str, ...] = ()
    patch_set: int = 1
    updated: str = "2026-11-23 09:00:00.000000000"
    topic: str = ""
    authored: str = ""

    @property
    def subject(self) -> str:
        """The first line of its message."""
        return self.message.partition("\n")[0]

    @property
    def sha(self) -> str:
        """The commit of its current patch set: another one for every patch set."""
        return named_sha(f"{self.number}/{self.patch_set}")

    @property
    def branches(self) -> list[str]:
        """The branches that contain it."""
        own = {self.branch} if self.status == "MERGED" else set()
        return sorted(own | set(self.included_in))

    @property
    def diff(self) -> str:
        """Its unified diff."""
        return "".join(file.diff(path) for path, file in self.files.items())


def named_sha(name: str) -> str:
    """Return the commit that a name always gets."""
    return hashlib.sha256(name.encode()).hexdigest()[:40]


OLD = "1.47.0-wmf.29"  # live on group1 and group2
NEW = "1.47.0-wmf.30"  # live on group0
OCTOBER = "1.27.0-wmf.3"  # live everywhere on 26 October 2015

CONFIG = "operations/mediawiki-config"
_NO_REVIEW: tuple[int, ...] = ()


def change_id_of(name: str) -> str:
    """Return the Change-Id of a made-up change."""
    return "I" + named_sha(f"change {name}")


def _october() -> Iterator[DemoChange]:
    reviewed: dict[str, tuple[int, ...]] = {"Code-Review": (2,), "Verified": (2,)}
    pairs = (
        (
            ("mediawiki/extensions/CirrusSearch", "I46d3784514155af27b407d78be567c291042fa86"),
            (247888, 246376, "2015-10-14 02:59:57.000000000"),
            (
                "Remove the Search schema and its logging module\n\n"
                "Both live in WikimediaEvents from now on."
            ),
            {
                "includes/Hooks.php": DemoFile(
                    removed=(
                        "\tpublic static function onEventLoggingRegisterSchemas( &$schemas ) {",
                        "\t\t$schemas['Search'] = 12057910;",
                        "\t\treturn true;",
                        "\t}",
                    ),
                    at=640,
                ),
                "CirrusSearch.php": DemoFile(
                    removed=(
                        "$wgHooks['EventLoggingRegisterSchemas'][] =",
                        "\t'CirrusSearch\\\\Hooks::onEventLoggingRegisterSchemas';",
                    ),
                    at=812,
                ),
            },
        ),
        (
            ("mediawiki/extensions/WikimediaEvents", "I90d5c30a19c26ee240a37d036efdd49468da113f"),
            (247889, 247700, "2015-10-14 03:19:29.000000000"),
            "Take over the Search schema",
            {
                "WikimediaEvents.php": DemoFile(
                    added=(
                        "\t'schema.Search' => array(",
                        "\t\t'class' => 'ResourceLoaderSchemaModule',",
                        "\t\t'schema' => 'Search',",
                        "\t\t'revision' => 11670541,",
                        "\t),",
                    ),
                    at=96,
                )
            },
        ),
    )
    for (project, change_id), (pick, master, authored), text, files in pairs:
        message = f"{text}\n\nBug: T115031\nChange-Id: {change_id}\n"
        whole = DemoChange(
            master,
            project,
            "master",
            change_id,
            message,
            files,
            labels=reviewed,
            authored=authored,
        )
        yield replace(whole, status="MERGED", updated="2015-10-21 17:54:00.000000000")
        yield replace(
            whole, number=pick, branch=f"wmf/{OCTOBER}", updated="2015-10-26 20:00:00.000000000"
        )


@dataclass(frozen=True)
class _Fix:
    """A code change in master with its cherry-picks.

    Attributes:
        name: makes its Change-Id.
        master: number and status in master; None where it was never proposed there.
        picks: version to number.
        contained: versions that have had it since they were cut.
    """

    name: str
    project: str
    text: str
    files: dict[str, DemoFile]
    master: tuple[int, Status]
    picks: dict[str, int]
    footers: str = ""
    owner: str = "ada"
    labels: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {"Code-Review": (1,), "Verified": (2,)}
    )
    contained: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()

    def changes(self) -> Iterator[DemoChange]:
        """Return the change in master and its cherry-picks."""
        number, status = self.master
        change_id = change_id_of(self.name)
        needed = "".join(f"Depends-On: {change_id_of(name)}\n" for name in self.depends_on)
        message = f"{self.text}\n\n{self.footers}{needed}Change-Id: {change_id}\n"
        whole = DemoChange(
            number, self.project, "master", change_id, message, self.files, owner=self.owner
        )
        merged = status == "MERGED"
        yield replace(
            whole,
            status=status,
            labels={"Code-Review": (2,) if merged else (1,), "Verified": (2,)},
            included_in=tuple(f"wmf/{version}" for version in self.contained),
        )
        picked = message.rstrip("\n") + f"\n(cherry picked from commit {whole.sha})\n"
        for version, pick in self.picks.items():
            yield replace(
                whole,
                number=pick,
                branch=f"wmf/{version}",
                message=picked,
                labels=self.labels,
            )


def _config(  # noqa: PLR0913 a change has that many sides
    number: int,
    name: str,
    text: str,
    files: dict[str, DemoFile],
    *,
    footers: str = "",
    depends_on: tuple[str, ...] = (),
    owner: str = "rae",
    status: Status = "NEW",
    work_in_progress: bool = False,
    votes: tuple[tuple[int, ...], tuple[int, ...]] = ((1,), (2,)),
    parent: int | None = None,
) -> DemoChange:
    needed = "".join(f"Depends-On: {change_id_of(name)}\n" for name in depends_on)
    change_id = change_id_of(name)
    return DemoChange(
        number,
        CONFIG,
        "master",
        change_id,
        f"{text}\n\n{footers}{needed}Change-Id: {change_id}\n",
        files,
        owner=owner,
        status=status,
        work_in_progress=work_in_progress,
        labels={"Code-Review": votes[0], "Verified": votes[1]},
        parent=parent,
    )


def _setting(*lines: str, at: int, removed: tuple[str, ...] = ()) -> dict[str, DemoFile]:
    """Return a change of the settings of all wikis."""
    file = DemoFile(removed=removed, added=tuple(f"\t{line}" for line in lines), at=at)
    return {"wmf-config/InitialiseSettings.php": file}


_FIXES = (
    _Fix(
        "toolbar-focus",
        "mediawiki/extensions/VisualEditor",
        "Give the focus back when the link inspector closes\n\n"
        f"Since {OLD} the cursor jumps to the top of the page after a link was added.",
        {
            "modules/ve-mw/ui/inspectors/ve.ui.MWLinkInspector.js": DemoFile(
                removed=("\tthis.emit( 'inspectorClosed' );",),
                added=(
                    "\tthis.restoreSurfaceFocus();",
                    "\tthis.emit( 'inspectorClosed' );",
                ),
                at=188,
            )
        },
        (1218104, "MERGED"),
        {OLD: 1218340, NEW: 1218341},
        footers="Bug: T431207\n",
    ),
    _Fix(
        "watchlist-seen",
        "mediawiki/core",
        "Watchlist: Count a page as seen after its last edit only\n\n"
        "Pages that were edited twice within a second stayed bold for ever.",
        {
            "includes/watchlist/SeenTimes.php": DemoFile(
                removed=("\t\treturn $seenAt >= $firstEditAt;",),
                added=("\t\treturn $seenAt >= $lastEditAt;",),
                at=73,
            ),
            "tests/phpunit/includes/watchlist/SeenTimesTest.php": DemoFile(
                added=("\tpublic function testTwoEditsInOneSecond() {", "\t}"), at=41
            ),
        },
        (1218012, "MERGED"),
        {OLD: 1218350, NEW: 1218351},
        footers="Bug: T430988\n",
        owner="dev",
    ),
    _Fix(
        "wide-tables",
        "mediawiki/skins/Vector",
        "Let wide tables scroll where the wiki asks for it\n\n"
        "Off until VectorScrollWideTables is set.",
        {
            "includes/WideTables.php": DemoFile(
                added=("\t\tif ( $config->get( 'VectorScrollWideTables' ) ) {", "\t\t}"), at=22
            )
        },
        (1217890, "MERGED"),
        {OLD: 1218360, NEW: 1218361},
        footers="Bug: T429404\n",
    ),
    _Fix(
        "badge-remove",
        "mediawiki/extensions/Echo",
        "Drop the counter of unread messages from the badge\n\n"
        "The counter moves to GrowthExperiments.",
        {
            "extension.json": DemoFile(
                removed=(
                    '\t\t"ext.unreadCounter": {',
                    '\t\t\t"packageFiles": [ "unreadCounter.js" ]',
                    "\t\t},",
                ),
                at=310,
            ),
            "modules/unreadCounter.js": DemoFile(
                removed=("mw.hook( 'unreadCounter.shown' ).fire();",), status="D"
            ),
        },
        (1217701, "MERGED"),
        {NEW: 1218370},
        footers="Bug: T428815\n",
    ),
    _Fix(
        "badge-add",
        "mediawiki/extensions/GrowthExperiments",
        "Show the counter of unread messages on the homepage",
        {
            "extension.json": DemoFile(
                added=(
                    '\t\t"ext.unreadCounter": {',
                    '\t\t\t"packageFiles": [ "homepage/unreadCounter.js" ]',
                    "\t\t},",
                ),
                at=207,
            ),
            "modules/homepage/unreadCounter.js": DemoFile(
                added=("mw.hook( 'unreadCounter.shown' ).fire();",), status="A"
            ),
        },
        (1217702, "MERGED"),
        {NEW: 1218371},
        footers="Bug: T428815\n",
        owner="dev",
    ),
    _Fix(
        "upload-words",
        "mediawiki/extensions/UploadWizard",
        "Say which licences are meant when an upload is refused",
        {
            "i18n/en.json": DemoFile(
                removed=('\t"mwe-upwiz-refused": "Not this licence.",',),
                added=('\t"mwe-upwiz-refused": "Files need a free licence: $1.",',),
                at=96,
            ),
            "i18n/qqq.json": DemoFile(
                added=('\t"mwe-upwiz-refused": "$1 is a list of licences.",',), at=98
            ),
        },
        (1217655, "MERGED"),
        {NEW: 1218380},
        footers="Bug: T430051\n",
    ),
    _Fix(
        "less-library",
        "mediawiki/vendor",
        "Upgrade wikimedia/less.php to 5.5.1\n\nIt builds the mobile style of long pages again.",
        {
            "composer.json": DemoFile(
                removed=('\t\t"wikimedia/less.php": "5.5.0",',),
                added=('\t\t"wikimedia/less.php": "5.5.1",',),
                at=84,
            ),
            "wikimedia/less.php/lib/Less/Version.php": DemoFile(
                removed=("\tpublic const version = '5.5.0';",),
                added=("\tpublic const version = '5.5.1';",),
                at=9,
            ),
        },
        (1217533, "MERGED"),
        {NEW: 1218382},
        footers="Bug: T430660\n",
        owner="dev",
    ),
    _Fix(
        "reading-tips",
        "mediawiki/extensions/ReadingTips",
        "First version: a tip beside long articles",
        {
            "extension.json": DemoFile(
                added=("{", '\t"name": "ReadingTips",', '\t"manifest_version": 2', "}"), status="A"
            ),
            "includes/Tips.php": DemoFile(added=("<?php", "class Tips {", "}"), status="A"),
        },
        (1217410, "MERGED"),
        {NEW: 1218384},
        footers="Bug: T425530\n",
    ),
    _Fix(
        "block-index",
        "mediawiki/core",
        "Add an index for blocks that end soon",
        {
            "sql/mysql/patch-block-expiry-index.sql": DemoFile(
                added=("CREATE INDEX bl_ends_soon ON /*_*/block (bl_expiry, bl_deleted);",),
                status="A",
            )
        },
        (1217288, "MERGED"),
        {NEW: 1218386},
        footers="Bug: T426619\n",
        owner="dev",
    ),
    _Fix(
        "thumbnail-border",
        "mediawiki/extensions/MobileFrontend",
        "Draw no border round thumbnails without a caption",
        {"src/mobile.less": DemoFile(removed=("\tborder: 1px solid;",), at=55)},
        (1218120, "MERGED"),
        {NEW: 1218390},
        footers="Bug: T431015\n",
        labels={"Code-Review": _NO_REVIEW, "Verified": (2,)},
    ),
    _Fix(
        "diff-arrows",
        "mediawiki/core",
        "Diff: Keep the arrows visible on narrow screens",
        {"resources/src/diff.styles.less": DemoFile(added=("\t\tflex-shrink: 0;",), at=31)},
        (1218150, "NEW"),
        {NEW: 1218392},
        footers="Bug: T431190\n",
    ),
    _Fix(
        "captcha-reload",
        "mediawiki/extensions/ConfirmEdit",
        "Load a new picture when the first one has expired",
        {
            "resources/fancyCaptcha.js": DemoFile(
                added=("\t\treloadPicture( expiredToken );",), at=64
            )
        },
        (1218160, "MERGED"),
        {OLD: 1218394},
        footers="Bug: T431262\n",
        owner="dev",
    ),
    _Fix(
        "category-sort",
        "mediawiki/extensions/CategoryTree",
        "Sort subcategories as the category page does",
        {
            "includes/Tree.php": DemoFile(
                removed=("\t\tsort( $names );",), added=("\t\t$this->collate( $names );",), at=140
            )
        },
        (1216980, "MERGED"),
        {OLD: 1218396},
        footers="Bug: T427730\n",
        contained=(NEW,),
    ),
    _Fix(
        "night-mode",
        "mediawiki/skins/MinervaNeue",
        "Offer night mode to readers who are not signed in",
        {"includes/NightMode.php": DemoFile(added=("\t\t// MinervaNightModeForAll",), at=18)},
        (1218170, "MERGED"),
        {},
        footers="Bug: T429900\n",
    ),
    _Fix(
        "map-style",
        "mediawiki/extensions/Kartographer",
        "Ask for map tiles in the style that the wiki has chosen",
        {
            "includes/Tiles.php": DemoFile(
                added=("\t\t$style = $config->get( 'KartographerTileStyle' );",), at=47
            )
        },
        (1217120, "MERGED"),
        {NEW: 1218402},
        footers="Bug: T428101\n",
        depends_on=("map-server",),
    ),
    _Fix(
        "quiz-scores",
        "mediawiki/extensions/Quiz",
        "Keep scores of quizzes for a day",
        {"includes/Scores.php": DemoFile(added=("\t\t$this->keepForHours( 24 );",), at=12)},
        (1216700, "ABANDONED"),
        {},
        footers="Bug: T424001\n",
    ),
)

_LONG_TITLE = (
    "Allow editors of the Wikipedias in Breton, Cornish, Manx, Welsh, Irish and Scottish Gaelic to "
    "patrol new pages, mark edits of bots as seen, and move files that nobody else has moved "
    "in the last months"
)

_SETTINGS = (
    _config(
        1218301,
        "portal-namespace",
        "Give nnwiki a Portal namespace",
        _setting("'wgExtraNamespaces' => [ 'nnwiki' => [ 100 => 'Portal' ] ],", at=2410),
        footers="Bug: T430412\n",
    ),
    _config(
        1218302,
        "beta-logging",
        "Beta: Log slow parses",
        {
            "wmf-config/InitialiseSettings-labs.php": DemoFile(
                added=("\t'wmgLogSlowParses' => [ 'default' => true ],",), at=320
            )
        },
        owner="dev",
    ),
    _config(
        1218303,
        "wide-tables-on",
        "Let wide tables scroll on the Wikivoyages",
        _setting("'wgVectorScrollWideTables' => [ 'wikivoyage' => true ],", at=5120),
        footers="Bug: T429404\n",
        depends_on=("wide-tables",),
        owner="ada",
    ),
    _config(
        1218304,
        "logo-files",
        "Add the anniversary logo of the Latvian Wikipedia",
        {
            "static/images/project-logos/lvwiki-anniversary.svg": DemoFile(
                added=("<svg/>",), status="A"
            )
        },
        footers="Bug: T430777\n",
    ),
    _config(
        1218305,
        "logo-use",
        "Show the anniversary logo of the Latvian Wikipedia",
        {
            "logos/config.yaml": DemoFile(
                added=("  lvwiki:", "    variants: [ anniversary ]"), at=611
            )
        },
        footers="Bug: T430777\n",
        parent=1218304,
    ),
    _config(
        1218306,
        "rate-limit",
        "Limit account creation by class rooms to 50 a day",
        _setting("'wgAccountCreationThrottle' => [ 'default => 50 ],", at=880),
        footers="Bug: T431033\n",
        votes=((1,), (-1,)),
    ),
    _config(
        1218307,
        "flow-off",
        "Make the old talk boards read-only",
        _setting("'wgBoardsReadOnly' => [ 'default' => true ],", at=3377),
        footers="Bug: T423334\n",
        work_in_progress=True,
        votes=(_NO_REVIEW, (2,)),
        owner="dev",
    ),
    _config(
        1218308,
        "night-mode-on",
        "Offer night mode to all readers of the Wikipedias",
        _setting("'wgMinervaNightModeForAll' => [ 'wikipedia' => true ],", at=5230),
        footers="Bug: T429900\n",
        depends_on=("night-mode",),
        owner="ada",
    ),
    _config(
        1218309,
        "map-server",
        "Use the new tile server for maps",
        _setting("'wgKartographerTileStyle' => [ 'default' => 'soft' ],", at=4080),
        footers="Bug: T428101\n",
        depends_on=("map-style",),
    ),
    _config(
        1218310,
        "quiz-scores-on",
        "Keep quiz scores on the Wikiversities",
        _setting("'wgQuizKeepScores' => [ 'wikiversity' => true ],", at=4466),
        footers="Bug: T424001\n",
        depends_on=("quiz-limit",),
    ),
    _config(
        1216702,
        "quiz-limit",
        "Limit how many quiz scores are kept",
        _setting("'wgQuizMostScores' => [ 'default' => 100 ],", at=4460),
        footers="Bug: T424001\n",
        depends_on=("quiz-scores",),
        status="ABANDONED",
    ),
    _config(
        1218311,
        "celtic-patrol",
        _LONG_TITLE,
        _setting("'celtic' => [ 'patrol' => true, 'movefile' => true ],", at=7301),
        footers="Bug: T430123\n",
    ),
    _config(
        1218312,
        "survey-banner",
        "Show the readers' survey on the Catalan Wikipedia",
        _setting("'wgQuickSurveysConfig' => [ 'cawiki' => [ 'readers-2026' ] ],", at=6120),
        footers="Bug: T430909\n",
        depends_on=("a change that was never pushed",),
        owner="dev",
    ),
    _config(
        1218313,
        "sitename-gu",
        "Correct the name of the Gujarati Wikisource",
        _setting("'wgSitename' => [ 'guwikisource' => 'વિકિસ્રોત' ],", at=1530),
        footers="Bug: T430950\n",
    ),
    _config(
        1218314,
        "upload-size",
        "Allow larger video files on Commons",
        _setting("'wgMaxUploadSize' => [ 'commonswiki' => 5368709120 ],", at=1990),
        footers="Bug: T430961\n",
        owner="dev",
    ),
    _config(
        1218316,
        "rehearsal-namespace",
        "Give the Welsh Wikibooks a namespace for cookbooks",
        _setting("'wgExtraNamespaces' => [ 'cywikibooks' => [ 102 => 'Coginio' ] ],", at=2410),
        footers="Bug: T430970\n",
    ),
    _config(
        1218317,
        "rehearsal-subpages",
        "Let that namespace have subpages",
        _setting("'wgNamespacesWithSubpages' => [ 'cywikibooks' => [ 102 => true ] ],", at=2620),
        footers="Bug: T430970\n",
        depends_on=("rehearsal-namespace",),
    ),
    _config(
        1218318,
        "rehearsal-timezone",
        "Show local time on the Basque Wikinews",
        _setting("'wgLocaltimezone' => [ 'euwikinews' => 'Europe/Madrid' ],", at=2790),
        footers="Bug: T430982\n",
    ),
)

CHANGES: tuple[DemoChange, ...] = (
    *_october(),
    *(change for fix in _FIXES for change in fix.changes()),
    *_SETTINGS,
    DemoChange(
        1218315,
        "mediawiki/tools/code-utils",
        "master",
        change_id_of("stylize"),
        f"Stylize: Keep blank lines between methods\n\nChange-Id: {change_id_of('stylize')}\n",
        {"stylize.php": DemoFile(added=("\t\t$this->blankLines = true;",), at=30)},
        owner="dev",
    ),
)
"""Every change that the demo's review system has."""

SITUATIONS: dict[str, int] = {
    "october_remove": 247888,  # CirrusSearch, must go first
    "october_add": 247889,  # WikimediaEvents: alone it breaks every page
    "regression_old": 1218340,  # one fix, picked to both live branches
    "regression_new": 1218341,
    "second_regression_old": 1218350,  # the same, by dev
    "second_regression_new": 1218351,
    "config": 1218301,
    "config_two": 1218313,  # two more that are fine: they fill the window until it overflows
    "config_three": 1218314,
    "rehearsal_first": 1218316,  # the window to rehearse in: the second needs the first
    "rehearsal_then": 1218317,
    "rehearsal_other": 1218318,
    "beta_config": 1218302,  # takes no slot
    "declared_skin_old": 1218360,  # what the next one needs
    "declared_skin_new": 1218361,
    "declared_config": 1218303,  # Depends-On the skin
    "chain_lower": 1218304,  # a relation chain
    "chain_upper": 1218305,
    "pair_remove": 1218370,  # same Bug in two repositories, nothing declared: a question
    "pair_add": 1218371,
    "l10n": 1218380,
    "vendor": 1218382,
    "new_extension": 1218384,
    "schema_change": 1218386,
    "not_reviewed": 1218390,
    "ci_failed": 1218306,
    "work_in_progress": 1218307,
    "not_in_master": 1218392,
    "train_would_undo": 1218394,  # picked to OLD only; NEW lacks it
    "train_soon": 1218396,  # picked to OLD; NEW has had it since its cut
    "not_in_live": 1218308,  # needs what is merged in master only
    "cycle_one": 1218402,  # these two depend on each other
    "cycle_two": 1218309,
    "abandoned": 1216702,
    "needs_abandoned": 1218310,
    "long_title": 1218311,
    "unknown_dependency": 1218312,
    "on_master": 1218104,  # a fix in master itself, which no wiki runs
    "not_deployable": 1218315,  # a project that no wiki runs
}
"""What each situation's change is: the demo books them by these names."""
