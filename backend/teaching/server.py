"""`opd serve-teacher`: a teacher answers on a port, guarded as the screen's own API is."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn

from backend.access import Access
from backend.guard import Guard, Surface
from backend.settings import BackendSettings, new_secret
from backend.teaching.app import create_app
from backend.teaching.desk import Desk
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.teacher.reached import ServedTeacher

TOKEN_VARIABLE = "OPD_TEACHER_TOKEN"
# 64 rows of thousands of ids, each with further ids to be scored.
MAX_BODY_BYTES = 64_000_000
GRACE_SECONDS = 5
LOOPBACK = "127.0.0.1"
MIN_TOKEN_CHARACTERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSettings(BackendSettings):
    """The guard's settings of a served teacher: everything asks for the token."""

    host: str = LOOPBACK
    max_json_bytes: int = MAX_BODY_BYTES

    @property
    def own_hosts(self) -> tuple[str, ...]:
        """The only `Host` headers that are answered."""
        named = [self.host] if self.host != LOOPBACK else ["127.0.0.1", "localhost", "[::1]"]
        return tuple(f"{name}:{self.port}" for name in named)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherOptions:
    """How a teacher is served; port 0 lets the system choose, no token makes one."""

    model: str
    host: str = LOOPBACK
    port: int = 0
    token: str | None = None
    batch_tokens: int = 16_384
    ready_json: bool = False


def serve_teacher(options: TeacherOptions) -> NoReturn:
    """Serve until SIGINT or SIGTERM, then end the process with 0.

    Raises:
        InputError: the port is taken, or the token is too short.
        ModelError: the model cannot be loaded.
    """
    token, is_told = _token_of(options)
    listener = _bind(options)
    with tempfile.TemporaryDirectory() as folder:
        head_file = Path(folder) / "head.safetensors"
        desk = Desk(options.model, options.batch_tokens, head_file)
        about = desk.open()
        port = listener.getsockname()[1]
        settings = ServingSettings(
            workspace=Path(folder), host=options.host, port=port, token=token
        )
        access = Access(token, new_secret(), port)
        surface = Surface(roots=("api", "v1"))
        app = Guard(create_app(desk, about, head_file), settings, access, surface=surface)
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        shown = None if is_told else token
        server = _Server(config, lambda: _announce(options, about, port, shown))
        server.run(sockets=[listener])
        desk.close()
    # MLX's own threads may still be there when the interpreter goes, which then aborts.
    sys.stdout.flush()
    os._exit(0)


class _Server(uvicorn.Server):
    """Says where it serves once it does, and ends on a signal with 0."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        """End on a signal; uvicorn's own dies of it again after all is closed."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _token_of(options: TeacherOptions) -> tuple[str, bool]:
    """The token, and whether whoever starts the server knows it already."""
    given = options.token or os.environ.get(TOKEN_VARIABLE)
    if given is None:
        return new_secret(), False
    if len(given) < MIN_TOKEN_CHARACTERS or not given.isascii() or not given.isprintable():
        raise InputError(
            f"A token needs {MIN_TOKEN_CHARACTERS} characters or more, of plain ASCII.",
            "Leave it out to get one.",
        )
    return given, True


def _bind(options: TeacherOptions) -> socket.socket:
    """Bind the port at the one address that was asked for.

    Raises:
        InputError: the address is none of this machine, or the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if options.host == "0.0.0.0":
            raise OSError("it would answer to every name")
        listener.bind((options.host, options.port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise InputError(
            f"Port {options.port} on {options.host} cannot be used ({error}).",
            "Give one of this machine's addresses with --host, and a free --port.",
        ) from error
    return listener


def _announce(
    options: TeacherOptions, about: ServedTeacher, port: int, new_token: str | None
) -> None:
    """Say where it serves; a token is shown once, and only where it was made here."""
    url = f"http://{options.host}:{port}"
    if options.ready_json:
        ready = {"ready": True, "url": url, "port": port, "pid": os.getpid(), "model": about.name}
        _say(json.dumps(ready | ({} if new_token is None else {"token": new_token})))
        return
    _say(f"{about.name} is served as a teacher at {url}")
    if new_token is not None:
        _say(f"Its token, shown this once: {new_token}")
    _say("In a config: teacher_endpoint with this url and model, server: opd, and key_env:")
    _say("the name of an environment variable that holds the token.")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
