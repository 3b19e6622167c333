"""A student as a folder that `SentenceTransformer(path)` loads, in one zip file whose bytes depend on nothing but the student."""

import copy
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize

from assay_pods.retrieval.encoder import Encoder
from assay_pods.retrieval.students.ridge import Ridge

_MOMENT = (1980, 1, 1, 0, 0, 0)


def write_student(encoder: Encoder, work: Path, ridge: Ridge | None = None) -> Path:
    """Writes the encoder, with a residual map behind it where there is one, and gives the zip file's path."""
    modules: list[Any] = list(encoder.model)
    if ridge is not None:
        modules = [*modules, _dense(ridge), Normalize()]
    prompts = _prompts(encoder.spec)
    model = SentenceTransformer(modules=modules, prompts=prompts or None, default_prompt_name="query" if prompts else None, device="cpu")
    folder = work / "student"
    model.save(str(folder), create_model_card=False)
    target = work / "student.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as packed:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            packed.writestr(zipfile.ZipInfo(str(path.relative_to(folder)), _MOMENT), path.read_bytes())
    return target


def _dense(ridge: Ridge) -> Dense:
    """E + e W as a linear layer: its matrix is (I + W) transposed."""
    width = len(ridge.weights)
    layer = Dense(width, width, bias=False, activation_function=torch.nn.Identity())
    with torch.no_grad():
        layer.linear.weight.copy_(torch.from_numpy(copy.deepcopy(ridge.weights)).T + torch.eye(width, dtype=torch.float64))
    return layer


def _prompts(spec: Mapping[str, Any]) -> dict[str, str]:
    found = {"query": spec["queryPrompt"], "document": spec["documentPrompt"]}
    return found if any(found.values()) else {}
