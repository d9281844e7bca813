"""Score the detector of undeclared couplings against dependencies that people declared.

Give it git mirrors, and the changes and labelled pairs that were extracted from them: a line of
JSON for each change (repo, sha, change_id, subject, body, author, files) and for each pair (label
`pos` or `neg`, split, a, b; `a` is what `b` depends on). The footers that declare it are cut out
before the detector reads a message. Two baselines run on the same pairs: the same Bug, and one
message that names the other change. A second line leaves out pairs of which one only touches
tests, documentation or the build; the detector asks about none of those. `--learned` lets it see
each pair as an installation would that has counted the names of every change that landed before,
beyond what the table that ships was made from.

Nothing of this is kept: the diffs belong to others.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scheduler.adapters.name_table import shipped_rarity
from scheduler.domain.changes import CONFIG_PROJECT, Change, ChangedFile
from scheduler.domain.coupling.background import Background
from scheduler.domain.coupling.diffs import changed_lines
from scheduler.domain.coupling.identifiers import names_of
from scheduler.domain.coupling.questions import Question, questions
from scheduler.domain.coupling.rarity import Rarity
from scheduler.domain.coupling.traits import Traits, traits_of, words_of

DECLARED = re.compile(r"(?im)^[ \t]*(?:depends-on|needed-by)[ \t]*:.*\n?")
LONGEST_DIFF = 400_000
CONFIG = "operations-mediawiki-config"
TABLE_UNTIL = "2024-01-01"  # the table that ships was made from changes before, but for
HELD = frozenset(
    {
        "CheckUser",
        "IPInfo",
        "CampaignEvents",
        "CommunityConfiguration",
        "Translate",
        "WikibaseLexeme",
    }
)
AT_ONCE = 500  # commits that git tells of in one go
PROJECTS = (
    ("mediawiki-extensions-", "mediawiki/extensions/"),
    ("mediawiki-skins-", "mediawiki/skins/"),
)

Key = tuple[str, str]  # repository and commit


@dataclass
class Score:
    """What came of pairs, by label.

    Attributes:
        asked: how many were asked about; bug, mention: that the baselines would ask about.
        advice: what was advised about the declared ones that were asked about.
        kinds: how many have a kind of evidence.
        points: how many points each has.
    """

    pairs: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    bug: Counter[str] = field(default_factory=Counter)
    mention: Counter[str] = field(default_factory=Counter)
    advice: Counter[str] = field(default_factory=Counter)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    points: Counter[tuple[str, int]] = field(default_factory=Counter)

    def take(self, label: str, question: Question | None) -> None:
        """Count a pair."""
        self.pairs[label] += 1
        found = {one.kind for one in question.evidence} if question else set()
        self.asked[label] += question is not None
        self.points[label, question.points if question else 0] += 1
        self.bug[label] += "same-bug" in found
        self.mention[label] += "mention" in found
        self.kinds.update((label, kind) for kind in found)
        if question is not None and label == "pos":
            self.advice[_advised(question)] += 1

    def reaching(self, label: str, least: int) -> float:
        """Return the share of the pairs of a label that have at least so many points."""
        found = sum(
            n for (its, points), n in self.points.items() if its == label and points >= least
        )
        return found / max(1, self.pairs[label])

    def rate(self, counts: Mapping[str, int], label: str) -> float:
        """Return the share of the pairs of a label."""
        return counts.get(label, 0) / max(1, self.pairs[label])


class Learned:
    """What an installation has counted until some moment, of the names that pairs share.

    Args:
        options: where the mirrors and the changes are.
        traits: those of the pairs; only names that may be shared are counted.
    """

    def __init__(self, options: argparse.Namespace, traits: Mapping[Key, Traits]) -> None:
        self._matter = frozenset(
            text for one in traits.values() for text in (*one.names.anywhere, *one.words)
        )
        self._names: Counter[str] = Counter()
        self._words: Counter[str] = Counter()
        self._rows: list[tuple[str, str, str]] = []
        self._messages: dict[Key, str] = {}
        with options.changes.open() as lines:
            for row in map(json.loads, lines):
                held = row["repo"].rpartition("-")[2] in HELD
                if not row["bot"] and (held or row["merge_date"] >= TABLE_UNTIL):
                    self._rows.append((row["merge_date"], row["repo"], row["sha"]))
                    self._messages[row["repo"], row["sha"]] = row["body"]
        self._rows.sort()
        by_repo: dict[str, list[str]] = defaultdict(list)
        for _, repo, sha in self._rows:
            by_repo[repo].append(sha)
        self._found: dict[Key, frozenset[str]] = {}
        for repo, commits in sorted(by_repo.items()):
            mirror = options.mirrors / f"wikimedia+{repo}" / "repo"
            for begin in range(0, len(commits), AT_ONCE):
                for sha, diff in diffs_of(mirror, commits[begin : begin + AT_ONCE]):
                    names = names_of(changed_lines(diff)).anywhere.keys()
                    self._found[repo, sha] = self._matter.intersection(names)
        self._next = self._seen = 0

    def rarity_at(self, moment: str) -> Rarity:
        """Return how rare names are for an installation at a moment; moments must not go back."""
        while self._next < len(self._rows) and self._rows[self._next][0] < moment:
            _, repo, sha = self._rows[self._next]
            self._next += 1
            self._seen += 1
            self._names.update(self._found.get((repo, sha), ()))
            self._words.update(self._matter & words_of(self._messages[repo, sha]))
        shipped = shipped_rarity()
        return replace(
            shipped,
            changes=shipped.changes + self._seen,
            names=_Sum(shipped.names, self._names),
            words=_Sum(shipped.words, self._words),
        )


class _Sum(Mapping[str, int]):
    """Two counts, added where somebody looks."""

    def __init__(self, shipped: Mapping[str, int], seen: Counter[str]) -> None:
        self._shipped, self._seen = shipped, seen

    def __getitem__(self, text: str) -> int:
        seen = self._seen[text]
        return self._shipped.get(text, 0) + (seen if seen > 1 else 0)

    def __iter__(self) -> Iterator[str]:
        return iter({*self._shipped, *self._seen})

    def __len__(self) -> int:
        return len({*self._shipped, *self._seen})


def _advised(question: Question) -> str:
    if question.advice != "first":
        return question.advice
    return "right" if question.first == 1 else "wrong"


def project_of(repository: str) -> str:
    """Return the path of a mirror's project on the review server."""
    if repository == CONFIG:
        return CONFIG_PROJECT
    for prefix, path in PROJECTS:
        if repository.startswith(prefix):
            return path + repository.removeprefix(prefix)
    return repository


