"""The cached trunk: what enters the trained blocks, and the untrained model's log-probabilities, for every text of a seed, once.

All methods and rates of a seed train the same top blocks above the same frozen ones, so the frozen part of their work is one and the same.

Shapes: T nodes of the tree, N nodes of a batch, D hidden size.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from assay_pods.robustness.blocks import edge_logprobs, embed, run_blocks
from assay_pods.robustness.encoding import Text
from assay_pods.robustness.plan import Plan
from assay_pods.robustness.tree import TreeBatch, batch_of, chunks_of

NODES_PER_BATCH = 384
"""Nodes computed together: enough to share the prompts' common beginning, few enough that attention stays cheap."""


class Trunk(NamedTuple):
    """What `prepare` leaves for the runs of its seed."""

    hidden_td: Tensor
    """What enters the first trained block at each node; zeros at end tokens, which nothing follows."""
    reference_t: Tensor
    """The untrained model's log-probability of each completion token after its ancestors; zeros at nodes that are no completion's."""

    def reference(self, batch: TreeBatch) -> Tensor:
        """Gives the untrained model's summed log-probability of each text of a batch: [S]."""
        return batch.sum_by_text(self.reference_t[batch.edges.cpu()].to(batch.membership.device))


@torch.no_grad()
def compute(model: Any, plan: Plan, blocks: int, report: Callable[[int, int], None]) -> Trunk:
    """Runs the untrained model over all texts.

    Args:
        model: The untrained model, on its device.
        plan: The texts.
        blocks: How many top blocks will be trained.
        report: Told how many texts of how many are done.
    """
    size = len(plan.tree)
    trunk = Trunk(torch.zeros(size, model.config.hidden_size), torch.zeros(size))
    scored = list(dict.fromkeys(side for question in plan.questions for side in (question.right, question.wrong)))
    total, done = len(plan.trained_texts) + len(scored), 0
    for texts, with_end in ((plan.trained_texts, True), (scored, False)):
        paths = [plan.tree.paths[text] for text in texts]
        for chunk in chunks_of(plan.tree, paths, NODES_PER_BATCH):
            batch = batch_of(plan.tree, [paths[place] for place in chunk], with_end).to(model.device)
            _compute_batch(model, batch, blocks, trunk)
            done += len(chunk)
            report(done, total)
    return trunk


def _compute_batch(model: Any, batch: TreeBatch, blocks: int, trunk: Trunk) -> None:
    below = len(model.model.layers) - blocks
    hidden_nd = run_blocks(model, batch, embed(model, batch), slice(0, below))
    trunk.hidden_td[batch.nodes.cpu()] = hidden_nd.float().cpu()
    top_nd = run_blocks(model, batch, hidden_nd, slice(below, None))
    trunk.reference_t[batch.edges.cpu()] = edge_logprobs(model, batch, top_nd).cpu()


@torch.no_grad()
def largest_error(model: Any, plan: Plan, trunk: Trunk, texts: Sequence[Text]) -> float:
    """Gives the largest difference, in nats a text, between the trunk and plain forward passes over whole texts."""
    errors = [0.0]
    for text in texts:
        path = plan.tree.paths[text]
        ids = torch.tensor([[plan.tree.tokens[node] for node in path.nodes]], device=model.device)
        logprobs = model(input_ids=ids).logits[0, :-1].float().log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
        plain = logprobs[path.prompt_length - 1 :].sum().item()
        errors.append(abs(plain - trunk.reference_t[list(path.edges(with_end=True))].sum().item()))
    return max(errors)


def save(trunk: Trunk, plan: Plan, path: Path) -> None:
    """Writes a trunk with the tree that it belongs to."""
    tree = {"tokens": torch.tensor(plan.tree.tokens), "parents": torch.tensor(plan.tree.parents)}
    save_file({"hidden": trunk.hidden_td, "reference": trunk.reference_t, **tree}, path)


def load(path: Path, plan: Plan) -> Trunk:
    """Reads a trunk and holds it to the plan's own tree, which must be the one that it was made for."""
    tensors = load_file(path)
    assert tensors["tokens"].tolist() == plan.tree.tokens, "a trunk belongs to the tree of its own records"
    assert tensors["parents"].tolist() == plan.tree.parents, "a trunk belongs to the tree of its own records"
    return Trunk(tensors["hidden"], tensors["reference"])
