"""The cached-trunk trainer: AdamW on the model's top blocks, everything below and around them frozen.

The last norm, the head and the embeddings stay as they are. Optimiser, linear decay of the learning rate and gradient clipping are those
of the TRL trainers' defaults, so that both give the same updates from the same rows. Dropout is never active.

Shapes: N nodes, S texts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from assay_pods.common.checkpoints import Checkpoints, Training
from assay_pods.common.context import RunContext
from assay_pods.robustness.blocks import edge_logprobs, run_blocks
from assay_pods.robustness.encoding import Text
from assay_pods.robustness.plan import Plan
from assay_pods.robustness.recipe import Recipe
from assay_pods.robustness.step_losses import STEP_LOSSES, StepSettings
from assay_pods.robustness.steps import StepRows
from assay_pods.robustness.train_log import TrainLog, check_finite
from assay_pods.robustness.tree import TreeBatch, batch_of
from assay_pods.robustness.trunk import Trunk

GRADIENT_NORM_MAX = 1.0


@dataclass(frozen=True)
class Work:
    """What a trainer is to do."""

    recipe: Recipe
    steps: Sequence[StepRows]
    """One epoch."""
    at_quarter: Callable[[Any], dict[str, Any]] | None = None
    """Given the model as it is, measures it; asked at the end of each quarter of the steps."""

    @property
    def steps_planned(self) -> int:
        """The steps of all epochs."""
        return self.recipe.epochs * len(self.steps)


@dataclass(frozen=True)
class TopBlocks:
    """The model cut below its trained blocks, with what enters them."""

    model: Any
    plan: Plan
    trunk: Trunk
    blocks: int
    recompute: bool = False
    """Whether activations are computed anew in the backward pass instead of being kept (gradient checkpointing)."""

    def batch(self, texts: Sequence[Text]) -> TreeBatch:
        """Lays out texts, end tokens included, on the model's device."""
        return batch_of(self.plan.tree, [self.plan.tree.paths[text] for text in texts], with_end=True).to(self.model.device)

    def logprobs(self, batch: TreeBatch) -> Tensor:
        """Gives the summed log-probability of each text under the model as it is now: [S]."""
        entering_nd = self.trunk.entering(batch).to(self.model.device)
        span = slice(len(self.model.model.layers) - self.blocks, None)
        leaving_nd = run_blocks(self.model, batch, entering_nd, span, recompute=self.recompute)
        return batch.sum_by_text(edge_logprobs(self.model, batch, leaving_nd))

    def reference(self, batch: TreeBatch) -> Tensor:
        """Gives the summed log-probability of each text under the reference model: [S]."""
        return self.trunk.reference(batch)

    def trainable(self) -> dict[str, Tensor]:
        """Gives the trained parameters by their names in the model."""
        first = len(self.model.model.layers) - self.blocks
        names = tuple(f"model.layers.{index}." for index in range(first, len(self.model.model.layers)))
        return {name: value for name, value in self.model.named_parameters() if name.startswith(names)}


def train_top_blocks(top: TopBlocks, work: Work, context: RunContext) -> TrainLog:
    """Trains the top blocks.

    Args:
        top: The model, changed in place.
        work: The recipe and the steps of an epoch.
        context: The run.

    Raises:
        BadInputError: TRAINING_DIVERGED.
        CancelledError: when the user asked to stop.
        ReleasedError: when the run is to go on later or elsewhere, from the checkpoint that was written.
    """
    top.model.eval().requires_grad_(False)
    parameters = list(top.trainable().values())
    for parameter in parameters:
        parameter.requires_grad_(True)
    total = work.steps_planned
    optimiser = torch.optim.AdamW(parameters, lr=work.recipe.learning_rate, weight_decay=0.0)
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: max(0.0, (total - step) / total))
    log = TrainLog(steps_planned=total)
    checkpoints = Checkpoints(context, Training(top.trainable(), optimiser, decay, log))
    for step in range(checkpoints.resume(), total):
        context.progress("training", step, total)
        loss = _backward(top, work, (step, context.micro_batch_divisor), log)
        torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM_MAX)
        optimiser.step()
        decay.step()
        optimiser.zero_grad()
        log.losses.append(loss)
        tell_step(context, log)
        note_quarter(log, work, top.model)
        if context.score_partial_requested:
            break
        checkpoints.after_step(step + 1)
    context.progress("training", len(log.losses), total)
    return log


def _backward(top: TopBlocks, work: Work, step_and_parts: tuple[int, int], log: TrainLog) -> float:
    """Adds the gradients of a step to the parameters; gives its loss. Gradients of the parts add up to those of the whole."""
    step, parts = step_and_parts
    variant = work.recipe.variant
    by_group = variant.step_size if variant is not None and variant.kind == "GROUP_DRO" else None
    settings = StepSettings(work.recipe.beta, parts, by_group)
    loss = 0.0
    for part in STEP_LOSSES[work.recipe.method](top, work.steps[step % len(work.steps)], settings, log):
        check_finite(part.item(), step)
        loss += part.item()
        part.backward()
    return loss


def tell_step(context: RunContext, log: TrainLog) -> None:
    """Reports the figures of the step that was noted last."""
    step = len(log.losses)
    context.metric("loss", log.losses[-1], step)
    if log.chosen_logprobs:
        context.metric("logps/chosen", log.chosen_logprobs[-1], step)


def note_quarter(log: TrainLog, work: Work, model: Any) -> None:
    """Adds a point to the curve where one is asked for and a quarter of the steps ends with the last one."""
    step = len(log.losses)
    quarter = log.at_quarter(step)
    if work.at_quarter is not None and quarter is not None:
        log.curve.append({"quarter": quarter, "step": step} | work.at_quarter(model))
