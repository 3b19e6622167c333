"""The losses over log-probabilities summed by text: those of TRL 1.16, and what the mitigations make of them.

Shapes: B prompts of the step, R rows of a KTO step. `ratio` is log pi(y|x) - log ref(y|x), in nats, over the completion with its end token.
"""

import torch
from torch import Tensor
from torch.nn import functional


def sft_loss(logprobs_b: Tensor, num_tokens: Tensor | int) -> Tensor:
    """Gives the negative log-likelihood a token, over all completion tokens of the step together."""
    return -logprobs_b.sum() / num_tokens


def dpo_loss(chosen_ratio_b: Tensor, rejected_ratio_b: Tensor, beta: float, ties_b: Tensor | None = None) -> Tensor:
    """Gives DPO's sigmoid loss: the mean of -log sigmoid(beta * (ratio of chosen - ratio of rejected)).

    Args:
        chosen_ratio_b: Log-ratios of the right completions.
        rejected_ratio_b: Log-ratios of the wrong ones.
        beta: DPO's beta.
        ties_b: True where neither side is better. There the loss is the mean of both orders' losses, smallest where the ratios are equal.
    """
    margin_b = beta * (chosen_ratio_b - rejected_ratio_b)
    loss_b = -functional.logsigmoid(margin_b)
    if ties_b is not None:
        loss_b = torch.where(ties_b, (loss_b - functional.logsigmoid(-margin_b)) / 2, loss_b)
    return loss_b.mean()


def kto_loss(ratio_r: Tensor, labels_r: Tensor, reference_point: Tensor, beta: float) -> Tensor:
    """Gives KTO's loss: the mean of 1 - sigmoid(+-beta * (ratio - z0)), plus for desirable rows and minus for the others.

    Args:
        ratio_r: Log-ratios of the rows.
        labels_r: True where the completion is desirable.
        reference_point: z0, see `kto_reference_point`.
        beta: KTO's beta.
    """
    sign_r = torch.where(labels_r, 1.0, -1.0)
    return (1 - torch.sigmoid(beta * sign_r * (ratio_r - reference_point))).mean()


def kto_reference_point(mismatched_ratio_r: Tensor) -> Tensor:
    """Gives z0: the mean log-ratio of the step's prompts with the completion of the row before, not below 0 and without gradient."""
    return mismatched_ratio_r.detach().mean().clamp(min=0)
