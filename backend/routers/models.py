"""Models on this machine and on the hub."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field, SecretStr

from backend.history.views import View
from backend.models.search import search_hub
from backend.models.token import HubToken, clear_hub_token, hub_token, set_hub_token
from backend.models.views import HubPage, LocalModel, ModelList
from backend.paths import MAX_PATH_CHARACTERS, picked_folder
from backend.problems import PROBLEM_TYPE, ConflictError
from backend.routers.dependencies import Responses, refusals
from backend.workbench import Bench

router = APIRouter(tags=["models"])

MODEL_ID_PATTERN = r"^(models|embedded|folder)--[A-Za-z0-9][A-Za-z0-9._-]{0,199}$"
HUB_SILENT: Responses = {
    503: {
        "description": "The hub cannot be reached, or refuses.",
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}

ModelId = Annotated[str, Path(pattern=MODEL_ID_PATTERN, description="`id` of a local model.")]


class NamedFolder(View):
    """A folder with a model."""

    path: str = Field(min_length=1, max_length=MAX_PATH_CHARACTERS, description="Absolute.")


@router.get("/models")
def read_models(bench: Bench) -> ModelList:
    """List known and local models: size, form, vocabulary, fits or not, used by which runs."""
    return bench.library.list()


@router.post("/models/folders", status_code=201, responses=refusals(507))
def add_folder(bench: Bench, named: NamedFolder) -> LocalModel:
    """Remember a folder with a model; naming it again changes nothing."""
    return bench.library.add_folder(picked_folder(named.path))


@router.delete("/models/local/{model_id}", status_code=204, responses=refusals(404, 409, 507))
def remove_model(
    bench: Bench,
    model_id: ModelId,
    confirmed: Annotated[bool, Query(description="Although runs use it.")] = False,
) -> Response:
    """Delete a downloaded model, or forget a folder; refused while runs use it and unconfirmed."""
    if bench.downloads.is_running(model_id):
        raise ConflictError("It is being downloaded.", "Cancel the download first.")
    bench.library.remove(model_id, confirmed)
    return Response(status_code=204)


@router.get("/hub/search", responses=HUB_SILENT)
def search(
    bench: Bench,
    words: Annotated[str, Query(min_length=1, max_length=200)],
    only_mlx: Annotated[bool, Query(description="Only weights converted for MLX.")] = True,
    limit: Annotated[int, Query(ge=1, le=50)] = 20,
) -> HubPage:
    """Ask the hub for models, most downloaded first."""
    return search_hub(bench.hub, words, only_mlx, limit)


class NewToken(View):
    """A token for the hub."""

    token: SecretStr = Field(min_length=1, max_length=500)


@router.get("/hub/token")
def read_token() -> HubToken:
    """Say whether a token for the hub is set; its value is never sent."""
    return hub_token()


@router.put("/hub/token", responses=refusals(409, 507))
def keep_token(new: NewToken) -> HubToken:
    """Keep a token where the hub's own command does; the same one again changes nothing."""
    return set_hub_token(new.token.get_secret_value())


@router.delete("/hub/token", responses=refusals(409))
def forget_token() -> HubToken:
    """Forget the token that is kept, for the hub's own command too; again changes nothing."""
    return clear_hub_token()
