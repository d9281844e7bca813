"""The web server dies between commit and answer: sent again, a form has the effect of one."""

from collections.abc import Iterator

import httpx
import pytest

from tests.faults.conftest import server_for
from tests.faults.crowd import Crowd
from tests.faults.site import Site, running
from tests.faults.visitor import Sending, Visitor, backport_in
from tests.faults.wsgi import AFTER_COMMIT, IN_TRANSACTION


@pytest.fixture(scope="module", params=["postgresql"])  # `make bench` does both
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("site"), server_for(request)) as one:
        one.start_web()
        yield one
        one.verify()


def die_of(site: Site, visitor: Visitor, sending: Sending, point: str) -> None:
    """Send a form whose worker dies at a point, and see the connection end without an answer."""
    site.arm(point)
    with pytest.raises(httpx.TransportError):
        visitor.send(sending, fault=point)
    assert not site.is_armed(point)


def test_a_booking_that_was_stored_but_not_answered_is_not_booked_again(site: Site) -> None:
    change = site.new_change()
    with site.visitor("ada") as ada:
        booking = ada.booking(change, site.windows()[0])
        die_of(site, ada, booking, AFTER_COMMIT)
        stored = site.kept(change)
        assert len(stored.backports) == 1
        refused = ada.send(booking.with_new_key())  # the control: without the key, nobody knows
        assert refused.status_code == httpx.codes.CONFLICT
        site.gerrit.status = httpx.codes.INTERNAL_SERVER_ERROR  # a retry needs nobody else
        try:
            answer, _ = ada.send_until_answered(booking)
        finally:
            site.gerrit.status = httpx.codes.OK
        assert [backport_in(answer)] == stored.backports
        assert ada.http.get(answer.headers["Location"]).status_code == httpx.codes.OK
    kept = site.kept(change)
    assert kept.backports == stored.backports
    assert kept.events == {"backport.submit": 1}


def test_a_booking_that_was_not_committed_never_happened_and_then_does_once(site: Site) -> None:
    change = site.new_change()
    with site.visitor("ada") as ada:
        booking = ada.booking(change, site.windows()[0])
        die_of(site, ada, booking, IN_TRANSACTION)
        assert site.kept(change).backports == []
        answer, _ = ada.send_until_answered(booking)
        booked = backport_in(answer)
    kept = site.kept(change)
    assert kept.backports == [booked]
    assert kept.events == {"backport.submit": 1}


@pytest.mark.parametrize(("point", "stored"), [(AFTER_COMMIT, 1), (IN_TRANSACTION, 0)])
def test_an_approval_is_given_once(site: Site, point: str, stored: int) -> None:
    change = site.new_change()
    with site.visitor("ada") as ada, site.visitor("rae") as rae:
        answer, _ = ada.send_until_answered(ada.booking(change, site.windows()[1]))
        backport = backport_in(answer)
        approval = rae.approval(backport)
        die_of(site, rae, approval, point)
        assert site.kept(change).events["backport.approve"] == stored
        answer, _ = rae.send_until_answered(approval)
        assert backport_in(answer) == backport
    assert site.kept(change).events == {"backport.submit": 1, "backport.approve": 1}
    reviews = site.rows("SELECT backport_id FROM scheduler_review")
    assert reviews.count((backport,)) == 1


def test_a_late_retry_of_what_was_withdrawn_books_nothing_and_a_new_key_does(site: Site) -> None:
    """The control: with a key of its own each sending has an effect, and that is seen here."""
    change = site.new_change()
    with site.visitor("ada") as ada:
        booking = ada.booking(change, site.windows()[0])
        die_of(site, ada, booking, AFTER_COMMIT)
        (backport,) = site.kept(change).backports
        ada.send_until_answered(ada.withdrawal(backport))
        answer, _ = ada.send_until_answered(booking)
        assert backport_in(answer) == backport
        assert site.kept(change).events == {"backport.submit": 1, "backport.withdraw": 1}
        answer, _ = ada.send_until_answered(booking.with_new_key())
        assert backport_in(answer) != backport
    kept = site.kept(change)
    assert len(kept.backports) == 2
    assert kept.events["backport.submit"] == 2


@pytest.mark.timeout(180)  # on a machine that does other things, too
def test_kills_amid_a_crowd_lose_nothing_and_double_nothing(site: Site) -> None:
    crowd = Crowd(site, seed=7)
    crowd.book_under(kills=5 if site.on_server else 10)
    for _ in range(30):  # a kill that hits nobody shows nothing
        if crowd.deaths:
            break
        crowd.book_under(kills=1)
    assert crowd.deaths > 0
    assert crowd.wrong() == []
