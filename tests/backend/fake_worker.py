"""A worker that writes real run folders without training: told what to do by the run's name.

`steps=5 pause=0.01 die=kill@3`: five steps, 10 ms each, ended by SIGKILL after step 3. Other
endings: `exit@3` (code 7), `abort@3`, `fail@3` (run_failed, code 1), `memory@3` (says so, aborts),
`start@0` (code 1 before the first event), `deaf=1` (ignores SIGTERM). The GPU's: `watchdog@3`
(aborts as MLX before 0.32 did), `stream@3` (an exception, as since), `resources@3`; `times=2` lets
the first two processes end so, `every=3` each at the third step of its own, `watchdog@stop` when
asked to stop.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.errors import RunError, StoppedError
from OnPolicyDistill.gpu import MAX_OPS
from OnPolicyDistill.runs.checkpoints import (
    TrainingState,
    last_checkpoint,
    point,
    read_state,
    save_checkpoint,
)
from OnPolicyDistill.runs.directory import RunDirectory, config_hash
from OnPolicyDistill.runs.events import (
    CheckpointSaved,
    EvaluationFinished,
    RolloutRecord,
    RunFinished,
    RunResumed,
    RunStarted,
)
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import Reporter, StopRequest, describe_machine, reported

FAILED = "[METAL] Command buffer execution failed: "
METAL_SAYS = {
    "memory": f"{FAILED}Insufficient Memory "
    "(00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory).",
    "watchdog": f"{FAILED}Impacting Interactivity "
    "(0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity).",
    "resources": "[metal::malloc] Resource limit (499000) exceeded.",
}


def say(words: object) -> None:
    sys.stderr.write(f"{words}\n")
    sys.stderr.flush()


def script_of(run: RunDirectory) -> dict[str, str]:
    config = run.config()
    assert isinstance(config, OnPolicyConfig)
    words = (config.distillation.run_name or "").split()
    return dict(word.split("=", 1) for word in words if "=" in word)


def die(how: str) -> None:
    match how:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "abort":
            os.abort()
        case "memory" | "watchdog" | "resources":
            say(f"libc++abi: terminating due to uncaught exception of type {METAL_SAYS[how]}")
            os.abort()
        case "stream":
            raise RuntimeError(METAL_SAYS["watchdog"])
        case "fail":
            raise RunError("The fake worker was told to fail.", "Tell it something else.")
        case "exit":
            say("something odd happened")
            os._exit(7)


def save(run: RunDirectory, reporter: Reporter, step: int) -> None:
    state = TrainingState(
        step=step, config_hash=config_hash(run.config()), seed=0, data_cursor=step, num_tokens=step
    )
    folder = save_checkpoint(run, state, lambda at: (at / "adapters.safetensors").write_bytes(b"x"))
    point(run, "best", folder)
    reporter.emit(CheckpointSaved(step=step, path=str(folder), num_bytes=1))


def take_step(reporter: Reporter, step: int) -> None:
    reporter.rollout(
        RolloutRecord(
            step=step, index=0, source="student", prompt=f"prompt {step}", completion="ab",
            finish_reason="stop", token_ids=(1, 2), token_texts=("a", "b"),
            student_logprobs=(-1.0, -2.0), teacher_logprobs=(-1.5, -2.5), divergence=(0.5, 0.25),
        )
    )  # fmt: skip
    reporter.finish_step(step, {"loss": 1.0 / step, "divergence": 1.0 / step, "num_tokens": 2.0})


def num_processes(run: RunDirectory) -> int:
    kinds = [event.kind for event in read_events(run.events_file)]
    return kinds.count("run_started") + kinds.count("run_resumed")


def begin(run: RunDirectory, reporter: Reporter, begun: int, steps: int) -> None:
    if reporter.step == 0 and run.events_file.stat().st_size == 0:
        reporter.emit(
            RunStarted(run_id=run.run_id, method="on_policy", num_steps=steps, config_hash="x",
                       machine=describe_machine())
        )  # fmt: skip
        reporter.emit(EvaluationFinished(step=0, metrics={"eval_reverse_kl": 2.0}))
    else:
        reporter.emit(RunResumed(step=begun, machine=describe_machine()))


def ending_of(run: RunDirectory, script: dict[str, str], begun: int) -> tuple[str, str]:
    """How this process ends before its time, and at which step; nothing and never by default."""
    ending, _, when = script.get("die", "@").partition("@")
    if num_processes(run) > int(script.get("times", "1")):
        return "", ""
    return ending, str(begun + int(script["every"])) if "every" in script else when


def work(run: RunDirectory, reporter: Reporter, stop: StopRequest, script: dict[str, str]) -> None:
    checkpoint = last_checkpoint(run)
    begun = 0 if checkpoint is None else read_state(checkpoint).step
    steps = int(script.get("steps", "3"))
    begin(run, reporter, begun, steps)
    ending, when = ending_of(run, script, begun)
    for step in range(begun + 1, steps + 1):
        take_step(reporter, step)
        if when == str(step):
            die(ending)
        deadline = time.monotonic() + float(script.get("pause", "0.01"))
        while time.monotonic() < deadline and not stop():
            time.sleep(0.005)
        if stop() and when == "stop":
            die(ending)
        if step % 2 == 0 or stop():
            save(run, reporter, step)
        if stop() and script.get("deaf") != "1":
            if run.control().action == "pause":
                stop.check()
            break
    reporter.emit(EvaluationFinished(step=reporter.step, metrics={"eval_reverse_kl": 0.5}))
    because = "stopped" if stop() else "completed"
    reporter.emit(RunFinished(step=reporter.step, because=because, report={"eval_accuracy": 0.9}))


def main(arguments: list[str]) -> int:
    run_id = arguments[2] if arguments[0] == "train" else arguments[1]
    run = RunDirectory(Path(arguments[arguments.index("--workspace") + 1]) / "runs" / run_id)
    script = script_of(run)
    say(f"fake worker: {arguments[0]} {run_id}, token {os.environ.get('OPD_TOKEN')}")
    say(f"colour is forced: {'FORCE_COLOR' in os.environ}")
    say(f"operations a buffer: {os.environ.get(MAX_OPS)}")
    if script.get("die", "").startswith("start"):
        say("Error: the model folder is empty")
        return 1
    stop = StopRequest()
    try:
        with stop.on_signals(), run.occupied():
            reporter = Reporter(run)
            with reported(reporter):
                work(run, reporter, stop, script)
    except StoppedError as stopped:
        return stopped.exit_code
    except RunError as error:
        say(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
