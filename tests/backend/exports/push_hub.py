"""A server that takes a push as the hub does; large files are asked for like small ones."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class PushHub(ThreadingHTTPServer):
    """Notes the repositories made and the files that came; `refusal` is a status to answer with."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusal = 0
        self.made: list[dict[str, object]] = []
        self.files: list[str] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: PushHub

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._send({"sha": "a" * 40, "id": "someone/student", "siblings": []})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.refusal:
            self._send({"error": "no"}, self.server.refusal)
        elif self.path == "/api/repos/create":
            self.server.made.append(json.loads(content))
            self._send({"url": f"{self.server.endpoint}/someone/student", "name": "student"})
        elif self.path == "/api/validate-yaml":
            self._send({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = json.loads(content)["files"]
            self._send({"files": [{**_answer(file["path"])} for file in files]})
        elif "/commit/" in self.path:
            lines = [json.loads(line) for line in content.splitlines()]
            self.server.files += [line["value"]["path"] for line in lines if line["key"] == "file"]
            commit = f"{self.server.endpoint}/someone/student/commit/{'a' * 40}"
            self._send({"commitUrl": commit, "commitOid": "a" * 40, "success": True})
        else:
            self._send({"error": "what?"}, 404)

    def _send(self, answer: object, status: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _answer(path: str) -> dict[str, object]:
    return {"path": path, "uploadMode": "regular", "shouldIgnore": False, "oid": None}


@contextmanager
def taking_pushes() -> Iterator[PushHub]:
    """Serve until the block ends."""
    hub = PushHub()
    thread = threading.Thread(target=hub.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()
