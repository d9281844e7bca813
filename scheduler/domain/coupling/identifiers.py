"""What a change defines, uses, gives up and stops using: names in the lines of its diff.

Patterns, not parsers: a line is read by itself, whatever the lines around it say. That is enough
for a question with evidence, and for nothing that would decide by itself (`reference/ordering.md`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from scheduler.domain.coupling.diffs import Line
from scheduler.domain.lazily import lazily

SHORTEST, LONGEST = 4, 80  # characters of a name
MOST_PARTS = 8  # of a name with dots, each of which is a name, too
MOST_NAMES = 4_000  # of one change, each way; a change with more is made by a program


class Language(StrEnum):
    """How a file is read."""

    PHP = "php"
    SCRIPT = "script"
    JSON = "json"
    STYLE = "style"
    YAML = "yaml"
    PYTHON = "python"
    SQL = "sql"
    OTHER = "other"


_LANGUAGES: Mapping[str, Language] = {
    **dict.fromkeys(("php", "inc", "phtml"), Language.PHP),
    **dict.fromkeys(("js", "ts", "vue", "mjs", "jsx", "tsx", "es6"), Language.SCRIPT),
    **dict.fromkeys(("json", "json5"), Language.JSON),
    **dict.fromkeys(("less", "css", "scss"), Language.STYLE),
    **dict.fromkeys(("yaml", "yml"), Language.YAML),
    "py": Language.PYTHON,
    "sql": Language.SQL,
}

# Nothing in production runs them: tests, documentation, what builds or checks. Folders as they are
# written by custom, so that `includes/Features/` of the product is none of them.
_ASIDE = re.compile(
    r"""(?x)
    (?:\A|/)(?:
        tests?|Tests|__tests__|specs?|cypress|selenium|tests?/(?:.*/)?features|qunit|phpunit|jest
        |fixtures?|mocks?|[Dd]ocs?|documentation|demos?|storybook|\.storybook|\.phan|\.github
        |\.vscode|\.ci|jsduck|jsdoc|build|dev-scripts|benchmarks?|node_modules
    )/
    |\.(?:md|txt|rst|(?:test|spec|stories)\.(?:[cm]?[jt]sx?|vue)|feature|lock)\Z
    |(?:\A|/)(?:test_\w+\.py|\w+Test\.php)\Z
    |(?:\A|/)(?i:
        readme|changelog|history|release-?notes|authors|credits|copying|license|code_of_conduct
        |codeowners|composer\.json|package\.json|package-lock\.json|gemfile|rakefile|tox\.ini
        |(?:gruntfile|gulpfile|(?:babel|cypress|eslint|jest|karma|nyc|playwright|postcss|prettier|rollup
        |stylelint|svgo|vite|vitest|vue|wdio|webpack)\.conf(?:ig)?|jest\.setup\w*)(?:\.\w+)?\.[cm]?[jt]s
        |jsdoc\.json|nyc\.config\.json|bundlesize\.config\.json
        |tsconfig(?:\.\w+)?\.json|sonar-project\.properties|pyproject\.toml
        |(?:phpunit|phpcs)\.xml(?:\.dist)?|phpstan(?:-\w+)?\.neon|dockerfile|docker-compose\.ya?ml
        |makefile|\.(?!htaccess)[a-z][a-z0-9_.-]*
    )\Z
    """
)
_SERVED = re.compile(r"(?:\A|/)robots\.txt\Z")
# Made by programs, or brought along from elsewhere: what stands in them is nobody's name.
_MADE = re.compile(
    r"(?:\A|/)(?:vendor|dist|resources/lib|modules/libs?|node_modules)/|(?:\A|/)jquery\.[\w.]+\.js\Z"
    r"|\.min\.(?:js|css)\Z"
    r"|\.(?:svg|png|gif|map|dblist)\Z|(?:\A|/)i18n/(?:.*/)?(?!en\.json\Z|qqq\.json\Z)[^/]*\.json\Z",
    re.IGNORECASE,
)


def is_aside(path: str) -> bool:
    """Return whether a file never runs in production: tests, documentation, build."""
    return _ASIDE.search(path) is not None and not _SERVED.search(path)


def is_made(path: str) -> bool:
    """Return whether a file was made by a program, or is a translation: its names are not read."""
    return _MADE.search(path) is not None


@lru_cache(maxsize=4096)
def is_read(path: str) -> bool:
    """Return whether the lines of a file count: somebody wrote it, and production runs it."""
    return not (is_aside(path) or is_made(path))


@lru_cache(maxsize=4096)
def language_of(path: str) -> Language:
    """Return how a file is read."""
    name = path.rpartition("/")[2].lower()
    return _LANGUAGES.get(name.rpartition(".")[2], Language.OTHER)


_QUOTED = re.compile(r"""(["'])([A-Za-z@$_][\w@$.:\\/|-]{2,79})\1""")
_BARE = re.compile(r"\$?[A-Za-z_]\w{2,79}")
_DOTTED = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]{1,79}){1,7}")
_STYLED = re.compile(r"[.#@]?[A-Za-z_][\w-]{3,79}")
_SELECTED = re.compile(r"[.#][A-Za-z_][\w-]{3,80}")
_BLANKS = re.compile(r"\s{2,}")
_COMMENT = re.compile(r"\s*(?://|/?\*|#(?![A-Za-z_\[-])|<!--)")

