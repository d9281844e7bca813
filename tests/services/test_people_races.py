"""Two release engineers at once, and many guesses at once."""

import threading

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from scheduler.domain.permissions import Role
from scheduler.models import Bucket, User
from scheduler.services.limits import Limit, TooManyAttempts, attempt
from scheduler.services.people import disable_person
from tests.factories import make_person
from tests.services.test_races import refusals, together

pytestmark = [
    pytest.mark.both_databases,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("events_can_be_cleared"),
]
GUESSES = 50
AT_ONCE = 5


@pytest.fixture(autouse=True)
def _connections_share_a_database(transactional_db: None) -> None:
    if "memory" in str(connection.settings_dict["NAME"]):
        pytest.skip("Threads need a database of their own: PostgreSQL, or SQLite in a file.")


@pytest.mark.parametrize("_round", range(3))
def test_two_who_close_each_other_leave_one(_round: int) -> None:
    rel, sam = make_person("rel"), make_person("sam")
    sam.groups.set(rel.groups.all())

    def close(person: User, by: User) -> None:
        disable_person(
            person=User.objects.get(pk=person.pk),
            by=User.objects.get(pk=by.pk),
        )

    results = together([lambda: close(rel, sam), lambda: close(sam, rel)])
    assert len(refusals(results)) == 1
    left = User.objects.filter(is_active=True, groups__name=Role.RELEASE_ENGINEER.value)
    assert left.count() == 1


def test_many_guesses_at_once_are_few() -> None:
    User.objects.create_user("dev", password="dev signs in here")

    def guess() -> int:
        sent = {"username": "dev", "password": "wrong"}
        return Client().post("/sign-in", sent).status_code

    statuses = together([guess] * GUESSES)
    assert statuses.count(422) == AT_ONCE
    assert statuses.count(429) == GUESSES - AT_ONCE


def test_a_bucket_lets_as_many_through_as_it_holds() -> None:
    limit = Limit("from 192.0.2.1", at_once=AT_ONCE, every=60)
    results = together([lambda: attempt([limit], at=timezone.now())] * 20)
    assert len(refusals(results)) == 20 - AT_ONCE


def test_control_who_reads_then_writes_lets_too_many_through() -> None:
    Bucket.objects.create(key="naive")
    all_looked = threading.Barrier(20)

    def naive() -> None:
        used = Bucket.objects.get(key="naive").full_at
        all_looked.wait(timeout=20)
        if used >= AT_ONCE:
            raise TooManyAttempts(1)
        Bucket.objects.filter(key="naive").update(full_at=F("full_at") + 1)

    assert refusals(together([naive] * 20)) == []
    assert Bucket.objects.get(key="naive").full_at == 20
