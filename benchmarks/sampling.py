"""The sampling loop against re-reading the prefix, mlx-lm one by one, and its batch generator.

Every pair does equal work in turn in one process, so that whatever else the machine does hits
both: the same random model, the same prompts, the same number of tokens; greedy pairs must give
the same tokens or the measurement fails. Our loop always hands out the logprob of every token.
mlx-lm's batch generator is asked for it the way mlx-lm's own `batch_generate` asks, except in
`batch_generator_tokens_only`; the other loops are not asked. Prompts for the batch generator
outnumber the rows and end at different lengths, so that rows leave and join. Ratios are other
seconds / own seconds: above 1 our loop is faster.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import OnPolicyDistill.arrays  # noqa: F401  (OpenBLAS before MLX)

import mlx.core as mx  # isort: skip
import mlx.nn as nn
from mlx.utils import tree_map
from mlx_lm.generate import BatchGenerator, generate_step
from mlx_lm.models import gemma3_text, mamba2, qwen2
from mlx_lm.sample_utils import make_sampler

from benchmarks.spread import Spread, spread
from OnPolicyDistill.arrays import as_float, int_list
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.generation.sampling import GREEDY, THE_POLICY, SamplingSettings

ROWS = 8
OTHER_ROWS = (1, 4, 16)
Completions = list[list[int]]


@dataclass(frozen=True, slots=True)
class Setting:
    """Sizes of the measurement; prompts are ragged, 16 to 96 tokens, except for `reread_prefix`."""

    vocab_size: int = 32_000
    hidden_size: int = 256
    num_layers: int = 4
    max_tokens: int = 128


@dataclass(frozen=True, slots=True)
class Comparison:
    """Equal work by our loop and by another; `ratio` is paired by repeat."""

    num_tokens: int
    own_tokens_per_second: Spread
    other_tokens_per_second: Spread
    ratio: Spread


@dataclass(frozen=True, slots=True)
class Work:
    """Prompts for a model, and when their completions end."""

    model: nn.Module
    prompts: list[list[int]]
    setting: Setting
    stop_ids: frozenset[int] = frozenset()
    num_rows: int = ROWS

    def own(self, sampling: SamplingSettings) -> Completions:
        """Our loop."""
        request = GenerationRequest(
            self.prompts,
            list(range(len(self.prompts))),
            self.stop_ids,
            self.setting.vocab_size,
            self.setting.max_tokens,
            sampling,
            max_rows=self.num_rows,
        )
        return [list(rollout.completion_ids) for rollout in generate(self.model, request)]

    def reread(self) -> Completions:
        """Greedy, batched, and without a cache; for prompts of equal length."""
        tokens = mx.array(self.prompts)
        for _ in range(self.setting.max_tokens):
            best = mx.argmax(self.model(tokens)[:, -1], axis=-1)
            tokens = mx.concatenate([tokens, best[:, None].astype(tokens.dtype)], axis=1)
            mx.eval(tokens)
        start = len(self.prompts[0])
        return [int_list(row)[start:] for row in tokens]

    def one_by_one(self) -> Completions:
        """Greedy, each prompt alone in the loop of mlx-lm's `generate`."""
        limit = self.setting.max_tokens
        return [
            [
                int(token)
                for token, _ in generate_step(mx.array(prompt), self.model, max_tokens=limit)
            ]
            for prompt in self.prompts
        ]

    def batch_generator(self, temperature: float, with_logprobs: bool = True) -> Completions:
        """mlx-lm's continuous batching with as many rows as ours."""
        generator = BatchGenerator(
            self.model,
            max_tokens=self.setting.max_tokens,
            stop_tokens=[[stop_id] for stop_id in self.stop_ids],
            sampler=make_sampler(temp=temperature),
            completion_batch_size=self.num_rows,
            prefill_batch_size=self.num_rows,
        )
        completions: dict[int, list[int]] = {uid: [] for uid in generator.insert(self.prompts)}
        logprobs: list[float] = []
        while responses := generator.next_generated():
            for response in responses:
                completions[response.uid].append(response.token)
                if with_logprobs:
                    logprobs.append(as_float(response.logprobs[response.token]))
        generator.close()
        return list(completions.values())


def random_model(setting: Setting) -> nn.Module:
    """Qwen2 with weights wide enough that greedy completions do not repeat one token."""
    mx.random.seed(0)
    model = qwen2.Model(
        qwen2.ModelArgs(
            model_type="qwen2",
            hidden_size=setting.hidden_size,
            num_hidden_layers=setting.num_layers,
            intermediate_size=4 * setting.hidden_size,
            num_attention_heads=4,
            num_key_value_heads=2,
            rms_norm_eps=1e-6,
            vocab_size=setting.vocab_size,
            tie_word_embeddings=False,
        )
    )
    return wide_weights(model)


def wide_weights(model: nn.Module) -> nn.Module:
    """The model, three times as sure of itself."""
    wide = tree_map(lambda weight: weight * 3 if weight.ndim > 1 else weight, model.parameters())
    model.update(wide)
    model.eval()
    mx.eval(model.parameters())
    return model


def sliding_model(setting: Setting) -> nn.Module:
    """Gemma 3's layers: five with a window of 64 columns, then one that sees everything."""
    return wide_weights(
        gemma3_text.Model(
            gemma3_text.ModelArgs(
                model_type="gemma3_text",
                hidden_size=setting.hidden_size,
                num_hidden_layers=setting.num_layers,
                intermediate_size=4 * setting.hidden_size,
                num_attention_heads=4,
                head_dim=setting.hidden_size // 4,
                num_key_value_heads=2,
                vocab_size=setting.vocab_size,
                query_pre_attn_scalar=setting.hidden_size // 4,
                sliding_window=64,
                sliding_window_pattern=setting.num_layers,
            )
        )
    )


