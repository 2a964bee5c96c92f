"""A server that speaks the few endpoints of the hub that downloads and searches use."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

COMMIT = "a" * 40


class FakeHub(ThreadingHTTPServer):
    """Serves one repository's files; `bytes_per_second` slows the large ones down."""

    daemon_threads = True

    def __init__(self, hub_id: str, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub_id = hub_id
        self.files = files
        self.bytes_per_second = 0
        self.asked: list[tuple[str, str | None]] = []
        self.searches: list[dict[str, list[str]]] = []
        self.search_answer: tuple[int, bytes] = (200, b"[]")

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, with_body: bool) -> None:
        address = urlsplit(self.path)
        if address.path == "/api/models":
            self.server.searches.append(parse_qs(address.query))
            self._send(*self.server.search_answer, {})
        elif address.path.startswith(f"/api/models/{self.server.hub_id}"):
            self._send(200, json.dumps(self._listing(address.path)).encode(), {})
        elif address.path.startswith(f"/{self.server.hub_id}/resolve/"):
            self._send_file(address.path.rsplit("/", 1)[-1], with_body)
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _listing(self, path: str) -> object:
        if "/tree/" in path:
            return [
                {"type": "file", "path": name, "size": len(content), "oid": name}
                for name, content in self.server.files.items()
            ]
        siblings = [{"rfilename": name} for name in self.server.files]
        return {"id": self.server.hub_id, "sha": COMMIT, "siblings": siblings}

    def _send_file(self, name: str, with_body: bool) -> None:
        content = self.server.files[name]
        etag = hashlib.sha256(content).hexdigest()
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        wanted = self.headers.get("Range")
        if with_body:
            self.server.asked.append((name, wanted))
        found = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        if found is None:
            self._send(200, content, headers, with_body)
            return
        start = int(found[1])
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._send(206, content[start:], headers, with_body)

    def _send(
        self, status: int, content: bytes, headers: dict[str, str], with_body: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self._write(content)

    def _write(self, content: bytes) -> None:
        rate = self.server.bytes_per_second
        if not rate or len(content) < rate:
            self.wfile.write(content)
            return
        try:
            for start in range(0, len(content), rate // 20):
                self.wfile.write(content[start : start + rate // 20])
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            return  # the download was cancelled


@contextmanager
def serving(hub_id: str, folder: Path) -> Iterator[FakeHub]:
    """Serve the files of a model's folder."""
    hub = FakeHub(hub_id, {file.name: file.read_bytes() for file in sorted(folder.iterdir())})
    thread = threading.Thread(target=hub.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
