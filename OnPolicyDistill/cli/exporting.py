"""The process of one export: python -m OnPolicyDistill.cli.exporting ORDER, a JSON object.

It says what it does as JSON lines on stdout, and ends with `written` or `failed`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import OnPolicyDistill.arrays  # noqa: F401  (OpenBLAS before MLX)
from OnPolicyDistill.adapters.export import (
    ExportRequest,
    export_adapter,
    export_model,
    export_peft,
)
from OnPolicyDistill.adapters.export_messages import (
    ExportOrder,
    FailedLine,
    ProgressLine,
    WrittenLine,
)
from OnPolicyDistill.adapters.facts import base_model, facts_of_run
from OnPolicyDistill.adapters.files import load_adapter
from OnPolicyDistill.adapters.surgery import export_grafted
from OnPolicyDistill.config import settings_of
from OnPolicyDistill.errors import DistillError, StoppedError
from OnPolicyDistill.methods import FACTS
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.registry import local_folder
from OnPolicyDistill.runs.checkpoints import directory_bytes
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.stopping import stoppable


def main() -> int:
    """Write what the order says; returns the exit code."""
    order = ExportOrder.model_validate_json(sys.argv[1])
    stop = StopRequest()
    try:
        with stop.on_signals(), stoppable(stop):
            folder = _write(order)
    except StoppedError as stopped:
        return stopped.exit_code  # whoever asked knows
    except DistillError as error:
        _say(FailedLine(message=error.message, action=error.action))
        return error.exit_code
    _say(WrittenLine(where=str(folder), num_bytes=directory_bytes(folder)))
    return 0


def _write(order: ExportOrder) -> Path:
    run, checkpoint = RunDirectory(Path(order.run)), Path(order.checkpoint)
    config = run.config()
    if FACTS[config.method].grafts:
        return export_grafted(settings_of(config), checkpoint, Path(order.target), _progress)
    facts = facts_of_run(run, int(checkpoint.name))
    request = ExportRequest(
        order.form, Path(order.target), order.bits, order.group_size, order.dequantize
    )
    if order.form == "adapter":
        return export_adapter(checkpoint, request.target, facts)
    if order.form == "peft":
        base = local_folder(base_model(run.config()))
        return export_peft(checkpoint, request.target, facts, base)
    _progress("loading the student", 0, 1)
    policy, _ = load_adapter(load_policy(base_model(run.config())), checkpoint)
    return export_model(policy, request, facts, _progress)


def _progress(what: str, done: int, total: int) -> None:
    _say(ProgressLine(what=what, done=done, total=total))


def _say(line: ProgressLine | WrittenLine | FailedLine) -> None:
    sys.stdout.write(line.model_dump_json() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
