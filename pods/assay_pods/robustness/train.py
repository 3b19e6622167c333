"""The cached-trunk trainer: AdamW on the model's top blocks, everything below and around them frozen.

The last norm, the head and the embeddings stay as they are. Optimiser, linear decay of the learning rate and gradient clipping are those
of the TRL trainers' defaults, so that both give the same updates from the same rows. Dropout is never active.

Shapes: B prompts of a step, R rows of a KTO step, N nodes, S texts.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from assay_pods.common.checkpoints import Checkpoints, Training
from assay_pods.common.context import BadInputError, RunContext
from assay_pods.robustness import losses, order
from assay_pods.robustness.blocks import edge_logprobs, run_blocks
from assay_pods.robustness.encoding import Text
from assay_pods.robustness.plan import Plan, mismatched_text
from assay_pods.robustness.records import Record
from assay_pods.robustness.tree import TreeBatch, batch_of
from assay_pods.robustness.trunk import Trunk

GRADIENT_NORM_MAX = 1.0


@dataclass
class TrainLog:
    """What happened on the way."""

    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    """Completion tokens, end tokens included, that entered the losses, over all epochs."""
    reference_points: list[float] = field(default_factory=list)
    """KTO's z0 of each step."""
    steps_planned: int = 0

    @property
    def partial(self) -> bool:
        """Whether training was ended before its last step, to score what there is."""
        return len(self.losses) < self.steps_planned

    def warnings(self) -> list[str]:
        """Says what a reader of the figures should know."""
        said = []
        if self.partial:
            said.append(f"training was ended after {len(self.losses)} of {self.steps_planned} steps, as asked")
        at_zero = sum(value == 0 for value in self.reference_points)
        if at_zero:
            steps = len(self.reference_points)
            said.append(f"KTO's reference point z0 was clamped to 0 in {at_zero} of {steps} steps, where it is apo_zero_unpaired")
        return said


@dataclass(frozen=True)
class TopBlocks:
    """The model cut below its trained blocks, with what enters them."""

    model: Any
    plan: Plan
    trunk: Trunk
    blocks: int

    def batch(self, texts: Sequence[Text]) -> TreeBatch:
        """Lays out texts, end tokens included, on the model's device."""
        return batch_of(self.plan.tree, [self.plan.tree.paths[text] for text in texts], with_end=True).to(self.model.device)

    def logprobs(self, batch: TreeBatch) -> Tensor:
        """Gives the summed log-probability of each text under the model as it is now: [S]."""
        entering_nd = self.trunk.hidden_td[batch.nodes.cpu()].to(self.model.device)
        leaving_nd = run_blocks(self.model, batch, entering_nd, slice(len(self.model.model.layers) - self.blocks, None))
        return batch.sum_by_text(edge_logprobs(self.model, batch, leaving_nd))

    def trainable(self) -> dict[str, Tensor]:
        """Gives the trained parameters by their names in the model."""
        first = len(self.model.model.layers) - self.blocks
        names = tuple(f"model.layers.{index}." for index in range(first, len(self.model.model.layers)))
        return {name: value for name, value in self.model.named_parameters() if name.startswith(names)}


def check_finite(loss: float, step: int) -> None:
    """Ends a training that has lost its way: the same rows and rate would lose it again.

    Raises:
        BadInputError: TRAINING_DIVERGED.
    """
    if not math.isfinite(loss):
        raise BadInputError("TRAINING_DIVERGED", f"wanted a finite loss, got {loss} after {step} steps: a lower learning rate may help")


def train_top_blocks(top: TopBlocks, rows: Sequence[Record], context: RunContext) -> TrainLog:
    """Trains the top blocks by the method of the spec.

    Args:
        top: The model, changed in place.
        rows: The chosen render of each training pair, in the order of the plan's pairs.
        context: The run; its spec names method, trainer and seed.

    Raises:
        BadInputError: TRAINING_DIVERGED.
        CancelledError: when the user asked to stop.
        ReleasedError: when the run is to go on later or elsewhere, from the checkpoint that was written.
    """
    trainer, method = context.spec["trainer"], context.spec["method"]
    top.model.eval().requires_grad_(False)
    parameters = list(top.trainable().values())
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(parameters, lr=trainer["learningRate"][method], weight_decay=0.0)
    epoch = _epoch(top, rows, context.spec)
    total = trainer["epochs"] * len(epoch)
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: max(0.0, (total - step) / total))
    log = TrainLog(steps_planned=total)
    checkpoints = Checkpoints(context, Training(top.trainable(), optimiser, decay, log))
    settings = StepSettings(trainer["beta"], context.micro_batch_divisor)
    for step in range(checkpoints.resume(), total):
        context.progress("training", step, total)
        loss = 0.0
        # Gradients of the parts add up to those of the whole.
        for part in STEP_LOSSES[method](top, epoch[step % len(epoch)], settings, log):
            check_finite(part.item(), step)
            loss += part.item()
            part.backward()
        torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM_MAX)
        optimiser.step()
        decay.step()
        optimiser.zero_grad()
        log.losses.append(loss)
        context.metric("loss", loss, step + 1)
        if context.score_partial_requested:
            break
        checkpoints.after_step(step + 1)
    context.progress("training", len(log.losses), total)
    return log


