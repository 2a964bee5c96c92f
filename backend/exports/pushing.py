"""The process of one push: python -m backend.exports.pushing ORDER, a JSON object."""

from __future__ import annotations

import sys

import httpx
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.adapters.export_messages import FailedLine, ProgressLine, WrittenLine


class PushOrder(BaseModel):
    """A folder to send and where to; the hub's address is $HF_ENDPOINT where set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str
    repository: str
    is_private: bool
    num_bytes: int


def main() -> int:
    """Send what the order says; returns the exit code."""
    order = PushOrder.model_validate_json(sys.argv[1])
    try:
        address = _push(order)
    except (HfHubHTTPError, HFValidationError, httpx.HTTPError, OSError) as error:
        _say(_explain(order, error))
        return 1
    _say(WrittenLine(where=address, num_bytes=order.num_bytes))
    return 0


def _push(order: PushOrder) -> str:
    hub = HfApi()
    _say(ProgressLine(what="opening the repository", done=0, total=2))
    made = hub.create_repo(order.repository, private=order.is_private, exist_ok=True)
    _say(ProgressLine(what="sending files", done=1, total=2))
    hub.upload_folder(
        repo_id=order.repository,
        folder_path=order.folder,
        commit_message="Upload a student trained with OnPolicyDistill",
    )
    return str(made)


def _explain(order: PushOrder, error: Exception) -> FailedLine:
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status in (401, 403):
        return FailedLine(
            message=f"The hub does not let this token write to {order.repository}.",
            action="Use a token with write access, and a repository under your own name.",
        )
    if status is None and isinstance(error, httpx.HTTPError | ConnectionError):
        return FailedLine(
            message="The hub cannot be reached.", action="Check the network and push again."
        )
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return FailedLine(
        message=f"The hub did not take it ({first_line[:300]}).", action="Push again."
    )


def _say(line: ProgressLine | WrittenLine | FailedLine) -> None:
    sys.stdout.write(line.model_dump_json() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
