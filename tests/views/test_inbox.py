"""The inbox: rows, filters, several approvals at once, and what it costs the database."""

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from scheduler.domain.backports import Urgency
from scheduler.models import Backport, OtherName, Override, User, Window
from scheduler.services.changes import store_changes
from scheduler.services.reviews import ask_requester, propose_override, reply_to_question
from tests.factories import approve, fetched, fetched_fix, make_backport, make_window

HTMX = {"HX-Request": "true", "HX-Target": "inbox"}
As = Callable[[str], Client]
Asks = Callable[..., list[Backport]]


@pytest.fixture
def week(cast: dict[str, User]) -> Window:
    return make_window()


@pytest.fixture
def asks(cast: dict[str, User], week: Window) -> Asks:
    """Let Ada ask for as many changes as are wanted, to which no rule objects."""

    def asked(count: int, *, first: int = 1) -> list[Backport]:
        numbers = range(first, first + count)
        made = [make_backport(week, cast["ada"], fetched(number)) for number in numbers]
        for one in made:
            one.refresh_from_db()
        return made

    return asked


@pytest.fixture
def varied(asks: Asks, cast: dict[str, User], week: Window) -> None:
    """Let Ada ask for configuration, for a fix of Echo, and for something urgent."""
    asks(1)
    make_backport(week, cast["ada"], *fetched_fix(2))
    make_backport(week, cast["ada"], fetched(3), urgency=Urgency.HIGH)


def ticked(backports: Iterable[Backport], **other: str) -> dict[str, object]:
    pairs = [f"{one.pk}:{one.fingerprint}" for one in backports]
    return {"tick": pairs, "key": str(uuid4()), **other}


def text_of(client: Client, address: str = "/reviews/") -> str:
    return client.get(address).content.decode()


def status_of(backport: Backport) -> str:
    return Backport.objects.get(pk=backport.pk).status


@pytest.fixture
def busy(asks: Asks, cast: dict[str, User], week: Window) -> Callable[[int, int], None]:
    """Let Ada ask for changes: each third one answered, refused by CI with an override proposed."""

    def made(count: int, first: int) -> None:
        for number in range(first, first + count):
            votes = {"Code-Review": 2, "Verified": 2 if number % 3 else -1}
            backport = make_backport(week, cast["ada"], fetched(number, labels=votes))
            backport.refresh_from_db()
            if number % 3 == 0:
                propose(backport, cast["rel"])
            elif number % 3 == 1:
                ask_and_reply(backport, cast["rae"])

    return made


def propose(backport: Backport, by: User) -> None:
    propose_override(
        backport=backport,
        by=by,
        fingerprint=backport.fingerprint,
        rule="ci-failed",
        reason="CI is broken for everybody today.",
    )


def ask_and_reply(backport: Backport, by: User) -> None:
    shown = backport.fingerprint
    ask_requester(backport=backport, by=by, fingerprint=shown, reason="Which wikis?")
    backport.refresh_from_db()
    reply_to_question(
        backport=backport,
        by=backport.requester,
        fingerprint=backport.fingerprint,
        reply="All of them.",
    )


def test_thirty_rows_take_as_many_queries_as_three(
    busy: Callable[[int, int], None], as_: As
) -> None:
    readers = ("rae", "rel", "dev", "ada")
    busy(3, 1)
    few = [queries_of_the_list(as_(name)) for name in readers]
    busy(27, 4)
    many = [queries_of_the_list(as_(name)) for name in readers]

    assert many == few
    assert max(few) < 30


def queries_of_the_list(client: Client) -> int:
    """Return how many queries it takes to show the list again."""
    client.get("/reviews/")
    with CaptureQueriesContext(connection) as queries:
        client.get("/reviews/")
    return len(queries)


def test_a_row_says_why_and_since_when_and_where(asks: Asks, as_: As, week: Window) -> None:
    asks(1)

    text = text_of(as_("rae"))

    assert "ada asks for it, and nobody has approved patch set 1." in text
    assert "Waits since" in text
    assert "just now" in text
    assert f'href="/windows/{week.pk}"' in text
    assert "held" in text
    assert "urgency normal" in text
    assert "No rule objects, but that nobody approved it yet." in text


def test_times_are_in_the_readers_zone_too(asks: Asks, as_: As, cast: dict[str, User]) -> None:
    asks(1)
    cast["rae"].time_zone = "Asia/Kolkata"
    cast["rae"].save()

    assert "IST)" in text_of(as_("rae"))


def test_a_reply_comes_first_with_both_words(asks: Asks, as_: As, cast: dict[str, User]) -> None:
    _, second = asks(2)
    ask_requester(
        backport=second, by=cast["rae"], fingerprint=second.fingerprint, reason="Which wikis?"
    )
    waiting = text_of(as_("ada"))
    assert "rae asks you something" in waiting
    assert "Which wikis?" in waiting
    second.refresh_from_db()
    reply_to_question(
        backport=second, by=cast["ada"], fingerprint=second.fingerprint, reply="All of them."
    )

    text = text_of(as_("rae"))

    assert "You asked; ada replied just now." in text
    assert "All of them." in text
    assert text.index('aria-label="Tick 2"') < text.index('aria-label="Tick 1"')


