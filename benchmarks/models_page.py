"""Write docs/models.md: what is known of models, and what the plan says of the presets for Macs.

    python -m benchmarks.models_page

Everything on the page is computed from configs/; a test compares it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from OnPolicyDistill.config import OnPolicyConfig, load_config
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.planning.architectures import training_reason
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.planning.sizes import BITS, bytes_by_bits
from OnPolicyDistill.registry import KnownModel, all_models

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
# Memory in GB, and a chip that Macs of that memory are sold with.
MACS = {16: "m4", 32: "m4", 64: "m4-pro", 128: "m4-max", 512: "m3-ultra"}

TOP = """# Models, and presets for Macs

This page is written by `python -m benchmarks.models_page` from `configs/models.yaml` and
`configs/macs/`. Numbers are forecasts of the plan and sizes that follow from published dimensions;
nothing on it was measured on a Mac.

## Presets for Macs

Each is an on-policy pair with one vocabulary. Start one with `opd train macs/64gb`, and see the
forecast for your own machine with `opd plan macs/64gb`. Memory is what the run needs of what it may
use, in GB; the true time lies, by every published speed, between 0.7 and 1.5 of what is said.
"""
MIDDLE = """
## Known models

`opd models` lists the same with what fits your machine. Sizes are those of the weights in GB, as
published (16 bit) and as `mlx_lm.convert` packs them; where a model sees pictures and mlx-lm reads
its language model alone, those of that. gpt-oss was published with packed experts, and has that
size alone. *System*: whether the chat template has a turn of its own for system messages, or
folds them into the user's. *Ends* are the tokens that end a turn, the usual one first.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([TOP, *_presets(), MIDDLE, *_models(), ""])


def _presets() -> Iterator[str]:
    yield from _head("Mac", "chip", "teacher", "student", "needs", "of", "a step", "the run")
    for memory_gb, chip in MACS.items():
        config = load_config(shipped_folder("configs") / "macs" / f"{memory_gb}gb.yaml")
        assert isinstance(config, OnPolicyConfig)
        plan = plan_run(config, memory_gb, chip)
        yield _row(
            f"`macs/{memory_gb}gb`",
            chip,
            config.distillation.teacher_model,
            config.distillation.student_model,
            f"{plan.needed_gb:.1f}",
            f"{plan.limit_gb:.1f}",
            f"{plan.step.total:.0f} s",
            f"{plan.seconds / 60:.0f} min",
        )


def _models() -> Iterator[str]:
    sizes = (f"{bits} bit" for bits in BITS)
    yield from _head("alias", "family", "params", *sizes, "thinks", "system", "ends", "trains")
    for known in all_models():
        if known.original_id is not None:
            yield _model(known)


def _model(known: KnownModel) -> str:
    sizes = bytes_by_bits(known)
    return _row(
        known.alias,
        known.family,
        f"{(known.params or 0) / 1e9:.2f} B",
        *(f"{sizes[bits] / 1e9:.1f}" if bits in sizes else "" for bits in BITS),
        known.chat.thinking,
        known.chat.system,
        " ".join(map(str, known.chat.end_ids)),
        "yes" if training_reason(known.family) is None else "no",
    )


def _head(*titles: str) -> Iterator[str]:
    yield _row(*titles)
    yield _row(*("---" for _ in titles))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
