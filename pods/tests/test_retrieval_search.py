"""Exact search gives one ranking whatever the shards, blocks, batches and threads, in bounded memory; BM25 is Lucene's formula."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from assay_pods.common.context import BadInputError
from assay_pods.retrieval import search
from assay_pods.retrieval.bm25 import Bm25, expanded
from assay_pods.retrieval.ordering import ranked

PODS = Path(__file__).resolve().parents[1]


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def write(folder: Path, ids: list[str], vectors: np.ndarray, size: int) -> search.Shards:
    pairs = []
    for start in range(0, len(ids), size):
        names, file = folder / f"{start}.txt", folder / f"{start}.npy"
        names.write_text("".join(f"{one}\n" for one in ids[start : start + size]))
        np.save(file, vectors[start : start + size])
        pairs.append((names, file))
    return search.Shards.open(pairs)


@pytest.fixture(scope="module")
def spread():
    """Vectors whose scores for each query differ by more than 1e-4 from one another."""
    chance = np.random.default_rng(5)
    angles = chance.permutation(120) * 0.02 + 0.1
    documents = unit(np.stack([np.cos(angles), np.sin(angles), np.zeros(120)], axis=1))
    queries = unit(np.array([[1.0, 0.001, 0.0], [1.0, -0.3, 0.0]]))
    scores = np.sort(queries @ documents.T, axis=1)
    assert np.diff(scores, axis=1).min() > 1e-4
    return [f"d{place}" for place in range(120)], documents, queries


@pytest.mark.parametrize(("size", "rows"), [(7, 3), (7, 1000), (1000, 16), (1000, 1000)])
@pytest.mark.parametrize("threads", [1, 2])
def test_shards_blocks_and_threads_do_not_change_a_ranking(tmp_path, spread, size, rows, threads):
    ids, documents, queries = spread
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = search.exact(write(tmp_path, ids, documents, size), queries, 50, block_rows=rows)
    finally:
        torch.set_num_threads(before)
    wanted = [ranked(ids, row, 50) for row in queries @ documents.T]
    assert [[one for one, _ in row] for row in found] == [[one for one, _ in row] for row in wanted]
    assert [score for row in found for _, score in row] == pytest.approx([score for row in wanted for _, score in row], abs=1e-5)


def test_the_order_of_documents_and_queries_does_not_change_a_ranking(tmp_path, spread):
    ids, documents, queries = spread
    order = np.random.default_rng(1).permutation(len(ids))
    mixed = write(tmp_path, [ids[place] for place in order], documents[order], 40)
    turned = search.exact(mixed, queries[::-1], 20)[::-1]
    assert [[one for one, _ in row] for row in turned] == [[one for one, _ in ranked(ids, row, 20)] for row in queries @ documents.T]


def test_equal_scores_go_by_id_across_shards_and_signs(tmp_path):
    chance = random.Random(3)
    ids = [f"d{place}" for place in range(60)]
    chance.shuffle(ids)
    rows = np.array([[chance.choice([-1.0, -0.5, -0.0, 0.0, 0.5, 1.0])] for _ in ids], dtype=np.float32)
    shards = write(tmp_path, ids, rows, 7)
    for sign in (1.0, -1.0):
        assert search.exact(shards, np.array([[sign]]), 25, block_rows=4)[0] == ranked(ids, sign * rows[:, 0] + 0.0, 25)


def test_half_precision_is_summed_in_single_precision(tmp_path):
    chance = np.random.default_rng(2)
    documents, queries = unit(chance.normal(size=(300, 64))).astype(np.float16), unit(chance.normal(size=(4, 64)))
    found = search.exact(write(tmp_path, [str(place) for place in range(300)], documents, 100), queries, 10)
    exact = queries.astype(np.float64) @ documents.astype(np.float64).T
    assert [score for _, score in found[0]] == pytest.approx(sorted(exact[0], reverse=True)[:10], abs=1e-6)


def test_a_querys_own_document_is_left_out_only_where_that_is_asked(tmp_path):
    shards = write(tmp_path, ["a", "b", "c"], np.array([[3.0], [2.0], [1.0]], dtype=np.float32), 2)
    assert [one for one, _ in search.exact(shards, np.ones((1, 1)), 2)[0]] == ["a", "b"]
    assert [one for one, _ in search.exact(shards, np.ones((1, 1)), 2, own_ids=["a"])[0]] == ["b", "c"]
    index = Bm25(["a", "b", "c"], ["red fish", "red fish pond", "red"])
    assert [one for one, _ in index.search(["fish"], 2)[0]] == ["a", "b"]
    assert [one for one, _ in index.search(["fish"], 2, own_ids=["a"])[0]] == ["b"]


def test_what_does_not_fit_together_is_refused(tmp_path):
    one = np.ones((2, 3), dtype=np.float32)
    for shards, why in (
        ([search.Shard(["a", "b"], one), search.Shard(["c", "a"], one)], "'a' twice"),
        ([search.Shard(["a", "b"], one), search.Shard(["c"], np.ones((1, 4)))], "one width"),
        ([search.Shard(["a"], one)], "a vector an id"),
    ):
        with pytest.raises(BadInputError, match=why) as refused:
            search.Shards(shards)
        assert refused.value.code == "COLLECTION_INVALID"
    broken = search.Shards([search.Shard(["a"], np.array([[math.nan]], dtype=np.float32))])
    with pytest.raises(BadInputError) as refused:
        search.exact(broken, np.ones((1, 1)), 1)
    assert refused.value.code == "SCORES_NOT_FINITE"


MILLION = """
import json, resource, sys
from pathlib import Path
import numpy as np
from assay_pods.retrieval import search
folder, rows, shard = Path(sys.argv[1]), 1_000_000, 100_000
chance = np.random.default_rng(0)
pairs = []
for start in range(0, rows, shard):
    names, file = folder / f"{start}.txt", folder / f"{start}.npy"
    names.write_text("".join(f"{place:07d}\\n" for place in range(start, start + shard)))
    np.save(file, chance.standard_normal((shard, 384), dtype=np.float32))
    pairs.append((names, file))
