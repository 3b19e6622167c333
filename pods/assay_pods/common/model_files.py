"""What a model folder may hold, and the digest that names it."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from assay_pods.common.canonical_json import canonical_json
from assay_pods.common.context import BadInputError

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
HEADER_BYTES_MAX = 100_000_000
CODE_KEYS = ("auto_map", "custom_pipelines")


def folder_digest(folder: Path) -> str:
    """Gives the SHA-256 of the canonical JSON that lists the folder's files: name, size and SHA-256, by name.

    Sub-folders and files whose name begins with a dot are not read.
    """
    listing = []
    for path in sorted(_files(folder), key=lambda file: file.name):
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        listing.append({"bytes": path.stat().st_size, "name": path.name, "sha256": sha256})
    return hashlib.sha256(canonical_json(listing)).hexdigest()


def check_folder(folder: Path) -> None:
    """Refuses a model folder that could run code or that lacks what a model needs.

    Raises:
        BadInputError: MODEL_UNSAFE, for pickled weights, code named by a configuration or a broken safetensors file; MODEL_NOT_FOUND,
            when config.json, safetensors weights or a tokenizer are missing.
    """
    names = {path.name: path for path in _files(folder)}
    for name, path in names.items():
        if path.suffix.lower() in PICKLE_SUFFIXES:
            raise BadInputError("MODEL_UNSAFE", f"wanted safetensors weights only, got the pickle file {name!r}")
        if path.suffix.lower() == ".py":
            raise BadInputError("MODEL_UNSAFE", f"wanted a model without code of its own, got {name!r}")
        if path.suffix == ".safetensors":
            _check_header(path)
    for name in ("config.json", "tokenizer_config.json"):
        if name not in names:
            raise BadInputError("MODEL_NOT_FOUND", f"wanted {name} in {folder}, got {sorted(names)}")
        _check_config(names[name])
    if not any(path.suffix == ".safetensors" for path in names.values()):
        raise BadInputError("MODEL_NOT_FOUND", f"wanted safetensors weights in {folder}, got {sorted(names)}")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]


def _check_config(path: Path) -> None:
    try:
        config: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as wrong:
        raise BadInputError("MODEL_UNSAFE", f"{path.name}: wanted JSON, got: {wrong}") from wrong
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
        except ValueError as wrong:
            raise BadInputError("MODEL_UNSAFE", f"{path.name}: wanted JSON in the safetensors header, got: {wrong}") from wrong
    data = [value for key, value in header.items() if key != "__metadata__"] if isinstance(header, dict) else []
    ends = [entry["data_offsets"][1] for entry in data if isinstance(entry, dict) and "data_offsets" in entry]
    if not data or len(ends) != len(data) or max(ends) != size - 8 - length:
        raise BadInputError("MODEL_UNSAFE", f"{path.name}: wanted safetensors whose tensors fill the file, got a broken one")
