"""Step `encode`: the vectors of one shard of the corpus, in pieces that outlive a killed attempt."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from assay_pods.common.canonical_json import canonical_json
from assay_pods.common.context import RunContext
from assay_pods.retrieval import files
from assay_pods.retrieval.encoder import Encoder, Rows
from assay_pods.retrieval.files import Document

PIECE = 4_096
"""Documents of a piece; a killed run goes on behind its last whole one."""
_TYPES = {"float32": np.float32, "float16": np.float16}


def encode_shard(context: RunContext) -> dict[str, Any]:
    """Writes `ids.txt` and `embeddings.npy` of the shard: rows in the order of the corpus.

    The corpus is cut evenly into the spec's count of shards; a shard may be empty. Pieces that an earlier attempt finished on this pod are
    taken from its cache, named by the encoder and the texts, and held to their digest.
    """
    started = (time.perf_counter(), time.process_time())
    spec = context.spec
    documents = _of_shard(context.inputs["corpus"], spec["shard"]["index"], spec["shard"]["count"])
    pieces = [documents[start : start + PIECE] for start in range(0, len(documents), PIECE)]
    store = _Pieces(context)
    paths: list[Path] = []
    for place, piece in enumerate(pieces):
        context.progress("encoding", min(place * PIECE, len(documents)), len(documents))
        paths.append(store.give(piece))
    _save(context, documents, paths)
    context.progress("encoding", len(documents), len(documents))
    store.clear()
    seconds = {"wall": time.perf_counter() - started[0], "cpu": time.process_time() - started[1]}
    told = {"documents": len(documents), "dimensions": store.width, "storage": spec["shard"]["storage"]}
    return {"step": "encode", "shard": dict(spec["shard"]), **told, "seconds": seconds | {"piecesTaken": store.taken}, "warnings": []}


class _Pieces:
    """Vectors by the texts that they are of, in the pod's cache. The encoder is loaded once there is something to encode."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._folder = context.cache_dir / "pieces"
        self._encoder: Encoder | None = None
        self._mine: list[Path] = []
        self.width: int | None = None
        self.taken = 0

    def give(self, documents: Sequence[Document]) -> Path:
        """The file of the piece, encoded where there is none yet."""
        named = canonical_json({"encoder": dict(self._context.spec["encoder"]), "texts": [document.text for document in documents]})
        path = self._folder / f"{hashlib.sha256(named).hexdigest()}.npy"
        self._mine.append(path)
        rows = self._kept(path)
        if rows is None:
            rows = self._made(documents)
            self._keep(path, rows)
        else:
            self.taken += 1
        self.width = rows.shape[1]
        return path

    def clear(self) -> None:
        """Forgets this shard's pieces: the artifact holds them now."""
        for path in self._mine:
            path.unlink(missing_ok=True)
            _mark_of(path).unlink(missing_ok=True)

    def _made(self, documents: Sequence[Document]) -> Rows:
        if self._encoder is None:
            self._encoder = Encoder(self._context.spec["encoder"], self._context.device, self._context.cache_dir)
        return self._encoder.documents([document.text for document in documents])

    def _kept(self, path: Path) -> Rows | None:
        """A piece counts when the mark that is written last names its bytes."""
        try:
            mark = json.loads(_mark_of(path).read_text())
            content = path.read_bytes()
        except (OSError, ValueError):
            return None
        if hashlib.sha256(content).hexdigest() != mark.get("sha256"):
            return None
        return np.load(path, allow_pickle=False)

    def _keep(self, path: Path, rows: Rows) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f"{path.stem}.{os.getpid()}.npy")
        np.save(scratch, rows)
        digest = hashlib.sha256(scratch.read_bytes()).hexdigest()
        scratch.rename(path)
        mark = scratch.with_suffix(".json")
        mark.write_text(json.dumps({"sha256": digest}))
        mark.rename(_mark_of(path))


def _mark_of(path: Path) -> Path:
    return path.with_suffix(".json")


def _of_shard(corpus: Path, index: int, count: int) -> list[Document]:
    total = sum(1 for _ in files.stream_corpus(corpus))
    begin, end = total * index // count, total * (index + 1) // count
    return list(islice(files.stream_corpus(corpus), begin, end))


def _save(context: RunContext, documents: Sequence[Document], paths: Sequence[Path]) -> None:
    """Puts the pieces together on the disk, one in memory at a time."""
    ids = context.work_dir / "ids.txt"
    ids.write_text("".join(f"{document.id}\n" for document in documents), encoding="utf-8", newline="\n")
    context.save("ids.txt", "DATASET", ids)
    dtype = _TYPES[context.spec["shard"]["storage"]]
    width = np.load(paths[0], mmap_mode="r").shape[1] if paths else 0
    target = context.work_dir / "embeddings.npy"
    if not paths:
        np.save(target, np.zeros((0, 0), dtype=dtype))
    else:
        whole = np.lib.format.open_memmap(target, mode="w+", dtype=dtype, shape=(len(documents), width))
        for place, path in enumerate(paths):
            rows = np.load(path, allow_pickle=False)
            whole[place * PIECE : place * PIECE + len(rows)] = rows
        whole.flush()
        del whole
    context.save("embeddings.npy", "CACHE", target)
