"""A small server that answers like Gerrit, from changes made up for the demo and for tests.

`python -m swat.embedded.gerrit --port N [--data FILE]`; FILE is a JSON list of changes with the
fields of `DemoChange`.
"""

import argparse
import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import TypeAdapter

from swat.embedded.ports import HOST

PREFIX = b")]}'\n"
LOGIN_PAGE = b"<!DOCTYPE html><title>Sign in</title><p>Please sign in."
ANSWERED = Literal["NEW", "MERGED", "ABANDONED"]


@dataclass(frozen=True)
class DemoFile:
    """What a change does to one file: lines taken out, then lines put in at the same place."""

    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    status: Literal["A", "M", "D", "R", "C", "W"] = "M"
    old_path: str | None = None
    at: int = 1

    def diff(self, path: str) -> str:
        """Return its part of a unified diff."""
        old = "/dev/null" if self.status == "A" else f"a/{self.old_path or path}"
        new = "/dev/null" if self.status == "D" else f"b/{path}"
        lines = [f"diff --git a/{self.old_path or path} b/{path}", f"--- {old}", f"+++ {new}"]
        before = f"{self.at if self.removed else self.at - 1},{len(self.removed)}"
        after = f"{self.at if self.added else self.at - 1},{len(self.added)}"
        lines.append(f"@@ -{before} +{after} @@")
        lines += [f"-{line}" for line in self.removed]
        lines += [f"+{line}" for line in self.added]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class DemoChange:
    """One change of the demo's review system.

    Attributes:
        message: the whole commit message with its footers.
        parent: number of the change below it in its relation chain.
        included_in: branches that contain it beside its own, which is told once it is merged.
        labels: label to the votes on it.
        updated: the last time something happened to it, as Gerrit writes times.
    """

    number: int
    project: str
    branch: str
    change_id: str
    message: str
    files: dict[str, DemoFile] = field(default_factory=dict)
    owner: str = "ada"
    uploader: str = ""
    status: ANSWERED = "NEW"
    work_in_progress: bool = False
    labels: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {"Code-Review": (1,), "Verified": (2,)}
    )
    parent: int | None = None
    included_in: tuple[str, ...] = ()
    patch_set: int = 1
    updated: str = "2026-11-23 09:00:00.000000000"

    @property
    def subject(self) -> str:
        """The first line of its message."""
        return self.message.partition("\n")[0]

    @property
    def sha(self) -> str:
        """The commit of its current patch set: another one for every patch set."""
        return _sha(f"{self.number}/{self.patch_set}")

    @property
    def branches(self) -> list[str]:
        """The branches that contain it."""
        own = {self.branch} if self.status == "MERGED" else set()
        return sorted(own | set(self.included_in))

    @property
    def diff(self) -> str:
        """Its unified diff."""
        return "".join(file.diff(path) for path, file in self.files.items())


def _sha(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:40]


