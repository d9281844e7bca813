"""Four incidents in a real browser, and the board of the train for everybody's eyes.

In each, configuration went out while some wikis ran a version without the code that it needs,
and was reverted (`reference/wikimedia.md` 5.4, H, L, M and R). Here it waits, and goes when they
all run the newer one.
"""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from scheduler.domain.changes import ChangeStatus
from scheduler.models import Backport, TrainVersion, User
from scheduler.services.train import follow_the_train, hold_train
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Open
from tests.factories import (
    approve,
    fetched,
    fetched_fix,
    make_backport,
    make_change,
    make_train,
    promote,
)
from tests.factories import make_window as window_in
from tests.views.conftest import cast_of_five

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

OLD, NEW = "wmf/1.47.0-wmf.30", "wmf/1.47.0-wmf.31"


# Which groups had the newer version when the configuration went out.
INCIDENTS = {
    "H, 12 May 2016: group1 had moved, the other wikis only after the window": ("group0", "group1"),
    "L, 17 June 2025: the code was not fully deployed yet": ("group0",),
    "M, 17 December 2025: group1 is not on wmf.7 yet": ("group0",),
    "R, 26 April 2016: the code is only in wmf.22": (),
}
GROUPS = ("group0", "group1", "group2")


@pytest.fixture
def workflow(chromium: object, transactional_db: None) -> Backport:
    """Configuration for all wikis that needs code of the newer version, booked and approved."""
    people = cast_of_five()
    make_train(timezone.now())
    _, needed = fetched_fix(700, included_in=frozenset({NEW}))
    make_change(needed)
    window_in(in_hours=72, title="The window after the train")
    message = (
        f"Switch the workflow on\n\nDepends-On: {needed.change.change_id}\nChange-Id: I{701:040x}"
    )
    config = fetched(701, message=message, subject="Switch the workflow on")
    return make_backport(window_in(in_hours=2), people["ada"], config)


@pytest.mark.parametrize("moved", INCIDENTS.values(), ids=INCIDENTS)
def test_it_waits_for_the_train_and_then_goes(
    opened: Open, workflow: Backport, moved: tuple[str, ...]
) -> None:
    lie(moved)
    ada, rel = opened("ada"), opened("rel")

    ada.goto(f"/windows/{workflow.window.pk}")
    blocked = ada.locator("tbody", has=ada.locator("#place-blocked"))
    expect(blocked).to_contain_text("dependency-not-in-live")
    expect(blocked).to_contain_text(OLD)
    expect(blocked).to_contain_text("cherry-pick 100700")
    expect(blocked).to_contain_text("group2 is on 1.47.0-wmf.31 by then")

    for group in GROUPS[len(moved) :]:
        rel.goto("/train")
        rel.get_by_role("link", name=f"Promote {group} to 1.47.0-wmf.31").click()
        expect(rel.get_by_role("heading", level=1)).to_contain_text(f"Move {group}")
        rel.get_by_role("button", name=f"Move {group}").click()
        done = rel.get_by_text(f"{group} is on 1.47.0-wmf.31.", exact=True)
        expect(done).to_be_visible()

    approve(workflow, User.objects.get(username="rae"))
    ada.goto(f"/windows/{workflow.window.pk}")
    expect(ada.get_by_role("region", name="Queue")).to_contain_text("701")
    assert Backport.objects.get().status == "approved"


def lie(moved: tuple[str, ...]) -> None:
    """Have exactly these groups be served by the newer version; the others are due in a while."""
    now = timezone.now()
    new = TrainVersion.objects.latest("position")
    new.promotions.all().delete()
    new.moves.all().delete()
    for hours, group in enumerate(GROUPS, start=24):
        promote(new, group, now + timedelta(hours=-1 if group in moved else hours))
    follow_the_train(now=now)


def test_the_board_has_no_accessibility_findings(opened: Open, workflow: Backport) -> None:
    live = fetched(702, status=ChangeStatus.MERGED, deployed=True, message=workflow.change.message)
    make_change(live)
    held = TrainVersion.objects.latest("position")
    hold_train(version=held, by=User.objects.get(username="rel"), reason="Logins fail: T4711")
    page = opened("rel")
    for address in (
        "/train",
        f"/train/{held.pk}/resume",
        f"/train/{held.pk}/retire?group=group0",
        "/train/plan",
        "/train/import",
    ):
        page.goto(address)
        assert_accessible(page, address)
