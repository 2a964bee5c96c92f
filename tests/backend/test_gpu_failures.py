"""A run whose work on the GPU macOS ended goes on by itself, a few times, and says so."""

from __future__ import annotations

import httpx
import pytest

from backend.backend import Backend
from backend.settings import BackendSettings
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import RunFailed, RunResumed, Warned
from OnPolicyDistill.runs.log import last_event, read_events
from OnPolicyDistill.runs.postmortem import read_postmortem
from tests.backend.conftest import MakeRun, client_of, eventually, release
from tests.backend.test_supervisor import do, postmortem_of, reap, until

pytestmark = pytest.mark.timeout(90)


def warnings(run: RunDirectory) -> list[Warned]:
    return [event for event in read_events(run.events_file) if isinstance(event, Warned)]


def resumed_from(run: RunDirectory) -> list[int]:
    return [event.step for event in read_events(run.events_file) if isinstance(event, RunResumed)]


def lengths_of_buffers(run: RunDirectory) -> list[str]:
    lines = run.log_file.read_text().splitlines()
    return [line.split()[-1] for line in lines if line.startswith("operations a buffer")]


@pytest.mark.parametrize("how", ["watchdog", "stream"])
async def test_a_run_that_the_gpu_ended_goes_on_from_its_checkpoint_by_itself(
    live_client: httpx.AsyncClient, make_run: MakeRun, how: str
) -> None:
    run = make_run(f"steps=6 die={how}@3")
    await do(live_client, run, "start")
    await until(live_client, run, "finished")
    (warning,) = warnings(run)
    assert (warning.code, warning.step) == ("gpu_watchdog", 3)
    assert "goes on by itself from step 2 with shorter command buffers (try 1 of 3)" in (
        warning.message
    )
    assert "Let the display sleep" in warning.action
    assert resumed_from(run) == [2]
    assert lengths_of_buffers(run) == ["None", "20"]
    seqs = [event.seq for event in read_events(run.events_file)]
    assert seqs == list(range(len(seqs)))
    assert read_postmortem(run) is None


@pytest.mark.parametrize("how", ["watchdog", "stream"])
async def test_three_tries_in_vain_end_in_words(
    live_client: httpx.AsyncClient, make_run: MakeRun, how: str
) -> None:
    run = make_run(f"steps=6 die={how}@1 times=99")
    await do(live_client, run, "start")
    postmortem = await postmortem_of(live_client, run)
    assert postmortem.cause == "gpu_watchdog"
    assert "taken up again 3 times in vain" in postmortem.message
    assert "Let the display sleep" in postmortem.action
    assert "resuming starts from the beginning" in postmortem.action
    assert resumed_from(run) == [0, 0, 0]  # without a checkpoint it began anew
    assert lengths_of_buffers(run) == ["None", "20", "10", "5"]
    failed = last_event(run.events_file)
    assert isinstance(failed, RunFailed)
    assert failed.code == "gpu_watchdog"
    # A person's resume counts from the beginning, with buffers of the usual length.
    await do(live_client, run, "resume")

    async def has_begun() -> bool:
        return len(lengths_of_buffers(run)) > 4

    await eventually(has_begun)
    assert lengths_of_buffers(run)[4] == "None"


async def test_a_run_that_gets_on_is_taken_up_as_often_as_it_takes(
    live_client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run("steps=13 die=watchdog@ every=3 times=99")
    await do(live_client, run, "start")
    await until(live_client, run, "finished")
    assert resumed_from(run) == [2, 4, 6, 8, 10, 12]
    assert all("try 1 of 3" in warning.message for warning in warnings(run))
    assert lengths_of_buffers(run)[-1] == "1"


async def test_a_run_that_somebody_pauses_is_not_taken_up_again(
    live_client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run("steps=2000 pause=0.02 deaf=1 die=watchdog@stop")
    await do(live_client, run, "start")
    await until(live_client, run, "running")
    await do(live_client, run, "pause")
    postmortem = await postmortem_of(live_client, run)
    assert postmortem.cause == "gpu_watchdog"
    assert resumed_from(run) == []


async def test_a_run_goes_on_although_its_backend_was_away_when_the_gpu_ended_it(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    run = make_run("steps=60 pause=0.05 die=watchdog@40")
    first = Backend(settings)
    async with first.running(), client_of(first) as client:
        await do(client, run, "start")
        await until(client, run, "running")
    reap(first)
    second = Backend(settings)
    async with second.running(), client_of(second) as client:
        await until(client, run, "finished")
    assert resumed_from(run) == [38]
    release(second)


async def test_words_of_an_earlier_process_explain_no_later_death(
    live_client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run("steps=9 die=abort@3")
    run.log_file.write_text("[METAL] Command buffer execution failed: Impacting Interactivity\n")
    await do(live_client, run, "start")
    postmortem = await postmortem_of(live_client, run)
    assert postmortem.cause == "crashed"
    assert resumed_from(run) == []
