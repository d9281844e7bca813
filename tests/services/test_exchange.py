"""The calendar as a wiki page: what a dry run shows, what an import makes, what a week holds."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from scheduler.domain.errors import NotPermitted, OutOfDate, Refused
from scheduler.models import Backport, Event, User, Window
from scheduler.services.exchange import dry_run, import_page, monday_of, week_as_wikitext
from tests.factories import approve, fetched, make_backport, make_window

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
START = datetime(2026, 12, 1, 21, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOW)


def card(when: str = "2026-12-01 13:00 SF", window: str = "[[Backport windows|Late]]") -> str:
    return (
        f"{{{{Deployment calendar event card\n|when={when}\n|length=1\n|window={window}\n"
        "|who=\n|what=\n}}\n"
    )


def outcomes(text: str) -> list[str]:
    return [row.outcome.value for row in dry_run(text, now=NOW).rows]


def test_what_is_new_is_made_once(rel: User) -> None:
    text = card() + card("2026-12-02 11:00 SF", "MediaWiki train")
    run = dry_run(text, now=NOW)
    assert Window.objects.count() == 0

    made = import_page(text=text, digest=run.digest, by=rel, source="page.wiki")

    assert [(one.start, one.kind, one.title) for one in made] == [
        (START, "backport", "Late"),
        (datetime(2026, 12, 2, 19, tzinfo=UTC), "train", "MediaWiki train"),
    ]
    (event,) = Event.objects.all()
    assert (event.kind, event.payload["source"]) == ("calendar.import", "page.wiki")
    assert outcomes(text) == ["there already", "there already"]
    with pytest.raises(OutOfDate):
        import_page(text=text, digest=run.digest, by=rel, source="page.wiki")
    again = dry_run(text, now=NOW).digest
    with pytest.raises(Refused, match="nothing to make"):
        import_page(text=text, digest=again, by=rel, source="page.wiki")


def test_two_windows_that_nobody_books_in_may_begin_at_once(rel: User) -> None:
    both = [
        card("2026-12-03 13:00 SF", f"[[Deployments|{title}]]") for title in ("Network", "Storage")
    ]
    text = "".join([*both, both[0]])

    assert outcomes(text) == ["new", "new", "there already"]
    digest = dry_run(text, now=NOW).digest
    assert len(import_page(text=text, digest=digest, by=rel, source="page.wiki")) == 2
    assert outcomes(text) == ["there already"] * 3


def test_each_window_has_its_outcome() -> None:
    make_window(start=START - HOUR / 2, end=START + HOUR / 2)
    text = (
        card()
        + card("2026-12-03 13:00 SF")
        + card("2026-12-03 13:00 SF")
        + card("2026-12-03 13:30 SF")
        + card("2014-03-25 16:00 SF")
        + card(window="[[Deployments/Train|Train]]")
    )

    assert outcomes(text) == [
        "overlaps",
        "new",
        "there already",
        "overlaps",
        "over",
        "new",
    ]


def test_what_changed_after_the_dry_run_is_refused(rel: User) -> None:
    run = dry_run(card(), now=NOW)
    make_window(start=START + HOUR / 2, end=START + HOUR)

    with pytest.raises(OutOfDate):
        import_page(text=card(), digest=run.digest, by=rel, source="pasted")
    assert Window.objects.count() == 1


def test_only_release_engineers_import(ada: User) -> None:
    with pytest.raises(NotPermitted):
        import_page(text=card(), digest="", by=ada, source="pasted")


def test_a_week_holds_the_queue_in_its_order(ada: User, rae: User, dev: User) -> None:
    window = make_window(start=START, end=START + HOUR, title="Late | backport")
    window.deployers.add(dev)
    make_window(start=START, end=START + HOUR, cancelled_at=NOW)
    make_window(start=START, end=START + HOUR, as_of=NOW, kind="train")
    second, first, hidden = (
        make_backport(window, ada, fetched(number, subject=f"Fix ''{number}''"))
        for number in (11, 12, 13)
    )
    for one in (first, second, hidden):
        approve(one, rae)
    Backport.objects.filter(pk=hidden.pk).update(marks=["security"])

    page = week_as_wikitext(date(2026, 11, 30))

    assert page.count("event card") == 1
    assert "{{ircnick|dev|dev}}" in page
    assert "(Max 6 patches)" in page
    assert "{{ircnick|ada&#95;l|ada}}" in page
    assert page.index("gerrit=12|title=Fix &#39;&#39;12&#39;&#39;") < page.index("gerrit=11")
    assert "13" not in page.replace("13:00", "").replace("&#13", "")
    assert week_as_wikitext(date(2026, 12, 7)) == "==Week of December 7==\n"
    assert outcomes(page) == ["there already"]


@pytest.mark.parametrize("week", ["2026-W54", "2026-W00", "2026W49", "", "2026-W49x", "9" * 9])
def test_there_is_no_such_week(week: str) -> None:
    with pytest.raises(Refused):
        monday_of(week)
    assert monday_of("2026-W49") == date(2026, 11, 30)
