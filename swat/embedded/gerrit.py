"""A small server that answers like Gerrit, from changes made up for the demo and for tests.

`python -m swat.embedded.gerrit --port N [--data FILE]`; FILE is a JSON list of changes with the
fields of `DemoChange`.
"""

import argparse
import base64
import json
import re
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import TypeAdapter

from swat.embedded.gerrit_changes import CHANGES, DemoChange, named_sha
from swat.embedded.ports import HOST

PREFIX = b")]}'\n"
BLANKS = b" " * 65_536
LOGIN_PAGE = b"<!DOCTYPE html><title>Sign in</title><p>Please sign in."


class DemoGerrit:
    """The server, for the length of a `with` block, on a port of the loopback address.

    The knobs may be turned at any time:

    Attributes:
        delay: seconds before each answer; many are a server that hangs.
        drip: seconds between the bytes of each answer, its head included.
        status: instead of 200; a redirect leads to a log-in page of this server, or to `location`.
        location: where a redirect leads.
        html: answer with a page for people.
        truncate: send only this many bytes of a body that was announced as longer.
        encoding: what the body is said to be compressed with.
        padding: send this many blanks after each body, as fast as they are taken.
        unseen: how many changes nobody may see go along with every open one.
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
        self.location = "/r/login"
        self.html = False
        self.truncate: int | None = None
        self.encoding = ""
        self.padding = 0
        self.unseen = 0
        self.mutate: Callable[[str, bytes], bytes] | None = None
        self.swap_after: int | None = None
        self.requests: list[str] = []
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(self, port)
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
        match = re.fullmatch(
            r"changes/(\d+)/(detail|in|submitted_together|revisions/(\w+)/(related|patch))", path
        )
        change = self.changes.get(int(match[1])) if match else None
        if match and change and match[3]:
            change = self._at(change, match[3])
        if match is None or change is None:
            return HTTPStatus.NOT_FOUND, f"Not found: {path}\n".encode()
        if match[4] == "patch":
            return HTTPStatus.OK, base64.b64encode(_patch(change).encode(errors="replace"))
        told: dict[str, Callable[[], object]] = {
            "detail": lambda: _change_info(change),
            "in": lambda: {"branches": change.branches, "tags": []},
            "related": lambda: {"changes": self._related(change)},
            "submitted_together": lambda: {
                "changes": self._submitted_together(change),
                "non_visible_changes": self.unseen if change.status == "NEW" else 0,
            },
        }
        return HTTPStatus.OK, _json(told[match[4] or match[2]]())

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

    def _submitted_together(self, change: DemoChange) -> list[dict[str, object]]:
        """Return it with the open changes below it, newest first; nothing where it goes alone."""
        chain = [change] if change.status == "NEW" else []
        while chain and (parent := self.changes.get(chain[-1].parent or 0)) is not None:
            if parent.status != "NEW" or parent in chain:
                break
            chain.append(parent)
        return [_change_info(row) for row in chain] if len(chain) > 1 or self.unseen else []

    def _related(self, change: DemoChange) -> list[dict[str, Any]]:
        chain = [change]
        while (parent := self.changes.get(chain[-1].parent or 0)) is not None:
            chain.append(replace(parent, patch_set=1))  # the one that our commits are made on
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

    def __init__(self, gerrit: DemoGerrit, port: int) -> None:
        super().__init__((HOST, port), _Handler)
        self.gerrit = gerrit

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Say nothing where a client has left before the end: some are made to."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "DemoGerrit"
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 30.0

    def do_GET(self) -> None:
        """Answer as the knobs say."""
        gerrit = self.server.gerrit
        gerrit.note(self.path)
        gerrit.pause(gerrit.delay)
        status, kind, body = self._answer(gerrit)
        self.send_response(status)
        if status == HTTPStatus.FOUND:
            self.send_header("Location", gerrit.location)
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "120")
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        if gerrit.encoding:
            self.send_header("Content-Encoding", gerrit.encoding)
        if gerrit.padding:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        if gerrit.truncate is not None:
            body = body[: gerrit.truncate]
            self.close_connection = True
        if gerrit.drip:
            self._drip(body)
        else:
            self.end_headers()
            self.wfile.write(body)
            for _ in range(0, gerrit.padding, len(BLANKS)):
                self.wfile.write(BLANKS)

    def _answer(self, gerrit: DemoGerrit) -> tuple[int, str, bytes]:
        url = urlsplit(self.path)
        if gerrit.html or url.path == "/r/login":
            return HTTPStatus.OK, "text/html", LOGIN_PAGE
        if gerrit.status != HTTPStatus.OK:
            return gerrit.status, "text/plain", b"Not now.\n"
        status, body = gerrit.answer(url.path.removeprefix("/r/"), url.query)
        if gerrit.mutate is not None:
            body = gerrit.mutate(self.path, body)
        return status, "text/plain" if url.path.endswith("/patch") else "application/json", body

    def _drip(self, body: bytes) -> None:
        self.send_header("X-Slow", "yes")
        self.wfile.flush()
        self.end_headers()
        for byte in body:
            self.server.gerrit.pause(self.server.gerrit.drip)
            self.wfile.write(bytes((byte,)))
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 its name there
        """Tell each request, unless asked to be quiet."""
        if not self.server.gerrit.quiet:
            print(format % args, flush=True)


def _json(told: object) -> bytes:
    return PREFIX + json.dumps(told).encode()


def _account(name: str) -> dict[str, object]:
    return {
        "_account_id": 1000 + sum(name.encode()),
        "name": name.capitalize(),
        "username": name,
    }


def _commit(change: DemoChange) -> dict[str, object]:
    below = named_sha(f"tip of {change.project} {change.branch}")
    if change.parent is not None:
        below = named_sha(f"{change.parent}/1")
    return {
        "commit": change.sha,
        "parents": [{"commit": below, "subject": "What was there before"}],
        "subject": change.subject,
        "message": change.message,
        "author": {"name": change.owner, "date": change.authored or _written(change.change_id)},
    }


def _written(change_id: str) -> str:
    """Return when somebody wrote a change of the demo: some hour of the three weeks before."""
    hours = int(change_id[1:9], 16) % (21 * 24)
    moment = datetime(2026, 11, 20, 9, tzinfo=UTC) - timedelta(hours=hours)
    return f"{moment:%Y-%m-%d %H:%M:%S}.000000000"


def _label(votes: Sequence[int], voter: str) -> dict[str, object]:
    label: dict[str, object] = {"all": [{**_account(voter), "value": value} for value in votes]}
    names = ((-2, "rejected"), (-1, "disliked"), (1, "recommended"), (2, "approved"))
    return label | {name: _account(voter) for value, name in names if value in votes}


def _is_submittable(change: DemoChange) -> bool:
    votes = change.labels.values()
    return not change.work_in_progress and all(2 in row and min(row) >= 0 for row in votes)  # noqa: PLR2004


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
        **({"topic": change.topic} if change.topic else {}),
        "owner": _account(change.owner),
        "labels": {
            name: _label(votes, "ci" if name == "Verified" else "rae")
            for name, votes in change.labels.items()
        },
        "submittable": change.status == "NEW" and _is_submittable(change),
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
