"""Approximate search comes with its recall against exact search, and with true scores in the one order."""

import numpy as np
import pytest
from retrieval_experiment import report
from retrieval_steps import Steps

from assay_pods.common.context import BadInputError
from assay_pods.retrieval.ann import RECALL_QUERIES, Ann, recall
from assay_pods.retrieval.search import Shard, Shards, exact


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def collection():
    """Vectors around 40 centres, in three shards of which one is empty, and queries near the centres."""
    chance = np.random.default_rng(4)
    centres = chance.normal(size=(40, 32))
    documents = unit(np.repeat(centres, 50, axis=0) + chance.normal(scale=0.6, size=(2_000, 32)))
    queries = unit(np.repeat(centres, 8, axis=0) + chance.normal(scale=0.6, size=(320, 32)))
    ids = [f"d{place}" for place in chance.permutation(2_000)]
    parts = [slice(0, 700), slice(700, 700), slice(700, 2_000)]
    return Shards([Shard(ids[part], documents[part]) for part in parts]), queries


@pytest.fixture(scope="module")
def indexes(collection):
    return {kind: Ann(collection[0], kind) for kind in ("HNSW", "IVF_PQ")}


@pytest.mark.parametrize(("kind", "least"), [("HNSW", 0.99), ("IVF_PQ", 0.8)])
def test_an_index_finds_most_of_what_exact_search_finds(collection, indexes, kind, least):
    (shards, queries), index = collection, indexes[kind]
    found = recall(index, shards, queries, 10)
    assert (found.queries, found.k, found.kind) == (RECALL_QUERIES, 10, kind)
    assert least <= found.value <= 1
    few = recall(index, shards, queries[:30], 10)
    both = zip(exact(shards, queries[:30], 10), index.search(queries[:30], 10), strict=True)
    shares = [len(dict(one).keys() & dict(two).keys()) / 10 for one, two in both]
    assert few.value == pytest.approx(np.mean(shares))
    assert few.queries == 30


def test_recall_tells_of_an_index_that_finds_the_wrong_documents(collection):
    shards, queries = collection
    turned = Shards([Shard(shard.ids[::-1], shard.vectors) for shard in shards.shards])
    assert recall(Ann(turned, "HNSW"), shards, queries, 10).value < 0.2


@pytest.mark.parametrize("kind", ["HNSW", "IVF_PQ"])
def test_what_is_found_has_the_scores_of_exact_search_in_the_one_order(collection, indexes, kind):
    shards, queries = collection
    true = dict(exact(shards, queries[:1], 2_000)[0])
    found = indexes[kind].search(queries[:1], 50)[0]
    assert [score for _, score in found] == pytest.approx([true[one] for one, _ in found], abs=1e-6)
    assert found == sorted(found, key=lambda pair: (pair[1], pair[0].encode()), reverse=True)
    assert len(found) == 50


def test_a_querys_own_document_is_left_out_where_that_is_asked(collection):
    shards, _ = collection
    own = shards.shards[2].vectors[:1]
    index, name = Ann(shards, "HNSW"), shards.shards[2].ids[0]
    assert index.search(own, 5)[0][0][0] == name
    without = index.search(own, 5, own_ids=[name])[0]
    assert len(without) == 5
    assert name not in dict(without)


def test_what_no_index_can_be_learnt_from_is_refused(collection):
    shards, queries = collection
    narrow = np.ones((300, 6), dtype=np.float32)
    few = np.ones((9, 8), dtype=np.float32)
    for vectors, why in ((narrow, "300 of width 6"), (few, "9 of width 8")):
        with pytest.raises(BadInputError, match=why):
            Ann(Shards([Shard([str(place) for place in range(len(vectors))], vectors)]), "IVF_PQ")
    with pytest.raises(BadInputError, match="got 0 and 2000"):
        recall(Ann(shards, "HNSW"), shards, queries[:0], 10)


def test_an_experiment_that_asks_for_an_index_reports_what_it_loses(tmp_path):
    planted = {"kind": "PLANTED", "topics": 6, "unseenTopics": 2, "phrasings": 4, "documentsPerTopic": 3, "seed": 3}
    steps = Steps(tmp_path / "steps", planted, {"kind": "HASH", "dev": 0.25, "test": 0.25}).until_taught(2)
    assert steps.results["teach"]["approximate"] is None
    found = steps.do("teach", "again", approximate="HNSW")["approximate"]
    assert found["kind"] == "HNSW"
    assert found["recall"]["10"] >= 0.95
    assert found["ndcg@10"]["approximate"] == pytest.approx(found["ndcg@10"]["exact"], abs=0.05)
    context, document = report(tmp_path / "report", taught={"approximate": found})
    assert document["approximate"] == found
    text = context.saved["report.txt"][1].read_text()
    assert f"HNSW finds {found['recall']['10']:.1%} of the exact first 10" in text
    with pytest.raises(BadInputError, match="IVF_PQ: wanted 256 or more vectors"):
        steps.do("teach", "too few", approximate="IVF_PQ")
