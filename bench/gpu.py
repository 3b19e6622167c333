"""Tokens a second of our trainers and of stock TRL on one CUDA device, in one run. Without such a device nothing is measured.

Each cell of six seeds, both artifacts, three methods and two rates is trained by the TRL trainer of the spec over shared tokens and
log-probabilities; the first seed's cells are then trained by stock TRL too, which runs the reference model itself.
Run it with the Python of the pods: `.venv/bin/python bench/gpu.py`.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import grid

SEEDS, ARTIFACTS = (101, 102, 103, 104, 105, 106), ("FEATURE_AMBIGUITY", "DISTRIBUTIONAL_NARROWNESS")


class Context(grid.Context):
    """The same on the device."""

    device = "cuda"


def main() -> None:
    """Measures, or says why not."""
    parser = argparse.ArgumentParser(prog="bench/gpu.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder with a model; the packaged SmolLM2-135M-Instruct without it")
    parser.add_argument("--task", default="MATH_REASONING", help="the task (MATH_REASONING)")
    parser.add_argument("--train-pairs", type=int, default=512, help="training pairs (512)")
    options = parser.parse_args()
    os.environ |= grid.ENVIRONMENT
    import torch

    if not torch.cuda.is_available():
        sys.stdout.write("no CUDA device: nothing measured\n")
        return
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as scratch:
        for artifact in ARTIFACTS:
            for seed in SEEDS:
                _seed(options, Path(scratch), (artifact, seed))


def _seed(options: argparse.Namespace, scratch: Path, which: tuple[str, int]) -> None:
    """Prepares one seed of an artifact and trains its cells."""
    from assay_pods.robustness.run import run

    artifact, seed = which
    folder = scratch / f"{artifact}-{seed}"
    spec = _spec(options, which)
    run(Context(folder / "prepare", spec, {}, scratch / "cache"))
    saved = folder / "prepare" / "saved"
    inputs = {"records": saved / "records.jsonl", "reference": saved / "reference.safetensors"}
    for method in grid.METHODS:
        for rate in grid.RATES:
            cell = spec | {"step": "train", "purpose": "CELL", "method": method, "spuriousness": rate, "learningRate": 2e-4}
            own = _speed(Context(folder / f"{method}-{rate}", cell, inputs, scratch / "cache"), stock=False)
            line = f"{artifact} {method} rate {rate} seed {seed}: ours {own:.0f} tokens/s"
            if seed == SEEDS[0]:
                stock = _speed(Context(folder / f"{method}-{rate}-stock", cell, inputs, scratch / "cache"), stock=True)
                line += f", stock TRL {stock:.0f}, ratio {own / stock:.2f}"
            sys.stdout.write(line + "\n")


def _speed(context: Context, *, stock: bool) -> float:
    """Trains one cell; gives the trained completion tokens a second of building the trainer and training."""
    import torch
    from assay_pods.common.models import arithmetic, load_model
    from assay_pods.robustness import shared
    from assay_pods.robustness.plan import make_plan
    from assay_pods.robustness.recipe import recipe_of
    from assay_pods.robustness.record_rows import read_records
    from assay_pods.robustness.records import Rate, select_renders
    from assay_pods.robustness.steps import epoch_of
    from assay_pods.robustness.train import Work
    from assay_pods.robustness.trl_reference import make_trainer
    from assay_pods.robustness.trl_rows import Shared, tokens_of

    with arithmetic(context):
        loaded = load_model(context)
        plan = make_plan(read_records(context.inputs["records"]), context.spec, shared.encoder_of(context, loaded.tokenizer))
        recipe = recipe_of(context)
        work = Work(recipe, epoch_of(plan, select_renders(plan.pairs, Rate(context.spec["spuriousness"]), recipe.seed), recipe))
        known = Shared(plan, shared.load(context, loaded.model, plan))
        torch.cuda.synchronize()
        started = time.perf_counter()
        make_trainer(loaded, work, context, shared=None if stock else known).train()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - started
    return recipe.epochs * sum(tokens_of(plan, step) for step in work.steps) / seconds


def _spec(options: argparse.Namespace, which: tuple[str, int]) -> dict[str, Any]:
    artifact, seed = which
    base = grid.spec_of(
        argparse.Namespace(seed=seed, blocks=0, train_pairs=options.train_pairs, test_pairs=40), grid.model_of(options.model)
    )
    trainer = base["trainer"] | {"kind": "TRL_LORA", "loraRank": grid.LORA_RANK, "promptsPerStep": 16, "gradientCheckpointing": False}
    data = {"kind": "GENERATED", "task": options.task, "artifact": artifact, "core": "LAPTOP"}
    return base | {"version": 2, "precision": "bf16", "data": data, "trainer": trainer}


if __name__ == "__main__":
    main()
