"""The playground's stream over a real socket: what a browser does when it goes away."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from backend.settings import BackendSettings
from tests.backend.conftest import TOKEN, served, wait_until
from tests.backend.tiny import write_endless_model


@pytest.mark.timeout(120)
def test_a_closed_connection_stops_the_work_and_keeps_the_models(
    settings: BackendSettings, tmp_path: Path
) -> None:
    question = {
        "messages": [{"role": "user", "content": "the third of March"}],
        "student_model": str(write_endless_model(tmp_path / "student")),
        "sampling": {"max_tokens": 16_000, "temperature": 1.0},
    }
    with (
        served(settings) as (_, port),
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}/api",
            headers={"authorization": f"Bearer {TOKEN}"},
            timeout=60,
        ) as client,
    ):
        with client.stream("POST", "/playground/ask", json=question) as answer:
            assert answer.status_code == 200
            lines = answer.iter_lines()  # kept: one that is let go closes the connection
            assert next(line for line in lines if '"tokens"' in line)
            assert client.get("/playground").json()["state"] == "busy"
        wait_until(lambda: client.get("/playground").json()["state"] == "warm")
