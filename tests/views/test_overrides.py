"""Overriding a MUST rule on the pages: two people who just signed in, and red wherever it shows."""

from collections.abc import Callable
from typing import Any, cast
from uuid import uuid4

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from scheduler.domain.errors import OutOfDate
from scheduler.models import Backport, Event, OtherName, Override, User, Window
from scheduler.services.backports import withdraw_backport
from scheduler.services.changes import store_changes
from scheduler.services.reviews import confirm_override, propose_override
from scheduler.views import signing_in
from tests.factories import approve, fetched, make_backport

As = Callable[[str], Client]
RULE = "needs-own-window"
WHY = "Users lose their edits until this is out."
HOSTILE = "<script>alert(1)</script> because it must go \u202e all the same"


@pytest.fixture
def booked(cast: dict[str, User], window: Window) -> Backport:
    """A backport that MUST have a window of its own."""
    return make_backport(window, cast["ada"], fetched(3000), criteria=frozenset({"long-task"}))


@pytest.fixture
def entered(client: Client, cast: dict[str, User]) -> As:
    """Sign somebody in as a person does, so that it is known to have been a moment ago."""

    def as_person(name: str) -> Client:
        client.post("/demo-sign-in", {"username": name})
        return client

    return as_person


def form(backport: Backport, **fields: object) -> dict[str, Any]:
    backport.refresh_from_db()
    return {"fingerprint": backport.fingerprint, "key": str(uuid4()), **fields}


def propose(client: Client, backport: Backport, **fields: object) -> HttpResponse:
    sent = form(backport, **{"rule": RULE, "reason": WHY, **fields})
    return cast("HttpResponse", client.post(f"/backports/{backport.pk}/overrides", sent))


def confirm(client: Client, backport: Backport, **fields: object) -> HttpResponse:
    override = Override.objects.latest("pk")
    return cast(
        "HttpResponse", client.post(f"/overrides/{override.pk}/confirm", form(backport, **fields))
    )


def page_of(client: Client, backport: Backport) -> str:
    return client.get(f"/backports/{backport.pk}").content.decode()


def override_by_two(backport: Backport, first: User, second: User) -> Override:
    """Override the rule through the services, for a backport that somebody else requested."""
    backport.refresh_from_db()
    override = propose_override(
        backport=backport,
        by=first,
        fingerprint=backport.fingerprint,
        rule=RULE,
        reason=WHY,
    )
    backport.refresh_from_db()
    return confirm_override(override=override, by=second, fingerprint=backport.fingerprint)


def test_what_is_over_is_neither_taken_on_nor_overridden(
    cast: dict[str, User], as_: As, window: Window
) -> None:
    backport = make_backport(window, cast["ada"])
    backport.refresh_from_db()
    sent = {"fingerprint": backport.fingerprint, "rules": "l10n", "rule": "frozen"}
    rae = as_("rae")
    withdraw_backport(
        backport=backport, by=cast["ada"], fingerprint=backport.fingerprint, reason=""
    )

    said = {**sent, "key": str(uuid4()), "reason": "x" * 30}
    answer = rae.post(f"/backports/{backport.pk}/acknowledge", said)
    assert answer.status_code == 409
    with pytest.raises(OutOfDate):
        propose_override(
            backport=backport,
            by=cast["rae"],
            fingerprint=sent["fingerprint"],
            rule="frozen",
            reason="x" * 30,
        )


def test_two_people_override_a_rule_and_the_requester_is_neither(
    booked: Backport, entered: As
) -> None:
    assert f"Propose to override {RULE}" not in page_of(entered("ada"), booked)
    assert f"Propose to override {RULE}" not in page_of(entered("sam"), booked)
    rae = entered("rae")
    assert f"Propose to override {RULE}" in page_of(rae, booked)
    assert propose(rae, booked).status_code == 302

    text = page_of(rae, booked)
    assert "override proposed" in text
    assert "you proposed the override" in text
    assert ">Confirm: " not in text
    assert ">Confirm: " in page_of(entered("dev"), booked)
    assert confirm(entered("dev"), booked).status_code == 302

    text = page_of(entered("sam"), booked)
    assert "Overridden by <bdi>rae</bdi> and <bdi>dev</bdi>" in text
    assert f"{RULE} overridden</span>" in text
    assert "confirmed, as the second person" in text
    assert WHY in text


def test_nobody_is_both_people_not_even_by_a_second_account(
    booked: Backport, entered: As, cast: dict[str, User]
) -> None:
    assert propose(entered("rae"), booked).status_code == 302
    assert confirm(entered("rae"), booked).status_code == 403

    OtherName.objects.create(user=cast["rae"], name="rel")
    assert ">Confirm: " not in page_of(entered("rel"), booked)
    assert confirm(entered("rel"), booked).status_code == 403
    assert not Override.objects.filter(confirmed_at__isnull=False).exists()


