"""Starts a backend for a program that supervises it: python -m backend --workspace DIR."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from backend.server import ServeOptions, serve_with
from OnPolicyDistill.errors import DistillError
from OnPolicyDistill.runs.directory import default_workspace


def main() -> int:
    """Serve as the arguments say; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m backend", description=__doc__)
    parser.add_argument("--workspace", type=Path, default=None)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one")
    parser.add_argument("--no-open", action="store_true", help="do not open the browser")
    parser.add_argument("--ready-json", action="store_true", help="print one JSON line when ready")
    parser.add_argument("--watch-parent", action="store_true", help="end when the parent is gone")
    parser.add_argument("--dev-origin", action="append", default=[], help="also trusted as Origin")
    parser.add_argument("--worker", nargs="+", help="command instead of this Python's worker")
    arguments = parser.parse_args()
    options = ServeOptions(
        workspace=arguments.workspace or default_workspace(),
        port=arguments.port,
        open_browser=not (arguments.no_open or arguments.ready_json),
        ready_json=arguments.ready_json,
        watch_parent=arguments.watch_parent,
        dev_origins=tuple(arguments.dev_origin),
        worker_command=None if arguments.worker is None else tuple(arguments.worker),
    )
    try:
        serve_with(options)
    except DistillError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
