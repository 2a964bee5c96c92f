"""Serves a workspace on this machine: binds, says where, and ends cleanly."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn

from backend.app import create_api, guard
from backend.backend import Backend
from backend.pages import is_built
from backend.settings import BackendSettings, new_secret
from backend.workspace_lock import workspace_lock
from OnPolicyDistill.errors import DistillError, InputError
from OnPolicyDistill.files import make_private, read_plain, write_text_atomically

HOST = "127.0.0.1"
TOKEN_VARIABLE = "OPD_TOKEN"
PARENT_POLL_SECONDS = 0.5
GRACE_SECONDS = 5
PORT_FILE = "last_port"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How a backend is started; port 0 lets the system choose a free one."""

    workspace: Path
    port: int = 0
    open_browser: bool = True
    ready_json: bool = False
    watch_parent: bool = False
    dev_origins: tuple[str, ...] = ()
    worker_command: tuple[str, ...] | None = None


def serve(
    workspace: Path, port: int = 0, open_browser: bool = True, ready_json: bool = False
) -> int:
    """Serve a workspace until a signal ends it and return the exit code; see `serve_with`."""
    serve_with(
        ServeOptions(
            workspace=workspace, port=port, open_browser=open_browser, ready_json=ready_json
        )
    )
    return 0


def serve_with(options: ServeOptions) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; runs at work go on by themselves.

    Raises:
        InputError: the port is taken.
        RunError: another backend holds the workspace.
    """
    listener = _bind_again(options)
    settings = make_settings(options, listener.getsockname()[1])
    make_private(settings.workspace)
    with workspace_lock(settings):
        write_text_atomically(settings.workspace / PORT_FILE, str(settings.port))
        backend = Backend(settings)
        server = _Server(_configure(backend), options, settings)
        backend.on_stop = server.ask_to_exit
        if options.watch_parent:
            _exit_with_parent(server)
        server.run(sockets=[listener])


def _bind_again(options: ServeOptions) -> socket.socket:
    """Bind the port that was asked for, else the workspace's last one: open pages find it there."""
    if options.port == 0:
        try:
            return bind(int(read_plain(options.workspace.expanduser() / PORT_FILE)))
        except (OSError, ValueError, DistillError):
            pass  # none yet, or taken by something else
    return bind(options.port)


def bind(port: int) -> socket.socket:
    """Bind a socket on the loopback interface, and nowhere else.

    Raises:
        InputError: the port is taken or not allowed.
    """
    # asyncio sends small answers at once only where the socket names its protocol; else the
    # second half of an answer waits 40 ms for the first to be acknowledged.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "is taken by another program" if taken else f"cannot be used ({error})"
        raise InputError(
            f"Port {port} on {HOST} {why}.", "Leave out --port to get a free one."
        ) from error
    return listener


def make_settings(options: ServeOptions, port: int) -> BackendSettings:
    """Make the settings of a backend on a bound port; the token comes by environment only."""
    settings = BackendSettings(
        workspace=options.workspace.expanduser().resolve(),
        port=port,
        token=os.environ.get(TOKEN_VARIABLE) or new_secret(),
        dev_origins=options.dev_origins,
    )
    if options.worker_command is None:
        return settings
    return replace(settings, worker_command=options.worker_command)


def _configure(backend: Backend) -> uvicorn.Config:
    return uvicorn.Config(
        guard(create_api(backend), backend),
        log_level="warning",
        access_log=False,
        server_header=False,
        # Compressing for one reader after the other costs more than the loopback does.
        ws_per_message_deflate=False,
        ws_max_size=65_536,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        timeout_graceful_shutdown=GRACE_SECONDS,
        lifespan="on",
    )


class _Server(uvicorn.Server):
    """Says where it serves once it does."""

    def __init__(
        self, config: uvicorn.Config, options: ServeOptions, settings: BackendSettings
    ) -> None:
        super().__init__(config)
        self._options = options
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            announce(self._options, self._settings)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to a closed terminal as well; what nohup ignores stays ignored."""
        before = signal.getsignal(signal.SIGHUP)
        if before != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self.handle_exit)
        with super().capture_signals():
            yield
        signal.signal(signal.SIGHUP, before)

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        """End on a signal. Uvicorn's own dies of it again after all is closed: not with 0."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    def ask_to_exit(self) -> None:
        self.should_exit = True


def announce(options: ServeOptions, settings: BackendSettings) -> None:
    """Say where the page is: one JSON line for programs, words and a browser for people."""
    url = f"http://{HOST}:{settings.port}/?token={settings.link_token}"
    if options.ready_json:
        ready = {
            "ready": True,
            "port": settings.port,
            "pid": os.getpid(),
            "instance": settings.instance,
        }
        _say(json.dumps(ready))
        return
    _say(f"OnPolicyDistill serves {settings.workspace}\n{url}")
    if not is_built(settings.frontend):
        _note("The screen is not built yet: make build, then reload that page.")
    _note("Ctrl-C ends it; runs that are at work go on.")
    if options.open_browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _exit_with_parent(server: _Server) -> None:
    """End the server when the process that started it is gone; its runs go on."""
    parent = os.getppid()

    def watch() -> NoReturn:
        while True:
            if os.getppid() != parent:
                server.ask_to_exit()
            time.sleep(PARENT_POLL_SECONDS)

    threading.Thread(target=watch, daemon=True).start()
