"""Memory, disk and load of this machine, sampled once a second; and traces of memory kills."""

from __future__ import annotations

import os
import time
from collections import deque
from pathlib import Path

import psutil
from pydantic import Field

from backend.history.views import View
from OnPolicyDistill.macos import process_memory_bytes

OOM_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/proc/vmstat"))
REMEMBERED_SAMPLES = 60
SCARCE_SHARE = 0.05


class SystemFigures(View):
    """This machine at one moment; GB are 1e9 bytes."""

    time: float
    memory_total_gb: float
    memory_available_gb: float
    swap_used_gb: float
    disk_total_gb: float
    disk_free_gb: float = Field(description="On the disk that holds the workspace.")
    cpu_percent: float = Field(description="Of all cores together since the last sample.")
    load_1min: float
    backend_memory_gb: float = Field(
        description="Of this backend: physical footprint on macOS, resident set size elsewhere."
    )
    worker_memory_gb: float | None = Field(None, description="Of the active run, likewise.")
    worker_cpu_percent: float | None = Field(None, description="100 is one core.")
    gpu_memory_gb: float | None = Field(
        None, description="MLX's active memory by the active run's last step."
    )


class SystemSampler:
    """Takes samples and remembers the last minute's, to explain a death by memory."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._pid = os.getpid()
        self._worker: psutil.Process | None = None
        self._available: deque[float] = deque(maxlen=REMEMBERED_SAMPLES)
        self._oom_kills = _count_oom_kills()
        psutil.cpu_percent(None)

    def sample(self, worker_pid: int | None = None, gpu_gb: float | None = None) -> SystemFigures:
        """Take a sample."""
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(self._workspace))
        self._available.append(memory.available / max(memory.total, 1))
        occupied, load = self._look_at_worker(worker_pid)
        return SystemFigures(
            time=time.time(),
            memory_total_gb=memory.total / 1e9,
            memory_available_gb=memory.available / 1e9,
            swap_used_gb=psutil.swap_memory().used / 1e9,
            disk_total_gb=disk.total / 1e9,
            disk_free_gb=disk.free / 1e9,
            cpu_percent=psutil.cpu_percent(None),
            load_1min=psutil.getloadavg()[0],
            backend_memory_gb=process_memory_bytes(self._pid) / 1e9,
            worker_memory_gb=occupied,
            worker_cpu_percent=load,
            gpu_memory_gb=gpu_gb,
        )

    def _look_at_worker(self, pid: int | None) -> tuple[float | None, float | None]:
        if pid is None:
            self._worker = None
            return None, None
        try:
            if self._worker is None or self._worker.pid != pid:
                self._worker = psutil.Process(pid)
            return process_memory_bytes(pid) / 1e9, self._worker.cpu_percent(None)
        except psutil.Error:
            return None, None

    def memory_was_scarce(self) -> bool:
        """Whether memory ran low in the last minute, or the kernel killed for it since asked."""
        kills = _count_oom_kills()
        killed, self._oom_kills = kills > self._oom_kills, kills
        return killed or any(share < SCARCE_SHARE for share in self._available)


def _count_oom_kills() -> int:
    for file in OOM_COUNTERS:
        try:
            lines = file.read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
    return 0
