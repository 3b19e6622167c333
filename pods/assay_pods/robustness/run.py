"""The steps of a robustness experiment: prepare, warm up, train and score each cell, select learning rates, report."""

from collections.abc import Callable
from typing import Any

from assay_pods.common.context import BadInputError, RunContext
from assay_pods.common.models import arithmetic
from assay_pods.robustness.cell import train_and_score
from assay_pods.robustness.prepare import prepare
from assay_pods.robustness.select_rate import select
from assay_pods.robustness.warmup import warm_up

__all__ = ["run"]

MODEL_STEPS: dict[str, Callable[[RunContext], dict[str, Any]]] = {"prepare": prepare, "warmup": warm_up, "train": train_and_score}
"""The steps that compute with the model, in the spec's precision."""


def run(context: RunContext) -> dict[str, Any]:
    """Does the step that the spec names and gives its result document; see docs/contract.md.

    Raises:
        BadInputError: when the request cannot succeed as it is.
        CancelledError: when the user asked to stop.
    """
    step = context.spec["step"]
    if step in MODEL_STEPS:
        with arithmetic(context):
            return MODEL_STEPS[step](context)
    if step == "select":
        return select(context)
    if step == "report":
        from assay_pods.robustness.report import write_report

        return write_report(context)
    raise BadInputError("STEP_UNKNOWN", f"wanted the step {', '.join((*MODEL_STEPS, 'select'))} or report, got {step!r}")
