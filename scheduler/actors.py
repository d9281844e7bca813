"""Accounts as the permission table sees them."""

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import Group
from django.db.models import Q

from scheduler.domain.permissions import Actor, Relation, Role, relations_of
from scheduler.models import Backport, OtherName, Override, User

CLOSED = "This account is closed; a release engineer can open it again."
UNPROTECTED = (
    "Your role takes a second factor, and you have none yet: set one up on your profile. "
    "Until then you may look, and change nothing."
)


def actor_of(user: User) -> Actor:
    """Return the person with their roles: the groups named like one; none if something bars them.

    A closed account is barred, and one whose role takes a second factor that it does not have.
    Being a superuser gives no rights here.
    """
    names = names_of(user)
    if not user.is_active:
        return Actor(user.username, names=names, barred=CLOSED)
    roles = roles_of(user)
    if _is_unprotected(user, roles):
        return Actor(user.username, names=names, barred=UNPROTECTED)
    return Actor(user.username, roles, names)


def roles_of(user: User) -> frozenset[Role]:
    """Return the roles that somebody was given, whatever bars them for now."""
    groups = {group.name for group in user.groups.all()}
    return frozenset(role for role in Role if role.value in groups)


def needs_second_factor(user: User) -> bool:
    """Return whether somebody has a role that takes a second factor, and has no second factor."""
    return bool(settings.SWAT_SECOND_FACTOR_FOR) and _is_unprotected(user, roles_of(user))


def has_second_factor(user: User) -> bool:
    """Return whether signing in takes a code of somebody's authenticator app."""
    found: bool = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()
    return found


def _is_unprotected(user: User, roles: frozenset[Role]) -> bool:
    return not roles.isdisjoint(settings.SWAT_SECOND_FACTOR_FOR) and not has_second_factor(user)


def names_of(user: User) -> frozenset[str]:
    """Return the other names that a person is known by, and those of whoever bears one of them."""
    names, new = {user.username}, {user.username}
    while new:
        theirs = Q(user__username__in=new)
        for name in new:
            theirs |= Q(name__iexact=name)
        known = OtherName.objects.filter(theirs).values_list("name", "user__username")
        new = {name for pair in known for name in pair} - names
        names |= new
    return frozenset(names) - {user.username}


def is_same_person(one: User, other: User) -> bool:
    """Return whether two accounts are one person's, by any of the names that are known."""
    names = [
        {name.casefold() for name in (user.username, *names_of(user))} for user in (one, other)
    ]
    return not names[0].isdisjoint(names[1])


def relations_to(
    actor: Actor, backport: Backport, override: Override | None = None
) -> frozenset[Relation]:
    """Return what a person is to a backport, and to an override of a rule about it.

    The change, the requester and the editor of the backport have to be loaded, and who proposed
    the override.
    """
    held: dict[Relation, list[str]] = {
        Relation.REQUESTER: [backport.requester.username],
        Relation.OWNER: [backport.change.owner],
        Relation.UPLOADER: [backport.change.uploader],
        Relation.PAST_REQUESTER: backport.asked_by,
        Relation.TESTER: [backport.tester],
    }
    if backport.edited_by is not None:
        held[Relation.EDITOR] = [backport.edited_by.username]
    if override is not None:
        held[Relation.OVERRIDER] = [override.proposed_by.username]
    return relations_of(actor, held)


def grant_roles(user: User, *roles: Role) -> None:
    """Give a person these roles and no others."""
    user.groups.set([Group.objects.get_or_create(name=role.value)[0] for role in roles])
