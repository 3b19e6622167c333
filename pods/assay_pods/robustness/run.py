"""The walk of a robustness experiment: prepare the data of a seed, train and score each cell, report.

Read from top to bottom: `run` chooses the step, `_train` is the life of one cell.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from assay_pods.common.context import BadInputError, RunContext
from assay_pods.common.models import LoadedModel, arithmetic, load_model
from assay_pods.common.seeds import seed_everything
from assay_pods.robustness import score, trunk
from assay_pods.robustness.blocks import check_supported
from assay_pods.robustness.encoding import Encoder
from assay_pods.robustness.estimates import group_estimates
from assay_pods.robustness.generation import generate_and_check, greedy
from assay_pods.robustness.plan import Plan, make_plan
from assay_pods.robustness.prepare import prepare
from assay_pods.robustness.record_rows import read_records
from assay_pods.robustness.records import Rate, Record, realised_rho, select_renders
from assay_pods.robustness.train import TopBlocks, TrainLog, train_top_blocks

__all__ = ["run"]

METHODS = ("BASE", "SFT", "DPO", "KTO")


def run(context: RunContext) -> dict[str, Any]:
    """Does the step that the spec names and gives its result document; see docs/contract.md.

    Raises:
        BadInputError: when the request cannot succeed as it is.
        CancelledError: when the user asked to stop.
    """
    step = context.spec["step"]
    if step in ("prepare", "train"):
        with arithmetic(context):
            return prepare(context) if step == "prepare" else _train(context)
    if step == "report":
        from assay_pods.robustness.report import write_report

        return write_report(context)
    raise BadInputError("STEP_UNKNOWN", f"wanted the step prepare, train or report, got {step!r}")


def _train(context: RunContext) -> dict[str, Any]:
    """Trains one cell, or nothing for BASE, and scores it."""
    started = (time.perf_counter(), time.process_time())
    spec = context.spec
    if spec["method"] not in METHODS:
        raise BadInputError("METHOD_UNKNOWN", f"wanted a method of {', '.join(METHODS)}, got {spec['method']!r}")
    seed_everything(spec["seed"], spec["threads"])
    context.progress("preparing", 0, 1)
    loaded = load_model(context)
    check_supported(loaded.model)
    records = read_records(context.inputs["records"])
    plan = make_plan(records, spec, Encoder(loaded.tokenizer))
    rows = select_renders(plan.pairs, _rate(spec), spec["seed"]) if spec["method"] != "BASE" else []
    log, scorer, model = _fit(context, loaded, (plan, rows))
    items = score.score_items(plan.questions, plan, scorer)
    path = context.work_dir / "items.jsonl"
    score.write_items(path, items)
    context.save("items.jsonl", "ITEMS", path)
    generation = generate_and_check(records, plan, spec["size"]["generationItems"], greedy(model, loaded.tokenizer))
    seconds = {"wall": time.perf_counter() - started[0], "cpu": time.process_time() - started[1]}
    return ({"partial": True} if log.partial else {}) | {
        "step": "train",
        "method": spec["method"],
        "spuriousness": spec.get("spuriousness"),
        "seed": spec["seed"],
        "itemsExpected": len(plan.questions),
        "itemsScored": len(items),
        "steps": len(log.losses),
        "tokens": log.tokens,
        "trainLoss": {"first": log.losses[0], "last": log.losses[-1]} if log.losses else None,
        "realisedRho": realised_rho(rows) if rows else None,
        "generation": generation,
        "estimates": group_estimates(items),
        "seconds": seconds,
        "warnings": log.warnings(),
    }


def _fit(context: RunContext, loaded: LoadedModel, plan_and_rows: tuple[Plan, list[Record]]) -> tuple[TrainLog, score.Scorer, Any]:
    """Trains with the trainer of the spec; gives what happened, the trained model's scorer and the model."""
    plan, rows = plan_and_rows
    cached = context.spec["trainer"]["kind"] == "TOP_BLOCKS"
    made = trunk.load(context.inputs["trunk"], plan) if cached else None
    report: Callable[[int, int], None] = lambda done, total: context.progress("scoring", done, total)  # noqa: E731
    if context.spec["method"] == "BASE":
        scorer = score.reference_scorer(plan, made) if made else score.full_scorer(loaded.model, plan, report)
        return TrainLog(), scorer, loaded.model
    if made:
        top = TopBlocks(loaded.model, plan, made, context.spec["trainer"]["blocks"])
        log = train_top_blocks(top, rows, context)
        _save_weights(context, top.trainable())
        return log, score.top_blocks_scorer(top, report), loaded.model
    from assay_pods.robustness.trl_reference import train_with_trl

    trained = train_with_trl(loaded, (plan, rows), context)
    _save_weights(context, trained.weights)
    return trained.log, score.full_scorer(trained.model, plan, report), trained.model


def _rate(spec: Mapping[str, Any]) -> Rate:
    variant = spec.get("variant") or {}
    return Rate(spec["spuriousness"], spec.get("rateMode", "CORRELATION"), variant.get("kind") == "SIZE_CONTROL")


def _save_weights(context: RunContext, weights: dict[str, Tensor]) -> None:
    path = context.work_dir / "weights.safetensors"
    save_file({name: value.detach().cpu().contiguous() for name, value in weights.items()}, path)
    context.save("weights.safetensors", "WEIGHTS", path)
