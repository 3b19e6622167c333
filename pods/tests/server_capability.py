"""A capability for the tests of the server: each step does one thing that runs do, good or bad."""

import ctypes
import json
import os
import signal
import struct
import sys
import threading

from assay_pods.common.checkpoint_files import STATE_KEY, CheckpointError, read_state
from assay_pods.common.context import BadInputError, RunContext, RunError, TransientError


def run(context: RunContext) -> dict:
    context.log(f"pid {os.getpid()}")
    return _STEPS[context.spec["step"]](context)


def _echo(context: RunContext) -> dict:
    context.progress("training", 1, 2)
    context.metric("loss", 0.5, 1)
    context.progress("training", 2, 2)
    path = context.work_dir / "items"
    path.write_text("".join(file.read_text() for file in context.inputs.values()) or "nothing\n")
    context.save("items.jsonl", "ITEMS", path)
    return {"value": context.spec["value"], "partial": context.spec.get("partial", False)}


def _work(context: RunContext) -> dict:
    """Moves on until it is stopped."""
    pause = threading.Event()
    step = 0
    while True:
        step += 1
        context.progress("training", step, 1_000_000)
        pause.wait(0.01)


def _train(context: RunContext) -> dict:
    """Counts steps as a trainer does that keeps all rules of checkpoints; its state is the count alone."""
    context.progress("preparing", 0, 1)
    total = context.spec["steps"]
    first = read_state(context.resume)["step"] if context.resume else 0
    done = first
    pause = threading.Event()
    while done < total:
        context.progress("training", done, total)
        pause.wait(0.005)
        done += 1
        if context.score_partial_requested:
            break
        if context.checkpoint_due():
            path = context.work_dir / "state"
            path.write_bytes(checkpoint_bytes(context.spec_sha256, done))
            context.checkpoint(path, done)
    context.progress("scoring", 1, 1)
    return {"first": first, "steps": done, "divisor": context.micro_batch_divisor, "partial": done < total}


def checkpoint_bytes(spec_sha256: str, step: int) -> bytes:
    """A safetensors file without tensors."""
    state = json.dumps({"specSha256": spec_sha256, "step": step})
    header = json.dumps({"__metadata__": {STATE_KEY: state}}).encode()
    return struct.pack("<Q", len(header)) + header


def _ask(context: RunContext) -> dict:
    """Asks a model twice and then works on until it is stopped."""
    context.count_answer(100, 20)
    context.count_answer(50, 7)
    context.log("asked")
    return _hang(context) if context.spec["hang"] else {}


def _prepare(context: RunContext) -> dict:
    """Moves on in a stage that keeps no checkpoints until it is stopped."""
    pause = threading.Event()
    while True:
        context.progress("preparing", 0, 1)
        pause.wait(0.01)


def _flood(context: RunContext) -> dict:
    for step in range(20_000):
        context.progress("training", step, 20_000)
        context.metric("loss", 1.0 / (step + 1), step)
    return {"steps": 20_000}


def _segfault(context: RunContext) -> dict:
    context.progress("scoring", 1, 2)
    ctypes.string_at(0)
    return {}


def _hang(context: RunContext) -> dict:
    signal.pause()
    return {}


def _bad_input(context: RunContext) -> dict:
    context.progress("preparing", 0, 1)
    raise BadInputError("MODEL_UNSAFE", "wanted safetensors,\nbut got a pickle")


def _run_error(context: RunContext) -> dict:
    raise RunError("CONTROL_FAILED", "wanted a control that holds, but it failed")


def _unreachable(context: RunContext) -> dict:
    raise TransientError("MODEL_UNREACHABLE", "wanted the hub, which did not answer")


def _hostile(context: RunContext) -> dict:
    raise BadInputError("DATASET_INVALID", "row a\0b\x1b[31m\ud800: wanted a text")


def _misfit(context: RunContext) -> dict:
    raise CheckpointError("wanted a checkpoint of 3 weights, but got one of 4 others")


def _tensor_disk(context: RunContext) -> dict:
    from safetensors import SafetensorError

    raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


def _memory(context: RunContext) -> dict:
    raise MemoryError("wanted 1 TiB")


def _error(context: RunContext) -> dict:
    raise RuntimeError("the secret of the trace stays in the log")


def _disk(context: RunContext) -> dict:
    raise OSError(28, "No space left on device")


def _nan(context: RunContext) -> dict:
    context.metric("loss", float("nan"), 3)
    return {"deep": [{"loss": float("nan")}]}


def _exit(context: RunContext) -> dict:
    sys.exit(7)


def _child(context: RunContext) -> dict:
    """Leaves a process of its own behind."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
        os._exit(0)
    context.log(f"child {pid}")
    return _work(context)


def _facts(context: RunContext) -> dict:
    return {
        "device": context.device,
        "threads": int(os.environ["OMP_NUM_THREADS"]),
        "empty": not any(context.work_dir.iterdir()),
        "cache": str(context.cache_dir),
        "waiting": os.environ["OMP_WAIT_POLICY"],
    }


_STEPS = {
    "echo": _echo,
    "ask": _ask,
    "work": _work,
    "train": _train,
    "prepare": _prepare,
    "flood": _flood,
    "segfault": _segfault,
    "hang": _hang,
    "bad_input": _bad_input,
    "run_error": _run_error,
    "unreachable": _unreachable,
    "hostile": _hostile,
    "misfit": _misfit,
    "tensor_disk": _tensor_disk,
    "memory": _memory,
    "error": _error,
    "disk": _disk,
    "nan": _nan,
    "exit": _exit,
    "child": _child,
    "facts": _facts,
}
