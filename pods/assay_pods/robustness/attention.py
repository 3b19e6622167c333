"""Which attention a TRL training computes with."""

import importlib.util
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from assay_pods.common.context import BadInputError, RunContext

IMPLEMENTATIONS = {"SDPA": "sdpa", "FLASH_2": "flash_attention_2"}


@contextmanager
def chosen(model: Any, context: RunContext) -> Generator[None]:
    """Trains with the attention of the spec and gives the model back as it was: scoring over trees of texts needs masks of its own.

    Raises:
        BadInputError: ATTENTION_UNSUPPORTED, for another word, or flash-attention 2 where it is not installed, on a CPU or in fp32.
    """
    wanted = context.spec["trainer"].get("attention", "SDPA")
    check(wanted, context)
    model.set_attn_implementation(IMPLEMENTATIONS[wanted])
    try:
        yield
    finally:
        model.set_attn_implementation(IMPLEMENTATIONS["SDPA"])


@contextmanager
def for_scoring(model: Any) -> Generator[Any]:
    """Lends a model that is being trained to scoring, which needs attention with masks of its own, and gives its attention back."""
    found = model.config._attn_implementation  # noqa: SLF001 - the library has no public reader of it
    model.set_attn_implementation(IMPLEMENTATIONS["SDPA"])
    try:
        yield model
    finally:
        model.set_attn_implementation(found)


def check(wanted: str, context: RunContext) -> None:
    """Refuses an attention that this run cannot have.

    Raises:
        BadInputError: ATTENTION_UNSUPPORTED.
    """
    if wanted not in IMPLEMENTATIONS:
        raise BadInputError("ATTENTION_UNSUPPORTED", f"wanted the attention {' or '.join(IMPLEMENTATIONS)}, got {wanted!r}")
    if wanted == "SDPA":
        return
    if context.spec["trainer"]["kind"] == "TOP_BLOCKS":
        raise BadInputError("ATTENTION_UNSUPPORTED", "wanted SDPA for the cached-trunk trainer, whose masks are trees, got FLASH_2")
    if context.device == "cpu" or context.spec["precision"] != "bf16":
        got = f"{context.spec['precision']} on {context.device}"
        raise BadInputError("ATTENTION_UNSUPPORTED", f"wanted bf16 on a GPU for FLASH_2, got {got}")
    if importlib.util.find_spec("flash_attn") is None:
        raise BadInputError("ATTENTION_UNSUPPORTED", "wanted the package flash-attn beside this pod for FLASH_2, got none")
