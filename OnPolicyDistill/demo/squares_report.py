"""A page that shows held-out pictures with what student and teacher answer to them.

One HTML file with its pictures inside, so that it can be moved and sent; nothing in it runs.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.files import write_text_atomically

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem;
       color-scheme: light dark; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; }
th, td { border-bottom: 1px solid #8884; padding: .5rem .75rem; text-align: left;
         vertical-align: top; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { margin: 0; white-space: pre-wrap; font: 13px/1.45 ui-monospace, monospace; }
img { width: 9rem; height: 9rem; image-rendering: pixelated; display: block; }
.right::before { content: "\\2713  right"; color: #2a8f4c; font-weight: 600; }
.wrong::before { content: "\\2717  wrong"; color: #c0392b; font-weight: 600; }
"""

COLUMNS = ("student before", "student after", "teacher")


@dataclass(frozen=True, slots=True)
class Said:
    """A completion and whether its boxed answer is right."""

    text: str
    is_right: bool


@dataclass(frozen=True, slots=True)
class ShownCase:
    """A held-out prompt, its picture file, and completions of it, one for each column."""

    picture: Path
    prompt: str
    answer: str
    said: tuple[Said, ...]


def write_page(
    file: Path,
    summary: Sequence[Sequence[str]],
    cases: Sequence[ShownCase],
    columns: Sequence[str] = COLUMNS,
) -> None:
    """Write a table, whose first row is its head, and the cases below it.

    `columns` say whose completions those of a case are, in their order.

    Raises:
        DiskFullError: there is no room for it.
    """
    head, *rows = summary
    body = [
        "<h1>Figures on squared paper</h1>",
        "<p>Held-out pictures: none of them was in training. All answers are greedy.</p>",
        _table([_row("th", map(html.escape, head)), *(_numbers(row) for row in rows)]),
        _table([_row("th", ["picture", "prompt", *columns]), *map(_case, cases)]),
    ]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Figures on squared paper</title><style>{STYLE}</style></head>\n"
        f"<body>{''.join(body)}</body></html>\n"
    )
    write_text_atomically(file, page)


def _case(case: ShownCase) -> str:
    picture = base64.b64encode(case.picture.read_bytes()).decode("ascii")
    prompt = html.escape(case.prompt)
    return _row(
        "td",
        [
            f'<img alt="{html.escape(case.picture.stem)}" src="data:image/png;base64,{picture}">',
            f"<p>{prompt}</p><p>Right answer: {html.escape(case.answer)}</p>",
            *map(_said, case.said),
        ],
    )


def _said(said: Said) -> str:
    mark = "right" if said.is_right else "wrong"
    return f'<p class="{mark}"></p><pre>{html.escape(said.text)}</pre>'


def _numbers(row: Sequence[str]) -> str:
    name, *figures = map(html.escape, row)
    cells = "".join(f'<td class="number">{figure}</td>' for figure in figures)
    return f"<tr><td>{name}</td>{cells}</tr>"


def _row(tag: str, cells: Sequence[str] | map[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>"


def _table(rows: Sequence[str]) -> str:
    return f"<table>{''.join(rows)}</table>"