@pytest.mark.parametrize("name", ["ada", "sam"])
def test_whoever_may_not_is_not_even_asked_to_sign_in(
    booked: Backport, as_: As, name: str, cast: dict[str, User]
) -> None:
    assert propose(as_(name), booked).status_code == 403
    booked.refresh_from_db()
    propose_override(
        backport=booked,
        by=cast["rae"],
        fingerprint=booked.fingerprint,
        rule=RULE,
        reason=WHY,
    )
    assert confirm(as_(name), booked).status_code == 403


def test_whoever_signed_in_long_ago_signs_in_again_and_loses_nothing(
    booked: Backport, entered: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    rae = entered("rae")
    monkeypatch.setattr(signing_in, "RECENT", 0)

    answer = propose(rae, booked, reason=HOSTILE)

    there = f"/sign-in/again?next=%2Fbackports%2F{booked.pk}%23finding-{RULE}"
    assert answer.status_code == 302
    assert answer["Location"] == there
    assert not Override.objects.exists()
    assert "Is it still you?" in rae.get(there).content.decode()
    monkeypatch.undo()
    back = rae.post(
        "/sign-in/again", {"way": "demo", "next": f"/backports/{booked.pk}#finding-{RULE}"}
    )
    assert back["Location"] == f"/backports/{booked.pk}#finding-{RULE}"
    text = page_of(rae, booked)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; because it must go" in text
    assert propose(rae, booked, reason=HOSTILE).status_code == 302
    assert "because it must go" in Override.objects.get().reason
    assert "\u202e" not in Override.objects.get().reason
    text = page_of(entered("dev"), booked)
    assert "<script>alert" not in text


def test_what_somebody_typed_is_not_shown_to_who_signs_in_after_them(
    booked: Backport, entered: As, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing_in, "RECENT", 0)
    propose(entered("rae"), booked, reason="Only rae should read this.")
    monkeypatch.undo()

    assert "Only rae should read this." not in page_of(entered("rel"), booked)


def test_confirming_asks_to_sign_in_again_too(
    booked: Backport, as_: As, entered: As, cast: dict[str, User]
) -> None:
    propose(entered("rae"), booked)
    dev = as_("dev")  # a session that does not tell when it began

    answer = confirm(dev, booked)

    assert answer["Location"].startswith("/sign-in/again?next=")
    htmx = dev.post(
        f"/overrides/{Override.objects.get().pk}/confirm",
        form(booked),
        headers={"HX-Request": "true"},
    )
    assert (htmx.status_code, htmx["HX-Redirect"]) == (204, answer["Location"])
    assert not Override.objects.filter(confirmed_at__isnull=False).exists()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"reason": "too short"}, "20 characters or more"),
        ({"reason": " " * 40}, "field is required"),
        ({"rule": "no-such-rule"}, "no-such-rule"),
        ({"rule": "not-approved"}, "never overridden"),
        ({"rule": "frozen"}, "does not object"),
    ],
)
def test_what_is_no_reason_or_no_rule_is_refused(
    booked: Backport, entered: As, fields: dict[str, str], said: str
) -> None:
    answer = propose(entered("rae"), booked, **fields)

    assert answer.status_code in {409, 422}
    assert said in answer.content.decode()
    assert not Override.objects.exists()


def test_a_stale_page_overrides_nothing(booked: Backport, entered: As) -> None:
    rae = entered("rae")
    assert propose(rae, booked, fingerprint="0" * 64).status_code == 409
    propose(rae, booked)
    sent = form(booked)
    store_changes(fetched=[fetched(3000, patch_set=2)], at=timezone.now())

    answer = entered("dev").post(f"/overrides/{Override.objects.get().pk}/confirm", sent)

    assert answer.status_code == 409
    assert "patch set 2" in answer.content.decode()
    assert not Override.objects.filter(confirmed_at__isnull=False).exists()


def test_a_double_click_proposes_once(booked: Backport, entered: As) -> None:
    rae, sent = entered("rae"), form(booked, rule=RULE, reason=WHY)

    ways = [rae.post(f"/backports/{booked.pk}/overrides", sent) for _ in range(2)]

    assert [one.status_code for one in ways] == [302, 302]
    assert Override.objects.count() == 1
    assert Event.objects.filter(kind="backport.propose-override").count() == 1


