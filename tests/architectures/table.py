"""docs/architectures.md: what the suite saw of every architecture, written by the suite.

    python -m tests.architectures.table --write

takes some minutes and writes the page anew; without --write it says whether it would differ.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from OnPolicyDistill.models import row_layout
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.recurrences import give_recurrences_gradients
from OnPolicyDistill.planning.architectures import ARCHITECTURES, MLX_LM, REMAPPED
from tests.architectures import test_sampling as sampling
from tests.architectures.learning import CHECKS, EXCEPTIONS, NEVER_RECOMPUTED, seen
from tests.architectures.tiny import ALL
from tests.models.conftest import write_tiny_model

FILE = Path(__file__).parents[2] / "docs" / "architectures.md"
# What cannot even be loaded, or has no states before its head, is not tried.
TABLED = tuple(sorted(name for name in ALL if ARCHITECTURES[name].train))
SAMPLED: dict[str, Callable[[str], None]] = {
    "greedy": sampling.test_a_row_alone_is_greedily_what_mlx_lm_says,
    "ragged": sampling.test_rows_that_leave_and_join_are_what_they_would_be_alone,
    "re-scored": sampling.test_sampled_logprobs_are_those_of_one_forward_pass,
}
COLUMNS = (*SAMPLED, *CHECKS)
CORE = ("head", "recomputed", "fine-tuned", "on-policy", "read back")
Row = dict[str, bool]

BEGINNING = f"""# Architectures

Written by `python -m tests.architectures.table --write`; a test compares it with what can be done
(`opd models architectures`), and the suite repeats what it says. For each architecture of mlx-lm
{MLX_LM} a tiny random model, in float32 and on a CPU, was seen to do this:

| column | what was seen |
|---|---|
| greedy | our sampler gives what `mlx_lm` gives, token for token |
| ragged | rows of unequal length that join and leave give what each gives alone |
| re-scored | sampled logprobs are those of one forward pass without a cache, to 1e-5 nats |
| head | hidden states and vocabulary head, scaled or capped, give the model's own logits |
| recomputed | recomputed activations give the plain gradient |
| fine-tuned | supervised fine-tuning lowers its loss |
| on-policy | distillation on its own samples brings it nearer to another model of its kind |
| read back | mlx-lm reads the adapter, and the folder it is fused into, to the same logits |
| 4 bit | packed: own logits, fine-tuning, and adapter and unpacked fused folder read back |

No published checkpoint was opened where this was built, and none of it was seen on Metal.

"""


def measure() -> dict[str, Row]:
    """Try everything on every architecture."""
    row_layout.GROWTH_COLUMNS = 4
    give_recurrences_gradients()
    with tempfile.TemporaryDirectory() as place:
        like = load_policy(str(write_tiny_model(Path(place) / "like")))
        return {name: _row(name, Path(place), like) for name in TABLED}


def _row(name: str, place: Path, like: Policy) -> Row:
    found = {column: _holds(test, name) for column, test in SAMPLED.items()}
    (place / name).mkdir()
    return {**found, **seen(name, place / name, like)}


def _holds(test: Callable[[str], None], name: str) -> bool:
    if test is SAMPLED["re-scored"] and name in sampling.TWO_MODELS:
        return False
    try:
        test(name)
    except AssertionError:
        return False
    return True


def written(rows: Mapping[str, Row]) -> str:
    """The page that shows these rows."""
    head = ["architecture", *COLUMNS]
    lines = [head, ["---"] * len(head)]
    for name in sorted(rows, key=str.lower):
        lines.append([f"`{name}`", *("yes" if rows[name][each] else "no" for each in COLUMNS)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    why = [f"- `{name}`, {check}: {why}." for (name, check), why in sorted(EXCEPTIONS.items())]
    why += [
        f"- `{name}`, recomputed: the gradient is right, without that: {reason}."
        for name, reason in NEVER_RECOMPUTED.items()
    ]
    why += [
        f"- `{each.model_type}`, re-scored: {each.reason}"
        for each in ARCHITECTURES.values()
        if each.train and not each.sample
    ]
    refused = [
        f"- `{each.model_type}`: {each.reason}"
        for each in ARCHITECTURES.values()
        if not each.train and each.model_type not in REMAPPED
    ]
    names = ", ".join(f"`{name}` as `{module}`" for name, module in sorted(REMAPPED.items()))
    return (
        f"{BEGINNING}{table}\n\n## What does not hold\n\n" + "\n".join(why) + "\n\n"
        "## What is refused\n\n" + "\n".join(refused) + "\n\n"
        f"## Other names\n\nmlx-lm reads {names}. Of models that see it reads the language model "
        "alone; Qwen3-VL and Qwen2.5-VL see here, by mlx-vlm.\n"
    )


def read_table() -> dict[str, Row]:
    """The rows that the page shows."""
    rows = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == len(COLUMNS):
            values = [cell == "yes" for cell in cells]
            rows[name.strip("`")] = dict(zip(COLUMNS, values, strict=True))
    return rows


def main() -> None:
    """Measure, and write the page or say that it differs."""
    page = written(measure())
    if "--write" in sys.argv:
        FILE.write_text(page, encoding="utf-8")
    elif FILE.read_text(encoding="utf-8") != page:
        sys.exit("docs/architectures.md is not current: run with --write.")


if __name__ == "__main__":
    main()
