"""How a model is trained: what a spec says of method, rate and mitigation, read once and in one place."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay_pods.common.context import BadInputError, RunContext

METHODS = ("SFT", "DPO", "KTO")
UNTRAINED = ("BASE", "START")
"""Cells that train nothing: the model as it came, and the model after the warm-up."""

VARIANTS = {"TIES": ("DPO",), "GROUP_BALANCED": METHODS, "GROUP_DRO": ("SFT",), "SIZE_CONTROL": METHODS}
"""The mitigations and controls, and the methods that each of them is defined for."""

TOKENS_MAX = 512
"""The longest prompt and completion together, where a spec names no other."""


@dataclass(frozen=True)
class Variant:
    """What is done beside the plain training: `fraction` is that of TIES, `step_size` that of GROUP_DRO."""

    kind: str
    fraction: float = 0.0
    step_size: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a training beside the rows."""

    method: str
    learning_rate: float
    epochs: int
    prompts_per_step: int
    beta: float
    seed: int
    variant: Variant | None = None

    @property
    def variant_kind(self) -> str | None:
        """The mitigation's name, None for plain training."""
        return None if self.variant is None else self.variant.kind


def recipe_of(context: RunContext) -> Recipe:
    """Reads the recipe of a cell.

    Raises:
        BadInputError: METHOD_UNKNOWN, VARIANT_UNKNOWN or SELECTION_EMPTY.
    """
    spec = context.spec
    if spec["method"] not in METHODS:
        raise BadInputError("METHOD_UNKNOWN", f"wanted a method of {', '.join((*UNTRAINED, *METHODS))}, got {spec['method']!r}")
    return Recipe(
        method=spec["method"],
        learning_rate=_learning_rate(spec, context.inputs),
        epochs=spec["trainer"]["epochs"],
        prompts_per_step=spec["trainer"]["promptsPerStep"],
        beta=spec["trainer"]["beta"],
        seed=spec["seed"],
        variant=_variant(spec),
    )


def warmup_recipe(spec: Mapping[str, Any]) -> Recipe:
    """Gives the recipe of a warm-up: SFT at its own rate, by the spec's own trainer."""
    return Recipe(
        method="SFT",
        learning_rate=spec["warmup"]["learningRate"],
        epochs=spec["warmup"]["epochs"],
        prompts_per_step=spec["trainer"]["promptsPerStep"],
        beta=spec["trainer"].get("beta", 0.1),
        seed=spec["seed"],
    )


def tokens_max(spec: Mapping[str, Any]) -> int:
    """Gives how many tokens a prompt and its completion may have together."""
    return int(spec["trainer"].get("maxLength", TOKENS_MAX))


def _variant(spec: Mapping[str, Any]) -> Variant | None:
    said = spec.get("variant")
    if said is None:
        return None
    kind = said["kind"]
    if spec["method"] not in VARIANTS.get(kind, ()):
        known = "; ".join(f"{name} with {', '.join(methods)}" for name, methods in VARIANTS.items())
        raise BadInputError("VARIANT_UNKNOWN", f"wanted a variant of {known}; got {kind!r} with {spec['method']}")
    variant = Variant(kind, float(said.get("fraction", 0.0)), float(said.get("stepSize", 0.0)))
    if kind == "TIES" and not 0 < variant.fraction < 1:
        raise BadInputError("VARIANT_UNKNOWN", f"wanted a fraction of ties between 0 and 1, got {variant.fraction}")
    if kind == "GROUP_DRO" and not 0 < variant.step_size < float("inf"):
        raise BadInputError("VARIANT_UNKNOWN", f"wanted a step size above 0, got {variant.step_size}")
    return variant


def _learning_rate(spec: Mapping[str, Any], inputs: Mapping[str, Path]) -> float:
    if spec["learningRate"] is not None:
        return float(spec["learningRate"])
    selected: Mapping[str, float] = json.loads(inputs["selection"].read_bytes())["learningRate"]
    if spec["method"] not in selected:
        raise BadInputError("SELECTION_EMPTY", f"wanted a selected learning rate for {spec['method']}, got one for {sorted(selected)}")
    return float(selected[spec["method"]])