_DEFINES: Mapping[Language, tuple[re.Pattern[str], ...]] = {
    Language.PHP: (
        re.compile(r"\bfunction\s+&?\s*(\w{3,80})\s*\("),
        re.compile(
            r"^\s*(?:abstract\s+|final\s+|readonly\s+)*(?:class|interface|trait|enum)\s+(\w{3,80})"
        ),
        re.compile(r"\bconst\s+(?:\w+\s+)?(\w{3,80})\s*="),
        re.compile(r"^\s*case\s+(\w{3,80})\s*(?:=|;)"),
        re.compile(r"^\s*\$(wg\w{2,80})(?:\[[^\]]*\])*\s*(?:\?\?|\.|\+)?=(?![=>])"),
        re.compile(r"""^\s*["']([\w.:-]{3,80})["']\s*=>"""),
        re.compile(r"""\[\s*["']([\w.:-]{3,80})["']\s*\]\s*(?:\?\?|\.|\+)?=(?![=>])"""),
        re.compile(r"""\bdefine\(\s*["'](\w{3,80})["']"""),
        re.compile(
            r"^\s*(?:public|protected|private)\s+(?:static\s+)?(?:readonly\s+)?(?:\??[\w\\|]+\s+)?\$(\w{3,80})"
        ),
    ),
    Language.SCRIPT: (
        re.compile(r"\bfunction\s*\*?\s+(\w{3,80})\s*\("),
        re.compile(r"\b(?:class|interface|enum)\s+(\w{3,80})"),
        re.compile(r"^\s*(?:export\s+)?(?:declare\s+)?type\s+(\w{3,80})(?:<[^>]*>)?\s*="),
        re.compile(r"""^\s*["']?([\w.-]{3,80})["']?\s*:(?!:)"""),
        re.compile(r"""\.(?:prototype|static)\.(\w{3,80})\s*="""),
        re.compile(
            r"^\s*(?:mw|ve|OO|ext|this|window|\$\.fn|exports|module\.exports)(?:\.\w+)*"
            r"\.(\w{3,80})\s*=(?!=)"
        ),
        re.compile(
            r"^\s*(?:static\s+|async\s+|get\s+|set\s+|public\s+|private\s+|protected\s+)*"
            r"(\w{3,80})\s*\([^)]*\)\s*(?::[^{;]+)?\{"
        ),
        re.compile(
            r"^\s*(?:export\s+)?(?:const|let|var)\s+(\w{4,80})\s*=\s*"
            r"(?:\(|function|async|require|\w+\s*=>)"
        ),
        re.compile(r"^\s*export\s+(?:const|let|var)\s+(\w{4,80})\b"),
    ),
    Language.JSON: (re.compile(r"""["']([\w.:@$\\/ -]{3,80})["']\s*:"""),),
    Language.STYLE: (
        re.compile(r"([@$][\w-]{3,80})\s*:"),
        re.compile(r"@mixin\s+([\w-]{3,80})"),
        re.compile(r"(--[\w-]{3,80})\s*:"),
        re.compile(r"^\s*(\.[\w-]{3,80})\s*\("),
    ),
    Language.YAML: (re.compile(r"""^\s*-?\s*["']?([\w.:-]{3,80})["']?\s*:(?:\s|$)"""),),
    Language.PYTHON: (
        re.compile(r"\bdef\s+(\w{3,80})"),
        re.compile(r"\bclass\s+(\w{3,80})"),
        re.compile(r"^([A-Z_]{3,80})\s*="),
        re.compile(r"""^\s*["']([\w.:-]{3,80})["']\s*:"""),
    ),
    Language.SQL: (
        re.compile(
            r"(?i)\bcreate\s+(?:unique\s+)?(?:table|index|view)\s+(?:if\s+not\s+exists\s+)?"
            r"(?:/\*_\*/|[`\"\[])*(\w{3,80})"
        ),
        re.compile(r"(?i)\badd\s+(?:column\s+)?[`\"\[]*(\w{3,80})"),
        re.compile(
            r"(?i)^\s*[`\"\[]?(\w{3,80})[`\"\]]?\s+(?:(?:big|small|tiny|medium)?int|integer|(?:var)?char"
            r"|(?:var)?binary|(?:medium|long|tiny)?(?:text|blob)|timestamp|timestamptz|datetime|float"
            r"|double|real|enum|json)\b"
        ),
    ),
    Language.OTHER: (),
}


