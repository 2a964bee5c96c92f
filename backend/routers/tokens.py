"""Tokens for other programs: shown to whoever may write, and changed."""

from __future__ import annotations

from fastapi import APIRouter

from backend.routers.dependencies import Here, refusals
from backend.scopes import Scope
from backend.tokens import ApiTokens

router = APIRouter(tags=["tokens"])


@router.get("/tokens", responses=refusals(507))
def read_tokens(backend: Here) -> ApiTokens:
    """Return the two tokens for other programs; they are made when they are first asked for."""
    return backend.tokens.shown()


@router.post("/tokens/{scope}/rotate", responses=refusals(404, 507))
def rotate_token(backend: Here, scope: Scope) -> ApiTokens:
    """Make a new token; the old one is refused from now on."""
    return backend.tokens.rotate(scope)
