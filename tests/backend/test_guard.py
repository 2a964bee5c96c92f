"""The guard: each kind of request that another page, program or file could send is refused."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from socket import create_connection

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from backend.access import Access
from backend.app import create_api, guard
from backend.backend import Backend
from backend.pictures import PNG_SIGNATURE
from backend.settings import BackendSettings
from tests.backend.conftest import ORIGIN, PORT, TOKEN, MakeRun, served

pytestmark = pytest.mark.timeout(60)
BEARER = {"authorization": f"Bearer {TOKEN}"}


def refused(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", f"127.0.0.1.:{PORT}",
     f"0.0.0.0:{PORT}", f"localhost.evil.example:{PORT}", "", f"127.0.0.1:{PORT}@evil.example"],
)  # fmt: skip
async def test_a_foreign_host_is_refused_everywhere(client: httpx.AsyncClient, host: str) -> None:
    for path in ("/api/runs", "/api/health", "/"):
        refused(await client.get(path, headers={"host": host}), 421, "foreign_host")


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"[::1]:{PORT}"])
async def test_our_own_hosts_are_answered(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/api/runs", headers={"host": host})).status_code == 200


async def test_two_hosts_are_refused(client: httpx.AsyncClient) -> None:
    request = client.build_request("GET", "/api/runs")
    request.headers = httpx.Headers(
        [("host", f"127.0.0.1:{PORT}"), ("host", "evil.example"), *BEARER.items()]
    )
    refused(await client.send(request), 421, "foreign_host")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", f"https://127.0.0.1:{PORT}", "http://127.0.0.1:1",
               f"http://127.0.0.1:{PORT}.evil.example", ""],
)  # fmt: skip
async def test_a_foreign_origin_is_refused(client: httpx.AsyncClient, origin: str) -> None:
    refused(await client.get("/api/runs", headers={"origin": origin}), 403, "foreign_origin")


async def test_our_own_origin_is_answered(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/runs", headers={"origin": ORIGIN})).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_an_image_on_another_site_cannot_read_the_api(
    client: httpx.AsyncClient, site: str
) -> None:
    response = await client.get("/api/runs", headers={"sec-fetch-site": site})
    refused(response, 403, "foreign_origin")


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN}, {"authorization": "Bearer "},
     {"authorization": f"Basic {TOKEN}"}, {"cookie": f"opd_session_{PORT}={TOKEN}"},
     {"cookie": "opd_session_1=x"}, {"authorization": "Bearer \xff"}],
)  # fmt: skip
async def test_no_token_and_wrong_tokens_are_refused(
    backend: Backend, headers: dict[str, str]
) -> None:
    app = guard(create_api(backend), backend)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ORIGIN) as bare:
        encoded = {key: value.encode("latin-1") for key, value in headers.items()}
        for path in ("/api/runs", "/api/openapi.json", "/api/nothing", "/api"):
            response = await bare.get(path, headers=encoded)
            refused(response, 401, "no_token")
            assert response.headers["www-authenticate"] == "Bearer"


async def test_health_is_open_and_tells_nothing(backend: Backend) -> None:
    app = guard(create_api(backend), backend)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ORIGIN) as bare:
        response = await bare.get("/api/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_the_cookie_opens_the_api(backend: Backend) -> None:
    app = guard(create_api(backend), backend)
    cookies = {backend.access.cookie_name: backend.access.cookie_value}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url=ORIGIN, cookies=cookies
    ) as browser:
        assert (await browser.get("/api/runs")).status_code == 200


def socket_status(port: int, **headers: str) -> int:
    """Ask for a websocket; returns 101 when it is accepted, else the status it is refused with."""
    try:
        with connect(f"ws://127.0.0.1:{port}/api/stream", additional_headers=headers) as socket:
            socket.recv(timeout=20)
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


def test_websockets_pass_the_same_guard(settings: BackendSettings) -> None:
    with served(settings) as (backend, port):
        own, cookie = f"http://127.0.0.1:{port}", cookie_of(backend.access)
        assert socket_status(port, **BEARER) == 101
        assert socket_status(port, cookie=cookie, origin=own) == 101
        assert socket_status(port) == 401
        assert socket_status(port, authorization="Bearer wrong") == 401
        assert socket_status(port, **BEARER, origin="http://evil.example") == 403
        assert socket_status(port, **BEARER, origin="null") == 403


def test_a_websocket_without_origin_from_a_browser_is_refused(settings: BackendSettings) -> None:
    with served(settings) as (backend, port):
        assert socket_status(port, cookie=cookie_of(backend.access)) == 403
        assert socket_status(port, **BEARER, **{"sec-fetch-mode": "websocket"}) == 403


def test_a_websocket_to_a_foreign_host_is_refused(settings: BackendSettings) -> None:
    with served(settings) as (_, port):
        wire = create_connection(("127.0.0.1", port))
        with pytest.raises(InvalidStatus) as refusal:
            connect("ws://evil.example/api/stream", sock=wire, additional_headers=BEARER)
    assert refusal.value.response.status_code == 421


def cookie_of(access: Access) -> str:
    return f"{access.cookie_name}={access.cookie_value}"


@pytest.mark.parametrize(
    "path",
    ["/api/runs/..%2f..%2fetc%2fpasswd", "/api/runs/%2e%2e/x", "/api/runs/..%5cx", "/api/runs/a%00",
     "/api/runs/%2E%2E%2Fsecret/log", "/..%2f..%2fetc/passwd", "/assets/%2e%2e/%2e%2e/secret",
     "/api/runs/x/artifacts/..%2fconfig.yaml"],
)  # fmt: skip
async def test_encoded_paths_are_refused(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 400


@pytest.mark.parametrize("name", ["...", ".git", "a.b", "-x", "a" * 81, "%20", "ä"])
async def test_names_that_are_no_run_ids_are_refused(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/api/runs/{name}/log")).status_code == 422


async def test_a_link_among_the_runs_is_no_run(
    client: httpx.AsyncClient, backend: Backend, tmp_path: Path, make_run: MakeRun
) -> None:
    run = make_run()
    outside = tmp_path / "outside"
    run.path.rename(outside)
    (backend.settings.runs / "linked").symlink_to(outside)
    assert (await client.get("/api/runs/linked")).status_code == 404


@pytest.mark.parametrize("name", ["config.yaml", "events.jsonl", "rollouts.jsonl", "log.txt"])
async def test_a_link_in_the_place_of_a_runs_file_is_not_followed(
    client: httpx.AsyncClient, tmp_path: Path, make_run: MakeRun, name: str
) -> None:
    run = make_run(steps=1)
    secret = tmp_path / "secret"
    secret.write_text("secret: 1\n")
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(secret)
    for question in ("", "/log", "/events", "/rollouts", "/bundle"):
        response = await client.get(f"/api/runs/{run.run_id}{question}")
        assert response.status_code == 404, question
        assert "secret" not in response.text


async def test_a_link_among_the_artifacts_is_not_served(
    client: httpx.AsyncClient, tmp_path: Path, make_run: MakeRun
) -> None:
    run = make_run()
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (run.path / "report.txt").symlink_to(secret)
    (run.path / "plot.svg").write_text("<svg/>")
    listed = (await client.get(f"/api/runs/{run.run_id}/artifacts")).json()["artifacts"]
    assert [artifact["name"] for artifact in listed] == ["plot.svg"]
    assert (await client.get(f"/api/runs/{run.run_id}/artifacts/report.txt")).status_code == 404
    assert (await client.get(f"/api/runs/{run.run_id}/artifacts/worker.json")).status_code == 404


PICTURE = "ab" * 16


@pytest.mark.parametrize(
    "name", ["config.yaml", f"{PICTURE}.png", PICTURE.upper(), PICTURE[:-1], f"{PICTURE}0", "..."]
)
async def test_a_picture_is_asked_for_by_its_digest_alone(
    client: httpx.AsyncClient, make_run: MakeRun, name: str
) -> None:
    response = await client.get(f"/api/runs/{make_run().run_id}/pictures/{name}")
    refused(response, 422, "invalid_request")


async def test_links_and_pipes_among_a_runs_pictures_are_not_followed(
    client: httpx.AsyncClient, tmp_path: Path, make_run: MakeRun
) -> None:
    run = make_run()
    secret = tmp_path / f"{PICTURE}.png"
    secret.write_bytes(PNG_SIGNATURE + b"secret")
    run.pictures.mkdir()
    (run.pictures / f"{PICTURE}.png").symlink_to(secret)
    os.mkfifo(run.pictures / f"{PICTURE[::-1]}.png")
    for digest in (PICTURE, PICTURE[::-1]):
        response = await client.get(f"/api/runs/{run.run_id}/pictures/{digest}")
        refused(response, 404, "not_found")
    bundle = await client.get(f"/api/runs/{run.run_id}/bundle")
    assert b"secret" not in bundle.content
    shutil.rmtree(run.pictures)
    run.pictures.symlink_to(tmp_path)
    response = await client.get(f"/api/runs/{run.run_id}/pictures/{PICTURE}")
    refused(response, 404, "not_found")
    assert b"secret" not in (await client.get(f"/api/runs/{run.run_id}/bundle")).content


@pytest.mark.parametrize(
    "data", [b"<svg onload='alert(1)'/>", b"", PNG_SIGNATURE + b"x" * 1_000_000]
)
async def test_what_is_no_small_png_is_no_picture_of_a_run(
    client: httpx.AsyncClient, make_run: MakeRun, data: bytes
) -> None:
    run = make_run()
    run.pictures.mkdir()
    (run.pictures / f"{PICTURE}.png").write_bytes(data)
    response = await client.get(f"/api/runs/{run.run_id}/pictures/{PICTURE}")
    refused(response, 404, "not_found")


async def post(client: httpx.AsyncClient, body: bytes, **headers: str) -> httpx.Response:
    return await client.post(
        "/api/runs", content=body, headers={"content-type": "application/json", **headers}
    )


async def test_an_oversized_body_is_refused(client: httpx.AsyncClient) -> None:
    refused(await post(client, b'"' + b"x" * 1_100_000 + b'"'), 413, "too_large")


async def test_an_oversized_body_without_a_length_is_refused(client: httpx.AsyncClient) -> None:
    async def chunks():  # type: ignore[no-untyped-def]
        for _ in range(30):
            yield b"x" * 50_000

    response = await client.post(
        "/api/runs", content=chunks(), headers={"content-type": "application/json"}
    )
    refused(response, 413, "too_large")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_form_of_another_page_is_refused(client: httpx.AsyncClient, kind: str) -> None:
    refused(await post(client, b"{}", **{"content-type": kind}), 415, "wrong_content_type")


@pytest.mark.parametrize(
    "body",
    [b'{"config": NaN}', b'{"config": Infinity}', b'{"config": -Infinity}', b'{"x": 1e999}',
     b'{"x": ' + b"9" * 5000 + b"}", b'{"x": 1' + b"0" * 30 + b"}",
     b'{"x": 0.' + b"1" * 9000 + b"}",
     b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
     b"[" * 100_000, b"{", b"\xff\xfe", b'"\\ud800"', b'{"a": 1} x'],
)  # fmt: skip
async def test_json_with_traps_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    refused(await post(client, body), 400, "invalid_json")


@pytest.mark.parametrize("value", ["nan", "inf", "1e400", "9" * 400, "-1", "0x10"])
async def test_numbers_in_queries_are_bounded(client: httpx.AsyncClient, value: str) -> None:
    refused(await client.get("/api/runs", params={"limit": value}), 422, "invalid_request")


@pytest.mark.parametrize("value", ["nan", "inf", "9" * 400])
async def test_numbers_in_filters_are_finite(client: httpx.AsyncClient, value: str) -> None:
    response = await client.get("/api/runs", params={"filter": f"step<{value}"})
    refused(response, 422, "invalid_request")


@pytest.mark.timeout(20)
async def test_yaml_bombs_are_refused_at_once(client: httpx.AsyncClient) -> None:
    layers = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    layers += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    for bomb in ("\n".join(layers), "[" * 20_000, "{a: " * 20_000, "- " * 20_000, "a: &a [*a]"):
        response = await client.post("/api/configs/parse", json={"yaml": bomb})
        refused(response, 422, "invalid_config")


async def test_every_answer_carries_the_protective_headers(
    client: httpx.AsyncClient, settings: BackendSettings
) -> None:
    for path in ("/api/runs", "/", "/api/nothing"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
    assert (await client.get("/api/runs")).headers["cache-control"] == "no-store"


async def test_a_preflight_of_another_site_gets_no_permission(client: httpx.AsyncClient) -> None:
    asking = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    refused(await client.options("/api/runs", headers=asking), 403, "foreign_origin")


async def test_wrong_fields_are_named(client: httpx.AsyncClient) -> None:
    config = {"distillation": {"temperature": 9, "lora": {"rank": 0}, "typo": 1}}
    response = await client.post("/api/runs", json={"config": config})
    refused(response, 422, "invalid_config")
    wrong = {error["location"] for error in response.json()["errors"]}
    assert wrong == {"distillation.temperature", "distillation.lora.rank", "distillation.typo"}
    response = await client.post("/api/runs", json={"config": {}, "start": "perhaps"})
    assert response.json()["errors"][0]["location"] == "body.start"
    assert json.loads(response.text)["title"]


async def test_unknown_paths_and_methods_are_problems(client: httpx.AsyncClient) -> None:
    refused(await client.get("/api/nothing"), 404, "not_found")
    response = await client.put("/api/health", json={})
    refused(response, 405, "method_not_allowed")
    assert "GET" in response.headers["allow"]
    refused(await client.get("/api/runs/distill_1"), 404, "not_found")
