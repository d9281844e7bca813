"""Every decision on the backport's page: by whom, about what was shown, once, and in words."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scheduler.domain.changes import ChangedFile
from scheduler.models import Backport, Change, Event, OtherName, User, Watch, Window
from scheduler.queries import newest_plan
from scheduler.services.backports import submit_backport
from scheduler.services.changes import expect_change, store_changes
from scheduler.services.events import record
from scheduler.services.plans import replan_window
from scheduler.services.windows import lock_window
from tests.factories import answers, approve, fetched, fetched_fix, make_backport, make_window
from tests.views.swaps import swap_between_page_and_form

As = Callable[[str], Client]
L10N = (ChangedFile("i18n/en.json", lines_inserted=4, lines_deleted=2),)
WHY = "Users on all wikis see it until Thursday."
HOSTILE = "<script>alert(1)</script>\u202e\x1b[31m \"'><img src=x onerror=alert(1)>"
HTMX = {"HX-Request": "true", "HX-Target": "backport"}


@pytest.fixture
def booked(cast: dict[str, User], window: Window) -> Backport:
    """Ada's backport of change 1000, to which nothing objects but that nobody approved it."""
    return make_backport(window, cast["ada"])


@pytest.fixture
def l10n(cast: dict[str, User], window: Window) -> Backport:
    """A backport that SHOULD ride the train."""
    return make_backport(window, cast["ada"], *fetched_fix(2000, files=L10N))


def form(backport: Backport, **fields: object) -> dict[str, Any]:
    """Return what the page would send now."""
    backport.refresh_from_db()
    return {"fingerprint": backport.fingerprint, "key": str(uuid4()), "reason": "", **fields}


def send(client: Client, backport: Backport, act: str, **fields: object) -> HttpResponse:
    return cast(
        "HttpResponse", client.post(f"/backports/{backport.pk}/{act}", form(backport, **fields))
    )


def status_of(backport: Backport) -> str:
    backport.refresh_from_db()
    return backport.status


def page_of(client: Client, backport: Backport) -> str:
    answer = client.get(f"/backports/{backport.pk}")
    assert answer.status_code == 200
    return answer.content.decode()


def last_event() -> Event:
    event = Event.objects.order_by("seq").last()
    assert event is not None
    return event


# --- Who may decide what

RIGHT = {
    "approve": ("rae", "rel"),
    "ask": ("rae", "dev", "rel"),
    "decline": ("rae", "dev", "rel"),
    "dedicated": ("ada", "rae", "rel"),
    "veto": ("dev", "rel"),
    "hand-over": ("ada", "rel"),
    "watch": ("ada", "rae", "dev", "rel"),
}
BUTTONS = {
    "approve": "Approve patch set 1",
    "ask": ">Ask the requester</button>",
    "decline": ">Decline</button>",
    "dedicated": ">Send to a dedicated window</button>",
    "veto": ">Veto</button>",
    "hand-over": ">Hand it over</button>",
    "watch": ">Watch</button>",
}
AFTER = {
    "approve": "approved",
    "ask": "needs-info",
    "decline": "declined",
    "dedicated": "dedicated",
    "veto": "missed",
}


@pytest.mark.parametrize("name", ["ada", "rae", "dev", "rel", "sam"])
@pytest.mark.parametrize("act", RIGHT)
def test_a_decision_is_offered_and_taken_exactly_where_it_is_permitted(
    booked: Backport, as_: As, act: str, name: str
) -> None:
    client = as_(name)
    fields = {"reason": "" if act == "approve" else WHY, "to": "dev", "watching": "yes"}

    assert (BUTTONS[act] in page_of(client, booked)) is (name in RIGHT[act])
    answer = send(client, booked, act, **fields)

    assert answer.status_code == (302 if name in RIGHT[act] else 403)
    expected = AFTER.get(act, "submitted") if name in RIGHT[act] else "submitted"
    assert status_of(booked) == expected


@pytest.mark.parametrize("act", ["ask", "decline", "dedicated", "veto", "hand-over"])
def test_without_a_reason_nothing_happens_and_the_form_stays_open(
    booked: Backport, as_: As, act: str
) -> None:
    answer = send(as_("rel"), booked, act, reason="  ", to=" ")

    assert answer.status_code == 422
    assert "<details open>" in answer.content.decode()
    assert status_of(booked) == "submitted"


