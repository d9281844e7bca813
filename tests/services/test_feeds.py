"""Keys to personal feeds: one in force, stored as a digest, revoked for good."""

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from scheduler.domain.errors import Refused
from scheduler.models import FeedKey, User
from scheduler.services.feeds import make_feed_key, owner_of_feed_key, revoke_feed_key
from tests.services.checks import kinds, wrongs


def test_a_key_opens_the_feed_of_its_owner(ada: User, rae: User) -> None:
    keys = {person: make_feed_key(user=person) for person in (ada, rae)}
    assert [owner_of_feed_key(keys[person]) for person in (ada, rae)] == [ada, rae]
    assert owner_of_feed_key("") is owner_of_feed_key(keys[ada] + "x") is None
    assert kinds() == ["person.make-feed"] * 2
    assert wrongs() == []


def test_the_key_is_not_stored(ada: User) -> None:
    key = make_feed_key(user=ada)
    row = FeedKey.objects.get()
    assert key not in {row.digest, str(row)}
    assert len(row.digest) == 64


def test_a_new_key_ends_the_one_before(ada: User) -> None:
    first, second = make_feed_key(user=ada), make_feed_key(user=ada)
    assert owner_of_feed_key(first) is None
    assert owner_of_feed_key(second) == ada


def test_a_revoked_key_opens_nothing_and_is_revoked_once(ada: User, rae: User) -> None:
    key, other = make_feed_key(user=ada), make_feed_key(user=rae)
    revoke_feed_key(user=ada)
    assert owner_of_feed_key(key) is None
    assert owner_of_feed_key(other) == rae
    with pytest.raises(Refused, match="There is no feed address to revoke"):
        revoke_feed_key(user=ada)
    assert kinds().count("person.revoke-feed") == 1


def test_a_closed_account_has_no_feed(ada: User) -> None:
    key = make_feed_key(user=ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert owner_of_feed_key(key) is None


@pytest.mark.both_databases
def test_the_database_keeps_one_key_in_force(ada: User) -> None:
    make_feed_key(user=ada)
    with pytest.raises(IntegrityError), transaction.atomic():
        FeedKey.objects.create(user=ada, digest="d", made_at=timezone.now())
