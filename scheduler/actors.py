"""Accounts as the permission table sees them."""

from django.contrib.auth.models import Group

from scheduler.domain.permissions import Actor, Relation, Role, relations_of
from scheduler.models import Backport, User


def actor_of(user: User) -> Actor:
    """Return the person with their roles: the groups named like one; none if the account is closed.

    Being a superuser gives no rights here.
    """
    if not user.is_active:
        return Actor(user.username)
    names = {group.name for group in user.groups.all()}
    return Actor(user.username, frozenset(role for role in Role if role.value in names))


def relations_to(user: User, backport: Backport) -> frozenset[Relation]:
    """Return what a person is to a backport; its change and requester have to be loaded."""
    return relations_of(
        user.username,
        requester=backport.requester.username,
        owner=backport.change.owner,
        uploader=backport.change.uploader,
    )


def grant_roles(user: User, *roles: Role) -> None:
    """Give a person these roles and no others."""
    user.groups.set([Group.objects.get_or_create(name=role.value)[0] for role in roles])
