import re
import sys
from collections import Counter

import pytest

from assay_pods.common.context import BadInputError
from assay_pods.retrieval import collections, files, splits
from tests.retrieval_collect import CROSS_FIT, PLANTED, collect, spec

FULL = {"kind": "PLANTED", "topics": 60, "unseenTopics": 40, "phrasings": 16, "documentsPerTopic": 20, "seed": 3}


def words(texts):
    return {word for text in texts for word in re.findall(r"\w+", text.lower())}


def test_planted_queries_and_documents_share_no_word_and_the_dictionary_joins_them():
    made = collections.make(FULL)
    documents = words(document.text for document in made.documents)
    assert sum(document.id.startswith("decoy") for document in made.documents) == 200
    assert len(made.documents) == 2200
    assert len(made.queries) == 1600
    assert words(query.text for query in made.queries) & documents == set()
    topic_words = {tuple(sorted(words([made.expansions[query.id]]) & documents)) for query in made.queries}
    assert len(topic_words) == 100
    assert max(Counter(word for topic in topic_words for word in topic if word not in words(["means"])).values()) == 1
    by_id = {document.id: document.text for document in made.documents}
    for query in made.queries:
        for document in made.qrels[query.id]:
            assert len(words([by_id[document]]) & words([made.expansions[query.id]])) >= 5


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_collection(tmp_path):
    one, same, other = (collect(tmp_path / name, collection=PLANTED | {"seed": seed})[0] for name, seed in (("a", 7), ("b", 7), ("c", 8)))
    for name in ("corpus", "queries", "qrels", "expansions"):
        assert one[name].read_bytes() == same[name].read_bytes()
        assert one[name].read_bytes() != other[name].read_bytes() or name == "qrels"


def test_queries_of_unseen_topics_are_tested_alone(tmp_path):
    paths, results = collect(tmp_path)
    queries = files.read_queries(paths["queries"])
    lists = splits.parts(queries)
    assert {query.group for query in [*lists.train, *lists.dev]} == {"seen"}
    assert Counter(query.group for query in lists.test)["unseen"] == 24
    trained = {query.text.split()[-1] for query in lists.train}
    assert trained
    assert results["queries"]["groups"] == {"seen": 72, "unseen": 24}
    assert results["expand"]["queries"]["test"]["expanded"] == len(lists.test)


def test_cross_fitting_keeps_an_unseen_topic_in_one_fold(tmp_path):
    paths, results = collect(tmp_path, split=CROSS_FIT)
    folds = {}
    for query in files.read_queries(paths["queries"]):
        if query.group == "unseen":
            folds.setdefault(query.id.split("-")[0], set()).add(query.fold)
    assert [len(found) for found in folds.values()] == [1, 1, 1, 1]
    assert [part["fold"] for part in results["queries"]["parts"]] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("field", "value"), [("topics", 1), ("unseenTopics", 99), ("phrasings", 17), ("documentsPerTopic", 0)])
def test_a_planted_collection_out_of_range_is_refused(field, value):
    with pytest.raises(BadInputError) as wrong:
        collections.make(FULL | {field: value})
    assert wrong.value.code == "COLLECTION_INVALID"


def test_the_standard_library_gives_known_items_without_their_summaries():
    before = set(sys.modules)
    made = collections.make({"kind": "STDLIB"})
    assert {"this", "antigravity", "turtle", "nntplib", "idlelib"}.isdisjoint(set(sys.modules) - before)
    texts = {document.id: document.text for document in made.documents}
    assert len(made.documents) > 1000
    assert len({query.text for query in made.queries}) == len(made.queries) > 1000
    assert all(list(made.qrels[query.id].values()) == [1] for query in made.queries)
    query = next(query for query in made.queries if query.id == "q:shutil.copytree")
    assert query.text == "Recursively copy a directory tree and return the destination directory."
    assert texts["shutil.copytree"].startswith("shutil.copytree If exception(s) occur")
    assert query.text not in texts["shutil.copytree"]
    assert any(document.id.startswith("turtle.") for document in made.documents), "parsed, though never imported"


def test_a_made_collection_has_no_given_parts(tmp_path):
    with pytest.raises(BadInputError, match="a made collection gives no parts") as wrong:
        collect(tmp_path, split={"kind": "GIVEN"})
    assert wrong.value.code == "COLLECTION_INVALID"
    assert spec("queries")["split"]["kind"] == "HASH"
