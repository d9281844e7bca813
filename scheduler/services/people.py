"""Accounts: who has which role, whose second account is whose, and what people say of themselves.

Whoever looks after people does so for others: nobody changes their own roles, names or access. So
a release engineer is always left, whoever acts: also where two act at once, for they take turns.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from scheduler import actors
from scheduler.actors import actor_of, names_of, roles_of
from scheduler.domain.errors import NotPermitted, OutOfDate, Refused
from scheduler.domain.permissions import Act, Role, require
from scheduler.models import Backport, OtherName, User, Window
from scheduler.queries import OPEN_STATUSES
from scheduler.services.backports import end_what_they_decided
from scheduler.services.events import record
from scheduler.services.plans import replan_window, take_turn

LONGEST_NAME = 150


@dataclass(frozen=True, slots=True)
class Profile:
    """What people decide about themselves.

    Attributes:
        time_zone: an IANA zone name.
        nick: where to ping them in chat.
        mail_own: mail about what they requested, own or uploaded; and so on.
    """

    time_zone: str
    nick: str
    mail_own: bool
    mail_watched: bool
    mail_reviews: bool
    mail_windows: bool


@transaction.atomic
def change_profile(*, by: User, profile: Profile) -> User:
    """Store what somebody decided about themselves. One event is logged if it is something new.

    Raises:
        NotPermitted: something bars them.
    """
    actor = actor_of(by)
    if actor.barred:
        raise NotPermitted(actor.barred)
    wanted = asdict(profile)
    stored = User.objects.values(*wanted).get(pk=by.pk)
    new = {name: value for name, value in wanted.items() if stored[name] != value}
    if new:
        User.objects.filter(pk=by.pk).update(**new)
        _record("change-profile", by, by, new)
    by.refresh_from_db()
    return by


@transaction.atomic
def grant_roles(
    *, person: User, by: User, roles: frozenset[Role], seen: frozenset[Role]
) -> frozenset[Role]:
    """Give a person these roles and no others.

    Args:
        person: who gets them.
        by: who gives them.
        roles: what they have afterwards.
        seen: what they had when the page was shown.

    Returns:
        The roles. One event is logged.

    Raises:
        NotPermitted: not a release engineer, or it is their own account.
        OutOfDate: somebody else changed the roles since the page was shown.
        Refused: these are their roles.
    """
    _require_manager(person, by)
    before = roles_of(person)
    if before != seen:
        raise OutOfDate("The roles changed since you opened the page; read them again.")
    if roles == before:
        raise Refused("These are the roles already.")
    actors.grant_roles(person, *roles)
    _record("grant-roles", person, by, {"before": sorted(before), "after": sorted(roles)})
    return roles


@transaction.atomic
def grant_role_from_outside(*, person: User, role: Role) -> frozenset[Role]:
    """Give a person one more role, as whoever runs this site: how the first one gets theirs.

    One event is logged, without a person who did it.

    Raises:
        Refused: they have the role, or the account is closed.
    """
    _take_turn()
    person.refresh_from_db()
    before = roles_of(person)
    if not person.is_active:
        raise Refused(f"The account {person.username} is closed.")
    if role in before:
        raise Refused(f"{person.username} is a {role.value.replace('-', ' ')} already.")
    actors.grant_roles(person, *before, role)
    _record(
        "grant-roles", person, None, {"before": sorted(before), "after": sorted({*before, role})}
    )
    return before | {role}


@transaction.atomic
def disable_person(*, person: User, by: User) -> User:
    """Close an account; its sessions end, for good. One event is logged.

    Raises:
        NotPermitted: not a release engineer, or it is their own account.
        OutOfDate: it is closed already.
    """
    _require_manager(person, by)
    closed = User.objects.filter(pk=person.pk, is_active=True).update(
        is_active=False, generation=F("generation") + 1
    )
    if not closed:
        raise OutOfDate("This account is closed already.")
    _record("disable", person, by)
    person.refresh_from_db()
    return person


@transaction.atomic
def enable_person(*, person: User, by: User) -> User:
    """Open a closed account again, with the roles that it had. One event is logged.

    Raises:
        NotPermitted: not a release engineer, or it is their own account.
        OutOfDate: it is open already.
    """
    _require_manager(person, by)
    if not User.objects.filter(pk=person.pk, is_active=False).update(is_active=True):
        raise OutOfDate("This account is open already.")
    _record("enable", person, by)
    person.refresh_from_db()
    return person


@transaction.atomic
def end_sessions(*, person: User, by: User) -> User:
    """Sign a person out everywhere: themself, or somebody else. One event is logged.

    Raises:
        NotPermitted: somebody else's, and not a release engineer.
    """
    if person != by:
        _require_manager(person, by)
    User.objects.filter(pk=person.pk).update(generation=F("generation") + 1)
    _record("end-sessions", person, by)
    person.refresh_from_db()
    return person


@transaction.atomic
def reset_second_factor(*, person: User, by: User) -> None:
    """Remove the second factor of somebody who lost it, and sign them out. One event is logged.

    Raises:
        NotPermitted: not a release engineer, or it is their own account.
        OutOfDate: there is none.
    """
    _require_manager(person, by)
    if not Authenticator.objects.filter(user=person).delete()[0]:
        raise OutOfDate("There is no second factor.")
    User.objects.filter(pk=person.pk).update(generation=F("generation") + 1)
    _record("reset-second-factor", person, by)


@transaction.atomic
def add_other_name(*, person: User, by: User, name: str) -> OtherName:
    """Note that an account here, or a name in the review system, is this person's too.

    From then on they are related to everything that the name is, and what they decided about that
    ends. One event is logged, and one for each approval that becomes void.

    Raises:
        NotPermitted: not a release engineer, or it is about themself.
        Refused: no name, a name that somebody has, or their own.
    """
    _require_manager(person, by)
    name = name.strip()
    if not name or len(name) > LONGEST_NAME:
        raise Refused(f"A name has 1 to {LONGEST_NAME} characters.")
    _require_somebody_else(name, by)
    if name.casefold() == person.username.casefold():
        raise Refused("That is the name of this account itself.")
    taken = OtherName.objects.filter(name__iexact=name).select_related("user").first()
    if taken is not None:
        raise Refused(f"{taken.user.username} is known by that name already.")
    other = OtherName.objects.create(user=person, name=name)
    _end_what_is_their_own(person)
    _record("add-name", person, by, {"name": name})
    return other


def _end_what_is_their_own(person: User) -> None:
    """End what somebody decided, by any of their names, about what is their own by now."""
    named = Q(pk=person.pk)
    for name in names_of(person):
        named |= Q(username__iexact=name)
    theirs = User.objects.filter(named)
    decided = (
        Q(reviews__reviewer__in=theirs, reviews__voided_at__isnull=True)
        | Q(acknowledgements__by__in=theirs, acknowledgements__ended_at__isnull=True)
        | Q(overrides__proposed_by__in=theirs, overrides__ended_at__isnull=True)
        | Q(overrides__confirmed_by__in=theirs, overrides__ended_at__isnull=True)
    )
    rows = Backport.objects.filter(decided, status__in=OPEN_STATUSES).distinct()
    windows = Window.objects.filter(backports__in=rows).distinct().order_by("pk")
    for window in windows:
        take_turn(window)
    now = timezone.now()
    loaded = rows.select_related("change", "window", "requester", "edited_by")
    for backport in loaded.order_by("pk"):
        end_what_they_decided(backport, now, why="its approver is known to be its requester too")
    for window in windows:
        replan_window(window=window, now=now)


@transaction.atomic
def remove_other_name(*, person: User, by: User, name: str) -> None:
    """Take back that a name is this person's too. One event is logged.

    Raises:
        NotPermitted: not a release engineer, or it is about themself.
        OutOfDate: they are not known by it any more.
    """
    _require_manager(person, by)
    _require_somebody_else(name, by)
    if not OtherName.objects.filter(user=person, name=name).delete()[0]:
        raise OutOfDate(f"{person.username} is not known by that name any more.")
    _record("remove-name", person, by, {"name": name})


@transaction.atomic
def welcome(*, person: User, provider: str) -> None:
    """Log that somebody came for the first time, by an identity provider; they have no role."""
    _record("join", person, person, {"provider": provider})


@transaction.atomic
def note_own_security(*, by: User, what: str) -> None:
    """Log that somebody changed how they sign in.

    Args:
        by: who.
        what: a verb: `change-password`, `add-second-factor`, `remove-second-factor`,
            `make-recovery-codes`, `connect-identity`.
    """
    _record(what, by, by)


def free_username(wanted: str) -> str:
    """Return a username like the one wanted that nobody has, here or as another name.

    Rights hang on names, so a newcomer never gets one that is somebody's in any case.
    """
    kept = "".join(
        sign for sign in wanted.lower() if sign.isascii() and (sign.isalnum() or sign in "._-")
    )
    stem = kept.strip("._-")[: LONGEST_NAME - 10] or "person"
    name, number = stem, 1
    while (
        User.objects.filter(username__iexact=name).exists()
        or OtherName.objects.filter(name__iexact=name).exists()
    ):
        number += 1
        name = f"{stem}-{number}"
    return name


def _require_manager(person: User, by: User) -> None:
    """Let somebody look after another account; whoever does so waits for whoever else does.

    Raises:
        NotPermitted: not a release engineer, or it is about themself.
    """
    _take_turn()
    by.refresh_from_db(fields=["is_active"])
    require(actor_of(by), Act.MANAGE_PEOPLE)
    _require_somebody_else(person.username, by)


def _require_somebody_else(name: str, by: User) -> None:
    """Refuse what somebody does to themself, by whichever of their names."""
    if name.casefold() in {own.casefold() for own in (by.username, *names_of(by))}:
        raise NotPermitted("This is your own account; another release engineer has to do it.")


def _take_turn() -> None:
    """Keep everybody else from changing accounts until the transaction ends.

    One row is updated as it is: that a release engineer is left is said by no row alone.
    """
    group, _ = Group.objects.get_or_create(name=Role.RELEASE_ENGINEER.value)
    Group.objects.filter(pk=group.pk).update(name=F("name"))


def _record(
    verb: str, person: User, by: User | None, payload: Mapping[str, object] | None = None
) -> None:
    record(
        kind=f"person.{verb}",
        actor=by,
        payload={"person": person.username, **(payload or {})},
        at=timezone.now(),
    )
