"""The three losses, as TRL 1.16 computes them, over log-probabilities summed by text.

Shapes: B prompts of the step, R rows of a KTO step. `ratio` is log pi(y|x) - log ref(y|x), in nats, over the completion with its end token.
"""

import torch
from torch import Tensor
from torch.nn import functional


def sft_loss(logprobs_B: Tensor, num_tokens: Tensor | int) -> Tensor:  # noqa: N803 - the suffix is the shape
    """Gives the negative log-likelihood a token, over all completion tokens of the step together."""
    return -logprobs_B.sum() / num_tokens


def dpo_loss(chosen_ratio_B: Tensor, rejected_ratio_B: Tensor, beta: float) -> Tensor:  # noqa: N803 - the suffix is the shape
    """Gives DPO's sigmoid loss: the mean of -log sigmoid(beta * (ratio of chosen - ratio of rejected))."""
    return -functional.logsigmoid(beta * (chosen_ratio_B - rejected_ratio_B)).mean()


def kto_loss(ratio_R: Tensor, labels_R: Tensor, reference_point: Tensor, beta: float) -> Tensor:  # noqa: N803 - the suffix is the shape
    """Gives KTO's loss: the mean of 1 - sigmoid(+-beta * (ratio - z0)), plus for desirable rows and minus for the others.

    Args:
        ratio_R: Log-ratios of the rows.
        labels_R: True where the completion is desirable.
        reference_point: z0, see `kto_reference_point`.
        beta: KTO's beta.
    """
    sign_R = torch.where(labels_R, 1.0, -1.0)
    return (1 - torch.sigmoid(beta * sign_R * (ratio_R - reference_point))).mean()


def kto_reference_point(mismatched_ratio_R: Tensor) -> Tensor:  # noqa: N803 - the suffix is the shape
    """Gives z0: the mean log-ratio of the step's prompts with the completion of the row before, not below 0 and without gradient."""
    return mismatched_ratio_R.detach().mean().clamp(min=0)
