"""`opd doctor`: whether this machine can do the work, line by line, with what to do about it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Literal

import typer

from OnPolicyDistill.cli.accelerators import Graphics, installed_wheel, look_at_graphics
from OnPolicyDistill.cli.device import TF32_ADVICE
from OnPolicyDistill.cli.output import (
    JsonOption,
    WorkspaceOption,
    default_workspace,
    print_json,
    print_text,
)

Status = Literal["ok", "warn", "fail"]

LITTLE_MEMORY_GB = 16
LITTLE_DISK_GB = 20
HUB_SECONDS = 5.0
PACKAGES = ("mlx", "mlx-lm", "pydantic", "safetensors", "tokenizers", "huggingface-hub")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line: what was looked at, how it is, and what to do where it is not well."""

    name: str
    status: Status
    found: str
    action: str = ""


def doctor(
    workspace: WorkspaceOption = None,
    online: Annotated[bool, typer.Option(help="Also ask whether the model hub answers.")] = False,
    json: JsonOption = False,
) -> None:
    """Look whether this machine can do the work, and say what to do where it cannot."""
    folder = workspace or default_workspace()
    diagnoses = list(examine(folder, online))
    if json:
        lines = [asdict(diagnosis) for diagnosis in diagnoses]
        print_json({**machine_facts(), "diagnoses": lines})
    else:
        width = max(len(diagnosis.name) for diagnosis in diagnoses)
        for diagnosis in diagnoses:
            line = f"{diagnosis.status:<4}  {diagnosis.name:<{width}}  {diagnosis.found}"
            print_text(f"{line}  {diagnosis.action}".rstrip())
    if any(diagnosis.status == "fail" for diagnosis in diagnoses):
        raise typer.Exit(1)


def examine(workspace: Path, online: bool) -> Iterator[Diagnosis]:
    """Every diagnosis, in an order in which the first failure explains the later ones."""
    yield _python()
    yield _packages()
    yield _device()
    yield _wheel()
    yield _accelerators()
    yield _tf32()
    yield _blas()
    yield _memory()
    yield from _workspace(workspace)
    yield _page()
    if online:
        yield _hub()


def machine_facts() -> dict[str, object]:
    """What decides how MLX computes here, and what this process weighs in GB (1e9 bytes).

    `tf32` says whether float32 products may be rounded to ten bits, `accelerators` whether the
    GPU's are used; both are null where MLX cannot be loaded.
    """
    from OnPolicyDistill.runs.reporting import process_memory_gb

    graphics = _graphics()
    return {
        "tf32": None if graphics is None else _tf32_wanted(),
        "accelerators": None if graphics is None else graphics.uses_accelerators,
        "footprint_gb": process_memory_gb(),
        "macos": platform.mac_ver()[0] or None,
        "wheel": " ".join(installed_wheel()) or None,
    }


def _python() -> Diagnosis:
    found = f"Python {platform.python_version()} on {platform.platform(terse=True)}"
    if sys.platform == "darwin" and platform.machine() != "arm64":
        action = "Install an arm64 Python; MLX needs Apple silicon."
        return Diagnosis("python", "fail", f"{found}, {platform.machine()}", action)
    return Diagnosis("python", "ok", f"{found}, {platform.machine()}")


def _packages() -> Diagnosis:
    found: list[str] = []
    missing: list[str] = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        action = "Run make setup."
        return Diagnosis("packages", "fail", f"missing: {', '.join(missing)}", action)
    return Diagnosis("packages", "ok", ", ".join(found))


def _device() -> Diagnosis:
    try:
        from OnPolicyDistill.arrays import as_float  # isort: skip  (before MLX)
        import mlx.core as mx

        product = as_float((mx.ones((1, 64)) @ mx.ones((64, 1)))[0, 0])
    except (ImportError, OSError, RuntimeError) as error:
        return Diagnosis("device", "fail", f"MLX does not work: {error}", "Run make setup.")
    if product != 64:
        return Diagnosis("device", "fail", f"MLX multiplies wrongly: {product}", "Run make setup.")
    if mx.metal.is_available():
        return Diagnosis("device", "ok", f"Metal, {mx.device_info().get('device_name', 'GPU')}")
    action = "Large models need a Mac; tiny ones train here."
    return Diagnosis("device", "warn", f"{mx.default_device()}, no Metal", action)


