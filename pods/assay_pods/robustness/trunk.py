"""What the runs of a seed share: tokens, the reference model's log-probabilities, and what enters the trained blocks, for every text.

All methods and rates of a seed train the same blocks from the same start over the same texts. With the cached trunk, what lies below the
trained blocks is the same too; the TRL trainers share tokens and log-probabilities only.

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
from assay_pods.robustness.known_texts import tensors_of
from assay_pods.robustness.plan import Plan
from assay_pods.robustness.tree import TreeBatch, batch_of, chunks_of

NODES_PER_BATCH = 384
"""Nodes computed together: enough to share the prompts' common beginning, few enough that attention stays cheap."""

Report = Callable[[int, int], None]


class Trunk(NamedTuple):
    """What `prepare` leaves for the runs of its seed."""

    hidden_td: Tensor | None
    """What enters the first trained block at each node; zeros at end tokens, which nothing follows. None for the TRL trainers."""
    reference_t: Tensor
    """The reference model's log-probability of each completion token after its ancestors; zeros at nodes that are no completion's."""

    def reference(self, batch: TreeBatch) -> Tensor:
        """Gives the reference model's summed log-probability of each text of a batch: [S]."""
        return batch.sum_by_text(self.reference_t[batch.edges.cpu()].to(batch.membership.device))

    def entering(self, batch: TreeBatch) -> Tensor:
        """Gives what enters the first trained block at the nodes of a batch: [N, D]."""
        assert self.hidden_td is not None, "wanted the hidden states of a cached trunk"
        return self.hidden_td[batch.nodes.cpu()]


class Cut(NamedTuple):
    """A model, and how many of its top blocks are trained above a cached trunk; None for all of it."""

    model: Any
    blocks: int | None

    @property
    def below(self) -> int:
        """How many blocks lie in the trunk."""
        return 0 if self.blocks is None else len(self.model.model.layers) - self.blocks


def compute(model: Any, plan: Plan, blocks: int | None, report: Report) -> Trunk:
    """Runs the model over all texts.

    Args:
        model: The reference model, on its device.
        plan: The texts.
        blocks: How many top blocks will be trained above a cached trunk; None for a trainer without one.
        report: Told how many texts of how many are done.
    """
    size = len(plan.tree)
    hidden_td = None if blocks is None else torch.zeros(size, model.config.hidden_size)
    made = Trunk(hidden_td, torch.zeros(size))
    _fill(Cut(model, blocks), plan, made, ((plan.trained_texts, True), (_scored(plan), False)), report=report)
    return made


def extended(cut: Cut, plan: Plan, made: Trunk, texts: Sequence[Text]) -> Trunk:
    """Adds texts that `prepare` did not foresee to the plan's tree and to what is known of it; what was known stays as it is.

    Args:
        cut: The reference model.
        plan: The plan, whose tree grows.
        made: What is known so far.
        texts: The texts; those that were foreseen as trained cost nothing.
    """
    foreseen = set(plan.trained_texts)
    # Of a text that was only to be scored the end token's log-probability is not known yet.
    missing = [text for text in dict.fromkeys(texts) if text not in foreseen]
    if not missing:
        return made
    known = len(plan.tree)
    for text in missing:
        if text not in plan.tree.paths:
            plan.tree.add(text, plan.encoder.encode(text))
    added = len(plan.tree) - known
    hidden_td = made.hidden_td
    if hidden_td is not None:
        hidden_td = torch.cat([hidden_td, torch.zeros(added, hidden_td.shape[1])])
    grown = Trunk(hidden_td, torch.cat([made.reference_t, torch.zeros(added)]))
    _fill(cut, plan, grown, ((missing, True),), known=known)
    return grown


def with_reference_of(cut: Cut, plan: Plan, made: Trunk, report: Report) -> Trunk:
    """Gives the same trunk with the log-probabilities of another model above it: that of the warm-up."""
    again = Trunk(made.hidden_td, torch.zeros(len(plan.tree)))
    _fill(cut, plan, again, ((plan.trained_texts, True), (_scored(plan), False)), report=report, from_trunk=made.hidden_td is not None)
    return again


def _scored(plan: Plan) -> list[Text]:
    return list(dict.fromkeys(side for question in plan.questions for side in (question.right, question.wrong)))


@torch.no_grad()
def _fill(
    cut: Cut,
    plan: Plan,
    trunk: Trunk,
    texts: Sequence[tuple[Sequence[Text], bool]],
    *,
    report: Report = lambda done, total: None,
    known: int = 0,
    from_trunk: bool = False,
) -> None:
    """Computes the nodes of some texts from index `known` on; the texts come with whether their end token counts."""
    total, done = sum(len(some) for some, _ in texts), 0
    for some, with_end in texts:
        paths = [plan.tree.paths[text] for text in some]
        for chunk in chunks_of(plan.tree, paths, NODES_PER_BATCH):
            batch = batch_of(plan.tree, [paths[place] for place in chunk], with_end).to(cut.model.device)
            entering_nd = trunk.entering(batch).to(cut.model.device) if from_trunk else _below(cut, batch, trunk, known)
            top_nd = run_blocks(cut.model, batch, entering_nd, slice(cut.below, None))
            edges = batch.edges.cpu()
            # What is known stays, to the bit: other texts beside it would change the order of sums.
            fresh = trunk.reference_t[edges] == 0
            trunk.reference_t[edges[fresh]] = edge_logprobs(cut.model, batch, top_nd).cpu()[fresh]
            done += len(chunk)
            report(done, total)


def _below(cut: Cut, batch: TreeBatch, trunk: Trunk, known: int) -> Tensor:
    hidden_nd = run_blocks(cut.model, batch, embed(cut.model, batch), slice(0, cut.below))
    if trunk.hidden_td is not None:
        fresh = batch.nodes.cpu() >= known
        trunk.hidden_td[batch.nodes.cpu()[fresh]] = hidden_nd.float().cpu()[fresh]
    return hidden_nd


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
    hidden = {} if trunk.hidden_td is None else {"hidden": trunk.hidden_td}
    save_file({**hidden, "reference": trunk.reference_t, **tensors_of(plan.tree)}, path)


def load(path: Path, plan: Plan) -> Trunk:
    """Reads a trunk and holds it to the plan's own tree, which must be the one that it was made for."""
    tensors = load_file(path)
    assert tensors["tokens"].tolist() == plan.tree.tokens, "a trunk belongs to the tree of its own records"
    assert tensors["parents"].tolist() == plan.tree.parents, "a trunk belongs to the tree of its own records"
    return Trunk(tensors.get("hidden"), tensors["reference"])
