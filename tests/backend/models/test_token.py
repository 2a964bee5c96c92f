"""The hub's token: set, seen as set, cleared, and never shown."""

from __future__ import annotations

import stat
from pathlib import Path

import httpx
import pytest
from huggingface_hub import get_token

from backend.models.place import hub_headers

TOKEN = "hf_" + "a" * 34


@pytest.fixture(autouse=True)
def no_token(own_hub_token: Path) -> Path:
    own_hub_token.unlink(missing_ok=True)
    return own_hub_token


def kept_beside(file: Path) -> dict[str, int]:
    """Return every file of the folder with what others may do with it."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}


async def test_a_token_is_set_seen_and_cleared(client: httpx.AsyncClient, no_token: Path) -> None:
    assert (await client.get("/api/hub/token")).json()["is_set"] is False
    for _ in range(2):
        response = await client.put("/api/hub/token", json={"token": f" {TOKEN}\n"})
        assert response.status_code == 200, response.text
    assert TOKEN not in response.text
    assert TOKEN not in (await client.get("/api/hub/token")).text
    assert (response.json()["is_set"], response.json()["source"]) == (True, "file")
    assert kept_beside(no_token) == {"token": 0o600}
    assert get_token() == TOKEN
    assert hub_headers()["authorization"] == f"Bearer {TOKEN}"
    for _ in range(2):
        assert (await client.delete("/api/hub/token")).json()["is_set"] is False
    assert kept_beside(no_token) == {}


@pytest.mark.parametrize("token", ["", " ", "two words", "hf_x\nhost: evil", "ä", "x" * 501, 7])
async def test_what_is_no_token_is_refused_without_repeating_it(
    client: httpx.AsyncClient, no_token: Path, token: object
) -> None:
    response = await client.put("/api/hub/token", json={"token": token})
    assert response.status_code == 422
    assert response.json()["errors"][0]["location"] == "body.token"
    assert not isinstance(token, str) or len(token) < 2 or token not in response.text
    assert kept_beside(no_token) == {}


async def test_a_token_in_the_environment_comes_first(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    about = (await client.get("/api/hub/token")).json()
    assert (about["source"], about["variable"]) == ("environment", "HF_TOKEN")
    for response in (
        await client.put("/api/hub/token", json={"token": "hf_other"}),
        await client.delete("/api/hub/token"),
    ):
        assert response.status_code == 409
        assert response.json()["code"] == "token_in_environment"
        assert TOKEN not in response.text


async def test_the_token_is_behind_the_guard(client: httpx.AsyncClient) -> None:
    foreign = {"origin": "http://evil.example"}
    response = await client.put("/api/hub/token", json={"token": TOKEN}, headers=foreign)
    assert response.status_code == 403
    del client.headers["authorization"]
    assert (await client.delete("/api/hub/token")).status_code == 401
