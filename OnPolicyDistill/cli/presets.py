"""`opd presets`: the configs that are shipped, and what each is for."""

from __future__ import annotations

from typing import Annotated

import typer

from OnPolicyDistill.cli.output import JsonOption, print_json, print_table, print_text
from OnPolicyDistill.errors import InputError


def presets(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show this one's file; list all without.")
    ] = None,
    *,
    json: JsonOption = False,
) -> None:
    """List the presets, or show one to copy and change."""
    from OnPolicyDistill.presets import RECOMMENDED, preset_files, preset_header, propose_preset

    texts = {key: file.read_text(encoding="utf-8") for key, file in preset_files().items()}
    if name is not None and name not in texts:
        raise InputError(f"There is no preset {name}.", propose_preset(name))
    headers = {key: preset_header(text) for key, text in texts.items() if name in (None, key)}
    if json:
        print_json(
            [
                {
                    "name": key,
                    "recommended": key == RECOMMENDED,
                    "title": title,
                    "description": description,
                    "yaml": texts[key],
                }
                for key, (title, description) in headers.items()
            ]
        )
    elif name is None:
        marks = {RECOMMENDED: "recommended"}
        rows = [[key, title, marks.get(key, "")] for key, (title, _) in headers.items()]
        print_table(["preset", "what it is", ""], rows, wrapped="what it is")
        print_text("Start one with: opd train NAME; see its forecast with: opd plan NAME.")
    else:
        print_text(texts[name].rstrip("\n"))
