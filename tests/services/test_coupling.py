"""What is worked out is kept once for each patch set; names are learned once for each change."""

import pytest
from django.utils import timezone

from scheduler.adapters.name_table import shipped_rarity
from scheduler.adapters.stored_traits import VERSION, from_json, to_json
from scheduler.couplings import rarity_among, traits_kept_of
from scheduler.domain.coupling.traits import traits_of
from scheduler.models import Change, ChangeTraits, Question, SeenName, User, Window
from scheduler.queries import planned_now
from scheduler.services.changes import store_changes
from scheduler.services.coupling import learn_from_what_is_new
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
    for part in ("defined", "given_up", "used", "dropped"):
        assert getattr(again.names, part) == getattr(traits.names, part)
    for part in ("added", "removed", "words", "subject", "is_aside"):
        assert getattr(again, part) == getattr(traits, part)


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
