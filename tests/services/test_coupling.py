"""What is worked out is kept once for each patch set; names are learned once for each change."""

import re
from inspect import getsource

import pytest
from django.utils import timezone

from scheduler.adapters.name_table import shipped_rarity
from scheduler.adapters.stored_traits import VERSION, from_json, to_json
from scheduler.couplings import rarity_among, traits_kept_of
from scheduler.domain.coupling import evidence
from scheduler.domain.coupling.traits import traits_of
from scheduler.models import Backport, Change, ChangeTraits, Question, SeenName, User, Window
from scheduler.queries import planned_now
from scheduler.services.changes import store_changes
from scheduler.services.coupling import learn_from_what_is_new, outcomes, work_out_again
from scheduler.services.plans import replan_window
from tests.answering import answer, contest, unrelated
from tests.factories import fetched, make_backport

DEFINES = "--- a/b.js\n+++ b/b.js\n@@ -0,0 +10,1 @@\n+mw.fancy.openPlumage = function () {\n"
USES = "--- a/a.js\n+++ b/a.js\n@@ -0,0 +20,1 @@\n+mw.fancy.openPlumage( event );\n"

pytestmark = pytest.mark.django_db


def store(number: int, diff: str, patch_set: int = 1) -> Change:
    told = fetched(number, diff=diff, patch_set=patch_set)
    return store_changes(fetched=[told], at=timezone.now())[0]


def seen(text: str) -> int:
    return sum(SeenName.objects.filter(text=text).values_list("changes", flat=True))


def test_what_is_worked_out_is_kept_for_the_patch_set() -> None:
    change = store(1, DEFINES)
    kept = ChangeTraits.objects.get(change=change)
    assert (kept.sha, kept.version) == (change.sha, VERSION)
    assert "openplumage" in traits_kept_of([change])[1].names.defined

    later = store(1, USES, patch_set=2)
    assert "openplumage" not in traits_kept_of([later])[1].names.defined
    assert traits_kept_of([change]) == {}  # that patch set is over


def test_stored_traits_come_back_as_they_were() -> None:
    traits = traits_of(store(1, DEFINES).to_domain())
    again = from_json(to_json(traits))
    for part in ("defined", "given_up", "changed", "used", "dropped"):
        assert getattr(again.names, part) == getattr(traits.names, part)
    for part in ("added", "removed", "came", "left", "words", "subject", "is_aside"):
        assert getattr(again, part) == getattr(traits, part)


def test_what_another_form_of_the_detector_stored_is_worked_out_again() -> None:
    change, other = store(1, DEFINES), store(2, USES)
    ChangeTraits.objects.filter(change=change).update(version=VERSION - 1, content={"odd": 1})
    assert learn_from_what_is_new() == 1  # of the other one
    assert work_out_again() == 1
    kept = traits_kept_of([change, other])
    assert "openplumage" in kept[1].names.defined
    assert "openplumage" in kept[2].names.used
    assert learn_from_what_is_new() == 1
    assert work_out_again() == 0


def test_a_diff_that_was_not_asked_for_stays_as_long_as_its_patch_set() -> None:
    store(1, DEFINES)
    assert store(1, "").diff == DEFINES
    assert "openplumage" in traits_kept_of([Change.objects.get()])[1].names.defined
    assert store(1, "", patch_set=2).diff == ""


def test_a_change_is_learned_from_once() -> None:
    store(1, DEFINES)
    assert seen("openplumage") == 0  # nobody waits for it
    assert learn_from_what_is_new() == 1
    assert seen("openplumage") == 1
    store(1, DEFINES, patch_set=2)
    assert learn_from_what_is_new() == 0
    assert seen("openplumage") == 1
    store(2, USES)
    assert learn_from_what_is_new() == 1
    assert seen("openplumage") == 2


def test_what_is_seen_often_is_rare_no_more() -> None:
    traits = [traits_of(store(number, DEFINES).to_domain()) for number in range(1, 31)]
    learn_from_what_is_new()
    before, after = shipped_rarity(), rarity_among(traits)
    assert after.changes == before.changes + 30
    assert after.of_name("openplumage") < before.of_name("openplumage")
    assert after.of_name("neverseen") > after.of_name("openplumage")


def test_a_window_asks_from_what_was_kept(window: Window, ada: User) -> None:
    for number, diff in ((1, DEFINES), (2, USES)):
        project = f"mediawiki/extensions/E{number}"
        told = fetched(number, diff=diff, project=project, branch="wmf/1.47.0-wmf.16")
        make_backport(window, ada, told)
    Change.objects.update(diff="")  # nothing is read again

    (question,) = planned_now(window, timezone.now())[1].questions
    assert question.evidence[0].kind == "defines-what-other-uses"
    stored = Question.objects.get()
    assert (stored.low, stored.high) == (1, 2)
    assert {place["path"] for place in stored.evidence[0]["places"]} == {"a.js", "b.js"}


def test_what_came_of_each_kind_of_evidence_is_counted(
    window: Window, ada: User, rae: User
) -> None:
    def book(number: int, project: str, diff: str, name: str) -> Backport:
        told = fetched(
            number,
            diff=diff.replace("openPlumage", name),
            project=project,
            branch="wmf/1.47.0-wmf.16",
            owner="",
        )
        return make_backport(window, ada, told)

    pairs = [
        (
            book(first, "mediawiki/extensions/Echo", DEFINES, f"openPlumage{first}"),
            book(first + 1, "mediawiki/extensions/Flow", USES, f"openPlumage{first}"),
        )
        for first in (1, 3, 5, 7)
    ]
    answer(pairs[0], rae)
    unrelated(pairs[1], rae)
    unrelated(pairs[2], rae)
    contest(pairs[2], ada)
    found = {one.kind: one for one in outcomes()}
    defines = found["defines-what-other-uses"]
    assert (defines.asked, defines.confirmed, defines.dismissed) == (4, 1, 1)
    assert (defines.is_open, defines.silent) == (2, 0)
    assert found["moved"].asked == 0

    withdraw(pairs[3][0])
    defines = {one.kind: one for one in outcomes()}["defines-what-other-uses"]
    assert (defines.is_open, defines.silent) == (1, 1)


def withdraw(backport: Backport) -> None:
    Backport.objects.filter(pk=backport.pk).update(status="withdrawn")
    replan_window(window=backport.window, now=timezone.now())


def test_every_kind_that_is_found_is_explained() -> None:
    source = getsource(evidence)
    made = set(re.findall(r'(?:Evidence\(|_crossing\(|_evidence\()\s*"([a-z-]+)"', source))
    assert {"same-bug", "moved", "rare-name", "defines-what-other-uses"} <= made
    assert made == set(evidence.KINDS)
