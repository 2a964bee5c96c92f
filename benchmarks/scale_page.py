"""Write docs/scale.md: how to train on several Macs, and what the plan says that each number gains.

    python -m benchmarks.scale_page

Tables are computed from configs/ as `opd plan --hosts` computes them; a test compares the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.scale_texts import BOTTOM, GAINS, LINKS_TOP, SERVED, SHARDS, TOP
from OnPolicyDistill.config import OnPolicyConfig, load_config, parse_config
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.planning.ranks import RankMachine, plan_several
from OnPolicyDistill.planning.sharding import PIPELINE, TENSOR

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
# A preset, the Mac that it is planned on, and the same Mac again for every further rank.
RUNS = (("macs/64gb", "m4-pro", 64), ("macs/128gb", "m4-max", 128), ("default", "m3-ultra", 256))
# MB/s and milliseconds. Wires at most; RDMA over Thunderbolt between two Macs as measured in
# hellas-ai/thunderbolt-ibverbs pull request 44 (14.7 Gbit/s at least); a round trip over a
# Thunderbolt bridge as in exo-explore/exo issue 2295 (0.38 to 0.95 ms).
LINKS = (
    ("1 Gbit Ethernet", 125, 1.0),
    ("10 Gbit Ethernet", 1250, 0.95),
    ("RDMA over Thunderbolt", 1837, 0.05),
    ("10 Gbit Ethernet, a fifth of it", 250, 0.95),
)
SERVER = {"url": "http://server:8100", "model": "teacher", "server": "opd"}


def page() -> str:
    """The whole page."""
    pipelines = ", ".join(f"`{name}`" for name in sorted(PIPELINE))
    shards = SHARDS % (pipelines, len(TENSOR) + len(PIPELINE))
    return "\n".join(
        [
            TOP,
            GAINS,
            *_gains(),
            LINKS_TOP,
            *_links(),
            SERVED,
            *_served(),
            shards,
            *_shards(),
            BOTTOM,
        ]
    )


def _gains() -> Iterator[str]:
    yield from _head("preset", "Macs", "a step", "the run", "times as fast", "memory a Mac")
    for preset, chip, memory_gb in RUNS:
        mac = RankMachine("mac", chip, memory_gb, *LINKS[1][1:])
        for found in plan_several(_config(preset), [mac, mac]).counts:
            first = found.ranks[0]
            yield _row(
                f"`{preset}`",
                f"{found.num_ranks} x {chip}, {memory_gb} GB",
                f"{found.step_seconds:.1f} s",
                f"{found.seconds / 60:.0f} min",
                f"{found.gain:.2f}",
                f"{first.needed_gb:.1f} of {first.limit_gb:.1f} GB",
            )


def _links() -> Iterator[str]:
    yield from _head("link", "MB/s", "sum of a step, 2 Macs", "4 Macs", "run on 2 Macs, times")
    preset, chip, memory_gb = RUNS[1]
    for name, speed, trip in LINKS:
        mac = RankMachine("mac", chip, memory_gb, speed, trip)
        _, two, four = plan_several(_config(preset), [mac, mac]).counts
        sums = (f"{found.waiting_seconds:.2f} s" for found in (two, four))
        yield _row(name, str(speed), *sums, f"{two.gain:.2f}")


def _served() -> Iterator[str]:
    yield from _head(
        "preset", "Mac", "a step", "of it the teacher", "a step without", "memory", "without"
    )
    for preset, chip, memory_gb in RUNS:
        config = _config(preset)
        distillation = {**config.distillation.model_dump(mode="json"), "teacher_endpoint": SERVER}
        here = plan_run(config, memory_gb, chip)
        away = plan_run(parse_config({"distillation": distillation}), memory_gb, chip)
        yield _row(
            f"`{preset}`",
            f"{chip}, {memory_gb} GB",
            f"{here.step.total:.1f} s",
            f"{here.step.scoring:.1f} s",
            f"{away.step.total:.1f} s",
            f"{here.needed_gb:.1f} GB",
            f"{away.needed_gb:.1f} GB",
        )


def _shards() -> Iterator[str]:
    yield from _head("teacher", "ranks", "memory a Mac", "a step", "of it the link")
    config = _config("default")
    cut = config.distillation.model_copy(update={"teacher_shards": 2})
    mac = RankMachine("mac", "m3-ultra", 256, *LINKS[1][1:])
    plans = plan_several(config.model_copy(update={"distillation": cut}), [mac, mac])
    for found in plans.counts:
        yield _row(
            f"{config.distillation.teacher_model}",
            str(found.num_ranks),
            f"{found.ranks[0].needed_gb:.1f} GB",
            f"{found.step_seconds:.1f} s",
            f"{found.waiting_seconds:.1f} s",
        )


def _config(preset: str) -> OnPolicyConfig:
    config = load_config(shipped_folder("configs") / f"{preset}.yaml")
    assert isinstance(config, OnPolicyConfig)
    return config


def _head(*titles: str) -> Iterator[str]:
    yield _row(*titles)
    yield _row(*("---" for _ in titles))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
