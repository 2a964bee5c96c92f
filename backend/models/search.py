"""Searching the hub, the only thing here that asks the network without being a download.

By one plain request: the hub's own client tries for half a minute before it says it is offline.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

import httpx
from huggingface_hub import constants, get_token
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from backend.models.place import Hub, hub_headers
from backend.models.views import HubModel, HubPage
from backend.problems import RefusedError
from OnPolicyDistill.registry import find_model, local_folder

TIMEOUT_SECONDS = 10.0
EXPANDED = ("downloads", "likes", "lastModified", "gated", "private", "safetensors", "tags")


class _Listed(BaseModel):
    """What the hub says of a model; it says much more than is needed."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Weights(_Listed):
    total: int | None = None


class _Model(_Listed):
    id: str
    downloads: int | None = None
    likes: int | None = None
    last_modified: datetime | None = Field(None, alias="lastModified")
    gated: bool | str | None = None
    private: bool | None = None
    safetensors: _Weights | None = None
    tags: tuple[str, ...] | None = None


_ANSWER = TypeAdapter(tuple[_Model, ...])


def search_hub(hub: Hub, words: str, only_mlx: bool, limit: int) -> HubPage:
    """Ask the hub for text models.

    Raises:
        RefusedError: the hub cannot be reached, refuses, or answers what cannot be read.
    """
    if constants.is_offline_mode():
        raise _refused("hub_unreachable", "HF_HUB_OFFLINE is set.", "Unset it to use the hub.")
    try:
        answer = httpx.get(
            f"{hub.endpoint or constants.ENDPOINT}/api/models",
            params=[
                ("search", words),
                ("filter", "mlx" if only_mlx else "safetensors"),
                ("sort", "downloads"),
                ("limit", str(limit)),
                *(("expand", key) for key in EXPANDED),
            ],
            headers=hub_headers(),
            timeout=TIMEOUT_SECONDS,
            follow_redirects=True,
        )
    except httpx.HTTPError as error:
        raise unreachable() from error
    if answer.status_code != HTTPStatus.OK:
        raise _turned_away(answer)
    try:
        models = tuple(_view(model, hub) for model in _ANSWER.validate_json(answer.content)[:limit])
    except ValidationError as error:
        raise _refused("hub_refused", "The hub's answer cannot be read.", "Try later.") from error
    return HubPage(models=models, has_token=get_token() is not None)


def unreachable() -> RefusedError:
    """The hub does not answer."""
    return _refused(
        "hub_unreachable",
        "The hub cannot be reached.",
        "Check the network; what is on this machine works without it.",
    )


def _turned_away(answer: httpx.Response) -> RefusedError:
    if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        action = "Renew the token in the settings." if get_token() else "Set one in the settings."
        return _refused("hub_token", "The hub wants a valid token.", action)
    message = f"The hub refused the search with status {answer.status_code}."
    return _refused("hub_refused", message, "Try again later.")


def _refused(code: str, message: str, action: str) -> RefusedError:
    return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, code, message, action)


def _view(model: _Model, hub: Hub) -> HubModel:
    known = find_model(model.id)
    return HubModel(
        hub_id=model.id,
        downloads=model.downloads or 0,
        likes=model.likes or 0,
        updated=None if model.last_modified is None else model.last_modified.timestamp(),
        gated=bool(model.gated),
        private=bool(model.private),
        parameters=None if model.safetensors is None else model.safetensors.total,
        is_mlx="mlx" in (model.tags or ()),
        alias=None if known is None else known.name,
        is_here=local_folder(model.id, hub.cache_dir) is not None,
    )
