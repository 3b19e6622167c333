"""The reference trainers: TRL's own SFTTrainer, DPOTrainer and KTOTrainer on the same rows in the same order.

What TRL would do by default and must not here: bf16 and gradient checkpointing on a CPU, random sampling, unpairing by itself (all
desirable rows first), a KTO block with a prompt twice in it, telemetry, checkpoints with pickle in them.
"""

import copy
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from datasets import Dataset, disable_progress_bars
from peft import LoraConfig, get_peft_model_state_dict
from torch import Tensor
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from assay_pods.common.checkpoint_files import read_state
from assay_pods.common.checkpoints import Checkpoints, Training
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
    """Tells the run about steps and losses, keeps and restores the training's state, and lets the run stop."""

    def __init__(self, context: RunContext, log: TrainLog) -> None:
        self._context = context
        self._log = log
        self._checkpoints: Checkpoints | None = None

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # Here, and not after a step: only now has the trainer logged that step and drawn what this one needs.
        if self._checkpoints is None:
            self._checkpoints = Checkpoints(self._context, self._training(**kwargs))
            self._log.steps_planned = state.max_steps
            self._checkpoints.resume()
        elif state.global_step > 0:
            self._checkpoints.after_step(state.global_step)
        self._context.progress("training", state.global_step, state.max_steps)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        logs = kwargs["logs"]
        if "loss" in logs:
            check_finite(float(logs["loss"]), state.global_step)
            self._log.losses.append(float(logs["loss"]))
            self._context.metric("loss", float(logs["loss"]), state.global_step)
            if self._context.score_partial_requested:
                control.should_training_stop = True
        if "kl" in logs:
            self._log.reference_points.append(float(logs["kl"]))

    def _training(self, *, model: Any, optimizer: Any, lr_scheduler: Any, **_: Any) -> Training:
        weights = {name: value for name, value in model.named_parameters() if value.requires_grad}
        # Accelerate wraps the optimiser; what is inside is torch's own.
        return Training(weights, getattr(optimizer, "optimizer", optimizer), lr_scheduler, self._log)


class _Resumable:
    """Makes a trainer skip the steps of a checkpoint without reading one of its own kind: `_Progress` restores the rest."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        pass


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
        ReleasedError: when the run is to go on later or elsewhere, from the checkpoint that was written.
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
    trainer.train(resume_from_checkpoint=_state_to_resume(context, trainer.args))
    tokens = _tokens_of_steps(plan_and_rows, context.spec)
    log.tokens = sum(tokens[step % len(tokens)] for step in range(len(log.losses)))
    if kind == "TRL_LORA":
        weights = get_peft_model_state_dict(trainer.model)
        return Trained(trainer.model.merge_and_unload(), weights, log)
    weights = {name: value for name, value in trainer.model.named_parameters() if value.requires_grad}
    return Trained(trainer.model, weights, log)


def _state_to_resume(context: RunContext, args: TrainingArguments) -> str | None:
    """Gives a folder that says to the trainer which steps are done, and nothing more."""
    if context.resume is None:
        return None
    folder = context.work_dir / "resume"
    folder.mkdir()
    done = TrainerState(global_step=read_state(context.resume)["step"], logging_steps=1, train_batch_size=args.train_batch_size)
    done.save_to_json(str(folder / TRAINER_STATE_NAME))
    return str(folder)


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
    common = _arguments(context) | _batch(context)
    parts: dict[str, Any] = {
        "model": loaded.model,
        "processing_class": loaded.tokenizer,
        "train_dataset": Dataset.from_list(dataset_rows(plan_and_rows, spec)),
        "peft_config": _lora(spec["trainer"]),
    }
    if method == "SFT":
        return _resumable(SFTTrainer)(args=SFTConfig(**common, packing=False), **parts)
    if parts["peft_config"] is None:
        parts["ref_model"] = copy.deepcopy(loaded.model)
    if method == "DPO":
        return _resumable(DPOTrainer)(args=DPOConfig(**common, beta=spec["trainer"]["beta"]), **parts)
    return _resumable(KTOTrainer)(args=KTOConfig(**common, beta=spec["trainer"]["beta"]), **parts)


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
        "dataloader_pin_memory": not on_cpu,
        "logging_steps": 1,
        # By default a loss that is no number is logged as the mean of the others.
        "logging_nan_inf_filter": False,
        "logging_strategy": "steps",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _batch(context: RunContext) -> dict[str, Any]:
    """Gives the rows of a step and how they are divided where memory is short.

    SFT and DPO sum the gradients of equal parts. KTO's batch stays whole, because TRL takes z0 over what is in memory at once: there
    activations are computed anew in the backward pass instead of being kept.
    """
    prompts, divisor = context.spec["trainer"]["promptsPerStep"], context.micro_batch_divisor
    if context.spec["method"] == "KTO":
        return {"per_device_train_batch_size": 2 * prompts, "gradient_checkpointing": divisor > 1}
    parts = next(parts for parts in range(min(divisor, prompts), prompts + 1) if prompts % parts == 0)
    return {
        "per_device_train_batch_size": prompts // parts,
        "gradient_accumulation_steps": parts,
        "gradient_checkpointing": False,
    }


def _resumable(trainer: type) -> Any:
    return type(trainer.__name__, (_Resumable, trainer), {})


def _lora(trainer: Any) -> LoraConfig | None:
    if trainer["kind"] != "TRL_LORA":
        return None
    rank = trainer["loraRank"]
    return LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")


def _freeze_below(model: Any, blocks: int) -> None:
    model.requires_grad_(False)
    for block in model.model.layers[len(model.model.layers) - blocks :]:
        block.requires_grad_(True)


def _tokens_of_steps(plan_and_rows: PlanAndRows, spec: Any) -> list[int]:
    """Counts the completion tokens of each step of an epoch, end tokens included, as the cached-trunk trainer does."""
    plan, rows = plan_and_rows
    size, seed = spec["trainer"]["promptsPerStep"], spec["seed"]
    if spec["method"] == "KTO":
        steps = [[(row.pair, row.desirable) for row in step] for step in order.kto_steps(len(rows), size, seed)]
    else:
        sides = (True,) if spec["method"] == "SFT" else (True, False)
        steps = [[(pair, side) for pair in step for side in sides] for step in order.pair_steps(len(rows), size, seed)]
    count = {
        (pair, side): len(plan.encoder.encode(plan.text(rows[pair], side)).completion_ids)
        for pair, side in {row for step in steps for row in step}
    }
    return [sum(count[row] for row in step) for step in steps]
