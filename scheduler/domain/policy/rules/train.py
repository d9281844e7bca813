"""Train or window: what the weekly train carries better."""

from scheduler.domain.backports import Kind, Mark, Urgency
from scheduler.domain.changes import FileStatus
from scheduler.domain.policy.facts import Facts, Objection
from scheduler.domain.policy.findings import Level, Place
from scheduler.domain.policy.rules.rule import Concern, Rule
from scheduler.domain.production import Arrival

_SEVERAL = 2
_MANY = 3
_MANIFESTS = frozenset({"extension.json", "skin.json"})


def new_extension(facts: Facts) -> Objection | None:
    """New extension code MUST ride the train before it is enabled: its messages are built there."""
    change = facts.change
    if not change.is_code:
        return None
    added = any(
        file.status is FileStatus.ADDED and file.path in _MANIFESTS for file in change.files
    )
    if not added and Mark.NEW_EXTENSION not in facts.backport.marks:
        return None
    return Objection("It is a new extension: its code rides the train before it is enabled.")


def l10n(facts: Facts) -> Objection | None:
    """Localisation SHOULD ride the train: in a window it costs the long build."""
    if not facts.change.touches_l10n:
        return None
    extra = facts.surroundings.numbers.l10n_extra_minutes
    return Objection(
        f"It touches i18n/ or languages/: in a window that costs {extra} more minutes; "
        "without those files it could go as it is."
    )


def vendor(facts: Facts) -> Objection | None:
    """Library upgrades SHOULD ride the train."""
    if facts.change.project != "mediawiki/vendor":
        return None
    return Objection("It changes mediawiki/vendor, which should ride the train.")


def coupled_set(facts: Facts) -> Objection | None:
    """Several commits across many branched repositories SHOULD ride the train together."""
    change = facts.change
    if not change.is_code or not change.is_on_release:
        return None
    repositories = {member.project for member in facts.coupled}
    if len(repositories) < _SEVERAL:
        return None
    others = tuple(m.number for m in facts.coupled if m.key != change.key)
    counted = f"{len(facts.coupled)} coupled changes in {len(repositories)} repositories"
    if len(repositories) >= _MANY or len(facts.coupled) >= _MANY:
        return Objection(f"It is one of {counted}: the train carries them all at once.", others)
    return Objection(
        f"It is one of {counted}; the train would carry both at once.", others, warns_only=True
    )


def train_arrives_first(facts: Facts) -> Objection | None:
    """What the train brings soon anyway should wait for it, unless it is urgent.

    Soon is a day; a week where changes of several repositories hang together.
    """
    if not facts.change.is_code or facts.backport.urgency < Urgency.NORMAL:
        return None
    arrival = facts.arrival
    if arrival is None or not any(s.is_merged and s.is_on_main for s in facts.siblings):
        return None
    numbers = facts.surroundings.numbers
    across = bool(facts.questions) or facts.crosses_repositories
    hours = numbers.coupled_train_horizon_hours if across else numbers.train_horizon_hours
    wait = (arrival.complete_at - facts.surroundings.window.start).total_seconds() / 3600
    if wait > hours:
        return None
    return Objection(
        f"{arrival.version} brings it anyway, by {arrival.complete_at:%d %b %H:%M} UTC "
        f"({told_arrival(arrival)}): within {hours} h of the window it can wait for the train."
    )


def told_arrival(arrival: Arrival) -> str:
    """Return the time per group in words, UTC."""
    return ", ".join(f"{group} {at:%d %b %H:%M}" for group, at in arrival.groups.items())


def not_a_regression(facts: Facts) -> Objection | None:
    """Windows are for regressions first."""
    if not facts.change.is_code or facts.backport.kind is Kind.REGRESSION:
        return None
    return Objection("It is not a regression fix: say why it cannot wait for the train.")


_TRAIN_VS_BACKPORT = "Deployments/Train vs backport (Wikitech)"

RULES = (
    Rule(
        "new-extension",
        Level.MUST,
        Place.TRAIN,
        "A new extension or skin: marked so, or its manifest is added.",
        "Let the code ride the train, then enable it by configuration.",
        _TRAIN_VS_BACKPORT,
        new_extension,
        Concern.TRAIN,
    ),
    Rule(
        "l10n",
        Level.SHOULD,
        Place.TRAIN,
        "A path has a directory named i18n or languages.",
        "Leave the message files out, or have a reviewer take on the long build.",
        f"{_TRAIN_VS_BACKPORT}; scap backport, check 4",
        l10n,
        Concern.TRAIN,
    ),
    Rule(
        "vendor",
        Level.SHOULD,
        Place.TRAIN,
        "The project is mediawiki/vendor.",
        "Have a reviewer say why it cannot wait.",
        _TRAIN_VS_BACKPORT,
        vendor,
        Concern.TRAIN,
    ),
    Rule(
        "coupled-set",
        Level.SHOULD,
        Place.TRAIN,
        "It is coupled to changes in 3 or more repositories, or 3 or more changes in 2 or more; "
        "with 2 changes in 2 repositories it only warns.",
        "Deploy fewer changes at once, or have a reviewer take the set on.",
        _TRAIN_VS_BACKPORT,
        coupled_set,
        Concern.TRAIN,
    ),
    Rule(
        "train-arrives-first",
        Level.SHOULD,
        Place.TRAIN,
        "Not urgent, merged in master, and the train brings it to every group within the horizon.",
        "Have a reviewer say why it cannot wait that long, or let it ride.",
        "The post-mortem of October 2015: why was it not part of the train?",
        train_arrives_first,
        Concern.TRAIN,
    ),
    Rule(
        "not-a-regression",
        Level.MAY,
        Place.QUEUE,
        "Code, and the stated kind is not regression.",
        "Nothing needs to change; the answer why it cannot wait stands beside it.",
        "Backport windows (Wikitech)",
        not_a_regression,
        Concern.TRAIN,
    ),
)