def test_configuration_is_not_offered_to_the_train(
    booked: Backport, l10n: Backport, as_: As
) -> None:
    rae = as_("rae")

    assert "Send to the train" not in page_of(rae, booked)
    assert "Send to the train" in page_of(rae, l10n)
    assert send(rae, booked, "train", reason=WHY).status_code == 409


# --- What was shown is what is decided


@pytest.mark.parametrize("act", ["approve", "ask", "decline", "dedicated", "veto", "hand-over"])
def test_a_stale_page_is_refused_with_the_new_facts(booked: Backport, as_: As, act: str) -> None:
    sent = form(booked, reason="" if act == "approve" else WHY, to="dev")
    store_changes(fetched=[fetched(1000, patch_set=2, subject="Anew")], at=timezone.now())

    answer = as_("rel").post(f"/backports/{booked.pk}/{act}", sent)

    text = answer.content.decode()
    assert answer.status_code == 409
    assert "changed since you opened it" in text
    assert "Anew" in text
    assert f'value="{form(booked)["fingerprint"]}"' in text
    assert status_of(booked) == "submitted"


def test_what_was_typed_on_a_stale_page_is_kept(booked: Backport, as_: As) -> None:
    sent = form(booked, reason="Which wikis show it?", fingerprint="0" * 64)

    text = as_("rae").post(f"/backports/{booked.pk}/ask", sent, headers=HTMX).content.decode()

    assert text.lstrip().startswith('<div id="backport"')
    assert ">Which wikis show it?</textarea>" in text


def test_a_page_that_the_clock_made_stale_can_be_read_again(
    l10n: Backport, as_: As, window: Window
) -> None:
    """The rules are asked again on a refusal: the next form is not refused for the same reason."""
    rae = as_("rae")
    sent = form(l10n, acknowledged="l10n", reason=WHY)
    Window.objects.filter(pk=window.pk).update(title="Renamed")
    Backport.objects.filter(pk=l10n.pk).update(urgency=0)

    assert rae.post(f"/backports/{l10n.pk}/approve", sent).status_code == 409
    assert send(rae, l10n, "approve", acknowledged="l10n", reason=WHY).status_code == 302


def test_swaps_between_page_and_form_approve_nothing_unseen(
    cast: dict[str, User], as_: As, window: Window
) -> None:
    swap_between_page_and_form(make_backport(window, cast["ada"]), as_("rae"), times=20)


def test_a_double_click_decides_once(booked: Backport, as_: As) -> None:
    rae, sent = as_("rae"), form(booked)

    ways = [rae.post(f"/backports/{booked.pk}/approve", sent) for _ in range(2)]

    assert [answer.status_code for answer in ways] == [302, 302]
    assert Event.objects.filter(kind="backport.approve").count() == 1


def test_in_a_locked_window_the_page_shows_what_the_rules_say_now(
    cast: dict[str, User], as_: As, booked: Backport, window: Window
) -> None:
    approve(booked, cast["rae"])
    plan = newest_plan(window)
    assert plan is not None
    lock_window(window=window, by=cast["dev"], plan_fingerprint=plan.fingerprint)
    voted_down = fetched(1000, patch_set=2, labels={"Code-Review": 2, "Verified": -1})
    store_changes(fetched=[voted_down], at=timezone.now())

    assert 'id="finding-ci-failed"' in page_of(as_("rae"), booked)


# --- Own work, by whichever account


@pytest.mark.parametrize("facts", [{"owner": "rae"}, {"uploader": "rae"}, {"owner": "Rae-Alt"}])
def test_nobody_approves_their_own_and_reads_why(
    cast: dict[str, User], as_: As, window: Window, facts: dict[str, Any]
) -> None:
    OtherName.objects.create(user=cast["rae"], name="rae-alt")
    own = make_backport(window, cast["ada"], fetched(1, **facts))
    rae = as_("rae")

    text = page_of(rae, own)

    assert "Approve patch set" not in text
    assert "You may not approve this backport: you" in text
    assert send(rae, own, "approve").status_code == 403


# --- Withdrawing an approval


@pytest.mark.parametrize(("name", "may"), [("rae", True), ("rel", True), ("dev", False)])
def test_an_approval_is_withdrawn_with_a_reason(
    cast: dict[str, User], as_: As, booked: Backport, name: str, may: bool
) -> None:
    approve(booked, cast["rae"])
    client = as_(name)
    assert ("Withdraw the approval" in page_of(client, booked)) is may
    if may:
        assert send(client, booked, "withdraw-approval", reason="").status_code == 422

    answer = send(client, booked, "withdraw-approval", reason=WHY)

    assert answer.status_code == (302 if may else 403)
    assert status_of(booked) == ("submitted" if may else "approved")
    if may:
        text = page_of(client, booked)
        assert "took the approval back; it waits for review" in text
        assert "Nothing of what was approved is different" in text