def test_a_rule_that_is_never_overridden_offers_no_form(booked: Backport, entered: As) -> None:
    text = page_of(entered("rae"), booked)

    assert 'id="finding-not-approved"' in text
    assert "Propose to override not-approved" not in text


@pytest.mark.parametrize("confirmed", [False, True])
def test_it_is_turned_down_or_taken_back_with_a_reason(
    booked: Backport, entered: As, confirmed: bool
) -> None:
    propose(entered("rae"), booked)
    if confirmed:
        confirm(entered("dev"), booked)
    rel, override = entered("rel"), Override.objects.get()
    word = "Take it back" if confirmed else "Turn it down"
    assert word in page_of(rel, booked)
    address = f"/overrides/{override.pk}/end"
    assert rel.post(address, form(booked, reason=" ")).status_code == 422
    assert entered("ada").post(address, form(booked, reason=WHY)).status_code == 403

    answer = entered("rel").post(address, form(booked, reason="The rule is right."))

    assert answer.status_code == 302
    text = page_of(rel, booked)
    assert "ended the override of" in text
    assert f"Propose to override {RULE}" in text


def test_it_is_red_wherever_the_backport_appears(
    booked: Backport, as_: As, cast: dict[str, User], window: Window
) -> None:
    override_by_two(booked, cast["rel"], cast["dev"])
    approve(booked, cast["rae"])
    chip = f'<span class="chip bad"><span aria-hidden="true">!</span> {RULE} overridden</span>'
    client = as_("sam")

    for address in (
        f"/backports/{booked.pk}",
        f"/windows/{window.pk}",
        f"/windows/{window.pk}/checklist",
        "/overrides/",
    ):
        assert chip in client.get(address).content.decode(), address
    assert "1 overridden</span>" in client.get("/").content.decode()
    assert chip in as_("ada").get("/").content.decode()
    client = as_("sam")
    policy = client.get("/policy").content.decode()
    assert "Overridden 1 time, 1 in force" in policy


def test_the_list_tells_what_is_in_force_proposed_and_past_and_counts(
    booked: Backport, as_: As, cast: dict[str, User], window: Window
) -> None:
    override_by_two(booked, cast["rel"], cast["dev"])
    store_changes(fetched=[fetched(3000, patch_set=2)], at=timezone.now())
    other = make_backport(window, cast["ada"], fetched(3001), criteria=frozenset({"long-task"}))
    override_by_two(other, cast["rae"], cast["rel"])

    answer = as_("sam").get("/overrides/")

    assert [(one.rule, one.all_time, one.in_force) for one in answer.context["counts"]] == [
        (RULE, 2, 1)
    ]
    assert [len(rows) for _, _, rows in answer.context["lists"]] == [0, 1, 1]
    assert f'href="/backports/{other.pk}"' in answer.content.decode()


def test_an_override_of_what_has_ended_is_past(
    booked: Backport, as_: As, cast: dict[str, User]
) -> None:
    override_by_two(booked, cast["rel"], cast["dev"])
    as_("ada").post(f"/backports/{booked.pk}/withdraw", form(booked))

    answer = as_("sam").get("/overrides/")

    assert [(one.rule, one.all_time, one.in_force) for one in answer.context["counts"]] == [
        (RULE, 1, 0)
    ]
    assert [len(rows) for _, _, rows in answer.context["lists"]] == [0, 0, 1]


def test_more_overrides_take_no_more_queries(
    cast: dict[str, User], as_: As, window: Window
) -> None:
    client = as_("sam")
    counts = []
    for first in (4000, 4100):
        for number in range(first, first + 3):
            one = make_backport(
                window, cast["ada"], fetched(number), criteria=frozenset({"long-task"})
            )
            override_by_two(one, cast["rel"], cast["dev"])
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/overrides/").status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_a_proposed_override_says_who_can_confirm_it_and_leads_there(
    booked: Backport, entered: As
) -> None:
    propose(entered("rel"), booked)

    text = page_of(entered("dev"), booked)
    listed = entered("dev").get("/overrides/").content.decode()

    sentence = f"rel proposes to let it go although {RULE} objects; a second person has to"
    assert f"{sentence} confirm it: dev or rae can." in text
    assert listed.index("Waits for a second person") < listed.index("In force")
    assert f'href="/policy#{RULE}"' in listed
    assert f'<a class="button" href="/backports/{booked.pk}#finding-{RULE}">Confirm' in listed
    assert ">Confirm or" not in entered("rel").get("/overrides/").content.decode()


def test_the_page_says_until_when_a_sign_in_counts(booked: Backport, entered: As) -> None:
    text = page_of(entered("rel"), booked)

    assert "You showed who you are at" in text
    assert "that counts until" in text
