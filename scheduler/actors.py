"""Accounts as the permission table sees them."""

from django.contrib.auth.models import Group
from django.db.models import Q

from scheduler.domain.permissions import Actor, Relation, Role, relations_of
from scheduler.models import Backport, OtherName, Override, User


def actor_of(user: User) -> Actor:
    """Return the person with their roles: the groups named like one; none if the account is closed.

    Being a superuser gives no rights here.
    """
    names = names_of(user)
    if not user.is_active:
        return Actor(user.username, names=names)
    groups = {group.name for group in user.groups.all()}
    roles = frozenset(role for role in Role if role.value in groups)
    return Actor(user.username, roles, names)


def names_of(user: User) -> frozenset[str]:
    """Return the other names that a person is known by: theirs, and those of their main account."""
    known = OtherName.objects.filter(
        Q(user=user) | Q(user__other_names__name__iexact=user.username)
    ).values_list("name", "user__username")
    return frozenset(name for pair in known for name in pair) - {user.username}


def relations_to(
    actor: Actor, backport: Backport, override: Override | None = None
) -> frozenset[Relation]:
    """Return what a person is to a backport, and to an override of a rule about it.

    The change, the requester and the editor of the backport have to be loaded, and who proposed
    the override.
    """
    held = {
        Relation.REQUESTER: backport.requester.username,
        Relation.OWNER: backport.change.owner,
        Relation.UPLOADER: backport.change.uploader,
    }
    if backport.edited_by is not None:
        held[Relation.EDITOR] = backport.edited_by.username
    if override is not None:
        held[Relation.OVERRIDER] = override.proposed_by.username
    return relations_of(actor, held)


def grant_roles(user: User, *roles: Role) -> None:
    """Give a person these roles and no others."""
    user.groups.set([Group.objects.get_or_create(name=role.value)[0] for role in roles])
