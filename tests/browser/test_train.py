"""Incident M in a real browser, and the board of the train for everybody's eyes.

17 December 2025, 14:30: configuration that needs wmf.7 went out while "group1 is not on wmf.7 yet",
and was reverted; on the next day it held (`reference/wikimedia.md` 5.4, M).
"""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from scheduler.domain.changes import ChangeStatus
from scheduler.models import Backport, TrainVersion, User
from scheduler.services.train import hold_train
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Open
from tests.factories import approve, fetched, fetched_fix, make_backport, make_change, make_train
from tests.factories import make_window as window_in
from tests.views.conftest import cast_of_five

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

OLD, NEW = "wmf/1.47.0-wmf.30", "wmf/1.47.0-wmf.31"


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


def test_incident_m_waits_for_the_train_and_then_goes(opened: Open, workflow: Backport) -> None:
    ada, rel = opened("ada"), opened("rel")

    ada.goto(f"/windows/{workflow.window.pk}")
    blocked = ada.locator("tbody", has=ada.locator("#place-blocked"))
    expect(blocked).to_contain_text("dependency-not-in-live")
    expect(blocked).to_contain_text(OLD)
    expect(blocked).to_contain_text("cherry-pick 100700")
    expect(blocked).to_contain_text("group2 is on 1.47.0-wmf.31 by then")

    for group in ("group1", "group2"):
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


def test_the_board_has_no_accessibility_findings(opened: Open, workflow: Backport) -> None:
    live = fetched(702, status=ChangeStatus.MERGED, deployed=True, message=workflow.change.message)
    make_change(live)
    held = TrainVersion.objects.latest("position")
    hold_train(version=held, by=User.objects.get(username="rel"), reason="Logins fail: T4711")
    page = opened("rel")
    for address in ("/train", f"/train/{held.pk}/resume", "/train/plan", "/train/import"):
        page.goto(address)
        assert_accessible(page, address)
