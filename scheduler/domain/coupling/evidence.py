"""What speaks for a coupling between two changes, in points (`reference/ordering.md`, part B).

Each piece can be checked by a person in seconds: a sentence, and where it stands on both sides.
From five points on somebody is asked. The weights were set with declared dependencies of the
years before 2024 (`docs/coupling.md`).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import combinations, islice, product

from scheduler.domain.changes import Change, short_project
from scheduler.domain.coupling.identifiers import Place
from scheduler.domain.coupling.rarity import Rarity
from scheduler.domain.coupling.traits import Spot, Traits, words_of
from scheduler.domain.coupling.unique import UniqueNames, unique_name

SAME_BUG_POINTS = 5
SAME_TOPIC_POINTS = 5  # not in git, so that it could not be measured: as a task
MENTION_POINTS = 5
DEFINES_POINTS = 3
MOVED_POINTS = 3
SAME_LINES_POINTS = 2
GIVEN_UP_POINTS, UNIQUE_POINTS = 2, 3
STOPS_USING_POINTS = 3
GONE_POINTS = 3
BOTH_DEFINE_POINTS = 3
BOTH_CHANGE_POINTS = 3
SAME_AUTHOR_POINTS, AT_ONCE_POINTS = 1, 4
ASK_FROM = 5
ASK_ACROSS_FROM = 8  # of another window, or the train: many more pairs are looked at

# How rare something has to be (`Rarity`): 5.7 is one change in 300, 7.2 one in 1,340.
UNCOMMON, RARE, RAREST = 5.7, 7.2, 8.7
UNCOMMON_SAID = 6.2  # a name of a diff, in the message of the other change
RARE_WORD, UNCOMMON_WORD = 7.2, 5.2
AT_ONCE = timedelta(hours=2)  # between two changes that one person wrote at once
FEWEST_MOVED, FEWEST_SAME, SEVERAL = 5, 3, 3
MOST_NAMED = 200  # names that a piece keeps
MOST_PLACED = 5  # of those, or lines: that are shown in the diffs
MOST_SHARING = 8  # changes of one window with one name, word or line: more, and it says nothing
MOST_OF_AUTHOR = 40  # changes of one window that one person wrote: the same
MOST_SHARED = 200  # names of two changes that are looked at, in the order of the one's diff

# What each kind of evidence says, and its points.
KINDS: Mapping[str, tuple[str, str]] = {
    "same-bug": ("both name the same task", "5"),
    "same-topic": ("Gerrit has both under one topic", "5"),
    "mention": ("one message names the other change, also by the start of its Change-Id", "5"),
    "defines-what-other-uses": ("one defines a name that the other starts to use", "3"),
    "both-define": ("both define a rare name", "3"),
    "both-change": ("both change what a rare name is", "3"),
    "uses-what-is-gone": ("one starts to use a rare name that the other gives up", "3"),
    "given-up-and-taken-over": (
        "one gives up a rare name that the other defines; or a name that only one may have",
        "2 or 3",
    ),
    "stops-using": ("one stops using a rare name that the other gives up", "3"),
    "moved": ("at least five lines, or a file, leave the one and come in the other", "3"),
    "same-lines": ("both add, or both remove, the same three lines", "2"),
    "rare-name": ("both name what few changes name", "1 to 3"),
    "name-in-message": ("the message of the one says a rare name of the other's diff", "1"),
    "shared-words": ("both messages say what few messages say", "1 to 3"),
    "project-in-message": ("the message of the one names the project of the other", "1"),
    "same-author": (
        "one person wrote both, or both within two hours; alone it asks nothing",
        "1 or 4",
    ),
}

_SHORTEST_MENTION = 8
# The name of a project that is no word like others, such as core.
_TELLING = re.compile(r"(?=.*[A-Z-])[A-Za-z0-9._-]+")

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where a piece of evidence stands.

    Attributes:
        line: in the new file or, if the change removes it, in the old one; 0 is all of the file.
        sign: `+`, `-` where the change removes it, "" where that is not known.
    """

    change: int
    path: str
    line: int
    sign: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that speaks for a coupling.

    Attributes:
        kind: such as `same-bug`.
        points: its weight.
        text: the sentence a person can check.
        names: what the two have in common.
        places: where it stands in the diffs, on both sides; none of what messages say.
    """

    kind: str
    points: int
    text: str
    names: tuple[str, ...]
    places: tuple[Sighting, ...] = ()


@dataclass(frozen=True, slots=True)
class Sides:
    """Two changes that are compared; the one with the smaller number is `one`."""

    one: Change
    other: Change
    ones: Traits
    others: Traits

    def turned(self) -> "Sides":
        """Return the same from the other side."""
        return Sides(self.other, self.one, self.others, self.ones)

    def both_ways(self) -> "tuple[Sides, Sides]":
        """Return it from either side."""
        return self, self.turned()

    def apart(self) -> timedelta | None:
        """Return how much later the other was written than the one, None if it is not known."""
        if self.one.authored_at is None or self.other.authored_at is None:
            return None
        return self.other.authored_at - self.one.authored_at


def evidence_of(sides: Sides, rarity: Rarity) -> Iterator[Evidence]:
    """Yield what the diffs and messages of two changes say for a coupling; neither is aside."""
    for find in _FINDERS:
        yield from find(sides, rarity)


def _defines(sides: Sides, rarity: Rarity) -> Iterator[Evidence]:
    """One defines what the other starts to use; or both define it."""
    for here in sides.both_ways():
        where = here.ones.names.defined, here.others.names.used
        names = _rarest(*where, rarity, UNCOMMON)
        if only := [name for name in names if name not in here.others.names.defined]:
            deeds = "defines", "starts to use"
            yield _crossing("defines-what-other-uses", DEFINES_POINTS, deeds, only, here, where)
            return
    where = sides.ones.names.defined, sides.others.names.defined
    unique = {name: one for name in where[0].keys() & where[1] if (one := unique_name(name))}
    if names := [*sorted(unique), *_rarest(*where, rarity, UNCOMMON)]:
        names, once = list(dict.fromkeys(names)), _once(unique[names[0]]) if unique else ""
        text = f"both define {_told(names, where[0])}{once}"
        yield _evidence("both-define", BOTH_DEFINE_POINTS, text, names, sides, where)


def _once(told: UniqueNames) -> str:
    return f"; only one may have {told.what}: {told.why}"


def _gone(sides: Sides, rarity: Rarity) -> Iterator[Evidence]:
    """One starts to use what the other gives up: once both are live, that fails."""
    for here in sides.both_ways():
        where = here.ones.names.used, here.others.names.given_up
        names = [
            name for name in _rarest(*where, rarity, RARE) if name not in here.ones.names.defined
        ]
        if names:
            deeds = "starts to use", "gives up"
            yield _crossing("uses-what-is-gone", GONE_POINTS, deeds, names, here, where)
            return


def _changed(sides: Sides, rarity: Rarity) -> Iterator[Evidence]:
    """Both define a name otherwise than before: the two ends of an interface."""
    where = sides.ones.names.changed, sides.others.names.changed
    if names := _rarest(*where, rarity, RARE):
        text = f"both change what {_told(names, where[0])} is"
        yield _evidence("both-change", BOTH_CHANGE_POINTS, text, names, sides, where)


def _given_up(sides: Sides, rarity: Rarity) -> Iterator[Evidence]:
    """One gives up what the other defines; a name that only one may have counts however common."""
    for here in sides.both_ways():
        where = here.ones.names.given_up, here.others.names.defined
        both = (where[0].keys() & where[1]) - rarity.ignored
        unique = {name: one for name in both if (one := unique_name(name))}
        rare = [name for name in _rarest(*where, rarity, RARE) if name not in unique]
        if names := [*sorted(unique), *rare]:
            deeds, points, once = ("gives up", "defines"), GIVEN_UP_POINTS, ""
            if unique:
                points, once = UNIQUE_POINTS, _once(unique[names[0]])
            found = _crossing("given-up-and-taken-over", points, deeds, names, here, where)
            yield replace(found, text=found.text + once)
            return


def _stops_using(sides: Sides, rarity: Rarity) -> Iterator[Evidence]:
    """One stops using what the other gives up."""
    for here in sides.both_ways():
        where = here.ones.names.dropped, here.others.names.given_up
        if names := _rarest(*where, rarity, RARE):
            deeds = "stops using", "gives up"
            yield _crossing("stops-using", STOPS_USING_POINTS, deeds, names, here, where)
            return


def _moved(sides: Sides, _rarity: Rarity) -> Iterator[Evidence]:
    """Lines leave the one and come in the other, or both change the same lines in the same way."""
    for here in sides.both_ways():
        left, came = here.ones.removed, here.others.added
        if len(lines := left.keys() & came.keys()) >= FEWEST_MOVED:
            text = f"{len(lines)} lines leave {here.one} and come in {here.other}"
            yield Evidence("moved", MOVED_POINTS, text, (), _spots(here, left, came, lines))
            return
        if files := sorted(here.ones.left.keys() & here.others.came.keys()):
            paths = here.ones.left[files[0]], here.others.came[files[0]]
            more = f" and {len(files) - 1} more" if len(files) > 1 else ""
            text = f"`{paths[0]}`{more} leaves {here.one} and comes in {here.other} as it is"
            places = (
                Sighting(here.one.number, paths[0], 0),
                Sighting(here.other.number, paths[1], 0),
            )
            yield Evidence("moved", MOVED_POINTS, text, (), places)
            return
    for mine, theirs, deed in (
        (sides.ones.added, sides.others.added, "add"),
        (sides.ones.removed, sides.others.removed, "remove"),
    ):
        if len(lines := mine.keys() & theirs.keys()) >= FEWEST_SAME:
            text = f"{sides.one} and {sides.other} {deed} the same {len(lines)} lines"
            yield Evidence(
                "same-lines", SAME_LINES_POINTS, text, (), _spots(sides, mine, theirs, lines)
            )
            return


def _rare_name(sides: Sides, rarity: Rarity) -> Iterator[Evidence]:
    """Both name what few changes name, or the message of the one names what the other touches."""
    mine, theirs = sides.ones.names.anywhere, sides.others.names.anywhere
    if names := _rarest(mine, theirs, rarity, UNCOMMON):
        is_rarest = rarity.of_name(names[0]) >= RAREST
        are_several = len(names) >= SEVERAL and rarity.of_name(names[SEVERAL - 1]) >= RARE
        few = "hardly any change names" if is_rarest else "few changes name"
        text = f"both name {_told(names, mine)}, which {few}"
        yield _evidence(
            "rare-name", 1 + is_rarest + are_several, text, names, sides, (mine, theirs)
        )
    for here in sides.both_ways():
        said = here.ones.words & here.others.names.anywhere.keys()
        if rare := sorted(name for name in said if rarity.of_name(name) >= UNCOMMON_SAID):
            where = here.others.names.anywhere
            text = (
                f"the message of {here.one} says {_told(rare, where)}, which stands in {here.other}"
            )
            places = tuple(_sighting(here.other, where[name]) for name in rare[:MOST_PLACED])
            yield Evidence("name-in-message", 1, text, tuple(rare[:MOST_NAMED]), places)
            return


def _shared_words(sides: Sides, rarity: Rarity) -> Iterator[Evidence]:
    """Both messages say what few messages say."""
    rare = {word: rarity.of_word(word) for word in sides.ones.words & sides.others.words}
    words = sorted((w for w in rare if rare[w] >= UNCOMMON_WORD), key=lambda w: (-rare[w], w))
    points = 0
    if words and rare[words[0]] >= RARE_WORD:
        points += 1
    if len(words) > 1:
        points += 1
    subject = (sides.ones.subject & sides.others.subject) - rarity.ignored
    if len(subject) > 1:
        points += 1
    if points:
        said = words or sorted(subject)
        told = " and ".join(f"“{word}”" for word in said[:SEVERAL])
        yield Evidence(
            "shared-words", points, f"both messages say {told}", tuple(said[:MOST_NAMED])
        )


def _same_author(sides: Sides, _rarity: Rarity) -> Iterator[Evidence]:
    """One person wrote both; alone it says nothing, beside other evidence it does."""
    author = author_of_both(sides)
    if not author:
        return
    text, points = f"{author} wrote both", SAME_AUTHOR_POINTS
    apart = sides.apart()
    if apart is not None and abs(apart) <= AT_ONCE:
        text, points = f"{text} within two hours", AT_ONCE_POINTS
    yield Evidence("same-author", points, text, (author,))


def _project(sides: Sides, _rarity: Rarity) -> Iterator[Evidence]:
    """The message of the one names the project of the other."""
    for here in sides.both_ways():
        if names_project(here):
            name = short_project(here.other.project)
            text = f"the message of {here.one} names {name}"
            yield Evidence("project-in-message", 1, text, (name,))
            return


def author_of(change: Change) -> str:
    """Return who wrote a change; its owner where that is not known."""
    return change.author or change.owner


def author_of_both(sides: Sides) -> str:
    """Return who wrote two changes, "" if that is not one person."""
    author = author_of(sides.one)
    return author if author == author_of(sides.other) else ""


def names_project(here: Sides) -> bool:
    """Return whether the message of one names the project of the other, written as it is."""
    name = short_project(here.other.project)
    if not _TELLING.fullmatch(name) or not (words := words_of(name)):
        return False
    return words <= here.ones.words and name in here.one.message


_FINDERS: tuple[Callable[[Sides, Rarity], Iterator[Evidence]], ...] = (
    _defines,
    _gone,
    _changed,
    _given_up,
    _stops_using,
    _moved,
    _rare_name,
    _shared_words,
    _project,
    _same_author,
)


def shared_by(some: Mapping[str, Place], others: Mapping[str, Place]) -> list[str]:
    """Return the names that stand in both, as many as are looked at."""
    return list(islice((name for name in some if name in others), MOST_SHARED))


def _rarest(
    some: Mapping[str, Place], others: Mapping[str, Place], rarity: Rarity, least: float
) -> list[str]:
    """Return the names that stand in both and are rare enough, the rarest first."""
    shared = {name: rarity.of_name(name) for name in shared_by(some, others)}
    rare = [name for name, found in shared.items() if found >= least]
    return sorted(rare, key=lambda name: (-shared[name], name))


def _told(names: Iterable[str], where: Mapping[str, Place]) -> str:
    """Return some names as the change writes them."""
    several = list(names)
    written = [f"`{where[name].written}`" for name in several[:SEVERAL]]
    more = len(several) - len(written)
    return " and ".join(written) + (f" and {more} more" if more else "")


def _crossing(  # noqa: PLR0913, PLR0917 - what a piece is made of
    kind: str,
    points: int,
    deeds: tuple[str, str],
    names: list[str],
    here: Sides,
    where: tuple[Mapping[str, Place], Mapping[str, Place]],
) -> Evidence:
    """Return the evidence that one does something with names, and the other something else."""
    text = f"{here.one} {deeds[0]} {_told(names, where[0])}, which {here.other} {deeds[1]}"
    return _evidence(kind, points, text, names, here, where)


def _evidence(  # noqa: PLR0913, PLR0917 - what a piece is made of
    kind: str,
    points: int,
    text: str,
    names: list[str],
    sides: Sides,
    where: tuple[Mapping[str, Place], Mapping[str, Place]],
) -> Evidence:
    told = names[:MOST_NAMED]
    places = tuple(
        _sighting(change, places[name])
        for change, places in zip((sides.one, sides.other), where, strict=True)
        for name in told[:MOST_PLACED]
    )
    return Evidence(kind, points, text, tuple(where[0][name].written for name in told), places)


def _sighting(change: Change, where: Place | Spot) -> Sighting:
    return Sighting(change.number, where.path, where.line, where.sign)


def _spots(
    sides: Sides, mine: Mapping[int, Spot], theirs: Mapping[int, Spot], lines: Iterable[int]
) -> tuple[Sighting, ...]:
    """Return where the first of some lines stand on both sides."""
    first = sorted(lines, key=lambda line: (mine[line].path, mine[line].line))[:MOST_PLACED]
    return tuple(
        _sighting(change, spots[line])
        for change, spots in ((sides.one, mine), (sides.other, theirs))
        for line in first
    )


def same_bug(by_number: Mapping[int, Change]) -> Iterator[tuple[Pair, Evidence]]:
    """Yield each pair of changes of different projects whose messages name the same task."""
    for pair, tasks in _sharing(by_number, lambda change: change.bugs):
        text = f"both are about {' and '.join(tasks)}"
        yield pair, Evidence("same-bug", SAME_BUG_POINTS, text, tasks)


def same_topic(by_number: Mapping[int, Change]) -> Iterator[tuple[Pair, Evidence]]:
    """Yield each pair of changes of different projects that Gerrit has under one topic.

    A topic that names their task says nothing new.
    """

    def topics_of(change: Change) -> tuple[str, ...]:
        names_task = any(task in change.topic.upper() for task in change.bugs)
        return (change.topic,) if change.topic and not names_task else ()

    for pair, topics in _sharing(by_number, topics_of):
        text = f"both have the topic “{topics[0]}” in Gerrit"
        yield pair, Evidence("same-topic", SAME_TOPIC_POINTS, text, topics)


def _sharing(
    by_number: Mapping[int, Change], values_of: Callable[[Change], Iterable[str]]
) -> Iterator[tuple[Pair, tuple[str, ...]]]:
    """Yield each pair of changes of different projects that share a value, and what they share."""
    having: dict[str, list[int]] = {}
    for number in sorted(by_number):
        for value in values_of(by_number[number]):
            having.setdefault(value, []).append(number)
    shared: dict[Pair, list[str]] = {}
    for value in sorted(having):
        of_project: dict[str, list[int]] = {}
        for number in having[value]:
            of_project.setdefault(by_number[number].project, []).append(number)
        for some, others in combinations(of_project.values(), 2):
            for one, other in product(some, others):
                shared.setdefault((min(one, other), max(one, other)), []).append(value)
    for pair, values in shared.items():
        yield pair, tuple(values)


def mentions(
    by_number: Mapping[int, Change], landings: Mapping[int, tuple[str, ...]]
) -> Iterator[tuple[Pair, Evidence]]:
    """Yield each pair of changes of which one names the other in its message.

    Args:
        by_number: the changes.
        landings: the other Change-Ids under which they landed, where there are any.
    """
    mentioned_by = {n: ids for n in sorted(by_number) if (ids := by_number[n].mentions)}
    if not mentioned_by:
        return
    starting: dict[str, list[tuple[str, Change]]] = {}
    for number in sorted(by_number):
        change = by_number[number]
        for key in (change.key, *landings.get(number, ())):
            starting.setdefault(key[:_SHORTEST_MENTION], []).append((key, change))
    told = set()
    for number, ids in mentioned_by.items():
        for mentioned in ids:
            for key, other in starting.get(mentioned[:_SHORTEST_MENTION], ()):
                low, high = sorted((number, other.number))
                if key.startswith(mentioned) and low != high and (low, high) not in told:
                    told.add((low, high))
                    landed = "" if key == other.key else "another landing of "
                    text = (
                        f"the message of {number} names {mentioned[:10]}, which is {landed}{other}"
                    )
                    yield (low, high), Evidence("mention", MENTION_POINTS, text, (mentioned,))
