"""Booking: what is shown while somebody types, and what is booked in one go."""

import time
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scheduler.models import Backport, Change, Draft, TrainVersion, User, Window
from scheduler.services import intake
from scheduler.services.changes import expect_change, refresh_open_windows
from scheduler.services.intake import look_up
from scheduler.views.sessions import typist_token
from swat.embedded.gerrit import DemoGerrit
from swat.embedded.gerrit_changes import NEW as NEW_VERSION
from swat.embedded.gerrit_changes import OLD as OLD_VERSION
from swat.embedded.gerrit_changes import SITUATIONS, change_id_of
from tests.factories import approve, fetched, make_backport, make_window, promote
from tests.fakes import FakeReviewSystem
from tests.views.conftest import ANSWERS, DAY, in_a_day

As = Callable[[str], Client]
PICKED, SIBLING = SITUATIONS["regression_old"], SITUATIONS["regression_new"]
ALONE, CONFIG, LONG = (SITUATIONS[name] for name in ("train_would_undo", "config", "long_title"))
ON_MASTER = SITUATIONS["on_master"]
OLD, NEW = f"wmf/{OLD_VERSION}", f"wmf/{NEW_VERSION}"
UNDO = "The train would undo this"


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    cache.clear()


@pytest.fixture
def window(cast: dict[str, User]) -> Window:
    """A window tomorrow, two live versions, and no train that comes soon."""
    for position, (name, groups) in enumerate(
        ((OLD_VERSION, ("group0", "group1", "group2")), (NEW_VERSION, ("group0",)))
    ):
        version = TrainVersion.objects.create(
            name=name,
            position=position,
            checked_out_from=timezone.now() - (14 - position) * DAY,
        )
        for group in groups:
            at = timezone.now() - (10 - position) * DAY
            promote(version, group, at)
    return in_a_day()


def sent(window: Window | None, change: object, **other: object) -> dict[str, Any]:
    return {
        **ANSWERS,
        "change": str(change),
        "window": window.pk if window else "",
        "key": str(uuid4()),
        **other,
    }


def previewed(client: Client, change: object, **other: str | int) -> str:
    answer = client.get(
        "/backports/preview",
        {"change": str(change), "present": "on", **other},
        headers={"HX-Request": "true"},
    )
    assert answer.status_code == 200
    return " ".join(unescape(answer.content.decode()).split())


