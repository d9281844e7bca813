"""Rows and values for tests: each maker gives something that is fine, and takes what differs."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from scheduler.actors import grant_roles
from scheduler.adapters.ports import FetchedChange
from scheduler.domain.changes import Change as Known
from scheduler.domain.changes import ChangedFile, ChangeStatus
from scheduler.domain.permissions import Role
from scheduler.models import Backport, Change, GroupMove, Promotion, TrainVersion, User, Window
from scheduler.services.backports import BackportAnswers, submit_backport
from scheduler.services.changes import store_changes
from scheduler.services.reviews import approve_backport

CONFIG = "operations/mediawiki-config"
ECHO = "mediawiki/extensions/Echo"
BRANCH = "wmf/1.47.0-wmf.30"
MOMENT = datetime(2026, 3, 2, 12, tzinfo=UTC)
GOOD_VOTES = {"Code-Review": 2, "Verified": 2}

CAST: Mapping[str, tuple[Role, ...]] = {
    "ada": (Role.DEVELOPER,),
    "rae": (Role.REVIEWER,),
    "dev": (Role.DEPLOYER,),
    "rel": (Role.RELEASE_ENGINEER,),
    "sam": (),
}


def make_person(name: str) -> User:
    """Make one of the cast, with the roles that they have."""
    person = User.objects.create_user(name)
    grant_roles(person, *CAST[name])
    return person


def make_window(*, in_hours: int = 24, **columns: Any) -> Window:  # noqa: ANN401
    """Make a window of an hour that starts so many hours from now."""
    start = timezone.now() + timedelta(hours=in_hours)
    given = {"start": start, "end": start + timedelta(hours=1), "title": "Morning SWAT", **columns}
    return Window.objects.create(**given)


def fetched(number: int, *, patch_set: int = 1, **facts: Any) -> FetchedChange:  # noqa: ANN401
    """Return a change as the review system tells it: configuration that may be deployed."""
    change = Known(
        **{
            "number": number,
            "project": CONFIG,
            "branch": "master",
            "change_id": f"I{number:040x}",
            "subject": f"Change {number}",
            "message": f"Change {number}\n\nChange-Id: I{number:040x}",
            "owner": "ada",
            "uploader": "ada",
            "labels": GOOD_VOTES,
            "files": (ChangedFile("wmf-config/InitialiseSettings.php"),),
            **facts,
        }
    )
    return FetchedChange(change, patch_set, f"{number:020x}{patch_set:020x}")


def fetched_fix(number: int, **facts: Any) -> tuple[FetchedChange, FetchedChange]:  # noqa: ANN401
    """Return a fix of an extension on a release branch, and its merged sibling on master."""
    code = {
        "project": ECHO,
        "change_id": f"I{number:040x}",
        "files": (ChangedFile("includes/Hooks.php"),),
    }
    fix = fetched(number, **{**code, "branch": BRANCH, **facts})
    merged = fetched(number + 100_000, **{**code, **facts, "status": ChangeStatus.MERGED})
    return fix, merged


def make_change(*answers: FetchedChange) -> Change:
    """Store what the review system said; return the first change."""
    return store_changes(fetched=answers, at=timezone.now())[0]


def answers(**differing: Any) -> BackportAnswers:  # noqa: ANN401
    """Return what a requester says."""
    return BackportAnswers(
        **{
            "why_not_train": "Users cannot save.",
            "user_impact": "Edits are lost.",
            "tested_where": "Beta Cluster",
            "verify_how": "Save an edit.",
            "problems_where": "The editor.",
            "rollback_how": "Revert and sync.",
            "tester": "ada",
            "nick": "ada_l",
            **differing,
        }
    )


def make_backport(
    window: Window,
    requester: User,
    *facts: FetchedChange,
    **differing: Any,  # noqa: ANN401
) -> Backport:
    """Book a change (number 1000 if none is given) in a window."""
    change = make_change(*(facts or (fetched(1000),)))
    return submit_backport(
        change=change, window=window, requester=requester, answers=answers(**differing)
    )


def approve(backport: Backport, reviewer: User) -> Backport:
    """Approve a backport to which nothing objects, as it is now."""
    backport.refresh_from_db()
    return approve_backport(backport=backport, reviewer=reviewer, fingerprint=backport.fingerprint)


def promote(version: TrainVersion, group: str, at: datetime) -> None:
    """Have a group move to a version at a moment: done, or planned if that is still to come."""
    done_at = at if at <= timezone.now() else None
    Promotion.objects.create(version=version, group=group, at=at, done_at=done_at)
    if done_at is not None:
        GroupMove.objects.create(version=version, group=group, at=at)


def make_train(now: datetime) -> tuple[TrainVersion, TrainVersion]:
    """Make two versions that are checked out; the newer one serves group0 since yesterday.

    The branch of the older one is that of `fetched_fix`. Group1 is due in a day, group2 in two.
    """
    day = timedelta(days=1)
    made = []
    for position, name in ((1, "1.47.0-wmf.30"), (2, "1.47.0-wmf.31")):
        week = 7 * (2 - position)
        cut = now - (week + 2) * day
        row = TrainVersion.objects.create(
            name=name, position=position, cut_at=cut, checked_out_from=cut
        )
        for group, days in (("group0", -1), ("group1", 1), ("group2", 2)):
            promote(row, group, now + (days - week) * day)
        made.append(row)
    return made[0], made[1]
