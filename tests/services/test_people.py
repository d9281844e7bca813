"""Accounts: roles, closing, other names, and what people decide about themselves."""

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from pytest_django.fixtures import Settings

from scheduler.actors import actor_of, names_of, roles_of
from scheduler.domain.errors import NotPermitted, OutOfDate, Refused
from scheduler.domain.permissions import Act, Role, may
from scheduler.models import Event, User, Window
from scheduler.services import people
from scheduler.services.events import first_break
from scheduler.services.people import Profile
from scheduler.services.windows import lock_window
from tests.factories import approve, fetched, make_backport, make_person

DEPLOYER, ENGINEER = Role.DEPLOYER, Role.RELEASE_ENGINEER


def give(person: User, by: User, *roles: Role, seen: frozenset[Role] | None = None) -> None:
    before = roles_of(person) if seen is None else seen
    people.grant_roles(person=person, by=by, roles=frozenset(roles), seen=before)


def last() -> Event:
    return Event.objects.latest("seq")


def acts(person: User, by: User) -> dict[str, Any]:
    """Return every act about somebody, by name."""
    return {
        "roles": lambda: give(person, by, DEPLOYER),
        "disable": lambda: people.disable_person(person=person, by=by),
        "enable": lambda: people.enable_person(person=person, by=by),
        "reset": lambda: people.reset_second_factor(person=person, by=by),
        "add": lambda: people.add_other_name(person=person, by=by, name="x"),
        "remove": lambda: people.remove_other_name(person=person, by=by, name="x"),
    }


ACTS = ["roles", "disable", "enable", "reset", "add", "remove"]


@pytest.mark.parametrize("name", ["ada", "rae", "dev", "sam"])
@pytest.mark.parametrize("act", ACTS)
def test_only_a_release_engineer_looks_after_people(rel: User, name: str, act: str) -> None:
    by = make_person(name)
    with pytest.raises(NotPermitted):
        acts(rel, by)[act]()
    assert not Event.objects.exists()


@pytest.mark.parametrize("act", ACTS)
def test_nobody_looks_after_themself_by_whichever_name(rel: User, sam: User, act: str) -> None:
    with pytest.raises(NotPermitted, match="your own account"):
        acts(rel, rel)[act]()
    rel.other_names.create(name="SAM")
    with pytest.raises(NotPermitted, match="your own account"):
        acts(sam, rel)[act]()
    assert not Event.objects.exists()


@pytest.mark.parametrize("act", ACTS)
def test_a_closed_release_engineer_does_nothing_with_an_open_page(
    rel: User, sam: User, act: str
) -> None:
    User.objects.filter(pk=rel.pk).update(is_active=False)
    with pytest.raises(NotPermitted, match="closed"):
        acts(sam, rel)[act]()


# --- Roles


def test_roles_are_given_and_taken_with_one_event_each(rel: User, sam: User) -> None:
    give(sam, rel, DEPLOYER, Role.DEVELOPER)
    assert roles_of(sam) == {DEPLOYER, Role.DEVELOPER}
    assert (last().kind, last().actor, last().payload) == (
        "person.grant-roles",
        rel,
        {"person": "sam", "before": [], "after": ["deployer", "developer"]},
    )
    give(sam, rel)
    assert roles_of(sam) == frozenset()
    assert Event.objects.count() == 2
    assert first_break() is None


def test_a_stale_page_gives_no_role(rel: User, sam: User) -> None:
    give(sam, rel, DEPLOYER)
    with pytest.raises(OutOfDate):
        give(sam, rel, Role.REVIEWER, seen=frozenset())
    with pytest.raises(Refused, match="already"):
        give(sam, rel, DEPLOYER)
    assert roles_of(sam) == {DEPLOYER}


def test_rights_are_read_anew_each_time(rel: User, dev: User) -> None:
    assert may(actor_of(dev), Act.LOCK_WINDOW)
    give(User.objects.get(pk=dev.pk), rel)
    assert not may(actor_of(dev), Act.LOCK_WINDOW)


@pytest.mark.parametrize("closes", [True, False])
def test_the_last_release_engineer_stays(rel: User, sam: User, *, closes: bool) -> None:
    def remove(person: User, by: User) -> None:
        if closes:
            people.disable_person(person=person, by=by)
        else:
            give(person, by)

    give(sam, rel, ENGINEER)
    remove(rel, sam)
    for person, by in ((sam, sam), (sam, rel)):
        with pytest.raises(NotPermitted):
            remove(person, by)
    assert roles_of(sam) == {ENGINEER}
    assert sam.is_active


def test_the_command_line_makes_the_first_release_engineer(
    db: None, capsys: pytest.CaptureFixture[str]
) -> None:
    sam = make_person("sam")
    call_command("grant", "release-engineer", "sam")
    assert capsys.readouterr().out == "sam is now: release-engineer.\n"
    assert roles_of(sam) == {ENGINEER}
    assert (last().kind, last().actor) == ("person.grant-roles", None)
    for arguments in (("release-engineer", "sam"), ("deployer", "nobody"), ("king", "sam")):
        with pytest.raises(CommandError):
            call_command("grant", *arguments)
    User.objects.update(is_active=False)
    with pytest.raises(CommandError, match="closed"):
        call_command("grant", "deployer", "sam")


# --- Closing


