import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.hub import download_model, download_part
from OnPolicyDistill.planning.weights import stored_files


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does: refusals by repository name, files of one repository."""

    refusals: ClassVar[dict[str, tuple[int, str]]] = {
        "gated": (403, "GatedRepo"),
        "missing": (404, "RepoNotFound"),
        "broken": (400, "SomethingElse"),
    }
    files: ClassVar[dict[str, bytes]] = {"config.json": b"{}", "model.safetensors": b"12345678"}
    cut: ClassVar[dict[str, bytes]] = {
        "config.json": b"{}",
        "model-00001-of-00002.safetensors": b"eyes",
        "model-00002-of-00002.safetensors": b"words",
        "model.safetensors.index.json": json.dumps(
            {
                "weight_map": {
                    "visual.a": "model-00001-of-00002.safetensors",
                    "lm_head.weight": "model-00002-of-00002.safetensors",
                }
            }
        ).encode(),
    }
    served: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, with_body: bool) -> None:
        for name, (status, code) in self.refusals.items():
            if f"/{name}" in self.path:
                self._send(status, b"", {"X-Error-Code": code})
                return
        if self.path.startswith("/api/models/someone/"):
            self._send(200, json.dumps(self._listing()).encode() if with_body else b"", {})
            return
        name = self.path.split("?")[0].rsplit("/", 1)[-1]
        content = self._repository()[name]
        if with_body:
            self.served.append(name)
        headers = {"ETag": f'"{name}"', "X-Repo-Commit": "a" * 40}
        self._send(200, content, headers, with_body)

    def _listing(self) -> object:
        if "/tree/" in self.path:
            return [
                {"type": "file", "path": name, "size": len(content), "oid": name}
                for name, content in self._repository().items()
            ]
        siblings = [{"rfilename": name} for name in self._repository()]
        return {"id": "someone/model", "sha": "a" * 40, "siblings": siblings}

    def _repository(self) -> dict[str, bytes]:
        return self.cut if "someone/cut" in self.path else self.files

    def _send(
        self, status: int, content: bytes, headers: dict[str, str], with_body: bool = True
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_gated_model_says_to_ask_for_access(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"someone/gated is gated.*HF_TOKEN"):
        download_model("someone/gated", tmp_path, endpoint)


def test_a_missing_model_says_so(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="The hub has no model someone/missing"):
        download_model("someone/missing", tmp_path, endpoint)


def test_another_refusal_is_quoted(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="someone/broken"):
        download_model("someone/broken", tmp_path, endpoint)


def test_a_malformed_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no valid hub id"):
        download_model("some one/mo del", tmp_path)


def test_without_network_the_sentence_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not on this machine and the hub cannot be reached"):
        download_model("someone/anything", tmp_path, "http://127.0.0.1:9")


def test_a_download_arrives_once_and_is_used_again_without_network(
    endpoint: str, tmp_path: Path
) -> None:
    Hub.served.clear()
    folder = download_model("someone/whole", tmp_path, endpoint)
    assert (folder / "model.safetensors").read_bytes() == b"12345678"
    assert download_model("someone/whole", tmp_path, "http://127.0.0.1:9") == folder
    assert sorted(Hub.served) == ["config.json", "model.safetensors"]


def test_only_the_files_with_wanted_tensors_are_downloaded(endpoint: str, tmp_path: Path) -> None:
    Hub.served.clear()
    folder = download_part("someone/cut", lambda name: "visual" in name, tmp_path, endpoint)
    assert (folder / "model-00001-of-00002.safetensors").read_bytes() == b"eyes"
    assert "model-00002-of-00002.safetensors" not in Hub.served


def test_a_model_in_one_file_comes_whole(endpoint: str, tmp_path: Path) -> None:
    folder = download_part("someone/whole", lambda name: "visual" in name, tmp_path, endpoint)
    assert (folder / "model.safetensors").read_bytes() == b"12345678"


def test_a_folder_without_right_to_write_is_said_in_words(endpoint: str, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(ModelError, match=r"could not be downloaded"):
        download_model("someone/whole", blocked, endpoint)


def test_weight_files_of_a_download_are_still_checked(endpoint: str, tmp_path: Path) -> None:
    folder = download_model("someone/whole", tmp_path, endpoint)
    with pytest.raises(ModelError, match="not a safetensors file"):
        stored_files(folder)
