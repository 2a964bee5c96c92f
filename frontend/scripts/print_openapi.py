"""Prints the backend's OpenAPI document; runs from the repository's root, on an empty workspace."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path.cwd()))

from backend.app import create_api
from backend.backend import Backend
from backend.settings import BackendSettings

with TemporaryDirectory() as folder:
    settings = BackendSettings(workspace=Path(folder), port=1)
    json.dump(create_api(Backend(settings)).openapi(), sys.stdout)
