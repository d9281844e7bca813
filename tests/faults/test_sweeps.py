"""A sweep of the outbox dies anywhere: whoever is concerned gets every mail, in the end."""

from collections.abc import Iterator

import pytest

from tests.faults.conftest import server_for
from tests.faults.site import REVIEWERS, Site, running


@pytest.fixture(scope="module", params=["sqlite"])  # `make bench` does both
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("site"), server_for(request)) as one:
        yield one
        one.verify()


def sweep(site: Site, *arguments: str) -> int:
    """Have sweeps killed, and see that all came out well; return how many were."""
    before, sent = len(site.owed_mails()), site.mails().total()
    done = site.sweep(*arguments)
    assert len(site.owed_mails()) - before == done["bookings"] * len(REVIEWERS)
    again = sent - before  # by the other test
    assert site.wrong_with_mails(deaths=again + done["kills"]) == []
    return done["kills"]


def test_killed_at_every_step_it_loses_nothing_and_doubles_only_mail(site: Site) -> None:
    assert sweep(site) > 20  # around a dozen statements at least


def test_two_at_a_time_killed_at_random_leave_nothing_undone(site: Site) -> None:
    assert sweep(site, "--bookings", "10", "--kills", "20") >= 20
