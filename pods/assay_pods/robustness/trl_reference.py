"""The reference trainers: TRL's own SFTTrainer, DPOTrainer and KTOTrainer on the same rows in the same order.

What TRL would do by default and must not here: bf16 and gradient checkpointing on a CPU, random sampling, unpairing by itself (all
desirable rows first), a KTO block with a prompt twice in it, packing, telemetry, checkpoints with pickle in them.
"""

import copy
from typing import Any, NamedTuple

from datasets import Dataset, disable_progress_bars
from peft import LoraConfig, get_peft_model_state_dict
from torch import Tensor
from transformers import PrinterCallback, TrainingArguments

from assay_pods.common.context import RunContext
from assay_pods.common.models import LoadedModel
from assay_pods.robustness import attention
from assay_pods.robustness.cell_batch import accumulation
from assay_pods.robustness.recipe import Recipe, tokens_max
from assay_pods.robustness.train import Work
from assay_pods.robustness.train_log import TrainLog
from assay_pods.robustness.trl_progress import Progress, state_to_resume
from assay_pods.robustness.trl_rows import Shared, shared_rows, text_rows, tokens_of
from assay_pods.robustness.trl_trainers import trainer_class

__all__ = ["Shared", "Trained", "lora_of", "make_trainer", "train_with_trl"]


class Trained(NamedTuple):
    """A trained model, ready to be scored, and the weights that were trained."""

    model: Any
    weights: dict[str, Tensor]
    log: TrainLog


def train_with_trl(loaded: LoadedModel, work: Work, context: RunContext, shared: Shared, *, blocks: int | None = None) -> Trained:
    """Trains the whole model (TRL_FULL) or adapters that are merged afterwards (TRL_LORA).

    Args:
        loaded: The model to start from, which is the reference too, and its tokenizer; the model is changed.
        work: The recipe and the steps of an epoch.
        context: The run; its spec names the trainer and the precision.
        shared: The tokens and the reference model's log-probabilities of every text.
        blocks: Train only this many top blocks (TRL_FULL), to compare with the cached-trunk trainer; None trains everything.

    Raises:
        BadInputError: ATTENTION_UNSUPPORTED, TRAINING_DIVERGED.
        CancelledError: when the user asked to stop.
        ReleasedError: when the run is to go on later or elsewhere, from the checkpoint that was written.
    """
    if blocks is not None:
        freeze_below(loaded.model, blocks)
    log = TrainLog()
    with attention.chosen(loaded.model, context):
        trainer = make_trainer(loaded, work, context, shared=shared, log=log)
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Progress(context, work, log))
        trainer.train(resume_from_checkpoint=state_to_resume(context, trainer.args))
    tokens = [tokens_of(shared.plan, step) for step in work.steps]
    log.tokens = sum(tokens[step % len(tokens)] for step in range(len(log.losses)))
    if context.spec["trainer"]["kind"] == "TRL_LORA":
        weights = get_peft_model_state_dict(trainer.model)
        return Trained(trainer.model.merge_and_unload(), weights, log)
    weights = {name: value for name, value in trainer.model.named_parameters() if value.requires_grad}
    return Trained(trainer.model, weights, log)


def make_trainer(loaded: LoadedModel, work: Work, context: RunContext, *, shared: Shared | None = None, log: TrainLog | None = None) -> Any:
    """Builds the TRL trainer of the recipe's method.

    Args:
        loaded: The model and its tokenizer.
        work: The recipe and the steps of an epoch.
        context: The run.
        shared: Tokens and log-probabilities that are known; without them TRL turns texts into tokens and runs the reference model itself.
        log: Where a mitigation keeps its state.
    """
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.kto_config import KTOConfig
    from trl.trainer.sft_config import SFTConfig

    disable_progress_bars()
    recipe = work.recipe
    rows = text_rows(work) if shared is None else shared_rows(work, shared)
    parts: dict[str, Any] = {
        "model": loaded.model,
        "processing_class": loaded.tokenizer,
        "train_dataset": Dataset.from_list(rows),
        "peft_config": lora_of(context.spec["trainer"]),
    }
    common = _arguments(recipe, context) | _batch(recipe, context)
    if recipe.method == "SFT":
        arguments = SFTConfig(**common, packing=False)
    else:
        own: dict[str, Any] = {"beta": recipe.beta, "precompute_ref_log_probs": shared is not None}
        arguments = DPOConfig(**common, **own) if recipe.method == "DPO" else KTOConfig(**common, **own)
        if shared is None and parts["peft_config"] is None:
            parts["ref_model"] = copy.deepcopy(loaded.model)
    _on_one_device(arguments)
    return trainer_class(recipe, known=shared is not None, log=log or TrainLog())(args=arguments, **parts)


def lora_of(trainer: Any) -> LoraConfig | None:
    """Gives the adapters of the spec's trainer; None where it trains whole weights."""
    if trainer["kind"] != "TRL_LORA":
        return None
    rank = trainer["loraRank"]
    return LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")


def freeze_below(model: Any, blocks: int) -> None:
    """Leaves only the top blocks to be trained."""
    model.requires_grad_(False)
    for block in model.model.layers[len(model.model.layers) - blocks :]:
        block.requires_grad_(True)


def _on_one_device(arguments: TrainingArguments) -> None:
    """A run trains on one device, however many its machine shows; see decision 0017."""
    if arguments.n_gpu > 1:
        # What the transformers Trainer goes by, else it asks for data parallelism in one process, which TRL refuses.
        setattr(arguments, "_n_gpu", 1)  # noqa: B010


def _arguments(recipe: Recipe, context: RunContext) -> dict[str, Any]:
    on_cpu = context.device == "cpu"
    return {
        "output_dir": str(context.work_dir / "trl"),
        "learning_rate": recipe.learning_rate,
        "num_train_epochs": recipe.epochs,
        "max_length": tokens_max(context.spec),
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "train_sampling_strategy": "sequential",
        "use_cpu": on_cpu,
        "bf16": context.spec["precision"] == "bf16",
        "dataloader_pin_memory": not on_cpu,
        "logging_steps": 1,
        # By default a loss that is no number is logged as the mean of the others.
        "logging_nan_inf_filter": False,
        "logging_strategy": "steps",
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def _batch(recipe: Recipe, context: RunContext) -> dict[str, Any]:
    """Gives the rows of a step and how they are divided where memory is short.

    SFT and DPO sum the gradients of equal parts. KTO's batch stays whole, because TRL takes z0 over what is in memory at once, and so does
    GROUP_DRO's, whose weights move by the loss of the whole step: there activations are computed anew in the backward pass instead.
    """
    asked, divisor = bool(context.spec["trainer"].get("gradientCheckpointing")), context.micro_batch_divisor
    if recipe.method == "KTO" or recipe.variant_kind == "GROUP_DRO":
        rows = recipe.prompts_per_step * (2 if recipe.method == "KTO" else 1)
        return {"per_device_train_batch_size": rows, "gradient_checkpointing": asked or divisor > 1}
    parts = accumulation(recipe, divisor)
    return {
        "per_device_train_batch_size": recipe.prompts_per_step // parts,
        "gradient_accumulation_steps": parts,
        "gradient_checkpointing": asked,
    }
