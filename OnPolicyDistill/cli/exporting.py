"""The process of one export: python -m OnPolicyDistill.cli.exporting ORDER, a JSON object.

It says what it does as JSON lines on stdout, and ends with `written` or `failed`.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import OnPolicyDistill.arrays  # noqa: F401  (OpenBLAS before MLX)
from OnPolicyDistill.adapters.export import ExportRequest
from OnPolicyDistill.adapters.export_messages import (
    ExportOrder,
    FailedLine,
    ProgressLine,
    WrittenLine,
)
from OnPolicyDistill.adapters.facts import base_model, facts_of_run
from OnPolicyDistill.adapters.measured import Outcome
from OnPolicyDistill.adapters.surgery import export_grafted
from OnPolicyDistill.cli.export_progress import StageClock
from OnPolicyDistill.config import settings_of
from OnPolicyDistill.errors import DistillError, StoppedError
from OnPolicyDistill.methods import FACTS
from OnPolicyDistill.runs.checkpoints import directory_bytes
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.stopping import stoppable
from OnPolicyDistill.training.exported import GRAFTED, Source, ask, export_student

CLOCK = StageClock()


def main() -> int:
    """Write what the order says; returns the exit code."""
    order = ExportOrder.model_validate_json(sys.argv[1])
    stop = StopRequest()
    try:
        with stop.on_signals(), stoppable(stop):
            outcome = _write(order)
    except StoppedError as stopped:
        return stopped.exit_code  # whoever asked knows
    except DistillError as error:
        _say(FailedLine(message=error.message, action=error.action))
        return error.exit_code
    size = directory_bytes(Path(order.target))
    _say(WrittenLine(where=order.target, num_bytes=size, outcome=outcome))
    return 0


def _write(order: ExportOrder) -> Outcome:
    run, checkpoint, target = RunDirectory(Path(order.run)), Path(order.checkpoint), order.target
    config = run.config()
    if FACTS[config.method].grafts:
        export_grafted(settings_of(config), checkpoint, Path(target), _progress)
        return Outcome(not_measured=GRAFTED)
    step, workspace = int(checkpoint.name), shlex.quote(str(run.path.parents[1]))
    source = Source(
        model=base_model(config),
        adapter=checkpoint,
        facts=facts_of_run(run, step),
        settings=settings_of(config),
        named=f"export {run.run_id} --from {step} --workspace {workspace}",
    )
    request = ExportRequest(
        order.form,
        Path(target),
        order.bits,
        order.group_size,
        order.dequantize,
        order.gguf_type,
    )
    file = None if order.prompts is None else Path(order.prompts)
    asked = ask(file, order.num_prompts, order.why_not_measured)
    return export_student(source, request, asked, _progress)


def _progress(what: str, done: int, total: int) -> None:
    left = CLOCK.seconds_left(what, done, total)
    _say(ProgressLine(what=what, done=done, total=total, seconds_left=left))


def _say(line: ProgressLine | WrittenLine | FailedLine) -> None:
    sys.stdout.write(line.model_dump_json() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
