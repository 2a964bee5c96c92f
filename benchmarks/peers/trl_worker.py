"""TRL's side of the race: one of its trainers, step by step, on the CPU.

Runs by itself in a Python that has torch, trl and peft, and knows nothing of this project:
python trl_worker.py LESSON NAME, where NAME is `trl_distillation` or `trl_gkd`. It says `ready`,
takes one optimizer step for every line of its input and answers with one JSON object a step.
After the last step it writes the student with its adapter merged into LESSON/NAME.

Everything is as fast as TRL's settings allow: float32 (bf16 is slower on a CPU), no recomputation
of activations (for GKD that also switches the KV cache off), nothing logged or saved.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DistillationConfig, DistillationTrainer
from trl.experimental.gkd import GKDConfig, GKDTrainer

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Paced(TrainerCallback):
    """Waits for a line before every step, and tells after it what it took."""

    def __init__(self, answers) -> None:  # type: ignore[no-untyped-def]
        self.answers = answers
        self.num_tokens = 0
        self.begun = 0.0

    def say(self, line: str) -> None:
        """Answer whoever asks."""
        self.answers.write(line + "\n")
        self.answers.flush()

    def on_step_begin(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        """Say that the last step is over, and wait until the next one is wanted."""
        self.say("ready")
        sys.stdin.readline()
        self.num_tokens = 0
        self.begun = time.perf_counter()

    def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        """Tell seconds and sampled tokens."""
        taken = time.perf_counter() - self.begun
        self.say(json.dumps({"seconds": taken, "num_tokens": self.num_tokens}))


class CountingDistillation(DistillationTrainer):  # type: ignore[misc]
    """TRL's trainer, and how many tokens it sampled."""

    def _generate_and_score_completions(self, inputs):  # type: ignore[no-untyped-def]
        made = super()._generate_and_score_completions(inputs)
        self.pace.num_tokens += int(made["completion_mask"].sum())
        return made


class CountingGkd(GKDTrainer):  # type: ignore[misc]
    """TRL's trainer, and how many tokens it sampled."""

    def compute_loss(self, model, inputs, **kwargs):  # type: ignore[no-untyped-def]
        """Count, then let TRL learn."""
        self.pace.num_tokens += int((inputs["labels"] != -100).sum())
        return super().compute_loss(model, inputs, **kwargs)


def main() -> None:
    """Train as told and answer on the real standard output; TRL's own words go elsewhere."""
    answers, sys.stdout = sys.stdout, sys.stderr
    folder, name = Path(sys.argv[1]), sys.argv[2]
    lesson = json.loads((folder / "lesson.json").read_text(encoding="utf-8"))
    torch.set_num_threads(lesson["num_threads"])
    pace = Paced(answers)
    trainer = trainer_of(name, folder, lesson, pace)  # type: ignore[no-untyped-call]
    trainer.pace = pace
    trainer.train()
    merged = trainer.model.merge_and_unload()
    merged.save_pretrained(folder / name)
    pace.say("saved")


def trainer_of(name, folder, lesson, pace):  # type: ignore[no-untyped-def]
    """One of TRL's two on-policy trainers for a lesson."""
    prompts = [json.loads(line)["prompt"] for line in open(folder / "train.jsonl")]  # noqa: SIM115, PTH123
    tokenizer = AutoTokenizer.from_pretrained(folder / "student")
    student, teacher = (
        AutoModelForCausalLM.from_pretrained(folder / side, dtype=torch.float32)
        for side in ("student", "teacher")
    )
    same = {
        "output_dir": str(folder / f"{name}-trainer"),
        "per_device_train_batch_size": lesson["rows"],
        "max_steps": lesson["num_steps"],
        "learning_rate": lesson["learning_rate"],
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": lesson["warmup_steps"],
        "weight_decay": 0.0,
        "adam_beta2": 0.999,
        "max_grad_norm": 1.0,
        "temperature": 1.0,
        "beta": 1.0,
        "gradient_checkpointing": False,
        "bf16": False,
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "seed": lesson["seed"],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    lora = LoraConfig(
        r=lesson["rank"], lora_alpha=lesson["alpha"], target_modules=TARGETS, task_type="CAUSAL_LM"
    )
    more = {
        "model": student,
        "teacher_model": teacher,
        "processing_class": tokenizer,
        "peft_config": lora,
        "callbacks": [pace],
    }
    asked = [[{"role": "user", "content": prompt}] for prompt in prompts]
    if name == "trl_distillation":
        config = DistillationConfig(**same, max_completion_length=lesson["max_tokens"])
        return CountingDistillation(
            args=config, train_dataset=Dataset.from_dict({"prompt": asked}), **more
        )
    answered = [[*turns, {"role": "assistant", "content": "."}] for turns in asked]
    config = GKDConfig(**same, max_new_tokens=lesson["max_tokens"], lmbda=1.0, max_length=512)
    return CountingGkd(args=config, train_dataset=Dataset.from_dict({"messages": answered}), **more)


if __name__ == "__main__":
    main()
