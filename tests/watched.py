"""`python -m tests.watched STEPS WATCHERS [AROUND]`: a window being deployed, and who watches it.

Dev drives it and has begun; its changes are those that the review system knows, booked by Ada, who
verifies them; before and after each there is to be done what AROUND says, if it is given. It prints
one line of JSON: `window`, and in `sessions` the keys of those of `dev`, `ada`, and of `watcher1`
and so on, who have no role.
"""

import json
import sys
from datetime import timedelta

import django

django.setup()

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX  # noqa: E402 - Django first
from django.test import Client  # noqa: E402

from scheduler.adapters.registry import review_system  # noqa: E402
from scheduler.domain.checklist.run import Phase  # noqa: E402
from scheduler.models import Backport, Change, Run, RunStep, User, Window  # noqa: E402
from scheduler.services.clock import database_now  # noqa: E402
from tests.driving import Drive, lock  # noqa: E402
from tests.factories import approve, make_backport, make_window  # noqa: E402
from tests.faults.site import FIRST_CHANGE  # noqa: E402


def under_way(steps: int, *, ada: User, rae: User, dev: User, around: str = "") -> Window:
    """Make a window whose first step can be started; what others have under way is forgotten."""
    under_way = RunStep.objects.filter(phase__in=[one for one in Phase if one.is_under_way])
    left = Run.objects.filter(closed_at__isnull=True, steps__in=under_way)
    Run.objects.filter(pk__in=left.values("pk")).update(closed_at=database_now())
    Change.objects.filter(deployed=False).update(deployed=None)
    start = database_now() - timedelta(minutes=5)
    window = make_window(start=start, end=start + timedelta(hours=1))
    gerrit = review_system()
    booked = Backport.objects.count()
    for number in range(FIRST_CHANGE + booked, FIRST_CHANGE + booked + steps):
        told = gerrit.fetch_change(str(number))
        backport = make_backport(window, ada, *told, steps_before=around, steps_after=around)
        approve(backport, rae)
    lock(window, dev)
    Drive(window, dev).take().begin()
    return window


def watchers(count: int) -> list[User]:
    """Make people without any role, if they are not there."""
    names = [f"watcher{n}" for n in range(1, count + 1)]
    User.objects.bulk_create(
        (User(username=name, password=UNUSABLE_PASSWORD_PREFIX) for name in names),
        ignore_conflicts=True,
    )
    return list(User.objects.filter(username__in=names))


def session_of(person: User) -> str:
    """Sign somebody in; return the key of their session."""
    client = Client()
    client.force_login(person)
    return str(client.session.session_key)


def main(steps: int, count: int, around: str = "") -> str:
    """Make all of it; return what is printed."""
    ada, rae, dev = (User.objects.get(username=name) for name in ("ada", "rae", "dev"))
    window = under_way(steps, ada=ada, rae=rae, dev=dev, around=around)
    people = [dev, ada, *watchers(count)]
    return json.dumps(
        {"window": window.pk, "sessions": {one.username: session_of(one) for one in people}}
    )


if __name__ == "__main__":
    print(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))  # noqa: T201 - for whoever started us