class DemoGerrit:
    """The server, for the length of a `with` block, on a port of the loopback address.

    The knobs may be turned at any time:

    Attributes:
        delay: seconds before each answer.
        drip: seconds between the bytes of each answer, its head included.
        status: instead of 200; a redirect leads to a log-in page of this server.
        html: answer with a page for people.
        truncate: send only this many bytes of a body that was announced as longer.
        mutate: given path and body, return the body to send.
        swap_after: put a new patch set on every open change once this many requests came.
        requests: the paths asked for, oldest first.
    """

    def __init__(self, changes: Iterable[DemoChange], *, port: int = 0, quiet: bool = True) -> None:
        self.changes = {change.number: change for change in changes}
        self.quiet = quiet
        self.delay = 0.0
        self.drip = 0.0
        self.status = 200
        self.html = False
        self.truncate: int | None = None
        self.mutate: Callable[[str, bytes], bytes] | None = None
        self.swap_after: int | None = None
        self.requests: list[str] = []
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server((HOST, port), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def url(self) -> str:
        """Its address, as for GERRIT_URL."""
        return f"http://{HOST}:{self._server.server_address[1]}/r/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def serve_forever(self) -> None:
        """Answer until the process is stopped."""
        with self._server:
            self._server.serve_forever()

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the block."""
        if seconds:
            self._closing.wait(seconds)

    def note(self, path: str) -> None:
        """Remember a request, and swap patch sets when it is time."""
        with self._lock:
            self.requests.append(path)
            if self.swap_after is not None and len(self.requests) == self.swap_after:
                for number, change in self.changes.items():
                    if change.status == "NEW":
                        swapped = replace(change, patch_set=change.patch_set + 1)
                        self.changes[number] = swapped

    def answer(self, path: str, query: str) -> tuple[int, bytes]:
        """Return status and body for a path below the server's address."""
        if path == "changes/":
            asked = parse_qs(query).get("q", [""])[0]
            return HTTPStatus.OK, _json([_change_info(change) for change in self._found(asked)])
        match = re.fullmatch(r"changes/(\d+)/(detail|in|revisions/(\w+)/(related|patch))", path)
        change = self.changes.get(int(match[1])) if match else None
        if match is None or change is None:
            return HTTPStatus.NOT_FOUND, f"Not found: {path}\n".encode()
        if match[2] == "detail":
            return HTTPStatus.OK, _json(_change_info(change))
        if match[2] == "in":
            return HTTPStatus.OK, _json({"branches": change.branches, "tags": []})
        old = self._at(change, match[3])
        if old is None:
            return HTTPStatus.NOT_FOUND, f"Not found: {match[3]}\n".encode()
        if match[4] == "patch":
            return HTTPStatus.OK, base64.b64encode(_patch(old).encode())
        return HTTPStatus.OK, _json({"changes": self._related(old)})

    def _found(self, query: str) -> list[DemoChange]:
        wanted = query.removeprefix("change:")
        newest_first = sorted(self.changes.values(), key=lambda change: -change.number)
        if wanted.isdecimal():
            return [change for change in newest_first if change.number == int(wanted)]
        shortest = len("I") + 7
        if len(wanted) < shortest:
            return []
        return [change for change in newest_first if change.change_id.startswith(wanted)]

    def _at(self, change: DemoChange, revision: str) -> DemoChange | None:
        if revision == "current":
            return change
        for patch_set in range(1, change.patch_set + 1):
            old = replace(change, patch_set=patch_set)
            if revision == old.sha:
                return old
        return None

    def _related(self, change: DemoChange) -> list[dict[str, Any]]:
        chain = [change]
        while (parent := self.changes.get(chain[-1].parent or 0)) is not None:
            chain.append(parent)
        while above := [row for row in self.changes.values() if row.parent == chain[0].number]:
            chain.insert(0, above[0])
        if len(chain) == 1:
            return []
        return [
            {
                "project": row.project,
                "change_id": row.change_id,
                "commit": _commit(row),
                "_change_number": row.number,
                "_revision_number": row.patch_set,
                "_current_revision_number": self.changes[row.number].patch_set,
                "status": row.status,
            }
            for row in chain
        ]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Say nothing where a client has left before the end: some are made to."""


def _handler_of(gerrit: DemoGerrit) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "DemoGerrit"
        wbufsize = -1
        disable_nagle_algorithm = True
        timeout = 30.0

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            gerrit.note(self.path)
            gerrit.pause(gerrit.delay)
            status, body = gerrit.answer(url.path.removeprefix("/r/"), url.query)
            kind = "text/plain" if url.path.endswith("/patch") else "application/json"
            if gerrit.status != HTTPStatus.OK:
                status, body = gerrit.status, b"Not now.\n"
            elif gerrit.html or url.path == "/r/login":
                status, body, kind = HTTPStatus.OK, LOGIN_PAGE, "text/html"
            elif gerrit.mutate is not None:
                body = gerrit.mutate(self.path, body)
            self.send_response(status)
            if status == HTTPStatus.FOUND:
                self.send_header("Location", "/r/login")
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self._send(body)

        def _send(self, body: bytes) -> None:
            if gerrit.truncate is not None:
                body = body[: gerrit.truncate]
                self.close_connection = True
            if not gerrit.drip:
                self.end_headers()
                self.wfile.write(body)
                return
            self.wfile.flush()
            for byte in b"X-Slow: yes\r\n\r\n" + body:
                gerrit.pause(gerrit.drip)
                self.wfile.write(bytes((byte,)))
                self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 its name there
            if not gerrit.quiet:
                print(format % args, flush=True)

    return Handler


def _json(told: object) -> bytes:
    return PREFIX + json.dumps(told).encode()


def _account(name: str) -> dict[str, object]:
    return {
        "_account_id": 1000 + sum(name.encode()),
        "name": name.capitalize(),
        "username": name,
    }


def _commit(change: DemoChange) -> dict[str, object]:
    below = _sha(f"tip of {change.project} {change.branch}")
    if change.parent is not None:
        below = _sha(f"{change.parent}/1")
    return {
        "commit": change.sha,
        "parents": [{"commit": below, "subject": "What was there before"}],
        "subject": change.subject,
        "message": change.message,
    }


def _label(votes: Sequence[int], voter: str) -> dict[str, object]:
    label: dict[str, object] = {"all": [{**_account(voter), "value": value} for value in votes]}
    for value, name in ((-2, "rejected"), (2, "approved")):
        if value in votes:
            label[name] = _account(voter)
    return label


def _change_info(change: DemoChange) -> dict[str, object]:
    files = {
        path: {
            "lines_inserted": len(file.added),
            "lines_deleted": len(file.removed),
            **({} if file.status == "M" else {"status": file.status}),
            **({} if file.old_path is None else {"old_path": file.old_path}),
        }
        for path, file in change.files.items()
    }
    return {
        "id": f"{change.project.replace('/', '%2F')}~{change.number}",
        "project": change.project,
        "branch": change.branch,
        "change_id": change.change_id,
        "subject": change.subject,
        "status": change.status,
        **({"work_in_progress": True} if change.work_in_progress else {}),
        "updated": change.updated,
        "owner": _account(change.owner),
        "labels": {
            name: _label(votes, "ci" if name == "Verified" else "rae")
            for name, votes in change.labels.items()
        },
        "_number": change.number,
        "current_revision": change.sha,
        "revisions": {
            change.sha: {
                "_number": change.patch_set,
                "uploader": _account(change.uploader or change.owner),
                "commit": _commit(change),
                "files": files,
            }
        },
    }


def _patch(change: DemoChange) -> str:
    head = f"From {change.sha} Mon Sep 17 00:00:00 2001\nFrom: {change.owner.capitalize()}\n"
    body = change.message.partition("\n")[2].strip("\n")
    return f"{head}Subject: [PATCH] {change.subject}\n\n{body}\n---\n\n{change.diff}-- \n2.47\n"


def changes_in(file: Path) -> list[DemoChange]:
    """Return the changes in a JSON file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a list of changes.
    """
    return TypeAdapter(list[DemoChange]).validate_json(file.read_bytes())


def main() -> None:
    """Answer until stopped."""
    from swat.embedded.gerrit_changes import CHANGES  # noqa: PLC0415 it is made of our classes

    parser = argparse.ArgumentParser(description="Answers like Gerrit, for the demo.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, help="JSON list of changes; the demo's own if absent")
    options = parser.parse_args()
    changes = CHANGES if options.data is None else changes_in(options.data)
    gerrit = DemoGerrit(changes, port=options.port, quiet=False)
    print(f"{len(changes)} changes at {gerrit.url}", flush=True)
    try:
        gerrit.serve_forever()
    except KeyboardInterrupt:
        print("Stopping", flush=True)


if __name__ == "__main__":
    main()
