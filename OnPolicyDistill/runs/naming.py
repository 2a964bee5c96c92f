"""How run folders are named, and how one is called whose name no run has.

A folder may have any bytes in its name. What is shown, sent and indexed is text, and leads back.
"""

from __future__ import annotations

import os
import re

RUN_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}"
_RUN_NAME = re.compile(RUN_NAME)


def is_run_name(name: str) -> bool:
    """Whether a folder's name is one that a run can have."""
    return _RUN_NAME.fullmatch(name) is not None


def shown_name(name: str) -> str:
    r"""Return a folder's name as printable text; other bytes and backslashes as `\xff`."""
    if is_run_name(name) or (name.isprintable() and "\\" not in name):
        return name
    return os.fsencode(name).decode("latin-1").encode("unicode_escape").decode("ascii")


def folder_name(shown: str) -> str:
    """Return the name of the folder that is shown under this one."""
    if "\\" not in shown:
        return shown
    try:
        return os.fsdecode(shown.encode("ascii").decode("unicode_escape").encode("latin-1"))
    except UnicodeError:
        return shown