class StepSettings(NamedTuple):
    """What all steps have in common."""

    beta: float
    parts: int
    """Into how many parts a step's rows are divided to save memory; their losses add up to the step's."""


@dataclass(frozen=True)
class StepRows:
    """The texts of one step. SFT reads `right`, DPO `right` and `wrong`; KTO `right` as its rows, with their labels and stand-ins."""

    right: list[Text]
    wrong: list[Text] = field(default_factory=list)
    labels: list[bool] = field(default_factory=list)
    mismatched: list[Text] = field(default_factory=list)

    def divided(self, parts: int) -> list["StepRows"]:
        """Gives the rows in so many parts of nearly equal size, or one a row where there are fewer."""
        rows = len(self.right)
        bounds = [rows * part // min(parts, rows) for part in range(min(parts, rows) + 1)]
        spans = [slice(*pair) for pair in pairwise(bounds)]
        return [StepRows(self.right[span], self.wrong[span], self.labels[span], self.mismatched[span]) for span in spans]


def _epoch(top: TopBlocks, rows: Sequence[Record], spec: Mapping[str, Any]) -> list[StepRows]:
    size = spec["trainer"]["promptsPerStep"]
    if spec["method"] == "KTO":
        return [_kto_rows(top.plan, rows, block) for block in order.kto_steps(len(rows), size, spec["seed"])]
    steps = order.pair_steps(len(rows), size, spec["seed"])
    return [
        StepRows(right=[top.plan.text(rows[pair], True) for pair in step], wrong=[top.plan.text(rows[pair], False) for pair in step])
        for step in steps
    ]


def _kto_rows(plan: Plan, rows: Sequence[Record], block: Sequence[order.KtoRow]) -> StepRows:
    return StepRows(
        right=[plan.text(rows[row.pair], row.desirable) for row in block],
        labels=[row.desirable for row in block],
        mismatched=[mismatched_text(plan, rows[row.pair], rows[row.mismatched_pair], row.mismatched_desirable) for row in block],
    )


def _sft_step(top: TopBlocks, step: StepRows, settings: StepSettings, log: TrainLog) -> Iterator[Tensor]:
    batches = [top.batch(part.right) for part in step.divided(settings.parts)]
    num_tokens = sum(int(batch.membership.sum()) for batch in batches)
    log.tokens += num_tokens
    for batch in batches:
        yield losses.sft_loss(top.logprobs(batch), num_tokens)


def _dpo_step(top: TopBlocks, step: StepRows, settings: StepSettings, log: TrainLog) -> Iterator[Tensor]:
    for part in step.divided(settings.parts):
        batch = top.batch([*part.right, *part.wrong])
        log.tokens += int(batch.membership.sum())
        ratio_s = top.logprobs(batch) - top.trunk.reference(batch)
        right_b, wrong_b = ratio_s.split(len(part.right))
        yield losses.dpo_loss(right_b, wrong_b, settings.beta) * (len(part.right) / len(step.right))


def _kto_step(top: TopBlocks, step: StepRows, settings: StepSettings, log: TrainLog) -> Iterator[Tensor]:
    parts = step.divided(settings.parts)
    with torch.no_grad():
        # z0 is that of the whole step, whatever its parts.
        stand_ins = [top.batch(part.mismatched) for part in parts]
        reference_point = losses.kto_reference_point(torch.cat([top.logprobs(batch) - top.trunk.reference(batch) for batch in stand_ins]))
    log.reference_points.append(reference_point.item())
    for part in parts:
        batch = top.batch(part.right)
        log.tokens += int(batch.membership.sum())
        ratio_r = top.logprobs(batch) - top.trunk.reference(batch)
        labels_r = torch.tensor(part.labels, device=ratio_r.device)
        yield losses.kto_loss(ratio_r, labels_r, reference_point, settings.beta) * (len(part.right) / len(step.right))


STEP_LOSSES = {"SFT": _sft_step, "DPO": _dpo_step, "KTO": _kto_step}
"""Each gives the loss of a step as the losses of its parts; the next part is computed only when it is asked for."""
