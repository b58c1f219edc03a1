"""Puts data sets together: evidence and texts from the database, the operator's word on confidential content from the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.evals.exporting import Datasets
from junto.storage.folding import answer_folder
from junto.storage.repositories.datasets import StoredDatasets
from junto.storage.repositories.subjects import StoredSubjects
from junto.web.wires import INFERENCE

if TYPE_CHECKING:
    from junto.bootstrap.node import Node
    from junto.ports.clock import Clock


def datasets_of(node: Node, clock: Clock) -> Datasets:
    """The data sets of a node; a reload of its settings changes what may leave with the next one."""
    wires = {wire.name: wire for wire in INFERENCE.values()}
    sessions = node.storage.sessions
    return Datasets(
        StoredDatasets(sessions),
        StoredSubjects(sessions, wires=wires, fold_answer=answer_folder(wires)),
        clock,
        allows_confidential=lambda: node.operation.settings.evals.datasets_confidential,
    )
