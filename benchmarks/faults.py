"""Kill web workers, sweeps and Redis again and again, and count what was lost or done twice.

`make bench` runs it, on SQLite and with the product's own schedule of sweeps; with the address of
a PostgreSQL server as its argument it gets a database of its own there. It fails if anything
answered is not stored, anything was done twice, a mail is missing or late, or `verify` complains.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.faults.crowd import Crowd
from tests.faults.site import Site, running
from tests.faults.visitor import backport_in

WEB_KILLS, SWEEP_KILLS, OUTBOX = 200, 200, 100
BOOKABLE = 3_000  # more changes than anybody books meanwhile
WINDOWS = 40
SEED = int(os.environ.get("SEED", "7"))
ANSWER, ARRIVAL = 2.0, 60.0  # seconds: for a form without Redis, and for its mail once it is back


def kill_web(site: Site) -> list[str]:
    """Kill web workers under a crowd; return what went wrong."""
    site.start_web()
    begun = time.perf_counter()
    crowd = Crowd(site, seed=SEED)
    crowd.book_under(kills=WEB_KILLS)
    wrong = crowd.wrong()
    print(
        f"web: {WEB_KILLS} kills in {time.perf_counter() - begun:.0f} s; "
        f"{len(crowd.answered)} bookings answered, {crowd.deaths} requests sent again, "
        f"{len(wrong)} lost or doubled"
    )
    return wrong


def kill_sweeps(site: Site) -> list[str]:
    """Kill sweeps, two at a time; return what went wrong."""
    begun = time.perf_counter()
    arguments = ("--bookings", str(OUTBOX), "--kills", str(SWEEP_KILLS), "--seed", str(SEED))
    done = site.sweep(*arguments)
    wrong = site.wrong_with_mails(deaths=done["kills"])
    owed, sent = len(site.owed_mails()), site.mails().total()
    print(
        f"outbox: {done['kills']} sweeps killed in {time.perf_counter() - begun:.0f} s; "
        f"{owed} mails owed, {sent} sent, {len(wrong)} wrong"
    )
    return wrong


def without_redis(site: Site) -> list[str]:
    """Have Redis die, and hang, under a worker and its usual schedule; return what went wrong."""
    site.start_valkey()
    site.start_worker()
    site.start_beat()
    wrong = []
    for how in ("killed and emptied", "hanging"):
        if how == "hanging":
            os.kill(site.program("valkey").process.pid, signal.SIGSTOP)
        else:
            site.kill("valkey")
        with site.visitor("ada") as ada:
            booking = ada.booking(site.new_change(), site.windows()[0])
            begun = time.perf_counter()
            backport_in(ada.send(booking))
            answer = time.perf_counter() - begun
        if how == "hanging":
            os.kill(site.program("valkey").process.pid, signal.SIGCONT)
        else:
            site.start_valkey()
        arrival = site.wait(lambda: set(site.mails()) >= site.owed_mails(), "its mail is there")
        print(f"Redis {how}: answer after {answer:.2f} s, mail {arrival:.0f} s after it was back")
        if answer > ANSWER or arrival > ARRIVAL:
            wrong.append(f"Redis {how}: too late")
    return [*wrong, *site.wrong_with_mails(deaths=SWEEP_KILLS)]


def main() -> int:
    """Do all of it on one site; return 1 if anything went wrong."""
    server = sys.argv[1] if len(sys.argv) > 1 else ""
    with (
        tempfile.TemporaryDirectory(prefix="swat-bench-") as name,
        running(Path(name), server, bookable=BOOKABLE, windows=WINDOWS, sweep_seconds="") as site,
    ):
        wrong = [*kill_sweeps(site), *kill_web(site)]
        site.deliver()
        wrong += without_redis(site)
        site.verify()
    print("\n".join(wrong) or "nothing lost, nothing twice; verify: all is well")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
