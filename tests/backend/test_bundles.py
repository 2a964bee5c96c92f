"""Bundles: out and in again unchanged; nothing hostile gets in, nothing half stays behind."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from backend.app import create_api, guard
from backend.backend import Backend
from backend.bundles.incoming import take_in
from backend.settings import BackendSettings
from OnPolicyDistill.errors import DistillError
from OnPolicyDistill.runs.annotations import Annotations, write_annotations
from OnPolicyDistill.runs.checkpoints import TrainingState, point, save_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory
from tests.backend.conftest import ORIGIN, MakeRun

pytestmark = pytest.mark.timeout(60)


def with_checkpoints(run: RunDirectory) -> RunDirectory:
    for step in (1, 2):
        state = TrainingState(step=step, config_hash="x", seed=0, data_cursor=0, num_tokens=0)
        save_checkpoint(run, state, lambda at: (at / "a.safetensors").write_bytes(b"w" * 5000))
    point(run, "best", run.checkpoints / "000001")
    write_annotations(run, Annotations(note="schön"))
    run.log_file.write_text("log\n")
    run.pictures.mkdir()
    (run.pictures / f"{7:032x}.png").write_bytes(b"\x89PNG")
    (run.path / "worker.json").write_text('{"pid": 1, "started": 0.0}')
    return run


def contents(run: RunDirectory) -> dict[str, bytes]:
    return {
        path.relative_to(run.path).as_posix(): path.read_bytes()
        for path in run.path.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name not in ("worker.json", "run.lock")
    }


async def export(client: httpx.AsyncClient, run: RunDirectory, checkpoints: str = "all") -> bytes:
    query = {"checkpoints": checkpoints}
    response = await client.get(f"/api/runs/{run.run_id}/bundle", params=query)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/zip"
    return response.content


async def bring(client: httpx.AsyncClient, bundle: bytes) -> httpx.Response:
    headers = {"content-type": "application/zip"}
    return await client.post("/api/bundles", content=bundle, headers=headers)


async def test_a_run_comes_back_as_it_went(client: httpx.AsyncClient, make_run: MakeRun) -> None:
    run = with_checkpoints(make_run(steps=4))
    before, best = contents(run), (run.checkpoints / "best").resolve().name
    bundle = await export(client, run)
    assert "worker.json" not in zipfile.ZipFile(io.BytesIO(bundle)).namelist()
    assert (await bring(client, bundle)).status_code == 409
    await client.delete(f"/api/runs/{run.run_id}")
    assert (await bring(client, bundle)).status_code == 409
    await client.delete(f"/api/trash/{run.run_id}")
    response = await bring(client, bundle)
    assert response.status_code == 201, response.text
    assert response.json()["annotations"]["note"] == "schön"
    assert contents(run) == before
    assert (run.checkpoints / "best").resolve().name == best


@pytest.mark.parametrize(
    ("choice", "wanted"), [("all", {"000001", "000002"}), ("best", {"000001"}), ("none", set())]
)
async def test_checkpoints_are_chosen(
    client: httpx.AsyncClient, make_run: MakeRun, choice: str, wanted: set[str]
) -> None:
    bundle = await export(client, with_checkpoints(make_run()), choice)
    names = zipfile.ZipFile(io.BytesIO(bundle)).namelist()
    assert {name.split("/")[1] for name in names if name.startswith("checkpoints/")} == wanted


Edit = Callable[[zipfile.ZipFile], None]


def entry(name: str, data: bytes = b"x", mode: int = 0) -> Edit:
    def write(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo("placeholder")
        info.filename = name
        info.external_attr = mode << 16
        archive.writestr(info, data)

    return write


def bundle_with(
    *edits: Edit, run_id: str = "distill_1", config: str = "method: on_policy\n"
) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("bundle.json", f'{{"format": 1, "run_id": "{run_id}"}}')
        archive.writestr("config.yaml", config)
        for edit in edits:
            edit(archive)
    return sink.getvalue()


HOSTILE = {
    "up": entry("../evil.txt"),
    "far up": entry("checkpoints/000001/../../../evil.txt"),
    "absolute": entry("/tmp/evil.txt"),
    "drive": entry("C:\\evil.txt"),
    "backslash": entry("..\\evil.txt"),
    "hidden": entry(".ssh"),
    "other folder": entry("src/code.py"),
    "deep": entry("checkpoints/000001/a/b"),
    "link": entry("log.txt", b"/etc/passwd", stat.S_IFLNK | 0o777),
    "pipe": entry("log.txt", b"", stat.S_IFIFO | 0o666),
    "no picture": entry("pictures/evil.sh"),
    "below pictures": entry(f"pictures/{7:032x}.png/x"),
    "folder": entry("checkpoints/", b""),
    "nul": entry("log.txt\0.png"),
    "process": entry("worker.json", b'{"pid": 1, "started": 0.0}'),
    "lock": entry("run.lock"),
    "twice": entry("config.yaml", b"method: sft\n"),
    "other case": entry("CONFIG.YAML"),
    "long name": entry("a" * 200),
    "a file where a folder is": entry("checkpoints"),
    "a file where a folder is, other case": entry("Generated"),
    "process, other case": entry("WORKER.JSON", b'{"pid": 1, "started": 0.0}'),
    "lock, other case": entry("Run.Lock"),
    "checkpoint that is no number": entry("checkpoints/00000\u00b2/state.json"),
    "a link's place": entry("checkpoints/best", b"000001"),
    "point at the end": entry("notes."),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_entries_are_refused_and_leave_nothing(
    client: httpx.AsyncClient, backend: Backend, tmp_path: Path, kind: str
) -> None:
    before = everything_in(tmp_path)
    response = await bring(client, bundle_with(HOSTILE[kind]))
    assert (response.status_code, response.json()["code"]) == (422, "invalid_bundle")
    assert everything_in(tmp_path) == before


def everything_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if "index" not in path.name)


def lying_about_size(data: bytes, claimed: int) -> bytes:
    """Change the size that a deflated bundle's last entry claims, in both its headers."""
    real = struct.pack("<L", 50_000_000)
    assert data.count(real) >= 2
    return data.replace(real, struct.pack("<L", claimed))


