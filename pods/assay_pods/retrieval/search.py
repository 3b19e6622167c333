"""Exact search by inner product over shards of vectors that stay on the disk: a block at a time, in memory that does not grow with them."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from assay_pods.common.context import BadInputError
from assay_pods.retrieval.ordering import Pair, room_for, without_own

BLOCK_ROWS = 16_384
"""Documents of one block: at 384 dimensions 24 MiB, and 32 MiB of keys beside it for QUERIES_AT_ONCE."""
QUERIES_AT_ONCE = 256


class Shard(NamedTuple):
    """Vectors of some documents."""

    ids: list[str]
    vectors: np.ndarray
    """[n, d] float32 or float16, memory-mapped."""


class Shards:
    """The vectors of a collection."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        """Puts shards together; ids must be different throughout.

        Raises:
            BadInputError: COLLECTION_INVALID, when the parts do not fit together.
        """
        self.shards = list(shards)
        self.ids = [one for shard in shards for one in shard.ids]
        widths = {shard.vectors.shape[1] for shard in shards if len(shard.ids)}
        if len(widths) > 1:
            raise BadInputError("COLLECTION_INVALID", f"wanted shards of one width, got {sorted(widths)}")
        for place, shard in enumerate(shards):
            if len(shard.ids) != len(shard.vectors):
                raise BadInputError(
                    "COLLECTION_INVALID", f"shard {place}: wanted a vector an id, got {len(shard.vectors)} for {len(shard.ids)}"
                )
        # Documents by their place in the order of ids: with it a tie is settled by comparing numbers.
        self._starts = np.cumsum([0, *(len(shard.ids) for shard in shards)])
        order = sorted(range(len(self.ids)), key=lambda place: self.ids[place].encode())
        self._by_rank = np.array(order, dtype=np.int64)
        self._rank = np.empty(len(order), dtype=np.int64)
        self._rank[self._by_rank] = np.arange(len(order))
        twice = next((self.ids[a] for a, b in zip(order, order[1:], strict=False) if self.ids[a] == self.ids[b]), None)
        if twice is not None:
            raise BadInputError("COLLECTION_INVALID", f"wanted each document once, got {twice!r} twice")

    def __len__(self) -> int:
        """How many documents there are."""
        return len(self.ids)

    @staticmethod
    def open(pairs: Sequence[tuple[Path, Path]]) -> "Shards":
        """Opens shards of `ids.txt` (an id a line) and `embeddings.npy`, whose bytes are read when they are searched.

        Raises:
            BadInputError: COLLECTION_INVALID.
        """
        return Shards([Shard(_lines(ids), np.load(vectors, mmap_mode="r", allow_pickle=False)) for ids, vectors in pairs])

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Gives all vectors as float32, some rows at a time, with their documents' ranks in the order of ids."""
        begin = 0
        for shard in self.shards:
            for start in range(0, len(shard.ids), rows):
                block = np.array(shard.vectors[start : start + rows], dtype=np.float32)
                yield block, self._rank[begin + start : begin + start + len(block)]
            begin += len(shard.ids)

    @property
    def width(self) -> int:
        """d, the length of a vector; 0 where there is none."""
        return next((shard.vectors.shape[1] for shard in self.shards if len(shard.ids)), 0)

    def rows(self, places: np.ndarray) -> np.ndarray:
        """The vectors at places of `ids`, [n, d] float32 in the order asked for."""
        found = np.empty((len(places), self.width), dtype=np.float32)
        of_shard = np.searchsorted(self._starts, places, side="right") - 1
        for number in np.unique(of_shard).tolist():
            here = of_shard == number
            found[here] = self.shards[number].vectors[places[here] - self._starts[number]]
        return found

    @cached_property
    def _place_of(self) -> dict[str, int]:
        return {one: place for place, one in enumerate(self.ids)}

    def vectors(self, ids: Sequence[str]) -> np.ndarray:
        """The vectors of some documents, [n, d] float32 in the order asked for.

        Raises:
            KeyError: there is no such document.
        """
        return self.rows(np.array([self._place_of[one] for one in ids], dtype=np.int64))

    def __contains__(self, one: object) -> bool:
        """Whether there is a document of this id."""
        return one in self._place_of

    def id_of_rank(self, rank: int) -> str:
        """The document at a place of the order of ids."""
        return self.ids[self._by_rank[rank]]


def exact(
    shards: Shards, queries: Any, k: int, *, device: str = "cpu", own_ids: Sequence[str] | None = None, block_rows: int = BLOCK_ROWS
) -> list[list[Pair]]:
    """Finds the best documents of each query among all of them.

    Args:
        shards: The collection.
        queries: [Q, d] float32, an array or a tensor.
        k: How many documents a query gets; fewer come where there are fewer.
        device: Where products are taken; sums are float32 on every device.
        own_ids: The queries' ids where a document of the same id is to be left out.
        block_rows: Documents that are looked at together, which bounds the memory.

    Raises:
        BadInputError: SCORES_NOT_FINITE, when a product is NaN or infinite.
    """
    asked = torch.as_tensor(np.ascontiguousarray(queries, dtype=np.float32))
    room = min(room_for(k, own_ids), len(shards))
    found: list[list[Pair]] = []
    for chunk in torch.split(asked, QUERIES_AT_ONCE):
        found += _chunk(shards, chunk.to(device), room, block_rows)
    return without_own(found, k, own_ids)


def _chunk(shards: Shards, queries_qd: Tensor, k: int, rows: int) -> list[list[Pair]]:
    """Keeps the best keys seen so far; a key is a score's bits above the document's rank, so that no two are equal."""
    best_qk = torch.empty(len(queries_qd), 0, dtype=torch.int64, device=queries_qd.device)
    for block, ranks in shards.blocks(rows):
        scores_qn = _products(queries_qd, torch.from_numpy(block).to(queries_qd.device))
        keys_qn = _keys(scores_qn, torch.from_numpy(ranks).to(queries_qd.device))
        candidates = torch.cat([best_qk, keys_qn], dim=1)
        best_qk = candidates.topk(min(k, candidates.shape[1]), dim=1).values
    scores, ranks_qk = _scores(best_qk).cpu().numpy(), (best_qk & 0xFFFFFFFF).cpu().numpy()
    return [
        [(shards.id_of_rank(rank), float(score)) for rank, score in zip(*row, strict=True)] for row in zip(ranks_qk, scores, strict=True)
    ]


def _products(queries_qd: Tensor, block_nd: Tensor) -> Tensor:
    scores_qn = queries_qd @ block_nd.T
    if not bool(torch.isfinite(scores_qn).all()):
        count = int((~torch.isfinite(scores_qn)).sum())
        raise BadInputError("SCORES_NOT_FINITE", f"wanted finite inner products, got {count} that are NaN or infinite")
    return scores_qn + 0.0  # minus zero equals zero and must not stand behind it


def _keys(scores_qn: Tensor, ranks_n: Tensor) -> Tensor:
    """Whole numbers in the order of (score, rank): a negative float's bits count backwards."""
    bits = scores_qn.view(torch.int32)
    ascending = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    return (ascending.to(torch.int64) << 32) | ranks_n


def _scores(keys: Tensor) -> Tensor:
    ascending = (keys >> 32).to(torch.int32)
    return torch.where(ascending < 0, ascending ^ 0x7FFFFFFF, ascending).view(torch.float32)


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return text.removesuffix("\n").split("\n") if text else []
