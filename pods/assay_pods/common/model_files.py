"""What a model folder may hold, and the digest that names it."""

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay_pods.common.canonical_json import canonical_json
from assay_pods.common.context import BadInputError

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
HEADER_BYTES_MAX = 100_000_000
CONFIG_BYTES_MAX = 64 * 2**20
CODE_KEYS = ("auto_map", "custom_pipelines")
ADAPTER_FILE = "adapter_config.json"
INDEX_SUFFIX = ".safetensors.index.json"


def folder_digest(folder: Path) -> str:
    """Gives the SHA-256 of the canonical JSON that lists the folder's files: name, size and SHA-256, by name.

    Sub-folders and files whose name begins with a dot are not read.
    """
    listing = []
    for path in sorted(_files(folder), key=lambda file: file.name):
        listing.append({"bytes": path.stat().st_size, "name": path.name, "sha256": sha256_of(path)})
    return hashlib.sha256(canonical_json(listing)).hexdigest()


def sha256_of(path: Path) -> str:
    """Gives the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_folder(folder: Path) -> None:
    """Refuses a model folder that could run code or that lacks what a model needs.

    Raises:
        BadInputError: MODEL_UNSAFE, for pickled weights, code named by a configuration, a broken safetensors file or an index that
            names weights elsewhere; MODEL_UNSUPPORTED, for an adapter, which may load another model; MODEL_NOT_FOUND, when
            config.json, safetensors weights or a tokenizer are missing.
    """
    names = {path.name: path for path in _files(folder)}
    for name, path in names.items():
        if path.suffix.lower() in PICKLE_SUFFIXES:
            raise BadInputError("MODEL_UNSAFE", f"wanted safetensors weights only, got the pickle file {name!r}")
        if path.suffix.lower() == ".py":
            raise BadInputError("MODEL_UNSAFE", f"wanted a model without code of its own, got {name!r}")
        if path.suffix == ".safetensors":
            _check_header(path)
        if name.endswith(INDEX_SUFFIX):
            _check_index(path, names)
    if ADAPTER_FILE in names:
        raise BadInputError("MODEL_UNSUPPORTED", f"wanted a whole model, got an adapter on another one ({ADAPTER_FILE})")
    for name in ("config.json", "tokenizer_config.json"):
        if name not in names:
            raise BadInputError("MODEL_NOT_FOUND", f"wanted {name} in {folder}, got {sorted(names)}")
        _check_config(names[name])
    if not any(path.suffix == ".safetensors" for path in names.values()):
        raise BadInputError("MODEL_NOT_FOUND", f"wanted safetensors weights in {folder}, got {sorted(names)}")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]


def _read_json(path: Path) -> Any:
    size = path.stat().st_size
    if size > CONFIG_BYTES_MAX:
        raise BadInputError("MODEL_UNSAFE", f"{path.name}: wanted at most {CONFIG_BYTES_MAX} bytes, got {size}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as wrong:
        raise BadInputError("MODEL_UNSAFE", f"{path.name}: wanted JSON, got: {wrong}") from wrong


def _check_index(path: Path, names: Mapping[str, Path]) -> None:
    """Holds an index to the folder's own safetensors files: a loader would follow it to any path and format."""
    index = _read_json(path)
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict):
        raise BadInputError("MODEL_UNSAFE", f"{path.name}: wanted a weight_map of tensors to files, got {type(shards).__name__}")
    for shard in shards.values():
        if not isinstance(shard, str) or not shard.endswith(".safetensors") or shard not in names:
            raise BadInputError("MODEL_UNSAFE", f"{path.name}: wanted safetensors files of the folder itself, got {shard!r}")


def _check_config(path: Path) -> None:
    config = _read_json(path)
    for key in CODE_KEYS:
        if isinstance(config, dict) and key in config:
            raise BadInputError("MODEL_UNSAFE", f"{path.name}: wanted a configuration that names no code, got the key {key!r}")


def _check_header(path: Path) -> None:
    """Reads no more than the header: eight bytes of length, then that much JSON."""
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else -1
        if not 2 <= length <= min(HEADER_BYTES_MAX, size - 8):
            raise BadInputError(
                "MODEL_UNSAFE", f"{path.name}: wanted a safetensors header of at most {HEADER_BYTES_MAX} bytes, got {length}"
            )
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as wrong:
            raise BadInputError("MODEL_UNSAFE", f"{path.name}: wanted JSON in the safetensors header, got: {wrong}") from wrong
    if not _fills(header, size - 8 - length):
        raise BadInputError("MODEL_UNSAFE", f"{path.name}: wanted safetensors whose tensors fill the file, got a broken one")


def _fills(header: Any, size: int) -> bool:
    """Whether the tensors of a header lie one after another, without gap or overlap, up to the end of the data."""
    if not isinstance(header, dict):
        return False
    spans = [_span(entry) for name, entry in header.items() if name != "__metadata__"]
    known = sorted(span for span in spans if span is not None)
    starts, ends = [start for start, _ in known], [end for _, end in known]
    return bool(known) and len(known) == len(spans) and starts == [0, *ends[:-1]] and ends[-1] == size


def _span(entry: Any) -> tuple[int, int] | None:
    """The bytes of one tensor, or None where its entry does not say them."""
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(offset) is int for offset in offsets):
        return None
    return (offsets[0], offsets[1]) if 0 <= offsets[0] <= offsets[1] else None
