"""Metal's own words are understood, and what helps against its watchdog is set."""

from __future__ import annotations

import pytest

from OnPolicyDistill.gpu import (
    MAX_MEGABYTES,
    MAX_OPS,
    RELAXED_WATCHDOG,
    find_gpu_failure,
    relax_watchdog,
    shorter_buffers,
)

FAILED = "[METAL] Command buffer execution failed: "
INTERACTIVITY = (
    FAILED + "Impacting Interactivity "
    "(0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)."
)
IGNORED = (
    FAILED + "Ignored (for causing prior/excessive GPU errors) "
    "(00000004:kIOGPUCommandBufferCallbackErrorSubmissionsIgnored)."
)
ABORTED = "libc++abi: terminating due to uncaught exception of type std::runtime_error: "


@pytest.mark.parametrize(
    ("text", "cause", "passes"),
    [
        (INTERACTIVITY, "gpu_watchdog", True),
        (f"{ABORTED}{INTERACTIVITY}", "gpu_watchdog", True),
        (f"{IGNORED}\n{INTERACTIVITY}\n{IGNORED}", "gpu_watchdog", True),
        (
            FAILED + "Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout).",
            "gpu_timeout",
            True,
        ),
        (
            FAILED + "Caused GPU Hang Error (00000003:kIOGPUCommandBufferCallbackErrorHang).",
            "gpu_timeout",
            True,
        ),
        (IGNORED, "gpu_fault", True),
        (
            FAILED + "Discarded (victim of GPU error/recovery) "
            "(00000005:kIOGPUCommandBufferCallbackErrorInnocentVictim).",
            "gpu_fault",
            True,
        ),
        (FAILED + "Caused GPU Address Fault Error (0000000b:...).", "gpu_fault", False),
        (
            FAILED + "Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory).",
            "memory",
            False,
        ),
        ("[malloc] Unable to allocate 9663676416 bytes.", "memory", False),
        ("[malloc_or_wait] Unable to allocate 9663676416 bytes.", "memory", False),
        ("[metal::malloc] Resource limit (499000) exceeded.", "gpu_resources", False),
        (
            "[metal::malloc] Attempting to allocate 48736917632 bytes which is greater than "
            "the maximum allowed buffer size of 30150672384 bytes.",
            "gpu_buffer",
            False,
        ),
    ],
)
def test_every_text_of_metal_has_a_cause_and_advice(text: str, cause: str, passes: bool) -> None:
    failure = find_gpu_failure(text)
    assert failure is not None
    assert (failure.cause, failure.passes) == (cause, passes)
    assert failure.message.endswith(".")
    assert failure.action.endswith(".")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[broadcast_shapes] Shapes (2,3) and (4,5) cannot be broadcast.",
        "[write] Unable to write 7 bytes to file.",
        "The hub refused it: timeout.",
    ],
)
def test_other_failures_are_not_taken_for_metals(text: str) -> None:
    assert find_gpu_failure(text) is None


def test_the_driver_is_asked_for_patience_on_a_mac_unless_the_user_said_otherwise() -> None:
    environment: dict[str, str] = {}
    relax_watchdog(environment, "linux")
    assert environment == {}
    relax_watchdog(environment, "darwin")
    assert environment == {RELAXED_WATCHDOG: "1"}
    chosen = {RELAXED_WATCHDOG: "0"}
    relax_watchdog(chosen, "darwin")
    assert chosen == {RELAXED_WATCHDOG: "0"}


def test_command_buffers_are_halved_each_time_and_never_empty() -> None:
    def lengths(num_times: int, **environment: str) -> tuple[str | None, str | None]:
        set_now = shorter_buffers(num_times, environment)
        return set_now.get(MAX_OPS), set_now.get(MAX_MEGABYTES)

    assert lengths(0) == (None, None)
    assert [lengths(n) for n in (1, 2, 3)] == [("20", "20"), ("10", "10"), ("5", "5")]
    assert lengths(1, **{MAX_OPS: "8", MAX_MEGABYTES: "odd"}) == ("4", "20")
    assert lengths(9) == ("1", "1")