def diffs_of(mirror: Path, commits: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield commits and their diffs."""
    wanted = "\n".join(sorted(commits))
    git = ["git", "-C", str(mirror), "log", "--no-walk=unsorted", "--stdin", "-p", "-M"]
    done = subprocess.run(  # noqa: S603 - no shell, and the path is no option
        [*git, "--no-color", "--no-ext-diff", "--format=%x1e%H%x1d"],
        input=wanted.encode(),
        capture_output=True,
        check=True,
    )
    for record in done.stdout.split(b"\x1e")[1:]:
        commit, _, diff = record.partition(b"\x1d")
        yield commit.decode(), diff[:LONGEST_DIFF].decode("utf-8", "replace").lstrip("\n")


def change_of(row: Mapping[str, Any], diff: str) -> Change:
    """Return a commit as the detector sees a change, without what declares its dependencies."""
    return Change(
        number=0,
        project=project_of(row["repo"]),
        branch="master",
        change_id=row["change_id"],
        subject=row["subject"],
        message=DECLARED.sub("", row["body"]),
        author=row["author"],
        authored_at=datetime.fromisoformat(row["author_date"]),
        files=tuple(ChangedFile(file[0]) for file in row["files"]),
        diff=diff,
    )


def load(
    options: argparse.Namespace, pairs: Iterable[Mapping[str, Any]]
) -> tuple[dict[Key, Mapping[str, Any]], dict[Key, Traits]]:
    """Return the rows of all changes in the pairs, and what the detector works out of each."""
    wanted = {(repo, sha) for pair in pairs for repo, sha in (pair["a"], pair["b"])}
    rows: dict[Key, Mapping[str, Any]] = {}
    with options.changes.open() as lines:
        for row in map(json.loads, lines):
            if (row["repo"], row["sha"]) in wanted:
                rows[row["repo"], row["sha"]] = row
    by_mirror: dict[str, list[str]] = defaultdict(list)
    for repo, sha in rows:
        by_mirror[repo].append(sha)
    traits: dict[Key, Traits] = {}
    begun, read = time.perf_counter(), 0.0
    for repo, commits in sorted(by_mirror.items()):
        for sha, diff in diffs_of(options.mirrors / f"wikimedia+{repo}" / "repo", commits):
            change = change_of(rows[repo, sha], diff)
            at = time.perf_counter()
            traits[repo, sha] = traits_of(change)
            read += time.perf_counter() - at
    print(
        f"{len(traits)} changes: {read / len(traits) * 1e3:.2f} ms each to work out, "
        f"{time.perf_counter() - begun:.0f} s with git"
    )
    return rows, traits


def score(
    pairs: Iterable[Mapping[str, Any]],
    rows: Mapping[Key, Mapping[str, Any]],
    traits: Mapping[Key, Traits],
    show: int,
    learned: Learned | None,
) -> tuple[Score, Score]:
    """Return the score of all pairs, and of those that production sees both of."""
    rarity, all_of_them, in_production = shipped_rarity(), Score(), Score()
    seconds = count = 0.0

    def moment(pair: Mapping[str, Any]) -> str:
        return min(str(rows[repo, sha]["merge_date"]) for repo, sha in (pair["a"], pair["b"]))

    for pair in sorted(pairs, key=moment):
        if learned is not None:
            rarity = learned.rarity_at(moment(pair))
        ends = [(repo, sha) for repo, sha in (pair["a"], pair["b"])]
        if not all(end in traits for end in ends):
            continue
        known = {n: traits[end] for n, end in enumerate(ends, start=1)}
        changes = [_numbered(n, change_of(rows[end], "")) for n, end in enumerate(ends, start=1)]
        begun = time.perf_counter()
        question = next(questions(changes, Background(known, rarity)), None)
        seconds, count = seconds + time.perf_counter() - begun, count + 1
        is_aside = any(one.is_aside for one in known.values())
        all_of_them.take(pair["label"], question)
        if not is_aside:
            in_production.take(pair["label"], question)
        if show and not is_aside and (question is None) == (pair["label"] == "pos"):
            print(pair["label"], pair["a"], pair["b"], *(question.evidence if question else ()))
    print(f"{seconds / max(1, count) * 1e3:.3f} ms a pair")
    return all_of_them, in_production


def _numbered(number: int, change: Change) -> Change:
    object.__setattr__(change, "number", number)
    return change


def print_score(title: str, found: Score) -> None:
    """Print a line for the detector, one for each baseline, and how often it tells a direction."""
    print(f"{title}: {found.pairs['pos']} declared, {found.pairs['neg']} unrelated")
    for name, counts in (
        ("detector", found.asked),
        ("same Bug", found.bug),
        ("mention", found.mention),
    ):
        recall, false = found.rate(counts, "pos"), found.rate(counts, "neg")
        print(f"  {name:<9} recall {recall:.3f}   false positives {false:.4f}")
    reached = (
        f"{least}: {found.reaching('pos', least):.3f}/{found.reaching('neg', least):.4f}"
        for least in range(3, 9)
    )
    print(f"  by points, recall/false positives: {'  '.join(reached)}")
    told = found.advice
    spoke = told["right"] + told["wrong"]
    print(
        f"  direction right in {told['right'] / max(1, spoke):.2f} of {spoke}, which is "
        f"{spoke / max(1, told.total()):.2f} of those asked about; together {told['together']}"
    )


def main() -> int:
    """Score, and print."""
    parser = argparse.ArgumentParser(description="Score the detector of undeclared couplings.")
    for name in ("--mirrors", "--changes", "--pairs"):
        parser.add_argument(name, required=True, type=Path)
    parser.add_argument("--split", nargs="+", default=["dev"], choices=["dev", "time", "repo"])
    parser.add_argument("--show", action="store_true", help="print what it gets wrong")
    parser.add_argument("--learned", action="store_true", help="as an installation that learns")
    options = parser.parse_args()
    with options.pairs.open() as lines:
        pairs = [
            pair
            for pair in map(json.loads, lines)
            if pair["label"] in {"pos", "neg"} and pair["split"] in options.split
        ]
    rows, traits = load(options, pairs)
    for split in options.split:
        chosen = [pair for pair in pairs if pair["split"] == split]
        learned = Learned(options, traits) if options.learned else None
        every, production = score(chosen, rows, traits, options.show, learned)
        print_score(f"{split}, all", every)
        print_score(f"{split}, production on both sides", production)
        for kind in sorted({kind for _, kind in production.kinds}):
            print(
                f"  {kind:<26}{production.kinds['pos', kind]:>5} declared"
                f"{production.kinds['neg', kind]:>5} unrelated"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