def _wheel() -> Diagnosis:
    name, tag = installed_wheel()
    if not name:
        return Diagnosis("wheel", "warn", "MLX is of no published wheel", "Run make setup.")
    return Diagnosis("wheel", "ok", f"{name}, {tag}")


def _graphics() -> Graphics | None:
    """The GPU as MLX sees it; None where MLX cannot be loaded."""
    try:
        import OnPolicyDistill.arrays  # noqa: F401  (before MLX)
        import mlx.core as mx  # isort: skip
    except (ImportError, OSError):
        return None
    if not mx.metal.is_available():
        return look_at_graphics("")
    return look_at_graphics(str(mx.device_info()["architecture"]))


def _accelerators() -> Diagnosis:
    graphics = _graphics()
    if graphics is None or not graphics.architecture:
        return Diagnosis("accelerators", "ok", "none: no Metal")
    if not graphics.has_accelerators:
        return Diagnosis("accelerators", "ok", f"none in this GPU ({graphics.architecture})")
    if graphics.obstacle:
        found = "in this GPU, but not used: prompts are read about three times slower"
        return Diagnosis("accelerators", "warn", found, graphics.obstacle)
    return Diagnosis("accelerators", "ok", f"used ({graphics.architecture})")


def _tf32_wanted() -> bool:
    from OnPolicyDistill.arrays import tf32_wanted

    return tf32_wanted


def _tf32() -> Diagnosis:
    if _graphics() is not None and _tf32_wanted():
        return Diagnosis("tf32", "warn", "on, as MLX_ENABLE_TF32 asks", TF32_ADVICE)
    return Diagnosis("tf32", "ok", "off: float32 products keep all their bits")


def _blas() -> Diagnosis:
    from OnPolicyDistill.arrays import OPENBLAS_LIBRARY, openblas_loaded

    if not sys.platform.startswith("linux"):
        return Diagnosis("blas", "ok", "the system's own")
    if openblas_loaded:
        return Diagnosis("blas", "ok", OPENBLAS_LIBRARY)
    action = (
        "Install it, matrix products are about 100 times faster: apt install libopenblas0-pthread"
    )
    return Diagnosis("blas", "warn", f"{OPENBLAS_LIBRARY} is absent", action)


def _memory() -> Diagnosis:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.total / 1e9:.1f} GB, {memory.available / 1e9:.1f} GB of it free"
    if memory.total / 1e9 < LITTLE_MEMORY_GB:
        action = "Enough for small models; opd plan says which."
        return Diagnosis("memory", "warn", found, action)
    return Diagnosis("memory", "ok", found)


def _workspace(workspace: Path) -> Iterator[Diagnosis]:
    import psutil

    from OnPolicyDistill.files import make_private

    try:
        make_private(workspace)
        probe = workspace / ".doctor"
        probe.write_text("ok", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        action = "Choose another with --workspace or $OPD_WORKSPACE."
        yield Diagnosis("workspace", "fail", f"{workspace}: {error.strerror}", action)
        return
    yield Diagnosis("workspace", "ok", f"{workspace} can be written")
    free = psutil.disk_usage(str(workspace)).free / 1e9
    status: Status = "ok" if free >= LITTLE_DISK_GB else "warn"
    action = "" if status == "ok" else "A 7B model takes 15 GB; free some space."
    yield Diagnosis("disk", status, f"{free:.1f} GB free", action)


def _page() -> Diagnosis:
    page = Path(__file__).resolve().parents[2] / "frontend" / "dist" / "index.html"
    if page.is_file():
        return Diagnosis("screen", "ok", "built")
    return Diagnosis("screen", "warn", "not built", "opd works without it; make build makes it.")


def _hub() -> Diagnosis:
    import httpx
    from huggingface_hub.constants import ENDPOINT

    try:
        httpx.head(ENDPOINT, timeout=HUB_SECONDS, follow_redirects=True)
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        action = "Models on disk work without it."
        return Diagnosis("hub", "warn", f"{ENDPOINT} does not answer: {reason}", action)
    return Diagnosis("hub", "ok", f"{ENDPOINT} answers")
