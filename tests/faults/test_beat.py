"""Beat runs twice, is killed, or stands still: what was due is done once, and the page tells."""

import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from swat.embedded.supervisor import Program
from tests.faults.site import Site, running
from tests.faults.visitor import Visitor

SILENT = re.compile(r"The scheduler was last heard of <time[^>]*>([^<]*)")
ONCE = {"window.skip": 1, "backport.miss": 1, "series.extend": 1}
UNCLAIMED = 16  # minutes since the start of a window: one more than deployers have
TICKS = 3  # more, after what was due is done: a second effect would show by then


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("site"), "", tick_seconds="1") as one:
        one.start_valkey()
        one.start_worker()
        one.start_web()
        yield one
        one.verify()


@pytest.fixture
def ada(site: Site) -> Iterator[Visitor]:
    with site.visitor("ada") as one:
        yield one


def done(site: Site) -> Counter[str]:
    """Return what the clock has done so far that is told, and how often."""
    told = " OR ".join(f"kind = '{kind}'" for kind in ONCE)
    return Counter(kind for (kind,) in site.rows(f"SELECT kind FROM scheduler_event WHERE {told}"))  # noqa: S608 - ours


def silent(visitor: Visitor) -> str:
    """Return since when the calendar says that the clock is silent; "" if it does not."""
    found = SILENT.search(visitor.read("/").text)
    return found[1] if found else ""


def last_tick(site: Site) -> str:
    """Return when the clock last ticked."""
    rows = site.rows("SELECT at FROM scheduler_heartbeat WHERE job = 'keep-the-calendar'")
    return str(rows[0][0]) if rows else ""


def be_later(site: Site, minutes: int) -> None:
    """Have the last tick be so many minutes ago, once the worker has done those on their way."""
    last = ""
    while last != (last := last_tick(site)):
        time.sleep(3)
    site.rows(f"UPDATE scheduler_heartbeat SET at = datetime(at, '-{minutes} minutes')")  # noqa: S608


def await_ticks(site: Site) -> None:
    """Wait until the clock has ticked some more times."""
    for _ in range(TICKS):
        before = last_tick(site)
        site.wait(lambda before=before: last_tick(site) > before, "the clock ticks")  # type: ignore[misc]


def see_all_done_once(site: Site, window: int, before: Counter[str]) -> None:
    """See that the clock did what was due, and nothing twice."""
    skipped = f"SELECT skipped_at FROM scheduler_window WHERE id = {window}"  # noqa: S608
    site.wait(lambda: site.rows(skipped) != [(None,)], "the window is skipped")
    await_ticks(site)
    assert done(site) - before == Counter(ONCE)
    days = Counter(site.rows("SELECT series_id, series_day FROM scheduler_window"))
    del days[None, None]
    assert days
    assert set(days.values()) == {1}


def stop_beats(site: Site, *beats: Program) -> None:
    """Kill every beat that runs."""
    for _ in beats:
        site.kill("beat")


def test_two_at_once_do_everything_once(site: Site) -> None:
    before = done(site)
    window = site.make_due(UNCLAIMED)
    beats = site.start_beat(), site.start_beat()
    see_all_done_once(site, window, before)
    stop_beats(site, *beats)


def test_killed_it_is_missed_and_the_next_one_makes_up_for_it(site: Site, ada: Visitor) -> None:
    before = done(site)
    site.start_beat()
    await_ticks(site)
    assert silent(ada) == ""

    site.kill("beat")
    be_later(site, minutes=4)
    assert silent(ada) == "4 minutes ago"
    window = site.make_due(UNCLAIMED)
    beat = site.start_beat()
    see_all_done_once(site, window, before)

    assert silent(ada) == ""
    stop_beats(site, beat)


def test_frozen_for_ten_minutes_it_does_what_was_due_once(site: Site, ada: Visitor) -> None:
    before = done(site)
    beat = site.start_beat()
    await_ticks(site)
    os.kill(beat.process.pid, signal.SIGSTOP)
    try:
        window = site.make_due(UNCLAIMED + 10)
        be_later(site, minutes=10)
        assert silent(ada) == "10 minutes ago"
        assert done(site) == before
    finally:
        os.kill(beat.process.pid, signal.SIGCONT)
    see_all_done_once(site, window, before)
    assert silent(ada) == ""
    stop_beats(site, beat)
