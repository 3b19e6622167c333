"""The reference trainers: TRL's own SFTTrainer, DPOTrainer and KTOTrainer on the same rows in the same order.

What TRL would do by default and must not here: bf16 and gradient checkpointing on a CPU, random sampling, unpairing by itself (all
desirable rows first), a KTO block with a prompt twice in it, telemetry.
"""

import copy
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from datasets import Dataset, disable_progress_bars
from peft import LoraConfig, get_peft_model_state_dict
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from assay_pods.common.context import BadInputError, RunContext
from assay_pods.common.models import LoadedModel
from assay_pods.robustness import order
from assay_pods.robustness.encoding import TOKENS_MAX
from assay_pods.robustness.plan import Plan
from assay_pods.robustness.records import Record
from assay_pods.robustness.train import TrainLog, check_finite

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

PlanAndRows = tuple[Plan, Sequence[Record]]


class Trained(NamedTuple):
    """A trained model, ready to be scored, and the weights that were trained."""

    model: Any
    weights: dict[str, Tensor]
    log: TrainLog


class _Progress(TrainerCallback):
    """Tells the run about steps and losses, and lets it stop."""

    def __init__(self, context: RunContext, log: TrainLog) -> None:
        self._context = context
        self._log = log

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._context.progress("training", state.global_step, state.max_steps)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        logs = kwargs["logs"]
        if "loss" in logs:
            check_finite(float(logs["loss"]), state.global_step)
            self._log.losses.append(float(logs["loss"]))
            self._context.metric("loss", float(logs["loss"]), state.global_step)
        if "kl" in logs:
            self._log.reference_points.append(float(logs["kl"]))


def train_with_trl(loaded: LoadedModel, plan_and_rows: PlanAndRows, context: RunContext, blocks: int | None = None) -> Trained:
    """Trains the whole model (TRL_FULL) or adapters that are merged afterwards (TRL_LORA).

    Args:
        loaded: The untrained model and its tokenizer; the model is changed.
        plan_and_rows: The plan, and the chosen render of each training pair.
        context: The run; its spec names method, trainer, precision and seed.
        blocks: Train only this many top blocks (TRL_FULL), to compare with the cached-trunk trainer; None trains everything.

    Raises:
        BadInputError: TRAINER_UNKNOWN or TRAINING_DIVERGED.
        CancelledError: when the user asked to stop.
    """
    kind = context.spec["trainer"]["kind"]
    if kind not in ("TRL_LORA", "TRL_FULL"):
        raise BadInputError("TRAINER_UNKNOWN", f"wanted the trainer TOP_BLOCKS, TRL_LORA or TRL_FULL, got {kind!r}")
    if blocks is not None:
        _freeze_below(loaded.model, blocks)
    log = TrainLog()
    trainer = make_trainer(loaded, plan_and_rows, context)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(_Progress(context, log))
    log.tokens = context.spec["trainer"]["epochs"] * _tokens_of_epoch(plan_and_rows, context.spec["method"])
    trainer.train()
    if kind == "TRL_LORA":
        weights = get_peft_model_state_dict(trainer.model)
        return Trained(trainer.model.merge_and_unload(), weights, log)
    weights = {name: value for name, value in trainer.model.named_parameters() if value.requires_grad}
    return Trained(trainer.model, weights, log)


def make_trainer(loaded: LoadedModel, plan_and_rows: PlanAndRows, context: RunContext) -> Any:
    """Builds the TRL trainer of the spec's method."""
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.kto_trainer import KTOTrainer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    disable_progress_bars()
    spec, method = context.spec, context.spec["method"]
    common = _arguments(context) | {"per_device_train_batch_size": spec["trainer"]["promptsPerStep"]}
    parts: dict[str, Any] = {
        "model": loaded.model,
        "processing_class": loaded.tokenizer,
        "train_dataset": Dataset.from_list(dataset_rows(plan_and_rows, spec)),
        "peft_config": _lora(spec["trainer"]),
    }
    if method == "SFT":
        return SFTTrainer(args=SFTConfig(**common, packing=False), **parts)
    if parts["peft_config"] is None:
        parts["ref_model"] = copy.deepcopy(loaded.model)
    if method == "DPO":
        return DPOTrainer(args=DPOConfig(**common, beta=spec["trainer"]["beta"]), **parts)
    common["per_device_train_batch_size"] *= 2
    return KTOTrainer(args=KTOConfig(**common, beta=spec["trainer"]["beta"]), **parts)


def dataset_rows(plan_and_rows: PlanAndRows, spec: Any) -> list[dict[str, Any]]:
    """Gives the rows of one epoch in the order in which the cached-trunk trainer sees them."""
    plan, rows = plan_and_rows
    size, seed = spec["trainer"]["promptsPerStep"], spec["seed"]
    if spec["method"] == "KTO":
        blocks = order.kto_steps(len(rows), size, seed)
        return [_row(plan, rows[row.pair], row.desirable) | {"label": row.desirable} for block in blocks for row in block]
    ordered = [rows[pair] for step in order.pair_steps(len(rows), size, seed) for pair in step]
    if spec["method"] == "SFT":
        return [_row(plan, record, True) for record in ordered]
    return [{"prompt": plan.text(record, True).prompt, "chosen": record.chosen, "rejected": record.rejected} for record in ordered]


def _row(plan: Plan, record: Record, desirable: bool) -> dict[str, Any]:
    text = plan.text(record, desirable)
    return {"prompt": text.prompt, "completion": text.completion}


def _arguments(context: RunContext) -> dict[str, Any]:
    spec, trainer = context.spec, context.spec["trainer"]
    on_cpu = context.device == "cpu"
    return {
        "output_dir": str(context.work_dir / "trl"),
        "learning_rate": trainer["learningRate"][spec["method"]],
        "num_train_epochs": trainer["epochs"],
        "max_length": TOKENS_MAX,
        "seed": spec["seed"],
        "data_seed": spec["seed"],
        "train_sampling_strategy": "sequential",
        "use_cpu": on_cpu,
        "bf16": spec["precision"] == "bf16",
        "gradient_checkpointing": False,
        "dataloader_pin_memory": not on_cpu,
        "logging_steps": 1,
        # By default a loss that is no number is logged as the mean of the others.
        "logging_nan_inf_filter": False,
        "logging_strategy": "steps",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _lora(trainer: Any) -> LoraConfig | None:
    if trainer["kind"] != "TRL_LORA":
        return None
    rank = trainer["loraRank"]
    return LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")


def _freeze_below(model: Any, blocks: int) -> None:
    model.requires_grad_(False)
    for block in model.model.layers[len(model.model.layers) - blocks :]:
        block.requires_grad_(True)


def _tokens_of_epoch(plan_and_rows: PlanAndRows, method: str) -> int:
    """Counts the completion tokens, end tokens included, as the cached-trunk trainer does."""
    plan, rows = plan_and_rows
    sides = (True,) if method == "SFT" else (True, False)
    return sum(len(plan.encoder.encode(plan.text(record, desirable)).completion_ids) for record in rows for desirable in sides)
