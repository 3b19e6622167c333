"""Texts that begin alike, as one tree: every shared beginning is computed once.

A node is a token after all its ancestors, so causal attention over a text is attention over a node's ancestors. A batch is a set of nodes
closed under ancestors, laid out as one sequence with a mask that lets each node see its ancestors and itself; this gives the same values
as one padded row a text, up to the order of float sums.

Shapes: N nodes of the batch, E edges (completion tokens), H heads (nodes after which a completion token comes), S texts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from assay_pods.robustness.encoding import Encoded, Text

ROOT = -1


@dataclass(frozen=True)
class Path:
    """The nodes of one text, from its first token to the end-of-sequence token, and where its completion starts."""

    nodes: tuple[int, ...]
    prompt_length: int

    def edges(self, with_end: bool) -> tuple[int, ...]:
        """The nodes of the completion's tokens, with or without the end-of-sequence token."""
        return self.nodes[self.prompt_length :] if with_end else self.nodes[self.prompt_length : -1]


@dataclass
class PrefixTree:
    """The tree of all texts of a run; a parent's index is smaller than its child's."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    paths: dict[Text, Path] = field(default_factory=dict)
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, text: Text, encoded: Encoded) -> None:
        """Adds a text; adding it again changes nothing."""
        nodes: list[int] = []
        parent = ROOT
        for depth, token in enumerate((*encoded.prompt_ids, *encoded.completion_ids)):
            key = (parent, token)
            if key not in self._children:
                self._children[key] = len(self.tokens)
                self.tokens.append(token)
                self.parents.append(parent)
                self.depths.append(depth)
            parent = self._children[key]
            nodes.append(parent)
        self.paths[text] = Path(tuple(nodes), len(encoded.prompt_ids))

    def __len__(self) -> int:
        """Gives the number of nodes."""
        return len(self.tokens)


@dataclass(frozen=True)
class TreeBatch:
    """Some texts of a tree, ready for the model."""

    nodes: Tensor
    """[N] indices into the tree, rising."""
    tokens: Tensor
    """[N] their tokens."""
    positions: Tensor
    """[1, N] their distance from the start of the text."""
    mask: Tensor
    """[1, 1, N, N] whether the node of a row sees the node of a column."""
    heads: Tensor
    """[H] places in the batch after which a completion token comes."""
    edges: Tensor
    """[E] indices into the tree of the completion tokens."""
    edge_heads: Tensor
    """[E] the place in `heads` of each completion token's parent."""
    edge_tokens: Tensor
    """[E] the completion tokens."""
    membership: Tensor
    """[S, E] 1 where the completion token belongs to the text: see `sum_by_text`."""

    def sum_by_text(self, values_e: Tensor) -> Tensor:
        """Gives the sum of edge values over each text: [S], in fp32 also where matrix products are done in bf16."""
        with torch.autocast(values_e.device.type, enabled=False):
            return self.membership @ values_e.float()

    def to(self, device: str) -> "TreeBatch":
        """Gives the batch on another device."""
        return TreeBatch(**{name: value.to(device) for name, value in vars(self).items()})


def batch_of(tree: PrefixTree, paths: Sequence[Path], with_end: bool) -> TreeBatch:
    """Lays out some texts of a tree.

    Args:
        tree: The tree.
        paths: The texts, in the order of the rows of `membership`.
        with_end: Whether the end-of-sequence token counts as a completion token.
    """
    edges = sorted({node for path in paths for node in path.edges(with_end)})
    nodes = _ancestors(tree, (tree.parents[edge] for edge in edges))
    place = {node: index for index, node in enumerate(nodes)}
    heads = sorted({place[tree.parents[edge]] for edge in edges})
    head_place = {head: index for index, head in enumerate(heads)}
    edge_place = {edge: index for index, edge in enumerate(edges)}
    membership = torch.zeros(len(paths), len(edges))
    for row, path in enumerate(paths):
        membership[row, [edge_place[edge] for edge in path.edges(with_end)]] = 1
    return TreeBatch(
        nodes=torch.tensor(nodes),
        tokens=torch.tensor([tree.tokens[node] for node in nodes]),
        positions=torch.tensor([[tree.depths[node] for node in nodes]]),
        mask=_mask(tree, nodes, place),
        heads=torch.tensor(heads),
        edges=torch.tensor(edges),
        edge_heads=torch.tensor([head_place[place[tree.parents[edge]]] for edge in edges]),
        edge_tokens=torch.tensor([tree.tokens[edge] for edge in edges]),
        membership=membership,
    )


def chunks_of(tree: PrefixTree, paths: Sequence[Path], nodes_max: int) -> Iterable[list[int]]:
    """Cuts texts into groups of neighbours whose new nodes number about `nodes_max`; yields places in `paths`.

    Texts are taken in the order of their nodes, so those that begin alike fall into one group.
    """
    chunk: list[int] = []
    seen: set[int] = set()
    for index in sorted(range(len(paths)), key=lambda place: paths[place].nodes):
        fresh = set(paths[index].nodes) - seen
        if chunk and len(seen) + len(fresh) > nodes_max:
            yield chunk
            chunk, seen = [], set()
        chunk.append(index)
        seen.update(paths[index].nodes)
    if chunk:
        yield chunk


def _ancestors(tree: PrefixTree, starts: Iterable[int]) -> list[int]:
    found: set[int] = set()
    for start in starts:
        node = start
        while node != ROOT and node not in found:
            found.add(node)
            node = tree.parents[node]
    return sorted(found)


def _mask(tree: PrefixTree, nodes: Sequence[int], place: dict[int, int]) -> Tensor:
    mask = torch.eye(len(nodes), dtype=torch.bool)
    for row, node in enumerate(nodes):
        parent = tree.parents[node]
        if parent != ROOT:
            mask[row] |= mask[place[parent]]
    return mask[None, None]