# --- What changed since the last approval


def test_what_changed_since_the_approval_is_shown(
    cast: dict[str, User], as_: As, booked: Backport, window: Window
) -> None:
    approve(booked, cast["rae"])
    rae = as_("rae")
    assert "What changed since" not in page_of(rae, booked)

    message = f"Change 1000\n\nDepends-On: I{7:040x}"
    store_changes(fetched=[fetched(1000, patch_set=4, message=message)], at=timezone.now())
    Backport.objects.filter(pk=booked.pk).update(tested_where=HOSTILE)

    text = page_of(rae, booked)
    shown = rae.get(f"/backports/{booked.pk}").context["since_approval"]
    assert [(one.what, one.before) for one in shown.differences] == [
        ("Patch set", f"1 ({1000:020x}"[:15] + ")"),
        ("Depends-On", "nothing"),
        ("Where it was tested", "Beta Cluster"),
    ]
    assert "/+/1000/1..4" in shown.compared
    assert "<script>alert" not in text
    replan_window(window=window, now=timezone.now())
    assert send(rae, booked, "approve").status_code == 302
    assert "What changed since" not in page_of(rae, booked)


def test_an_approval_logged_without_its_content_tells_the_patch_sets(
    cast: dict[str, User], as_: As, booked: Backport
) -> None:
    payload = {"patch_set": 1, "sha": booked.change.sha}
    record(kind="backport.approve", actor=cast["rae"], backport=booked, payload=payload)
    store_changes(fetched=[fetched(1000, patch_set=2)], at=timezone.now())

    shown = as_("rae").get(f"/backports/{booked.pk}").context["since_approval"]

    assert [one.what for one in shown.differences] == ["Patch set"]


# --- Asking and answering


def test_an_answer_goes_back_to_the_reviewer_who_asked(booked: Backport, as_: As) -> None:
    send(as_("rae"), booked, "ask", reason="Which wikis show it?")
    page = page_of(as_("ada"), booked)
    assert "Which wikis show it?" in page
    assert 'name="reply"' in page
    assert 'name="reply"' not in page_of(as_("rel"), booked)
    assert send(as_("ada"), booked, "reply", reply=" ").status_code == 422
    assert send(as_("rel"), booked, "reply", reply="All.").status_code == 403

    answer = send(as_("ada"), booked, "reply", reply=f"All of them. {HOSTILE}")

    assert answer.status_code == 302
    assert status_of(booked) == "submitted"
    assert last_event().payload["to"] == "rae"
    text = page_of(as_("rae"), booked)
    assert "answered what rae asked" in text
    assert "All of them." in text
    assert "<script>alert" not in text
    assert "\u202e" not in text


# --- Taking on what SHOULD not be


def test_only_what_nobody_took_on_is_asked_and_the_rest_says_who(
    cast: dict[str, User], as_: As, l10n: Backport
) -> None:
    rae = as_("rae")
    assert send(rae, l10n, "approve", reason=WHY).status_code == 409
    refused = send(rae, l10n, "approve", acknowledged="l10n")
    assert refused.status_code == 422
    assert 'name="acknowledged" value="l10n" checked' in refused.content.decode()
    assert send(rae, l10n, "approve", acknowledged="l10n", reason=WHY).status_code == 302

    text = page_of(rae, l10n)
    assert 'name="acknowledged"' not in text
    assert "Taken on by <bdi>rae</bdi>" in text
    assert WHY in text

    fix = fetched_fix(2000, files=L10N, patch_set=2)
    store_changes(fetched=fix[:1], at=timezone.now())
    text = page_of(rae, l10n)
    assert 'name="acknowledged" value="l10n"' in text
    assert "<bdi>rae</bdi> took it on when it was something else" in text


def test_what_comes_up_after_the_approval_is_taken_on_by_itself(
    cast: dict[str, User], as_: As, l10n: Backport
) -> None:
    rae = as_("rae")
    send(rae, l10n, "approve", acknowledged="l10n", reason=WHY)
    l10n.acknowledgements.update(digest="0" * 64)
    text = page_of(rae, l10n)
    assert "Take it on" not in text  # the plan is as it was

    as_("rel")
    store_changes(
        fetched=fetched_fix(2000, files=L10N, labels={"Code-Review": 1})[:1], at=timezone.now()
    )
    assert "Take it on" in page_of(as_("rel"), l10n)
    answer = send(as_("rel"), l10n, "acknowledge", acknowledged="l10n", reason=WHY)

    assert answer.status_code == 302
    assert status_of(l10n) == "approved"
    assert last_event().kind == "backport.acknowledge"
    assert send(as_("dev"), l10n, "acknowledge", acknowledged="l10n").status_code == 422