def test_several_are_previewed_with_facts_verdict_and_place(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    later = in_a_day("Evening SWAT", days=2)

    text = previewed(as_("ada"), f"{CONFIG}, {LONG}\n{CONFIG}", window=window.pk)

    assert text.count("patch set 1, NEW; as Gerrit said just now.") == 2
    assert "No rule objects; somebody else has to approve it." in text
    assert f'value="{window.pk}" id="id_window_{window.pk}" checked' in text
    assert f'value="{later.pk}" id="id_window_{later.pk}">' in text
    assert f"<strong>{CONFIG}</strong>" in text
    assert "place 1, " in text
    assert "place 2, " in text
    assert not Backport.objects.exists()
    assert not Change.objects.exists()


def test_what_is_booked_comes_first(as_: As, window: Window, gerrit: DemoGerrit) -> None:
    ada = as_("ada")
    for number in (SITUATIONS["config_two"], SITUATIONS["config_three"]):
        assert ada.post("/backports/new", sent(window, number)).status_code == 302

    text = previewed(ada, CONFIG, window=window.pk)

    # Neither is approved, so nothing is in the queue before it; there is room all the same.
    assert "place 1, " in text
    assert "6 of 6 slots and 60 min free" in text


def test_a_sibling_that_the_train_needs_is_ticked_and_booked_in_one_go(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    ada = as_("ada")

    text = previewed(ada, PICKED, window=window.pk)

    assert f"{UNDO}</span> also book {SIBLING} on <bdi>{NEW}</bdi>?" in text
    assert f'value="{SIBLING}" id="id_along_{SIBLING}" checked' in text
    assert "train-would-undo" not in text

    unticked = previewed(ada, PICKED, window=window.pk, offered=SIBLING)
    assert f'value="{SIBLING}" id="id_along_{SIBLING}">' in unticked
    assert 'href="/policy#train-would-undo"' in unticked

    answer = ada.post("/backports/new", sent(window, PICKED, along=SIBLING), follow=True)
    booked = list(Backport.objects.order_by("change__number"))
    assert answer.redirect_chain == [(f"/windows/{window.pk}", 302)]
    assert f"Booked: {PICKED}, {SIBLING}." in answer.content.decode()
    assert [one.change.number for one in booked] == [PICKED, SIBLING]
    assert {one.problems_where for one in booked} == {ANSWERS["problems_where"]}


def test_all_are_booked_or_none(as_: As, window: Window, gerrit: DemoGerrit) -> None:
    ada = as_("ada")
    assert ada.post("/backports/new", sent(window, SIBLING)).status_code == 302

    answer = ada.post("/backports/new", sent(window, f"{PICKED} {SIBLING}"))

    assert answer.status_code == 409
    assert f"Change {SIBLING} (VisualEditor) is already booked in" in answer.content.decode()
    assert [one.change.number for one in Backport.objects.all()] == [SIBLING]
    assert "booked already" in previewed(ada, PICKED, window=window.pk)


def test_what_is_no_open_sibling_is_not_booked_along(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    answer = as_("ada").post("/backports/new", sent(window, PICKED, along=[CONFIG, "x", "-1"]))

    assert answer.status_code == 422
    assert "can no longer be booked along with it" in answer.content.decode()
    assert not Backport.objects.exists()


def test_where_no_sibling_exists_the_way_to_gerrit_is_shown(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    text = previewed(as_("ada"), ALONE, window=window.pk)

    assert f"nobody has cherry-picked it to <bdi>{NEW}</bdi> yet." in text
    assert f'/c/mediawiki/extensions/ConfirmEdit/+/{ALONE}"' in text


def test_a_change_id_offers_every_open_sibling(as_: As, window: Window, gerrit: DemoGerrit) -> None:
    change_id = gerrit.changes[PICKED].change_id

    text = previewed(as_("ada"), change_id, window=window.pk)

    assert f"{SIBLING}, patch set 1, NEW" in text
    assert f'value="{PICKED}" id="id_along_{PICKED}">' in text
    assert f'value="{ON_MASTER}"' not in text


def test_the_change_on_master_leads_to_its_cherry_picks(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    text = previewed(as_("ada"), ON_MASTER, window=window.pk)

    assert "which no wiki runs. Paste its cherry-pick instead" in text
    assert f"<strong>{PICKED}</strong> on <bdi>{OLD}</bdi>" in text


def test_a_suspected_coupling_and_a_dependency_are_shown_before_booking(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    ada = as_("ada")
    low, high = SITUATIONS["pair_remove"], SITUATIONS["pair_add"]
    assert ada.post("/backports/new", sent(window, low)).status_code == 302

    text = previewed(ada, f"{high} {SITUATIONS['chain_upper']}", window=window.pk)

    assert f"Do {low} and {high} belong together?" in text
    upper, lower = SITUATIONS["chain_upper"], SITUATIONS["chain_lower"]
    assert f"{upper} needs {lower} <span" in text
    assert "not booked in this window, new." in text


def test_a_change_that_gerrit_does_not_tell_about_is_booked_and_held(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    ada = as_("ada")
    gerrit.status = 503
    text = previewed(ada, CONFIG, window=window.pk)
    assert "Gerrit answered with status 503." in text
    assert "You can book it all the same: it is held until Gerrit has told about it" in text

    answer = ada.post("/backports/new", sent(window, CONFIG), follow=True)

    page = unescape(answer.content.decode())
    backport = Backport.objects.get()
    assert answer.redirect_chain == [(f"/backports/{backport.pk}", 302)]
    assert f"Gerrit has not told about {CONFIG} yet: it is held until then" in page
    assert not backport.change.is_known
    shown = ada.get(f"/windows/{window.pk}").content.decode()
    assert "waits for Gerrit" in shown
    assert f'href="/backports/{backport.pk}">{CONFIG}</a>' in shown
    assert "Nobody has booked yet" not in shown
    row = ada.get("/").context["page"].days[0].rows[0]
    assert row.elsewhere == (("held", 1),)

    known = FakeReviewSystem([fetched(CONFIG)])
    refresh_open_windows(system=known, now=timezone.now())
    assert "waits for Gerrit" not in ada.get(f"/windows/{window.pk}").content.decode()


@pytest.mark.parametrize("down", [{"html": True}, {"status": 302}, {"status": 403}])
def test_whatever_stands_between_it_can_be_booked(
    as_: As, window: Window, gerrit: DemoGerrit, down: dict[str, Any]
) -> None:
    for name, value in down.items():
        setattr(gerrit, name, value)

    assert as_("ada").post("/backports/new", sent(window, CONFIG)).status_code == 302

    assert not Backport.objects.get().change.is_known


@pytest.mark.django_db
def test_all_of_a_list_share_the_time_of_one_page(
    gerrit: DemoGerrit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "PAGE_SECONDS", 1.0)
    gerrit.delay = 0.6

    begun = time.monotonic()
    named = look_up(" ".join(str(2000 + n) for n in range(20)), now=timezone.now())

    assert time.monotonic() - begun < 3
    assert len(named) == 20
    assert all(one.can_be_booked for one in named[5:])


def test_a_change_id_that_cannot_be_looked_up_is_refused_and_stays_in_the_form(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    gerrit.status = 503
    change_id = change_id_of("never fetched")

    answer = as_("ada").post("/backports/new", sent(window, change_id))

    text = unescape(answer.content.decode())
    assert answer.status_code == 422
    assert "give the number of the change" in text
    assert change_id in text
    assert ANSWERS["why_not_train"] in text
    assert not Backport.objects.exists()


def test_what_is_stored_is_previewed_with_its_age_and_booked(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    ada = as_("ada")
    assert ada.post("/backports/new", sent(window, PICKED)).status_code == 302
    backport = Backport.objects.get()
    ada.post(
        f"/backports/{backport.pk}/withdraw",
        {"fingerprint": backport.fingerprint, "key": str(uuid4())},
    )
    told = timezone.now() - timedelta(hours=3, minutes=2)
    Change.objects.update(fetched_at=told)
    cache.clear()
    gerrit.status = 503

    for named in (PICKED, gerrit.changes[PICKED].change_id):
        text = previewed(ada, named, window=window.pk)
        assert "What you see is what Gerrit said 3 h ago." in text
        assert f'id="id_along_{SIBLING}"' in text or f'id="id_along_{PICKED}"' in text
    assert ada.post("/backports/new", sent(window, PICKED)).status_code == 302
    assert Change.objects.get(number=PICKED).fetched_at == told


def test_what_gerrit_does_not_know_is_not_booked(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    answer = as_("ada").post("/backports/new", sent(window, 424242))

    assert answer.status_code == 422
    assert "Gerrit knows no change 424242." in answer.content.decode()
    assert not Change.objects.exists()


@pytest.mark.django_db
def test_many_are_looked_up_and_one_that_fails_does_not_harm_the_others() -> None:
    known = FakeReviewSystem([fetched(1), fetched(3)])
    expect_change(number=2)

    named = look_up("1 2 3", now=timezone.now(), system=known)

    assert [(one.number, one.change is not None) for one in named] == [
        (1, True),
        (2, False),
        (3, True),
    ]
    assert named[1].trouble == "The review system does not answer."
    assert named[1].can_be_booked
    assert not known.was_in_transaction


def test_the_answers_are_copied_from_another_backport(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    ada = as_("ada")
    assert ada.post("/backports/new", sent(window, PICKED, nick="ada_l")).status_code == 302
    backport = Backport.objects.get()

    own = ada.get(f"/backports/new?from={backport.pk}&change={SIBLING}")
    other = as_("rae").get(f"/backports/new?from={backport.pk}")

    text = own.content.decode()
    assert f'The answers are those of <a href="/backports/{backport.pk}">{PICKED}</a>' in text
    assert own.context["form"].initial["why_not_train"] == ANSWERS["why_not_train"]
    assert own.context["form"].initial["change"] == str(SIBLING)
    assert own.context["form"].initial["nick"] == "ada_l"
    assert other.context["form"].initial["tester"] == "rae"
    assert "change" not in other.context["form"].initial

    Backport.objects.update(status="missed")
    again = as_("ada").get(f"/backports/new?from={backport.pk}")
    assert again.context["form"].initial["change"] == str(PICKED)


@pytest.mark.parametrize(
    "query", ["from=x", "from=999", "draft=x", "draft=999", "from=" + "9" * 40]
)
def test_what_the_address_says_wrongly_is_ignored(
    as_: As, cast: dict[str, User], query: str
) -> None:
    assert as_("ada").get(f"/backports/new?{query}").status_code == 200


def test_a_draft_is_saved_while_typing_listed_restored_and_dropped_when_booked(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    ada = as_("ada")
    typed = sent(window, PICKED, along=SIBLING, marks=["low-risk"], present="")

    saved = ada.post("/backports/drafts", typed, headers={"HX-Request": "true"})

    draft = Draft.objects.get()
    assert f'name="draft" value="{draft.pk}"' in saved.content.decode()
    assert f'href="/backports/new?draft={draft.pk}"' in ada.get("/backports/new").content.decode()
    form = ada.get(f"/backports/new?draft={draft.pk}")
    assert form.context["form"].initial["why_not_train"] == ANSWERS["why_not_train"]
    assert form.context["form"].initial["marks"] == ["low-risk"]
    assert f'id="id_along_{SIBLING}" checked' in form.content.decode()
    assert f'name="draft" value="{draft.pk}"' in form.content.decode()

    again = ada.post("/backports/drafts", {**typed, "draft": draft.pk})
    assert again["Location"] == f"/backports/new?draft={draft.pk}"
    assert ada.post("/backports/new", {**typed, "draft": draft.pk}).status_code == 302
    assert not Draft.objects.exists()


@pytest.mark.parametrize("address", ["/backports/new", "/backports/drafts"])
def test_what_was_typed_when_the_session_had_ended_is_kept_and_found_after_signing_in(
    as_: As, window: Window, gerrit: DemoGerrit, address: str
) -> None:
    ada = as_("ada")
    typist = ada.get("/backports/new").context["typist"]
    ada.logout()

    late = ada.post(address, sent(window, ALONE, typist=typist), follow=True)

    draft = Draft.objects.get()
    assert draft.user.username == "ada"
    assert f"next=%2Fbackports%2Fnew%3Fdraft%3D{draft.pk}&ended=kept" in late.redirect_chain[0][0]
    assert "What you typed is kept as a draft" in late.content.decode()
    right = {"username": "ada", "password": "ada signs in here", "next": late.context["next"]}
    form = ada.post("/sign-in", right, follow=True)
    assert form.context["form"].initial["user_impact"] == ANSWERS["user_impact"]
    assert not Backport.objects.exists()


def test_nothing_is_kept_for_nobody_in_particular(
    as_: As, cast: dict[str, User], window: Window, gerrit: DemoGerrit
) -> None:
    nobody = as_("ada")
    nobody.logout()
    for typist in ("", "x", typist_token(cast["ada"]) + "x", typist_token(cast["sam"])):
        late = nobody.post("/backports/new", sent(window, ALONE, typist=typist))
        assert late["Location"] == "/sign-in?next=%2F&ended=lost"
    assert not Draft.objects.exists()


def test_drafts_are_private(as_: As, window: Window, gerrit: DemoGerrit) -> None:
    as_("ada").post("/backports/drafts", sent(window, ALONE))
    draft = Draft.objects.get()

    rae = as_("rae")
    assert str(ALONE) not in rae.get(f"/backports/new?draft={draft.pk}").content.decode()
    rae.post(f"/backports/drafts/{draft.pk}/drop")
    assert Draft.objects.exists()
    as_("ada").post(f"/backports/drafts/{draft.pk}/drop")
    assert not Draft.objects.exists()
    assert as_("sam").post("/backports/drafts", sent(window, ALONE)).status_code == 403


def test_a_form_that_stayed_open_gets_the_token_of_the_new_session(
    as_: As, cast: dict[str, User]
) -> None:
    ada = as_("ada")
    headers = {"HX-Request": "true"}

    assert (
        "csrfmiddlewaretoken"
        in ada.get("/backports/drafts/session", headers=headers).content.decode()
    )
    assert ada.get("/backports/drafts/session").status_code == 302
    ada.logout()
    ended = ada.get("/backports/drafts/session", headers=headers)
    assert "csrfmiddlewaretoken" not in ended.content.decode()


def test_the_first_error_has_the_focus(as_: As, window: Window, gerrit: DemoGerrit) -> None:
    answer = as_("ada").post(
        "/backports/new", sent(window, PICKED, user_impact="", problems_where="n.a.")
    )

    text = answer.content.decode()
    assert answer.status_code == 422
    assert text.count(" autofocus") == 1
    assert 'href="#id_user_impact"' in text
    assert answer.context["form"].fields["user_impact"].widget.attrs["autofocus"]


@pytest.mark.parametrize(("count", "more"), [(0, 0), (1, 0), (30, 26)])
def test_any_number_of_windows(
    as_: As, cast: dict[str, User], gerrit: DemoGerrit, count: int, more: int
) -> None:
    for days in range(1, count + 1):
        in_a_day(days=days)

    text = previewed(as_("ada"), CONFIG)

    assert str(CONFIG) in text
    assert ("No window can be booked now." in text) is (count == 0)
    assert (f"{more} other windows" in text) is (more > 0)
    assert text.count('type="radio"') == count
    assert as_("ada").post("/backports/new", sent(None, CONFIG)).status_code == 422


@pytest.mark.parametrize("windows", [1, 4])
def test_three_or_thirty_backports_take_the_same_number_of_queries(
    as_: As, window: Window, gerrit: DemoGerrit, cast: dict[str, User], windows: int
) -> None:
    for days in range(2, windows + 1):
        in_a_day(days=days)
    ada = as_("ada")
    counts = []
    for numbers in (range(1, 4), range(4, 31)):
        for number in numbers:
            make_backport(window, cast["ada"], fetched(number))
        previewed(ada, PICKED, window=window.pk)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            previewed(ada, PICKED, window=window.pk)
        counts.append(len(queries))

    assert counts[0] == counts[1]
    assert counts[0] < 40 + 20 * windows


def test_the_long_title_and_hostile_text_are_shown_as_text(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    ada = as_("ada")

    assert "<script>" not in previewed(ada, "<script>alert(1)</script>", window=window.pk)
    assert "cannot be read" in previewed(ada, f"{CONFIG} <b>", window=window.pk)
    assert gerrit.changes[LONG].subject[:60] in previewed(ada, LONG, window=window.pk)


def test_an_address_that_contradicts_gerrit_says_so_beside_the_facts(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    text = previewed(as_("ada"), f"/r/c/mediawiki/core/+/{PICKED}/99", window=window.pk)

    assert f"The address says that {PICKED} is of mediawiki/core; it is of" in text
    assert "The address names patch set 99; the current one is 1," in text


def test_what_is_booked_already_is_said_first_and_cannot_be_booked(
    as_: As, window: Window, gerrit: DemoGerrit
) -> None:
    ada = as_("ada")
    assert ada.post("/backports/new", sent(window, SIBLING)).status_code == 302
    backport = Backport.objects.get()

    text = ada.get(f"/backports/new?change={SIBLING}").content.decode()

    assert f'<a href="/backports/{backport.pk}">booked already</a>' in text
    assert text.index("booked already") < text.index("Why can it not wait")
    assert '<button class="main" disabled aria-describedby="booked">Book it</button>' in text
    assert "disabled" not in ada.get(f"/backports/new?change={PICKED}").content.decode()


def test_the_summary_of_an_empty_form_begins_with_the_change(as_: As, window: Window) -> None:
    answer = as_("ada").post("/backports/new", {"key": str(uuid4()), "window": window.pk})

    text = answer.content.decode()
    summary = text[text.index("Not booked yet.") :]
    assert summary.index("#id_change") < summary.index("#id_why_not_train")
    assert "fields below need a second look" in summary


def test_a_full_window_leads_to_the_next_one_with_room(as_: As, cast: dict[str, User]) -> None:
    full, free = make_window(in_hours=24), make_window(in_hours=48)
    for number in range(1, 7):
        approve(make_backport(full, cast["ada"], fetched(number)), cast["rae"])
    ada = as_("ada")

    page = ada.get(f"/windows/{full.pk}").content.decode()
    form = ada.get(f"/backports/new?window={full.pk}").content.decode()

    assert "This window is full: 6 slots of 6 taken." in page
    assert f'<a class="button main" href="/backports/new?window={free.pk}">' in page
    assert "The window you came from is full" in form
    assert f'value="{free.pk}" id="id_window_{free.pk}" checked' in form
