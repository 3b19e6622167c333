"""Training a copy of the encoder: all layers or the last few, towards the teacher's vectors, with documents beside or instead."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from assay_pods.common.checkpoints import Checkpoints, Training
from assay_pods.common.context import BadInputError, RunContext
from assay_pods.common.seeds import permutation
from assay_pods.retrieval.encoder import Encoder
from assay_pods.retrieval.students.lessons import Batch, Lessons
from assay_pods.retrieval.students.losses import distillation, info_nce

MIXTURES = (1.0, 0.75, 0.5, 0.25)
"""How much of the way from the base to the student's weights is taken; 0 is the base itself, which is always a candidate."""
WARM_UP, WEIGHT_DECAY, GRADIENT_NORM_MAX = 0.1, 0.01, 1.0
_LAYER = re.compile(r"\.layers?\.(\d+)\.")
_BEST = "best/"


@dataclass
class Log:
    """What happened on the way. JSON values only: a checkpoint carries them."""

    losses: list[float] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    """By epoch and mixture: `step`, `mixture` and `dev`, the mean nDCG@10 of the queries that select."""
    best: dict[str, float] = field(default_factory=dict)
    """`step`, `mixture` and `dev` of what was selected; step 0 is the base."""
    steps_planned: int = 0

    @property
    def partial(self) -> bool:
        """Whether training was ended before its last step."""
        return len(self.losses) < self.steps_planned


Score = Callable[[], float]
"""The mean dev nDCG@10 of the encoder as it is now."""


def fine_tune(context: RunContext, encoder: Encoder, lessons: Lessons, score: tuple[Score, float]) -> Log:
    """Trains the encoder in place and leaves it as it was at its best, which may be as it came.

    Dropout is off, so that at step 0 student and base are one function.

    Args:
        context: The run; its spec's `student` has alpha, layers, epochs, batch, learningRate and temperature.
        encoder: The encoder, changed in place.
        lessons: The training queries.
        score: How the encoder is scored on the queries that select, and what the base scores there.

    Raises:
        BadInputError: TRAINING_DIVERGED, or ENCODER_UNSUPPORTED, when it has no layers that could be told apart.
        CancelledError: when the user asked to stop.
        ReleasedError: when the run is to go on later or elsewhere, from the checkpoint that was written.
    """
    student, seed = context.spec["student"], context.spec["seed"]
    trained = _trainable(encoder, student["layers"])
    start = {name: value.detach().clone() for name, value in trained.items()}
    best = {_BEST + name: value.clone() for name, value in start.items()}
    per_epoch = math.ceil(len(lessons.queries) / student["batch"])
    total = per_epoch * student["epochs"]
    optimiser = torch.optim.AdamW(trained.values(), lr=student["learningRate"], weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _factor(step, total))
    log = Log(steps_planned=total, best={"step": 0, "mixture": 0.0, "dev": score[1]})
    checkpoints = Checkpoints(context, Training({**trained, **best}, optimiser, schedule, log))
    for step in range(checkpoints.resume(), total):
        context.progress("training", step, total)
        epoch, turn = divmod(step, per_epoch)
        order = permutation(seed, f"epoch/{epoch}", len(lessons.queries))
        batch = lessons.batch(order[turn * student["batch"] : (turn + 1) * student["batch"]], epoch)
        log.losses.append(_step(encoder, batch, student, step))
        torch.nn.utils.clip_grad_norm_(trained.values(), GRADIENT_NORM_MAX)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        context.metric("loss", log.losses[-1], step + 1)
        if turn == per_epoch - 1 or context.score_partial_requested:
            _select(trained, start, (best, log), score[0])
        if context.score_partial_requested:
            break
        checkpoints.after_step(step + 1)
    context.progress("training", len(log.losses), total)
    _put(trained, {name: best[_BEST + name] for name in trained})
    return log


def trained_weights(encoder: Encoder, layers: str | int) -> Mapping[str, Tensor]:
    """The parameters that such a training changes, by name."""
    return {name: value.detach() for name, value in _trainable(encoder, layers).items()}


def loss_of(encoder: Encoder, batch: Batch, student: Mapping[str, Any]) -> Tensor:
    """Alpha |s - t|^2 + (1 - alpha) InfoNCE, a term of weight 0 left out."""
    student_nd = encoder.forward(batch.texts)
    alpha, device = student["alpha"], student_nd.device
    parts: list[Tensor] = []
    if alpha > 0:
        parts.append(alpha * distillation(student_nd, torch.from_numpy(batch.target).to(device)))
    if alpha < 1:
        documents, relevant, own = (torch.from_numpy(one).to(device) for one in (batch.documents, batch.relevant, batch.own))
        parts.append((1 - alpha) * info_nce(student_nd, documents, relevant, own, student["temperature"]))
    return torch.stack(parts).sum()


def _step(encoder: Encoder, batch: Batch, student: Mapping[str, Any], step: int) -> float:
    loss = loss_of(encoder, batch, student)
    value = loss.item()
    if not math.isfinite(value):
        raise BadInputError("TRAINING_DIVERGED", f"wanted a finite loss, got {value} in step {step}: a lower learning rate may help")
    loss.backward()
    return value


def _trainable(encoder: Encoder, layers: str | int) -> dict[str, Tensor]:
    """The parameters of the last layers, or all of them; the others are frozen."""
    encoder.model.eval().requires_grad_(False)
    named = dict(encoder.model.named_parameters())
    if layers != "ALL":
        numbers = {name: int(found.group(1)) for name in named if (found := _LAYER.search(name))}
        if not numbers or int(layers) > max(numbers.values()) + 1:
            count = max(numbers.values()) + 1 if numbers else 0
            raise BadInputError("ENCODER_UNSUPPORTED", f"wanted an encoder of at least {layers} layers, got {count}")
        first = max(numbers.values()) + 1 - int(layers)
        named = {name: value for name, value in named.items() if numbers.get(name, -1) >= first}
    for value in named.values():
        value.requires_grad_(True)
    return dict(named)


def _factor(step: int, total: int) -> float:
    """Linear up to the whole rate over the first tenth, then linear down to nothing."""
    rising = max(1, round(WARM_UP * total))
    return (step + 1) / rising if step < rising else max(0.0, (total - step) / max(1, total - rising))


def _select(trained: Mapping[str, Tensor], start: Mapping[str, Tensor], kept: tuple[dict[str, Tensor], Log], score: Score) -> None:
    """Scores the way from the base to the student, and keeps what is better than all before; a draw goes to the earlier one."""
    best, log = kept
    now = {name: value.detach().clone() for name, value in trained.items()}
    for mixture in MIXTURES:
        mixed = {name: start[name] + mixture * (value - start[name]) for name, value in now.items()}
        _put(trained, mixed)
        found = {"step": float(len(log.losses)), "mixture": mixture, "dev": score()}
        log.curve.append(found)
        if found["dev"] > log.best["dev"]:
            log.best = found
            for name, value in mixed.items():
                best[_BEST + name].copy_(value)
    _put(trained, now)


@torch.no_grad()
def _put(trained: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    for name, value in trained.items():
        value.copy_(values[name])
