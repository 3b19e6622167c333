"""What checkpoints cost: the time to write one, beside the time of the training steps that it keeps.

Trains the top blocks of SmolLM2-135M on the generated cell, as a pod's run does it, and writes a checkpoint into a content-addressed
store (hashed, synced, renamed) every few steps. The share is that of one checkpoint every 30 seconds of training, the pods' default.

Run it with the Python of the pods: `.venv/bin/python bench/checkpoints.py`.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parent
PODS = BENCH.parent / "pods"
sys.path[:0] = [str(PODS), str(BENCH)]

INTERVAL_S = 30.0


def main() -> None:
    """Prepares one seed, trains one cell and prints what each checkpoint took."""
    options = _options()
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}
    import grid
    from assay_pods.common.artifacts import ArtifactStore, Origin
    from assay_pods.robustness.run import run

    class Context(grid.Context):
        """Wants a checkpoint every few steps and measures it."""

        spec_sha256 = "0" * 64

        def __init__(self, folder: Path, *parts: Any) -> None:
            super().__init__(folder, *parts)
            self.store = ArtifactStore(folder / "store")
            self.steps: list[float] = []
            self.writes: list[tuple[float, int]] = []
            self._began = 0.0

        def progress(self, stage: str, completed: int, total: int) -> None:
            self._began = time.perf_counter() if stage == "training" else self._began

        def checkpoint_due(self) -> bool:
            now = time.perf_counter()
            self.steps.append(now - self._began)
            self._began = now
            return len(self.steps) % options.every == 0

        def checkpoint(self, path: Path, step: int) -> None:
            stored = self.store.save(path, Origin("00000000-0000-0000-0000-000000000000", 1, f"checkpoint-{step}"))
            self.writes.append((time.perf_counter() - self._began, stored.size_bytes))

    with tempfile.TemporaryDirectory(prefix="assay-bench-") as scratch:
        folder = Path(scratch)
        spec, cache = grid.spec_of(options, grid.model_of(None)), options.cache or folder / "cache"
        prepared = grid.Context(folder / "prepare", spec, {}, cache)
        run(prepared)
        inputs: dict[str, Path] = {path.name.split(".")[0]: path for path in prepared.saved_dir.iterdir()}
        cell = Context(folder / "cell", spec | {"step": "train", "method": "DPO", "spuriousness": 0.9}, inputs, cache)
        run(cell)
    writes = [seconds for seconds, _ in cell.writes]
    cost = statistics.median(writes)
    document = json.dumps(
        {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "blocks": options.blocks,
            "checkpointBytes": cell.writes[0][1],
            "checkpoints": len(writes),
            "secondsPerCheckpoint": {"median": round(cost, 3), "least": round(min(writes), 3), "most": round(max(writes), 3)},
            "secondsPerStep": round(statistics.median(cell.steps), 3),
            "shareAtEvery30Seconds": round(cost / (INTERVAL_S + cost), 4),
        },
        indent=2,
    )
    sys.stdout.write(f"{document}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=6, help="trained top blocks (6)")
    parser.add_argument("--train-pairs", type=int, default=48, help="training pairs (48)")
    parser.add_argument("--test-pairs", type=int, default=4, help="test pairs (4)")
    parser.add_argument("--seed", type=int, default=101, help="seed of data and training (101)")
    parser.add_argument("--every", type=int, default=2, help="steps between checkpoints (2)")
    parser.add_argument("--cache", type=Path, help="folder that keeps the converted model; a temporary one without it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
