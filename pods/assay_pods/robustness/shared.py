"""What `prepare` hands to every run of its seed beside the rows: trunk.safetensors, or reference.safetensors for the TRL trainers."""

from typing import Any

from assay_pods.common.context import BadInputError, RunContext
from assay_pods.robustness import trunk
from assay_pods.robustness.encoding import Encoder
from assay_pods.robustness.known_texts import KnownTexts
from assay_pods.robustness.plan import Plan
from assay_pods.robustness.recipe import tokens_max

ERROR_MAX = 0.01
"""Nats a text by which what is shared may differ from plain forward passes; fp32 gives about 1e-4."""

ERROR_MAX_BF16 = 1.0


def name_of(trainer: Any) -> str:
    """Gives the name of the input that a trainer's runs read."""
    return "trunk" if trainer["kind"] == "TOP_BLOCKS" else "reference"


def blocks_of(trainer: Any, model: Any) -> int | None:
    """Gives how many top blocks are trained above a cached trunk; None for a trainer without one.

    Raises:
        BadInputError: BLOCKS_INVALID or TRAINER_UNKNOWN.
    """
    if trainer["kind"] in ("TRL_LORA", "TRL_FULL"):
        return None
    if trainer["kind"] != "TOP_BLOCKS":
        raise BadInputError("TRAINER_UNKNOWN", f"wanted the trainer TOP_BLOCKS, TRL_LORA or TRL_FULL, got {trainer['kind']!r}")
    blocks = trainer["blocks"]
    if not 1 <= blocks <= len(model.model.layers):
        raise BadInputError("BLOCKS_INVALID", f"wanted 1 to {len(model.model.layers)} trained blocks for this model, got {blocks}")
    return blocks


def make_and_save(context: RunContext, model: Any, plan: Plan) -> dict[str, float]:
    """Computes and saves what the seed's runs share.

    Returns:
        How far it is from plain forward passes, in nats a text, for the diagnostics.

    Raises:
        BadInputError: MODEL_UNSUPPORTED, when it is further than rounding explains.
    """
    trainer = context.spec["trainer"]
    made = trunk.compute(model, plan, blocks_of(trainer, model), lambda done, total: context.progress("preparing", done, total + 1))
    error = trunk.largest_error(model, plan, made, plan.trained_texts[:2])
    allowed = ERROR_MAX if context.spec["precision"] == "fp32" else ERROR_MAX_BF16
    if not error <= allowed:
        raise BadInputError(
            "MODEL_UNSUPPORTED",
            f"wanted a model whose blocks give, run one by one, what it gives as a whole, got {error} nats apart (allowed {allowed})",
        )
    _save(context, name_of(trainer), (made, plan))
    return {f"{name_of(trainer)}ErrorNats": error}


def save_start(context: RunContext, made: trunk.Trunk, plan: Plan) -> None:
    """Saves the log-probabilities of the warmed-up model."""
    _save(context, "start-reference", (trunk.Trunk(None, made.reference_t), plan))


def load(context: RunContext, model: Any, plan: Plan) -> trunk.Trunk:
    """Reads what `prepare` made; where the run starts from a warm-up, with the log-probabilities of the warmed-up model.

    Args:
        context: The run, with its inputs.
        model: The reference model, for a TRL trainer whose experiment hands no log-probabilities on.
        plan: The plan of the same spec.
    """
    name, start = name_of(context.spec["trainer"]), context.inputs.get("start-reference")
    if name == "reference" and name not in context.inputs:
        return trunk.compute(model, plan, None, lambda done, total: context.progress("preparing", done, total))
    made = trunk.load(context.inputs[name], plan)
    return made if start is None else trunk.Trunk(made.hidden_td, trunk.load(start, plan).reference_t)


def encoder_of(context: RunContext, tokenizer: Any) -> Encoder:
    """Gives the encoder of a run after `prepare`, which found the tokens of every text of the seed."""
    path = context.inputs.get(name_of(context.spec["trainer"]))
    return Encoder(tokenizer, tokens_max(context.spec), None if path is None else KnownTexts.read(path))


def _save(context: RunContext, name: str, what: tuple[trunk.Trunk, Plan]) -> None:
    path = context.work_dir / f"{name}.safetensors"
    trunk.save(*what, path)
    context.save(f"{name}.safetensors", "CACHE", path)