def test_a_closed_account_may_nothing_and_its_sessions_stay_dead(rel: User, dev: User) -> None:
    before = dev.get_session_auth_hash()
    people.disable_person(person=dev, by=rel)
    assert last().kind == "person.disable"
    assert actor_of(dev).roles == frozenset()
    with pytest.raises(OutOfDate):
        people.disable_person(person=dev, by=rel)
    people.enable_person(person=dev, by=rel)
    assert dev.get_session_auth_hash() != before
    assert roles_of(dev) == {DEPLOYER}
    with pytest.raises(OutOfDate):
        people.enable_person(person=dev, by=rel)
    assert Event.objects.count() == 2


def test_people_sign_themselves_out_and_others_only_as_release_engineers(
    rel: User, dev: User, sam: User
) -> None:
    for by in (dev, rel):
        before = dev.get_session_auth_hash()
        people.end_sessions(person=dev, by=by)
        assert dev.get_session_auth_hash() != before
    with pytest.raises(NotPermitted):
        people.end_sessions(person=dev, by=sam)
    assert Event.objects.count() == 2


# --- Second factor


def test_a_role_that_takes_a_second_factor_gives_nothing_without_one(
    settings: Settings, window: Window, dev: User, ada: User
) -> None:
    settings.SWAT_SECOND_FACTOR_FOR = ("deployer", "release-engineer")
    assert actor_of(ada).roles == {Role.DEVELOPER}
    assert actor_of(dev).roles == frozenset()
    assert not may(actor_of(dev), Act.ANSWER_QUESTION)
    with pytest.raises(NotPermitted, match="second factor"):
        lock_window(window=window, by=dev, plan_fingerprint="0" * 64)
    with pytest.raises(NotPermitted, match="second factor"):
        people.change_profile(by=dev, profile=profile())
    protect(dev)
    assert actor_of(dev).roles == {DEPLOYER}


def test_what_they_requested_waits_for_the_second_factor_too(
    settings: Settings, window: Window
) -> None:
    dev, rae = make_person("dev"), make_person("rae")
    backport = make_backport(window, dev, fetched(5, owner="ada", uploader="ada"))
    settings.SWAT_SECOND_FACTOR_FOR = ("deployer", "reviewer")
    with pytest.raises(NotPermitted, match="second factor"):
        approve(backport, rae)
    protect(rae)
    approve(backport, rae)


def test_a_lost_second_factor_is_removed_by_somebody_else(rel: User, dev: User) -> None:
    with pytest.raises(OutOfDate):
        people.reset_second_factor(person=dev, by=rel)
    protect(dev)
    before = dev.get_session_auth_hash()
    people.reset_second_factor(person=dev, by=rel)
    dev.refresh_from_db()
    assert dev.get_session_auth_hash() != before
    assert not Authenticator.objects.exists()
    assert last().kind == "person.reset-second-factor"


def protect(person: User) -> None:
    """Give somebody a second factor."""
    Authenticator.objects.create(user=person, type="totp", data={"secret": "none"})


# --- Other names


def test_other_names_are_added_and_removed(rel: User, ada: User) -> None:
    people.add_other_name(person=ada, by=rel, name=" ada-in-gerrit ")
    assert names_of(ada) == {"ada-in-gerrit"}
    assert last().payload == {"person": "ada", "name": "ada-in-gerrit"}
    people.remove_other_name(person=ada, by=rel, name="ada-in-gerrit")
    assert names_of(ada) == frozenset()
    with pytest.raises(OutOfDate):
        people.remove_other_name(person=ada, by=rel, name="ada-in-gerrit")
    assert [event.kind for event in Event.objects.order_by("seq")] == [
        "person.add-name",
        "person.remove-name",
    ]


@pytest.mark.parametrize("name", ["", " ", "x" * 151, "ADA", "Rae-In-Gerrit"])
def test_a_name_is_one_person_s(rel: User, ada: User, rae: User, name: str) -> None:
    rae.other_names.create(name="rae-in-gerrit")
    with pytest.raises(Refused):
        people.add_other_name(person=ada, by=rel, name=name)
    assert not Event.objects.exists()


def test_nobody_takes_their_own_second_account_away(rel: User, sam: User) -> None:
    sam.other_names.create(name="rel")
    for name in ("rel", "REL", "sam"):
        with pytest.raises(NotPermitted):
            people.remove_other_name(person=sam, by=rel, name=name)


@pytest.mark.both_databases
def test_two_accounts_never_have_one_name_in_two_cases(ada: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("ADA")


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("Sam", "sam"),
        ("ada", "ada-2"),
        ("A.D.A!", "a.d.a"),
        ("Ada-In-Gerrit", "ada-in-gerrit-2"),
        ("", "person"),
        ("ΑΔΑ", "person"),
        ("-_.", "person"),
        ("x" * 300, "x" * 140),
    ],
)
def test_a_newcomer_gets_a_name_that_is_nobody_s(ada: User, wanted: str, name: str) -> None:
    ada.other_names.create(name="ADA-in-Gerrit")
    assert people.free_username(wanted) == name


# --- Profile


def profile(**differing: Any) -> Profile:  # noqa: ANN401
    return Profile(
        **{
            "time_zone": "UTC",
            "nick": "",
            "mail_own": True,
            "mail_watched": True,
            "mail_reviews": True,
            "mail_windows": True,
            **differing,
        }
    )


def test_a_profile_is_stored_with_one_event_if_something_is_new(sam: User) -> None:
    people.change_profile(by=sam, profile=profile())
    assert not Event.objects.exists()
    people.change_profile(by=sam, profile=profile(time_zone="Europe/Berlin", mail_own=False))
    assert (sam.time_zone, sam.mail_own) == ("Europe/Berlin", False)
    assert last().kind == "person.change-profile"
    assert last().payload == {"person": "sam", "time_zone": "Europe/Berlin", "mail_own": False}