def packed(name: str, size: int, method: int = zipfile.ZIP_DEFLATED) -> Edit:
    def write(archive: zipfile.ZipFile) -> None:
        archive.writestr(name, b"\0" * size, method)

    return write


def commented(name: str) -> Edit:
    def write(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo(name)
        info.comment = b"x" * 60_000
        archive.writestr(info, b"x")

    return write


def spoiled(bundle: bytes) -> bytes:
    """Spoil what an LZMA entry holds, behind its own header."""
    at = bundle.index(b"\x5d\x00\x00", 30)
    return bundle[:at] + b"\xff" * 8 + bundle[at + 8 :]


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(lambda: bundle_with(packed("log.txt", 50_000_000)), id="grows a lot"),
        pytest.param(
            lambda: lying_about_size(bundle_with(packed("log.txt", 50_000_000)), 10), id="lies"
        ),
        pytest.param(
            lambda: bundle_with(*(entry(f"f{number}") for number in range(20_001))), id="many"
        ),
        pytest.param(
            lambda: bundle_with(*(packed(f"f{number}", 9_000_000) for number in range(8))),
            id="grows a lot in small parts",
        ),
        pytest.param(lambda: bundle_with(packed("a", 9, zipfile.ZIP_LZMA)), id="lzma"),
        pytest.param(lambda: bundle_with(packed("a", 9, zipfile.ZIP_BZIP2)), id="bz2"),
        pytest.param(lambda: spoiled(bundle_with(packed("a", 9, zipfile.ZIP_LZMA))), id="bad lzma"),
        pytest.param(
            lambda: bundle_with(*(commented(f"f{number}") for number in range(100))),
            id="a long directory",
        ),
    ],
)
async def test_zip_bombs_are_refused(
    client: httpx.AsyncClient, backend: Backend, bomb: Callable[[], bytes]
) -> None:
    response = await bring(client, bomb())
    assert response.status_code == 422, response.text
    assert list(backend.settings.scratch.iterdir()) == []
    assert list(backend.settings.runs.iterdir()) == []


@pytest.mark.parametrize(
    "bundle",
    [
        b"", b"PK", b"not a zip file", bundle_with()[:-10], bundle_with(run_id="../x"),
        bundle_with(config="distillation: {temperature: 99}"), bundle_with(config="a: &a [*a]"),
        bundle_with(entry("events.jsonl", b'{"seq": 5}\n')),
        bundle_with(entry("annotations.json", b"{")),
        zipfile.ZipFile.__doc__.encode() if zipfile.ZipFile.__doc__ else b"x",
    ],
)  # fmt: skip
async def test_what_is_no_run_is_refused_in_words(
    client: httpx.AsyncClient, backend: Backend, bundle: bytes
) -> None:
    response = await bring(client, bundle)
    assert response.status_code in (409, 422), response.text
    assert response.json()["detail"]
    assert list(backend.settings.runs.iterdir()) == []
    assert list(backend.settings.scratch.iterdir()) == []


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "config",
    ["[" * 90_000, "{a: " * 20_000, "- " * 40_000, "a: &a [*a]", f"a: {'x' * 200_000}"],
    ids=["lists", "maps", "dashes", "itself", "long"],
)
async def test_settings_that_are_traps_are_refused_at_once(
    client: httpx.AsyncClient, backend: Backend, config: str
) -> None:
    response = await bring(client, bundle_with(config=config))
    assert response.status_code == 422, response.text
    assert list(backend.settings.runs.iterdir()) == []


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"a":' * 100_000, b'{"seq": 0, "kind": "x"}'])
async def test_events_that_are_traps_are_refused(
    client: httpx.AsyncClient, backend: Backend, line: bytes
) -> None:
    response = await bring(client, bundle_with(entry("events.jsonl", line + b"\n")))
    assert response.status_code == 409, response.text
    assert "damaged line" in response.json()["detail"]
    assert list(backend.settings.runs.iterdir()) == []


def test_flipped_bytes_are_errors_in_words(settings: BackendSettings, backend: Backend) -> None:
    good = bytearray(bundle_with(packed("log.txt", 1000), entry("report.txt")))
    file = settings.scratch / "x.zip"
    for position in range(len(good)):
        broken = bytearray(good)
        broken[position] ^= 0xFF
        file.write_bytes(broken)
        try:
            run = take_in(settings, file)
        except DistillError:
            continue
        assert run.path.parent == settings.runs
        run.path.rename(settings.workspace / f"taken{position}")


async def test_a_bundle_over_the_limit_is_cut_off(settings: BackendSettings) -> None:
    small = Backend(replace(settings, max_bundle_bytes=1000))
    app = guard(create_api(small), small)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url=ORIGIN,
        headers={"authorization": f"Bearer {settings.token}"},
    ) as client:

        async def chunks():  # type: ignore[no-untyped-def]
            for _ in range(20):
                yield b"x" * 100

        headers = {"content-type": "application/zip"}
        streamed = await client.post("/api/bundles", content=chunks(), headers=headers)
        declared = await bring(client, b"x" * 2000)
        form = await client.post("/api/bundles", json={})
    assert (streamed.status_code, declared.status_code, form.status_code) == (413, 413, 415)
    assert list(small.settings.scratch.iterdir()) == []
    small.index.engine.dispose()