def recurrent_model(setting: Setting) -> nn.Module:
    """Mamba 2: a state of fixed size in every layer, and no keys at all."""
    heads = setting.hidden_size // 32
    return wide_weights(
        mamba2.Model(
            mamba2.ModelArgs.from_dict(
                {
                    "model_type": "mamba2",
                    "num_heads": 2 * heads,
                    "head_dim": 32,
                    "vocab_size": setting.vocab_size,
                    "hidden_size": setting.hidden_size,
                    "intermediate_size": 2 * setting.hidden_size,
                    "state_size": 32,
                    "num_hidden_layers": setting.num_layers,
                    "layer_norm_epsilon": 1e-6,
                    "conv_kernel": 4,
                    "n_groups": 1,
                    "use_bias": False,
                    "use_conv_bias": True,
                    "tie_word_embeddings": False,
                    "time_step_limit": (0.0, 100.0),
                    "time_step_rank": "auto",
                    "ssm_state_size": 32,
                    "max_position_embeddings": 1024,
                }
            )
        )
    )


def random_prompts(setting: Setting, num_prompts: int, shortest: int, longest: int) -> Completions:
    """Prompts of random tokens and lengths, always the same."""
    numbers = random.Random(0)
    lengths = [numbers.randint(shortest, longest) for _ in range(num_prompts)]
    return [[numbers.randrange(setting.vocab_size) for _ in range(n)] for n in lengths]


def compare(
    own: Callable[[], Completions], other: Callable[[], Completions], repeats: int, equal: bool
) -> Comparison:
    """Run both in turn, each first in every other repeat."""
    expected = own()
    num_tokens = sum(map(len, expected))
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for repeat in range(repeats):
        for is_own in (True, False) if repeat % 2 == 0 else (False, True):
            started = time.perf_counter()
            completions = own() if is_own else other()
            seconds[is_own].append(time.perf_counter() - started)
            if sum(map(len, completions)) != num_tokens or (equal and completions != expected):
                raise RuntimeError("The two loops did not do equal work.")
    return Comparison(
        num_tokens,
        spread([num_tokens / taken for taken in seconds[True]]),
        spread([num_tokens / taken for taken in seconds[False]]),
        spread([b / a for a, b in zip(seconds[True], seconds[False], strict=True)]),
    )


def run(setting: Setting, repeats: int) -> dict[str, object]:
    """Measure every pair; plain JSON values."""
    model = random_model(setting)
    even = Work(model, random_prompts(setting, 4, 64, 64), setting)
    ragged = Work(model, random_prompts(setting, ROWS, 16, 96), setting)
    stop_ids = frozenset(range(0, setting.vocab_size, 100))
    refilled = Work(model, random_prompts(setting, 2 * ROWS, 16, 96), setting, stop_ids)
    endless = Work(model, refilled.prompts, setting)
    # What is many times slower, or promises nothing, needs no spread and takes two of four minutes.
    once = 1
    pairs: dict[str, Comparison] = {
        "reread_prefix": compare(lambda: even.own(GREEDY), even.reread, once, True),
        "one_by_one": compare(lambda: ragged.own(GREEDY), ragged.one_by_one, once, True),
        "batch_generator": compare(
            lambda: refilled.own(GREEDY), lambda: refilled.batch_generator(0.0), repeats, True
        ),
        "batch_generator_tokens_only": compare(
            lambda: refilled.own(GREEDY),
            lambda: refilled.batch_generator(0.0, with_logprobs=False),
            once,
            True,
        ),
        "batch_generator_sampled": compare(
            lambda: endless.own(THE_POLICY), lambda: endless.batch_generator(1.0), once, False
        ),
        **other_rows(model, setting, stop_ids, repeats),
        **other_caches(setting, stop_ids, repeats),
    }
    return {
        "setting": asdict(setting),
        "repeats": repeats,
        "comparisons": {name: asdict(comparison) for name, comparison in pairs.items()},
    }


def other_rows(
    model: nn.Module, setting: Setting, stop_ids: frozenset[int], repeats: int
) -> dict[str, Comparison]:
    """Against the batch generator with fewer and more rows: twice as many prompts as rows."""
    found = {}
    for num_rows in OTHER_ROWS:
        prompts = random_prompts(setting, 2 * num_rows, 16, 96)
        work = Work(model, prompts, setting, stop_ids, num_rows)
        name = f"batch_generator_{num_rows}_row{'s' if num_rows > 1 else ''}"
        found[name] = against_generator(work, repeats)
    return found


def other_caches(setting: Setting, stop_ids: frozenset[int], repeats: int) -> dict[str, Comparison]:
    """Against the batch generator with a window in every layer but one, and with a recurrence."""
    prompts = random_prompts(setting, 2 * ROWS, 16, 96)
    models = {"sliding": sliding_model(setting), "recurrent": recurrent_model(setting)}
    return {
        f"batch_generator_{name}": against_generator(
            Work(model, prompts, setting, stop_ids), repeats
        )
        for name, model in models.items()
    }


def against_generator(work: Work, repeats: int) -> Comparison:
    """Greedy, so that both must give the same tokens."""
    return compare(lambda: work.own(GREEDY), lambda: work.batch_generator(0.0), repeats, True)


def measure(repeats: int, quick: bool) -> dict[str, object]:
    """Measure all pairs; `quick` shrinks model and length so that it ends within seconds."""
    return run(Setting(2000, 64, 2, 32) if quick else Setting(), repeats)


def main() -> None:
    """Measure and write JSON to the given path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="where to write the JSON")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    result = measure(arguments.repeats, arguments.quick)
    arguments.path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
