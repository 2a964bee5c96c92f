"""The configs that are shipped: their names, and what each says about itself at its top."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from OnPolicyDistill.files import shipped_folder

# What stands among them and is no config of a run.
NOT_PRESETS = ("models",)


def preset_files() -> dict[str, Path]:
    """Files of the presets by name (`default`, `grpo/demo`), those of a folder last."""
    folder = shipped_folder("configs")
    files = sorted(folder.glob("*.yaml")) + sorted(folder.glob("*/*.yaml"))
    named = {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}
    return {name: file for name, file in named.items() if name not in NOT_PRESETS}


def preset_header(text: str) -> tuple[str, str]:
    """Title and description: the first paragraph of the comment at the top, and the rest of it."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    title, _, rest = "\n".join(lines).partition("\n\n")
    return title, " ".join(rest.split("\n"))


def propose_preset(name: str) -> str:
    """What to do about a name that is neither a file nor a preset: what is near it, or all."""
    names = list(preset_files())
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    guess = f"Did you mean {near[0]}? " if near else ""
    return f"{guess}Give a file, or one of the presets: {', '.join(names)}."
