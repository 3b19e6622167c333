"""The loss of one step of the cached-trunk trainer, by method, divided where memory is short.

Shapes: B prompts of the step, R rows of a KTO step.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from assay_pods.robustness import groups, losses
from assay_pods.robustness.encoding import Text
from assay_pods.robustness.steps import StepRows
from assay_pods.robustness.train_log import TrainLog
from assay_pods.robustness.tree import TreeBatch


class Policy(Protocol):
    """What a loss asks of the model that is trained."""

    def batch(self, texts: list[Text]) -> TreeBatch:
        """Lays out texts, end tokens included."""
        ...

    def logprobs(self, batch: TreeBatch) -> Tensor:
        """Gives the summed log-probability of each text under the model as it is now."""
        ...

    def reference(self, batch: TreeBatch) -> Tensor:
        """Gives the same under the reference model."""
        ...


class StepSettings(NamedTuple):
    """What all steps have in common."""

    beta: float
    parts: int
    """Into how many parts a step's rows are divided to save memory; their losses add up to the step's."""
    group_step_size: float | None = None
    """GROUP_DRO's step size; None for the plain loss."""


def _ratios(policy: Policy, batch: TreeBatch) -> tuple[Tensor, Tensor]:
    """The log-probabilities of the texts, and their log-ratios to the reference."""
    logprobs = policy.logprobs(batch)
    return logprobs, logprobs - policy.reference(batch)


def _sft_step(policy: Policy, step: StepRows, settings: StepSettings, log: TrainLog) -> Iterator[Tensor]:
    parts = step.divided(settings.parts)
    batches = [policy.batch(part.right) for part in parts]
    tokens = [batch.membership.sum(dim=1) for batch in batches]
    num_tokens = int(sum(part.sum() for part in tokens))
    log.tokens += num_tokens
    if settings.group_step_size is None:
        for batch in batches:
            yield losses.sft_loss(policy.logprobs(batch), num_tokens)
        return
    tokens_of = {
        group: sum(int(counts[_places(part, group)].sum()) for part, counts in zip(parts, tokens, strict=True)) for group in groups.GROUPS
    }
    with torch.no_grad():
        # The weights move by the whole step's losses before any part of it is weighed by them.
        found = [_by_group(part, policy.logprobs(batch), tokens_of) for part, batch in zip(parts, batches, strict=True)]
    whole = {
        group: sum(float(losses_by[group]) for losses_by in found if group in losses_by) for group in groups.GROUPS if tokens_of[group]
    }
    log.group_weights = groups.raised(log.group_weights, whole, settings.group_step_size)
    for part, batch in zip(parts, batches, strict=True):
        by_group = _by_group(part, policy.logprobs(batch), tokens_of)
        yield torch.stack([log.group_weights[group] * loss for group, loss in by_group.items()]).sum()


def _places(part: StepRows, group: str) -> list[int]:
    return [place for place, own in enumerate(part.groups) if own == group]


def _by_group(part: StepRows, logprobs_b: Tensor, tokens_of: Mapping[str, int]) -> dict[str, Tensor]:
    """A part's share of each group's loss a token."""
    places = {group: _places(part, group) for group in groups.GROUPS}
    return {group: losses.sft_loss(logprobs_b[found], tokens_of[group]) for group, found in places.items() if found}


def _dpo_step(policy: Policy, step: StepRows, settings: StepSettings, log: TrainLog) -> Iterator[Tensor]:
    chosen = 0.0
    for part in step.divided(settings.parts):
        batch = policy.batch([*part.right, *part.wrong])
        log.tokens += int(batch.membership.sum())
        logprobs_s, ratio_s = _ratios(policy, batch)
        chosen += logprobs_s[: len(part.right)].sum().item() / len(step.right)
        right_b, wrong_b = ratio_s.split(len(part.right))
        ties_b = torch.tensor(part.ties, device=ratio_s.device) if part.ties else None
        yield losses.dpo_loss(right_b, wrong_b, settings.beta, ties_b) * (len(part.right) / len(step.right))
    log.chosen_logprobs.append(chosen)


def _kto_step(policy: Policy, step: StepRows, settings: StepSettings, log: TrainLog) -> Iterator[Tensor]:
    parts = step.divided(settings.parts)
    with torch.no_grad():
        # z0 is that of the whole step, whatever its parts.
        stand_ins = [policy.batch(part.mismatched) for part in parts]
        reference_point = losses.kto_reference_point(torch.cat([_ratios(policy, batch)[1] for batch in stand_ins]))
    log.reference_points.append(reference_point.item())
    chosen = 0.0
    for part in parts:
        batch = policy.batch(part.right)
        log.tokens += int(batch.membership.sum())
        logprobs_r, ratio_r = _ratios(policy, batch)
        labels_r = torch.tensor(part.labels, device=ratio_r.device)
        chosen += logprobs_r[labels_r].sum().item() / max(1, sum(step.labels))
        yield losses.kto_loss(ratio_r, labels_r, reference_point, settings.beta) * (len(part.right) / len(step.right))
    log.chosen_logprobs.append(chosen)


STEP_LOSSES = {"SFT": _sft_step, "DPO": _dpo_step, "KTO": _kto_step}
"""Each gives the loss of a step as the losses of its parts; the next part is computed only when it is asked for."""
