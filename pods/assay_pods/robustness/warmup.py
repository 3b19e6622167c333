"""Step `warmup`: a short SFT on rows without a correlation, by the spec's own trainer, and the reference that it becomes."""

import time
from typing import Any

from assay_pods.common.context import RunContext
from assay_pods.common.models import LoadedModel, load_model
from assay_pods.common.seeds import seed_everything
from assay_pods.robustness import order, shared, trunk
from assay_pods.robustness.blocks import check_supported
from assay_pods.robustness.cell import training_document
from assay_pods.robustness.plan import Plan, make_plan
from assay_pods.robustness.recipe import Recipe, warmup_recipe
from assay_pods.robustness.record_rows import read_records
from assay_pods.robustness.records import Rate, Record, pairs_of, realised_rho, select_renders
from assay_pods.robustness.start import save_weights
from assay_pods.robustness.steps import epoch_of, texts_of
from assay_pods.robustness.train import TopBlocks, Work, train_top_blocks
from assay_pods.robustness.train_log import TrainLog


def warm_up(context: RunContext) -> dict[str, Any]:
    """Trains the start model of a seed; gives its result document.

    Saves the weights that were trained, and the start model's log-probabilities of every text of the seed: it is the reference model of
    DPO and KTO.

    Raises:
        BadInputError: TRAIN_TOO_SMALL or TRAINING_DIVERGED.
        CancelledError: when the user asked to stop.
        ReleasedError: when the run is to go on later or elsewhere, from the checkpoint that was written.
    """
    began = (time.perf_counter(), time.process_time())
    spec = context.spec
    seed_everything(spec["seed"], spec["threads"])
    context.progress("preparing", 0, 1)
    loaded = load_model(context)
    check_supported(loaded.model)
    records = read_records(context.inputs["records"])
    plan = make_plan(records, spec, shared.encoder_of(context, loaded.tokenizer))
    recipe = warmup_recipe(spec)
    rows, shared_items = _rows(records, recipe, spec)
    made = shared.load(context, loaded.model, plan)
    model, weights, log = _fit(context, loaded, (plan, made), (rows, recipe))
    save_weights(context, "start.safetensors", weights)
    # The plan's tree has grown by the warm-up's own texts; the runs of the seed know the tree without them.
    plan = make_plan(records, spec, plan.encoder)
    blocks = shared.blocks_of(spec["trainer"], model)
    report = lambda done, total: context.progress("scoring", done, total)  # noqa: E731
    shared.save_start(context, trunk.with_reference_of(trunk.Cut(model, blocks), plan, made, report), plan)
    warnings = ["the warm-up trains on the training items themselves, because there are none beside them"] if shared_items else []
    told = training_document(log, recipe, context)
    return {
        "step": "warmup",
        "seed": spec["seed"],
        "task": spec["data"].get("task"),
        "artifact": spec["data"].get("artifact"),
        "learningRate": recipe.learning_rate,
        "pairs": len(rows),
        "realisedRho": realised_rho(rows),
        **told,
        "seconds": {"wall": time.perf_counter() - began[0], "cpu": time.process_time() - began[1]},
        "warnings": [*told["warnings"], *warnings],
    }


def _rows(records: list[Record], recipe: Recipe, spec: Any) -> tuple[list[Record], bool]:
    """The rows of the warm-up at spuriousness 0, whole steps; says whether they are of the training items."""
    own = [record for record in records if record.split == "warmup"]
    pairs = list(pairs_of(own or records, "warmup" if own else "train").values())[: spec["warmup"]["pairs"]]
    usable = pairs[: order.usable_pairs(len(pairs), recipe.prompts_per_step)]
    return select_renders(usable, Rate(0.0, spec["rateMode"]), recipe.seed), not own


def _fit(
    context: RunContext, loaded: LoadedModel, given: tuple[Plan, trunk.Trunk], asked: tuple[list[Record], Recipe]
) -> tuple[Any, dict[str, Any], TrainLog]:
    (plan, made), (rows, recipe) = given, asked
    blocks = shared.blocks_of(context.spec["trainer"], loaded.model)
    steps = epoch_of(plan, rows, recipe)
    made = trunk.extended(trunk.Cut(loaded.model, blocks), plan, made, texts_of(steps))
    work = Work(recipe, steps)
    if blocks is not None:
        top = TopBlocks(loaded.model, plan, made, blocks, recompute=bool(context.spec["trainer"].get("gradientCheckpointing")))
        log = train_top_blocks(top, work, context)
        return loaded.model, top.trainable(), log
    from assay_pods.robustness.trl_reference import Shared, train_with_trl

    trained = train_with_trl(loaded, work, context, Shared(plan, made))
    return trained.model, trained.weights, trained.log