shards = search.Shards.open(pairs)
planted = np.concatenate([np.load(pairs[n][1], mmap_mode="r")[[n]] for n in range(8)])
found = search.exact(shards, planted, 10)
print(json.dumps({"first": [row[0][0] for row in found], "lengths": [len(row) for row in found],
                  "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""


def test_a_million_vectors_are_searched_within_four_gibibytes(tmp_path):
    done = subprocess.run([sys.executable, "-c", MILLION, str(tmp_path)], cwd=PODS, capture_output=True, text=True, check=True, timeout=600)
    told = json.loads(done.stdout)
    assert told["first"] == [f"{n * 100_000 + n:07d}" for n in range(8)], "each planted query is its own nearest neighbour"
    assert set(told["lengths"]) == {10}
    assert told["peak"] < 4 * 2**30


def lucene(query: list[str], documents: list[list[str]], k1: float, b: float) -> list[float]:
    """BM25 as Lucene writes it since version 8, without the constant k1 + 1."""
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        score = 0.0
        for word in query:
            having = sum(word in other for other in documents)
            idf = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
            count = document.count(word)
            score += idf * count / (count + k1 * (1 - b + b * len(document) / mean))
        scores.append(score)
    return scores


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.5, 0.75)])
def test_bm25_is_lucenes_formula_and_a_word_that_stands_twice_counts_twice(k1, b):
    texts = ["green boats sail", "green green rivers run under green hills", "boats boats boats", "quiet hills", "nothing here matches"]
    query = "green green boats unheard"
    wanted = lucene(query.split()[:3], [text.split() for text in texts], k1, b)
    found = dict(Bm25(list("abcde"), texts, k1, b).search([query], 10)[0])
    assert found == pytest.approx({name: score for name, score in zip("abcde", wanted, strict=True) if score > 0}, rel=1e-5)


def test_bm25_finds_nothing_where_no_word_is_shared_and_stands_an_empty_collection():
    index = Bm25(["a", "b"], ["red fish", ""])
    assert index.search(["blue", "", "the"], 5) == [[], [], []]
    assert Bm25(["a"], [""]).search(["red"], 5) == [[]]
    assert index.search([], 5) == []


def test_an_expansion_leaves_the_querys_own_words_five_times():
    assert expanded("red fish", ["a pond", "water"]) == "red fish red fish red fish red fish red fish a pond water"
