"""Servers on the loopback that answer with given bodies, in vLLM's and sglang's forms."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pydantic import JsonValue

# Status, body, headers; a body of None closes the connection without an answer.
Answer = tuple[int, bytes | None, dict[str, str]]


def as_json(value: JsonValue, status: int = 200) -> Answer:
    return status, json.dumps(value).encode(), {"content-type": "application/json"}


@dataclass
class Heard:
    """What a server was asked, in order: path, headers, body."""

    url: str
    requests: list[tuple[str, dict[str, str], JsonValue]] = field(default_factory=list)


@contextmanager
def answering(reply: Callable[[int, JsonValue], Answer]) -> Iterator[Heard]:
    """A server whose `reply` is given the number of the request and its body."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                number = len(heard.requests)
                heard.requests.append((self.path, dict(self.headers.items()), body))
            status, content, headers = reply(number, body)
            if content is None:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "content-length" not in headers:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    heard = Heard(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
