"""The generated cells: one pure function a (task, artifact, core), found by name."""

from assay_pods.common.context import BadInputError
from assay_pods.robustness.cells import document_qa, instruction_following, keyword_inclusion, math_reasoning
from assay_pods.robustness.cells.cell import Cell

__all__ = ["CELLS", "find_cell"]

CELLS: tuple[Cell, ...] = (
    *keyword_inclusion.CELLS,
    *math_reasoning.CELLS,
    *document_qa.CELLS,
    *instruction_following.CELLS,
)
"""Every generated cell; a module of this package lists its own as CELLS."""


def find_cell(task: str, artifact: str, core: str) -> Cell:
    """Gives the generator of a cell.

    Raises:
        BadInputError: CELL_UNKNOWN.
    """
    for cell in CELLS:
        if (cell.task, cell.artifact, cell.core) == (task, artifact, core):
            return cell
    known = ", ".join(f"{cell.task}/{cell.artifact}/{cell.core}" for cell in CELLS)
    raise BadInputError("CELL_UNKNOWN", f"wanted a cell of {known}, got {task}/{artifact}/{core}")
