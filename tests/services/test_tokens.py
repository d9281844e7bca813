"""Tokens of the API: made and revoked by release engineers; only a digest is stored."""

from datetime import timedelta

import pytest
from django.utils import timezone

from scheduler.domain.errors import NotPermitted, OutOfDate, Refused
from scheduler.domain.permissions import Scope
from scheduler.models import ApiToken, Event, User
from scheduler.services.tokens import make_token, revoke_token, token_of


def test_a_token_is_found_by_its_secret_until_it_is_revoked(rel: User, dev: User) -> None:
    secret = make_token(owner=dev, by=rel, name=" train bot ", scope=Scope.TRAIN)
    now = timezone.now()
    token = token_of(secret, now=now)

    assert token is not None
    assert (token.owner, token.name, token.scope) == (dev, "train bot", "train")
    assert secret not in str(ApiToken.objects.values().get())
    assert ApiToken.objects.get().last_used_at == now
    assert token_of(secret, now=now + timedelta(seconds=30)) is not None
    assert ApiToken.objects.get().last_used_at == now
    assert token_of(f"{secret}x", now=now) is None
    revoke_token(token=token, by=rel)
    assert token_of(secret, now=now) is None
    with pytest.raises(OutOfDate):
        revoke_token(token=token, by=rel)
    assert list(Event.objects.order_by("seq").values_list("kind", "actor_name")) == [
        ("person.make-token", "rel"),
        ("person.revoke-token", "rel"),
    ]
    assert secret not in str(list(Event.objects.values()))


def test_nobody_else_makes_or_revokes_one(rel: User, dev: User) -> None:
    secret = make_token(owner=dev, by=rel, name="bot", scope=Scope.TRAIN)
    token = token_of(secret, now=timezone.now())
    assert token is not None
    with pytest.raises(NotPermitted):
        make_token(owner=dev, by=dev, name="other", scope=Scope.TRAIN)
    with pytest.raises(NotPermitted):
        revoke_token(token=token, by=dev)


def test_a_name_is_given_and_only_once(rel: User, dev: User) -> None:
    secret = make_token(owner=dev, by=rel, name="bot", scope=Scope.TRAIN)
    for name, why in (("", "a name of 1 to"), ("x" * 61, "a name of 1 to"), ("bot", "already")):
        with pytest.raises(Refused, match=why):
            make_token(owner=dev, by=rel, name=name, scope=Scope.TRAIN)
    token = token_of(secret, now=timezone.now())
    assert token is not None
    revoke_token(token=token, by=rel)
    make_token(owner=dev, by=rel, name="bot", scope=Scope.TRAIN)


def test_the_token_of_a_closed_account_opens_nothing(rel: User, dev: User) -> None:
    secret = make_token(owner=dev, by=rel, name="bot", scope=Scope.TRAIN)
    User.objects.filter(pk=dev.pk).update(is_active=False)

    assert token_of(secret, now=timezone.now()) is None
