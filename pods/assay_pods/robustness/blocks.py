"""The model as a stack of blocks that can be entered half way: log-probabilities of the tokens of a tree.

Shapes: N nodes, E edges, H heads, D hidden size, V vocabulary; see tree.py.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from assay_pods.common.context import BadInputError
from assay_pods.robustness.tree import TreeBatch

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3")
"""Architectures whose blocks take hidden states, a mask and rotary embeddings, and nothing else."""


def check_supported(model: Any) -> None:
    """Refuses a model whose blocks cannot be run one by one here.

    Raises:
        BadInputError: MODEL_UNSUPPORTED.
    """
    config = model.config
    if config.model_type not in MODEL_TYPES:
        raise BadInputError("MODEL_UNSUPPORTED", f"wanted a model of type {', '.join(MODEL_TYPES)}, got {config.model_type!r}")
    if getattr(config, "use_sliding_window", False) or (config.model_type == "mistral" and config.sliding_window):
        raise BadInputError("MODEL_UNSUPPORTED", "wanted a model with full attention, got one with a sliding window")


def embed(model: Any, batch: TreeBatch) -> Tensor:
    """Gives the hidden states that enter the first block: [N, D]."""
    return model.model.embed_tokens(batch.tokens)


def run_blocks(model: Any, batch: TreeBatch, hidden_nd: Tensor, span: slice, *, recompute: bool = False) -> Tensor:
    """Runs some of the model's blocks over the nodes of a batch.

    Args:
        model: A causal language model of a supported type.
        batch: The nodes.
        hidden_nd: What enters the first of the blocks.
        span: Which blocks.
        recompute: Whether what happens inside a block is computed anew in the backward pass instead of being kept.

    Returns:
        What leaves the last of them: [N, D].
    """
    hidden_1nd = hidden_nd[None]
    rotary = model.model.rotary_emb(hidden_1nd, position_ids=batch.positions)
    for block in model.model.layers[span]:
        run = partial(checkpoint, block, use_reentrant=False) if recompute else block
        hidden_1nd = run(hidden_1nd, attention_mask=batch.mask, position_embeddings=rotary, position_ids=batch.positions)
    return hidden_1nd[0]


def edge_logprobs(model: Any, batch: TreeBatch, hidden_nd: Tensor) -> Tensor:
    """Gives the log-probability of every completion token after its ancestors, in nats: [E].

    Args:
        model: The model, of which the last norm and the head are used.
        batch: The nodes.
        hidden_nd: What left the last block.
    """
    logits_hv = model.lm_head(model.model.norm(hidden_nd[batch.heads])).float()
    norms_h = torch.logsumexp(logits_hv, dim=-1)
    return logits_hv[batch.edge_heads, batch.edge_tokens] - norms_h[batch.edge_heads]
