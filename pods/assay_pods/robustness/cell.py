"""The life of one train run: choose its rows, train by its recipe, score every question, let the model write.

Read from top to bottom: `train_and_score` is the walk, `_fit` trains.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from assay_pods.common.context import RunContext
from assay_pods.common.models import LoadedModel, load_model
from assay_pods.common.seeds import seed_everything
from assay_pods.robustness import attention, generation, score, shared, trunk
from assay_pods.robustness.blocks import check_supported
from assay_pods.robustness.cell_batch import batch_document
from assay_pods.robustness.estimates import group_estimates
from assay_pods.robustness.plan import Plan, Question, make_plan
from assay_pods.robustness.recipe import UNTRAINED, Recipe, recipe_of
from assay_pods.robustness.record_rows import read_records
from assay_pods.robustness.records import Rate, Record, realised_rho, select_renders
from assay_pods.robustness.start import save_weights, started
from assay_pods.robustness.steps import epoch_of, texts_of, untied
from assay_pods.robustness.train import TopBlocks, Work, train_top_blocks
from assay_pods.robustness.train_log import TrainLog
from assay_pods.robustness.validation import balanced_accuracy


class Case(NamedTuple):
    """What a cell works with."""

    context: RunContext
    loaded: LoadedModel
    plan: Plan
    rows: list[Record]
    recipe: Recipe | None
    """None where nothing is trained."""


class Fitted(NamedTuple):
    """A model after training, or as it came."""

    model: Any
    log: TrainLog
    scorer: score.Scorer


def train_and_score(context: RunContext) -> dict[str, Any]:
    """Trains one cell, or nothing for BASE and START, and scores it; gives its result document."""
    began = (time.perf_counter(), time.process_time())
    spec = context.spec
    recipe = None if spec["method"] in UNTRAINED else recipe_of(context)
    attention.check(spec["trainer"].get("attention", "SDPA"), context)
    seed_everything(spec["seed"], spec["threads"])
    context.progress("preparing", 0, 1)
    records = read_records(context.inputs["records"])
    loaded = load_model(context)
    check_supported(loaded.model)
    loaded = started(loaded, context)
    plan = make_plan(records, spec, shared.encoder_of(context, loaded.tokenizer))
    case = Case(context, loaded, plan, _rows(plan, context) if recipe else [], recipe)
    fitted = _fit(case)
    questions = _questions(case)
    items = score.score_items(questions, plan, fitted.scorer)
    written = {}
    if spec.get("purpose") != "TUNE":
        written = generation.generate_and_check(records, plan, spec, generation.greedy(fitted.model, loaded.tokenizer))
        items = generation.add_to_items(items, written)
    path = context.work_dir / "items.jsonl"
    score.write_items(path, items)
    context.save("items.jsonl", "ITEMS", path)
    seconds = {"wall": time.perf_counter() - began[0], "cpu": time.process_time() - began[1]}
    scored = {
        "itemsExpected": len(questions),
        "itemsScored": len(items),
        "generation": generation.summary(written),
        "estimates": group_estimates(items),
        "seconds": seconds,
    }
    return _about(case) | training_document(fitted.log, recipe, context) | scored


def _rows(plan: Plan, context: RunContext) -> list[Record]:
    """The chosen render of each training pair."""
    spec = context.spec
    size_control = (spec.get("variant") or {}).get("kind") == "SIZE_CONTROL"
    return select_renders(plan.pairs, Rate(spec["spuriousness"], spec["rateMode"], size_control), spec["seed"])


def _questions(case: Case) -> list[Question]:
    """Every question; a run that only helps to select a learning rate asks the validation items alone."""
    if case.context.spec.get("purpose") != "TUNE":
        return case.plan.questions
    return [question for question in case.plan.questions if question.split == "validation"]


def _fit(case: Case) -> Fitted:
    """Trains with the trainer of the spec, above what `prepare` and the warm-up left."""
    context, loaded, plan, rows, recipe = case
    made = shared.load(context, loaded.model, plan)
    if recipe is None:
        return Fitted(loaded.model, TrainLog(), score.reference_scorer(plan, made))
    report: Callable[[int, int], None] = lambda done, total: context.progress("scoring", done, total)  # noqa: E731
    blocks = shared.blocks_of(context.spec["trainer"], loaded.model)
    steps = epoch_of(plan, rows, recipe)
    made = trunk.extended(trunk.Cut(loaded.model, blocks), plan, made, texts_of(steps))
    if blocks is not None:
        top = TopBlocks(loaded.model, plan, made, blocks, recompute=bool(context.spec["trainer"].get("gradientCheckpointing")))
        work = Work(recipe, steps, _at_quarter(case, lambda _, silent: score.top_blocks_scorer(top, silent)))
        log = train_top_blocks(top, work, context)
        _save(case, top.trainable())
        return Fitted(loaded.model, log, score.top_blocks_scorer(top, report))
    from assay_pods.robustness.trl_reference import Shared, train_with_trl

    work = Work(recipe, steps, _at_quarter(case, lambda model, silent: score.full_scorer(model, plan, silent)))
    trained = train_with_trl(loaded, work, context, Shared(plan, made))
    _save(case, trained.weights)
    return Fitted(trained.model, trained.log, score.full_scorer(trained.model, plan, report))


def _save(case: Case, weights: dict[str, Any]) -> None:
    if case.context.spec.get("purpose") != "TUNE":
        save_weights(case.context, "weights.safetensors", weights)


def _at_quarter(case: Case, scorer_of: Callable[[Any, Callable[[int, int], None]], score.Scorer]) -> Callable[[Any], dict[str, Any]] | None:
    """What is measured at the end of each quarter: accuracy on validation items."""
    if not case.context.spec.get("curve"):
        return None
    questions = [question for question in case.plan.questions if question.split == "validation"]

    def measure(model: Any) -> dict[str, Any]:
        found = balanced_accuracy(score.score_items(questions, case.plan, scorer_of(model, lambda done, total: None)))
        return {"balanced": found.value, "standardError": found.standard_error, "accuracy": found.groups}

    return measure


def _about(case: Case) -> dict[str, Any]:
    """What the run was asked for."""
    spec = case.context.spec
    telling = [] if case.recipe is None else untied(case.plan, case.rows, case.recipe)
    return {
        "step": "train",
        "purpose": spec.get("purpose", "CELL"),
        "task": spec["data"].get("task"),
        "artifact": spec["data"].get("artifact"),
        "method": spec["method"],
        "spuriousness": spec.get("spuriousness"),
        "variant": spec.get("variant"),
        "learningRate": None if case.recipe is None else case.recipe.learning_rate,
        "seed": spec["seed"],
        "realisedRho": realised_rho(telling) if telling else None,
    }


def training_document(log: TrainLog, recipe: Recipe | None, context: RunContext) -> dict[str, Any]:
    """Gives what a result tells of a training; a training of nothing has taken no steps."""
    chosen = log.chosen_logprobs
    return ({"partial": True} if log.partial else {}) | {
        "steps": len(log.losses),
        "tokens": log.tokens,
        "batch": None if recipe is None else batch_document(recipe, context),
        "trainLoss": {"first": log.losses[0], "last": log.losses[-1]} if log.losses else None,
        "chosenLogprob": {"first": chosen[0], "last": chosen[-1]} if chosen else None,
        "clampedShare": log.clamped_share,
        "groupWeights": log.group_weights or None,
        "curve": log.curve or None,
        "warnings": log.warnings(),
    }