# --- People


def test_it_is_handed_over_to_whoever_is_named(
    cast: dict[str, User], booked: Backport, as_: As
) -> None:
    ada = as_("ada")
    assert '<option value="dev">' in page_of(ada, booked)
    assert '<option value="sam">' not in page_of(ada, booked)
    for nobody in ("nobody", "", "sam"):
        assert send(ada, booked, "hand-over", to=nobody).status_code in {409, 422, 403}
    assert send(ada, booked, "hand-over", to="DEV").status_code == 302

    booked.refresh_from_db()
    assert booked.requester == cast["dev"]
    assert "handed this backport over from ada to dev" in page_of(ada, booked)


def test_a_closed_account_receives_nothing(
    cast: dict[str, User], booked: Backport, as_: As
) -> None:
    User.objects.filter(pk=cast["dev"].pk).update(is_active=False)

    assert send(as_("ada"), booked, "hand-over", to="dev").status_code == 422


def test_watching_begins_and_ends(booked: Backport, cast: dict[str, User], as_: As) -> None:
    dev = as_("dev")

    assert send(dev, booked, "watch", watching="yes").status_code == 302
    assert Watch.objects.get().user == cast["dev"]
    assert "Stop watching" in page_of(dev, booked)
    assert send(dev, booked, "watch", watching="no").status_code == 302
    assert not Watch.objects.exists()


# --- The page


def test_the_files_lead_to_gerrit(l10n: Backport, as_: As) -> None:
    text = page_of(as_("sam"), l10n)

    here = "https://gerrit.wikimedia.org/r/c/mediawiki/extensions/Echo/+/2000/1"
    assert f'href="{here}/i18n/en.json"' in text
    assert f'href="{here}"' in text


def test_a_finding_shows_its_rule_and_source(l10n: Backport, as_: As) -> None:
    text = page_of(as_("sam"), l10n)

    assert 'id="finding-l10n"' in text
    assert "Source: Deployments/Train vs backport" in text


def test_a_change_that_gerrit_has_not_told_about_has_its_page(
    cast: dict[str, User], as_: As, window: Window
) -> None:
    unknown = submit_backport(
        change=expect_change(number=77), window=window, requester=cast["ada"], answers=answers()
    )

    for name in ("ada", "rae", "sam"):
        text = page_of(as_(name), unknown)
        assert "Gerrit has not told about this change yet" in text
        assert "Approve patch set" not in text
    assert send(as_("rae"), unknown, "approve").status_code == 409
    assert send(as_("ada"), unknown, "withdraw").status_code == 302
    assert status_of(unknown) == "withdrawn"


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0, "just now"), (1, "1 minute ago"), (3, "3 minutes ago"), (125, "2 hours ago")],
)
def test_the_page_says_how_old_the_facts_are(
    booked: Backport, as_: As, minutes: int, said: str
) -> None:
    at = timezone.now() - timedelta(minutes=minutes, seconds=5)
    Change.objects.filter(pk=booked.change_id).update(fetched_at=at)

    assert f"{said}</time> (patch set 1)" in page_of(as_("sam"), booked)


def test_more_files_findings_and_events_take_no_more_queries(
    cast: dict[str, User], as_: As, window: Window
) -> None:
    rae = as_("rae")
    few = make_backport(window, cast["ada"], fetched(1000))
    files = tuple(ChangedFile(f"wmf-config/{n}.php") for n in range(80))
    other = make_window(in_hours=48, title="Evening SWAT")
    make_window(in_hours=72, title="Late SWAT")  # each has one after it
    many = make_backport(other, cast["ada"], fetched(1001, files=files))
    for number in range(2000, 2020):
        make_backport(other, cast["ada"], fetched(number))
    for _ in range(3):
        send(as_("rae"), many, "ask", reason=WHY)
        send(as_("ada"), many, "reply", reply=WHY)
    counts = []
    for one in (few, many):
        rae = as_("rae")
        page_of(rae, one)  # the cheapest ways in are looked for once for each plan
        with CaptureQueriesContext(connection) as queries:
            page_of(rae, one)
        counts.append(len(queries))

    assert counts[1] <= counts[0]