def test_a_new_patch_set_brings_it_back_to_who_approved(
    asks: Asks, as_: As, cast: dict[str, User]
) -> None:
    (backport,) = asks(1)
    approve(backport, cast["rae"])
    assert "Nothing waits for you." in text_of(as_("rae"))
    store_changes(fetched=[fetched(1, patch_set=2)], at=timezone.now())

    assert "You approved patch set 1; there is patch set 2." in text_of(as_("rae"))


def test_a_proposed_override_is_marked_and_waits_for_deployers(
    as_: As, cast: dict[str, User], week: Window
) -> None:
    backport = make_backport(
        week, cast["ada"], fetched(1, labels={"Code-Review": 2, "Verified": -1})
    )
    backport.refresh_from_db()
    propose(backport, cast["rel"])

    text = text_of(as_("dev"))

    assert "rel proposes to override ci-failed; it takes a second person." in text
    assert "override proposed" in text
    assert "CI is broken for everybody today." in text
    assert Override.objects.get().rule in text_of(as_("rae"))
    assert "override to confirm" not in text_of(as_("rel"))


def test_whoever_else_they_are_decides_on_it(asks: Asks, as_: As, cast: dict[str, User]) -> None:
    asks(1)
    OtherName.objects.create(user=cast["rae"], name="ada")

    assert "Nothing waits for you." in text_of(as_("rae"))
    assert "for your review" not in text_of(as_("rae"), "/")


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", [3, 1, 2]),
        ("urgency=high", [3]),
        ("project=mediawiki/extensions/Echo", [2]),
        ("why=review", [3, 1, 2]),
        ("why=replied", []),
        ("urgency=normal&project=operations/mediawiki-config", [1]),
        ("urgency=nonsense", []),
        ("nonsense=1", [3, 1, 2]),
    ],
)
def test_the_address_narrows_the_list(
    varied: None, as_: As, query: str, numbers: list[int]
) -> None:
    text = text_of(as_("rae"), f"/reviews/?{query}")

    assert [int(number) for number in re.findall(r'aria-label="Tick (\d+)"', text)] == numbers
    assert ("Nothing that waits for you is like that" in text) is not bool(numbers)


def test_a_window_is_a_filter_with_counts(asks: Asks, as_: As, cast: dict[str, User]) -> None:
    asks(2)
    later = make_window(in_hours=48)
    make_backport(later, cast["ada"], fetched(3))

    text = text_of(as_("rae"), f"/reviews/?window={later.pk}")

    assert 'aria-label="Tick 3"' in text
    assert 'aria-label="Tick 1"' not in text
    assert f'<a href="/reviews/?window={later.pk}" aria-current="true">' in text
    assert '<bdi>all</bdi> <span class="count">3</span>' in text


def test_an_htmx_decision_keeps_the_filter_of_its_page(
    asks: Asks, as_: As, cast: dict[str, User], week: Window
) -> None:
    asks(1)
    urgent = make_backport(week, cast["ada"], fetched(2), urgency=Urgency.HIGH)
    urgent.refresh_from_db()

    answer = as_("rae").post(
        f"/backports/{urgent.pk}/approve",
        {"fingerprint": urgent.fingerprint, "key": str(uuid4())},
        headers={**HTMX, "HX-Current-URL": "http://testserver/reviews/?urgency=high"},
    )

    text = answer.content.decode()
    assert 'aria-label="Tick 1"' not in text
    assert "Nothing that waits for you is like that: 1 backport waits in all." in text


def test_several_are_approved_at_once_without_javascript(asks: Asks, as_: As) -> None:
    three = asks(3)
    client = as_("rae")

    answer = client.post("/reviews/approve", ticked(three[:2]), follow=True)

    assert answer.redirect_chain[0][0].startswith("/reviews/?sent=")
    text = answer.content.decode()
    assert text.count("✓</span> approved") == 2
    assert [status_of(one) for one in three] == ["approved", "approved", "submitted"]


def test_what_changed_meanwhile_is_told_in_its_row(asks: Asks, as_: As) -> None:
    three = asks(3)
    store_changes(fetched=[fetched(2, patch_set=2)], at=timezone.now())

    answer = as_("rae").post("/reviews/approve", ticked(three), headers=HTMX)

    text = answer.content.decode()
    assert answer.status_code == 200
    assert text.count("✓</span> approved") == 2
    assert text.count("✕</span> refused") == 1
    assert "Nothing was changed about it." in text
    assert [status_of(one) for one in three] == ["approved", "submitted", "approved"]


def test_the_same_form_sent_twice_answers_the_same(asks: Asks, as_: As) -> None:
    three = asks(3)
    store_changes(fetched=[fetched(2, patch_set=2)], at=timezone.now())
    client, form = as_("rae"), ticked(three)

    first = client.post("/reviews/approve", form)
    second = client.post("/reviews/approve", form)

    assert first["Location"] == second["Location"]
    assert text_of(client, first["Location"]).count("✕</span> refused") == 1