# What registers a name without spelling all of it: the hook that makes a module of each schema.
_REGISTERS = re.compile(r"""\$schemas\[\s*["'](\w{2,72})["']\s*\]\s*=""")
_SCHEMA = "schema."


def folded(name: str) -> str:
    """Return a name in the one spelling that may be compared.

    `$wgFoo`, `'Foo'`, `onFoo`, `FooHook` and `.foo` are one: how a language writes a name says
    nothing about what it names.
    """
    bare = name.strip("$@.#-_:/\\ ")
    if bare.startswith(("wg", "wmg")) and len(bare) > SHORTEST:
        rest = bare[2:] if bare.startswith("wg") else bare[3:]
        if rest[:1].isupper():
            bare = rest
    elif bare.startswith("on") and bare[2:3].isupper():
        bare = bare[2:]
    if bare.endswith("Hook") and len(bare) > len("Hook") + SHORTEST:
        bare = bare[: -len("Hook")]
    return bare.replace("\\\\", "\\").lower()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name stands first in a change.

    Attributes:
        line: in the new file or, if the change removes it, in the old one.
        written: the name as it is written there.
        sign: `+`, or `-` where the line is removed.
    """

    path: str
    line: int
    written: str
    sign: str = "+"


Places = dict[str, Place]


@dataclass(frozen=True, eq=False)
class Names:
    """The names of a change, folded; each with the first place where it stands.

    Attributes:
        defined: those that it defines and did not before; given_up: the reverse.
        changed: those that it defines otherwise than before, where the new definition stands.
        used: those that it names and did not before; dropped: the reverse.
    """

    defined: Mapping[str, Place] = field(default_factory=dict)
    given_up: Mapping[str, Place] = field(default_factory=dict)
    changed: Mapping[str, Place] = field(default_factory=dict)
    used: Mapping[str, Place] = field(default_factory=dict)
    dropped: Mapping[str, Place] = field(default_factory=dict)

    @lazily
    def anywhere(self) -> Mapping[str, Place]:
        """Every name that it brings or takes away, with the place that says most."""
        return {**self.changed, **self.dropped, **self.used, **self.given_up, **self.defined}


def names_of(lines: Iterable[Line]) -> Names:
    """Return the names in the lines that a change adds and removes, but for files aside."""
    defined: tuple[Places, Places] = ({}, {})
    used: tuple[Places, Places] = ({}, {})
    for line in lines:
        if not is_read(line.path):
            continue
        language = language_of(line.path)
        side = 0 if line.is_added else 1
        text = _BLANKS.sub(" ", line.text)
        for name in _defined_in(text, language):
            _note(defined[side], name, line)
        if len(used[side]) < MOST_NAMES:
            for name in _named_in(text, language):
                _note(used[side], name, line)
    return Names(
        defined=_without(defined[0], defined[1]),
        given_up=_without(defined[1], defined[0]),
        changed={name: place for name, place in defined[0].items() if name in defined[1]},
        used=_without(used[0], used[1]),
        dropped=_without(used[1], used[0]),
    )


def _note(found: Places, name: str, line: Line) -> None:
    key = folded(name)
    is_name = SHORTEST <= len(key) <= LONGEST and not key.isdigit()
    if is_name and key not in found and len(found) < MOST_NAMES:
        found[key] = Place(line.path, line.number, name, line.sign)


def _without(some: Places, others: Places) -> Places:
    return {name: place for name, place in some.items() if name not in others}


def _defined_in(text: str, language: Language) -> Iterator[str]:
    """Yield the names that a line defines; its blanks are single ones, so that nothing stalls."""
    if _COMMENT.match(text):
        return
    if language is Language.STYLE:
        yield from _selected_in(text)
    for pattern in _DEFINES[language]:
        yield from pattern.findall(text)
    if language is Language.PHP:
        yield from (_SCHEMA + name for name in _REGISTERS.findall(text))


def _selected_in(text: str) -> list[str]:
    """Return the classes and ids of a line of style sheet that begins a rule, or goes on with it.

    By hand: a pattern that looks ahead to the end of the line takes its square.
    """
    line = text.rstrip()
    if not line.endswith(("{", ",")):
        return []
    selector = line[:-1]
    return _SELECTED.findall(selector, max(map(selector.rfind, ";{}()")) + 1)


def _named_in(text: str, language: Language) -> Iterator[str]:
    """Yield every name of a line: quoted ones whole and in parts, and words of the language."""
    for _, quoted in _QUOTED.findall(text):
        yield quoted
        parts = re.split(r"[.:\\/|-]", quoted)
        if 1 < len(parts) <= MOST_PARTS:
            yield from (part for part in parts if len(part) >= SHORTEST)
    if language is Language.STYLE:
        yield from _STYLED.findall(text)
    elif language is not Language.JSON:
        yield from _BARE.findall(text)
    if language is Language.YAML:
        yield from _DOTTED.findall(text)
