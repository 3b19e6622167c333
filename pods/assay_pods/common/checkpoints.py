"""Checkpoints: all that a training needs to go on as if it had never stopped, in one safetensors file.

Tensors are the weights that train, the optimiser's state and torch's random states. Everything else is JSON in the file's metadata:
step, digest of the spec, schedule, Python's and numpy's random states, and what the trainer noted on the way. Nothing is ever pickled.
"""

import dataclasses
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from assay_pods.common.checkpoint_files import STATE_KEY, CheckpointError, read_state
from assay_pods.common.context import RunContext

_VERSION = 1
_WEIGHT, _OPTIMISER, _RANDOM = "weight/", "optimiser/", "random/"


@dataclass(frozen=True)
class Training:
    """What changes while a model trains."""

    weights: Mapping[str, Tensor]
    """The parameters that train, by name."""
    optimiser: Any
    """A torch optimiser over these weights."""
    schedule: Any
    """A torch learning-rate scheduler."""
    log: Any
    """A dataclass of JSON values: what the trainer notes on the way."""


class Checkpoints:
    """When a training's state is kept, and how a training goes on from where another attempt got to."""

    def __init__(self, context: RunContext, training: Training) -> None:
        """Keep the state of this training for this run."""
        self._context = context
        self._training = training

    def resume(self) -> int:
        """Puts the training where the run's checkpoint left it; gives the number of steps that are done, 0 without a checkpoint.

        Raises:
            CheckpointError: The file is no checkpoint of this training.
        """
        if self._context.resume is None:
            return 0
        return restore(self._context.resume, self._training, self._context.spec_sha256)

    def after_step(self, step: int) -> None:
        """Writes a checkpoint when one is due.

        Raises:
            ReleasedError: The run was asked to stop here.
        """
        if self._context.checkpoint_due():
            path = self._context.work_dir / "checkpoint.safetensors"
            write(path, self._training, (step, self._context.spec_sha256))
            self._context.checkpoint(path, step)


def write(path: Path, training: Training, step_and_digest: tuple[int, str]) -> None:
    """Writes the state of a training after some steps of the spec with this digest. Equal states give equal bytes."""
    step, digest = step_and_digest
    optimiser = training.optimiser.state_dict()
    tensors = {_WEIGHT + name: value for name, value in training.weights.items()}
    plain: dict[str, dict[str, Any]] = {}
    for index, values in optimiser["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{_OPTIMISER}{index}/{name}"] = value
            else:
                plain.setdefault(str(index), {})[name] = value
    tensors |= {_RANDOM + name: value for name, value in _torch_random().items()}
    state = {
        "version": _VERSION,
        "step": step,
        "specSha256": digest,
        "optimiser": {"groups": optimiser["param_groups"], "state": plain},
        "schedule": training.schedule.state_dict(),
        "random": _plain_random(),
        "log": dataclasses.asdict(training.log),
    }
    save_file({name: _portable(value) for name, value in tensors.items()}, path, {STATE_KEY: json.dumps(state, sort_keys=True)})


def restore(path: Path, training: Training, digest: str) -> int:
    """Puts a training into the state that a checkpoint holds; gives its step.

    Raises:
        CheckpointError: The file is no checkpoint of this training and of the spec with this digest.
    """
    state = read_state(path)
    if state.get("specSha256") != digest:
        raise CheckpointError(f"wanted a checkpoint of the spec {digest}, but got one of {state.get('specSha256')}")
    if state.get("version") != _VERSION:
        raise CheckpointError(f"wanted a checkpoint of version {_VERSION}, but got version {str(state.get('version'))[:80]}")
    try:
        tensors = load_file(path)
        _restore_weights(training.weights, _below(tensors, _WEIGHT))
        _restore_optimiser(training.optimiser, state["optimiser"], _below(tensors, _OPTIMISER))
        training.schedule.load_state_dict(state["schedule"])
        for name, value in state["log"].items():
            setattr(training.log, name, value)
        # Last: making the objects above may have drawn numbers.
        _restore_random(state["random"], _below(tensors, _RANDOM))
        return int(state["step"])
    except CheckpointError:
        raise
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        message = f"wanted a checkpoint that fits this training, but got {type(error).__name__}: {error}"
        raise CheckpointError(message) from error


def _restore_random(plain: Mapping[str, Any], states: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(states["torch"])
    devices = [name for name in states if name.startswith("cuda")]
    if torch.cuda.is_available() and len(devices) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([states[f"cuda{index}"] for index in range(len(devices))])
    version, words, gauss = plain["python"]
    random.setstate((version, tuple(words), gauss))
    kind, keys, position, has_gauss, cached = plain["numpy"]
    numpy.random.set_state((kind, numpy.array(keys, dtype=numpy.uint32), position, has_gauss, cached))


def _restore_weights(weights: Mapping[str, Tensor], held: Mapping[str, Tensor]) -> None:
    if weights.keys() != held.keys():
        raise CheckpointError(f"wanted a checkpoint of {len(weights)} weights, but got one of {len(held)} others")
    with torch.no_grad():
        for name, weight in weights.items():
            if weight.shape != held[name].shape or weight.dtype != held[name].dtype:
                raise CheckpointError(f"wanted {name} as {weight.dtype} {list(weight.shape)}, but got {held[name].dtype}")
            weight.copy_(held[name])


def _restore_optimiser(optimiser: Any, held: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in held["state"].items()}
    for place, value in tensors.items():
        index, _, name = place.partition("/")
        state.setdefault(int(index), {})[name] = value
    now = optimiser.state_dict()["param_groups"]
    groups = [_like(group, before) for group, before in zip(held["groups"], now, strict=True)]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def _like(group: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no tuples: what is one now becomes one again."""
    return {name: tuple(value) if isinstance(before.get(name), tuple) else value for name, value in group.items()}


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _portable(value: Tensor) -> Tensor:
    return value.detach().cpu().contiguous()


def _torch_random() -> dict[str, Tensor]:
    states = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states |= {f"cuda{index}": value for index, value in enumerate(torch.cuda.get_rng_state_all())}
    return states


def _plain_random() -> dict[str, Any]:
    kind, keys, position, has_gauss, cached = numpy.random.get_state(legacy=True)
    return {"python": random.getstate(), "numpy": [kind, [int(key) for key in keys], int(position), int(has_gauss), float(cached)]}
