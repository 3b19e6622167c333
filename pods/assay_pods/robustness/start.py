"""Where a training starts: the model as it came, or the model after its seed's warm-up."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from assay_pods.common.context import RunContext
from assay_pods.common.models import LoadedModel


def save_weights(context: RunContext, name: str, weights: dict[str, Tensor]) -> None:
    """Saves what was trained under a name."""
    path = context.work_dir / name
    save_file({key: value.detach().cpu().contiguous() for key, value in weights.items()}, path)
    context.save(name, "WEIGHTS", path)


def started(loaded: LoadedModel, context: RunContext) -> LoadedModel:
    """Puts the weights of the warm-up into a model, where the run has them; gives the model that training starts from."""
    if "start" not in context.inputs:
        return loaded
    return LoadedModel(_with_weights(loaded.model, context.inputs["start"], context.spec["trainer"]), loaded.tokenizer)


def _with_weights(model: Any, path: Path, trainer: Any) -> Any:
    weights = load_file(path)
    if trainer["kind"] == "TRL_LORA":
        from peft import get_peft_model, set_peft_model_state_dict

        from assay_pods.robustness.trl_reference import lora_of

        adapters: Any = lora_of(trainer)
        adapted: Any = get_peft_model(model, adapters)
        set_peft_model_state_dict(adapted, weights)
        return adapted.merge_and_unload()
    found = model.load_state_dict(weights, strict=False)
    assert not found.unexpected_keys, f"wanted weights of this model, got {found.unexpected_keys[:3]}"
    return model