def test_the_same_key_with_other_ticks_does_nothing(asks: Asks, as_: As) -> None:
    three = asks(3)
    client, form = as_("rae"), ticked(three[:1])
    client.post("/reviews/approve", form)

    answer = client.post("/reviews/approve", {**ticked(three[1:]), "key": form["key"]})

    assert answer.status_code == 422
    assert [status_of(one) for one in three] == ["approved", "submitted", "submitted"]


def test_what_rules_object_to_cannot_be_ticked_nor_slipped_in(
    as_: As, cast: dict[str, User], week: Window
) -> None:
    failed = {"Code-Review": 2, "Verified": -1}
    backport = make_backport(week, cast["ada"], fetched(1, labels=failed))
    backport.refresh_from_db()
    text = text_of(as_("rae"))
    assert "Cannot be ticked. Rules object (ci-failed)" in text
    assert 'id="bulk"' not in text

    answer = as_("rae").post("/reviews/approve", ticked([backport]), headers=HTMX)

    assert "Rules object (ci-failed): read them, then decide." in answer.content.decode()
    assert status_of(backport) == "submitted"


def test_a_mere_warning_is_shown_and_ticked_all_the_same(
    as_: As, cast: dict[str, User], week: Window
) -> None:
    bug = make_backport(week, cast["ada"], *fetched_fix(2))
    bug.refresh_from_db()
    text = text_of(as_("rae"))
    assert f'id="warns-{bug.pk}"' in text
    assert "</span> not-a-regression</span>" in text

    as_("rae").post("/reviews/approve", ticked([bug]))

    assert status_of(bug) == "approved"


@pytest.mark.parametrize(
    "form",
    [
        {"tick": []},
        {"tick": ["1"]},
        {"tick": ["x:" + "0" * 64]},
        {"tick": ["1:" + "0" * 64], "key": "no key"},
    ],
)
def test_a_form_that_is_not_usable_does_nothing(
    asks: Asks, as_: As, form: dict[str, object]
) -> None:
    (backport,) = asks(1)

    answer = as_("rae").post("/reviews/approve", {"key": str(uuid4()), **form})

    assert answer.status_code == 422
    assert "Nothing was changed." in answer.content.decode()
    assert status_of(backport) == "submitted"


@pytest.mark.parametrize("name", ["ada", "dev", "sam"])
def test_whoever_may_not_approve_is_told_for_each(asks: Asks, as_: As, name: str) -> None:
    (backport,) = asks(1)

    answer = as_(name).post("/reviews/approve", ticked([backport]), headers=HTMX)

    assert "✕</span> refused" in answer.content.decode()
    assert status_of(backport) == "submitted"


@pytest.mark.parametrize("sent", ["nonsense", "%25", "%00", "59596a5d-6cc4-4dba-bc38-042531b941b9"])
def test_a_key_that_is_not_ones_own_shows_nothing(as_: As, sent: str) -> None:
    answer = as_("rae").get(f"/reviews/?sent={sent}")

    assert answer.status_code == 200
    assert "What became of each" not in answer.content.decode()


def test_news_only_tells_that_something_else_waits(asks: Asks, as_: As) -> None:
    asks(1)
    client = as_("rae")
    shown = text_of(client).split('hx-get="/reviews/news?')[1].split('"')[0]
    assert text_of(client, f"/reviews/news?{shown}").strip() == ""
    asks(1, first=2)

    text = text_of(client, f"/reviews/news?{shown}")

    assert "Something changed: now 2 backports wait here." in text
    assert '<a href="/reviews/">' in text


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("rae", "New requests of others appear here by themselves."),
        ("ada", "What reviewers ask you about your backports appears here."),
        ("sam", "Reviewers and release engineers see here what others ask for."),
    ],
)
def test_an_empty_inbox_says_what_to_do(as_: As, name: str, sentence: str) -> None:
    text = text_of(as_(name))

    assert "Nothing waits for you." in text
    assert sentence in text
    assert 'href="/"' in text


def test_an_older_window_is_nothing_to_wait_for(asks: Asks, as_: As, week: Window) -> None:
    asks(1)
    start = timezone.now() - timedelta(hours=2)
    Window.objects.filter(pk=week.pk).update(start=start, end=start + timedelta(hours=1))

    assert "Nothing waits for you." in text_of(as_("rae"))


def test_a_row_shows_what_is_approved(asks: Asks, as_: As, settings: Settings) -> None:
    settings.GERRIT_PUBLIC_URL = "https://gerrit.example.org/r/"
    (backport,) = asks(1)

    text = text_of(as_("rae"))

    sha = backport.change.sha[:12]
    assert f"You approve patch set 1 (<code>{sha}</code>) with its 1 file, the answers" in text
    assert "wmf-config/InitialiseSettings.php" in text
    diff = "https://gerrit.example.org/r/c/operations/mediawiki-config/+/1/1"
    assert f'<a href="{diff}" rel="noreferrer">The diff in Gerrit</a>' in text
