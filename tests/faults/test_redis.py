"""Redis dies or hangs, and so do workers: each mail arrives, and no form is answered later."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from swat.embedded.supervisor import Program
from tests.faults.mail import AFTER_MAIL, BEFORE_MAIL
from tests.faults.site import REVIEWERS, Site, children_of, running
from tests.faults.visitor import Visitor, backport_in

AT_ONCE = 2.0  # seconds for a form to be answered, whatever Redis does


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("site"), "") as one:
        one.start_valkey()
        one.start_worker()
        one.start_beat()
        one.start_web()
        yield one
        one.verify()


@pytest.fixture
def ada(site: Site) -> Iterator[Visitor]:
    with site.visitor("ada") as one:
        yield one


def book(site: Site, ada: Visitor) -> float:
    """Book something; return how many seconds the answer took."""
    booking = ada.booking(site.new_change(), site.windows()[0])
    begun = time.monotonic()
    backport_in(ada.send(booking))
    return time.monotonic() - begun


def await_mails(site: Site) -> float:
    """Wait until every mail that is owed was sent; return how many seconds that took."""
    return site.wait(
        lambda: set(site.mails()) == site.owed_mails() and unsent(site) == 0,
        "every mail is there",
        site.program("worker"),
    )


def see_each_once(site: Site, mails: Counter[str]) -> None:
    """See that one booking was told to everybody once, and that nothing else was done twice."""
    assert sorted(mails.values()) == [1] * len(REVIEWERS)
    told = [(event, person) for event, person, _ in site.notifications()]
    assert len(told) == len(set(told)) == len(site.owed_mails())


def unsent(site: Site) -> int:
    """Return how many mails nobody has noted as sent."""
    return sum(not is_sent for _, _, is_sent in site.notifications())


def log_of(program: Program) -> str:
    """Return what a program has said so far."""
    return program.log.read_text(errors="replace") if program.log else ""


@pytest.fixture(autouse=True)
def _nothing_is_owed(site: Site, ada: Visitor) -> None:
    """Begin with a worker that has sent everything."""
    book(site, ada)
    await_mails(site)


def test_redis_killed_and_restarted_empty_takes_nothing_along(site: Site, ada: Visitor) -> None:
    programs = [site.program(name).process.pid for name in ("worker", "beat")]
    before = site.mails()
    site.kill("valkey")
    assert book(site, ada) < AT_ONCE
    assert ada.read("/backports/new").status_code == httpx.codes.OK  # still signed in
    site.start_valkey()
    await_mails(site)
    assert [site.program(name).process.pid for name in ("worker", "beat")] == programs
    see_each_once(site, site.mails() - before)


def test_redis_that_hangs_holds_up_mail_and_nothing_else(site: Site, ada: Visitor) -> None:
    valkey, beat, before = site.program("valkey"), site.program("beat"), site.mails()
    said = len(log_of(beat))
    os.kill(valkey.process.pid, signal.SIGSTOP)
    try:
        assert book(site, ada) < AT_ONCE
        assert ada.read("/backports/new").status_code == httpx.codes.OK
        # Beat gives up on a server that hangs, and tries again.
        site.wait(lambda: "Timeout" in log_of(beat)[said:], "beat has noticed it", beat)
    finally:
        os.kill(valkey.process.pid, signal.SIGCONT)
    await_mails(site)
    see_each_once(site, site.mails() - before)


def test_redis_killed_amid_a_task_does_not_take_the_worker_along(site: Site, ada: Visitor) -> None:
    worker = site.program("worker")
    said = len(log_of(worker))
    site.arm(BEFORE_MAIL)
    try:
        book(site, ada)
        site.wait(lambda: site.in_hand() > 0, "a mail is in hand", worker)
        site.kill("valkey")
        site.wait(lambda: "broker lost" in log_of(worker)[said:], "it has noticed", worker)
    finally:
        site.disarm(BEFORE_MAIL)
    site.start_valkey()
    site.let_claims_run_out()
    book(site, ada)  # what was in hand may be sent by a worker that is about to end
    await_mails(site)
    assert site.program("worker") is worker


def test_a_child_killed_between_sending_and_noting_it_sends_again(site: Site, ada: Visitor) -> None:
    before = site.mails()
    site.arm(AFTER_MAIL)
    book(site, ada)
    others = len(REVIEWERS) - 1
    site.wait(
        lambda: len(site.mails() - before) == len(REVIEWERS) and unsent(site) == 1,
        "one child of the worker has died with a mail, and another has sent the rest",
        site.program("worker"),
    )
    assert not site.is_armed(AFTER_MAIL)
    assert site.in_hand() == 1  # the dead one's: nobody takes it before its claim has run out
    site.let_claims_run_out()
    await_mails(site)
    assert sorted((site.mails() - before).values()) == [*[1] * others, 2]


def test_a_worker_killed_with_all_its_children_is_replaced_by_another(
    site: Site, ada: Visitor
) -> None:
    before = site.mails()
    site.arm(BEFORE_MAIL)
    try:
        book(site, ada)
        site.wait(lambda: site.in_hand() > 0, "a mail is in hand", site.program("worker"))
        for child in children_of(site.program("worker").process.pid):
            os.kill(child, signal.SIGKILL)
        site.kill("worker")
    finally:
        site.disarm(BEFORE_MAIL)
    site.start_worker()
    site.let_claims_run_out()
    await_mails(site)
    see_each_once(site, site.mails() - before)
