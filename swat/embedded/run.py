"""`make run`: the whole product on this machine, with demo data, until Ctrl-C.

DATABASE_URL and REDIS_URL replace the embedded servers, GERRIT_URL the demo's review system,
EVENTS_URL the server of events, and PORT the web server's port. Data, logs and the demo's mail
stay in var/ (or SWAT_DATA_DIR).
"""

import fcntl
import os
import secrets
import sys
import time
from pathlib import Path

import httpx
import redis

from swat.celery import app
from swat.embedded import valkey
from swat.embedded.cast import CAST
from swat.embedded.ports import HOST, answers, free_port, is_free
from swat.embedded.supervisor import POLL, Program, ProgramFailed, StopAsked, Supervisor

ROOT = Path(__file__).resolve().parent.parent.parent
USUAL_PORT = 8000
LAST_PORT = 65_535
CELERY = (sys.executable, "-m", "celery", "--app", "swat")


def main() -> int:
    """Run until asked to stop; return the exit status."""
    os.chdir(ROOT)
    started = time.monotonic()
    folder = Path(os.environ.setdefault("SWAT_DATA_DIR", str(ROOT / "var"))).resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "run.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"It is running already with the data in {folder}; stop that one first.")
            return 1
        with Supervisor(folder / "log") as supervisor:
            supervisor.listen_to_signals()
            try:
                url = start_everything(supervisor, folder)
                took = time.monotonic() - started
                print(f"\nReady after {took:.1f} s: {url}\n")
                print(f"Sign in with one click as:\n{who_is_who()}\n")
                print(f"Logs are in {folder / 'log'}. Ctrl-C stops everything.", flush=True)
                while True:
                    supervisor.look()
                    time.sleep(POLL)
            except StopAsked:
                print("\nStopping", flush=True)
                return 0
            except ProgramFailed as failure:
                print(failure, file=sys.stderr)
                return 1


def start_everything(supervisor: Supervisor, folder: Path) -> str:
    """Start all servers, in the order they need each other; return the URL once all of it works.

    Raises:
        ProgramFailed: something did not start.
        StopAsked: a signal came meanwhile.
    """
    port = web_port()
    os.environ.setdefault("SWAT_INSECURE_HTTP", "1")
    os.environ.setdefault("SWAT_DEMO", "1")
    os.environ.setdefault("ALLOWED_HOSTS", f"localhost,{HOST},[::1]")
    url = f"http://{HOST}:{port}/"
    os.environ.setdefault("PUBLIC_URL", url)

    say("Preparing database, static files, Valkey and the demo's review system")
    migrate = manage(supervisor, "migrate", "--noinput")
    static = manage(supervisor, "collectstatic", "--noinput", "--verbosity", "0")
    if not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = valkey.start(supervisor, folder / "valkey", keep=True)
    if not os.environ.get("GERRIT_URL"):
        os.environ["GERRIT_URL"] = start_gerrit(supervisor)
    supervisor.finish(migrate)

    say("Loading the demo; starting worker, beat, events and web server")
    worker = start_worker(supervisor)
    start_beat(supervisor, folder)
    seed = manage(supervisor, "seed_demo")
    if not os.environ.get("EVENTS_URL"):
        os.environ["EVENTS_URL"] = start_events(supervisor, free_port())
    supervisor.finish(static)
    web = start_web(supervisor, port)
    supervisor.finish(seed)
    supervisor.wait_until(
        lambda: is_healthy(url), what="the web server answers", seconds=30, watched=web
    )
    wait_for_worker(supervisor, worker)
    return url


def web_port() -> int:
    """Return PORT, else the usual port, else any free one.

    Raises:
        ProgramFailed: PORT is taken, or no port at all.
    """
    wanted = os.environ.get("PORT")
    if not wanted:
        return USUAL_PORT if is_free(USUAL_PORT) else free_port()
    if not wanted.isdecimal() or not 0 < int(wanted) <= LAST_PORT or not is_free(int(wanted)):
        raise ProgramFailed(f"PORT={wanted} is not a free port of this machine.")
    return int(wanted)


def manage(supervisor: Supervisor, *command: str) -> Program:
    """Begin to run a management command that ends by itself."""
    return supervisor.start(command[0], [sys.executable, "manage.py", *command], ends=True)


def start_gerrit(supervisor: Supervisor) -> str:
    """Start the demo's review system; return its URL once it answers."""
    port = free_port()
    program = supervisor.start(
        "gerrit",
        [sys.executable, "-m", "swat.embedded.gerrit", "--port", str(port)],
        ends=True,  # the product lives on without its review system
    )
    supervisor.wait_until(
        lambda: answers(port), what="the review system answers", seconds=20, watched=program
    )
    return f"http://{HOST}:{port}/r/"


def start_worker(supervisor: Supervisor) -> Program:
    """Start the worker, which does what is due."""
    return supervisor.start(
        "worker",
        [
            *(*CELERY, "worker", "--concurrency", "2", "--loglevel", "INFO"),
            *("--without-gossip", "--without-mingle"),  # there is no other worker to talk to
        ],
        # A container's only user is often root; for a demo on one's own machine that is no news.
        environment={"PYTHONWARNINGS": "ignore:You're running the worker with superuser"},
        stop_seconds=15,  # more than CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT
    )


def start_beat(supervisor: Supervisor, folder: Path) -> Program:
    """Start beat, which tells the worker what is due."""
    return supervisor.start(
        "beat",
        [
            *(*CELERY, "beat", "--loglevel", "INFO", "--pidfile", ""),
            *("--schedule", str(folder / "celerybeat-schedule")),
        ],
    )


def start_web(supervisor: Supervisor, port: int, application: str = "swat.wsgi") -> Program:
    """Start the web server on `port`; it serves the WSGI application of a module."""
    return supervisor.start(
        "web",
        [
            *(sys.executable, "-m", "gunicorn", application, "--bind", f"{HOST}:{port}"),
            *("--worker-class", "gthread", "--workers", "2", "--threads", "4"),
            *("--graceful-timeout", "5", "--access-logfile", "-", "--no-control-socket"),
            *("--logger-class", "swat.masking.AccessLogger"),  # keys of feeds stand in addresses
        ],
        stop_seconds=10,
    )


def start_events(supervisor: Supervisor, port: int) -> str:
    """Start on `port` what pages listen to, and return its URL; without it they ask every 10 s."""
    supervisor.start(
        "events",
        [
            *(sys.executable, "-m", "uvicorn", "swat.asgi:application"),
            *("--host", HOST, "--port", str(port), "--lifespan", "off"),
            *("--timeout-graceful-shutdown", "1"),  # a stream does not end by itself
        ],
        stop_seconds=10,
        ends=True,  # the product lives on without it
    )
    return f"http://{HOST}:{port}/events/"


def is_healthy(url: str) -> bool:
    """Tell whether a server says that it can serve: web or events."""
    try:
        return httpx.get(f"{url}healthz", timeout=2).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def wait_for_worker(supervisor: Supervisor, worker: Program) -> None:
    """Look until a probe task has gone through broker and worker; it leaves its token in Redis."""
    token = secrets.token_hex(16)
    app.send_task("scheduler.tasks.probe", args=[token])
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        supervisor.wait_until(
            lambda: bool(client.exists(f"swat:probe:{token}")),
            what="the worker has done a task",
            seconds=30,
            watched=worker,
        )


def who_is_who() -> str:
    """Return the demo's people, one a line."""
    return "\n".join(f"  {person.username:<6}{person.is_a:<18}{person.does}" for person in CAST)


def say(text: str) -> None:
    """Tell the person at the terminal what is going on, at once."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
