"""Which student a name means."""

from __future__ import annotations

from sqlalchemy import update

from backend.backend import Backend
from backend.history.tables import RunRow
from backend.v1.names import entries, named
from backend.workbench import Workbench
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.runs.annotations import Annotations, write_annotations
from OnPolicyDistill.runs.checkpoints import TrainingState, point, save_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run


def trained(backend: Backend, name: str) -> RunDirectory:
    config = parse_config({"distillation": {"run_name": name}})
    run = create_run(backend.settings.workspace, config)
    state = TrainingState(step=1, config_hash="x", seed=0, data_cursor=0, num_tokens=0)
    point(run, "last", save_checkpoint(run, state, lambda _folder: None))
    return run


async def test_of_two_runs_of_a_name_the_one_that_is_not_archived_answers(backend: Backend) -> None:
    kept, archived = trained(backend, "twice"), trained(backend, "twice")
    write_annotations(archived, Annotations(archived=True))
    backend.watcher.start()
    with backend.index.session() as session:  # the archived one is the newer one
        session.execute(update(RunRow).where(RunRow.run_id == archived.run_id).values(created=9e9))
        session.commit()
    library = Workbench(backend).library
    listed = {entry.id: entry.owned_by for entry in entries(backend, library)}
    assert listed["twice"] == kept.run_id
    assert named(backend, library, "twice").run_id == kept.run_id
